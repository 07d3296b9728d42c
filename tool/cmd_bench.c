/* SPDX-License-Identifier: MIT */
/* tong bench: measures on this machine, and shows it as a table, as JSON, or as a page. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/ticks.h"
#include "measure/shown.h"
#include "command.h"
#include "report.h"
#include "stop.h"
#include "text.h"
#include "tong/base.h"

struct settings {
    bool raw, json, quick;
    int64_t runs, slice;
    const char *only, *work, *report, *peers, *from;
};

static const struct option_row options[] = {
    FLAG(quick, "a short round, one to four minutes"),
    FLAG(raw, "only: tong beside the bare system calls, in pairs"),
    VALUE(only, TAKES_TEXT, "NAME", "only what has this in its name, and the limit"),
    VALUE(work, TAKES_TEXT, "KEY", "only works with this in their key, such as round-trip or one-way-64"),
    VALUE(runs, TAKES_COUNT, "N", "runs of each (5; with --raw 9)"),
    VALUE(slice, TAKES_DURATION, "T", "how long one measurement takes (80ms, quick 10ms)"),
    VALUE(peers, TAKES_TEXT, "DIR", "where the programs of other libraries are, or 'none'"),
    VALUE(report, TAKES_TEXT, "FILE", "write a page (HTML) too"),
    VALUE(from, TAKES_TEXT, "FILE", "show a round saved by --json, instead of measuring now"),
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

/* ---- Progress, on a terminal ------------------------------------------------------------------------------ */

static bool show_progress(const struct round *round, const struct work *work, const struct contestant *c, double done)
{
    static int last = -1;
    static uint64_t began;
    int now = (int)(done * 1000);
    (void)round;
    began = began ? began : bench_now();
    double left = done > 0 ? (double)(bench_now() - began) / 1e9 * (1 - done) / done : 0;
    if (isatty(STDERR_FILENO) && now != last)
        fprintf(stderr, "\r\033[K%3d%%, %s%.0f s left; %s: %s", now / 10, done > 0.02 ? "" : "at least ", left,
                work->key, c->name);
    last = now;
    return !stop_asked();
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

/* ---- What was asked for ----------------------------------------------------------------------------------- */

/* A round takes minutes: that its page cannot be written is known before.  What was made to know it is gone again. */
static int try_page(const char *path)
{
    struct stat there;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0)
        return close(fd) < 0 || unlink(path) < 0 ? fail_system(-errno, path) : CODE_DONE;
    if (errno != EEXIST || access(path, W_OK) < 0 || stat(path, &there) < 0)
        return fail_system(-errno, path);
    return S_ISDIR(there.st_mode) ? fail_system(-EISDIR, path) : CODE_DONE;
}

/* The limit is always measured, so what names nothing would look as if it had been found. */
static int try_names(struct round *round)
{
    switch (round_asked(round)) {
    case ASKED_NO_WORK:
        return fail_usage("--work %s: no work has this in its key (they are as round-trip-64-spin)", round->only_work);
    case ASKED_NO_NAME:
        return fail_usage("--only %s: nothing has this in its name (they are as pipe, unix stream)", round->only);
    case ASKED_NOTHING:
        return fail_usage("nothing of this name does a work of this key here; the limit alone would be measured");
    default:
        return CODE_DONE;
    }
}

/* ---- Running ---------------------------------------------------------------------------------------------- */

static int write_page(const struct round *round, const char *path)
{
    struct text page = TEXT_INIT;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return fail_system(-errno, path);
    bench_page(round, &page);
    int r = write_all(fd, page.data, page.used);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    text_free(&page);
    return r < 0 ? fail_system(r, path) : CODE_DONE;
}

static int show(const struct settings *settings, const struct round *round)
{
    int code = CODE_DONE;
    if (settings->json)
        code = bench_json(round);
    else
        bench_table(round);
    return code == CODE_DONE && settings->report ? write_page(round, settings->report) : code;
}

static bool any_measured(const struct round *round)
{
    for (int work = 0; work < work_count; work++)
        if (round_has(round, work))
            return true;
    return false;
}

static int load(struct round *round, const char *path)
{
    int r = bench_saved(round, path);
    if (r == -EINVAL || (r == 0 && !any_measured(round)))
        return fail_usage("%s: is not what tong bench --json writes", path);
    return r < 0 ? fail_system(r, path) : CODE_DONE;
}

static int measure(struct round *round, const struct settings *settings)
{
    round_settle(round, settings->quick, settings->peers);
    round->runs = settings->runs ? (int)settings->runs : round->runs;
    round->slice = settings->slice ? settings->slice : round->slice;
    round->only = settings->only;
    round->only_work = settings->work;
    round->progress = show_progress;
    int code = try_names(round);
    if (code != CODE_DONE)
        return code;
    int r = round_run(round);
    end_progress();
    if (r < 0)
        return r == -ECANCELED ? CODE_FAILED : fail_system(r, "bench");
    return any_measured(round) ? CODE_DONE : fail_usage("nothing of that name could be measured");
}

static int measure_and_show(const struct settings *settings)
{
    struct round *round = calloc(1, sizeof *round);
    if (!round)
        return fail_system(-ENOMEM, "bench");
    int code = settings->report ? try_page(settings->report) : CODE_DONE;
    if (code == CODE_DONE)
        code = settings->from ? load(round, settings->from) : measure(round, settings);
    if (code == CODE_DONE)
        code = show(settings, round);
    free(round);
    return code;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = { .runs = 0 };
    int count, r = options_read(self, argc, argv, &settings, &count);
    if (r != OPTIONS_GO)
        return r;
    int64_t most = settings.raw ? 101 : RUNS_MAX;
    if (settings.runs > most)
        return fail_usage("--runs %lld: at most %lld", (long long)settings.runs, (long long)most);
    if (!settings.raw)
        stop_catch();
    /* as any program that must survive a lost reader does; both sides of a comparison profit alike */
    signal(SIGPIPE, SIG_IGN);
    if (settings.raw)
        return bench_raw(&(struct raw_settings){ settings.json, settings.runs ? settings.runs : 9, settings.only });
    return stop_end(measure_and_show(&settings));
}

const struct command cmd_bench = {
    "bench", "Measure", "measure on this machine", "",
    "Does the same work with every mechanism, with its bare system calls, with other libraries that were here when\n"
    "tong was built, and with rings written by hand for nothing else: the best is the limit.  Every byte\n"
    "is written and every line of 64 bytes is read and checked.  While a cache line takes unusually long from one\n"
    "processor to the other, as in a virtual machine that was moved, measurements are taken again.",
    "tong bench --work round-trip-64 --only pipe --runs 5", options, 0, 0, false, run,
};
