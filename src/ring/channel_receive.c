/* SPDX-License-Identifier: MIT */
/*
 * Receiving from a ring: messages, and between them what senders mark.
 *
 * Ends.  The mark of an end lies in the ring behind the last message of its session.  A session that ended without
 * one (killed, or closed with nothing sent into a full ring) is found by its word and its lock, the ring being
 * empty.  An end that was told stays: every further receive gives it again.  Who opens anew goes on with the next
 * session, and knows by `told`, which is in the receivers' segment, that a mark written later for a death that was
 * seen already is not news.  With reconnect=yes no end is told, orderly or not, and the next session goes on.
 *
 * Losses that a sender marks are added up and told with the next message.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "ring/channel.h"

/* ---- Ends ------------------------------------------------------------------------------------------------ */

/* An end of the sender's session that was not told yet: -ENODATA, -ECONNRESET, or 0. */
static int sender_gone(struct ring_channel *channel, bool ask, uint64_t *ret_number)
{
    uint64_t word = ring_place_session(channel->in.peer);
    *ret_number = session_number(word);
    if (*ret_number <= channel->told)
        return 0;
    if (session_state(word) == SESSION_CLOSED)
        return -ENODATA;
    int r = session_state(word) == SESSION_OPEN && ask ? ring_end_peer_died(&channel->in, word) : 0;
    return r > 0 ? -ECONNRESET : r;
}

/* What a receive gives once the session `number` has ended: the end, from now on, or 0 if the next one goes on. */
static int tell_end(struct ring_channel *channel, uint64_t number, int end)
{
    channel->told = number;
    atomic_store_explicit(&channel->in.own->places[0].told, number, memory_order_release);
    if (channel->reconnect)
        return 0;
    channel->ended = end;
    if (ring_bell_is_open(&channel->in.bell))
        ring_bell_ring_self(&channel->in.bell);
    return end;
}

static int ended(const struct ring_channel *channel)
{
    if (channel->ended == -ENODATA)
        return fail_static(-ENODATA, "the sender has finished");
    return fail(channel->ended, "%s: the sender died without finishing", channel->base.object);
}

/* What is skipped on the way gives room back, for which the sender may be waiting. */
static int next(struct ring_channel *channel, struct ring_record *ret)
{
    uint64_t head = channel->reader.head;
    int r = ring_next(&channel->reader, ret);
    if (channel->reader.head != head)
        ring_end_tell(&channel->in);
    return r;
}

/* The record that is next, or the end.  Nothing that was published before an end was seen may come after it. */
static int look(struct ring_channel *channel, bool ask, struct ring_record *ret)
{
    uint64_t number;
    int r = next(channel, ret);
    int gone = r == -EAGAIN ? sender_gone(channel, ask, &number) : 0;
    if (gone == 0 || (r = next(channel, ret)) != -EAGAIN)
        return r;
    if (gone == -ENODATA || gone == -ECONNRESET)
        gone = tell_end(channel, number, gone);
    return gone < 0 ? gone : -EAGAIN;
}

/* ---- Records --------------------------------------------------------------------------------------------- */

static int take(struct ring_channel *channel, const struct ring_record *record)
{
    uint64_t claim;
    int r = ring_take(&channel->reader, record, &claim);
    if (r < 0)
        return fail(r, "%s: out of memory", channel->base.object);
    if (ring_release(&channel->reader, claim) > 0)
        ring_end_tell(&channel->in);
    return 0;
}

/* Its number is the low half of a session that has begun, else it is not believed.  An end that was told before is
 * not told again. */
static int read_end(struct ring_channel *channel, const struct ring_record *record)
{
    uint64_t newest = session_number(ring_place_session(channel->in.peer));
    uint64_t number = newest - (uint32_t)(newest - record->length);
    if (number > newest)
        return -EBADMSG;
    return number > channel->told ? tell_end(channel, number, record->kind == RECORD_END ? -ENODATA : -ECONNRESET) : 0;
}

static int take_mark(struct ring_channel *channel, const struct ring_record *record)
{
    int r = take(channel, record);
    if (r == 0 && record->kind == RECORD_LOST)
        channel->lost += record->length;
    else if (r == 0)
        r = read_end(channel, record);
    return r;
}

static void rearm(struct ring_channel *channel, uint64_t unused)
{
    struct ring_end *end = &channel->in;
    struct ring_record record;
    uint64_t number;
    (void)unused;
    if (ring_bell_rearm(&end->bell, &end->own->places[0], end->peer, channel->told) < 0 ||
        next(channel, &record) != -EAGAIN || sender_gone(channel, false, &number))
        ring_bell_ring_self(&end->bell);
}

/* The next message or the end.  A sender that writes marks without end is not followed. */
static int await_message(struct ring_channel *channel, int64_t deadline, struct ring_record *ret)
{
    int last = deadline == DEADLINE_NOW ? WAIT_BELL : WAIT_MOVED, r = 0;
    for (uint64_t marks = 0; !channel->ended && marks <= channel->reader.capacity / RECORD_MARK; ) {
        r = look(channel, last != WAIT_MOVED, ret);
        if (r == 0 && ret->kind == RECORD_MESSAGE)
            return 0;
        if (r == 0) {
            marks++;
            r = take_mark(channel, ret);
        } else if (r == -EAGAIN) {
            r = last = ring_channel_wait(channel, &channel->in, channel->reader.tail, last, deadline, rearm, 0);
        }
        if (r < 0 && !channel->ended)
            return r == -EBADMSG ? ring_channel_damaged(&channel->in) : r;
    }
    return channel->ended ? ended(channel) : ring_channel_damaged(&channel->in);
}

/* What is said of a message, once; the losses before it are said with it. */
static void fill_meta(struct ring_channel *channel, const struct ring_record *record, tong_message *meta)
{
    meta->type = record->type;
    meta->length = record->length;
    meta->lost = channel->lost;
    meta->flags = (record->redelivered ? TONG_MESSAGE_REDELIVERED : 0) | (channel->lost ? TONG_MESSAGE_LOST_BEFORE : 0);
}

/* ---- The calls ------------------------------------------------------------------------------------------- */

ssize_t ring_channel_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    struct ring_record record;
    struct ring_span span[2];
    int r = await_message(channel, deadline, &record);
    if (r < 0)
        return r;
    fill_meta(channel, &record, &in->meta);
    if (record.length > in->capacity)
        return fail(-EMSGSIZE, "%s: the message has %llu bytes, the buffer %zu", conduit->object,
                    (unsigned long long)record.length, in->capacity);
    unsigned parts = ring_spans(channel->reader.data, channel->reader.capacity, record.start, record.length, span);
    unsigned char *to = in->data;
    for (unsigned i = 0; i < parts; to += span[i++].size)
        memcpy(to, span[i].data, span[i].size);
    r = take(channel, &record);
    if (r < 0)
        return r;
    channel->lost = 0;
    return (ssize_t)record.length;
}

ssize_t ring_channel_peek(struct conduit *conduit, int64_t deadline, tong_message *meta, tong_token *ret)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    struct ring_record record;
    uint64_t claim;
    int r = await_message(channel, deadline, &record);
    if (r == 0 && (r = ring_take(&channel->reader, &record, &claim)) < 0)
        r = fail(r, "%s: out of memory", conduit->object);
    if (r < 0)
        return r;
    fill_meta(channel, &record, meta);
    channel->lost = 0;
    ring_channel_fill_token(conduit, TONG_RECEIVE, record.start, record.length, claim, ret);
    return (ssize_t)record.length;
}

int ring_channel_release(struct conduit *conduit, tong_token *token)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    bool ours = token->private_word[1] == TONG_RECEIVE;
    int moved = ours ? ring_release(&channel->reader, token->private_word[0]) : -EINVAL;
    if (moved < 0)
        return ring_channel_bad_token(conduit);
    token->private_word[3] = 0;
    if (moved)
        ring_end_tell(&channel->in);
    return 0;
}

/* ---- Opening --------------------------------------------------------------------------------------------- */

/* What ended before we came is told only if something of it is still in the ring.  The session is looked at before
 * the ring: what it published before it ended is then seen.  Where a message comes again, the ends behind it do, too:
 * those were told to one who never released it. */
static void begin_sessions(struct ring_channel *channel)
{
    struct ring_record record;
    uint64_t word = ring_place_session(channel->in.peer), number = session_number(word);
    uint64_t told = atomic_load_explicit(&channel->in.own->places[0].told, memory_order_acquire);
    bool ended = session_state(word) != SESSION_OPEN || ring_end_peer_died(&channel->in, word) > 0;
    if (ended && ring_next(&channel->reader, &record) == -EAGAIN)
        told = number;
    bool again = channel->reader.redelivered_to != channel->reader.head;
    channel->told = told <= number && !again ? told : 0;
}

int ring_channel_open_receiver(struct ring_channel *channel, const struct address *address, const char *name)
{
    struct ring_end *end = &channel->in;
    int r = ring_end_open(end, channel->home, address, name, false);
    if (r < 0)
        return r;
    r = ring_reader_open(&channel->reader, end->own, end->peer, end->object.data, end->object.capacity);
    if (r < 0)
        return ring_channel_contradictory(end, r);
    begin_sessions(channel);
    return 0;
}
