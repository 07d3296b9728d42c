/* SPDX-License-Identifier: MIT */
/*
 * Removing what the dead left behind.  A snapshot is old when it is acted upon: the name may lead to another object by now,
 * or somebody may have come to this one.  So each is known by more than its name, and is asked again:
 *
 *     a channel        by its file and id, with all its places held meanwhile, so that nobody can join; its control areas
 *                      must be as they were, to the byte
 *     System V memory  by its identifier, which has a number of uses in it, and when it was made; the kernel has no way to
 *                      keep others from it, so who attaches it between the last look and the removal has it: it is
 *                      kept for him until he detaches it, and that is told
 *     a socket's name  by its file; a socket is bound to a name but once, when it makes it
 *
 * A file is moved out of the way before it is removed, so that what is looked at last is what is removed.  Who is ended in
 * between leaves it there, under a name that has its own in it: it is given that back, and judged anew.
 */
#include "inspect/leftover.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>

#include "base/detail.h"
#include "leftover/leftover.h"
#include "mechanism/sysvshm_lock.h"
#include "ring/object.h"
#include "sys/sys.h"

/* ---- System V memory ------------------------------------------------------------------------------------------- */

/* The lock of a segment's key goes with it, unless the key has another segment by now. */
static void remove_lock(const struct ipc_perm *who)
{
    struct companion companion;
    if (who->__key != IPC_PRIVATE && sys_shmget(who->__key, 0, 0) == -ENOENT &&
        companion_init(&companion, who->__key, who, "") == 0 && companion_holder(&companion) == 0)
        companion_remove(&companion);
}

static int gone(const struct leftover *leftover)
{
    return fail(-ESTALE, "sysvshm:id=%d is another by now, or gone", leftover->id);
}

/* What is removed while somebody has it stays, with this mark, until nobody has. */
static bool is_kept(int id)
{
    struct shmid_ds state;
    return sys_shmctl(id, IPC_STAT, &state) >= 0 && state.shm_perm.mode & SHM_DEST;
}

static int remove_memory(const struct leftover *leftover)
{
    struct shmid_ds state;
    int r = sys_shmctl(leftover->id, IPC_STAT, &state);
    if (r == -EINVAL || r == -EIDRM || (r == 0 && (int64_t)state.shm_ctime != leftover->changed))
        return gone(leftover);
    if (r == 0 && (state.shm_nattch > 0 || memory_mark(&state) != leftover->mark))
        return fail(-EBUSY, "sysvshm:id=%d was attached by somebody meanwhile", leftover->id);
    if (r == 0)
        r = sys_shmctl(leftover->id, IPC_RMID, NULL);
    if (r == -EINVAL || r == -EIDRM)
        return gone(leftover);
    if (r < 0)
        return fail_call(r, "sysvshm:id=%d: shmctl", leftover->id);
    remove_lock(&state.shm_perm);
    return is_kept(leftover->id) ? fail(-EBUSY, "sysvshm:id=%d was attached by somebody at the last moment: the memory is kept "
                                        "for who has it, and goes when the last one detaches", leftover->id) : 0;
}

/* ---- Names of sockets ------------------------------------------------------------------------------------------ */

static int64_t nanoseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * INT64_C(1000000000) + time->tv_nsec;
}

static bool is_same(const struct leftover *leftover, const struct stat *status)
{
    return status->st_dev == leftover->device && status->st_ino == leftover->inode;
}

/* Moves it away, looks at what was moved, and gives that its name back if it is another. */
static int take_away(const struct leftover *leftover, int directory, const char *name, const struct stat *seen)
{
    struct stat status;
    char aside[NAME_MAX + 1];
    uint32_t chance;
    int r = sys_getrandom(&chance, sizeof chance);
    if (r >= 0 && snprintf(aside, sizeof aside, LEFTOVER_ASIDE "%0*" PRIx32 ".%s", LEFTOVER_DIGITS, chance, name) > NAME_MAX)
        r = -ENAMETOOLONG;
    r = r < 0 ? r : sys_rename_fresh(directory, name, aside);
    r = r < 0 ? r : sys_fstatat(directory, aside, &status, AT_SYMLINK_NOFOLLOW);
    if (r < 0)
        return r;
    if (is_same(leftover, &status) && nanoseconds(&status.st_mtim) == nanoseconds(&seen->st_mtim))
        return sys_unlinkat(directory, aside);
    r = sys_rename_fresh(directory, aside, name);
    return r < 0 ? r : -ESTALE;
}

/* A channel's file is written to without its times being changed: `check` asks more than they tell. */
static int remove_name(const struct leftover *leftover, int directory, const char *name,
                       int (*check)(const struct leftover *leftover, const struct stat *status))
{
    struct stat status;
    int r = sys_fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW);
    if (r == 0)
        r = is_same(leftover, &status) ? check(leftover, &status) : -ESTALE;
    return r < 0 ? r : take_away(leftover, directory, name, &status);
}

static int remove_path(const struct leftover *leftover,
                       int (*remove)(const struct leftover *leftover, int directory, const char *name))
{
    char path[LEFTOVER_PATH];
    snprintf(path, sizeof path, "%s", leftover->path);
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return -EINVAL;
    *slash = '\0';
    int directory = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    int r = directory < 0 ? directory : remove(leftover, directory, slash + 1);
    sys_close(directory);
    if (r == -ESTALE || r == -ENOENT)
        return fail(-ESTALE, "%s is another by now, or gone", leftover->path);
    if (r == -EEXIST)
        return fail(-EBUSY, "%s is another's name by now; what had it lies beside it, as " LEFTOVER_ASIDE ", %d digits, a dot, "
                    "and that name", leftover->path, LEFTOVER_DIGITS);
    if (r == -EBUSY)
        return fail(-EBUSY, "%s has been used meanwhile", leftover->path);
    return r < 0 ? fail_call(r, "removing %s", leftover->path) : 0;
}

static int check_socket(const struct leftover *leftover, const struct stat *status)
{
    if (!S_ISSOCK(status->st_mode) || nanoseconds(&status->st_ctim) != leftover->changed)
        return -ESTALE;
    return leftover_is_unbound(leftover->path);
}

static int remove_socket_name(const struct leftover *leftover, int directory, const char *name)
{
    return remove_name(leftover, directory, name, check_socket);
}

static int remove_socket(const struct leftover *leftover)
{
    return remove_path(leftover, remove_socket_name);
}

/* ---- What a removal that was ended has left aside -------------------------------------------------------------- */

static int give_name(const struct leftover *leftover, int directory, const char *name)
{
    struct stat status;
    int r = sys_fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW);
    if (r == 0 && !is_same(leftover, &status))
        r = -ESTALE;
    r = r < 0 ? r : sys_rename_fresh(directory, name, leftover_name_before(name));
    return r == -EEXIST ? -EBUSY : r;
}

static int give_back(const struct leftover *leftover)
{
    return remove_path(leftover, give_name);
}

/* ---- Channels -------------------------------------------------------------------------------------------------- */

static int check_channel(const struct leftover *leftover, const struct stat *status)
{
    (void)status;
    return channel_mark(leftover->path) == leftover->mark ? 0 : -EBUSY;
}

static int remove_channel_name(const struct leftover *leftover, int directory, const char *name)
{
    return remove_name(leftover, directory, name, check_channel);
}

static int take_channel(const void *leftover)
{
    return remove_path(leftover, remove_channel_name);
}

static int remove_channel(const struct leftover *leftover)
{
    return ring_object_remove_dead(leftover->path, leftover->channel, leftover->device, leftover->inode, take_channel,
                                   leftover);
}

/* ---- The public face ------------------------------------------------------------------------------------------- */

static const struct removal {
    uint32_t kind;
    int (*may)(const struct leftover *leftover);
    int (*remove)(const struct leftover *leftover);
} removals[] = {
    { TONG_KIND_CHANNEL, may_remove_channel, remove_channel },
    { TONG_KIND_SYSVSHM, may_remove_memory, remove_memory },
    { TONG_KIND_UNIX, may_remove_name, remove_socket },
    { TONG_KIND_FILE, may_remove_name, give_back },
};

static const struct leftover *leftover_of(const struct tong_snapshot *snapshot, const tong_finding *finding)
{
    const struct leftover *all = snapshot->leftovers.item;
    for (size_t i = 0; i < snapshot->leftovers.count; i++)
        if (finding->object == TONG_NOBODY ? all[i].object == TONG_NOBODY && !strcmp(all[i].path, finding->address)
                                           : all[i].object == finding->object)
            return &all[i];
    return NULL;
}

/* How a finding is removed, and what it is of; NULL: it is not proved to be left over. */
static const struct removal *removal_of(const struct tong_snapshot *snapshot, size_t number, const struct leftover **ret)
{
    const tong_finding *finding = tong_snapshot_finding(snapshot, number);
    bool proved = finding && finding->kind == TONG_FINDING_LEFTOVER && finding->certainty == TONG_EXACT;
    *ret = proved ? leftover_of(snapshot, finding) : NULL;
    for (size_t i = 0; *ret && i < sizeof removals / sizeof *removals; i++)
        if (removals[i].kind == (*ret)->kind)
            return &removals[i];
    return NULL;
}

static int unproved(size_t number)
{
    return fail(-EINVAL, "finding %zu is not of something that is proved to be left over", number);
}

int tong_snapshot_may_remove(const tong_snapshot *snapshot, size_t number)
{
    const struct leftover *leftover;
    const struct removal *removal = removal_of(snapshot, number, &leftover);
    return removal ? removal->may(leftover) : unproved(number);
}

int tong_snapshot_remove(const tong_snapshot *snapshot, size_t number)
{
    const struct leftover *leftover;
    const struct removal *removal = removal_of(snapshot, number, &leftover);
    return removal ? removal->remove(leftover) : unproved(number);
}
