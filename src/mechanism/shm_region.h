/* SPDX-License-Identifier: MIT */
/* shm_region.h - the regions, and the locks, of shm:. */
#ifndef MECHANISM_SHM_REGION_H
#define MECHANISM_SHM_REGION_H

#include <stdbool.h>

#define SHM_DIRECTORY "/dev/shm"
#define SHM_NAME_MAX 200

struct region_facet;
struct lock_facet;

extern const struct region_facet shm_region;
extern const struct lock_facet shm_lock;

/* What a name must be, of a channel (shm.c) or a region. */
int shm_check_name(const char *name);

/* Whether something stands under the region's name. */
bool shm_region_named(const char *name);

/* Removes the region's name.  -ENOENT, -EEXIST. */
int shm_region_remove(const char *name);

#endif
