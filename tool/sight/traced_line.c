/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/number.h"
#include "report.h"
#include "sight/traced.h"
#include "tong/signal.h"

#define PER_LINE 16 /* bytes of a dump */

static void put_time(struct text *text, const struct traced *traced, int64_t time)
{
    time_t seconds = (time_t)((time + traced->real) / TONG_SECOND);
    struct tm local;
    char clock[16] = "";
    if (localtime_r(&seconds, &local))
        strftime(clock, sizeof clock, "%H:%M:%S", &local);
    text_print(text, "%s.%06d  ", clock, (int)((time + traced->real) % TONG_SECOND / 1000));
}

static void pad(struct text *text, size_t from, size_t columns)
{
    size_t used = text_columns(text->data + from);
    text_print(text, "%*s ", used < columns ? (int)(columns - used) : 0, "");
}

/* ---- Messages ---------------------------------------------------------------------------------------------- */

/* As hexdump -C: the offset, the bytes, and what can be shown of them. */
static void put_dump(struct text *text, const unsigned char *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += PER_LINE) {
        size_t count = size - at < PER_LINE ? size - at : PER_LINE;
        text_print(text, "    %04zx ", at);
        for (size_t i = 0; i < PER_LINE; i++)
            text_print(text, i < count ? " %02x" : "   ", i < count ? bytes[at + i] : 0);
        text_print(text, "  |");
        for (size_t i = 0; i < count; i++)
            text_print(text, "%c", bytes[at + i] >= ' ' && bytes[at + i] < 0x7f ? bytes[at + i] : '.');
        text_print(text, "|\n");
    }
}

static bool is_counted_only(uint32_t kind)
{
    return kind == TONG_KIND_SYSVSEM || kind == TONG_KIND_FUTEX;
}

static void put_amount(struct text *text, const tong_trace_event *event)
{
    char amount[40] = "end";
    if (event->messages)
        snprintf(amount, sizeof amount, "%" PRIu64 " byte%s", event->bytes, plural(event->bytes, "", "s"));
    text_print(text, "%14s", is_counted_only(event->object.kind) ? event->operation : amount);
    if (event->messages > 1)
        text_print(text, " in %" PRIu64, event->messages);
}

static void put_message(struct text *text, struct traced *traced, const tong_trace_event *event)
{
    const struct named *named = naming_of(traced->naming, &event->object);
    size_t at = text->used;
    naming_process(text, event->name, event->pid);
    pad(text, at, 18);
    text_print(text, "%s %-8s ", event->direction == TONG_SEND ? "-->" : "<--", named->kind);
    at = text->used;
    naming_object(text, named);
    pad(text, at, 24);
    put_amount(text, event);
    text_print(text, "  ");
    at = text->used;
    naming_others(text, named, event->pid, event->direction);
    text->used -= text->used == at ? 2 : 0;
    text_print(text, "\n");
    put_dump(text, event->content, event->content_size);
    if (event->content_size && event->content_size < event->bytes)
        text_print(text, "    the first %zu of %" PRIu64 " bytes\n", event->content_size, event->bytes);
}

/* ---- Signals, beginnings and ends --------------------------------------------------------------------------- */

static const char *origin(int code)
{
    static const struct { int code; const char *words; } rows[] = {
        { SI_USER, "kill" }, { SI_KERNEL, "the kernel" }, { SI_QUEUE, "sigqueue" }, { SI_TIMER, "a timer" },
        { SI_MESGQ, "a message queue" }, { SI_ASYNCIO, "asynchronous input" }, { SI_SIGIO, "a descriptor" },
        { SI_TKILL, "tgkill" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].code == code)
            return rows[i].words;
    return "what happened to it";
}

static void put_signal(struct text *text, int number)
{
    tong_signal_info about = TONG_SIGNAL_INFO_INIT;
    if (tong_signal_describe(number, &about) == 0)
        text_print(text, "SIG%s", about.name);
    else
        text_print(text, "signal %d", number);
}

static void put_signalled(struct text *text, const tong_trace_event *event)
{
    static const char *const results[] = {
        [TONG_SIGNAL_DELIVERED] = "", [TONG_SIGNAL_IGNORED] = ", which it ignores",
        [TONG_SIGNAL_MERGED] = ", which was pending already", [TONG_SIGNAL_FULL] = ", lost: too many are pending",
        [TONG_SIGNAL_BARE] = ", without its value: too many are pending",
    };
    naming_process(text, event->name, event->pid);
    text_print(text, " signals ");
    naming_process(text, event->other_name, event->other);
    text_print(text, "  ");
    put_signal(text, event->signal);
    text_print(text, " by %s%s\n", origin(event->code),
               event->result < sizeof results / sizeof *results ? results[event->result] : "");
}

void traced_line(struct text *text, struct traced *traced, const tong_trace_event *event)
{
    put_time(text, traced, event->time);
    if (event->kind == TONG_TRACE_MESSAGE) {
        put_message(text, traced, event);
    } else if (event->kind == TONG_TRACE_SIGNAL) {
        put_signalled(text, event);
    } else {
        naming_process(text, event->name, event->pid);
        text_print(text, event->kind == TONG_TRACE_BEGIN ? " starts %" PRId64 "\n" : " ends\n", event->other);
    }
}

/* ---- Who woke whom ------------------------------------------------------------------------------------------ */

static uint64_t told_before(const struct traced *traced, const tong_trace_pair *pair)
{
    for (size_t i = 0; i < traced->pairs; i++)
        if (traced->pair[i].from == pair->from && traced->pair[i].to == pair->to && !traced->pair[i].signal)
            return traced->pair[i].count;
    return 0;
}

static void put_woken(struct text *text, const struct traced *traced, const tong_trace_pair *pair, int64_t time)
{
    uint64_t before = told_before(traced, pair);
    if (pair->signal || pair->count == before)
        return;
    put_time(text, traced, time);
    naming_process(text, pair->from_name, pair->from);
    text_print(text, " wakes ");
    naming_process(text, pair->to_name, pair->to);
    if (pair->count - before > 1)
        text_print(text, "  %" PRIu64 " times", pair->count - before);
    text_print(text, "\n");
}

int traced_wakes(struct text *text, struct traced *traced)
{
    ssize_t count = tong_trace_read_pairs(traced->trace);
    if (count < 0)
        return fail_library((int)count, NULL);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    tong_trace_pair *kept = malloc(((size_t)count + 1) * sizeof *kept);
    if (!kept)
        return fail_system(-ENOMEM, "tracing");
    for (size_t i = 0; i < (size_t)count; i++) {
        kept[i] = *tong_trace_pair_at(traced->trace, i);
        put_woken(text, traced, &kept[i], (int64_t)now.tv_sec * TONG_SECOND + now.tv_nsec);
    }
    free(traced->pair);
    traced->pair = kept;
    traced->pairs = (size_t)count;
    return 0;
}
