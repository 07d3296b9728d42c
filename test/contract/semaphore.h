/* SPDX-License-Identifier: MIT */
/*
 * semaphore.h - the contract of semaphores: a row for each mechanism that has them, and tests that run on every row
 * that has what they need.
 */
#ifndef TEST_CONTRACT_SEMAPHORE_H
#define TEST_CONTRACT_SEMAPHORE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <tong/tong.h>
#include <unistd.h>

#include "frame.h"

#define HAS_SETS (UINT32_C(1) << 0)     /* several counters, changed in one step */
#define HAS_UNDO (UINT32_C(1) << 1)     /* the kernel takes back what the dead did */
#define HAS_SETTING (UINT32_C(1) << 2)  /* a counter can be given a value */
#define HAS_WAITERS (UINT32_C(1) << 3)  /* says how many wait, and who was last */
#define HAS_REMOVAL (UINT32_C(1) << 4)  /* those who wait learn that it was removed */
#define HAS_SILENCE (UINT32_C(1) << 5)  /* no system call while nobody waits */
#define HAS_SINGLE (UINT32_C(1) << 6)   /* one counter, one step at a time, nothing undone: says so */
#define HAS_STAYING (UINT32_C(1) << 7)  /* who has it keeps it when its name is removed */

struct semaphore_row {
    const char *name, *scheme;
    const char *form;       /* the address: %N a name with the tests' mark, %K a key */
    uint32_t has;
    unsigned largest;       /* value of a counter */
    unsigned (*mode)(const char *address); /* of the object */
};

struct semaphore_test {
    const char *name;
    void (*run)(const struct semaphore_row *);
    uint32_t needs;
    double seconds;
};

extern const struct semaphore_test semaphore_tests[], semaphore_process_tests[];

/* The row's address with `options` ("a=b&c=d" or NULL), in static memory. */
const char *semaphore_address(const struct semaphore_row *row, const char *options);

/* Opened with these options. */
tong_semaphore *semaphore_open(const struct semaphore_row *row, const char *options);

/* Closed and removed. */
void semaphore_end(const struct semaphore_row *row, tong_semaphore *semaphore);

/* What counter `index` holds. */
unsigned semaphore_value(tong_semaphore *semaphore, unsigned index);

#endif
