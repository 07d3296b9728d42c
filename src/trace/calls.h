/* SPDX-License-Identifier: MIT */
/* calls.h - the system calls that move messages, by their numbers on this processor. */
#ifndef TRACE_CALLS_H
#define TRACE_CALLS_H

#include <stddef.h>

#include "bpf/trace.h"

struct call_row {
    const char *name;
    unsigned number;
    struct trace_call call;
};

extern const struct call_row call_rows[];
extern const size_t call_count;

/* "sendmsg"; "" of a number that is not in the table. */
const char *call_name(unsigned number);

#endif
