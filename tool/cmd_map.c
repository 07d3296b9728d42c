/* SPDX-License-Identifier: MIT */
/* tong map: who is connected to whom, and through what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "report.h"
#include "sight/sight.h"

#define COMMAND_SHOWN 60 /* bytes of a command line */

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

struct tree {
    const tong_snapshot *snapshot;
    struct text *lines;
    size_t links;
};

static void add_branch(void *context, const struct sight_link *link)
{
    struct tree *tree = context;
    const tong_object *object = tong_snapshot_object(tree->snapshot, link->object);
    text_print(tree->lines, "  %s %-8s ", arrow(link->direction), tong_kind_name(object->kind));
    sight_object(tree->lines, object);
    text_print(tree->lines, "  ");
    sight_process(tree->lines, tong_snapshot_process(tree->snapshot, link->other));
    text_print(tree->lines, "\n");
    tree->links++;
}

/* A process and those it is connected to; alone, if that was asked for by name. */
static void print_tree(const tong_snapshot *snapshot, uint32_t number, bool asked, size_t *independent)
{
    const tong_process *process = tong_snapshot_process(snapshot, number);
    struct text head = TEXT_INIT, lines = TEXT_INIT;
    struct tree tree = { snapshot, &lines, 0 };
    sight_process(&head, process);
    text_print(&head, "  ");
    text_visible(&head, process->command, strnlen(process->command, COMMAND_SHOWN), "");
    sight_links(snapshot, number, add_branch, &tree);
    if (tree.links > 0)
        printf("%s\n%s", head.data, lines.data);
    else if (process->flags & TONG_PROCESS_HIDDEN && asked)
        printf("%s\n  its descriptors cannot be seen by this user\n", head.data);
    else if (asked)
        printf("%s\n  independent: no channel to another process was seen\n", head.data);
    *independent += tree.links == 0;
    text_free(&head);
    text_free(&lines);
}

static void print_trees(const tong_snapshot *snapshot, const bool *marks)
{
    size_t independent = 0;
    for (uint32_t i = 0; i < tong_snapshot_processes(snapshot); i++)
        if (!marks || marks[i])
            print_tree(snapshot, i, marks != NULL, &independent);
    if (!marks)
        printf("independent, as far as could be seen: %zu processes\n", independent);
}

/* ---- As a graph ------------------------------------------------------------------------------------------ */

static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
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

/* Each connection is seen from both of its ends: only the sender's, or the first's, is drawn. */
static void draw_edge(void *context, const struct sight_link *link)
{
    const struct tree *tree = context;
    uint32_t self = (uint32_t)tree->links;
    bool both = link->direction == TONG_BOTH || link->direction == 0;
    if (both ? link->other < self : link->direction != TONG_SEND)
        return;
    const tong_object *object = tong_snapshot_object(tree->snapshot, link->object);
    struct text label = TEXT_INIT;
    text_print(&label, "%s ", tong_kind_name(object->kind));
    sight_object(&label, object);
    printf("  ");
    print_node(tong_snapshot_process(tree->snapshot, self));
    printf(" -> ");
    print_node(tong_snapshot_process(tree->snapshot, link->other));
    printf(" [label=");
    print_quoted(label.data);
    puts(both ? ", dir=both];" : "];");
    text_free(&label);
}

static void print_dot(const tong_snapshot *snapshot, const bool *marks)
{
    puts("digraph tong {\n  rankdir=LR;\n  node [shape=box];");
    for (uint32_t i = 0; i < tong_snapshot_processes(snapshot); i++) {
        struct tree tree = { snapshot, NULL, i };
        if (!marks || marks[i])
            sight_links(snapshot, i, draw_edge, &tree);
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

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .dot = false };
    tong_snapshot *snapshot;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    code = sight_take(sight_tier(set.plainly), &snapshot);
    if (code)
        return code;
    bool *marks = find_all(snapshot, count, argv, &code);
    if (code == 0 && set.json)
        code = sight_print_json(snapshot, NULL);
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
    "One paragraph a process: each line is one other process, the object between them, and which way it goes.  A process\n"
    "without a line is independent of all others, as far as could be seen.",
    "tong map; tong map --dot | dot -Tsvg > map.svg", options, 0, -1, 0, run, NULL,
};
