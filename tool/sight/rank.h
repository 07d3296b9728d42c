/* SPDX-License-Identifier: MIT */
/* rank.h - channels and processes in the order of who does most, with what is wrong in front. */
#ifndef TOOL_SIGHT_RANK_H
#define TOOL_SIGHT_RANK_H

#include "sight/sight.h"

enum rank_order { RANK_RATE, RANK_WAITS, RANK_ENDS, RANK_NAME };

/* A channel or a process. */
struct rank_row {
    uint32_t place;     /* index in the snapshot */
    double rate;        /* by how much its depth (of a process: those of its channels) differs between two looks, a
                         * second: what came and went meanwhile is not in it */
    uint32_t waits;     /* threads that wait at it, or of it, now */
    uint32_t ends;      /* it has; of a process the channels that its ends lead to */
    bool full;          /* of channels only */
    bool stuck, perhaps; /* perhaps: unless somebody who cannot be seen can end it */
};

struct ranking {
    const tong_snapshot *snapshot;
    struct rank_row *channels, *processes; /* processes without an end are left out */
    size_t channel_count, process_count;
    size_t full, stuck, perhaps; /* channels; processes */
};

/* Ranks what is in `now`, which has to outlive it; `before` is the earlier look, or NULL.  0, or -ENOMEM. */
int rank_make(const tong_snapshot *before, const tong_snapshot *now, struct ranking *ret);

/* What is stuck or full, and then by the order. */
void rank_sort(struct ranking *ranking, enum rank_order order);

void rank_free(struct ranking *ranking);

#endif
