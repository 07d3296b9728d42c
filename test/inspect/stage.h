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
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tong/inspect.h"

#define STAGE_ACTORS 16

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
    int beside;                  /* the last so many of them wait for nobody, and are only named */
    uint32_t certainty;          /* that a finding must have; 0: any */
    struct shared *shared;       /* seen by all */
    struct locks *locks;         /* the test lets go of it, so that only actors map it */
};

/* Lies in memory that all actors share. */
struct shared {
    atomic_int met;
    atomic_int heir[2]; /* processes or threads that an actor started */
};

struct locks {
    _Alignas(64) char place[2][128];
};

void stage_begin(struct stage *stage);

/* Starts a process that acts and must never come back; returns once it sleeps in that system call (SYS_...). */
pid_t stage_act(struct stage *stage, void (*act)(struct stage *stage), long call);
/* Starts it only; stage_asleep() waits until all of them sleep in that call. */
pid_t stage_start(struct stage *stage, void (*act)(struct stage *stage));
void stage_asleep(const struct stage *stage, int actor, long call);

/* Starts two and lets go; returns once each sleeps in its call. */
void stage_start_two(struct stage *stage, void (*one)(struct stage *), long its_call, void (*other)(struct stage *),
                     long others_call);
/* Until an actor is in that state, as /proc/PID/stat has it: 'T', 't', 'Z'. */
void stage_until(const struct stage *stage, int actor, char state);

/* For actors: starts a process that acts, and tells of it as an heir. */
void stage_heir(struct stage *stage, int number, void (*act)(struct stage *stage));
/* Makes an heir an actor, once it is told of. */
void stage_adopt(struct stage *stage, int number);

/* For actors: reads, and gets nothing. */
void stage_take_byte(int fd);

/* For actors: until that many have come here. */
void stage_meet(struct stage *stage, int count);
/* Sleeps until the end, ready to do anything. */
void stage_idle(struct stage *stage);

/* Pipes, files, sockets and memory that only actors keep: called by the test once all have started. */
void stage_let_go(struct stage *stage);

/* What a fresh snapshot finds: the actors are the waiting processes of one finding of that kind, whose proof names them
 * and has each of `words`, between which there is a '|'; or no finding knows any of them. */
void stage_found(const struct stage *stage, uint32_t kind, const char *words);
void stage_quiet(const struct stage *stage);
/* What a fresh snapshot finds of any of them is not exact, where BPF cannot be used; where it can, nothing is found. */
void stage_doubted(const struct stage *stage);

/* What a fresh snapshot says of an actor: it waits for an object of that kind (0: none) with these flags
 * (TONG_WAIT_...), and the detail has `word`. */
void stage_waits(const struct stage *stage, int actor, uint32_t kind, uint32_t flags, const char *word);

/* What a fresh snapshot says of the first wait of an actor's first thread; 0: it waits for nothing. */
uint32_t stage_certainty(const struct stage *stage, int actor);

/* Ends all actors; then removes what was made, too. */
void stage_dismiss(struct stage *stage);
void stage_end(struct stage *stage);

/*
 * What is stuck, and beside it what looks like it and is well: a row that lacks its twin is no row.  Without `stuck` it is
 * what nobody may take for a deadlock.
 */
struct stage_case {
    const char *name;
    void (*stuck)(int);
    int argument;
    const char *twin;
    void (*well)(int);
    int well_argument;
};
void stage_run(const struct stage_case *cases, size_t count);
/* The program of one such table. */
int stage_main(const char *suite, int argc, char **argv, const struct stage_case *cases, size_t count);

#endif
