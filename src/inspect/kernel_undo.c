/* SPDX-License-Identifier: MIT */
/* What the end of processes would add to counters of System V sets, as the program "undos" tells of it. */
#include <stdlib.h>

#include "inspect/kernel.h"
#include "inspect/waits.h"

int kernel_undos(struct scan *scan)
{
    struct kernel_list list;
    int r = kernel_run(scan->kernel, "undos", sizeof(struct undo_seen), &list);
    if (r < 0)
        return r;
    scan->undos = list.item;
    scan->undos_count = list.count;
    return 0;
}
