/* SPDX-License-Identifier: MIT */
/* One word in one line, written in turn by two processes, in pieces of which the median counts. */
#include "bench/line.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/contestant.h"
#include "bench/ticks.h"

#define PIECES 16
#define TRIPS 250 /* of a piece */
#define PATIENCE UINT64_C(50000000) /* nanoseconds for a piece: then the other process does not run */

struct bounce {
    _Alignas(128) atomic_uint_fast64_t word;
    _Alignas(128) atomic_uint ready, over;
};

bool line_processors(int ret[2])
{
    cpu_set_t set;
    int found = 0;
    sched_getaffinity(0, sizeof set, &set);
    for (int i = 0; i < CPU_SETSIZE && found < 2; i++)
        if (CPU_ISSET(i, &set))
            ret[found++] = i;
    if (found == 1)
        ret[1] = ret[0];
    return found == 2;
}

void line_pin(int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void answer(struct bounce *b)
{
    atomic_store(&b->ready, 1);
    for (uint64_t i = 1;; i += 2) {
        while (atomic_load_explicit(&b->word, memory_order_acquire) != i)
            if (atomic_load_explicit(&b->over, memory_order_relaxed))
                _exit(0);
        atomic_store_explicit(&b->word, i + 1, memory_order_release);
    }
}

/* Nanoseconds of a trip, 0 when the other does not answer. */
static double piece(struct bounce *b, uint64_t *turn)
{
    uint64_t start = bench_now();
    for (int i = 0; i < TRIPS; i++) {
        atomic_store_explicit(&b->word, ++*turn, memory_order_release);
        ++*turn;
        for (unsigned looks = 1; atomic_load_explicit(&b->word, memory_order_acquire) != *turn; looks++)
            if (looks % 65536 == 0 && bench_now() - start > PATIENCE)
                return 0;
    }
    return (double)(bench_now() - start) / TRIPS;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double bounce(struct bounce *b)
{
    double pieces[PIECES];
    uint64_t turn = 0;
    while (!atomic_load(&b->ready))
        sched_yield();
    for (int i = 0; i < PIECES; i++)
        if ((pieces[i] = piece(b, &turn)) == 0)
            return 0;
    qsort(pieces, PIECES, sizeof *pieces, by_value);
    return pieces[PIECES / 2];
}

double line_measure(const int processors[2])
{
    cpu_set_t before;
    struct bounce *b = shared_room(sizeof *b);
    if (!b || processors[0] == processors[1] || sched_getaffinity(0, sizeof before, &before) < 0)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        line_pin(processors[1]);
        answer(b);
    }
    double line = 0;
    if (child > 0) {
        line_pin(processors[0]);
        line = bounce(b);
        atomic_store(&b->over, 1);
        waitpid(child, NULL, 0);
        sched_setaffinity(0, sizeof before, &before);
    }
    munmap(b, sizeof *b);
    return line;
}
