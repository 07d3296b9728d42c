/* SPDX-License-Identifier: MIT */
/* object.h - the files of a ring: making, finding, checking, mapping, removing. */
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

struct ring_home;
struct ring_object;
struct ring_delivery;

/* How a ring's files come to be there: found by name (object.c), or handed over by who is at the other end (private.c). */
struct ring_objects {
    /* Opens, and if need be and `address` allows makes, the channel `name` for a sender or a receiver: its own side
     * mapped for writing, the other one for reading.  Everything is checked.  On failure nothing is left. */
    int (*open)(const struct ring_home *, const struct address *, const char *name, bool sender, struct ring_object *ret);
    /* Whether the name still leads to this object: 1, 0, or a negative errno. */
    int (*named)(const struct ring_object *);
    /* The FIFO of that place of a side, which is not the first; and the same for its owner, who makes it. */
    int (*open_fifo)(const struct ring_object *, bool sender, unsigned place);
    int (*make_fifo)(const struct ring_object *, bool sender, unsigned place);
    /* What one who waits is told if nobody holds a place at the other side: 0 if somebody may still come. */
    int (*gone)(const struct ring_object *, bool sender);
    /* Why `cut` was set. */
    int (*cut)(const struct ring_object *, bool sender);
    /* Looks, without waiting, whether the other side has come: 1 its segment is mapped from now on, 0, or why it never
     * will be.  Called while meeting_fd is not -1. */
    int (*meet)(struct ring_object *, bool sender);
    /* Removes the names of the channel, if they still lead to it: always; or if nobody holds a place in it, else -EBUSY. */
    int (*remove_ours)(const struct ring_object *);
    int (*remove_unused)(const struct ring_object *);
};
extern const struct ring_objects ring_objects_named;

/* Where a mechanism keeps such files: all in which its channels differ from another's. */
struct ring_home {
    const struct ring_objects *objects;
    const struct ring_delivery *delivery; /* NULL: the object says which */
    const char *scheme;
    /* Checks `name` and says where the senders' segment lies: at most RING_PATH_MAX - 1 - RING_SIDE_MAX bytes. */
    int (*path)(const char *name, char ret[RING_PATH_MAX]);
    const char *removers;              /* who may have taken a name away, in words */
    bool in_memory;                    /* the file system has no disk that would have to write what was not used */
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
    int meeting_fd;                    /* readable when the other side may have come; -1: it is there.  Not owned */
    struct layout_control *senders;
    struct layout_receivers *receivers; /* NULL: readonly=yes */
    const struct layout_control *quick; /* the other side's first page again, for sleep.c alone; NULL: not to be had */
    _Atomic bool cut;                   /* somebody made a file shorter, and zeros are mapped in its place */
    unsigned char *lane[LAYOUT_PLACES]; /* mapped twice in a row; NULL: not yet */
};

/* The capacity that a channel gets which is asked for that many bytes. */
uint64_t ring_shape_rounded(uint64_t capacity);

/* What `address` asks a channel at `path` to be made with, but for its id; or words why there is no such channel (shape.c). */
int ring_shape_asked(const char *path, const struct address *address, struct layout_shape *ret);

/* Whether that header says so.  What `address` asks of one that was made: what was made cannot be had otherwise. */
bool ring_shape_is(const struct layout_header *header, const struct layout_shape *shape);
int ring_shape_check(const char *path, const struct layout_shape *shape, const struct address *address);

/* Maps a lane, if it is not. */
int ring_object_map_lane(struct ring_object *object, unsigned lane, bool writes);

/* Spares a sender the page faults of its first lap, where that costs no more than they would. */
void ring_object_populate_lane(const struct ring_object *object, unsigned lane);

/* Gives a lane its memory.  -ENOSPC. */
int ring_object_allocate_lane(const struct ring_object *object, unsigned lane);

/* Nothing is open. */
extern const struct ring_object ring_object_closed;

/* Unmaps and closes. */
void ring_object_close(struct ring_object *object);

/* Removes the names of the channel; refuses what is not one. */
int ring_object_remove(const struct ring_home *home, const char *name);

/*
 * Removes the channel at a path if it still is that file and everybody in it is dead, and nobody can come to it meanwhile.
 * `take_name` takes its name away while all places are held, or says why it must stay.  -EBUSY: somebody has a place;
 * -ESTALE: it is another, or gone.
 */
int ring_object_remove_dead(const char *path, uint64_t id, uint64_t device, uint64_t inode,
                            int (*take_name)(const void *context), const void *context);

#endif
