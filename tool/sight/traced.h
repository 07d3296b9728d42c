/* SPDX-License-Identifier: MIT */
/* traced.h - events and counts of a trace, as lines, as tables and as JSON (doc/json.md). */
#ifndef TOOL_SIGHT_TRACED_H
#define TOOL_SIGHT_TRACED_H

#include "sight/naming.h"

struct traced {
    tong_trace *trace;
    struct naming *naming;
    int64_t began, real;  /* CLOCK_MONOTONIC, and what has to be added for the time of day */
    tong_trace_pair *pair; /* as they were told last */
    size_t pairs;
};

/* One event, with its content as a dump behind it. */
void traced_line(struct text *text, struct traced *traced, const tong_trace_event *event);
void traced_json(struct text *text, struct traced *traced, const tong_trace_event *event);

/* A line for each two processes of whom one woke the other since it was asked last: 0 or an exit code, said. */
int traced_wakes(struct text *text, struct traced *traced);

/* All that was counted: 0 or an exit code, said. */
int traced_tables(struct text *text, struct traced *traced);
int traced_json_counts(struct text *text, struct traced *traced);

/* How many bytes went through a channel in memory (TONG_UNKNOWN), and, what comes last, what is missing. */
void traced_passed(struct text *text, const char *name, uint64_t bytes);
void traced_json_passed(struct text *text, struct traced *traced, const char *key, const char *name, uint64_t bytes);
int traced_json_lost(struct text *text, struct traced *traced);

#endif
