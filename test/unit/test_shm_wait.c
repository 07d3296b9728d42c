/* SPDX-License-Identifier: MIT */
/* shm: waiting: ends and deaths and how soon they are noticed, cancelling, signals, event loops. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "base/layout.h"
#include "shm_fixture.h"
#include "sys/sys.h"
#include "third.h"

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

/* ---- Ends and deaths ------------------------------------------------------------------------------------- */

START_TEST(an_end_stays)
{
    tong_channel *in = open_with("", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    send_text(out, "one");
    ck_assert_int_eq(tong_channel_finish(out, LONG), 0);
    ck_assert_int_eq(tong_channel_send(out, "", 0, NULL, 0), -EPIPE);
    expect_text(in, "one");
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(out);
    out = open_with("", TONG_SEND);
    send_text(out, "two");
    ck_assert_int_eq(try_receive(in, 0), -ENODATA);
    ck_assert_int_eq(try_receive(in, TONG_FOREVER), -ENODATA);
    tong_channel_close(in);
    in = open_with("", TONG_RECEIVE);
    expect_text(in, "two");
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(in, 0), -ENODATA);
    tong_channel_close(in);
    in = open_with("", TONG_RECEIVE);
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    tong_channel_close(in);
}
END_TEST

START_TEST(each_session_has_its_end)
{
    for (int session = 0; session < 2; session++) {
        tong_channel *out = open_with("", TONG_SEND);
        send_text(out, "two");
        tong_channel_close(out);
    }
    for (int session = 0; session < 2; session++) {
        tong_channel *in = open_with("", TONG_RECEIVE);
        expect_text(in, "two");
        ck_assert_int_eq(try_receive(in, 0), -ENODATA);
        tong_channel_close(in);
    }
}
END_TEST

/* Kills the child once it has sent `text` and stays. */
static void send_and_be_killed(const char *text)
{
    if (in_child()) {
        send_text(open_with("", TONG_SEND), text);
        say_and_stay();
    }
    await_word();
    kill(child, SIGKILL);
    reap(-SIGKILL);
}

static int ready(const struct pollfd *item, int64_t nanoseconds)
{
    struct pollfd copy = *item;
    return poll(&copy, 1, (int)(nanoseconds / MILLISECOND));
}

/* A ring looks around once a second, which may fall into any moment, but not into each. */
static void not_ready(tong_channel *in, const struct pollfd *item)
{
    for (int tries = 0; tries < 4 && ready(item, 20 * MILLISECOND); tries++)
        ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    ck_assert_int_eq(ready(item, 0), 0);
}

START_TEST(reconnecting_knows_no_end)
{
    tong_channel *in = open_with("?reconnect=yes", TONG_RECEIVE), *out;
    struct pollfd item;
    ck_assert_int_eq(tong_channel_pollfd(in, TONG_RECEIVE, &item), 0);
    for (int session = 0; session < 3; session++) {
        out = open_with("", TONG_SEND);
        send_text(out, "one");
        tong_channel_close(out);
        expect_text(in, "one");
        ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
        ck_assert_int_eq(try_receive(in, MILLISECOND), -ETIMEDOUT);
    }
    send_and_be_killed("half");
    expect_text(in, "half");
    ck_assert_int_eq(try_receive(in, 20 * MILLISECOND), -ETIMEDOUT);
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    not_ready(in, &item);
    out = open_with("", TONG_SEND);
    send_text(out, "next");
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    expect_text(in, "next");
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* Its mark is written only by the next sender, when another receiver has come. */
START_TEST(a_death_is_told_to_one_receiver)
{
    tong_channel *in = open_with("", TONG_RECEIVE);
    send_and_be_killed("half");
    expect_text(in, "half");
    ck_assert_int_eq(try_receive(in, LONG), -ECONNRESET);
    ck_assert_int_eq(try_receive(in, 0), -ECONNRESET);
    tong_channel_close(in);
    tong_channel *out = open_with("", TONG_SEND);
    in = open_with("", TONG_RECEIVE);
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    send_text(out, "next");
    expect_text(in, "next");
    tong_channel_close(out);
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

static void in_time(int milliseconds, int64_t (*noticed_after)(const void *))
{
    const int64_t bound = SLOWER * milliseconds * MILLISECOND, after = third_least(bound, noticed_after, NULL);
    ck_assert_msg(after < bound, "noticed after %lld ns", (long long)after);
}

static int64_t a_killed_sender_is_noticed_after(const void *unused)
{
    (void)unused;
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
    ck_assert_int_eq(tong_channel_peer(in, &peer), -ENOTCONN);
    reap(-SIGKILL);
    tong_channel_close(in);
    in = open_with("", TONG_RECEIVE);
    tong_channel *out = open_with("", TONG_SEND);
    send_text(out, "next");
    expect_text(in, "next");
    tong_channel_close(out);
    tong_channel_close(in);
    tong_remove(address);
    return after;
}

START_TEST(a_killed_sender_is_noticed)
{
    in_time(10, a_killed_sender_is_noticed_after);
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
    tong_channel_close(in);
    in = open_with("", TONG_RECEIVE);
    expect_text(in, "whole");
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(in);
}
END_TEST

static int64_t a_killed_receiver_is_noticed_after(const void *unused)
{
    (void)unused;
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
    tong_remove(address);
    return after;
}

START_TEST(a_killed_receiver_is_noticed)
{
    in_time(10, a_killed_receiver_is_noticed_after);
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

static int64_t a_cancel_is_noticed_after(const void *unused)
{
    (void)unused;
    tong_channel *out = open_with("", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    pthread_t thread;
    pthread_create(&thread, NULL, cancel, in);
    ck_assert_int_eq(try_receive(in, TONG_FOREVER), -ECANCELED);
    int64_t after = clock_now() - killed_at;
    pthread_join(thread, NULL);
    send_text(out, "still there");
    expect_text(in, "still there");
    ck_assert_int_eq(try_receive(in, TONG_FOREVER), -ECANCELED);
    tong_channel_close(out);
    tong_channel_close(in);
    tong_remove(address);
    return after;
}

START_TEST(cancelled)
{
    in_time(5, a_cancel_is_noticed_after);
}
END_TEST

static uint64_t depth_of(tong_channel *channel)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    ck_assert_int_eq(tong_channel_describe(channel, &info), 0);
    return info.depth;
}

/* Makes room for two messages at a time, sooner than the deadline of the batch, for all of it later: as long as none of the
 * last room is used there is no more, for who sends may have been kept from its processor. */
static atomic_bool sent;

static void *make_room_slowly(void *in)
{
    const struct timespec pause = { 0, 30000000 };
    char block[100];
    while (!atomic_load(&sent)) {
        nanosleep(&pause, NULL);
        uint64_t before = depth_of(in);
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(tong_channel_receive(in, block, sizeof block, NULL, 0), sizeof block);
        while (depth_of(in) <= before - 2 * sizeof block && !atomic_load(&sent))
            sched_yield();
    }
    return NULL;
}

START_TEST(a_batch_has_one_deadline)
{
    tong_channel *out = open_with("?capacity=4K", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    char block[100] = "";
    tong_batch batch[10];
    pthread_t thread;
    for (int i = 0; i < 10; i++)
        batch[i] = (tong_batch){ .size = sizeof *batch, .data = block, .length = sizeof block };
    while (tong_channel_send(out, block, sizeof block, NULL, 0) == 0)
        ;
    atomic_store(&sent, false);
    pthread_create(&thread, NULL, make_room_slowly, in);
    ck_assert_int_lt(tong_channel_send_batch(out, batch, 10, 100 * MILLISECOND), 10);
    atomic_store(&sent, true);
    pthread_join(thread, NULL);
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

/* Longer than a slice, so that it is the bell that wakes. */
static void *send_late(void *channel)
{
    const struct timespec while_it_sleeps = { 0, 20000000 };
    nanosleep(&while_it_sleeps, NULL);
    send_text(channel, "late");
    return NULL;
}

static void *make_room_late(void *channel)
{
    const struct timespec while_it_sleeps = { 0, 20000000 };
    nanosleep(&while_it_sleeps, NULL);
    char block[100];
    ck_assert_int_eq(tong_channel_receive(channel, block, sizeof block, NULL, 0), 100);
    return NULL;
}

START_TEST(the_bell_ends_long_waits)
{
    tong_channel *out = open_with("?capacity=4K", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    char block[100] = "";
    for (int turn = 0; turn < 3; turn++) {
        pthread_t thread;
        pthread_create(&thread, NULL, send_late, out);
        ck_assert_int_eq(try_receive(in, TONG_FOREVER), 4);
        pthread_join(thread, NULL);
        while (tong_channel_send(out, block, sizeof block, NULL, 0) == 0)
            ;
        pthread_create(&thread, NULL, make_room_late, in);
        ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, TONG_FOREVER), 0);
        pthread_join(thread, NULL);
        while (try_receive(in, 0) != -EAGAIN)
            tong_channel_receive(in, block, sizeof block, NULL, 0);
    }
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* Of the file of the channel, how many bytes this process has mapped with these rights. */
static uint64_t mapped(const char *rights)
{
    char line[512], path[80], file[256], are[8];
    unsigned long from, to;
    uint64_t bytes = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, are, file) == 4 && !strcmp(file, path) &&
            !strcmp(are, rights))
            bytes += to - from;
    fclose(maps);
    return bytes;
}

/* Of what the sender writes, a receiver may write the page with the word that it sleeps on, and nothing else; who only
 * watches, nothing. */
START_TEST(a_receiver_may_write_one_page)
{
    tong_channel *in = open_with("", TONG_RECEIVE);
    ck_assert_uint_eq(mapped("rw-s"), offsetof(struct layout_control, places));
    ck_assert_uint_ge(mapped("r--s"), sizeof(struct layout_control));
    tong_channel_close(in);
    ck_assert_uint_eq(mapped("rw-s"), 0);
    tong_remove(address);
    tong_channel *out = open_with("?deliver=broadcast", TONG_SEND);
    uint64_t ours = mapped("rw-s");
    in = open_with("?deliver=broadcast&readonly=yes", TONG_RECEIVE);
    ck_assert_uint_eq(mapped("rw-s"), ours);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

static atomic_int refusals, sleeps;

static int refuse_one_sleep(const char *call)
{
    if (strcmp(call, "futex_wait"))
        return 0;
    atomic_fetch_add(&sleeps, 1);
    return atomic_exchange(&refusals, 0) ? -EFAULT : 0;
}

/* As where the file was cut: the word is slept on where it can be read. */
START_TEST(a_page_that_is_gone_is_done_without)
{
    tong_channel *in = open_with("", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    atomic_store(&refusals, 1);
    sys_fault = refuse_one_sleep;
    ck_assert_int_eq(try_receive(in, MILLISECOND), -ETIMEDOUT);
    sys_fault = NULL;
    ck_assert_int_ge(atomic_load(&sleeps), 2);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

START_TEST(idle_ends_sleep)
{
    tong_channel *in = open_with("", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    ck_assert_int_eq(try_receive(in, 400 * MILLISECOND), -ETIMEDOUT);
    getrusage(RUSAGE_THREAD, &after);
    ck_assert_int_le(after.ru_nvcsw - before.ru_nvcsw, 20);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* Alone on a channel whose name is gone nobody waits for ever; two who have it open go on. */
START_TEST(a_removed_name_ends_a_lonely_wait)
{
    tong_channel *in = open_with("", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(try_receive(in, 1500 * MILLISECOND), -ETIMEDOUT);
    ck_assert_int_eq(tong_channel_send(out, "more", 4, NULL, 0), 0);
    ck_assert_int_eq(try_receive(in, 0), 4);
    tong_channel_close(out);
    tong_channel_close(in);
    in = open_with("", TONG_RECEIVE);
    ck_assert_int_eq(try_receive(in, 20 * MILLISECOND), -ETIMEDOUT);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(try_receive(in, TONG_FOREVER), -ESTALE);
    tong_channel_close(in);
}
END_TEST

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

static int64_t readiness_is_level_triggered_and_tells_of_death_after(const void *unused)
{
    (void)unused;
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
    ck_assert_int_eq(ready(&item, 0), 1);
    ck_assert_int_eq(try_receive(in, 0), -ECONNRESET);
    ck_assert_int_eq(ready(&item, 0), 1);
    reap(-SIGKILL);
    tong_channel_close(in);
    in = open_with("", TONG_RECEIVE);
    tong_channel *out = open_with("", TONG_SEND);
    ck_assert_int_eq(tong_channel_pollfd(in, TONG_RECEIVE, &item), 0);
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    not_ready(in, &item);
    tong_channel_finish(out, 0);
    ck_assert_int_eq(ready(&item, LONG), 1);
    ck_assert_int_eq(try_receive(in, 0), -ENODATA);
    ck_assert_int_eq(ready(&item, 0), 1);
    tong_channel_close(out);
    tong_channel_close(in);
    tong_remove(address);
    return after;
}

START_TEST(readiness_is_level_triggered_and_tells_of_death)
{
    in_time(10, readiness_is_level_triggered_and_tells_of_death_after);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_end_stays, each_session_has_its_end, reconnecting_knows_no_end, a_death_is_told_to_one_receiver,
        a_killed_sender_is_noticed, a_death_that_nobody_saw_is_marked,
        a_killed_receiver_is_noticed, a_forked_child_does_not_keep_us_alive, cancelled,
        a_batch_has_one_deadline, interrupted,
        the_bell_ends_long_waits, a_receiver_may_write_one_page, a_page_that_is_gone_is_done_without, idle_ends_sleep, a_removed_name_ends_a_lonely_wait,
        an_event_loop_misses_nothing, readiness_is_level_triggered_and_tells_of_death,
    };
    return run_tests("shm_wait", tests, sizeof tests / sizeof *tests);
}
