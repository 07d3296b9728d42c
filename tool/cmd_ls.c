/* SPDX-License-Identifier: MIT */
/* tong ls: the objects on this machine, and who is at them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "report.h"
#include "sight/sight.h"

struct settings {
    const char *kind, *of;
    bool orphan, full, world, plainly, json;
};

static const struct option_row options[] = {
    VALUE(kind, TAKES_TEXT, "KIND", "only pipe, fifo, unix, tcp, udp, shm, channel ..., or several: pipe,fifo"),
    VALUE(of, TAKES_TEXT, "PROC", "only those of a process, by its pid or name"),
    FLAG(orphan, "only those that nobody has"),
    FLAG(full, "only those that are full"),
    { "world-writable", 0, TAKES_NOTHING, offsetof(struct settings, world), NULL, "only those that everybody may write" },
    SIGHT_PLAINLY,
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

static uint32_t flags_asked(const struct settings *set)
{
    return (set->orphan ? TONG_OBJECT_ORPHAN : 0) | (set->full ? TONG_OBJECT_FULL : 0) |
           (set->world ? TONG_OBJECT_WORLD_WRITABLE : 0);
}

/* "pipe,fifo" as bits; 0: a word is no kind, which was said. */
static uint64_t kinds_of(const char *words)
{
    uint64_t kinds = 0;
    for (size_t size; *words; words += size + (words[size] == ',')) {
        uint32_t kind = TONG_KIND_PIPE;
        size = strcspn(words, ",");
        while (strcmp(tong_kind_name(kind), "?") && (strlen(tong_kind_name(kind)) != size ||
                                                     strncmp(tong_kind_name(kind), words, size)))
            kind++;
        if (!strcmp(tong_kind_name(kind), "?"))
            return 0;
        kinds |= UINT64_C(1) << kind;
    }
    return kinds;
}

static int refuse_kinds(const char *words)
{
    struct text all = TEXT_INIT;
    for (uint32_t kind = TONG_KIND_PIPE; strcmp(tong_kind_name(kind), "?"); kind++)
        text_print(&all, "%s%s", kind == TONG_KIND_PIPE ? "" : ", ", tong_kind_name(kind));
    int code = fail_usage("option '--kind': '%s' should be one or more of %s", words, all.data);
    text_free(&all);
    return code;
}

/* Which objects are asked for; 0 or an exit code, said. */
static int choose(const tong_snapshot *snapshot, const struct settings *set, bool *keep)
{
    bool *marks = calloc(tong_snapshot_processes(snapshot) + 1, sizeof *marks);
    const tong_object *object;
    int code = 0;
    if (!marks)
        return fail_usage("out of memory");
    if (set->of && sight_find(snapshot, set->of, marks) == 0) {
        say("no process is called %s, nor has that number", set->of);
        code = CODE_MISSING;
    }
    for (size_t i = 0; code == 0 && (object = tong_snapshot_object(snapshot, i)); i++)
        keep[i] = (object->flags & flags_asked(set)) == flags_asked(set) &&
                  (!set->kind || kinds_of(set->kind) >> object->kind & 1) &&
                  (!set->of || sight_touches(snapshot, i, marks));
    free(marks);
    return code;
}

static void print_row(const tong_snapshot *snapshot, size_t number)
{
    const tong_object *object = tong_snapshot_object(snapshot, number);
    struct text name = TEXT_INIT, state = TEXT_INIT, row = TEXT_INIT;
    sight_object(&name, object);
    sight_state(&state, object);
    text_print(&row, "%-8s ", tong_kind_name(object->kind));
    text_pad(&row, name.data, 36);
    text_print(&row, " %-16s ", state.data);
    sight_ends(&row, snapshot, number);
    puts(row.data);
    text_free(&name);
    text_free(&state);
    text_free(&row);
}

/* By kind, and within one as they were found. */
static void print_rows(const tong_snapshot *snapshot, const bool *keep)
{
    printf("%-8s %-36s %-16s %s\n", "KIND", "OBJECT", "STATE", "WHO");
    for (uint32_t kind = TONG_KIND_PIPE; strcmp(tong_kind_name(kind), "?"); kind++)
        for (size_t i = 0; i < tong_snapshot_objects(snapshot); i++)
            if (keep[i] && tong_snapshot_object(snapshot, i)->kind == kind)
                print_row(snapshot, i);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .kind = NULL };
    tong_snapshot *snapshot;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (set.kind && !kinds_of(set.kind))
        return refuse_kinds(set.kind);
    code = sight_take(TONG_LOOK_DEPTHS | TONG_LOOK_WAITS | sight_tier(set.plainly), &snapshot);
    if (code)
        return code;
    bool *keep = calloc(tong_snapshot_objects(snapshot) + 1, sizeof *keep);
    code = keep ? choose(snapshot, &set, keep) : CODE_FAILED;
    if (code == 0 && set.json)
        code = sight_print_json(snapshot, keep, NULL);
    else if (code == 0)
        print_rows(snapshot, keep);
    if (code == 0)
        sight_say_coverage(snapshot);
    free(keep);
    tong_snapshot_free(snapshot);
    return code;
}

const struct command cmd_ls = {
    "ls", "Inspect", "list pipes, sockets, queues and memory, and who is at them", "",
    "Looks at the whole machine without disturbing anybody.  WHO names processes: those that can only send before the\n"
    "arrow, those that can only receive behind it, those that can do both after a semicolon.  What could not be seen is\n"
    "said on standard error.",
    "tong ls --kind pipe", options, 0, 0, 0, run, NULL,
};
