/* SPDX-License-Identifier: MIT */
/*
 * tong complete: what the last of some words could become, one on a line, with a tab and what it means behind it.
 *
 * Everything comes from the tables that --help and `tong explain` print: verbs and options from the commands, what
 * an operand is from the word that stands for it in the usage, schemes and the options of addresses from the library.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "report.h"
#include "text.h"
#include "tong/tong.h"

static const struct option_row options[] = { OPTIONS_LAST };

/* What an address may be, by the verb that takes it. */
static const struct { const char *verb; uint32_t noun; } nouns[] = {
    { "sem", TONG_HAS_SEMAPHORE }, { "region", TONG_HAS_REGION }, { "lock", TONG_HAS_LOCK }, { "rm", TONG_HAS_REMOVE },
};

static uint32_t noun_of(const struct command *command)
{
    size_t size = strcspn(command->name, " ");
    for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++)
        if (strlen(nouns[i].verb) == size && !memcmp(nouns[i].verb, command->name, size))
            return nouns[i].noun;
    return TONG_HAS_CHANNEL;
}

/* ---- Offers -------------------------------------------------------------------------------------------- */

/* One candidate, "FRONTname AFTER", if it continues `word`; what cannot stand on one line is not offered. */
static void offer(const char *word, const char *front, const char *name, const char *after, const char *meaning)
{
    struct text whole = TEXT_INIT, line = TEXT_INIT;
    text_print(&whole, "%s%s%s", front, name, after);
    if (!strncmp(whole.data, word, strlen(word))) {
        text_visible(&line, whole.data, whole.used, "");
        if (line.used == whole.used)
            printf("%s%s%.*s\n", whole.data, meaning ? "\t" : "", (int)strcspn(meaning ? meaning : "", "\n"),
                   meaning ? meaning : "");
    }
    text_free(&whole);
    text_free(&line);
}

/* The words of "packet|line|none"; nothing where it is one word, which only describes. */
static void offer_choices(const char *word, const char *front, const char *choices)
{
    char name[64];
    for (const char *at = choices; strchr(choices, '|') && at; at = strchr(at, '|')) {
        at += *at == '|';
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "|"), at);
        offer(word, front, name, "", NULL);
    }
}

/* In an address '?' begins the options, ',' a second name, and '%' is how they are written. */
static void encode(struct text *text, const char *name)
{
    for (; *name; name++)
        if (strchr("%?,", *name) || (unsigned char)*name < ' ')
            text_print(text, "%%%02x", (unsigned)*name);
        else
            text_add(text, name, 1);
}

static void decode(struct text *text, const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned code;
        bool coded = name[i] == '%' && i + 2 < size && sscanf(name + i + 1, "%2x", &code) == 1;
        char letter = coded ? (char)code : name[i];
        text_add(text, &letter, 1);
        i += coded ? 2 : 0;
    }
}

/* Behind `front` stands a path, whose last part may go on; in an address it is written as addresses are. */
static void offer_files(const char *word, const char *front, bool address)
{
    const char *path = word + strlen(front), *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    struct text base = TEXT_INIT, entry_path = TEXT_INIT, before = TEXT_INIT, name = TEXT_INIT;
    if (address)
        decode(&base, path, (size_t)(last - path));
    else
        text_add(&base, path, (size_t)(last - path));
    text_add(&before, word, (size_t)(last - word));
    struct dirent **entries;
    int count = scandir(base.used ? base.data : ".", &entries, NULL, alphasort);
    for (int i = 0; i < count; free(entries[i++])) {
        const struct dirent *entry = entries[i];
        struct stat state;
        if (entry->d_name[0] == '.' && *last != '.')
            continue;
        entry_path.used = name.used = 0;
        text_print(&entry_path, "%s%s", base.used ? base.data : "", entry->d_name);
        if (address)
            encode(&name, entry->d_name);
        else
            text_print(&name, "%s", entry->d_name);
        bool deeper = stat(entry_path.data, &state) == 0 && S_ISDIR(state.st_mode);
        offer(word, before.data, name.data, deeper ? "/" : "", NULL);
    }
    if (count >= 0)
        free(entries);
    text_free(&base);
    text_free(&entry_path);
    text_free(&before);
    text_free(&name);
}

static void offer_schemes(const char *word, uint32_t noun, const char *after)
{
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    const char *last = "";
    for (size_t i = 0; tong_mechanism_describe(i, &info) == 0; i++) {
        if (info.offers & noun && strcmp(last, info.scheme))
            offer(word, "", info.scheme, after, info.summary);
        last = info.scheme;
    }
}

static void offer_verbs(const char *word, const struct command *const *table, bool below)
{
    for (; *table; table++)
        if (below || (*table)->group)
            offer(word, "", command_word(*table), "", (*table)->summary);
}

static void offer_options(const char *word, const struct command *command)
{
    for (const struct option_row *row = command->options; row && row->name; row++)
        offer(word, "--", row->name, "", row->help);
    offer(word, "--", "help", "", "show what the verb does");
}

/* ---- Addresses ----------------------------------------------------------------------------------------- */

/* Behind '?': the names of options, or the values of the one that is named last. */
static void offer_address_options(const char *word, const char *scheme, uint32_t noun)
{
    tong_option_info info = TONG_OPTION_INFO_INIT;
    const char *last = strrchr(word, '&') ? strrchr(word, '&') : strchr(word, '?');
    const char *equals = strchr(++last, '=');
    char *front = strndup(word, (size_t)((equals ? equals + 1 : last) - word));
    size_t size = strcspn(last, "=");
    for (size_t i = 0; front && tong_mechanism_option(scheme, i, &info) == 0; i++) {
        if (!(info.noun & noun) && noun != TONG_HAS_REMOVE)
            continue;
        if (!equals)
            offer(word, front, info.name, "=", info.help);
        else if (strlen(info.name) == size && !memcmp(info.name, last, size))
            offer_choices(word, front, info.values);
    }
    free(front);
}

static void offer_address(const char *word, uint32_t noun)
{
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    size_t size = strcspn(word, ":");
    if (!word[size]) {
        offer_schemes(word, noun, ":");
        return;
    }
    char front[40];
    snprintf(front, sizeof front, "%.*s:", (int)size, word);
    for (size_t i = 0; tong_mechanism_describe(i, &info) == 0; i++) {
        if (strlen(info.scheme) != size || memcmp(info.scheme, word, size))
            continue;
        if (strchr(word, '?'))
            offer_address_options(word, info.scheme, noun);
        else if (!strncmp(info.form + size, ":PATH", 5))
            offer_files(word, front, true);
        return;
    }
}

/* ---- Operands ------------------------------------------------------------------------------------------ */

static void complete_address(const char *word, const struct command *command)
{
    offer_address(word, noun_of(command));
}

static void complete_file(const char *word, const struct command *command)
{
    (void)command;
    offer_files(word, "", false);
}

static void complete_scheme(const char *word, const struct command *command)
{
    (void)command;
    offer_schemes(word, UINT32_MAX, "");
}

static void complete_verb(const char *word, const struct command *command)
{
    (void)command;
    offer_verbs(word, commands, false);
}

static void complete_signal(const char *word, const struct command *command)
{
    (void)command;
    tong_signal_info info = TONG_SIGNAL_INFO_INIT;
    for (size_t i = 0; tong_signal_list(i, &info) == 0; i++)
        offer(word, "", info.name, "", info.summary);
}

/* The words that stand for operands and values in usages. */
static const struct { const char *word; void (*complete)(const char *, const struct command *); } places[] = {
    { "ADDRESS", complete_address }, { "FROM", complete_address }, { "TO", complete_address },
    { "FILE", complete_file }, { "SCHEME", complete_scheme }, { "NAME", complete_scheme }, { "VERB", complete_verb },
    { "SIGNAL", complete_signal }, { "PID|NAME|ADDRESS", complete_address },
};

static void complete_place(const char *word, const char *front, const char *place, const struct command *command)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!strcmp(place, places[i].word)) {
            if (!*front)
                places[i].complete(word, command);
            return;
        }
    offer_choices(word, front, place);
}

/* The usage's word for operand `index`, without its brackets and dots; the last one repeats if it has dots. */
static void place_of(const char *usage, int index, char *ret, size_t size)
{
    *ret = '\0';
    for (const char *at = usage; *at; index--) {
        size_t length = strcspn(at, " ");
        const char *start = at + (*at == '[');
        if (index == 0 || (index > 0 && !at[length] && strstr(at, "...")))
            snprintf(ret, size, "%.*s", (int)strcspn(start, " ].["), start);
        at += length + (at[length] == ' ');
    }
}

/* ---- The line ------------------------------------------------------------------------------------------ */

static const struct option_row *find_row(const struct command *command, const char *word, size_t size)
{
    const struct option_row *row = command->options;
    bool full = size > 2 && word[1] == '-';
    for (; row && row->name; row++)
        if (full ? strlen(row->name) == size - 2 && !memcmp(row->name, word + 2, size - 2)
                 : size == 2 && row->letter == word[1])
            return row;
    return NULL;
}

/* Whether this word of the line is an option whose value is the next word. */
static const struct option_row *waits_for_value(const struct command *command, const char *word)
{
    const struct option_row *row = *word == '-' ? find_row(command, word, strlen(word)) : NULL;
    return row && row->takes != TAKES_NOTHING ? row : NULL;
}

static void complete_option(const char *word, const struct command *command)
{
    size_t size = strcspn(word, "=");
    const struct option_row *row = word[size] ? find_row(command, word, size) : NULL;
    char *front = strndup(word, size + 1);
    if (row && row->value && front)
        complete_place(word, front, row->value, command);
    else if (!word[size])
        offer_options(word, command);
    free(front);
}

/* The words behind the verb; the last is the one to complete. */
static void complete_arguments(const struct command *command, int count, char **words)
{
    const struct option_row *waiting = NULL;
    const char *last = words[count - 1];
    char place[64];
    int operands = 0;
    bool over = false;
    for (int i = 0; i < count - 1; i++) {
        if (waiting)
            waiting = NULL;
        else if (!over && !strcmp(words[i], "--"))
            over = true;
        else if (over || *words[i] != '-')
            operands++;
        else
            waiting = waits_for_value(command, words[i]);
        over |= command->leading && operands >= command->leading;
    }
    place_of(command->usage, operands, place, sizeof place);
    if (waiting)
        complete_place(last, "", waiting->value, command);
    else if (*last == '-' && !over)
        complete_option(last, command);
    else
        complete_place(last, "", place, command);
}

static int run(const struct command *self, int argc, char **argv)
{
    int count, code = options_read(self, argc, argv, NULL, &count);
    if (code != OPTIONS_GO)
        return code;
    const struct command *const *table = commands;
    const struct command *command = NULL;
    int used = 0;
    while (table && used < count - 1 && (command = command_find(table, argv[used]))) {
        table = command->verbs;
        used++;
    }
    if (table && used == count - 1)
        offer_verbs(argv[used], table, table != commands);
    else if (command)
        complete_arguments(command, count - used, argv + used);
    return CODE_DONE;
}

const struct command cmd_complete = {
    "complete", NULL, "what the last of some words could become", "-- WORD...", NULL,
    "tong complete -- send fi", options, 1, -1, 0, run,
};
