/* SPDX-License-Identifier: MIT */
/* locks.h - /proc/locks, read before the descriptors, so that they are asked only where somebody has a lock. */
#ifndef INSPECT_LOCKS_H
#define INSPECT_LOCKS_H

#include "inspect/descriptor.h"

struct locks;

/* Adds what locks the open file behind that descriptor holds, which leads to a file with that status. */
void locks_add_held(const struct descriptor *descriptor, const struct stat *status);

void locks_free(struct locks *locks);

#endif
