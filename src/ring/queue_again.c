/* SPDX-License-Identifier: MIT */
/*
 * What a receiver had in hand that is gone: killed, or closed before it released it.
 *
 * Its holds stay in its seat.  Whoever takes the seat next has inherited them; else any other receiver that has nothing to
 * do takes the lock of that place, which says that nobody is in it, and moves them to its own seat: first the new hold, then
 * `moved`, then the old one is cleared (queue.c says why).  Who is killed between the two leaves both, and what they hold
 * comes twice, flagged: that is at least once.
 *
 * A hold may have been written for a claim that its owner lost, dying before it cleared it.  It is void if it starts below
 * the head, or ends behind the claim; else nobody can tell, and it comes again although another receiver had it, flagged.
 * Such a hold does not keep the head back from one who looked at the seat before it was written.  So what comes again is
 * copied first, and counts if the head had not passed it after that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring/place.h"
#include "ring/queue.h"

static struct layout_hold *hold_at(const struct ring_queue *queue, unsigned seat, unsigned hold)
{
    return &queue->shared->seats[seat].holds[hold];
}

static unsigned reach_of(const struct ring_queue *queue, unsigned seat)
{
    uint64_t reach = shared_reach(&queue->shared->control.places[seat]);
    return reach < LAYOUT_HOLDS ? (unsigned)reach : LAYOUT_HOLDS;
}

/* Whether that was never claimed by the one who wrote it, or was released long ago. */
static bool is_void(const struct ring_queue *queue, uint64_t start, uint64_t what)
{
    const struct layout_cursor *cursor = queue_cursor(queue, hold_lane(what));
    uint64_t end = start + hold_bytes(what);
    return !queue->lane[hold_lane(what)] || start % RECORD_ALIGN || hold_bytes(what) > queue->capacity ||
           (int64_t)(shared_claim(cursor) - end) < 0 || (int64_t)(start - shared_head(cursor)) < 0;
}

static void clear(struct ring_queue *queue, unsigned seat, unsigned hold)
{
    uint64_t what = shared_rewrite_hold(hold_at(queue, seat, hold), 0);
    if (what & HOLD_WANTED && queue->lane[hold_lane(what)])
        ring_queue_advance(queue, hold_lane(what));
}

/* One of our holds that is free, for those bytes. */
static void hold_anew(struct ring_queue *queue, uint64_t start, uint64_t what)
{
    unsigned hold = queue_lowest(queue->free);
    ring_queue_reach(queue, hold);
    shared_hold(hold_at(queue, queue->seat, hold), start, what);
    shared_move(queue_cursor(queue, hold_lane(what)));
    queue->free &= ~(UINT64_C(1) << hold);
    queue->again |= UINT64_C(1) << hold;
}

/* ---- Taking over ----------------------------------------------------------------------------------------- */

void ring_queue_inherit(struct ring_queue *queue)
{
    queue->reach = reach_of(queue, queue->seat);
    queue->free = ~UINT64_C(0);
    for (unsigned hold = 0; hold < queue->reach; hold++)
        if (shared_hold_what(hold_at(queue, queue->seat, hold)) != 0)
            queue->again |= UINT64_C(1) << hold;
    queue->free &= ~queue->again;
}

/* Whether a seat has a hold that is not void, of that lane or (LAYOUT_PLACES) of any. */
static bool has_hold(const struct ring_queue *queue, unsigned seat, unsigned lane)
{
    for (unsigned hold = 0; hold < reach_of(queue, seat); hold++) {
        uint64_t what = shared_hold_what(hold_at(queue, seat, hold));
        uint64_t start = shared_hold_start(hold_at(queue, seat, hold));
        if (what != 0 && (lane == LAYOUT_PLACES || hold_lane(what) == lane) && !is_void(queue, start, what))
            return true;
    }
    return false;
}

static bool is_gone(const struct ring_queue *queue, int fd, unsigned seat)
{
    return seat == queue->seat || ring_place_held(fd, seat) == 0;
}

bool ring_queue_is_left(const struct ring_queue *queue, int fd, unsigned lane)
{
    uint64_t used = shared_used(&queue->shared->control) & LAYOUT_EVERY_PLACE;
    for (; used; used &= used - 1)
        if (has_hold(queue, queue_lowest(used), lane) && is_gone(queue, fd, queue_lowest(used)))
            return true;
    return false;
}

/* One of ours stays free, for the rest of one that is split. */
static int move_all(struct ring_queue *queue, unsigned seat)
{
    int moved = 0;
    for (unsigned hold = 0; hold < reach_of(queue, seat) && ring_queue_can_recover(queue); hold++) {
        uint64_t what = shared_hold_what(hold_at(queue, seat, hold)) & ~HOLD_WANTED;
        uint64_t start = shared_hold_start(hold_at(queue, seat, hold));
        if (what == 0 || !queue->lane[hold_lane(what)])
            continue;
        if (!is_void(queue, start, what)) {
            hold_anew(queue, start, what);
            moved = 1;
        }
        clear(queue, seat, hold);
    }
    return moved;
}

/* Asked before it is locked: for a newcomer a place that is locked is taken. */
static int recover_from(struct ring_queue *queue, int fd, unsigned seat)
{
    if (seat == queue->seat || !has_hold(queue, seat, LAYOUT_PLACES))
        return 0;
    int held = ring_place_held(fd, seat);
    int r = held != 0 ? held : ring_place_lock(fd, seat);
    if (held != 0 || r < 0)
        return held > 0 || r == -EBUSY ? 0 : r;
    r = move_all(queue, seat);
    ring_place_unlock(fd, seat);
    return r;
}

int ring_queue_recover(struct ring_queue *queue, int fd)
{
    int found = 0;
    uint64_t used = shared_used(&queue->shared->control) & LAYOUT_EVERY_PLACE;
    for (; used; used &= used - 1) {
        int r = recover_from(queue, fd, queue_lowest(used));
        if (r < 0)
            return r;
        found |= r;
    }
    return found;
}

/* ---- Giving it out --------------------------------------------------------------------------------------- */

static void drop(struct ring_queue *queue, unsigned hold)
{
    queue->again &= ~(UINT64_C(1) << hold);
    queue->free |= UINT64_C(1) << hold;
    clear(queue, queue->seat, hold);
}

/* What lies behind the first record of a hold gets a hold of its own. */
static void split(struct ring_queue *queue, unsigned hold, const struct queue_record *first, uint64_t bytes)
{
    uint64_t extent = first->end - first->start, kept = hold_word(extent, first->lane);
    hold_anew(queue, first->end, hold_word(bytes - extent, first->lane));
    if (shared_rewrite_hold(hold_at(queue, queue->seat, hold), kept) & HOLD_WANTED)
        shared_want_hold(hold_at(queue, queue->seat, hold), kept);
}

/* The first record of a hold: 1, 0 (the hold was void, and is gone), or as ring_queue_take_again(). */
static int take_first(struct ring_queue *queue, unsigned hold, uint64_t most, struct queue_record *ret)
{
    uint64_t what = shared_hold_what(hold_at(queue, queue->seat, hold));
    uint64_t start = shared_hold_start(hold_at(queue, queue->seat, hold)), bytes = hold_bytes(what);
    unsigned lane = hold_lane(what);
    uint64_t word = is_void(queue, start, what) ? 0 : shared_turn(queue_at(queue, lane, start));
    uint64_t extent = ring_queue_extent(queue, word);
    bool whole = extent != 0 && extent <= bytes, long_one = record_kind(word) == RECORD_MESSAGE && record_length(word) > most;
    unsigned char *copy = whole && !long_one ? malloc(extent) : NULL;
    *ret = (struct queue_record){ lane, word, start, start + extent };
    if (copy)
        memcpy(copy, queue_at(queue, lane, start), extent);
    if (is_void(queue, start, what)) {
        free(copy);
        drop(queue, hold);
        return 0;
    }
    if (!copy)
        return !whole ? -EBADMSG : long_one ? -EMSGSIZE : -ENOMEM;
    if (extent < bytes && queue->free == 0) {
        free(copy);
        return -ENOBUFS;
    }
    if (extent < bytes)
        split(queue, hold, ret, bytes);
    queue->again &= ~(UINT64_C(1) << hold);
    queue->loan[hold].copy = copy;
    return 1;
}

int ring_queue_take_again(struct ring_queue *queue, uint64_t most, struct queue_record *ret, unsigned *ret_hold)
{
    int r = 0;
    for (uint64_t rest = queue->again; rest && (r == 0 || r == -ENOBUFS); rest &= rest - 1) {
        *ret_hold = queue_lowest(rest);
        r = take_first(queue, *ret_hold, most, ret);
    }
    return r;
}

void ring_queue_forget(struct ring_queue *queue)
{
    for (unsigned hold = 0; hold < LAYOUT_HOLDS; hold++)
        free(queue->loan[hold].copy);
}
