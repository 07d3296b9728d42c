/* SPDX-License-Identifier: MIT */
/*
 * hostile.h - those that are worked upon, and what is done to them.
 *
 * The workers send and receive on one channel and do every call that a channel has; whatever they are told, each call ends
 * in its time, and nobody crashes.  Their mappings stand alone (hostile_fence.c): a read beside one is a crash, too.
 */
#ifndef TORTURE_HOSTILE_H
#define TORTURE_HOSTILE_H

#include "ledger.h"

/* Whose memory the hostile one may write. */
enum { RECEIVERS, SENDERS, BOTH, MODES };

#define HOSTILE_CAPACITY 4096
#define HOSTILE_GIVEN (20 * TONG_MILLISECOND)
#define HOSTILE_LATE (300 * TONG_MILLISECOND) /* how much longer a call may take, but for time in which there was no processor for it */
#define HOSTILE_STILL 3 /* calls of a run that take longer: a machine may stand still twice */
#define HOSTILE_STUCK (10 * TONG_SECOND) /* after which who does not go on is stuck */
#define HOSTILE_WORKERS 6

/* A channel and who works on it. */
struct hostile_delivery {
    const char *name;
    const char *options;         /* of its address, after the capacity */
    unsigned senders, receivers;
    bool nameless;               /* memfd: its memory is reached through the process that may write it */
};

struct hostile {
    struct ledger *ledger;
    const struct hostile_delivery *delivery;
    pid_t writer[BOTH]; /* a process of each side */
    char name[64];    /* part of every name that belongs to the channel */
    char address[160];
    char path[128];
    unsigned seed;
};

/* Works as a sender or a receiver until it is told to stop, and raises *beat as it goes on. */
void hostile_work(struct hostile *hostile, uint32_t direction, volatile int *beat) __attribute__((noreturn));

/* Lanes without an end, of which no call may make more than it was given time for (hostile_lane.c). */
void hostile_lanes(struct hostile *hostile, const struct hostile_delivery *delivery);

/* ---- Faults ----------------------------------------------------------------------------------------------------- */

enum { WORD, RECORD, CURSOR, NOISE, SIZE, NAME, KINDS };

#define HOSTILE_PIECES 48

/* A segment, opened by its name; or as it is mapped by a process, which is stopped as long as it is open. */
struct hostile_target {
    char path[512];
    int fd;
    size_t size;
    int side;  /* RECEIVERS or SENDERS */
    pid_t pid; /* 0: it has a name */
    unsigned pieces;
    struct hostile_piece {
        size_t at, size; /* in the segment */
        off_t where;     /* in the memory of the process */
    } piece[HOSTILE_PIECES];
};

uint64_t hostile_chance(struct hostile *hostile, uint64_t most);
void hostile_close_target(struct hostile_target *target);
/* Whether there is one now. */
bool hostile_open_target(const struct hostile *hostile, int side, struct hostile_target *target);
/* The same for a channel whose memory has no name (hostile_memory.c). */
bool hostile_open_memory(const struct hostile *hostile, int side, struct hostile_target *target);
/* Its file refuses to be made shorter or longer. */
void hostile_expect_sealed(const struct hostile *hostile, const struct hostile_target *target);
/* One fault, whose kind it counts in `injected`; whether the target must be opened again. */
bool hostile_inject(struct hostile *hostile, const struct hostile_target *target, uint64_t injected[KINDS]);

#endif
