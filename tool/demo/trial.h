/* SPDX-License-Identifier: MIT */
/*
 * trial.h - a trial of the demo: what is no stream of bytes (numbers, counters, memory, locks) used by processes
 * that write down what they saw in memory which they all share.
 */
#ifndef TOOL_DEMO_TRIAL_H
#define TOOL_DEMO_TRIAL_H

#include <stdatomic.h>

#include "demo/demo.h"
#include "tong/tong.h"

#define CREW_MAX 4

struct trial {
    const struct source *source;
    tong_mechanism_info mechanism; /* scheme NULL: nothing of ours, for comparison */
    bool inherited;                /* it has no name that others could open: children get it by fork */
    char label[48], address[400], first[430]; /* first: for whoever makes it, who must be the first */
    /* Written by the processes, read when they are gone; the atomics meanwhile. */
    atomic_int ready, done;
    pid_t pids[CREW_MAX];
    atomic_bool foreign;           /* the name was taken: what has it is not ours to remove */
    int sacrifice;                 /* 1 + the one that is killed on purpose; 0: none */
    tong_region *region;           /* inherited */
    const void *content;           /* of the file; inherited */
    volatile int64_t counter;
    uint64_t sent, received, lost, processes;
    int64_t start, end;
    bool in_order;
    char digest[SHA256_TEXT];
    char verdict[64], failure[400];
    bool ok;
};

/* What a process of the trial does: 0, or a negative errno that tong_detail() explains. */
typedef int trial_work(struct trial *trial);

/* What opening trial->first gave, as it is: that the name was taken is written down. */
int trial_opened(struct trial *trial, int r);

/* Why it failed; the first reason stays. */
void trial_fail(struct trial *trial, const char *why);

/* Runs each in a process of its own until all have ended; `tick` is called a few times a second. */
void trial_run(struct trial *trial, trial_work *const work[], int count, void (*tick)(void));

/* Until another process has brought `value` to `least`: 0 or -ETIMEDOUT. */
int trial_wait(atomic_int *value, int least);

/* The kinds of trial: each runs one, and judges. */
void try_numbers(struct trial *trial, void (*tick)(void));
void try_updates(struct trial *trial, void (*tick)(void));
void try_memory(struct trial *trial, void (*tick)(void));
void try_lock(struct trial *trial, void (*tick)(void));

/* Plans the trials of this machine; scheme NULL: all.  Returns how many; sections_run() runs them. */
int sections_plan(const struct source *source, const char *scheme);

struct json;

/* Runs and prints them, or writes them as members of an object; returns how many failed. */
int sections_run(struct json *json, void (*tick)(const char *label), void (*clear)(void));

#endif
