/* SPDX-License-Identifier: MIT */
/*
 * third.h - how long the library itself takes, on a machine that has other things to do or stands still for a while: the
 * third least of nine tries.  One in time may be luck, where the library looks every so often; and no machine that tests can
 * be run on disturbs seven of nine.
 */
#ifndef TEST_THIRD_H
#define TEST_THIRD_H

#include <stdint.h>

#define THIRD_TRIES 9

/* The third least that `took(argument)` said, which is asked no more once that is below the bound. */
static inline int64_t third_least(int64_t bound, int64_t (*took)(const void *), const void *argument)
{
    int64_t least[3] = { INT64_MAX, INT64_MAX, INT64_MAX };
    for (int tries = 0; tries < THIRD_TRIES && least[2] >= bound; tries++) {
        int64_t once = took(argument);
        for (int i = 0; i < 3; i++) {
            int64_t larger = once > least[i] ? once : least[i];
            least[i] = once < least[i] ? once : least[i];
            once = larger;
        }
    }
    return least[2];
}

#endif
