/* SPDX-License-Identifier: MIT */
/* overhead.h - what tong costs over the bare system calls, measured on the same work in one run. */
#ifndef BENCH_OVERHEAD_H
#define BENCH_OVERHEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "bench/carrier.h"

/* One row: a mechanism, how it is framed, and the size of its messages. */
struct overhead_row {
    const struct contest *contest;
    const char *frame;
    size_t size;
};

extern const struct overhead_row overhead_rows[];
extern const size_t overhead_row_count;

/* One kind of work, raw and through tong.  Times are per message (a round trip is two), in nanoseconds. */
struct overhead_figure {
    double raw, tong;           /* medians */
    double ratio, least, most;  /* of tong to raw, pair by pair: median, minimum, maximum */
    double raw_calls, tong_calls; /* system calls of both processes per message */
};

struct overhead_result {
    struct overhead_figure round_trip, one_way;
};

/*
 * Both processes on one processor, so that the distance of processors and the cost of waking another do not
 * drown what is measured.  `runs` pairs, raw and tong in turn.  0, or a negative errno.
 */
int overhead_measure(const struct overhead_row *row, int runs, const char *directory, struct overhead_result *ret);

#endif
