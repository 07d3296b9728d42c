/* SPDX-License-Identifier: MIT */
/* The public face of traces: programs in the kernel, and the ring through which they tell. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/give.h"
#include "bpf/image.h"
#include "bpf/map.h"
#include "sys/sys.h"
#include "trace/calls.h"
#include "trace/state.h"

#define PROGRAMS_MOST 12
#define FLAGS_ALL (TONG_TRACE_EVENTS | TONG_TRACE_SIGNALS | TONG_TRACE_WAKES | TONG_TRACE_FOLLOW | TONG_TRACE_FILES)
#define TAKEN (-ECANCELED) /* ends the reading of the ring behind one event */

#define ASKS_WHO (TONG_TRACE_SIGNALS | TONG_TRACE_WAKES)

/* Each program, and the options without which it is left out, in the order in which they are attached: first what says
 * that an interrupt ends, since one whose begin alone was seen would never end. */
static const struct { const char *name; uint32_t asked; } programs[] = {
    { "device_ends", ASKS_WHO },     { "timer_ends", ASKS_WHO },   { "soft_ends", ASKS_WHO },
    { "device_begins", ASKS_WHO },   { "timer_begins", ASKS_WHO }, { "soft_begins", ASKS_WHO },
    { "forked", TONG_TRACE_FOLLOW }, { "exited", 0 },              { "signalled", TONG_TRACE_SIGNALS },
    { "woken", TONG_TRACE_WAKES },   { "message", 0 },
};

static size_t list_programs(uint32_t flags, const char *ret[PROGRAMS_MOST])
{
    size_t count = 0;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (!programs[i].asked || flags & programs[i].asked)
            ret[count++] = programs[i].name;
    ret[count] = NULL;
    return count;
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

static void fill_event(struct tong_trace *trace, const struct trace_event *seen)
{
    trace->event = (tong_trace_event){
        .size = sizeof trace->event, .kind = seen->what, .time = (int64_t)seen->time, .pid = seen->process,
        .thread = seen->thread, .operation = seen->what == TRACE_MESSAGE ? call_name(seen->call) : "",
        .direction = seen->direction, .fd = seen->what == TRACE_MESSAGE ? seen->fd : -1, .bytes = seen->bytes,
        .messages = seen->messages, .content = seen->content ? trace->content : NULL, .content_size = seen->content,
        .other = seen->other, .signal = seen->signal, .code = seen->code, .result = (uint32_t)seen->result,
    };
    memcpy(trace->event.name, seen->name, sizeof trace->event.name - 1);
    memcpy(trace->event.other_name, seen->other_name, sizeof trace->event.other_name - 1);
    trace_object_of(trace, &seen->object, &trace->event.object);
}

/* The ring is written over once this has returned, so all of it is copied. */
static int take(void *context, const void *data, size_t size)
{
    struct tong_trace *trace = context;
    struct trace_event seen;
    if (size < sizeof seen)
        return 0;
    memcpy(&seen, data, sizeof seen);
    if (seen.content > sizeof trace->content || seen.content > size - sizeof seen)
        return 0;
    memcpy(trace->content, (const char *)data + sizeof seen, seen.content);
    if (seen.what == TRACE_SOCKET && seen.content >= sizeof(struct trace_socket)) {
        trace_add_socket(&trace->sockets, seen.object.inode, (const struct trace_socket *)(const void *)trace->content);
        return 0;
    }
    fill_event(trace, &seen);
    trace->crowded |= seen.what == TRACE_CROWDED;
    trace->fresh = seen.what != TRACE_CROWDED;
    return TAKEN;
}

static int wait_for(const struct tong_trace *trace, int64_t deadline)
{
    struct pollfd item = { .fd = tong_trace_fd(trace), .events = POLLIN };
    int64_t left = deadline_left(deadline);
    const struct timespec time = { left / 1000000000, left % 1000000000 };
    int r = sys_ppoll(&item, 1, left < 0 ? NULL : &time, NULL);
    if (r < 0)
        return r == -EINTR ? fail_static(r, "tracing: interrupted by a signal") : fail_call(r, "tracing: ppoll");
    return r > 0 ? 0 : fail_static(-ETIMEDOUT, "tracing: nothing happened in time");
}

int tong_trace_next(tong_trace *trace, int64_t timeout, const tong_trace_event **ret)
{
    int64_t deadline = deadline_after(timeout);
    for (;;) {
        trace->fresh = trace->crowded = false;
        messages_take(trace->messages, take, trace);
        if (trace->crowded)
            trace_make_room(trace);
        if (trace->fresh) {
            *ret = &trace->event;
            return 0;
        }
        if (trace->crowded)
            continue;
        if (timeout == 0)
            return fail_static(-EAGAIN, "tracing: nothing has happened");
        int r = wait_for(trace, deadline);
        if (r < 0)
            return r;
    }
}

int tong_trace_fd(const tong_trace *trace)
{
    return trace->ring;
}

int tong_trace_lost(tong_trace *trace, tong_trace_losses *ret)
{
    struct trace_lost lost = { 0 };
    if (ret->size < sizeof ret->size)
        return fail(-EINVAL, "tong_trace_losses.size is not set: use TONG_TRACE_LOSSES_INIT");
    int r = map_get(trace->lost, &(uint32_t){ 0 }, &lost);
    if (r < 0)
        return fail_call(r, "tracing: reading what was lost");
    const struct ledger_row *rest = &trace->ledger.rest;
    const tong_trace_losses losses = { .events = lost.events, .pairs = lost.pairs,
                                       .messages = lost.messages + rest->before.messages + rest->live.messages,
                                       .bytes = lost.bytes + rest->before.bytes + rest->live.bytes,
                                       .foreign_calls = lost.foreign };
    give(ret, &losses, sizeof losses);
    return 0;
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------ */

static int open_maps(struct tong_trace *trace)
{
    trace->counts = programs_map(trace->programs, "counts");
    trace->pairs = programs_map(trace->programs, "pairs");
    trace->lost = programs_map(trace->programs, "lost");
    trace->settings = programs_map(trace->programs, "settings");
    trace->ring = programs_map(trace->programs, "ring");
    int r = programs_messages(trace->programs, "ring", &trace->messages);
    return r < 0 ? fail_call(r, "tracing: mapping the ring of events") : 0;
}

/* Somebody has to be there; who of many is gone by now is no failure. */
static int check_processes(const tong_trace_options *options)
{
    char path[32];
    struct stat status;
    for (size_t i = 0; i < options->pid_count; i++) {
        snprintf(path, sizeof path, "/proc/%" PRId64, options->pids[i]);
        if (sys_fstatat(AT_FDCWD, path, &status, 0) != -ENOENT)
            return 0;
    }
    if (options->pid_count == 0 || options->object_count)
        return 0;
    return fail(-ESRCH, "tracing: there is no process %" PRId64, options->pids[0]);
}

static int start(struct tong_trace *trace, const tong_trace_options *options)
{
    const char *wanted[PROGRAMS_MOST];
    size_t count = list_programs(options->flags, wanted);
    int r = programs_load(&trace_image, wanted, &trace->programs);
    if (r == 0)
        r = trace_choose(trace->programs, options);
    if (r == 0)
        r = open_maps(trace);
    for (size_t i = 0; i < count && r == 0; i++)
        r = programs_attach(trace->programs, wanted[i]);
    return r < 0 ? r : check_processes(options);
}

int tong_trace_start(const tong_trace_options *options, tong_trace **ret)
{
    if (options->size < sizeof *options)
        return fail(-EINVAL, "tong_trace_options.size is not set: use TONG_TRACE_OPTIONS_INIT");
    if (options->flags & ~FLAGS_ALL)
        return fail(-EINVAL, "tracing: unknown flags 0x%x", options->flags & ~FLAGS_ALL);
    if (options->content > TONG_TRACE_CONTENT_MOST)
        return fail(-EINVAL, "tracing: at most %d bytes of a message can be told", TONG_TRACE_CONTENT_MOST);
    if (options->object_count && !options->snapshot)
        return fail(-EINVAL, "tracing: objects are chosen in a snapshot, and there is none");
    struct tong_trace *trace = calloc(1, sizeof *trace);
    if (!trace)
        return fail(-ENOMEM, "tracing: out of memory");
    int r = start(trace, options);
    if (r < 0) {
        tong_trace_stop(trace);
        return r;
    }
    *ret = trace;
    return 0;
}

void tong_trace_stop(tong_trace *trace)
{
    if (!trace)
        return;
    messages_close(trace->messages);
    programs_unload(trace->programs);
    trace_free_counts(trace);
    free(trace);
}
