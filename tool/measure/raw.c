/* SPDX-License-Identifier: MIT */
/* tong bench --raw: what tong costs over the bare system calls. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "bench/overhead.h"
#include "json.h"
#include "measure/shown.h"
#include "report.h"
#include "text.h"
#include "tong/base.h"

/* ---- As a table ------------------------------------------------------------------------------------------ */

static void print_heading(int64_t runs)
{
    printf("Nanoseconds per message, both processes on one processor: medians of %lld pair%s of runs, and the median "
           "and\n"
           "range of their ratios.  CALLS: system calls of both processes per message, raw and tong.\n\n",
           (long long)runs, plural((uint64_t)runs, "", "s"));
    printf("%-23s%-40s%s\n", "", "ROUND TRIP", "ONE WAY");
    printf("%-8s%-9s%5s ", "", "FRAME", "SIZE");
    for (int i = 0; i < 2; i++)
        printf("%7s%7s%7s %-12s%-8s", "RAW", "TONG", "RATIO", " RANGE", "CALLS");
    puts("");
}

static void print_figure(const struct overhead_figure *f)
{
    char range[24], calls[24];
    snprintf(range, sizeof range, "%.2f-%.2f", f->least, f->most);
    if (f->raw_calls < 0 || f->tong_calls < 0)
        snprintf(calls, sizeof calls, "unknown");
    else
        snprintf(calls, sizeof calls, "%.1f %.1f", f->raw_calls, f->tong_calls);
    printf("%7.0f%7.0f%7.3f  %-11s%-8s", f->raw, f->tong, f->ratio, range, calls);
}

static void print_row(const struct overhead_row *row, const struct overhead_result *result)
{
    printf("%-8s%-9s%5zu ", row->contest->raw->mechanism, row->frame, row->size);
    print_figure(&result->round_trip);
    print_figure(&result->one_way);
    puts("");
    fflush(stdout);
}

/* ---- As JSON --------------------------------------------------------------------------------------------- */

static void json_figure(struct json *json, const char *name, const struct overhead_figure *f)
{
    const struct { const char *name; double value; } members[] = {
        { "raw_ns", f->raw }, { "tong_ns", f->tong }, { "ratio", f->ratio }, { "ratio_least", f->least },
        { "ratio_most", f->most }, { "raw_calls", f->raw_calls }, { "tong_calls", f->tong_calls },
    };
    json_name(json, name);
    json_open(json, '{');
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_name(json, members[i].name);
        if (members[i].value < 0)
            json_null(json);
        else
            json_real(json, members[i].value);
    }
    json_close(json, '}');
}

static void json_row(struct json *json, const struct overhead_row *row, const struct overhead_result *result)
{
    json_open(json, '{');
    json_text(json, "mechanism", row->contest->raw->mechanism);
    json_text(json, "frame", row->frame);
    json_number(json, "size", row->size);
    json_figure(json, "round_trip", &result->round_trip);
    json_figure(json, "one_way", &result->one_way);
    json_close(json, '}');
}

/* ---- Running --------------------------------------------------------------------------------------------- */

static bool chosen(const struct raw_settings *settings, const struct overhead_row *row)
{
    return !settings->only || !strcmp(settings->only, row->contest->raw->mechanism);
}

static void progress(const struct overhead_row *row)
{
    if (isatty(2))
        fprintf(stderr, "\r\033[Kmeasuring %s, %s, %zu bytes", row->contest->raw->mechanism, row->frame, row->size);
}

static void progress_done(void)
{
    if (isatty(2))
        fputs("\r\033[K", stderr);
}

static int run_rows(const struct raw_settings *settings, const char *directory, struct json *json)
{
    size_t measured = 0;
    for (size_t i = 0; i < overhead_row_count; i++) {
        const struct overhead_row *row = &overhead_rows[i];
        struct overhead_result result;
        if (!chosen(settings, row))
            continue;
        progress(row);
        int r = overhead_measure(row, (int)settings->runs, directory, &result);
        progress_done();
        if (r < 0)
            return fail_system(r, row->contest->raw->mechanism);
        if (settings->json)
            json_row(json, row, &result);
        else
            print_row(row, &result);
        measured++;
    }
    return measured ? CODE_DONE : fail_usage("there is no raw baseline for '%s'", settings->only);
}

int bench_raw(const struct raw_settings *settings)
{
    char directory[] = "/tmp/tong-bench.XXXXXX";
    if (!mkdtemp(directory))
        return fail_system(-errno, directory);
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    if (settings->json)
        json_open(&json, '[');
    else
        print_heading(settings->runs);
    int code = run_rows(settings, directory, &json);
    if (settings->json && code == CODE_DONE) {
        json_close(&json, ']');
        code = json_print(&json);
    }
    text_free(&text);
    rmdir(directory);
    return code;
}
