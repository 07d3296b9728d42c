/* SPDX-License-Identifier: MIT */
/*
 * Shared mappings, from /proc/PID/maps: who maps what, reading or writing, is exact; what is said through it is
 * invisible.
 *
 * System V memory is "/SYSV" and a key, with the identifier as its inode; memory without a name is a deleted /dev/zero.
 * Any other file is an object if somebody maps it for writing, so files wait in a list until all processes were seen:
 * many a file of a library is mapped by everybody, and nobody says anything by that.  Mappings of devices are no talk
 * either.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "inspect/file.h"
#include "inspect/maps.h"
#include "inspect/probe.h"
#include "sys/sys.h"

#define LIST_FIRST 256
#define NOT_NAMED "/dev/zero (deleted)"

struct mapping {
    uint64_t device, inode;
    uint32_t process, direction;
    const char *name;
};


static void add_end(const struct maps_scan *maps, uint32_t object, uint32_t direction)
{
    const tong_end end = { .object = object, .process = maps->process, .flags = TONG_END_MAPPED, .direction = direction,
                           .fd = -1, .certainty = TONG_EXACT };
    if (object != TONG_NOBODY)
        graph_add_end(maps->scan->graph, &end);
}

/* What /proc/sysvipc did not show is of another IPC namespace, or was made since. */
static int add_sysv(struct maps_scan *maps, const struct area *area)
{
    struct tong_snapshot *graph = maps->scan->graph;
    uint64_t space = graph_process_at(graph, maps->process)->namespaces[SCAN_IPC];
    char key[GRAPH_KEY];
    bool fresh;
    snprintf(key, sizeof key, "%llu:%llu", (unsigned long long)space, (unsigned long long)area->inode);
    uint32_t number = graph_object(graph, TONG_KIND_SYSVSHM, key, &fresh);
    if (number != TONG_NOBODY && fresh) {
        const char *name = graph_format(graph, "key 0x%lx", strtoul(area->path + sizeof "/SYSV" - 1, NULL, 16));
        tong_object *object = graph_object_at(graph, number);
        object->name = name;
        object->source = "/proc/PID/maps";
        object->namespace_inode = space;
    }
    if (number < maps->objects)
        maps->attachments[number]++;
    add_end(maps, number, area->direction);
    return graph->error;
}

static bool ask_file(const struct maps_scan *maps, const struct area *area, struct stat *ret)
{
    char name[96];
    snprintf(name, sizeof name, "%smap_files/%llx-%llx", maps->prefix, (unsigned long long)area->from,
             (unsigned long long)area->to);
    return sys_fstatat_known(maps->directory, name, ret) == 0;
}

static int add_named(struct maps_scan *maps, const struct area *area, uint32_t kind)
{
    struct tong_snapshot *graph = maps->scan->graph;
    struct stat status;
    bool fresh;
    uint32_t object = file_object(graph, kind, area->device, area->inode, &fresh);
    if (object != TONG_NOBODY && fresh)
        file_describe(graph, object, area->path, ask_file(maps, area, &status) ? &status : NULL, "/proc/PID/maps");
    add_end(maps, object, area->direction);
    return graph->error;
}

static int remember(struct maps_scan *maps, const struct area *area)
{
    if (maps->count == maps->room) {
        size_t room = maps->room ? 2 * maps->room : LIST_FIRST;
        struct mapping *wider = realloc(maps->list, room * sizeof *wider);
        if (!wider)
            return -ENOMEM;
        maps->list = wider;
        maps->room = room;
    }
    const char *name = strcmp(area->path, NOT_NAMED) ? graph_text(maps->scan->graph, area->path) : "";
    maps->list[maps->count++] = (struct mapping){ area->device, area->inode, maps->process, area->direction, name };
    return 0;
}

static bool is_talk(const char *path)
{
    return *path == '/' && (strncmp(path, "/dev/", 5) || !strcmp(path, NOT_NAMED));
}

int maps_add(struct maps_scan *maps, const struct area *area)
{
    uint32_t kind = file_kind(area->path);
    if (kind)
        return add_named(maps, area, kind);
    if (!strncmp(area->path, "/SYSV", 5) && major(area->device) == 0)
        return add_sysv(maps, area);
    return is_talk(area->path) ? remember(maps, area) : 0;
}

static int add_area(void *context, const struct area *area)
{
    return maps_add(context, area);
}

static int look_at(struct maps_scan *maps, uint32_t number)
{
    tong_process *process = graph_process_at(maps->scan->graph, number);
    char path[48];
    if (process->flags & (TONG_PROCESS_KERNEL | TONG_PROCESS_ZOMBIE | TONG_PROCESS_GONE))
        return 0;
    snprintf(path, sizeof path, "%lld", (long long)process->pid);
    maps->process = number;
    maps->directory = proc_directory(maps->scan->proc.fd, path);
    int r = maps->directory < 0 ? maps->directory : process_is_still(maps->scan, maps->directory, number);
    if (r >= 0) {
        process_part(maps->scan, maps->directory, number, "maps", path, sizeof path);
        r = areas_shared(&maps->scan->proc, maps->directory, path, add_area, maps);
    }
    graph_missed(maps->scan->graph, "mappings of processes", r);
    sys_close(maps->directory);
    return r == -EMFILE || r == -ENFILE || r == -ENOMEM ? r : 0;
}

/* ---- Files of which it depends on all who map them ------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    const struct mapping *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    if (a->inode != b->inode)
        return a->inode < b->inode ? -1 : 1;
    return a->process < b->process ? -1 : a->process > b->process;
}

static size_t equal_files(const struct mapping *list, size_t count)
{
    size_t same = 1;
    while (same < count && list[same].device == list->device && list[same].inode == list->inode)
        same++;
    return same;
}

static bool is_object(const struct mapping *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].direction & TONG_SEND)
            return true;
    return false;
}

static void add_file(struct maps_scan *maps, const struct mapping *list, size_t count)
{
    struct tong_snapshot *graph = maps->scan->graph;
    bool fresh;
    uint32_t object = file_object(graph, TONG_KIND_MAP, list->device, list->inode, &fresh);
    if (object == TONG_NOBODY)
        return;
    file_describe(graph, object, list->name, NULL, "/proc/PID/maps");
    for (size_t i = 0; i < count; i++) {
        maps->process = list[i].process;
        add_end(maps, object, list[i].direction);
    }
}

static void add_files(struct maps_scan *maps)
{
    if (maps->count)
        qsort(maps->list, maps->count, sizeof *maps->list, compare);
    for (size_t i = 0, same; i < maps->count; i += same) {
        same = equal_files(maps->list + i, maps->count - i);
        if (is_object(maps->list + i, same))
            add_file(maps, maps->list + i, same);
    }
}

/* The kernel counts attachments, also those that cannot be seen. */
static void count_attachments(const struct maps_scan *maps)
{
    for (size_t i = 0; i < maps->objects; i++) {
        tong_object *object = graph_object_at(maps->scan->graph, (uint32_t)i);
        if (object->kind == TONG_KIND_SYSVSHM && object->messages != TONG_UNKNOWN &&
            object->messages > maps->attachments[i])
            object->flags |= TONG_OBJECT_HIDDEN_ENDS;
    }
}

int maps_begin(struct maps_scan *maps, struct scan *scan)
{
    *maps = (struct maps_scan){ .scan = scan, .prefix = "", .objects = scan->graph->objects.count };
    maps->attachments = calloc(maps->objects + 1, sizeof *maps->attachments);
    return maps->attachments ? 0 : -ENOMEM;
}

int maps_end(struct maps_scan *maps, int r)
{
    if (r == 0) {
        add_files(maps);
        count_attachments(maps);
    }
    free(maps->attachments);
    free(maps->list);
    return r;
}

int probe_maps(struct scan *scan)
{
    struct maps_scan maps;
    int r = maps_begin(&maps, scan);
    for (uint32_t process = 0; process < scan->graph->processes.count && r == 0; process++)
        r = look_at(&maps, process);
    return maps_end(&maps, r);
}
