/* SPDX-License-Identifier: MIT */
/*
 * shm: through the public interface, between real processes.  Every test has a name of its own, counts
 * descriptors and the names in /dev/shm that carry it, and waits for conditions, never for luck.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/layout.h"
#include "sys/sys.h"
#include "tong/tong.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 5 /* sanitizers stretch everything, also the death of a process */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWER 5
#endif
#endif
#ifndef SLOWER
#define SLOWER 1
#endif
#define MILLISECOND INT64_C(1000000)
#define LONG (20 * 1000 * MILLISECOND) /* a wait that ends before, or the test fails */

static char address[64], name[48];
static int descriptors;

/* Entries of `directory` whose name contains `part`. */
static int count(const char *directory, const char *part)
{
    DIR *stream = opendir(directory);
    int found = 0;
    for (struct dirent *entry; (entry = readdir(stream)); )
        found += strstr(entry->d_name, part) != NULL;
    closedir(stream);
    return found;
}

static void set_up(void)
{
    snprintf(name, sizeof name, "test-%d", (int)getpid());
    snprintf(address, sizeof address, "shm:%s", name);
    descriptors = count("/proc/self/fd", "");
}

static void tear_down(void)
{
    tong_remove(address);
    ck_assert_int_eq(count("/dev/shm", name), 0);
    ck_assert_int_eq(count("/proc/self/fd", ""), descriptors);
}

static tong_channel *open_with(const char *options, uint32_t flags)
{
    char text[160];
    tong_channel *channel;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    ck_assert_msg(r == 0, "%s: %d %s", text, r, tong_detail());
    return channel;
}

static int refused(const char *options, uint32_t flags)
{
    char text[160];
    tong_channel *channel;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    ck_assert_msg(r < 0, "%s was opened", text);
    ck_assert_str_ne(tong_detail(), "");
    return r;
}

static void send_text(tong_channel *channel, const char *text)
{
    ck_assert_int_eq(tong_channel_send(channel, text, strlen(text), NULL, LONG), 0);
}

static void expect_text(tong_channel *channel, const char *text)
{
    char buffer[64];
    ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, NULL, LONG);
    ck_assert_msg(r == (ssize_t)strlen(text) && !memcmp(buffer, text, strlen(text)), "%zd instead of %s", r, text);
}

static ssize_t try_receive(tong_channel *channel, int64_t timeout)
{
    char buffer[64];
    return tong_channel_receive(channel, buffer, sizeof buffer, NULL, timeout);
}

/* A child that says through a pipe when it has come to where it is to be killed. */
static pid_t child;
static int said[2];

static bool in_child(void)
{
    ck_assert_int_eq(pipe(said), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    return child == 0;
}

static void say_and_stay(void)
{
    if (write(said[1], "x", 1) == 1)
        for (;;)
            pause();
    _exit(1);
}

static void await_word(void)
{
    char byte;
    close(said[1]);
    ck_assert_int_eq(read(said[0], &byte, 1), 1);
    close(said[0]);
}

static void reap(int expected)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), expected);
}

/* ---- Transfer -------------------------------------------------------------------------------------------- */

#define TRANSFER (UINT64_C(64) << 20)

static void fill(unsigned char *data, size_t size, uint64_t *state)
{
    for (size_t i = 0; i < size; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        data[i] = (unsigned char)(*state >> 56);
    }
}

static size_t size_at(uint64_t number)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 64, 4095, 4096, 4097, 65536, 1 << 20 };
    return sizes[number % (sizeof sizes / sizeof *sizes)];
}

static void transfer_out(void)
{
    tong_channel *channel;
    unsigned char *data = malloc(1 << 20);
    uint64_t state = 1, sent = 0;
    if (tong_channel_open(address, TONG_SEND, 0, &channel) < 0)
        _exit(1);
    for (uint64_t n = 0; sent < TRANSFER; sent += size_at(n++)) {
        tong_message message = TONG_MESSAGE_INIT;
        message.type = (int64_t)n;
        fill(data, size_at(n), &state);
        if (tong_channel_send(channel, data, size_at(n), &message, LONG) < 0)
            _exit(2);
    }
    free(data);
    _exit(tong_channel_close(channel) < 0 ? 3 : 0);
}

START_TEST(two_processes_move_64_mib)
{
    tong_channel *channel = open_with("", TONG_RECEIVE);
    unsigned char *data = malloc(1 << 20), *expected = malloc(1 << 20);
    uint64_t state = 1, number = 0, received = 0;
    ssize_t size;
    if (in_child())
        transfer_out();
    close(said[0]), close(said[1]);
    tong_message message = TONG_MESSAGE_INIT;
    while ((size = tong_channel_receive(channel, data, 1 << 20, &message, LONG)) >= 0) {
        ck_assert_int_eq(size, (ssize_t)size_at(number));
        ck_assert_int_eq(message.type, (int64_t)number++);
        fill(expected, (size_t)size, &state);
        ck_assert_int_eq(memcmp(data, expected, (size_t)size), 0);
        received += (uint64_t)size;
    }
    ck_assert_int_eq(size, -ENODATA);
    ck_assert_uint_ge(received, TRANSFER);
    reap(0);
    free(data), free(expected);
    tong_channel_close(channel);
}
END_TEST

START_TEST(filled_before_and_drained_after)
{
    tong_channel *channel = open_with("?capacity=64K", TONG_SEND);
    char block[1000] = "";
    int sent = 0, r, received = 0;
    while ((r = tong_channel_send(channel, block, sizeof block, NULL, 0)) == 0)
        sent++;
    ck_assert_int_eq(r, -EAGAIN);
    ck_assert_int_eq(tong_channel_send(channel, block, sizeof block, NULL, 2 * MILLISECOND), -ETIMEDOUT);
    ck_assert_int_eq(tong_channel_send(channel, block, 65536, NULL, 0), -EMSGSIZE);
    ck_assert_int_eq(tong_channel_close(channel), 0);
    channel = open_with("", TONG_RECEIVE);
    while (tong_channel_receive(channel, block, sizeof block, NULL, 0) == (ssize_t)sizeof block)
        received++;
    ck_assert_int_eq(received, sent);
    ck_assert_int_eq(try_receive(channel, 0), -EAGAIN);
    tong_channel_close(channel);
}
END_TEST

START_TEST(too_small_a_buffer_keeps_the_message)
{
    tong_channel *out = open_with("", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    tong_message message = TONG_MESSAGE_INIT;
    char buffer[4];
    send_text(out, "hello");
    ck_assert_int_eq(tong_channel_receive(in, buffer, sizeof buffer, &message, 0), -EMSGSIZE);
    ck_assert_uint_eq(message.length, 5);
    expect_text(in, "hello");
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

START_TEST(tokens)
{
    tong_channel *out = open_with("?capacity=4K", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    for (int turn = 0; turn < 200; turn++) {
        tong_token first = TONG_TOKEN_INIT, second = TONG_TOKEN_INIT;
        ck_assert_int_eq(tong_channel_reserve(out, 1000, 0, &first), 0);
        ck_assert_int_eq(tong_channel_reserve(out, 300, 0, &second), 0);
        for (unsigned i = 0; i < first.parts; i++)
            memset(first.span[i].data, 'a', first.span[i].size);
        for (unsigned i = 0; i < second.parts; i++)
            memset(second.span[i].data, 'b', second.span[i].size);
        ck_assert_int_eq(tong_channel_commit(out, &second, 301, NULL), -EINVAL);
        ck_assert_int_eq(tong_channel_commit(out, &second, 300, NULL), 0);
        ck_assert_int_eq(tong_channel_commit(out, &second, 300, NULL), -EINVAL);
        ck_assert_int_eq(tong_channel_finish(out, 0), -EBUSY);
        ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
        if (turn & 1)
            ck_assert_int_eq(tong_channel_abort(out, &first), 0);
        else
            ck_assert_int_eq(tong_channel_commit(out, &first, 777, NULL), 0);
        tong_token a = TONG_TOKEN_INIT, b = TONG_TOKEN_INIT;
        if (!(turn & 1))
            ck_assert_int_eq(tong_channel_peek(in, 0, NULL, &a), 777);
        ck_assert_int_eq(tong_channel_peek(in, 0, NULL, &b), 300);
        ck_assert_int_eq(*(char *)b.span[b.parts - 1].data, 'b');
        ck_assert_int_eq(tong_channel_release(in, &b), 0);
        ck_assert_int_eq(tong_channel_release(in, &b), -EINVAL);
        if (!(turn & 1))
            ck_assert_int_eq(tong_channel_release(in, &a), 0);
    }
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* ---- Ends and deaths ------------------------------------------------------------------------------------- */

START_TEST(each_session_ends_once)
{
    tong_channel *in = open_with("", TONG_RECEIVE), *out;
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    for (int session = 0; session < 3; session++) {
        out = open_with("", TONG_SEND);
        send_text(out, "one");
        ck_assert_int_eq(tong_channel_finish(out, LONG), 0);
        ck_assert_int_eq(tong_channel_send(out, "", 0, NULL, 0), -EPIPE);
        expect_text(in, "one");
        ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
        ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
        tong_channel_close(out);
        ck_assert_int_eq(try_receive(in, MILLISECOND), -ETIMEDOUT);
    }
    for (int session = 0; session < 2; session++) {
        out = open_with("", TONG_SEND);
        send_text(out, "two");
        tong_channel_close(out);
    }
    for (int session = 0; session < 2; session++) {
        expect_text(in, "two");
        ck_assert_int_eq(try_receive(in, 0), -ENODATA);
    }
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    tong_channel_close(in);
}
END_TEST

/* Kills the child while the caller is in `wait`; returns how long after the kill it took notice. */
static _Atomic int64_t killed_at;

static void *kill_child(void *unused)
{
    const struct timespec while_it_sleeps = { 0, 30000000 };
    nanosleep(&while_it_sleeps, NULL);
    killed_at = clock_now();
    kill(child, SIGKILL);
    return unused;
}

START_TEST(a_killed_sender_is_noticed)
{
    tong_channel *in = open_with("", TONG_RECEIVE);
    pthread_t killer;
    if (in_child()) {
        tong_channel *out = open_with("", TONG_SEND);
        tong_token token = TONG_TOKEN_INIT;
        send_text(out, "committed");
        tong_channel_reserve(out, 10, 0, &token);
        say_and_stay();
    }
    await_word();
    expect_text(in, "committed");
    tong_identity peer = TONG_IDENTITY_INIT;
    ck_assert_int_eq(tong_channel_peer(in, &peer), 0);
    ck_assert_int_eq(peer.pid, child);
    ck_assert_int_eq(tong_identity_alive(&peer), 1);
    pthread_create(&killer, NULL, kill_child, NULL);
    ck_assert_int_eq(try_receive(in, TONG_FOREVER), -ECONNRESET);
    int64_t after = clock_now() - killed_at;
    pthread_join(killer, NULL);
    ck_assert_msg(after < SLOWER * 10 * MILLISECOND, "noticed after %lld ns", (long long)after);
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_peer(in, &peer), -ENOTCONN);
    reap(-SIGKILL);
    tong_channel *out = open_with("", TONG_SEND);
    send_text(out, "next");
    expect_text(in, "next");
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

START_TEST(a_death_that_nobody_saw_is_marked)
{
    if (in_child()) {
        send_text(open_with("", TONG_SEND), "half");
        say_and_stay();
    }
    await_word();
    kill(child, SIGKILL);
    reap(-SIGKILL);
    tong_channel *out = open_with("", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    send_text(out, "whole");
    expect_text(in, "half");
    ck_assert_int_eq(try_receive(in, LONG), -ECONNRESET);
    expect_text(in, "whole");
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(in);
}
END_TEST

START_TEST(a_killed_receiver_is_noticed)
{
    tong_channel *out = open_with("?capacity=4K", TONG_SEND);
    pthread_t killer;
    int r;
    if (in_child()) {
        tong_token token = TONG_TOKEN_INIT;
        if (tong_channel_peek(open_with("", TONG_RECEIVE), LONG, NULL, &token) == 100)
            say_and_stay();
        _exit(1);
    }
    char block[100] = "";
    ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, LONG), 0);
    await_word();
    while ((r = tong_channel_send(out, block, sizeof block, NULL, 0)) == 0)
        ;
    ck_assert_int_eq(r, -EAGAIN);
    pthread_create(&killer, NULL, kill_child, NULL);
    ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, TONG_FOREVER), -EPIPE);
    int64_t after = clock_now() - killed_at;
    pthread_join(killer, NULL);
    ck_assert_msg(after < SLOWER * 10 * MILLISECOND, "noticed after %lld ns", (long long)after);
    reap(-SIGKILL);
    tong_channel *in = open_with("", TONG_RECEIVE);
    tong_message message = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_receive(in, block, sizeof block, &message, 0), 100);
    ck_assert_uint_eq(message.flags, TONG_MESSAGE_REDELIVERED);
    ck_assert_int_eq(tong_channel_receive(in, block, sizeof block, &message, 0), 100);
    ck_assert_uint_eq(message.flags, 0);
    ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 0), 0);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

START_TEST(a_forked_child_does_not_keep_us_alive)
{
    tong_channel *in = open_with("", TONG_RECEIVE);
    int hold[2];
    ck_assert_int_eq(pipe(hold), 0);
    if (in_child()) {
        tong_channel *out = open_with("", TONG_SEND);
        pid_t heir = fork();
        if (heir == 0) {
            char byte;
            close(hold[1]);
            ck_assert_int_eq(tong_channel_send(out, "", 0, NULL, 0), -EBADFD);
            ck_assert_int_eq(write(said[1], "x", 1), 1);
            close(said[1]);
            _exit(read(hold[0], &byte, 1) == 0 && tong_channel_close(out) == 0 ? 0 : 1);
        }
        for (;;)
            pause();
    }
    await_word();
    kill(child, SIGKILL);
    ck_assert_int_eq(try_receive(in, LONG), -ECONNRESET);
    reap(-SIGKILL);
    close(hold[0]), close(hold[1]);
    tong_channel_close(in);
}
END_TEST

/* ---- Waiting --------------------------------------------------------------------------------------------- */

static void *cancel(void *channel)
{
    const struct timespec while_it_sleeps = { 0, 20000000 };
    nanosleep(&while_it_sleeps, NULL);
    killed_at = clock_now();
    ck_assert_int_eq(tong_channel_cancel(channel), 0);
    return NULL;
}

START_TEST(cancelled)
{
    tong_channel *out = open_with("", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    pthread_t thread;
    pthread_create(&thread, NULL, cancel, in);
    ck_assert_int_eq(try_receive(in, TONG_FOREVER), -ECANCELED);
    int64_t after = clock_now() - killed_at;
    pthread_join(thread, NULL);
    ck_assert_msg(after < SLOWER * 5 * MILLISECOND, "noticed after %lld ns", (long long)after);
    send_text(out, "still there");
    expect_text(in, "still there");
    ck_assert_int_eq(try_receive(in, TONG_FOREVER), -ECANCELED);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

static void caught(int signal)
{
    (void)signal;
}

static void *interrupt(void *thread)
{
    atomic_bool *stop = ((void **)thread)[1];
    while (!atomic_load(stop)) {
        const struct timespec pause = { 0, 10000000 };
        nanosleep(&pause, NULL);
        pthread_kill(*(pthread_t *)((void **)thread)[0], SIGUSR1);
    }
    return NULL;
}

START_TEST(interrupted)
{
    tong_channel *in = open_with("", TONG_RECEIVE);
    struct sigaction action = { .sa_handler = caught, .sa_flags = SA_RESTART };
    pthread_t thread, self = pthread_self();
    atomic_bool stop = false;
    void *arguments[] = { &self, &stop };
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, interrupt, arguments);
    ck_assert_int_eq(try_receive(in, LONG), -EINTR);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    tong_channel_close(in);
}
END_TEST

static int ready(const struct pollfd *item, int64_t nanoseconds)
{
    struct pollfd copy = *item;
    return poll(&copy, 1, (int)(nanoseconds / MILLISECOND));
}

/* As an event loop does: polls, then receives without blocking until there is nothing. */
START_TEST(an_event_loop_misses_nothing)
{
    tong_channel *in = open_with("?capacity=16K", TONG_RECEIVE);
    struct pollfd item;
    uint64_t expected = 0, value;
    ck_assert_int_eq(tong_channel_pollfd(in, TONG_RECEIVE, &item), 0);
    if (in_child()) {
        tong_channel *out = open_with("", TONG_SEND);
        struct pollfd room;
        int r = tong_channel_pollfd(out, TONG_SEND, &room);
        for (value = 0; r == 0 && value < 20000; ) {
            r = tong_channel_send(out, &value, sizeof value, NULL, 0);
            value += r == 0;
            if (r == -EAGAIN)
                r = ready(&room, LONG) == 1 ? 0 : -ETIMEDOUT;
        }
        _exit(r < 0 || tong_channel_close(out) < 0);
    }
    close(said[0]), close(said[1]);
    ssize_t r = 0;
    while (r != -ENODATA) {
        ck_assert_int_eq(ready(&item, LONG), 1);
        while ((r = tong_channel_receive(in, &value, sizeof value, NULL, 0)) == sizeof value)
            ck_assert_uint_eq(value, expected++);
        ck_assert(r == -EAGAIN || r == -ENODATA);
    }
    ck_assert_uint_eq(expected, 20000);
    reap(0);
    tong_channel_close(in);
}
END_TEST

START_TEST(readiness_is_level_triggered_and_tells_of_death)
{
    tong_channel *in = open_with("", TONG_RECEIVE);
    struct pollfd item;
    ck_assert_int_eq(tong_channel_pollfd(in, TONG_RECEIVE, &item), 0);
    if (in_child()) {
        tong_channel *out = open_with("", TONG_SEND);
        send_text(out, "a");
        send_text(out, "b");
        say_and_stay();
    }
    await_word();
    ck_assert_int_eq(ready(&item, LONG), 1);
    expect_text(in, "a");
    ck_assert_int_eq(ready(&item, 0), 1);
    expect_text(in, "b");
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    ck_assert_int_eq(ready(&item, 0), 0);
    pthread_t killer;
    pthread_create(&killer, NULL, kill_child, NULL);
    ck_assert_int_eq(ready(&item, LONG), 1);
    int64_t after = clock_now() - killed_at;
    ck_assert_int_eq(try_receive(in, 0), -ECONNRESET);
    pthread_join(killer, NULL);
    ck_assert_msg(after < SLOWER * 10 * MILLISECOND, "noticed after %lld ns", (long long)after);
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    ck_assert_int_eq(ready(&item, 20 * MILLISECOND), 0);
    reap(-SIGKILL);
    tong_channel *out = open_with("", TONG_SEND);
    send_text(out, "c");
    ck_assert_int_eq(ready(&item, LONG), 1);
    expect_text(in, "c");
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    tong_channel_finish(out, 0);
    ck_assert_int_eq(ready(&item, LONG), 1);
    ck_assert_int_eq(try_receive(in, 0), -ENODATA);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* ---- Names ----------------------------------------------------------------------------------------------- */

START_TEST(places_are_taken_once)
{
    tong_channel *out = open_with("", TONG_SEND);
    char pid[32];
    ck_assert_int_eq(refused("", TONG_SEND), -EBUSY);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    ck_assert_ptr_nonnull(strstr(tong_detail(), pid));
    tong_channel *in = open_with("", TONG_RECEIVE);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EBUSY);
    tong_channel_close(out);
    tong_channel_close(open_with("", TONG_SEND));
    tong_channel_close(in);
}
END_TEST

START_TEST(creation)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    ck_assert_int_eq(refused("?create=no", TONG_SEND), -ENOENT);
    tong_channel *out = open_with("?create=excl&capacity=5000", TONG_SEND);
    ck_assert_int_eq(tong_channel_describe(out, &info), 0);
    ck_assert(info.flags & TONG_INFO_CREATED);
    ck_assert_uint_eq(info.capacity, 8192);
    ck_assert_int_eq(refused("?create=excl", TONG_RECEIVE), -EEXIST);
    tong_channel *in = open_with("?create=no", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_describe(in, &info), 0);
    ck_assert(!(info.flags & TONG_INFO_CREATED));
    ck_assert_int_eq(count("/dev/shm", name), 4);
    char path[96];
    struct stat status;
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(count("/dev/shm", name), 0);
    send_text(out, "those who have it keep it");
    expect_text(in, "those who have it keep it");
    ck_assert_int_eq(tong_remove(address), -ENOENT);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

START_TEST(removal)
{
    tong_channel *out = open_with("?remove=owner", TONG_SEND), *in = open_with("?remove=owner", TONG_RECEIVE);
    tong_channel_close(in);
    ck_assert_int_eq(count("/dev/shm", name), 4);
    tong_channel_close(out);
    ck_assert_int_eq(count("/dev/shm", name), 0);
    out = open_with("?remove=last", TONG_SEND), in = open_with("?remove=last", TONG_RECEIVE);
    tong_channel_close(out);
    ck_assert_int_eq(count("/dev/shm", name), 4);
    tong_channel_close(in);
    ck_assert_int_eq(count("/dev/shm", name), 0);
}
END_TEST

START_TEST(bad_names)
{
    static const char *const bad[] = { "shm:", "shm:a/b", "shm:.hidden", "shm:..", "shm:a%0ab", "shm:a?capacity=1",
                                       "shm:a?capacity=2G", "shm:a?deliver=broadcast", "shm:a?mode=0777", "shm:a,b" };
    tong_channel *channel;
    char text[300];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(tong_channel_open(bad[i], TONG_SEND, 0, &channel), -EINVAL);
    snprintf(text, sizeof text, "shm:%0201d", 0);
    ck_assert_int_eq(tong_channel_open(text, TONG_SEND, 0, &channel), -ENAMETOOLONG);
    ck_assert_int_eq(refused("", TONG_BOTH), -EOPNOTSUPP);
}
END_TEST

/* Puts `size` bytes under the name. */
static void plant(const void *data, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

START_TEST(foreign_objects)
{
    char path[96];
    struct layout_header header;
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    plant("", 0);
    ck_assert_int_eq(refused("", TONG_SEND), -EEXIST);
    char notes[300];
    memset(notes, 'n', sizeof notes);
    plant(notes, sizeof notes);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EEXIST);
    ck_assert_int_eq(tong_remove(address), -EEXIST);
    layout_prepare(&header, LAYOUT_KIND_SENDERS, 1, 1 << 20);
    plant(&header, sizeof header);
    ck_assert_int_eq(refused("", TONG_SEND), -EPROTO);
    header.version++;
    plant(&header, sizeof header);
    ck_assert_int_eq(refused("", TONG_SEND), -EPROTO);
    ck_assert_int_eq(tong_remove(address), -EPROTO);
    unlink(path);
    ck_assert_int_eq(symlink("/etc/hostname", path), 0);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EEXIST);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EEXIST);
    ck_assert_int_eq(refused("", TONG_SEND), -EEXIST);
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(refused("", TONG_SEND), -EEXIST);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EEXIST);
    rmdir(path);
}
END_TEST

/* A peer that changes cursors under a live channel. */
START_TEST(a_hostile_peer_is_an_error)
{
    char path[96], text[8] = "";
    tong_channel *out = open_with("?capacity=4K", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    int fd = open(path, O_RDWR);
    struct layout_control *control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(control, MAP_FAILED);
    close(fd);
    atomic_store(&control->cursor, 1 << 20);
    ck_assert_int_eq(tong_channel_receive(in, text, sizeof text, NULL, LONG), -EBADMSG);
    ck_assert_int_eq(tong_channel_receive(in, text, sizeof text, NULL, LONG), -EBADMSG);
    tong_channel_close(in);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EPROTO);
    munmap(control, sizeof *control);
    tong_channel_close(out);
}
END_TEST

/* ---- Every system call fails ----------------------------------------------------------------------------- */

static int calls, failing;

static int inject(const char *call)
{
    (void)call;
    return ++calls == failing ? -EIO : 0;
}

static void one_life(void)
{
    tong_channel *out = NULL, *in = NULL;
    struct pollfd item;
    char text[8];
    sys_fault = inject;
    calls = 0;
    if (tong_channel_open(address, TONG_SEND, 0, &out) == 0 && tong_channel_open(address, TONG_RECEIVE, 0, &in) == 0 &&
        tong_channel_pollfd(in, TONG_RECEIVE, &item) == 0 && tong_channel_send(out, "x", 1, NULL, 0) == 0) {
        tong_channel_receive(in, text, sizeof text, NULL, 0);
        tong_channel_receive(in, text, sizeof text, NULL, 0);
    }
    if (!out && calls >= failing)
        ck_assert_msg(count("/dev/shm", name) == 0, "an open that fails by call %d leaves a name behind", failing);
    tong_channel_close(out);
    tong_channel_close(in);
    sys_fault = NULL;
}

START_TEST(every_system_call_fails_once)
{
    failing = 0;
    one_life();
    int total = calls;
    ck_assert_int_gt(total, 20);
    ck_assert_int_eq(tong_remove(address), 0);
    int left = count("/proc/self/fd", "");
    for (failing = 1; failing <= total; failing++) {
        one_life();
        tong_remove(address);
        ck_assert_msg(count("/dev/shm", name) == 0, "call %d leaves a name behind", failing);
        ck_assert_msg(count("/proc/self/fd", "") == left, "call %d leaves a descriptor behind", failing);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        two_processes_move_64_mib, filled_before_and_drained_after, too_small_a_buffer_keeps_the_message, tokens,
        each_session_ends_once, a_killed_sender_is_noticed, a_death_that_nobody_saw_is_marked,
        a_killed_receiver_is_noticed, a_forked_child_does_not_keep_us_alive, cancelled, interrupted,
        an_event_loop_misses_nothing, readiness_is_level_triggered_and_tells_of_death, places_are_taken_once, creation,
        removal, bad_names, foreign_objects, a_hostile_peer_is_an_error, every_system_call_fails_once,
    };
    Suite *suite = suite_create("shm");
    TCase *all = tcase_create("shm");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
