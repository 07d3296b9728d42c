/* SPDX-License-Identifier: MIT */
/*
 * tong lock: a program that runs while this holds a lock.
 *
 * The lock must not be free while the program runs, whoever is killed.  A lock that a descriptor carries is held twice:
 * by this process, which waits for the program, because programs close descriptors that they do not know (ssh and sudo
 * do); and by the program, to which the descriptor is left open, because this process may be killed.  A lock of System
 * V belongs to a process and not to its children, but stays with it through execve(2): there this process becomes the
 * program.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "patience.h"
#include "program.h"
#include "report.h"
#include "tong/lock.h"

struct settings {
    int64_t timeout;
};

static const struct option_row options[] = {
    VALUE(timeout, TAKES_DURATION, "T", "give up when the lock is not to be had for so long (0: at once)"),
    OPTIONS_LAST,
};

static int run_with(int descriptor, char **argv)
{
    pid_t pid;
    int code = program_fork(&pid);
    if (code)
        return code;
    if (pid == 0)
        _exit(fcntl(descriptor, F_SETFD, 0) < 0 ? CODE_OWN_FAILURE : program_execute(argv));
    return program_wait(&pid, 1);
}

/* 0, or an exit code; whatever is made by it is said. */
static int open_lock(const char *address, tong_lock **ret)
{
    int r = tong_lock_open(address, ret);
    if (r < 0)
        return fail_library(r, NULL) == CODE_USAGE ? CODE_USAGE : CODE_OWN_FAILURE;
    if (tong_lock_flags(*ret) & TONG_INFO_CREATED)
        say("made %s", tong_lock_object(*ret));
    return 0;
}

static int take(tong_lock *lock, int64_t timeout)
{
    int64_t deadline = deadline_after(timeout);
    int r;
    do
        r = tong_lock_take(lock, patience_left(deadline));
    while (r == -EINTR);
    if (r < 0)
        fail_library(r, NULL);
    return r == -ETIMEDOUT || r == -EAGAIN ? CODE_TAKEN : r < 0 ? CODE_OWN_FAILURE : 0;
}

/* The lock is held: by us and the program, or by the program that this process becomes. */
static int run_locked(tong_lock *lock, char **argv)
{
    int descriptor = tong_lock_share(lock);
    if (descriptor >= 0)
        return run_with(descriptor, argv);
    if (descriptor == -EOPNOTSUPP)
        return program_execute(argv);
    fail_library(descriptor, NULL);
    return CODE_OWN_FAILURE;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { TONG_FOREVER };
    tong_lock *lock;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO || (code = open_lock(argv[0], &lock)))
        return code;
    code = take(lock, set.timeout);
    if (code == 0)
        code = run_locked(lock, argv + 1);
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
