/* SPDX-License-Identifier: MIT */
/* shm: with deliver=broadcast: to every receiver, those that come late, that are slow, that die, that only look. */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/layout.h"
#include "shm_fixture.h"
#include "third.h"

#define ALL "?deliver=broadcast"
#define RECEIVERS 4
#define EACH 20000

struct numbered {
    uint32_t sender, number;
    char rest[1016];
};

static size_t size_of(uint32_t sender, uint32_t number)
{
    return 8 + (sender * 7 + number * 13) % (number % 50 ? 56 : 1016);
}

static void fill(struct numbered *message, uint32_t sender, uint32_t number)
{
    message->sender = sender;
    message->number = number;
    memset(message->rest, (int)(number + sender), sizeof message->rest);
}

static void check(const struct numbered *message, ssize_t size)
{
    ck_assert_int_eq(size, (ssize_t)size_of(message->sender, message->number));
    for (ssize_t i = 8; i < size; i++)
        ck_assert_uint_eq((unsigned char)message->rest[i - 8], (message->number + message->sender) & 0xff);
}

/* One by one, in batches and by tokens that are settled in the other order. */
static void send_range(tong_channel *out, uint32_t sender, uint32_t from, uint32_t to)
{
    static struct numbered message[2];
    for (uint32_t number = from; number < to; number += 2) {
        fill(&message[0], sender, number);
        fill(&message[1], sender, number + 1);
        size_t size[2] = { size_of(sender, number), size_of(sender, number + 1) };
        if (number % 3 == 0) {
            tong_token token[2] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT };
            for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(tong_channel_reserve(out, sizeof *message, LONG, &token[i]), 0);
                memcpy(token[i].span[0].data, &message[i], size[i]);
            }
            ck_assert_int_eq(tong_channel_commit(out, &token[1], size[1], NULL), 0);
            ck_assert_int_eq(tong_channel_commit(out, &token[0], size[0], NULL), 0);
        } else if (number % 3 == 1) {
            tong_batch batch[2] = { { sizeof *batch, 0, 0, &message[0], 0, size[0] }, { sizeof *batch, 0, 0, &message[1], 0, size[1] } };
            ck_assert_int_eq(tong_channel_send_batch(out, batch, 2, LONG), 2);
        } else {
            ck_assert_int_eq(tong_channel_send(out, &message[0], size[0], NULL, LONG), 0);
            ck_assert_int_eq(tong_channel_send(out, &message[1], size[1], NULL, LONG), 0);
        }
    }
}

static void await_all(const pid_t *children, int many)
{
    int status;
    for (int i = 0; i < many; i++) {
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
}

/* A child that has opened what it needs, and goes on once everybody has: `opened` and `go` are pipes. */
static void say_and_await(const int opened[2], const int go[2])
{
    char byte;
    close(go[1]);
    if (write(opened[1], "x", 1) != 1 || read(go[0], &byte, 1) != 0)
        _exit(1);
}

static void receive_all(uint32_t senders, const int opened[2], const int go[2])
{
    tong_channel *in = open_with(ALL "&capacity=64K", TONG_RECEIVE);
    struct numbered message;
    uint32_t next[16] = { 0 };
    ssize_t size;
    say_and_await(opened, go);
    while ((size = tong_channel_receive(in, &message, sizeof message, NULL, LONG)) >= 0) {
        ck_assert_uint_eq(message.number, next[message.sender]++);
        check(&message, size);
    }
    ck_assert_int_eq(size, -ENODATA);
    for (uint32_t i = 0; i < senders; i++)
        ck_assert_uint_eq(next[i], EACH);
    _exit(tong_channel_close(in) < 0);
}

static void run_all(uint32_t senders)
{
    pid_t children[16];
    int many = 0, opened[2], go[2];
    char byte;
    ck_assert(pipe(opened) == 0 && pipe(go) == 0);
    for (int i = 0; i < RECEIVERS; i++)
        if ((children[many++] = fork()) == 0)
            receive_all(senders, opened, go);
    for (int i = 0; i < many; i++)
        ck_assert_int_eq(read(opened[0], &byte, 1), 1);
    for (uint32_t i = 0; i < senders; i++) {
        if ((children[many++] = fork()) != 0)
            continue;
        tong_channel *out = open_with(ALL, TONG_SEND);
        say_and_await(opened, go);
        send_range(out, i, 0, EACH);
        _exit(tong_channel_close(out) < 0);
    }
    for (uint32_t i = 0; i < senders; i++)
        ck_assert_int_eq(read(opened[0], &byte, 1), 1);
    close(opened[0]), close(opened[1]), close(go[0]), close(go[1]);
    await_all(children, many);
}

START_TEST(every_receiver_gets_all)
{
    run_all(1);
}
END_TEST

START_TEST(from_every_sender)
{
    run_all(3);
}
END_TEST

/* ---- Coming ---------------------------------------------------------------------------------------------- */

START_TEST(where_a_receiver_begins)
{
    tong_channel *out = open_with(ALL, TONG_SEND);
    send_text(out, "one");
    send_text(out, "two");
    tong_channel *late = open_with(ALL, TONG_RECEIVE), *all = open_with(ALL "&from=start", TONG_RECEIVE);
    ck_assert_int_eq(try_receive(late, 0), -EAGAIN);
    expect_text(all, "one");
    send_text(out, "three");
    expect_text(late, "three");
    expect_text(all, "two");
    expect_text(all, "three");
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(late, LONG), -ENODATA);
    ck_assert_int_eq(try_receive(all, LONG), -ENODATA);
    tong_channel_close(late);
    tong_channel_close(all);
    all = open_with("?from=start", TONG_RECEIVE);
    expect_text(all, "one");
    expect_text(all, "two");
    expect_text(all, "three");
    ck_assert_int_eq(try_receive(all, LONG), -ENODATA);
    tong_channel_close(all);
}
END_TEST

/* One that has a name goes on where it left, be it that the sender died meanwhile and another came. */
START_TEST(one_that_left_goes_on)
{
    tong_channel *in = open_with(ALL "&from=left&as=ann", TONG_RECEIVE);
    if (in_child()) {
        tong_channel *out = open_with(ALL, TONG_SEND);
        send_text(out, "one");
        send_text(out, "two");
        say_and_stay();
    }
    await_word();
    expect_text(in, "one");
    tong_channel_close(in);
    kill(child, SIGKILL);
    reap(-SIGKILL);
    tong_channel *out = open_with(ALL, TONG_SEND), *other = open_with(ALL, TONG_RECEIVE);
    send_text(out, "three");
    in = open_with(ALL "&from=left&as=ann", TONG_RECEIVE);
    expect_text(in, "two");
    ck_assert_int_eq(try_receive(in, LONG), -ECONNRESET);
    tong_channel_close(in);
    in = open_with(ALL "&from=left&as=ann", TONG_RECEIVE);
    expect_text(in, "three");
    expect_text(other, "three");
    ck_assert_int_eq(refused(ALL "&from=left&as=ann", TONG_RECEIVE), -EBUSY);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "as=ann"));
    tong_channel_close(in);
    tong_channel_close(other);
    tong_channel_close(out);
}
END_TEST

/* What it had in hand when it died comes again, and says so. */
START_TEST(one_that_died_goes_on)
{
    tong_channel *out = open_with(ALL, TONG_SEND), *in = open_with("", TONG_RECEIVE);
    tong_message message = TONG_MESSAGE_INIT;
    char text[8];
    if (in_child()) {
        tong_channel *again = open_with("?as=bob", TONG_RECEIVE);
        tong_token token = TONG_TOKEN_INIT;
        if (write(said[1], "x", 1) != 1 || tong_channel_peek(again, LONG, NULL, &token) != 3)
            _exit(1);
        say_and_stay();
    }
    close(said[1]);
    ck_assert_int_eq(read(said[0], text, 1), 1);
    send_text(out, "one");
    ck_assert_int_eq(read(said[0], text, 1), 1);
    close(said[0]);
    expect_text(in, "one");
    send_text(out, "two");
    kill(child, SIGKILL);
    reap(-SIGKILL);
    tong_channel_close(in);
    in = open_with("?as=bob&from=left", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_receive(in, text, sizeof text, &message, LONG), 3);
    ck_assert_int_eq(memcmp(text, "one", 3), 0);
    ck_assert_uint_eq(message.flags, TONG_MESSAGE_REDELIVERED);
    expect_text(in, "two");
    tong_channel_close(in);
    tong_channel_close(out);
}
END_TEST

/* Places with a name are kept for it as long as there are others. */
START_TEST(names_are_kept)
{
    tong_channel *out = open_with(ALL "&receivers=3", TONG_SEND), *in[3];
    in[0] = open_with("?as=ann", TONG_RECEIVE);
    tong_channel_close(in[0]);
    in[0] = open_with("", TONG_RECEIVE);
    in[1] = open_with("?as=bob", TONG_RECEIVE);
    send_text(out, "kept");
    tong_channel_close(in[1]);
    in[1] = open_with("?as=ann&from=left", TONG_RECEIVE);
    expect_text(in[1], "kept");
    in[2] = open_with("?as=bob&from=left", TONG_RECEIVE);
    expect_text(in[2], "kept");
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EBUSY);
    tong_channel_close(in[2]);
    in[2] = open_with("", TONG_RECEIVE);
    for (int i = 0; i < 3; i++)
        tong_channel_close(in[i]);
    ck_assert_int_eq(refused("?from=left", TONG_RECEIVE), -EINVAL);
    ck_assert_int_eq(refused("?as=far%20too%20long", TONG_RECEIVE), -EINVAL);
    tong_channel_close(out);
}
END_TEST

/* ---- Being slow ------------------------------------------------------------------------------------------ */

/* Receives a number and checks that the gap before it is what is said to be lost. */
static ssize_t expect_number(tong_channel *in, uint32_t *next, int64_t timeout)
{
    static struct numbered message;
    tong_message meta = TONG_MESSAGE_INIT;
    ssize_t size = tong_channel_receive(in, &message, sizeof message, &meta, timeout);
    if (size < 0)
        return size;
    ck_assert_uint_eq(message.number, *next + meta.lost);
    ck_assert_int_eq(meta.lost != 0, (meta.flags & TONG_MESSAGE_LOST_BEFORE) != 0);
    check(&message, size);
    *next = message.number + 1;
    return size;
}

/* What is kept is at least all but two of the chunks. */
START_TEST(who_skips_knows_how_much)
{
    tong_channel *out = open_with(ALL "&capacity=64K", TONG_SEND), *in = open_with("?slow=skip", TONG_RECEIVE);
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    uint32_t next = 0;
    send_range(out, 0, 0, 100);
    for (int i = 0; i < 10; i++)
        expect_number(in, &next, 0);
    send_range(out, 0, 100, 5000);
    ck_assert_int_ge(expect_number(in, &next, 0), 0);
    ck_assert_uint_gt(next, 2000);
    tong_channel_describe(in, &info);
    ck_assert_uint_gt(info.depth, 64 * 1024 * 14 / 16);
    while (next < 5000)
        ck_assert_int_ge(expect_number(in, &next, 0), 0);
    ck_assert_int_eq(expect_number(in, &next, 0), -EAGAIN);
    tong_channel_close(out);
    out = open_with(ALL, TONG_SEND); /* takes the lane over, and counts on */
    ck_assert_int_eq(expect_number(in, &next, LONG), -ENODATA);
    tong_channel_close(in);
    in = open_with("?slow=skip", TONG_RECEIVE);
    send_range(out, 0, 5000, 9000);
    ck_assert_int_ge(expect_number(in, &next, 0), 0);
    ck_assert_uint_gt(next, 8000);
    tong_channel_close(in);
    tong_channel_close(out);
}
END_TEST

/* The same while the sender runs: each number is received, or told to be lost. */
static void skip_under_load(const char *capacity)
{
    char options[64];
    uint32_t next = 0;
    ssize_t size;
    snprintf(options, sizeof options, ALL "&slow=skip&capacity=%s", capacity);
    tong_channel *in = open_with(options, TONG_RECEIVE);
    if (in_child()) {
        tong_channel *out = open_with("", TONG_SEND);
        send_range(out, 0, 0, 10 * EACH);
        _exit(tong_channel_close(out) < 0);
    }
    close(said[0]), close(said[1]);
    while ((size = expect_number(in, &next, LONG)) >= 0)
        if (next % 64 == 0)
            usleep(50);
    ck_assert_int_eq(size, -ENODATA);
    ck_assert_uint_eq(next, 10 * EACH);
    reap(0);
    tong_channel_close(in);
}

START_TEST(who_skips_under_load)
{
    skip_under_load("64K");
    ck_assert_int_eq(tong_remove(address), 0);
    skip_under_load("8K");
}
END_TEST

/* Also across its own absence, and that of senders. */
START_TEST(who_comes_back_knows_how_much)
{
    tong_channel *in = open_with(ALL "&as=ann&capacity=64K", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    uint32_t next = 0;
    send_range(out, 0, 0, 200);
    for (int i = 0; i < 150; i++)
        ck_assert_int_ge(expect_number(in, &next, 0), 0);
    tong_channel_close(in);
    send_range(out, 0, 200, 6000);
    tong_channel_close(out);
    out = open_with("", TONG_SEND);
    send_range(out, 0, 6000, 6100);
    in = open_with("?as=ann&from=left&slow=drop", TONG_RECEIVE);
    while (next < 6000)
        ck_assert_int_ge(expect_number(in, &next, 0), 0);
    ck_assert_int_eq(expect_number(in, &next, 0), -ENODATA);
    tong_channel_close(in);
    in = open_with("?as=ann&from=left", TONG_RECEIVE);
    while (next < 6100)
        ck_assert_int_ge(expect_number(in, &next, 0), 0);
    tong_channel_close(in);
    tong_channel_close(out);
}
END_TEST

START_TEST(who_is_to_be_dropped_is)
{
    tong_channel *out = open_with(ALL "&capacity=64K", TONG_SEND), *in = open_with("?slow=drop", TONG_RECEIVE);
    struct pollfd item;
    uint32_t next = 0;
    send_range(out, 0, 0, 100);
    ck_assert_int_ge(expect_number(in, &next, 0), 0);
    ck_assert_int_eq(tong_channel_pollfd(in, TONG_RECEIVE, &item), 0);
    send_range(out, 0, 100, 5000);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(poll(&item, 1, 1000), 1);
        ck_assert_int_eq(expect_number(in, &next, LONG), -EOVERFLOW);
        ck_assert_ptr_nonnull(strstr(tong_detail(), "slow=drop"));
    }
    tong_channel_close(in);
    tong_channel_close(out);
}
END_TEST

/* It was there before the sender, also one that goes on where it left other lanes. */
START_TEST(who_is_overtaken_in_a_new_lane_is_dropped)
{
    static const char *const options[] = { ALL "&capacity=64K&slow=drop", ALL "&capacity=64K&slow=drop&from=start",
                                           ALL "&capacity=64K&slow=drop&from=left&as=ann" };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        tong_channel *in = open_with(options[i], TONG_RECEIVE), *out = open_with("", TONG_SEND);
        uint32_t next = 0;
        send_range(out, 0, 0, 5000);
        ck_assert_int_eq(expect_number(in, &next, LONG), -EOVERFLOW);
        tong_channel_close(in);
        tong_channel_close(out);
        tong_remove(address);
    }
}
END_TEST

/* One that is waited for holds the sender up, whatever others do; once it is gone, it does not. */
static int64_t hold_up(const void *unused)
{
    (void)unused;
    static char block[1000];
    tong_channel *skips = open_with(ALL "&slow=skip&capacity=64K", TONG_RECEIVE);
    if (in_child()) {
        open_with("", TONG_RECEIVE);
        say_and_stay();
    }
    await_word();
    tong_channel *out = open_with("", TONG_SEND), *failing = open_with("?full=fail", TONG_SEND);
    int sent = 0, r;
    while ((r = tong_channel_send(out, block, sizeof block, NULL, 0)) == 0)
        sent++;
    ck_assert_int_eq(r, -EAGAIN);
    ck_assert_int_ge(sent, 65536 * 14 / 16 / (int)sizeof block);
    ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 20 * MILLISECOND), -ETIMEDOUT);
    while ((r = tong_channel_send(failing, block, sizeof block, NULL, LONG)) == 0)
        sent--;
    ck_assert_int_eq(r, -EAGAIN);
    ck_assert_int_eq(sent, 0);
    kill(child, SIGKILL);
    reap(-SIGKILL);
    int64_t before = clock_now();
    ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, LONG), 0);
    int64_t took = clock_now() - before;
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 0), 0);
    tong_channel_close(failing);
    tong_channel_close(out);
    tong_channel_close(skips);
    ck_assert_int_eq(tong_remove(address), 0);
    return took;
}

START_TEST(one_that_is_killed_holds_nobody_up)
{
    ck_assert_int_le(third_least(10 * MILLISECOND, hold_up, NULL), 10 * MILLISECOND);
}
END_TEST

/* A sender that sleeps is woken by the death of one of two that hold it up, and by the progress of the other. */
START_TEST(a_sleeping_sender_is_released)
{
    static char block[1000];
    tong_channel *in = open_with(ALL "&capacity=64K", TONG_RECEIVE);
    if (in_child()) {
        tong_channel *out = open_with("", TONG_SEND);
        for (int i = 0; i < 200; i++)
            if (tong_channel_send(out, block, sizeof block, NULL, LONG) < 0)
                _exit(1);
        _exit(tong_channel_close(out) < 0);
    }
    close(said[0]), close(said[1]);
    pid_t sender = child, dies;
    int opened[2];
    char byte;
    ck_assert_int_eq(pipe(opened), 0);
    if ((dies = fork()) == 0) {
        open_with("?from=start", TONG_RECEIVE);
        if (write(opened[1], "x", 1) == 1)
            for (;;)
                pause();
    }
    ck_assert_int_eq(read(opened[0], &byte, 1), 1);
    close(opened[0]), close(opened[1]);
    static char buffer[1000];
    ssize_t r;
    int received = 0;
    while ((r = tong_channel_receive(in, buffer, sizeof buffer, NULL, 100 * MILLISECOND)) >= 0)
        received++;
    ck_assert_int_eq(r, -ETIMEDOUT);
    ck_assert_int_lt(received, 100);
    kill(dies, SIGKILL);
    int status;
    ck_assert_int_eq(waitpid(dies, &status, 0), dies);
    while ((r = tong_channel_receive(in, buffer, sizeof buffer, NULL, LONG)) >= 0)
        received++;
    ck_assert_int_eq(r, -ENODATA);
    ck_assert_int_eq(received, 200);
    child = sender;
    reap(0);
    tong_channel_close(in);
}
END_TEST

START_TEST(nobody_there_is_not_waited_for)
{
    tong_channel *out = open_with(ALL "&capacity=4K", TONG_SEND);
    send_range(out, 0, 0, 4000);
    tong_channel *in = open_with("?from=start", TONG_RECEIVE);
    struct numbered message;
    ck_assert_int_gt(tong_channel_receive(in, &message, sizeof message, NULL, 0), 0);
    for (uint32_t next = message.number + 1; next < 4000; next++) {
        ck_assert_int_gt(tong_channel_receive(in, &message, sizeof message, NULL, 0), 0);
        ck_assert_uint_eq(message.number, next);
    }
    ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* With full=drop the sender gives up what a slow one holds up, and everybody is told how much. */
START_TEST(what_the_sender_gives_up_is_told)
{
    tong_channel *in = open_with(ALL "&capacity=64K", TONG_RECEIVE), *skips = open_with("?slow=skip", TONG_RECEIVE);
    tong_channel *out = open_with("?full=drop", TONG_SEND);
    static struct numbered message;
    uint32_t next = 0, number = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3000; i++, number++) {
            fill(&message, 0, number);
            ck_assert_int_eq(tong_channel_send(out, &message, size_of(0, number), NULL, 0), 0);
        }
        while (expect_number(in, &next, 0) >= 0)
            ;
        ck_assert_uint_lt(next, number);
    }
    fill(&message, 0, number);
    ck_assert_int_eq(tong_channel_send(out, &message, size_of(0, number), NULL, 0), 0);
    ck_assert_int_gt(expect_number(in, &next, 0), 0);
    ck_assert_uint_eq(next, number + 1);
    next = 0;
    while (expect_number(skips, &next, 0) >= 0)
        ;
    ck_assert_uint_eq(next, number + 1);
    tong_channel_close(out);
    tong_channel_close(in);
    tong_channel_close(skips);
}
END_TEST

/* ---- Zero copy ------------------------------------------------------------------------------------------- */

START_TEST(what_is_overwritten_while_it_is_looked_at)
{
    tong_channel *out = open_with(ALL "&capacity=64K", TONG_SEND), *in = open_with("?slow=skip", TONG_RECEIVE);
    tong_token token[3] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT, TONG_TOKEN_INIT };
    tong_message meta = TONG_MESSAGE_INIT;
    uint32_t next = 2;
    send_range(out, 0, 0, 2);
    ck_assert_int_gt(tong_channel_peek(in, 0, NULL, &token[0]), 0);
    ck_assert_int_gt(tong_channel_peek(in, 0, NULL, &token[1]), 0);
    ck_assert_int_eq(tong_channel_release(in, &token[1]), 0);
    send_range(out, 0, 2, 5000);
    ck_assert_int_gt(tong_channel_peek(in, 0, &meta, &token[2]), 0);
    struct numbered *seen = token[2].span[0].data;
    ck_assert_uint_eq(seen->number, 2 + meta.lost);
    next = seen->number + 1;
    ck_assert_int_eq(tong_channel_release(in, &token[0]), -ESTALE);
    ck_assert_int_eq(tong_channel_release(in, &token[2]), 0);
    while (next < 5000)
        ck_assert_int_gt(expect_number(in, &next, 0), 0);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* Messages of any size up to the largest, in any order, by one who has to wait for each to be taken. */
START_TEST(sizes_are_mixed_freely)
{
    static char block[65536], buffer[65536];
    tong_channel *in[2] = { open_with(ALL "&capacity=64K", TONG_RECEIVE), open_with("?slow=skip", TONG_RECEIVE) };
    tong_channel *out = open_with("?full=fail", TONG_SEND);
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    tong_channel_describe(out, &info);
    ck_assert_uint_eq(info.largest, 65536 - 200);
    ck_assert_int_eq(tong_channel_send(out, block, info.largest + 1, NULL, 0), -EMSGSIZE);
    unsigned random = 1;
    for (int i = 0; i < 3000; i++) {
        random = random * 1103515245 + 12345;
        size_t size = i % 3 == 0 ? info.largest - (random >> 16) % 3 : (random >> 8) % (i % 3 == 1 ? 65536 - 200 : 5000);
        memset(block, i, size);
        ck_assert_int_eq(tong_channel_send(out, block, size, NULL, 0), 0);
        for (int k = 0; k < 2; k++) {
            ck_assert_int_eq(tong_channel_receive(in[k], buffer, sizeof buffer, NULL, 0), (ssize_t)size);
            ck_assert_int_eq(memcmp(block, buffer, size), 0);
        }
        if (i % 7 == 0) {
            tong_channel_close(out);
            out = open_with("?full=fail", TONG_SEND);
            for (int k = 0; k < 2; k++) {
                ck_assert_int_eq(try_receive(in[k], LONG), -ENODATA);
                tong_channel_close(in[k]);
                in[k] = open_with(k ? "?slow=skip" : "", TONG_RECEIVE);
            }
        }
    }
    tong_channel_close(out);
    tong_channel_close(in[0]);
    tong_channel_close(in[1]);
}
END_TEST

/* Sessions that send nothing behind one message that fills the lane: their marks leave room for the index that makes room. */
START_TEST(marks_of_ends_take_no_room_that_is_needed)
{
    static char block[65336], buffer[65536];
    tong_channel *in = open_with(ALL "&capacity=64K&reconnect=yes", TONG_RECEIVE), *out = open_with("?full=fail", TONG_SEND);
    for (int round = 0; round < 4; round++) {
        memset(block, round, sizeof block);
        ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 0), 0);
        for (int i = 0; i < 40; i++) {
            tong_channel_close(out);
            out = open_with("?full=fail", TONG_SEND);
            if (round % 2 && i < 39)
                continue;
            ck_assert_int_eq(tong_channel_send(out, block, 200, NULL, 0), -EAGAIN);
            ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 0), -EAGAIN);
        }
        ck_assert_int_eq(tong_channel_receive(in, buffer, sizeof buffer, NULL, 0), (ssize_t)sizeof block);
        ck_assert_int_eq(memcmp(block, buffer, sizeof block), 0);
        ck_assert_int_eq(try_receive(in, 0), -EAGAIN);
    }
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

/* ---- Only looking ---------------------------------------------------------------------------------------- */

static void look_as_nobody(const int go[2])
{
    char text[8];
    struct pollfd item;
    if (getuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
        _exit(2);
    tong_channel *in = open_with("?readonly=yes&create=no&from=start", TONG_RECEIVE);
    if (write(go[1], "x", 1) != 1 || tong_channel_receive(in, text, sizeof text, NULL, LONG) != 3 ||
        tong_channel_receive(in, text, sizeof text, NULL, LONG) != 3 || tong_channel_pollfd(in, TONG_RECEIVE, &item) < 0)
        _exit(3);
    while (try_receive(in, 0) == -EAGAIN)
        if (poll(&item, 1, (int)(LONG / MILLISECOND)) != 1)
            _exit(4);
    if (poll(&item, 1, 0) == 1 && try_receive(in, 0) != -EAGAIN)
        _exit(5);
    if (write(go[1], "x", 1) != 1)
        _exit(7);
    if (try_receive(in, LONG) != -ECONNRESET)
        _exit(6);
    _exit(tong_channel_close(in) < 0);
}

START_TEST(who_only_looks)
{
    char path[96];
    struct stat before, after;
    int go[2], back[2], status;
    char byte;
    ck_assert(pipe(go) == 0 && pipe(back) == 0);
    ck_assert_int_eq(refused(ALL "&readonly=yes", TONG_RECEIVE), -ENOENT);
    ck_assert_int_eq(refused(ALL "&readonly=yes", TONG_SEND), -EINVAL);
    ck_assert_int_eq(refused(ALL "&readonly=yes&slow=wait", TONG_RECEIVE), -EINVAL);
    mode_t mask = umask(0);
    tong_channel *made = open_with(ALL "&mode=0644&capacity=64K", TONG_RECEIVE);
    umask(mask);
    if (in_child()) {
        close(go[1]);
        tong_channel *out = open_with("", TONG_SEND);
        send_text(out, "one");
        if (write(said[1], "x", 1) != 1 || read(back[0], &byte, 1) != 1)
            _exit(1);
        send_text(out, "two");
        usleep(20000);
        send_text(out, "three");
        say_and_stay();
    }
    ck_assert_int_eq(read(said[0], &byte, 1), 1);
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    ck_assert_int_eq(stat(path, &before), 0);
    pid_t looker = fork();
    if (looker == 0)
        look_as_nobody(go);
    close(go[1]);
    ck_assert_int_eq(read(go[0], &byte, 1), 1);
    ck_assert_int_eq(write(back[1], "x", 1), 1);
    ck_assert_msg(read(go[0], &byte, 1) == 1, "the looker ended before the sender did");
    kill(child, SIGKILL);
    reap(-SIGKILL);
    ck_assert_int_eq(waitpid(looker, &status, 0), looker);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_eq(before.st_mode, after.st_mode);
    close(go[0]), close(back[0]), close(back[1]), close(said[0]), close(said[1]);
    tong_channel_close(made);
}
END_TEST

/* ---- Hostile senders ------------------------------------------------------------------------------------- */

static unsigned char *map_senders(void)
{
    char path[96];
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char *memory = mmap(NULL, LAYOUT_LANES_AT + 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    return memory;
}

static void write_word(unsigned char *memory, uint64_t position, uint64_t word)
{
    memcpy(memory + LAYOUT_LANES_AT + position % 65536, &word, sizeof word);
}

/* A floor, an index, a record behind the floor that cannot be: each is an error, and none is followed for ever. */
START_TEST(lies_are_errors)
{
    static const uint64_t floors[] = { 4, 65536 + 8, UINT64_MAX - 7, 1 << 20 };
    for (unsigned lie = 0; lie < 8; lie++) {
        tong_channel *out = open_with(ALL "&capacity=64K", TONG_SEND), *in = open_with("?slow=skip", TONG_RECEIVE);
        unsigned char *memory = map_senders();
        struct layout_place *place = &((struct layout_control *)(void *)memory)->places[0];
        uint32_t next = 0;
        send_range(out, 0, 0, 10);
        ck_assert_int_gt(expect_number(in, &next, 0), 0);
        send_range(out, 0, 10, 4000);
        uint64_t floor = place->floor, tail = place->tail;
        ck_assert_uint_gt(floor, 0);
        if (lie < 4)
            place->floor = lie == 2 ? floor : floors[lie] + (lie == 3 ? tail : floor);
        if (lie == 2)
            write_word(memory, floor, record_word(65536, RECORD_MESSAGE, 1));
        if (lie == 4)
            write_word(memory, floor + 8, 0);
        if (lie == 5)
            write_word(memory, floor, record_word(8, RECORD_SKIP, 0));
        if (lie == 6)
            write_word(memory, floor + 16, record_word(0, RECORD_SKIP, 0));
        if (lie == 7)
            write_word(memory, floor + 16, record_word(0, RECORD_INDEX, 0));
        ssize_t r = try_receive(in, 10 * MILLISECOND);
        ck_assert_msg(r == -EBADMSG || r == -ETIMEDOUT, "lie %u: %zd", lie, r);
        ck_assert_msg(r == -EBADMSG || lie == 3, "lie %u: %zd", lie, r);
        tong_channel_close(out);
        tong_channel *successor;
        char text[120];
        snprintf(text, sizeof text, "%s%s", address, ALL);
        int opened = tong_channel_open(text, TONG_SEND, 0, &successor);
        ck_assert_msg(opened == -EPROTO || lie == 4, "lie %u: %d", lie, opened);
        if (opened == 0)
            tong_channel_close(successor);
        tong_channel_close(in);
        munmap(memory, LAYOUT_LANES_AT + 65536);
        ck_assert_int_eq(tong_remove(address), 0);
    }
}
END_TEST

/* ---- Asking for what it is not --------------------------------------------------------------------------- */

START_TEST(one_way_to_deliver)
{
    tong_channel *one = open_with("", TONG_RECEIVE);
    ck_assert_int_eq(refused(ALL, TONG_RECEIVE), -EINVAL);
    ck_assert_int_eq(refused("?from=start", TONG_RECEIVE), -EINVAL);
    ck_assert_int_eq(refused("?readonly=yes", TONG_RECEIVE), -EINVAL);
    tong_channel_close(one);
    ck_assert_int_eq(tong_remove(address), 0);
    one = open_with(ALL, TONG_SEND);
    ck_assert_int_eq(refused("?deliver=queue", TONG_RECEIVE), -EINVAL);
    tong_channel_close(one);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_receiver_gets_all, from_every_sender, where_a_receiver_begins, one_that_left_goes_on, one_that_died_goes_on,
        names_are_kept, who_skips_knows_how_much, who_skips_under_load, who_comes_back_knows_how_much,
        who_is_to_be_dropped_is, who_is_overtaken_in_a_new_lane_is_dropped, one_that_is_killed_holds_nobody_up,
        a_sleeping_sender_is_released, nobody_there_is_not_waited_for, what_the_sender_gives_up_is_told,
        what_is_overwritten_while_it_is_looked_at, sizes_are_mixed_freely,
        marks_of_ends_take_no_room_that_is_needed, who_only_looks, lies_are_errors, one_way_to_deliver,
    };
    return run_tests("shm broadcast", tests, sizeof tests / sizeof *tests);
}
