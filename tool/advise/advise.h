/* SPDX-License-Identifier: MIT */
/*
 * advise.h - what `tong advise` is asked, and what becomes of each mechanism: ruled out by what it offers (rules.c), or
 * put in order by what was measured (figures.c, order.c).  Figures of one work only are compared with each other.
 */
#ifndef TOOL_ADVISE_ADVISE_H
#define TOOL_ADVISE_ADVISE_H

#include "bench/round.h"

struct settings {
    int64_t size, rate, senders, receivers;
    bool broadcast, durable, remote, related, lossy, json;
    const char *from;
};

/* What became of one mechanism, or of a variant of it: an address with an option. */
struct verdict {
    const struct contestant *contestant;
    char option[24];         /* that messages of this size need: "capacity=32M"; "" */
    int work;                /* of its figures */
    double time, cpu;        /* nanoseconds of a message; negative: not measured */
    bool apart;              /* it can do what is asked, but was not measured at the work that decides */
    char reason[480];        /* why not; "" */
};

/* What decides: a figure of one work. */
struct basis {
    int work;                /* -1: none */
    enum metric metric;
    double pacing;           /* of each one's processor time, what keeping the pace costs; negative: unknown */
};

struct question {
    const struct settings *settings;
    struct round *round;
    int plain, ends, pace;   /* works: from one to one, of about this size; with several ends; paced; -1: none of it */
    struct basis basis;
    struct verdict verdicts[CONTESTANTS_MAX]; /* those in order first, then those apart, then those rejected */
    int count;
};

/* A verdict for each mechanism, with the reason of those that cannot do it (rules.c). */
void advise_rules(struct question *q);

/* The figures: from a file, measured before by `tong bench --json`, or now (figures.c).  An exit code. */
int advise_load(struct question *q, const char *path);
int advise_measure(struct question *q);

/* Whether little enough is sent that the processor's time counts for more than speed (order.c). */
bool advise_is_calm(const struct settings *s);

/* Decides, and puts the verdicts in order (order.c). */
void advise_order(struct question *q);
double advise_cost(const struct question *q, const struct verdict *v);

/* Prints the answer (show.c): an exit code. */
int advise_show(const struct question *q);

#endif
