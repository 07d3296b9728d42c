/* SPDX-License-Identifier: MIT */
/* Shared mappings, as the program "mappings" tells of them; how a file is called, /proc is asked once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect/kernel.h"
#include "inspect/maps.h"
#include "sys/sys.h"

#define PATH_MOST 4200
#define FOLLOWERS (UINT64_C(1) << 21 | UINT64_C(1) << 40) /* CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE */

struct named {
    uint64_t file;     /* 0: none here */
    const char *path;
};

struct kernel_maps {
    struct maps_scan maps;
    struct named *names; /* open addressing; a power of two */
    size_t slots;
    char prefix[24];
};

static const char *ask(const struct kernel_maps *all, const struct mapping_seen *seen)
{
    struct scan *scan = all->maps.scan;
    char name[96], path[PATH_MOST];
    snprintf(name, sizeof name, "%smap_files/%llx-%llx", all->prefix, seen->start, seen->end);
    ssize_t r = proc_link(scan->proc.fd, name, path, sizeof path);
    if (r == -ENAMETOOLONG)
        return "/(a path that is too long)";
    graph_missed(scan->graph, "names of mappings", r);
    return r < 0 ? "" : graph_text(scan->graph, path);
}

/* "": it is gone by now; another who has mapped the file is asked. */
static const char *path_of(const struct kernel_maps *all, const struct mapping_seen *seen)
{
    size_t at = (size_t)(seen->file * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (all->slots - 1);
    while (all->names[at].file && all->names[at].file != seen->file)
        at = (at + 1) & (all->slots - 1);
    if (all->names[at].file)
        return all->names[at].path;
    bool is_whole = seen->size > 0 && seen->size < MAPPING_SEEN_NAME;
    const char *path = !is_whole ? ask(all, seen) : graph_format(all->maps.scan->graph, "/%s (deleted)", seen->name);
    if (*path)
        all->names[at] = (struct named){ seen->file, path };
    return path;
}

static int add_mapping(struct kernel_maps *all, const struct mapping_seen *seen)
{
    all->maps.process = kernel_process(all->maps.scan, &seen->who);
    if (all->maps.process == TONG_NOBODY)
        return 0;
    long long pid = (long long)graph_process_at(all->maps.scan->graph, all->maps.process)->pid;
    snprintf(all->prefix, sizeof all->prefix, "%lld/", pid);
    const struct area area = {
        .from = seen->start, .to = seen->end, .inode = seen->inode, .path = path_of(all, seen), .shared = true,
        .direction = (seen->mode & LOOK_READS ? TONG_RECEIVE : 0) | (seen->mode & LOOK_WRITES ? TONG_SEND : 0),
        .device = kernel_device(seen->device),
    };
    return maps_add(&all->maps, &area);
}

/* Who may use BPF may not for that read the links in map_files. */
static bool may_ask(void)
{
    uint64_t capabilities;
    return sys_capabilities(&capabilities) == 0 && capabilities & FOLLOWERS;
}

int kernel_mappings(struct scan *scan)
{
    struct kernel_maps all = { .slots = 64 };
    struct kernel_list list;
    if (!scan->listed || !may_ask())
        return -EOPNOTSUPP;
    int r = kernel_run(scan->kernel, "mappings", sizeof(struct mapping_seen), &list);
    if (r < 0)
        return r;
    while (all.slots < 2 * list.count)
        all.slots *= 2;
    all.names = calloc(all.slots, sizeof *all.names);
    r = all.names ? maps_begin(&all.maps, scan) : -ENOMEM;
    all.maps.directory = scan->proc.fd;
    all.maps.prefix = all.prefix;
    for (size_t i = 0; i < list.count && r == 0; i++)
        r = add_mapping(&all, (const struct mapping_seen *)list.item + i);
    r = maps_end(&all.maps, r);
    free(all.names);
    free(list.item);
    return r;
}
