/* SPDX-License-Identifier: MIT */
/*
 * Sleeping on a word of the other side, which is mapped read-only here: FUTEX_WAIT and FUTEX_WAKE work on such pages,
 * found by inode and offset.  But the kernel asks for a page to be written first, and where it may not be, once more, the
 * slow way: 0.45 us of each sleep.  So where it is allowed that page is mapped a second time, to be written, and given to
 * the kernel under that address; nothing is stored by it.
 *
 * membarrier(2), MEMBARRIER_CMD_GLOBAL_EXPEDITED, interrupts the processors that run a registered process at this moment,
 * and no others; a process that is switched in later has passed a fence by that.  It costs 0.2 us while no registered
 * process runs elsewhere, and 2 to 5 us when one does.  Registering is free for a process of one thread; one with several
 * waits once for some milliseconds.  Whoever sleeps need not be registered, whoever publishes must be.  A forked child has
 * its parent's registration, an executed program has none.
 */
#include "ring/sleep.h"

#include <errno.h>
#include <limits.h>
#include <linux/membarrier.h>

#include "base/detail.h"
#include "sys/sys.h"

bool ring_fence_register(void)
{
    return sys_membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0;
}

bool ring_fence_heavily(void)
{
    return sys_membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED) == 0;
}

/* A page that somebody has cut off is missing in one mapping, and may have been replaced in the other (core/guarded.h). */
int ring_sleep(const struct layout_control *peer, const struct layout_control *quick, uint32_t seen, int64_t nanoseconds)
{
    const struct timespec slice = { nanoseconds / 1000000000, nanoseconds % 1000000000 };
    int r = quick ? sys_futex_wait(&quick->wake, seen, &slice) : -EFAULT;
    if (r == -EFAULT)
        r = sys_futex_wait(&peer->wake, seen, &slice);
    if (r == 0 || r == -EAGAIN)
        return 0;
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught before anything moved");
    return r == -ETIMEDOUT ? r : fail_call(r, "futex wait on a ring");
}

void ring_wake(struct layout_control *own)
{
    shared_raise_wake(own);
    ring_disturb(own);
}

void ring_disturb(const struct layout_control *side)
{
    sys_futex_wake(&side->wake, INT_MAX);
}
