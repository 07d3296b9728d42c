/* SPDX-License-Identifier: MIT */
/* A partner that is to sleep blocks in its calls; any other polls, so that it is awake while the victim is stepped. */
#include "partner.h"

#include <errno.h>
#include <unistd.h>

#define BEFORE_PROD 8 /* messages that wait for a receiver */
#define AFTER_PROD 10
#define NAP 20000
#define SLOWLY (200 * TONG_MICROSECOND) /* between two messages that a receiver takes from another one */
#define SELDOM (20 * TONG_MILLISECOND)  /* while that one is stepped, who would never be first */
#define WHILE (20 * TONG_MILLISECOND)

static void note_death(struct ledger *ledger)
{
    if (ledger->noticed)
        return;
    int64_t now = ledger_now();
    ledger->noticer = getpid();
    ledger->starved = ledger_starved(getpid());
    ledger->noticed = now;
}

static void note_end(struct ledger *ledger, int end)
{
    MUST(ledger, ledger->ended < LEDGER_ENDS, "ends without end");
    ledger->ends[ledger->ended] = end;
    ledger->ended++;
    if (end == -ECONNRESET)
        note_death(ledger);
}

/* Where a message goes to one of several receivers, the partner keeps the ring full, so that each of them finds some. */
static bool is_plenty(const struct scene *scene)
{
    return scene->delivery->shared && scene->operation->direction == TONG_RECEIVE && !(scene->operation->flags & HELD);
}

/* A survivor would take from one who is stepped all that he waits for. */
static void await_prod(const struct scene *scene, unsigned view)
{
    const struct ledger *ledger = scene->ledger;
    if (view == SURVIVOR && scene->operation->direction == TONG_RECEIVE)
        while (scene->operation->flags & (HELD | ASLEEP | QUIET) && !ledger->gone)
            ledger_sleep(NAP);
    else
        while (scene->operation->flags & HELD && !ledger->prodded)
            ledger_sleep(NAP);
}

static int64_t patience(const struct scene *scene)
{
    const struct ledger *ledger = scene->ledger;
    if (ledger->stop)
        return scene->delivery->shared ? WHILE : LONG;
    return scene->operation->flags & ASLEEP ? LONG : 0;
}

static void take_time(const struct ledger *ledger)
{
    int64_t until = ledger_now() + SELDOM;
    ledger_sleep(SLOWLY);
    while (ledger->inside && !ledger->gone && ledger_now() < until)
        ledger_sleep(SLOWLY);
}

static void enter(const struct scene *scene, unsigned view, const void *data, size_t size, const tong_message *meta)
{
    struct ledger *ledger = scene->ledger;
    if (ledger_enter(ledger, view, data, size, meta) == SUCCESSOR)
        ledger->last |= scene->delivery->shared ? ~0 : 1 << view;
    if (meta->flags & TONG_MESSAGE_REDELIVERED)
        note_death(ledger);
    if (is_plenty(scene) && !ledger->stop && !ledger->gone)
        take_time(ledger);
}

/* Whether nothing can come any more: senders have left, the successor as the last of them.  Who finds nothing then has to
 * have looked after that. */
static bool is_over(const struct scene *scene, unsigned view, bool at_end)
{
    const struct ledger *ledger = scene->ledger;
    bool last = ledger->last >> view & 1 || scene->operation->direction == TONG_RECEIVE;
    return last && ledger->stop && (at_end || (scene->delivery->shared && ledger->over));
}

void partner_receive(const struct scene *scene, unsigned view)
{
    struct ledger *ledger = scene->ledger;
    unsigned char buffer[LEDGER_BIGGEST];
    ledger->ready |= scene->delivery->meets;
    if (view == FIRST)
        ledger->partner = getpid();
    tong_channel *channel = scene_open(scene, TONG_RECEIVE, view);
    *(view == SURVIVOR ? &ledger->survivor_ready : &ledger->ready) = 1;
    await_prod(scene, view);
    for (;;) {
        tong_message meta = TONG_MESSAGE_INIT;
        bool over = is_over(scene, view, false);
        ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, &meta, patience(scene));
        if (r >= 0) {
            enter(scene, view, buffer, (size_t)r, &meta);
            continue;
        }
        if (r == -EAGAIN || (r == -ETIMEDOUT && scene->delivery->shared)) {
            if (over)
                _exit(0);
            ledger_sleep(NAP);
            continue;
        }
        MUST(ledger, r == -ENODATA || r == -ECONNRESET, "receiver: %zd %s", r, tong_detail());
        if (view == FIRST || scene->delivery->shared)
            note_end(ledger, (int)r);
        tong_channel_close(channel);
        if (is_over(scene, view, true))
            _exit(0);
        channel = scene_open(scene, TONG_RECEIVE, view);
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

/* Where two meet, the other one may be killed while they do. */
static tong_channel *open_sender(const struct scene *scene)
{
    struct ledger *ledger = scene->ledger;
    tong_channel *channel;
    char address[256];
    scene_address(scene, TONG_SEND, FIRST, address, sizeof address);
    int r = tong_channel_open(address, TONG_SEND, LONG, &channel);
    if (r == -EPIPE && scene->delivery->meets) {
        note_death(ledger);
        ledger->other_ready = 1;
        _exit(0);
    }
    MUST(ledger, r == 0, "open %s (sender): %d %s", address, r, tong_detail());
    return channel;
}

void partner_send(const struct scene *scene, unsigned sender)
{
    struct ledger *ledger = scene->ledger;
    const unsigned flags = scene->operation->flags | (is_plenty(scene) ? FULL : 0);
    const size_t least = flags & LARGE ? 4500 : 0;
    ledger->ready |= scene->delivery->meets;
    tong_channel *channel = open_sender(scene);
    int before = flags & HELD ? 0 : BEFORE_PROD, after = AFTER_PROD;
    if (sender != OTHER)
        ledger->partner = getpid();
    *(sender == OTHER ? &ledger->other_ready : &ledger->ready) = 1;
    ledger->other_ready |= scene->delivery->meets; /* as ready as it can be was said before */
    while ((!ledger->stop || before > 0) && !(scene->delivery->meets && ledger->noticed)) {
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
    MUST(ledger, r == 0 || (r == -EPIPE && scene->delivery->meets), "sender: close: %d %s", r, tong_detail());
    _exit(0);
}
