/* SPDX-License-Identifier: MIT */
/* shm_end.h - one end of one shared-memory channel: its object, its place, its bell. */
#ifndef MECHANISM_SHM_END_H
#define MECHANISM_SHM_END_H

#include "ring/bell.h"
#include "ring/place.h"
#include "ring/object.h"

/* One end of one ring. */
struct shm_end {
    struct shm_object object;
    struct ring_place place;
    struct ring_bell bell;
    struct layout_control *own;
    const struct layout_control *peer;
    int peer_fd;                /* the segment in which the other side holds its lock */
    int own_fifo, peer_fifo;
    uint32_t woken, rung;       /* the last sleep we ended, the last ring we gave */
    bool open;                  /* attached, and the place taken */
    bool announced;             /* our session has begun */
};

/* Opens the channel and takes a place in it, of which nobody is told yet.  -EBUSY names who holds it. */
int shm_end_open(struct shm_end *end, const struct address *address, const char *name, bool sender);

/* Begins our session. */
void shm_end_announce(struct shm_end *end);

/* Takes the other side out of its sleep, or its event loop, if it is in one. */
void shm_end_tell(struct shm_end *end);

/* Whether the holder of the other place died in the session `word`: 1, 0, or a negative errno. */
int shm_end_peer_died(const struct shm_end *end, uint64_t word);

/* Leaves, and removes the channel as `removal` (REMOVE_...) says.  A forked child only lets go. */
void shm_end_close(struct shm_end *end, int64_t removal, bool forked);

#endif
