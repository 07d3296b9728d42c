/* SPDX-License-Identifier: MIT */
/* wait.h - sleeping on descriptors and readiness that includes our own buffers. */
#ifndef CORE_WAIT_H
#define CORE_WAIT_H

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Waits until `fd` has one of `events` (or an error or hangup) and returns its revents.
 * cancel_fd: -1, or an eventfd that ends the wait with -ECANCELED.  Never called with a wait that may not
 * block: DEADLINE_NOW only looks.  -EAGAIN (DEADLINE_NOW), -ETIMEDOUT, -EINTR, -ECANCELED.
 */
int wait_descriptor(int fd, short events, int cancel_fd, int64_t deadline);

/* The same; during the wait the thread has this mask of signals (NULL: its own). */
int wait_descriptor_masked(int fd, short events, int cancel_fd, int64_t deadline, const sigset_t *mask);

/* Sleeps for `nanoseconds` or until the deadline, whichever is first: 0 after the pause, else as above. */
int wait_pause(int64_t nanoseconds, int cancel_fd, int64_t deadline);

/* -EAGAIN or -ETIMEDOUT, as the deadline says, with a detail. */
int wait_expired(int64_t deadline);

/* For who passes over what is not meant for the caller, and so might never come to wait: 0 while it may look further,
 * else -EAGAIN, -ETIMEDOUT or -ECANCELED. */
int wait_may_look_on(const atomic_bool *cancelled, int64_t deadline);

/*
 * One descriptor that is readable when a descriptor of the kernel is ready OR something already lies in our
 * own buffer: an epoll instance over both, the second an eventfd.  ready_raise() and ready_lower() cost one
 * system call, and only when the state changes and somebody asked for the descriptor: two a refill at most.
 */
struct ready {
    int epoll_fd;   /* -1 until ready_open() */
    int event_fd;
    bool raised;
    bool always;    /* the descriptor cannot be polled because it never blocks */
};

#define READY_INIT { -1, -1, false, false }

int ready_open(struct ready *ready, int fd, uint32_t epoll_events);
/* From now on these events of the descriptor count, also for who polls already.  Nothing where nobody asked. */
void ready_change(struct ready *ready, int fd, uint32_t epoll_events);
void ready_raise(struct ready *ready);
void ready_lower(struct ready *ready);
void ready_close(struct ready *ready);

#endif
