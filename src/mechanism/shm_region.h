/* SPDX-License-Identifier: MIT */
/* shm_region.h - the regions, and the locks, of shm:. */
#ifndef MECHANISM_SHM_REGION_H
#define MECHANISM_SHM_REGION_H

#include <stdbool.h>

struct region_facet;
struct lock_facet;

extern const struct region_facet shm_region;
extern const struct lock_facet shm_lock;

/* Whether something stands under the region's name. */
bool shm_region_named(const char *name);

/* Removes the region's name.  -ENOENT, -EEXIST. */
int shm_region_remove(const char *name);

#endif
