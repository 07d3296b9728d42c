/* SPDX-License-Identifier: MIT */
/*
 * Several senders and receivers.  A sender takes a run of slots with one addition and writes a turn behind each
 * message; turns are the senders' alone.  A single receiver just reads on; several take what lies ready, up to a run,
 * by exchanging the head, and give it back in the order in which they took it.
 */
#include "bench/limit/ring.h"

#define RUN BURST
#define GIVE_BACK 128 /* messages that a single receiver keeps before it gives them back */

void *claim_prepare(const struct contestant *c, const struct job *job)
{
    return rings_new(c, 2, (job->size + sizeof(uint64_t) + 127) / 128 * 128, job->size);
}

static void await_freed(struct end *end, struct side *side, uint64_t until)
{
    while (until - side->freed > side->out->slots) {
        side->freed = atomic_load_explicit(&side->out->freed, memory_order_acquire);
        if (until - side->freed > side->out->slots)
            end_look(end);
    }
}

static void claim_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (unsigned run; count; count -= run) {
        run = count < RUN ? count : RUN;
        uint64_t mine = atomic_fetch_add_explicit(&side->out->tail, run, memory_order_relaxed);
        await_freed(end, side, mine + run);
        for (unsigned i = 0; i < run; i++, data += end->job.size) {
            ring_copy(ring_slot(side->out, mine + i), data, end->job.size);
            atomic_store_explicit(ring_turn(side->out, mine + i), mine + i + 1, memory_order_release);
        }
    }
}

/* How many messages lie ready from `position` on, up to a run and to where the ring wraps. */
static unsigned ready_from(struct ring *ring, uint64_t position)
{
    unsigned ready = 0;
    while (ready < RUN && (ready == 0 || (position + ready) & (ring->slots - 1)) &&
           atomic_load_explicit(ring_turn(ring, position + ready), memory_order_acquire) == position + ready + 1)
        ready++;
    return ready;
}

static unsigned take_ready(const struct end *end, struct side *side)
{
    struct ring *ring = side->in;
    if (end->job.receivers == 1)
        return ready_from(ring, side->taken);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    unsigned ready = ready_from(ring, head);
    if (!ready || !atomic_compare_exchange_weak_explicit(&ring->head, &head, head + ready, memory_order_relaxed,
                                                         memory_order_relaxed))
        return 0;
    side->taken = side->told = head;
    return ready;
}

static unsigned claim_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    while (!(side->got = take_ready(end, side)))
        end_look(end);
    *ret = ring_slot(side->in, side->taken);
    return side->got;
}

static void claim_release(struct end *end)
{
    struct side *side = end->own;
    atomic_uint_fast64_t *freed = &side->in->freed;
    side->taken += side->got;
    if (end->job.receivers == 1 && side->taken - side->told < GIVE_BACK)
        return;
    while (atomic_load_explicit(freed, memory_order_acquire) != side->told)
        end_look(end);
    side->told = side->taken;
    atomic_store_explicit(freed, side->taken, memory_order_release);
}

const struct wire claim_wire = { limit_enter, claim_send, claim_receive, claim_release, NULL, NULL };
