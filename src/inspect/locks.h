/* SPDX-License-Identifier: MIT */
/* locks.h - /proc/locks, read before the descriptors, so that they are asked only where somebody has a lock. */
#ifndef INSPECT_LOCKS_H
#define INSPECT_LOCKS_H

#include "inspect/descriptor.h"

struct locks;

/* Adds what locks the open file behind that descriptor holds, which leads to a file with that status. */
void locks_add_held(const struct descriptor *descriptor, const struct stat *status);

/* A thread of `process` that waits for a lock of an open file description, of which the kernel does not say whose it is:
 * the lock that it waits for, of which it becomes an end; or TONG_NOBODY.  A NULL range ("0:EOF") is not known. */
uint32_t locks_find_waiter(struct scan *scan, uint32_t process, uint64_t device, uint64_t inode, const char *range);

void locks_free(struct locks *locks);

#endif
