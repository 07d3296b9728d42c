/* SPDX-License-Identifier: MIT */
#include "base/give.h"

#include <stdint.h>
#include <string.h>

void give(void *to, const void *from, size_t size)
{
    uint32_t theirs;
    memcpy(&theirs, to, sizeof theirs);
    if (theirs < size)
        size = theirs;
    if (size > sizeof theirs)
        memcpy((char *)to + sizeof theirs, (const char *)from + sizeof theirs, size - sizeof theirs);
}
