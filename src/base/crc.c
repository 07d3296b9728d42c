/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C in plain C, eight bytes a step ("slicing by 8", Kounavis and Berry 2005): about a byte a cycle on any
 * processor, where the common table of one byte a step takes five times as long.  x86 has an instruction for just this
 * polynomial (SSE 4.2), which is used where it is.
 */
#include "base/crc.h"

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL UINT32_C(0x82f63b78) /* bits reversed */

static uint32_t table[8][256]; /* table[n][b]: the value of byte b followed by n zero bytes */
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
#include <nmmintrin.h>

static bool instructed; /* the processor has the instruction */

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const unsigned char *byte, size_t size)
{
    uint64_t sum = crc;
    for (; size >= 8; byte += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, byte, sizeof word);
        sum = _mm_crc32_u64(sum, word);
    }
    for (; size; byte++, size--)
        sum = _mm_crc32_u8((uint32_t)sum, *byte);
    return (uint32_t)sum;
}

static void find_instruction(void)
{
    instructed = __builtin_cpu_supports("sse4.2");
}
#else
enum { instructed = 0 };

static uint32_t by_instruction(uint32_t crc, const unsigned char *byte, size_t size)
{
    (void)byte;
    (void)size;
    return crc;
}

static void find_instruction(void)
{
}
#endif

static void make_table(void)
{
    find_instruction();
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[0][byte] = crc;
    }
    for (int n = 1; n < 8; n++)
        for (uint32_t byte = 0; byte < 256; byte++)
            table[n][byte] = table[n - 1][byte] >> 8 ^ table[0][table[n - 1][byte] & 0xff];
}

static uint32_t by_table(uint32_t crc, const unsigned char *byte, size_t size)
{
    for (; size >= 8; byte += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, byte, sizeof word);
        word = le64toh(word) ^ crc;
        crc = table[7][word & 0xff] ^ table[6][word >> 8 & 0xff] ^ table[5][word >> 16 & 0xff] ^
              table[4][word >> 24 & 0xff] ^ table[3][word >> 32 & 0xff] ^ table[2][word >> 40 & 0xff] ^
              table[1][word >> 48 & 0xff] ^ table[0][word >> 56];
    }
    for (; size; byte++, size--)
        crc = crc >> 8 ^ table[0][(crc ^ *byte) & 0xff];
    return crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    pthread_once(&once, make_table);
    return ~(instructed ? by_instruction(~crc, data, size) : by_table(~crc, data, size));
}
