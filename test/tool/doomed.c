/* SPDX-License-Identifier: MIT */
/*
 * doomed.c - preloaded into a program: of the children that it forks, the one whose number is in DOOMED is killed, at
 * its birth, or with DOOMED_IN=sched_yield as it calls that for the first time.
 */
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int forks, doomed;

static void meet(const char *where)
{
    const char *in = getenv("DOOMED_IN");
    if (doomed && strcmp(in ? in : "fork", where) == 0)
        raise(SIGKILL);
}

pid_t fork(void)
{
    pid_t (*next)(void) = (pid_t (*)(void))dlsym(RTLD_NEXT, "fork");
    const char *number = getenv("DOOMED");
    forks++;
    pid_t pid = next();
    if (pid == 0) {
        doomed = number && atoi(number) == forks;
        meet("fork");
    }
    return pid;
}

int sched_yield(void)
{
    int (*next)(void) = (int (*)(void))dlsym(RTLD_NEXT, "sched_yield");
    meet("sched_yield");
    return next();
}
