/* SPDX-License-Identifier: MIT */
/*
 * line.h - how long a cache line takes from one processor to another and back.  A host may move the processors of a
 * virtual machine apart for seconds, and everything between two processes becomes several times slower with it: so the
 * line is measured beside each test.
 */
#ifndef BENCH_LINE_H
#define BENCH_LINE_H

#include <stdbool.h>

/* The first two processors that this process may run on; false when there is one only, which is then both. */
bool line_processors(int ret[2]);

/* Keeps the calling process, and whom it starts, on this processor. */
void line_pin(int processor);

/* The median round trip of a line between those two, nanoseconds; 0 when it cannot be measured. */
double line_measure(const int processors[2]);

#endif
