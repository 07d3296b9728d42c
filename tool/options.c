/* SPDX-License-Identifier: MIT */
/* The option reader: long options with "--name value" or "--name=value", short ones with "-n value" or "-nvalue". */
#include "options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "command.h"
#include "report.h"
#include "text.h"

struct reader {
    const struct command *command;
    char **argv;
    int argc, next;
};

static int set_duration(const char *text, void *field)
{
    return parse_duration(text, field);
}

static int set_count(const char *text, void *field)
{
    int64_t number;
    int r = parse_count(text, 10, &number);
    if (r == 0 && number <= 0)
        return -ERANGE;
    if (r == 0)
        *(int64_t *)field = number;
    return r;
}

static int set_number(const char *text, void *field)
{
    return parse_count(text, 0, field);
}

static int set_text(const char *text, void *field)
{
    *(const char **)field = text;
    return 0;
}

static const struct { int (*set)(const char *, void *); const char *words; } kinds[] = {
    [TAKES_TEXT] = { set_text, "text" },
    [TAKES_DURATION] = { set_duration, "a duration such as 500ms, 2s or 1m" },
    [TAKES_COUNT] = { set_count, "a count above 0" },
    [TAKES_NUMBER] = { set_number, "a number such as 7 or 0x1f" },
};

/* The row that `argument` names; *ret_value is what stands in the same word after "=" or the letter. */
static const struct option_row *find(const struct option_row *rows, const char *argument, const char **ret_value)
{
    bool full = argument[1] == '-';
    const char *name = argument + 1 + full;
    size_t size = full ? strcspn(name, "=") : 1;
    const char *rest = name + size;
    *ret_value = *rest ? rest + (full || *rest == '=') : NULL;
    for (; rows->name; rows++)
        if (full ? !strncmp(rows->name, name, size) && !rows->name[size] : rows->letter && rows->letter == *name)
            return rows;
    return NULL;
}

static int read_option(struct reader *reader, const char *argument, void *settings)
{
    const char *value;
    const struct option_row *row = find(reader->command->options, argument, &value);
    if (!row)
        return fail_usage("unknown option '%s'", argument);
    void *field = (char *)settings + row->offset;
    if (row->takes == TAKES_NOTHING) {
        if (value)
            return fail_usage("option '--%s' takes no value", row->name);
        *(bool *)field = true;
        return OPTIONS_GO;
    }
    if (!value && reader->next < reader->argc)
        value = reader->argv[reader->next++];
    if (!value)
        return fail_usage("option '%s' needs a value: %s", argument, kinds[row->takes].words);
    if (kinds[row->takes].set(value, field) < 0)
        return fail_usage("option '--%s': '%s' should be %s", row->name, value, kinds[row->takes].words);
    return OPTIONS_GO;
}

static int check_count(const struct command *command, int count)
{
    if (count < command->least)
        return fail_usage("an argument is missing: usage: tong %s %s", command->name, command->usage);
    if (command->most >= 0 && count > command->most)
        return fail_usage("an argument too many: usage: tong %s%s%s", command->name, *command->usage ? " " : "",
                          command->usage);
    return OPTIONS_GO;
}

int options_read(const struct command *command, int argc, char **argv, void *settings, int *ret_count)
{
    struct reader reader = { command, argv, argc, 0 };
    int count = 0;
    bool over = false;
    while (reader.next < argc) {
        char *argument = argv[reader.next++];
        if (over || argument[0] != '-' || !argument[1]) {
            argv[count++] = argument;
            over |= count == command->leading;
        } else if (!strcmp(argument, "--")) {
            over = true;
        } else if (!strcmp(argument, "--help") || !strcmp(argument, "-h")) {
            command_help(command);
            return CODE_DONE;
        } else {
            int r = read_option(&reader, argument, settings);
            if (r != OPTIONS_GO)
                return r;
        }
    }
    argv[count] = NULL;
    *ret_count = count;
    return check_count(command, count);
}

char *options_add(char *address, const char *name, const char *value)
{
    size_t size;
    char *longer = text_find_option(address, name, &size) ? NULL : text_with_option(address, name, value);
    if (!longer)
        fail_usage("'%s' says %s= already: it and %s cannot both be right", address, name, value);
    free(address);
    return longer;
}
