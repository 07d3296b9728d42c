/* SPDX-License-Identifier: MIT */
/*
 * step.h - a process that is killed after exactly so many instructions of an operation.
 *
 * The victim stops itself, is stepped by ptrace(2), and says by `inside` in the ledger when it is in the operation: only
 * those instructions count.  An instruction that enters the kernel is one step; if it stays there for some milliseconds
 * the victim is killed in there, when its turn has come, and else the caller's prod ends the wait.
 *
 * A step costs some 20 us.  So the way to a later instruction is made from system call to system call, which where they
 * lie in the operation is known from one run that stepped all of it; from the last one on, each instruction is stepped.
 */
#ifndef TORTURE_STEP_H
#define TORTURE_STEP_H

#include "ledger.h"

#define STEP_CALLS 512

/* After how many instructions of the operation each of its system calls has returned. */
struct step_map {
    uint64_t at[STEP_CALLS];
    unsigned count;
    bool rounds; /* set by the caller: each round of a string instruction counts */
};

struct step_result {
    uint64_t steps;    /* instructions of the operation that were executed */
    bool finished;     /* the operation ended before its turn to be killed came */
    bool in_kernel;    /* it was killed while a system call blocked */
    int64_t killed;    /* when it was gone */
};

/* Called by the victim when it is ready to be stepped. */
void step_await(void);

/* Steps `victim` through all of the operation, and kills it.  Fills in the map. */
struct step_result step_through(struct ledger *ledger, pid_t victim, struct step_map *map);

/* Kills `victim` when it has executed `turn` instructions of the operation, or left it. */
struct step_result step_and_kill(struct ledger *ledger, pid_t victim, uint64_t turn, const struct step_map *map);

#endif
