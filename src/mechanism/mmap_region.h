/* SPDX-License-Identifier: MIT */
/* mmap_region.h - the regions, and the locks, of mmap:. */
#ifndef MECHANISM_MMAP_REGION_H
#define MECHANISM_MMAP_REGION_H

struct region_facet;
struct lock_facet;

extern const struct region_facet mmap_region;
extern const struct lock_facet mmap_lock;

#endif
