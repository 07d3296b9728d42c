/* SPDX-License-Identifier: MIT */
/* signal_fixture.h - what the tests of signals share. */
#ifndef TEST_UNIT_SIGNAL_FIXTURE_H
#define TEST_UNIT_SIGNAL_FIXTURE_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <tong/tong.h>
#include <unistd.h>

#include "frame.h"

#define BIT TONG_SIGNAL_BIT

static inline void block(int number)
{
    OK(tong_signal_block(BIT(number), NULL));
}

/* To a process by its number; value NULL: none. */
static inline int send_to(pid_t pid, int number, const int32_t *value)
{
    tong_identity to = TONG_IDENTITY_INIT;
    to.pid = pid;
    return tong_signal_send(&to, number, value);
}

static inline void send_value(pid_t pid, int number, int32_t value)
{
    OK(send_to(pid, number, &value));
}

/*
 * At most so many signals may wait for this process from now on.  The kernel counts what waits for all processes of a user
 * in a user namespace, so the process becomes a user of its own.  Only for children: it may no longer read what is its own
 * in /proc.  false: it cannot.
 */
static inline bool limit_queue(unsigned signals)
{
    uid_t alone = 100000 + (uid_t)getpid();
    struct rlimit limit = { signals, signals };
    if (geteuid() == 0 ? setresuid(alone, alone, alone) < 0 : unshare(CLONE_NEWUSER) < 0)
        return false;
    return setrlimit(RLIMIT_SIGPENDING, &limit) == 0;
}

/* Runs `test` in a child for which at most eight signals may wait; a test that cannot be is passed over by name. */
static void (*limited_test)(void);

static inline void run_limited(int unused)
{
    (void)unused;
    pid_t pid = frame_fork();
    if (pid == 0) {
        MUST(limit_queue(8), "the limit: %s", strerror(errno));
        limited_test();
        _exit(0);
    }
    frame_join(pid);
}

static inline bool can_limit(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(!limit_queue(8));
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static inline void frame_run_limited(const char *name, void (*test)(void))
{
    limited_test = test;
    if (can_limit())
        frame_run(name, run_limited, 0, 20);
    else
        frame_skip(name, "this process cannot become a user of its own, whose signals would be counted apart");
}

#endif
