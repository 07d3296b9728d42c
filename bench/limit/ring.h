/* SPDX-License-Identifier: MIT */
/*
 * ring.h - what the machine itself allows: rings written by hand for this work alone.  They know the size of every
 * message and what it begins with, recover from nothing, and nobody can join later; so what a library adds to them is
 * the price of being a library.
 *
 *   line     messages of one cache line, of which the number that each begins with is also the turn: one line moves for
 *            each message, and nothing else (line.c)
 *   turns    messages of any size, a turn behind each says whose the slot is (turns.c)
 *   index    messages side by side; the sender publishes an index after each one, or once a burst (index.c)
 *   drained  as index, for who sleeps: filled until there is no more room, then emptied, and woken only in between (drain.c)
 *   lanes    several senders, a ring of the kind above for each, and one receiver that looks at all in turn (index.c)
 *   claim    several senders, or receivers, take a run of slots with one atomic operation (claim.c)
 *
 * In all of them the receivers give room back through indexes of their own, some messages at a time.
 */
#ifndef BENCH_LIMIT_RING_H
#define BENCH_LIMIT_RING_H

#include <stdatomic.h>
#include <string.h>

#include "bench/contestant.h"

#define APART _Alignas(128) /* pairs of lines are fetched together */

struct ring {
    APART atomic_uint_fast64_t tail;       /* index: what is published; claim: what is taken to be written */
    APART atomic_uint_fast64_t head;       /* claim: what is taken to be read */
    APART atomic_uint_fast64_t freed;      /* claim: what may be written over */
    APART atomic_uint asleep;              /* receivers that may be: they set it, who wakes them clears it */
    APART atomic_uint full;                /* drained: the sender sleeps until there is room again */
    APART struct { APART atomic_uint_fast64_t read; } receiver[ROLES_MAX]; /* each its own */
    APART uint64_t slots;                  /* a power of two; constant, as are these */
    size_t stride, turn_at;
    size_t bytes;
    APART uint8_t data[];
};

struct rings {
    struct ring *way[ROLES_MAX]; /* from role 0, and to it; lanes: from each sender */
    int count;
};

/* This process's side. */
struct side {
    struct ring *out, *in;
    uint64_t sent, freed;         /* sending: next slot; what the receivers are known to have read */
    uint64_t shown;               /* what the receivers have been told */
    uint64_t taken, published;    /* receiving: next slot; what the sender is known to have written */
    uint64_t told;                /* what this receiver has given back */
    unsigned got;                 /* messages out for reading */
    int index;                    /* among the receivers */
};

/*
 * So many, of slots of `stride` bytes, as many as fit into the contestant's `ring`, and 4 at least.  NULL: no memory.
 */
struct rings *rings_new(const struct contestant *c, int count, size_t stride, size_t turn_at);
void rings_remove(const struct contestant *c, void *subject);

/* Makes this process's side: its wire's `enter`. */
void limit_enter(struct end *end);

/* Something was said: wakes who sleeps at `asleep`, the ring's word for receivers.  Only where anybody may. */
void limit_wake_at(atomic_uint *asleep);

static inline void limit_wake(struct ring *ring)
{
    limit_wake_at(&ring->asleep);
}

/* Sleeps at `asleep` until *word is no longer `old` in all but its `ignored` upper bits. */
void limit_sleep(atomic_uint *asleep, atomic_uint_fast64_t *word, uint64_t old, int ignored);

/* Looks, or sleeps, until *word is no longer `old` in all but its `ignored` upper bits. */
void limit_await(struct end *end, struct ring *ring, atomic_uint_fast64_t *word, uint64_t old, int ignored);

/* Until there is a free slot. */
void limit_await_room(struct end *end, struct side *side);

/* This receiver gives back what it has read, when that is enough to be worth it. */
static inline void ring_give_back(struct side *side, uint64_t worth)
{
    if (side->taken - side->told >= worth) {
        side->told = side->taken;
        atomic_store_explicit(&side->in->receiver[side->index].read, side->taken, memory_order_release);
    }
}

static inline uint8_t *ring_slot(struct ring *ring, uint64_t position)
{
    return ring->data + (position & (ring->slots - 1)) * ring->stride;
}

static inline atomic_uint_fast64_t *ring_turn(struct ring *ring, uint64_t position)
{
    return (atomic_uint_fast64_t *)(void *)(ring_slot(ring, position) + ring->turn_at);
}

/* A copy of constant size is a few instructions. */
static inline void ring_copy(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size == 64)
        memcpy(to, from, 64);
    else
        memcpy(to, from, size);
}

extern const struct wire line_wire, turns_wire, index_wire, burst_wire, hand_wire, lanes_wire, claim_wire, drain_wire, silence_wire;

void *line_prepare(const struct contestant *c, const struct job *job);
void *turns_prepare(const struct contestant *c, const struct job *job);
void *index_prepare(const struct contestant *c, const struct job *job);
void *lanes_prepare(const struct contestant *c, const struct job *job);
void *hand_prepare(const struct contestant *c, const struct job *job);
void *claim_prepare(const struct contestant *c, const struct job *job);
void *silence_prepare(const struct contestant *c, const struct job *job);
void silence_remove(const struct contestant *c, void *subject);

#endif
