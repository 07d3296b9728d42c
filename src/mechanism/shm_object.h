/* SPDX-License-Identifier: MIT */
/* shm_object.h - the four files of a shared-memory channel: making, finding, checking, mapping, removing. */
#ifndef MECHANISM_SHM_OBJECT_H
#define MECHANISM_SHM_OBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/layout.h"
#include "core/address.h"

#define SHM_DIRECTORY "/dev/shm"
#define SHM_NAME_MAX 200
#define SHM_PATH_MAX (sizeof SHM_DIRECTORY "/tong." + SHM_NAME_MAX + sizeof ".0123456789abcdef.receive")

struct shm_object {
    char path[SHM_PATH_MAX];           /* of the senders' segment: the name of the channel */
    uint64_t id, capacity;
    dev_t device;
    ino_t inode;
    bool created;                      /* by this very open */
    int senders_fd, receivers_fd;      /* our own side's is open for writing */
    int bell_fd, room_fd;              /* FIFOs: "there are messages", "there is room" */
    struct layout_control *senders;    /* with the ring behind it */
    struct layout_control *receivers;
    unsigned char *data;
};

/*
 * Opens, and if need be and `address` allows makes, the channel `name` for a sender or a receiver: its own side
 * mapped for writing, the other one for reading.  Everything is checked.  On failure nothing is left.
 */
int shm_object_open(const struct address *address, const char *name, bool sender, struct shm_object *ret);

/* What a name must not be, here and in shm_region.c. */
int shm_check_name(const char *name);

/* Unmaps and closes. */
void shm_object_close(struct shm_object *object);

/* Whether the name still leads to this object: 1, 0, or a negative errno. */
int shm_object_named(const struct shm_object *object);

/* Whether something stands under the channel's name. */
bool shm_object_exists(const char *name);

/* Removes the names of the channel; refuses what is not one. */
int shm_object_remove(const char *name);

/* The same for an open one, if the name still leads to it. */
int shm_object_remove_ours(const struct shm_object *object);

/* The same, if besides nobody holds a place in it; -EBUSY otherwise. */
int shm_object_remove_unused(const struct shm_object *object);

#endif
