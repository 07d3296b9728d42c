/* SPDX-License-Identifier: MIT */
/*
 * A round as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.  Each result is a
 * dot on a logarithmic scale with the range of its runs, drawn as a small picture (SVG) in a row of its own, so that
 * the text beside it stays text, of its own size, on a narrow screen too.
 */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "measure/chart.h"
#include "measure/shown.h"

/* ---- Pieces ----------------------------------------------------------------------------------------------- */

void page_text(struct text *out, const char *text)
{
    static const struct { char from; const char *to; } marks[] = { { '<', "&lt;" }, { '>', "&gt;" }, { '&', "&amp;" },
                                                                   { '"', "&quot;" } };
    for (; *text; text++) {
        const char *to = NULL;
        for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
            if (*text == marks[i].from)
                to = marks[i].to;
        if (to)
            text_add(out, to, strlen(to));
        else
            text_add(out, text, 1);
    }
}

/* An element of nothing but text. */
static void element(struct text *out, const char *name, const char *text)
{
    text_print(out, "<%s>", name);
    page_text(out, text);
    text_print(out, "</%s>", name);
}

static const char style[] =
    ":root{color-scheme:light dark;--back:#fbfaf7;--card:#fff;--ink:#1d2021;--soft:#666a6d;--rule:#e2dfd8;"
    "--limit:#77797c;--tong:#0a6fb8;--raw:#b8660a;--rival:#8a3fa8}"
    "@media(prefers-color-scheme:dark){:root{--back:#15171a;--card:#1d2024;--ink:#e6e4df;--soft:#9a9ea3;--rule:#33373c;"
    "--limit:#a0a4a8;--tong:#5bb4f0;--raw:#f0a74f;--rival:#c98be6}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}"
    "main{max-width:1080px;margin:0 auto;padding:2rem 1.2rem 4rem}h1{font-size:1.8rem;line-height:1.2;margin:0 0 .4rem}"
    "h2{font-size:1.25rem;margin:2.6rem 0 .3rem}h3{font-size:1rem;margin:0 0 .2rem}"
    "table+h3{margin-top:1.4rem}p{margin:.3rem 0 .8rem}"
    ".soft{color:var(--soft);font-size:.9rem}section{background:var(--card);border:1px solid var(--rule);"
    "border-radius:10px;padding:1rem 1.1rem;margin:1rem 0}"
    ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.8rem;margin:1.2rem 0}"
    ".facts div{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:.7rem .9rem}"
    ".facts b{display:block;font-size:.8rem;color:var(--soft);font-weight:600}"
    ".row{display:grid;grid-template-columns:15rem 1fr 5.8rem 4.6rem;gap:.6rem;align-items:center;font-size:.9rem;"
    "font-variant-numeric:tabular-nums}.row>:nth-child(n+3){text-align:right}.row svg{width:100%;height:22px;"
    "display:block}.row.head{color:var(--soft);font-size:.8rem}.axis{position:relative;height:1.2em}"
    ".axis span{position:absolute;transform:translateX(-50%);white-space:nowrap}"
    ".name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}"
    ".name:before{content:'';display:inline-block;width:.65em;height:.65em;border-radius:50%;margin-right:.45em;"
    "background:currentColor}.limit{color:var(--limit)}.tong{color:var(--tong)}.raw{color:var(--raw)}"
    ".rival{color:var(--rival)}.name i{color:var(--ink);font-style:normal}"
    ".tick{stroke:var(--rule);stroke-width:1}.base{stroke:var(--limit);stroke-dasharray:3 3}"
    ".key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.9rem}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;"
    "width:100%}"
    "th,td{padding:.28rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}"
    "th{color:var(--soft);font-weight:600}th:first-child,td:first-child{text-align:left}"
    ".pairs th,.pairs td{white-space:normal}.brief td{white-space:normal}.brief b{display:block;white-space:nowrap}"
    ".brief td:first-child{max-width:19rem}"
    ".heads{display:grid;grid-template-columns:repeat(auto-fit,minmax(max(205px,30%),1fr));gap:.8rem;margin:1.4rem 0}"
    ".heads div{background:var(--card);border:1px solid var(--rule);border-left:4px solid var(--tong);"
    "border-radius:10px;padding:.8rem 1rem}.heads b{display:block;font-size:1.7rem;line-height:1.25;"
    "font-variant-numeric:tabular-nums}"
    ".heads span{display:block;font-size:.85rem;color:var(--soft)}.heads .what{color:var(--ink)}"
    "td.long{white-space:normal;text-align:left}summary{cursor:pointer;color:var(--soft);font-size:.9rem;"
    "margin-top:.6rem}"
    ".curve{min-width:620px;width:100%;height:auto;display:block}.curve text{fill:var(--soft);font-size:12px}"
    ".curve .mark{fill:currentColor;font-weight:600}.lead{stroke:currentColor;stroke-opacity:.4;stroke-dasharray:2 3;"
    "fill:none}polyline{fill:none;stroke:currentColor;stroke-width:1.5}.thin{stroke-opacity:.55}"
    ".strong{stroke-width:3.5}"
    ".dashed{stroke-width:2;stroke-dasharray:6 4}"
    "@media(max-width:640px){main{padding:1.2rem .7rem 3rem}section{padding:.8rem .7rem}"
    ".row{grid-template-columns:1fr 5.4rem 3.6rem;gap:0 .4rem;margin-bottom:.35rem}"
    ".row>:nth-child(2){grid-row:2;grid-column:1/4}.row.head{grid-template-columns:1fr 5.4rem 3.6rem}"
    ".pairs th,.pairs td{padding:.28rem .3rem}"
    ".brief table,.brief tbody{display:block}.brief tr:first-child{display:none}"
    ".brief tr{display:grid;grid-template-columns:1fr 1fr;gap:.3rem .8rem;padding:.6rem 0;"
    "border-bottom:1px solid var(--rule)}.brief td{border:0;padding:0;text-align:left}"
    ".brief td:first-child{grid-column:1/3;max-width:none;font-weight:600}"
    ".brief td[data-of]:before{content:attr(data-of)': ';color:var(--soft)}}";

static void open_page(struct text *out)
{
    text_print(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
               "<title>tong bench</title><style>%s</style></head><body><main>\n", style);
}

static void fact(struct text *out, const char *name, const char *value)
{
    text_print(out, "<div>");
    element(out, "b", name);
    page_text(out, value);
    text_print(out, "</div>");
}

static void show_conditions(struct text *out, const struct round *round)
{
    const struct conditions *c = &round->conditions;
    char value[160];
    text_print(out, "<div class=\"facts\">");
    fact(out, "Processor", *c->machine ? c->machine : "unknown");
    snprintf(value, sizeof value, "%d usable", c->processors);
    fact(out, "Processors", value);
    fact(out, "Kernel", c->kernel);
    snprintf(value, sizeof value, "%.2f before, %.2f after", c->load, c->load_after);
    fact(out, "Load of the machine (1 min)", value);
    if (c->line > 0)
        snprintf(value, sizeof value, "%.0f ns; accepted %.0f to %.0f%s", c->line, c->line_low, c->line_high,
                 c->line_changes > 1 ? "; changed meanwhile" : "");
    else
        snprintf(value, sizeof value, "not measured: one processor");
    fact(out, "Cache line, there and back", value);
    snprintf(value, sizeof value, "%d run%s each, in turn; %.0f s", round->runs,
             plural((uint64_t)round->runs, "", "s"), c->seconds);
    fact(out, "Measured", value);
    text_print(out, "</div>\n");
}

/* ---- The summary ------------------------------------------------------------------------------------------ */

static int best_of(const struct round *round, int work, enum group group)
{
    int order[CONTESTANTS_MAX], count = bench_ranking(round, work, order);
    for (int i = 0; i < count; i++)
        if (round->contestants[order[i]].group == group && !round->contestants[order[i]].idle)
            return order[i];
    return -1;
}

static double median_of(const struct round *round, int work, int i)
{
    return round->cells[work][i].figures[METRIC_TIME].median;
}

/* What a work is told by: how long it takes, how many a second go, or how many bytes. */
static const char *amount(const struct work *w, double ns, char ret[16])
{
    if (w->test != TEST_ONE_WAY)
        return bench_time(ns, ret);
    if (w->size <= 1024)
        return bench_rate(ns, ret);
    snprintf(ret, 16, "%.3g GB/s", (double)w->size / ns);
    return ret;
}

static void show_best(struct text *out, const struct round *round, int work, enum group group, const char *of)
{
    int best = best_of(round, work, group);
    char words[16];
    text_print(out, "<td data-of=\"%s\">", of);
    if (best >= 0) {
        page_text(out, round->contestants[best].name);
        text_print(out, " <b>%s%s</b>", amount(&works[work], median_of(round, work, best), words),
                   bench_mark(&round->cells[work][best].figures[METRIC_TIME]));
    } else {
        text_print(out, "-");
    }
    text_print(out, "</td>");
}

/* ---- Headlines -------------------------------------------------------------------------------------------- */

static int work_of(const char *key)
{
    int work = 0;
    while (work < work_count && strcmp(works[work].key, key) != 0)
        work++;
    return work;
}

static void show_headline(struct text *out, const struct round *round, int work, const char *what)
{
    int tong = best_of(round, work, GROUP_TONG), rival = best_of(round, work, GROUP_RIVAL);
    const struct figure *ratio = &round->cells[work][tong].figures[METRIC_LIMIT];
    char words[16];
    text_print(out, "<div><span class=\"what\">%s</span><b>%s%s</b><span>", what,
               amount(&works[work], median_of(round, work, tong), words),
               bench_mark(&round->cells[work][tong].figures[METRIC_TIME]));
    page_text(out, round->contestants[tong].name);
    if (ratio->runs)
        text_print(out, ": %.2f times the limit's time", ratio->median);
    text_print(out, "</span>");
    if (rival >= 0) {
        text_print(out, "<span>best other library: ");
        page_text(out, round->contestants[rival].name);
        text_print(out, ", %s</span>", amount(&works[work], median_of(round, work, rival), words));
    }
    text_print(out, "</div>\n");
}

static void show_headlines(struct text *out, const struct round *round)
{
    static const struct { const char *key, *what; } heads[] = {
        { "round-trip-64-spin", "There and back, 64 bytes" }, { "round-trip-64-sleep-one", "The same, sleeping" },
        { "one-way-64-spin", "One way, 64 bytes each" }, { "one-way-64-batch", "The same, in batches" },
        { "one-way-64-2-1", "From two senders" }, { "one-way-1048576", "One way, 1 MiB each" },
    };
    text_print(out, "<div class=\"heads\">");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int work = work_of(heads[i].key);
        if (best_of(round, work, GROUP_TONG) >= 0)
            show_headline(out, round, work, heads[i].what);
    }
    text_print(out, "</div>\n");
}

static void show_heading(struct text *out, const struct round *round)
{
    text_print(out, "<h1>What a message costs on this machine</h1><p class=\"soft\">Measured by tong bench %s: "
               "the same work through every mechanism. Every byte is written, every line of 64 bytes is read and "
               "checked.</p>\n",
               TONG_VERSION);
    show_headlines(out, round);
    show_conditions(out, round);
    text_print(out, "<p class=\"key\"><span class=\"name tong\"><i>through tong</i></span><span class=\"name raw\">"
               "<i>bare system calls</i></span><span class=\"name rival\"><i>other libraries</i></span>"
               "<span class=\"name limit\"><i>limit: a ring written by hand for this work alone</i></span></p>"
               "<p class=\"soft\">A time or rate with ~ is unsettled: its slowest run took more than twice as long as "
               "its quickest. Ratios to the limit are those of the same turn, and their median.</p>\n");
}

static void show_summary(struct text *out, const struct round *round)
{
    text_print(out, "<h2>In short</h2><section class=\"wide brief\"><table><tr><th>Work</th><th>Limit</th>"
               "<th>Best of tong</th><th>/limit</th><th>System calls</th><th>Best other library</th></tr>\n");
    for (int w = 0; w < work_count; w++) {
        if (!round_has(round, w))
            continue;
        int tong = best_of(round, w, GROUP_TONG);
        text_print(out, "<tr>");
        element(out, "td", works[w].title);
        show_best(out, round, w, GROUP_LIMIT, "limit");
        show_best(out, round, w, GROUP_TONG, "tong");
        if (tong >= 0 && round->cells[w][tong].figures[METRIC_LIMIT].runs)
            text_print(out, "<td data-of=\"time to the limit's\">%.2f</td>",
                       round->cells[w][tong].figures[METRIC_LIMIT].median);
        else
            text_print(out, "<td>-</td>");
        show_best(out, round, w, GROUP_RAW, "system calls");
        show_best(out, round, w, GROUP_RIVAL, "library");
        text_print(out, "</tr>\n");
    }
    text_print(out, "</table></section>\n");
}

/* ---- One work --------------------------------------------------------------------------------------------- */

static void show_figure(struct text *out, const struct figure *f)
{
    char time[16];
    text_print(out, "<td>%s</td>", f->runs && f->median > 0 ? bench_time(f->median, time) : "-");
}

static void show_ratio(struct text *out, const struct figure *f)
{
    if (f->runs)
        text_print(out, "<td>%.2f</td>", f->median);
    else
        text_print(out, "<td>-</td>");
}

static void show_line(struct text *out, const struct round *round, int work, int i)
{
    const struct cell *cell = &round->cells[work][i];
    char least[16], most[16], text[16];
    const struct figure *time = &cell->figures[METRIC_TIME];
    text_print(out, "<tr>");
    element(out, "td", round->contestants[i].name);
    element(out, "td", group_names[round->contestants[i].group]);
    text_print(out, "<td>%s%s</td>", time->median > 0 ? bench_time(time->median, text) : "-", bench_mark(time));
    text_print(out, "<td>%s to %s</td>", bench_time(time->least, least), bench_time(time->most, most));
    if (works[work].test == TEST_ONE_WAY)
        text_print(out, "<td>%s</td><td>%.2f</td>", bench_rate(time->median, text),
                   (double)works[work].size / time->median);
    else
        for (int m = METRIC_P99; m <= METRIC_P9999; m++)
            show_figure(out, &cell->figures[m]);
    show_figure(out, &cell->figures[METRIC_CPU]);
    show_ratio(out, &cell->figures[METRIC_LIMIT]);
    show_ratio(out, &cell->figures[METRIC_RAW]);
    text_print(out, "<td>%.0f%s</td></tr>\n", cell->line.median, cell->unsettled ? " *" : "");
}

static void show_table(struct text *out, const struct round *round, int work, const int *order, int count)
{
    bool one_way = works[work].test == TEST_ONE_WAY;
    text_print(out, "<details><summary>All figures</summary><div class=\"wide\"><table><tr><th>Carrier</th><th></th>"
               "<th>%s</th><th>range</th>%s<th>CPU</th><th>/limit</th><th>/raw</th><th>line, ns</th></tr>\n",
               one_way ? "each" : "p50",
               one_way ? "<th>rate</th><th>GB/s</th>" : "<th>p99</th><th>p99.9</th><th>p99.99</th>");
    for (int i = 0; i < count; i++)
        show_line(out, round, work, order[i]);
    text_print(out, "</table></div></details>");
}

static void show_work(struct text *out, const struct round *round, int work)
{
    int order[CONTESTANTS_MAX], count = bench_ranking(round, work, order);
    text_print(out, "<section>");
    element(out, "h3", works[work].title);
    text_print(out, "<p class=\"soft\">%s; less is better. Dots are medians, bars the range of the runs.</p>",
               works[work].test == TEST_ONE_WAY ? "Time for each message" : works[work].test == TEST_PACED ?
               "Median time from sender to receiver" : "Median time there and back");
    chart_dots(out, round, work, order, count);
    show_table(out, round, work, order, count);
    text_print(out, "</section>\n");
}

/* ---- The rest --------------------------------------------------------------------------------------------- */

static void show_files(struct text *out, const struct round *round)
{
    char size[16];
    if (!round->files[0].write.runs)
        return;
    text_print(out, "<h2>A file, and a mapping of it</h2><section class=\"wide\"><p class=\"soft\">The same bytes "
               "of a file in the page cache, by system calls and through a region of mmap:.</p><table><tr><th>Size</th>"
               "<th>write(2)</th><th>mapped</th><th>read(2)</th><th>mapped</th></tr>\n");
    for (int i = 0; i < FILE_SIZES; i++) {
        text_print(out, "<tr><td>%s</td>", bench_size(round->files[i].size, size));
        show_figure(out, &round->files[i].write);
        show_figure(out, &round->files[i].map_write);
        show_figure(out, &round->files[i].read);
        show_figure(out, &round->files[i].map_read);
        text_print(out, "</tr>\n");
    }
    text_print(out, "</table></section>\n");
}

#define PAIRS_MAX 512

struct pairs {
    struct overtaking of[PAIRS_MAX];
    int count;
};

/* The first of its sizes with this memory, or with this other: a column, or a row. */
static bool is_column(const struct pairs *pairs, int at)
{
    for (int i = 0; i < at; i++)
        if (pairs->of[i].sizes == pairs->of[at].sizes && pairs->of[i].memory == pairs->of[at].memory)
            return false;
    return true;
}

static bool is_row(const struct pairs *pairs, int at)
{
    for (int i = 0; i < at; i++)
        if (pairs->of[i].sizes == pairs->of[at].sizes && pairs->of[i].other == pairs->of[at].other)
            return false;
    return true;
}

static void show_pair(struct text *out, const struct pairs *pairs, enum sizes sizes, int memory, int other)
{
    char text[16];
    for (int i = 0; i < pairs->count; i++) {
        const struct overtaking *o = &pairs->of[i];
        if (o->sizes == sizes && o->memory == memory && o->other == other) {
            text_print(out, "<td>%s</td>", o->size ? bench_size(o->size, text) : "at none of them");
            return;
        }
    }
    text_print(out, "<td>-</td>");
}

static void show_pairs(struct text *out, const struct round *round, const struct pairs *pairs, enum sizes sizes)
{
    text_print(out, "<h3>");
    page_text(out, sizes_words[sizes]);
    text_print(out, "</h3><table class=\"pairs\"><tr><th></th>");
    for (int i = 0; i < pairs->count; i++)
        if (pairs->of[i].sizes == sizes && is_column(pairs, i))
            element(out, "th", round->contestants[pairs->of[i].memory].name);
    text_print(out, "</tr>\n");
    for (int k = 0; k < pairs->count; k++) {
        if (pairs->of[k].sizes != sizes || !is_row(pairs, k))
            continue;
        text_print(out, "<tr>");
        element(out, "td", round->contestants[pairs->of[k].other].name);
        for (int i = 0; i < pairs->count; i++)
            if (pairs->of[i].sizes == sizes && is_column(pairs, i))
                show_pair(out, pairs, sizes, pairs->of[i].memory, pairs->of[k].other);
        text_print(out, "</tr>\n");
    }
    text_print(out, "</table>");
}

static void show_overtaking(struct text *out, const struct round *round)
{
    struct pairs pairs = { .count = 0 };
    while (pairs.count < PAIRS_MAX && bench_overtaking(round, pairs.count, &pairs.of[pairs.count]))
        pairs.count++;
    if (pairs.count == 0)
        return;
    text_print(out, "<h2>From which size shared memory overtakes</h2><section class=\"wide\"><p class=\"soft\">"
               "Of the sizes measured: from there on the memory of the column takes less time than the mechanism of "
               "the row, at every larger one.</p>");
    for (enum sizes sizes = 0; sizes < SIZES; sizes++)
        for (int i = 0; i < pairs.count; i++)
            if (pairs.of[i].sizes == sizes) {
                show_pairs(out, round, &pairs, sizes);
                break;
            }
    text_print(out, "</section>\n");
}

static void show_left_out(struct text *out, const struct round *round)
{
    text_print(out, "<h2>What is not here</h2><section><p>Libraries whose programs were not built: ");
    page_text(out, *round->absent ? round->absent : "none");
    text_print(out, ".</p><p class=\"soft\">A line with * was measured, in some of its runs, while a cache line "
               "took longer or shorter than is normal. A run with one wrong or missing message is void. A percentile "
               "is empty where fewer than ten latencies lie beyond it.</p><details><summary>Not measured, or void"
               "</summary><div class=\"wide\"><table><tr><th>Carrier</th><th>Work</th><th></th></tr>\n");
    for (int w = 0; w < work_count; w++)
        for (int i = 0; i < round->count; i++) {
            const struct cell *cell = &round->cells[w][i];
            if (!*cell->missing && !cell->wrong)
                continue;
            text_print(out, "<tr>");
            element(out, "td", round->contestants[i].name);
            element(out, "td", works[w].key);
            text_print(out, "<td class=\"long\">");
            page_text(out, cell->wrong ? "void: a message was wrong" : cell->missing);
            text_print(out, "</td></tr>\n");
        }
    text_print(out, "</table></div></details></section>\n");
}

void bench_page(const struct round *round, struct text *out)
{
    open_page(out);
    show_heading(out, round);
    show_summary(out, round);
    chart_sizes(out, round);
    text_print(out, "<h2>Work by work</h2>\n");
    for (int w = 0; w < work_count; w++)
        if (round_has(round, w))
            show_work(out, round, w);
    show_overtaking(out, round);
    show_files(out, round);
    show_left_out(out, round);
    text_print(out, "</main></body></html>\n");
}
