/* SPDX-License-Identifier: MIT */
/*
 * Eventfds and epoll sets, which share one inode: fdinfo tells them apart.  An eventfd has a number of its own.  An
 * epoll set has none: it is called by the first descriptor that was seen to lead to it, and that an ancestor's
 * descriptor of the same number leads to the same one, kcmp(2) says.
 *
 * A set names what it watches by the descriptor under which it was added, which may be another's by now, and an inode.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/descriptor.h"
#include "sys/sys.h"

#define ANCESTORS_MOST 16

static uint32_t fresh_object(const struct descriptor *descriptor, uint32_t kind, const char *key, bool *ret_new)
{
    struct tong_snapshot *graph = descriptor->scan->graph;
    uint32_t number = graph_object(graph, kind, key, ret_new);
    if (number != TONG_NOBODY && *ret_new)
        graph_object_at(graph, number)->source = "/proc/PID/fdinfo";
    return number;
}

void descriptor_add_counter(const struct descriptor *descriptor, unsigned long id, uint64_t value)
{
    bool fresh;
    char key[GRAPH_KEY];
    graph_number_key(id, key);
    uint32_t object = fresh_object(descriptor, TONG_KIND_EVENTFD, key, &fresh);
    if (object != TONG_NOBODY)
        graph_object_at(descriptor->scan->graph, object)->messages = value;
    descriptor_add_both(descriptor, object);
}

void descriptor_add_eventfd(const struct descriptor *descriptor)
{
    if (descriptor_read(descriptor) <= 0)
        return;
    const char *id = descriptor_field(descriptor, "eventfd-id"), *count = descriptor_field(descriptor, "eventfd-count");
    if (!id) {
        graph_gap(descriptor->scan->graph, "eventfds", "this kernel does not say which is which (Linux 5.2)");
        return;
    }
    descriptor_add_counter(descriptor, strtoul(id, NULL, 10), count ? strtoull(count, NULL, 16) : TONG_UNKNOWN);
}

/* ---- epoll ----------------------------------------------------------------------------------------------------- */

/* The set of an ancestor that this descriptor was inherited from. */
static uint32_t inherited_set(const struct descriptor *descriptor)
{
    struct tong_snapshot *graph = descriptor->scan->graph;
    uint32_t process = descriptor->process;
    char key[40];
    for (int i = 0; i < ANCESTORS_MOST; i++) {
        int64_t parent = graph_process_at(graph, process)->parent;
        process = parent ? graph_process(graph, parent) : TONG_NOBODY;
        if (process == TONG_NOBODY)
            break;
        snprintf(key, sizeof key, "%lld:%d", (long long)parent, descriptor->fd);
        uint32_t object = graph_find_object(graph, TONG_KIND_EPOLL, key);
        if (object != TONG_NOBODY)
            return sys_kcmp_file((pid_t)descriptor->pid, descriptor->fd, (pid_t)parent, descriptor->fd) == 0 ? object
                                                                                                        : TONG_NOBODY;
    }
    return TONG_NOBODY;
}

struct set {
    struct tong_snapshot *graph;
    uint32_t object, process;
};

/* "tfd:        5 events:       19 data:                5  pos:0 ino:61af sdev:7" */
static int add_watch(void *context, char *line)
{
    const struct set *set = context;
    int fd;
    unsigned events;
    unsigned long long inode;
    if (sscanf(line, "tfd: %d events: %x data: %*x pos:%*d ino:%llx", &fd, &events, &inode) != 3)
        return 0;
    const struct graph_watch watch = { set->object, TONG_NOBODY, set->process, fd, events, inode, 0 };
    graph_add_watch(set->graph, &watch);
    return set->graph->error;
}

uint32_t descriptor_set(const struct descriptor *descriptor, bool *ret_new)
{
    char key[40];
    snprintf(key, sizeof key, "%lld:%d", (long long)descriptor->pid, descriptor->fd);
    return fresh_object(descriptor, TONG_KIND_EPOLL, key, ret_new);
}

void descriptor_read_watches(const struct descriptor *descriptor, uint32_t object)
{
    struct set set = { descriptor->scan->graph, object, descriptor->process };
    if (object != TONG_NOBODY && descriptor_read(descriptor) > 0)
        proc_lines(&descriptor->scan->proc, add_watch, &set);
}

void descriptor_add_epoll(const struct descriptor *descriptor)
{
    uint32_t object = inherited_set(descriptor);
    bool fresh;
    if (object == TONG_NOBODY) {
        object = descriptor_set(descriptor, &fresh);
        descriptor_read_watches(descriptor, object);
    }
    descriptor_add_both(descriptor, object);
}

/* The object behind a descriptor, among ends in the order of their descriptors; TONG_NOBODY. */
static uint32_t object_of(const tong_end *ends, size_t count, int32_t fd)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ends[middle].fd < fd)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && ends[low].fd == fd ? ends[low].object : TONG_NOBODY;
}

/* What was closed here, while others still have it, is found by its inode, if that is of a pipe or a socket. */
uint32_t descriptor_object_of_inode(const struct tong_snapshot *graph, uint64_t inode)
{
    static const uint32_t kinds[] = { TONG_KIND_PIPE, TONG_KIND_TCP, TONG_KIND_UDP, TONG_KIND_NETLINK, TONG_KIND_UNIX };
    uint32_t object = TONG_NOBODY;
    char key[GRAPH_KEY];
    graph_number_key(inode, key);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && object == TONG_NOBODY; i++)
        object = graph_find_object(graph, kinds[i], key);
    return object;
}

static bool is_watched(struct tong_snapshot *graph, uint32_t object, uint64_t inode)
{
    if (object == TONG_NOBODY)
        return false;
    const tong_object *watched = graph_object_at(graph, object);
    return watched->inode == inode || watched->kind == TONG_KIND_EVENTFD || watched->kind == TONG_KIND_EPOLL ||
           watched->kind == TONG_KIND_PTY;
}

void descriptor_watched(struct tong_snapshot *graph, uint32_t process, size_t first_end, size_t first_watch)
{
    struct graph_watch *watches = graph_watches(graph);
    for (size_t i = first_watch; i < graph->watches.count; i++) {
        uint32_t object = object_of(graph_ends(graph) + first_end, graph->ends.count - first_end, watches[i].fd);
        if (!is_watched(graph, object, watches[i].inode))
            object = descriptor_object_of_inode(graph, watches[i].inode);
        watches[i].object = object;
        watches[i].process = process;
    }
}
