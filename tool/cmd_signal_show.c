/* SPDX-License-Identifier: MIT */
/* tong signal show: what is pending, blocked, ignored and caught in a process, and in each of its threads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "command.h"
#include "json.h"
#include "report.h"
#include "tong/tong.h"

struct settings {
    bool json;
};

static const struct option_row options[] = {
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

struct view {
    tong_signal_status status;
    tong_signal_thread *threads;
    size_t count;
};

/* Threads may begin while they are counted: asks again until all found room. */
static int look(int64_t pid, struct view *view)
{
    int r = tong_signal_status_of(pid, &view->status);
    ssize_t count = r < 0 ? r : (ssize_t)view->status.threads;
    for (size_t room = 0; count > (ssize_t)room; ) {
        room = (size_t)count;
        free(view->threads);
        view->threads = calloc(room, sizeof *view->threads);
        if (!view->threads)
            return -ENOMEM;
        for (size_t i = 0; i < room; i++)
            view->threads[i].size = sizeof *view->threads;
        count = tong_signal_threads_of(pid, view->threads, room);
    }
    view->count = count > 0 ? (size_t)count : 0;
    return count < 0 ? (int)count : 0;
}

/* "USR1": what libc keeps for itself is shown by its number. */
static const char *name_of(int number, tong_signal_info *info)
{
    *info = (tong_signal_info)TONG_SIGNAL_INFO_INIT;
    tong_signal_describe(number, info);
    return info->name;
}

static void print_set(const char *label, uint64_t set)
{
    printf("  %-8s ", label);
    if (!set)
        printf(" -");
    for (int number = 1; number <= 64; number++) {
        tong_signal_info info;
        if (set & TONG_SIGNAL_BIT(number))
            printf(" %s", name_of(number, &info));
    }
    putchar('\n');
}

static void print_title(const char *what, int64_t number, const char *name)
{
    printf("%s %lld", what, (long long)number);
    print_visible(" (", name);
    puts(")");
}

static int print_view(const struct view *view)
{
    const tong_signal_status *status = &view->status;
    print_title("process", status->pid, status->name);
    print_set("pending", status->pending);
    print_set("ignored", status->ignored);
    print_set("caught", status->caught);
    printf("  queued    %llu of %llu, for all processes of uid %lu\n", (unsigned long long)status->queued,
           (unsigned long long)status->limit, (unsigned long)status->uid);
    for (size_t i = 0; i < view->count; i++) {
        print_title("thread", view->threads[i].tid, view->threads[i].name);
        print_set("pending", view->threads[i].pending);
        print_set("blocked", view->threads[i].blocked);
    }
    return CODE_DONE;
}

static void add_set(struct json *json, const char *name, uint64_t set)
{
    json_name(json, name);
    json_open(json, '[');
    for (int number = 1; number <= 64; number++) {
        tong_signal_info info;
        if (set & TONG_SIGNAL_BIT(number))
            json_string(json, name_of(number, &info));
    }
    json_close(json, ']');
}

static void add_thread(struct json *json, const tong_signal_thread *thread)
{
    json_open(json, '{');
    json_number(json, "tid", (uint64_t)thread->tid);
    json_text(json, "name", thread->name);
    add_set(json, "pending", thread->pending);
    add_set(json, "blocked", thread->blocked);
    json_close(json, '}');
}

static int print_json(const struct view *view)
{
    struct text out = TEXT_INIT;
    struct json json = { &out, false };
    const tong_signal_status *status = &view->status;
    json_open(&json, '{');
    json_number(&json, "pid", (uint64_t)status->pid);
    json_number(&json, "start_time", status->start_time);
    json_text(&json, "name", status->name);
    json_number(&json, "uid", status->uid);
    add_set(&json, "pending", status->pending);
    add_set(&json, "ignored", status->ignored);
    add_set(&json, "caught", status->caught);
    json_number(&json, "queued", status->queued);
    json_number(&json, "limit", status->limit);
    json_name(&json, "threads");
    json_open(&json, '[');
    for (size_t i = 0; i < view->count; i++)
        add_thread(&json, &view->threads[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    return json_print(&json);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .json = false };
    struct view view = { .status = TONG_SIGNAL_STATUS_INIT };
    int64_t pid;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (parse_count(argv[0], 10, &pid) < 0 || pid <= 0)
        return fail_usage("'%s' should be a process number above 0 (a name is none: try pidof)", argv[0]);
    int r = look(pid, &view);
    code = r < 0 ? fail_library(r, NULL) : (set.json ? print_json : print_view)(&view);
    free(view.threads);
    return code;
}

const struct command cmd_signal_show = {
    "signal show", NULL, "what is pending, blocked, ignored and caught in a process, thread by thread", "PID",
    "Pending of the process: sent to it and not delivered, because every thread has it blocked.  Pending of a thread:\n"
    "sent to that very thread.  Ignored and caught belong to the process, blocked to each thread.",
    "tong signal show $$", options, 1, 1, 0, run, NULL,
};
