/* SPDX-License-Identifier: MIT */
#include "ring/side.h"

#include <stdio.h>

#include "base/detail.h"
#include "sys/sys.h"

const char *const ring_sides[RING_SIDES] = { "receive", "bell", "room" };

void ring_side_path(const char *path, uint64_t id, const char *side, char ret[RING_PATH_MAX])
{
    snprintf(ret, RING_PATH_MAX, "%.*s.%016llx.%.7s", (int)(RING_PATH_MAX - 1 - RING_SIDE_MAX), path,
             (unsigned long long)id, side);
}

void ring_place_path(const char *path, uint64_t id, bool sender, unsigned place, char ret[RING_PATH_MAX])
{
    char name[16];
    snprintf(name, sizeof name, "%s.%u", sender ? "room" : "bell", place);
    ring_side_path(path, id, name, ret);
}

void ring_unlink_sides(const char *path, uint64_t id)
{
    char side[RING_PATH_MAX];
    for (size_t i = 0; i < RING_SIDES; i++) {
        ring_side_path(path, id, ring_sides[i], side);
        sys_unlink(side);
    }
    for (unsigned place = 1; place < LAYOUT_PLACES; place++) {
        ring_place_path(path, id, true, place, side);
        sys_unlink(side);
        ring_place_path(path, id, false, place, side);
        sys_unlink(side);
    }
}

int ring_unlink_channel(const char *path, uint64_t id)
{
    int r = sys_unlink(path);
    if (r < 0)
        return fail_call(r, "unlink(%s)", path);
    ring_unlink_sides(path, id);
    return 0;
}
