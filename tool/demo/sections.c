/* SPDX-License-Identifier: MIT */
/*
 * The sections of the demo after the file: numbers, counters, memory and locks.  Which mechanisms take part is
 * computed from the table, as in plan.c; what a section shows is a table too, printed and written as JSON alike.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo/trial.h"
#include "json.h"
#include "side.h"
#include "stop.h"
#include "text.h"

#define TRIALS_MAX 32
#define MEMORY_MAX (UINT64_C(256) << 20)

enum kind { KIND_COUNT, KIND_TIME, KIND_YES };

struct figure {
    const char *heading, *name;
    enum kind kind;
    size_t offset;  /* in struct trial; of KIND_TIME none: from start to end */
};

struct section {
    const char *name, *title;
    uint32_t noun;                  /* what a mechanism has to offer */
    const char *unit;               /* and how its unit begins, or NULL */
    const char *option, *value;     /* for whoever makes the object, or NULL; value NULL: the size of the file */
    bool bare;                      /* a row first that uses nothing, for comparison */
    void (*run)(struct trial *trial, void (*tick)(void));
    struct figure figures[6];       /* ended by a NULL heading */
};

#define FIGURE(heading, field, kind) { heading, #field, kind, offsetof(struct trial, field) }

static const struct section sections[] = {
    { "numbers", "Numbers sent one by one to another process", TONG_HAS_CHANNEL, "number", NULL, NULL, false,
      try_numbers,
      { FIGURE("SENT", sent, KIND_COUNT), FIGURE("RECEIVED", received, KIND_COUNT),
        FIGURE("IN ORDER", in_order, KIND_YES),
        { "TIME", "seconds", KIND_TIME, 0 } } },
    { "updates", "One counter that several processes update at once", TONG_HAS_SEMAPHORE,
      NULL, "value", "1", true, try_updates,
      { FIGURE("PROCESSES", processes, KIND_COUNT), FIGURE("UPDATES", sent, KIND_COUNT),
        FIGURE("COUNTED", received, KIND_COUNT),
        FIGURE("LOST", lost, KIND_COUNT), { "TIME", "seconds", KIND_TIME, 0 } } },
    { "regions", "The file in memory, written by one process and read by another", TONG_HAS_REGION, NULL, "size",
      NULL, false, try_memory, { FIGURE("BYTES", received, KIND_COUNT), { "TIME", "seconds", KIND_TIME, 0 } } },
    { "locks", "A lock whose holder is killed: how soon the next one has it", TONG_HAS_LOCK, NULL, NULL, NULL,
      false, try_lock,
      { { "TIME", "seconds", KIND_TIME, 0 } } },
};

#define SECTIONS (sizeof sections / sizeof *sections)

/* In memory that the processes of a trial share. */
static struct { struct trial *trials[SECTIONS]; int counts[SECTIONS]; } plan;

/* ---- The plan -------------------------------------------------------------------------------------------- */

static void add_option(struct trial *trial, const char *name, const char *value)
{
    char *longer = text_with_option(trial->first, name, value);
    snprintf(trial->first, sizeof trial->first, "%s", longer);
    free(longer);
}

/* "KEY" and the like are small numbers that anybody may have taken: whoever makes such an object has to be the first,
 * where it can be said. */
static void add_options(struct trial *trial, const struct section *section, bool exclusive)
{
    char size[24];
    snprintf(size, sizeof size, "%" PRIu64, trial->source->size);
    snprintf(trial->first, sizeof trial->first, "%s", trial->address);
    if (section->option)
        add_option(trial, section->option, section->value ? section->value : size);
    if (exclusive && noun_takes(section->noun, trial->mechanism.scheme, "create", "excl"))
        add_option(trial, "create", "excl");
}

static void fill_in(struct trial *trial, const struct source *source, const tong_mechanism_info *mechanism)
{
    trial->source = source;
    trial->mechanism = *mechanism;
    snprintf(trial->verdict, sizeof trial->verdict, "ok");
    snprintf(trial->label, sizeof trial->label, "%s", mechanism->scheme ? mechanism->scheme : "no semaphore");
}

/* A region that is never found, but only made, has no name, whatever else of its mechanism has. */
static bool has_names(const struct section *section, const tong_mechanism_info *mechanism)
{
    return mechanism->offers & TONG_HAS_REMOVE &&
           (section->noun != TONG_HAS_REGION || noun_takes(section->noun, mechanism->scheme, "create", NULL));
}

/* One trial for each form of address that we can make up: a name that others find, or none, and then by inheriting. */
static void plan_mechanism(size_t at, const struct source *source, const tong_mechanism_info *mechanism)
{
    const struct section *section = &sections[at];
    size_t size = strlen(mechanism->scheme) + 1;
    bool once[2] = { false, false }, named = has_names(section, mechanism);
    for (const char *form = mechanism->form; form && plan.counts[at] < TRIALS_MAX; form = strstr(form, ", ")) {
        form += *form == ',' ? 2 : 0;
        struct trial *trial = &plan.trials[at][plan.counts[at]];
        char word[32];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(form + size, ", "), form + size);
        bool nameless = !*word || !named;
        bool numbers = section->unit && !strcmp(word, "PID");
        if (once[nameless] || (section->noun == TONG_HAS_LOCK && nameless) ||
            (!nameless && !name_address(mechanism, source, word, trial->address, sizeof trial->address)) ||
            (section->unit && !numbers))
            continue;
        once[nameless] = true;
        fill_in(trial, source, mechanism);
        trial->inherited = nameless && !numbers;
        if (nameless)
            snprintf(trial->address, sizeof trial->address, "%s:", mechanism->scheme);
        if (trial->inherited)
            snprintf(trial->label, sizeof trial->label, "%s inherited", mechanism->scheme);
        add_options(trial, section, !strcmp(word, "KEY"));
        plan.counts[at]++;
    }
}

static bool suits(const struct section *section, const tong_mechanism_info *mechanism)
{
    return mechanism->offers & section->noun &&
           (!section->option || noun_takes(section->noun, mechanism->scheme, section->option, NULL)) &&
           (!section->unit || !strncmp(mechanism->unit, section->unit, strlen(section->unit)));
}

static void plan_section(size_t at, const struct source *source, const char *scheme)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT, none = TONG_MECHANISM_INFO_INIT;
    bool fits = sections[at].noun != TONG_HAS_REGION || (source->size && source->size <= MEMORY_MAX);
    const char *last = "";
    for (size_t i = 0; fits && tong_mechanism_describe(i, &mechanism) == 0; i++) {
        bool wanted = strcmp(last, mechanism.scheme) && (!scheme || !strcmp(scheme, mechanism.scheme));
        last = mechanism.scheme;
        if (!wanted || !suits(&sections[at], &mechanism))
            continue;
        if (sections[at].bare && plan.counts[at] == 0)
            fill_in(&plan.trials[at][plan.counts[at]++], source, &none);
        plan_mechanism(at, source, &mechanism);
    }
}

int sections_plan(const struct source *source, const char *scheme)
{
    int count = 0;
    for (size_t i = 0; i < SECTIONS; i++) {
        plan.counts[i] = 0;
        plan.trials[i] = mmap(NULL, TRIALS_MAX * sizeof(struct trial), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (plan.trials[i] != MAP_FAILED)
            plan_section(i, source, scheme);
        count += plan.counts[i];
    }
    return count;
}

/* ---- Words ----------------------------------------------------------------------------------------------- */

static int64_t elapsed(const struct trial *trial)
{
    return trial->start && trial->end > trial->start ? trial->end - trial->start : 0;
}

static void time_words(int64_t time, char *ret, size_t size)
{
    if (time >= TONG_MILLISECOND)
        snprintf(ret, size, "%.2f ms", (double)time / 1e6);
    else
        snprintf(ret, size, "%.1f us", (double)time / 1e3);
}

static void figure_words(const struct trial *trial, const struct figure *figure, char *ret, size_t size)
{
    const void *field = (const char *)trial + figure->offset;
    if (figure->kind == KIND_COUNT)
        snprintf(ret, size, "%" PRIu64, *(const uint64_t *)field);
    else if (figure->kind == KIND_YES)
        snprintf(ret, size, "%s", *(const bool *)field ? "yes" : "no");
    else
        time_words(elapsed(trial), ret, size);
}

static void print_heading(const struct section *section)
{
    printf("\n%s\n%-26s", section->title, "MECHANISM");
    for (const struct figure *figure = section->figures; figure->heading; figure++)
        printf(" %10s", figure->heading);
    puts("  VERDICT");
}

static void print_trial(const struct section *section, const struct trial *trial)
{
    char words[32];
    printf("%-26s", trial->label);
    for (const struct figure *figure = section->figures; figure->heading; figure++) {
        figure_words(trial, figure, words, sizeof words);
        printf(" %10s", words);
    }
    printf("  %s\n", trial->ok ? trial->verdict : "FAILED");
    if (!trial->ok) {
        print_visible("    ", trial->failure);
        putchar('\n');
    }
    fflush(stdout);
}

static void write_trial(struct json *json, const struct section *section, const struct trial *trial)
{
    json_open(json, '{');
    json_text(json, "mechanism", trial->mechanism.scheme);
    json_text(json, "address", *trial->address ? trial->address : NULL);
    json_name(json, "inherited");
    json_bool(json, trial->inherited);
    for (const struct figure *figure = section->figures; figure->heading; figure++) {
        const void *field = (const char *)trial + figure->offset;
        json_name(json, figure->name);
        if (figure->kind == KIND_COUNT)
            json_unsigned(json, *(const uint64_t *)field);
        else if (figure->kind == KIND_YES)
            json_bool(json, *(const bool *)field);
        else
            json_real(json, (double)elapsed(trial) / 1e9);
    }
    json_name(json, "ok");
    json_bool(json, trial->ok);
    json_text(json, "error", trial->ok ? NULL : trial->failure);
    json_close(json, '}');
}

/* ---- The trials ------------------------------------------------------------------------------------------ */

static struct { void (*tick)(const char *label); const char *label; } progress;

static void tick(void)
{
    progress.tick(progress.label);
}

static const void *map_content(const struct source *source)
{
    int fd = open(source->path, O_RDONLY | O_CLOEXEC);
    void *content = fd < 0 ? MAP_FAILED
                           : mmap(NULL, (size_t)source->size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (fd >= 0)
        close(fd);
    return content == MAP_FAILED ? NULL : content;
}

static void run_trial(const struct section *section, struct trial *trial)
{
    progress.label = trial->label;
    tick();
    bool reads = section->noun == TONG_HAS_REGION;
    trial->content = reads ? map_content(trial->source) : NULL;
    if (reads && !trial->content)
        trial_fail(trial, "the file cannot be mapped");
    else
        section->run(trial, tick);
    if (trial->content)
        munmap((void *)trial->content, (size_t)trial->source->size);
    if (trial->mechanism.offers & TONG_HAS_REMOVE && !trial->inherited && !trial->foreign)
        tong_remove(trial->address);
}

static int run_section(size_t at, struct json *json, void (*clear)(void))
{
    int failed = 0;
    for (int i = 0; i < plan.counts[at] && !stop_asked(); i++) {
        struct trial *trial = &plan.trials[at][i];
        run_trial(&sections[at], trial);
        clear();
        failed += !trial->ok;
        if (json)
            write_trial(json, &sections[at], trial);
        else if (!stop_asked())
            print_trial(&sections[at], trial);
    }
    return failed;
}

static void print_sum(int failed)
{
    int count = 0;
    for (size_t i = 0; i < SECTIONS; i++)
        count += plan.counts[i] - (plan.counts[i] && sections[i].bare);
    if (count && !stop_asked())
        printf("\n%d of %d did what they promise\n", count - failed, count);
}

int sections_run(struct json *json, void (*show)(const char *label), void (*clear)(void))
{
    int failed = 0;
    progress.tick = show;
    for (size_t i = 0; i < SECTIONS && !stop_asked(); i++) {
        if (json) {
            json_name(json, sections[i].name);
            json_open(json, '[');
        } else if (plan.counts[i]) {
            print_heading(&sections[i]);
        }
        failed += run_section(i, json, clear);
        if (json)
            json_close(json, ']');
        munmap(plan.trials[i], TRIALS_MAX * sizeof(struct trial));
    }
    if (!json)
        print_sum(failed);
    return failed;
}
