/* SPDX-License-Identifier: MIT */
/* The processes of a trial: started together, listened for by the end of a pipe that each holds, and never left. */
#include "demo/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "stop.h"

#define TICK_MS 100
#define AT_ONCE (20 * TONG_MILLISECOND)  /* so long what is measured must not wait for a timer */
#define PATIENCE (30 * TONG_SECOND)

void trial_fail(struct trial *trial, const char *why)
{
    if (!*trial->failure)
        snprintf(trial->failure, sizeof trial->failure, "%s", why);
}

int trial_opened(struct trial *trial, int r)
{
    if (r == -EEXIST)
        atomic_store(&trial->foreign, true);
    return r;
}

int trial_wait(atomic_int *value, int least)
{
    int64_t begun = clock_now(), now = begun;
    for (; atomic_load(value) < least; now = clock_now()) {
        if (now > begun + PATIENCE)
            return -ETIMEDOUT;
        if (now < begun + AT_ONCE)
            sched_yield();
        else
            poll(NULL, 0, 1);
    }
    return 0;
}

static void work_in_child(struct trial *trial, trial_work *work, int index, pid_t parent)
{
    stop_release();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    trial->pids[index] = getpid();
    int r = work(trial);
    if (r < 0)
        trial_fail(trial, *tong_detail() ? tong_detail() : strerror(-r));
    _exit(r < 0);
}

/* Each holds the writing end: until all are gone, or it lasts too long, or somebody wants to stop. */
static bool all_gone(int reading, void (*tick)(void))
{
    struct pollfd item = { reading, POLLIN, 0 };
    int64_t deadline = clock_now() + PATIENCE;
    while (!stop_asked() && clock_now() < deadline) {
        if (poll(&item, 1, TICK_MS) > 0)
            return true;
        tick();
    }
    return false;
}

static void reap(struct trial *trial, const pid_t *pids, int count)
{
    for (int i = 0; i < count; i++) {
        int status = 0;
        while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
            ;
        if (status && i + 1 != trial->sacrifice)
            trial_fail(trial, WIFSIGNALED(status) ? "a process was killed" : "a process failed");
    }
}

void trial_run(struct trial *trial, trial_work *const work[], int count, void (*tick)(void))
{
    int ends[2], started = 0;
    pid_t pids[CREW_MAX], parent = getpid();
    if (pipe2(ends, O_CLOEXEC) < 0) {
        trial_fail(trial, strerror(errno));
        return;
    }
    for (; started < count && (pids[started] = fork()) >= 0; started++)
        if (pids[started] == 0)
            work_in_child(trial, work[started], started, parent);
    if (started < count)
        trial_fail(trial, strerror(errno));
    close(ends[1]);
    if (started < count || !all_gone(ends[0], tick)) {
        trial_fail(trial, stop_asked() ? "interrupted" : "it did not end in time");
        for (int i = 0; i < started; i++)
            kill(pids[i], SIGKILL);
    }
    reap(trial, pids, started);
    close(ends[0]);
}
