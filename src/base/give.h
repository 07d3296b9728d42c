/* SPDX-License-Identifier: MIT */
/* give.h - result structures, across versions. */
#ifndef BASE_GIVE_H
#define BASE_GIVE_H

#include <stddef.h>

/* Copies a result structure to a caller compiled against another version: no more than either knows. */
void give(void *to, const void *from, size_t size);

#endif
