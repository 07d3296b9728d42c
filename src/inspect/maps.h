/* SPDX-License-Identifier: MIT */
/* maps.h - shared mappings become ends here (probe_maps.c), whoever told of them. */
#ifndef INSPECT_MAPS_H
#define INSPECT_MAPS_H

#include "inspect/areas.h"
#include "inspect/probe.h"

struct maps_scan {
    struct scan *scan;
    uint32_t process;        /* whose mappings are added */
    int directory;           /* /proc/PID, or /proc itself */
    const char *prefix;      /* "" or "PID/": where map_files lies from there */
    struct mapping *list;    /* of files that may be objects */
    size_t count, room;
    uint32_t *attachments;   /* seen of each object, as far as there were objects when the scan began */
    size_t objects;
};

int maps_begin(struct maps_scan *maps, struct scan *scan);
int maps_add(struct maps_scan *maps, const struct area *area);
/* Once all of them are added; r: what ended it before, which is returned. */
int maps_end(struct maps_scan *maps, int r);

#endif
