/* SPDX-License-Identifier: MIT */
/*
 * What a thread is in, from /proc/PID/task/TID/syscall: the number of its call and the arguments.  A line that says
 * "running" or "-1" is of a thread that is not in a call; it may do anything.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inspect/waits.h"

static ssize_t read_file(struct scan *scan, int64_t pid, int64_t tid, const char *name)
{
    char path[80];
    snprintf(path, sizeof path, "%lld/task/%lld/%s", (long long)pid, (long long)tid, name);
    return proc_read(&scan->proc, scan->proc.fd, path);
}

char thread_state(struct scan *scan, int64_t pid, int64_t tid)
{
    ssize_t r = read_file(scan, pid, tid, "stat");
    const char *name_end = r > 0 ? strrchr(scan->proc.buffer, ')') : NULL;
    graph_missed(scan->graph, "states of threads", r);
    return name_end && name_end[1] == ' ' ? name_end[2] : 0;
}

/* A debugger may stop one thread of several. */
static bool is_stopped(struct scan *scan, uint32_t process, int64_t tid)
{
    const tong_process *of = graph_process_at(scan->graph, process);
    char state = of->flags & TONG_PROCESS_STOPPED ? thread_state(scan, of->pid, tid) : 0;
    return state == 'T' || state == 't';
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

uint64_t thread_turns_of(const uint64_t times[3])
{
    return mix(mix(mix(0, times[0]), times[1]), times[2]);
}

static void read_times(struct scan *scan, int64_t pid, int64_t tid, uint64_t ret[3])
{
    char *at = read_file(scan, pid, tid, "schedstat") > 0 ? scan->proc.buffer : NULL;
    for (unsigned i = 0; i < 3; i++)
        ret[i] = at ? strtoull(at, &at, 10) : 0;
}

uint64_t thread_turns(struct scan *scan, int64_t pid, int64_t tid)
{
    uint64_t times[3];
    read_times(scan, pid, tid, times);
    return thread_turns_of(times);
}

/* A process's clock counts what those of its threads ran that have ended, to the nanosecond. */
bool thread_was_always_alone(struct scan *scan, int64_t pid, int64_t tid)
{
    uint64_t times[3];
    clockid_t clock;
    struct timespec ran;
    read_times(scan, pid, tid, times);
    return clock_getcpuclockid((pid_t)pid, &clock) == 0 && clock_gettime(clock, &ran) == 0 &&
           (uint64_t)ran.tv_sec * 1000000000 + (uint64_t)ran.tv_nsec == times[0];
}

uint64_t thread_mark_of(const struct thread_now *now)
{
    uint64_t hash = mix(mix(mix(now->turns, (uint64_t)now->number), now->stack), now->instruction);
    for (unsigned i = 0; i < 6; i++)
        hash = mix(hash, now->argument[i]);
    return now->in_call ? hash | 1 : 0;
}

/* "number a0 a1 a2 a3 a4 a5 stack instruction" */
static void read_call(struct scan *scan, int64_t pid, int64_t tid, struct thread_now *ret)
{
    ssize_t r = read_file(scan, pid, tid, "syscall");
    char *at = scan->proc.buffer;
    ret->refused = r == -EACCES || r == -EPERM;
    ret->in_call = r > 0 && *at >= '0' && *at <= '9';
    if (!ret->in_call)
        return;
    ret->number = strtol(at, &at, 10);
    for (unsigned i = 0; i < 6; i++)
        ret->argument[i] = strtoull(at, &at, 16);
    ret->stack = strtoull(at, &at, 16);
    ret->instruction = strtoull(at, &at, 16);
    ret->turns = thread_turns(scan, pid, tid);
}

uint64_t thread_mark(struct scan *scan, int64_t pid, int64_t tid)
{
    struct thread_now now = { .in_call = false };
    read_call(scan, pid, tid, &now);
    return thread_mark_of(&now);
}

void thread_ask(struct scan *scan, uint32_t process, int64_t tid, struct thread_now *ret)
{
    int64_t pid = graph_process_at(scan->graph, process)->pid;
    *ret = (struct thread_now){ .in_call = false };
    read_call(scan, pid, tid, ret);
    ret->stopped = is_stopped(scan, process, tid);
    if (ret->stopped)
        ret->turns = thread_turns(scan, pid, tid);
}
