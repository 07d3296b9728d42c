/* SPDX-License-Identifier: MIT */
/*
 * test_kill.c - senders and receivers are killed at random under full load, and replaced.
 *
 * Four senders send as fast as they can, one receiver receives: by copying, by peeking and releasing.  Every few
 * milliseconds one of them is killed and another takes its place.  Each sender that ever lives has a number of its own, so the
 * ledger finds whatever is lost, comes twice, out of order, torn, or was never committed.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger.h"

#define SENDING 4
#define SHORT_SECONDS 5
#define LONG_SECONDS 300
#define HANDS 3 /* messages that a receiver holds at most */

static struct ledger *ledger;
static char address[64];

static void send_for_ever(unsigned sender)
{
    unsigned char buffer[LEDGER_BIGGEST];
    struct ledger_sender *row = &ledger->sender[sender];
    tong_channel *channel = ledger_open(ledger, address, TONG_SEND);
    while (!ledger->stop) {
        size_t size = ledger_write(buffer, sender, row->done, row->done % 16 == 0 ? 700 : 0);
        row->begun = row->done + 1;
        int r = tong_channel_send(channel, buffer, size, NULL, 50 * TONG_MILLISECOND);
        MUST(ledger, r == 0 || r == -ETIMEDOUT || r == -EPIPE, "sender: %d %s", r, tong_detail());
        row->done += r == 0;
    }
    MUST(ledger, tong_channel_close(channel) == 0, "sender: close: %s", tong_detail());
    _exit(0);
}

/* Before the receive, since what is received by one who is killed before it can enter it is gone. */
static void take_copy(tong_channel *channel, unsigned char *buffer, ssize_t *ret)
{
    tong_message meta = TONG_MESSAGE_INIT;
    ledger->inside = 1;
    *ret = tong_channel_receive(channel, buffer, LEDGER_BIGGEST, &meta, 50 * TONG_MILLISECOND);
    if (*ret >= 0)
        ledger_enter(ledger, 0, buffer, (size_t)*ret, &meta);
    ledger->inside = 0;
}

/* What is peeked comes again if its holder dies; all that were entered are flagged. */
static void take_by_hand(tong_channel *channel, ssize_t *ret)
{
    tong_token token[HANDS];
    int held = 0;
    for (; held < HANDS; held++) {
        tong_message meta = TONG_MESSAGE_INIT;
        token[held] = (tong_token)TONG_TOKEN_INIT;
        *ret = tong_channel_peek(channel, held ? 0 : 50 * TONG_MILLISECOND, &meta, &token[held]);
        if (*ret < 0)
            break;
        ledger_enter(ledger, 0, token[held].span[0].data, (size_t)*ret, &meta);
    }
    for (int i = 0; i < held; i++)
        MUST(ledger, tong_channel_release(channel, &token[(i + 1) % held]) == 0, "release: %s", tong_detail());
    *ret = held ? 0 : *ret;
}

static void receive_for_ever(bool by_hand)
{
    static unsigned char buffer[LEDGER_BIGGEST];
    tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
    for (ssize_t r = 0; ; ) {
        if (by_hand)
            take_by_hand(channel, &r);
        else
            take_copy(channel, buffer, &r);
        if (r >= 0 || r == -ETIMEDOUT)
            continue;
        MUST(ledger, r == -ENODATA || r == -ECONNRESET, "receiver: %zd %s", r, tong_detail());
        tong_channel_close(channel);
        if (ledger->stop)
            _exit(0);
        channel = ledger_open(ledger, address, TONG_RECEIVE);
    }
}

static pid_t start_sender(unsigned *senders)
{
    unsigned sender = (*senders)++;
    pid_t pid = ledger_fork(ledger);
    if (pid == 0)
        send_for_ever(sender);
    return pid;
}

static pid_t start_receiver(void)
{
    static bool by_hand;
    by_hand = !by_hand;
    pid_t pid = ledger_fork(ledger);
    if (pid == 0)
        receive_for_ever(by_hand);
    return pid;
}

/* What the receiver that is gone may have had in hand, or in its buffer, of whatever sender. */
static void forgive(unsigned senders)
{
    for (unsigned sender = 0; sender < senders; sender++) {
        ledger->view[0].row[sender].again = HANDS;
        ledger->view[0].row[sender].ahead += ledger->inside != 0;
    }
    ledger->inside = 0;
}

static void finish(pid_t receiver, const pid_t *sender, unsigned senders)
{
    ledger->stop = 1;
    for (unsigned i = 0; i < SENDING; i++)
        ledger_join(ledger, sender[i], "a sender");
    ledger_join(ledger, receiver, "the receiver");
    ledger_settle(ledger, 0, senders);
}

int main(void)
{
    unsigned senders = 0, seed = 20, killed_senders = 0, killed_receivers = 0;
    pid_t sender[SENDING], receiver;
    ledger = ledger_make();
    ledger_clear(ledger, LEDGER_SENDERS);
    snprintf(address, sizeof address, "shm:torture-kill-%d?capacity=16384", (int)getpid());
    receiver = start_receiver();
    for (unsigned i = 0; i < SENDING; i++)
        sender[i] = start_sender(&senders);
    int64_t until = ledger_now() + (ledger_is_long() ? LONG_SECONDS : SHORT_SECONDS) * TONG_SECOND;
    while (ledger_now() < until && senders < LEDGER_SENDERS - 1) {
        ledger_sleep((rand_r(&seed) % 8000 + 500) * TONG_MICROSECOND);
        MUST(ledger, !ledger->failed, "%s", ledger->failure);
        unsigned choice = (unsigned)rand_r(&seed) % (SENDING + 2);
        if (choice < SENDING) {
            ledger_kill(sender[choice]);
            sender[choice] = start_sender(&senders);
            killed_senders++;
        } else {
            ledger_kill(receiver);
            forgive(senders);
            receiver = start_receiver();
            killed_receivers++;
        }
    }
    finish(receiver, sender, senders);
    MUST(ledger, tong_remove(address) == 0, "remove: %s", tong_detail());
    MUST(ledger, ledger_names("torture-kill-") == 0 || ledger_names(address + 4) == 0, "names are left");
    printf("deaths survived: %u senders, %u receivers; %llu messages arrived, %llu came again, %llu were in a dead receiver's "
           "buffer\n", killed_senders, killed_receivers, (unsigned long long)ledger->received,
           (unsigned long long)ledger->redelivered, (unsigned long long)ledger->missing);
    MUST(ledger, ledger->missing <= killed_receivers, "more messages are missing than receivers died");
    ledger_count(0, killed_senders + killed_receivers, 0);
    return 0;
}
