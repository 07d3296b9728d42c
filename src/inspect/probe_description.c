/* SPDX-License-Identifier: MIT */
/*
 * Which ends are one open file description: a descriptor that a child inherited is no other party than its parent's.
 *
 * A socket, an eventfd and an epoll set have exactly one.  Of anything else that several processes have, kcmp(2)
 * compares descriptors, and puts them in an order in which the next one is looked for by halves.  What may not be
 * compared, or was closed meanwhile, stays unknown.
 */
#include <errno.h>
#include <stdlib.h>

#include "inspect/probe.h"
#include "sys/sys.h"

#define DIFFERENT_MOST 1024 /* descriptions of one object that are told apart */
#define KCMP_EQUAL 0
#define KCMP_BEFORE 1
#define GENERATIONS_MOST 64

struct comparing {
    struct tong_snapshot *graph;
    uint32_t *order;                    /* ends that are descriptors, by object */
    size_t count;
    uint32_t *parent;                   /* of each process */
    uint32_t *stamp;                    /* of each process: the last description that it was seen to have */
    uint32_t different[DIFFERENT_MOST]; /* an end of each description of the object, in the order of kcmp(2) */
    size_t differents;
};

static int by_object(const void *left, const void *right, void *context)
{
    const tong_end *ends = context, *a = ends + *(const uint32_t *)left, *b = ends + *(const uint32_t *)right;
    if (a->object != b->object)
        return a->object < b->object ? -1 : 1;
    return a->description < b->description ? -1 : a->description > b->description;
}

static bool has_one(uint32_t kind)
{
    return kind == TONG_KIND_UNIX || kind == TONG_KIND_TCP || kind == TONG_KIND_UDP || kind == TONG_KIND_NETLINK ||
           kind == TONG_KIND_EVENTFD || kind == TONG_KIND_EPOLL;
}

static int compare(const struct comparing *comparing, const tong_end *one, const tong_end *other)
{
    struct tong_snapshot *graph = comparing->graph;
    int r = sys_kcmp_file((pid_t)graph_process_at(graph, one->process)->pid, one->fd,
                          (pid_t)graph_process_at(graph, other->process)->pid, other->fd);
    if (r != -EBADF)
        graph_missed(graph, "which descriptors were inherited", r);
    return r;
}

/* The number of a description is that of the first end that was seen of it, and one. */
static void find_description(struct comparing *comparing, uint32_t number)
{
    tong_end *ends = graph_ends(comparing->graph), *end = ends + number;
    size_t low = 0, high = comparing->differents;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int r = compare(comparing, end, ends + comparing->different[middle]);
        if (r == KCMP_EQUAL)
            end->description = ends[comparing->different[middle]].description;
        if (r == KCMP_EQUAL || r < 0 || r > KCMP_BEFORE + 1)
            return;
        *(r == KCMP_BEFORE ? &high : &low) = r == KCMP_BEFORE ? middle : middle + 1;
    }
    if (comparing->differents == DIFFERENT_MOST)
        return;
    for (size_t i = comparing->differents++; i > low; i--)
        comparing->different[i] = comparing->different[i - 1];
    comparing->different[low] = number;
    end->description = (uint64_t)number + 1;
}

/* Descriptions that the kernel told by address, which are in order by that: from now on a number tells which is which.
 * That of an only user is of no interest. */
static void number_told(const struct comparing *comparing, const uint32_t *order, size_t count, bool wanted)
{
    tong_end *ends = graph_ends(comparing->graph);
    for (size_t i = 0, same; i < count; i += same) {
        uint64_t address = ends[order[i]].description;
        uint32_t first = order[i];
        for (same = 1; i + same < count && ends[order[i + same]].description == address; same++)
            first = order[i + same] < first ? order[i + same] : first;
        for (size_t j = i; j < i + same && address; j++)
            ends[order[j]].description = wanted ? (uint64_t)first + 1 : 0;
    }
}

/* Ends of one object. */
static void compare_ends(struct comparing *comparing, const uint32_t *order, size_t count)
{
    tong_end *ends = graph_ends(comparing->graph);
    bool one = has_one(graph_object_at(comparing->graph, ends[*order].object)->kind), several = false;
    comparing->differents = 0;
    for (size_t i = 1; i < count && !several; i++)
        several = ends[order[i]].process != ends[*order].process;
    number_told(comparing, order, count, several || one);
    for (size_t i = 0; i < count; i++)
        if (ends[order[i]].description)
            continue;
        else if (one)
            ends[order[i]].description = (uint64_t)*order + 1;
        else if (several)
            find_description(comparing, order[i]);
}

static size_t same_object(const struct comparing *comparing, size_t from)
{
    const tong_end *ends = graph_ends(comparing->graph), *first = ends + comparing->order[from];
    size_t to = from + 1;
    while (to < comparing->count && ends[comparing->order[to]].object == first->object)
        to++;
    return to - from;
}

/* ---- Inheritance ----------------------------------------------------------------------------------------------- */

static bool has_ancestor_with(const struct comparing *comparing, uint32_t process, uint32_t stamp)
{
    for (int i = 0; i < GENERATIONS_MOST && (process = comparing->parent[process]) != TONG_NOBODY; i++)
        if (comparing->stamp[process] == stamp)
            return true;
    return false;
}

static void mark_inherited(struct comparing *comparing)
{
    tong_end *ends = graph_ends(comparing->graph);
    const uint32_t *order = comparing->order;
    for (size_t from = 0, to; from < comparing->count; from = to) {
        const tong_end *first = ends + order[from];
        uint32_t stamp = (uint32_t)from + 1;
        for (to = from; to < comparing->count && by_object(&order[from], &order[to], ends) == 0; to++)
            comparing->stamp[ends[order[to]].process] = stamp;
        for (size_t i = from; i < to && first->description; i++)
            if (has_ancestor_with(comparing, ends[order[i]].process, stamp))
                ends[order[i]].flags |= TONG_END_INHERITED;
    }
}

static void find_parents(const struct comparing *comparing)
{
    struct tong_snapshot *graph = comparing->graph;
    for (uint32_t i = 0; i < graph->processes.count; i++) {
        int64_t parent = graph_process_at(graph, i)->parent;
        comparing->parent[i] = parent ? graph_process(graph, parent) : TONG_NOBODY;
    }
}

static void list_ends(struct comparing *comparing)
{
    const tong_end *ends = graph_ends(comparing->graph);
    for (uint32_t i = 0; i < comparing->graph->ends.count; i++)
        if (ends[i].fd >= 0 || ends[i].description)
            comparing->order[comparing->count++] = i;
}

int probe_descriptions(struct scan *scan)
{
    struct tong_snapshot *graph = scan->graph;
    size_t ends = graph->ends.count, processes = graph->processes.count;
    struct comparing *comparing = calloc(1, sizeof *comparing + (ends + 2 * processes) * sizeof(uint32_t));
    if (!comparing)
        return -ENOMEM;
    comparing->graph = graph;
    comparing->order = (uint32_t *)(comparing + 1);
    comparing->parent = comparing->order + ends;
    comparing->stamp = comparing->parent + processes;
    list_ends(comparing);
    find_parents(comparing);
    qsort_r(comparing->order, comparing->count, sizeof *comparing->order, by_object, graph->ends.item);
    for (size_t i = 0, same; i < comparing->count; i += same) {
        same = same_object(comparing, i);
        compare_ends(comparing, comparing->order + i, same);
    }
    qsort_r(comparing->order, comparing->count, sizeof *comparing->order, by_object, graph->ends.item);
    mark_inherited(comparing);
    free(comparing);
    return 0;
}
