/* SPDX-License-Identifier: MIT */
/* What all rings of the limit share: their memory, waiting for a message, waiting for room. */
#include "bench/limit/ring.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS 1500 /* looks before sleeping, on two processors: some 20 us */

void *shared_room(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static struct ring *ring_new(size_t wanted, size_t stride, size_t turn_at)
{
    uint64_t slots = 4;
    while (slots * 2 * stride <= wanted)
        slots *= 2;
    size_t bytes = sizeof(struct ring) + slots * stride;
    struct ring *ring = shared_room(bytes);
    if (ring)
        *ring = (struct ring){ .slots = slots, .stride = stride, .turn_at = turn_at, .bytes = bytes };
    return ring;
}

void rings_remove(const struct contestant *c, void *subject)
{
    struct rings *rings = subject;
    (void)c;
    for (int i = 0; rings && i < rings->count; i++)
        if (rings->way[i])
            munmap(rings->way[i], rings->way[i]->bytes);
    free(rings);
}

struct rings *rings_new(const struct contestant *c, int count, size_t stride, size_t turn_at)
{
    struct rings *rings = calloc(1, sizeof *rings);
    for (; rings && rings->count < count; rings->count++)
        if (!(rings->way[rings->count] = ring_new(c->ring, stride, turn_at))) {
            rings_remove(c, rings);
            return NULL;
        }
    return rings;
}

void limit_enter(struct end *end)
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

/* ---- Sleeping --------------------------------------------------------------------------------------------- */

static long futex(atomic_uint *word, int operation, unsigned value)
{
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* The fence: either the receiver sees the message that came, or the sender sees that the receiver goes to sleep. */
void limit_wake_at(atomic_uint *asleep)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(asleep, memory_order_relaxed)) {
        atomic_store_explicit(asleep, 0, memory_order_relaxed);
        futex(asleep, FUTEX_WAKE, INT_MAX);
    }
}

static bool is_still(atomic_uint_fast64_t *word, uint64_t old, int ignored)
{
    return (atomic_load_explicit(word, memory_order_acquire) ^ old) << ignored == 0;
}

void limit_sleep(atomic_uint *asleep, atomic_uint_fast64_t *word, uint64_t old, int ignored)
{
    while (is_still(word, old, ignored)) {
        atomic_store_explicit(asleep, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        if (is_still(word, old, ignored))
            futex(asleep, FUTEX_WAIT, 1);
    }
}

void limit_await(struct end *end, struct ring *ring, atomic_uint_fast64_t *word, uint64_t old, int ignored)
{
    int looks = end->job.together ? 0 : SPINS;
    while (is_still(word, old, ignored)) {
        if (!end->job.spin && looks-- <= 0)
            limit_sleep(&ring->asleep, word, old, ignored);
        else
            end_look(end);
    }
}

/* ---- Room ------------------------------------------------------------------------------------------------- */

static uint64_t slowest(const struct ring *ring, int receivers)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < receivers; i++) {
        uint64_t read = atomic_load_explicit(&ring->receiver[i].read, memory_order_acquire);
        least = read < least ? read : least;
    }
    return least;
}

void limit_await_room(struct end *end, struct side *side)
{
    while (side->sent - side->freed >= side->out->slots) {
        side->freed = slowest(side->out, end->job.receivers);
        if (side->sent - side->freed >= side->out->slots)
            end_look(end);
    }
}
