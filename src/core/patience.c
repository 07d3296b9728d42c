/* SPDX-License-Identifier: MIT */
#include "core/patience.h"

#include "base/clock.h"
#include "core/wait.h"
#include "sys/sys.h"

/* A fault that is held back ends the process instead of reaching its handler (tong_guard_sigbus, a debugger's). */
static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };

static void hold(struct patience *patience)
{
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&all, faults[i]);
    patience->holding = sys_sigmask(SIG_BLOCK, &all, &patience->signals) == 0;
}

int patience_descriptor(struct patience *patience, int fd, short events, int cancel_fd, int64_t deadline)
{
    return wait_descriptor_masked(fd, events, cancel_fd, deadline, patience->holding ? &patience->signals : NULL);
}

int patience_pause_on(struct patience *patience, int fd, short events, int cancel_fd, int64_t deadline)
{
    int64_t left = deadline_left(deadline), pause = patience->pause;
    if (left == 0)
        return wait_expired(deadline);
    if (!patience->holding)
        hold(patience);
    patience->pause = pause * 2 < patience->last ? pause * 2 : patience->last;
    int64_t until = clock_now() + (left > 0 && left < pause ? left : pause);
    int r = patience_descriptor(patience, fd, events, cancel_fd, until);
    return r == -ETIMEDOUT ? 0 : r;
}

int patience_pause(struct patience *patience, int cancel_fd, int64_t deadline)
{
    return patience_pause_on(patience, -1, 0, cancel_fd, deadline);
}

void patience_end(struct patience *patience)
{
    if (patience->holding)
        sys_sigmask(SIG_SETMASK, &patience->signals, NULL);
    patience->holding = false;
}
