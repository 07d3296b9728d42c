/* SPDX-License-Identifier: MIT */
/*
 * place.h - a participant's row in the table of its side, and the lock that says it lives.
 *
 * Liveness is a lock on one byte of the segment, at the offset of the row, held through an open file description
 * of the holder's own (F_OFD_SETLK).  The kernel drops it when the process ends in whatever way, and others ask
 * for it (F_OFD_GETLK) without any right to write.  Unlike a robust futex it does not die with a thread;
 * unlike a record lock of POSIX it is not dropped when the process closes another descriptor of the file, and two
 * ends in one process see each other.  But it lives as long as anything refers to the description: a forked child
 * has it too, so a pthread_atfork handler closes it there; and a mapping keeps the description through which it was
 * made, so the place opens one for itself that is never mapped.
 */
#ifndef RING_PLACE_H
#define RING_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/shared.h"
#include "tong/base.h"

struct ring_place {
    struct layout_control *control; /* of our own side; writable */
    struct layout_place *row;       /* in it */
    unsigned index;
    int fd;                         /* the description that holds the lock; -1: none, or forked */
    uint64_t session;               /* the number of ours */
    bool predecessor_died;          /* the session before ours was never closed */
    bool resumed;                   /* our name had it before */
    struct ring_place *next;        /* in the list of this process; guarded by its lock */
};

/* Takes the locks of all places in the segment behind `fd`, as long as that is open.  -EBUSY: somebody has one. */
int ring_places_lock(int fd);

/* Lets them go, also where a child that was forked meanwhile has the description too. */
void ring_places_unlock(int fd);

/* The same for one place: for who does something in it in place of one who is gone.  `fd` is a description that nothing is
 * mapped through and no child keeps, as that of a place is. */
int ring_place_lock(int fd, unsigned index);
void ring_place_unlock(int fd, unsigned index);

/* Takes one of the first `many` places of `control`, whose segment is behind `fd`.  Nothing is said to others yet.
 * -EBUSY: somebody has each of them.  Who has a `name` (else 0) takes the place that had it before, and no other (-EBUSY:
 * somebody has it), or else one that has none, if there is one; -EAGAIN: another with a name is just coming. */
int ring_place_take(struct ring_place *place, struct layout_control *control, int fd, unsigned many, uint64_t name);

/* Gives the place its name, once all that is kept for it is in order.  Until then nobody else with a name comes. */
void ring_place_name(struct ring_place *place, uint64_t name);

/* The place that has that name, or -1. */
int ring_place_named(const struct layout_control *control, unsigned many, uint64_t name);

/* Says who is here and that a session begins. */
void ring_place_open(struct ring_place *place);

/* Says that it ended in order. */
void ring_place_close(struct ring_place *place);

/* Lets go of the lock.  Touches no shared word, so a forked child may call it. */
void ring_place_leave(struct ring_place *place);

/* Whether that place in the segment behind `fd` is held: 1, 0, or a negative errno. */
int ring_place_held(int fd, unsigned index);

/* Who holds (or held last) the place; as it claims, since it wrote that itself. */
void ring_place_identity(const struct layout_place *row, tong_identity *ret);

#endif
