/* SPDX-License-Identifier: MIT */
/* judge.h - between who finds out which threads nobody can wake (stuck.c), and who tells of them (verdict.c). */
#ifndef INSPECT_JUDGE_H
#define INSPECT_JUDGE_H

#include "inspect/waits.h"

struct judge {
    struct scan *scan;
    struct tong_snapshot *graph;
    struct waits *waits;
    uint32_t threads;
    bool any_hidden;
    struct graph_array newcomers; /* who began while the others were looked at, and was not */
    bool strict;       /* the second round */
    bool stopping;     /* the third */
    bool *looks_stuck; /* threads: left over by the first round */
};

static inline const tong_process *judge_process(const struct judge *judge, uint32_t process)
{
    return graph_process_at(judge->graph, process);
}

/* Adds what there is to say of that kind (TONG_FINDING_STUCK, _UNSURE, after the third round _STOPPED).  -ENOMEM. */
int judge_report(struct judge *judge, uint32_t kind);

#endif
