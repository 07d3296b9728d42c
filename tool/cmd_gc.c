/* SPDX-License-Identifier: MIT */
/* tong gc: removes what the dead left behind, and nothing that is not proved to be dead. */
#include <errno.h>
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

static void print_line(const tong_finding *finding, const char *done, const char *but)
{
    struct text text = TEXT_INIT;
    text_print(&text, "%s ", done);
    text_visible(&text, finding->address, strlen(finding->address), "");
    text_print(&text, ": ");
    text_visible(&text, finding->proof, strcspn(finding->proof, "\n"), "");
    if (*but)
        text_print(&text, "; but ");
    text_visible(&text, but, strlen(but), "");
    puts(text.data);
    text_free(&text);
}

/* The kernel has the last word, whatever was said of who may. */
static int remove_it(const tong_snapshot *snapshot, size_t number)
{
    const tong_finding *finding = tong_snapshot_finding(snapshot, number);
    int r = tong_snapshot_remove(snapshot, number);
    if (r < 0)
        return fail_library(r, NULL);
    print_line(finding, "removed", "");
    return CODE_DONE;
}

static int tell_it(const tong_snapshot *snapshot, size_t number)
{
    int r = tong_snapshot_may_remove(snapshot, number);
    print_line(tong_snapshot_finding(snapshot, number),
               r == 0 ? "would remove" : r == -EOPNOTSUPP ? "would try to remove" : "cannot remove", r ? tong_detail() : "");
    return CODE_DONE;
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
        int r = is_dead(finding) ? (set.remove ? remove_it : tell_it)(snapshot, i) : CODE_DONE;
        code = r ? r : code;
    }
    sight_say_coverage(snapshot);
    tong_snapshot_free(snapshot);
    return code;
}

const struct command cmd_gc = {
    "gc", "Inspect", "remove what dead processes left behind", "",
    "Says what it would remove, with one line of proof each, and what this user may not, and why; removes it only with\n"
    "--remove.  Touches nothing whose owner may be alive.",
    "tong gc", options, 0, 0, 0, run, NULL,
};
