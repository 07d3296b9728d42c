/* SPDX-License-Identifier: MIT */
/* file_fixture.h - a file of its own for every test, and words for what is done to it. */
#ifndef TEST_UNIT_FILE_FIXTURE_H
#define TEST_UNIT_FILE_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "asleep.h"

static char directory[64], path[96], address[128];

static inline void setup(void)
{
    strcpy(directory, "/tmp/tong-test-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/shared", directory);
    snprintf(address, sizeof address, "file:%s", path);
}

static inline void teardown(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);
}

static inline tong_channel *open_channel(const char *options, uint32_t flags)
{
    char text[256];
    tong_channel *channel = NULL;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    ck_assert_msg(r == 0, "%s: %s", text, tong_detail());
    return channel;
}

static inline void send_text(tong_channel *channel, const char *text)
{
    int r = tong_channel_send(channel, text, strlen(text), NULL, TONG_FOREVER);
    ck_assert_msg(r == 0, "%s", tong_detail());
}

static inline void expect(tong_channel *channel, const char *text)
{
    char buffer[128];
    ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, NULL, 10 * TONG_SECOND);
    ck_assert_msg(r == (ssize_t)strlen(text), "%zd for '%s': %s", r, text, tong_detail());
    ck_assert_mem_eq(buffer, text, (size_t)r);
}

static inline int receive_now(tong_channel *channel)
{
    char buffer[128];
    return (int)tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0);
}

static inline void write_raw(const void *data, size_t size, int flags)
{
    int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static inline size_t read_raw(char *data, size_t size)
{
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ssize_t r = read(fd, data, size);
    close(fd);
    ck_assert_int_ge(r, 0);
    return (size_t)r;
}

static inline off_t file_size(void)
{
    struct stat state;
    ck_assert_int_eq(stat(path, &state), 0);
    return state.st_size;
}

/* Runs the tests of a case, each on a file of its own. */
static inline int run_case(TCase *tests, const char *name)
{
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
