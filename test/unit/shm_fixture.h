/* SPDX-License-Identifier: MIT */
/*
 * shm_fixture.h - what the tests of shm: share.  Every test has a channel of its own name; afterwards no name that
 * carries it is left in /dev/shm, and no descriptor is.  Tests wait for conditions with a deadline, never for luck.
 */
#ifndef UNIT_SHM_FIXTURE_H
#define UNIT_SHM_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tong/tong.h"

#define MILLISECOND INT64_C(1000000)
#define LONG (20 * 1000 * MILLISECOND) /* a wait that ends before, or the test fails */

static char address[64], name[48];
static int descriptors;

/* Entries of `directory` whose name contains `part`. */
static inline int count(const char *directory, const char *part)
{
    DIR *stream = opendir(directory);
    int found = 0;
    for (struct dirent *entry; (entry = readdir(stream)); )
        found += strstr(entry->d_name, part) != NULL;
    closedir(stream);
    return found;
}

/* The time, too: a test that failed leaves its channel, and numbers of processes come again. */
static inline void set_up(void)
{
    snprintf(name, sizeof name, "test-%d-%llx", (int)getpid(), (unsigned long long)clock_now());
    snprintf(address, sizeof address, "shm:%s", name);
    descriptors = count("/proc/self/fd", "");
}

static inline void tear_down(void)
{
    tong_remove(address);
    ck_assert_int_eq(count("/dev/shm", name), 0);
    ck_assert_int_eq(count("/proc/self/fd", ""), descriptors);
}

static inline tong_channel *open_with(const char *options, uint32_t flags)
{
    char text[160];
    tong_channel *channel;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    ck_assert_msg(r == 0, "%s: %d %s", text, r, tong_detail());
    return channel;
}

static inline int refused(const char *options, uint32_t flags)
{
    char text[160];
    tong_channel *channel;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    ck_assert_msg(r < 0, "%s was opened", text);
    ck_assert_str_ne(tong_detail(), "");
    return r;
}

static inline void send_text(tong_channel *channel, const char *text)
{
    ck_assert_int_eq(tong_channel_send(channel, text, strlen(text), NULL, LONG), 0);
}

static inline void expect_text(tong_channel *channel, const char *text)
{
    char buffer[64];
    ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, NULL, LONG);
    ck_assert_msg(r == (ssize_t)strlen(text) && !memcmp(buffer, text, strlen(text)), "%zd instead of %s", r, text);
}

static inline ssize_t try_receive(tong_channel *channel, int64_t timeout)
{
    char buffer[64];
    return tong_channel_receive(channel, buffer, sizeof buffer, NULL, timeout);
}

/* A child that says through a pipe when it has come to where it is to be killed. */
static pid_t child;
static int said[2];

static inline bool in_child(void)
{
    ck_assert_int_eq(pipe(said), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    return child == 0;
}

static inline void say_and_stay(void)
{
    if (write(said[1], "x", 1) == 1)
        for (;;)
            pause();
    _exit(1);
}

static inline void await_word(void)
{
    char byte;
    close(said[1]);
    ck_assert_int_eq(read(said[0], &byte, 1), 1);
    close(said[0]);
}

static inline void reap(int expected)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), expected);
}

static inline int run_tests(const char *title, const TTest *const *tests, size_t many)
{
    Suite *suite = suite_create(title);
    TCase *all = tcase_create(title);
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    for (size_t i = 0; i < many; i++)
        tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
