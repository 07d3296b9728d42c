/* SPDX-License-Identifier: MIT */
/* tong map: who is connected to whom, and through what. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "command.h"
#include "report.h"
#include "sight/sight.h"

#define COMMAND_SHOWN 60 /* bytes of a command line */
#define OTHERS_SHOWN 12  /* processes at one object */
#define LINES_FIRST 16

struct settings {
    bool dot, plainly, json;
};

static const struct option_row options[] = {
    FLAG(dot, "as a graph for graphviz"),
    SIGHT_PLAINLY,
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

static const char *arrow(uint32_t direction)
{
    static const char *const arrows[] = { "---", "<--", "-->", "<->" };
    return arrows[direction & TONG_BOTH];
}

/* ---- As a tree ------------------------------------------------------------------------------------------- */

struct line {
    uint32_t kind;
    struct text text;
};

struct tree {
    const tong_snapshot *snapshot;
    struct line *lines;
    size_t count, room;
    uint32_t object, last; /* of the line that is written: the object, and who was named last */
    size_t others;         /* who are at it */
};

static void print_command(struct text *text, const char *command, size_t size)
{
    size_t shown = size < COMMAND_SHOWN ? size : text_whole(command, COMMAND_SHOWN);
    while (shown > 0 && command[shown - 1] == ' ') /* titles are padded */
        shown--;
    text_visible(text, command, shown, "");
    bool cut = size > COMMAND_SHOWN && command[shown + strspn(command + shown, " ")];
    text_print(text, "%s", cut ? "..." : "");
}

/*
 * What a program says that this process of it is there for: "nginx: worker process", or as Chromium and all that is
 * made of it do, "--type=renderer".
 */
static void print_title(struct text *text, const tong_process *process)
{
    static const char type[] = " --type=";
    size_t size = strlen(process->name);
    const char *said = strstr(process->command, type);
    bool title = size && !strncmp(process->command, process->name, size) && !strncmp(process->command + size, ": ", 2);
    if (!title && !said)
        return;
    said = title ? process->command + size + 2 : said + sizeof type - 1;
    text_print(text, " (");
    print_command(text, said, title ? strlen(said) : strcspn(said, " "));
    text_print(text, ")");
}

static struct line *new_line(struct tree *tree, uint32_t kind)
{
    if (tree->count == tree->room) {
        size_t room = tree->room ? 2 * tree->room : LINES_FIRST;
        struct line *wider = realloc(tree->lines, room * sizeof *wider);
        if (!wider)
            return NULL;
        tree->lines = wider;
        tree->room = room;
    }
    tree->lines[tree->count] = (struct line){ kind, TEXT_INIT };
    return &tree->lines[tree->count++];
}

static void end_line(struct tree *tree)
{
    if (tree->others == 1)
        print_title(&tree->lines[tree->count - 1].text, tong_snapshot_process(tree->snapshot, tree->last));
    else if (tree->others > OTHERS_SHOWN)
        text_print(&tree->lines[tree->count - 1].text, " and %zu more", tree->others - OTHERS_SHOWN);
    tree->others = 0;
}

static bool begin_line(struct tree *tree, const struct sight_link *link)
{
    const tong_object *object = tong_snapshot_object(tree->snapshot, link->object);
    const tong_object *peer = tong_snapshot_object(tree->snapshot, object->peer);
    end_line(tree);
    struct line *line = new_line(tree, object->kind);
    if (!line)
        return false;
    tree->object = link->object;
    text_print(&line->text, "  %s %-8s ", arrow(link->direction), tong_kind_name(object->kind));
    sight_object(&line->text, !*object->name && peer && *peer->name ? peer : object);
    text_print(&line->text, "%s  ", object->flags & TONG_OBJECT_LISTENING ? " (listens)" : "");
    return true;
}

static void add_other(void *context, const struct sight_link *link)
{
    struct tree *tree = context;
    const tong_process *other = tong_snapshot_process(tree->snapshot, link->other);
    if ((tree->others == 0 || tree->object != link->object) && !begin_line(tree, link))
        return;
    struct text *text = &tree->lines[tree->count - 1].text;
    if (tree->others < OTHERS_SHOWN) {
        sight_next_process(text, other, tree->others ? tong_snapshot_process(tree->snapshot, tree->last) : NULL);
        text_print(text, "%s", sight_role(link->end));
    }
    tree->last = link->other;
    tree->others++;
}

static int compare_lines(const void *left, const void *right)
{
    const struct line *a = left, *b = right;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return strcmp(a->text.data, b->text.data);
}

/* What is alike, as twenty pieces of memory that two processes share, is one line. */
static void print_lines(struct tree *tree)
{
    if (tree->count)
        qsort(tree->lines, tree->count, sizeof *tree->lines, compare_lines);
    for (size_t i = 0, same; i < tree->count; i += same) {
        for (same = 1; i + same < tree->count && compare_lines(&tree->lines[i], &tree->lines[i + same]) == 0; )
            same++;
        printf("%s", tree->lines[i].text.data);
        if (same > 1)
            printf("  (%zu of them)", same);
        putchar('\n');
    }
}

/* Who waits in open(2) has nobody at the other side yet. */
static void add_openings(struct tree *tree, uint32_t number)
{
    const tong_end *end;
    end_line(tree);
    for (size_t i = 0; (end = tong_snapshot_end(tree->snapshot, i)); i++) {
        const tong_object *object = tong_snapshot_object(tree->snapshot, end->object);
        struct line *line = end->process == number && sight_opens(end) ? new_line(tree, object->kind) : NULL;
        if (!line)
            continue;
        text_print(&line->text, "  %s %-8s ", arrow(end->direction), tong_kind_name(object->kind));
        sight_object(&line->text, object);
        text_print(&line->text, "  waits in open for a %s", end->direction == TONG_SEND ? "reader" : "writer");
    }
}

static void free_lines(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        text_free(&tree->lines[i].text);
    free(tree->lines);
}

static void print_head(const tong_process *process)
{
    struct text head = TEXT_INIT;
    sight_process(&head, process);
    if (process->inner_pid > 0 && process->inner_pid != process->pid)
        text_print(&head, " (%" PRId64 " in its pid namespace)", process->inner_pid);
    text_print(&head, "  ");
    print_command(&head, process->command, strlen(process->command));
    puts(head.data);
    text_free(&head);
}

/* Processes of which no connection was seen: because there is none, or because nobody may see it. */
struct alone {
    size_t independent, hidden;
};

/* A process and those it is connected to; alone, if that was asked for by name. */
static void print_tree(const tong_snapshot *snapshot, uint32_t number, bool asked, struct alone *alone)
{
    const tong_process *process = tong_snapshot_process(snapshot, number);
    struct tree tree = { .snapshot = snapshot };
    sight_links(snapshot, number, add_other, &tree);
    add_openings(&tree, number);
    if (tree.count > 0 || asked)
        print_head(process);
    if (tree.count > 0)
        print_lines(&tree);
    else if (process->flags & TONG_PROCESS_HIDDEN && asked)
        puts("  its descriptors cannot be seen by this user");
    else if (asked)
        puts("  independent: no channel to another process was seen");
    *(process->flags & TONG_PROCESS_HIDDEN ? &alone->hidden : &alone->independent) += tree.count == 0;
    free_lines(&tree);
}

static void print_trees(const tong_snapshot *snapshot, const bool *marks)
{
    struct alone alone = { 0, 0 };
    for (uint32_t i = 0; i < tong_snapshot_processes(snapshot); i++)
        if (!marks || marks[i])
            print_tree(snapshot, i, marks != NULL, &alone);
    if (!marks)
        printf("independent, as far as could be seen: %zu process%s\n", alone.independent,
               plural(alone.independent, "", "es"));
    if (!marks && alone.hidden)
        printf("not known, because this user may not see what they have: %zu process%s\n", alone.hidden,
               plural(alone.hidden, "", "es"));
}

/* ---- As a graph ------------------------------------------------------------------------------------------ */

/* Graphviz reads "&lt;" as HTML does, between quotes too. */
static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
        if (*text == '&')
            fputs("amp;", stdout);
    }
    putchar('"');
}

static void print_node(const tong_process *process)
{
    struct text name = TEXT_INIT;
    sight_process(&name, process);
    print_quoted(name.data);
    text_free(&name);
}

struct drawing {
    const tong_snapshot *snapshot;
    uint32_t self;
};

/* Each connection is seen from both of its ends: only the sender's, or the first's, is drawn. */
static void draw_edge(void *context, const struct sight_link *link)
{
    const struct drawing *drawing = context;
    uint32_t self = drawing->self;
    bool both = link->direction == TONG_BOTH || link->direction == 0;
    if (both ? link->other < self : link->direction != TONG_SEND)
        return;
    const tong_object *object = tong_snapshot_object(drawing->snapshot, link->object);
    struct text label = TEXT_INIT;
    text_print(&label, "%s ", tong_kind_name(object->kind));
    sight_object(&label, object);
    printf("  ");
    print_node(tong_snapshot_process(drawing->snapshot, self));
    printf(" -> ");
    print_node(tong_snapshot_process(drawing->snapshot, link->other));
    printf(" [label=");
    print_quoted(label.data);
    puts(both ? ", dir=both];" : "];");
    text_free(&label);
}

static void print_place(const tong_object *object)
{
    struct text name = TEXT_INIT;
    text_print(&name, "%s ", tong_kind_name(object->kind));
    sight_object(&name, object);
    print_quoted(name.data);
    text_free(&name);
}

/* Who waits in open(2) has an edge to the name itself. */
static void draw_openings(const tong_snapshot *snapshot, uint32_t number)
{
    const tong_end *end;
    for (size_t i = 0; (end = tong_snapshot_end(snapshot, i)); i++) {
        const tong_object *object = tong_snapshot_object(snapshot, end->object);
        if (end->process != number || !sight_opens(end))
            continue;
        printf("  ");
        print_place(object);
        printf(" [shape=ellipse];\n  ");
        print_node(tong_snapshot_process(snapshot, number));
        printf(" -> ");
        print_place(object);
        puts(end->direction == TONG_SEND ? " [label=\"waits in open\", style=dashed];"
                                         : " [label=\"waits in open\", style=dashed, dir=back];");
    }
}

static void print_dot(const tong_snapshot *snapshot, const bool *marks)
{
    puts("digraph tong {\n  rankdir=LR;\n  node [shape=box];");
    for (uint32_t i = 0; i < tong_snapshot_processes(snapshot); i++) {
        struct drawing drawing = { snapshot, i };
        if (marks && !marks[i])
            continue;
        sight_links(snapshot, i, draw_edge, &drawing);
        draw_openings(snapshot, i);
    }
    puts("}");
}

/* ---- The verb -------------------------------------------------------------------------------------------- */

/* The processes that were named: NULL for all; *ret_code where one is not there. */
static bool *find_all(const tong_snapshot *snapshot, int count, char **words, int *ret_code)
{
    bool *marks = count ? calloc(tong_snapshot_processes(snapshot) + 1, sizeof *marks) : NULL;
    for (int i = 0; i < count; i++) {
        if (marks && sight_find(snapshot, words[i], marks) > 0)
            continue;
        say("no process is called %s, nor has that number", words[i]);
        *ret_code = CODE_MISSING;
    }
    return marks;
}

/* The objects of the marked processes, and what is at their other side. */
static int print_json(const tong_snapshot *snapshot, const bool *marks)
{
    const tong_object *object;
    bool *keep = marks ? calloc(tong_snapshot_objects(snapshot) + 1, sizeof *keep) : NULL;
    if (marks && !keep)
        return fail_usage("out of memory");
    for (size_t i = 0; marks && (object = tong_snapshot_object(snapshot, i)); i++)
        if (sight_touches(snapshot, i, marks)) {
            keep[i] = true;
            keep[object->peer == TONG_NOBODY ? i : object->peer] = true;
        }
    int code = sight_print_json(snapshot, keep, NULL);
    free(keep);
    return code;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .dot = false };
    tong_snapshot *snapshot;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (set.dot && set.json)
        return fail_usage("--dot and --json exclude each other");
    code = sight_take(TONG_LOOK_WAITS | sight_tier(set.plainly), &snapshot);
    if (code)
        return code;
    bool *marks = find_all(snapshot, count, argv, &code);
    if (code == 0 && set.json)
        code = print_json(snapshot, marks);
    else if (code == 0)
        (set.dot ? print_dot : print_trees)(snapshot, marks);
    if (code == 0)
        sight_say_coverage(snapshot);
    free(marks);
    tong_snapshot_free(snapshot);
    return code;
}

const struct command cmd_map = {
    "map", "Inspect", "show which processes are connected, and through what", "[PID|NAME...]",
    "One paragraph a process: each line is one object, which way it goes, and who else is at it; of several that are\n"
    "alike it says how many.  A process without a line is independent of all others, as far as could be seen.",
    "tong map; tong map --dot | dot -Tsvg > map.svg", options, 0, -1, 0, run, NULL,
};
