/* SPDX-License-Identifier: MIT */
/* descriptor.h - one descriptor of a process, as the probe of descriptors hands it to who knows its kind. */
#ifndef INSPECT_DESCRIPTOR_H
#define INSPECT_DESCRIPTOR_H

#include <sys/stat.h>

#include "inspect/probe.h"

#define DESCRIPTOR_TARGET 4200

struct descriptor {
    struct scan *scan;
    uint32_t process;
    int64_t pid;
    int directory;       /* /proc/PID/fd */
    const char *name;    /* of the link */
    int fd;
    char target[DESCRIPTOR_TARGET];
};

/* An end of this descriptor.  The direction is what it was opened for; what is always open for both needs no call. */
void descriptor_add_both(const struct descriptor *descriptor, uint32_t object); /* a socket has no other mode */
void descriptor_add_end(const struct descriptor *descriptor, uint32_t object, uint32_t flags);

/* Reads the descriptor's fdinfo into proc.buffer; what stands behind "name:" in it, or NULL. */
ssize_t descriptor_read(const struct descriptor *descriptor);
const char *descriptor_field(const struct descriptor *descriptor, const char *name);

/* anonymous.c: what has no file.  watched: resolves what the sets of a process watch, once its descriptors are ends. */
void descriptor_add_eventfd(const struct descriptor *descriptor);
void descriptor_add_epoll(const struct descriptor *descriptor);
void descriptor_watched(struct tong_snapshot *graph, uint32_t process, size_t first_end, size_t first_watch);

/* terminal.c: whether that file is a pseudoterminal's, of either side; and its end. */
bool descriptor_is_terminal(const struct stat *status);
void descriptor_add_terminal(const struct descriptor *descriptor, const struct stat *status);

#endif
