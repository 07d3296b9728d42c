/* SPDX-License-Identifier: MIT */
/*
 * copy.h - copying messages into and out of a ring.
 *
 * Small ones are copied here: a call of memcpy(3) through the linkage table and its choice of a size cost more than
 * the copy.  Two moves that overlap do for every size between two powers of two.
 *
 * Large ones have a trap.  On some processors (AMD Zen 3 and 4) `rep movsb`, which libc then uses, takes up to 15 times
 * as long when the destination lies a few bytes above the source modulo 4096: 3.5 GB/s in place of 57.  A sender can
 * choose where the message begins and keeps out of it (ring_send); for a receiver the copy is cut into pieces for which
 * libc uses ordinary moves.
 */
#ifndef RING_COPY_H
#define RING_COPY_H

#include <stdint.h>
#include <string.h>

#define COPY_LINE UINT64_C(64)
#define COPY_PAGE UINT64_C(4096)
#define COPY_PIECE UINT64_C(2048)
#define COPY_TRAP UINT64_C(16)

/* Whether a copy that way would be slow. */
static inline _Bool copy_is_trapped(const void *to, const void *from)
{
    return (((uintptr_t)to - (uintptr_t)from) & (COPY_PAGE - 1)) - 1 < COPY_TRAP - 1;
}

void copy_large(void *to, const void *from, uint64_t size);

static inline void copy_tiny(unsigned char *to, const unsigned char *from, uint64_t size)
{
    if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else if (size > 0) {
        to[0] = from[0];
        to[size / 2] = from[size / 2];
        to[size - 1] = from[size - 1];
    }
}

static inline void copy_message(void *to, const void *from, uint64_t size)
{
    unsigned char *out = to;
    const unsigned char *in = from;
    if (size > 64) {
        copy_large(to, from, size);
    } else if (size >= 32) {
        memcpy(out, in, 32);
        memcpy(out + size - 32, in + size - 32, 32);
    } else if (size >= 16) {
        memcpy(out, in, 16);
        memcpy(out + size - 16, in + size - 16, 16);
    } else {
        copy_tiny(out, in, size);
    }
}

#endif
