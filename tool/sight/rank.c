/* SPDX-License-Identifier: MIT */
#include "sight/rank.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sight/identity.h"

/* ---- By how much depths differ ---------------------------------------------------------------------------- */

struct depth {
    uint64_t hash, bytes;
};

static int compare_depths(const void *a, const void *b)
{
    const struct depth *left = a, *right = b;
    return left->hash < right->hash ? -1 : left->hash > right->hash;
}

/* Bytes; messages, of a counter its value, where bytes are not known. */
static uint64_t depth_of(const tong_object *object)
{
    return object->depth != TONG_UNKNOWN ? object->depth : object->messages;
}

/* Depths of a snapshot, by hash; NULL: no memory. */
static struct depth *list_depths(const tong_snapshot *snapshot)
{
    size_t count = tong_snapshot_objects(snapshot);
    struct depth *depths = calloc(count + 1, sizeof *depths);
    for (size_t i = 0; depths && i < count; i++) {
        const tong_object *object = tong_snapshot_object(snapshot, i);
        depths[i] = (struct depth){ identity_of_object(object), depth_of(object) };
    }
    if (depths)
        qsort(depths, count, sizeof *depths, compare_depths);
    return depths;
}

static uint64_t difference(const struct depth *depths, size_t count, const tong_object *object)
{
    const struct depth wanted = { identity_of_object(object), 0 };
    const struct depth *then = bsearch(&wanted, depths, count, sizeof *depths, compare_depths);
    uint64_t now = depth_of(object);
    if (!then || then->bytes == TONG_UNKNOWN || now == TONG_UNKNOWN)
        return 0;
    return now > then->bytes ? now - then->bytes : then->bytes - now;
}

static int count_rates(const tong_snapshot *before, struct ranking *ranking)
{
    struct depth *depths = list_depths(before);
    int64_t passed = tong_snapshot_time(ranking->snapshot, NULL) - tong_snapshot_time(before, NULL);
    size_t count = tong_snapshot_objects(before);
    for (size_t i = 0; depths && passed > 0 && i < ranking->channel_count; i++) {
        const tong_object *object = tong_snapshot_object(ranking->snapshot, i);
        ranking->channels[i].rate = (double)difference(depths, count, object) * TONG_SECOND / (double)passed;
    }
    free(depths);
    return depths ? 0 : -ENOMEM;
}

/* ---- Counting, while each row is still at the place of its thing ------------------------------------------ */

/* Ends are ordered by object and then process. */
static void count_ends(struct ranking *ranking)
{
    const tong_end *end, *last = NULL;
    for (size_t i = 0; (end = tong_snapshot_end(ranking->snapshot, i)); i++, last = end) {
        struct rank_row *channel = &ranking->channels[end->object], *process = &ranking->processes[end->process];
        channel->ends++;
        if (last && last->object == end->object && last->process == end->process)
            continue;
        process->ends++;
        process->rate += channel->rate;
    }
}

/* A thread that polls waits for several objects, and is one. */
static void count_waits(struct ranking *ranking)
{
    const tong_wait_seen *wait;
    int64_t last = 0;
    for (size_t i = 0; (wait = tong_snapshot_wait(ranking->snapshot, i)); i++) {
        struct rank_row *process = &ranking->processes[wait->process];
        process->waits += wait->thread != last;
        last = wait->thread;
        if (wait->object != TONG_NOBODY)
            ranking->channels[wait->object].waits++;
    }
}

static void mark(struct ranking *ranking, const tong_wait_seen *wait, bool sure)
{
    struct rank_row *rows[] = {
        &ranking->processes[wait->process], wait->object == TONG_NOBODY ? NULL : &ranking->channels[wait->object],
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows && rows[i]; i++) {
        rows[i]->stuck |= sure;
        rows[i]->perhaps |= !sure;
    }
}

static bool is_stuck(const tong_finding *finding)
{
    return finding->kind == TONG_FINDING_STUCK || finding->kind == TONG_FINDING_UNSURE;
}

/* Only what a finding says: of many a wait nobody knows who can end it, and nothing is wrong with it. */
static void count_stuck(struct ranking *ranking)
{
    const tong_finding *finding;
    for (size_t i = 0; (finding = tong_snapshot_finding(ranking->snapshot, i)); i++)
        for (uint32_t k = 0; k < finding->waits && is_stuck(finding); k++)
            mark(ranking, tong_snapshot_wait(ranking->snapshot, tong_snapshot_stuck(ranking->snapshot, finding->first_wait + k)),
                 finding->kind == TONG_FINDING_STUCK);
}

static void count_wrong(struct ranking *ranking)
{
    for (size_t i = 0; i < ranking->channel_count; i++)
        ranking->full += ranking->channels[i].full;
    for (size_t i = 0; i < ranking->process_count; i++) {
        ranking->stuck += ranking->processes[i].stuck;
        ranking->perhaps += ranking->processes[i].perhaps && !ranking->processes[i].stuck;
    }
}

static void drop_lonely(struct ranking *ranking)
{
    size_t kept = 0;
    for (size_t i = 0; i < ranking->process_count; i++)
        if (ranking->processes[i].ends || ranking->processes[i].stuck || ranking->processes[i].perhaps)
            ranking->processes[kept++] = ranking->processes[i];
    ranking->process_count = kept;
}

int rank_make(const tong_snapshot *before, const tong_snapshot *now, struct ranking *ret)
{
    *ret = (struct ranking){ .snapshot = now, .channel_count = tong_snapshot_objects(now),
                             .process_count = tong_snapshot_processes(now) };
    ret->channels = calloc(ret->channel_count + 1, sizeof *ret->channels);
    ret->processes = calloc(ret->process_count + 1, sizeof *ret->processes);
    if (!ret->channels || !ret->processes)
        return -ENOMEM;
    for (uint32_t i = 0; i < ret->channel_count; i++) {
        ret->channels[i].place = i;
        ret->channels[i].full = tong_snapshot_object(now, i)->flags & TONG_OBJECT_FULL;
    }
    for (uint32_t i = 0; i < ret->process_count; i++)
        ret->processes[i].place = i;
    int r = before ? count_rates(before, ret) : 0;
    count_ends(ret);
    count_waits(ret);
    count_stuck(ret);
    count_wrong(ret);
    drop_lonely(ret);
    return r;
}

/* ---- Order ------------------------------------------------------------------------------------------------ */

struct ordering {
    const tong_snapshot *snapshot;
    enum rank_order order;
    bool processes;
};

static const char *name_of(const struct ordering *ordering, const struct rank_row *row)
{
    if (ordering->processes)
        return tong_snapshot_process(ordering->snapshot, row->place)->name;
    const tong_object *object = tong_snapshot_object(ordering->snapshot, row->place);
    return *object->name ? object->name : object->key;
}

static double weight(const struct rank_row *row, enum rank_order order)
{
    const double weights[] = {
        [RANK_RATE] = row->rate, [RANK_WAITS] = row->waits, [RANK_ENDS] = row->ends, [RANK_NAME] = 0,
    };
    return weights[order];
}

static int wrong(const struct rank_row *row)
{
    return 4 * row->stuck + 2 * row->perhaps + row->full;
}

/* By the order asked for, and where that says nothing by the others. */
static int compare_rows(const void *a, const void *b, void *context)
{
    const struct ordering *ordering = context;
    const struct rank_row *left = a, *right = b;
    if (wrong(left) != wrong(right))
        return wrong(right) - wrong(left);
    const enum rank_order orders[] = { ordering->order, RANK_RATE, RANK_WAITS, RANK_ENDS };
    for (size_t i = 0; i < sizeof orders / sizeof *orders && orders[i] != RANK_NAME; i++) {
        double more = weight(right, orders[i]) - weight(left, orders[i]);
        if (more < 0 || more > 0)
            return more > 0 ? 1 : -1;
    }
    int r = strcmp(name_of(ordering, left), name_of(ordering, right));
    return r ? r : (left->place > right->place) - (left->place < right->place);
}

void rank_sort(struct ranking *ranking, enum rank_order order)
{
    struct ordering ordering = { ranking->snapshot, order, false };
    qsort_r(ranking->channels, ranking->channel_count, sizeof *ranking->channels, compare_rows, &ordering);
    ordering.processes = true;
    qsort_r(ranking->processes, ranking->process_count, sizeof *ranking->processes, compare_rows, &ordering);
}

void rank_free(struct ranking *ranking)
{
    free(ranking->channels);
    free(ranking->processes);
    *ranking = (struct ranking){ .snapshot = NULL };
}
