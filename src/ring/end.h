/* SPDX-License-Identifier: MIT */
/* end.h - one end of one ring that has a name: its object, its place, its bell. */
#ifndef RING_END_H
#define RING_END_H

#include "ring/bell.h"
#include "ring/place.h"
#include "ring/object.h"

/* One end of one ring. */
struct ring_end {
    struct ring_object object;
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
int ring_end_open(struct ring_end *end, const struct ring_home *home, const struct address *address, const char *name,
                  bool sender);

/* Begins our session. */
void ring_end_announce(struct ring_end *end);

/* Takes the other side out of its sleep, or its event loop, if it is in one. */
void ring_end_tell(struct ring_end *end);

/* Whether the holder of the other place died in the session `word`: 1, 0, or a negative errno. */
int ring_end_peer_died(const struct ring_end *end, uint64_t word);

/* Leaves, and removes the channel as `removal` (REMOVE_...) says.  A forked child only lets go. */
void ring_end_close(struct ring_end *end, int64_t removal, bool forked);

#endif
