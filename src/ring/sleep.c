/* SPDX-License-Identifier: MIT */
/*
 * Sleeping on the other side's cursor without a word that both write.
 *
 * The sleeper says so in its own place and looks at the cursor once more; the publisher stores the cursor and
 * then looks whether somebody sleeps.  All four accesses are seq_cst, so they have one order, and in any order
 * either the sleeper sees the new cursor or the publisher sees the sleeper.  If both, the kernel compares the
 * cursor under its own lock and the sleep does not begin.  Sequentially consistent accesses rather than fences,
 * because ThreadSanitizer knows the first and not the second, and they cost the same here.
 *
 * The kernel compares the low 32 bits.  While the reader sleeps its head stands still, so the tail moves less
 * than a capacity (2^30) before it must stop; likewise the head while the writer sleeps: the low halves of two
 * different cursors are different, and no wake-up is lost to a cursor that came round.  (A hostile peer can hide
 * a change in this way, but it could as well not wake us; every sleep is bounded.)
 *
 * FUTEX_WAIT and FUTEX_WAKE work on pages that are mapped read-only and shared, found by inode and offset.
 */
#include <errno.h>
#include <limits.h>

#include "base/detail.h"
#include "ring/ring.h"
#include "sys/sys.h"

static const void *low_half(const _Atomic uint64_t *cursor)
{
    return (const char *)cursor + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);
}

/* The numbers go on from where a predecessor in this place left them, so that no sleep has a number that the
 * peer has already answered. */
int ring_sleep(struct layout_place *own, const _Atomic uint64_t *cursor, uint64_t seen, int64_t nanoseconds)
{
    const struct timespec slice = { nanoseconds / 1000000000, nanoseconds % 1000000000 };
    uint32_t turn = (atomic_load_explicit(&own->sleeping, memory_order_relaxed) + 1) | 1;
    int r = 0;
    atomic_store_explicit(&own->sleeping, turn, memory_order_seq_cst);
    if (atomic_load_explicit(cursor, memory_order_seq_cst) == seen)
        r = sys_futex_wait(low_half(cursor), (uint32_t)seen, &slice);
    atomic_store_explicit(&own->sleeping, turn + 1, memory_order_relaxed);
    if (r == 0 || r == -EAGAIN)
        return 0;
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught before anything moved");
    return r == -ETIMEDOUT ? r : fail_call(r, "futex wait on a ring's cursor");
}

void ring_wake(const struct layout_place *sleeper, const _Atomic uint64_t *cursor, uint32_t *woken)
{
    uint32_t turn = atomic_load_explicit(&sleeper->sleeping, memory_order_seq_cst);
    if (!(turn & 1) || turn == *woken)
        return;
    *woken = turn;
    ring_disturb(cursor);
}

void ring_disturb(const _Atomic uint64_t *cursor)
{
    sys_futex_wake(low_half(cursor), INT_MAX);
}
