/* SPDX-License-Identifier: MIT */
/* descriptor.h - one descriptor of a process, as the probe of descriptors hands it to who knows its kind. */
#ifndef INSPECT_DESCRIPTOR_H
#define INSPECT_DESCRIPTOR_H

#include <sys/stat.h>

#include "inspect/probe.h"

#define DESCRIPTOR_TARGET 4200

struct known; /* kernel_descriptor.c: what an open file description was found to lead to */
struct file_seen;

struct descriptor {
    struct scan *scan;
    uint32_t process;
    int64_t pid;
    int directory;       /* /proc/PID/fd */
    const char *name;    /* of the link */
    int fd;
    char target[DESCRIPTOR_TARGET];
    const struct file_seen *seen; /* bpf/look.h: what the kernel's programs tell of it; NULL: nothing */
    struct known *known;          /* to be filled in; NULL: nobody asks */
};

/* An end of this descriptor.  The direction is what it was opened for; what is always open for both needs no call. */
void descriptor_add_both(const struct descriptor *descriptor, uint32_t object); /* a socket has no other mode */
void descriptor_add_end(const struct descriptor *descriptor, uint32_t object, uint32_t flags);

/* Its open file description, as an address of the kernel's until numbers are given; 0: not known. */
uint64_t descriptor_description(const struct descriptor *descriptor);
/* What was found of it, for the next descriptor of the same description. */
void descriptor_remember(const struct descriptor *descriptor, uint32_t object, uint32_t flags);

/* Asks /proc what the link of that name leads to, and adds it; -ENOENT: it is gone; -EACCES, -EPERM, or what ends the
 * scan. */
int descriptor_ask(struct descriptor *descriptor, const char *name);
/* A pipe, a socket: by inode. */
void descriptor_add_pipe(const struct descriptor *descriptor, const char *inode);
void descriptor_add_socket(const struct descriptor *descriptor, const char *inode);

/* Reads the descriptor's fdinfo into proc.buffer; what stands behind "name:" in it, or NULL. */
ssize_t descriptor_read(const struct descriptor *descriptor);
const char *descriptor_field(const struct descriptor *descriptor, const char *name);

/* anonymous.c: what has no file.  set: the epoll set that the descriptor is the first to lead to.  watched: resolves what the sets of a process watch, once its descriptors are ends. */
void descriptor_add_eventfd(const struct descriptor *descriptor);
void descriptor_add_epoll(const struct descriptor *descriptor);
void descriptor_add_counter(const struct descriptor *descriptor, unsigned long id, uint64_t value);
uint32_t descriptor_set(const struct descriptor *descriptor, bool *ret_new);
void descriptor_read_watches(const struct descriptor *descriptor, uint32_t set);
uint32_t descriptor_object_of_inode(const struct tong_snapshot *graph, uint64_t inode);
void descriptor_watched(struct tong_snapshot *graph, uint32_t process, size_t first_end, size_t first_watch);

/* terminal.c: whether that file is a pseudoterminal's, of either side; and its end. */
bool descriptor_is_terminal(const struct stat *status);
void descriptor_add_terminal(const struct descriptor *descriptor, const struct stat *status);

#endif
