/* SPDX-License-Identifier: MIT */
/* The tables at the end of a trace: by channel, the busiest first, who sent and received; then who did what to whom. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "report.h"
#include "sight/traced.h"
#include "tong/signal.h"

#define ALIKE 8 /* processes of one name that do the same with a channel, above which they are one row */

struct row {
    tong_trace_count count;
    const char *kind;
    char *name;
    uint64_t group, total; /* bytes, and operations where there are none, of the whole group */
    size_t processes;
};

static double seconds_of(const struct traced *traced)
{
    int64_t time = clock_now() - traced->began;
    return time > 0 ? (double)time / TONG_SECOND : 1;
}

/* ---- Rows --------------------------------------------------------------------------------------------------- */

static int compare_numbers(uint64_t left, uint64_t right)
{
    return left < right ? -1 : left > right;
}

static int by_group(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    int r = strcmp(a->kind, b->kind);
    return r ? r : compare_numbers(a->group, b->group);
}

/* Those with more first; within a channel who sends before who receives, and equal names together. */
static int by_size(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    int r = compare_numbers(b->total, a->total);
    r = r ? r : by_group(a, b);
    r = r ? r : compare_numbers(b->count.direction, a->count.direction);
    r = r ? r : strcmp(a->count.name, b->count.name);
    return r ? r : compare_numbers((uint64_t)a->count.pid, (uint64_t)b->count.pid);
}

static bool is_alike(const struct row *a, const struct row *b)
{
    return by_group(a, b) == 0 && a->count.direction == b->count.direction && !strcmp(a->count.name, b->count.name);
}

static void add_totals(struct row *rows, size_t count)
{
    qsort(rows, count, sizeof *rows, by_group);
    for (size_t first = 0, next; first < count; first = next) {
        uint64_t total = 0;
        for (next = first; next < count && by_group(&rows[first], &rows[next]) == 0; next++)
            total += rows[next].count.bytes ? rows[next].count.bytes : rows[next].count.messages;
        for (size_t i = first; i < next; i++)
            rows[i].total = total;
    }
    qsort(rows, count, sizeof *rows, by_size);
}

/* Many that are alike become one row, in place. */
static size_t merge(struct row *rows, size_t count)
{
    size_t kept = 0;
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && is_alike(&rows[first], &rows[next]); next++)
            ;
        if (next - first <= ALIKE) {
            memmove(rows + kept, rows + first, (next - first) * sizeof *rows);
            kept += next - first;
            continue;
        }
        for (size_t i = first + 1; i < next; i++) {
            rows[first].count.messages += rows[i].count.messages;
            rows[first].count.bytes += rows[i].count.bytes;
            free(rows[i].name);
        }
        rows[first].processes = next - first;
        rows[kept++] = rows[first];
    }
    return kept;
}

static int read_rows(struct traced *traced, struct row **ret, size_t *ret_count)
{
    ssize_t count = tong_trace_read_counts(traced->trace);
    if (count < 0)
        return fail_library((int)count, NULL);
    struct row *rows = calloc((size_t)count + 1, sizeof *rows);
    if (!rows)
        return fail_system(-ENOMEM, "tracing");
    for (size_t i = 0; i < (size_t)count; i++) {
        rows[i].count = *tong_trace_count_at(traced->trace, i);
        const struct named *named = naming_of(traced->naming, &rows[i].count.object);
        struct text name = TEXT_INIT;
        naming_object(&name, named);
        rows[i].kind = named->kind;
        rows[i].group = named->group;
        rows[i].name = name.data;
        rows[i].processes = 1;
    }
    add_totals(rows, (size_t)count);
    *ret = rows;
    *ret_count = (size_t)count;
    return 0;
}

static void free_rows(struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(rows[i].name);
    free(rows);
}

/* ---- The tables --------------------------------------------------------------------------------------------- */

static void put_process(struct text *text, const struct row *row)
{
    size_t at = text->used;
    naming_process(text, row->count.name, row->count.pid);
    if (row->processes > 1) {
        text->used = at;
        text_visible(text, row->count.name, strlen(row->count.name), "");
        text_print(text, ", %zu of them", row->processes);
    }
    size_t columns = text_columns(text->data + at);
    text_print(text, "%*s", columns < 20 ? (int)(20 - columns) : 0, "");
}

static void put_row(struct text *text, const struct row *row, bool again, double seconds)
{
    size_t columns = text_columns(row->name);
    text_print(text, "%-8s %s%*s ", again ? "" : row->kind, again ? "" : row->name,
               again ? 24 : columns < 24 ? (int)(24 - columns) : 0, "");
    put_process(text, row);
    text_print(text, " %s %10" PRIu64 " %13" PRIu64 " %12.0f\n", row->count.direction == TONG_SEND ? "-->" : "<--",
               row->count.messages, row->count.bytes, (double)row->count.bytes / seconds);
}

static void put_names(struct text *text, const tong_trace_pair *pair, size_t alike)
{
    if (alike == 1) {
        naming_process(text, pair->from_name, pair->from);
        text_print(text, " -> ");
        naming_process(text, pair->to_name, pair->to);
        return;
    }
    const char *from = *pair->from_name ? pair->from_name : "an interrupt";
    text_visible(text, from, strlen(from), "");
    text_print(text, " -> ");
    text_visible(text, pair->to_name, strlen(pair->to_name), "");
    text_print(text, ", %zu pairs", alike);
}

static void put_pair(struct text *text, const tong_trace_pair *pair, size_t alike)
{
    tong_signal_info about = TONG_SIGNAL_INFO_INIT;
    char number[16];
    snprintf(number, sizeof number, "signal %d", pair->signal);
    bool named = pair->signal && tong_signal_describe(pair->signal, &about) == 0;
    text_print(text, "%8" PRIu64 "  %s%-9s ", pair->count, named ? "SIG" : "",
               !pair->signal ? "wakes" : named ? about.name : number);
    put_names(text, pair, alike);
    text_print(text, "\n");
}

struct pair_row {
    tong_trace_pair pair;
    size_t alike;
};

static int by_names(const void *left, const void *right)
{
    const struct pair_row *a = left, *b = right;
    int r = a->pair.signal - b->pair.signal;
    r = r ? r : strcmp(a->pair.from_name, b->pair.from_name);
    return r ? r : strcmp(a->pair.to_name, b->pair.to_name);
}

static int by_count(const void *left, const void *right)
{
    const struct pair_row *a = left, *b = right;
    return compare_numbers(b->pair.count, a->pair.count);
}

/* As of processes: many pairs of the same names are one row. */
static size_t merge_pairs(struct pair_row *rows, size_t count)
{
    size_t kept = 0;
    qsort(rows, count, sizeof *rows, by_names);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && by_names(&rows[first], &rows[next]) == 0; next++)
            ;
        size_t alike = next - first > ALIKE ? next - first : 1;
        for (size_t i = first + 1; i < first + alike; i++)
            rows[first].pair.count += rows[i].pair.count;
        for (size_t i = first; i < next; i += alike) {
            rows[kept] = rows[i];
            rows[kept++].alike = alike;
        }
    }
    qsort(rows, kept, sizeof *rows, by_count);
    return kept;
}

static int put_pairs(struct text *text, struct traced *traced)
{
    ssize_t count = tong_trace_read_pairs(traced->trace);
    if (count <= 0)
        return count < 0 ? fail_library((int)count, NULL) : 0;
    struct pair_row *rows = malloc((size_t)count * sizeof *rows);
    if (!rows)
        return fail_system(-ENOMEM, "tracing");
    for (size_t i = 0; i < (size_t)count; i++)
        rows[i].pair = *tong_trace_pair_at(traced->trace, i);
    size_t kept = merge_pairs(rows, (size_t)count);
    text_print(text, "\n   TIMES  WHAT         WHO\n");
    for (size_t i = 0; i < kept; i++)
        put_pair(text, &rows[i].pair, rows[i].alike);
    free(rows);
    return 0;
}

int traced_tables(struct text *text, struct traced *traced)
{
    struct row *rows = NULL;
    size_t count = 0;
    double seconds = seconds_of(traced);
    int code = read_rows(traced, &rows, &count);
    if (code)
        return code;
    count = merge(rows, count);
    text_print(text, "%-8s %-24s %-20s WAY %10s %13s %12s\n", "KIND", "OBJECT", "PROCESS", "MESSAGES", "BYTES",
               "BYTES/S");
    for (size_t i = 0; i < count; i++)
        put_row(text, &rows[i], i > 0 && by_group(&rows[i - 1], &rows[i]) == 0, seconds);
    if (count == 0)
        text_print(text, "nothing was sent or received\n");
    free_rows(rows, count);
    return put_pairs(text, traced);
}

void traced_passed(struct text *text, const char *name, uint64_t bytes)
{
    text_visible(text, name, strlen(name), "");
    if (bytes == TONG_UNKNOWN)
        text_print(text, ": how much went through its memory is not known\n");
    else
        text_print(text, ": %" PRIu64 " byte%s went through its memory, with what stands before each message\n", bytes,
                   plural(bytes, "", "s"));
}

/* ---- As JSON ------------------------------------------------------------------------------------------------ */

static void write_process(struct json *json, const char *member, const char *name, int64_t pid)
{
    json_name(json, member);
    if (pid == 0 && !*name) {
        json_null(json);
        return;
    }
    json_open(json, '{');
    json_known(json, "pid", (uint64_t)pid, pid != 0);
    json_text(json, "name", name);
    json_close(json, '}');
}

static void write_object(struct json *json, struct traced *traced, const tong_trace_object *object)
{
    const struct named *named = naming_of(traced->naming, object);
    json_text(json, "kind", named->kind);
    json_text(json, "key", object->key);
    json_text(json, "object", named->name);
}

static void begin(struct json *json, const struct traced *traced, int64_t time, const char *event)
{
    json_open(json, '{');
    json_number(json, "version", SIGHT_JSON_VERSION);
    json_number(json, "time", (uint64_t)(time + traced->real));
    json_text(json, "event", event);
}

static void end(struct json *json)
{
    json_close(json, '}');
    text_print(json->out, "\n");
    json->comma = false;
}

static const char *way(uint32_t direction)
{
    return direction == TONG_SEND ? "send" : "receive";
}

static void write_message(struct json *json, struct traced *traced, const tong_trace_event *event)
{
    write_process(json, "process", event->name, event->pid);
    json_number(json, "thread", (uint64_t)event->thread);
    json_text(json, "operation", event->operation);
    json_text(json, "direction", way(event->direction));
    json_known(json, "fd", (uint64_t)event->fd, event->fd >= 0);
    write_object(json, traced, &event->object);
    json_number(json, "messages", event->messages);
    json_number(json, "bytes", event->bytes);
    json_name(json, "content");
    if (event->content)
        json_base64(json, event->content, event->content_size);
    else
        json_null(json);
}

static void write_signal(struct json *json, const tong_trace_event *event)
{
    static const char *const results[] = { "delivered", "ignored", "merged", "full", "bare" };
    write_process(json, "from", event->name, event->pid);
    write_process(json, "to", event->other_name, event->other);
    json_number(json, "signal", (uint64_t)event->signal);
    json_name(json, "code");
    json_signed(json, event->code);
    json_text(json, "result", event->result < sizeof results / sizeof *results ? results[event->result] : NULL);
}

void traced_json(struct text *text, struct traced *traced, const tong_trace_event *event)
{
    static const char *const names[] = { [TONG_TRACE_MESSAGE] = "message", [TONG_TRACE_SIGNAL] = "signal",
                                         [TONG_TRACE_END] = "end", [TONG_TRACE_BEGIN] = "begin" };
    struct json json = { text, false };
    if (event->kind == 0 || event->kind >= sizeof names / sizeof *names)
        return;
    begin(&json, traced, event->time, names[event->kind]);
    if (event->kind == TONG_TRACE_MESSAGE)
        write_message(&json, traced, event);
    else if (event->kind == TONG_TRACE_SIGNAL)
        write_signal(&json, event);
    else
        write_process(&json, "process", event->name, event->pid);
    if (event->kind == TONG_TRACE_BEGIN)
        json_number(&json, "child", (uint64_t)event->other);
    end(&json);
}

static void write_count(struct json *json, struct traced *traced, const tong_trace_count *count, int64_t time)
{
    begin(json, traced, time, "count");
    write_process(json, "process", count->name, count->pid);
    json_text(json, "direction", way(count->direction));
    write_object(json, traced, &count->object);
    json_number(json, "calls", count->calls);
    json_number(json, "messages", count->messages);
    json_number(json, "bytes", count->bytes);
    end(json);
}

static void write_pair(struct json *json, const struct traced *traced, const tong_trace_pair *pair, int64_t time)
{
    begin(json, traced, time, "pair");
    write_process(json, "from", pair->from_name, pair->from);
    write_process(json, "to", pair->to_name, pair->to);
    json_known(json, "signal", (uint64_t)pair->signal, pair->signal != 0);
    json_number(json, "count", pair->count);
    end(json);
}

int traced_json_counts(struct text *text, struct traced *traced)
{
    struct json json = { text, false };
    int64_t time = clock_now();
    ssize_t counts = tong_trace_read_counts(traced->trace), pairs = tong_trace_read_pairs(traced->trace);
    if (counts < 0 || pairs < 0)
        return fail_library((int)(counts < 0 ? counts : pairs), NULL);
    for (size_t i = 0; i < (size_t)counts; i++)
        write_count(&json, traced, tong_trace_count_at(traced->trace, i), time);
    for (size_t i = 0; i < (size_t)pairs; i++)
        write_pair(&json, traced, tong_trace_pair_at(traced->trace, i), time);
    return 0;
}

void traced_json_passed(struct text *text, struct traced *traced, const char *key, const char *name, uint64_t bytes)
{
    struct json json = { text, false };
    begin(&json, traced, clock_now(), "passed");
    json_text(&json, "kind", tong_kind_name(TONG_KIND_CHANNEL));
    json_text(&json, "key", key);
    json_text(&json, "object", name);
    json_known(&json, "bytes", bytes, bytes != TONG_UNKNOWN);
    end(&json);
}

int traced_json_lost(struct text *text, struct traced *traced)
{
    struct json json = { text, false };
    int64_t time = clock_now();
    tong_trace_losses lost = TONG_TRACE_LOSSES_INIT;
    int r = tong_trace_lost(traced->trace, &lost);
    if (r < 0)
        return fail_library(r, NULL);
    begin(&json, traced, time, "lost");
    json_number(&json, "events", lost.events);
    json_number(&json, "messages", lost.messages);
    json_number(&json, "bytes", lost.bytes);
    json_number(&json, "pairs", lost.pairs);
    json_number(&json, "foreign_calls", lost.foreign_calls);
    json_name(&json, "seconds");
    json_real(&json, (double)(time - traced->began) / TONG_SECOND);
    end(&json);
    return 0;
}
