/* SPDX-License-Identifier: MIT */
/*
 * bell.h - a descriptor for event loops beside a ring.
 *
 * A FIFO is the bell: who waits owns it, the other side writes one byte into it.  The waiter wants it rung by an
 * odd number in its place; the other side rings once for each number.  So a byte lies in the bell from the
 * first publication after the waiter last emptied it, until the waiter finds the ring empty (or full) again:
 * level-triggered, one write and one read a refill, and nothing at all while no bell is wanted.
 *
 * The descriptor that callers poll is an epoll instance over the bell, the pidfds of those at the other side, which
 * become readable when they die, and a timer, which makes it ready for nothing but a look that asks for the liveness
 * locks: every few milliseconds where a pid cannot be seen from here, else once a second, because a process may let go of
 * its place and live on (exec), and the name may be removed.
 */
#ifndef RING_BELL_H
#define RING_BELL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/layout.h"

/* The waiter's end. */
struct ring_bell {
    int fd;           /* the FIFO, open both ways, so that it never hangs up; not owned */
    int epoll_fd;     /* -1 until ring_bell_open() */
    int timer_fd;
    struct ring_watch {
        int pid_fd;       /* of who was in that place in session `watched`, or -1 */
        bool blind;       /* somebody is there whom no pidfd tells of */
        uint64_t watched; /* session word; 0: nobody */
    } watch[LAYOUT_PLACES];
};

/* As long as it is not open. */
void ring_bell_init(struct ring_bell *bell);

/* Begins: from now on the place `own` of the side `control` wants the bell.  It rings once by itself, which makes the
 * caller look.  `also`: a descriptor that is reason to look, too, until ring_bell_ignore(); -1: none. */
int ring_bell_open(struct ring_bell *bell, struct layout_control *control, struct layout_place *own, int fifo, int also);
void ring_bell_ignore(struct ring_bell *bell, int fd);
/* The same for who only watches, whom nobody rings: a clock that has it look every millisecond.  Its rearming takes NULL for
 * `control` and `own`. */
int ring_bell_open_clock(struct ring_bell *bell);
bool ring_bell_is_open(const struct ring_bell *bell);
void ring_bell_close(struct ring_bell *bell);

/* Empties the bell, asks for a new ring and watches who is at the other side now, unless the end of that session (or of
 * a later one) is known, which `told` says of each place.  The caller then looks at the ring and at the sessions once more
 * and calls ring_bell_ring_self() if there is something after all. */
int ring_bell_rearm(struct ring_bell *bell, struct layout_control *control, struct layout_place *own,
                    const struct layout_control *peer, const uint64_t told[LAYOUT_PLACES]);
void ring_bell_ring_self(struct ring_bell *bell);

/* Rings one for a reason that the waiter finds elsewhere.  Async-signal-safe. */
void ring_bell_disturb(int fifo);

#endif
