/* SPDX-License-Identifier: MIT */
/* One mechanism on the screen: its page, what the library says of it, and what was measured just now. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "explain/explain.h"
#include "json.h"
#include "probe/probe.h"
#include "stop.h"
#include "text.h"

#define WIDTH 100
#define WIDTH_MIN 40
#define VARIANTS 8

/* ---- Lines ----------------------------------------------------------------------------------------------- */

/* As wide as the terminal, up to what is read well. */
static size_t line_width(void)
{
    struct winsize window;
    if (ioctl(1, TIOCGWINSZ, &window) || !window.ws_col || window.ws_col > WIDTH)
        return WIDTH;
    return window.ws_col < WIDTH_MIN ? WIDTH_MIN : window.ws_col;
}

void print_padded(const char *words, size_t width)
{
    size_t used = text_columns(words);
    printf("%s%*s", words, used < width ? (int)(width - used) : 0, "");
}

void print_field(const char *label, int left, const char *words)
{
    size_t start = (size_t)left + 2, used = start, width = line_width();
    fputs("  ", stdout);
    print_padded(label, (size_t)left);
    if (text_columns(label) > (size_t)left)
        used += text_columns(label) - (size_t)left;
    for (bool first = true; *words; first = false) {
        size_t size = strcspn(words, " ");
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)size, words);
        if (!first && used + 1 + text_columns(word) > width) {
            printf("\n%*s", (int)start, "");
            used = start;
            first = true;
        }
        used += text_columns(word) + !first;
        printf("%s%s", first ? "" : " ", word);
        words += size + (words[size] == ' ');
    }
    putchar('\n');
}

static void print_heading(const char *words)
{
    printf("\n%s\n", local(words));
}

/* A line of a page is "\tverbatim", "- a point" or a paragraph; these two are broken to fit. */
static void print_line(const char *line)
{
    if (*line == '\t' && line[1])
        printf("  %s\n", line + 1);
    else if (!strncmp(line, "- ", 2))
        print_field("-", 2, line + 2);
    else if (*line && *line != '\t')
        print_field("", 0, line);
    else
        putchar('\n');
}

static void print_section(const struct page *page, int section)
{
    struct text line = TEXT_INIT;
    printf("\n%s\n", page->sections[section].heading);
    for (const char *body = page->sections[section].body; *body; body += line.used + (body[line.used] == '\n')) {
        line.used = 0;
        text_add(&line, body, strcspn(body, "\n"));
        print_line(line.data);
    }
    text_free(&line);
}

/* ---- What the library says ------------------------------------------------------------------------------- */

static size_t widest(size_t width, const char *words)
{
    size_t used = text_columns(words);
    return used > width ? used : width;
}

/* Every noun that the mechanism has stands for a model of communication, with its directions and its way to wait. */
static void print_models(const tong_mechanism_info *mechanism, int left)
{
    for (const struct model *model = models; model->flag; model++)
        if (mechanism->offers & model->flag) {
            print_field(local("model"), left, local(model->model));
            print_field(local("direction"), left, local(direction_of(model, mechanism)));
            print_field(local("waiting"), left, local(model->waiting));
        }
}

static void print_facts(const tong_mechanism_info *mechanism)
{
    const struct { const char *label, *words; } fields[] = {
        { "address", mechanism->form }, { "medium", mechanism->medium }, { "unit", mechanism->unit },
        { "reach", mechanism->reach }, { "synchronised by", mechanism->order }, { "lifetime", mechanism->lifetime },
        { "family", mechanism->family },
    };
    size_t left = text_columns(local("direction"));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        left = widest(left, local(fields[i].label));
    print_heading("Classification");
    print_models(mechanism, (int)left + 2);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char words[300];
        if (i == 0) /* "file:" is not a file */
            snprintf(words, sizeof words, "%s", local(fields[i].words));
        else
            local_facet(fields[i].words, words, sizeof words);
        print_field(local(fields[i].label), (int)left + 2, words);
    }
}

/* "seqpacket" of "socket=seqpacket"; a number, or "yes", says nothing alone. */
static const char *variant_words(const tong_mechanism_info *mechanism)
{
    const char *equals = strchr(mechanism->variant, '=');
    bool tells = equals && !isdigit((unsigned char)equals[1]) && strcmp(equals, "=yes");
    return tells ? equals + 1 : mechanism->variant;
}

/* One line of the table of abilities: no blanks behind the last word. */
static void print_ability(const char *words, size_t width, const char *const *values, int count)
{
    int last = count;
    while (last && !*values[last - 1])
        last--;
    print_padded(words, last ? width : 0);
    for (int i = 0; i < last; i++) {
        fputs("  ", stdout);
        print_padded(values[i], i + 1 < last ? 10 : 0);
    }
    putchar('\n');
}

/* What the words about senders mean, once each. */
static void print_identities(const tong_mechanism_info *variants, int count)
{
    unsigned seen = 0;
    for (int i = 0; i < count; i++)
        if (!(seen & 1u << variants[i].identity)) {
            seen |= 1u << variants[i].identity;
            printf("    %s: %s\n", local(identity_words(variants[i].identity)),
                   local(identity_meaning(variants[i].identity)));
        }
}

/* What none of the variants has, in one paragraph; without channels only the nouns are worth a word. */
static void print_lacks(uint32_t offers)
{
    const uint32_t nouns = TONG_HAS_CHANNEL | TONG_HAS_LISTENER | TONG_HAS_REGION | TONG_HAS_SEMAPHORE | TONG_HAS_LOCK;
    const uint32_t asked = offers & TONG_HAS_CHANNEL ? UINT32_MAX : nouns;
    struct text text = TEXT_INIT;
    for (const struct ability *ability = abilities; ability->flag; ability++)
        if (asked & ability->flag && !(offers & ability->flag))
            text_print(&text, "%s%s", text.used ? "; " : "", local(ability->words));
    if (text.used)
        print_field(local("not:"), (int)text_columns(local("not:")) + 1, text.data);
    text_free(&text);
}

static size_t ability_width(uint32_t offers)
{
    size_t width = text_columns(local("what is known of who sent a message"));
    for (const struct ability *ability = abilities; ability->flag; ability++)
        if (offers & ability->flag)
            width = widest(width, local(ability->words));
    return width + 2;
}

/* A row for what at least one of the variants has. */
static void print_abilities(const tong_mechanism_info *variants, int count)
{
    const char *values[VARIANTS] = { NULL };
    char words[160];
    uint32_t offers = 0;
    for (int i = 0; i < count; i++) {
        values[i] = variant_words(&variants[i]);
        offers |= variants[i].offers;
    }
    size_t width = ability_width(offers);
    putchar('\n');
    print_ability(local("Abilities"), width, values, count);
    for (const struct ability *ability = abilities; ability->flag; ability++) {
        for (int i = 0; i < count; i++)
            values[i] = variants[i].offers & ability->flag ? local("yes") : "-";
        snprintf(words, sizeof words, "  %s", local(ability->words));
        if (offers & ability->flag)
            print_ability(words, width, values, count);
    }
    for (int i = 0; i < count; i++)
        values[i] = local(identity_words(variants[i].identity));
    snprintf(words, sizeof words, "  %s", local("what is known of who sent a message"));
    if (offers & TONG_HAS_CHANNEL) {
        print_ability(words, width, values, count);
        print_identities(variants, count);
    }
    print_lacks(offers);
}

/* "name=default", which is also how it is written. */
static void option_words(const tong_option_info *option, char *ret, size_t size)
{
    snprintf(ret, size, "%s=%s", option->name, option->fallback);
}

/* What stands over the options of one noun, where a mechanism has several. */
static const char *noun_words(uint32_t noun)
{
    static const struct { uint32_t noun; const char *words; } rows[] = {
        { TONG_HAS_CHANNEL, "as a channel" }, { TONG_HAS_REGION, "as a region" },
        { TONG_HAS_SEMAPHORE, "as a semaphore" }, { TONG_HAS_LOCK, "as a lock" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].noun == noun)
            return rows[i].words;
    return "";
}

/* How wide their left side is; *ret_nouns: which nouns take any. */
static size_t measure_options(const char *scheme, uint32_t *ret_nouns)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    char left[64];
    size_t width = 0;
    *ret_nouns = 0;
    for (size_t i = 0; tong_mechanism_option(scheme, i, &option) == 0; i++) {
        option_words(&option, left, sizeof left);
        width = widest(width, left);
        *ret_nouns |= option.noun;
    }
    return width;
}

/* Whether an option before the index-th is the same, described for another noun. */
static bool told_before(const char *scheme, size_t index, const tong_option_info *option)
{
    char values[160], fallback[64];
    tong_option_info other = TONG_OPTION_INFO_INIT;
    snprintf(values, sizeof values, "%s", option->values);
    snprintf(fallback, sizeof fallback, "%s", option->fallback);
    for (size_t i = 0; i < index && tong_mechanism_option(scheme, i, &other) == 0; i++)
        if (!strcmp(other.name, option->name) && !strcmp(other.values, values) && !strcmp(other.fallback, fallback))
            return true;
    return false;
}

/* "  as a lock: mode, create": what it shares with the nouns before, and a line for each of its own follows. */
static void print_noun(const char *scheme, uint32_t noun)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    const char *before = ": ";
    printf("  %s", local(noun_words(noun)));
    for (size_t i = 0; tong_mechanism_option(scheme, i, &option) == 0; i++)
        if (option.noun == noun && told_before(scheme, i, &option)) {
            printf("%s%s", before, option.name);
            before = ", ";
        }
    putchar('\n');
}

static void print_option(const tong_option_info *option, size_t width)
{
    char left[64], words[300];
    bool prose = strchr(option->values, ' '); /* else they are written so */
    option_words(option, left, sizeof left);
    snprintf(words, sizeof words, "%s (%s)", local(option->help), prose ? local(option->values) : option->values);
    print_field(left, (int)width + 2, words);
}

static void print_options(const char *scheme)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    uint32_t nouns, before = 0;
    size_t width = measure_options(scheme, &nouns);
    if (width)
        print_heading("Options, with what holds when they are not given (?option=value&option=value after the name)");
    for (size_t i = 0; tong_mechanism_option(scheme, i, &option) == 0; i++) {
        if (option.noun != before && nouns & (nouns - 1))
            print_noun(scheme, option.noun);
        before = option.noun;
        tong_mechanism_option(scheme, i, &option); /* its words are as old as the last call */
        if (!told_before(scheme, i, &option) && tong_mechanism_option(scheme, i, &option) == 0)
            print_option(&option, width);
    }
}

/* A limit is four cells: name, value, unit, and where it was read. */
#define CELLS 4
#define CELL 160

static void limit_cells(const tong_limit_info *limit, char ret[CELLS][CELL])
{
    snprintf(ret[0], CELL, "%s", local(limit->name));
    if (limit->value == TONG_UNKNOWN)
        snprintf(ret[1], CELL, "%s", local("not known"));
    else
        snprintf(ret[1], CELL, "%" PRIu64, limit->value);
    snprintf(ret[2], CELL, "%s", local(limit->unit));
    snprintf(ret[3], CELL, "%s", limit->source);
}

static void print_limit(char cells[CELLS][CELL], const size_t *widths)
{
    fputs("  ", stdout);
    print_padded(cells[0], widths[0] + 2);
    print_padded("", widths[1] - text_columns(cells[1])); /* figures stand to the right */
    printf("%s ", cells[1]);
    print_padded(cells[2], widths[2] + 2);
    puts(cells[3]);
}

static void print_limits(const char *scheme)
{
    tong_limit_info limit = TONG_LIMIT_INFO_INIT;
    size_t widths[CELLS] = { 0 };
    char cells[CELLS][CELL];
    for (size_t i = 0; tong_mechanism_limit(scheme, i, &limit) == 0; i++) {
        limit_cells(&limit, cells);
        for (int k = 0; k < CELLS; k++)
            widths[k] = widest(widths[k], cells[k]);
    }
    if (widths[0])
        print_heading("Limits in force here");
    for (size_t i = 0; tong_mechanism_limit(scheme, i, &limit) == 0; i++) {
        limit_cells(&limit, cells);
        print_limit(cells, widths);
    }
}

/* ---- What was measured ----------------------------------------------------------------------------------- */

static void print_figure(const struct figure *figure, size_t width)
{
    char value[64] = "";
    if (figure->text)
        snprintf(value, sizeof value, "%s", local(figure->text));
    else
        snprintf(value, sizeof value, figure->real ? "%.1f" : "%.0f", figure->value);
    fputs("    ", stdout);
    print_padded(local(figure->words), width + 2);
    printf("%s%s%s\n", value, figure->unit ? " " : "", figure->unit ? local(figure->unit) : "");
}

static void print_measured(const struct probe *probe, const char *scheme)
{
    struct measured measured;
    size_t width = 0;
    probe_run(probe, scheme, &measured);
    if (measured.error) {
        printf("  - %s: %s (%s)\n", local(probe->subject), local("could not be measured here"),
               strerror(measured.error));
        return;
    }
    print_field("-", 2, local(measured.shown ? probe->shows : "this machine does not show what is said of it:"));
    for (int i = 0; i < measured.count; i++)
        width = widest(width, local(measured.figures[i].words));
    for (int i = 0; i < measured.count; i++)
        print_figure(&measured.figures[i], width);
}

static void print_probes(const struct page *page, const char *scheme)
{
    const char *list = page->measured, *word;
    if (*list)
        print_heading("Measured here, just now");
    fflush(stdout);
    for (size_t size; !stop_asked() && (size = next_word(&list, &word));) {
        const struct probe *probe = probe_find(word, size);
        if (probe)
            print_measured(probe, scheme);
    }
}

/* ---- The page -------------------------------------------------------------------------------------------- */

static int find_variants(const char *scheme, tong_mechanism_info *ret)
{
    int count = 0;
    ret[0] = (tong_mechanism_info)TONG_MECHANISM_INFO_INIT;
    for (size_t i = 0; count < VARIANTS && tong_mechanism_describe(i, &ret[count]) == 0; i++)
        if (!strcmp(ret[count].scheme, scheme) && ++count < VARIANTS)
            ret[count] = (tong_mechanism_info)TONG_MECHANISM_INFO_INIT;
    return count;
}

static void print_related(const struct page *page)
{
    const char *list = page->related, *word;
    bool first = true;
    size_t width = 0;
    for (size_t size; (size = next_word(&list, &word));)
        width = size > width ? size : width;
    list = page->related;
    for (size_t size; (size = next_word(&list, &word));) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)size, word);
        const struct page *other = page_find(name);
        if (other && first)
            print_heading("See also");
        first = first && !other;
        if (other)
            printf("  tong explain %-*s  %s\n", (int)width, other->name,
                   page_translated(other, page->language)->title);
    }
}

static void print_sections(const struct page *page, int first, int last)
{
    for (int i = first; page && i <= last; i++)
        print_section(page, i);
}

static void print_mechanism(const struct page *page, const char *scheme)
{
    tong_mechanism_info variants[VARIANTS];
    int count = find_variants(scheme, variants);
    if (page) {
        printf("%s (%s)\n", page->title, scheme);
        print_field("", 0, local(variants[0].summary));
    } else {
        printf("%s: %s\n", scheme, local(variants[0].summary));
    }
    print_sections(page, PAGE_DEFINITION, PAGE_STRUCTURE);
    print_facts(&variants[0]);
    print_abilities(variants, count);
    if (page)
        print_probes(page, scheme);
    print_sections(page, PAGE_WHEN, PAGE_CAUTIONS);
    print_options(scheme);
    print_limits(scheme);
    print_sections(page, PAGE_EXAMPLE, PAGE_EXAMPLE);
}

void explain_page(const struct page *page, const char *scheme)
{
    if (scheme) {
        print_mechanism(page, scheme);
    } else {
        puts(page->title);
        print_sections(page, 0, PAGE_SECTIONS - 1);
    }
    if (page)
        print_related(page);
}
