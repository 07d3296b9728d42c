/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - counts of values, exact below 128 and within 1/64 of the value above, in a fixed size: each power of
 * two has 64 steps.  So a percentile needs no list of all samples, and adding one costs a few instructions.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HISTOGRAM_STEPS 64
#define HISTOGRAM_SLOTS (59 * HISTOGRAM_STEPS)

/* Zeroed before use. */
struct histogram {
    uint64_t counts[HISTOGRAM_SLOTS];
    uint64_t samples, least, most;
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_add_many(struct histogram *histogram, uint64_t value, uint64_t count);

/* Adds what is in `from`. */
void histogram_join(struct histogram *histogram, const struct histogram *from);

/* The middle of what a slot of `counts` holds. */
double histogram_value(unsigned slot);

/* The value that `fraction` (0 to 1) of the samples do not exceed, from within its step; 0 without samples. */
double histogram_quantile(const struct histogram *histogram, double fraction);

#ifdef __cplusplus
}
#endif

#endif
