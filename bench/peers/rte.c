/* SPDX-License-Identifier: MIT */
/*
 * rte_ring of DPDK, placed in shared memory without DPDK's environment: messages of 64 bytes, spinning, one by one or
 * in bursts.
 */
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <stdlib.h>

#include "bench/peers/peer.h"

#define SLOTS 4096
#define ROOM (128 << 10 << 3) /* of one ring: its head, and 64 bytes a slot */

struct side {
    struct rte_ring *out, *in;
    uint8_t message[64];
};

static void send_burst(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (unsigned sent; count; count -= sent, data += sent * 64)
        if (!(sent = rte_ring_enqueue_burst_elem(side->out, (void *)data, 64, count, NULL)))
            end_look(end);
}

static unsigned receive_burst(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    unsigned got;
    while (!(got = rte_ring_dequeue_burst_elem(side->in, end->buffer, 64, end->job.burst, NULL)))
        end_look(end);
    *ret = end->buffer;
    return got;
}

static unsigned flags; /* of the ring: how many ends are on each side */

static void prepare(void *at)
{
    rte_ring_init(at, "bench", SLOTS, flags);
}

static void enter(struct end *end)
{
    struct side *side = calloc(1, sizeof *side);
    flags = (end->job.senders == 1 ? RING_F_SP_ENQ : 0) | (end->job.receivers == 1 ? RING_F_SC_DEQ : 0);
    if (rte_ring_get_memsize_elem(64, SLOTS) > ROOM)
        end_missing(end, "the ring is larger than expected");
    struct rte_ring *there = peer_shared(end, "there", ROOM, prepare), *back = peer_shared(end, "back", ROOM, prepare);
    side->out = end_sends(end) ? there : back;
    side->in = end_sends(end) ? back : there;
    end->own = side;
}

static void send_all(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    if (end->job.burst > 1) {
        send_burst(end, data, count);
        return;
    }
    for (; count; count--, data += end->job.size)
        while (rte_ring_enqueue_elem(side->out, (void *)data, 64))
            end_look(end);
}

static unsigned receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    if (end->job.burst > 1)
        return receive_burst(end, ret);
    while (rte_ring_dequeue_elem(side->in, side->message, 64))
        end_look(end);
    *ret = side->message;
    return 1;
}

int main(int argc, char **argv)
{
    static const struct peer peer = {
        { enter, send_all, receive, NULL, NULL, NULL },
        "name rte_ring (DPDK)\nsizes 64 64\nwaiting spin\nends 2 1\nends 2 2\nbursts\n", NULL,
    };
    return peer_main(argc, argv, &peer);
}
