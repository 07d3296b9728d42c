/* SPDX-License-Identifier: MIT */
/* Of the checker itself: small programs of which it is known what they may and may not do.  The wrong orders that are
 * seeded in them (test_model.c) show that it does what it may. */
#include <stdatomic.h>
#include <string.h>

#include "model.h"

static _Atomic uint64_t *word(unsigned number)
{
    return (_Atomic uint64_t *)(void *)(model_memory + 128 * number);
}

static uint64_t seen[4];

/* ---- Two who store, then look at the other's (a full fence between) ------------------------------------------------- */

static void litmus_fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

static void store_and_look(void *which)
{
    unsigned own = (unsigned)(uintptr_t)which;
    atomic_store_explicit(word(own), 1, memory_order_relaxed);
    litmus_fence();
    seen[own] = atomic_load_explicit(word(1 - own), memory_order_relaxed);
}

static void prepare_store_buffer(void)
{
    memset(seen, 0, sizeof seen);
    model_spawn("first", store_and_look, (void *)0);
    model_spawn("second", store_and_look, (void *)1);
}

static void finish_store_buffer(void)
{
    MODEL_CHECK(seen[0] || seen[1], "neither saw the other");
}

/* ---- Counting by compare and swap, and what the last one knows of all ------------------------------------------------ */

static void litmus_count(_Atomic uint64_t *count)
{
    uint64_t old = atomic_load_explicit(count, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(count, &old, old + 1, memory_order_acq_rel, memory_order_relaxed))
        continue;
}

static void write_and_count(void *which)
{
    unsigned own = (unsigned)(uintptr_t)which;
    unsigned char bytes[8] = { 1 };
    memcpy(model_memory + 1024 + 8 * own, bytes, 8);
    litmus_count(word(0));
    if (atomic_load_explicit(word(0), memory_order_acquire) == 2)
        memcpy(bytes, model_memory + 1024 + 8 * (1 - own), 8);
    MODEL_CHECK(bytes[0] == 1, "what was counted is not there");
}

static void prepare_count(void)
{
    model_spawn("first", write_and_count, (void *)0);
    model_spawn("second", write_and_count, (void *)1);
}

static void finish_count(void)
{
    MODEL_CHECK(atomic_load(word(0)) == 2, "%u were counted", (unsigned)atomic_load(word(0)));
}

/* ---- What two see of two others who store each a word (all seq_cst) --------------------------------------------------- */

static void litmus_store(_Atomic uint64_t *at)
{
    atomic_store_explicit(at, 1, memory_order_seq_cst);
}

static void store_one(void *which)
{
    litmus_store(word((unsigned)(uintptr_t)which));
}

static void look_at_both(void *which)
{
    unsigned own = (unsigned)(uintptr_t)which;
    seen[2 * own] = atomic_load_explicit(word(own), memory_order_seq_cst);
    seen[2 * own + 1] = atomic_load_explicit(word(1 - own), memory_order_seq_cst);
}

static void prepare_order(void)
{
    memset(seen, 0, sizeof seen);
    for (uintptr_t i = 0; i < 2; i++) {
        model_spawn("who stores", store_one, (void *)i);
        model_spawn("who looks", look_at_both, (void *)i);
    }
}

static void finish_order(void)
{
    MODEL_CHECK(!(seen[0] && !seen[1] && seen[2] && !seen[3]), "they saw two orders");
}

const struct scenario litmus_scenarios[] = {
    { "litmus: store buffers", prepare_store_buffer, finish_store_buffer, NULL, -1, -1, -1, -1 },
    { "litmus: counting", prepare_count, finish_count, NULL, -1, -1, -1, -1 },
    { "litmus: one order", prepare_order, finish_order, NULL, -1, -1, -1, -1 },
    { .name = NULL }
};
