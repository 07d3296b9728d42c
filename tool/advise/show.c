/* SPDX-License-Identifier: MIT */
/* The answer: what to use, by which figures, what those do not say, and why not the others. */
#include <stdio.h>
#include <string.h>

#include "advise/advise.h"
#include "base/number.h"
#include "json.h"
#include "measure/shown.h"
#include "report.h"

/* ---- Words ------------------------------------------------------------------------------------------------ */

/* The first form of its addresses, with the options that make it this variant and let it carry such messages. */
static const char *address_of(const struct verdict *v, char ret[128])
{
    const tong_mechanism_info *m = &v->contestant->mechanism;
    bool both = *m->variant && *v->option;
    snprintf(ret, 128, "%.*s%s%s%s%s", (int)strcspn(m->form, ","), m->form, *m->variant || *v->option ? "?" : "",
             m->variant, both ? "&" : "", v->option);
    return ret;
}

static bool note_size(const struct question *q, char ret[200])
{
    char asked[16], measured[16];
    size_t size = works[q->basis.work].size;
    if (size == (uint64_t)q->settings->size)
        return false;
    snprintf(ret, 200, "Messages of %s are asked; the nearest measured are of %s.",
             bench_size((size_t)q->settings->size, asked), bench_size(size, measured));
    return true;
}

static bool note_ends(const struct question *q, char ret[200])
{
    const struct work *w = &works[q->basis.work];
    const struct settings *s = q->settings;
    if (w->senders == s->senders && w->receivers == s->receivers)
        return false;
    snprintf(ret, 200, "%lld sender%s and %lld receiver%s are asked; the nearest measured are %d and %d.",
             (long long)s->senders, plural((uint64_t)s->senders, "", "s"), (long long)s->receivers,
             plural((uint64_t)s->receivers, "", "s"), w->senders, w->receivers);
    return true;
}

static bool note_pacing(const struct question *q, char ret[200])
{
    char time[16];
    if (works[q->basis.work].test != TEST_PACED)
        return false;
    if (q->basis.pacing >= 0)
        snprintf(ret, 200, "What keeping the pace costs by itself, %s of each, is taken off the processor's time.",
                 bench_time(q->basis.pacing, time));
    else
        snprintf(ret, 200, "What keeping the pace costs is not in that round, and so it is in these figures.");
    return true;
}

static bool note_loopback(const struct question *q, char ret[200])
{
    if (q->settings->remote)
        snprintf(ret, 200, "It was measured over loopback: a network between the machines adds its own time.");
    return q->settings->remote;
}

static bool note_option(const struct question *q, char ret[200])
{
    const struct verdict *best = &q->verdicts[0];
    char size[16];
    if (*best->option)
        snprintf(ret, 200, "Messages of %s need the option %s; what holds without it is too small.",
                 bench_size((size_t)q->settings->size, size), best->option);
    return *best->option;
}

/* What a reader would else take the figures for. */
static bool (*const notes[])(const struct question *, char ret[200]) = {
    note_size, note_ends, note_pacing, note_loopback, note_option,
};

#define NOTES (sizeof notes / sizeof *notes)

static bool has_answer(const struct question *q)
{
    return q->basis.work >= 0;
}

/* ---- Text ------------------------------------------------------------------------------------------------- */

static const char *cpu_words(double cpu, char ret[16])
{
    return cpu < 0 ? "unknown" : bench_time(cpu, ret);
}

/* What differs between paced ones is told by how much: a small rest of two large figures is no measure for others. */
static void print_distance(const struct question *q, const struct verdict *v)
{
    double cost = advise_cost(q, v), best = advise_cost(q, &q->verdicts[0]);
    char time[16];
    if (v == &q->verdicts[0])
        puts("the best");
    else if (works[q->basis.work].test == TEST_PACED || best <= 0)
        printf("%s more than the best\n", bench_time(cost - best, time));
    else
        printf("%.2f times the best\n", cost / best);
}

static void print_figures(const struct verdict *v)
{
    char time[16], rate[16], cpu[16];
    if (works[v->work].test == TEST_PACED)
        printf("  %-34s %9s late (p50), %s of processor time", v->contestant->name, bench_time(v->time, time),
               cpu_words(v->cpu, cpu));
    else
        printf("  %-34s %9s a message (%s), %s of processor time", v->contestant->name, bench_time(v->time, time),
               bench_rate(v->time, rate), cpu_words(v->cpu, cpu));
}

static void print_ordered(const struct question *q)
{
    const struct verdict *best = &q->verdicts[0];
    char address[128], note[200];
    printf("Use %s (%s): %s\n\n", best->contestant->name, address_of(best, address),
           best->contestant->mechanism.summary);
    printf("Decided by %s a message, measured %s:\n%s.\n", q->basis.metric == METRIC_CPU ? "processor time" : "time",
           q->settings->from ? "before" : "here and now", works[q->basis.work].title);
    for (size_t i = 0; i < NOTES; i++)
        if (notes[i](q, note))
            puts(note);
    for (int i = 0; i < q->count && !*q->verdicts[i].reason && !q->verdicts[i].apart; i++) {
        print_figures(&q->verdicts[i]);
        printf(": ");
        print_distance(q, &q->verdicts[i]);
    }
}

/* Each with the work that it was measured at: the figures of different works are not to be compared. */
static void print_apart(const struct question *q)
{
    bool any = false;
    for (int i = 0; i < q->count; i++) {
        const struct verdict *v = &q->verdicts[i];
        if (!v->apart)
            continue;
        if (!any)
            puts("\nCan do it too, but was not measured doing so:");
        any = true;
        print_figures(v);
        printf("; %s\n", works[v->work].title);
    }
}

static void print_rejected(const struct question *q)
{
    puts("\nRejected:");
    for (int i = 0; i < q->count; i++)
        if (*q->verdicts[i].reason)
            printf("  %-34s %s\n", q->verdicts[i].contestant->name, q->verdicts[i].reason);
}

static void print_all(const struct question *q)
{
    if (has_answer(q))
        print_ordered(q);
    else
        puts("Nothing here can do all of that.");
    print_apart(q);
    print_rejected(q);
}

/* ---- JSON ------------------------------------------------------------------------------------------------- */

static void json_measured(struct json *json, const char *name, double value, bool known)
{
    json_name(json, name);
    if (known)
        json_real(json, value);
    else
        json_null(json);
}

static void json_verdict(struct json *json, const struct verdict *v)
{
    char address[128];
    bool measured = !*v->reason;
    json_open(json, '{');
    json_text(json, "name", v->contestant->name);
    json_text(json, "scheme", v->contestant->mechanism.scheme);
    json_text(json, "address", address_of(v, address));
    json_text(json, "work", measured ? works[v->work].key : NULL);
    json_measured(json, "time_ns", v->time, measured && v->time >= 0);
    json_measured(json, "cpu_ns", v->cpu, measured && v->cpu >= 0);
    json_text(json, "rejected", *v->reason ? v->reason : NULL);
    json_close(json, '}');
}

static void json_notes(struct json *json, const struct question *q)
{
    char note[200];
    json_name(json, "notes");
    json_open(json, '[');
    for (size_t i = 0; i < NOTES && has_answer(q); i++)
        if (notes[i](q, note))
            json_string(json, note);
    json_close(json, ']');
}

static int print_json(const struct question *q)
{
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    const struct basis *basis = &q->basis;
    json_open(&json, '{');
    json_text(&json, "use", has_answer(q) ? q->verdicts[0].contestant->name : NULL);
    json_text(&json, "work", has_answer(q) ? works[basis->work].key : NULL);
    json_known(&json, "size_measured", has_answer(q) ? works[basis->work].size : 0, has_answer(q));
    json_text(&json, "decided_by", has_answer(q) ? metric_names[basis->metric] : NULL);
    json_measured(&json, "pacing_ns", basis->pacing, has_answer(q) && basis->pacing > 0);
    json_notes(&json, q);
    json_name(&json, "mechanisms");
    json_open(&json, '[');
    for (int i = 0; i < q->count; i++)
        json_verdict(&json, &q->verdicts[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    return json_print(&json);
}

int advise_show(const struct question *q)
{
    int code = CODE_DONE;
    if (q->settings->json)
        code = print_json(q);
    else
        print_all(q);
    return code != CODE_DONE ? code : has_answer(q) ? CODE_DONE : CODE_FAILED;
}
