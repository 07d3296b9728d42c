/* SPDX-License-Identifier: MIT */
/*
 * sysvshm: - System V shared memory, shmget(2), shmop(2), shmctl(2): a segment that processes find by a key, and nothing
 * of ours in it, so that a C program with shmget(1234) and strcpy shares it as it is.
 *
 * Traps dealt with here:
 *   - shmget() says EINVAL when a segment is smaller than asked, and when SHMMAX is smaller; which of the two is looked up.
 *   - shmget() gives no memory: a page is there when it is first touched, and a machine that has none left then kills
 *     somebody.  A segment that does not fit in what is free now is refused.
 *   - A removed segment stays until the last detaches, but its key finds it no more.
 *   - shm_lpid is whoever attached last, which after attaching is this process: the one before is remembered.
 *   - An attachment is inherited by fork(2) and counted; who leaves last is known by that count alone.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/detail.h"
#include "core/mapped.h"
#include "core/mechanism.h"
#include "core/process.h"
#include "core/sysv_name.h"
#include "sysvshm_lock.h"

#define RACES 16 /* how often others may make and remove the segment while we look */

struct segment {
    struct region base;
    int id;
    int64_t remove;             /* REMOVE_... */
    pid_t before;               /* who attached or detached last before this process did; 0: nobody, or not visible */
    bool lockable;              /* companion is one */
    struct companion companion;
};

/* ---- Finding and making ---------------------------------------------------------------------------------- */

static unsigned long long limit(const char *name)
{
    return (unsigned long long)limit_from_proc(name);
}

static int busy(const struct address *address)
{
    return fail(-EBUSY, "sysvshm:%s: others keep making and removing it", address->name);
}

static int cannot_get(const struct address *address, key_t key, int error)
{
    unsigned long long asked = (unsigned long long)address->value[OPTION_SIZE];
    switch (error) {
    case -ENOENT:
        return fail(error, "sysvshm:%s: there is no segment with key 0x%x; who writes makes it with size=, as in ?size=4K",
                    address->name, (unsigned)key);
    case -EEXIST:
        return fail(error, "sysvshm:%s: a segment with key 0x%x exists, and create=excl", address->name, (unsigned)key);
    case -EACCES:
        return fail(error, "sysvshm:%s: the segment's mode and owner (ipcs -m) do not let this user in", address->name);
    case -EINVAL:
        return fail(error, "sysvshm:%s: size=%llu is more than a segment may have: kernel.shmmax is %llu", address->name, asked,
                    limit("kernel.shmmax"));
    case -ENOSPC:
        return fail(error, "sysvshm:%s: %llu bytes asked: there are kernel.shmmni (%llu) segments already, or kernel.shmall "
                    "(%llu pages in all) would be passed (ipcs -m lists them)", address->name, asked,
                    limit("kernel.shmmni"), limit("kernel.shmall"));
    default:
        return fail_call(error, "sysvshm:%s: shmget(0x%x, %llu bytes)", address->name, (unsigned)key, asked);
    }
}

/* Who makes it must attach it once, whatever the mode says: it gets that afterwards. */
static int make(const struct address *address, key_t key)
{
    uint64_t asked = (uint64_t)address->value[OPTION_SIZE], room = limit_memory(NULL);
    if (asked > room)
        return fail(-ENOSPC, "sysvshm:%s: %llu bytes asked, and %llu are free: give a smaller size=", address->name,
                    (unsigned long long)asked, (unsigned long long)room);
    int id = sys_shmget(key, (size_t)asked, IPC_CREAT | IPC_EXCL | 0600 | (int)address->value[OPTION_MODE]);
    return id == -EEXIST || id >= 0 ? id : cannot_get(address, key, id);
}

static int find_or_make(const struct open_request *request, key_t key, bool *ret_made)
{
    const struct address *address = request->address;
    bool writes = request->flags & TONG_WRITE, makes = writes && address->value[OPTION_SIZE];
    int64_t create = makes ? address->value[OPTION_CREATE] : CREATE_NO;
    if (!makes && address->value[OPTION_CREATE] == CREATE_EXCL)
        return fail(-EINVAL, "sysvshm:%s: create=excl makes it, so open it to write and say how many bytes: size=4K",
                    address->name);
    for (int race = 0; race < RACES; race++) {
        int id = create == CREATE_EXCL ? -ENOENT : sys_shmget(key, 0, writes ? 0600 : 0400);
        if (id >= 0)
            return id;
        if (id != -ENOENT || create == CREATE_NO)
            return cannot_get(address, key, id);
        id = make(address, key);
        *ret_made = id >= 0;
        if (id != -EEXIST || create == CREATE_EXCL)
            return id == -EEXIST ? cannot_get(address, key, id) : id;
    }
    return busy(address);
}

/* ---- Opening and closing --------------------------------------------------------------------------------- */

static int no_segment(const char *object)
{
    return fail(-ENOENT, "%s: there is no such segment (ipcs -m lists them)", object);
}

static int state_of(const struct segment *segment, struct shmid_ds *ret)
{
    int r = sys_shmctl(segment->id, IPC_STAT, ret);
    if (r == -EINVAL || r == -EIDRM)
        return no_segment(segment->base.object);
    return r < 0 ? fail_call(r, "%s: shmctl(IPC_STAT)", segment->base.object) : 0;
}

static int remove_segment(int id, const struct companion *companion)
{
    int r = sys_shmctl(id, IPC_RMID, NULL);
    if (r == 0 && companion)
        companion_remove(companion);
    return r == -EIDRM || r == -EINVAL ? 0 : r;
}

/* Who comes between the look and the removal keeps the memory, but nobody else will find it. */
static int leave(struct segment *segment)
{
    struct shmid_ds state;
    bool owner = segment->remove == REMOVE_OWNER && segment->base.flags & TONG_INFO_CREATED;
    bool last = segment->remove == REMOVE_LAST && sys_shmctl(segment->id, IPC_STAT, &state) == 0 && state.shm_nattch == 0;
    int r = owner || last ? remove_segment(segment->id, segment->lockable ? &segment->companion : NULL) : 0;
    return r < 0 ? fail_call(r, "%s: shmctl(IPC_RMID)", segment->base.object) : 0;
}

static int segment_close(struct region *region, bool forked)
{
    struct segment *segment = (struct segment *)region;
    sys_shmdt(region->data);
    if (forked && segment->remove == REMOVE_OWNER)
        segment->remove = REMOVE_NEVER;
    int r = leave(segment);
    free(region->object);
    free(segment);
    return r;
}

static int give_mode(const struct segment *segment, struct shmid_ds *state, mode_t mode)
{
    if ((mode & 0600) == 0600)
        return 0;
    state->shm_perm.mode = (unsigned short)mode;
    int r = sys_shmctl(segment->id, IPC_SET, state);
    return r < 0 ? fail_call(r, "%s: shmctl(IPC_SET)", segment->base.object) : 0;
}

static int attach(struct segment *segment, const struct address *address)
{
    struct region *region = &segment->base;
    struct shmid_ds state;
    int r = state_of(segment, &state);
    if (r < 0)
        return r;
    if (state.shm_segsz < (uint64_t)address->value[OPTION_SIZE])
        return fail(-EOVERFLOW, "%s: is there and has %zu bytes; size=%lld is more: open it without size=, or remove it first",
                    region->object, state.shm_segsz, (long long)address->value[OPTION_SIZE]);
    r = sys_shmat(segment->id, region->flags & TONG_WRITE ? 0 : SHM_RDONLY, &region->data);
    if (r < 0) {
        region->data = NULL;
        return r == -EIDRM || r == -EINVAL ? no_segment(region->object) : fail_call(r, "%s: shmat", region->object);
    }
    region->size = state.shm_segsz;
    segment->before = state.shm_lpid;
    segment->lockable = companion_init(&segment->companion, state.shm_perm.__key, &state.shm_perm, region->object) == 0;
    return region->flags & TONG_INFO_CREATED ? give_mode(segment, &state, (mode_t)address->value[OPTION_MODE]) : 0;
}

static int new_segment(const struct open_request *request, int id, bool made, struct segment **ret)
{
    char object[SYSVSHM_WORDS_MAX];
    snprintf(object, sizeof object, "sysvshm:%s (id %d)", request->address->name, id);
    struct segment *segment = calloc(1, sizeof *segment);
    char *words = strdup(object);
    if (!segment || !words) {
        free(segment);
        free(words);
        return fail(-ENOMEM, "%s: out of memory", object);
    }
    segment->base = (struct region){ request->mechanism->region, request->mechanism,
                                     request->flags | (made ? TONG_INFO_CREATED : 0), words, NULL, 0 };
    segment->id = id;
    *ret = segment;
    return 0;
}

/* -ENOENT: removed since it was found or made. */
static int open_found(const struct open_request *request, int id, bool made, struct segment **ret)
{
    struct segment *segment;
    int r = new_segment(request, id, made, &segment);
    if (r == 0 && (r = attach(segment, request->address)) < 0)
        segment_close(&segment->base, false);
    if (r < 0) {
        if (made)
            sys_shmctl(id, IPC_RMID, NULL);
        return r;
    }
    segment->remove = request->address->value[OPTION_REMOVE];
    *ret = segment;
    return 0;
}

static int open_by_key(const struct open_request *request, key_t key, struct segment **ret)
{
    int r = -ENOENT;
    for (int race = 0; race < RACES && r == -ENOENT; race++) {
        bool made = false;
        int id = find_or_make(request, key, &made);
        if (id < 0)
            return id;
        r = open_found(request, id, made, ret);
    }
    return r == -ENOENT ? busy(request->address) : r;
}

static int segment_open(const struct open_request *request, struct region **ret)
{
    struct sysv_name name;
    struct segment *segment;
    int r = sysv_name_parse(request->address, &name);
    if (r == 0)
        r = name.is_id ? open_found(request, name.id, false, &segment) : open_by_key(request, name.key, &segment);
    if (r < 0)
        return r;
    *ret = &segment->base;
    return 0;
}

/* The segment and its lock, whichever of the two is there: a lock may have been taken before any segment was made. */
static int segment_remove(const struct address *address)
{
    struct sysv_name name;
    struct shmid_ds state;
    struct companion companion;
    int r = sysv_name_parse(address, &name);
    if (r < 0)
        return r;
    int id = name.is_id ? name.id : sys_shmget(name.key, 0, 0);
    if (id >= 0 && name.is_id)
        name.key = sys_shmctl(id, IPC_STAT, &state) < 0 ? IPC_PRIVATE : state.shm_perm.__key;
    r = id < 0 ? id : sys_shmctl(id, IPC_RMID, NULL);
    bool missing = r == -ENOENT || r == -EINVAL || r == -EIDRM;
    bool lockable = companion_init(&companion, name.key, &(struct ipc_perm){ .mode = 0 }, address->text) == 0;
    if ((r >= 0 || missing) && lockable && companion_remove(&companion))
        return 0;
    if (missing)
        return no_segment(address->text);
    if (r == -EPERM)
        return fail(-EPERM, "sysvshm:%s: only the segment's owner may remove it", address->name);
    return r < 0 ? fail_call(r, "sysvshm:%s: shmctl(IPC_RMID)", address->name) : 0;
}

/* ---- The calls ------------------------------------------------------------------------------------------- */

/* A set for a segment that nobody finds any more would be left for ever. */
static int check_found(const struct segment *segment)
{
    struct shmid_ds state;
    int r = state_of(segment, &state);
    return r == 0 && state.shm_perm.mode & SHM_DEST ? sysv_removed(segment->base.object) : r;
}

static int segment_lock(struct region *region, int64_t deadline)
{
    struct segment *segment = (struct segment *)region;
    if (!segment->lockable)
        return fail(-EOPNOTSUPP, "%s: is private, made without a key: there is none to find its lock by", region->object);
    int r = segment->companion.id < 0 ? check_found(segment) : 0;
    if (r == 0)
        r = companion_take(&segment->companion, deadline);
    if (r == -EIDRM)
        segment->companion.id = -1;
    return r;
}

static int segment_unlock(struct region *region)
{
    return companion_release(&((struct segment *)region)->companion);
}

static int segment_describe(struct region *region, tong_region_info *ret)
{
    struct segment *segment = (struct segment *)region;
    struct shmid_ds state;
    int r = state_of(segment, &state);
    if (r < 0)
        return r;
    ret->attached = state.shm_nattch;
    ret->resident = mapped_resident(region);
    ret->mode = state.shm_perm.mode & 0777;
    ret->uid = state.shm_perm.uid;
    process_name_last(state.shm_lpid == getpid() && segment->before ? segment->before : state.shm_lpid, &ret->last);
    if (segment->lockable)
        process_name_last(companion_holder(&segment->companion), &ret->holder);
    return 0;
}

/* ---- The row --------------------------------------------------------------------------------------------- */

static const struct option_use options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 0 },
    { OPTION_SIZE, 0, 1, INT64_MAX, 0 },
    OPTIONS_END,
};

static const struct limit limits[] = {
    { "largest segment", "bytes", "kernel.shmmax", limit_from_proc },
    { "all segments", "pages", "kernel.shmall", limit_from_proc },
    { "segments in all", "segments", "kernel.shmmni", limit_from_proc },
    { "free memory", "bytes", "MemAvailable", limit_memory },
    { NULL, NULL, NULL, NULL },
};

static const struct region_facet region = {
    .options = options, .open = segment_open, .lock = segment_lock, .unlock = segment_unlock,
    .describe = segment_describe, .close = segment_close,
};

const struct mechanism mechanism_sysvshm = {
    .scheme = "sysvshm",
    .form = "sysvshm:KEY, sysvshm:0xKEY, sysvshm:PATH#PROJ, sysvshm:id=N",
    .summary = "System V shared memory: a segment of plain bytes that processes find by a key",
    .medium = "memory",
    .unit = "bytes",
    .reach = "one machine",
    .order = "nobody: its lock, or a semaphore",
    .lifetime = "until it is removed or the machine restarts",
    .family = "System V; Linux, the BSDs, macOS, Solaris, AIX",
    .limits = limits,
    .region = &region,
    .lock = &sysvshm_lock,
    .remove = segment_remove,
};
