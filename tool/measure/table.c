/* SPDX-License-Identifier: MIT */
/* What `tong bench` measured, on a terminal: a table for each work, the quickest first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "measure/shown.h"

/* ---- Figures ---------------------------------------------------------------------------------------------- */

const char *bench_time(double ns, char ret[16])
{
    if (ns < 9.95)
        snprintf(ret, 16, "%.1f ns", ns);
    else if (ns < 999.5)
        snprintf(ret, 16, "%.0f ns", ns);
    else if (ns < 9.995e3)
        snprintf(ret, 16, "%.2f us", ns / 1e3);
    else if (ns < 999.5e3)
        snprintf(ret, 16, "%.1f us", ns / 1e3);
    else
        snprintf(ret, 16, "%.2f ms", ns / 1e6);
    return ret;
}

const char *bench_rate(double each, char ret[16])
{
    double rate = 1e9 / each;
    if (rate >= 99.95e6)
        snprintf(ret, 16, "%.0f M/s", rate / 1e6);
    else if (rate >= 0.9995e6)
        snprintf(ret, 16, "%.2f M/s", rate / 1e6);
    else
        snprintf(ret, 16, "%.1f k/s", rate / 1e3);
    return ret;
}

const char *bench_size(size_t size, char ret[16])
{
    static const char *const units[] = { "B", "KiB", "MiB" };
    int unit = 0;
    for (; unit < 2 && size >= 1024 && size % 1024 == 0; unit++)
        size /= 1024;
    snprintf(ret, 16, "%u %s", (unsigned)size, units[unit]);
    return ret;
}

const char *bench_mark(const struct figure *figure)
{
    return figure->runs && figure->most > 2 * figure->least ? " ~" : "";
}

/* ---- Order ------------------------------------------------------------------------------------------------ */

int bench_ranking(const struct round *round, int work, int ret[CONTESTANTS_MAX])
{
    const struct cell *cells = round->cells[work];
    int count = 0;
    for (int i = 0; i < round->count; i++) {
        if (!cells[i].figures[METRIC_TIME].runs)
            continue;
        int at = count++;
        for (; at > 0 && cells[ret[at - 1]].figures[METRIC_TIME].median > cells[i].figures[METRIC_TIME].median; at--)
            ret[at] = ret[at - 1];
        ret[at] = i;
    }
    return count;
}

static bool is_memory(const struct contestant *c)
{
    return c->group == GROUP_TONG && c->mechanism.offers & TONG_HAS_ZERO_COPY && strstr(c->name, "in place");
}

/* It carries messages through the kernel, and so can be overtaken. */
static bool is_kernels(const struct contestant *c)
{
    return c->group == GROUP_TONG && !(c->mechanism.offers & TONG_HAS_ZERO_COPY) && !c->bursts;
}

bool bench_overtaking(const struct round *round, int index, struct overtaking *ret)
{
    for (enum sizes sizes = 0; sizes < SIZES; sizes++)
        for (int k = 0; k < round->count * round->count; k++) {
            int memory = k / round->count, other = k % round->count;
            if (!is_memory(&round->contestants[memory]) || !is_kernels(&round->contestants[other]) ||
                round_sizes(round, sizes, memory, other) < 2 || index-- > 0)
                continue;
            *ret = (struct overtaking){ sizes, memory, other, round_overtakes(round, sizes, memory, other) };
            return true;
        }
    return false;
}

/* ---- The table -------------------------------------------------------------------------------------------- */

static void print_if(const struct figure *f, int width)
{
    char text[16];
    printf("%*s", width, f->runs && f->median > 0 ? bench_time(f->median, text) : "-");
}

static void print_ratio(const struct figure *f)
{
    if (f->runs)
        printf("%8.2f", f->median);
    else
        printf("%8s", "-");
}

static void print_cell(const struct contestant *c, const struct cell *cell, const struct work *w)
{
    char least[16], most[16], range[40], text[16];
    const struct figure *time = &cell->figures[METRIC_TIME];
    if (c->idle)
        snprintf(range, sizeof range, "-");
    else
        snprintf(range, sizeof range, "%s .. %s", bench_time(time->least, least), bench_time(time->most, most));
    printf("%-6s %-34.34s", group_names[c->group], c->name);
    print_if(time, 9);
    printf(" %22s", range);
    if (w->test == TEST_ONE_WAY) {
        printf("%11s", bench_rate(time->median, text));
        printf("%8.2f", (double)w->size / time->median);
    } else {
        print_if(&cell->figures[METRIC_P99], 9);
        print_if(&cell->figures[METRIC_P999], 9);
        print_if(&cell->figures[METRIC_P9999], 9);
    }
    print_if(&cell->figures[METRIC_CPU], 9);
    print_ratio(&cell->figures[METRIC_LIMIT]);
    print_ratio(&cell->figures[METRIC_RAW]);
    if (cell->unsettled)
        printf("  line not normal in %d of %d", cell->unsettled, time->runs);
    puts("");
}

static void print_work(const struct round *round, int work)
{
    int order[CONTESTANTS_MAX], count = bench_ranking(round, work, order);
    const struct work *w = &works[work];
    printf("\n%s\n", w->title);
    printf("%-41s%9s %22s", "", w->test == TEST_ONE_WAY ? "EACH" : "P50", "RANGE");
    if (w->test == TEST_ONE_WAY)
        printf("%11s%8s", "RATE", "GB/S");
    else
        printf("%9s%9s%9s", "P99", "P99.9", "P99.99");
    printf("%9s%8s%8s\n", "CPU", "/LIMIT", "/RAW");
    for (int i = 0; i < count; i++)
        print_cell(&round->contestants[order[i]], &round->cells[work][order[i]], w);
}

static void print_missing(const struct round *round)
{
    bool any = false;
    for (int w = 0; w < work_count; w++)
        for (int i = 0; i < round->count; i++) {
            const struct cell *cell = &round->cells[w][i];
            if (!*cell->missing && !cell->wrong)
                continue;
            if (!any)
                puts("\nNot measured, or void");
            any = true;
            printf("%s %s, %s: ", group_names[round->contestants[i].group], round->contestants[i].name, works[w].key);
            if (cell->wrong)
                printf("void: a message was wrong in %d run%s\n", cell->wrong, plural((uint64_t)cell->wrong, "", "s"));
            else
                printf("%s\n", cell->missing);
        }
}

static void print_overtaking(const struct round *round)
{
    char text[16];
    struct overtaking o;
    for (int k = 0; bench_overtaking(round, k, &o); k++) {
        if (k == 0)
            puts("\nFrom which size shared memory overtakes");
        printf("%-31s%-20s %-24s %s\n", sizes_words[o.sizes], round->contestants[o.memory].name,
               round->contestants[o.other].name, o.size ? bench_size(o.size, text) : "at none measured");
    }
}

static void print_files(const struct round *round)
{
    char size[16], a[16], b[16], c[16], d[16];
    if (!round->files[0].write.runs)
        return;
    puts("\nA file in the page cache: system calls, and a mapping of it (mmap:)");
    printf("%-10s%12s%12s%12s%12s\n", "", "write(2)", "mapped", "read(2)", "mapped");
    for (int i = 0; i < FILE_SIZES; i++) {
        const struct file_figures *f = &round->files[i];
        printf("%-10s%12s%12s%12s%12s\n", bench_size(f->size, size), bench_time(f->write.median, a),
               bench_time(f->map_write.median, b), bench_time(f->read.median, c), bench_time(f->map_read.median, d));
    }
}

void bench_table(const struct round *round)
{
    const struct conditions *c = &round->conditions;
    printf("%s, %d processor%s, %s\n", *c->machine ? c->machine : "unknown machine", c->processors,
           plural((uint64_t)c->processors, "", "s"), c->kernel);
    printf("Load %.2f before and %.2f after; %d run%s of each, medians and ranges; %.0f s.\n", c->load, c->load_after,
           round->runs, plural((uint64_t)round->runs, "", "s"), c->seconds);
    if (c->line > 0)
        printf("A cache line takes %.0f ns to the other processor and back; counted is what was measured "
               "at %.0f to %.0f.\n",
               c->line, c->line_low, c->line_high);
    puts("EACH is per message, CPU of both sides per message or round trip (of paced ones, us are also seconds per\n"
         "million); /LIMIT and /RAW are ratios of one turn.  A percentile is empty with fewer than ten latencies\n"
         "beyond it.");
    for (int w = 0; w < work_count; w++)
        if (round_has(round, w))
            print_work(round, w);
    print_files(round);
    print_overtaking(round);
    print_missing(round);
    if (*round->absent)
        printf("\nNot here: %s\n", round->absent);
}
