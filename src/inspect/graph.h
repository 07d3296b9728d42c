/* SPDX-License-Identifier: MIT */
/*
 * graph.h - a snapshot while it is made: processes, objects, ends, waits, findings and gaps, in arrays that grow, with
 * an index from keys to objects.
 *
 * What a probe adds stays where it is by its number; pointers into the arrays do not outlive the next addition.  Strings
 * are copied into the snapshot.  Only memory can fail here (-ENOMEM), and then it has failed for good: graph_error() says
 * so at the end, and additions in between return TONG_NOBODY.
 */
#ifndef INSPECT_GRAPH_H
#define INSPECT_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tong/inspect.h"

struct graph_array {
    void *item;
    size_t count, room;
};

struct graph_block {
    struct graph_block *next;
    size_t used, size;
    char data[];
};

struct tong_snapshot {
    struct graph_array processes, objects, ends, waits, findings, gaps;
    struct graph_block *text;      /* strings */
    uint32_t *by_key, keys;        /* open addressing: object number + 1; keys is a power of two */
    uint32_t *by_pid, pids;        /* the same for processes */
    int64_t began, ended;
    const char *tier;
    int error;                     /* the first that ended it, or 0 */
};

/* A copy in the snapshot; "" when memory is short. */
const char *graph_text(struct tong_snapshot *graph, const char *text);
const char *graph_format(struct tong_snapshot *graph, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a process, whose `name` and `command` are copied. */
uint32_t graph_add_process(struct tong_snapshot *graph, const tong_process *process);
/* The process with that pid, or TONG_NOBODY. */
uint32_t graph_process(const struct tong_snapshot *graph, int64_t pid);

/* The object of that kind and key, which is added if it is new; *ret_new may be NULL.  A new one has all unknown. */
uint32_t graph_object(struct tong_snapshot *graph, uint32_t kind, const char *key, bool *ret_new);
/* The same without adding: TONG_NOBODY. */
uint32_t graph_find_object(const struct tong_snapshot *graph, uint32_t kind, const char *key);
tong_object *graph_object_at(struct tong_snapshot *graph, uint32_t object);
tong_process *graph_process_at(struct tong_snapshot *graph, uint32_t process);

uint32_t graph_add_end(struct tong_snapshot *graph, const tong_end *end);
uint32_t graph_add_wait(struct tong_snapshot *graph, const tong_wait_seen *wait);
uint32_t graph_add_finding(struct tong_snapshot *graph, const tong_finding *finding);

/* One more that could not be seen; equal words are counted together.  Both are static or the snapshot's. */
void graph_gap(struct tong_snapshot *graph, const char *what, const char *why);

/* Ends in the order that the public header promises; several descriptors of a process for one description become one. */
void graph_settle(struct tong_snapshot *graph);

static inline tong_end *graph_ends(const struct tong_snapshot *graph)
{
    return graph->ends.item;
}

static inline tong_wait_seen *graph_waits(const struct tong_snapshot *graph)
{
    return graph->waits.item;
}

#endif
