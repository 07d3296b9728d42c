/* SPDX-License-Identifier: MIT */
/*
 * tong/lock.h - a lock by name: one holder at a time among all processes, taken back by the kernel when its holder
 * dies at whatever instruction.  Offered only where the kernel does that (file:, mmap:, shm:, sysvshm:, sysvsem:),
 * and so not by sem:, where a dead holder's turn would never come back.  A region's own lock is the same lock.
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

/* Takes it; waits until `timeout`.  -EAGAIN, -ETIMEDOUT, -EINTR; -EDEADLK this handle holds it; -EIDRM. */
int tong_lock_take(tong_lock *lock, int64_t timeout);

/* Gives it back.  -EPERM this handle does not hold it. */
int tong_lock_release(tong_lock *lock);

/* Gives it back if held, frees; NULL is allowed.  The object stays.  0 or an error. */
int tong_lock_close(tong_lock *lock);

/* The object in words; valid until close. */
const char *tong_lock_object(const tong_lock *lock);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
