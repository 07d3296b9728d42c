/* SPDX-License-Identifier: MIT */
/*
 * Paired runs.  Each run forks the second process anew; the first sends and keeps the time.
 *   round trip  one message there and one back, N times
 *   one way     N messages there, then one back to say that all have come
 * The payload is touched: the sender writes a number into each message, the receiver reads a word of every
 * cache line.
 */
#include "bench/overhead.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/count.h"

const struct overhead_row overhead_rows[] = {
    { &contest_pipe, "packet", 64 }, { &contest_pipe, "packet", 4072 }, { &contest_pipe, "none", 4096 },
    { &contest_fifo, "packet", 64 }, { &contest_fifo, "packet", 4072 }, { &contest_fifo, "none", 4096 },
    { &contest_unix, "packet", 64 }, { &contest_unix, "packet", 4072 }, { &contest_unix, "none", 4096 },
    { &contest_tcp, "packet", 64 }, { &contest_tcp, "packet", 4072 }, { &contest_tcp, "none", 4096 },
    { &contest_udp, "packet", 64 }, { &contest_udp, "packet", 4072 }, { &contest_udp, "none", 4096 },
    { &contest_msgq, "message", 64 }, { &contest_msgq, "message", 4096 },
    { &contest_mq, "message", 64 }, { &contest_mq, "message", 4096 },
    { &contest_sem, "pingpong", 0 }, { &contest_sem, "free", 0 },
    { &contest_sysvsem, "pingpong", 0 }, { &contest_sysvsem, "free", 0 },
};
const size_t overhead_row_count = sizeof overhead_rows / sizeof *overhead_rows;

enum work { ROUND_TRIP, ONE_WAY };

/* Long enough that a run takes some tens of milliseconds, and for counting, that one call more would show. */
static const int messages_timed[] = { [ROUND_TRIP] = 8000, [ONE_WAY] = 30000 };
static const int messages_counted = 400;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t touch(const uint8_t *data, size_t size)
{
    uint64_t sum = 0, word;
    for (size_t at = 0; at + sizeof word <= size; at += 64) {
        memcpy(&word, data + at, sizeof word);
        sum += word;
    }
    return sum;
}

static bool ends_window(const struct carriage *c, int i)
{
    return c->window && i % c->window == c->window - 1;
}

static void role_first(struct carriage *c, enum work work, int count, size_t size, uint8_t *data)
{
    for (int i = 0; i < count; i++) {
        memcpy(data, &i, sizeof i);
        c->carrier->send(c, data, size);
        if (work == ROUND_TRIP || ends_window(c, i))
            c->carrier->receive(c, data, size);
    }
    if (work == ONE_WAY)
        c->carrier->receive(c, data, size);
}

static void role_second(struct carriage *c, enum work work, int count, size_t size, uint8_t *data)
{
    volatile uint64_t sink = 0; /* keeps the reading from being optimised away */
    for (int i = 0; i < count; i++) {
        c->carrier->receive(c, data, size);
        sink = sink + touch(data, size);
        if (work == ROUND_TRIP || ends_window(c, i))
            c->carrier->send(c, data, size);
    }
    if (work == ONE_WAY)
        c->carrier->send(c, data, size);
    (void)sink; /* written, so that the payload is touched, and never read */
}

static void second_process(struct carriage *c, enum work work, int count, size_t size, uint8_t *data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (c->carrier->enter(c, 1) < 0)
        _exit(1);
    role_second(c, work, count, size, data);
    c->carrier->leave(c, 1);
    _exit(0);
}

/* Runs the work once; a warm-up of a tenth comes first.  Returns nanoseconds, or a negative errno. */
static double run_once(struct carriage *c, enum work work, int count, size_t size)
{
    uint8_t *data = calloc(1, size + 64);
    int r = data ? c->carrier->prepare(c) : -ENOMEM;
    if (r < 0) {
        free(data);
        return r;
    }
    int warm = count / 10;
    pid_t child = fork();
    if (child == 0)
        second_process(c, work, count + (work == ROUND_TRIP ? warm : 0), size, data);
    r = child < 0 ? -errno : c->carrier->enter(c, 0);
    double elapsed = r;
    if (r == 0) {
        if (work == ROUND_TRIP)
            role_first(c, work, warm, size, data);
        double start = now();
        role_first(c, work, count, size, data);
        elapsed = now() - start;
    }
    c->carrier->leave(c, 0);
    int status = 0;
    if (child > 0)
        waitpid(child, &status, 0);
    free(data);
    return status ? -EIO : elapsed;
}

static struct carriage fresh(const struct overhead_row *row, const struct carrier *carrier, const char *directory)
{
    struct carriage c = { .carrier = carrier, .frame = row->frame, .size = row->size, .window = row->contest->window };
    snprintf(c.directory, sizeof c.directory, "%s", directory);
    return c;
}

struct counted {
    const struct overhead_row *row;
    const struct carrier *carrier;
    const char *directory;
    enum work work;
    int count;
};

static int counted_run(void *argument)
{
    struct counted *counted = argument;
    struct carriage c = fresh(counted->row, counted->carrier, counted->directory);
    return run_once(&c, counted->work, counted->count, counted->row->size) < 0;
}

/* The difference of two lengths: what setting up costs cancels out. */
static double calls_per_message(const struct overhead_row *row, const struct carrier *carrier,
                                const char *directory, enum work work)
{
    struct counted once = { row, carrier, directory, work, messages_counted }, thrice = once;
    thrice.count *= 3;
    long a = count_system_calls(counted_run, &once), b = count_system_calls(counted_run, &thrice);
    if (a < 0 || b < 0)
        return -1;
    double messages = 2.0 * messages_counted * (work == ROUND_TRIP ? 2 * 1.1 : 1);
    return (double)(b - a) / messages;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

#define RUNS_MAX 101

static int measure(const struct overhead_row *row, int runs, const char *directory, enum work work,
                   struct overhead_figure *ret)
{
    double times[2][RUNS_MAX], ratios[RUNS_MAX];
    const struct carrier *carriers[2] = { row->contest->raw, row->contest->tong };
    int count = messages_timed[work], per = work == ROUND_TRIP ? 2 : 1;
    for (int i = 0; i < runs; i++) {
        for (int k = 0; k < 2; k++) {
            int which = (i + k) % 2; /* who goes first takes turns too */
            struct carriage c = fresh(row, carriers[which], directory);
            double elapsed = run_once(&c, work, count, row->size);
            if (elapsed < 0)
                return (int)elapsed;
            times[which][i] = elapsed / count / per;
        }
        ratios[i] = times[1][i] / times[0][i];
    }
    ret->ratio = median(ratios, runs);
    ret->least = ratios[0];
    ret->most = ratios[runs - 1];
    ret->raw = median(times[0], runs);
    ret->tong = median(times[1], runs);
    ret->raw_calls = calls_per_message(row, carriers[0], directory, work);
    ret->tong_calls = calls_per_message(row, carriers[1], directory, work);
    return 0;
}

/* Both processes go where this one is pinned; 0 if pinned, and the old set to go back to. */
static int pin(cpu_set_t *ret_old)
{
    cpu_set_t one;
    int cpu = sched_getcpu();
    if (cpu < 0 || sched_getaffinity(0, sizeof *ret_old, ret_old) < 0)
        return -errno;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) < 0 ? -errno : 0;
}

int overhead_measure(const struct overhead_row *row, int runs, const char *directory, struct overhead_result *ret)
{
    cpu_set_t old;
    if (runs < 1 || runs > RUNS_MAX)
        return -EINVAL;
    int r = pin(&old);
    if (r < 0)
        return r;
    r = measure(row, runs, directory, ROUND_TRIP, &ret->round_trip);
    if (r == 0)
        r = measure(row, runs, directory, ONE_WAY, &ret->one_way);
    sched_setaffinity(0, sizeof old, &old);
    return r;
}
