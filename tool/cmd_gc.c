/* SPDX-License-Identifier: MIT */
/* tong gc: removes what the dead left behind, and nothing that is not proved to be dead. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report.h"
#include "sight/sight.h"

struct settings {
    bool remove;
};

static const struct option_row options[] = {
    FLAG(remove, "do it; without this nothing is removed"),
    OPTIONS_LAST,
};

/* Only what has no owner any more, for certain, and what says how to remove it. */
static bool is_dead(const tong_finding *finding)
{
    return finding->kind == TONG_FINDING_LEFTOVER && finding->certainty == TONG_EXACT && *finding->address;
}

static int remove_it(const tong_snapshot *snapshot, size_t number)
{
    int r = tong_snapshot_remove(snapshot, number);
    return r < 0 ? fail_library(r, NULL) : CODE_DONE;
}

static void print_line(const tong_finding *finding, bool removed)
{
    struct text text = TEXT_INIT;
    text_print(&text, "%s ", removed ? "removed" : "would remove");
    text_visible(&text, finding->address, strlen(finding->address), "");
    text_print(&text, ": ");
    text_visible(&text, finding->proof, strcspn(finding->proof, "\n"), "");
    puts(text.data);
    text_free(&text);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .remove = false };
    tong_snapshot *snapshot;
    const tong_finding *finding;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    code = sight_take(TONG_LOOK_ALL, &snapshot);
    if (code)
        return code;
    for (size_t i = 0; (finding = tong_snapshot_finding(snapshot, i)); i++) {
        int r = !is_dead(finding) ? -1 : set.remove ? remove_it(snapshot, i) : CODE_DONE;
        if (r == CODE_DONE)
            print_line(finding, set.remove);
        code = r > 0 ? r : code;
    }
    sight_say_coverage(snapshot);
    tong_snapshot_free(snapshot);
    return code;
}

const struct command cmd_gc = {
    "gc", "Inspect", "remove what dead processes left behind", "",
    "Says what it would remove, with one line of proof each, and removes it only with --remove.  Touches nothing whose\n"
    "owner may be alive.",
    "tong gc", options, 0, 0, 0, run, NULL,
};
