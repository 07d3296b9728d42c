/* SPDX-License-Identifier: MIT */
/* Records in a file are whole or absent: torn tails, damage, writers that are killed, writers at once. */
#include <signal.h>
#include <sys/wait.h>

#include "base/crc.h"
#include "core/record.h"
#include "file_fixture.h"

START_TEST(check_sum)
{
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    char zeros[32] = { 0 };
    ck_assert_uint_eq(crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720, B.4 */
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

static off_t raw_size(void)
{
    struct stat state;
    return stat(path, &state) == 0 ? state.st_size : -1;
}

/* Every other time at any point of a later append, else when the file begins to grow: in the middle of a write.
 * The wait is a spin, not a sleep, and any length will do. */
static void wait_for_the_moment(int round)
{
    int64_t end = clock_now() + (round % 2 ? TONG_SECOND : rand() % 600000);
    for (off_t size = raw_size(); clock_now() < end;)
        if (round % 2 && raw_size() != size)
            return;
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
        ck_assert_int_eq(read(report[0], &acknowledged, sizeof acknowledged), sizeof acknowledged);
        wait_for_the_moment(round);
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

int main(void)
{
    TCase *tests = tcase_create("record");
    tcase_add_test(tests, check_sum);
    tcase_add_loop_test(tests, torn_at_every_byte, 0, 2);
    tcase_add_test(tests, records_in_records);
    tcase_add_test(tests, damage);
    tcase_add_test(tests, writers_killed_in_the_middle);
    tcase_add_loop_test(tests, writers_at_once, 0, 2);
    return run_case(tests, "record");
}
