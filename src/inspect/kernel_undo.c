/* SPDX-License-Identifier: MIT */
/* What the end of processes would add to counters of System V sets, as the program "undos" tells of it. */
#include "inspect/kernel.h"
#include "inspect/undo.h"

int kernel_undos(struct scan *scan)
{
    struct kernel_list list;
    int r = kernel_run(scan->kernel, "undos", sizeof *scan->undos, &list);
    if (r < 0)
        return r;
    scan->undos = list.item;
    scan->undos_count = list.count;
    return 0;
}

uint32_t undo_holder(const struct scan *scan, const struct undo *undo, size_t *place)
{
    while (*place < scan->undos_count && undo->counter < UNDO_SEEN_COUNTERS) {
        const struct undo_seen *seen = &scan->undos[(*place)++];
        int change = seen->change[undo->counter];
        if (seen->namespace_inode == undo->namespace_inode && seen->id == undo->id && (undo->up ? change > 0 : change < 0))
            return graph_process(scan->graph, seen->pid);
    }
    return TONG_NOBODY;
}
