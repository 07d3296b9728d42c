/* SPDX-License-Identifier: MIT */
/* options.h - options of a verb, read by a table into the verb's own settings. */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct command;

/* What an option takes, and so the type of its field in the settings. */
enum takes {
    TAKES_NOTHING,  /* bool */
    TAKES_TEXT,     /* const char * */
    TAKES_DURATION, /* int64_t, nanoseconds */
    TAKES_COUNT,    /* int64_t, above 0 */
    TAKES_NUMBER    /* int64_t */
};

struct option_row {
    const char *name;    /* "timeout"; the table ends with NULL */
    char letter;         /* 'n', or 0 */
    enum takes takes;
    size_t offset;       /* of the field */
    const char *value;   /* how help names the value: "T" */
    const char *help;
};

/* Rows whose field in the verb's struct settings has the option's name. */
#define FLAG(field, help) { #field, 0, TAKES_NOTHING, offsetof(struct settings, field), NULL, help }
#define VALUE(field, takes, value, help) { #field, 0, takes, offsetof(struct settings, field), value, help }
#define OPTIONS_LAST { NULL, 0, TAKES_NOTHING, 0, NULL, NULL }

/* What a duration holds when the option was not given and "for ever" is not what that means. */
#define NOT_GIVEN INT64_MIN

#define OPTIONS_GO (-1)

/*
 * Reads argv[0..argc) into `settings` and leaves the operands in argv[0..*ret_count), with a NULL behind.
 * Options may stand anywhere before "--" (before operand number `leading`, for a command that runs others).
 * Returns OPTIONS_GO, or the exit code when there is nothing left to do: help was asked for, or a wrong
 * option or number of operands was named on standard error.
 */
int options_read(const struct command *command, int argc, char **argv, void *settings, int *ret_count);

/* The address, which is taken over, with the option name=value of the command line; NULL, said, if it has that already. */
char *options_add(char *address, const char *name, const char *value);

#endif
