/* SPDX-License-Identifier: MIT */
/* Charts as SVG inside the page.  Colours are the page's (currentColor), so they follow light and dark. */
#include "measure/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "measure/shown.h"

/* ---- Dots ------------------------------------------------------------------------------------------------- */

/* Decades, from `low` on; positions are per mille of the width. */
struct scale {
    double low, high;
};

static double place(const struct scale *scale, double value)
{
    return 1000 * (log10(value) - scale->low) / (scale->high - scale->low);
}

static struct scale scale_of(const struct round *round, int work, const int *order, int count)
{
    double least = 1e12, most = 1;
    for (int i = 0; i < count; i++) {
        const struct figure *f = &round->cells[work][order[i]].figures[METRIC_TIME];
        least = f->least > 0 && f->least < least ? f->least : least;
        most = f->most > most ? f->most : most;
    }
    struct scale scale = { log10(least) - 0.08, log10(most) + 0.08 };
    if (scale.high - scale.low < 1)
        scale.high = scale.low + 1;
    return scale;
}

static void draw_ticks(struct text *out, const struct scale *scale)
{
    for (int decade = (int)ceil(scale->low); decade <= (int)floor(scale->high); decade++)
        text_print(out, "<line class=\"tick\" x1=\"%.1f%%\" x2=\"%.1f%%\" y1=\"0\" y2=\"22\"/>",
                   place(scale, pow(10, decade)) / 10, place(scale, pow(10, decade)) / 10);
}

static void draw_axis(struct text *out, const struct scale *scale)
{
    static const char *const words[] = { "1 ns", "10 ns", "100 ns", "1 us", "10 us",
                                         "100 us", "1 ms", "10 ms", "100 ms" };
    text_print(out, "<div class=\"row head\"><span></span><span class=\"axis\">");
    for (int decade = (int)ceil(scale->low); decade <= (int)floor(scale->high); decade++)
        if (decade >= 0 && decade < (int)(sizeof words / sizeof *words))
            text_print(out, "<span style=\"left:%.1f%%\">%s</span>", place(scale, pow(10, decade)) / 10, words[decade]);
    text_print(out, "</span><span>median</span><span>to limit</span></div>\n");
}

static void draw_dot(struct text *out, const struct scale *scale, const struct figure *f, double limit)
{
    text_print(out, "<svg aria-hidden=\"true\">");
    draw_ticks(out, scale);
    if (limit > 0)
        text_print(out, "<line class=\"base\" x1=\"%.1f%%\" x2=\"%.1f%%\" y1=\"0\" y2=\"22\"/>",
                   place(scale, limit) / 10, place(scale, limit) / 10);
    if (f->median > 0)
        text_print(out, "<line x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"11\" y2=\"11\" stroke=\"currentColor\" "
                   "stroke-width=\"4\" "
                   "stroke-opacity=\".35\" stroke-linecap=\"round\"/><circle cx=\"%.2f%%\" cy=\"11\" r=\"5\" "
                   "fill=\"currentColor\"/>", place(scale, f->least) / 10, place(scale, f->most) / 10,
                   place(scale, f->median) / 10);
    text_print(out, "</svg>");
}

static void draw_row(struct text *out, const struct round *round, int work, int i, const struct scale *scale,
                     double limit)
{
    const struct contestant *c = &round->contestants[i];
    const struct cell *cell = &round->cells[work][i];
    const struct figure *ratio = &cell->figures[METRIC_LIMIT];
    char time[16];
    text_print(out, "<div class=\"row\"><span class=\"name %s\"><i>", group_names[c->group]);
    page_text(out, c->name);
    text_print(out, "</i></span><span class=\"%s\">", group_names[c->group]);
    draw_dot(out, scale, &cell->figures[METRIC_TIME], limit);
    text_print(out, "</span><span>%s%s</span>", bench_time(cell->figures[METRIC_TIME].median, time),
               bench_mark(&cell->figures[METRIC_TIME]));
    if (ratio->runs)
        text_print(out, ratio->median < 99.5 ? "<span>%.2f</span></div>\n" : "<span>%.0f</span></div>\n",
                   ratio->median);
    else
        text_print(out, "<span>-</span></div>\n");
}

void chart_dots(struct text *out, const struct round *round, int work, const int *order, int count)
{
    struct scale scale = scale_of(round, work, order, count);
    int limit = round_limit(round, work);
    double base = limit >= 0 ? round->cells[work][limit].figures[METRIC_TIME].median : 0;
    draw_axis(out, &scale);
    for (int i = 0; i < count; i++)
        if (!round->contestants[order[i]].idle)
            draw_row(out, round, work, order[i], &scale, base);
}

/* ---- Curves ----------------------------------------------------------------------------------------------- */

#define LEFT 60
#define RIGHT 560
#define TOP 16
#define BOTTOM 360
#define LABEL_STEP 15
#define CURVES_MAX 32

struct curve {
    int contestant;
    double y, label; /* of its last point, and where its name stands */
    int last;        /* work of its last point */
};

static int height_of(int count)
{
    int labels = TOP + (count + 1) * LABEL_STEP;
    return BOTTOM + 28 > labels ? BOTTOM + 28 : labels;
}

static bool in_sizes(int work)
{
    return round_in_sizes(&works[work], SIZES_APART);
}

static double x_of(size_t size)
{
    return LEFT + (RIGHT - LEFT) * (log2((double)size) - 6) / 14;
}

/* Gigabytes a second from 0.01 to 100. */
static double y_of(double rate)
{
    double y = BOTTOM - (BOTTOM - TOP) * (log10(rate) + 2) / 4;
    return y > BOTTOM ? BOTTOM : y;
}

/* A tick for each size that was measured. */
static void draw_grid(struct text *out, const struct round *round)
{
    static const char *const rates[] = { "0.01", "0.1", "1", "10", "100" };
    char size[16];
    for (int w = 0; w < work_count; w++)
        if (in_sizes(w) && round_has(round, w))
            text_print(out, "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                       "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>", x_of(works[w].size), x_of(works[w].size), TOP, BOTTOM,
                       x_of(works[w].size), BOTTOM + 18, bench_size(works[w].size, size));
    for (int i = 0; i < 5; i++)
        text_print(out, "<line class=\"tick\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
                   "text-anchor=\"end\">%s</text>", LEFT, RIGHT, y_of(pow(10, i - 2)), y_of(pow(10, i - 2)), LEFT - 8,
                   y_of(pow(10, i - 2)) + 4, rates[i]);
}

/* What is carried through memory stands out. */
static const char *stroke_of(const struct contestant *c)
{
    if (c->group == GROUP_LIMIT)
        return "dashed";
    return c->group == GROUP_TONG && c->mechanism.offers & TONG_HAS_ZERO_COPY ? "strong" : "thin";
}

/* What a curve has at a work; of the limit, whichever ring is the best there.  NULL: it was not measured. */
static const struct figure *point_at(const struct round *round, const struct curve *curve, int work)
{
    bool limit = round->contestants[curve->contestant].group == GROUP_LIMIT;
    int i = limit ? round_limit(round, work) : curve->contestant;
    const struct figure *figure = i < 0 ? NULL : &round->cells[work][i].figures[METRIC_TIME];
    return figure && figure->runs ? figure : NULL;
}

/* The next work after one that is a point of a curve; work_count past the last. */
static int next_point(const struct round *round, const struct curve *curve, int after)
{
    int w = after + 1;
    while (w < work_count && !(in_sizes(w) && point_at(round, curve, w)))
        w++;
    return w;
}

static double height_at(const struct round *round, const struct curve *curve, int work)
{
    return y_of((double)works[work].size / point_at(round, curve, work)->median);
}

/* The line leads from what was measured to what was measured: a dot for each. */
static void draw_curve(struct text *out, const struct round *round, struct curve *curve)
{
    text_print(out, "<polyline class=\"%s\" points=\"", stroke_of(&round->contestants[curve->contestant]));
    for (int w = next_point(round, curve, -1); w < work_count; w = next_point(round, curve, w)) {
        curve->y = height_at(round, curve, w);
        curve->last = w;
        text_print(out, "%.1f,%.1f ", x_of(works[w].size), curve->y);
    }
    text_print(out, "\"/>");
    for (int w = next_point(round, curve, -1); w < work_count; w = next_point(round, curve, w))
        text_print(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"currentColor\"/>", x_of(works[w].size),
                   height_at(round, curve, w));
}

/* Names beside the last points, moved apart so that none lies on another, and none below the picture. */
static void place_labels(struct curve *curves, int count)
{
    double low = TOP, high = height_of(count) - LABEL_STEP;
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && curves[k - 1].y > curves[k].y; k--) {
            struct curve swap = curves[k];
            curves[k] = curves[k - 1];
            curves[k - 1] = swap;
        }
    for (int i = 0; i < count; i++) {
        curves[i].label = curves[i].y > low ? curves[i].y : low;
        low = curves[i].label + LABEL_STEP;
    }
    for (int i = count - 1; i >= 0 && curves[i].label > high; i--, high -= LABEL_STEP)
        curves[i].label = high;
}

static void draw_label(struct text *out, const struct round *round, const struct curve *curve)
{
    const struct contestant *c = &round->contestants[curve->contestant];
    double x = x_of(works[curve->last].size);
    text_print(out, "<g class=\"%s\"><path class=\"lead\" d=\"M%.1f %.1f L%d %.1f\"/>"
               "<text class=\"mark\" x=\"%d\" y=\"%.1f\">", group_names[c->group], x, curve->y,
               RIGHT + 24, curve->label, RIGHT + 28, curve->label + 4);
    page_text(out, c->group == GROUP_LIMIT ? "the limit" : c->name);
    text_print(out, "</text></g>\n");
}

static int points(const struct round *round, int contestant)
{
    int points = 0;
    for (int w = 0; w < work_count; w++)
        points += in_sizes(w) && round->cells[w][contestant].figures[METRIC_TIME].runs;
    return points;
}

/*
 * System calls lie on the curves of what uses them, and would only double those.  Of two ways through one memory the
 * one in place is drawn, and of the limits one curve, which the one that goes furthest stands for.
 */
static bool is_drawn(const struct round *round, int i)
{
    const struct contestant *c = &round->contestants[i];
    bool memory = c->group == GROUP_TONG && c->mechanism.offers & TONG_HAS_ZERO_COPY;
    if (c->group == GROUP_RAW || points(round, i) < 2 || (memory && !strstr(c->name, "in place")))
        return false;
    for (int k = 0; k < round->count && c->group == GROUP_LIMIT; k++)
        if (round->contestants[k].group == GROUP_LIMIT && points(round, k) > points(round, i) - (k < i))
            return k == i;
    return true;
}

void chart_sizes(struct text *out, const struct round *round)
{
    struct curve curves[CURVES_MAX];
    int count = 0;
    for (int i = 0; i < round->count && count < CURVES_MAX; i++)
        if (is_drawn(round, i))
            curves[count++] = (struct curve){ .contestant = i };
    if (count == 0)
        return;
    text_print(out, "<h2>Bytes a second, by the size of messages</h2><section class=\"wide\"><p class=\"soft\">"
               "One way, one sender and one receiver on two processors, waiting as each library does by default. "
               "GB/s; more is better. Dots are what was measured; lines only lead from one to the next.</p>"
               "<svg class=\"curve\" viewBox=\"0 0 790 %d\" role=\"img\" aria-label=\"Throughput by size\">",
               height_of(count));
    draw_grid(out, round);
    for (int i = 0; i < count; i++) {
        text_print(out, "<g class=\"%s\">", group_names[round->contestants[curves[i].contestant].group]);
        draw_curve(out, round, &curves[i]);
        text_print(out, "</g>\n");
    }
    place_labels(curves, count);
    for (int i = 0; i < count; i++)
        draw_label(out, round, &curves[i]);
    text_print(out, "</svg></section>\n");
}
