/* SPDX-License-Identifier: MIT */
/* Which figure decides, and the order that it gives. */
#include <stdio.h>
#include <string.h>

#include "advise/advise.h"
#include "measure/shown.h"

#define CALM 100000 /* messages a second, of all senders */

/* All senders' messages a second, as each was asked to send. */
static double total_rate(const struct settings *s)
{
    return (double)s->rate * (double)s->senders;
}

bool advise_is_calm(const struct settings *s)
{
    return s->rate && total_rate(s) <= CALM;
}

static const struct cell *cell_of(const struct question *q, int work, const struct verdict *v)
{
    return &q->round->cells[work][v->contestant - q->round->contestants];
}

/* A figure of a work; negative: it is not there. */
static double figure_at(const struct question *q, int work, const struct verdict *v, enum metric metric)
{
    const struct figure *figure = work < 0 ? NULL : &cell_of(q, work, v)->figures[metric];
    return figure && figure->runs ? figure->median : -1;
}

/* ---- Who falls out ---------------------------------------------------------------------------------------- */

/* A short round leaves out what a disk decides. */
static const char *unmeasured(const struct contestant *c)
{
    if (!strcmp(c->mechanism.variant, "durable=yes"))
        return "not measured: the disk decides; keeps what was synced when power is lost";
    return "it was not measured";
}

/* Why there is no figure of it at any work that could say something. */
static void explain_missing(const struct question *q, struct verdict *v)
{
    int tried[] = { q->plain, q->ends };
    for (int i = 0; i < 2 && !*v->reason; i++) {
        const struct cell *cell = tried[i] < 0 ? NULL : cell_of(q, tried[i], v);
        if (cell && (*cell->missing || cell->wrong))
            snprintf(v->reason, sizeof v->reason, "not measured: %s",
                     *cell->missing ? cell->missing : "a message was wrong");
    }
    if (!*v->reason)
        snprintf(v->reason, sizeof v->reason, "%s", unmeasured(v->contestant));
}

/* By the slower of what is known of it: with so many ends, and with messages of that size. */
static void check_speed(const struct question *q, struct verdict *v)
{
    double plain = figure_at(q, q->plain, v, METRIC_TIME), ends = figure_at(q, q->ends, v, METRIC_TIME);
    double time = plain > ends ? plain : ends;
    char text[16];
    if (time * total_rate(q->settings) > 1e9)
        snprintf(v->reason, sizeof v->reason, "too slow: %.0f messages a second are asked, and one takes %s",
                 total_rate(q->settings), bench_time(time, text));
}

static void reject_by_figures(struct question *q)
{
    for (int i = 0; i < q->count; i++) {
        struct verdict *v = &q->verdicts[i];
        if (*v->reason)
            continue;
        if (figure_at(q, q->plain, v, METRIC_TIME) < 0 && figure_at(q, q->ends, v, METRIC_TIME) < 0)
            explain_missing(q, v);
        else
            check_speed(q, v);
    }
}

/* ---- What decides ----------------------------------------------------------------------------------------- */

static double pacing_at(const struct question *q, int work)
{
    for (int i = 0; i < q->round->count; i++)
        if (q->round->contestants[i].idle && q->round->cells[work][i].figures[METRIC_CPU].runs)
            return q->round->cells[work][i].figures[METRIC_CPU].median;
    return -1;
}

/*
 * The nearest to what is asked at which somebody who is left was measured: with as many ends, then as rarely, then
 * messages of that size.
 */
static struct basis find_basis(const struct question *q)
{
    const struct basis bases[] = {
        { q->ends, advise_is_calm(q->settings) ? METRIC_CPU : METRIC_TIME, 0 },
        { q->pace, METRIC_CPU, q->pace < 0 ? 0 : pacing_at(q, q->pace) },
        { q->plain, METRIC_TIME, 0 },
    };
    for (size_t k = 0; k < sizeof bases / sizeof *bases; k++)
        for (int i = 0; i < q->count; i++)
            if (!*q->verdicts[i].reason && figure_at(q, bases[k].work, &q->verdicts[i], bases[k].metric) >= 0)
                return bases[k];
    return (struct basis){ -1, METRIC_TIME, 0 };
}

static void take_figures(const struct question *q, struct verdict *v)
{
    v->apart = figure_at(q, q->basis.work, v, q->basis.metric) < 0;
    int plain = figure_at(q, q->plain, v, METRIC_TIME) >= 0 ? q->plain : q->ends;
    v->work = v->apart ? plain : q->basis.work;
    v->time = figure_at(q, v->work, v, METRIC_TIME);
    v->cpu = figure_at(q, v->work, v, METRIC_CPU);
    if (!v->apart && v->cpu >= 0 && q->basis.pacing > 0)
        v->cpu = v->cpu > q->basis.pacing ? v->cpu - q->basis.pacing : 0;
}

double advise_cost(const struct question *q, const struct verdict *v)
{
    return q->basis.metric == METRIC_CPU ? v->cpu : v->time;
}

static bool goes_before(const struct question *q, const struct verdict *a, const struct verdict *b)
{
    int place_a = *a->reason ? 2 : a->apart, place_b = *b->reason ? 2 : b->apart;
    return place_a == place_b ? place_a == 0 && advise_cost(q, a) < advise_cost(q, b) : place_a < place_b;
}

void advise_order(struct question *q)
{
    reject_by_figures(q);
    q->basis = find_basis(q);
    for (int i = 0; i < q->count; i++)
        if (!*q->verdicts[i].reason)
            take_figures(q, &q->verdicts[i]);
    for (int i = 1; i < q->count; i++)
        for (int k = i; k > 0 && goes_before(q, &q->verdicts[k], &q->verdicts[k - 1]); k--) {
            struct verdict swap = q->verdicts[k];
            q->verdicts[k] = q->verdicts[k - 1];
            q->verdicts[k - 1] = swap;
        }
}
