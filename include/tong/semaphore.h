/* SPDX-License-Identifier: MIT */
/*
 * tong/semaphore.h - counters that processes wait on: one (sem:, POSIX) or a set of them (sysvsem:, System V).
 *
 *     tong_semaphore *s;
 *     if (tong_semaphore_open("sysvsem:1234?count=1000&value=1", 0, &s) == 0 &&
 *         tong_semaphore_wait(s, 7, TONG_SECOND) == 0) {
 *         ... what the 8th counter guards ...
 *         tong_semaphore_post(s, 7);
 *     }
 *
 * Nothing is undone when a process dies, unless TONG_SEMAPHORE_UNDO is given; see also tong/lock.h.
 * Threads: any number may use one handle at once.  fork: a child may use an inherited handle as it is.
 */
#ifndef TONG_SEMAPHORE_H
#define TONG_SEMAPHORE_H

#include <tong/base.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tong_semaphore tong_semaphore;

/*
 * Opens, and if it is missing makes (options `create`, `mode`, 0600), the semaphore or set that `address` names; a new
 * one has `count=` counters (1), each `value=` (0).  Whoever opens it sees it finished.  flags: 0.  The caller closes it.
 * -EINVAL a set of another `count=` exists, or a bound is passed; -ENOENT, -EEXIST, -EACCES, -ENOSPC the system's limit
 * is reached, -ENOMEM; -EOPNOTSUPP.  sem_open(3), semget(2).
 */
int tong_semaphore_open(const char *address, uint32_t flags, tong_semaphore **ret);

/* Lets go; NULL is allowed.  The object stays, as option `remove` says.  0 or an error. */
int tong_semaphore_close(tong_semaphore *semaphore);

/* How many counters there are: indices are 0 to count - 1. */
unsigned tong_semaphore_count(const tong_semaphore *semaphore);

/*
 * Takes 1 from a counter, waiting until `timeout` while it is 0; or adds 1, which wakes a waiter and never blocks.
 * -ERANGE no such index; -EAGAIN, -ETIMEDOUT, -EINTR; -EOVERFLOW the counter is at its largest; -EIDRM it was removed.
 */
int tong_semaphore_wait(tong_semaphore *semaphore, unsigned index, int64_t timeout);
int tong_semaphore_post(tong_semaphore *semaphore, unsigned index);

/* What the kernel takes back when the process that did it dies, by whatever cause. */
#define TONG_SEMAPHORE_UNDO UINT32_C(0x1)

typedef struct tong_semaphore_operation {
    uint32_t size;       /* sizeof(tong_semaphore_operation), the same in every element */
    uint32_t flags;      /* TONG_SEMAPHORE_UNDO */
    uint32_t index;
    int32_t change;      /* added; below 0: waits until the counter is that large; 0: waits until it is 0 */
} tong_semaphore_operation;

/*
 * All the operations at once, or none: waits until all can be done.  At most semopm of this machine (-E2BIG).
 * -EOPNOTSUPP what the mechanism cannot do in one step: sem: takes a single operation of change 1 or -1 without undo.
 * semop(2), semtimedop(2).
 */
int tong_semaphore_operate(tong_semaphore *semaphore, const tong_semaphore_operation *operations, size_t count,
                           int64_t timeout);

typedef struct tong_semaphore_info {
    uint32_t size;       /* sizeof(tong_semaphore_info) */
    uint32_t flags;      /* TONG_INFO_CREATED */
    uint32_t value;      /* of the counter asked for, a moment ago */
    uint32_t waiting;    /* processes that wait for it to grow; UINT32_MAX: unknown */
    uint32_t zero;       /* processes that wait for it to be 0; UINT32_MAX: unknown */
    uint32_t reserved;
    tong_identity last;  /* who changed it last, source TONG_IDENTITY_LAST; else NONE */
    const char *scheme;  /* "sysvsem"; static */
    const char *object;  /* in words; valid until close */
} tong_semaphore_info;

#define TONG_SEMAPHORE_INFO_INIT \
    { sizeof(tong_semaphore_info), 0, 0, 0, 0, 0, TONG_IDENTITY_INIT, NULL, NULL }

/* What a counter is at this moment.  Does not block. */
int tong_semaphore_get(tong_semaphore *semaphore, unsigned index, tong_semaphore_info *ret);

/* Sets a counter, waking those it lets go on.  -EOPNOTSUPP sem:, which POSIX gives no such call; -ERANGE. */
int tong_semaphore_set(tong_semaphore *semaphore, unsigned index, unsigned value);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
