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

/* The same without a name: memory that is there until its last descriptor and mapping are gone, option size, sealed so
 * that nobody who gets the descriptor can change its size.  `label` shows in /proc/PID/maps. */
int mapped_open_nameless(const struct open_request *request, const char *object, const char *label, struct mapped **ret);

/* Members of facets. */
int mapped_lock(struct region *region, int64_t deadline);
int mapped_unlock(struct region *region);
int mapped_sync(struct region *region, size_t offset, size_t size);
int mapped_descriptor(struct region *region);
int mapped_describe(struct region *region, tong_region_info *ret);
int mapped_close(struct region *region, bool forked);

/* Bytes of the region's pages that are in memory at this moment, mincore(2); TONG_UNKNOWN. */
uint64_t mapped_resident(const struct region *region);

#endif
