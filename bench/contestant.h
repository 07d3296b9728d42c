/* SPDX-License-Identifier: MIT */
/* contestant.h - what is measured beside each other, and what it can do. */
#ifndef BENCH_CONTESTANT_H
#define BENCH_CONTESTANT_H

#include "bench/work.h"
#include "tong/tong.h"

enum group { GROUP_LIMIT, GROUP_TONG, GROUP_RAW, GROUP_RIVAL, GROUPS };

extern const char *const group_names[GROUPS]; /* "limit", "tong", "raw", "rival" */

struct contest;

struct contestant {
    enum group group;
    char name[40];            /* "pipe", "shm in place" */
    const struct wire *wire;  /* how, in a forked process; NULL: a program */
    char program[300];        /* the program of a rival */
    size_t least, most;       /* sizes */
    bool sleeps, spins;       /* how it can wait */
    bool many_senders, many_receivers, broadcasts;
    bool several;             /* it is made for several receivers, and left out where there is one */
    bool bursts;              /* it gains by messages sent together: one way only */
    bool hands;               /* it hands large messages over where they lie: one way only, and nothing else */
    size_t ring;              /* of the limit: bytes */
    bool one_way;             /* and it does nothing else */
    bool may_lose;
    bool idle;                /* it carries nothing: what keeping the pace costs */
    bool needs_server;
    /* Before the processes are started, and when they are gone: what `subject` of an end shall be.  Or NULL. */
    void *(*prepare)(const struct contestant *, const struct job *);
    void (*remove)(const struct contestant *, void *subject);
    tong_mechanism_info mechanism; /* of tong */
    const struct contest *contest; /* raw */
};

/* A pipe's capacity where messages go in batches, through tong and by bare system calls alike: they fill the usual 64 KiB. */
#define BURST_PIPE (1 << 20)

/*
 * Each adds its contestants to a list of room for `most` and returns how many those are: rings written by hand, libtong
 * by its table of mechanisms, large messages handed over through it, and bare system calls.
 */
int limit_contestants(struct contestant *list, int most);
int over_contestants(struct contestant *list, int most);
int hand_contestants(struct contestant *list, int most);
int raw_contestants(struct contestant *list, int most);

/* Memory that processes forked from here share, zeroed; NULL when there is none. */
void *shared_room(size_t size);

#endif
