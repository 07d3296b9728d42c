/* SPDX-License-Identifier: MIT */
/* file.h - objects that are files: memory in /dev/shm, named semaphores, memfds, and what processes map. */
#ifndef INSPECT_FILE_H
#define INSPECT_FILE_H

#include <sys/stat.h>

#include "inspect/graph.h"

#define FILE_SHM "/dev/shm/"

/* The kind of a regular file by its path as the kernel writes it; 0: one that only those may talk through who map it. */
uint32_t file_kind(const char *path);

/* The object, which is added if it is new. */
uint32_t file_object(struct tong_snapshot *graph, uint32_t kind, uint64_t device, uint64_t inode, bool *ret_new);

/* Fills in a new one.  `path` loses a " (deleted)" that the kernel wrote behind it.  No status: not known. */
void file_describe(struct tong_snapshot *graph, uint32_t object, const char *path, const struct stat *status,
                   const char *source);

/* The same of what the caller itself found under that name, so that it may be opened by it. */
void file_describe_named(struct tong_snapshot *graph, uint32_t object, const char *path, const struct stat *status,
                         const char *source);

#endif
