/* SPDX-License-Identifier: MIT */
/* Numbers as people write them.  strtoll alone would take leading blanks and a sign where none belongs. */
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int parse_bytes(const char *text, int64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    unsigned shift = 0;
    switch (*end) {
    case 'k': case 'K': shift = 10, end++; break;
    case 'm': case 'M': shift = 20, end++; break;
    case 'g': case 'G': shift = 30, end++; break;
    }
    if (*end)
        return -EINVAL;
    if (errno || number > (uint64_t)INT64_MAX >> shift)
        return -ERANGE;
    *ret = (int64_t)(number << shift);
    return 0;
}

int parse_duration(const char *text, int64_t *ret)
{
    static const struct { const char *unit; double nanoseconds; } units[] = {
        { "", 1e9 }, { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 }, { "m", 60e9 }, { "min", 60e9 }, { "h", 3600e9 },
    };
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || !isdigit((unsigned char)*text))
        return -EINVAL;
    char *end;
    double number = strtod(text, &end);
    if (end != text + digits)
        return -EINVAL;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit))
            continue;
        number *= units[i].nanoseconds;
        if (number >= 9.2e18)
            return -ERANGE;
        *ret = (int64_t)number;
        return 0;
    }
    return -EINVAL;
}

int parse_count(const char *text, int base, int64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)text[*text == '-' && base == 0]))
        return -EINVAL;
    errno = 0;
    long long number = strtoll(text, &end, base);
    if (*end)
        return -EINVAL;
    if (errno)
        return -ERANGE;
    *ret = number;
    return 0;
}
