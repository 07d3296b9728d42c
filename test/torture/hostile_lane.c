/* SPDX-License-Identifier: MIT */
/*
 * Lanes that would take a receiver who believes them for ever, or quadratic time, to go through: of the default capacity,
 * because in a small one nobody would notice.  Their sender fills its own lane, by the room that it reserved, and does nothing
 * more.  Every call ends in the time it was given; as the third least of nine tries, because the machine has other things to do.
 */
#include "hostile.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/layout.h"
#include "third.h"

#define LANE (UINT64_C(4) << 20)
#define WORDS (LANE / 8)
#define SEVERAL 64 /* messages of a batch */
#define STUCK 20   /* s after which a call that does not end is given up */

static struct ledger *ledger;
static const char *doing;

/* ---- Lanes ------------------------------------------------------------------------------------------------------ */

/* The word at `at` of a lane in which all but the first are the same, or take turns. */
static uint64_t skip_at(uint64_t at)
{
    (void)at;
    return record_word(8, RECORD_SKIP, 0);
}

static uint64_t skip_or_one_mark_at(uint64_t at)
{
    return at == WORDS / 2 ? record_word(0, RECORD_LOST, 0) : skip_at(at);
}

static uint64_t skip_or_mark_at(uint64_t at)
{
    return at % 2 ? record_word(1, RECORD_LOST, 0) : skip_at(at);
}

static uint64_t loss_at(uint64_t at)
{
    (void)at;
    return record_word(0, RECORD_LOST, 0);
}

static uint64_t end_at(uint64_t at)
{
    (void)at;
    return record_word(0, RECORD_END, 0);
}

static uint64_t death_at(uint64_t at)
{
    (void)at;
    return record_word(0, RECORD_DIED, 0);
}

static uint64_t largest_skip_at(uint64_t at)
{
    (void)at;
    return record_word(LANE - RECORD_ZERO, RECORD_SKIP, 0);
}

static uint64_t largest_message_at(uint64_t at)
{
    (void)at;
    return record_word(LANE - 2 * RECORD_ALIGN, RECORD_MESSAGE, 1);
}

static uint64_t skips_and_message_at(uint64_t at)
{
    return at % 256 ? skip_at(at) : record_word(0, RECORD_MESSAGE, 1);
}

/* The number behind an index is 0, as it should be. */
static uint64_t index_at(uint64_t at)
{
    return at % 2 ? 0 : record_word(0, RECORD_INDEX, 0);
}

static const struct lane {
    const char *name;
    uint64_t (*word)(uint64_t at);
} lanes[] = {
    { "skips", skip_at }, { "skips and one mark", skip_or_one_mark_at }, { "skips and marks", skip_or_mark_at },
    { "losses", loss_at }, { "ends", end_at }, { "deaths", death_at }, { "largest skips", largest_skip_at },
    { "largest messages", largest_message_at }, { "skips between messages", skips_and_message_at }, { "indexes", index_at },
};

struct trial {
    const char *address;
    const struct lane *lane;
};

/* Room in a lane where nothing was sent begins at its first word; the word there is stored last, as by one who sends. */
static void be_hostile(const struct trial *trial)
{
    tong_token token = TONG_TOKEN_INIT;
    tong_channel *channel = ledger_open(ledger, trial->address, TONG_SEND);
    MUST(ledger, tong_channel_reserve(channel, 8, LONG, &token) == 0, "reserve: %s", tong_detail());
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)((char *)token.span[0].data - 2 * RECORD_ALIGN);
    for (uint64_t at = WORDS; at-- > 0; )
        atomic_store_explicit(&word[at], trial->lane->word(at), memory_order_release);
    ledger->ready = 1;
    ledger_until(ledger, &ledger->prodded, "a prod");
    _exit(0);
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

static unsigned char buffer[LANE], several[SEVERAL][4096];

static int64_t receive(tong_channel *channel, int64_t timeout)
{
    return tong_channel_receive(channel, buffer, sizeof buffer, NULL, timeout);
}

static int64_t receive_short(tong_channel *channel, int64_t timeout)
{
    return tong_channel_receive(channel, buffer, 8, NULL, timeout);
}

static int64_t receive_several(tong_channel *channel, int64_t timeout)
{
    tong_batch batch[SEVERAL];
    for (unsigned i = 0; i < SEVERAL; i++)
        batch[i] = (tong_batch){ sizeof *batch, 0, 0, several[i], sizeof several[i], 0 };
    return tong_channel_receive_batch(channel, batch, SEVERAL, timeout);
}

static int64_t peek(tong_channel *channel, int64_t timeout)
{
    tong_token token = TONG_TOKEN_INIT;
    ssize_t r = tong_channel_peek(channel, timeout, NULL, &token);
    return r < 0 ? r : tong_channel_release(channel, &token);
}

static int64_t describe(tong_channel *channel, int64_t timeout)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    (void)timeout;
    return tong_channel_describe(channel, &info);
}

static int64_t poll_once(tong_channel *channel, int64_t timeout)
{
    struct pollfd ready;
    (void)timeout;
    int r = tong_channel_pollfd(channel, TONG_RECEIVE, &ready);
    return r < 0 ? r : poll(&ready, 1, 0);
}

static const struct {
    const char *name;
    int64_t (*run)(tong_channel *channel, int64_t timeout);
} calls[] = {
    { "receiving", receive }, { "receiving into too little", receive_short }, { "receiving a batch", receive_several },
    { "peeking", peek }, { "describing", describe }, { "polling", poll_once },
};

static int64_t lateness(tong_channel *channel, unsigned call, int64_t timeout)
{
    doing = calls[call].name;
    int64_t before = ledger_now();
    int64_t r = calls[call].run(channel, timeout);
    int64_t late = ledger_now() - before - timeout;
    MUST(ledger, r >= 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EBADMSG || r == -EMSGSIZE || r == -ENODATA ||
         r == -ECONNRESET, "%s gave %lld %s", doing, (long long)r, tong_detail());
    return late;
}

/* How late the latest call of a life was; opening and closing count, too. */
static int64_t try_once(const void *argument)
{
    const struct trial *trial = argument;
    int64_t latest = 0;
    ledger_clear(ledger, 1);
    alarm(STUCK);
    pid_t pid = ledger_fork(ledger);
    if (pid == 0)
        be_hostile(trial);
    tong_channel *channel = ledger_open(ledger, trial->address, TONG_RECEIVE);
    ledger_until(ledger, &ledger->ready, "the hostile sender");
    for (unsigned call = 0; call < sizeof calls / sizeof *calls; call++) {
        for (int timed = 0; timed < 2; timed++) {
            int64_t late = lateness(channel, call, timed ? HOSTILE_GIVEN : 0);
            latest = late > latest ? late : latest;
        }
    }
    doing = "closing";
    int64_t before = ledger_now();
    tong_channel_close(channel);
    int64_t took = ledger_now() - before;
    ledger->prodded = 1;
    ledger_join(ledger, pid, "the hostile sender");
    alarm(0);
    tong_remove(trial->address);
    return took > latest ? took : latest;
}

/* ---- All of them ------------------------------------------------------------------------------------------------ */

static void give_up(int unused)
{
    (void)unused;
    char line[96];
    int length = snprintf(line, sizeof line, "%s does not end\n", doing);
    _exit(write(STDERR_FILENO, line, (size_t)length) != length || length > 0);
}

void hostile_lanes(struct hostile *hostile, const struct hostile_delivery *delivery)
{
    char address[192];
    int64_t latest = 0;
    ledger = hostile->ledger;
    signal(SIGALRM, give_up);
    snprintf(address, sizeof address, "%s:%s%s?capacity=%llu%s", delivery->nameless ? "memfd" : "shm",
             delivery->nameless ? "/tmp/tong." : "", hostile->name, (unsigned long long)LANE, delivery->options);
    for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++) {
        const struct trial trial = { address, &lanes[i] };
        int64_t late = third_least(HOSTILE_LATE, try_once, &trial);
        MUST(ledger, late < HOSTILE_LATE, "%s, a lane of %s: %s took %.0f ms more than was given", delivery->name,
             lanes[i].name, doing, (double)late / 1e6);
        latest = late > latest ? late : latest;
    }
    printf("%s, lanes without an end: late by %.1f ms at most\n", delivery->name, (double)latest / 1e6);
    fflush(stdout);
}
