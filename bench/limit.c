/* SPDX-License-Identifier: MIT */
/*
 * What the machine itself allows: rings written by hand for this work alone.  They know the size of every message,
 * recover from nothing, and nobody can join later; so what a library adds to them is the price of being a library.
 *
 *   ring     one sender; a turn behind each message says whose the slot is.  The receiver gives room back through an
 *            index of its own, an eighth of the ring at a time.  Every receiver reads every message.  Sleeping: futex.
 *   index    one sender, one receiver, messages side by side; the sender publishes an index after each message, or
 *            (batch) once a burst.  More go one way than through turns, but a round trip moves one line more.
 *   claim    senders and receivers take slots with one atomic addition each; the turn goes back and forth in the slot.
 *
 * A ring of less than the L2 cache moves modified lines from core to core, slowly; so large messages get 8 MiB.
 */
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/contestant.h"

#define SMALL_RING (256 << 10)
#define LARGE_RING (8 << 20)
#define SPINS 1500 /* looks before sleeping, on two processors: some 20 us */
#define APART _Alignas(128) /* pairs of lines are fetched together */

struct ring {
    APART atomic_uint_fast64_t tail;       /* batch, claim: the senders' */
    APART atomic_uint_fast64_t head;       /* claim: the receivers' */
    APART atomic_uint asleep;              /* receivers that may be: they set it, who wakes them clears it */
    APART struct { APART atomic_uint_fast64_t read; } receiver[ROLES_MAX]; /* each its own */
    APART uint64_t slots;                  /* a power of two; constant, as are these */
    size_t stride, turn_at;
    size_t bytes;
    APART uint8_t data[];
};

struct rings {
    struct ring *way[2]; /* from role 0, and to it */
};

/* This process's side. */
struct side {
    struct ring *out, *in;
    uint64_t sent, freed;         /* sending: next slot; what the receivers are known to have read */
    uint64_t taken, published;    /* receiving: next slot; what the sender is known to have written */
    uint64_t told;                /* what this receiver has given back */
    unsigned got;                 /* messages out for reading */
    int index;                    /* among the receivers */
};

void *shared_room(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static struct ring *ring_new(size_t size, bool turns)
{
    size_t stride = (size + (turns ? sizeof(uint64_t) : 0) + 63) / 64 * 64;
    size_t wanted = size <= 1024 ? SMALL_RING : LARGE_RING;
    uint64_t slots = 4;
    while (slots * 2 * stride <= wanted)
        slots *= 2;
    size_t bytes = sizeof(struct ring) + slots * stride;
    struct ring *ring = shared_room(bytes);
    if (ring)
        *ring = (struct ring){ .slots = slots, .stride = stride, .turn_at = size, .bytes = bytes };
    return ring;
}

static void rings_remove(const struct contestant *c, void *subject)
{
    struct rings *rings = subject;
    (void)c;
    for (int i = 0; rings && i < 2; i++)
        if (rings->way[i])
            munmap(rings->way[i], rings->way[i]->bytes);
    free(rings);
}

static void *rings_new(const struct contestant *c, const struct job *job, bool turns)
{
    struct rings *rings = calloc(1, sizeof *rings);
    for (int i = 0; rings && i < 2; i++)
        rings->way[i] = ring_new(job->size, turns);
    if (!rings || (rings->way[0] && rings->way[1]))
        return rings;
    rings_remove(c, rings);
    return NULL;
}

static void *with_turns(const struct contestant *c, const struct job *job)
{
    return rings_new(c, job, true);
}

static void *without_turns(const struct contestant *c, const struct job *job)
{
    return rings_new(c, job, false);
}

static void enter(struct end *end)
{
    struct side *side = calloc(1, sizeof *side);
    const struct rings *rings = end->subject;
    if (!side)
        end_missing(end, "out of memory");
    side->out = rings->way[!end_sends(end)];
    side->in = rings->way[end_sends(end)];
    side->index = end_sends(end) ? 0 : end->job.role - end->job.senders;
    end->stride = side->in->stride;
    end->own = side;
}

static uint8_t *slot(struct ring *ring, uint64_t position)
{
    return ring->data + (position & (ring->slots - 1)) * ring->stride;
}

static atomic_uint_fast64_t *turn(struct ring *ring, uint64_t position)
{
    return (atomic_uint_fast64_t *)(void *)(slot(ring, position) + ring->turn_at);
}

/* A copy of constant size is a few instructions. */
static void copy(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size == 64)
        memcpy(to, from, 64);
    else
        memcpy(to, from, size);
}

/* ---- Sleeping --------------------------------------------------------------------------------------------- */

static long futex(atomic_uint *word, int operation, unsigned value)
{
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* The fence: either the receiver sees the message that came, or the sender sees that the receiver goes to sleep. */
static void wake(struct ring *ring)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&ring->asleep, memory_order_relaxed)) {
        atomic_store_explicit(&ring->asleep, 0, memory_order_relaxed);
        futex(&ring->asleep, FUTEX_WAKE, INT_MAX);
    }
}

static void sleep_until(struct end *end, struct ring *ring, atomic_uint_fast64_t *word, uint64_t value)
{
    for (int i = 0; i < SPINS && !end->job.together; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) == value)
            return;
        end_look(end);
    }
    while (atomic_load_explicit(word, memory_order_acquire) != value) {
        atomic_store_explicit(&ring->asleep, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        if (atomic_load_explicit(word, memory_order_acquire) != value)
            futex(&ring->asleep, FUTEX_WAIT, 1);
    }
}

/* ---- ring ------------------------------------------------------------------------------------------------- */

static uint64_t slowest(const struct ring *ring, int receivers)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < receivers; i++) {
        uint64_t read = atomic_load_explicit(&ring->receiver[i].read, memory_order_acquire);
        least = read < least ? read : least;
    }
    return least;
}

static void wait_for_room(struct end *end, struct side *side)
{
    while (side->sent - side->freed >= side->out->slots) {
        side->freed = slowest(side->out, end->job.receivers);
        if (side->sent - side->freed >= side->out->slots)
            end_look(end);
    }
}

static void ring_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (; count; count--, data += end->job.size) {
        if (side->sent - side->freed >= side->out->slots)
            wait_for_room(end, side);
        copy(slot(side->out, side->sent), data, end->job.size);
        atomic_store_explicit(turn(side->out, side->sent), side->sent + 1, memory_order_release);
        side->sent++;
        if (!end->job.spin)
            wake(side->out);
    }
}

static unsigned ring_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    atomic_uint_fast64_t *at = turn(side->in, side->taken);
    if (end->job.spin)
        while (atomic_load_explicit(at, memory_order_acquire) != side->taken + 1)
            end_look(end);
    else
        sleep_until(end, side->in, at, side->taken + 1);
    *ret = slot(side->in, side->taken);
    return 1;
}

static void ring_release(struct end *end)
{
    struct side *side = end->own;
    if (++side->taken - side->told >= side->in->slots / 8 || side->in->slots < 16) {
        side->told = side->taken;
        atomic_store_explicit(&side->in->receiver[side->index].read, side->taken, memory_order_release);
    }
}

static const struct wire ring_wire = { enter, ring_send, ring_receive, ring_release, NULL, NULL };

/* ---- batch ------------------------------------------------------------------------------------------------ */

static void batch_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (unsigned i = 0; i < count; i++, data += end->job.size) {
        if (side->sent - side->freed >= side->out->slots) {
            atomic_store_explicit(&side->out->tail, side->sent, memory_order_release);
            wait_for_room(end, side);
        }
        copy(slot(side->out, side->sent++), data, end->job.size);
    }
    atomic_store_explicit(&side->out->tail, side->sent, memory_order_release);
}

/* Up to where the ring wraps. */
static unsigned batch_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    while (side->published == side->taken) {
        side->published = atomic_load_explicit(&side->in->tail, memory_order_acquire);
        if (side->published == side->taken)
            for (int i = 0; i < 100; i++) /* leave the index to the sender for a while */
                end_look(end);
    }
    uint64_t ready = side->published - side->taken, to_end = side->in->slots - (side->taken & (side->in->slots - 1));
    ready = ready < to_end ? ready : to_end;
    side->got = ready < BURST ? (unsigned)ready : BURST;
    *ret = slot(side->in, side->taken);
    return side->got;
}

static void batch_release(struct end *end)
{
    struct side *side = end->own;
    side->taken += side->got;
    atomic_store_explicit(&side->in->receiver[0].read, side->taken, memory_order_release);
}

static const struct wire batch_wire = { enter, batch_send, batch_receive, batch_release, NULL, NULL };

/* One by one: the index after each message. */
static void index_send(struct end *end, const uint8_t *data, unsigned count)
{
    for (; count; count--, data += end->job.size)
        batch_send(end, data, 1);
}

static const struct wire index_wire = { enter, index_send, batch_receive, batch_release, NULL, NULL };

/* ---- claim ------------------------------------------------------------------------------------------------ */

/* A slot of turn t is free for the message t and holds it from t + 1 on; who has read it sets t + slots. */
static void *claim_prepare(const struct contestant *c, const struct job *job)
{
    struct rings *rings = rings_new(c, job, true);
    for (int way = 0; rings && way < 2; way++)
        for (uint64_t i = 0; i < rings->way[way]->slots; i++)
            atomic_store_explicit(turn(rings->way[way], i), i, memory_order_relaxed);
    return rings;
}

static void claim_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (; count; count--, data += end->job.size) {
        uint64_t mine = atomic_fetch_add_explicit(&side->out->tail, 1, memory_order_relaxed);
        while (atomic_load_explicit(turn(side->out, mine), memory_order_acquire) != mine)
            end_look(end);
        copy(slot(side->out, mine), data, end->job.size);
        atomic_store_explicit(turn(side->out, mine), mine + 1, memory_order_release);
    }
}

static unsigned claim_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    side->taken = atomic_fetch_add_explicit(&side->in->head, 1, memory_order_relaxed);
    while (atomic_load_explicit(turn(side->in, side->taken), memory_order_acquire) != side->taken + 1)
        end_look(end);
    *ret = slot(side->in, side->taken);
    return 1;
}

static void claim_release(struct end *end)
{
    struct side *side = end->own;
    atomic_store_explicit(turn(side->in, side->taken), side->taken + side->in->slots, memory_order_release);
}

static const struct wire claim_wire = { enter, claim_send, claim_receive, claim_release, NULL, NULL };

/* ---- Nothing: what keeping the pace costs by itself --------------------------------------------------------- */

struct silence {
    atomic_uint messages;
};

static void *silence_prepare(const struct contestant *c, const struct job *job)
{
    (void)c;
    (void)job;
    return shared_room(sizeof(struct silence));
}

static void silence_remove(const struct contestant *c, void *subject)
{
    (void)c;
    munmap(subject, sizeof(struct silence));
}

static void silence_enter(struct end *end)
{
    end->own = end->subject;
}

/* Only the mark of the end, all ones, arrives. */
static void silence_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct silence *silence = end->own;
    (void)count;
    if (data[0] == 0xff && data[7] == 0xff) {
        atomic_store(&silence->messages, 1);
        futex(&silence->messages, FUTEX_WAKE, 1);
    }
}

static unsigned silence_receive(struct end *end, const uint8_t **ret)
{
    struct silence *silence = end->own;
    while (!atomic_load(&silence->messages))
        futex(&silence->messages, FUTEX_WAIT, 0);
    memset(end->buffer, 0xff, 8);
    *ret = end->buffer;
    return 1;
}

static const struct wire silence_wire = { silence_enter, silence_send, silence_receive, NULL, NULL, NULL };

/* ---- The list --------------------------------------------------------------------------------------------- */

int limit_contestants(struct contestant *list, int most)
{
    static const struct contestant all[] = {
        { .name = "ring, by index", .wire = &index_wire, .spins = true, .one_way = true, .prepare = without_turns,
          .remove = rings_remove },
        { .name = "ring", .wire = &ring_wire, .sleeps = true, .spins = true, .broadcasts = true, .prepare = with_turns,
          .remove = rings_remove },
        { .name = "ring, in batches", .wire = &batch_wire, .spins = true, .bursts = true, .prepare = without_turns,
          .remove = rings_remove },
        { .name = "ring, claimed", .wire = &claim_wire, .spins = true, .many_senders = true, .many_receivers = true,
          .prepare = claim_prepare, .remove = rings_remove },
        { .name = "pacing alone", .idle = true, .wire = &silence_wire, .sleeps = true, .prepare = silence_prepare,
          .remove = silence_remove },
    };
    int count = (int)(sizeof all / sizeof *all);
    for (int i = 0; i < count && i < most; i++) {
        list[i] = all[i];
        list[i].group = GROUP_LIMIT;
        list[i].least = 64;
        list[i].most = SIZE_MAX;
    }
    return count < most ? count : most;
}
