/* SPDX-License-Identifier: MIT */
/* The public face: one snapshot is all probes, in the order of the table, over one graph. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/detail.h"
#include "inspect/graph.h"
#include "inspect/kernel.h"
#include "inspect/locks.h"
#include "inspect/probe.h"

#define FLAGS_ALL (TONG_LOOK_ALL | TONG_LOOK_PLAINLY)

/* Each adds what its source knows to what the ones before it found. */
static const struct probe probes[] = {
    { "the caller", probe_own, NULL, 0 },
    { "processes", probe_processes, kernel_processes, 0 },
    { "unix sockets", probe_unix, NULL, 0 },
    { "TCP and UDP", probe_inet, NULL, 0 },
    { "other networks", probe_networks, NULL, 0 },
    { "peers of TCP and UDP", probe_inet_peers, NULL, 0 },
    { "System V", probe_sysv, NULL, 0 },
    { "names", probe_names, NULL, 0 },
    { "list of locks", probe_lock_list, NULL, 0 },
    { "calls before descriptors", NULL, kernel_calls, TONG_LOOK_WAITS },
    { "descriptors", probe_descriptors, kernel_descriptors, 0 },
    { "mappings", probe_maps, kernel_mappings, 0 },
    { "locks", probe_locks, NULL, 0 },
    { "depths", probe_depths, NULL, TONG_LOOK_DEPTHS },
    { "open file descriptions", probe_descriptions, NULL, 0 },
    { "channels of tong", probe_channels, NULL, 0 },
    { "what is undone", NULL, kernel_undos, TONG_LOOK_WAITS },
    /* Asks what those before it found; adds ends of who waits in an open. */
    { "waits", probe_waits, kernel_waits, TONG_LOOK_WAITS },
    { "who waits for locks", probe_lock_waiters, NULL, 0 },
    { "orphans", probe_orphans, NULL, 0 },
};

/* Where the kernel counts ends, more of them than were found: of each such object somebody is not in the picture. */
static int tell_unseen_ends(struct scan *scan)
{
    for (uint32_t i = 0; i < scan->graph->objects.count; i++)
        if (graph_object_at(scan->graph, i)->flags & TONG_OBJECT_HIDDEN_ENDS)
            graph_gap(scan->graph, "some ends of objects", "the kernel counts more of them");
    return 0;
}

/* What is concluded from all of it. */
static const struct probe conclusions[] = {
    { "who is stuck", find_stuck, NULL, TONG_LOOK_WAITS | TONG_LOOK_FINDINGS },
    { "objects", find_objects, NULL, TONG_LOOK_WAITS | TONG_LOOK_FINDINGS },
    { "leftovers", find_leftovers, NULL, TONG_LOOK_WAITS | TONG_LOOK_FINDINGS },
    { "unseen ends", tell_unseen_ends, NULL, 0 },
};

/* What the kernel's programs cannot tell, /proc is asked. */
static int run_one(struct scan *scan, const struct probe *probe)
{
    int r = probe->by_kernel && scan->kernel ? probe->by_kernel(scan) : -EOPNOTSUPP;
    return r != -EOPNOTSUPP ? r : probe->run ? probe->run(scan) : 0;
}

static int run(struct scan *scan, const struct probe *table, size_t count)
{
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        if ((table[i].asked & scan->look.flags) == table[i].asked)
            r = run_one(scan, &table[i]);
    return r ? r : scan->graph->error;
}

static int look(struct scan *scan)
{
    int r = proc_open(&scan->proc, scan->look.proc ? scan->look.proc : "/proc");
    scan->proc.graph = scan->graph;
    if (r == 0)
        r = kernel_open(scan);
    if (r == 0)
        r = run(scan, probes, sizeof probes / sizeof *probes);
    if (r == 0) {
        graph_settle(scan->graph);
        r = run(scan, conclusions, sizeof conclusions / sizeof *conclusions);
    }
    waits_free(scan->waits);
    locks_free(scan->locks);
    free(scan->undos);
    free(scan->calls);
    free(scan->sleepers);
    free(scan->listed);
    free(scan->identities.item);
    free(scan->devices.item);
    proc_close(&scan->proc);
    return r;
}

int tong_snapshot_take(const tong_look *asked, tong_snapshot **ret)
{
    struct scan scan = { .look = TONG_LOOK_INIT };
    if (asked && asked->size < sizeof *asked)
        return fail(-EINVAL, "tong_look.size is not set: use TONG_LOOK_INIT");
    if (asked && asked->flags & ~FLAGS_ALL)
        return fail(-EINVAL, "a snapshot: unknown flags 0x%x", asked->flags & ~FLAGS_ALL);
    if (asked)
        scan.look = *asked;
    scan.graph = calloc(1, sizeof *scan.graph);
    if (!scan.graph)
        return fail(-ENOMEM, "a snapshot: out of memory");
    scan.graph->began = clock_now();
    scan.graph->tier = "proc";
    int r = look(&scan);
    scan.graph->ended = clock_now();
    if (r == 0) {
        *ret = scan.graph;
        return 0;
    }
    tong_snapshot_free(scan.graph);
    if (r == -ENOMEM)
        return fail(r, "a snapshot: out of memory");
    return r == -EMFILE || r == -ENFILE ? fail_call(r, "a snapshot, which needs a few descriptors") : r;
}

void tong_snapshot_free(tong_snapshot *snapshot)
{
    if (!snapshot)
        return;
    struct graph_array *arrays[] = { &snapshot->processes, &snapshot->objects, &snapshot->ends, &snapshot->waits,
                                     &snapshot->findings, &snapshot->gaps, &snapshot->watches,
                                     &snapshot->leftovers, &snapshot->stuck };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]->item);
    for (struct graph_block *block = snapshot->text, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(snapshot->by_key);
    free(snapshot->by_pid);
    kernel_release(snapshot->kernel);
    free(snapshot);
}

int64_t tong_snapshot_time(const tong_snapshot *snapshot, int64_t *ret_end)
{
    if (ret_end)
        *ret_end = snapshot->ended;
    return snapshot->began;
}

const char *tong_snapshot_tier(const tong_snapshot *snapshot)
{
    return snapshot->tier;
}

#define LIST(counts, gives, type, array)                                                \
    size_t counts(const tong_snapshot *snapshot)                                         \
    {                                                                                    \
        return snapshot->array.count;                                                    \
    }                                                                                    \
    const type *gives(const tong_snapshot *snapshot, size_t index)                       \
    {                                                                                    \
        return index < snapshot->array.count ? (const type *)snapshot->array.item + index : NULL; \
    }

LIST(tong_snapshot_processes, tong_snapshot_process, tong_process, processes)
LIST(tong_snapshot_objects, tong_snapshot_object, tong_object, objects)
LIST(tong_snapshot_ends, tong_snapshot_end, tong_end, ends)
LIST(tong_snapshot_waits, tong_snapshot_wait, tong_wait_seen, waits)
LIST(tong_snapshot_findings, tong_snapshot_finding, tong_finding, findings)
LIST(tong_snapshot_gaps, tong_snapshot_gap, tong_gap, gaps)

/* The first end of an object that is not before it: ends are in order. */
static size_t first_end(const tong_snapshot *snapshot, size_t object)
{
    const tong_end *ends = graph_ends(snapshot);
    size_t low = 0, high = snapshot->ends.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ends[middle].object < object)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t tong_snapshot_ends_of(const tong_snapshot *snapshot, size_t object, size_t *ret_first)
{
    *ret_first = first_end(snapshot, object);
    return first_end(snapshot, object + 1) - *ret_first;
}

uint32_t tong_snapshot_stuck(const tong_snapshot *snapshot, size_t place)
{
    return place < snapshot->stuck.count ? ((const uint32_t *)snapshot->stuck.item)[place] : TONG_NOBODY;
}

static const char *const kinds[] = {
    [TONG_KIND_PIPE] = "pipe", [TONG_KIND_FIFO] = "fifo", [TONG_KIND_UNIX] = "unix", [TONG_KIND_TCP] = "tcp",
    [TONG_KIND_UDP] = "udp", [TONG_KIND_NETLINK] = "netlink", [TONG_KIND_MSGQ] = "msgq", [TONG_KIND_SYSVSHM] = "sysvshm",
    [TONG_KIND_SYSVSEM] = "sysvsem", [TONG_KIND_MQ] = "mq", [TONG_KIND_SHM] = "shm", [TONG_KIND_SEM] = "sem",
    [TONG_KIND_MEMFD] = "memfd", [TONG_KIND_MAP] = "map", [TONG_KIND_EVENTFD] = "eventfd", [TONG_KIND_EPOLL] = "epoll",
    [TONG_KIND_PTY] = "pty", [TONG_KIND_LOCK] = "lock", [TONG_KIND_FUTEX] = "futex", [TONG_KIND_PROCESS] = "process",
    [TONG_KIND_CHANNEL] = "channel", [TONG_KIND_FILE] = "file",
};

const char *tong_kind_name(uint32_t kind)
{
    return kind < sizeof kinds / sizeof *kinds && kinds[kind] ? kinds[kind] : "?";
}
