/* SPDX-License-Identifier: MIT */
/* object.h - the four files of a ring that has a name: making, finding, checking, mapping, removing. */
#ifndef RING_OBJECT_H
#define RING_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/layout.h"
#include "core/address.h"

#define RING_PATH_MAX 4096 /* PATH_MAX */
#define RING_SIDE_MAX (sizeof ".0123456789abcdef.receive" - 1) /* what a side file's name has more */

/* Where a mechanism keeps such files: all in which its channels differ from another's. */
struct ring_home {
    const char *scheme;
    /* Checks `name` and says where the senders' segment lies: at most RING_PATH_MAX - 1 - RING_SIDE_MAX bytes. */
    int (*path)(const char *name, char ret[RING_PATH_MAX]);
    const char *removers;              /* who may have taken a name away, in words */
};

struct ring_object {
    const struct ring_home *home;
    char path[RING_PATH_MAX];           /* of the senders' segment: the name of the channel */
    struct layout_shape shape;
    dev_t device;
    ino_t inode;
    bool created;                      /* by this very open */
    int senders_fd, receivers_fd;      /* our own side's is open for writing */
    int bell_fd, room_fd;              /* FIFOs of the first places: "there are messages", "there is room" */
    struct layout_control *senders;
    struct layout_receivers *receivers; /* NULL: readonly=yes */
    _Atomic bool cut;                   /* somebody made a file shorter, and zeros are mapped in its place */
    unsigned char *lane[LAYOUT_PLACES]; /* mapped twice in a row; NULL: not yet */
};

/*
 * Opens, and if need be and `address` allows makes, the channel `name` for a sender or a receiver: its own side
 * mapped for writing, the other one for reading.  Everything is checked.  On failure nothing is left.
 */
int ring_object_open(const struct ring_home *home, const struct address *address, const char *name, bool sender,
                     struct ring_object *ret);

/* Maps a lane, if it is not. */
int ring_object_map_lane(struct ring_object *object, unsigned lane, bool writes);

/* Gives a lane its memory.  -ENOSPC. */
int ring_object_allocate_lane(const struct ring_object *object, unsigned lane);

/* A descriptor of the FIFO of that place of a side, which is not the first; and the same for its owner, who makes it. */
int ring_object_open_fifo(const struct ring_object *object, bool sender, unsigned place);
int ring_object_make_fifo(const struct ring_object *object, bool sender, unsigned place);

/* Unmaps and closes. */
void ring_object_close(struct ring_object *object);

/* Whether the name still leads to this object: 1, 0, or a negative errno. */
int ring_object_named(const struct ring_object *object);

/* Removes the names of the channel; refuses what is not one. */
int ring_object_remove(const struct ring_home *home, const char *name);

/* The same for an open one, if the name still leads to it. */
int ring_object_remove_ours(const struct ring_object *object);

/* The same, if besides nobody holds a place in it; -EBUSY otherwise. */
int ring_object_remove_unused(const struct ring_object *object);

#endif
