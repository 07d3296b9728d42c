/* SPDX-License-Identifier: MIT */
/*
 * Sending into a lane of a channel.
 *
 * A channel outlives its ends: a sender may fill its lane before a receiver comes, and go before it is drained.  A sender
 * that finds it full waits for a receiver, be it the first or the next after one that left in order; but a receiver
 * that was killed without a successor is -EPIPE.
 *
 * What full=drop gives up is counted by the facade.  The next message that has room is preceded by a mark that says
 * how many it were, so the receiver knows of the gap where it is.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "core/wait.h"
#include "ring/channel.h"
#include "ring/sleep.h"

#define NEARLY 16   /* the part of a lane that is free when it is all but full */
#define BACKOFF 150 /* pauses */

/* Whether the receiver of that place went with the machine: another is on its way, perhaps, as if it had left in order. */
static bool went_with_machine(const struct ring_channel *channel, unsigned place)
{
    return channel->is_durable && shared_boot(&channel->out.peer->places[place]) != channel->durable.life;
}

/* Whether a receiver died, and none lives. */
int ring_channel_ask_receivers(struct ring_channel *channel)
{
    const struct ring_end *end = &channel->out;
    bool dead = false;
    for (uint64_t rest = shared_used(end->peer) & LAYOUT_EVERY_PLACE; rest; rest &= rest - 1) {
        unsigned place = (unsigned)__builtin_ctzll(rest);
        uint64_t word = shared_session(&end->peer->places[place]);
        if (session_state(word) != SESSION_OPEN || went_with_machine(channel, place))
            continue;
        int r = ring_end_peer_died(end, place, word);
        if (r <= 0)
            return r;
        dead = true;
    }
    return dead ? fail(-EPIPE, "%s: the receiver died, and no message more has room", channel->base.object) : 0;
}

/* Room for a message of `size` bytes and for the mark before it, if one is due. */
static int find_room(struct ring_channel *channel, uint64_t size)
{
    size += ring_channel_losses(channel) ? RECORD_MARK : 0;
    return channel->is_durable ? ring_channel_durable_room(channel, size) : ring_room(&channel->writer, size);
}

static bool found(struct ring_channel *channel, uint64_t size, bool last)
{
    (void)last;
    return find_room(channel, size) != -EAGAIN;
}

static int mark(struct ring_channel *channel, unsigned kind, uint64_t number)
{
    return channel->is_durable ? ring_durable_mark(&channel->durable, &channel->writer, kind, number, 0)
                               : ring_mark(&channel->writer, kind, number);
}

/* While tokens are outstanding there is no place for a mark; then it stands before a later message. */
static int confess(struct ring_channel *channel)
{
    uint64_t count = ring_channel_losses(channel) < UINT32_MAX ? ring_channel_losses(channel) : UINT32_MAX;
    int r = mark(channel, RECORD_LOST, count);
    if (r == 0)
        channel->confessed += count;
    return r == -EBUSY ? 0 : r;
}

static int too_large(const struct ring_channel *channel, uint64_t size)
{
    return fail(-EMSGSIZE, "%s: the message has %llu bytes, the most is %llu: make it with a larger capacity=",
                channel->base.object, (unsigned long long)size,
                (unsigned long long)channel->writer.largest);
}

/* A sender that follows a receiver line by line slows both: one that found the lane all but full lets it drain first, by a
 * few microseconds, and looks again how far it came. */
static void back_off(struct ring_writer *writer)
{
    if (ring_room(writer, writer->capacity / NEARLY) != -EAGAIN)
        return;
    for (int i = 0; i < BACKOFF; i++)
        ring_relax();
    ring_room(writer, writer->capacity / NEARLY);
}

__attribute__((noinline)) int ring_channel_await_room(struct ring_channel *channel, uint64_t size, int64_t deadline)
{
    if (size > channel->writer.largest)
        return too_large(channel, size);
    deadline = channel->base.full == FULL_WAIT ? deadline_begin(deadline) : DEADLINE_NOW;
    int last = deadline == DEADLINE_NOW ? WAIT_BELL : WAIT_MOVED;
    for (unsigned dead = 0; ; ) {
        int r = find_room(channel, size);
        if (r == 0) {
            if (!channel->is_durable)
                back_off(&channel->writer);
            return ring_channel_losses(channel) ? confess(channel) : 0;
        }
        if (r == -EBADMSG)
            return ring_channel_damaged(&channel->out);
        if (r != -EAGAIN)
            return r;
        r = last != WAIT_MOVED ? channel->delivery->ask_receivers(channel) : 0;
        if (r > 0 && ++dead > LAYOUT_PLACES) /* more than there are: they may begin a session whenever we ask */
            r = wait_may_look_on(&channel->base.cancelled, deadline);
        else if (r == 0)
            r = last = ring_channel_wait(channel, &channel->out, last, deadline, found, size);
        if (r < 0)
            return r;
    }
}

static int claim_room(struct ring_channel *channel, uint64_t size, int64_t deadline, uint64_t *ret_claim)
{
    bool fits = size <= channel->writer.largest && !ring_channel_losses(channel);
    if (__builtin_expect(fits && ring_reserve(&channel->writer, size, ret_claim) == 0, 1))
        return 0;
    int r = ring_channel_await_room(channel, size, deadline);
    if (r == 0 && (r = ring_reserve(&channel->writer, size, ret_claim)) < 0)
        r = fail(r, "%s: out of memory", channel->base.object);
    return r;
}

static int settle(struct ring_channel *channel, tong_token *token, int moved)
{
    if (__builtin_expect(moved < 0, 0))
        return ring_channel_bad_token(&channel->base);
    token->private_word[3] = 0;
    return moved ? ring_end_tell(&channel->out) : 0;
}

/* Behind tokens, or without room, or with losses to tell of. */
__attribute__((noinline)) static int send_slowly(struct ring_channel *channel, const struct message_out *out,
                                                 int64_t deadline)
{
    uint64_t claim;
    int r = claim_room(channel, out->size, deadline, &claim);
    if (r < 0)
        return r;
    if (out->size > 0)
        memcpy(ring_claimed(&channel->writer, claim), out->data, out->size);
    int moved = ring_commit(&channel->writer, claim, out->size, out->type);
    return moved > 0 ? ring_end_tell(&channel->out) : 0;
}

HOT int ring_channel_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    if (__builtin_expect(out->size > channel->writer.largest || ring_channel_losses(channel) ||
                         ring_send(&channel->writer, out->data, out->size, out->type) < 0, 0))
        return send_slowly(channel, out, deadline);
    return ring_end_tell(&channel->out);
}

/* What has room at once goes at once, and is published at once; one that has none waits like a single message. */
HOT ssize_t ring_channel_send_batch(struct conduit *conduit, const tong_batch *batch, size_t count, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    size_t sent = 0;
    while (sent < count) {
        int64_t r = ring_channel_losses(channel) ? -EAGAIN : ring_send_batch(&channel->writer, batch + sent, count - sent);
        if (r > 0) {
            sent += (size_t)r;
            r = ring_end_tell(&channel->out);
            if (r < 0)
                return r;
            continue;
        }
        struct message_out out = { batch[sent].data, batch[sent].length, batch[sent].type };
        deadline = deadline_begin(deadline);
        r = send_slowly(channel, &out, deadline);
        if (r < 0)
            return sent ? (ssize_t)sent : r;
        sent++;
    }
    return (ssize_t)sent;
}

HOT int ring_channel_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    uint64_t claim;
    int r = claim_room(channel, size, deadline, &claim);
    if (r == 0)
        ring_channel_fill_token(conduit, TONG_SEND, ring_claimed(&channel->writer, claim), size, claim, ret);
    return r;
}

/* The ring knows the room only rounded up; the token knows what was asked. */
HOT int ring_channel_commit(struct conduit *conduit, tong_token *token, size_t used, int64_t type)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    bool fits = token->private_word[1] == TONG_SEND && used <= token->private_word[2];
    return settle(channel, token, fits ? ring_commit(&channel->writer, token->private_word[0], used, type) : -EINVAL);
}

int ring_channel_abort(struct conduit *conduit, tong_token *token)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    bool ours = token->private_word[1] == TONG_SEND;
    return settle(channel, token, ours ? ring_abort(&channel->writer, token->private_word[0]) : -EINVAL);
}

/* The mark has room unless this session sent nothing into a lane that was full of earlier ones; then the closed
 * session tells the end alone.  Where messages are to survive the machine, an end in order says that they all will. */
int ring_channel_finish(struct conduit *conduit, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    (void)deadline;
    if (ring_channel_losses(channel) && find_room(channel, 0) == 0)
        confess(channel);
    int r = mark(channel, RECORD_END, channel->out.place.session);
    if (r == -EBUSY)
        return fail(r, "%s: tokens are outstanding: commit or abort them before the end", conduit->object);
    if (r == -EBADMSG)
        return ring_channel_damaged(&channel->out);
    r = channel->is_durable ? ring_channel_sync_end(channel, &channel->out) : 0;
    if (r < 0)
        return r;
    ring_place_close(&channel->out.place);
    return ring_end_tell(&channel->out);
}

/* A lane that was never used has no memory yet. */
int ring_channel_own_lane(struct ring_end *end)
{
    unsigned lane = end->place.index;
    int r = shared_used(end->own) >> lane & 1 ? 0 : ring_object_allocate_lane(&end->object, lane);
    if (r == 0)
        r = ring_object_map_lane(&end->object, lane, true);
    if (r == 0)
        ring_object_populate_lane(&end->object, lane);
    return r;
}

int ring_channel_open_writer(struct ring_channel *channel, unsigned lane)
{
    const struct ring_end *end = &channel->out;
    int r = ring_writer_open(&channel->writer, end->place.row, &end->object.receivers->cursors[lane], end->object.lane[lane],
                             end->object.shape.capacity);
    return r < 0 ? ring_channel_contradictory(end, r) : 0;
}

int ring_channel_open_sender(struct ring_channel *channel)
{
    struct ring_end *end = &channel->out;
    unsigned lane = end->place.index;
    int r = ring_channel_own_lane(end);
    if (r < 0)
        return r;
    r = channel->delivery->open_writer(channel, lane);
    if (r < 0)
        return r;
    if (end->place.predecessor_died)
        ring_mark(&channel->writer, RECORD_DIED, end->place.session - 1);
    return 0;
}
