/* SPDX-License-Identifier: MIT */
/* A round that `tong bench --json` wrote (doc/json.md), as it was measured: to show it again, or to judge by it. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_read.h"
#include "measure/shown.h"

#define SAVED_MAX (16 << 20)

/* ---- Values ----------------------------------------------------------------------------------------------- */

/* Words that a terminal is shown: none, if there is anything in them that is not to be seen. */
static void load_words(json_value from, const char *name, char *ret, size_t size)
{
    bool shown = json_get_string(json_member(from, name), ret, size);
    for (const char *at = ret; shown && *at; at++)
        shown = !iscntrl((unsigned char)*at);
    if (!shown)
        *ret = '\0';
}

static double number(json_value from, const char *name)
{
    double value;
    return json_get_real(json_member(from, name), &value) ? value : 0;
}

static int count_of(json_value from, const char *name)
{
    double value = number(from, name);
    return value > 0 && value < 1e9 ? (int)value : 0;
}

/* A figure of no runs is not there. */
static void load_figure(json_value from, const char *name, struct figure *ret)
{
    json_value figure = json_member(from, name);
    *ret = (struct figure){ number(figure, "median"), number(figure, "least"), number(figure, "most"),
                            count_of(figure, "runs") };
}

/* ---- Results ---------------------------------------------------------------------------------------------- */

static void load_cell(json_value from, struct cell *ret)
{
    *ret = (struct cell){ .fits = true, .repeated = count_of(from, "repeated"),
                          .unsettled = count_of(from, "unsettled"), .wrong = count_of(from, "void"),
                          .samples = (uint64_t)count_of(from, "samples") };
    for (int m = 0; m < METRICS; m++)
        load_figure(from, metric_names[m], &ret->figures[m]);
    load_figure(from, "line_ns", &ret->line);
    load_words(from, "missing", ret->missing, sizeof ret->missing);
}

static int new_rival(struct round *round, const char *name)
{
    if (round->count == CONTESTANTS_MAX)
        return -1;
    struct contestant *c = &round->contestants[round->count];
    *c = (struct contestant){ .group = GROUP_RIVAL, .least = 64, .most = SIZE_MAX };
    snprintf(c->name, sizeof c->name, "%s", name);
    return round->count++;
}

/* Some share a name, and none of those a work.  -1: this build has no such. */
static int find_contestant(struct round *round, int work, const char *group, const char *name)
{
    bool rival = !strcmp(group, group_names[GROUP_RIVAL]);
    for (int i = 0; i < round->count; i++)
        if (!strcmp(round->contestants[i].name, name) && !strcmp(group_names[round->contestants[i].group], group) &&
            (rival || round_fits(&round->contestants[i], &works[work])))
            return i;
    return rival ? new_rival(round, name) : -1;
}

static void load_work(struct round *round, int work, json_value from)
{
    json_value results = json_member(from, "results"), result;
    for (size_t k = 0; (result = json_element(results, k)).at; k++) {
        char name[sizeof round->contestants->name], group[16];
        load_words(result, "name", name, sizeof name);
        load_words(result, "group", group, sizeof group);
        int i = *name ? find_contestant(round, work, group, name) : -1;
        if (i >= 0)
            load_cell(result, &round->cells[work][i]);
    }
}

/* ---- The round -------------------------------------------------------------------------------------------- */

static void load_conditions(struct round *round, json_value from)
{
    struct conditions *c = &round->conditions;
    *c = (struct conditions){ .processors = count_of(from, "processors"), .load = number(from, "load"),
                              .load_after = number(from, "load_after"), .line = number(from, "line_ns"),
                              .line_low = number(from, "line_low_ns"), .line_high = number(from, "line_high_ns"),
                              .line_changes = count_of(from, "line_changes"), .seconds = number(from, "seconds") };
    load_words(from, "machine", c->machine, sizeof c->machine);
    load_words(from, "kernel", c->kernel, sizeof c->kernel);
    load_words(from, "absent", round->absent, sizeof round->absent);
    round->runs = count_of(from, "runs");
}

static void load_files(struct round *round, json_value from)
{
    for (int i = 0; i < FILE_SIZES; i++) {
        json_value file = json_element(from, (size_t)i);
        struct file_figures *f = &round->files[i];
        f->size = (size_t)number(file, "size");
        load_figure(file, "write_ns", &f->write);
        load_figure(file, "map_write_ns", &f->map_write);
        load_figure(file, "read_ns", &f->read);
        load_figure(file, "map_read_ns", &f->map_read);
    }
}

static int load_document(struct round *round, json_value document)
{
    char key[64];
    json_value saved = json_member(document, "works"), work;
    if (!saved.at)
        return -EINVAL;
    round_gather(round);
    load_conditions(round, json_member(document, "conditions"));
    load_files(round, json_member(document, "files"));
    for (size_t k = 0; (work = json_element(saved, k)).at; k++) {
        load_words(work, "key", key, sizeof key);
        for (int w = 0; w < work_count; w++)
            if (!strcmp(works[w].key, key))
                load_work(round, w, work);
    }
    return 0;
}

int bench_saved(struct round *round, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    char *text = malloc(SAVED_MAX + 1);
    int r = text ? 0 : -ENOMEM;
    if (text) {
        text[fread(text, 1, SAVED_MAX, file)] = '\0';
        r = load_document(round, json_document(text));
    }
    free(text);
    fclose(file);
    return r;
}
