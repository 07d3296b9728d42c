/* SPDX-License-Identifier: MIT */
/* tong doctor: what is stuck, forgotten, full or open to everybody, and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "report.h"
#include "sight/identity.h"
#include "sight/sight.h"

struct settings {
    int64_t confirm;
    bool plainly, json;
};

static const struct option_row options[] = {
    VALUE(confirm, TAKES_DURATION, "T", "look again after T, and say only what is still so"),
    SIGHT_PLAINLY,
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

static const char *kind_words(uint32_t kind)
{
    static const char *const words[] = {
        [TONG_FINDING_STUCK] = "stuck", [TONG_FINDING_ORPHAN] = "orphan", [TONG_FINDING_FULL] = "full",
        [TONG_FINDING_WORLD_WRITABLE] = "world-writable", [TONG_FINDING_LEFTOVER] = "leftover",
        [TONG_FINDING_UNSURE] = "perhaps stuck", [TONG_FINDING_STOPPED] = "stopped",
    };
    return kind < sizeof words / sizeof *words && words[kind] ? words[kind] : "?";
}

static void print_finding(const tong_finding *finding)
{
    struct text text = TEXT_INIT;
    text_print(&text, "%s (%s): ", kind_words(finding->kind), sight_certainty(finding->certainty));
    text_visible(&text, finding->summary, strlen(finding->summary), "");
    text_print(&text, "\n");
    for (const char *line = finding->proof; *line; line += strspn(line, "\n")) {
        size_t size = strcspn(line, "\n");
        text_print(&text, "    ");
        text_visible(&text, line, size, "");
        text_print(&text, "\n");
        line += size;
    }
    if (*finding->advice) {
        text_print(&text, "    -> ");
        text_visible(&text, finding->advice, strlen(finding->advice), "");
        text_print(&text, "\n");
    }
    fputs(text.data, stdout);
    text_free(&text);
}

/* Whether the earlier look found the same, of the same processes and objects and not only of what is called so. */
static bool was_there(const tong_snapshot *before, uint64_t identity)
{
    const tong_finding *other;
    for (size_t i = 0; (other = tong_snapshot_finding(before, i)); i++)
        if (identity_of_finding(before, other) == identity)
            return true;
    return false;
}

/* Which findings are told, one for each; NULL: memory is short. */
static bool *choose(const tong_snapshot *snapshot, const tong_snapshot *before, size_t *ret_count)
{
    const tong_finding *finding;
    bool *told = calloc(tong_snapshot_findings(snapshot) + 1, sizeof *told);
    *ret_count = 0;
    for (size_t i = 0; told && (finding = tong_snapshot_finding(snapshot, i)); i++) {
        told[i] = !before || was_there(before, identity_of_finding(snapshot, finding));
        *ret_count += told[i];
    }
    return told;
}

static void print_findings(const tong_snapshot *snapshot, const bool *told)
{
    const tong_finding *finding;
    for (size_t i = 0; (finding = tong_snapshot_finding(snapshot, i)); i++)
        if (told[i])
            print_finding(finding);
}

/* What is told of a look, and the exit code that goes with it. */
static int tell(const tong_snapshot *snapshot, const tong_snapshot *before, bool as_json)
{
    size_t found;
    int code = CODE_DONE;
    bool *told = choose(snapshot, before, &found);
    if (!told)
        return fail_usage("out of memory");
    if (as_json)
        code = sight_print_json(snapshot, NULL, told);
    else if (found)
        print_findings(snapshot, told);
    else
        puts("nothing is stuck, forgotten or open to everybody, and no queue is full, as far as could be seen");
    free(told);
    sight_say_coverage(snapshot);
    return code ? code : found ? CODE_FINDINGS : tong_snapshot_gaps(snapshot) ? CODE_INCOMPLETE : CODE_DONE;
}

static int take_second(const struct settings *set, tong_snapshot **snapshot, tong_snapshot **before)
{
    const struct timespec time = { set->confirm / TONG_SECOND, set->confirm % TONG_SECOND };
    *before = *snapshot;
    *snapshot = NULL;
    nanosleep(&time, NULL);
    return sight_take(TONG_LOOK_ALL | sight_tier(set->plainly), snapshot);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .confirm = 0 };
    tong_snapshot *snapshot, *before = NULL;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    code = sight_take(TONG_LOOK_ALL | sight_tier(set.plainly), &snapshot);
    if (code == 0 && set.confirm > 0)
        code = take_second(&set, &snapshot, &before);
    if (code == 0)
        code = tell(snapshot, before, set.json);
    tong_snapshot_free(before);
    tong_snapshot_free(snapshot);
    return code;
}

const struct command cmd_doctor = {
    "doctor", "Inspect", "find what is stuck, forgotten, full or open to everybody", "",
    "Each finding comes with its proof and how sure it is: exact, inferred or unsure.  Exits with 8 if there are findings,\n"
    "with 9 if there are none but not everything could be seen.",
    "tong doctor --confirm 1s", options, 0, 0, 0, run, NULL,
};
