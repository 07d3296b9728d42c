/* SPDX-License-Identifier: MIT */
/* side.h - the files beside that of a channel, which have its name, its id, and what they are for. */
#ifndef RING_SIDE_H
#define RING_SIDE_H

#include "ring/object.h"

/* The receivers' segment, and then FIFOs. */
#define RING_SIDES 3
extern const char *const ring_sides[RING_SIDES];

void ring_side_path(const char *path, uint64_t id, const char *side, char ret[RING_PATH_MAX]);
/* The FIFO of a place that is not the first. */
void ring_place_path(const char *path, uint64_t id, bool sender, unsigned place, char ret[RING_PATH_MAX]);

/* Those that are there. */
void ring_unlink_sides(const char *path, uint64_t id);
/* The channel's own name first: whoever finds it finds everything. */
int ring_unlink_channel(const char *path, uint64_t id);

#endif
