/* SPDX-License-Identifier: MIT */
/* Several processes and several threads at one conduit: fork, exec, writers that never interleave, clones. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "contract.h"

static char buffer[65536];

/* ---- fork ------------------------------------------------------------------------------------------------------- */

static void test_fork_refused(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_send(ends.sender, "111111", 6, NULL, TONG_SECOND));
    pid_t pid = frame_fork();
    if (pid == 0) {
        tong_channel_info info = TONG_CHANNEL_INFO_INIT;
        GIVES(tong_channel_send(ends.sender, "child", 5, NULL, 0), -EBADFD);
        GIVES(tong_channel_receive(ends.receiver, buffer, 8, NULL, 0), -EBADFD);
        GIVES(tong_channel_describe(ends.sender, &info), -EBADFD);
        GIVES(tong_channel_finish(ends.sender, 0), -EBADFD);
        tong_channel_close(ends.sender);
        tong_channel_close(ends.receiver);
        _exit(0);
    }
    frame_join(pid);
    /* The child's closing disturbed nothing here. */
    OK(tong_channel_send(ends.sender, "222222", 6, NULL, TONG_SECOND));
    receive_bytes(ends.receiver, buffer, 6);
    receive_bytes(ends.receiver, buffer + 6, 6);
    MUST(!memcmp(buffer, "111111222222", 12), "got '%.12s'", buffer);
    if (row->has & HAS_FULL)
        GIVES(tong_channel_receive(ends.receiver, buffer, 8, NULL, 0), -EAGAIN);
    ends_close(&ends);
}

static void test_after_fork(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_after_fork(ends.sender));
    pid_t pid = frame_fork();
    if (pid == 0) {
        OK(tong_channel_after_fork(ends.sender));
        OK(tong_channel_send(ends.sender, "child", 5, NULL, TONG_SECOND));
        tong_channel_close(ends.receiver);
        OK(tong_channel_close(ends.sender));
        _exit(0);
    }
    frame_join(pid);
    receive_bytes(ends.receiver, buffer, 5);
    MUST(!memcmp(buffer, "child", 5), "got '%.5s'", buffer);
    ends_close(&ends);
}

static void test_no_after_fork(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    pid_t pid = frame_fork();
    if (pid == 0) {
        GIVES(tong_channel_after_fork(ends.sender), -EOPNOTSUPP);
        tong_channel_close(ends.receiver);
        tong_channel_close(ends.sender);
        _exit(0);
    }
    frame_join(pid);
    OK(tong_channel_send(ends.sender, "123456", 6, NULL, TONG_SECOND));
    receive_bytes(ends.receiver, buffer, 6);
    ends_close(&ends);
}

/* Parent to child, child to parent, and between siblings: the pair was made for it. */
static void say(tong_channel *channel)
{
    OK(tong_channel_send(channel, "sibling", 7, NULL, TONG_SECOND));
    OK(tong_channel_close(channel));
}

static void hear(tong_channel *channel)
{
    receive_bytes(channel, buffer, 7);
    MUST(!memcmp(buffer, "sibling", 7), "got '%.7s'", buffer);
}

static void test_inherited_pair(const struct row *row)
{
    for (int who = 0; who < 3; who++) {
        struct ends ends;
        ends_open(&ends, row, NULL, 0);
        pid_t first = who != 0 ? frame_fork() : -1;
        if (first == 0) {
            tong_channel_close(ends.receiver);
            say(ends.sender);
            _exit(0);
        }
        pid_t second = who != 1 ? frame_fork() : -1;
        if (second == 0) {
            tong_channel_close(ends.sender);
            hear(ends.receiver);
            _exit(0);
        }
        if (who == 0) {
            say(ends.sender);
            ends.sender = NULL;
        }
        if (who == 1)
            hear(ends.receiver);
        if (first > 0)
            frame_join(first);
        if (second > 0)
            frame_join(second);
        ends_close(&ends);
    }
}

/* ---- exec --------------------------------------------------------------------------------------------------------- */

/* The heir is this very program, told by its arguments to be one (heir.h). */
static void become_heir(tong_channel *channel, bool sends)
{
    char address[64];
    OK(tong_channel_inherit(channel, address, sizeof address));
    MUST(!strncmp(address, "fd:", 3), "the heir's address is '%s'", address);
    execl("/proc/self/exe", "contract", "--heir", address, sends ? "send" : "receive", (char *)NULL);
    _exit(127);
}

static void test_heir_sends(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    pid_t pid = frame_fork();
    if (pid == 0)
        become_heir(ends.sender, true);
    tong_channel_close(ends.sender);
    ends.sender = NULL;
    receive_bytes(ends.receiver, buffer, 4);
    MUST(!memcmp(buffer, "heir", 4), "got '%.4s'", buffer);
    frame_join(pid);
    if (row->has & HAS_END)
        GIVES(tong_channel_receive(ends.receiver, buffer, 8, NULL, 5 * TONG_SECOND), -ENODATA);
    ends_close(&ends);
}

static void test_heir_receives(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    pid_t pid = frame_fork();
    if (pid == 0)
        become_heir(ends.receiver, false);
    tong_channel_close(ends.receiver);
    ends.receiver = NULL;
    OK(tong_channel_send(ends.sender, "heir", 4, NULL, TONG_SECOND));
    frame_join(pid);
    ends_close(&ends);
}

static void test_inherit_short(const struct row *row)
{
    struct ends ends;
    char address[3];
    ends_open(&ends, row, NULL, 0);
    GIVES(tong_channel_inherit(ends.sender, address, sizeof address), -ENAMETOOLONG);
    ends_close(&ends);
}

static void test_descriptor(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    int64_t fd = OK(tong_channel_descriptor(ends.sender, TONG_SEND));
    MUST(fcntl((int)fd, F_GETFD) == FD_CLOEXEC, "the descriptor is not closed on exec");
    GIVES(tong_channel_descriptor(ends.sender, TONG_RECEIVE), -EBADF);
    GIVES(tong_channel_descriptor(ends.sender, TONG_BOTH), -EINVAL);
    ends_close(&ends);
}

/* ---- Several writers ------------------------------------------------------------------------------------------------- */

#define WRITERS 3
#define WRITTEN 300

static uint64_t writer_limit;

/* Sizes on both sides of PIPE_BUF, in no order that two writers share. */
static size_t written_size(unsigned writer, unsigned number)
{
    size_t size = 8 + (number * 2711 + writer * 977) % 12000;
    return size > writer_limit ? 8 + size % (writer_limit - 8) : size;
}

static void write_all(tong_channel *channel, unsigned writer)
{
    static char data[16384];
    for (unsigned i = 0; i < WRITTEN; i++) {
        size_t size = written_size(writer, i);
        pattern_fill(data, size, writer * 1000003 + i);
        memcpy(data, (char[4]){ (char)('0' + writer), (char)('A' + i / 50), (char)('A' + i % 50), '-' }, 4);
        OK(tong_channel_send(channel, data, size, NULL, TONG_FOREVER));
    }
}

static void take_written(const char *data, size_t size, unsigned seen[WRITERS])
{
    unsigned writer = (unsigned)(data[0] - '0'), number = (unsigned)(data[1] - 'A') * 50 + (unsigned)(data[2] - 'A');
    MUST(size >= 4 && writer < WRITERS && data[3] == '-', "a message of no writer: '%.4s'", data);
    MUST(number == seen[writer], "writer %u: message %u came when %u was due", writer, number, seen[writer]);
    MUST(size == written_size(writer, number), "writer %u, message %u: %zu bytes", writer, number, size);
    char expected[16384];
    pattern_fill(expected, size, writer * 1000003 + number);
    MUST(!memcmp(data + 4, expected + 4, size - 4), "writer %u, message %u was torn", writer, number);
    seen[writer]++;
}

static void test_writers(const struct row *row)
{
    struct ends ends;
    pid_t pids[WRITERS];
    unsigned seen[WRITERS] = { 0 };
    ends_open(&ends, row, NULL, 0);
    writer_limit = row->has & HAS_TEARING ? PIPE_BUF - 1 : largest(ends.sender);
    for (unsigned i = 0; i < WRITERS; i++) {
        pids[i] = frame_fork();
        if (pids[i] == 0) {
            if (row->making != MAKE_PAIR) {
                tong_channel_close(ends.sender);
                ends_open_sender(&ends, 0);
            }
            write_all(ends.sender, i);
            finish_and_close(ends.sender);
            _exit(0);
        }
    }
    for (int i = 0; i < WRITERS * WRITTEN; i++) {
        int64_t r = tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 20 * TONG_SECOND);
        if (r == -ENODATA && row->has & HAS_SESSIONS) {
            i--; /* one of the writers has ended */
            continue;
        }
        take_written(buffer, (size_t)OK(r), seen);
    }
    for (int i = 0; i < WRITERS; i++)
        frame_join(pids[i]);
    ends_close(&ends);
}

/* A writer that dies in the middle takes only its own last message with it; lines have no such promise. */
static void test_writer_killed(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    writer_limit = largest(ends.sender);
    for (unsigned round = 0; round < 5; round++) {
        pid_t pid = frame_fork();
        if (pid == 0) {
            tong_channel_close(ends.sender);
            ends_open_sender(&ends, 0);
            for (;;)
                write_all(ends.sender, 1);
        }
        for (unsigned i = 0; i < 20 + round * 7; i++)
            OK(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 20 * TONG_SECOND));
        frame_kill(pid);
        int64_t r;
        while ((r = tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 0)) >= 0)
            MUST(buffer[0] == '1' && buffer[3] == '-', "a torn message was received");
        GIVES(r, -EAGAIN);
        OK(tong_channel_send(ends.sender, "still here", 10, NULL, TONG_SECOND));
        GIVES(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, TONG_SECOND), 10);
    }
    ends_close(&ends);
}

/* ---- Threads --------------------------------------------------------------------------------------------------------- */

#define EXCHANGED 3000

static void *send_numbers(void *argument)
{
    char text[16];
    for (int i = 0; i < EXCHANGED; i++) {
        int size = snprintf(text, sizeof text, "1%07d", i);
        OK(tong_channel_send(argument, text, (size_t)size, NULL, TONG_FOREVER));
    }
    return NULL;
}

static void *receive_numbers(void *argument)
{
    char text[16] = "", expected[16];
    for (int i = 0; i < EXCHANGED; i++) {
        receive_bytes(argument, text, 8);
        snprintf(expected, sizeof expected, "1%07d", i);
        MUST(!memcmp(text, expected, 8), "got '%.8s' for '%s'", text, expected);
    }
    return NULL;
}

static pthread_t start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, body, argument) == 0, "no thread");
    return thread;
}

/* One thread sends on a channel while another receives on the same one, at both ends. */
static void test_threads(const struct row *row)
{
    struct ends ends;
    bool both = row->has & HAS_BOTH;
    pthread_t threads[4];
    ends_open(&ends, row, NULL, both ? TONG_BOTH : 0);
    threads[0] = start(send_numbers, ends.sender);
    threads[1] = start(receive_numbers, ends.receiver);
    if (both) {
        threads[2] = start(send_numbers, ends.receiver);
        threads[3] = start(receive_numbers, ends.sender);
    }
    for (int i = 0; i < (both ? 4 : 2); i++)
        pthread_join(threads[i], NULL);
    ends_close(&ends);
}

#define CLONES 4
#define PER_CLONE 500

static atomic_int received_by_clones;
static atomic_int received_of[CLONES];

static void *send_from_clone(void *argument)
{
    static atomic_int numbers;
    int number = atomic_fetch_add(&numbers, 1);
    char data[300];
    for (int i = 0; i < PER_CLONE; i++) {
        memset(data, 'a' + number, sizeof data);
        OK(tong_channel_send(argument, data, sizeof data - (size_t)(i % 200), NULL, TONG_FOREVER));
    }
    return NULL;
}

static void *receive_from_clone(void *argument)
{
    char data[300];
    for (;;) {
        int64_t r = tong_channel_receive(argument, data, sizeof data, NULL, 50 * TONG_MILLISECOND);
        if (r == -ETIMEDOUT && atomic_load(&received_by_clones) == CLONES * PER_CLONE)
            return NULL;
        if (r == -ETIMEDOUT)
            continue;
        MUST(OK(r) >= 100, "a piece of %lld bytes", (long long)r);
        for (int64_t i = 1; i < r; i++)
            MUST(data[i] == data[0], "a message was torn");
        atomic_fetch_add(&received_of[data[0] - 'a'], 1);
        atomic_fetch_add(&received_by_clones, 1);
    }
}

static void test_clones(const struct row *row)
{
    struct ends ends;
    tong_channel *senders[CLONES], *receivers[CLONES];
    pthread_t threads[2 * CLONES];
    ends_open(&ends, row, NULL, 0);
    for (int i = 0; i < CLONES; i++) {
        OK(tong_channel_clone(ends.sender, &senders[i]));
        OK(tong_channel_clone(ends.receiver, &receivers[i]));
    }
    for (int i = 0; i < CLONES; i++) {
        threads[i] = start(send_from_clone, senders[i]);
        threads[CLONES + i] = start(receive_from_clone, receivers[i]);
    }
    for (int i = 0; i < 2 * CLONES; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CLONES; i++) {
        MUST(atomic_load(&received_of[i]) == PER_CLONE, "clone %d: %d messages arrived", i, atomic_load(&received_of[i]));
        OK(tong_channel_close(senders[i]));
        OK(tong_channel_close(receivers[i]));
    }
    OK(tong_channel_send(ends.sender, "still open", 10, NULL, TONG_SECOND));
    GIVES(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, TONG_SECOND), 10);
    ends_close(&ends);
}

const struct contract_test process_tests[] = {
    { "fork-refused", test_fork_refused, HAS_NO_FORKING, 0, 20 },
    { "after-fork", test_after_fork, TONG_HAS_AFTER_FORK, 0, 20 },
    { "no-after-fork", test_no_after_fork, HAS_NO_FORKING, TONG_HAS_AFTER_FORK, 20 },
    { "inherited-pair", test_inherited_pair, HAS_FORKING, 0, 20 },
    { "heir-sends", test_heir_sends, HAS_HEIRS, 0, 20 },
    { "heir-receives", test_heir_receives, HAS_HEIRS, 0, 20 },
    { "inherit-short", test_inherit_short, HAS_HEIRS, 0, 10 },
    { "descriptor", test_descriptor, TONG_HAS_DESCRIPTOR, 0, 10 },
    { "writers", test_writers, TONG_HAS_MANY_SENDERS | HAS_BOUNDARIES | HAS_TEXT, HAS_BOTH | HAS_LOSS, 60 },
    { "writer-killed", test_writer_killed, TONG_HAS_MANY_SENDERS | HAS_BOUNDARIES | HAS_ANY_BYTES | HAS_NAME, HAS_BOTH | HAS_LOSS, 60 },
    { "threads", test_threads, 0, 0, 60 },
    { "clones", test_clones, HAS_BOUNDARIES | HAS_TEXT, HAS_LOSS, 60 },
    { NULL, NULL, 0, 0, 0 },
};
