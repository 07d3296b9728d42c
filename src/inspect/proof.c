/* SPDX-License-Identifier: MIT */
/* Who waits for whom, in words: "cat 77 waits in read for pipe [19], whose only writer is sort 78". */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/waits.h"

#define NAMED 8   /* wakers that a line names; of more it says how many */
#define PROOF 16384 /* of one chain; what does not fit ends it */

struct text {
    char *at;
    size_t used;
    bool cut;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(out->at + out->used, PROOF - out->used, format, arguments);
    va_end(arguments);
    out->cut |= size < 0 || (size_t)size >= PROOF - out->used;
    out->used += out->cut ? 0 : (size_t)size;
    out->at[out->used] = '\0';
}

void proof_thread(const struct scan *scan, uint32_t number, char *ret, size_t size)
{
    const struct thread_seen *thread = &waits_threads(scan->waits)[number];
    const tong_process *process = graph_process_at(scan->graph, thread->process);
    if (thread->tid == process->pid)
        snprintf(ret, size, "%s %lld", process->name, (long long)process->pid);
    else
        snprintf(ret, size, "%s %lld (thread %lld)", process->name, (long long)process->pid, (long long)thread->tid);
}

/*
 * How an object is called, and what is said of its wakers, of one and of several: their names stand between the two parts of
 * a phrase.  NULL for the noun: neither the object nor the detail is named.  The first row that fits.
 */
static const struct words {
    uint32_t kind;      /* 0: any */
    uint32_t direction; /* 0: any */
    enum rule rule;
    const char *join;   /* between the detail and the object */
    const char *noun;
    struct { const char *before, *behind; } one, several;
} words[] = {
    { 0, 0, RULE_OWNER, " in ", "lock in", { ", which is held by ", "" }, { ", which is held by ", "" } },
    { 0, 0, RULE_LOCK, " on ", "", { ", which is held by ", "" }, { ", which is held by ", "" } },
    { 0, 0, RULE_CHILDREN, "", NULL, { "its child ", " to end" }, { "one of its children to end: ", "" } },
    { 0, 0, RULE_OPENING, " of ", "FIFO", { ", which nobody has open; it may be meant for ", "" },
      { ", which nobody has open; it may be meant for ", "" } },
    { 0, 0, RULE_HELD, " of ", "set", { ", which is held with undo by ", "" },
      { ", which is held with undo, or was last taken, by ", "" } },
    { TONG_KIND_SYSVSEM, 0, RULE_USED, " of ", "set", { ", which was last taken by ", "" },
      { ", which was last taken by ", "" } },
    { TONG_KIND_MSGQ, TONG_RECEIVE, RULE_USED, " from ", "queue", { ", whose last sender is ", "" },
      { ", whose last senders are ", "" } },
    { TONG_KIND_MSGQ, TONG_SEND, RULE_USED, " in ", "queue", { ", whose last receiver is ", "" },
      { ", whose last receivers are ", "" } },
    { TONG_KIND_PIPE, TONG_RECEIVE, RULE_OBJECT, "", "pipe", { ", whose only writer is ", "" },
      { ", whose writers are ", "" } },
    { TONG_KIND_PIPE, TONG_SEND, RULE_OBJECT, "", "pipe", { ", whose only reader is ", "" },
      { ", whose readers are ", "" } },
    { TONG_KIND_FIFO, TONG_RECEIVE, RULE_OBJECT, "", "FIFO", { ", whose only writer is ", "" },
      { ", whose writers are ", "" } },
    { TONG_KIND_FIFO, TONG_SEND, RULE_OBJECT, "", "FIFO", { ", whose only reader is ", "" },
      { ", whose readers are ", "" } },
    { TONG_KIND_MQ, TONG_RECEIVE, RULE_OBJECT, "", "queue", { ", whose only sender is ", "" },
      { ", whose senders are ", "" } },
    { TONG_KIND_MQ, TONG_SEND, RULE_OBJECT, "", "queue", { ", whose only receiver is ", "" },
      { ", whose receivers are ", "" } },
    { TONG_KIND_UNIX, 0, RULE_OBJECT, " at ", "socket", { ", whose other end only ", " has" },
      { ", whose other end ", " have" } },
    { TONG_KIND_TCP, 0, RULE_OBJECT, " at ", "connection", { ", whose other end only ", " has" },
      { ", whose other end ", " have" } },
    { TONG_KIND_FUTEX, 0, RULE_OBJECT, " in ", "a word of", { ", which only ", " maps" }, { ", which ", " map" } },
    { TONG_KIND_EVENTFD, 0, RULE_OBJECT, " in ", "eventfd", { ", which only ", " has" }, { ", which ", " have" } },
    { 0, 0, RULE_OBJECT, " in ", "object", { ", which only ", " has" }, { ", which ", " have" } },
};

static const struct words *words_for(uint32_t kind, uint32_t direction, enum rule rule)
{
    const struct words *row = words;
    while (row < &words[sizeof words / sizeof *words - 1] &&
           (row->rule != rule || (row->kind && row->kind != kind) || (row->direction && row->direction != direction)))
        row++;
    return row;
}

/* Names are the kernel's and the users': a line stays a line. */
static void write_name(struct text *out, const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7f)
            say(out, "\\%03o", (unsigned)(unsigned char)*name);
        else
            say(out, "%c", *name);
}

static void write_object(struct text *out, const struct scan *scan, const tong_wait_seen *wait,
                         const struct wait_fact *fact, const struct words *row)
{
    const tong_object *object = wait->object == TONG_NOBODY ? NULL : graph_object_at(scan->graph, wait->object);
    say(out, "%s%s", wait->detail, *wait->detail && object ? row->join : "");
    if (!object)
        return;
    say(out, "%s%s", row->noun, *row->noun ? " " : "");
    if (*object->name)
        write_name(out, object->name);
    else
        say(out, "[%s]", object->key);
    if (fact->rule == RULE_OBJECT && fact->fd >= 0)
        say(out, " at descriptor %d", (int)fact->fd);
}

static bool is_named_before(const struct waker *wakers, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (wakers[i].process == wakers[at].process && wakers[i].thread == wakers[at].thread)
            return true;
    return false;
}

/* By a signal, or by who traces it. */
static void write_stop(struct text *out, const struct scan *scan, const tong_process *process)
{
    uint32_t tracer = process->tracer ? graph_process(scan->graph, process->tracer) : TONG_NOBODY;
    say(out, " (which is stopped%s", process->tracer ? " by its debugger " : "");
    if (tracer != TONG_NOBODY)
        write_name(out, graph_process_at(scan->graph, tracer)->name);
    if (process->tracer)
        say(out, " %lld", (long long)process->tracer);
    say(out, ")");
}

static void write_waker(struct text *out, const struct scan *scan, const struct waker *waker, uint32_t process)
{
    char name[96];
    const tong_process *other = graph_process_at(scan->graph, waker->process);
    if (waker->thread != TONG_NOBODY)
        proof_thread(scan, waker->thread, name, sizeof name);
    else
        snprintf(name, sizeof name, "%s %lld", other->name, (long long)other->pid);
    write_name(out, waker->process == process && waker->thread == TONG_NOBODY ? "itself" : name);
    if (other->flags & TONG_PROCESS_ZOMBIE)
        say(out, " (which has ended)");
    if (other->flags & TONG_PROCESS_STOPPED)
        write_stop(out, scan, other);
}

static void write_wakers(struct text *out, const struct scan *scan, const struct wait_fact *fact, uint32_t process,
                         const struct words *row)
{
    const struct waker *wakers = waits_wakers(scan->waits) + fact->first;
    uint32_t different = 0, named = 0;
    for (uint32_t i = 0; i < fact->count; i++)
        different += !is_named_before(wakers, i);
    say(out, "%s", different == 1 ? row->one.before : row->several.before);
    for (uint32_t i = 0; i < fact->count && named < NAMED; i++)
        if (!is_named_before(wakers, i)) {
            say(out, "%s", named == 0 ? "" : named + 1 == different ? " and " : ", ");
            named++;
            write_waker(out, scan, &wakers[i], process);
        }
    if (different > named)
        say(out, " and %u more", different - named);
    say(out, "%s", different == 1 ? row->one.behind : row->several.behind);
}

/* again: the line before it is of the same call, which any of them ends. */
static void write_wait(struct text *out, const struct scan *scan, uint32_t number, bool again)
{
    const tong_wait_seen *wait = &graph_waits(scan->graph)[number];
    const struct wait_fact *fact = &waits_facts(scan->waits)[number];
    uint32_t kind = wait->object == TONG_NOBODY ? 0 : graph_object_at(scan->graph, wait->object)->kind;
    const struct words *row = words_for(kind, wait->direction, fact->rule);
    char name[96];
    proof_thread(scan, fact->thread, name, sizeof name);
    write_name(out, name);
    if (again)
        say(out, " waits in the same call for ");
    else
        say(out, " waits in %s for ", wait->operation);
    if (row->noun)
        write_object(out, scan, wait, fact, row);
    if (fact->dead)
        say(out, "%s%lld, which is no more%s", row->one.before, (long long)fact->number, row->one.behind);
    else if (fact->rule != RULE_PROCESS)
        write_wakers(out, scan, fact, wait->process, row);
}

const char *proof_of(struct scan *scan, const uint32_t *threads, size_t count)
{
    struct text out = { malloc(PROOF), 0, false };
    size_t whole = 0; /* lines end here */
    if (!out.at)
        return "";
    *out.at = '\0';
    for (size_t i = 0; i < count; i++) {
        const struct thread_seen *thread = &waits_threads(scan->waits)[threads[i]];
        for (uint32_t j = thread->first; j < thread->first + thread->count && !out.cut; j++) {
            whole = out.used;
            say(&out, "%s", whole ? "\n" : "");
            write_wait(&out, scan, j, j > thread->first);
        }
    }
    out.at[out.cut ? whole : out.used] = '\0';
    const char *kept = graph_text(scan->graph, out.at);
    free(out.at);
    return kept;
}
