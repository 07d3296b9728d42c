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
 * Threads: any number may use one handle at once; none may while it is closed.  A wait that has to sleep on sem: is a
 * cancellation point (pthread_cancel), and a thread cancelled there has taken nothing.
 * fork: a child may use an inherited handle as it is, and closing it there removes nothing.  What the parent did with
 * undo stays the parent's.
 * Foreign programs: what sem_open(3) and semget(2) make is opened, and they open what is made here.
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
 * one has `count=` counters (1; sysvsem: only), each `value=` (0).  flags: 0.  The caller closes it.
 *
 * Whoever opens it sees it finished.  sysvsem: can only tell by the first operation, so a set on which nobody has
 * operated yet, and that is younger than three seconds, is waited for, for at most a second; then it is taken as it is, or, if
 * its maker died before giving it values and `value=` is given here, it gets these.
 *
 * -EINVAL a set of another `count=` exists, or a bound is passed; -ENOENT, -EEXIST (also: what stands there is no
 * semaphore); -EACCES (also: sem: of another user, unless create=no); -ENOSPC the system's limit is reached; -ESTALE the
 * maker of a set too large to be finished died; -EOVERFLOW a set of more than 65536 counters; -EINTR while waiting for the maker; -ENOMEM; -EOPNOTSUPP.
 * sem_open(3), semget(2).
 */
int tong_semaphore_open(const char *address, uint32_t flags, tong_semaphore **ret);

/* Lets go; NULL is allowed.  The object stays, as option `remove` says.  0 or an error. */
int tong_semaphore_close(tong_semaphore *semaphore);

/* How many counters there are: indices are 0 to count - 1. */
unsigned tong_semaphore_count(const tong_semaphore *semaphore);

/*
 * Takes 1 from a counter, waiting until `timeout` while it is 0; or adds 1, which wakes a waiter and never blocks.
 * On sem: neither makes a system call while nobody has to sleep or to be woken; on sysvsem: each is one.
 * -ERANGE no such index; -EAGAIN, -ETIMEDOUT; -EINTR a caught signal, nothing taken (sem:, waiting for ever, sleeps on if
 * it was installed with SA_RESTART), or, on sysvsem:, the process was stopped and goes on (signal(7)); -EOVERFLOW the
 * counter is at its largest, 2147483647 (sem:) or 32767; -EACCES its mode; -EIDRM it was removed.  A sem: whose name was removed goes on for those who have it: only a timeout
 * says so, in words.  sem_wait(3), sem_post(3), semop(2).
 */
int tong_semaphore_wait(tong_semaphore *semaphore, unsigned index, int64_t timeout);
int tong_semaphore_post(tong_semaphore *semaphore, unsigned index);

/*
 * What the kernel takes back when the process that did it dies, by whatever cause: all its threads and no child of it.
 * Who waits with it must post with it, or both are taken back twice.  tong_semaphore_set() forgets it.
 */
#define TONG_SEMAPHORE_UNDO UINT32_C(0x1)

typedef struct tong_semaphore_operation {
    uint32_t size;       /* sizeof(tong_semaphore_operation), the same in every element */
    uint32_t flags;      /* TONG_SEMAPHORE_UNDO */
    uint32_t index;
    int32_t change;      /* added; below 0: waits until the counter is that large; 0: waits until it is 0 */
} tong_semaphore_operation;

/*
 * All the operations at once, or none: waits until all can be done.  At most SEMOPM of this machine (-E2BIG).
 * Errors as above; -EINVAL a flag that does not exist, or a size too small; -EOVERFLOW also a change beyond 32767, and an
 * undo that would be; -ENOSPC, -ENOMEM the kernel cannot remember what to undo.
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

/* What a counter is at this moment, each figure by itself.  Does not block. */
int tong_semaphore_get(tong_semaphore *semaphore, unsigned index, tong_semaphore_info *ret);

/* Sets a counter, waking those it lets go on and forgetting what was to be undone on it, in all processes.
 * -EOPNOTSUPP sem:, which POSIX gives no such call; -ERANGE no such index, or a value above 32767; -EACCES; -EIDRM. */
int tong_semaphore_set(tong_semaphore *semaphore, unsigned index, unsigned value);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
