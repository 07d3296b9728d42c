/* SPDX-License-Identifier: MIT */
/*
 * Messages side by side and an index published after each, for two who sleep: waking is what is dear, and on one
 * processor nothing is gained by it before the other has to run.  So the sender fills the ring, wakes the receiver when
 * there is no more room or no more to come, and sleeps; the receiver takes all that there is, wakes the sender, and
 * sleeps.
 */
#include "bench/limit/ring.h"

static void await_room(struct side *side)
{
    struct ring *ring = side->out;
    atomic_uint_fast64_t *read = &ring->receiver[0].read;
    side->freed = atomic_load_explicit(read, memory_order_acquire);
    if (side->sent - side->freed < ring->slots)
        return;
    limit_wake(ring);
    limit_sleep(&ring->full, read, side->freed, 0);
    side->freed = atomic_load_explicit(read, memory_order_acquire);
}

static void drain_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (; count; count--, data += end->job.size) {
        if (side->sent - side->freed >= side->out->slots)
            await_room(side);
        ring_copy(ring_slot(side->out, side->sent++), data, end->job.size);
        atomic_store_explicit(&side->out->tail, side->sent, memory_order_release);
    }
}

static void drain_flush(struct end *end)
{
    struct side *side = end->own;
    limit_wake(side->out);
}

/* Room is given back when all is read, so that the sender is not woken for less. */
static void await_message(struct side *side)
{
    struct ring *ring = side->in;
    side->published = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (side->published != side->taken)
        return;
    ring_give_back(side, 1);
    limit_wake_at(&ring->full);
    limit_sleep(&ring->asleep, &ring->tail, side->taken, 0);
    side->published = atomic_load_explicit(&ring->tail, memory_order_acquire);
}

static unsigned drain_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    if (side->published == side->taken)
        await_message(side);
    *ret = ring_slot(side->in, side->taken);
    uint64_t to_end = side->in->slots - (side->taken & (side->in->slots - 1)), ready = side->published - side->taken;
    side->got = (unsigned)(ready < to_end ? ready : to_end);
    return side->got;
}

static void drain_release(struct end *end)
{
    struct side *side = end->own;
    side->taken += side->got;
}

const struct wire drain_wire = { limit_enter, drain_send, drain_receive, drain_release, drain_flush, NULL };
