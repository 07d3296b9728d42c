/* SPDX-License-Identifier: MIT */
/*
 * What waiting costs: a quarter of a second in three ways at once, each in a process of its own so that the
 * kernel's accounts (wait4(2)) are of that wait alone.  Starting and ending the process is in them too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "demo/demo.h"
#include "probe/probe.h"
#include "tong/tong.h"

#define LENGTH (TONG_SECOND / 4)

struct waiting {
    int ends[2];
    volatile int *flag;     /* that nobody ever raises */
    const struct row *row;  /* the mechanism asked for; NULL: none that can wait so */
};

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * TONG_SECOND + time.tv_nsec;
}

/* The writing end is closed by the parent when the time is over. */
static void wait_in_read(const struct waiting *waiting)
{
    char byte;
    close(waiting->ends[1]);
    ssize_t size = read(waiting->ends[0], &byte, 1);
    (void)size; /* the end of the pipe */
}

static void wait_in_loop(const struct waiting *waiting)
{
    int64_t end = now() + LENGTH;
    while (!*waiting->flag && now() < end)
        ;
}

static void wait_in_receive(tong_channel *channel, int64_t end)
{
    char buffer[256];
    int64_t left = end - now();
    if (left > 0)
        tong_channel_receive(channel, buffer, sizeof buffer, NULL, left);
}

static void wait_in_accept(const char *address, int64_t end)
{
    tong_listener *listener;
    tong_channel *channel;
    if (tong_listener_open(address, 0, &listener) < 0)
        return;
    if (tong_listener_accept(listener, TONG_RECEIVE, end - now(), &channel) == 0)
        tong_channel_close(channel);
    tong_listener_close(listener);
}

/* As whoever receives on this mechanism: on one end of a pair, as a server, or on a name that nobody sends to. */
static void wait_in_mechanism(const struct waiting *waiting)
{
    const struct row *row = waiting->row;
    int64_t end = now() + LENGTH;
    tong_channel *ends[2];
    close(waiting->ends[1]);
    if (row->relation != UNRELATED) {
        if (tong_channel_pair(row->address, TONG_RECEIVE, ends) == 0)
            wait_in_receive(ends[0], end);
    } else if (row->mechanism.offers & TONG_HAS_LISTENER) {
        wait_in_accept(row->address, end);
    } else if (tong_channel_open(row->address, TONG_RECEIVE, LENGTH, &ends[0]) == 0) {
        wait_in_receive(ends[0], end);
        tong_channel_close(ends[0]);
    }
}

/* A child that did not wait, because something failed, says so: it would look cheap. */
static pid_t start(void (*wait)(const struct waiting *), const struct waiting *waiting)
{
    int64_t begin = now();
    pid_t child = fork();
    if (child == 0) {
        wait(waiting);
        _exit(now() - begin < LENGTH * 9 / 10);
    }
    return child;
}

/* The percentage of the time since `begin` that the child was on a processor; negative when it did not wait. */
static double finish(pid_t child, int64_t begin)
{
    struct rusage use;
    int status = 1;
    while (child > 0 && wait4(child, &status, 0, &use) < 0)
        if (errno != EINTR)
            return -1;
    if (status)
        return -1;
    int64_t took = now() - begin;
    int64_t spent = (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * TONG_SECOND +
                    (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * TONG_MICROSECOND;
    return 100.0 * (double)spent / (double)took;
}

static void sleep_until(int64_t end)
{
    struct timespec time = { end / TONG_SECOND, end % TONG_SECOND };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
}

static int run_three(struct measured *measured, struct waiting *waiting)
{
    fflush(stdout); /* what is buffered is the parent's to write */
    int64_t begin = now();
    pid_t reader = start(wait_in_read, waiting), looper = reader < 0 ? -1 : start(wait_in_loop, waiting);
    int r = looper < 0 ? -errno : 0;
    pid_t own = waiting->row && r == 0 ? start(wait_in_mechanism, waiting) : -1;
    close(waiting->ends[1]);
    close(waiting->ends[0]);
    if (r == 0)
        sleep_until(begin + LENGTH);
    double loop = finish(looper, begin), asleep = finish(reader, begin), mine = finish(own, begin);
    if (r < 0)
        return r;
    figure_real(measured, "blocking_read", "asleep in read(2) on an empty pipe", asleep, "%");
    figure_real(measured, "busy_wait", "busy wait: a loop that looks at shared memory", loop, "%");
    if (mine >= 0)
        figure_real(measured, "own_wait", "tong recv on this mechanism", mine, "%");
    measured->shown = asleep >= 0 && asleep < 5 && loop > 10 * asleep && mine < 5;
    return 0;
}

/* Hosts and ports are not the demo's business: here the kernel chooses a port that only this machine can reach. */
static bool plan_port(const char *scheme, struct row *row)
{
    tong_mechanism_info *mechanism = &row->mechanism;
    *row = (struct row){ .mechanism = TONG_MECHANISM_INFO_INIT, .relation = UNRELATED };
    snprintf(row->address, sizeof row->address, "%s:127.0.0.1:0", scheme);
    for (size_t i = 0; tong_mechanism_describe(i, mechanism) == 0; i++)
        if (!strcmp(mechanism->scheme, scheme))
            return strstr(mechanism->form, "HOST:PORT") != NULL;
    return false;
}

/* A row of the demo's plan is an address of our own on this mechanism, where one can be made up. */
static bool plan_row(const char *scheme, struct source *source, struct row *row)
{
    struct outcome outcome;
    if (directory_make("explain", source->directory) < 0)
        return false;
    return plan_rows(source, scheme, row, 1) ? row_prepare(row, &outcome) == 0 : plan_port(scheme, row);
}

static int probe_waiting(struct measured *measured)
{
    struct source source = { .path = NULL };
    struct row row;
    struct waiting waiting = { .flag = probe_shared(sizeof *waiting.flag) };
    if (!waiting.flag || pipe2(waiting.ends, O_CLOEXEC) < 0)
        return -errno;
    waiting.row = plan_row(measured->scheme, &source, &row) ? &row : NULL;
    int r = run_three(measured, &waiting);
    if (waiting.row)
        row_remove(waiting.row);
    source_close(&source);
    munmap((void *)waiting.flag, sizeof *waiting.flag);
    return r;
}

const struct probe probes_waiting[] = {
    { "waiting", "what waiting costs",
      "of a processor's time, what waiting took in a quarter of a second, side by side (a loop takes all it can get):",
      probe_waiting },
    { .name = NULL },
};
