/* SPDX-License-Identifier: MIT */
/* clock.h - deadlines.  A timeout is turned into one once; everything inside works with deadlines. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* A deadline is an absolute CLOCK_MONOTONIC time in nanoseconds, or one of these two. */
#define DEADLINE_NOW INT64_C(0)      /* do not block */
#define DEADLINE_NEVER INT64_C(-1)   /* wait without end */

static inline int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The same to a few milliseconds, for a quarter of the time. */
static inline int64_t clock_coarse(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The two common timeouts cost no clock reading.  Saturates, so that a huge timeout stays a deadline. */
static inline int64_t deadline_after(int64_t timeout)
{
    if (__builtin_expect(timeout < 0, 1))
        return DEADLINE_NEVER;
    if (timeout == 0)
        return DEADLINE_NOW;
    int64_t now = clock_now();
    return timeout > INT64_MAX - now ? INT64_MAX : now + timeout;
}

/*
 * A timeout that nobody waits for yet.  Only what says so takes one (late_deadlines in core/mechanism.h); it begins when there
 * is something to wait for, because reading the clock takes longer than passing a small message.
 */
static inline int64_t deadline_late(int64_t timeout)
{
    return timeout > 0 ? -1 - timeout : timeout < 0 ? DEADLINE_NEVER : DEADLINE_NOW;
}

static inline int64_t deadline_begin(int64_t deadline)
{
    return deadline < DEADLINE_NEVER ? deadline_after(-1 - deadline) : deadline;
}

/* Nanoseconds left, 0 when it has passed or never may block, -1 for DEADLINE_NEVER. */
static inline int64_t deadline_left(int64_t deadline)
{
    if (deadline <= 0)
        return deadline;
    int64_t left = deadline - clock_now();
    return left > 0 ? left : 0;
}

#endif
