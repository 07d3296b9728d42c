/* SPDX-License-Identifier: MIT */
/*
 * test_model.c [survey] [SCENARIO] - searches the scenarios for an execution that fails, and shows it; then seeds wrong
 * orders, each of which must be found.  With `survey` it weakens every access in turn and says which of them nobody
 * noticed: an order that is stronger than these scenarios need.
 *
 * The short form keeps to few preemptions and few old stores an execution; the long form (TONG_TORTURE=long) has no
 * bound on them, but one on the number of executions, which it says when it is met.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

extern const struct scenario litmus_scenarios[], ring_scenarios[], channel_scenarios[], death_scenarios[], queue_scenarios[],
                             hold_scenarios[], broadcast_scenarios[];
static const struct scenario *const all[] = { litmus_scenarios, ring_scenarios, channel_scenarios, death_scenarios,
                                              queue_scenarios, hold_scenarios, broadcast_scenarios };

static const struct limits {
    uint64_t executions, random;
} limits[] = { { 20000, 1000 }, { 1000000, 100000 } };

static bool deep;

/* ---- As it is written -------------------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 1 if it fails. */
static int search(const struct scenario *scenario, struct search *sum)
{
    struct search found;
    double before = seconds();
    model_search(scenario, deep, limits[deep].executions, limits[deep].random, &found);
    printf("%-26s executions explored: %8llu%s, random: %6llu, states: %8llu, failures: %d   (%.1f s)\n", scenario->name,
           (unsigned long long)found.executions, found.bounded ? " of more" : "", (unsigned long long)found.random,
           (unsigned long long)found.states, *found.failure != '\0', seconds() - before);
    if (*found.failure)
        model_show(scenario);
    fflush(stdout);
    sum->executions += found.executions;
    sum->random += found.random;
    sum->states += found.states;
    return *found.failure != '\0';
}

static int search_all(const char *only)
{
    struct search sum = { 0 };
    int failures = 0;
    for (size_t i = 0; i < COUNT(all); i++)
        for (const struct scenario *scenario = all[i]; scenario->name; scenario++)
            if (!only || !strcmp(only, scenario->name))
                failures += search(scenario, &sum);
    printf("executions explored: %llu, random: %llu, states: %llu, failures: %d\n", (unsigned long long)sum.executions,
           (unsigned long long)sum.random, (unsigned long long)sum.states, failures);
    return failures;
}

/* ---- Wrong orders ------------------------------------------------------------------------------------------------ */

static const struct scenario *named(const char *name)
{
    for (size_t i = 0; i < COUNT(all); i++)
        for (const struct scenario *scenario = all[i]; scenario->name; scenario++)
            if (!strcmp(name, scenario->name))
                return scenario;
    fprintf(stderr, "there is no scenario \"%s\"\n", name);
    exit(2);
}

static bool is_noticed(const struct mutation *mutation, const struct scenario *scenario, struct search *ret)
{
    model_mutation = mutation;
    model_search(scenario, false, limits[0].executions, limits[0].random, ret);
    model_mutation = NULL;
    return *ret->failure;
}

static const struct wrong {
    const char *what;
    struct mutation mutation;
    const char *scenario;
    const char *finding; /* part of what is said of it */
} wrongs[] = {
    { "no fence between store and look", { "litmus_fence", MODEL_SKIP, NULL }, "litmus: store buffers", "neither" },
    { "an acq_rel fence there", { "litmus_fence", memory_order_acq_rel, NULL }, "litmus: store buffers", "neither" },
    { "counted relaxed", { "litmus_count", memory_order_relaxed, NULL }, "litmus: counting", "race" },
    { "stored with release only", { "litmus_store", memory_order_release, NULL }, "litmus: one order", "two orders" },
    { "a record is published relaxed", { "shared_publish", memory_order_relaxed, NULL }, "one to one", "race" },
    { "the turn is read relaxed", { "shared_turn", memory_order_relaxed, NULL }, "one to one", "race" },
    { "the head is stored relaxed", { "shared_set_head", memory_order_relaxed, NULL }, "one to one", "race" },
    { "the head is read relaxed", { "shared_head", memory_order_relaxed, NULL }, "one to one", "race" },
    { "the word of zero is stored behind word 0", { "shared_put", MODEL_KEEP, "shared_publish" }, "one to one", "" },
    { "the same, of a batch", { "shared_put", MODEL_KEEP, "shared_publish" }, "batches", "" },
    { "word 0 is stored behind the tail", { "shared_publish", MODEL_KEEP, "shared_set_tail" }, "a sender is killed", "" },
    { "the head is stored behind the look at calls", { "shared_set_head", MODEL_KEEP, "shared_calls" }, "one release",
      "nobody can go on" },
    { "word 0 is stored behind the look at calls", { "shared_publish", MODEL_KEEP, "shared_calls" }, "sleeping on empty",
      "nobody can go on" },
    { "no heavy fence, empty", { "sys_membarrier", MODEL_SKIP, NULL }, "sleeping on empty", "nobody can go on" },
    { "no heavy fence, full", { "sys_membarrier", MODEL_SKIP, NULL }, "one release", "nobody can go on" },
    { "no heavy fence, bells", { "sys_membarrier", MODEL_SKIP, NULL }, "bells", "nobody can go on" },
    { "no heavy fence, the word of an end", { "sys_membarrier", MODEL_SKIP, NULL }, "end by its word", "nobody can go on" },
    { "a light fence where a full one is due", { "shared_light_fence", MODEL_SKIP, NULL }, "sender fences by itself",
      "nobody can go on" },
    { "an acq_rel fence where a full one is due", { "shared_light_fence", memory_order_acq_rel, NULL },
      "receiver fences by itself", "nobody can go on" },
    { "wake is read behind the look", { "sys_futex_wait", MODEL_SKIP, NULL }, "sleeping on empty", "nobody can go on" },
    { "wake is raised and nobody is woken", { "sys_futex_wake", MODEL_SKIP, NULL }, "two lanes", "nobody can go on" },
    { "a session is stored relaxed", { "shared_set_session", memory_order_relaxed, NULL }, "end", "" },
    { "a session is read relaxed", { "shared_session", memory_order_relaxed, NULL }, "end", "" },
    { "a session is stored behind the look at calls", { "shared_set_session", MODEL_KEEP, "shared_calls" },
      "end by its word", "nobody can go on" },
    { "a hold is written behind the claim", { "shared_hold", MODEL_KEEP, "shared_try_claim" }, "two receivers, full", "" },
    { "a hold is cleared relaxed", { "shared_rewrite_hold", memory_order_relaxed, NULL }, "two receivers, in place", "" },
    { "a claim is swapped relaxed", { "shared_try_claim", memory_order_relaxed, NULL }, "two receivers, in place", "" },
    { "the floor is stored behind what overwrites", { "shared_set_floor", MODEL_KEEP, "shared_publish" },
      "overwritten while copied", "" },
    { "no release fence behind the floor", { "shared_set_floor", MODEL_SKIP, NULL }, "overwritten while copied", "" },
    { "no acquire fence before the floor is asked", { "shared_floor_after", MODEL_SKIP, NULL }, "overwritten while copied", "" },
    { "seats are looked at before the floor is stored", { "shared_set_floor", MODEL_KEEP, "shared_used" }, "floor and seat", "" },
    { "no heavy fence, coming", { "sys_membarrier", MODEL_SKIP, NULL }, "floor and seat", "" },
    { "no full fence where it is due, coming", { "shared_light_fence", MODEL_SKIP, NULL }, "floor and seat, fencing", "" },
    { "a mark is stored before its index", { "shared_publish", MODEL_KEEP, "shared_set_mark" }, "a log is taken over", "" },
    { "the number of an index is stored behind it", { "shared_put", MODEL_KEEP, "shared_publish" }, "one comes at the end", "" },
    { "a count is written behind the head", { "shared_set_count", MODEL_KEEP, "shared_set_head" }, "a named one is killed",
      "contradict" },
    { "the head of one that is waited for is stored relaxed", { "shared_set_head", memory_order_relaxed, NULL },
      "broadcast, full", "race" },
    { "the same is stored behind the look at calls", { "shared_set_head", MODEL_KEEP, "shared_calls" }, "broadcast, full",
      "nobody can go on" },
    { "what moves is not told of", { "shared_move", MODEL_SKIP, NULL }, "a hold is moved", "did not come again" },
    { "nor what is split", { "shared_move", MODEL_SKIP, NULL }, "a hold is split", "did not come again" },
    { "the look at what moved is relaxed", { "shared_moved", memory_order_relaxed, NULL }, "a hold is moved",
      "did not come again" },
    { "reach is told behind the claim", { "shared_set_reach", MODEL_KEEP, "shared_try_claim" }, "one claims, another looks", "" },
    { "a claim is read relaxed by who looks", { "shared_claim", memory_order_relaxed, NULL }, "one claims, another looks", "" },
    { "an end is told of relaxed", { "shared_raise", memory_order_relaxed, NULL }, "two find a death", "the end was -61" },
    { "an end is heard of relaxed", { "shared_told", memory_order_relaxed, NULL }, "two find a death", "the end was -61" },
    { "a batch is not kept before the look at the floor", { "shared_floor_after", MODEL_SKIP, NULL }, "a batch is overtaken", "" },
    { "a head is raised relaxed", { "shared_raise", memory_order_relaxed, NULL }, "two receivers, full", "race" },
};

static int seed_all(void)
{
    int missed = 0;
    for (size_t i = 0; i < COUNT(wrongs); i++) {
        struct search found;
        bool right = is_noticed(&wrongs[i].mutation, named(wrongs[i].scenario), &found) &&
                     strstr(found.failure, wrongs[i].finding);
        printf("%s %-60s %s, execution %llu: %s\n", right ? "found " : "MISSED", wrongs[i].what, wrongs[i].scenario,
               (unsigned long long)(found.executions + found.random), found.failure);
        missed += !right;
    }
    return missed;
}

/* ---- Which orders are needed ------------------------------------------------------------------------------------- */

static const struct mutation weakened[] = {
    { "shared_turn", memory_order_relaxed, NULL }, { "shared_publish", memory_order_relaxed, NULL },
    { "shared_head", memory_order_relaxed, NULL }, { "shared_set_head", memory_order_relaxed, NULL },
    { "shared_tail", memory_order_relaxed, NULL }, { "shared_set_tail", memory_order_relaxed, NULL },
    { "shared_intent", memory_order_relaxed, NULL }, { "shared_set_intent", memory_order_relaxed, NULL },
    { "shared_told", memory_order_relaxed, NULL }, { "shared_set_told", memory_order_relaxed, NULL },
    { "shared_call", memory_order_relaxed, NULL }, { "shared_wake", memory_order_relaxed, NULL },
    { "shared_raise_wake", memory_order_relaxed, NULL }, { "shared_bell", memory_order_relaxed, NULL },
    { "shared_bell", MODEL_SKIP, NULL }, { "shared_set_bell", memory_order_release, NULL },
    { "shared_set_bell", memory_order_relaxed, NULL }, { "shared_session", memory_order_acquire, NULL },
    { "shared_session", memory_order_relaxed, NULL }, { "shared_set_session", memory_order_release, NULL },
    { "shared_set_session", memory_order_relaxed, NULL }, { "shared_used", memory_order_relaxed, NULL },
    { "shared_use", memory_order_relaxed, NULL }, { "shared_light_fence", memory_order_acq_rel, NULL },
};

static const char *by_whom(const struct mutation *mutation, struct search *found)
{
    for (size_t i = 0; i < COUNT(all); i++)
        for (const struct scenario *scenario = all[i]; scenario->name; scenario++)
            if (is_noticed(mutation, scenario, found))
                return scenario->name;
    return NULL;
}

static void survey(size_t from)
{
    static const char *const words[] = { "relaxed", "", "acquire", "release", "acq_rel" };
    for (size_t i = from; i < COUNT(weakened); i++) {
        struct search found = { 0 };
        const char *by = by_whom(&weakened[i], &found);
        printf("%-20s %-10s %s%s%s\n", weakened[i].site, weakened[i].order < 0 ? "no fence" : words[weakened[i].order],
               by ? by : "nobody noticed", by ? ": " : "", found.failure);
        fflush(stdout);
    }
}

int main(int count, char **words)
{
    const char *form = getenv("TONG_TORTURE");
    deep = form && !strcmp(form, "long");
    if (count > 1 && !strcmp(words[1], "survey")) {
        survey(count > 2 ? (size_t)atoi(words[2]) : 0);
        return 0;
    }
    const char *only = count > 1 ? words[1] : NULL;
    int failures = search_all(only);
    int missed = only ? 0 : seed_all();
    return failures || missed;
}
