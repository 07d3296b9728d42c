/* SPDX-License-Identifier: MIT */
/* file: - records whole or absent, many writers, readers that follow, ends, and what may happen to a file. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "asleep.h"
#include "base/crc.h"
#include "core/record.h"
#include "sys/sys.h"

static char directory[64], path[96], address[128];

static void setup(void)
{
    strcpy(directory, "/tmp/tong-test-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/shared", directory);
    snprintf(address, sizeof address, "file:%s", path);
}

static void teardown(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);
}

static tong_channel *open_channel(const char *options, uint32_t flags)
{
    char text[256];
    tong_channel *channel = NULL;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    ck_assert_msg(r == 0, "%s: %s", text, tong_detail());
    return channel;
}

static void send_text(tong_channel *channel, const char *text)
{
    int r = tong_channel_send(channel, text, strlen(text), NULL, TONG_FOREVER);
    ck_assert_msg(r == 0, "%s", tong_detail());
}

static void expect(tong_channel *channel, const char *text)
{
    char buffer[128];
    ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, NULL, 10 * TONG_SECOND);
    ck_assert_msg(r == (ssize_t)strlen(text), "%zd for '%s': %s", r, text, tong_detail());
    ck_assert_mem_eq(buffer, text, (size_t)r);
}

static int receive_now(tong_channel *channel)
{
    char buffer[128];
    return (int)tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0);
}

static void write_raw(const void *data, size_t size, int flags)
{
    int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static size_t read_raw(char *data, size_t size)
{
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ssize_t r = read(fd, data, size);
    close(fd);
    ck_assert_int_ge(r, 0);
    return (size_t)r;
}

static off_t file_size(void)
{
    struct stat state;
    ck_assert_int_eq(stat(path, &state), 0);
    return state.st_size;
}

START_TEST(check_sum)
{
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    char zeros[32] = { 0 };
    ck_assert_uint_eq(crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720, B.4 */
}
END_TEST

START_TEST(every_reader_gets_all)
{
    tong_channel *sender = open_channel("", TONG_SEND);
    tong_message message = TONG_MESSAGE_INIT;
    send_text(sender, "one");
    message.type = -77;
    ck_assert_int_eq(tong_channel_send(sender, NULL, 0, &message, 0), 0);
    send_text(sender, "three\n");
    for (int i = 0; i < 2; i++) {
        tong_channel *reader = open_channel("", TONG_RECEIVE);
        expect(reader, "one");
        ck_assert_int_eq(tong_channel_receive(reader, NULL, 0, &message, 0), 0);
        ck_assert_int_eq(message.type, -77);
        expect(reader, "three\n");
        ck_assert_int_eq(receive_now(reader), -EAGAIN);
        tong_channel_close(reader);
    }
    tong_channel *late = open_channel("?from=end", TONG_RECEIVE);
    ck_assert_int_eq(receive_now(late), -EAGAIN);
    send_text(sender, "four");
    expect(late, "four");
    tong_channel_close(late);
    tong_channel_close(sender);
}
END_TEST

START_TEST(ends)
{
    tong_channel *reader = open_channel("", TONG_RECEIVE), *follower = open_channel("?follow=yes", TONG_RECEIVE);
    tong_channel *sender = open_channel("", TONG_SEND);
    send_text(sender, "first");
    ck_assert_int_eq(tong_channel_close(sender), 0);
    sender = open_channel("", TONG_SEND);
    ck_assert_int_eq(tong_channel_close(sender), 0); /* sent nothing: marks no end */
    sender = open_channel("", TONG_SEND);
    send_text(sender, "second");
    ck_assert_int_eq(tong_channel_finish(sender, 0), 0);
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 0), -EPIPE);
    ck_assert_int_eq(tong_channel_close(sender), 0);
    expect(reader, "first");
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    expect(reader, "second");
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    expect(follower, "first");
    expect(follower, "second");
    ck_assert_int_eq(receive_now(follower), -EAGAIN);
    tong_channel_close(follower);
    tong_channel_close(reader);
}
END_TEST

START_TEST(lines)
{
    char text[64], longer[1500];
    tong_channel *sender = open_channel("?frame=line", TONG_SEND);
    tong_channel *reader = open_channel("?frame=line&buffer=512", TONG_RECEIVE);
    tong_channel *follower = open_channel("?frame=line&follow=yes", TONG_RECEIVE);
    send_text(sender, "one");
    send_text(sender, "");
    ck_assert_int_eq(tong_channel_send(sender, "a\nb", 3, NULL, 0), -EINVAL);
    ck_assert_uint_eq(read_raw(text, sizeof text), 5);
    ck_assert_mem_eq(text, "one\n\n", 5);
    expect(reader, "one");
    expect(reader, "");
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    write_raw("torn", 4, O_APPEND);
    send_text(sender, "two");
    expect(reader, "torn");
    expect(reader, "two");
    memset(longer, 'l', sizeof longer);
    ck_assert_int_eq(tong_channel_send(sender, longer, sizeof longer, NULL, 0), 0);
    write_raw("last", 4, O_APPEND);
    char buffer[1500];
    tong_message message = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_receive(reader, buffer, 100, &message, 0), -EMSGSIZE);
    ck_assert_uint_eq(message.length, sizeof longer);
    ck_assert_int_eq(tong_channel_receive(reader, buffer, sizeof buffer, NULL, 0), sizeof longer);
    expect(reader, "last");
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    for (int i = 0; i < 5; i++)
        tong_channel_receive(follower, buffer, sizeof buffer, NULL, 0);
    ck_assert_int_eq(receive_now(follower), -EAGAIN); /* "last" has no end yet */
    write_raw("!\n", 2, O_APPEND);
    expect(follower, "last!");
    tong_channel_close(follower);
    tong_channel_close(reader);
    tong_channel_close(sender);
}
END_TEST

START_TEST(a_line_too_long)
{
    char data[3000];
    memset(data, 'x', sizeof data);
    write_raw(data, sizeof data, 0);
    tong_channel *reader = open_channel("?frame=line&size=2000&buffer=512", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_receive(reader, data, sizeof data, NULL, 0), -EBADMSG);
    tong_channel_close(reader);
}
END_TEST

START_TEST(raw_bytes)
{
    tong_channel *sender = open_channel("?frame=none", TONG_SEND), *reader = open_channel("?frame=none", TONG_RECEIVE);
    char buffer[8];
    send_text(sender, "abc");
    send_text(sender, "defgh");
    ck_assert_int_eq(tong_channel_receive(reader, buffer, 4, NULL, 0), 4);
    ck_assert_mem_eq(buffer, "abcd", 4);
    expect(reader, "efgh");
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    tong_message message = TONG_MESSAGE_INIT;
    message.type = 3;
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, &message, 0), -EINVAL);
    tong_channel_close(reader);
    tong_channel_close(sender);
}
END_TEST

START_TEST(foreign_objects)
{
    tong_channel *channel;
    char text[256];
    write_raw("plain text\n", 11, 0);
    ck_assert_int_eq(tong_channel_open(address, TONG_SEND, 0, &channel), -EEXIST);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "is not a tong record file; use ?frame=line or ?frame=none"));
    ck_assert_int_eq(tong_channel_open(address, TONG_RECEIVE, 0, &channel), -EEXIST);
    ck_assert_int_eq(file_size(), 11);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(tong_channel_open(address, TONG_SEND, 0, &channel), -EEXIST);
    ck_assert_int_eq(tong_channel_open(address, TONG_RECEIVE, 0, &channel), -EEXIST);
    ck_assert_int_eq(tong_remove(address), -EEXIST);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/dev/null", path), 0);
    ck_assert_int_eq(tong_channel_open(address, TONG_SEND, 0, &channel), -ELOOP);
    ck_assert_int_eq(tong_remove(address), -EEXIST);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(text, sizeof text, "file:%s", directory);
    ck_assert_int_eq(tong_channel_open(text, TONG_SEND, 0, &channel), -EEXIST);
    ck_assert_int_eq(tong_channel_open(text, TONG_RECEIVE, 0, &channel), -EEXIST);
    ck_assert_int_eq(tong_channel_open(address, TONG_BOTH, 0, &channel), -EOPNOTSUPP);
    ck_assert_int_eq(tong_channel_open("file:", TONG_SEND, 0, &channel), -EINVAL);
    ck_assert_int_eq(tong_remove(address), -ENOENT);
}
END_TEST

START_TEST(making_and_removing)
{
    struct stat state;
    char text[256];
    tong_channel *channel;
    tong_channel_info about = TONG_CHANNEL_INFO_INIT;
    snprintf(text, sizeof text, "%s?create=no", address);
    ck_assert_int_eq(tong_channel_open(text, TONG_RECEIVE, 0, &channel), -ENOENT);
    channel = open_channel("?remove=owner&mode=0640&sync=on", TONG_SEND);
    ck_assert_int_eq(tong_channel_describe(channel, &about), 0);
    ck_assert_uint_eq(about.flags & (TONG_INFO_CREATED | TONG_INFO_FRAMED), TONG_INFO_CREATED | TONG_INFO_FRAMED);
    ck_assert_uint_eq(about.largest, 16 << 20);
    ck_assert_int_eq(stat(path, &state), 0);
    ck_assert_int_eq(state.st_mode & 0777, 0640);
    send_text(channel, "on the disk");
    snprintf(text, sizeof text, "%s?create=excl", address);
    tong_channel *second;
    ck_assert_int_eq(tong_channel_open(text, TONG_SEND, 0, &second), -EEXIST);
    ck_assert_int_eq(tong_channel_close(channel), 0);
    ck_assert_int_eq(stat(path, &state), -1);
    channel = open_channel("", TONG_SEND);
    ck_assert_int_eq(stat(path, &state), 0);
    ck_assert_int_eq(state.st_mode & 0777, 0600);
    tong_channel_close(channel);
    ck_assert_int_eq(tong_remove(address), 0);
}
END_TEST

START_TEST(both_ways)
{
    char there[300], back[300], second[128];
    snprintf(second, sizeof second, "%s/other", directory);
    snprintf(there, sizeof there, "file:%s,%s", path, second);
    snprintf(back, sizeof back, "file:%s,%s", second, path);
    tong_channel *a, *b;
    ck_assert_int_eq(tong_channel_open(there, TONG_BOTH, 0, &a), 0);
    ck_assert_int_eq(tong_channel_open(back, TONG_BOTH, 0, &b), 0);
    send_text(a, "question");
    expect(b, "question");
    send_text(b, "answer");
    expect(a, "answer");
    tong_channel_close(a);
    tong_channel_close(b);
    ck_assert_int_eq(tong_remove(there), 0);
}
END_TEST

START_TEST(sizes)
{
    const size_t length[] = { 0, 1, 479, 480, 481, 4096, 100000 };
    const size_t count = sizeof length / sizeof *length;
    char *data = malloc(100001), *buffer = malloc(100001);
    for (size_t i = 0; i < 100001; i++)
        data[i] = (char)(i * 7 + (i >> 8));
    tong_channel *sender = open_channel("?size=100000", TONG_SEND), *reader = open_channel("?buffer=512", TONG_RECEIVE);
    tong_message message = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_send(sender, data, 100001, NULL, 0), -EMSGSIZE);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(tong_channel_send(sender, data, length[i], NULL, 0), 0);
    for (size_t i = 0; i < count; i++) {
        if (length[i]) {
            ck_assert_int_eq(tong_channel_receive(reader, buffer, length[i] - 1, &message, 0), -EMSGSIZE);
            ck_assert_uint_eq(message.length, length[i]);
        }
        ck_assert_int_eq(tong_channel_receive(reader, buffer, length[i], NULL, 0), (ssize_t)length[i]);
        ck_assert_int_eq(memcmp(buffer, data, length[i]), 0);
    }
    tong_channel_close(sender);
    tong_channel_close(reader);
    free(data);
    free(buffer);
}
END_TEST

/* The tail is cut at every byte of a record; zeros: as a power loss leaves it, the size there, the bytes not. */
START_TEST(torn_at_every_byte)
{
    const bool zeros = _i;
    const char torn[] = "this one is torn at every byte of its header and payload";
    const off_t size = RECORD_HEADER + sizeof torn - 1;
    for (off_t cut = 0; cut < size; cut++) {
        unlink(path);
        tong_channel *sender = open_channel("", TONG_SEND), *reader = open_channel("", TONG_RECEIVE);
        send_text(sender, "whole");
        off_t whole = file_size();
        send_text(sender, torn);
        ck_assert_int_eq(truncate(path, whole + cut), 0);
        if (zeros)
            ck_assert_int_eq(truncate(path, whole + size), 0);
        expect(reader, "whole");
        ck_assert_msg(receive_now(reader) == -EAGAIN, "cut at %ld", (long)cut);
        tong_channel *from_end = open_channel("?from=end", TONG_RECEIVE);
        tong_channel *heir = open_channel("", TONG_SEND);
        ck_assert_int_eq(tong_channel_send(heir, torn, 20, NULL, 0), 0);
        ck_assert_int_eq(file_size(), whole + RECORD_HEADER + 20);
        expect(reader, "this one is torn at ");
        expect(from_end, "this one is torn at ");
        ck_assert_int_eq(receive_now(reader), -EAGAIN);
        tong_channel_close(from_end);
        tong_channel_close(heir);
        tong_channel_close(sender);
        tong_channel_close(reader);
    }
}
END_TEST

/* Embedded in the payload of a torn record lies a whole one: nobody takes it for a message. */
START_TEST(records_in_records)
{
    char inner[256], text[160];
    tong_channel *sender = open_channel("", TONG_SEND);
    send_text(sender, "inner");
    size_t size = read_raw(inner, sizeof inner);
    ck_assert_int_eq(truncate(path, 0), 0);
    memcpy(text, inner, size);
    memset(text + size, '.', sizeof text - size);
    ck_assert_int_eq(tong_channel_send(sender, text, sizeof text, NULL, 0), 0);
    ck_assert_int_eq(truncate(path, RECORD_HEADER + (off_t)size), 0);
    tong_channel *reader = open_channel("", TONG_RECEIVE);
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    send_text(sender, "next");
    expect(reader, "next");
    tong_channel_close(reader);
    tong_channel_close(sender);
}
END_TEST

/* Damage that is no torn tail is never cut away, and never delivered. */
START_TEST(damage)
{
    tong_channel *sender = open_channel("", TONG_SEND);
    send_text(sender, "first");
    send_text(sender, "second");
    send_text(sender, "third");
    off_t size = file_size();
    int fd = open(path, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "X", 1, 2 * RECORD_HEADER + 5), 1); /* in "second" */
    tong_channel *reader = open_channel("", TONG_RECEIVE);
    expect(reader, "first");
    ck_assert_int_eq(receive_now(reader), -EBADMSG);
    expect(reader, "third");
    ck_assert_int_eq(pwrite(fd, "X", 1, RECORD_HEADER + 5 + 9), 1); /* in its header */
    close(fd);
    tong_channel *other = open_channel("", TONG_SEND), *second = open_channel("", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_send(other, "x", 1, NULL, 0), -EBADMSG);
    ck_assert_int_eq(file_size(), size);
    expect(second, "first");
    ck_assert_int_eq(receive_now(second), -EBADMSG);
    ck_assert_int_eq(receive_now(second), -EBADMSG);
    write_raw("a foreign line, longer than any header is\n", 42, O_APPEND);
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 0), -EBADMSG);
    ck_assert_int_eq(receive_now(reader), -EBADMSG);
    ck_assert_int_eq(file_size(), size + 42);
    tong_channel_close(other);
    tong_channel_close(second);
    tong_channel_close(reader);
    tong_channel_close(sender);
}
END_TEST

#define BIG (256 * 1024)
#define KILL_ROUNDS 150

/* Appends records that begin with their number, and tells `report` each one that was acknowledged. */
static _Noreturn void append_until_killed(int report, uint32_t number)
{
    static uint32_t data[BIG / 4];
    tong_channel *sender = open_channel("", TONG_SEND);
    for (;; number++) {
        for (size_t i = 0; i < BIG / 4; i++)
            data[i] = number + (uint32_t)i;
        if (tong_channel_send(sender, data, BIG - number % 1000, NULL, TONG_FOREVER) != 0)
            _exit(1);
        ck_assert_int_eq(write(report, &number, sizeof number), sizeof number);
    }
}

static void expect_numbered(tong_channel *reader, uint32_t number, uint32_t *buffer)
{
    ssize_t r = tong_channel_receive(reader, buffer, BIG, NULL, 0);
    ck_assert_msg(r == (ssize_t)(BIG - number % 1000), "%zd for record %u: %s", r, number, tong_detail());
    for (size_t i = 0; i < (size_t)r / 4; i++)
        if (buffer[i] != number + i) /* an assertion each would cost a system call each */
            ck_abort_msg("record %u is torn at %zu", number, i * 4);
}

/* Takes what is there from `next` on; returns the number that comes after. */
static uint32_t receive_all(tong_channel *reader, uint32_t next, uint32_t *buffer)
{
    tong_message message = TONG_MESSAGE_INIT;
    for (;; next++) {
        int r = (int)tong_channel_receive(reader, NULL, 0, &message, 0);
        if (r == -EAGAIN)
            return next;
        ck_assert_msg(r == -EMSGSIZE, "%d: %s", r, tong_detail());
        expect_numbered(reader, next, buffer);
    }
}

START_TEST(writers_killed_in_the_middle)
{
    uint32_t *buffer = malloc(BIG), next = 0;
    int torn = 0;
    srand(1);
    tong_channel *reader = open_channel("?follow=yes", TONG_RECEIVE);
    for (int round = 0; round < KILL_ROUNDS; round++) {
        int report[2];
        ck_assert_int_eq(pipe(report), 0);
        pid_t child = fork();
        if (child == 0)
            append_until_killed(report[1], next);
        close(report[1]);
        uint32_t acknowledged = next;
        /* At a random point of a later append: the wait is a spin, not a sleep, and any length will do. */
        ck_assert_int_eq(read(report[0], &acknowledged, sizeof acknowledged), sizeof acknowledged);
        for (int64_t end = clock_now() + rand() % 600000; clock_now() < end;)
            continue;
        kill(child, SIGKILL);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        while (read(report[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged)
            continue;
        close(report[0]);
        off_t before = file_size();
        next = receive_all(reader, next, buffer);
        ck_assert_msg(next > acknowledged, "record %u was acknowledged and is lost", acknowledged);
        tong_channel *heir = open_channel("", TONG_SEND);
        for (size_t i = 0; i < BIG / 4; i++)
            buffer[i] = next + (uint32_t)i;
        ck_assert_int_eq(tong_channel_send(heir, buffer, BIG - next % 1000, NULL, 0), 0);
        torn += file_size() != before + RECORD_HEADER + BIG - (off_t)(next % 1000);
        expect_numbered(reader, next++, buffer);
        tong_channel_close(heir);
        if (round % 10 == 9) { /* keeps the file small: heirs read its headers */
            tong_channel_close(reader);
            ck_assert_int_eq(unlink(path), 0);
            reader = open_channel("?follow=yes", TONG_RECEIVE);
        }
    }
    ck_assert_msg(torn > 0, "no writer of %d was killed in the middle of a record", KILL_ROUNDS);
    tong_channel_close(reader);
    free(buffer);
}
END_TEST

#define EACH 400

static _Noreturn void append_many(const char *options, char name, size_t size)
{
    char data[9000];
    tong_channel *sender = open_channel(options, TONG_SEND);
    for (int i = 0; i < EACH; i++) {
        size_t length = 8 + (size_t)i * 31 % size;
        memset(data, name, length);
        int used = snprintf(data, 8, "%c%05d", name, i);
        data[used] = name;
        if (tong_channel_send(sender, data, length, NULL, TONG_FOREVER) != 0)
            _exit(1);
    }
    tong_channel_close(sender);
    _exit(0);
}

START_TEST(writers_at_once)
{
    const char *options[] = { "", "?frame=line&follow=yes" };
    const size_t size[] = { 8000, 8000 };
    char buffer[9000];
    int next[2] = { 0, 0 };
    tong_channel *reader = open_channel(options[_i], TONG_RECEIVE);
    pid_t child[2];
    for (int i = 0; i < 2; i++)
        if ((child[i] = fork()) == 0)
            append_many(options[_i], (char)('a' + i), size[_i]);
    for (int count = 0, ended = 0; count < 2 * EACH;) {
        ssize_t r = tong_channel_receive(reader, buffer, sizeof buffer, NULL, 20 * TONG_SECOND);
        if (r == -ENODATA && ++ended <= 2)
            continue;
        ck_assert_msg(r >= 8, "%zd: %s", r, tong_detail());
        int who = buffer[0] - 'a', number = atoi((char[]){ buffer[1], buffer[2], buffer[3], buffer[4], buffer[5], 0 });
        ck_assert(who == 0 || who == 1);
        ck_assert_int_eq(number, next[who]++);
        ck_assert_int_eq(r, 8 + number * 31 % (int)size[_i]);
        for (ssize_t i = 8; i < r; i++)
            if (buffer[i] != 'a' + who)
                ck_abort_msg("message %d is not whole", number);
        count++;
    }
    for (int i = 0; i < 2; i++) {
        int status;
        ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
        ck_assert_int_eq(status, 0);
    }
    tong_channel_close(reader);
}
END_TEST

START_TEST(a_reader_is_woken)
{
    const char *options[] = { "", "?frame=line&follow=yes", "?frame=none&follow=yes", "" };
    struct receiver receiver;
    tong_channel *reader = open_channel(options[_i], TONG_RECEIVE | (_i == 3 ? TONG_CANCELLABLE : 0));
    tong_channel *sender = open_channel(options[_i], TONG_SEND);
    for (int again = 0; again < 3; again++) {
        receiver_start(&receiver, reader, again ? 20 * TONG_SECOND : TONG_FOREVER);
        send_text(sender, "wake");
        ck_assert_int_eq(receiver_join(&receiver), 4);
    }
    receiver_start(&receiver, reader, TONG_FOREVER);
    if (_i == 0 || _i == 3) {
        ck_assert_int_eq(tong_channel_finish(sender, TONG_FOREVER), 0);
        ck_assert_int_eq(receiver_join(&receiver), -ENODATA);
    } else {
        ck_assert_int_eq(tong_remove(address), 0);
        ck_assert_int_eq(receiver_join(&receiver), -ESTALE);
        ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 0), -ESTALE);
    }
    tong_channel_close(sender);
    tong_channel_close(reader);
}
END_TEST

static void caught(int number)
{
    (void)number;
}

START_TEST(waits_that_end)
{
    struct receiver receiver;
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = caught, .sa_flags = SA_RESTART }, NULL);
    tong_channel *reader = open_channel("", TONG_RECEIVE | TONG_CANCELLABLE), *sender = open_channel("", TONG_SEND);
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    int64_t start = clock_now();
    ck_assert_int_eq(tong_channel_receive(reader, NULL, 0, NULL, 30 * TONG_MILLISECOND), -ETIMEDOUT);
    ck_assert_int_ge(clock_now() - start, 30 * TONG_MILLISECOND);
    receiver_start(&receiver, reader, TONG_FOREVER);
    pthread_kill(receiver.thread, SIGUSR1);
    ck_assert_int_eq(receiver_join(&receiver), -EINTR);
    receiver_start(&receiver, reader, TONG_FOREVER);
    ck_assert_int_eq(tong_channel_cancel(reader), 0);
    ck_assert_int_eq(receiver_join(&receiver), -ECANCELED);
    send_text(sender, "still");
    expect(reader, "still");
    ck_assert_int_eq(tong_channel_receive(reader, NULL, 0, NULL, TONG_FOREVER), -ECANCELED);
    tong_channel_close(sender);
    tong_channel_close(reader);
}
END_TEST

START_TEST(a_file_that_is_cut)
{
    tong_channel *sender = open_channel("", TONG_SEND), *reader = open_channel("", TONG_RECEIVE);
    send_text(sender, "gone");
    expect(reader, "gone");
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(receive_now(reader), -ESTALE);
    send_text(sender, "new");
    tong_channel *second = open_channel("", TONG_RECEIVE);
    expect(second, "new");
    tong_channel_close(second);
    tong_channel_close(sender);
    tong_channel_close(reader);
}
END_TEST

/* Level-triggered, ready while anything is unread, not ready for ever after. */
START_TEST(readiness)
{
    struct pollfd item;
    tong_channel *sender = open_channel("", TONG_SEND), *reader = open_channel("", TONG_RECEIVE);
    send_text(sender, "one");
    send_text(sender, "two");
    ck_assert_int_eq(tong_channel_pollfd(sender, TONG_SEND, &item), 0);
    ck_assert_int_eq(poll(&item, 1, 0), 1);
    expect(reader, "one");
    ck_assert_int_eq(tong_channel_pollfd(reader, TONG_RECEIVE, &item), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(poll(&item, 1, 0), 1);
    expect(reader, "two");
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    ck_assert_int_eq(poll(&item, 1, 0), 0);
    for (int i = 0; i < 3; i++) {
        send_text(sender, "more");
        send_text(sender, "and more");
        ck_assert_int_eq(poll(&item, 1, 5000), 1);
        expect(reader, "more");
        ck_assert_int_eq(poll(&item, 1, 5000), 1);
        expect(reader, "and more");
        ck_assert_int_eq(receive_now(reader), -EAGAIN);
        ck_assert_int_eq(poll(&item, 1, 0), 0);
    }
    ck_assert_int_eq(tong_channel_finish(sender, 0), 0);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    ck_assert_int_eq(poll(&item, 1, 0), 0);
    /* The beginning of a record wakes, but does not keep awake. */
    write_raw("\xf7tng", 4, O_APPEND);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    ck_assert_int_eq(poll(&item, 1, 0), 0);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(receive_now(reader), -ESTALE);
    tong_channel_close(sender);
    tong_channel_close(reader);
}
END_TEST

/* Where the file may not grow any more, a message is taken back: nothing of it, and those before it stay. */
START_TEST(no_room)
{
    char data[5000] = { 0 };
    const char *options[] = { "", "?frame=line", "?frame=none" };
    tong_channel *sender = open_channel(options[_i], TONG_SEND);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 7000;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(tong_channel_send(sender, data, sizeof data, NULL, 0), 0);
    off_t size = file_size();
    ck_assert_int_eq(tong_channel_send(sender, data, sizeof data, NULL, 0), -EFBIG);
    ck_assert_int_eq(file_size(), size);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(tong_channel_send(sender, data, 10, NULL, 0), 0);
    ck_assert_int_gt(file_size(), size);
    tong_channel_close(sender);
}
END_TEST

START_TEST(a_locked_file)
{
    tong_channel *sender = open_channel("", TONG_SEND), *other = open_channel("", TONG_SEND | TONG_CANCELLABLE);
    int fd = open(path, O_RDWR);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 5 * TONG_MILLISECOND), -ETIMEDOUT);
    ck_assert_int_eq(tong_channel_cancel(other), 0);
    ck_assert_int_eq(tong_channel_send(other, "x", 1, NULL, TONG_FOREVER), -ECANCELED);
    ck_assert_int_eq(file_size(), 0);
    close(fd);
    send_text(sender, "free");
    fd = open(path, O_RDWR);
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    ck_assert_int_eq(tong_channel_close(sender), -EAGAIN);
    close(fd);
    tong_channel_close(other);
}
END_TEST

START_TEST(forked)
{
    tong_channel *sender = open_channel("?remove=owner", TONG_SEND), *reader = open_channel("", TONG_RECEIVE);
    send_text(sender, "parent");
    pid_t child = fork();
    if (child == 0) {
        int refused = tong_channel_send(sender, "x", 1, NULL, 0);
        int r = refused == -EBADFD ? tong_channel_after_fork(sender) : -1;
        if (r == 0)
            r = tong_channel_send(sender, "child", 5, NULL, TONG_FOREVER);
        tong_channel_close(sender);
        tong_channel_close(reader);
        _exit(r != 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    send_text(sender, "parent again");
    expect(reader, "parent");
    expect(reader, "child");
    ck_assert_int_eq(receive_now(reader), -ENODATA); /* the child's */
    expect(reader, "parent again");
    tong_channel_close(sender);
    tong_channel_close(reader);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

static int faults_left;

static int fault(const char *call)
{
    return strcmp(call, "close") && --faults_left == 0 ? -EIO : 0;
}

/* Sends and receives with one of its system calls failing; 0 if none failed any more. */
static int exchange(const char *text)
{
    tong_channel *sender = NULL, *reader = NULL;
    struct pollfd item;
    char buffer[8];
    int r = tong_channel_open(text, TONG_SEND, 0, &sender);
    if (r == 0)
        r = tong_channel_open(text, TONG_RECEIVE, 0, &reader);
    if (r == 0)
        r = tong_channel_pollfd(reader, TONG_RECEIVE, &item);
    if (r == 0)
        r = tong_channel_pollfd(sender, TONG_SEND, &item);
    if (r == 0)
        r = tong_channel_send(sender, "x", 1, NULL, 0);
    if (r == 0)
        r = (int)tong_channel_receive(reader, buffer, 8, NULL, TONG_FOREVER) == 1 ? 0 : -1;
    int closed = tong_channel_close(sender);
    tong_channel_close(reader);
    return r == 0 ? closed : r;
}

START_TEST(failing_calls)
{
    char text[200];
    snprintf(text, sizeof text, "%s?remove=owner&sync=on", address);
    for (int n = 1, r = -1; r < 0; n++) {
        ck_assert_int_lt(n, 100);
        faults_left = n;
        sys_fault = fault;
        r = exchange(text);
        sys_fault = NULL;
        ck_assert(r == 0 || *tong_detail());
        unlink(path);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, check_sum);
    tcase_add_test(tests, every_reader_gets_all);
    tcase_add_test(tests, ends);
    tcase_add_test(tests, lines);
    tcase_add_test(tests, a_line_too_long);
    tcase_add_test(tests, raw_bytes);
    tcase_add_test(tests, foreign_objects);
    tcase_add_test(tests, making_and_removing);
    tcase_add_test(tests, both_ways);
    tcase_add_test(tests, sizes);
    tcase_add_loop_test(tests, torn_at_every_byte, 0, 2);
    tcase_add_test(tests, records_in_records);
    tcase_add_test(tests, damage);
    tcase_add_test(tests, writers_killed_in_the_middle);
    tcase_add_loop_test(tests, writers_at_once, 0, 2);
    tcase_add_loop_test(tests, a_reader_is_woken, 0, 4);
    tcase_add_test(tests, waits_that_end);
    tcase_add_test(tests, a_file_that_is_cut);
    tcase_add_test(tests, readiness);
    tcase_add_loop_test(tests, no_room, 0, 3);
    tcase_add_test(tests, a_locked_file);
    tcase_add_test(tests, forked);
    tcase_add_test(tests, failing_calls);
}

int main(void)
{
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    add_tests(tests);
    Suite *suite = suite_create("file");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
