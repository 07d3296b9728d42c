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

/* "812 ns", "4.1 us", "3.52 M/s", "41.2 GB/s", in at most 12 bytes. */
const char *bench_time(double nanoseconds, char ret[16]);
const char *bench_rate(double nanoseconds_each, char ret[16]);
const char *bench_size(size_t size, char ret[16]);

/* Contestants of a work that were measured, the quickest first: how many. */
int bench_ranking(const struct round *round, int work, int ret[CONTESTANTS_MAX]);

/* The memory that overtakes: the fastest contestant with zero copy of each scheme; -1 past the last. */
int bench_memory(const struct round *round, int index);

/* Whether a contestant carries messages through the kernel, and so can be overtaken. */
bool bench_is_kernels(const struct contestant *c);

#endif
