/* SPDX-License-Identifier: MIT */
/* A partner that is to sleep blocks in its calls; any other polls, so that it is awake while the victim is stepped. */
#include "partner.h"

#include <errno.h>
#include <unistd.h>

#define BEFORE_PROD 8 /* messages that wait for a receiver */
#define AFTER_PROD 10
#define NAP 20000

static void note_death(struct ledger *ledger)
{
    if (!ledger->noticed)
        ledger->noticed = ledger_now();
}

static void note_end(struct ledger *ledger, int end)
{
    MUST(ledger, ledger->ended < LEDGER_ENDS, "ends without end");
    ledger->ends[ledger->ended] = end;
    ledger->ended++;
    if (end == -ECONNRESET)
        note_death(ledger);
}

void partner_receive(struct ledger *ledger, const struct operation *operation, const char *address)
{
    unsigned char buffer[LEDGER_BIGGEST];
    tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
    ledger->ready = 1;
    while ((operation->flags & HELD) && !ledger->prodded)
        ledger_sleep(NAP);
    for (;;) {
        tong_message meta = TONG_MESSAGE_INIT;
        bool sleeps = operation->flags & ASLEEP || ledger->stop;
        ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, &meta, sleeps ? LONG : 0);
        if (r >= 0) {
            ledger->last |= ledger_enter(ledger, buffer, (size_t)r, meta.flags) == SUCCESSOR;
            continue;
        }
        if (r == -EAGAIN) {
            ledger_sleep(NAP);
            continue;
        }
        MUST(ledger, r == -ENODATA || r == -ECONNRESET, "receiver: %zd %s", r, tong_detail());
        note_end(ledger, (int)r);
        tong_channel_close(channel);
        if (ledger->last && ledger->stop)
            _exit(0);
        channel = ledger_open(ledger, address, TONG_RECEIVE);
    }
}

static bool send_next(struct ledger *ledger, tong_channel *channel, unsigned sender, bool sleeps, size_t least)
{
    unsigned char buffer[LEDGER_BIGGEST];
    struct ledger_sender *row = &ledger->sender[sender];
    size_t size = ledger_write(buffer, sender, row->done, least);
    row->begun = row->done + 1;
    int r = tong_channel_send(channel, buffer, size, NULL, sleeps ? 50 * TONG_MILLISECOND : 0);
    MUST(ledger, r == 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EPIPE, "sender: %d %s", r, tong_detail());
    row->done += r == 0;
    if (r == -EPIPE)
        note_death(ledger);
    if (r < 0)
        ledger_sleep(NAP);
    return r == 0;
}

void partner_send(struct ledger *ledger, const struct operation *operation, const char *address, unsigned sender)
{
    const unsigned flags = operation->flags;
    const size_t least = flags & LARGE ? 4500 : 0;
    tong_channel *channel = ledger_open(ledger, address, TONG_SEND);
    int before = flags & HELD ? 0 : BEFORE_PROD, after = AFTER_PROD;
    *(sender == OTHER ? &ledger->other_ready : &ledger->ready) = 1;
    while (!ledger->stop || before > 0) {
        bool room = before > 0 || flags & FULL || (ledger->prodded && after > 0);
        if (!room)
            ledger_sleep(NAP);
        else if (send_next(ledger, channel, sender, flags & ASLEEP, least)) {
            if (before > 0)
                before--;
            else if (ledger->prodded)
                after--;
        }
    }
    int r = tong_channel_close(channel);
    MUST(ledger, r == 0, "sender: close: %d %s", r, tong_detail());
    _exit(0);
}
