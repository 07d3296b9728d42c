/* SPDX-License-Identifier: MIT */
/* Those that are worked upon: each turn is another call. */
#include "hostile.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define BIGGEST 700 /* bytes that are sent */
#define SEVERAL 5   /* messages of a batch, and tokens that are held */

static struct ledger *ledger;

/* When a call began, and for how long there had been no processor for this process by then. */
struct moment {
    int64_t now, starved;
};

static struct moment moment(void)
{
    return (struct moment){ ledger_now(), ledger_starved(getpid()) };
}

static void expect_in_time(const struct moment *before, const char *what)
{
    struct moment after = moment();
    int64_t late = after.now - before->now - HOSTILE_GIVEN - (after.starved - before->starved);
    ledger->overdue += late >= HOSTILE_LATE;
    MUST(ledger, ledger->overdue < HOSTILE_STILL, "%s took %.0f ms more than was given, the last of %d", what,
         (double)late / 1e6, HOSTILE_STILL);
}

static bool is_passing(int64_t r)
{
    return r >= 0 || r == -EAGAIN || r == -ETIMEDOUT;
}

/* ---- Sending ---------------------------------------------------------------------------------------------------- */

static unsigned char outgoing[BIGGEST];

static int64_t send_waiting(tong_channel *channel, unsigned turn)
{
    return tong_channel_send(channel, outgoing, turn * 37 % BIGGEST, NULL, HOSTILE_GIVEN);
}

static int64_t send_now(tong_channel *channel, unsigned turn)
{
    return tong_channel_send(channel, outgoing, turn * 37 % BIGGEST, NULL, 0);
}

static int64_t send_by_hand(tong_channel *channel, unsigned turn)
{
    tong_token token = TONG_TOKEN_INIT;
    size_t size = turn * 37 % BIGGEST;
    int r = tong_channel_reserve(channel, size, HOSTILE_GIVEN, &token);
    if (r < 0)
        return r;
    if (size)
        memset(token.span[0].data, 1, size);
    return turn % 3 ? tong_channel_commit(channel, &token, size / 2, NULL) : tong_channel_abort(channel, &token);
}

static int64_t send_several(tong_channel *channel, unsigned turn)
{
    tong_batch batch[SEVERAL];
    for (unsigned i = 0; i < SEVERAL; i++)
        batch[i] = (tong_batch){ sizeof *batch, 0, i % 2, outgoing, 0, (turn + i) * 37 % BIGGEST };
    return tong_channel_send_batch(channel, batch, SEVERAL, HOSTILE_GIVEN);
}

static int64_t finish(tong_channel *channel, unsigned turn)
{
    return turn % 64 ? 0 : tong_channel_finish(channel, HOSTILE_GIVEN);
}

/* ---- Receiving -------------------------------------------------------------------------------------------------- */

static int64_t receive_waiting(tong_channel *channel, unsigned turn)
{
    unsigned char buffer[HOSTILE_CAPACITY];
    tong_message meta = TONG_MESSAGE_INIT;
    return tong_channel_receive(channel, buffer, turn % 8 ? sizeof buffer : 64, &meta, HOSTILE_GIVEN);
}

static int64_t receive_now(tong_channel *channel, unsigned turn)
{
    unsigned char buffer[HOSTILE_CAPACITY];
    (void)turn;
    return tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0);
}

static void read_token(const tong_token *token, ssize_t size)
{
    size_t there = 0;
    uint64_t sum = 0;
    for (unsigned part = 0; part < token->parts; part++) {
        there += token->span[part].size;
        for (size_t i = 0; i < token->span[part].size; i++)
            sum += ((volatile unsigned char *)token->span[part].data)[i];
    }
    ledger->result = (int)sum;
    MUST(ledger, there == (size_t)size && size <= HOSTILE_CAPACITY, "a message of %zd bytes was shown, in %zu", size, there);
}

/* The oldest is released last. */
static int64_t receive_by_hand(tong_channel *channel, unsigned turn)
{
    tong_token token[SEVERAL];
    unsigned held = 0;
    int64_t r = 0, released = 0;
    for (; held <= turn % SEVERAL; held++) {
        token[held] = (tong_token)TONG_TOKEN_INIT;
        r = tong_channel_peek(channel, held ? 0 : HOSTILE_GIVEN, NULL, &token[held]);
        if (r < 0)
            break;
        read_token(&token[held], r);
    }
    while (held-- > 0 && released >= 0)
        released = tong_channel_release(channel, &token[held]);
    return r < 0 ? r : released;
}

static int64_t receive_several(tong_channel *channel, unsigned turn)
{
    static unsigned char buffer[SEVERAL][HOSTILE_CAPACITY];
    tong_batch batch[SEVERAL];
    (void)turn;
    for (unsigned i = 0; i < SEVERAL; i++)
        batch[i] = (tong_batch){ sizeof *batch, 0, 0, buffer[i], HOSTILE_CAPACITY, 0 };
    ssize_t r = tong_channel_receive_batch(channel, batch, SEVERAL, HOSTILE_GIVEN);
    for (ssize_t i = 0; i < r; i++)
        MUST(ledger, batch[i].length <= HOSTILE_CAPACITY, "a message of %zu bytes in a batch", batch[i].length);
    return r;
}

/* ---- Whatever else ---------------------------------------------------------------------------------------------- */

static int64_t ask(tong_channel *channel, unsigned turn)
{
    tong_channel_info description = TONG_CHANNEL_INFO_INIT;
    tong_identity identity = TONG_IDENTITY_INIT;
    (void)turn;
    tong_channel_peer(channel, &identity);
    return tong_channel_describe(channel, &description);
}

static int64_t poll_once(tong_channel *channel, uint32_t direction)
{
    struct pollfd ready;
    int r = tong_channel_pollfd(channel, direction, &ready);
    if (r == 0)
        poll(&ready, 1, 0);
    return r;
}

static int64_t poll_room(tong_channel *channel, unsigned turn)
{
    return turn % 5 ? 0 : poll_once(channel, TONG_SEND);
}

static int64_t poll_messages(tong_channel *channel, unsigned turn)
{
    return turn % 5 ? 0 : poll_once(channel, TONG_RECEIVE);
}

struct call {
    const char *name;
    int64_t (*run)(tong_channel *channel, unsigned turn);
};

static const struct call sending[] = {
    { "sending", send_waiting }, { "sending at once", send_now }, { "sending a batch", send_several },
    { "sending", send_waiting }, { "reserving and committing", send_by_hand }, { "asking", ask },
    { "polling for room", poll_room }, { "finishing", finish },
};

static const struct call receiving[] = {
    { "receiving", receive_waiting }, { "receiving at once", receive_now }, { "receiving a batch", receive_several },
    { "receiving", receive_waiting }, { "peeking and releasing", receive_by_hand }, { "asking", ask },
    { "polling for messages", poll_messages },
};

/* ---- A life ----------------------------------------------------------------------------------------------------- */

/* What tong_remove() refuses, because what belongs to it cannot be known any more, goes by hand. */
static void remove_by_hand(const char *name)
{
    struct dirent *entry;
    DIR *stream = opendir("/dev/shm");
    while (stream && (entry = readdir(stream)))
        if (strstr(entry->d_name, name))
            unlinkat(dirfd(stream), entry->d_name, 0);
    if (stream)
        closedir(stream);
}

/* Until a call fails for another reason than that there was nothing. */
static void use(tong_channel *channel, uint32_t direction, unsigned *turn, volatile int *beat)
{
    const struct call *calls = direction == TONG_SEND ? sending : receiving;
    const size_t count = direction == TONG_SEND ? sizeof sending / sizeof *sending : sizeof receiving / sizeof *receiving;
    int asked = ledger->prodded;
    for (int64_t done = 0; is_passing(done) && !ledger->stop && ledger->prodded == asked; ++*beat, ++*turn) {
        const struct call *call = &calls[*turn % count];
        const struct moment before = moment();
        done = call->run(channel, *turn);
        expect_in_time(&before, call->name);
        ledger->received += done >= 0;
    }
}

void hostile_work(struct hostile *hostile, uint32_t direction, volatile int *beat)
{
    ledger = hostile->ledger;
    MUST(ledger, tong_guard_sigbus() == 0, "%s", tong_detail());
    for (unsigned turn = 0; !ledger->stop; ++*beat) {
        tong_channel *channel;
        struct moment before = moment();
        int r = tong_channel_open(hostile->address, direction, HOSTILE_GIVEN, &channel);
        expect_in_time(&before, "opening");
        if (r < 0) {
            if (r != -EBUSY && !hostile->delivery->nameless && tong_remove(hostile->address) < 0)
                remove_by_hand(hostile->name);
            ledger_sleep(200 * TONG_MICROSECOND);
            continue;
        }
        use(channel, direction, &turn, beat);
        before = moment();
        tong_channel_close(channel);
        expect_in_time(&before, "closing");
    }
    _exit(0);
}
