/* SPDX-License-Identifier: MIT */
/*
 * stream_fixture.h - what the tests of streams share: a directory and a name of their own for each test, which leaves
 * neither that nor a descriptor behind.
 */
#ifndef UNIT_STREAM_FIXTURE_H
#define UNIT_STREAM_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/frame.h"
#include "sys/sys.h"
#include "tong/tong.h"

#define LONG (20 * TONG_SECOND) /* a wait that ends before, or the test fails */

static char directory[32], path[48], address[64];
static int descriptors;

static inline int count_descriptors(void)
{
    DIR *stream = opendir("/proc/self/fd");
    int found = 0;
    while (readdir(stream))
        found++;
    closedir(stream);
    return found;
}

static inline void set_up(void)
{
    strcpy(directory, "/tmp/stream-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/name", directory);
    snprintf(address, sizeof address, "fifo:%s", path);
    descriptors = count_descriptors();
}

static inline void tear_down(void)
{
    sys_fault = NULL;
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);
    ck_assert_int_eq(count_descriptors(), descriptors);
}

static inline TCase *new_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 30);
    suite_add_tcase(suite, tests);
    return tests;
}

/* A receiver over a pipe whose sending end is a bare descriptor. */
static inline tong_channel *open_pipe(const char *options, int *ret_peer)
{
    int ends[2];
    char text[96];
    tong_channel *channel;
    ck_assert_int_eq(pipe(ends), 0);
    snprintf(text, sizeof text, "fd:%d%s%s", ends[0], *options ? "?" : "", options);
    ck_assert_int_eq(tong_channel_open(text, TONG_RECEIVE, 0, &channel), 0);
    *ret_peer = ends[1];
    return channel;
}

static inline tong_channel *open_fifo(const char *options, uint32_t flags)
{
    char text[160];
    tong_channel *channel;
    snprintf(text, sizeof text, "%s%s", address, options);
    ck_assert_int_eq(tong_channel_open(text, flags, LONG, &channel), 0);
    return channel;
}

/* Runs what was added to `suite`: the exit status. */
static inline int run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
