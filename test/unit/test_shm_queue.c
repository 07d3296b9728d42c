/* SPDX-License-Identifier: MIT */
/* shm: with several receivers: each message once, to one of them; what is in hand of one that is stopped, or gone; ends. */
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "asleep.h"
#include "base/layout.h"
#include "shm_fixture.h"

#define SENDERS 3
#define RECEIVERS 4
#define EACH 20000
#define QUEUE "?receivers=16"
#define SMALL "?receivers=16&capacity=64K"

struct numbered {
    uint32_t sender, number;
    char rest[56];
};

/* What must hold in processes that run side by side: the frame's own way to say so is one pipe for all of them. */
#define HOLDS(condition)                                                                         \
    do {                                                                                         \
        if (!(condition))                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, tong_detail()), abort(); \
    } while (0)

/* What all processes of a test saw, message by message. */
static struct tally {
    atomic_uint plain[SENDERS][EACH], again[SENDERS][EACH];
} *tally;

static void make_tally(void)
{
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(tally != MAP_FAILED);
}

static void drop_tally(void)
{
    munmap(tally, sizeof *tally);
}

static size_t size_of(uint32_t sender, uint32_t number)
{
    return 8 + (sender * 7 + number) % 56;
}

static void enter(const struct numbered *message, ssize_t size, uint32_t flags)
{
    HOLDS(message->sender < SENDERS);
    HOLDS(message->number < EACH);
    HOLDS(size == (ssize_t)size_of(message->sender, message->number));
    for (ssize_t i = 8; i < size; i++)
        HOLDS((unsigned char)message->rest[i - 8] == (message->number & 0xff));
    bool flagged = flags & TONG_MESSAGE_REDELIVERED;
    atomic_fetch_add(&(flagged ? tally->again : tally->plain)[message->sender][message->number], 1);
}

static void fill_in(struct numbered *message, uint32_t sender, uint32_t number)
{
    *message = (struct numbered){ .sender = sender, .number = number };
    memset(message->rest, (int)number, sizeof message->rest);
}

/* ---- Under load ------------------------------------------------------------------------------------------ */

/* Messages of changing sizes, alone, in batches and by tokens. */
static void send_all(uint32_t sender, tong_channel *out)
{
    struct numbered message[8];
    for (uint32_t number = 0; number < EACH; ) {
        tong_batch batch[8] = { { .size = 0 } };
        uint32_t many = 0;
        for (; many < 8 && number < EACH; many++, number++) {
            fill_in(&message[many], sender, number);
            batch[many] = (tong_batch){ sizeof *batch, 0, 0, &message[many], 0, size_of(sender, number) };
        }
        HOLDS(tong_channel_send_batch(out, batch, many, LONG) == many);
        tong_token token[2] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT };
        for (int i = 0; i < 2; i++)
            HOLDS(tong_channel_reserve(out, 100, LONG, &token[i]) == 0);
        for (int i = 0; i < 2; i++)
            HOLDS(tong_channel_abort(out, &token[i]) == 0);
    }
    _exit(tong_channel_close(out) < 0);
}

/* One of several, which begins once all are there: else the end of those who came first could be the last. */
static void send_with_others(uint32_t sender, const char *options, int ready, int go)
{
    tong_channel *out = open_with(options, TONG_SEND);
    char byte;
    if (write(ready, "x", 1) != 1 || read(go, &byte, 1) != 0)
        _exit(1);
    send_all(sender, out);
}

/* Order is that of each sender, for each receiver. */
static void enter_in_order(const struct numbered *message, ssize_t size, uint32_t flags, uint32_t next[SENDERS])
{
    enter(message, size, flags);
    HOLDS(message->number >= next[message->sender]);
    next[message->sender] = message->number + 1;
}

static ssize_t receive_some(tong_channel *in, uint32_t turn, uint32_t next[SENDERS])
{
    struct numbered message[5];
    tong_batch batch[5];
    tong_message meta = TONG_MESSAGE_INIT;
    tong_token token = TONG_TOKEN_INIT;
    ssize_t r;
    if (turn % 3 == 0) {
        for (int i = 0; i < 5; i++)
            batch[i] = (tong_batch){ sizeof *batch, 0, 0, &message[i], sizeof *message, 0 };
        r = tong_channel_receive_batch(in, batch, 5, LONG);
        for (ssize_t i = 0; i < r; i++)
            enter_in_order(&message[i], (ssize_t)batch[i].length, batch[i].flags, next);
    } else if (turn % 3 == 1) {
        r = tong_channel_receive(in, message, sizeof *message, &meta, LONG);
        if (r >= 0)
            enter_in_order(message, r, meta.flags, next);
    } else {
        r = tong_channel_peek(in, LONG, &meta, &token);
        if (r >= 0)
            enter_in_order(token.span[0].data, r, meta.flags, next);
        if (r >= 0)
            HOLDS(tong_channel_release(in, &token) == 0);
    }
    return r;
}

static void receive_all(const char *options, int ready)
{
    tong_channel *in = open_with(options, TONG_RECEIVE);
    uint32_t next[SENDERS] = { 0 };
    ssize_t r = write(ready, "x", 1);
    for (uint32_t turn = 0; r >= 0; turn++)
        r = receive_some(in, turn, next);
    HOLDS(r == -ENODATA);
    _exit(tong_channel_close(in) < 0);
}

static void join_all(const pid_t *pids, int many)
{
    int status;
    for (int i = 0; i < many; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
}

static void expect_each_once(int senders)
{
    for (int sender = 0; sender < senders; sender++)
        for (int number = 0; number < EACH; number++) {
            ck_assert_msg(tally->plain[sender][number] == 1, "%d of %d came %u times", number, sender,
                          tally->plain[sender][number]);
            ck_assert_uint_eq(tally->again[sender][number], 0);
        }
}

static void run_all(const char *options)
{
    pid_t pids[SENDERS + RECEIVERS];
    int ready[2], go[2];
    char byte;
    make_tally();
    ck_assert(pipe(ready) == 0 && pipe(go) == 0);
    for (int i = 0; i < SENDERS + RECEIVERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(go[1]);
            if (i < RECEIVERS)
                receive_all(options, ready[1]);
            send_with_others((uint32_t)(i - RECEIVERS), options, ready[1], go[0]);
        }
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    }
    close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
    join_all(pids, SENDERS + RECEIVERS);
    expect_each_once(SENDERS);
    drop_tally();
}

START_TEST(each_message_once)
{
    run_all(SMALL);
}
END_TEST

START_TEST(each_message_once_where_there_is_hardly_room)
{
    run_all("?receivers=5&capacity=4K");
}
END_TEST

static pid_t start_sender(const char *options)
{
    pid_t pid = fork();
    if (pid == 0)
        send_all(0, open_with(options, TONG_SEND));
    return pid;
}

/* Three at a time, each for a while; who leaves in order leaves nothing behind. */
START_TEST(receivers_come_and_go)
{
    tong_channel *in[3];
    uint32_t next[SENDERS] = { 0 };
    make_tally();
    for (int i = 0; i < 3; i++)
        in[i] = open_with(SMALL, TONG_RECEIVE);
    pid_t sender = start_sender(SMALL);
    ssize_t r = 0;
    for (uint32_t turn = 0; r >= 0; turn++) {
        for (int i = 0; i < 3 && r >= 0; i++)
            r = receive_some(in[i], turn + (uint32_t)i, next);
        if (turn % 50 == 49 && r >= 0) {
            tong_channel_close(in[turn / 50 % 3]);
            in[turn / 50 % 3] = open_with(SMALL, TONG_RECEIVE);
        }
    }
    ck_assert_int_eq(r, -ENODATA);
    join_all(&sender, 1);
    expect_each_once(1);
    for (int i = 0; i < 3; i++)
        tong_channel_close(in[i]);
    drop_tally();
}
END_TEST

/* ---- Dead receivers -------------------------------------------------------------------------------------- */

static void expect_again(tong_channel *in, const char *text)
{
    char buffer[64];
    tong_message meta = TONG_MESSAGE_INIT;
    ssize_t r = tong_channel_receive(in, buffer, sizeof buffer, &meta, LONG);
    ck_assert_msg(r == (ssize_t)strlen(text) && !memcmp(buffer, text, strlen(text)), "%zd instead of %s", r, text);
    ck_assert_uint_eq(meta.flags, TONG_MESSAGE_REDELIVERED);
}

static void peek_text(tong_channel *in, const char *text, tong_token *token)
{
    *token = (tong_token)TONG_TOKEN_INIT;
    ssize_t r = tong_channel_peek(in, LONG, NULL, token);
    ck_assert_msg(r == (ssize_t)strlen(text) && !memcmp(token->span[0].data, text, strlen(text)), "%zd not %s", r, text);
}

/* A receiver that is killed with those messages in hand. */
static void die_with(const char *const *texts, int many)
{
    if (in_child()) {
        tong_channel *in = open_with("", TONG_RECEIVE);
        tong_token token;
        for (int i = 0; i < many; i++)
            peek_text(in, texts[i], &token);
        say_and_stay();
    }
    await_word();
    kill(child, SIGKILL);
    reap(-SIGKILL);
}

START_TEST(a_survivor_gets_what_the_dead_had)
{
    static const char *const texts[] = { "one", "two", "three" };
    tong_channel *in = open_with(QUEUE, TONG_RECEIVE), *out = open_with("", TONG_SEND);
    for (int i = 0; i < 3; i++)
        send_text(out, texts[i]);
    die_with(texts, 3);
    send_text(out, "four");
    expect_text(in, "four");
    for (int i = 0; i < 3; i++)
        expect_again(in, texts[i]);
    ck_assert_int_eq(try_receive(in, 20 * MILLISECOND), -ETIMEDOUT);
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(in);
}
END_TEST

START_TEST(a_successor_gets_what_the_dead_had)
{
    static const char *const texts[] = { "one", "two" };
    tong_channel *out = open_with(QUEUE, TONG_SEND);
    send_text(out, "one");
    send_text(out, "two");
    die_with(texts, 2);
    tong_channel *in = open_with("", TONG_RECEIVE);
    tong_token token;
    tong_message meta = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_peek(in, LONG, &meta, &token), 3);
    ck_assert_uint_eq(meta.flags, TONG_MESSAGE_REDELIVERED);
    tong_channel_close(in);
    in = open_with("", TONG_RECEIVE);
    expect_again(in, "one");
    expect_again(in, "two");
    send_text(out, "three");
    expect_text(in, "three");
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(in);
}
END_TEST

/* Who takes over what a dead one had dies too. */
START_TEST(a_recovery_is_recovered)
{
    static const char *const texts[] = { "1", "2", "3", "4", "5" };
    tong_channel *in = open_with(QUEUE, TONG_RECEIVE), *out = open_with("", TONG_SEND);
    tong_token token;
    for (int i = 0; i < 5; i++)
        send_text(out, texts[i]);
    die_with(texts, 5);
    die_with(texts, 2);
    for (int i = 0; i < 4; i++)
        expect_again(in, texts[i]);
    peek_text(in, "5", &token);
    ck_assert_int_eq(tong_channel_release(in, &token), 0);
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(in);
}
END_TEST

/* Tells of each message before it releases it. */
static void receive_and_tell(int ready)
{
    tong_channel *in = open_with("", TONG_RECEIVE);
    tong_token token = TONG_TOKEN_INIT;
    tong_message meta = TONG_MESSAGE_INIT;
    ssize_t r = write(ready, "x", 1);
    while ((r = tong_channel_peek(in, LONG, &meta, &token)) >= 0) {
        enter(token.span[0].data, r, meta.flags);
        HOLDS(tong_channel_release(in, &token) == 0);
    }
    HOLDS(r == -ENODATA);
    _exit(0);
}

static pid_t start_worker(void)
{
    char byte;
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0)
        receive_and_tell(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]), close(ready[1]);
    return pid;
}

/* Killed wherever they are, again and again: nothing is lost, and what came twice said so. */
START_TEST(killed_at_any_moment)
{
    pid_t pids[3];
    int status, kills = 0;
    make_tally();
    tong_channel *holder = open_with(SMALL, TONG_SEND);
    pid_t sender = start_sender("");
    for (int i = 0; i < 3; i++)
        pids[i] = start_worker();
    for (int i = 0; waitpid(sender, &status, WNOHANG) == 0; i = (i + 1) % 3, kills++) {
        usleep(2000 + kills % 7 * 500);
        kill(pids[i], SIGKILL);
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        pids[i] = start_worker();
    }
    ck_assert_int_eq(status, 0);
    tong_channel_close(holder);
    join_all(pids, 3);
    for (int number = 0; number < EACH; number++) {
        ck_assert_uint_le(tally->plain[0][number], 1);
        ck_assert_msg(tally->plain[0][number] + tally->again[0][number] >= 1, "%d is lost", number);
    }
    drop_tally();
}
END_TEST

/* ---- A receiver that is stopped -------------------------------------------------------------------------- */

/* The others drain its lane for a lap, and other lanes for ever. */
START_TEST(one_that_is_stopped_stops_nobody)
{
    static char block[16384];
    tong_channel *in = open_with("?receivers=3&capacity=64K", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    int status, sent = 0;
    send_text(out, "held");
    if (in_child()) {
        tong_channel *other = open_with("", TONG_RECEIVE);
        tong_token token;
        peek_text(other, "held", &token);
        raise(SIGSTOP);
        ck_assert_int_eq(tong_channel_release(other, &token), 0);
        _exit(tong_channel_close(other) < 0);
    }
    close(said[0]), close(said[1]);
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    ck_assert(WIFSTOPPED(status));
    while (tong_channel_send(out, block, 1000, NULL, 0) == 0) {
        ck_assert_int_eq(tong_channel_receive(in, block, sizeof block, NULL, 0), 1000);
        sent++;
    }
    ck_assert_int_gt(sent, 50);
    tong_channel *second = open_with("", TONG_SEND);
    for (int i = 0; i < 20000; i++) {
        ck_assert_int_eq(tong_channel_send(second, block, sizeof block, NULL, LONG), 0);
        ck_assert_int_eq(tong_channel_receive(in, block, sizeof block, NULL, LONG), sizeof block);
    }
    kill(child, SIGCONT);
    ck_assert_int_eq(tong_channel_send(out, block, 1000, NULL, LONG), 0);
    ck_assert_int_eq(tong_channel_receive(in, block, sizeof block, NULL, LONG), 1000);
    reap(0);
    tong_channel_close(out);
    tong_channel_close(second);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(in);
}
END_TEST

/* ---- Ends ------------------------------------------------------------------------------------------------ */

static void open_three(tong_channel *in[3])
{
    for (int i = 0; i < 3; i++)
        in[i] = open_with(QUEUE, TONG_RECEIVE);
}

static void all_are_told(tong_channel *in[3], int end)
{
    for (int again = 0; again < 2; again++)
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(try_receive(in[i], again ? 0 : LONG), end);
    for (int i = 0; i < 3; i++)
        tong_channel_close(in[i]);
}

START_TEST(an_end_is_told_to_all)
{
    tong_channel *in[3];
    open_three(in);
    tong_channel *a = open_with("", TONG_SEND), *b = open_with("", TONG_SEND);
    send_text(a, "a");
    send_text(b, "b");
    tong_channel_close(a);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(try_receive(in[i], LONG), 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(try_receive(in[i], 10 * MILLISECOND), -ETIMEDOUT);
    tong_channel_close(b);
    all_are_told(in, -ENODATA);
    /* Who comes later has heard of none of it. */
    tong_channel *later = open_with("", TONG_RECEIVE), *next = open_with("", TONG_SEND);
    ck_assert_int_eq(try_receive(later, 10 * MILLISECOND), -ETIMEDOUT);
    send_text(next, "next");
    expect_text(later, "next");
    tong_channel_close(next);
    ck_assert_int_eq(try_receive(later, LONG), -ENODATA);
    tong_channel_close(later);
}
END_TEST

static void send_and_die(void)
{
    if (in_child()) {
        tong_channel *out = open_with("", TONG_SEND);
        send_text(out, "last");
        say_and_stay();
    }
    await_word();
    kill(child, SIGKILL);
    reap(-SIGKILL);
}

START_TEST(a_death_is_told_to_all)
{
    tong_channel *in[3];
    open_three(in);
    send_and_die();
    expect_text(in[1], "last");
    all_are_told(in, -ECONNRESET);
}
END_TEST

/* The mark of the death is read by one of them, and an orderly end follows it. */
START_TEST(a_death_that_one_has_read_is_told_to_all)
{
    tong_channel *in[3];
    open_three(in);
    send_and_die();
    tong_channel *out = open_with("", TONG_SEND);
    send_text(out, "next");
    expect_text(in[0], "last");
    expect_text(in[0], "next");
    tong_channel_close(out);
    all_are_told(in, -ECONNRESET);
}
END_TEST

/* Who came between the two hears of the second alone, whatever one says that has been away since before
 * the first. */
START_TEST(a_death_is_told_for_its_own_session)
{
    tong_channel *away = open_with(QUEUE, TONG_RECEIVE), *in = open_with("", TONG_RECEIVE);
    send_and_die();
    expect_text(in, "last");
    ck_assert_int_eq(try_receive(in, LONG), -ECONNRESET);
    tong_channel_close(in);
    in = open_with("", TONG_RECEIVE);
    tong_channel *later = open_with("", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    send_text(out, "next");
    expect_text(later, "next");
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    ck_assert_int_eq(try_receive(away, LONG), -ECONNRESET);
    ck_assert_int_eq(try_receive(later, LONG), -ENODATA);
    tong_channel_close(in);
    tong_channel_close(later);
    tong_channel_close(away);
}
END_TEST

START_TEST(the_end_waits_for_what_the_dead_had)
{
    static const char *const texts[] = { "last" };
    tong_channel *in = open_with(QUEUE, TONG_RECEIVE), *out = open_with("", TONG_SEND);
    send_text(out, "last");
    die_with(texts, 1);
    tong_channel_close(out);
    expect_again(in, "last");
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(in);
}
END_TEST

/* Who has all in hand that it may has no hold to take it over with, and is not told the end for that. */
START_TEST(the_end_waits_for_a_hold)
{
    static const char *const texts[] = { "last" };
    tong_channel *in = open_with(QUEUE, TONG_RECEIVE), *out = open_with("", TONG_SEND);
    tong_token token[LAYOUT_HOLDS];
    for (int i = 0; i < LAYOUT_HOLDS - 1; i++)
        send_text(out, "x");
    for (int i = 0; i < LAYOUT_HOLDS - 1; i++)
        peek_text(in, "x", &token[i]);
    send_text(out, "last");
    die_with(texts, 1);
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(in, LONG), -ENOBUFS);
    for (int i = 0; i < LAYOUT_HOLDS - 1; i++)
        ck_assert_int_eq(tong_channel_release(in, &token[i]), 0);
    expect_again(in, "last");
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel_close(in);
}
END_TEST

/* Who lives and has it in hand keeps nobody; dies it then, the next who comes gets it, and the end behind it. */
START_TEST(the_end_does_not_wait_for_the_living)
{
    tong_channel *in = open_with(QUEUE, TONG_RECEIVE), *out = open_with("", TONG_SEND);
    send_text(out, "last");
    if (in_child()) {
        tong_channel *other = open_with("", TONG_RECEIVE);
        tong_token token;
        peek_text(other, "last", &token);
        say_and_stay();
    }
    await_word();
    tong_channel_close(out);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    kill(child, SIGKILL);
    reap(-SIGKILL);
    ck_assert_int_eq(try_receive(in, LONG), -ENODATA);
    tong_channel *later = open_with("", TONG_RECEIVE);
    expect_again(later, "last");
    ck_assert_int_eq(try_receive(later, LONG), -ENODATA);
    tong_channel_close(later);
    tong_channel_close(in);
}
END_TEST

START_TEST(with_reconnect_no_end_is_told)
{
    tong_channel *in = open_with("?receivers=2&reconnect=yes", TONG_RECEIVE);
    for (int i = 0; i < 3; i++) {
        tong_channel *out = open_with("", TONG_SEND);
        send_text(out, "again");
        tong_channel_close(out);
        expect_text(in, "again");
        ck_assert_int_eq(try_receive(in, 5 * MILLISECOND), -ETIMEDOUT);
    }
    tong_channel_close(in);
}
END_TEST

/* ---- Calls ----------------------------------------------------------------------------------------------- */

START_TEST(a_batch_ends_before_what_is_too_long)
{
    tong_channel *in = open_with(QUEUE, TONG_RECEIVE), *other = open_with("", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    char text[4][4];
    tong_batch batch[4];
    tong_message meta = TONG_MESSAGE_INIT;
    for (int i = 0; i < 4; i++)
        batch[i] = (tong_batch){ sizeof *batch, 0, 0, text[i], sizeof text[i], 0 };
    send_text(out, "a");
    send_text(out, "b");
    send_text(out, "longer");
    send_text(out, "c");
    ck_assert_int_eq(tong_channel_receive_batch(in, batch, 4, LONG), 2);
    ck_assert(text[0][0] == 'a' && text[1][0] == 'b');
    ck_assert_int_eq(tong_channel_receive_batch(in, batch, 4, LONG), -EMSGSIZE);
    ck_assert_int_eq(tong_channel_receive(in, text, 3, &meta, LONG), -EMSGSIZE);
    ck_assert_uint_eq(meta.length, 6);
    expect_text(other, "longer");
    ck_assert_int_eq(tong_channel_receive_batch(in, batch, 4, LONG), 1);
    ck_assert_int_eq(text[0][0], 'c');
    tong_channel_close(out);
    tong_channel_close(other);
    tong_channel_close(in);
}
END_TEST

START_TEST(sixty_four_in_hand)
{
    tong_channel *in = open_with(QUEUE, TONG_RECEIVE), *other = open_with("", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    tong_token token[LAYOUT_HOLDS], more = TONG_TOKEN_INIT, copy;
    for (int i = 0; i <= LAYOUT_HOLDS; i++)
        send_text(out, "x");
    for (int i = 0; i < LAYOUT_HOLDS; i++)
        peek_text(in, "x", &token[i]);
    ck_assert_int_eq(tong_channel_peek(in, LONG, NULL, &more), -ENOBUFS);
    ck_assert_str_ne(tong_detail(), "");
    ck_assert_int_eq(try_receive(in, LONG), -ENOBUFS);
    expect_text(other, "x");
    send_text(out, "y");
    copy = token[30];
    ck_assert_int_eq(tong_channel_release(in, &token[30]), 0);
    peek_text(in, "y", &more);
    ck_assert_int_eq(tong_channel_release(in, &copy), -EINVAL);
    ck_assert_int_eq(tong_channel_release(in, &more), 0);
    for (int i = LAYOUT_HOLDS - 1; i >= 0; i--)
        if (i != 30)
            ck_assert_int_eq(tong_channel_release(in, &token[i]), 0);
    tong_channel_close(out);
    tong_channel_close(other);
    tong_channel_close(in);
}
END_TEST

/* The oldest is released last, by another than who released the rest: then all the room is there at once. */
START_TEST(room_comes_back_whole)
{
    static char block[65536];
    tong_channel *in = open_with(SMALL, TONG_RECEIVE), *other = open_with("", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    tong_channel_info known = TONG_CHANNEL_INFO_INIT;
    tong_token token;
    int held = 0;
    ck_assert_int_eq(tong_channel_describe(out, &known), 0);
    for (int round = 0; round < 200; round++) {
        send_text(out, "held");
        peek_text(other, "held", &token);
        while (tong_channel_send(out, block, 500, NULL, 0) == 0)
            held++;
        while (tong_channel_receive(in, block, sizeof block, NULL, 0) == 500)
            held--;
        ck_assert_int_eq(held, 0);
        ck_assert_int_eq(tong_channel_send(out, block, known.largest, NULL, 0), -EAGAIN);
        ck_assert_int_eq(tong_channel_release(other, &token), 0);
        ck_assert_int_eq(tong_channel_send(out, block, known.largest, NULL, 0), 0);
        ck_assert_int_eq(tong_channel_receive(in, block, sizeof block, NULL, 0), (ssize_t)known.largest);
    }
    tong_channel_close(out);
    tong_channel_close(other);
    tong_channel_close(in);
}
END_TEST

START_TEST(losses_are_told)
{
    static char block[100];
    tong_channel *in = open_with(SMALL, TONG_RECEIVE), *other = open_with("", TONG_RECEIVE);
    tong_channel *out = open_with("?full=drop", TONG_SEND);
    tong_message meta = TONG_MESSAGE_INIT;
    uint64_t came = 0, lost = 0;
    for (int i = 0; i < 2000; i++)
        ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 0), 0);
    while (tong_channel_receive(came % 2 ? in : other, block, sizeof block, &meta, 0) >= 0)
        came++, lost += meta.lost;
    ck_assert_int_eq(tong_channel_send(out, block, sizeof block, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_receive(in, block, sizeof block, &meta, LONG), sizeof block);
    ck_assert_uint_eq(meta.flags, TONG_MESSAGE_LOST_BEFORE);
    ck_assert_uint_gt(meta.lost, 0);
    ck_assert_uint_eq(came + 1 + lost + meta.lost, 2001);
    tong_channel_close(out);
    tong_channel_close(other);
    tong_channel_close(in);
}
END_TEST

START_TEST(cancelling_one)
{
    struct receiver one, two;
    tong_channel *a = open_with(QUEUE, TONG_RECEIVE), *b = open_with("", TONG_RECEIVE), *out = open_with("", TONG_SEND);
    receiver_start(&one, a, TONG_FOREVER);
    receiver_start(&two, b, TONG_FOREVER);
    ck_assert_int_eq(tong_channel_cancel(a), 0);
    ck_assert_int_eq(receiver_join(&one), -ECANCELED);
    send_text(out, "for two");
    ck_assert_int_eq(receiver_join(&two), 7);
    tong_channel_close(out);
    tong_channel_close(a);
    tong_channel_close(b);
}
END_TEST

/* Each of several has a bell of its own; what one leaves, another finds. */
START_TEST(event_loops)
{
    tong_channel *in[3];
    struct pollfd item[3];
    uint32_t next[SENDERS] = { 0 };
    struct numbered message;
    int ended = 0;
    make_tally();
    for (int i = 0; i < 3; i++) {
        in[i] = open_with(SMALL, TONG_RECEIVE);
        ck_assert_int_eq(tong_channel_pollfd(in[i], TONG_RECEIVE, &item[i]), 0);
    }
    pid_t sender = start_sender("");
    while (ended < 3) {
        ck_assert_int_ge(poll(item, 3, (int)(LONG / MILLISECOND)), 1);
        for (int i = 0; i < 3; i++) {
            ssize_t r = item[i].revents ? tong_channel_receive(in[i], &message, sizeof message, NULL, 0) : -EAGAIN;
            if (r >= 0)
                enter_in_order(&message, r, 0, next);
            else if (r == -ENODATA)
                item[i].fd = -1, ended++;
            else
                ck_assert_int_eq(r, -EAGAIN);
        }
    }
    join_all(&sender, 1);
    expect_each_once(1);
    for (int i = 0; i < 3; i++)
        tong_channel_close(in[i]);
    drop_tally();
}
END_TEST

START_TEST(as_many_as_it_was_made_for)
{
    tong_channel *a = open_with("?receivers=2", TONG_RECEIVE), *b = open_with("", TONG_RECEIVE);
    ck_assert_int_eq(refused("", TONG_RECEIVE), -EBUSY);
    ck_assert_int_eq(refused("?receivers=3", TONG_SEND), -EINVAL);
    ck_assert_int_eq(refused("?deliver=broadcast", TONG_RECEIVE), -EINVAL);
    tong_channel_close(a);
    a = open_with("?receivers=2", TONG_RECEIVE);
    tong_channel_close(a);
    tong_channel_close(b);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_message_once, each_message_once_where_there_is_hardly_room, receivers_come_and_go,
        a_survivor_gets_what_the_dead_had, a_successor_gets_what_the_dead_had, a_recovery_is_recovered,
        killed_at_any_moment, one_that_is_stopped_stops_nobody, an_end_is_told_to_all, a_death_is_told_to_all,
        a_death_that_one_has_read_is_told_to_all, a_death_is_told_for_its_own_session, the_end_waits_for_what_the_dead_had,
        the_end_waits_for_a_hold, the_end_does_not_wait_for_the_living, with_reconnect_no_end_is_told,
        a_batch_ends_before_what_is_too_long,
        sixty_four_in_hand, room_comes_back_whole, losses_are_told, cancelling_one, event_loops,
        as_many_as_it_was_made_for,
    };
    return run_tests("shm_queue", tests, sizeof tests / sizeof *tests);
}
