/* SPDX-License-Identifier: MIT */
/*
 * Receiving from the lanes of a channel: messages, and between them what senders mark.
 *
 * Lanes.  Every sender has its own, so its messages come in its order; between senders there is none but the one in which
 * the receiver looks.  It stays with a lane while that has messages, TURNS at most, and then goes round.
 *
 * Ends.  The mark of an end lies in the lane behind the last message of its session.  A session that ended without one
 * (killed, or closed with nothing sent into a full ring) is found by its word and its lock, the lanes being empty.  The
 * channel ends when a session has ended and no other sender is there: while others go on, an end is owed, a death before
 * an orderly one.  An end that was told stays: every further receive gives it again.  Who opens anew goes on with the next
 * session, and knows by `told`, which is in the receivers' segment, that a mark written later for a death that was
 * seen already is not news.  With reconnect=yes no end is told, orderly or not, and the next session goes on.
 *
 * Losses that a sender marks are added up and told with the next message.
 *
 * Skips and marks.  An honest lane is full of them at most, a hostile one always: RING_RUN of them in a row are one look at a
 * lane, then others have their turn, and the deadline is asked for.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "base/number.h"
#include "core/wait.h"
#include "ring/channel.h"
#include "ring/copy.h"
#include "ring/sleep.h"

#define TURNS 64            /* messages from one lane while others may have some */
#define TURNS_ALONE 4096    /* and if there is no other, until it is looked whether one has come, which takes 0.1 us */
#define STREAM 3            /* messages since the last time that nothing was there */
#define STREAM_BYTES 2048   /* and their bytes */
#define BACKOFF 150         /* pauses before the next word of a stream is looked at again */
#define OVERTAKEN 8         /* messages of a broadcast, in a row, while they were copied: until the deadline is asked for */

/* ---- Lanes ----------------------------------------------------------------------------------------------- */

/* The lowest of several lanes. */
static unsigned first_of(uint64_t lanes)
{
    return (unsigned)__builtin_ctzll(lanes);
}

static bool is_used(const struct ring_lanes *lanes, unsigned lane)
{
    return lanes->used >> lane & 1;
}

/* Whether what comes next in that lane is what a stop of the machine tore, and no sender has mended it yet. */
static bool is_torn(const struct ring_channel *channel, unsigned lane)
{
    const struct ring_lanes *lanes = &channel->lanes;
    return __builtin_expect(lanes->doubt >> lane & 1, 0) && lanes->reader[lane].seen == lanes->limit[lane] &&
           !ring_channel_is_mended(channel, lane);
}

/* Whether something was published there that was not seen. */
static bool waits(const struct ring_channel *channel, unsigned lane)
{
    return !is_torn(channel, lane) && ring_waits(&channel->lanes.reader[lane]);
}

/* With one lane there is nobody to take turns with yet.  A lane in doubt is looked at record by record. */
static void begin_turn(struct ring_lanes *lanes, unsigned lane)
{
    lanes->current = lane;
    lanes->now = &lanes->reader[lane];
    bool slow = lanes->ended || lanes->doubt >> lane & 1;
    lanes->turns = slow ? 0 : lanes->used & (lanes->used - 1) ? TURNS : TURNS_ALONE;
    lanes->dry = lanes->turns;
}

/* Who goes on with the current lane before its turns are used up has not looked at the others: what was no message, or came
 * while nothing seemed to be there, begins them anew only if the round came by all. */
static void take_turn(struct ring_lanes *lanes, unsigned lane)
{
    if (lane != lanes->current || lanes->turns == 0 || lanes->turns > TURNS) {
        begin_turn(lanes, lane);
        return;
    }
    lanes->turns--;
    lanes->dry = lanes->turns;
}

int ring_channel_open_reader(struct ring_channel *channel, unsigned lane)
{
    const struct ring_end *end = &channel->in;
    int r = ring_reader_open(&channel->lanes.reader[lane], &end->object.receivers->cursors[lane], &end->peer->places[lane],
                             end->object.lane[lane], end->object.shape.capacity);
    return r < 0 ? ring_channel_contradictory(end, r) : 0;
}

static int open_lane(struct ring_channel *channel, unsigned lane)
{
    struct ring_lanes *lanes = &channel->lanes;
    int r = ring_object_map_lane(&channel->in.object, lane, false);
    if (r == 0)
        r = channel->delivery->open_reader(channel, lane);
    if (r < 0)
        return r;
    lanes->told[lane] = shared_told(lanes->reader[lane].own);
    lanes->used |= UINT64_C(1) << lane;
    return 0;
}

/* Those that senders have taken since the last look. */
static int open_lanes(struct ring_channel *channel)
{
    uint64_t fresh = shared_used(channel->in.peer) & LAYOUT_EVERY_PLACE & ~channel->lanes.used;
    int r = 0;
    for (; fresh && r == 0; fresh &= fresh - 1)
        r = open_lane(channel, first_of(fresh));
    return r;
}

void ring_channel_close_lanes(struct ring_channel *channel)
{
    for (unsigned lane = 0; lane < LAYOUT_PLACES; lane++)
        ring_reader_close(&channel->lanes.reader[lane]);
}

/* Messages of a broadcast that were overwritten before they were seen.  With slow=drop that is the end, unless it was while
 * nobody of our name was there. */
static int note_missed(struct ring_channel *channel, struct ring_reader *reader, int r)
{
    ring_channel_lose(channel, reader->missed);
    reader->missed = 0;
    if (!reader->overtaken || channel->member.slow != SLOW_DROP)
        return r;
    channel->lanes.owed = -EOVERFLOW;
    return ring_lanes_tell_end(channel);
}

/* What is skipped on the way gives room back, for which the sender may be waiting. */
static int next_in(struct ring_channel *channel, unsigned lane, struct ring_record *ret)
{
    struct ring_reader *reader = &channel->lanes.reader[lane];
    uint64_t head = reader->head, passed = reader->passed;
    if (is_torn(channel, lane))
        return -EAGAIN;
    if (ring_channel_is_mended(channel, lane))
        channel->lanes.doubt &= ~(UINT64_C(1) << lane);
    int r = reader->log ? ring_log_next(reader, ret) : ring_next(reader, ret);
    if (reader->head != head)
        ring_end_tell(&channel->in);
    channel->lanes.passed += reader->passed - passed;
    return __builtin_expect(reader->missed != 0, 0) ? note_missed(channel, reader, r) : r;
}

/* The next record of any lane, beginning behind the current one if its turns are used up. */
static int next(struct ring_channel *channel, struct ring_record *ret)
{
    struct ring_lanes *lanes = &channel->lanes;
    unsigned first = (lanes->current + (lanes->turns == 0)) % LAYOUT_PLACES;
    int r = open_lanes(channel);
    if (r < 0)
        return r;
    uint64_t round = (lanes->used | lanes->used << LAYOUT_PLACES) >> first & LAYOUT_EVERY_PLACE;
    for (; round; round &= round - 1) {
        unsigned lane = (first + first_of(round)) % LAYOUT_PLACES;
        r = next_in(channel, lane, ret);
        if (r == -EAGAIN)
            continue;
        take_turn(lanes, lane);
        return r;
    }
    return -EAGAIN;
}

/* ---- Ends ------------------------------------------------------------------------------------------------ */

/* Remembers that a session of a lane has ended; a death is not covered by an orderly end. */
static void note_end(struct ring_channel *channel, unsigned lane, uint64_t number, int end)
{
    channel->lanes.told[lane] = number;
    shared_set_told(channel->lanes.reader[lane].own, number);
    if (end == -ECONNRESET && channel->lanes.doubt >> lane & 1)
        channel->lanes.outage = 1 + channel->lanes.torn[lane];
    if (!channel->reconnect && channel->lanes.owed != -ECONNRESET)
        channel->lanes.owed = end;
}

/* Whether a lane that is not one of those has a sender, or something left.  Lanes that were taken since the last look count:
 * their senders came before the end that is at hand.  What a sender that is gone has published is seen by who looks into
 * the lane after that. */
static bool others_go_on(struct ring_channel *channel, uint64_t but)
{
    uint64_t number;
    if (open_lanes(channel) < 0)
        return true;
    for (uint64_t rest = channel->lanes.used & ~but; rest; rest &= rest - 1) {
        unsigned lane = first_of(rest);
        if (ring_lanes_sender_gone(channel, lane, true, &number) == 1 || waits(channel, lane))
            return true;
    }
    return false;
}

/* Looks for sessions that ended without a mark.  The number of them, or an error. */
static int find_ends(struct ring_channel *channel, bool ask, bool take)
{
    int found = 0;
    for (uint64_t rest = channel->lanes.used; rest; rest &= rest - 1) {
        unsigned lane = first_of(rest);
        uint64_t number;
        int gone = ring_lanes_sender_gone(channel, lane, ask, &number);
        if (gone < 0 && gone != -ENODATA && gone != -ECONNRESET)
            return gone;
        if (gone >= 0 || (take && waits(channel, lane)))
            continue;
        found++;
        if (take)
            note_end(channel, lane, number, gone);
    }
    return found;
}

/* The record that is next, or the end.  Nothing that was published before an end was seen may come after it.  Whether
 * others go on is asked where an end was just found, and otherwise no more often than it may be. */
static int look(struct ring_channel *channel, bool ask, struct ring_record *ret)
{
    int r = next(channel, ret);
    int gone = r == -EAGAIN ? find_ends(channel, ask, false) : 0;
    if (gone == 0 && (r != -EAGAIN || channel->lanes.owed == 0))
        return r;
    if (gone < 0 || (r = next(channel, ret)) != -EAGAIN)
        return gone < 0 ? gone : r;
    gone = find_ends(channel, ask, true);
    if (gone < 0)
        return gone;
    bool over = (ask || gone > 0) && channel->lanes.owed != 0 && !others_go_on(channel, 0);
    return over ? ring_lanes_tell_end(channel) : -EAGAIN;
}

/* ---- Records --------------------------------------------------------------------------------------------- */

static inline int consume(struct ring_channel *channel, const struct ring_record *record, uint64_t messages)
{
    int r = ring_consume(channel->lanes.now, record, messages);
    if (__builtin_expect(r < 0, 0))
        return fail(r, "%s: out of memory", channel->base.object);
    return ring_end_tell(&channel->in);
}

/* An end that was told before is not told again.  While others go on, it waits for them. */
static int read_end(struct ring_channel *channel, const struct ring_record *record)
{
    unsigned lane = channel->lanes.current;
    uint64_t number;
    int r = ring_lanes_ended_session(channel, lane, (uint32_t)record->length, &number);
    if (r < 0 || number <= channel->lanes.told[lane])
        return r;
    if (record->kind == RECORD_DIED && record->type != 0)
        channel->lanes.outage = (uint64_t)record->type;
    note_end(channel, lane, number, record->kind == RECORD_END ? -ENODATA : -ECONNRESET);
    return channel->lanes.owed != 0 && !others_go_on(channel, UINT64_C(1) << lane) ? ring_lanes_tell_end(channel) : 0;
}

static int take_mark(struct ring_channel *channel, const struct ring_record *record)
{
    int r = consume(channel, record, record->kind == RECORD_LOST ? record->length : 0);
    channel->lanes.passed++;
    if (r == 0 && record->kind == RECORD_LOST)
        ring_channel_lose(channel, record->length);
    else if (r == 0)
        r = read_end(channel, record);
    return r;
}

/* Whether there is something to receive or to tell.  Once it was asked to be told, it is the whole look. */
static bool found(struct ring_channel *channel, uint64_t unused, bool last)
{
    const struct ring_lanes *lanes = &channel->lanes;
    uint64_t used = shared_used(channel->in.peer) & LAYOUT_EVERY_PLACE;
    (void)unused;
    if (used & ~lanes->used)
        return true;
    for (used = lanes->used; used; used &= used - 1)
        if (waits(channel, first_of(used)))
            return true;
    return last && (lanes->ended != 0 || find_ends(channel, false, false) != 0);
}

/* The next message or the end. */
static int await_message(struct ring_channel *channel, int64_t deadline, struct ring_record *ret)
{
    int last = deadline == DEADLINE_NOW ? WAIT_BELL : WAIT_MOVED;
    for (int64_t until = 0; !channel->lanes.ended; ) {
        int r = look(channel, ring_lanes_may_ask(channel, last, deadline), ret);
        bool message = r == 0 && ret->kind == RECORD_MESSAGE;
        if (message || r == -EAGAIN)
            ring_lanes_clear(&channel->lanes);
        if (message)
            return 0;
        if (r == -EAGAIN)
            r = last = ring_channel_wait(channel, &channel->in, last, deadline, found, 0);
        else if (r == 0)
            r = take_mark(channel, ret);
        if (r >= 0)
            r = ring_lanes_look_on(channel, deadline, &until);
        if (r < 0 && !channel->lanes.ended)
            return r == -EBADMSG ? ring_channel_damaged(&channel->in) : r;
    }
    return ring_lanes_ended(channel);
}

/* A receiver that polls the line in which the sender writes slows it down: who has caught up with a stream lets it get
 * ahead by a few microseconds.  Who receives one message at a time, or a few, is not kept. */
static void back_off(struct ring_lanes *lanes)
{
    uint64_t seen = lanes->now->seen;
    bool stream = lanes->dry - lanes->turns >= STREAM && seen - lanes->dry_at >= STREAM_BYTES;
    lanes->dry = lanes->turns;
    lanes->dry_at = seen;
    for (int i = 0; stream && i < BACKOFF; i++)
        ring_relax();
}

/* Whether a call that may not block has nothing to do but to say so: nothing came, and it has asked in this tick. */
static bool has_nothing(struct ring_channel *channel)
{
    const struct ring_lanes *lanes = &channel->lanes;
    return !lanes->owed && !lanes->ended && !ring_bell_is_open(&channel->in.bell) && !found(channel, 0, false) &&
           clock_coarse() == lanes->asked;
}

__attribute__((noinline)) static int await_slowly(struct ring_channel *channel, int64_t deadline, struct ring_record *ret)
{
    struct ring_lanes *lanes = &channel->lanes;
    deadline = deadline_begin(deadline);
    if (lanes->turns <= 1)
        ring_lanes_close_fast_path(lanes);
    else if (!ring_waits(lanes->now))
        back_off(lanes);
    if (deadline == DEADLINE_NOW && has_nothing(channel))
        return wait_expired(deadline);
    return await_message(channel, deadline, ret);
}

/* The next message of the current lane, if there is one; all else is rarer. */
static inline int receive_record(struct ring_channel *channel, int64_t deadline, struct ring_record *ret)
{
    struct ring_lanes *lanes = &channel->lanes;
    uint64_t word = __builtin_expect(lanes->turns > 1, 1) ? ring_turn(lanes->now) : 0;
    if (__builtin_expect(word != 0 && ring_read(lanes->now, word, ret), 1)) {
        lanes->turns--;
        return 0;
    }
    struct ring_record slow = { .kind = 0 }; /* so that the other one can stay in registers */
    int r = await_slowly(channel, deadline, &slow);
    *ret = slow;
    return r;
}

/* What is said of a message, once; the losses before it are said with it. */
static inline void fill_meta(const struct ring_channel *channel, const struct ring_record *record, tong_message *meta)
{
    uint64_t lost = channel->lanes.lost;
    meta->type = record->type;
    meta->length = record->length;
    meta->lost = lost;
    meta->flags = (record->redelivered ? TONG_MESSAGE_REDELIVERED : 0) | (lost ? TONG_MESSAGE_LOST_BEFORE : 0);
}

/* ---- The calls ------------------------------------------------------------------------------------------- */

static int too_small(const struct ring_channel *channel, const struct ring_record *record, size_t capacity)
{
    return fail(-EMSGSIZE, "%s: the message has %llu bytes, the buffer %zu", channel->base.object,
                (unsigned long long)record->length, capacity);
}

/* A hostile sender may overtake each message while it is copied. */
__attribute__((noinline)) static int look_anew(struct ring_channel *channel, int64_t deadline, unsigned *overtaken)
{
    ring_lanes_close_fast_path(&channel->lanes);
    return ++*overtaken % OVERTAKEN ? 0 : wait_may_look_on(&channel->base.cancelled, deadline);
}

/* Whether what was read of a record counts: 1; 0 the lane is to be looked at anew, for which there is time. */
static inline int counts(struct ring_channel *channel, const struct ring_record *record, int64_t deadline, unsigned *overtaken)
{
    bool whole = ring_is_whole(channel->lanes.now, record->start);
    return __builtin_expect(whole, 1) ? 1 : look_anew(channel, deadline, overtaken);
}

HOT ssize_t ring_channel_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    struct ring_record record;
    unsigned overtaken = 0;
    int r;
    do {
        r = receive_record(channel, deadline, &record);
        if (__builtin_expect(r < 0, 0))
            return r;
        if (__builtin_expect(record.length <= in->capacity, 1))
            copy_message(in->data, record.data, record.length);
        r = counts(channel, &record, deadline, &overtaken);
    } while (__builtin_expect(r == 0, 0));
    if (__builtin_expect(r < 0, 0))
        return r;
    fill_meta(channel, &record, &in->meta);
    if (__builtin_expect(record.length > in->capacity, 0))
        return too_small(channel, &record, in->capacity);
    r = consume(channel, &record, 1);
    if (r < 0)
        return r;
    channel->lanes.lost = 0;
    return (ssize_t)record.length;
}

/* Those of the current lane that need no more than to be copied. */
static inline size_t take_plain(struct ring_channel *channel, tong_batch *batch, size_t count)
{
    struct ring_lanes *lanes = &channel->lanes;
    uint64_t most = lanes->turns > 1 && !lanes->lost ? lanes->turns - 1 : 0;
    uint64_t taken = most ? ring_receive_batch(lanes->now, batch, count < most ? count : most) : 0;
    lanes->turns -= (uint32_t)taken;
    if (taken)
        ring_end_tell(&channel->in);
    return taken;
}

HOT ssize_t ring_channel_receive_batch(struct conduit *conduit, tong_batch *batch, size_t count, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    const uint64_t passed = channel->lanes.passed;
    size_t received = take_plain(channel, batch, count);
    while (received < count && !(received && ring_lanes_tarry(&channel->lanes, passed))) {
        tong_batch *item = &batch[received];
        struct message_in in = { item->data, item->capacity, TONG_MESSAGE_INIT };
        ssize_t r = ring_channel_receive(conduit, &in, received ? DEADLINE_NOW : deadline);
        if (r < 0)
            return received ? (ssize_t)received : r;
        item->length = (uint64_t)r;
        item->type = in.meta.type;
        item->flags = in.meta.flags;
        received++;
        received += take_plain(channel, batch + received, count - received);
    }
    return (ssize_t)received;
}

HOT ssize_t ring_channel_peek(struct conduit *conduit, int64_t deadline, tong_message *meta, tong_token *ret)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    struct ring_record record;
    uint64_t claim;
    unsigned overtaken = 0;
    int r;
    do {
        r = receive_record(channel, deadline, &record);
        if (__builtin_expect(r < 0, 0))
            return r;
        r = counts(channel, &record, deadline, &overtaken);
    } while (__builtin_expect(r == 0, 0));
    if (__builtin_expect(r < 0, 0))
        return r;
    r = ring_take(channel->lanes.now, &record, &claim);
    if (__builtin_expect(r < 0, 0))
        return fail(r, "%s: out of memory", conduit->object);
    if (meta)
        fill_meta(channel, &record, meta);
    channel->lanes.lost = 0;
    uint64_t from = TONG_RECEIVE | (uint64_t)channel->lanes.current << 32;
    ring_channel_fill_token(conduit, from, record.data, record.length, claim, ret);
    return (ssize_t)record.length;
}

static bool was_overwritten(const struct ring_reader *reader, uint64_t number)
{
    const struct ring_claim *claim = ring_claims_find(&reader->claims, number);
    return claim && !ring_is_whole(reader, claim->start);
}

HOT int ring_channel_release(struct conduit *conduit, tong_token *token)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    uint64_t lane = token->private_word[1] >> 32;
    bool ours = (uint32_t)token->private_word[1] == TONG_RECEIVE && lane < LAYOUT_PLACES;
    struct ring_reader *reader = ours ? &channel->lanes.reader[lane] : NULL;
    bool stale = ours && __builtin_expect(reader->lossy, 0) && was_overwritten(reader, token->private_word[0]);
    int moved = ours ? ring_release(reader, token->private_word[0]) : -EINVAL;
    if (__builtin_expect(moved < 0, 0))
        return ring_channel_bad_token(conduit);
    token->private_word[3] = 0;
    if (__builtin_expect(stale, 0))
        return fail(-ESTALE, "%s: the message was overwritten while it was looked at: use receive, or slow=wait",
                    conduit->object);
    return moved ? ring_end_tell(&channel->in) : 0;
}

/* ---- Opening --------------------------------------------------------------------------------------------- */

/* What ended before we came is told only if something of it is still in the ring.  The session is looked at before
 * the ring: what it published before it ended is then seen.  Where a message comes again, the ends behind it do, too:
 * those were told to one who never released it. */
static void begin_sessions(struct ring_channel *channel, unsigned lane)
{
    struct ring_reader *reader = &channel->lanes.reader[lane];
    struct ring_record record;
    uint64_t word = shared_session(&channel->in.peer->places[lane]), number = session_number(word);
    uint64_t told = channel->lanes.told[lane];
    bool ended = session_state(word) != SESSION_OPEN || ring_end_peer_died(&channel->in, lane, word) > 0;
    if (ended && next_in(channel, lane, &record) == -EAGAIN && channel->lanes.torn[lane] == 0)
        told = number;
    bool again = reader->redelivered_to != reader->head;
    channel->lanes.told[lane] = told <= number && !again ? told : 0;
}

int ring_channel_open_receiver(struct ring_channel *channel)
{
    channel->lanes.current = LAYOUT_PLACES - 1;
    int r = open_lanes(channel);
    for (unsigned lane = 0; r == 0 && lane < LAYOUT_PLACES; lane++)
        if (is_used(&channel->lanes, lane))
            begin_sessions(channel, lane);
    return r;
}
