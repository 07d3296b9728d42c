/* SPDX-License-Identifier: MIT */
/*
 * command.h - one verb of the command: a row of the table in main.c, from which --help is printed too, so
 * that help cannot say what the verb does not take.
 */
#ifndef TOOL_COMMAND_H
#define TOOL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

struct command {
    const char *name;       /* "send"; of a verb under another both words: "sem wait" */
    const char *group;      /* heading in `tong --help`; NULL: not shown */
    const char *summary;    /* one line */
    const char *usage;      /* what follows "tong NAME" */
    const char *about;      /* what --help says before the options, or NULL */
    const char *example;    /* commands that run as they stand */
    const struct option_row *options;
    int least, most;        /* operands; most -1: no bound */
    int leading;            /* runs programs: options end at this operand, what follows is theirs; 0: it does not */
    int (*run)(const struct command *self, int argc, char **argv); /* NULL: one of `verbs` follows */
    const struct command *const *verbs; /* under this one, ended by NULL; or NULL */
};

/* The table of verbs (main.c), ended by NULL, in the order in which a newcomer should meet them. */
extern const struct command *const commands[];

extern const struct command
    cmd_advise,
    cmd_bench,
    cmd_complete,
    cmd_completion,
    cmd_demo,
    cmd_demo_carry,
    cmd_doctor,
    cmd_explain,
    cmd_gc,
    cmd_lock,
    cmd_ls,
    cmd_map,
    cmd_pipe,
    cmd_recv,
    cmd_region,
    cmd_relay,
    cmd_rm,
    cmd_sem,
    cmd_send,
    cmd_signal,
    cmd_signal_show,
    cmd_signal_wait,
    cmd_talk,
    cmd_top,
    cmd_trace,
    cmd_watch,
    cmd_web;

/* Its last word: "wait" of "sem wait". */
const char *command_word(const struct command *command);

/* The verb called `word` in a table; or NULL. */
const struct command *command_find(const struct command *const *table, const char *word);

/* `tong NAME --help`, on standard output. */
void command_help(const struct command *command);

#endif
