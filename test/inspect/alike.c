/* SPDX-License-Identifier: MIT */
#include "alike.h"

#include <stdbool.h>
#include <string.h>

#include "frame.h"
#include "inspect/graph.h"

static bool is_of(const tong_snapshot *snapshot, uint32_t process, const pid_t *pids, int count)
{
    for (int i = 0; i < count; i++)
        if (tong_snapshot_process(snapshot, process)->pid == pids[i])
            return true;
    return false;
}

static int64_t pid_of(const tong_snapshot *snapshot, uint32_t process)
{
    return tong_snapshot_process(snapshot, process)->pid;
}

static const char *key_of(const tong_snapshot *snapshot, uint32_t object)
{
    return object == TONG_NOBODY ? "" : tong_snapshot_object(snapshot, object)->key;
}

static uint32_t kind_of(const tong_snapshot *snapshot, uint32_t object)
{
    return object == TONG_NOBODY ? 0 : tong_snapshot_object(snapshot, object)->kind;
}

static const char *name_of(const tong_snapshot *snapshot, uint32_t object)
{
    return tong_kind_name(kind_of(snapshot, object));
}

static bool is_same_object(const tong_snapshot *one, uint32_t object, const tong_snapshot *other, uint32_t others)
{
    return kind_of(one, object) == kind_of(other, others) && !strcmp(key_of(one, object), key_of(other, others));
}

#define EQUAL(field, format)                                                                              \
    MUST(a->field == b->field, "%s [%s]: " #field " " format " and " format, kind, a->key, a->field, b->field)
#define SAME_TEXT(field)                                                                                  \
    MUST(!strcmp(a->field, b->field), "%s [%s]: " #field " '%s' and '%s'", kind, a->key, a->field, b->field)

static void compare_objects(const tong_snapshot *one, const tong_object *a, const tong_snapshot *other,
                            const tong_object *b)
{
    const char *kind = tong_kind_name(a->kind);
    const uint32_t flags = ~TONG_OBJECT_HIDDEN_ENDS;
    SAME_TEXT(name);
    SAME_TEXT(address);
    SAME_TEXT(detail);
    EQUAL(uid, "%u");
    EQUAL(gid, "%u");
    EQUAL(mode, "%o");
    EQUAL(depth, "%lu");
    EQUAL(capacity, "%lu");
    EQUAL(messages, "%lu");
    EQUAL(device, "%lu");
    EQUAL(inode, "%lu");
    EQUAL(namespace_inode, "%lu");
    MUST((a->flags & flags) == (b->flags & flags), "%s [%s]: flags %x and %x", kind, a->key, a->flags, b->flags);
    MUST(is_same_object(one, a->peer, other, b->peer), "%s [%s]: peer [%s] and [%s]", kind, a->key,
         key_of(one, a->peer), key_of(other, b->peer));
}

/* The end of the other look that is the same, or TONG_NOBODY. */
static uint32_t twin_of(const tong_snapshot *one, const tong_end *end, const tong_snapshot *other)
{
    for (uint32_t i = 0; i < tong_snapshot_ends(other); i++) {
        const tong_end *twin = tong_snapshot_end(other, i);
        if (twin->fd == end->fd && twin->flags == end->flags && twin->direction == end->direction &&
            twin->count == end->count && pid_of(other, twin->process) == pid_of(one, end->process) &&
            is_same_object(one, end->object, other, twin->object))
            return i;
    }
    return TONG_NOBODY;
}

/* What is one description for the one is one for the other. */
static void compare_descriptions(const tong_snapshot *one, uint32_t end, const tong_snapshot *other, uint32_t twin)
{
    const tong_end *a = tong_snapshot_end(one, end), *b = tong_snapshot_end(other, twin);
    for (uint32_t i = end + 1; i < tong_snapshot_ends(one) && tong_snapshot_end(one, i)->object == a->object; i++) {
        const tong_end *next = tong_snapshot_end(one, i);
        uint32_t number = twin_of(one, next, other);
        if (number == TONG_NOBODY || !next->description || !tong_snapshot_end(other, number)->description)
            continue;
        MUST((a->description == next->description) == (b->description == tong_snapshot_end(other, number)->description),
             "%s [%s]: one description for one look only", name_of(one, a->object), key_of(one, a->object));
    }
}

static int compare_ends(const tong_snapshot *one, const tong_snapshot *other, const pid_t *pids, int count)
{
    int ends = 0;
    for (uint32_t i = 0; i < tong_snapshot_ends(one); i++) {
        const tong_end *end = tong_snapshot_end(one, i);
        if (!is_of(one, end->process, pids, count))
            continue;
        uint32_t twin = twin_of(one, end, other);
        MUST(twin != TONG_NOBODY, "only by %s: %lld has %s [%s] %s at %d, direction %u, flags %x, %u times",
             tong_snapshot_tier(one), (long long)pid_of(one, end->process), name_of(one, end->object),
             key_of(one, end->object), tong_snapshot_object(one, end->object)->name, end->fd, end->direction,
             end->flags, end->count);
        compare_objects(one, tong_snapshot_object(one, end->object), other,
                        tong_snapshot_object(other, tong_snapshot_end(other, twin)->object));
        MUST(!end->description == !tong_snapshot_end(other, twin)->description,
             "%s [%s]: descriptor %d of %lld has a number for one look only", name_of(one, end->object),
             key_of(one, end->object), end->fd, (long long)pid_of(one, end->process));
        MUST(end->description <= tong_snapshot_ends(one) * 2 + 65536, "that is no number: %lx", end->description);
        compare_descriptions(one, i, other, twin);
        ends++;
    }
    return ends;
}

static int count_ends(const tong_snapshot *snapshot, const pid_t *pids, int count)
{
    int ends = 0;
    for (uint32_t i = 0; i < tong_snapshot_ends(snapshot); i++)
        ends += is_of(snapshot, tong_snapshot_end(snapshot, i)->process, pids, count);
    return ends;
}

static void compare_waits(const tong_snapshot *one, const tong_snapshot *other, const pid_t *pids, int count)
{
    uint32_t j = 0;
    for (uint32_t i = 0; i < tong_snapshot_waits(one); i++) {
        const tong_wait_seen *a = tong_snapshot_wait(one, i), *b;
        if (!is_of(one, a->process, pids, count))
            continue;
        while ((b = tong_snapshot_wait(other, j)) && !is_of(other, b->process, pids, count))
            j++;
        MUST(b && a->thread == b->thread && a->direction == b->direction && !strcmp(a->operation, b->operation) &&
             !strcmp(a->detail, b->detail) && is_same_object(one, a->object, other, b->object),
             "only by %s: thread %lld waits in %s for %s [%s] %s", tong_snapshot_tier(one), (long long)a->thread,
             a->operation, name_of(one, a->object), key_of(one, a->object), a->detail);
        j++;
    }
}

static void compare_watches(const tong_snapshot *one, const tong_snapshot *other, const pid_t *pids, int count)
{
    for (size_t i = 0; i < one->watches.count; i++) {
        const struct graph_watch *a = &graph_watches(one)[i];
        bool found = !is_of(one, a->process, pids, count);
        for (size_t j = 0; j < other->watches.count && !found; j++) {
            const struct graph_watch *b = &graph_watches(other)[j];
            found = a->fd == b->fd && a->events == b->events && a->inode == b->inode &&
                    is_same_object(one, a->set, other, b->set) && is_same_object(one, a->object, other, b->object);
        }
        MUST(found, "only by %s: set [%s] watches %d, events %x, %s [%s]", tong_snapshot_tier(one), key_of(one, a->set),
             a->fd, a->events, name_of(one, a->object), key_of(one, a->object));
    }
}

static void compare_processes(const tong_snapshot *one, const tong_snapshot *other, const pid_t *pids, int count)
{
    for (uint32_t i = 0; i < tong_snapshot_processes(one); i++) {
        const tong_process *a = tong_snapshot_process(one, i), *b = NULL;
        if (!is_of(one, i, pids, count))
            continue;
        for (uint32_t j = 0; j < tong_snapshot_processes(other) && (!b || b->pid != a->pid); j++)
            b = tong_snapshot_process(other, j);
        MUST(b && b->pid == a->pid && b->start_time == a->start_time && b->parent == a->parent && b->uid == a->uid &&
             b->gid == a->gid && b->inner_pid == a->inner_pid && b->flags == a->flags && !strcmp(b->name, a->name) &&
             !strcmp(b->command, a->command) && !memcmp(b->namespaces, a->namespaces, sizeof a->namespaces),
             "process %lld differs", (long long)a->pid);
        MUST(b->signals_pending == a->signals_pending && b->signals_blocked == a->signals_blocked &&
             b->signals_ignored == a->signals_ignored && b->signals_caught == a->signals_caught,
             "signals of process %lld differ", (long long)a->pid);
    }
}

void alike(const tong_snapshot *one, const tong_snapshot *other, const pid_t *pids, int count)
{
    compare_processes(one, other, pids, count);
    GIVES(compare_ends(one, other, pids, count), count_ends(other, pids, count));
    compare_watches(one, other, pids, count);
    compare_watches(other, one, pids, count);
    compare_waits(one, other, pids, count);
    compare_waits(other, one, pids, count);
}
