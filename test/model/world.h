/* SPDX-License-Identifier: MIT */
/*
 * world.h - one channel in the memory of the model, and the kernel of the processes that use it: futexes, membarrier,
 * the locks of places, FIFOs, epoll over these and pidfds.  All that src/ring asks of others is
 * here; what makes, maps, seals and hands over files is not run.
 */
#ifndef MODEL_WORLD_H
#define MODEL_WORLD_H

#include "model.h"
#include "ring/channel.h"

#define WORLD_LANES 2
#define WORLD_LANES_AT (sizeof(struct layout_control) + sizeof(struct layout_receivers))

struct world {
    struct layout_control *senders;
    struct layout_receivers *receivers;
    unsigned char *lane[WORLD_LANES];
    uint64_t capacity;
    uint32_t deliver;  /* LAYOUT_ONE and so on */
    unsigned receivers_most;
    bool impatient;    /* a slice of sleep on a futex ends at once: what follows waits by its bell */
    unsigned fencing;  /* bits of threads that cannot register for membarrier(2) */
    int64_t from, slow, name; /* of a receiver of a broadcast that opens from now on */
};

extern struct world world;

/* Begins a scenario's world with lanes of `capacity` bytes. */
void world_make(uint64_t capacity);
/* The same of a broadcast to as many receivers as that; what belongs to lanes that nobody has is left out. */
void world_make_broadcast(uint64_t capacity, unsigned receivers);
/* Opens an end of the channel as the thread, which is not running yet, or as the current one (0). */
struct ring_channel *world_open(int thread, uint32_t flags);
/* After an execution. */
void world_clean(void);

#endif
