/* SPDX-License-Identifier: MIT */
/*
 * Receiving from lanes that several receivers share: each message goes to one of them.
 *
 * It is as with one receiver (channel_receive.c) but for what follows.  Each begins to look in another lane, and takes what
 * nobody has claimed (queue.c).  What a receiver had in hand that is gone comes first, wherever it lay (queue_again.c).
 *
 * Ends.  A mark is claimed by one, and all have to know: he raises `told`, which is shared, before he releases the mark; and
 * for a death `died`, before he claims it, because another may get the mark of a later end, in order, and be done with it
 * before him.  Each has his own `told` beside them, and an end in between is news to him.  An end
 * is told once nothing is unclaimed in any lane, no sender is left and nothing was left by a receiver that is gone.  What a
 * living receiver still has in hand does not keep the others waiting: if it dies with that later, its messages come
 * again to who has not been told, or comes anew, and is then told the end behind them.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "core/wait.h"
#include "ring/channel.h"
#include "ring/copy.h"
#include "ring/queue.h"
#include "ring/queue_ends.h"

#define TURNS 64         /* messages from one lane while others may have some */
#define TURNS_ALONE 1024 /* and if there is no other, until receivers that are gone are looked for */
#define TRIES 64         /* how often one look may lose a claim to others */
#define PASSED RING_PASSED /* something came to light: look again */

/* What was claimed, in the hold that it lies in. */
struct taken {
    struct queue_record record;
    unsigned hold;
    bool redelivered;
    const unsigned char *at;  /* the first word of it */
    uint64_t length;          /* of the message; what a mark says */
};

/* ---- Lanes ----------------------------------------------------------------------------------------------- */

static int open_lane(struct ring_channel *channel, unsigned lane)
{
    int r = ring_object_map_lane(&channel->in.object, lane, false);
    if (r < 0)
        return r;
    r = ring_queue_check(channel->queue, lane);
    if (r < 0)
        return ring_channel_contradictory(&channel->in, r);
    channel->lanes.used |= UINT64_C(1) << lane;
    return 0;
}

/* Those that senders have taken since the last look.  What ends in them is news, however soon others tell of it. */
static int open_lanes(struct ring_channel *channel)
{
    uint64_t fresh = shared_used(channel->in.peer) & LAYOUT_EVERY_PLACE & ~channel->lanes.used;
    int r = 0;
    for (; fresh && r == 0; fresh &= fresh - 1)
        r = open_lane(channel, queue_lowest(fresh));
    return r;
}

static void begin_turn(struct ring_lanes *lanes, unsigned lane)
{
    lanes->current = lane;
    lanes->turns = lanes->ended ? 0 : lanes->used & (lanes->used - 1) ? TURNS : TURNS_ALONE;
}

/* Who goes on with the current lane before its turns are used up has not looked at the others: what was no message, or was
 * taken by somebody else, begins them anew only if the round came by all. */
static void take_turn(struct ring_lanes *lanes, unsigned lane)
{
    if (lane != lanes->current || lanes->turns == 0 || lanes->turns > TURNS)
        begin_turn(lanes, lane);
    else
        lanes->turns--;
}

static bool any_waits(const struct ring_channel *channel)
{
    for (uint64_t rest = channel->lanes.used; rest; rest &= rest - 1)
        if (ring_queue_waits(channel->queue, queue_lowest(rest)))
            return true;
    return false;
}

/* ---- Letting go ------------------------------------------------------------------------------------------ */

/* What was kept back of the room in every lane. */
static void give_room(struct ring_channel *channel)
{
    for (uint64_t rest = channel->lanes.used; rest; rest &= rest - 1) {
        struct layout_cursor *cursor = queue_cursor(channel->queue, queue_lowest(rest));
        if (shared_head(cursor) != shared_claim(cursor))
            ring_queue_advance(channel->queue, queue_lowest(rest));
    }
}

/* A sender that has called may be waiting for it. */
static inline int tell(struct ring_channel *channel)
{
    shared_light_fence(channel->in.fences);
    if (__builtin_expect(shared_calls(channel->in.peer) != channel->in.answered, 0))
        give_room(channel);
    return ring_end_tell(&channel->in);
}

static inline int let_go(struct ring_channel *channel, const struct queue_record *record, unsigned hold)
{
    struct queue_loan *loan = &channel->queue->loan[hold];
    if (__builtin_expect(loan->copy != NULL, 0)) {
        free(loan->copy);
        loan->copy = NULL;
    }
    ring_queue_release(channel->queue, record->lane, record->start, record->end, hold);
    return tell(channel);
}

/* ---- Marks ----------------------------------------------------------------------------------------------- */

/* Whatever was claimed: a message is for the caller. */
static int sort_out(struct ring_channel *channel, const struct taken *taken)
{
    if (__builtin_expect(record_kind(taken->record.word) == RECORD_MESSAGE, 1))
        return 0;
    int marked = ring_queue_read_mark(channel, &taken->record, taken->length), r = let_go(channel, &taken->record, taken->hold);
    return r < 0 ? r : marked;
}

/* ---- Taking ---------------------------------------------------------------------------------------------- */

static int too_small(const struct ring_channel *channel, uint64_t length, uint64_t most)
{
    return fail(-EMSGSIZE, "%s: the message has %llu bytes, the buffer %llu", channel->base.object,
                (unsigned long long)length, (unsigned long long)most);
}

static int all_in_hand(const struct ring_channel *channel)
{
    return fail(-ENOBUFS, "%s: %d messages are in hand, which is the most: release some", channel->base.object, LAYOUT_HOLDS);
}

/* What came to light here has cost as much as many records that are passed over. */
static int dearly(struct ring_channel *channel, int r)
{
    channel->lanes.passed += r == PASSED ? RING_RUN : 0;
    return r;
}

static int recover(struct ring_channel *channel)
{
    return dearly(channel, ring_queue_recover(channel->queue, channel->in.place.fd));
}

static int take_again(struct ring_channel *channel, uint64_t most, struct taken *ret)
{
    struct ring_queue *queue = channel->queue;
    int r = ring_queue_take_again(queue, most, &ret->record, &ret->hold);
    ret->length = record_length(ret->record.word);
    if (r == 0)
        return -EAGAIN;
    if (r < 0)
        return r == -EMSGSIZE ? too_small(channel, ret->length, most) : r == -ENOBUFS ? all_in_hand(channel)
               : r == -ENOMEM ? fail(r, "%s: out of memory", channel->base.object) : r;
    ret->redelivered = true;
    ret->at = queue->loan[ret->hold].copy;
    return dearly(channel, sort_out(channel, ret));
}

/* The next of a lane if it can be had at once: 1; 0 it cannot, or is more than a message. */
static inline bool take_at_once(struct ring_queue *queue, unsigned lane, uint64_t most, struct taken *ret)
{
    uint64_t start = shared_claim(queue_cursor(queue, lane));
    const unsigned char *at = queue_at(queue, lane, start);
    __builtin_prefetch(at + 64);
    uint64_t word = shared_turn(at), length = record_length(word), offset = record_offset(word);
    uint64_t end = start + record_extent(offset, length);
    if (record_kind(word) != RECORD_MESSAGE || offset - 1 >= RECORD_OFFSET_MOST || length > most ||
        end - start > queue->capacity - RECORD_ZERO)
        return false;
    ret->record = (struct queue_record){ lane, word, start, end };
    ret->hold = queue_lowest(queue->free);
    ret->redelivered = false;
    ret->at = at;
    ret->length = length;
    return ring_queue_claim(queue, lane, start, end, ret->hold);
}

static int take_from(struct ring_channel *channel, unsigned lane, uint64_t most, struct taken *ret)
{
    struct ring_queue *queue = channel->queue;
    for (unsigned tries = 0; ; tries++) {
        struct queue_record *record = &ret->record;
        int r = ring_queue_next(queue, lane, record);
        if (r < 0 || tries == TRIES)
            return r < 0 ? r : PASSED;
        ret->length = record_length(record->word);
        if (record_kind(record->word) == RECORD_MESSAGE && ret->length > most && ring_queue_is_next(queue, record))
            return too_small(channel, ret->length, most);
        if (queue->free == 0)
            return all_in_hand(channel);
        ring_queue_announce(channel, record);
        ret->hold = queue_lowest(queue->free);
        if ((record_kind(record->word) != RECORD_MESSAGE || ret->length <= most) &&
            ring_queue_claim(queue, lane, record->start, record->end, ret->hold))
            break;
    }
    ret->redelivered = false;
    ret->at = queue_at(queue, lane, ret->record.start);
    return sort_out(channel, ret);
}

/* Beginning behind the current lane if its turns are used up. */
static int take_new(struct ring_channel *channel, uint64_t most, struct taken *ret)
{
    struct ring_lanes *lanes = &channel->lanes;
    unsigned first = (lanes->current + (lanes->turns == 0)) % LAYOUT_PLACES;
    uint64_t round = (lanes->used | lanes->used << LAYOUT_PLACES) >> first & LAYOUT_EVERY_PLACE;
    for (; round; round &= round - 1) {
        unsigned lane = (first + queue_lowest(round)) % LAYOUT_PLACES;
        int r = take_from(channel, lane, most, ret);
        if (r == -EAGAIN)
            continue;
        take_turn(lanes, lane);
        return r;
    }
    return -EAGAIN;
}

/* 0 a message, PASSED, -EAGAIN nothing is unclaimed. */
static int next(struct ring_channel *channel, uint64_t most, struct taken *ret)
{
    int r = open_lanes(channel);
    if (r < 0)
        return r;
    r = channel->queue->again ? take_again(channel, most, ret) : -EAGAIN;
    return r == -EAGAIN ? take_new(channel, most, ret) : r;
}

/* ---- Ends ------------------------------------------------------------------------------------------------ */

/* Whether a sender is there, also one that has just come, or something unclaimed, which is looked at after that. */
static bool goes_on(struct ring_channel *channel)
{
    uint64_t number;
    if (open_lanes(channel) < 0)
        return true;
    for (uint64_t rest = channel->lanes.used; rest; rest &= rest - 1)
        if (ring_queue_end_of(channel, queue_lowest(rest), true, &number) == 1)
            return true;
    return any_waits(channel);
}

/* Nothing that was published before an end was seen may come after it, nor what a receiver had that is gone. */
static int look_for_end(struct ring_channel *channel, bool ask, uint64_t most, struct taken *ret)
{
    int ends = ring_queue_find_ends(channel, ask, false);
    if (ends < 0 || (ends == 0 && channel->lanes.owed == 0))
        return ends < 0 ? ends : -EAGAIN;
    int r = next(channel, most, ret);
    if (r != -EAGAIN)
        return r;
    ends = ring_queue_find_ends(channel, ask, true);
    if (ends < 0)
        return ends;
    if ((!ask && ends == 0) || channel->lanes.owed == 0 || goes_on(channel))
        return -EAGAIN;
    if (!ring_queue_can_recover(channel->queue))
        return all_in_hand(channel);
    r = recover(channel);
    return r != 0 ? r : ring_lanes_tell_end(channel);
}

/* Once a tick of the coarse clock also those look after others who always have something to do: what one that is gone had
 * in hand keeps its lane from going on. */
static bool is_due(struct ring_queue *queue)
{
    int64_t tick = clock_coarse();
    bool due = tick != queue->recovered;
    queue->recovered = tick;
    return due;
}

/* The next message, or the end.  Who has nothing to do gives back what room is free, and looks after those that are gone. */
static int look(struct ring_channel *channel, bool ask, uint64_t most, struct taken *ret)
{
    int r = is_due(channel->queue) ? recover(channel) : 0;
    if (r >= 0)
        r = next(channel, most, ret);
    if (r != -EAGAIN)
        return r;
    give_room(channel);
    r = ring_end_tell(&channel->in);
    if (r == 0 && ask)
        r = recover(channel);
    return r != 0 ? r : look_for_end(channel, ask, most, ret);
}

/* ---- Waiting --------------------------------------------------------------------------------------------- */

/* Whether there is something to receive or to tell.  Once it was asked to be told, it is the whole look. */
static bool found(struct ring_channel *channel, uint64_t unused, bool last)
{
    (void)unused;
    if (shared_used(channel->in.peer) & LAYOUT_EVERY_PLACE & ~channel->lanes.used || channel->queue->again ||
        any_waits(channel))
        return true;
    return last && (channel->lanes.ended != 0 || ring_queue_find_ends(channel, false, false) != 0);
}

static int look_on(struct ring_channel *channel, int64_t deadline, int64_t *until)
{
    channel->lanes.passed++;
    int r = ring_lanes_look_on(channel, deadline, until);
    return r < 0 ? r : PASSED;
}

static int await(struct ring_channel *channel, uint64_t most, int64_t deadline, struct taken *ret)
{
    int last = deadline == DEADLINE_NOW ? WAIT_BELL : WAIT_MOVED, r = 0;
    for (int64_t until = 0; !channel->lanes.ended; ) {
        bool ask = ring_lanes_may_ask(channel, last, deadline) || r == PASSED;
        r = look(channel, ask, most, ret);
        if (r == 0 || r == -EAGAIN)
            ring_lanes_clear(&channel->lanes);
        if (r == 0)
            return 0;
        if (r == -EAGAIN)
            r = last = ring_channel_wait(channel, &channel->in, last, deadline, found, 0);
        else if (r == PASSED)
            r = look_on(channel, deadline, &until);
        if (r < 0 && !channel->lanes.ended)
            return r == -EBADMSG ? ring_channel_damaged(&channel->in) : r;
    }
    return ring_lanes_ended(channel);
}

/* Whether a call that may not block has nothing to do but to say so: nothing came, and it has asked in this tick. */
static bool has_nothing(struct ring_channel *channel)
{
    const struct ring_lanes *lanes = &channel->lanes;
    return !lanes->owed && !lanes->ended && !ring_bell_is_open(&channel->in.bell) && !found(channel, 0, false) &&
           clock_coarse() == lanes->asked;
}

__attribute__((noinline)) static int await_slowly(struct ring_channel *channel, uint64_t most, int64_t deadline,
                                                  struct taken *ret)
{
    deadline = deadline_begin(deadline);
    if (channel->lanes.turns <= 1)
        channel->lanes.turns = 0;
    if (deadline == DEADLINE_NOW && has_nothing(channel))
        return wait_expired(deadline);
    return await(channel, most, deadline, ret);
}

/* The next message of the current lane, if there is one; all else is rarer. */
static inline int take(struct ring_channel *channel, uint64_t most, int64_t deadline, struct taken *ret)
{
    struct ring_lanes *lanes = &channel->lanes;
    struct ring_queue *queue = channel->queue;
    bool plain = lanes->turns > 1 && !queue->again && queue->free;
    if (__builtin_expect(plain && take_at_once(queue, lanes->current, most, ret), 1)) {
        lanes->turns--;
        return 0;
    }
    struct taken slow = { .hold = 0 }; /* so that the other one can stay in registers */
    int r = await_slowly(channel, most, deadline, &slow);
    *ret = slow;
    return r;
}

/* ---- The calls ------------------------------------------------------------------------------------------- */

/* What is said of a message, once; the losses before it are said with it. */
static inline void fill_meta(struct ring_channel *channel, const struct taken *taken, tong_message *meta)
{
    uint64_t lost = channel->lanes.lost;
    bool typed = record_offset(taken->record.word) > 1;
    meta->type = typed ? (int64_t)shared_get(taken->at + RECORD_ALIGN) : 0;
    meta->length = taken->length;
    meta->lost = lost;
    meta->flags = (taken->redelivered ? TONG_MESSAGE_REDELIVERED : 0) | (lost ? TONG_MESSAGE_LOST_BEFORE : 0);
}

static inline const unsigned char *message_of(const struct taken *taken)
{
    return taken->at + record_offset(taken->record.word) * RECORD_ALIGN;
}

HOT static ssize_t receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    struct taken taken;
    int r = take(channel, in->capacity, deadline, &taken);
    if (__builtin_expect(r < 0, 0)) {
        in->meta.length = taken.length;
        return r;
    }
    fill_meta(channel, &taken, &in->meta);
    copy_message(in->data, message_of(&taken), taken.length);
    channel->lanes.lost = 0;
    r = let_go(channel, &taken.record, taken.hold);
    return r < 0 ? r : (ssize_t)taken.length;
}

/* Those of the current lane that need no more than to be copied. */
static inline size_t take_plain(struct ring_channel *channel, tong_batch *batch, size_t count)
{
    struct ring_lanes *lanes = &channel->lanes;
    uint64_t most = lanes->turns > 1 && !lanes->lost && !channel->queue->again ? lanes->turns - 1 : 0;
    uint64_t taken = most ? ring_queue_receive_batch(channel->queue, lanes->current, batch, count < most ? count : most) : 0;
    lanes->turns -= (uint32_t)taken;
    if (taken)
        tell(channel);
    return taken;
}

HOT static ssize_t receive_batch(struct conduit *conduit, tong_batch *batch, size_t count, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    const uint64_t passed = channel->lanes.passed;
    size_t received = take_plain(channel, batch, count);
    while (received < count && !(received && ring_lanes_tarry(&channel->lanes, passed))) {
        tong_batch *item = &batch[received];
        struct message_in in = { item->data, item->capacity, TONG_MESSAGE_INIT };
        ssize_t r = receive(conduit, &in, received ? DEADLINE_NOW : deadline);
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

HOT static ssize_t peek(struct conduit *conduit, int64_t deadline, tong_message *meta, tong_token *ret)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    struct taken taken;
    int r = take(channel, UINT64_MAX, deadline, &taken);
    if (__builtin_expect(r < 0, 0))
        return r;
    if (meta)
        fill_meta(channel, &taken, meta);
    channel->lanes.lost = 0;
    struct queue_loan *loan = &channel->queue->loan[taken.hold];
    loan->record = taken.record;
    loan->out = true;
    loan->number++;
    ring_channel_fill_token(conduit, TONG_RECEIVE | (uint64_t)taken.hold << 32, message_of(&taken), taken.length,
                            loan->number, ret);
    return (ssize_t)taken.length;
}

HOT static int release(struct conduit *conduit, tong_token *token)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    uint64_t hold = token->private_word[1] >> 32;
    bool ours = (uint32_t)token->private_word[1] == TONG_RECEIVE && hold < LAYOUT_HOLDS;
    struct queue_loan *loan = ours ? &channel->queue->loan[hold] : NULL;
    if (!loan || !loan->out || loan->number != token->private_word[0])
        return ring_channel_bad_token(conduit);
    token->private_word[3] = 0;
    loan->out = false;
    return let_go(channel, &loan->record, (unsigned)hold);
}

/* ---- Opening and closing --------------------------------------------------------------------------------- */

/* What ended before we came is told only if something of it is still unclaimed, or comes again.  The session is looked at
 * before the lane: what it published before it ended is then seen. */
static void begin_sessions(struct ring_channel *channel, unsigned lane)
{
    uint64_t word = shared_session(&channel->in.peer->places[lane]), number = session_number(word);
    uint64_t told = shared_told(queue_cursor(channel->queue, lane));
    bool ended = session_state(word) != SESSION_OPEN || ring_end_peer_died(&channel->in, lane, word) > 0;
    if (ended && !ring_queue_waits(channel->queue, lane))
        told = number;
    bool again = ring_queue_is_left(channel->queue, channel->in.place.fd, lane);
    channel->lanes.told[lane] = told <= number && !again ? told : 0;
}

/* Each receiver begins in another lane. */
static int open_receiver(struct ring_channel *channel)
{
    struct ring_end *end = &channel->in;
    struct ring_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return fail(-ENOMEM, "%s: out of memory", channel->base.object);
    channel->queue = queue;
    queue->shared = end->object.receivers;
    queue->senders = end->object.senders;
    queue->lane = end->object.lane;
    queue->capacity = end->object.shape.capacity;
    queue->seat = end->place.index;
    ring_queue_inherit(queue);
    channel->lanes.current = (queue->seat + LAYOUT_PLACES - 1) % LAYOUT_PLACES;
    int r = open_lanes(channel);
    for (uint64_t rest = channel->lanes.used; r == 0 && rest; rest &= rest - 1)
        begin_sessions(channel, queue_lowest(rest));
    return r;
}

/* What is in hand stays so, and comes again to another. */
void ring_queue_close(struct ring_channel *channel, bool forked)
{
    if (!channel->queue)
        return;
    if (!forked && channel->in.announced) {
        give_room(channel);
        ring_end_tell(&channel->in);
    }
    ring_queue_forget(channel->queue);
    free(channel->queue);
    channel->queue = NULL;
}

const struct ring_delivery ring_delivery_queue = {
    .facet = {
        .variant = "receivers=16",
        .identity = TONG_IDENTITY_CLAIMED,
        .shape = TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS | TONG_HAS_MANY_RECEIVERS,
        .late_deadlines = true,
        .send = ring_channel_send,
        .receive = receive,
        .send_batch = ring_channel_send_batch,
        .receive_batch = receive_batch,
        .reserve = ring_channel_reserve,
        .commit = ring_channel_commit,
        .abort = ring_channel_abort,
        .peek = peek,
        .release = release,
        .finish = ring_channel_finish,
        .pollfd = ring_channel_pollfd,
        .cancel = ring_channel_cancel,
        .peer = ring_channel_peer,
        .describe = ring_channel_describe,
        .close = ring_channel_close,
    },
    .open_receiver = open_receiver,
    .open_sender = ring_channel_open_sender,
    .open_writer = ring_channel_open_writer,
    .ask_receivers = ring_channel_ask_receivers,
};
