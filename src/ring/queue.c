/* SPDX-License-Identifier: MIT */
/*
 * The protocol by which several receivers share lanes.  Nobody waits for anybody: a receiver that is stopped or killed
 * between any two instructions keeps what it holds, and nothing else.
 *
 * Words.  Each lane has `claim`, where the next unclaimed record begins, and `head`, up to where its sender may write again.
 * Each receiver has a seat with holds.  A hold says which bytes of which lane its receiver has in hand, or is about to.
 *
 * Claiming.  Read the claim, look at the records there, write a free hold, and move the claim from the first to behind the
 * last of them by compare and swap.  Who succeeds has them.  Who fails clears the hold and begins anew.
 *   - What was read before is true if the swap succeeds.  The sender writes in bytes only after it acquired a head behind
 *     them, and a head gets there only after the claim did.  Had one of our loads (acquire) seen such a write (release),
 *     then also that claim, which never falls, would be seen by the swap.  Until then what was read is a guess, from which
 *     nothing follows but what is inside the lane.
 *   - Who acquires a claim sees what its claimers saw when they swapped (acq_rel; all changes of it are such swaps, and so
 *     one release sequence): the record before it, thus the zero or the record behind it, and every hold that was written
 *     for a part of what is claimed.
 *
 * Releasing clears the hold, with release, after the last read.  One atomic exchange, because it must be known whether
 * somebody wants to be told (below).
 *
 * The head is moved by whoever finds that due.  He acquires the claim, then looks at all holds of all seats, and
 * moves the head to the lowest start that is held in that lane, or to the claim.
 *   - No hold of what lies below that claim is missed: it was written before its swap, which is seen.  What is found in its
 *     place instead is later: cleared, after the last read (acquired here, and with the head released to the sender), or
 *     used anew.  `what` is read before `start`, which is written first: a start that belongs to a later use than `what`
 *     says that the earlier one was released.
 *   - A hold that was never won (its swap failed, or is still to come) only keeps the head back for as long as it is there.
 *     One that starts below the head is void, because no head passes one that was won.
 *   - A hold that moves from seat to seat, or is split, could be missed in both places.  It is first written anew, then the
 *     lane's `moved` is raised, then the old one cleared.  Who saw the old one cleared sees `moved` raised when he looks at
 *     it for the second time; if it was so the first time too, then he saw the new hold.
 *   - The head is only ever raised, so who was stopped between his look and his swap does no harm.
 *
 * When it is due.  Looking at up to 16 seats is dear.  So it is done when all was claimed, when the sender says that it sleeps
 * (that is seen by who tells it), when another 16th of the lane has passed, and when another 64th has and the lane is
 * nearly full.  Who finds a hold in the way while all was claimed, or while it keeps back as much as a 16th, adds HOLD_WANTED
 * to it, by compare and swap: its owner's exchange either sees that, and looks himself, or came first, and then the swap
 * fails, or the start is another, and who swapped looks again.  So while more waits to be claimed the head may lag behind,
 * by an eighth of the lane at most; else it does not.
 */
#include "ring/queue.h"

#include <errno.h>

#include "base/hot.h"
#include "ring/copy.h"
#include "ring/ring.h"

#define LAG 16    /* the part of a lane after which the head is looked at again */
#define GLANCE 64 /* the part after which it is asked whether the lane is nearly full */

/* ---- Cursors --------------------------------------------------------------------------------------------- */

/* Others move them, so they are only compared while the head stands still. */
int ring_queue_check(const struct ring_queue *queue, unsigned lane)
{
    const struct layout_cursor *cursor = queue_cursor(queue, lane);
    uint64_t head, tail, claim, capacity = queue->capacity;
    unsigned tries = 0;
    do {
        head = shared_head(cursor);
        tail = shared_tail(&queue->senders->places[lane]);
        claim = shared_claim(cursor);
    } while (shared_head(cursor) != head && ++tries < QUEUE_TRIES);
    return layout_cursors_agree(tail, head, capacity) && claim - head <= capacity && claim % RECORD_ALIGN == 0 ? 0 : -EBADMSG;
}

/* ---- Records --------------------------------------------------------------------------------------------- */

static inline bool is_message(uint64_t word)
{
    return record_kind(word) == RECORD_MESSAGE && record_offset(word) - 1 < RECORD_OFFSET_MOST;
}

static inline uint64_t message_extent(uint64_t word)
{
    return record_extent(record_offset(word), record_length(word));
}

uint64_t ring_queue_extent(const struct ring_queue *queue, uint64_t word)
{
    uint64_t extent = is_message(word) ? message_extent(word) : ring_mark_extent(word);
    return extent % RECORD_ALIGN || extent > queue->capacity - RECORD_ZERO ? 0 : extent;
}

bool ring_queue_waits(const struct ring_queue *queue, unsigned lane)
{
    return shared_turn(queue_at(queue, lane, shared_claim(queue_cursor(queue, lane)))) != 0;
}

bool ring_queue_is_next(const struct ring_queue *queue, const struct queue_record *record)
{
    return shared_claim(queue_cursor(queue, record->lane)) == record->start;
}

int ring_queue_next(const struct ring_queue *queue, unsigned lane, struct queue_record *ret)
{
    for (unsigned tries = 0; tries < QUEUE_TRIES; tries++) {
        uint64_t start = shared_claim(queue_cursor(queue, lane));
        uint64_t word = shared_turn(queue_at(queue, lane, start));
        uint64_t extent = ring_queue_extent(queue, word);
        *ret = (struct queue_record){ lane, word, start, start + extent };
        if (extent != 0)
            return 0;
        if (ring_queue_is_next(queue, ret))
            return word == 0 ? -EAGAIN : -EBADMSG;
    }
    return -EAGAIN;
}

/* ---- The head -------------------------------------------------------------------------------------------- */

/* How far the head of a lane may go, and what is in its way. */
struct way {
    uint64_t head, claim; /* when it was looked at */
    uint64_t limit;
    struct layout_hold *hold; /* that begins at the limit; NULL: none, the limit is the claim */
    uint64_t what;
};

static void look_at_seat(const struct ring_queue *queue, unsigned seat, unsigned lane, struct way *way)
{
    uint64_t reach = shared_reach(&queue->shared->control.places[seat]);
    struct layout_hold *hold = queue->shared->seats[seat].holds;
    for (uint64_t i = 0; i < reach && i < LAYOUT_HOLDS; i++, hold++) {
        uint64_t what = shared_hold_what(hold), start = shared_hold_start(hold);
        if (hold_bytes(what) == 0 || hold_lane(what) != lane || start - way->head >= way->limit - way->head)
            continue;
        way->limit = start;
        way->hold = hold;
        way->what = what;
    }
}

/* None but to where it is, if holds are moved all the time, which only a hostile receiver does. */
static struct way find_way(const struct ring_queue *queue, unsigned lane)
{
    const struct layout_cursor *cursor = queue_cursor(queue, lane);
    struct way way;
    uint64_t before;
    for (unsigned tries = 0; tries < QUEUE_TRIES; tries++) {
        before = shared_moved(cursor);
        way = (struct way){ .head = shared_head(cursor) };
        way.claim = way.limit = shared_claim(cursor);
        uint64_t used = shared_used(&queue->shared->control) & LAYOUT_EVERY_PLACE;
        for (; used; used &= used - 1)
            look_at_seat(queue, queue_lowest(used), lane, &way);
        if (shared_moved(cursor) == before)
            return way;
    }
    way.hold = NULL;
    way.limit = way.head;
    return way;
}

/* Whether nobody else may come to move the head over what is kept back. */
static bool is_wanted(const struct ring_queue *queue, unsigned lane, const struct way *way)
{
    return way->hold && (way->claim - way->limit >= queue->capacity / LAG ||
                         shared_turn(queue_at(queue, lane, way->claim)) == 0);
}

/* Whether its owner will look when it lets go of it; false: it may have done so already. */
static bool want(const struct way *way)
{
    return shared_want_hold(way->hold, way->what) && shared_hold_start(way->hold) == way->limit;
}

__attribute__((noinline)) void ring_queue_advance(struct ring_queue *queue, unsigned lane)
{
    struct way way;
    unsigned tries = 0;
    do {
        way = find_way(queue, lane);
        shared_raise_head(queue_cursor(queue, lane), way.limit);
        queue->looked[lane] = way.claim;
    } while (is_wanted(queue, lane, &way) && !want(&way) && ++tries < QUEUE_TRIES);
}

/* The tail is looked at now and then only, because its line goes to and fro with the sender. */
static inline bool is_due(const struct ring_queue *queue, unsigned lane, uint64_t start, uint64_t end)
{
    uint64_t capacity = queue->capacity;
    if ((int64_t)(end - queue->looked[lane]) >= (int64_t)(capacity / LAG) || shared_turn(queue_at(queue, lane, end)) == 0)
        return true;
    return ((start ^ end) & -(capacity / GLANCE)) &&
           shared_tail(&queue->senders->places[lane]) - shared_head(queue_cursor(queue, lane)) >= capacity - capacity / LAG;
}

/* ---- Claiming -------------------------------------------------------------------------------------------- */

__attribute__((noinline)) void ring_queue_reach(struct ring_queue *queue, unsigned hold)
{
    if (hold < queue->reach)
        return;
    queue->reach = hold + 1;
    shared_set_reach(&queue->shared->control.places[queue->seat], queue->reach);
}

static inline struct layout_hold *own_hold(struct ring_queue *queue, unsigned hold)
{
    return &queue->shared->seats[queue->seat].holds[hold];
}

__attribute__((noinline)) static bool lose(struct ring_queue *queue, unsigned lane, unsigned hold)
{
    if (shared_rewrite_hold(own_hold(queue, hold), 0) & HOLD_WANTED)
        ring_queue_advance(queue, lane);
    return false;
}

HOT bool ring_queue_claim(struct ring_queue *queue, unsigned lane, uint64_t start, uint64_t end, unsigned hold)
{
    if (__builtin_expect(hold >= queue->reach, 0))
        ring_queue_reach(queue, hold);
    shared_hold(own_hold(queue, hold), start, hold_word(end - start, lane));
    if (__builtin_expect(!shared_try_claim(queue_cursor(queue, lane), start, end), 0))
        return lose(queue, lane, hold);
    queue->free &= ~(UINT64_C(1) << hold);
    return true;
}

HOT void ring_queue_release(struct ring_queue *queue, unsigned lane, uint64_t start, uint64_t end, unsigned hold)
{
    uint64_t what = shared_rewrite_hold(own_hold(queue, hold), 0);
    queue->free |= UINT64_C(1) << hold;
    if (__builtin_expect(what & HOLD_WANTED || is_due(queue, lane, start, end), 0))
        ring_queue_advance(queue, lane);
}

/* ---- Batches --------------------------------------------------------------------------------------------- */

/* Those at `start` that a batch can take, by their first words, which are read once; where they end. */
static inline uint64_t look_ahead(const struct ring_queue *queue, unsigned lane, uint64_t start, const tong_batch *batch,
                                  uint64_t count, uint64_t words[QUEUE_RUN], uint64_t *ret_many)
{
    uint64_t end = start, many = 0;
    for (; many < count; many++) {
        uint64_t word = shared_turn(queue_at(queue, lane, end));
        if (!is_message(word) || record_length(word) > batch[many].capacity ||
            end + message_extent(word) - start > queue->capacity - RECORD_ZERO)
            break;
        words[many] = word;
        end += message_extent(word);
    }
    *ret_many = many;
    return end;
}

static inline void copy_out(const struct ring_queue *queue, unsigned lane, uint64_t start, tong_batch *batch, uint64_t many,
                            const uint64_t words[QUEUE_RUN])
{
    for (uint64_t i = 0; i < many; i++) {
        const unsigned char *record = queue_at(queue, lane, start);
        uint64_t length = record_length(words[i]), offset = record_offset(words[i]);
        copy_message(batch[i].data, record + offset * RECORD_ALIGN, length);
        batch[i].length = length;
        batch[i].type = offset > 1 ? (int64_t)shared_get(record + RECORD_ALIGN) : 0;
        batch[i].flags = 0;
        start += record_extent(offset, length);
    }
}

HOT uint64_t ring_queue_receive_batch(struct ring_queue *queue, unsigned lane, tong_batch *batch, uint64_t count)
{
    uint64_t words[QUEUE_RUN], many;
    if (queue->free == 0)
        return 0;
    unsigned hold = queue_lowest(queue->free);
    uint64_t start = shared_claim(queue_cursor(queue, lane));
    uint64_t end = look_ahead(queue, lane, start, batch, count < QUEUE_RUN ? count : QUEUE_RUN, words, &many);
    if (many == 0 || !ring_queue_claim(queue, lane, start, end, hold))
        return 0;
    copy_out(queue, lane, start, batch, many, words);
    ring_queue_release(queue, lane, start, end, hold);
    return many;
}
