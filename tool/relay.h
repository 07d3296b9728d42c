/* SPDX-License-Identifier: MIT */
/* relay.h - one direction of a relay: what comes from one side goes to the other, and what cannot be kept is said. */
#ifndef TOOL_RELAY_H
#define TOOL_RELAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "side.h"
#include "text.h"

#define RELAY_BATCH 256 /* messages taken before they are sent */

/* What holds for every direction of a relay. */
struct relay_terms {
    int64_t count;        /* end after so many messages; 0: no bound */
    int64_t timeout;      /* for nothing to come, or no room, in any direction */
    int64_t first;        /* the same until the first message; NOT_GIVEN: as `timeout` */
    bool empty_ends;      /* an empty message is the end where there is no other */
    atomic_int_fast64_t moved; /* when a message last moved; written by every direction (relaxed) */
};

/* One direction: the caller fills in what stands before `heard`, the rest begins as 0. */
struct relay {
    struct relay_terms *terms;
    const struct side *from, *to;
    const struct relay *other; /* the opposite direction, or NULL */
    bool typed;           /* both sides carry types */
    atomic_bool heard;    /* `from` has ended in order; read by the opposite direction (relaxed) */
    tong_batch batch[RELAY_BATCH];
    size_t held;          /* messages in `batch`, taken and not yet sent */
    struct text bytes;    /* theirs */
    uint64_t taken, lost; /* messages; lost: before they came to us */
    int64_t type;         /* of the last one */
    bool ended;           /* `to` was told that this is the end */
};

/* What this direction cannot keep, in words, into an empty `text`: nothing when it keeps everything. */
void relay_losses(const struct relay *relay, struct text *text);

/* Until the end: 0 when `to` was told of it in order, else an exit code, after saying why (not when cancelled). */
int relay_run(struct relay *relay);

void relay_free(struct relay *relay);

#endif
