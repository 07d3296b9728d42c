/* SPDX-License-Identifier: MIT */
/* number.h - numbers as people write them, in addresses and on command lines, and as they are written for people. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdint.h>

/* "4096", "64K", "4M", "1G" (binary multiples).  -EINVAL, -ERANGE. */
int parse_bytes(const char *text, int64_t *ret);

/* "10ms", "2s", "500us", "1.5s", "7" (seconds), in nanoseconds.  -EINVAL, -ERANGE. */
int parse_duration(const char *text, int64_t *ret);

/* Digits in `base`; base 0 takes 0x and 0 before them, and a minus sign.  -EINVAL, -ERANGE. */
int parse_count(const char *text, int base, int64_t *ret);

/* The word, or the end of a word, that goes with that many: "%zu byte%s", count, plural(count, "", "s"). */
static inline const char *plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

#endif
