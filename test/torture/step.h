/* SPDX-License-Identifier: MIT */
/*
 * step.h - a process that is killed after exactly so many instructions of an operation.
 *
 * The victim stops itself, is stepped by ptrace(2), and says by `inside` in the ledger when it is in the operation: only
 * those instructions count.  An instruction that enters the kernel is one step; if it stays there for some milliseconds
 * the victim is killed in there, when its turn has come, and else the caller's prod ends the wait.
 */
#ifndef TORTURE_STEP_H
#define TORTURE_STEP_H

#include "ledger.h"

struct step_result {
    uint64_t steps;    /* instructions of the operation that were executed */
    bool finished;     /* the operation ended before its turn to be killed came */
    bool in_kernel;    /* it was killed while a system call blocked */
    int64_t killed;    /* when it was gone */
};

/* Called by the victim when it is ready to be stepped. */
void step_await(void);

/* Steps `victim` until it has executed `turn` instructions of the operation, or left it, and kills it. */
struct step_result step_and_kill(struct ledger *ledger, pid_t victim, uint64_t turn);

#endif
