/* SPDX-License-Identifier: MIT */
/*
 * Sending into a ring.
 *
 * A channel outlives its ends: a sender may fill it before a receiver comes, and go before it is drained.  A sender
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
#include "ring/channel.h"

static int receiver_died(struct ring_channel *channel)
{
    uint64_t word = ring_place_session(channel->out.peer);
    int r = session_state(word) == SESSION_OPEN ? ring_end_peer_died(&channel->out, word) : 0;
    return r > 0 ? fail(-EPIPE, "%s: the receiver died, and no message more has room", channel->base.object) : r;
}

static uint64_t losses(const struct ring_channel *channel)
{
    return atomic_load_explicit(&channel->base.dropped, memory_order_relaxed) - channel->confessed;
}

/* Room for a message of `size` bytes and for the mark before it, if one is due. */
static int find_room(struct ring_channel *channel, uint64_t size)
{
    return ring_room(&channel->writer, size + (losses(channel) ? RECORD_MARK : 0));
}

static void rearm(struct ring_channel *channel, uint64_t size)
{
    struct ring_end *end = &channel->out;
    if (ring_bell_rearm(&end->bell, &end->own->places[0], end->peer, 0) < 0 || find_room(channel, size) != -EAGAIN)
        ring_bell_ring_self(&end->bell);
}

/* While tokens are outstanding there is no place for a mark; then it stands before a later message. */
static int confess(struct ring_channel *channel)
{
    uint64_t count = losses(channel) < UINT32_MAX ? losses(channel) : UINT32_MAX;
    int r = ring_mark(&channel->writer, RECORD_LOST, count);
    if (r == 0)
        channel->confessed += count;
    return r == -EBUSY ? 0 : r;
}

static int claim_room(struct ring_channel *channel, uint64_t size, uint64_t *ret_claim)
{
    int r = losses(channel) ? find_room(channel, size) : 0;
    if (r == 0 && losses(channel))
        r = confess(channel);
    return r < 0 ? r : ring_reserve(&channel->writer, size, ret_claim);
}

static int too_large(const struct ring_channel *channel, uint64_t size)
{
    return fail(-EMSGSIZE, "%s: the message has %llu bytes, the most is %llu: make it with a larger capacity=",
                channel->base.object, (unsigned long long)size,
                (unsigned long long)record_largest(channel->writer.capacity));
}

static int await_room(struct ring_channel *channel, uint64_t size, int64_t deadline, uint64_t *ret_claim)
{
    if (size > record_largest(channel->writer.capacity))
        return too_large(channel, size);
    if (channel->base.full != FULL_WAIT)
        deadline = DEADLINE_NOW;
    int last = deadline == DEADLINE_NOW ? WAIT_BELL : WAIT_MOVED;
    for (;;) {
        int r = claim_room(channel, size, ret_claim);
        if (r == 0)
            return 0;
        if (r == -EBADMSG)
            return ring_channel_damaged(&channel->out);
        if (r != -EAGAIN)
            return fail(r, "%s: out of memory", channel->base.object);
        r = last != WAIT_MOVED ? receiver_died(channel) : 0;
        if (r == 0)
            r = last = ring_channel_wait(channel, &channel->out, channel->writer.head, last, deadline, rearm, size);
        if (r < 0)
            return r;
    }
}

/* Where the claim lies; it is the youngest. */
static void fill_room(struct conduit *conduit, uint64_t size, uint64_t claim, tong_token *ret)
{
    struct ring_writer *writer = &((struct ring_channel *)conduit)->writer;
    ring_channel_fill_token(conduit, TONG_SEND, ring_claims_find(&writer->claims, claim)->start, size, claim, ret);
}

static int settle(struct ring_channel *channel, tong_token *token, int moved)
{
    if (moved < 0)
        return ring_channel_bad_token(&channel->base);
    token->private_word[3] = 0;
    if (moved)
        ring_end_tell(&channel->out);
    return 0;
}

int ring_channel_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    tong_token token = TONG_TOKEN_INIT;
    uint64_t claim;
    int r = await_room(channel, out->size, deadline, &claim);
    if (r < 0)
        return r;
    fill_room(conduit, out->size, claim, &token);
    const unsigned char *from = out->data;
    for (unsigned i = 0; i < token.parts; from += token.span[i++].size)
        memcpy(token.span[i].data, from, token.span[i].size);
    return settle(channel, &token, ring_commit(&channel->writer, claim, out->size, out->type));
}

int ring_channel_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret)
{
    uint64_t claim;
    int r = await_room((struct ring_channel *)conduit, size, deadline, &claim);
    if (r == 0)
        fill_room(conduit, size, claim, ret);
    return r;
}

/* The ring knows the room only rounded up; the token knows what was asked. */
int ring_channel_commit(struct conduit *conduit, tong_token *token, size_t used, int64_t type)
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

/* The mark has room unless this session sent nothing into a ring that was full of earlier ones; then the closed
 * session tells the end alone. */
int ring_channel_finish(struct conduit *conduit, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    (void)deadline;
    if (losses(channel) && find_room(channel, 0) == 0)
        confess(channel);
    int r = ring_mark(&channel->writer, RECORD_END, channel->out.place.session);
    if (r == -EBUSY)
        return fail(r, "%s: tokens are outstanding: commit or abort them before the end", conduit->object);
    if (r == -EBADMSG)
        return ring_channel_damaged(&channel->out);
    ring_place_close(&channel->out.place);
    ring_end_tell(&channel->out);
    return 0;
}

int ring_channel_open_sender(struct ring_channel *channel, const struct address *address, const char *name)
{
    struct ring_end *end = &channel->out;
    int r = ring_end_open(end, channel->home, address, name, true);
    if (r < 0)
        return r;
    r = ring_writer_open(&channel->writer, end->own, end->peer, end->object.data, end->object.capacity);
    if (r < 0)
        return ring_channel_contradictory(end, r);
    if (end->place.predecessor_died)
        ring_mark(&channel->writer, RECORD_DIED, end->place.session - 1);
    return 0;
}
