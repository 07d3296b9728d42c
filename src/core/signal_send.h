/* SPDX-License-Identifier: MIT */
/* signal_send.h - sending to one very process, never to a later one with the same number. */
#ifndef CORE_SIGNAL_SEND_H
#define CORE_SIGNAL_SEND_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

struct signal_target {
    pid_t pid;
    int pidfd;           /* readable once the process has ended */
};

#define SIGNAL_TARGET_INIT { 0, -1 }

/* start_time: as process_start_time() told it, or 0 for whoever has the number now.  -ESRCH, -EINVAL, -EMFILE. */
int signal_target_open(pid_t pid, uint64_t start_time, struct signal_target *ret);

/*
 * Sends, without waiting.  value NULL: none; a real-time signal without one still queues (si_errno is ENODATA then).
 * -EAGAIN the receiver's queue is full (real-time signals only), -ESRCH it has ended, -EPERM.
 */
int signal_target_send(const struct signal_target *target, int number, const int32_t *value);

void signal_target_close(struct signal_target *target);

#endif
