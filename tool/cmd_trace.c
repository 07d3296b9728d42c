/* SPDX-License-Identifier: MIT */
/* tong trace: messages as they go, and who signals and wakes whom. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/number.h"
#include "command.h"
#include "report.h"
#include "sight/chosen.h"
#include "sight/traced.h"
#include "stop.h"

#define CONTENT 256
#define TICK TONG_SECOND
#define BATCH 65536 /* bytes of lines that are written at once while more events wait */

struct settings {
    bool follow, hex, summary, signals, wakes, files, json;
    int64_t bytes, duration, count;
};

static const struct option_row options[] = {
    { "follow", 'f', TAKES_NOTHING, offsetof(struct settings, follow), NULL, "what they started and start, too" },
    FLAG(hex, "show what is in each message"),
    VALUE(bytes, TAKES_COUNT, "N", "of each at most N bytes (256)"),
    { "for", 0, TAKES_DURATION, offsetof(struct settings, duration), "T", "end after T" },
    VALUE(count, TAKES_COUNT, "N", "end after N events"),
    FLAG(summary, "only the table at the end"),
    FLAG(signals, "who signals whom"),
    FLAG(wakes, "who wakes whom"),
    FLAG(files, "regular files of processes, too"),
    FLAG(json, "one JSON object a line (doc/json.md)"),
    OPTIONS_LAST,
};

struct tracing {
    const struct settings *set;
    struct traced traced;
    struct chosen chosen;
    struct text out;
    int64_t end, tick, told; /* deadlines; events so far */
    int code;
};

/* ---- Telling ------------------------------------------------------------------------------------------------ */

static void flush(struct tracing *tracing)
{
    if (tracing->code == 0 && tracing->out.used)
        tracing->code = write_output(tracing->out.data, tracing->out.used);
    tracing->out.used = 0;
}

static void tell(struct tracing *tracing, const tong_trace_event *event)
{
    if (event->kind == TONG_TRACE_BEGIN)
        chosen_begins(&tracing->chosen, event->other);
    if (event->kind == TONG_TRACE_END)
        chosen_ends(&tracing->chosen, event->pid);
    if (tracing->set->summary)
        return;
    (tracing->set->json ? traced_json : traced_line)(&tracing->out, &tracing->traced, event);
    tracing->told++;
    if (tracing->out.used >= BATCH)
        flush(tracing);
}

/* What no event tells: who woke whom, what is new to be named, and who ended while events were lost. */
static void tick(struct tracing *tracing)
{
    tracing->tick = clock_now() + TICK;
    if (tracing->set->summary) {
        ssize_t count = tong_trace_read_counts(tracing->traced.trace);
        for (ssize_t i = 0; i < count; i++)
            naming_of(tracing->traced.naming, &tong_trace_count_at(tracing->traced.trace, (size_t)i)->object);
    } else if (tracing->set->wakes && !tracing->set->json && tracing->code == 0) {
        tracing->code = traced_wakes(&tracing->out, &tracing->traced);
    }
    chosen_check(&tracing->chosen);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------ */

static bool is_over(struct tracing *tracing)
{
    return tracing->code || stop_asked() || (tracing->set->count && tracing->told >= tracing->set->count) ||
           chosen_is_over(&tracing->chosen) || (tracing->end && clock_now() >= tracing->end);
}

static int64_t pause_of(const struct tracing *tracing)
{
    int64_t until = tracing->end && tracing->end < tracing->tick ? tracing->end : tracing->tick;
    int64_t left = until - clock_now();
    return left > 0 ? left : 1;
}

/* What had happened by now, and waits to be told. */
static void drain(struct tracing *tracing)
{
    const tong_trace_event *event;
    int64_t now = clock_now();
    while (tracing->code == 0 && stop_asked() != SIGPIPE &&
           !(tracing->set->count && tracing->told >= tracing->set->count) &&
           tong_trace_next(tracing->traced.trace, 0, &event) == 0 && event->time <= now)
        tell(tracing, event);
}

/* Lines leave when nothing more waits to be told, so that a burst is a few writes. */
static void follow(struct tracing *tracing)
{
    const tong_trace_event *event;
    while (!is_over(tracing)) {
        int r = tong_trace_next(tracing->traced.trace, 0, &event);
        if (r == -EAGAIN) {
            flush(tracing);
            r = tracing->code ? -EAGAIN : tong_trace_next(tracing->traced.trace, pause_of(tracing), &event);
        }
        if (r == 0)
            tell(tracing, event);
        else if (r != -EAGAIN && r != -ETIMEDOUT && r != -EINTR)
            tracing->code = fail_library(r, NULL);
        if (clock_now() >= tracing->tick)
            tick(tracing);
    }
}

/* ---- The end ------------------------------------------------------------------------------------------------ */

static void say_losses(struct tracing *tracing)
{
    tong_trace_losses lost = TONG_TRACE_LOSSES_INIT;
    if (tong_trace_lost(tracing->traced.trace, &lost) < 0)
        return;
    if (lost.events && !tracing->set->summary)
        say("%" PRIu64 " event%s came faster than could be told; the counts have them", lost.events,
            plural(lost.events, "", "s"));
    if (lost.messages || lost.pairs)
        say("not counted, for too many processes and objects: %" PRIu64 " message%s of %" PRIu64
            " byte%s, %" PRIu64 " signal%s and wakes", lost.messages, plural(lost.messages, "", "s"), lost.bytes,
            plural(lost.bytes, "", "s"), lost.pairs, plural(lost.pairs, "", "s"));
    if (lost.foreign_calls)
        say("not seen: %" PRIu64 " call%s of 32-bit programs", lost.foreign_calls,
            plural(lost.foreign_calls, "", "s"));
}

static void put_passed(void *context, const struct chosen_channel *channel, uint64_t bytes)
{
    struct tracing *tracing = context;
    if (tracing->set->json) {
        traced_json_passed(&tracing->out, &tracing->traced, channel->key, channel->name, bytes);
        return;
    }
    text_print(&tracing->out, "%s", channel == tracing->chosen.channel ? "\n" : "");
    traced_passed(&tracing->out, channel->name, bytes);
}

/* A table that stands alone needs no line before it. */
static void finish(struct tracing *tracing)
{
    if (tracing->code || stop_asked() == SIGPIPE)
        return;
    stop_finish();
    drain(tracing);
    flush(tracing);
    if (tracing->told && !tracing->set->json)
        text_print(&tracing->out, "\n");
    tracing->code = (tracing->set->json ? traced_json_counts : traced_tables)(&tracing->out, &tracing->traced);
    if (tracing->code == 0)
        tracing->code = chosen_progress(&tracing->chosen, tracing->traced.naming, put_passed, tracing);
    if (tracing->code == 0 && tracing->set->json)
        tracing->code = traced_json_lost(&tracing->out, &tracing->traced);
    if (tracing->code == 0)
        tracing->code = write_output(tracing->out.data, tracing->out.used);
    say_losses(tracing);
}

/* ---- The beginning ------------------------------------------------------------------------------------------ */

static uint32_t flags_of(const struct settings *set)
{
    return (set->summary ? 0 : TONG_TRACE_EVENTS) | (set->signals ? TONG_TRACE_SIGNALS : 0) |
           (set->wakes ? TONG_TRACE_WAKES : 0) | (set->follow ? TONG_TRACE_FOLLOW : 0) |
           (set->files ? TONG_TRACE_FILES : 0);
}

static int start(struct tracing *tracing)
{
    const struct settings *set = tracing->set;
    tong_trace_options asked = TONG_TRACE_OPTIONS_INIT;
    asked.flags = flags_of(set);
    asked.pids = tracing->chosen.pid;
    asked.pid_count = tracing->chosen.pids;
    asked.snapshot = naming_snapshot(tracing->traced.naming);
    asked.objects = tracing->chosen.object;
    asked.object_count = tracing->chosen.objects;
    asked.content = set->hex ? (uint32_t)(set->bytes ? set->bytes : CONTENT) : 0;
    int r = tong_trace_start(&asked, &tracing->traced.trace);
    if (r < 0)
        return fail_library(r, NULL);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    tracing->traced.began = clock_now();
    tracing->traced.real = (int64_t)now.tv_sec * TONG_SECOND + now.tv_nsec - tracing->traced.began;
    tracing->tick = tracing->traced.began + TICK;
    tracing->end = set->duration > 0 ? tracing->traced.began + set->duration : 0;
    return 0;
}

static int trace(struct tracing *tracing, int count, char **words)
{
    int code = naming_begin(&tracing->traced.naming);
    if (code == 0)
        code = chosen_find(&tracing->chosen, naming_snapshot(tracing->traced.naming), count, words,
                           tracing->set->follow);
    if (code == 0)
        code = start(tracing);
    if (code == 0) {
        chosen_check(&tracing->chosen);
        chosen_say(&tracing->chosen);
        follow(tracing);
        finish(tracing);
        code = tracing->code;
    }
    tong_trace_stop(tracing->traced.trace);
    naming_end(tracing->traced.naming);
    chosen_free(&tracing->chosen);
    free(tracing->traced.pair);
    text_free(&tracing->out);
    return stop_end(code);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .duration = 0 };
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (count == 0 && !set.summary)
        return fail_usage("say which processes or channels, or with --summary all of the machine is counted");
    if (set.bytes > TONG_TRACE_CONTENT_MOST)
        return fail_usage("option '--bytes': at most %d", TONG_TRACE_CONTENT_MOST);
    if ((set.bytes && !set.hex) || (set.hex && set.summary))
        return fail_usage(set.bytes && !set.hex ? "option '--bytes' says how many --hex shows"
                                                : "options '--hex' and '--summary': one of them");
    struct tracing tracing = { .set = &set };
    stop_catch();
    return trace(&tracing, count, argv);
}

const struct command cmd_trace = {
    "trace", "Inspect", "tell of messages as they go, and who signals and wakes whom", "[PID|NAME|ADDRESS...]",
    "Tells of all that the processes send and receive, and of all that anybody sends and receives at the addresses;\n"
    "then counts it, by channel, process and direction.  Ends with the processes, or by Ctrl-C.  An object without an\n"
    "address is named by its kind and what 'tong ls' shows: 'pipe:[918273]'.  Content is shown with --hex only.\n"
    "A channel of tong in shared memory makes no call for a message: of it, only its bells, --wakes and how much went\n"
    "through it are seen.  Needs CAP_BPF and CAP_PERFMON, which root has, and Linux 5.11; io_uring is not seen.",
    "tong trace --summary --for 1s", options, 0, -1, 0, run, NULL,
};
