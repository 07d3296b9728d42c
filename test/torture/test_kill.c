/* SPDX-License-Identifier: MIT */
/*
 * test_kill.c [SECONDS] - senders and receivers are killed at random under full load, and replaced.
 *
 * Senders send as fast as they can; receivers receive, by copying or by peeking and releasing.  Every few milliseconds one
 * of them is killed and another takes its place.  Each sender that ever lives has a number of its own, so the ledger finds
 * whatever is lost, comes twice, out of order, torn, or was never committed.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger.h"

#define SHORT_SECONDS 5
#define LONG_SECONDS 300
#define HANDS 4 /* messages that a receiver has at most and has not given back; the last of them is a copy */
#define LINGERING 256 /* rounds of which it lingers in one */
#define LINGER (50 * TONG_MICROSECOND)
#define LINGER_AGAIN TONG_MILLISECOND
#define MOST 6  /* senders, or receivers, at a time */
#define WHILE (50 * TONG_MILLISECOND)

struct delivery {
    const char *name;
    const char *options;
    const char *receiver; /* more of them, of the receiver with this number */
    unsigned senders, receivers;
    bool shared;
    bool overtakes; /* messages are overwritten that a receiver has not seen, at least while it is dead */
    bool copies; /* what is looked at may be overwritten meanwhile */
};

static const struct delivery deliveries[] = {
    { "one receiver", "", "", 4, 1, false, false, false },
    { "many receivers", "&receivers=16", "", 3, 3, true, false, false },
    { "a broadcast", "&deliver=broadcast", "&from=left&as=r%u", 3, 3, false, true, false },
    { "a broadcast, skipping", "&deliver=broadcast", "&from=left&slow=skip&as=r%u", 3, 3, false, true, true },
};

static struct ledger *ledger;
static const struct delivery *delivery;
static char address[128];
static unsigned senders;  /* that ever were */
static pid_t sender[MOST], receiver[MOST];
static uint64_t deaths;

/* ---- Senders ---------------------------------------------------------------------------------------------------- */

static void send_for_ever(unsigned number)
{
    unsigned char buffer[LEDGER_BIGGEST];
    struct ledger_sender *row = &ledger->sender[number];
    tong_channel *channel = ledger_open(ledger, address, TONG_SEND);
    while (!ledger->stop && row->done < LEDGER_NUMBERS - 1) {
        size_t size = ledger_write(buffer, number, row->done, row->done % 16 == 0 ? 700 : 0);
        row->begun = row->done + 1;
        int r = tong_channel_send(channel, buffer, size, NULL, WHILE);
        MUST(ledger, r == 0 || r == -ETIMEDOUT || r == -EPIPE, "sender: %d %s", r, tong_detail());
        row->done += r == 0;
    }
    MUST(ledger, tong_channel_close(channel) == 0, "sender: close: %s", tong_detail());
    _exit(0);
}

static void start_sender(unsigned slot)
{
    unsigned number = senders++;
    MUST(ledger, number < LEDGER_SENDERS, "too many senders");
    sender[slot] = ledger_fork(ledger);
    if (sender[slot] == 0)
        send_for_ever(number);
}

/* ---- Receivers -------------------------------------------------------------------------------------------------- */

/* Into the ledger, where it is seen if the receiver is killed before it can enter it. */
static ssize_t take_copy(tong_channel *channel, unsigned view, int64_t timeout)
{
    unsigned char *buffer = ledger->view[view].copy;
    tong_message meta = TONG_MESSAGE_INIT;
    ssize_t r = tong_channel_receive(channel, buffer, LEDGER_BIGGEST, &meta, timeout);
    if (r >= 0)
        ledger_enter(ledger, view, buffer, (size_t)r, &meta);
    return r;
}

/* Now and then, so that many die with something in hand; and longer before what comes again, so that some die when they have
 * taken only a part of it. */
static void linger(unsigned round, uint32_t flags)
{
    if (flags & TONG_MESSAGE_REDELIVERED)
        ledger_sleep(LINGER_AGAIN);
    else if (round % LINGERING == 0)
        ledger_sleep(LINGER);
}

/* What is peeked comes again if its holder dies, and so does what is copied behind it; all that were entered are flagged. */
static ssize_t take_by_hand(tong_channel *channel, unsigned view, unsigned round)
{
    tong_token token[HANDS - 1];
    int held = 0;
    ssize_t r = 0;
    for (; held < HANDS - 1; held++) {
        tong_message meta = TONG_MESSAGE_INIT;
        token[held] = (tong_token)TONG_TOKEN_INIT;
        r = tong_channel_peek(channel, held ? 0 : WHILE, &meta, &token[held]);
        if (r < 0)
            break;
        ledger_enter(ledger, view, token[held].span[0].data, (size_t)r, &meta);
        linger(round, meta.flags);
    }
    if (held == HANDS - 1 && take_copy(channel, view, 0) >= 0)
        linger(round, 0);
    for (int i = 0; i < held; i++) {
        MUST(ledger, tong_channel_release(channel, &token[(i + 1) % held]) == 0, "release: %s", tong_detail());
        linger(round, 0);
    }
    return held ? 0 : r;
}

static tong_channel *open_receiver(unsigned view)
{
    char own[160];
    int length = snprintf(own, sizeof own, "%s", address);
    snprintf(own + length, sizeof own - (size_t)length, delivery->receiver, view);
    tong_channel *channel = ledger_open(ledger, own, TONG_RECEIVE);
    ledger->view[view].ready = 1;
    return channel;
}

/* It is over when nothing came after all senders had ended: a call that began before may have looked before the last of them
 * sent. */
static void receive_for_ever(unsigned view, bool by_hand)
{
    tong_channel *channel = open_receiver(view);
    for (unsigned round = 0; ; round++) {
        int over = ledger->over;
        ssize_t r = by_hand ? take_by_hand(channel, view, round) : take_copy(channel, view, WHILE);
        if (r == -ETIMEDOUT && over)
            _exit(0);
        if (r >= 0 || r == -ETIMEDOUT)
            continue;
        MUST(ledger, r == -ENODATA || r == -ECONNRESET, "receiver: %zd %s", r, tong_detail());
        tong_channel_close(channel);
        channel = open_receiver(view);
    }
}

/* Two after one another have some in hand, then comes one who copies. */
static void start_receiver(unsigned slot)
{
    static unsigned turn;
    turn++;
    receiver[slot] = ledger_fork(ledger);
    if (receiver[slot] == 0)
        receive_for_ever(slot, turn % 3 != 0 && !delivery->copies);
}

/* ---- A delivery ------------------------------------------------------------------------------------------------- */

static void start(void)
{
    ledger_clear(ledger, LEDGER_SENDERS);
    ledger->shared = delivery->shared;
    senders = 0;
    for (unsigned slot = 0; slot < delivery->receivers; slot++) {
        start_receiver(slot);
        ledger_until(ledger, &ledger->view[slot].ready, "a receiver to open");
    }
    for (unsigned slot = 0; slot < delivery->senders; slot++)
        start_sender(slot);
}

static void finish(void)
{
    ledger->stop = 1;
    for (unsigned slot = 0; slot < delivery->senders; slot++)
        ledger_join(ledger, sender[slot], "a sender");
    ledger->over = 1;
    for (unsigned slot = 0; slot < delivery->receivers; slot++)
        ledger_join(ledger, receiver[slot], "a receiver");
    for (unsigned slot = 0; slot < delivery->receivers; slot++)
        if (slot == 0 || !ledger->shared)
            ledger_settle(ledger, slot, senders);
    MUST(ledger, tong_remove(address) == 0, "remove: %s", tong_detail());
}

/* Whom the loads of the others go on without. */
static bool kill_one(unsigned choice)
{
    if (choice < delivery->senders) {
        ledger_kill(sender[choice]);
        start_sender(choice);
        return true;
    }
    unsigned slot = (choice - delivery->senders) % delivery->receivers;
    ledger_kill(receiver[slot]);
    ledger_bury(ledger, slot, HANDS, delivery->overtakes, senders);
    start_receiver(slot);
    return false;
}

static void run(int64_t seconds)
{
    unsigned seed = 20, killed_senders = 0, killed_receivers = 0;
    int64_t until = ledger_now() + seconds * TONG_SECOND;
    start();
    while (ledger_now() < until && senders < LEDGER_SENDERS - 1) {
        ledger_sleep((rand_r(&seed) % 8000 + 500) * TONG_MICROSECOND);
        MUST(ledger, !ledger->failed, "%s", ledger->failure);
        bool sent = kill_one((unsigned)rand_r(&seed) % (delivery->senders + delivery->receivers + 1));
        killed_senders += sent;
        killed_receivers += !sent;
    }
    finish();
    printf("%s: deaths survived: %u senders, %u receivers; %llu messages arrived, %llu came again, %llu were in a dead "
           "receiver's buffer, %llu were missed and told of\n", delivery->name, killed_senders, killed_receivers,
           (unsigned long long)ledger->received, (unsigned long long)ledger->redelivered, (unsigned long long)ledger->missing,
           (unsigned long long)ledger->lost);
    fflush(stdout);
    MUST(ledger, ledger->missing <= killed_receivers, "more messages are missing than receivers died");
    MUST(ledger, ledger->late <= killed_receivers, "more messages came again before they came than receivers died");
    deaths += killed_senders + killed_receivers;
}

int main(int argc, char **argv)
{
    char name[64];
    ledger = ledger_make();
    snprintf(name, sizeof name, "torture-kill-%d", (int)getpid());
    int64_t seconds = argc > 1 ? atoi(argv[1]) : ledger_is_long() ? LONG_SECONDS : SHORT_SECONDS;
    for (delivery = deliveries; delivery < deliveries + sizeof deliveries / sizeof *deliveries; delivery++) {
        snprintf(address, sizeof address, "shm:%s?capacity=16384%s", name, delivery->options);
        run(seconds);
    }
    MUST(ledger, ledger_names(name) == 0, "names are left");
    ledger_count(0, deaths, 0);
    return 0;
}
