/* SPDX-License-Identifier: MIT */
/* tong rm: removes the objects that addresses name. */
#include "command.h"
#include "report.h"
#include "tong/channel.h"

static const struct option_row options[] = { OPTIONS_LAST };

static int run(const struct command *self, int argc, char **argv)
{
    int count, first = options_read(self, argc, argv, NULL, &count);
    if (first != OPTIONS_GO)
        return first;
    first = CODE_DONE;
    for (int i = 0; i < count; i++) {
        int r = tong_remove(argv[i]);
        int code = r < 0 ? fail_library(r, NULL) : CODE_DONE;
        first = first ? first : code;
    }
    return first;
}

const struct command cmd_rm = {
    "rm", "Objects", "remove FIFOs, sockets, queues, files, shared memory and semaphores", "ADDRESS...",
    "Refuses an object of another kind than the address says.  Who has the object open keeps it, except\n"
    "System V queues and semaphores, which go at once.  With several addresses the first failure decides the exit\n"
    "code.",
    "tong send msgq:1234 hello; tong rm msgq:1234", options, 1, -1, 0, run,
};
