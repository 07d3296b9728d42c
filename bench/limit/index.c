/* SPDX-License-Identifier: MIT */
/*
 * Messages side by side, and an index that says how many there are: published after each message, or after a burst.
 * Every receiver reads every message.  A ring of less than the L2 cache moves modified lines from core to core, slowly;
 * one of some MiB goes through the cache that both share.
 */
#include "bench/limit/ring.h"

#include <stdlib.h>

#include "bench/ticks.h"

/*
 * Where messages go in bursts, pauses before an empty ring is looked at again, so that the sender keeps the index's
 * line: more go one way, and each waits longer.
 */
#define BACKOFF 100
#define GIVE_BACK 256 /* messages, at most, that a receiver keeps before it gives them back */

void *index_prepare(const struct contestant *c, const struct job *job)
{
    return rings_new(c, 2, job->size, 0);
}

static void publish(struct end *end, struct side *side)
{
    if (side->shown == side->sent)
        return;
    side->shown = side->sent;
    atomic_store_explicit(&side->out->tail, side->sent, memory_order_release);
    if (!end->job.spin)
        limit_wake(side->out);
}

static uint8_t *next_slot(struct end *end, struct side *side)
{
    if (side->sent - side->freed >= side->out->slots) {
        publish(end, side);
        limit_await_room(end, side);
    }
    return ring_slot(side->out, side->sent++);
}

static void index_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (; count; count--, data += end->job.size) {
        ring_copy(next_slot(end, side), data, end->job.size);
        publish(end, side);
    }
}

/* What is not worth publishing yet is kept back. */
static void burst_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (; count; count--, data += end->job.size) {
        ring_copy(next_slot(end, side), data, end->job.size);
        if (side->sent - side->shown >= BURST)
            publish(end, side);
    }
}

static void burst_flush(struct end *end)
{
    publish(end, end->own);
}

/* Before it waits, a receiver gives back all that it has read: the sender may be waiting for just that. */
static void await_index(struct end *end, struct side *side)
{
    side->published = atomic_load_explicit(&side->in->tail, memory_order_acquire);
    if (side->published != side->taken)
        return;
    ring_give_back(side, 1);
    if (end->wire == &burst_wire && !end->job.together)
        for (int i = 0; i < BACKOFF; i++)
            bench_pause();
    limit_await(end, side->in, &side->in->tail, side->taken, 0);
    side->published = atomic_load_explicit(&side->in->tail, memory_order_acquire);
}

/* Up to where the ring wraps. */
static unsigned show_ready(struct side *side, const uint8_t **ret)
{
    uint64_t ready = side->published - side->taken, to_end = side->in->slots - (side->taken & (side->in->slots - 1));
    ready = ready < to_end ? ready : to_end;
    side->got = ready < BURST ? (unsigned)ready : BURST;
    *ret = ring_slot(side->in, side->taken);
    return side->got;
}

static void take_shown(struct side *side)
{
    uint64_t eighth = side->in->slots / 8;
    side->taken += side->got;
    ring_give_back(side, eighth > GIVE_BACK ? GIVE_BACK : eighth);
}

static unsigned index_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    if (side->published == side->taken)
        await_index(end, side);
    return show_ready(side, ret);
}

static void index_release(struct end *end)
{
    take_shown(end->own);
}

const struct wire index_wire = { limit_enter, index_send, index_receive, index_release, NULL, NULL };
const struct wire burst_wire = { limit_enter, burst_send, index_receive, index_release, burst_flush, NULL };

/* ---- Handed over: the messages lie there already, and only what tells them apart is written ----------------- */

void *hand_prepare(const struct contestant *c, const struct job *job)
{
    struct rings *rings = index_prepare(c, job);
    for (uint64_t i = 0; rings && i < rings->way[0]->slots; i++)
        work_fill(ring_slot(rings->way[0], i), job->size);
    return rings;
}

static void hand_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (; count; count--, data += end->job.size) {
        memcpy(next_slot(end, side), data, 16);
        publish(end, side);
    }
}

const struct wire hand_wire = { limit_enter, hand_send, index_receive, index_release, NULL, NULL };

/* ---- A ring for each sender --------------------------------------------------------------------------------- */

struct lanes {
    struct side side;            /* the sender's; the first member, because a lane is sent to as any ring */
    struct side lane[ROLES_MAX]; /* the receiver's */
    int now;
};

void *lanes_prepare(const struct contestant *c, const struct job *job)
{
    return rings_new(c, job->senders, job->size, 0);
}

static void lanes_enter(struct end *end)
{
    struct lanes *lanes = calloc(1, sizeof *lanes);
    const struct rings *rings = end->subject;
    if (!lanes)
        end_missing(end, "out of memory");
    lanes->side.out = end_sends(end) ? rings->way[end->job.role] : NULL;
    for (int i = 0; i < end->job.senders; i++)
        lanes->lane[i].in = rings->way[i];
    end->own = lanes;
}

static bool is_empty(struct side *side)
{
    if (side->published == side->taken)
        side->published = atomic_load_explicit(&side->in->tail, memory_order_acquire);
    return side->published == side->taken;
}

static unsigned lanes_receive(struct end *end, const uint8_t **ret)
{
    struct lanes *lanes = end->own;
    for (int empty = 0; is_empty(&lanes->lane[lanes->now]); empty++) {
        ring_give_back(&lanes->lane[lanes->now], 1);
        lanes->now = (lanes->now + 1) % end->job.senders;
        if (empty >= end->job.senders)
            end_look(end);
    }
    return show_ready(&lanes->lane[lanes->now], ret);
}

static void lanes_release(struct end *end)
{
    struct lanes *lanes = end->own;
    take_shown(&lanes->lane[lanes->now]);
}

const struct wire lanes_wire = { lanes_enter, burst_send, lanes_receive, lanes_release, burst_flush, NULL };
