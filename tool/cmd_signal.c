/* SPDX-License-Identifier: MIT */
/* tong signal: sending one, and the list of those that this machine has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "command.h"
#include "json.h"
#include "report.h"
#include "tong/tong.h"

#define NO_VALUE INT64_MIN

struct settings {
    int64_t value;
    bool json;
};

/* ---- send ---------------------------------------------------------------------------------------------- */

static const struct option_row send_options[] = {
    VALUE(value, TAKES_NUMBER, "N", "with this number, an int (sigqueue)"),
    OPTIONS_LAST,
};

static int run_send(const struct command *self, int argc, char **argv)
{
    struct settings set = { .value = NO_VALUE };
    tong_identity to = TONG_IDENTITY_INIT;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (parse_count(argv[0], 10, &to.pid) < 0 || to.pid <= 0)
        return fail_usage("'%s' should be a process number above 0 (a name is none: try pidof)", argv[0]);
    if (set.value != NO_VALUE && set.value != (int32_t)set.value)
        return fail_usage("option '--value': a signal carries an int, from %d to %d", INT32_MIN, INT32_MAX);
    int32_t value = (int32_t)set.value;
    int r = tong_signal_number(argv[1]);
    if (r > 0)
        r = tong_signal_send(&to, r, set.value == NO_VALUE ? NULL : &value);
    return r < 0 ? fail_library(r, NULL) : CODE_DONE;
}

static const struct command cmd_send_signal = {
    "signal send", NULL, "send a signal to a process, with a number if wanted", "PID SIGNAL",
    "SIGNAL is a name such as USR1, TERM or RTMIN+3, or a number.  What it does there is the receiver's business;\n"
    "most end a process that did not prepare for them ('tong signal list').  Exits with 7 when the receiver's\n"
    "queue is full, which only real-time signals have.",
    "sleep 60 & tong signal send $! TERM", send_options, 2, 2, 0, run_send,
    NULL,
};

/* ---- list ---------------------------------------------------------------------------------------------- */

static const struct option_row list_options[] = {
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

static const char *const actions[] = { "-", "terminate", "core", "ignore", "stop", "continue" };

static const struct { uint32_t origin; const char *word; } origins[] = {
    { TONG_SIGNAL_FROM_KERNEL, "kernel" }, { TONG_SIGNAL_FROM_PROCESS, "process" },
    { TONG_SIGNAL_FROM_TIMER, "timer" }, { TONG_SIGNAL_FROM_TERMINAL, "terminal" },
};
#define ORIGINS (sizeof origins / sizeof *origins)

static void print_signal(const tong_signal_info *info)
{
    char from[48] = "";
    size_t used = 0;
    for (size_t i = 0; i < ORIGINS; i++)
        if (info->origins & origins[i].origin)
            used += (size_t)snprintf(from + used, sizeof from - used, "%s%s", used ? ", " : "", origins[i].word);
    printf("%2d  %-8s  %-9s  %-17s  %s\n", info->number, info->name, actions[info->action], from, info->summary);
}

static void add_signal(struct json *json, const tong_signal_info *info)
{
    json_open(json, '{');
    json_name(json, "number");
    json_signed(json, info->number);
    json_text(json, "name", info->name);
    json_text(json, "action", actions[info->action]);
    json_name(json, "origins");
    json_open(json, '[');
    for (size_t i = 0; i < ORIGINS; i++)
        if (info->origins & origins[i].origin)
            json_string(json, origins[i].word);
    json_close(json, ']');
    json_name(json, "real_time");
    json_bool(json, info->flags & TONG_SIGNAL_REAL_TIME);
    json_name(json, "fixed");
    json_bool(json, info->flags & TONG_SIGNAL_FIXED);
    json_text(json, "summary", info->summary);
    json_close(json, '}');
}

static int list_as_json(void)
{
    struct text out = TEXT_INIT;
    struct json json = { &out, false };
    tong_signal_info info = TONG_SIGNAL_INFO_INIT;
    json_open(&json, '{');
    json_name(&json, "signals");
    json_open(&json, '[');
    for (size_t i = 0; tong_signal_list(i, &info) == 0; i++)
        add_signal(&json, &info);
    json_close(&json, ']');
    json_close(&json, '}');
    return json_print(&json);
}

static int run_list(const struct command *self, int argc, char **argv)
{
    struct settings set = { .json = false };
    tong_signal_info info = TONG_SIGNAL_INFO_INIT;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (set.json)
        return list_as_json();
    printf("%2s  %-8s  %-9s  %-17s  %s\n", "NO", "NAME", "DEFAULT", "FROM, AS A RULE", "MEANING");
    for (int number = 1; tong_signal_describe(number, &info) == 0; number++)
        print_signal(&info);
    return CODE_DONE;
}

static const struct command cmd_list = {
    "signal list", NULL, "all signals of this machine: number, name, what they do by default, who sends them", "",
    "The default happens to a process that neither handles, ignores nor blocks the signal; KILL and STOP leave no\n"
    "choice.  Signals from RTMIN on are real-time: they queue, each with its number; the others merge.",
    "tong signal list", list_options, 0, 0, 0, run_list,
    NULL,
};

static const struct command *const verbs[] = { &cmd_send_signal, &cmd_signal_wait, &cmd_list, &cmd_signal_show, NULL };

const struct command cmd_signal = {
    "signal", "Objects", "send signals, wait for them, list them, see where they are pending",
    "send, wait, list or show",
    "Numbers can also go through a channel: 'tong recv signal:' prints the address that 'tong send' takes.",
    "tong signal list\ntong signal show $$", NULL, 0, 0, 0, NULL, verbs,
};
