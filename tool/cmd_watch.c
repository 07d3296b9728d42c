/* SPDX-License-Identifier: MIT */
/* tong watch: what changes on this machine, as it happens. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <spawn.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "command.h"
#include "report.h"
#include "sight/change.h"
#include "stop.h"

#define INTERVAL TONG_SECOND

struct settings {
    const char *on, *exec;
    int64_t interval;
    bool plainly, json;
};

static const struct option_row options[] = {
    VALUE(on, TAKES_TEXT, "KINDS", "only of made, gone, began, death, full, orphan, deadlock, resolved"),
    VALUE(exec, TAKES_TEXT, "CMD", "run CMD by sh for each change, with it in TONG_CHANGE, TONG_OBJECT ..."),
    VALUE(interval, TAKES_DURATION, "T", "look each T (1s, or longer where looking would take 2 % of a processor)"),
    SIGHT_PLAINLY,
    FLAG(json, "one JSON object a line (doc/json.md)"),
    OPTIONS_LAST,
};

struct watching {
    const struct settings *set;
    uint32_t kinds, look;
    int64_t pause;
    int code;
};

/* ---- Running what --exec says ----------------------------------------------------------------------------- */

static void set_variables(const struct change *change, const char *words)
{
    const tong_process *process = tong_snapshot_process(change->snapshot, change->process);
    char pid[24] = "";
    if (process)
        snprintf(pid, sizeof pid, "%" PRId64, process->pid);
    const struct { const char *name, *value; } rows[] = {
        { "TONG_CHANGE", change_name(change->kind) }, { "TONG_KIND", change_object_kind(change) },
        { "TONG_OBJECT", change_object(change) },     { "TONG_ADDRESS", change_address(change) },
        { "TONG_PROCESS", process ? process->name : "" }, { "TONG_PID", pid },
        { "TONG_CERTAINTY", sight_certainty(change_certainty(change)) }, { "TONG_WORDS", words },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        setenv(rows[i].name, rows[i].value, 1);
}

/* What asks us to stop is passed on once, since a terminal alone would send it to both. */
static int wait_for(pid_t pid)
{
    int status;
    bool passed = false;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return fail_system(-errno, "waitpid");
        if (stop_asked() && !passed)
            kill(pid, stop_asked());
        passed |= stop_asked() != 0;
    }
    if (WIFSIGNALED(status) && !passed)
        say("the command of --exec was killed by signal %d", WTERMSIG(status));
    if (WIFEXITED(status) && WEXITSTATUS(status))
        say("the command of --exec exited with %d", WEXITSTATUS(status));
    return 0;
}

/* One at a time, so that a burst of changes does not become a burst of processes.  What was seen is in the environment
 * and never in the text of the command: names are whatever somebody called something. */
static int execute(const char *command, const struct change *change, const char *words)
{
    extern char **environ;
    char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, strdup(command), NULL };
    pid_t pid;
    set_variables(change, words);
    fflush(stdout);
    int r = argv[2] ? posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) : ENOMEM;
    free(argv[2]);
    return r ? fail_system(-r, "sh") : wait_for(pid);
}

/* ---- Telling ---------------------------------------------------------------------------------------------- */

static void print_line(const struct change *change, const char *words)
{
    struct timespec now;
    struct tm local;
    char clock[16] = "";
    clock_gettime(CLOCK_REALTIME, &now);
    if (localtime_r(&now.tv_sec, &local))
        strftime(clock, sizeof clock, "%H:%M:%S", &local);
    printf("%s.%03ld %-8s %s\n", clock, now.tv_nsec / 1000000, change_name(change->kind), words);
}

static int print_json(const struct change *change)
{
    struct timespec now;
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    clock_gettime(CLOCK_REALTIME, &now);
    json_open(&json, '{');
    json_number(&json, "version", SIGHT_JSON_VERSION);
    json_number(&json, "time", (uint64_t)now.tv_sec * TONG_SECOND + (uint64_t)now.tv_nsec);
    change_json(&json, change);
    json_close(&json, '}');
    return json_print(&json);
}

/* Whoever reads the lines may have gone. */
static bool tell(void *context, const struct change *change)
{
    struct watching *watching = context;
    struct text words = TEXT_INIT;
    change_words(&words, change);
    if (watching->set->json)
        watching->code = print_json(change);
    else
        print_line(change, words.data);
    if (watching->code == 0 && fflush(stdout) != 0 && !stop_asked())
        watching->code = fail_system(-errno, "standard output");
    if (watching->code == 0 && watching->set->exec)
        watching->code = execute(watching->set->exec, change, words.data);
    text_free(&words);
    return watching->code == 0 && !stop_asked();
}

/* ---- Looking ---------------------------------------------------------------------------------------------- */

/* Until the next look, after one that took so much of the processor with all that followed from it. */
static int64_t pause_after(const struct watching *watching, int64_t cost)
{
    return watching->set->interval == NOT_GIVEN ? sight_pause(INTERVAL, cost) : watching->set->interval;
}

static void sleep_for(int64_t pause)
{
    const struct timespec time = { pause / TONG_SECOND, pause % TONG_SECOND };
    if (!stop_asked())
        nanosleep(&time, NULL);
}

static int watch(struct watching *watching)
{
    tong_snapshot *now = NULL, *before = NULL;
    watching->code = sight_take(watching->look, &before);
    watching->pause = pause_after(watching, 0); /* the first takes more than those that follow */
    if (watching->code == 0)
        sight_say_coverage(before);
    while (watching->code == 0 && !stop_asked()) {
        sleep_for(watching->pause);
        int64_t used = sight_used();
        if (stop_asked() || (watching->code = sight_take(watching->look, &now)))
            break;
        int r = change_find(before, now, watching->kinds, tell, watching);
        if (r < 0)
            watching->code = fail_system(r, "comparing");
        tong_snapshot_free(before);
        before = now;
        now = NULL;
        watching->pause = pause_after(watching, sight_used() - used);
    }
    tong_snapshot_free(before);
    return stop_end(watching->code);
}

static uint32_t needs(uint32_t kinds)
{
    uint32_t flags = 0;
    for (uint32_t kind = 0; kind < CHANGE_KINDS; kind++)
        flags |= kinds & UINT32_C(1) << kind ? change_needs(kind) : 0;
    return flags;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .interval = NOT_GIVEN };
    const char *wrong = NULL;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (set.interval == 0)
        return fail_usage("option '--interval': it should be above 0");
    struct watching watching = { .set = &set, .kinds = (UINT32_C(1) << CHANGE_KINDS) - 1 };
    if (set.on && !(watching.kinds = change_kinds(set.on, &wrong)))
        return fail_usage("option '--on': '%.*s' is none of made, gone, began, death, full, orphan, deadlock, resolved",
                          (int)strcspn(wrong, ","), wrong);
    watching.look = needs(watching.kinds) | sight_tier(set.plainly);
    stop_catch();
    return watch(&watching);
}

const struct command cmd_watch = {
    "watch", "Inspect", "print what changes as it happens: objects, processes, deadlocks", "",
    "Compares one look with the next and prints a line for each difference: objects are made and gone, processes that\n"
    "have a channel began or met their death.  What comes and goes between two looks is not seen; locks are not told.\n"
    "A deadlock is unsure where somebody who could not be seen may end it.  The command of --exec gets the change in\n"
    "TONG_CHANGE, TONG_CERTAINTY, TONG_KIND, TONG_OBJECT, TONG_ADDRESS, TONG_PROCESS, TONG_PID and TONG_WORDS, some\n"
    "of them empty, and is waited for.  They hold names that others chose: quote them.",
    "timeout 2 tong watch --on deadlock,death --exec 'logger -- \"$TONG_WORDS\"'", options, 0, 0, 0, run, NULL,
};
