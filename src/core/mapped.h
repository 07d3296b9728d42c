/* SPDX-License-Identifier: MIT */
/* mapped.h - regions that are mapped files, with or without a name: what shm:, mmap:, memfd: and fd: have in common. */
#ifndef CORE_MAPPED_H
#define CORE_MAPPED_H

#include "core/file_lock.h"
#include "core/made_name.h"
#include "core/mechanism.h"
#include "core/named_file.h"

struct mapped {
    struct region base;
    int fd;
    bool lent;                   /* fd stays open when the region is closed */
    struct made_name made;       /* what closing removes; path NULL: nothing */
    struct file_lock lock;
};

/*
 * The region whose file is `fd`: all of it mapped, as the request's flags say.  Takes `fd` over, also when it fails,
 * but for an `fd` that is `lent`.  -ENOMEM, -EFBIG, and what mmap(2) says.
 */
int mapped_new(const struct open_request *request, const char *object, int fd, bool lent, struct mapped **ret);

/* The same by name: opens `file`, or makes it, or gives it its size if it is empty, as the options create, size, mode and
 * remove of the request's address say. */
int mapped_open_named(const struct open_request *request, const struct named_file *file, struct region **ret);

/* What `size=` asked must be there. */
int mapped_check_size(const struct address *address, const char *object, uint64_t size);

/* Members of facets. */
int mapped_lock(struct region *region, int64_t deadline);
int mapped_unlock(struct region *region);
int mapped_sync(struct region *region, size_t offset, size_t size);
int mapped_descriptor(struct region *region);
int mapped_describe(struct region *region, tong_region_info *ret);
int mapped_close(struct region *region, bool forked);

/* Counts what lies in memory of the region, in bytes, mincore(2); TONG_UNKNOWN. */
uint64_t mapped_resident(const struct region *region);

#endif
