/* SPDX-License-Identifier: MIT */
/*
 * One direction of a relay.
 *
 * Messages that are there already are taken together and sent together, but nothing is waited for while one is in
 * our hands, and none is taken that is larger than the other side sends: it stays where it is.  The other side is
 * told of the end only when this side ended in order; after anything else we go without telling, so that it looks
 * there like what it was, a death.
 */
#include "relay.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "options.h"
#include "report.h"
#include "stop.h"

#define ROOM (1024 * 1024)  /* for what is taken together, until one message needs more */
#define GATHER (64 * 1024)  /* so much is worth sending */

/* ---- What cannot be kept ------------------------------------------------------------------------------- */

static bool has(const struct side *side, uint32_t flag)
{
    return side->info.flags & flag;
}

static bool tells_death(const struct side *side)
{
    return has(side, TONG_INFO_FRAMED) && !has(side, TONG_INFO_ENDLESS);
}

static bool loses_types(const struct relay *x)
{
    return side_carries_types(x->from) && !x->typed;
}

static bool loses_boundaries(const struct relay *x)
{
    return has(x->to, TONG_INFO_BYTES) && !has(x->from, TONG_INFO_BYTES);
}

static bool makes_boundaries(const struct relay *x)
{
    return has(x->from, TONG_INFO_BYTES) && !has(x->to, TONG_INFO_BYTES);
}

static bool loses_newlines(const struct relay *x)
{
    return has(x->to, TONG_INFO_LINES) && !has(x->from, TONG_INFO_LINES);
}

static bool loses_sender(const struct relay *x)
{
    return x->from->info.identity != TONG_IDENTITY_NONE;
}

static bool loses_end(const struct relay *x)
{
    return has(x->to, TONG_INFO_ENDLESS) && !has(x->from, TONG_INFO_ENDLESS);
}

static bool loses_death(const struct relay *x)
{
    return tells_death(x->from) && !tells_death(x->to) && !has(x->to, TONG_INFO_ENDLESS);
}

static const struct { bool (*applies)(const struct relay *); const char *words; } losses[] = {
    { loses_types, "types" },
    { loses_boundaries, "where a message ends (it becomes a byte stream)" },
    { makes_boundaries, "that it is a byte stream (a message is what one read gave)" },
    { loses_newlines, "messages with a newline (each has to be a line)" },
    { loses_sender, "who sent (receivers see the relay)" },
    { loses_end, "the end (an empty message stands for it)" },
    { loses_death, "the death of a sender (it looks like the end)" },
};

void relay_losses(const struct relay *x, struct text *text)
{
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
        if (losses[i].applies(x))
            text_print(text, "%s%s", text->used ? ", " : "", losses[i].words);
    if (x->from->info.largest > x->to->info.largest && !has(x->from, TONG_INFO_BYTES))
        text_print(text, "%smessages above %" PRIu64 " bytes", text->used ? ", " : "", x->to->info.largest);
}

/* ---- Taking -------------------------------------------------------------------------------------------- */

static int64_t patience(const struct relay *x)
{
    return x->taken == 0 && x->terms->first != NOT_GIVEN ? x->terms->first : x->terms->timeout;
}

/* What may be taken in one piece: as much as the other side sends. */
static size_t largest(const struct relay *x)
{
    return x->to->info.largest < SIZE_MAX / 4 ? (size_t)x->to->info.largest : SIZE_MAX / 4;
}

static void hold(struct relay *x, size_t size, const tong_message *message)
{
    x->batch[x->held++] = (tong_batch){ .size = sizeof *x->batch, .type = x->typed ? message->type : 0,
                                          .length = size };
    x->bytes.used += size;
    x->taken++;
    x->lost += message->lost;
    x->type = x->batch[x->held - 1].type;
    atomic_store_explicit(&x->terms->moved, clock_now(), memory_order_relaxed);
}

static int refuse_large(const struct relay *x, uint64_t length)
{
    say("message %" PRIu64 ": %" PRIu64 " bytes are more than %s takes (%zu): it stays in %s", x->taken + 1, length,
        x->to->info.object, largest(x), x->from->info.object);
    return CODE_FAILED;
}

/* Takes one message behind those that are held: 0, a negative errno, or an exit code after saying why. */
static int take(struct relay *x, int64_t timeout)
{
    for (;;) {
        size_t room = x->bytes.room - x->bytes.used;
        tong_message message = TONG_MESSAGE_INIT;
        ssize_t size = tong_channel_receive(x->from->channel, x->bytes.data + x->bytes.used,
                                            room < largest(x) ? room : largest(x), &message, timeout);
        if (size == 0 && x->terms->empty_ends && has(x->from, TONG_INFO_ENDLESS))
            return -ENODATA;
        if (size >= 0) {
            hold(x, (size_t)size, &message);
            return 0;
        }
        if (size == -EMSGSIZE && x->held)
            return -EAGAIN;
        if (size == -EMSGSIZE && message.length > largest(x))
            return refuse_large(x, message.length);
        if (size == -EMSGSIZE)
            text_reserve(&x->bytes, (size_t)message.length);
        else if (size != -EINTR || stop_asked())
            return (int)size;
    }
}

/* Nothing came in this direction: whether something did in another since. */
static bool others_move(const struct relay *x)
{
    return clock_now() < atomic_load_explicit(&x->terms->moved, memory_order_relaxed) + patience(x);
}

static int take_first(struct relay *x)
{
    int r;
    do
        r = take(x, patience(x));
    while (r == -ETIMEDOUT && others_move(x));
    return r;
}

static bool enough(const struct relay *x)
{
    return x->terms->count && x->taken >= (uint64_t)x->terms->count;
}

/* Waits for one message and takes those that are there already.  Returns what ended it, 0 when more may come. */
static int gather(struct relay *x)
{
    int r = take_first(x);
    while (r == 0 && x->held < RELAY_BATCH && x->bytes.used < GATHER && !enough(x))
        r = take(x, 0);
    return r == -EAGAIN && x->held ? 0 : r;
}

/* ---- Sending ------------------------------------------------------------------------------------------- */

static int deliver(struct relay *x)
{
    size_t done = 0, at = 0;
    for (size_t i = 0; i < x->held; i++) {
        x->batch[i].data = x->bytes.data + at;
        at += (size_t)x->batch[i].length;
    }
    while (done < x->held) {
        ssize_t r = tong_channel_send_batch(x->to->channel, x->batch + done, x->held - done, x->terms->timeout);
        if (r > 0)
            done += (size_t)r;
        else if (r != -EINTR || stop_asked()) {
            x->held -= done;
            return (int)r;
        }
    }
    x->held = x->bytes.used = 0;
    atomic_store_explicit(&x->terms->moved, clock_now(), memory_order_relaxed);
    return 0;
}

/* Where there is no end, an empty message stands for it, as `tong send` ends.  Who ended and left need not be told. */
static int tell_end(struct relay *x)
{
    tong_message message = TONG_MESSAGE_INIT;
    message.type = x->type;
    int r;
    do
        r = has(x->to, TONG_INFO_ENDLESS) ? tong_channel_send(x->to->channel, NULL, 0, &message, x->terms->timeout)
                                          : tong_channel_finish(x->to->channel, x->terms->timeout);
    while (r == -EINTR && !stop_asked());
    bool left = r == -EPIPE && x->other && atomic_load_explicit(&x->other->heard, memory_order_relaxed);
    return r == -EOPNOTSUPP || left ? 0 : r;
}

/* ---- The end ------------------------------------------------------------------------------------------- */

/* A queue has no end but that nothing comes any more; elsewhere that is no end. */
static bool in_order(const struct relay *x, int r)
{
    bool silent = r == -ETIMEDOUT && has(x->from, TONG_INFO_ENDLESS) && !x->terms->empty_ends;
    return r == 0 || r == -ENODATA || silent;
}

static int explain(int r)
{
    bool asked = stop_asked() || r == -ECANCELED;
    return r > 0 ? r : r == -ENODATA || r == 0 ? CODE_DONE : asked ? CODE_FAILED : fail_library(r, NULL);
}

static void say_counts(const struct relay *x)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    if (x->held)
        say("messages taken from %s and not delivered: %zu", x->from->info.object, x->held);
    if (x->lost)
        say("messages lost before they came to %s: %" PRIu64, x->from->info.object, x->lost);
    if (tong_channel_describe(x->to->channel, &info) == 0 && info.dropped)
        say("messages dropped because %s was full: %" PRIu64, x->to->info.object, info.dropped);
}

int relay_run(struct relay *x)
{
    int r = 0, sent = 0;
    text_reserve(&x->bytes, ROOM);
    while (r == 0 && sent == 0 && !enough(x) && !stop_asked()) {
        r = gather(x);
        sent = x->held ? deliver(x) : 0;
    }
    if (sent < 0)
        r = sent;
    int code = explain(r);
    atomic_store_explicit(&x->heard, r == -ENODATA, memory_order_relaxed);
    bool over = sent == 0 && !stop_asked() && in_order(x, r);
    if (over) {
        r = tell_end(x);
        x->ended = r == 0;
        code = r < 0 ? explain(r) : code;
    }
    say_counts(x);
    return code;
}

void relay_free(struct relay *x)
{
    text_free(&x->bytes);
}
