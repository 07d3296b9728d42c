/* SPDX-License-Identifier: MIT */
/* Copies that are long enough for libc. */
#include "ring/copy.h"

#include "base/hot.h"

__attribute__((noinline)) static void copy_in_pieces(unsigned char *to, const unsigned char *from, uint64_t size)
{
    for (uint64_t piece; size > 0; to += piece, from += piece, size -= piece) {
        piece = size < COPY_PIECE ? size : COPY_PIECE;
        memcpy(to, from, piece);
    }
}

HOT void copy_large(void *to, const void *from, uint64_t size)
{
    if (__builtin_expect(size > COPY_PIECE && copy_is_trapped(to, from), 0))
        copy_in_pieces(to, from, size);
    else
        memcpy(to, from, size);
}
