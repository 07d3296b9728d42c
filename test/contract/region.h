/* SPDX-License-Identifier: MIT */
/*
 * region.h - the contract of regions and of locks: a row for each way to have one, and tests that run on every row that
 * has what they need.  Every region has a lock, so the tests of locks run on both.
 */
#ifndef TEST_CONTRACT_REGION_H
#define TEST_CONTRACT_REGION_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <tong/tong.h>
#include <unistd.h>

#include "frame.h"

#define IS_REGION (UINT32_C(1) << 0)
#define IS_LOCK (UINT32_C(1) << 1)
#define HAS_NAME (UINT32_C(1) << 2)      /* unrelated processes open it by its name */
#define HAS_FILE (UINT32_C(1) << 3)      /* a file: it may be empty, have a link in its place, and flock(1) takes its lock */
#define HAS_DISK (UINT32_C(1) << 4)      /* and can be waited for until it is on its disk */
#define HAS_HEIRS (UINT32_C(1) << 5)     /* a descriptor to hand on */
#define HAS_SEAL (UINT32_C(1) << 6)      /* nobody can change its size */
#define HAS_COUNT (UINT32_C(1) << 7)     /* the kernel counts who is attached */
#define HAS_SHARING (UINT32_C(1) << 8)   /* a descriptor carries the lock, so a program can be given it */
#define HAS_KEEPING (UINT32_C(1) << 9)   /* the lock stays with the process when it executes a program */
#define HAS_MAKING (UINT32_C(1) << 10)   /* opening it makes it (fd: only takes over) */
#define HAS_STAYING (UINT32_C(1) << 11)  /* who has it keeps it when its name is removed */

struct region_row {
    const char *name, *scheme;
    const char *form;       /* the address: %P a path, %N a name with the tests' mark, %K a key, %F a descriptor */
    uint32_t has;
};

struct region_test {
    const char *name;
    void (*run)(const struct region_row *);
    uint32_t needs;
    double seconds;
};

extern const struct region_test region_tests[], lock_tests[];

#define REGION_BYTES 8192
#define BOTH_WAYS (TONG_READ | TONG_WRITE)

/* The row's address with `options` ("a=b&c=d" or NULL), in static memory of two turns. */
const char *region_address(const struct region_row *row, const char *options);

/* Made, with REGION_BYTES; and what is there, opened again as another process would: by name, or if there is none the
 * same handle, which a forked child has inherited. */
tong_region *region_make(const struct region_row *row);
tong_region *region_again(const struct region_row *row, tong_region *inherited);

/* Closed, and removed if it has a name. */
void region_end(const struct region_row *row, tong_region *region);

#endif
