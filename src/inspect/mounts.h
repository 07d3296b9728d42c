/* SPDX-License-Identifier: MIT */
/* mounts.h - lines of /proc/PID/mountinfo: to ask a file system what it is could mean waiting for its server. */
#ifndef INSPECT_MOUNTS_H
#define INSPECT_MOUNTS_H

#include <limits.h>
#include <stdint.h>

/* Who brings what is in a file: a server, perhaps; the layers of an overlay, of which nobody says where they are; a disk
 * of this machine; nobody, it is memory. */
enum where { ELSEWHERE, LAYERED, LOCAL, MEMORY };

struct mount {
    uint64_t device;
    enum where where;
    char point[PATH_MAX]; /* from the root of that process, without "/" behind it: of the root itself "" */
};

/* Of a line that cannot be read: -EINVAL. */
int mounts_parse(const char *line, struct mount *ret);

#endif
