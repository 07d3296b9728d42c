/* SPDX-License-Identifier: MIT */
/* A turn behind each message, counted up by the sender; every receiver reads every message. */
#include "bench/limit/ring.h"

void *turns_prepare(const struct contestant *c, const struct job *job)
{
    return rings_new(c, 2, (job->size + sizeof(uint64_t) + 63) / 64 * 64, job->size);
}

static void turns_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (; count; count--, data += end->job.size) {
        if (side->sent - side->freed >= side->out->slots)
            limit_await_room(end, side);
        ring_copy(ring_slot(side->out, side->sent), data, end->job.size);
        atomic_store_explicit(ring_turn(side->out, side->sent), side->sent + 1, memory_order_release);
        side->sent++;
        if (!end->job.spin)
            limit_wake(side->out);
    }
}

static unsigned turns_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    uint64_t old = side->taken < side->in->slots ? 0 : side->taken + 1 - side->in->slots;
    limit_await(end, side->in, ring_turn(side->in, side->taken), old, 0);
    *ret = ring_slot(side->in, side->taken);
    return 1;
}

static void turns_release(struct end *end)
{
    struct side *side = end->own;
    side->taken++;
    ring_give_back(side, side->in->slots < 16 ? 1 : side->in->slots / 8);
}

const struct wire turns_wire = { limit_enter, turns_send, turns_receive, turns_release, NULL, NULL };
