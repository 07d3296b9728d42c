/* SPDX-License-Identifier: MIT */
/*
 * tong advise: which mechanism for what is needed.  First what the table of mechanisms says rules some out; then what
 * is measured on this machine, now or in a saved round, orders the rest.  Each is named, with its figure or its reason.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "advise/advise.h"
#include "command.h"
#include "report.h"
#include "stop.h"

static const struct option_row options[] = {
    VALUE(size, TAKES_COUNT, "BYTES", "of a message (64)"),
    VALUE(rate, TAKES_COUNT, "N", "messages a second of each sender; without it: as many as can be"),
    VALUE(senders, TAKES_COUNT, "N", "processes that send (1)"),
    VALUE(receivers, TAKES_COUNT, "N", "processes that receive (1)"),
    FLAG(broadcast, "every receiver gets every message; else each message goes to one"),
    FLAG(durable, "messages must survive a restart of the machine; a power loss: ?durable=yes"),
    FLAG(remote, "the processes may be on different machines (measured is over loopback)"),
    FLAG(related, "the processes have a common parent that can make the channel"),
    FLAG(lossy, "messages may be lost"),
    VALUE(from, TAKES_TEXT, "FILE", "figures of a round saved by tong bench --json, instead of measuring now"),
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

static int answer(struct question *q)
{
    round_gather(q->round);
    advise_rules(q);
    int code = q->settings->from ? advise_load(q, q->settings->from) : advise_measure(q);
    if (code != CODE_DONE)
        return code;
    advise_order(q);
    return advise_show(q);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = { .size = 64, .senders = 1, .receivers = 1 };
    int count, r = options_read(self, argc, argv, &settings, &count);
    if (r != OPTIONS_GO)
        return r;
    struct question *q = calloc(1, sizeof *q);
    if (!q || !(q->round = calloc(1, sizeof *q->round)))
        return fail_system(-ENOMEM, "advise");
    stop_catch();
    signal(SIGPIPE, SIG_IGN);
    q->settings = &settings;
    int code = answer(q);
    free(q->round);
    free(q);
    return stop_end(code);
}

const struct command cmd_advise = {
    "advise", "Measure", "which mechanism for what is needed", "",
    "What the mechanisms offer rules some out; what is measured here decides among the rest.  Up to 100000 messages a\n"
    "second the processor's time counts, without what keeping the pace costs; beyond and without a rate the time of a\n"
    "message.  Only what was measured at the same work is compared, and what that was is said.",
    "tong advise --size 4096 --rate 1000 --related", options, 0, 0, false, run,
};
