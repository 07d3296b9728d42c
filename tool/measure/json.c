/* SPDX-License-Identifier: MIT */
/* A round as JSON: doc/json.md. */
#include "measure/shown.h"
#include "json.h"

static void json_figure(struct json *json, const char *name, const struct figure *f)
{
    json_name(json, name);
    if (!f->runs) {
        json_null(json);
        return;
    }
    json_open(json, '{');
    json_name(json, "median");
    json_real(json, f->median);
    json_name(json, "least");
    json_real(json, f->least);
    json_name(json, "most");
    json_real(json, f->most);
    json_name(json, "runs");
    json_unsigned(json, (uint64_t)f->runs);
    json_close(json, '}');
}

/* Nothing to say is null. */
static const char *words(const char *text)
{
    return text && *text ? text : NULL;
}

static void json_measured(struct json *json, const char *name, double value)
{
    json_name(json, name);
    json_real(json, value);
}

static void json_result(struct json *json, const struct contestant *c, const struct cell *cell)
{
    json_open(json, '{');
    json_text(json, "group", group_names[c->group]);
    json_text(json, "name", c->name);
    json_text(json, "scheme", words(c->mechanism.scheme));
    for (int m = 0; m < METRICS; m++)
        json_figure(json, metric_names[m], &cell->figures[m]);
    json_number(json, "samples", cell->samples);
    json_figure(json, "line_ns", &cell->line);
    json_number(json, "repeated", (uint64_t)cell->repeated);
    json_number(json, "unsettled", (uint64_t)cell->unsettled);
    json_number(json, "void", (uint64_t)cell->wrong);
    json_text(json, "missing", words(cell->missing));
    json_close(json, '}');
}

static void json_work(struct json *json, const struct round *round, int work)
{
    const struct work *w = &works[work];
    json_open(json, '{');
    json_text(json, "key", w->key);
    json_text(json, "title", w->title);
    json_text(json, "test", test_names[w->test]);
    json_number(json, "size", w->size);
    json_number(json, "senders", (uint64_t)w->senders);
    json_number(json, "receivers", (uint64_t)w->receivers);
    json_name(json, "results");
    json_open(json, '[');
    for (int i = 0; i < round->count; i++)
        if (round->cells[work][i].fits)
            json_result(json, &round->contestants[i], &round->cells[work][i]);
    json_close(json, ']');
    json_close(json, '}');
}

static void json_conditions(struct json *json, const struct round *round)
{
    const struct conditions *c = &round->conditions;
    json_name(json, "conditions");
    json_open(json, '{');
    json_text(json, "machine", words(c->machine));
    json_text(json, "kernel", words(c->kernel));
    json_number(json, "processors", (uint64_t)c->processors);
    json_measured(json, "load", c->load);
    json_measured(json, "load_after", c->load_after);
    json_measured(json, "line_ns", c->line);
    json_measured(json, "line_low_ns", c->line_low);
    json_measured(json, "line_high_ns", c->line_high);
    json_number(json, "line_changes", (uint64_t)c->line_changes);
    json_measured(json, "seconds", c->seconds);
    json_number(json, "runs", (uint64_t)round->runs);
    json_text(json, "absent", words(round->absent));
    json_close(json, '}');
}

static void json_files(struct json *json, const struct round *round)
{
    json_name(json, "files");
    json_open(json, '[');
    for (int i = 0; i < FILE_SIZES && round->files[i].write.runs; i++) {
        const struct file_figures *f = &round->files[i];
        json_open(json, '{');
        json_number(json, "size", f->size);
        json_figure(json, "write_ns", &f->write);
        json_figure(json, "map_write_ns", &f->map_write);
        json_figure(json, "read_ns", &f->read);
        json_figure(json, "map_read_ns", &f->map_read);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void json_overtaking(struct json *json, const struct round *round)
{
    json_name(json, "overtaken");
    json_open(json, '[');
    struct overtaking o;
    for (int k = 0; bench_overtaking(round, k, &o); k++) {
        json_open(json, '{');
        json_text(json, "how", sizes_words[o.sizes]);
        json_text(json, "by", round->contestants[o.memory].name);
        json_text(json, "name", round->contestants[o.other].name);
        json_name(json, "from_size");
        if (o.size)
            json_unsigned(json, o.size);
        else
            json_null(json);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* What could be measured by nobody says why. */
static bool was_tried(const struct round *round, int work)
{
    for (int i = 0; i < round->count; i++)
        if (round->cells[work][i].fits)
            return true;
    return false;
}

int bench_json(const struct round *round)
{
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    json_open(&json, '{');
    json_conditions(&json, round);
    json_name(&json, "works");
    json_open(&json, '[');
    for (int w = 0; w < work_count; w++)
        if (was_tried(round, w))
            json_work(&json, round, w);
    json_close(&json, ']');
    json_files(&json, round);
    json_overtaking(&json, round);
    json_close(&json, '}');
    return json_print(&json);
}
