/* SPDX-License-Identifier: MIT */
/*
 * file_lock.h - an exclusive lock on a regular file, flock(2): the kernel takes it back when its holder dies, and
 * flock(1) and whoever else uses flock(2) on that file take turns with us.
 */
#ifndef CORE_FILE_LOCK_H
#define CORE_FILE_LOCK_H

#include <stdint.h>

#include "core/mechanism.h"
#include "core/named_file.h"

/* Belongs to one owner, who lets no two threads in at a time; FILE_LOCK_INIT(fd) before use. */
struct file_lock {
    struct file_lock *next, **link; /* in the list of those that are open, which the fork handlers guard */
    int object_fd;                  /* the file, on any description; the owner's */
    int fd;                         /* a description of the lock's own; -1 until the first take, and again in a child */
};

#define FILE_LOCK_INIT(file) { NULL, NULL, file, -1 }

/* Waits until `deadline`.  -EAGAIN, -ETIMEDOUT, -EINTR; `object` is for words. */
int file_lock_take(struct file_lock *lock, const char *object, int64_t deadline);
int file_lock_release(struct file_lock *lock, const char *object);

/* Gives it back if it is held; the object's descriptor stays the owner's. */
void file_lock_close(struct file_lock *lock);

/* Which process took the lock on `fd`'s file, as /proc/locks says; source NONE: nobody who can be seen from here. */
void file_lock_holder(int fd, tong_identity *ret);

/*
 * The lock noun for mechanisms whose objects are files: lock_file_open() opens the one at `where` (its object, path and
 * own), or makes an empty one, as the options create and mode of the request's address say.  The others are members of a
 * facet.
 */
int lock_file_open(const struct open_request *request, const struct named_file *where, struct lock **ret);
int lock_file_take(struct lock *lock, int64_t deadline);
int lock_file_release(struct lock *lock);
int lock_file_descriptor(struct lock *lock);
int lock_file_close(struct lock *lock, bool forked);

#endif
