/* SPDX-License-Identifier: MIT */
/*
 * The nth system call failing, for every n.  Each scenario is run with its first call failing, then its second,
 * and so on until it ends without a fault having been reached; each time with several errors, and each time
 * also with every later call failing.  After each run the counts of everything that can leak are as before.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tong/tong.h>

#include "count.h"
#include "frame.h"
#include "scenario.h"
#include "sys/sys.h"

#define CALLS_MAX 2000

static const int errors[] = { -EMFILE, -ENOMEM, -EINTR, -EIO, -EACCES, -ENOSPC };

static int nth, error, calls, injected;
static bool from_then_on;
static const char *failed_call;

static int inject(const char *call)
{
    calls++;
    /* Where everything fails, names can still be taken away: neither descriptors nor memory are needed for it. */
    if (from_then_on && !strcmp(call, "unlink"))
        return 0;
    if (from_then_on ? calls < nth : calls != nth)
        return 0;
    if (!failed_call)
        failed_call = call;
    injected++;
    return error;
}

static void compare(const char *scenario, const int *before)
{
    for (int i = 0; i < counters_count; i++) {
        int after = counters[i].count(NULL, false);
        if (after == before[i])
            continue;
        char left[256] = "";
        FILE *list = fmemopen(left, sizeof left - 1, "w");
        counters[i].count(list, false);
        fclose(list);
        MUST(false, "%s, call %d (%s) failing with %s%s: %d %s before, %d after:%s", scenario, nth, failed_call,
             strerrorname_np(-error), from_then_on ? " and all after it" : "", before[i], counters[i].what, after, left);
    }
}

/* One run with one fault; whether the fault was reached. */
static bool run_once(const struct scenario *scenario)
{
    calls = 0;
    failed_call = NULL;
    sys_fault = inject;
    int r = scenario_run(scenario);
    sys_fault = NULL;
    scenario_remove(scenario);
    MUST(failed_call || r == 0, "%s fails without a fault: %s", scenario->name, tong_detail());
    return failed_call != NULL;
}

static void run_all(const struct scenario *scenario)
{
    int before[16];
    /* Once without a fault: what libc opens at first use is no leak. */
    nth = 0;
    from_then_on = false;
    run_once(scenario);
    for (int i = 0; i < counters_count; i++)
        before[i] = counters[i].count(NULL, false);
    for (nth = 1; run_once(scenario); nth++) {
        MUST(nth < CALLS_MAX, "%s never ends", scenario->name);
        compare(scenario->name, before);
    }
}

static void test_scenario(int index)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        error = errors[i];
        run_all(&scenarios[index]);
        /* A signal that never stops is no fault that anybody must live with. */
        if (error == -EINTR)
            continue;
        from_then_on = true;
        int before[16];
        for (int k = 0; k < counters_count; k++)
            before[k] = counters[k].count(NULL, false);
        for (nth = 1; run_once(&scenarios[index]); nth++)
            compare(scenarios[index].name, before);
    }
    printf("     %s: %d faults injected\n", scenarios[index].name, injected);
    MUST(injected > 20, "only %d faults were reached", injected);
}

static bool exists(const char *form)
{
    char scheme[16];
    tong_option_info option = TONG_OPTION_INFO_INIT;
    snprintf(scheme, sizeof scheme, "%.*s", (int)strcspn(form, ":"), form);
    return tong_mechanism_option(scheme, 0, &option) != -EPROTONOSUPPORT;
}

int main(int argc, char **argv)
{
    frame_begin("fault", argc, argv);
    for (int i = 0; i < scenarios_count; i++)
        if (exists(scenarios[i].form))
            frame_run(scenarios[i].name, test_scenario, i, 60);
        else
            frame_skip(scenarios[i].name, "there is no such mechanism");
    return frame_end();
}
