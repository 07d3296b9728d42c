/* SPDX-License-Identifier: MIT */
/* tong ls: the objects on this machine, and who is at their ends. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report.h"
#include "text.h"
#include "tong/inspect.h"

static const struct option_row options[] = { OPTIONS_LAST };

static void print_object(const tong_snapshot *snapshot, size_t number)
{
    const tong_object *object = tong_snapshot_object(snapshot, number);
    size_t first, count = tong_snapshot_ends_of(snapshot, number, &first);
    printf("%-8s %-24s %3zu ends", tong_kind_name(object->kind), object->key, count);
    for (size_t i = 0; i < count && i < 4; i++) {
        const tong_end *end = tong_snapshot_end(snapshot, first + i);
        const tong_process *process = tong_snapshot_process(snapshot, end->process);
        printf("  %lld/%s:%d%s", (long long)process->pid, process->name, end->fd, end->direction == TONG_SEND ? "w" : "r");
    }
    print_visible("  ", object->name);
    puts("");
}

static int run(const struct command *self, int argc, char **argv)
{
    tong_snapshot *snapshot;
    int count, r = options_read(self, argc, argv, NULL, &count);
    if (r != OPTIONS_GO)
        return r;
    r = tong_snapshot_take(NULL, &snapshot);
    if (r < 0)
        return fail_library(r, NULL);
    for (size_t i = 0; i < tong_snapshot_objects(snapshot); i++)
        print_object(snapshot, i);
    tong_snapshot_free(snapshot);
    return CODE_DONE;
}

const struct command cmd_ls = {
    "ls", "Inspect", "list pipes, sockets, queues and memory, and who is at their ends", "", NULL, "tong ls", options, 0, 0, 0,
    run,
};
