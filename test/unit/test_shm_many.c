/* SPDX-License-Identifier: MIT */
/* shm: with several senders: order, nothing lost, ends, deaths in the middle of a message, and who only stands still. */
#include <poll.h>
#include <signal.h>

#include "base/layout.h"
#include "shm_fixture.h"

#define SENDERS 4
#define EACH 20000

struct numbered {
    uint32_t sender, number;
    char rest[56];
};

/* Messages of changing sizes, in batches and by tokens, once all senders are there: else the first could be the last. */
static void send_all(uint32_t sender, const int opened[2], const int go[2])
{
    tong_channel *out = open_with("", TONG_SEND);
    char byte;
    close(go[1]);
    if (write(opened[1], "x", 1) != 1 || read(go[0], &byte, 1) != 0)
        _exit(1);
    for (uint32_t number = 0; number < EACH; number++) {
        struct numbered message = { sender, number, { 0 } };
        size_t size = 8 + (sender * 7 + number) % 56;
        tong_token token = TONG_TOKEN_INIT;
        memset(message.rest, (int)number, sizeof message.rest);
        if (number % 3 == 0) {
            ck_assert_int_eq(tong_channel_reserve(out, 64, LONG, &token), 0);
            memcpy(token.span[0].data, &message, size);
            ck_assert_int_eq(tong_channel_commit(out, &token, size, NULL), 0);
        } else {
            tong_batch batch = { sizeof batch, 0, 0, &message, 0, size };
            ck_assert_int_eq(tong_channel_send_batch(out, &batch, 1, LONG), 1);
        }
    }
    _exit(tong_channel_close(out) < 0);
}

static void expect_all(tong_channel *in, bool polls)
{
    uint32_t next[SENDERS] = { 0 };
    struct numbered message;
    struct pollfd item;
    ssize_t size = 0;
    if (polls)
        ck_assert_int_eq(tong_channel_pollfd(in, TONG_RECEIVE, &item), 0);
    while (size >= 0 || (polls && size == -EAGAIN)) {
        if (polls && size == -EAGAIN)
            ck_assert_int_eq(poll(&item, 1, (int)(LONG / MILLISECOND)), 1);
        size = tong_channel_receive(in, &message, sizeof message, NULL, polls ? 0 : LONG);
        if (size < 0)
            continue;
        ck_assert_uint_lt(message.sender, SENDERS);
        ck_assert_uint_eq(message.number, next[message.sender]++);
        ck_assert_int_eq(size, (ssize_t)(8 + (message.sender * 7 + message.number) % 56));
        for (ssize_t i = 8; i < size; i++)
            ck_assert_int_eq((unsigned char)message.rest[i - 8], message.number & 0xff);
    }
    ck_assert_int_eq(size, -ENODATA);
    for (int sender = 0; sender < SENDERS; sender++)
        ck_assert_uint_eq(next[sender], EACH);
}

static void run_senders(bool polls)
{
    tong_channel *in = open_with("?capacity=64K", TONG_RECEIVE);
    pid_t senders[SENDERS];
    int status, opened[2], go[2];
    char byte;
    ck_assert(pipe(opened) == 0 && pipe(go) == 0);
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = fork();
        if (senders[i] == 0)
            send_all(i, opened, go);
    }
    for (int i = 0; i < SENDERS; i++)
        ck_assert_int_eq(read(opened[0], &byte, 1), 1);
    close(opened[0]), close(opened[1]), close(go[0]), close(go[1]);
    expect_all(in, polls);
    for (uint32_t i = 0; i < SENDERS; i++) {
        ck_assert_int_eq(waitpid(senders[i], &status, 0), senders[i]);
        ck_assert_int_eq(status, 0);
    }
    tong_channel_close(in);
}

START_TEST(each_sender_keeps_its_order)
{
    run_senders(false);
}
END_TEST

START_TEST(an_event_loop_serves_them_all)
{
    run_senders(true);
}
END_TEST

START_TEST(the_end_comes_with_the_last)
{
    tong_channel *in = open_with("", TONG_RECEIVE), *a = open_with("", TONG_SEND), *b = open_with("", TONG_SEND);
    send_text(a, "a");
    expect_text(in, "a");
    send_text(b, "b");
    tong_channel_close(a);
    expect_text(in, "b");
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    send_text(b, "more");
    expect_text(in, "more");
    ck_assert_int_eq(try_receive(in, 20 * MILLISECOND), -ETIMEDOUT);
    tong_channel_close(b);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(in);
}
END_TEST

/* One of two is killed with a message half written: the other one goes on, and the death is told when it has ended. */
START_TEST(a_death_among_others)
{
    tong_channel *in = open_with("", TONG_RECEIVE), *other = open_with("", TONG_SEND);
    if (in_child()) {
        tong_token token[2] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT };
        tong_channel *out = open_with("", TONG_SEND);
        send_text(out, "whole");
        tong_channel_reserve(out, 100, 0, &token[0]);
        memset(token[0].span[0].data, 'x', 100);
        tong_channel_reserve(out, 100, 0, &token[1]);
        tong_channel_commit(out, &token[1], 100, NULL);
        say_and_stay();
    }
    await_word();
    kill(child, SIGKILL);
    reap(-SIGKILL);
    expect_text(in, "whole");
    ck_assert_int_eq(try_receive(in, 20 * MILLISECOND), -ETIMEDOUT);
    send_text(other, "alive");
    expect_text(in, "alive");
    tong_channel *successor = open_with("", TONG_SEND);
    send_text(successor, "next");
    expect_text(in, "next");
    tong_channel_close(successor);
    tong_channel_close(other);
    ck_assert_int_eq(try_receive(in, LONG), -ECONNRESET);
    tong_channel_close(in);
}
END_TEST

/* Stopped is not dead, however long nothing comes. */
START_TEST(one_that_is_stopped_is_not_dead)
{
    tong_channel *in = open_with("", TONG_RECEIVE);
    int status;
    if (in_child()) {
        tong_channel *out = open_with("", TONG_SEND);
        send_text(out, "one");
        raise(SIGSTOP);
        send_text(out, "two");
        _exit(tong_channel_close(out) < 0);
    }
    close(said[0]), close(said[1]);
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    ck_assert(WIFSTOPPED(status));
    expect_text(in, "one");
    ck_assert_int_eq(try_receive(in, 100 * MILLISECOND), -ETIMEDOUT);
    kill(child, SIGCONT);
    expect_text(in, "two");
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    reap(0);
    tong_channel_close(in);
}
END_TEST

/* A record that is no message: what is given back of two tokens, the older first. */
static void leave_gap(tong_channel *out)
{
    tong_token token[2] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT };
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(tong_channel_reserve(out, 8, LONG, &token[i]), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(tong_channel_abort(out, &token[i]), 0);
}

/* How many of those that wait come before another sender's, which comes `late` or was there all the time. */
static int before_another(const char *options, bool gaps, bool late)
{
    tong_channel *in = open_with(options, TONG_RECEIVE), *a = open_with("", TONG_SEND);
    tong_channel *b = late ? NULL : open_with("", TONG_SEND);
    char text[8];
    int before = 0;
    send_text(a, "a");
    expect_text(in, "a");
    for (int i = 0; i < 10000; i++) {
        send_text(a, "a");
        if (gaps)
            leave_gap(a);
    }
    b = late ? open_with("", TONG_SEND) : b;
    send_text(b, "b");
    while (tong_channel_receive(in, text, sizeof text, NULL, 0) == 1 && *text == 'a')
        before++;
    ck_assert_int_eq(*text, 'b');
    tong_channel_close(a);
    tong_channel_close(b);
    tong_channel_close(in);
    ck_assert_int_eq(tong_remove(address), 0);
    return before;
}

/* A receiver that stays with one lane would starve the others; one of several receives in its own way. */
START_TEST(nobody_is_starved)
{
    ck_assert_int_lt(before_another("", false, false), 200);
    ck_assert_int_lt(before_another("?receivers=2", false, false), 200);
}
END_TEST

START_TEST(nobody_is_starved_by_gaps)
{
    ck_assert_int_lt(before_another("", true, false), 200);
    ck_assert_int_lt(before_another("?receivers=2", true, false), 200);
}
END_TEST

/* As long as a sender is alone, its receiver looks now and then whether it still is. */
START_TEST(who_comes_late_is_not_starved)
{
    ck_assert_int_lt(before_another("", false, true), 5000);
    ck_assert_int_lt(before_another("?receivers=2", false, true), 5000);
}
END_TEST

/* Each sender waits for room in its own lane, by its own bell. */
START_TEST(room_is_told_to_each)
{
    tong_channel *in = open_with("?capacity=4K", TONG_RECEIVE), *out[3];
    static char block[1000];
    struct pollfd room[3];
    for (int i = 0; i < 3; i++) {
        out[i] = open_with("", TONG_SEND);
        ck_assert_int_eq(tong_channel_pollfd(out[i], TONG_SEND, &room[i]), 0);
        while (tong_channel_send(out[i], block, sizeof block, NULL, 0) == 0)
            ;
        ck_assert_int_eq(poll(&room[i], 1, 0), 0);
    }
    while (tong_channel_receive(in, block, sizeof block, NULL, 0) == sizeof block)
        ;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(poll(&room[i], 1, (int)(LONG / MILLISECOND)), 1);
        ck_assert_int_eq(tong_channel_send(out[i], block, sizeof block, NULL, 0), 0);
    }
    for (int i = 0; i < 3; i++)
        tong_channel_close(out[i]);
    tong_channel_close(in);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_sender_keeps_its_order, an_event_loop_serves_them_all, the_end_comes_with_the_last, a_death_among_others,
        one_that_is_stopped_is_not_dead, nobody_is_starved, nobody_is_starved_by_gaps, who_comes_late_is_not_starved, room_is_told_to_each,
    };
    return run_tests("shm_many", tests, sizeof tests / sizeof *tests);
}
