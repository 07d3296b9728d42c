/* SPDX-License-Identifier: MIT */
/* Waiting: not at all, for a while, for ever; ended by a cancel or a signal; and readiness in its place. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "contract.h"

#define PIECE 1000

/* How late a wait may end on a machine that is doing other things. */
#define LATE (5 * TONG_SECOND)

#define GLANCES 3 /* of a row that has them, one after another on such a machine */

static char buffer[65536];

/* ---- Not at all, or for a while --------------------------------------------------------------------------------- */

static void test_empty(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    GIVES(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    MUST(*tong_detail(), "-EAGAIN says nothing");
    ends_close(&ends);
}

/* Everything that was accepted before it was full arrives, and then there is room again. */
static void test_full(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    int count = fill(ends.sender, PIECE);
    MUST(count > 0, "full at once");
    if (row->has & HAS_BOUNDARIES) {
        for (int i = 0; i < count - 1; i++)
            GIVES(tong_channel_receive(ends.receiver, buffer, PIECE, NULL, TONG_SECOND), PIECE);
        /* The rest of the last may be kept on the sending side until its next call. */
        OK(tong_channel_send(ends.sender, "more", 4, NULL, TONG_SECOND));
        GIVES(tong_channel_receive(ends.receiver, buffer, PIECE, NULL, TONG_SECOND), PIECE);
        GIVES(tong_channel_receive(ends.receiver, buffer, PIECE, NULL, TONG_SECOND), 4);
    } else {
        while (tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 0) > 0)
            ;
    }
    GIVES(tong_channel_receive(ends.receiver, buffer, PIECE, NULL, 0), -EAGAIN);
    OK(tong_channel_send(ends.sender, buffer, PIECE, NULL, 0));
    ends_close(&ends);
}

static void expect_timeout(int64_t result, int64_t began, int64_t timeout)
{
    int64_t took = frame_now() - began;
    GIVES(result, -ETIMEDOUT);
    MUST(took >= timeout, "timed out after %lld ns of %lld", (long long)took, (long long)timeout);
    MUST(took < timeout + LATE, "timed out only after %lld ns", (long long)took);
}

static void test_timeout(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    for (int64_t timeout = 1; timeout <= 30 * TONG_MILLISECOND; timeout = timeout * 30 + 100000) {
        int64_t began = frame_now();
        expect_timeout(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, timeout), began, timeout);
    }
    ends_close(&ends);
}

static void test_timeout_full(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    fill(ends.sender, PIECE);
    int64_t timeout = 30 * TONG_MILLISECOND, began = frame_now();
    expect_timeout(tong_channel_send(ends.sender, buffer, PIECE, NULL, timeout), began, timeout);
    ends_close(&ends);
}

/* full=fail says so at once, whatever the timeout; full=drop says nothing and counts. */
static void test_full_fail(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, "full=fail", 0);
    fill(ends.sender, PIECE);
    GIVES(tong_channel_send(ends.sender, buffer, PIECE, NULL, TONG_FOREVER), -EAGAIN);
    ends_close(&ends);
}

static void test_full_drop(const struct row *row)
{
    struct ends ends;
    const int sent = 20000;
    int received = 0;
    ends_open(&ends, row, "full=drop", 0);
    for (int i = 0; i < sent; i++)
        OK(tong_channel_send(ends.sender, buffer, PIECE, NULL, TONG_FOREVER));
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    OK(tong_channel_describe(ends.sender, &info));
    MUST(info.dropped > 0, "nothing is said to have been dropped");
    while (tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 0) == PIECE)
        received++;
    /* One may be kept on the sending side, half gone. */
    int missing = sent - received - (int)info.dropped;
    MUST(missing == 0 || missing == 1, "%d sent, %d received, %d counted as dropped", sent, received, (int)info.dropped);
    ends_close(&ends);
}

/* ---- In a thread that waits ---------------------------------------------------------------------------------------- */

struct waiter {
    pthread_t thread;
    tong_channel *channel;
    int64_t timeout;
    bool sends;
    atomic_int tid, done;
    int64_t result;
};

static void *wait_in_thread(void *argument)
{
    struct waiter *waiter = argument;
    static _Thread_local char data[PIECE];
    atomic_store(&waiter->tid, (int)syscall(SYS_gettid));
    waiter->result = waiter->sends ? tong_channel_send(waiter->channel, data, PIECE, NULL, waiter->timeout)
                                   : tong_channel_receive(waiter->channel, data, PIECE, NULL, waiter->timeout);
    atomic_store(&waiter->done, 1);
    return NULL;
}

/* Starts a thread that waits on `channel`, and returns when it sleeps. */
static void start_waiter(struct waiter *waiter, tong_channel *channel, bool sends, int64_t timeout)
{
    *waiter = (struct waiter){ .channel = channel, .sends = sends, .timeout = timeout };
    MUST(pthread_create(&waiter->thread, NULL, wait_in_thread, waiter) == 0, "no thread");
    while (!atomic_load(&waiter->tid))
        usleep(1000);
    frame_asleep(0, atomic_load(&waiter->tid));
}

static int64_t join_waiter(struct waiter *waiter)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 8;
    MUST(pthread_timedjoin_np(waiter->thread, NULL, &until) == 0, "the waiting call did not end");
    return waiter->result;
}

/* A wait for ever ends when the message comes. */
static void test_forever(const struct row *row)
{
    struct ends ends;
    struct waiter waiter;
    ends_open(&ends, row, NULL, 0);
    start_waiter(&waiter, ends.receiver, false, TONG_FOREVER);
    OK(tong_channel_send(ends.sender, "123", 3, NULL, TONG_SECOND));
    GIVES(join_waiter(&waiter), 3);
    ends_close(&ends);
}

static void test_room(const struct row *row)
{
    struct ends ends;
    struct waiter waiter;
    ends_open(&ends, row, NULL, 0);
    fill(ends.sender, PIECE);
    start_waiter(&waiter, ends.sender, true, TONG_FOREVER);
    int64_t deadline = frame_now() + 10 * TONG_SECOND;
    while (pthread_tryjoin_np(waiter.thread, NULL) != 0) {
        tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, TONG_MILLISECOND);
        MUST(frame_now() < deadline, "the sender was not woken by room");
    }
    GIVES(waiter.result, 0);
    ends_close(&ends);
}

/* ---- Cancelling ------------------------------------------------------------------------------------------------------ */

static void test_cancel_before(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, TONG_CANCELLABLE);
    OK(tong_channel_send(ends.sender, "54321", 5, NULL, TONG_SECOND));
    OK(tong_channel_cancel(ends.receiver));
    /* What is there can still be received; only waiting is over. */
    GIVES(tong_channel_receive(ends.receiver, buffer, 5, NULL, TONG_FOREVER), 5);
    GIVES(tong_channel_receive(ends.receiver, buffer, 5, NULL, TONG_FOREVER), -ECANCELED);
    GIVES(tong_channel_receive(ends.receiver, buffer, 5, NULL, TONG_SECOND), -ECANCELED);
    ends_close(&ends);
}

static void test_cancel_full(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, TONG_CANCELLABLE);
    OK(tong_channel_cancel(ends.sender));
    OK(tong_channel_send(ends.sender, "room", 4, NULL, TONG_FOREVER));
    fill(ends.sender, PIECE);
    GIVES(tong_channel_send(ends.sender, buffer, PIECE, NULL, TONG_FOREVER), -ECANCELED);
    ends_close(&ends);
}

static void test_cancel_during(const struct row *row)
{
    static const int64_t timeouts[] = { TONG_FOREVER, 60 * TONG_SECOND };
    for (int i = 0; i < 2; i++) {
        struct ends ends;
        struct waiter waiter;
        ends_open(&ends, row, NULL, TONG_CANCELLABLE);
        start_waiter(&waiter, ends.receiver, false, timeouts[i]);
        OK(tong_channel_cancel(ends.receiver));
        GIVES(join_waiter(&waiter), -ECANCELED);
        ends_close(&ends);
    }
}

static void test_cancel_during_full(const struct row *row)
{
    struct ends ends;
    struct waiter waiter;
    ends_open(&ends, row, NULL, TONG_CANCELLABLE);
    fill(ends.sender, PIECE);
    start_waiter(&waiter, ends.sender, true, TONG_FOREVER);
    OK(tong_channel_cancel(ends.sender));
    GIVES(join_waiter(&waiter), -ECANCELED);
    ends_close(&ends);
}

static tong_channel *cancelled_in_handler;

static void cancel_in_handler(int signal)
{
    (void)signal;
    tong_channel_cancel(cancelled_in_handler);
}

/* From a signal handler that runs in the waiting thread itself: the signal and the cancel both end the wait. */
static void test_cancel_in_handler(const struct row *row)
{
    struct ends ends;
    struct waiter waiter;
    struct sigaction action = { .sa_handler = cancel_in_handler, .sa_flags = SA_RESTART };
    sigaction(SIGUSR1, &action, NULL);
    ends_open(&ends, row, NULL, TONG_CANCELLABLE);
    cancelled_in_handler = ends.receiver;
    start_waiter(&waiter, ends.receiver, false, TONG_FOREVER);
    pthread_kill(waiter.thread, SIGUSR1);
    int64_t r = join_waiter(&waiter);
    MUST(r == -ECANCELED || r == -EINTR, "the wait gave %lld", (long long)r);
    GIVES(tong_channel_receive(ends.receiver, buffer, 5, NULL, TONG_FOREVER), -ECANCELED);
    ends_close(&ends);
}

/* ---- Signals ----------------------------------------------------------------------------------------------------------- */

static void ignore(int signal)
{
    (void)signal;
}

/* A wait made of slices can be between two of them when the signal comes, as it can be just before the call in
 * any wait; so the signal comes a few times. */
static void interrupt(tong_channel *channel, bool sends, int64_t timeout)
{
    struct waiter waiter;
    start_waiter(&waiter, channel, sends, timeout);
    for (int i = 0; i < 5 && !atomic_load(&waiter.done); i++) {
        pthread_kill(waiter.thread, SIGUSR1);
        for (int k = 0; k < 50 && !atomic_load(&waiter.done); k++)
            usleep(1000);
    }
    GIVES(join_waiter(&waiter), -EINTR);
}

static void test_signal(const struct row *row)
{
    struct ends ends;
    struct sigaction action = { .sa_handler = ignore };
    sigaction(SIGUSR1, &action, NULL);
    ends_open(&ends, row, NULL, 0);
    interrupt(ends.receiver, false, TONG_FOREVER);
    interrupt(ends.receiver, false, 60 * TONG_SECOND);
    OK(tong_channel_send(ends.sender, "12345", 5, NULL, TONG_SECOND));
    GIVES(tong_channel_receive(ends.receiver, buffer, 5, NULL, TONG_SECOND), 5);
    ends_close(&ends);
}

static void test_signal_full(const struct row *row)
{
    struct ends ends;
    struct sigaction action = { .sa_handler = ignore };
    sigaction(SIGUSR1, &action, NULL);
    ends_open(&ends, row, NULL, 0);
    fill(ends.sender, PIECE);
    interrupt(ends.sender, true, TONG_FOREVER);
    interrupt(ends.sender, true, 60 * TONG_SECOND);
    ends_close(&ends);
}

/* ---- Readiness ---------------------------------------------------------------------------------------------------------- */

/* What epoll says now; level-triggered, so it may be asked again and again. */
static bool ready_by_epoll(const struct pollfd *item, int timeout)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = (uint32_t)item->events }, got;
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, item->fd, &event) == 0, "epoll_ctl: %s", strerror(errno));
    int count = epoll_wait(epoll, &got, 1, timeout);
    close(epoll);
    return count > 0;
}

static bool ready(tong_channel *channel, uint32_t direction, int timeout)
{
    struct pollfd item;
    OK(tong_channel_pollfd(channel, direction, &item));
    MUST(item.fd >= 0 && item.events, "pollfd gave nothing to poll");
    bool by_epoll = ready_by_epoll(&item, timeout);
    bool by_poll = poll(&item, 1, by_epoll ? 0 : timeout) > 0;
    MUST(by_poll || !by_epoll, "epoll says ready and poll does not");
    return by_poll;
}

/* How often it may be ready for nothing: a look around may fall into any moment, but not into each. */
static int glances(const struct row *row)
{
    return row->has & HAS_GLANCES ? GLANCES : 0;
}

/* Nothing is there, or no room.  An event loop must not spin, so readiness must end once a call has said so. */
static void must_not_be_ready(const struct row *row, tong_channel *channel, uint32_t direction, const char *why)
{
    if (row->has & HAS_SPURIOUS)
        return;
    for (int tries = 0; ready(channel, direction, 20); tries++) {
        MUST(tries < glances(row), "ready %s", why);
        GIVES(direction == TONG_SEND ? tong_channel_send(channel, buffer, PIECE, NULL, 0)
                                     : tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    }
}

static void drain(tong_channel *channel)
{
    int64_t r;
    while ((r = tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0)) >= 0)
        ;
    GIVES(r, -EAGAIN);
}

static void test_ready(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    ready(ends.receiver, TONG_RECEIVE, 0);
    drain(ends.receiver);
    must_not_be_ready(row, ends.receiver, TONG_RECEIVE, "with nothing there");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            OK(tong_channel_send(ends.sender, "111", 3, NULL, TONG_SECOND));
        for (int i = 0; i < 3; i++) {
            MUST(ready(ends.receiver, TONG_RECEIVE, 5000), "not ready with %d messages left", 3 - i);
            if (row->has & HAS_BOUNDARIES)
                GIVES(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 0), 3);
            else
                receive_bytes(ends.receiver, buffer, 3);
        }
        GIVES(tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 0), -EAGAIN);
        must_not_be_ready(row, ends.receiver, TONG_RECEIVE, "with nothing left");
    }
    ends_close(&ends);
}

/* Asked for only after a message was read ahead: it lies in our own buffer, where the kernel cannot see it. */
static void test_ready_late(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_send(ends.sender, "111", 3, NULL, TONG_SECOND));
    OK(tong_channel_send(ends.sender, "222", 3, NULL, TONG_SECOND));
    receive_bytes(ends.receiver, buffer, 3);
    MUST(ready(ends.receiver, TONG_RECEIVE, 5000), "not ready with a message left");
    receive_bytes(ends.receiver, buffer, 3);
    drain(ends.receiver);
    must_not_be_ready(row, ends.receiver, TONG_RECEIVE, "with nothing left");
    ends_close(&ends);
}

/* A message kept because the buffer was too small is still there to be ready for. */
static void test_ready_kept(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    ready(ends.receiver, TONG_RECEIVE, 0);
    OK(tong_channel_send(ends.sender, "87654321", 8, NULL, TONG_SECOND));
    GIVES(tong_channel_receive(ends.receiver, buffer, 3, NULL, TONG_SECOND), -EMSGSIZE);
    MUST(ready(ends.receiver, TONG_RECEIVE, 5000), "not ready with a kept message");
    GIVES(tong_channel_receive(ends.receiver, buffer, 8, NULL, 0), 8);
    ends_close(&ends);
}

static void test_ready_end(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    ready(ends.receiver, TONG_RECEIVE, 0);
    OK(tong_channel_send(ends.sender, "last", 4, NULL, TONG_SECOND));
    OK(tong_channel_close(ends.sender));
    ends.sender = NULL;
    MUST(ready(ends.receiver, TONG_RECEIVE, 5000), "not ready with a message left");
    receive_bytes(ends.receiver, buffer, 4);
    for (int i = 0; i < (row->has & HAS_SESSIONS ? 1 : 3); i++) {
        MUST(ready(ends.receiver, TONG_RECEIVE, 5000), "not ready at the end");
        GIVES(tong_channel_receive(ends.receiver, buffer, 4, NULL, 0), -ENODATA);
    }
    ends_close(&ends);
}

static void test_ready_to_send(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    MUST(ready(ends.sender, TONG_SEND, 5000), "not ready to send into an empty conduit");
    fill(ends.sender, PIECE);
    must_not_be_ready(row, ends.sender, TONG_SEND, "to send when full");
    int64_t deadline = frame_now() + 10 * TONG_SECOND;
    do {
        drain(ends.receiver);
        MUST(frame_now() < deadline, "not ready to send with room");
    } while (!ready(ends.sender, TONG_SEND, 10));
    OK(tong_channel_send(ends.sender, buffer, PIECE, NULL, 0));
    ends_close(&ends);
}

/* Waits, and again after those were asked that are ready for nothing, until it is what is due: a bit for each. */
static int64_t wait_for_due(struct ends *ends, tong_wait_item *items, unsigned due, int64_t timeout)
{
    for (int tries = 0;; tries++) {
        int64_t r = tong_wait(items, 3, timeout);
        unsigned others = 0;
        for (unsigned i = 0; i < 3; i++)
            others |= r > 0 && items[i].ready && !(due >> i & 1) ? 1u << i : 0;
        if (!others || tries == glances(ends->row))
            return r;
        for (unsigned i = 0; i < 3; i++)
            if (others >> i & 1)
                drain(ends[i].receiver);
    }
}

static void test_wait_many(const struct row *row)
{
    struct ends ends[3];
    tong_wait_item items[3];
    for (int i = 0; i < 3; i++) {
        ends_open(&ends[i], row, NULL, 0);
        ready(ends[i].receiver, TONG_RECEIVE, 0);
        drain(ends[i].receiver);
        items[i] = (tong_wait_item){ sizeof items[i], TONG_RECEIVE, ends[i].receiver, NULL, 7, 0 };
    }
    GIVES(wait_for_due(ends, items, 0, 0), -EAGAIN);
    int64_t began = frame_now();
    expect_timeout(wait_for_due(ends, items, 0, 20 * TONG_MILLISECOND), began, 20 * TONG_MILLISECOND);
    OK(tong_channel_send(ends[1].sender, "111", 3, NULL, TONG_SECOND));
    GIVES(wait_for_due(ends, items, 2, 5 * TONG_SECOND), 1);
    MUST(!items[0].ready && items[1].ready == TONG_RECEIVE && !items[2].ready, "the wrong one is ready");
    OK(tong_channel_send(ends[2].sender, "111", 3, NULL, TONG_SECOND));
    GIVES(wait_for_due(ends, items, 6, 5 * TONG_SECOND), 2);
    for (int i = 0; i < 3; i++)
        ends_close(&ends[i]);
}

static void test_wait_for_client(const struct row *row)
{
    struct ends ends;
    ends_prepare(&ends, row, NULL, 0);
    tong_wait_item item = { sizeof item, TONG_RECEIVE, NULL, ends.listener, 0, 0 };
    GIVES(tong_wait(&item, 1, 0), -EAGAIN);
    GIVES(tong_listener_accept(ends.listener, TONG_RECEIVE, 0, &ends.receiver), -EAGAIN);
    ends_open_sender(&ends, 0);
    GIVES(tong_wait(&item, 1, 5 * TONG_SECOND), 1);
    MUST(item.ready == TONG_RECEIVE, "the listener is not said to be ready");
    OK(tong_listener_accept(ends.listener, TONG_RECEIVE, 0, &ends.receiver));
    ends_close(&ends);
}

static void test_no_readiness(const struct row *row)
{
    struct ends ends;
    struct pollfd item;
    ends_open(&ends, row, NULL, 0);
    tong_wait_item waited = { sizeof waited, TONG_RECEIVE, ends.receiver, NULL, 0, 0 };
    GIVES(tong_channel_pollfd(ends.receiver, TONG_RECEIVE, &item), -EOPNOTSUPP);
    GIVES(tong_wait(&waited, 1, 0), -EOPNOTSUPP);
    ends_close(&ends);
}

const struct contract_test waiting_tests[] = {
    { "empty", test_empty, 0, 0, 10 },
    { "full", test_full, HAS_FULL, 0, 30 },
    { "timeout", test_timeout, 0, 0, 20 },
    { "timeout-full", test_timeout_full, HAS_FULL, 0, 20 },
    { "full-fail", test_full_fail, HAS_FULL | HAS_DROP, 0, 20 },
    { "full-drop", test_full_drop, HAS_FULL | HAS_DROP | HAS_BOUNDARIES, 0, 20 },
    { "forever", test_forever, 0, 0, 20 },
    { "room-wakes", test_room, HAS_FULL, 0, 20 },
    { "cancel-before", test_cancel_before, 0, 0, 10 },
    { "cancel-full", test_cancel_full, HAS_FULL, 0, 20 },
    { "cancel-during", test_cancel_during, 0, 0, 30 },
    { "cancel-during-full", test_cancel_during_full, HAS_FULL, 0, 20 },
    { "cancel-in-handler", test_cancel_in_handler, 0, 0, 20 },
    { "signal", test_signal, 0, 0, 30 },
    { "signal-full", test_signal_full, HAS_FULL, 0, 30 },
    { "ready", test_ready, TONG_HAS_READINESS | HAS_READY, 0, 20 },
    { "ready-late", test_ready_late, TONG_HAS_READINESS | HAS_READY, 0, 20 },
    { "ready-kept", test_ready_kept, TONG_HAS_READINESS | HAS_READY | HAS_BOUNDARIES, 0, 20 },
    { "ready-at-end", test_ready_end, TONG_HAS_READINESS | HAS_READY | HAS_END, 0, 20 },
    { "ready-to-send", test_ready_to_send, TONG_HAS_READINESS | HAS_READY | HAS_FULL, 0, 20 },
    { "wait-for-many", test_wait_many, TONG_HAS_READINESS | HAS_READY, HAS_SPURIOUS, 20 },
    { "no-readiness", test_no_readiness, 0, HAS_READY, 10 },
    { "wait-for-client", test_wait_for_client, TONG_HAS_LISTENER, HAS_FORKING, 20 },
    { NULL, NULL, 0, 0, 0 },
};
