/* SPDX-License-Identifier: MIT */
/*
 * What has a name and no end.  System V objects were judged by what the kernel counts, and channels of tong by their
 * locks; here, where nothing counts, that nobody has it is certain only if everybody could be seen.
 */
#include <errno.h>
#include <stdlib.h>

#include "inspect/probe.h"

static bool may_be_orphan(uint32_t kind)
{
    return kind == TONG_KIND_SHM || kind == TONG_KIND_SEM || kind == TONG_KIND_MQ || kind == TONG_KIND_FIFO;
}

int probe_orphans(struct scan *scan)
{
    struct tong_snapshot *graph = scan->graph;
    bool *has_end = calloc(graph->objects.count + 1, sizeof *has_end), seen = graph_saw_everybody(graph);
    if (!has_end)
        return -ENOMEM;
    for (size_t i = 0; i < graph->ends.count; i++)
        has_end[graph_ends(graph)[i].object] = true;
    for (uint32_t i = 0; i < graph->objects.count; i++) {
        tong_object *object = graph_object_at(graph, i);
        if (has_end[i] || !may_be_orphan(object->kind))
            continue;
        object->flags |= TONG_OBJECT_ORPHAN;
        object->certainty = seen ? object->certainty : TONG_UNSURE;
    }
    free(has_end);
    return 0;
}
