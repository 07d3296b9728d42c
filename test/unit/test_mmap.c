/* SPDX-License-Identifier: MIT */
/* mmap: what is in the file outlives whoever put it there; and what is no channel, or cannot be one, is left alone. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/layout.h"
#include "sys/sys.h"
#include "tong/tong.h"

static char directory[] = "/tmp/tong-test-mmap-XXXXXX";
static char path[64], address[128], buffer[64];

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/ring", directory);
    snprintf(address, sizeof address, "mmap:%s", path);
}

/* Entries of a directory; they are removed, too, if asked. */
static int count_files(const char *where, bool take)
{
    DIR *stream = opendir(where);
    int found = 0;
    for (struct dirent *entry; (entry = readdir(stream)); ) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        found++;
        if (take)
            unlinkat(dirfd(stream), entry->d_name, 0);
    }
    closedir(stream);
    return found;
}

static void tear_down(void)
{
    count_files(directory, true);
    ck_assert_int_eq(rmdir(directory), 0);
}

static tong_channel *open_channel(const char *options, uint32_t flags)
{
    char text[160];
    tong_channel *channel = NULL;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    ck_assert_msg(r == 0, "%s: %s", text, tong_detail());
    return channel;
}

static void send_text(tong_channel *channel, const char *text)
{
    int r = tong_channel_send(channel, text, strlen(text), NULL, TONG_SECOND);
    ck_assert_msg(r == 0, "%s", tong_detail());
}

static void expect_text(tong_channel *channel, const char *text)
{
    ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, NULL, TONG_SECOND);
    ck_assert_msg(r == (ssize_t)strlen(text) && !memcmp(buffer, text, strlen(text)), "%zd for '%s'", r, text);
}

static int try_open(const char *text)
{
    tong_channel *channel;
    int r = tong_channel_open(text, TONG_SEND, 0, &channel);
    ck_assert_msg(r < 0, "%s was opened", text);
    ck_assert_str_ne(tong_detail(), "");
    return r;
}

/* ---- Survival -------------------------------------------------------------------------------------------- */

/* In a child, which is killed in the middle of things or closes in order. */
static void run_and_end(void (*body)(void), bool killed)
{
    int said[2], status;
    char byte;
    ck_assert_int_eq(pipe(said), 0);
    pid_t child = fork();
    if (child == 0) {
        body();
        if (write(said[1], "x", 1) != 1)
            _exit(1);
        while (killed)
            pause();
        _exit(0);
    }
    close(said[1]);
    ck_assert_int_eq(read(said[0], &byte, 1), 1);
    close(said[0]);
    if (killed)
        kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(killed ? WTERMSIG(status) : WEXITSTATUS(status), killed ? SIGKILL : 0);
}

static tong_channel *sender, *receiver;

/* Three messages: the first is taken, the second is in somebody's hands, a fourth is never committed. */
static void use(void)
{
    tong_token peeked = TONG_TOKEN_INIT, reserved = TONG_TOKEN_INIT;
    sender = open_channel("?capacity=64K", TONG_SEND);
    receiver = open_channel("", TONG_RECEIVE);
    send_text(sender, "taken");
    send_text(sender, "shown");
    send_text(sender, "waits");
    expect_text(receiver, "taken");
    ck_assert_int_eq(tong_channel_peek(receiver, 0, NULL, &peeked), 5);
    ck_assert_int_eq(tong_channel_reserve(sender, 10, 0, &reserved), 0);
}

static void use_and_close(void)
{
    use();
    tong_channel_close(sender);
    tong_channel_close(receiver);
}

/* All who had it open are gone: what was not taken is there, then the end of that session, as it was. */
static void expect_what_is_left(bool killed)
{
    tong_message message = TONG_MESSAGE_INIT;
    tong_channel *later = open_channel("?create=no", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_receive(later, buffer, sizeof buffer, &message, 0), 5);
    ck_assert_mem_eq(buffer, "shown", 5);
    ck_assert(message.flags & TONG_MESSAGE_REDELIVERED);
    expect_text(later, "waits");
    ck_assert_int_eq(tong_channel_receive(later, buffer, sizeof buffer, NULL, TONG_SECOND),
                     killed ? -ECONNRESET : -ENODATA);
    tong_channel_close(later);
}

START_TEST(survives_its_processes)
{
    run_and_end(_i ? use : use_and_close, _i);
    expect_what_is_left(_i);
    use_and_close();
    expect_what_is_left(false);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(count_files(directory, false), 0);
}
END_TEST

/* What a restart leaves is the files: other inodes perhaps, and another place, but nothing that is in memory. */
START_TEST(survives_as_files)
{
    char command[256], moved[96];
    run_and_end(use, true);
    snprintf(moved, sizeof moved, "%s-copy", directory);
    snprintf(command, sizeof command, "cp -a %s %s", directory, moved);
    ck_assert_int_eq(system(command), 0);
    snprintf(address, sizeof address, "mmap:%s/ring", moved);
    expect_what_is_left(true);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(rmdir(moved), 0);
}
END_TEST

START_TEST(both_ways)
{
    char text[200];
    tong_channel *here, *there;
    snprintf(text, sizeof text, "%s-a,%s-b", address, path);
    ck_assert_int_eq(tong_channel_open(text, TONG_BOTH, 0, &here), 0);
    snprintf(text, sizeof text, "%s-b,%s-a", address, path);
    ck_assert_int_eq(tong_channel_open(text, TONG_BOTH, 0, &there), 0);
    send_text(here, "question");
    expect_text(there, "question");
    send_text(there, "answer");
    expect_text(here, "answer");
    tong_channel_close(here);
    tong_channel_close(there);
    ck_assert_int_eq(tong_remove(text), 0);
    ck_assert_int_eq(count_files(directory, false), 0);
}
END_TEST

/* ---- What is no channel ----------------------------------------------------------------------------------- */

START_TEST(names)
{
    char text[400];
    ck_assert_int_eq(try_open("mmap:"), -EINVAL);
    ck_assert_int_eq(try_open("mmap:/tmp/"), -EINVAL);
    snprintf(text, sizeof text, "%s?sync=on", address);
    ck_assert_int_eq(try_open(text), -EINVAL);
    ck_assert_int_eq(try_open("mmap:/nowhere/at/all"), -ENOENT);
    snprintf(text, sizeof text, "mmap:%s/%0*d", directory, NAME_MAX - (int)strlen(".0123456789abcdef.receive"), 0);
    tong_channel *channel;
    int r = tong_channel_open(text, TONG_SEND, 0, &channel);
    ck_assert_msg(r == 0, "%s", tong_detail());
    tong_channel_close(channel);
    ck_assert_int_eq(tong_remove(text), 0);
    strcat(text, "0");
    ck_assert_int_eq(try_open(text), -ENAMETOOLONG);
    ck_assert_int_eq(count_files(directory, false), 0);
}
END_TEST

static void write_file(const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

/* An ordinary file is a region of mmap:, not a channel: opening refuses it, and removing takes it by its name. */
static void expect_region(void)
{
    ck_assert_int_eq(try_open(address), -EEXIST);
    ck_assert_int_eq(count_files(directory, false), 1);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(count_files(directory, false), 0);
}

/* Whatever else stands there is refused, by opening and by removing, and stays as it is. */
static void expect_refused(int error)
{
    struct stat before, after;
    ck_assert_int_eq(lstat(path, &before), 0);
    ck_assert_int_eq(try_open(address), error);
    ck_assert_int_eq(tong_remove(address), error);
    ck_assert_int_eq(lstat(path, &after), 0);
    ck_assert(before.st_ino == after.st_ino && before.st_size == after.st_size && before.st_mode == after.st_mode);
    ck_assert_int_eq(count_files(directory, false), 1);
    remove(path);
}

START_TEST(others_things_are_left_alone)
{
    struct layout_header header;
    write_file("a diary", 7);
    expect_region();
    write_file("", 0);
    expect_region();
    ck_assert_int_eq(symlink("elsewhere", path), 0);
    expect_refused(-EEXIST);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refused(-EEXIST);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_refused(-EEXIST);
    layout_prepare(&header, LAYOUT_KIND_SENDERS, &(struct layout_shape){ 1, LAYOUT_CAPACITY_LOW, LAYOUT_ONE, 1, 0 });
    write_file(&header, sizeof header);
    expect_refused(-EPROTO);
}
END_TEST

START_TEST(half_a_channel_is_refused)
{
    char copy[80], text[96];
    use_and_close();
    snprintf(copy, sizeof copy, "%s/alone", directory);
    ck_assert_int_eq(rename(path, copy), 0);
    snprintf(text, sizeof text, "mmap:%s", copy);
    ck_assert_int_eq(try_open(text), -ESTALE);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "its side file"));
    ck_assert_int_eq(rename(copy, path), 0);
    expect_what_is_left(false);
    ck_assert_int_eq(truncate(path, 20000), 0);
    ck_assert_int_eq(try_open(address), -EPROTO);
}
END_TEST

/* ---- File systems that cannot ----------------------------------------------------------------------------- */

static const char *refused_call;
static int refusal;

static int refuse(const char *call)
{
    return strcmp(call, refused_call) ? 0 : refusal;
}

START_TEST(what_a_file_system_lacks_is_named)
{
    const struct { const char *call; int error; const char *words; } lacks[] = {
        { "fallocate", -EOPNOTSUPP, "has no fallocate(2)" }, { "mkfifo", -EPERM, "has no FIFOs" },
        { "open", -EOPNOTSUPP, "" },
    };
    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++) {
        refused_call = lacks[i].call;
        refusal = lacks[i].error;
        sys_fault = refuse;
        ck_assert_int_eq(try_open(address), -EOPNOTSUPP);
        sys_fault = NULL;
        ck_assert_msg(strstr(tong_detail(), lacks[i].words), "%s", tong_detail());
        ck_assert_int_eq(count_files(directory, false), 0);
    }
}
END_TEST

/* In a mount namespace of our own: a file system without room says so as the file is made, not by SIGBUS. */
static int fill_a_small_one(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", directory, "tmpfs", 0, "size=64K") < 0)
        return 0;
    if (try_open(address) != -ENOSPC || !strstr(tong_detail(), "smaller capacity="))
        return 1;
    if (count_files(directory, false) != 0)
        return 2;
    tong_channel *channel = open_channel("?capacity=4096", TONG_SEND);
    return tong_channel_close(channel) == 0 ? 0 : 3;
}

START_TEST(a_full_file_system_says_so)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(fill_a_small_one());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
    const struct { const TTest *test; int times; } tests[] = {
        { survives_its_processes, 2 }, { survives_as_files, 1 }, { both_ways, 1 }, { names, 1 },
        { others_things_are_left_alone, 1 }, { half_a_channel_is_refused, 1 }, { what_a_file_system_lacks_is_named, 1 },
        { a_full_file_system_says_so, 1 },
    };
    Suite *suite = suite_create("mmap");
    TCase *all = tcase_create("mmap");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_loop_test(all, tests[i].test, 0, tests[i].times);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
