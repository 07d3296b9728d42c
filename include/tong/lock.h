/* SPDX-License-Identifier: MIT */
/*
 * tong/lock.h - a lock by name: one holder at a time among all processes, taken back by the kernel when its holder
 * dies at whatever instruction.  Offered only where the kernel does that (file:, mmap:, shm:, sysvshm:, sysvsem:),
 * and so not by sem:, where a dead holder's turn would never come back.  A region's own lock is the same lock.
 *
 * On files (file:, mmap:, shm:) it is that of flock(2), and so of flock(1): also who may only read the file can take it.
 * On sysvshm: it is in a set of semaphores beside the segment, undone by the kernel (SEM_UNDO).
 *
 * Threads.  The lock belongs to the handle: threads that shall exclude each other open it once each.
 * fork.  A child does not hold what its parent holds; the handle is good in it, and competes with the parent's.
 */
#ifndef TONG_LOCK_H
#define TONG_LOCK_H

#include <tong/base.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tong_lock tong_lock;

/* Opens, and if it is missing makes (option `create`), the object that carries the lock; takes nothing yet.  The
 * caller closes it.  -EOPNOTSUPP the mechanism has no locks, and why. */
int tong_lock_open(const char *address, tong_lock **ret);

/*
 * Takes it; waits until `timeout`: for ever in the kernel, a bounded time by trying again with pauses of up to 1 ms.
 * -EAGAIN, -ETIMEDOUT; -EINTR a signal was caught (flock(2), waiting for ever, sleeps on if it was installed with
 * SA_RESTART), or, on System V, the process was stopped and goes on (signal(7)); -EDEADLK this handle holds it, or is just
 * taking it in another thread; -EIDRM (System V) the object was removed: whoever holds it may still be at work.
 */
int tong_lock_take(tong_lock *lock, int64_t timeout);

/* Gives it back.  -EPERM this handle does not hold it (a forked child: its parent may); -EIDRM it was removed
 * meanwhile, and others may have come in. */
int tong_lock_release(tong_lock *lock);

/*
 * For a program that shall hold the lock that is taken: a descriptor, the caller's to close, close-on-exec.  Whichever
 * process has one, or a copy of it, holds the lock too: until tong_lock_release(), or until the last of them is closed
 * and `lock` is, or their processes are dead.  -EPERM it is not held; -EOPNOTSUPP (System V) the lock belongs to this
 * process alone, and stays with it through execve(2).
 */
int tong_lock_share(tong_lock *lock);

/* Gives it back if this process holds it, also where it was shared; frees; NULL is allowed.  The object stays.  0 or an
 * error. */
int tong_lock_close(tong_lock *lock);

/* The object in words; valid until close. */
const char *tong_lock_object(const tong_lock *lock);

/* TONG_INFO_CREATED: opening made the object. */
uint32_t tong_lock_flags(const tong_lock *lock);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
