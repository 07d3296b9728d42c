/* SPDX-License-Identifier: MIT */
/* How a conversation ends: in order, by half, by death of either side; and nobody is killed by SIGPIPE. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "contract.h"

static char buffer[2 * 1024 * 1024];

/* The end, and again however often it is asked; but once where another sender may come. */
static void expect_end(const struct row *row, tong_channel *channel, int64_t due)
{
    GIVES(tong_channel_receive(channel, buffer, 8, NULL, 5 * TONG_SECOND), due);
    if (row->has & HAS_SESSIONS) {
        GIVES(tong_channel_receive(channel, buffer, 8, NULL, 0), -EAGAIN);
        return;
    }
    GIVES(tong_channel_receive(channel, buffer, 8, NULL, 0), due);
    GIVES(tong_channel_receive(channel, buffer, 8, NULL, TONG_FOREVER), due);
}

/* ---- In order --------------------------------------------------------------------------------------------------- */

static void test_close(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_send(ends.sender, "one", 3, NULL, TONG_SECOND));
    OK(tong_channel_send(ends.sender, "two", 3, NULL, TONG_SECOND));
    OK(tong_channel_close(ends.sender));
    ends.sender = NULL;
    receive_bytes(ends.receiver, buffer, 3);
    receive_bytes(ends.receiver, buffer + 3, 3);
    MUST(!memcmp(buffer, "onetwo", 6), "got '%.6s'", buffer);
    expect_end(row, ends.receiver, -ENODATA);
    ends_close(&ends);
}

static void test_finish(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_send(ends.sender, "one", 3, NULL, TONG_SECOND));
    OK(tong_channel_finish(ends.sender, TONG_SECOND));
    OK(tong_channel_finish(ends.sender, TONG_SECOND));
    GIVES(tong_channel_send(ends.sender, "two", 3, NULL, TONG_SECOND), -EPIPE);
    receive_bytes(ends.receiver, buffer, 3);
    expect_end(row, ends.receiver, -ENODATA);
    /* Closing what was finished tells nothing more. */
    OK(tong_channel_close(ends.sender));
    ends.sender = NULL;
    GIVES(tong_channel_receive(ends.receiver, buffer, 8, NULL, 0), row->has & HAS_SESSIONS ? -EAGAIN : -ENODATA);
    ends_close(&ends);
}

static void test_no_finish(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    GIVES(tong_channel_finish(ends.sender, TONG_SECOND), -EOPNOTSUPP);
    OK(tong_channel_send(ends.sender, "111", 3, NULL, TONG_SECOND));
    GIVES(tong_channel_receive(ends.receiver, buffer, 8, NULL, TONG_SECOND), 3);
    ends_close(&ends);
}

static void test_half_close(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, TONG_BOTH);
    OK(tong_channel_send(ends.sender, "question", 8, NULL, TONG_SECOND));
    OK(tong_channel_finish(ends.sender, TONG_SECOND));
    receive_bytes(ends.receiver, buffer, 8);
    GIVES(tong_channel_receive(ends.receiver, buffer, 8, NULL, 5 * TONG_SECOND), -ENODATA);
    for (int i = 0; i < 10; i++) {
        OK(tong_channel_send(ends.receiver, "answer", 6, NULL, TONG_SECOND));
        receive_bytes(ends.sender, buffer, 6);
    }
    OK(tong_channel_finish(ends.receiver, TONG_SECOND));
    GIVES(tong_channel_receive(ends.sender, buffer, 8, NULL, 5 * TONG_SECOND), -ENODATA);
    ends_close(&ends);
}

/* ---- By death of the sender --------------------------------------------------------------------------------------- */

/* Where death cannot be told from close, an unframed stream reports the end. */
static int64_t due_after_death(const struct row *row)
{
    return row->has & HAS_DEATH ? -ECONNRESET : -ENODATA;
}

static void send_one_and_stay(tong_channel *channel)
{
    OK(tong_channel_send(channel, "one", 3, NULL, TONG_FOREVER));
    for (;;)
        pause();
}

static void test_killed_sender(const struct row *row)
{
    struct ends ends;
    pid_t pid = ends_with_sender(&ends, row, NULL, 0, send_one_and_stay);
    receive_bytes(ends.receiver, buffer, 3);
    frame_kill(pid);
    expect_end(row, ends.receiver, due_after_death(row));
    ends_close(&ends);
}

static void die_when_awaited(tong_channel *channel)
{
    OK(tong_channel_send(channel, "one", 3, NULL, TONG_FOREVER));
    frame_asleep(getppid(), getppid());
    kill(getpid(), SIGKILL);
}

/* The receiver already sleeps in the call, without a time limit, when the sender dies. */
static void test_killed_while_awaited(const struct row *row)
{
    struct ends ends;
    pid_t pid = ends_with_sender(&ends, row, NULL, 0, die_when_awaited);
    receive_bytes(ends.receiver, buffer, 3);
    GIVES(tong_channel_receive(ends.receiver, buffer, 8, NULL, TONG_FOREVER), due_after_death(row));
    frame_kill(pid);
    ends_close(&ends);
}

static int *first_has_gone; /* shared with the sender, which sleeps on its way there, too */

static void share_first(void)
{
    first_has_gone = mmap(NULL, sizeof *first_has_gone, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(first_has_gone != MAP_FAILED, "mmap: %s", strerror(errno));
}

static void send_more_than_fits(tong_channel *channel)
{
    OK(tong_channel_send(channel, "one", 3, NULL, TONG_FOREVER));
    __atomic_store_n(first_has_gone, 1, __ATOMIC_RELEASE);
    for (;;)
        OK(tong_channel_send(channel, buffer, 1024 * 1024, NULL, TONG_FOREVER));
}

/* Killed in the middle of a long message: what was whole arrives, the torn one never does. */
static void test_killed_in_message(const struct row *row)
{
    struct ends ends;
    share_first();
    pid_t pid = ends_with_sender(&ends, row, NULL, 0, send_more_than_fits);
    frame_until(first_has_gone);
    frame_asleep(pid, pid);
    frame_kill(pid);
    munmap(first_has_gone, sizeof *first_has_gone);
    int64_t r = tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 5 * TONG_SECOND);
    GIVES(r, 3);
    while ((r = tong_channel_receive(ends.receiver, buffer, sizeof buffer, NULL, 5 * TONG_SECOND)) >= 0)
        GIVES(r, 1024 * 1024);
    GIVES(r, -ECONNRESET);
    ends_close(&ends);
}

/* ---- By departure of the receiver -------------------------------------------------------------------------------------- */

static volatile sig_atomic_t sigpipes;

static void count_sigpipe(int signal)
{
    (void)signal;
    sigpipes++;
}

static void watch_sigpipe(void)
{
    struct sigaction action = { .sa_handler = count_sigpipe };
    sigaction(SIGPIPE, &action, NULL);
}

/* Sends until it is told that nobody is left; a wait would be for ever, so there is none. */
static void expect_broken(tong_channel *channel)
{
    int64_t deadline = frame_now() + 5 * TONG_SECOND, r;
    sigset_t mask;
    do
        r = tong_channel_send(channel, "anybody?", 8, NULL, 10 * TONG_MILLISECOND);
    while ((r == 0 || r == -ETIMEDOUT) && frame_now() < deadline);
    GIVES(r, -EPIPE);
    GIVES(tong_channel_send(channel, "anybody?", 8, NULL, TONG_FOREVER), -EPIPE);
    MUST(*tong_detail(), "-EPIPE says nothing");
    MUST(sigpipes == 0, "SIGPIPE was raised");
    sigpending(&mask);
    MUST(!sigismember(&mask, SIGPIPE), "SIGPIPE is left pending");
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    MUST(!sigismember(&mask, SIGPIPE), "the signal mask was changed");
}

static void test_closed_receiver(const struct row *row)
{
    struct ends ends;
    watch_sigpipe();
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_send(ends.sender, "one", 3, NULL, TONG_SECOND));
    OK(tong_channel_close(ends.receiver));
    ends.receiver = NULL;
    expect_broken(ends.sender);
    ends_close(&ends);
}

/* A receiver that leaves in order makes room for another: only fullness stops the sender meanwhile. */
static void test_mailbox(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_close(ends.receiver));
    ends.receiver = NULL;
    int count = fill(ends.sender, 1000);
    MUST(count > 0, "nothing could be sent without a receiver");
    OK(tong_channel_close(ends.sender));
    ends.sender = NULL;
    ends_open_receiver(&ends, 0);
    for (int i = 0; i < count; i++)
        GIVES(tong_channel_receive(ends.receiver, buffer, 1000, NULL, TONG_SECOND), 1000);
    GIVES(tong_channel_receive(ends.receiver, buffer, 1000, NULL, TONG_SECOND), -ENODATA);
    ends_close(&ends);
}

static void receive_one_and_stay(tong_channel *channel)
{
    GIVES(tong_channel_receive(channel, buffer, 3, NULL, TONG_FOREVER), 3);
    for (;;)
        pause();
}

static void test_killed_receiver(const struct row *row)
{
    struct ends ends;
    watch_sigpipe();
    pid_t pid = ends_with_receiver(&ends, row, NULL, 0, receive_one_and_stay);
    OK(tong_channel_send(ends.sender, "one", 3, NULL, TONG_SECOND));
    frame_asleep(pid, pid);
    frame_kill(pid);
    expect_broken(ends.sender);
    ends_close(&ends);
}

static void die_when_full(tong_channel *channel)
{
    (void)channel;
    frame_until(first_has_gone);
    frame_asleep(getppid(), getppid());
    kill(getpid(), SIGKILL);
}

/* The sender sleeps in a full conduit, without a time limit, when the receiver dies. */
static void test_killed_when_full(const struct row *row)
{
    struct ends ends;
    watch_sigpipe();
    share_first();
    pid_t pid = ends_with_receiver(&ends, row, NULL, 0, die_when_full);
    int64_t r, deadline = frame_now() + 15 * TONG_SECOND;
    while ((r = tong_channel_send(ends.sender, buffer, 1000, NULL, TONG_FOREVER)) == 0) {
        __atomic_store_n(first_has_gone, 1, __ATOMIC_RELEASE);
        MUST(frame_now() < deadline, "the sender was never told");
    }
    munmap(first_has_gone, sizeof *first_has_gone);
    GIVES(r, -EPIPE);
    MUST(sigpipes == 0, "SIGPIPE was raised");
    frame_kill(pid);
    ends_close(&ends);
}

const struct contract_test ending_tests[] = {
    { "close", test_close, HAS_END, 0, 10 },
    { "finish", test_finish, TONG_HAS_FINISH | HAS_END, 0, 20 },
    { "no-finish", test_no_finish, 0, TONG_HAS_FINISH, 10 },
    { "half-close", test_half_close, TONG_HAS_FINISH | HAS_BOTH, 0, 20 },
    { "killed-sender", test_killed_sender, HAS_END | HAS_BROKEN, 0, 20 },
    { "killed-while-awaited", test_killed_while_awaited, HAS_END | HAS_BROKEN, 0, 20 },
    { "killed-in-message", test_killed_in_message, HAS_DEATH | HAS_ROOM, 0, 30 },
    { "closed-receiver", test_closed_receiver, HAS_BROKEN, HAS_SESSIONS | HAS_MAILBOX, 20 },
    { "mailbox", test_mailbox, HAS_MAILBOX | HAS_END | HAS_FULL, 0, 20 },
    { "killed-receiver", test_killed_receiver, HAS_BROKEN, 0, 20 },
    { "killed-when-full", test_killed_when_full, HAS_BROKEN | HAS_FULL, 0, 30 },
    { NULL, NULL, 0, 0, 0 },
};
