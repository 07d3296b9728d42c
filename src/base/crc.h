/* SPDX-License-Identifier: MIT */
/* crc.h - CRC-32C (Castagnoli), the check sum of iSCSI, ext4 and btrfs. */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`, the value of the bytes before; 0 to begin. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
