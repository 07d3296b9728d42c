/* SPDX-License-Identifier: MIT */
/*
 * What the end of processes would add to counters of System V sets, as the program "undos" tells of it.  If it cannot
 * tell of all, nobody is known: one holder that is missed would raise a false alarm.
 */
#include "inspect/kernel.h"
#include "inspect/undo.h"

int kernel_undos(struct scan *scan)
{
    struct kernel_list list;
    int r = kernel_run(scan->kernel, "undos", sizeof *scan->undos, &list);
    if (r < 0)
        return r;
    scan->undos = list.item;
    for (size_t i = 0; i < list.count; i++)
        if (scan->undos[i].id == UNDO_SEEN_MORE)
            return 0;
    scan->undos_count = list.count;
    return 0;
}

uint32_t undo_holder(const struct scan *scan, const struct undo *undo, size_t *place)
{
    while (*place < scan->undos_count && undo->counter < UNDO_SEEN_COUNTERS) {
        const struct undo_seen *seen = &scan->undos[(*place)++];
        int change = seen->change[undo->counter];
        bool is_wanted = undo->up ? change > 0 : change < 0;
        if (is_wanted && seen->namespace_inode == undo->namespace_inode && seen->id == undo->id)
            return kernel_process(scan, &seen->who);
    }
    return TONG_NOBODY;
}
