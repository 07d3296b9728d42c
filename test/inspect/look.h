/* SPDX-License-Identifier: MIT */
/* look.h - taking a snapshot in a test, and finding in it what the test made. */
#ifndef TEST_INSPECT_LOOK_H
#define TEST_INSPECT_LOOK_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <tong/inspect.h>
#include <tong/tong.h>

#include "frame.h"

/* Every test runs twice: as it comes, and with LOOK_PLAINLY in its environment, by /proc alone. */
static inline tong_look look_asked(uint32_t flags)
{
    tong_look asked = TONG_LOOK_INIT;
    asked.flags = flags | (getenv("LOOK_PLAINLY") ? TONG_LOOK_PLAINLY : 0);
    return asked;
}

static inline tong_snapshot *look_for(uint32_t flags)
{
    tong_snapshot *snapshot = NULL;
    const tong_look asked = look_asked(flags);
    OK(tong_snapshot_take(&asked, &snapshot));
    return snapshot;
}

static inline tong_snapshot *look(void)
{
    return look_for(TONG_LOOK_ALL);
}

static inline uint32_t gap_count(const tong_snapshot *snapshot, const char *what)
{
    const tong_gap *gap;
    uint32_t count = 0;
    for (size_t i = 0; (gap = tong_snapshot_gap(snapshot, i)); i++)
        count += strcmp(gap->what, what) ? 0 : gap->count;
    return count;
}

static inline bool is_by_kernel(const tong_snapshot *snapshot)
{
    return !strcmp(tong_snapshot_tier(snapshot), "bpf");
}

/* Whether a look uses BPF here. */
static inline bool look_is_by_kernel(void)
{
    tong_snapshot *snapshot = look_for(0);
    bool by_kernel = is_by_kernel(snapshot);
    tong_snapshot_free(snapshot);
    return by_kernel;
}

/* The object of that kind and name; NULL: there is none. */
static inline const tong_object *seen(const tong_snapshot *snapshot, uint32_t kind, const char *name, size_t *ret_number)
{
    for (size_t i = 0; i < tong_snapshot_objects(snapshot); i++) {
        const tong_object *object = tong_snapshot_object(snapshot, i);
        if (object->kind == kind && !strcmp(object->name, name)) {
            *ret_number = i;
            return object;
        }
    }
    return NULL;
}

static inline const tong_object *see(const tong_snapshot *snapshot, uint32_t kind, const char *name, size_t *ret_number)
{
    const tong_object *object = seen(snapshot, kind, name, ret_number);
    MUST(object, "no %s is called %s", tong_kind_name(kind), name);
    return object;
}

/* The only end that process `pid` has at an object, with these flags; NULL: it has none. */
static inline const tong_end *end_of(const tong_snapshot *snapshot, size_t object, int64_t pid, uint32_t flags)
{
    const tong_end *found = NULL;
    size_t first, count = tong_snapshot_ends_of(snapshot, object, &first);
    for (size_t i = first; i < first + count; i++) {
        const tong_end *end = tong_snapshot_end(snapshot, i);
        if (tong_snapshot_process(snapshot, end->process)->pid != pid || (end->flags & flags) != flags)
            continue;
        MUST(!found, "process %lld has two ends", (long long)pid);
        found = end;
    }
    return found;
}

/* The object that a descriptor of process `pid` leads to. */
static inline const tong_object *behind(const tong_snapshot *snapshot, int64_t pid, int fd, size_t *ret_number)
{
    for (size_t i = 0; i < tong_snapshot_ends(snapshot); i++) {
        const tong_end *end = tong_snapshot_end(snapshot, i);
        if (end->fd != fd || tong_snapshot_process(snapshot, end->process)->pid != pid)
            continue;
        *ret_number = end->object;
        return tong_snapshot_object(snapshot, end->object);
    }
    MUST(false, "descriptor %d of process %lld leads to nothing", fd, (long long)pid);
    return NULL;
}

#endif
