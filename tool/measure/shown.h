/* SPDX-License-Identifier: MIT */
/* shown.h - the ways in which `tong bench` shows what it measured (bench/round.h, bench/overhead.h). */
#ifndef TOOL_MEASURE_SHOWN_H
#define TOOL_MEASURE_SHOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/round.h"
#include "text.h"

struct raw_settings {
    bool json;
    int64_t runs;
    const char *only;
};

/* Measures tong beside bare system calls and prints it: an exit code. */
int bench_raw(const struct raw_settings *settings);

void bench_table(const struct round *round);                  /* on standard output */
int bench_json(const struct round *round);                    /* doc/json.md; 0 or an exit code */
void bench_page(const struct round *round, struct text *out); /* one HTML page that needs nothing else */

/*
 * Into a zeroed round, the one that bench_json() wrote to a file; who takes part is gathered.  -EINVAL when it is none, or
 * another negative errno.
 */
int bench_saved(struct round *round, const char *path);

/* "812 ns", "4.1 us", "3.52 M/s", "41.2 GB/s", in at most 12 bytes. */
const char *bench_time(double nanoseconds, char ret[16]);
const char *bench_rate(double nanoseconds_each, char ret[16]);
const char *bench_size(size_t size, char ret[16]);

/* What stands behind a figure that is unsettled: its runs differ by more than twice.  Else "". */
const char *bench_mark(const struct figure *figure);

/* Contestants of a work that were measured, the quickest first: how many. */
int bench_ranking(const struct round *round, int work, int ret[CONTESTANTS_MAX]);

/*
 * What is said of two of them: `memory` overtakes `other`, in works of these sizes, from `size` on; 0: at none
 * measured.
 */
struct overtaking {
    enum sizes sizes;
    int memory, other;
    size_t size;
};

/* The index-th pair that was measured at several sizes; false past the last. */
bool bench_overtaking(const struct round *round, int index, struct overtaking *ret);

#endif
