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
#define HANDS 3 /* messages that a receiver holds at most */
#define MOST 6  /* senders, or receivers, at a time */
#define WHILE (50 * TONG_MILLISECOND)

struct delivery {
    const char *name;
    const char *options;
    const char *receiver; /* more of them, of the receiver with this number */
    unsigned senders, receivers;
    bool shared;
    bool copies; /* what is looked at may be overwritten meanwhile */
};

static const struct delivery deliveries[] = {
    { "one receiver", "", "", 4, 1, false, false },
    { "many receivers", "&receivers=16", "", 3, 3, true, false },
    { "a broadcast", "&deliver=broadcast", "&from=left&as=r%u", 3, 3, false, false },
    { "a broadcast, skipping", "&deliver=broadcast", "&from=left&slow=skip&as=r%u", 3, 3, false, true },
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

/* Said before the receive, since what is received by one who is killed before it can enter it is gone. */
static ssize_t take_copy(tong_channel *channel, unsigned view)
{
    static unsigned char buffer[LEDGER_BIGGEST];
    tong_message meta = TONG_MESSAGE_INIT;
    ledger->view[view].inside = 1;
    ssize_t r = tong_channel_receive(channel, buffer, LEDGER_BIGGEST, &meta, WHILE);
    if (r >= 0)
        ledger_enter(ledger, view, buffer, (size_t)r, &meta);
    ledger->view[view].inside = 0;
    return r;
}

/* What is peeked comes again if its holder dies; all that were entered are flagged. */
static ssize_t take_by_hand(tong_channel *channel, unsigned view)
{
    tong_token token[HANDS];
    int held = 0;
    ssize_t r = 0;
    for (; held < HANDS; held++) {
        tong_message meta = TONG_MESSAGE_INIT;
        token[held] = (tong_token)TONG_TOKEN_INIT;
        r = tong_channel_peek(channel, held ? 0 : WHILE, &meta, &token[held]);
        if (r < 0)
            break;
        ledger_enter(ledger, view, token[held].span[0].data, (size_t)r, &meta);
    }
    for (int i = 0; i < held; i++)
        MUST(ledger, tong_channel_release(channel, &token[(i + 1) % held]) == 0, "release: %s", tong_detail());
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

static void receive_for_ever(unsigned view, bool by_hand)
{
    tong_channel *channel = open_receiver(view);
    for (;;) {
        ssize_t r = by_hand ? take_by_hand(channel, view) : take_copy(channel, view);
        if (r == -ETIMEDOUT && ledger->over)
            _exit(0);
        if (r >= 0 || r == -ETIMEDOUT)
            continue;
        MUST(ledger, r == -ENODATA || r == -ECONNRESET, "receiver: %zd %s", r, tong_detail());
        tong_channel_close(channel);
        channel = open_receiver(view);
    }
}

static void start_receiver(unsigned slot)
{
    static bool by_hand;
    by_hand = !by_hand;
    receiver[slot] = ledger_fork(ledger);
    if (receiver[slot] == 0)
        receive_for_ever(slot, by_hand && !delivery->copies);
}

/* What the receiver that is gone may have had in hand, or in its buffer, of whatever sender. */
static void forgive(unsigned view)
{
    struct ledger_view *gone = &ledger->view[view];
    bool inside = gone->inside;
    gone->inside = 0;
    if (ledger->shared) {
        ledger->ahead += inside;
        ledger_renew(ledger, view, senders);
        return;
    }
    for (unsigned number = 0; number < senders; number++) {
        gone->row[number].again = HANDS;
        gone->row[number].ahead += inside;
    }
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
    forgive(slot);
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
