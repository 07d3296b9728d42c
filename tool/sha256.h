/* SPDX-License-Identifier: MIT */
/* sha256.h - SHA-256 (FIPS 180-4). */
#ifndef TOOL_SHA256_H
#define TOOL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_TEXT 65 /* 64 hexadecimal digits and a NUL */

struct sha256 {
    uint32_t state[8];
    uint64_t size;              /* bytes so far */
    unsigned char block[64];    /* the last size % 64 of them */
};

void sha256_begin(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *data, size_t size);
void sha256_end(struct sha256 *sha, char ret[SHA256_TEXT]);

#endif
