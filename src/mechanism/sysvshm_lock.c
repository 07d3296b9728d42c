/* SPDX-License-Identifier: MIT */
/*
 * The lock of sysvshm: - a segment has no descriptor and so no file lock; what the kernel takes back from the dead here is
 * a semaphore that was changed with SEM_UNDO.
 *
 * Which one: programs like to give their segment and their semaphores the same key, and a counter of theirs may mean
 * anything.  So ours has another key, the segment's with the bits of "tong" turned over, and two counters, where theirs
 * mostly have one; a set that does not fit is refused and not touched.  semget(2) takes any that has enough of them, so
 * that it has no more is asked by the call for one more, which must fail.
 *
 * The first counter is 0 while the lock is free, which it also is in a set that was only just made: so there is no moment
 * between making it and giving it a value.  Taking it is one step: wait for 0 and add 1, to be undone.  What is undone
 * belongs to the process: a forked child has not got it, and an executed program keeps it.
 *
 * Whoever removes the set takes the lock from its holder, who only learns of it when giving it back.  Who waits is told
 * (-EIDRM), and does not go on beside that holder in a new set.
 */
#include "sysvshm_lock.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/mechanism.h"
#include "core/sysv_name.h"
#include "core/wait.h"

#define MARK 0x746f6e67 /* "tong" */
#define COUNTERS 2
#define RACES 16        /* how often others may make and remove the set while we look */

int companion_init(struct companion *companion, key_t segment, const struct ipc_perm *who, const char *object)
{
    *companion = (struct companion){ segment == MARK ? ~MARK : segment ^ MARK, *who, -1, object };
    if (segment != IPC_PRIVATE)
        return 0;
    return fail(-EOPNOTSUPP, "%s: is private, made without a key: there is none to find its lock by", object);
}

/* ---- The set --------------------------------------------------------------------------------------------- */

/* Who makes it may be another than whose segment it is: root, say.  Failing that it is no worse than before. */
static void give_away(int id, const struct ipc_perm *who)
{
    struct semid_ds state;
    union sem_argument argument = { .state = &state };
    if (sys_semctl(id, 0, IPC_STAT, argument) < 0 || state.sem_perm.uid == who->uid)
        return;
    state.sem_perm.uid = who->uid;
    state.sem_perm.gid = who->gid;
    sys_semctl(id, 0, IPC_SET, argument);
}

static int cannot_find(const struct companion *companion, int error)
{
    unsigned key = (unsigned)companion->key;
    switch (error) {
    case -EINVAL:
        return fail(-EEXIST, "%s: its lock would be the set of semaphores with key 0x%x, which another program uses", companion->object, key);
    case -EACCES:
        return fail(error, "%s: the set of semaphores that is its lock (key 0x%x, ipcs -s) does not let this user in: who "
                    "takes the lock must be able to write", companion->object, key);
    case -ENOSPC:
        return fail(error, "%s: no more sets of semaphores, of which its lock is one, can be made (kernel.sem, ipcs -s -l)",
                    companion->object);
    default:
        return fail_call(error, "%s: semget(0x%x), its lock", companion->object, key);
    }
}

/* -EINVAL: there is one that is not ours. */
static int find(const struct companion *companion, int mode)
{
    int id = sys_semget(companion->key, COUNTERS, mode);
    return id >= 0 && sys_semget(companion->key, COUNTERS + 1, 0) >= 0 ? -EINVAL : id;
}

static int find_or_make(struct companion *companion)
{
    int id = -ENOENT;
    for (int race = 0; race < RACES && (id == -ENOENT || id == -EEXIST); race++) {
        id = find(companion, 0200);
        if (id != -ENOENT)
            break;
        id = sys_semget(companion->key, COUNTERS, IPC_CREAT | IPC_EXCL | 0600 | (companion->who.mode & 0666));
        if (id >= 0)
            give_away(id, &companion->who);
    }
    if (id < 0)
        return cannot_find(companion, id);
    companion->id = id;
    return 0;
}

/* ---- Taking and giving back ------------------------------------------------------------------------------ */

static int operate(struct companion *companion, struct sembuf *steps, size_t count, int64_t deadline)
{
    struct timespec time, *left = NULL;
    if (deadline > 0) {
        int64_t nanoseconds = deadline_left(deadline);
        time = (struct timespec){ nanoseconds / 1000000000, nanoseconds % 1000000000 };
        left = &time;
    }
    return sys_semop(companion->id, steps, count, left);
}

static int not_taken(const struct companion *companion, int error, int64_t deadline)
{
    switch (error) {
    case -EAGAIN:
        if (deadline == DEADLINE_NOW)
            return fail_static(error, "the lock is held by somebody else, and the call was not to wait");
        return fail(-ETIMEDOUT, "%s: timed out: its lock was taken by process %d", companion->object,
                    (int)companion_holder(companion));
    case -EINTR:
        return fail_static(error, "a signal was caught before the lock was taken");
    case -EIDRM: case -EINVAL:
        return sysv_removed(companion->object);
    default:
        return fail_call(error, "%s: semop, its lock", companion->object);
    }
}

int companion_take(struct companion *companion, int64_t deadline)
{
    short wait = deadline == DEADLINE_NOW ? IPC_NOWAIT : 0;
    struct sembuf steps[] = { { 0, 0, wait }, { 0, 1, (short)(SEM_UNDO | wait) } };
    int r = companion->id < 0 ? find_or_make(companion) : 0;
    if (r < 0)
        return r;
    r = operate(companion, steps, 2, deadline);
    return r < 0 ? not_taken(companion, r, deadline) : 0;
}

int companion_release(struct companion *companion)
{
    struct sembuf step = { 0, -1, SEM_UNDO | IPC_NOWAIT };
    int r = operate(companion, &step, 1, DEADLINE_NEVER);
    return r < 0 ? not_taken(companion, r == -EAGAIN ? -EIDRM : r, DEADLINE_NEVER) : 0;
}

pid_t companion_holder(const struct companion *companion)
{
    const union sem_argument none = { .value = 0 };
    int id = find(companion, 0);
    bool held = id >= 0 && sys_semctl(id, 0, GETVAL, none) > 0;
    int pid = held ? sys_semctl(id, 0, GETPID, none) : 0;
    return pid > 0 ? pid : 0;
}

bool companion_remove(const struct companion *companion)
{
    int id = find(companion, 0);
    return id >= 0 && sys_semctl(id, 0, IPC_RMID, (union sem_argument){ .value = 0 }) >= 0;
}

/* ---- The noun -------------------------------------------------------------------------------------------- */

struct segment_lock {
    struct lock base;
    struct companion companion;
};

static int lock_take(struct lock *lock, int64_t deadline)
{
    return companion_take(&((struct segment_lock *)lock)->companion, deadline);
}

static int lock_release(struct lock *lock)
{
    return companion_release(&((struct segment_lock *)lock)->companion);
}

static int lock_close(struct lock *lock, bool forked)
{
    (void)forked;
    lock_free(lock);
    return 0;
}

/* A segment that is not there yet can be locked, for who makes it: then the option says who may. */
static int find_segment(const struct address *address, struct sysv_name *name, struct ipc_perm *ret)
{
    struct shmid_ds state;
    int id = name->is_id ? name->id : sys_shmget(name->key, 0, 0);
    int r = id < 0 ? id : sys_shmctl(id, IPC_STAT, &state);
    if (r == -ENOENT && !name->is_id && address->value[OPTION_CREATE] == CREATE_YES) {
        *ret = (struct ipc_perm){ .mode = (unsigned short)address->value[OPTION_MODE], .uid = geteuid(), .gid = getegid() };
        return 0;
    }
    if (r == -ENOENT || r == -EINVAL || r == -EIDRM)
        return fail(-ENOENT, "sysvshm:%s: there is no such segment (ipcs -m lists them)", address->name);
    if (r < 0)
        return fail_call(r, "sysvshm:%s: shmctl(IPC_STAT)", address->name);
    *ret = state.shm_perm;
    name->key = state.shm_perm.__key;
    return 0;
}

static int lock_open(const struct open_request *request, struct lock **ret)
{
    const struct address *address = request->address;
    char object[SYSVSHM_WORDS_MAX];
    struct sysv_name name;
    struct ipc_perm who;
    struct companion companion;
    struct lock *lock;
    int r = sysv_name_parse(address, &name);
    if (r == 0)
        r = find_segment(address, &name, &who);
    if (r < 0)
        return r;
    snprintf(object, sizeof object, "sysvshm:%s", address->name);
    r = companion_init(&companion, name.key, &who, object);
    if (r == 0)
        r = lock_new(request, sizeof(struct segment_lock), object, &lock);
    if (r < 0)
        return r;
    companion.object = lock->object;
    r = find_or_make(&companion);
    if (r < 0) {
        lock_free(lock);
        return r;
    }
    ((struct segment_lock *)lock)->companion = companion;
    *ret = lock;
    return 0;
}

static const struct option_use lock_options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 1 << CREATE_YES | 1 << CREATE_NO },
    OPTIONS_END,
};

const struct lock_facet sysvshm_lock = {
    .options = lock_options, .open = lock_open, .take = lock_take, .release = lock_release, .close = lock_close,
};
