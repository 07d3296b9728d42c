/* SPDX-License-Identifier: MIT */
/* tong explain: the mechanisms as the library describes them; nothing here knows one by name. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "end.h"
#include "explain.h"
#include "report.h"

struct settings {
    bool json;
};

static const struct option_row options[] = {
    { "json", 0, TAKES_NOTHING, offsetof(struct settings, json), NULL, "as JSON (doc/json.md)" },
    OPTIONS_LAST,
};

const struct ability abilities[] = {
    { TONG_HAS_CHANNEL, "channel", "messages can be sent and received" },
    { TONG_HAS_LISTENER, "listener", "a server that accepts many clients" },
    { TONG_HAS_PAIR, "pair", "both ends at once, for parent, child and siblings" },
    { TONG_HAS_TWO_WAY, "two_way", "one object serves both directions" },
    { TONG_HAS_TWO_WAY_PAIR, "two_way_pair", "two objects in one address serve both directions" },
    { TONG_HAS_MANY_SENDERS, "many_senders", "many senders at once" },
    { TONG_HAS_MANY_RECEIVERS, "many_receivers", "many receivers at once" },
    { TONG_HAS_FINISH, "finish", "the sender can say that this is the end" },
    { TONG_HAS_SELECT, "select", "receivers choose messages by type" },
    { TONG_HAS_READINESS, "readiness", "gives a descriptor for poll and epoll" },
    { TONG_HAS_ZERO_COPY, "zero_copy", "messages can be written and read where they lie" },
    { TONG_HAS_PEER, "peer", "says who is at the other end" },
    { TONG_HAS_DESCRIPTOR, "descriptor", "is a descriptor that programs inherit" },
    { TONG_HAS_AFTER_FORK, "after_fork", "a forked child can take an open channel over" },
    { TONG_HAS_REMOVE, "remove", "has a name that tong rm removes" },
    { 0, NULL, NULL },
};

const char *direction_words(const tong_mechanism_info *mechanism)
{
    if (mechanism->offers & TONG_HAS_TWO_WAY)
        return "both ways";
    return mechanism->offers & TONG_HAS_TWO_WAY_PAIR ? "one way, two: both" : "one way";
}

const char *identity_words(uint32_t identity)
{
    static const char *const words[] = { "none", "message", "connection", "last", "claimed" };
    return identity < sizeof words / sizeof *words ? words[identity] : "unknown";
}

static const char *identity_meaning(uint32_t identity)
{
    static const char *const words[] = {
        "nothing: the mechanism does not know who sent",
        "the kernel vouches for the sender of each message",
        "the kernel vouches for who made the other end",
        "the last process that sent; with several senders it may be another",
        "what the sender says of itself; it can be forged",
    };
    return identity < sizeof words / sizeof *words ? words[identity] : "unknown";
}

/* ---- The table ----------------------------------------------------------------------------------------- */

#define COLUMNS 6
#define CELL 40

static const char headings[COLUMNS][CELL] = { "ADDRESS", "DIRECTION", "MEDIUM", "UNIT", "REACH", "SEND:RECV" };

static const char *ends_words(uint32_t offers)
{
    static const char *const words[] = { "1:1", "many:1", "1:many", "many:many" };
    return words[!!(offers & TONG_HAS_MANY_SENDERS) + 2 * !!(offers & TONG_HAS_MANY_RECEIVERS)];
}

/* The first way to write the address, with the variant: "unix:PATH", "  ?socket=seqpacket". */
static void address_words(const tong_mechanism_info *mechanism, bool again, char ret[CELL])
{
    if (again)
        snprintf(ret, CELL, "  ?%s", mechanism->variant);
    else
        snprintf(ret, CELL, "%.*s", (int)strcspn(mechanism->form, ", "), mechanism->form);
}

/* What stands before the details: "bytes" of "bytes, framed into messages". */
static void shorten(const char *words, char ret[CELL])
{
    snprintf(ret, CELL, "%.*s", (int)strcspn(words, ",:;("), words);
}

static void cells(const tong_mechanism_info *mechanism, bool again, char ret[COLUMNS][CELL])
{
    address_words(mechanism, again, ret[0]);
    snprintf(ret[1], CELL, "%s", direction_words(mechanism));
    shorten(mechanism->medium, ret[2]);
    shorten(mechanism->unit, ret[3]);
    shorten(mechanism->reach, ret[4]);
    snprintf(ret[5], CELL, "%s", ends_words(mechanism->offers));
}

/* Calls `each` for every row, with whether its scheme was seen in the row before. */
static void each_row(void (*each)(const tong_mechanism_info *, bool again, size_t *widths), size_t *widths)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    const char *before = "";
    for (size_t i = 0; tong_mechanism_describe(i, &mechanism) == 0; i++) {
        each(&mechanism, !strcmp(before, mechanism.scheme), widths);
        before = mechanism.scheme;
    }
}

static void measure(const tong_mechanism_info *mechanism, bool again, size_t *widths)
{
    char cell[COLUMNS][CELL];
    cells(mechanism, again, cell);
    for (int i = 0; i < COLUMNS; i++)
        if (strlen(cell[i]) > widths[i])
            widths[i] = strlen(cell[i]);
}

static void print_cells(const char cell[COLUMNS][CELL], const size_t *widths)
{
    for (int i = 0; i < COLUMNS - 1; i++)
        printf("%-*s  ", (int)widths[i], cell[i]);
    puts(cell[COLUMNS - 1]);
}

static void print_row(const tong_mechanism_info *mechanism, bool again, size_t *widths)
{
    char cell[COLUMNS][CELL];
    cells(mechanism, again, cell);
    print_cells(cell, widths);
    if (!again)
        printf("    %s\n", mechanism->summary);
}

static int print_table(void)
{
    size_t widths[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        widths[i] = strlen(headings[i]);
    each_row(measure, widths);
    print_cells(headings, widths);
    each_row(print_row, widths);
    puts("\nSEND:RECV is how many may send and receive at once.  'tong explain SCHEME' says all about one.");
    return CODE_DONE;
}

/* ---- One mechanism --------------------------------------------------------------------------------------- */

#define WIDTH 100
#define INDENT 14

/* "label        words", broken at blanks. */
static void print_field(const char *label, const char *words)
{
    printf("  %-*s", INDENT - 2, label);
    for (int used = INDENT; *words;) {
        int word = (int)strcspn(words, " ");
        if (used > INDENT && used + word > WIDTH)
            printf("\n%*s", used = INDENT, "");
        used += printf("%.*s%s", word, words, words[word] ? " " : "");
        words += word + (words[word] == ' ');
    }
    putchar('\n');
}

static void print_options(const char *scheme)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    for (size_t i = 0; tong_mechanism_option(scheme, i, &option) == 0; i++) {
        if (i == 0)
            puts("\nOptions, written ?name=value&name=value after the name");
        char usage[120];
        snprintf(usage, sizeof usage, "%s (%s; without it %s)", option.help, option.values, option.fallback);
        print_field(option.name, usage);
    }
}

static void print_limits(const char *scheme)
{
    tong_limit_info limit = TONG_LIMIT_INFO_INIT;
    for (size_t i = 0; tong_mechanism_limit(scheme, i, &limit) == 0; i++) {
        if (i == 0)
            puts("\nLimits in force here");
        char value[32] = "not known";
        if (limit.value != TONG_UNKNOWN)
            snprintf(value, sizeof value, "%" PRIu64, limit.value);
        printf("  %-28s %12s %-10s %s\n", limit.name, value, limit.unit, limit.source);
    }
}

static void print_abilities(const tong_mechanism_info *mechanism)
{
    printf("\nAbilities%s%s%s%s\n", *mechanism->variant ? " with " : "", mechanism->variant,
           *mechanism->variant ? ": " : ": ", direction_words(mechanism));
    for (const struct ability *ability = abilities; ability->flag; ability++)
        if (mechanism->offers & ability->flag)
            printf("  %s\n", ability->words);
    print_field("sender", identity_meaning(mechanism->identity));
}

static void print_head(const tong_mechanism_info *mechanism)
{
    printf("%s: %s\n\n", mechanism->scheme, mechanism->summary);
    const struct { const char *label, *words; } fields[] = {
        { "address", mechanism->form }, { "medium", mechanism->medium }, { "unit", mechanism->unit },
        { "reach", mechanism->reach }, { "order", mechanism->order }, { "lifetime", mechanism->lifetime },
        { "family", mechanism->family },
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        print_field(fields[i].label, fields[i].words);
}

static void print_scheme(const char *scheme)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    bool first = true;
    for (size_t i = 0; tong_mechanism_describe(i, &mechanism) == 0; i++) {
        if (strcmp(mechanism.scheme, scheme))
            continue;
        if (first)
            print_head(&mechanism);
        first = false;
        print_abilities(&mechanism);
    }
    print_options(scheme);
    print_limits(scheme);
}

static int unknown(const char *scheme)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    return fail_library(tong_mechanism_option(scheme, SIZE_MAX, &option), NULL);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { false };
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    if (count && !find_mechanism(argv[0], &mechanism))
        return unknown(argv[0]);
    if (set.json)
        return explain_json(count ? mechanism.scheme : NULL);
    if (!count)
        return print_table();
    print_scheme(mechanism.scheme);
    return CODE_DONE;
}

const struct command cmd_explain = {
    "explain", "Start here", "the mechanisms: what each is, can and needs, and its limits here", "[SCHEME]",
    "Without SCHEME the table of all.  Everything is computed from what the library offers and what this\n"
    "machine says at this moment.",
    "tong explain; tong explain msgq", options, 0, 1, false, run,
};
