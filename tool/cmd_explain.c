/* SPDX-License-Identifier: MIT */
/* tong explain: the mechanisms as the library describes them; nothing here knows one by name. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "side.h"
#include "explain.h"
#include "report.h"

struct settings {
    bool json;
};

static const struct option_row options[] = {
    FLAG(json, "as JSON (doc/json.md)"),
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
    return mechanism->offers & TONG_HAS_TWO_WAY ? "both ways" : "one way";
}

const char *identity_words(uint32_t identity)
{
    static const char *const words[] = { "none", "message", "connection", "last", "claimed" };
    return identity < sizeof words / sizeof *words ? words[identity] : "unknown";
}

static const char *identity_meaning(uint32_t identity)
{
    static const char *const words[] = {
        "the mechanism does not know who sent",
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
    snprintf(ret[1], CELL, "%s%s", direction_words(mechanism), mechanism->offers & TONG_HAS_TWO_WAY_PAIR ? " *" : "");
    shorten(again ? "" : mechanism->medium, ret[2]);
    shorten(again ? "" : mechanism->unit, ret[3]);
    shorten(again ? "" : mechanism->reach, ret[4]);
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
    puts("\n* Two of them, named in one address or made as a pair, go both ways."
         "\nSEND:RECV is how many may send and receive at once; a server has one channel for each client."
         "\n'tong explain SCHEME' says all about one mechanism, with its options and limits.");
    return CODE_DONE;
}

/* ---- One mechanism --------------------------------------------------------------------------------------- */

#define WIDTH 100
#define LABELS 12
#define VARIANTS 8

/* "  label      words", broken at blanks so that lines stay within WIDTH. */
static void print_field(const char *label, int left, const char *words)
{
    int used = printf("  %-*s", left, label);
    for (bool first = true; *words; first = false) {
        int word = (int)strcspn(words, " ");
        if (!first && used + 1 + word > WIDTH) {
            printf("\n%*s", used = left + 2, "");
            first = true;
        }
        used += printf("%s%.*s", first ? "" : " ", word, words);
        words += word + (words[word] == ' ');
    }
    putchar('\n');
}

/* "name=default", which is also how it is written. */
static void option_words(const tong_option_info *option, char *ret, size_t size)
{
    snprintf(ret, size, "%s=%s", option->name, option->fallback);
}

static void print_options(const char *scheme)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    char left[64], words[200];
    size_t width = 0;
    for (size_t i = 0; tong_mechanism_option(scheme, i, &option) == 0; i++) {
        option_words(&option, left, sizeof left);
        width = strlen(left) > width ? strlen(left) : width;
    }
    if (width)
        puts("\nOptions, with what holds when they are not given (written after the name: ?option=value&option=value)");
    for (size_t i = 0; tong_mechanism_option(scheme, i, &option) == 0; i++) {
        option_words(&option, left, sizeof left);
        snprintf(words, sizeof words, "%s (%s)", option.help, option.values);
        print_field(left, (int)width + 2, words);
    }
}

static void print_limits(const char *scheme)
{
    tong_limit_info limit = TONG_LIMIT_INFO_INIT;
    size_t width = 0;
    for (size_t i = 0; tong_mechanism_limit(scheme, i, &limit) == 0; i++)
        width = strlen(limit.name) > width ? strlen(limit.name) : width;
    if (width)
        puts("\nLimits in force here");
    for (size_t i = 0; tong_mechanism_limit(scheme, i, &limit) == 0; i++) {
        char value[32] = "not known";
        if (limit.value != TONG_UNKNOWN)
            snprintf(value, sizeof value, "%" PRIu64, limit.value);
        printf("  %-*s  %11s %-11s  %s\n", (int)width, limit.name, value, limit.unit, limit.source);
    }
}

/* "seqpacket" of "socket=seqpacket". */
static const char *variant_words(const tong_mechanism_info *mechanism)
{
    const char *equals = strchr(mechanism->variant, '=');
    return equals ? equals + 1 : mechanism->variant;
}

/* One line of the table of abilities: no blanks behind the last word. */
static void print_ability(const char *words, const char *const *values, int count)
{
    char line[256];
    int used = snprintf(line, sizeof line, "%-54s", words);
    for (int i = 0; i < count; i++)
        used += snprintf(line + used, sizeof line - (size_t)used, "  %-10.10s", values[i]);
    while (used && line[used - 1] == ' ')
        line[--used] = '\0';
    puts(line);
}

static void print_abilities(const tong_mechanism_info *variants, int count)
{
    const char *values[VARIANTS];
    char words[56];
    for (int i = 0; i < count; i++)
        values[i] = variant_words(&variants[i]);
    putchar('\n');
    print_ability("Abilities", values, count);
    for (const struct ability *ability = abilities; ability->flag; ability++) {
        for (int i = 0; i < count; i++)
            values[i] = variants[i].offers & ability->flag ? "yes" : "-";
        snprintf(words, sizeof words, "  %s", ability->words);
        print_ability(words, values, count);
    }
    for (int i = 0; i < count; i++)
        values[i] = identity_words(variants[i].identity);
    print_ability("  what is known of who sent a message", values, count);
}

/* What the words about senders mean, once each. */
static void print_identities(const tong_mechanism_info *variants, int count)
{
    unsigned seen = 0;
    for (int i = 0; i < count; i++)
        if (!(seen & 1u << variants[i].identity)) {
            seen |= 1u << variants[i].identity;
            printf("%s%s: %s\n", i ? "" : "\n", identity_words(variants[i].identity),
                   identity_meaning(variants[i].identity));
        }
}

static void print_head(const tong_mechanism_info *mechanism)
{
    printf("%s: %s\n\n", mechanism->scheme, mechanism->summary);
    const struct { const char *label, *words; } fields[] = {
        { "address", mechanism->form }, { "direction", direction_words(mechanism) }, { "medium", mechanism->medium },
        { "unit", mechanism->unit }, { "reach", mechanism->reach }, { "order", mechanism->order },
        { "lifetime", mechanism->lifetime }, { "family", mechanism->family },
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        print_field(fields[i].label, LABELS, fields[i].words);
}

static void print_scheme(const char *scheme)
{
    tong_mechanism_info variants[VARIANTS];
    int count = 0;
    variants[0] = (tong_mechanism_info)TONG_MECHANISM_INFO_INIT;
    for (size_t i = 0; count < VARIANTS && tong_mechanism_describe(i, &variants[count]) == 0; i++)
        if (!strcmp(variants[count].scheme, scheme) && ++count < VARIANTS)
            variants[count] = (tong_mechanism_info)TONG_MECHANISM_INFO_INIT;
    print_head(&variants[0]);
    print_abilities(variants, count);
    print_identities(variants, count);
    print_options(scheme);
    print_limits(scheme);
}

static int unknown(const char *scheme)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    char known[256] = "";
    const char *before = "";
    for (size_t i = 0, used = 0; tong_mechanism_describe(i, &mechanism) == 0 && used < sizeof known; i++) {
        if (strcmp(before, mechanism.scheme))
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", mechanism.scheme);
        before = mechanism.scheme;
    }
    return fail_usage("there is no mechanism '%s'; there are %s", scheme, known);
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
