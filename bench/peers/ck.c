/* SPDX-License-Identifier: MIT */
/* ck_ring of Concurrency Kit, placed in shared memory: messages of 64 bytes, spinning. */
#include <ck_ring.h>
#include <stdlib.h>

#include "bench/peers/peer.h"

#define SLOTS 4096

struct message {
    uint8_t bytes[64];
};

CK_RING_PROTOTYPE(message, message)

struct shared {
    struct { _Alignas(128) ck_ring_t ring; _Alignas(128) struct message slots[SLOTS]; } way[2];
};

struct side {
    struct shared *shared;
    int out, in;
    bool senders, receivers; /* several */
    struct message message;
};

static void prepare(void *at)
{
    struct shared *shared = at;
    for (int i = 0; i < 2; i++)
        ck_ring_init(&shared->way[i].ring, SLOTS);
}

static void enter(struct end *end)
{
    struct side *side = calloc(1, sizeof *side);
    side->shared = peer_shared(end, "ck", sizeof *side->shared, prepare);
    side->out = !end_sends(end);
    side->in = end_sends(end);
    side->senders = end->job.senders > 1;
    side->receivers = end->job.receivers > 1;
    end->own = side;
}

static bool enqueue(struct side *side, const uint8_t *data)
{
    ck_ring_t *ring = &side->shared->way[side->out].ring;
    struct message *slots = side->shared->way[side->out].slots, *message = (struct message *)(void *)data;
    if (side->receivers)
        return CK_RING_ENQUEUE_MPMC(message, ring, slots, message);
    if (side->senders)
        return CK_RING_ENQUEUE_MPSC(message, ring, slots, message);
    return CK_RING_ENQUEUE_SPSC(message, ring, slots, message);
}

static bool dequeue(struct side *side)
{
    ck_ring_t *ring = &side->shared->way[side->in].ring;
    struct message *slots = side->shared->way[side->in].slots;
    if (side->receivers)
        return CK_RING_DEQUEUE_MPMC(message, ring, slots, &side->message);
    if (side->senders)
        return CK_RING_DEQUEUE_MPSC(message, ring, slots, &side->message);
    return CK_RING_DEQUEUE_SPSC(message, ring, slots, &side->message);
}

static void send_all(struct end *end, const uint8_t *data, unsigned count)
{
    for (; count; count--, data += end->job.size)
        while (!enqueue(end->own, data))
            end_look(end);
}

static unsigned receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    while (!dequeue(side))
        end_look(end);
    *ret = side->message.bytes;
    return 1;
}

int main(int argc, char **argv)
{
    static const struct peer peer = {
        { enter, send_all, receive, NULL, NULL, NULL },
        "name ck_ring\nsizes 64 64\nwaiting spin\nends 2 1\nends 2 2\n", NULL,
    };
    return peer_main(argc, argv, &peer);
}
