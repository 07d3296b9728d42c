/* SPDX-License-Identifier: MIT */
/* The figures that decide: of works as near as there are to what is asked, measured now or taken from a saved round. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advise/advise.h"
#include "measure/shown.h"
#include "report.h"
#include "stop.h"

/* ---- Which works ------------------------------------------------------------------------------------------ */

static bool is_plain(const struct settings *s, const struct work *w)
{
    (void)s;
    return round_in_sizes(w, SIZES_APART);
}

static bool is_of_ends(const struct settings *s, const struct work *w)
{
    bool several = s->senders > 1 || s->receivers > 1 || s->broadcast;
    return several && w->broadcast == s->broadcast && (w->senders > 1 || s->broadcast) &&
           (w->receivers > 1) == (s->receivers > 1);
}

static bool is_paced(const struct settings *s, const struct work *w)
{
    return advise_is_calm(s) && w->test == TEST_PACED && w->place == PLACE_TOGETHER;
}

static double distance(const struct settings *s, int work)
{
    return fabs(log2((double)works[work].size / (double)s->size));
}

/* The work of a kind, in a saved round of those in it, whose size is nearest by its ratio; -1: none. */
static int nearest(const struct question *q, bool (*is_one)(const struct settings *, const struct work *))
{
    int best = -1;
    for (int w = 0; w < work_count; w++)
        if (is_one(q->settings, &works[w]) && (!q->settings->from || round_has(q->round, w)) &&
            (best < 0 || distance(q->settings, w) < distance(q->settings, best)))
            best = w;
    return best;
}

static void choose_works(struct question *q)
{
    q->plain = nearest(q, is_plain);
    q->ends = nearest(q, is_of_ends);
    q->pace = nearest(q, is_paced);
}

/* ---- Measured now ----------------------------------------------------------------------------------------- */

static bool keep_on(const struct round *round, const struct work *work, const struct contestant *c, double done)
{
    (void)round;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%3.0f%% %s: %s", done * 100, work->key, c->name);
    return !stop_asked();
}

static int measure_work(struct question *q, struct round *part, int work)
{
    memset(part, 0, sizeof *part);
    round_settle(part, true, "none");
    part->exact_work = part->tong_only = true;
    part->only_work = works[work].key;
    part->progress = keep_on;
    int r = round_run(part);
    memcpy(q->round->cells[work], part->cells[work], sizeof part->cells[work]);
    return r;
}

int advise_measure(struct question *q)
{
    choose_works(q);
    struct round *part = malloc(sizeof *part);
    int wanted[] = { q->plain, q->ends, q->pace }, r = part ? 0 : -ENOMEM;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && r == 0; i++)
        r = wanted[i] < 0 ? 0 : measure_work(q, part, wanted[i]);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    free(part);
    return r == -ECANCELED ? CODE_FAILED : r < 0 ? fail_system(r, "advise") : CODE_DONE;
}

/* ---- Saved ------------------------------------------------------------------------------------------------ */

int advise_load(struct question *q, const char *path)
{
    int r = bench_saved(q->round, path);
    if (r == -EINVAL)
        return fail_usage("%s: is not what tong bench --json writes", path);
    if (r < 0)
        return fail_system(r, path);
    choose_works(q);
    if (q->plain < 0)
        return fail_usage("%s: has none of the works one-way-SIZE, by which advise judges", path);
    return CODE_DONE;
}
