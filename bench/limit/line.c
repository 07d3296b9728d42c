/* SPDX-License-Identifier: MIT */
/*
 * One line for each message.  Each begins with a number that differs from the one that was in its slot before, so the
 * number is the turn: the other 56 bytes are written first, then the number.  Who sent it, in the upper bits, says
 * nothing.
 */
#include "bench/limit/ring.h"

#define SENDER_BITS (64 - WORK_SENDER_SHIFT)
#define NOTHING UINT64_C(0xfffffffffffe) /* no message's number, and not the mark of the end */

void *line_prepare(const struct contestant *c, const struct job *job)
{
    struct rings *rings = rings_new(c, 2, job->size, 0);
    for (int way = 0; rings && way < 2; way++)
        for (uint64_t i = 0; i < rings->way[way]->slots; i++)
            atomic_store_explicit(ring_turn(rings->way[way], i), NOTHING, memory_order_relaxed);
    return rings;
}

static void line_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    struct ring *ring = side->out;
    for (; count; count--, data += 64) {
        uint64_t number;
        if (side->sent - side->freed >= ring->slots)
            limit_await_room(end, side);
        memcpy(&number, data, sizeof number);
        memcpy(ring_slot(ring, side->sent) + sizeof number, data + sizeof number, 64 - sizeof number);
        atomic_store_explicit(ring_turn(ring, side->sent++), number, memory_order_release);
        if (!end->job.spin)
            limit_wake(ring);
    }
}

static unsigned line_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    struct ring *ring = side->in;
    uint64_t old = side->taken < ring->slots ? NOTHING : side->taken - ring->slots;
    limit_await(end, ring, ring_turn(ring, side->taken), old, SENDER_BITS);
    *ret = ring_slot(ring, side->taken);
    return 1;
}

static void line_release(struct end *end)
{
    struct side *side = end->own;
    side->taken++;
    ring_give_back(side, side->in->slots / 8);
}

const struct wire line_wire = { limit_enter, line_send, line_receive, line_release, NULL, NULL };
