/* SPDX-License-Identifier: MIT */
/* count.h - how many system calls something makes, itself and the processes it forks. */
#ifndef BENCH_COUNT_H
#define BENCH_COUNT_H

/* Runs `work` in a child under ptrace(2) and counts.  Negative if tracing is refused or the work failed. */
long count_system_calls(int (*work)(void *), void *argument);

#endif
