/* SPDX-License-Identifier: MIT */
/*
 * stage.h - processes that wait for each other in earnest, and what a snapshot says of them.
 *
 * Who acts meets the others in shared memory without a system call that sleeps, so that the call it ends in is the only
 * one in which it can be found asleep.  An actor dies with the test, and has no signal handlers.
 */
#ifndef TEST_INSPECT_STAGE_H
#define TEST_INSPECT_STAGE_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "tong/inspect.h"

#define STAGE_ACTORS 4

struct stage {
    int pipe[2][2];
    int pair[2];
    int file[2];
    int queue[3];                /* of either kind */
    int set;                     /* System V semaphores */
    int step;                    /* for acts that have several ways */
    char path[2][128];
    pid_t actor[STAGE_ACTORS];
    int actors;
    struct shared *shared;       /* seen by all */
};

/* Lies in memory that all actors share. */
struct shared {
    atomic_int met;
    atomic_int heir; /* a process or thread that an actor started */
    _Alignas(64) char locks[2][128];
};

void stage_begin(struct stage *stage);

/* Starts a process that acts and must never come back; returns once it sleeps in that system call (SYS_...). */
pid_t stage_act(struct stage *stage, void (*act)(struct stage *stage), long call);
/* Starts it only; stage_asleep() waits until all of them sleep in that call. */
pid_t stage_start(struct stage *stage, void (*act)(struct stage *stage));
void stage_asleep(const struct stage *stage, int actor, long call);

/* For actors: until that many have come here. */
void stage_meet(struct stage *stage, int count);
/* Sleeps until the end, ready to do anything. */
void stage_idle(struct stage *stage);

/* Pipes, files and sockets that only actors keep: called by the test once all have started. */
void stage_let_go(struct stage *stage);

/* What a fresh snapshot finds: the actors are the waiting processes of one finding of that kind, whose proof names them
 * and `word`; or no finding knows any of them. */
void stage_found(const struct stage *stage, uint32_t kind, const char *word);
void stage_quiet(const struct stage *stage);

/* Ends all actors; then removes what was made, too. */
void stage_dismiss(struct stage *stage);
void stage_end(struct stage *stage);

#endif
