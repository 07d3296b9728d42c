/* SPDX-License-Identifier: MIT */
/*
 * patience.h - looking again and again for what the kernel has no wait with a deadline for, ever more slowly.
 *
 *     struct patience patience = PATIENCE_INIT;
 *     while ((r = look()) == -EAGAIN)
 *         if ((r = patience_pause(&patience, cancel_fd, deadline)) < 0)
 *             break;
 *     patience_end(&patience);
 *
 * Such a wait is to end with -EINTR as a wait in the kernel does, whenever a signal is caught.  One that is caught while
 * the wait looks would go by unseen, and the wait go on.  So the first pause holds the thread's signals back, and from
 * then on they come in during pauses alone, in ppoll(2), which sees them.  patience_end() lets go of them: the thread has
 * its mask back on every way out.
 */
#ifndef CORE_PATIENCE_H
#define CORE_PATIENCE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct patience {
    int64_t pause;    /* nanoseconds of the next pause; doubles until `last` */
    int64_t last;
    bool holding;
    sigset_t signals; /* the thread's mask, while `holding` */
};

/* Twenty microseconds first, a millisecond at last: for what others hold for a moment. */
#define PATIENCE_INIT PATIENCE_OF(20000, 1000000)
#define PATIENCE_OF(first, last) { (first), (last), false, { { 0 } } }

/* 0 after a pause, else what wait_pause() says. */
int patience_pause(struct patience *patience, int cancel_fd, int64_t deadline);

/* The same; a descriptor that has one of `events` ends the pause, and its revents are returned. */
int patience_pause_on(struct patience *patience, int fd, short events, int cancel_fd, int64_t deadline);

/* As wait_descriptor(), for a look that may itself sleep. */
int patience_descriptor(struct patience *patience, int fd, short events, int cancel_fd, int64_t deadline);

/* Once, after the last pause; allowed without any. */
void patience_end(struct patience *patience);

#endif
