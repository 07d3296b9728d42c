/* SPDX-License-Identifier: MIT */
/* end.h - one end of one channel that has a name: its object, its place, its bell, and who waits at the other side. */
#ifndef RING_END_H
#define RING_END_H

#include "ring/bell.h"
#include "ring/object.h"
#include "ring/place.h"

#define RING_SPIN_MOST 40000 /* ns for which a wait spins at most */

struct ring_end {
    struct ring_object object;
    struct ring_place place;
    struct ring_bell bell;
    struct layout_control *own;       /* NULL: it only watches, and writes nothing */
    const struct layout_control *peer;
    int peer_fd;                      /* the segment in which the other side holds its locks */
    int own_fifo;                     /* of our place */
    int made_fifo;                    /* the same, if it is not one of the object's; else -1 */
    int fifo[LAYOUT_PLACES];          /* of places of the other side that are not the first; -1: not open */
    uint32_t rung[LAYOUT_PLACES];     /* the last ring we gave to each place */
    uint64_t answered;                /* the other side's calls, as we last answered them */
    bool fences;                      /* after each publication, because others cannot do it for us */
    bool sender;
    bool open;                        /* attached, and the place taken */
    bool announced;                   /* our session has begun */
    struct ring_patience {
        int64_t budget;               /* ns for which a wait spins before it sleeps */
        unsigned pause, penalty;      /* sleeps until spinning is tried again, and how many the next time */
        uint64_t judged;              /* the sessions of the other side for which `alone` was found, added up */
        unsigned trust;               /* waits until we look again whether we are */
        bool alone;                   /* we share one processor with the other side */
        uint32_t spins;               /* that ended because something came */
        bool mistaken;                /* and once did not, so that a wake was missed */
    } patience;
};

/* Opens the channel and takes a place in it, of which nobody is told yet.  -EBUSY names who holds it. */
int ring_end_open(struct ring_end *end, const struct ring_home *home, const struct address *address, const char *name,
                  bool sender);

/* Begins our session. */
void ring_end_announce(struct ring_end *end);

/* Looks whether the other side, which was not there yet, has come: 1, 0, or why it never will. */
int ring_end_meet(struct ring_end *end);

/* What is left of telling once somebody called. */
void ring_end_answer(struct ring_end *end);

/* -ESTALE: somebody made a file of the channel shorter, and tong_guard_sigbus() has put zeros in its place; or why nobody
 * comes to the other side any more; else 0. */
int ring_end_cut(const struct ring_end *end);

static inline bool ring_end_is_cut(const struct ring_end *end)
{
    return atomic_load_explicit(&end->object.cut, memory_order_relaxed);
}

/* Takes the other side out of its sleep, or its event loop, if it is in one: after every publication.  ring_end_cut(). */
static inline int ring_end_tell(struct ring_end *end)
{
    shared_light_fence(end->fences);
    if (__builtin_expect(shared_calls(end->peer) != end->answered, 0))
        ring_end_answer(end);
    return __builtin_expect(ring_end_is_cut(end), 0) ? ring_end_cut(end) : 0;
}

/* Begins our bell. */
int ring_end_open_bell(struct ring_end *end);

/* Ends our own waits.  Async-signal-safe. */
void ring_end_disturb(const struct ring_end *end);

/* Whether the holder of that place of the other side died in the session `word`: 1, 0, or a negative errno. */
int ring_end_peer_died(const struct ring_end *end, unsigned place, uint64_t word);

/* Leaves, and removes the channel as `removal` (REMOVE_...) says.  A forked child only lets go. */
void ring_end_close(struct ring_end *end, int64_t removal, bool forked);

#endif
