/* SPDX-License-Identifier: MIT */
/* tong top: who does most, and what is wrong, in a terminal. */
#include "command.h"
#include "report.h"
#include "sight/screen.h"
#include "sight/sight.h"
#include "tong/base.h"

struct settings {
    int64_t interval;
    bool plainly;
};

static const struct option_row options[] = {
    VALUE(interval, TAKES_DURATION, "T", "look each T (2s, or longer where looking would take 2 % of a processor)"),
    SIGHT_PLAINLY,
    OPTIONS_LAST,
};

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .interval = SCREEN_AS_FITS };
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    return set.interval != 0 ? screen_show(set.interval, sight_tier(set.plainly))
                             : fail_usage("option '--interval': it should be above 0");
}

const struct command cmd_top = {
    "top", "Inspect", "show the busiest channels and processes, and what is stuck or full, in a terminal", "",
    "What is stuck (stuck?: unless somebody who cannot be seen can end it) or full comes first.  What has a ~ is\n"
    "sampled: by how many bytes, or messages where bytes are not known, the depth differs between two looks, a\n"
    "second; what came and was taken meanwhile is not in it.  WAITS are threads that wait now.\n"
    "Keys: r rate, w waits, e ends, n name; b both, c channels, p processes; q quits.",
    "tong top --interval 1s", options, 0, 0, 0, run, NULL,
};
