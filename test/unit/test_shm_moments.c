/* SPDX-License-Identifier: MIT */
/* shm: what happens just between two steps: room given back, ends and deaths overtaken, forks, failed opens. */
#include <poll.h>
#include <signal.h>

#include "base/layout.h"
#include "shm_fixture.h"
#include "sys/sys.h"

static int ready(const struct pollfd *item, int64_t nanoseconds)
{
    struct pollfd copy = *item;
    return poll(&copy, 1, (int)(nanoseconds / MILLISECOND));
}

/* ---- Tokens ---------------------------------------------------------------------------------------------- */

/* Room that only the receiver can give back, by passing over what was aborted. */
START_TEST(room_behind_what_was_aborted_is_told)
{
    tong_channel *out = open_with("?capacity=4K", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    tong_token first = TONG_TOKEN_INIT, second = TONG_TOKEN_INIT;
    struct pollfd item;
    char block[3000] = "";
    ck_assert_int_eq(tong_channel_reserve(out, 2000, 0, &first), 0);
    ck_assert_int_eq(tong_channel_reserve(out, 8, 0, &second), 0);
    ck_assert_int_eq(tong_channel_abort(out, &first), 0);
    ck_assert_int_eq(tong_channel_abort(out, &second), 0);
    ck_assert_int_eq(tong_channel_pollfd(out, TONG_SEND, &item), 0);
    ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 0), -EAGAIN);
    ck_assert_int_eq(ready(&item, 0), 0);
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    ck_assert_int_eq(ready(&item, LONG), 1);
    ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 0), 0);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* As many records that mean nothing as an honest lane can have, each of them left by a token: the message behind them comes, by
 * any call, in its order, however often a call that may not block was told to come again. */
static void expect_behind_skips(const char *options, ssize_t (*take)(tong_channel *channel))
{
    enum { SKIPS = 65000 };
    tong_channel *in = open_with(options, TONG_RECEIVE), *out = open_with("", TONG_SEND);
    tong_token *token = calloc(SKIPS, sizeof *token);
    for (int i = 0; i < SKIPS; i++) {
        token[i] = (tong_token)TONG_TOKEN_INIT;
        ck_assert_int_eq(tong_channel_reserve(out, 0, 0, &token[i]), 0);
    }
    for (int i = 0; i < SKIPS; i++)
        ck_assert_int_eq(i < SKIPS - 1 ? tong_channel_abort(out, &token[i]) : tong_channel_commit(out, &token[i], 0, NULL), 0);
    free(token);
    ssize_t r;
    int64_t until = clock_now() + LONG;
    while ((r = take(in)) == -EAGAIN && clock_now() < until)
        continue;
    ck_assert_msg(r >= 0, "%s: %zd %s", options, r, tong_detail());
    ck_assert_int_eq(take(in), -EAGAIN);
    tong_channel_close(out);
    tong_channel_close(in);
    ck_assert_int_eq(tong_remove(address), 0);
}

static ssize_t take_now(tong_channel *channel)
{
    return try_receive(channel, 0);
}

static ssize_t take_batch_now(tong_channel *channel)
{
    char buffer[64];
    tong_batch batch = { sizeof batch, 0, 0, buffer, sizeof buffer, 0 };
    return tong_channel_receive_batch(channel, &batch, 1, 0);
}

static ssize_t take_by_hand_now(tong_channel *channel)
{
    tong_token token = TONG_TOKEN_INIT;
    ssize_t r = tong_channel_peek(channel, 0, NULL, &token);
    return r < 0 ? r : tong_channel_release(channel, &token);
}

START_TEST(a_message_behind_many_skips_comes)
{
    static const char *const options[] = { "?capacity=1M", "?capacity=1M&receivers=16", "?capacity=2M&deliver=broadcast" };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        expect_behind_skips(options[i], take_now);
        expect_behind_skips(options[i], take_batch_now);
        expect_behind_skips(options[i], take_by_hand_now);
    }
}
END_TEST

/* Marks of more sessions than a lane has room for are nothing unheard of, while others end one after another. */
START_TEST(many_ends_are_no_damage)
{
    tong_channel *in = open_with("?capacity=4K&reconnect=yes", TONG_RECEIVE);
    if (in_child()) {
        for (int i = 0; i < 4 * 512; i++)
            tong_channel_close(open_with("", TONG_SEND));
        send_text(open_with("", TONG_SEND), "x");
        _exit(0);
    }
    close(said[0]);
    close(said[1]);
    expect_text(in, "x");
    reap(0);
    tong_channel_close(in);
}
END_TEST

START_TEST(closing_sends_what_was_committed)
{
    tong_channel *out = open_with("", TONG_SEND), *in = open_with("", TONG_RECEIVE);
    tong_token token[4] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT, TONG_TOKEN_INIT, TONG_TOKEN_INIT };
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(tong_channel_reserve(out, 8, 0, &token[i]), 0);
    memcpy(token[1].span[0].data, "one", 3);
    ck_assert_int_eq(tong_channel_commit(out, &token[1], 3, NULL), 0);
    memcpy(token[2].span[0].data, "two", 3);
    ck_assert_int_eq(tong_channel_commit(out, &token[2], 3, NULL), 0);
    ck_assert_int_eq(tong_channel_close(out), 0);
    expect_text(in, "one");
    expect_text(in, "two");
    ck_assert_int_eq(try_receive(in, 0), -ENODATA);
    tong_channel_close(in);
}
END_TEST

/* ---- Ends and deaths ------------------------------------------------------------------------------------- */

/* Once it has come to where it is to be killed. */
static void kill_it(void)
{
    await_word();
    kill(child, SIGKILL);
    reap(-SIGKILL);
}

/* What a receiver had in hand when it was killed comes again, and so do the ends that it was told behind it. */
START_TEST(an_end_comes_again_behind_what_comes_again)
{
    for (int orderly = 0; orderly < 2; orderly++) {
        const int end = orderly ? -ENODATA : -ECONNRESET;
        if (in_child()) {
            tong_channel *out = open_with("", TONG_SEND);
            send_text(out, "text");
            if (orderly)
                tong_channel_close(out);
            say_and_stay();
        }
        kill_it();
        if (in_child()) {
            tong_token token = TONG_TOKEN_INIT;
            tong_channel *in = open_with("", TONG_RECEIVE);
            if (tong_channel_peek(in, LONG, NULL, &token) == 4 && try_receive(in, LONG) == end)
                say_and_stay();
            _exit(1);
        }
        kill_it();
        tong_channel *in = open_with("", TONG_RECEIVE);
        expect_text(in, "text");
        ck_assert_int_eq(try_receive(in, 0), end);
        tong_channel_close(in);
        in = open_with("", TONG_RECEIVE);
        ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
        tong_channel_close(in);
    }
}
END_TEST

/* The session of the dead stays open, but nobody can come to end it. */
START_TEST(a_wait_after_a_death_in_a_removed_channel_ends)
{
    tong_channel *in = open_with("?reconnect=yes", TONG_RECEIVE);
    if (in_child()) {
        open_with("", TONG_SEND);
        say_and_stay();
    }
    kill_it();
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(try_receive(in, 5000 * MILLISECOND), -ESTALE);
    tong_channel_close(in);
}
END_TEST

/* Lets a sender come, and stay, at the moment of the next call of that name. */
static const char *moment;

static int sender_comes(const char *call)
{
    if (!moment || strcmp(call, moment))
        return 0;
    moment = NULL;
    if (in_child()) {
        open_with("", TONG_SEND);
        say_and_stay();
    }
    await_word();
    return 0;
}

START_TEST(a_sender_that_comes_as_we_rearm_is_watched)
{
    tong_channel *in = open_with("?reconnect=yes", TONG_RECEIVE);
    struct pollfd item;
    ck_assert_int_eq(tong_channel_pollfd(in, TONG_RECEIVE, &item), 0);
    tong_channel_close(open_with("", TONG_SEND));
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    ck_assert_int_eq(ready(&item, 0), 0);
    moment = "read";
    sys_fault = sender_comes;
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    sys_fault = NULL;
    kill(child, SIGKILL);
    ck_assert_int_eq(ready(&item, LONG), 1);
    reap(-SIGKILL);
    tong_channel_close(in);
}
END_TEST

/* exec lets go of the place, but the process lives on: no pidfd tells. */
START_TEST(a_sender_that_executes_another_program_is_noticed)
{
    tong_channel *in = open_with("", TONG_RECEIVE);
    struct pollfd item;
    int hold[2];
    ck_assert_int_eq(tong_channel_pollfd(in, TONG_RECEIVE, &item), 0);
    ck_assert_int_eq(pipe(hold), 0);
    if (in_child()) {
        open_with("", TONG_SEND);
        ck_assert_int_eq(write(said[1], "x", 1), 1);
        close(said[1]), close(hold[1]);
        dup2(hold[0], 0);
        execlp("cat", "cat", (char *)NULL);
        _exit(1);
    }
    await_word();
    close(hold[0]);
    int r;
    while ((r = (int)try_receive(in, 0)) == -EAGAIN)
        ck_assert_int_eq(ready(&item, LONG), 1);
    ck_assert_int_eq(r, -ECONNRESET);
    close(hold[1]);
    reap(0);
    tong_channel_close(in);
}
END_TEST

/* ---- Opening --------------------------------------------------------------------------------------------- */

START_TEST(half_an_open_leaves_nothing)
{
    char both[160];
    tong_channel *out[LAYOUT_PLACES], *channel;
    for (int i = 0; i < LAYOUT_PLACES; i++)
        out[i] = open_with("?capacity=4K", TONG_SEND);
    snprintf(both, sizeof both, "%s-in,%s", address, name);
    ck_assert_int_eq(tong_channel_open(both, TONG_BOTH, 0, &channel), -EBUSY);
    ck_assert_int_eq(count("/dev/shm", name), 4);
    for (int i = 0; i < LAYOUT_PLACES; i++)
        tong_channel_close(out[i]);
}
END_TEST

/* Another thread may fork at any moment of an open or a close. */
static pid_t heirs[16];
static int many_heirs;

static int fork_here(const char *call)
{
    if (strcmp(call, "mmap") && strcmp(call, "fcntl_lock") && strcmp(call, "fstat"))
        return 0;
    ck_assert_int_lt(many_heirs, 16);
    pid_t heir = fork();
    while (heir == 0)
        pause();
    heirs[many_heirs++] = heir;
    return 0;
}

START_TEST(a_fork_in_between_does_not_keep_our_place)
{
    many_heirs = 0;
    tong_channel_close(open_with("", TONG_RECEIVE));
    sys_fault = fork_here;
    tong_channel *out = open_with("", TONG_SEND);
    sys_fault = NULL;
    tong_channel_close(out);
    out = open_with("?remove=last", TONG_SEND);
    tong_channel *in = open_with("", TONG_RECEIVE);
    sys_fault = fork_here;
    tong_channel_close(out);
    sys_fault = NULL;
    out = open_with("", TONG_SEND);
    tong_channel_close(out);
    tong_channel_close(in);
    for (int i = 0; i < many_heirs; i++) {
        kill(heirs[i], SIGKILL);
        waitpid(heirs[i], NULL, 0);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        room_behind_what_was_aborted_is_told, closing_sends_what_was_committed,
        a_message_behind_many_skips_comes, many_ends_are_no_damage,
        a_sender_that_comes_as_we_rearm_is_watched, a_sender_that_executes_another_program_is_noticed,
        half_an_open_leaves_nothing, a_fork_in_between_does_not_keep_our_place,
        an_end_comes_again_behind_what_comes_again, a_wait_after_a_death_in_a_removed_channel_ends,
    };
    return run_tests("shm_moments", tests, sizeof tests / sizeof *tests);
}
