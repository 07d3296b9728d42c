/* SPDX-License-Identifier: MIT */
/*
 * local_name.h - names of sockets of this machine: a path, or an abstract name that begins with '@'.
 *
 * A path stays behind when who bound it dies.  Connecting tells a dead one (-ECONNREFUSED) from a living one; it is taken
 * over under flock(2) on the directory, so that two newcomers do not undo one another.
 */
#ifndef CORE_LOCAL_NAME_H
#define CORE_LOCAL_NAME_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/address.h"

struct local_name {
    struct sockaddr_un address;
    socklen_t size;
    bool abstract;
};

/* The name of an address: one, not empty, of at most 107 bytes.  -EINVAL, -ENAMETOOLONG. */
int local_name_make(const struct address *address, struct local_name *ret);

static inline const struct sockaddr *local_name_raw(const struct local_name *name)
{
    return (const struct sockaddr *)&name->address;
}

/* -EEXIST in words if what stands at the path is not a socket (a link is none), else `otherwise`. */
int local_name_foreign(const char *path, int otherwise);

/* Whether nobody lives behind a socket's path.  Who does is not disturbed. */
bool local_name_is_stale(const struct local_name *name);

/* Binds `fd` to a path where a socket stands, if nobody lives behind that.  -EADDRINUSE: somebody does; -EBUSY: another
 * process keeps the lock of the directory.  Only some failures have words. */
int local_name_take_over(int fd, const struct local_name *name);

/* Removes the path; for a mechanism's row. */
int local_name_remove(const struct address *address);

#endif
