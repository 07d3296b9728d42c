/* SPDX-License-Identifier: MIT */
/* patience.h - waiting on after an interruption: stopping a process and letting it go on (Ctrl-Z, fg) interrupts the waits
 * of System V, and what is left of a timeout is then less. */
#ifndef TOOL_PATIENCE_H
#define TOOL_PATIENCE_H

#include "base/clock.h"

/* What is left until a deadline_after(); at least 1 of what was above 0, so that it ends as a timeout. */
static inline int64_t patience_left(int64_t deadline)
{
    int64_t left = deadline_left(deadline);
    return left == 0 && deadline != DEADLINE_NOW ? 1 : left;
}

#endif
