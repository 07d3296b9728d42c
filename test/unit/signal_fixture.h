/* SPDX-License-Identifier: MIT */
/* signal_fixture.h - what the tests of signals share. */
#ifndef TEST_UNIT_SIGNAL_FIXTURE_H
#define TEST_UNIT_SIGNAL_FIXTURE_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
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

/* As many signals as this process's user may have waiting, from now on.  What other processes of that user have waiting
 * counts too, so the tests only say "at most". */
static inline void limit_queue(unsigned signals)
{
    struct rlimit limit = { signals, signals };
    MUST(setrlimit(RLIMIT_SIGPENDING, &limit) == 0, "RLIMIT_SIGPENDING: %s", strerror(errno));
}

#endif
