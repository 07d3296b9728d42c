/* SPDX-License-Identifier: MIT */
/*
 * tong lock: a program that runs while this holds a lock.
 *
 * The lock must not be free while the program runs, whoever is killed.  A lock that a descriptor carries is held twice:
 * by this process, which waits for the program, because programs close descriptors that they do not know (ssh and sudo
 * do); and by the program, to which the descriptor is left open, because this process may be killed.  A lock of System V
 * belongs to a process and not to its children, but stays with it through execve(2): there this process becomes the
 * program.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "program.h"
#include "report.h"
#include "tong/lock.h"

#define CODE_TAKEN 124 /* as timeout(1) */

struct settings {
    int64_t timeout;
};

static const struct option_row options[] = {
    VALUE(timeout, TAKES_DURATION, "T", "give up when the lock is not to be had for so long (0: at once)"),
    OPTIONS_LAST,
};

static volatile sig_atomic_t running; /* the program, written before any handler is installed */

static void pass_on(int number)
{
    kill((pid_t)running, number);
}

/* Ctrl-C reaches the program too, and it decides what follows; what is meant for us alone is for it. */
static int wait_beside(pid_t pid)
{
    running = pid;
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGTERM, pass_on);
    signal(SIGHUP, pass_on);
    return program_wait(pid);
}

static int run_with(int descriptor, char **argv)
{
    signal(SIGCHLD, SIG_DFL); /* were it ignored, there would be no status to wait for */
    pid_t pid = fork();
    if (pid == 0)
        _exit(fcntl(descriptor, F_SETFD, 0) < 0 ? CODE_OWN_FAILURE : program_execute(argv));
    if (pid < 0) {
        fail_system(-errno, "fork");
        return CODE_OWN_FAILURE;
    }
    return wait_beside(pid);
}

static int take(tong_lock *lock, int64_t timeout)
{
    int r;
    do
        r = tong_lock_take(lock, timeout);
    while (r == -EINTR);
    if (r < 0)
        fail_library(r, NULL);
    return r == -ETIMEDOUT || r == -EAGAIN ? CODE_TAKEN : r < 0 ? CODE_OWN_FAILURE : 0;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { TONG_FOREVER };
    tong_lock *lock;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    int r = tong_lock_open(argv[0], &lock);
    if (r < 0) {
        code = fail_library(r, NULL);
        return code == CODE_USAGE ? code : CODE_OWN_FAILURE;
    }
    code = take(lock, set.timeout);
    if (code == 0) {
        int descriptor = tong_lock_share(lock);
        if (descriptor >= 0)
            code = run_with(descriptor, argv + 1);
        else if (descriptor == -EOPNOTSUPP)
            code = program_execute(argv + 1);
        else {
            fail_library(descriptor, NULL);
            code = CODE_OWN_FAILURE;
        }
    }
    tong_lock_close(lock);
    return code;
}

const struct command cmd_lock = {
    "lock", "Objects", "run a program while holding a lock that is free again when its holder dies",
    "ADDRESS [--timeout T] [--] PROGRAM...",
    "The lock is on an object that is made if it is missing: file:PATH (also flock(1) takes that one), shm:NAME,\n"
    "mmap:PATH, or with System V sysvshm:KEY and sysvsem:KEY.  It is held until the program has ended, also when tong\n"
    "is killed; on files also by what the program leaves running.  Exits with 124 when it was not to be had in time.",
    "tong lock file:/tmp/once.lock -- echo alone; rm /tmp/once.lock",
    options, 2, -1, 2, run,
};
