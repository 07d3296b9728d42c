/* SPDX-License-Identifier: MIT */
/*
 * least.h - how long the library itself takes, on a machine that has other things to do or stands still for a while: the
 * least of some tries.  A bound that the library breaks is broken by all of them.
 */
#ifndef TEST_LEAST_H
#define TEST_LEAST_H

#include <stdint.h>

#define LEAST_TRIES 10

/* The least that `took(argument)` said, which is asked no more once it is below the bound. */
static inline int64_t least_of(int64_t bound, int64_t (*took)(const void *), const void *argument)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < LEAST_TRIES && least >= bound; i++) {
        int64_t once = took(argument);
        least = once < least ? once : least;
    }
    return least;
}

#endif
