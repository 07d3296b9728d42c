/* SPDX-License-Identifier: MIT */
/* sysvshm_lock.h - the lock of a System V segment: a set of semaphores beside it. */
#ifndef MECHANISM_SYSVSHM_LOCK_H
#define MECHANISM_SYSVSHM_LOCK_H

#include <stdint.h>
#include <sys/types.h>

#include "core/address.h"
#include "sys/sys.h"

struct lock_facet;

#define SYSVSHM_WORDS_MAX (ADDRESS_NAME_MAX + 64)

/* The set that belongs to a segment; made when the lock is first taken. */
struct companion {
    key_t key;           /* of the set */
    struct ipc_perm who; /* may use it: who may use the segment */
    int id;              /* -1 until it is known */
    const char *object;  /* for words; the owner's */
};

/* For the segment of that key and those rights.  -EOPNOTSUPP a private segment, which has no key. */
int companion_init(struct companion *companion, key_t segment, const struct ipc_perm *who, const char *object);

/* Waits until the deadline; the kernel takes it back when the process dies.  -EIDRM the set was removed. */
int companion_take(struct companion *companion, int64_t deadline);
int companion_release(struct companion *companion);

/* The process that holds it, or 0. */
pid_t companion_holder(const struct companion *companion);

/* Removes the set: whether it was there. */
bool companion_remove(const struct companion *companion);

extern const struct lock_facet sysvshm_lock;

#endif
