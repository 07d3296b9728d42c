/* SPDX-License-Identifier: MIT */
/* crew.h - the processes of one measurement: started, brought together, listened to, and gone again. */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include "bench/contestant.h"
#include "bench/histogram.h"

/* What came of one measurement; times in nanoseconds.  What was not measured is negative. */
struct outcome {
    double per_message;      /* elapsed; of a round trip, for both messages */
    double cpu;              /* of all processes, per message (or round trip) */
    struct histogram latency; /* nanoseconds; without samples where none was taken */
    double wrong;            /* messages; one voids the measurement */
    double elapsed;
    char missing[400];       /* why there is nothing; "" */
};

/*
 * Where the processes run: the sender and the receiver apart, each on a processor of its own; all together on one;
 * spread, senders and as many receivers on both in turn, other receivers where the scheduler puts them.
 */
enum place { PLACE_APART, PLACE_TOGETHER, PLACE_SPREAD };

/* Runs `job` (its role is filled in) with what `contestant` is.  All processes are gone when it returns. */
void crew_run(const struct contestant *contestant, const struct job *job, enum place place, const int processors[2],
              struct outcome *ret);

/* The lines that `PROGRAM describe` says; false when it does not run. */
bool crew_describe(struct contestant *ret);

/* Starts and ends the server of a rival that needs one, for all its measurements: its pid, or a negative errno. */
int crew_server(const struct contestant *contestant, const char *directory);
void crew_server_end(int pid);

#endif
