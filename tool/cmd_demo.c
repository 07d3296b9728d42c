/* SPDX-License-Identifier: MIT */
/* tong demo: one file through everything that carries bytes, between separate processes, each row verified. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "command.h"
#include "demo/demo.h"
#include "demo/trial.h"
#include "json.h"
#include "report.h"
#include "stop.h"
#include "text.h"
#include "tong/base.h"

#define ROWS_MAX 64

struct settings {
    bool json;
    const char *only;
};

static const struct option_row options[] = {
    VALUE(only, TAKES_TEXT, "SCHEME", "only this mechanism"),
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

/* ---- The progress line, on a terminal ------------------------------------------------------------------ */

static struct {
    const char *label;
    int done, count;
    bool shown;
} progress;

static void show_progress(void)
{
    if (!isatty(STDERR_FILENO))
        return;
    struct text line = TEXT_INIT;
    text_print(&line, "\r\033[K%d of %d: %s ...", progress.done + 1, progress.count, progress.label);
    write_all(STDERR_FILENO, line.data, line.used);
    text_free(&line);
    progress.shown = true;
}

static void show_trial(const char *label)
{
    progress.label = label;
    show_progress();
}

static void clear_progress(void)
{
    if (progress.shown)
        write_all(STDERR_FILENO, "\r\033[K", 4);
    progress.shown = false;
}

static void end_trial(void)
{
    progress.done++;
    clear_progress();
}

/* ---- Rows in words ------------------------------------------------------------------------------------- */

/* From the first byte, or when the receiver was there to take it, to the last. */
static double seconds(const struct outcome *outcome)
{
    int64_t start = outcome->start > outcome->ready ? outcome->start : outcome->ready;
    return start && outcome->end > start ? (double)(outcome->end - start) / 1e9 : 0;
}

static void rate_words(double rate, char *ret, size_t size)
{
    static const char *const units[] = { "B/s", "kB/s", "MB/s", "GB/s", "TB/s" };
    int unit = 0;
    while (rate >= 1000 && unit < 4)
        rate /= 1000, unit++;
    snprintf(ret, size, "%.*f %s", rate < 10 ? 2 : rate < 100 ? 1 : 0, rate, units[unit]);
}

static void print_heading(const struct source *source, const char *path)
{
    print_visible("", path ? path : "random data");
    printf(": %" PRIu64 " byte%s\nSHA-256 %s\n", source->size, plural(source->size, "", "s"), source->digest);
}

static void print_columns(void)
{
    printf("\n%-26s %12s %9s %10s %11s %9s  %s\n",
           "MECHANISM", "BYTES", "MESSAGES", "TIME", "RATE", "SWITCHES", "VERDICT");
}

/* "ok", or what is missing where that is no failure. */
static void verdict(const struct row *row, const struct outcome *outcome, char *ret, size_t size)
{
    if (outcome->ok && row->mechanism.offers & TONG_MAY_LOSE)
        snprintf(ret, size, "ok, %" PRIu64 " of %" PRIu64 " lost", outcome->lost, outcome->sent);
    else
        snprintf(ret, size, "%s", outcome->ok ? "ok" : "FAILED");
}

static void print_row(const struct row *row, const struct outcome *outcome)
{
    char time[32] = "-", rate[32] = "-", words[96];
    double elapsed = seconds(outcome);
    if (elapsed > 0)
        snprintf(time, sizeof time, "%.2f ms", elapsed * 1e3);
    if (elapsed > 0 && outcome->bytes)
        rate_words((double)outcome->bytes / elapsed, rate, sizeof rate);
    verdict(row, outcome, words, sizeof words);
    printf("%-26s %12" PRIu64 " %9" PRIu64 " %10s %11s %9" PRId64 "  %s\n", row->label, outcome->bytes,
           outcome->messages, time, rate, outcome->switches, words);
    if (!outcome->ok) {
        print_visible("    ", outcome->failure);
        putchar('\n');
    }
    fflush(stdout);
}

static void print_end(const struct outcome *outcomes, int carried, int count)
{
    bool hashing = false;
    int losing = 0;
    for (int i = 0; i < count; i++) {
        hashing |= outcomes[i].hashing;
        losing += outcomes[i].ok && outcomes[i].lost;
    }
    printf("\n%d of %d mechanisms carried it unchanged\n", carried - losing, count);
    if (losing)
        printf("%d lost some of it, as datagrams may, and counted what\n", losing);
    if (hashing)
        puts("The file is too large to be kept in memory: the times include reading it and its digest.");
}

/* ---- Rows in JSON -------------------------------------------------------------------------------------- */

static void write_row(struct json *json, const struct row *row, const struct outcome *outcome)
{
    double elapsed = seconds(outcome);
    bool losing = row->mechanism.offers & TONG_MAY_LOSE;
    const struct { const char *name, *text; } words[] = {
        { "mechanism", row->mechanism.scheme }, { "variant", row->mechanism.variant },
        { "relation", relation_words[row->relation] }, { "address", row->address },
        { "sha256", *outcome->digest ? outcome->digest : NULL }, { "error", outcome->ok ? NULL : outcome->failure },
    };
    json_open(json, '{');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        json_text(json, words[i].name, words[i].text);
    }
    json_number(json, "bytes", outcome->bytes);
    json_number(json, "messages", outcome->messages);
    json_number(json, "sent", losing ? outcome->sent : outcome->messages);
    json_number(json, "lost", losing ? outcome->lost : 0);
    json_name(json, "seconds");
    json_real(json, elapsed);
    json_name(json, "context_switches");
    json_signed(json, outcome->switches);
    json_name(json, "time_includes_digest");
    json_bool(json, outcome->hashing);
    json_name(json, "ok");
    json_bool(json, outcome->ok);
    json_close(json, '}');
}

static void write_rows(struct json *json, const struct source *source, const char *path, const struct row *rows,
                       const struct outcome *outcomes, int carried, int count)
{
    json_text(json, "file", path);
    json_number(json, "bytes", source->size);
    json_text(json, "sha256", source->digest);
    json_name(json, "rows");
    json_open(json, '[');
    for (int i = 0; i < count; i++)
        write_row(json, &rows[i], &outcomes[i]);
    json_close(json, ']');
    json_name(json, "carried");
    json_signed(json, carried);
    json_name(json, "of");
    json_signed(json, count);
}

/* ---- The demo ------------------------------------------------------------------------------------------ */

static void run_row(const struct row *row, const struct source *source, struct outcome *outcome)
{
    *outcome = (struct outcome){ .bytes = 0 };
    show_trial(row->label);
    if (row_prepare(row, outcome) == 0) {
        row_run(row, source, outcome, show_progress);
        row_remove(row);
    }
    end_trial();
}

/* The file through everything that carries bytes; returns how many rows carried it. */
static int carry_all(const struct source *source, const struct row *rows, struct outcome *outcomes, int count,
                     bool show)
{
    int carried = 0;
    for (int i = 0; i < count && !stop_asked(); i++) {
        run_row(&rows[i], source, &outcomes[i]);
        carried += outcomes[i].ok;
        if (show && !stop_asked())
            print_row(&rows[i], &outcomes[i]);
    }
    return carried;
}

/* Both parts into one object; 0, or an exit code. */
static int run_json(const struct source *source, const char *path, const struct row *rows, struct outcome *outcomes,
                    int count, int *ret_failed)
{
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    int carried = carry_all(source, rows, outcomes, count, false);
    json_open(&json, '{');
    write_rows(&json, source, path, rows, outcomes, carried, count);
    *ret_failed = count - carried + sections_run(&json, show_trial, end_trial);
    json_close(&json, '}');
    if (!stop_asked())
        return json_print(&json);
    text_free(&text);
    return CODE_FAILED;
}

static void run_shown(const struct source *source, const char *path, const struct row *rows, struct outcome *outcomes,
                      int count, int *ret_failed)
{
    int carried = 0;
    print_heading(source, path);
    if (count) {
        print_columns();
        carried = carry_all(source, rows, outcomes, count, true);
    }
    if (count && !stop_asked())
        print_end(outcomes, carried, count);
    *ret_failed = count - carried + sections_run(NULL, show_trial, end_trial);
}

static int run_all(const struct source *source, const char *path, const struct settings *set)
{
    static struct row rows[ROWS_MAX];
    static struct outcome outcomes[ROWS_MAX];
    int count = plan_rows(source, set->only, rows, ROWS_MAX), trials = sections_plan(source, set->only);
    int failed = 0, code = CODE_DONE;
    if (count + trials == 0 && set->only)
        return fail_usage("--only '%s': no mechanism of that name that the demo can show by itself", set->only);
    progress.count = count + trials;
    if (set->json)
        code = run_json(source, path, rows, outcomes, count, &failed);
    else
        run_shown(source, path, rows, outcomes, count, &failed);
    return code ? code : failed || stop_asked() ? CODE_FAILED : CODE_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { false, NULL };
    struct source source;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    const char *path = count ? argv[0] : NULL;
    stop_catch();
    code = source_open(&source, path);
    if (code == 0 && !stop_asked())
        code = run_all(&source, path, &set);
    source_close(&source);
    return stop_end(code);
}

const struct command cmd_demo = {
    "demo", "Start here", "carry one file through every mechanism, and try the rest: check each", "[FILE]",
    "Without FILE, 16 MiB of random data.  Each row is two separate programs; the receiver computes the\n"
    "SHA-256 of what it received.  TIME runs from the first byte to the last; SWITCHES counts the context\n"
    "switches of both.  Then what carries no file: numbers by signals, one counter updated by several processes\n"
    "with and without a semaphore, the file in memory that is shared, and locks whose holder is killed.\n"
    "Nothing is left behind.  Exits with 1 when a row failed.",
    "tong demo\ntong demo --only fifo /etc/passwd", options, 0, 1, 0, run,
};
