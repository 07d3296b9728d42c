/* SPDX-License-Identifier: MIT */
/*
 * The lock of sysvsem: - one counter at 1; taking takes it to 0 with SEM_UNDO, so that the kernel brings it back when the
 * holder dies.  A set may hold thousands of them: index= says which.
 *
 * Traps dealt with here:
 *   - Any set can be opened, and one that was made as semaphores may hold 0 with nobody to bring it back, or 2 and more,
 *     which lets several in.  Both are refused: a counter at 0 whose last user is dead is held by nobody, because the
 *     kernel would have undone it.
 *   - What is undone belongs to the process: a forked child inherits the handle, but not the lock.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/mechanism.h"
#include "core/process.h"
#include "sysvsem_set.h"

struct counter_lock {
    struct lock lock;
    int id;
    unsigned short index;
};

static int lock_change(struct counter_lock *lock, short by, int64_t deadline)
{
    struct sembuf step = { lock->index, by, SEM_UNDO };
    return sysvsem_set_operate(lock->id, lock->lock.object, &step, 1, deadline);
}

/* The kernel remembers who changed a counter last: that took it. */
static int lock_take(struct lock *base, int64_t deadline)
{
    struct counter_lock *lock = (struct counter_lock *)base;
    int r = lock_change(lock, -1, deadline);
    if (r == -EAGAIN)
        return fail_static(r, "the lock is held by somebody else, and the call was not to wait");
    if (r == -ETIMEDOUT)
        return fail(r, "%s: timed out: its lock was taken by process %d", base->object,
                    sysvsem_set_ask(lock->id, base->object, lock->index, GETPID));
    return r;
}

static int lock_release(struct lock *lock)
{
    return lock_change((struct counter_lock *)lock, 1, DEADLINE_NEVER);
}

static int lock_close(struct lock *lock, bool forked)
{
    (void)forked;
    lock_free(lock);
    return 0;
}

/* Looks twice, because a holder may die between the questions; a user that cannot be seen counts as alive. */
static int check_usable(int id, const char *object, unsigned index)
{
    int value = sysvsem_set_ask(id, object, index, GETVAL);
    int pid = value < 0 ? value : sysvsem_set_ask(id, object, index, GETPID);
    if (pid < 0)
        return pid;
    if (value > 1)
        return fail(-EINVAL, "%s: counter %u holds %d: so many would have the lock at once; it was not made as a lock", object,
                    index, value);
    if (value == 1 || pid == 0 || process_alive(pid, 0))
        return 0;
    int again = sysvsem_set_ask(id, object, index, GETVAL);
    int last = again < 0 ? again : sysvsem_set_ask(id, object, index, GETPID);
    if (last < 0)
        return last;
    if (again == 0 && last == pid)
        return fail(-EINVAL, "%s: counter %u is 0 and nobody lives who would bring it back: it was not made as a lock (tong "
                    "sem set would make it one, with the value 1)", object, index);
    return 0;
}

static int lock_open(const struct open_request *request, struct lock **ret)
{
    const struct address *address = request->address;
    unsigned index = (unsigned)address->value[OPTION_INDEX];
    char object[SYSVSEM_WORDS_MAX];
    struct sysvsem_set set;
    struct lock *lock = NULL;
    int r = sysvsem_set_open(address, 1, true, &set);
    if (r < 0)
        return r;
    sysvsem_set_words(address, &set, object, sizeof object);
    if (index >= set.count)
        r = fail(-ERANGE, "%s: there is no counter %u in it: it has %u, counted from 0", object, index, set.count);
    else
        r = check_usable(set.id, object, index);
    if (r == 0)
        r = lock_new(request, sizeof(struct counter_lock), object, &lock);
    if (r < 0) {
        if (set.made)
            sys_semctl(set.id, 0, IPC_RMID, (union sem_argument){ .value = 0 });
        return r;
    }
    lock->flags = set.made ? TONG_INFO_CREATED : 0;
    struct counter_lock *own = (struct counter_lock *)lock;
    own->id = set.id;
    own->index = (unsigned short)index;
    *ret = lock;
    return 0;
}

static const struct option_use lock_options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_COUNTERS, 1, 1, UINT16_MAX, 0 },
    { OPTION_INDEX, 0, 0, UINT16_MAX - 1, 0 },
    OPTIONS_END,
};

extern const struct lock_facet sysvsem_lock_facet;

const struct lock_facet sysvsem_lock_facet = {
    .options = lock_options,
    .open = lock_open,
    .take = lock_take,
    .release = lock_release,
    .close = lock_close,
};
