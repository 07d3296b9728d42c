/* SPDX-License-Identifier: MIT */
/* tong signal wait: blocks signals, says where to send them, and prints each as it comes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "json.h"
#include "report.h"
#include "stop.h"
#include "tong/tong.h"

struct settings {
    int64_t timeout, count;
    bool json;
};

static const struct option_row options[] = {
    VALUE(timeout, TAKES_DURATION, "T", "exit with 3 when none comes for so long"),
    { "count", 'n', TAKES_COUNT, offsetof(struct settings, count), "N", "stop after N (1)" },
    FLAG(json, "each as one line of JSON (doc/json.md)"),
    OPTIONS_LAST,
};

static const char *origin_word(uint32_t origin)
{
    return origin == TONG_SIGNAL_FROM_PROCESS ? "process" : origin == TONG_SIGNAL_FROM_TIMER ? "timer" : "kernel";
}

static int print_plain(const tong_signal_arrival *arrival, const char *name)
{
    fputs(name, stdout);
    if (arrival->flags & TONG_SIGNAL_VALUE)
        printf(" %d", (int)arrival->value);
    if (arrival->sender.source == TONG_IDENTITY_CLAIMED)
        printf(" from process %lld, uid %lu", (long long)arrival->sender.pid, (unsigned long)arrival->sender.uid);
    else
        printf(" from a %s", origin_word(arrival->origin));
    putchar('\n');
    return fflush(stdout) == 0 ? CODE_DONE : fail_system(-errno, "standard output");
}

static int print_json(const tong_signal_arrival *arrival, const char *name)
{
    struct text out = TEXT_INIT;
    struct json json = { &out, false };
    json_open(&json, '{');
    json_name(&json, "number");
    json_signed(&json, arrival->number);
    json_text(&json, "name", name);
    json_name(&json, "value");
    if (arrival->flags & TONG_SIGNAL_VALUE)
        json_signed(&json, arrival->value);
    else
        json_null(&json);
    json_text(&json, "origin", origin_word(arrival->origin));
    json_name(&json, "sender");
    json_identity(&json, &arrival->sender);
    json_close(&json, '}');
    return json_print(&json);
}

static int print_arrival(const struct settings *set, const tong_signal_arrival *arrival)
{
    tong_signal_info info = TONG_SIGNAL_INFO_INIT;
    tong_signal_describe(arrival->number, &info);
    return (set->json ? print_json : print_plain)(arrival, info.name);
}

/* The set that the operands name; an exit code. */
static int read_set(int count, char **names, uint64_t *ret)
{
    uint64_t set = 0;
    for (int i = 0; i < count; i++) {
        int number = tong_signal_number(names[i]);
        if (number < 0)
            return fail_library(number, NULL);
        set |= TONG_SIGNAL_BIT(number);
    }
    *ret = set;
    return CODE_DONE;
}

static int wait_for_all(const struct settings *settings, uint64_t set)
{
    int code = CODE_DONE;
    for (int64_t taken = 0; taken < settings->count && code == CODE_DONE; taken++) {
        tong_signal_arrival arrival = TONG_SIGNAL_ARRIVAL_INIT;
        int r;
        do
            r = tong_signal_wait(set, settings->timeout, &arrival);
        while (r == -EINTR && !stop_asked());
        code = r == -EINTR ? CODE_FAILED : r < 0 ? fail_library(r, NULL) : print_arrival(settings, &arrival);
    }
    return code;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .timeout = TONG_FOREVER, .count = 1 };
    uint64_t signals = 0;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO || (code = read_set(count, argv, &signals)))
        return code;
    int r = tong_signal_block(signals, NULL);
    if (r < 0)
        return fail_library(r, NULL);
    stop_catch();
    say("waits as process %d: tong signal send %d %s --value 42", (int)getpid(), (int)getpid(), argv[0]);
    return stop_end(wait_for_all(&set, signals));
}

const struct command cmd_signal_wait = {
    "signal wait", NULL, "wait for signals and print each with its number and its sender, as it claims", "SIGNAL...",
    "The process number to send to is said on standard error.  Of several that are pending the lowest number comes\n"
    "first; real-time ones of one number in the order sent.  A standard signal that comes twice before it is taken\n"
    "is printed once.",
    "tong signal wait USR1 RTMIN --timeout 1s & sleep 0.2; tong signal send $! RTMIN --value 42; wait", options, 1, -1,
    0, run, NULL,
};
