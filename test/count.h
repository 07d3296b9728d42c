/* SPDX-License-Identifier: MIT */
/* count.h - counting what a test can leave behind. */
#ifndef TEST_COUNT_H
#define TEST_COUNT_H

#include <stdbool.h>
#include <stdio.h>

/* One kind of object.  `count` also lists what it counts, when `list` is not NULL, and removes it if asked. */
struct counter {
    const char *what;
    int (*count)(FILE *list, bool remove);
};

extern const struct counter counters[];
extern const int counters_count;

/* Removes the named objects of this program's tests, after one has failed. */
void count_sweep(void);

#endif
