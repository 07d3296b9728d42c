/* SPDX-License-Identifier: MIT */
/* signal_status.h - where signals stand in a process: what /proc/PID/status says of it and of each thread. */
#ifndef CORE_SIGNAL_STATUS_H
#define CORE_SIGNAL_STATUS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct signal_status {
    uint64_t thread_pending, blocked;          /* of the thread that was asked for */
    uint64_t pending, ignored, caught;         /* of the process */
    uint64_t queued, limit;                    /* of all processes of its real user */
    uint64_t uid, threads;                     /* real uid */
    char name[64];                             /* as the kernel escapes it */
};

/* Of the process (its first thread), or of thread `tid` of it.  pid 0: this process.
 * -ESRCH there is none, or it cannot be seen (/proc mounted with hidepid); other errors of open and read. */
int signal_status_read(pid_t pid, pid_t tid, struct signal_status *ret);

/* Calls visit for each thread until one returns other than 0, and returns that.  Threads that begin or end meanwhile
 * may be missed.  Errors as above. */
int signal_threads_visit(pid_t pid, int (*visit)(pid_t tid, void *context), void *context);

#endif
