/* SPDX-License-Identifier: MIT */
/* ring_fixture.h - a ring without files for tests of its two ends. */
#ifndef UNIT_RING_FIXTURE_H
#define UNIT_RING_FIXTURE_H

#include <check.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/ring.h"
#include "sys/sys.h"

#define CAPACITY UINT64_C(4096)

/* Both ends, each with its own mapping: it writes its own side only. */
static struct { struct layout_place *writer; struct layout_cursor *reader; unsigned char *data; } writers, readers;
static struct ring_writer writer;
static struct ring_reader reader;

static inline void *map(int fd, size_t size, int protection)
{
    void *memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    return memory;
}

static inline void *map_twice(int fd, int protection)
{
    int error;
    void *memory = sys_mmap_twice(CAPACITY, protection, fd, 0, &error);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

static inline int new_memory(void)
{
    int fd = memfd_create("ring", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, (off_t)CAPACITY), 0);
    return fd;
}

static inline int reopen_writer(void)
{
    return ring_writer_open(&writer, writers.writer, writers.reader, writers.data, CAPACITY);
}

static inline int reopen_reader(void)
{
    return ring_reader_open(&reader, readers.reader, readers.writer, readers.data, CAPACITY);
}

static inline void set_up(void)
{
    int data = new_memory(), place = new_memory(), cursor = new_memory();
    writers.writer = map(place, CAPACITY, PROT_READ | PROT_WRITE);
    writers.reader = map(cursor, CAPACITY, PROT_READ);
    writers.data = map_twice(data, PROT_READ | PROT_WRITE);
    readers.writer = map(place, CAPACITY, PROT_READ);
    readers.reader = map(cursor, CAPACITY, PROT_READ | PROT_WRITE);
    readers.data = map_twice(data, PROT_READ);
    close(data);
    close(place);
    close(cursor);
    ck_assert_int_eq(reopen_writer(), 0);
    ck_assert_int_eq(reopen_reader(), 0);
}

static inline void tear_down(void)
{
    ring_writer_close(&writer);
    ring_reader_close(&reader);
    munmap(writers.writer, CAPACITY);
    munmap(writers.reader, CAPACITY);
    munmap(writers.data, 2 * CAPACITY);
    munmap(readers.writer, CAPACITY);
    munmap(readers.reader, CAPACITY);
    munmap(readers.data, 2 * CAPACITY);
}

/* Byte n of message `number`. */
static inline unsigned char pattern(uint64_t number, uint64_t n)
{
    return (unsigned char)(number * 131 + n * 7 + (n >> 8));
}

#endif
