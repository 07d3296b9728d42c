/* SPDX-License-Identifier: MIT */
/*
 * tong advise: which mechanism for what is needed.  First what the table of mechanisms says rules some out; then what
 * is measured on this machine, now or in a saved round, orders the rest.  Each is named, with its figure or its reason.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure/shown.h"
#include "command.h"
#include "json.h"
#include "json_read.h"
#include "report.h"
#include "stop.h"
#include "text.h"
#include "tong/base.h"

#define CALM 100000         /* messages a second up to which a processor's time counts for more than speed */
#define SAVED_MAX (16 << 20)

struct settings {
    int64_t size, rate, senders, receivers;
    bool broadcast, durable, remote, related, lossy, json;
    const char *from;
};

static const struct option_row options[] = {
    VALUE(size, TAKES_COUNT, "BYTES", "of a message (64)"),
    VALUE(rate, TAKES_COUNT, "N", "messages a second; without it: as many as can be"),
    VALUE(senders, TAKES_COUNT, "N", "processes that send (1)"),
    VALUE(receivers, TAKES_COUNT, "N", "processes that receive (1)"),
    FLAG(broadcast, "every receiver gets every message; else each message goes to one"),
    FLAG(durable, "messages must survive a restart of the machine; a power loss: ?durable=yes"),
    FLAG(remote, "the processes may be on different machines"),
    FLAG(related, "the processes have a common parent that can make the channel"),
    FLAG(lossy, "messages may be lost"),
    VALUE(from, TAKES_TEXT, "FILE", "figures of a round saved by tong bench --json, instead of measuring now"),
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

/* What became of one mechanism. */
struct verdict {
    const struct contestant *contestant;
    double time, cpu;          /* per message, nanoseconds; negative: not measured */
    char reason[480];          /* why not; "" */
};

struct question {
    const struct settings *settings;
    struct round *round;
    int work, ends, pace;      /* one way at about this size; with several ends, or -1; paced, or -1 */
    struct verdict verdicts[CONTESTANTS_MAX];
    int count;
};

/* ---- What the table says ---------------------------------------------------------------------------------- */

/* A limit by its name; TONG_UNKNOWN: the mechanism has none such. */
static uint64_t limit_of(const struct contestant *c, const char *name)
{
    tong_limit_info limit = TONG_LIMIT_INFO_INIT;
    for (size_t i = 0; tong_mechanism_limit(c->mechanism.scheme, i, &limit) == 0; i++)
        if (!strcmp(limit.name, name))
            return limit.value;
    return TONG_UNKNOWN;
}

static bool has_listener(const struct contestant *c)
{
    return c->mechanism.offers & TONG_HAS_LISTENER;
}

static bool lacks_senders(const struct settings *s, const struct contestant *c)
{
    return s->senders > 1 && !(c->mechanism.offers & TONG_HAS_MANY_SENDERS) && !has_listener(c);
}

/* Whether its address says how many may receive; a variant is what it is. */
static bool counts_receivers(const struct contestant *c)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    for (size_t i = 0; !*c->mechanism.variant && tong_mechanism_option(c->mechanism.scheme, i, &option) == 0; i++)
        if (option.noun == TONG_HAS_CHANNEL && !strcmp(option.name, "receivers"))
            return true;
    return false;
}

static bool lacks_receivers(const struct settings *s, const struct contestant *c)
{
    return s->receivers > 1 && !s->broadcast && !(c->mechanism.offers & TONG_HAS_MANY_RECEIVERS) && !has_listener(c) &&
           !counts_receivers(c);
}

static bool has_few_senders(const struct settings *s, const struct contestant *c)
{
    return (uint64_t)s->senders > limit_of(c, "senders at once");
}

static bool has_few_receivers(const struct settings *s, const struct contestant *c)
{
    return (uint64_t)s->receivers > limit_of(c, "receivers at once");
}

static bool gives_to_one(const struct settings *s, const struct contestant *c)
{
    return s->broadcast && !c->broadcasts;
}

static bool gives_to_all(const struct settings *s, const struct contestant *c)
{
    return !s->broadcast && s->receivers > 1 && c->broadcasts;
}

static bool is_near(const struct settings *s, const struct contestant *c)
{
    return s->remote && strncmp(c->mechanism.reach, "network", 7) != 0;
}

static bool is_for_family(const struct settings *s, const struct contestant *c)
{
    return !s->related && !strncmp(c->mechanism.reach, "related", 7);
}

static bool is_lost(const struct settings *s, const struct contestant *c)
{
    return s->durable && !strstr(c->mechanism.lifetime, "survives");
}

static bool loses(const struct settings *s, const struct contestant *c)
{
    return !s->lossy && c->mechanism.offers & TONG_MAY_LOSE;
}

static bool is_too_small(const struct settings *s, const struct contestant *c)
{
    return (uint64_t)s->size > limit_of(c, "largest message");
}

static const struct {
    bool (*rules_out)(const struct settings *, const struct contestant *);
    const char *reason;
} rules[] = {
    { is_near, "it does not leave this machine" },
    { is_for_family, "it needs a common parent (--related)" },
    { is_lost, "it does not survive a restart" },
    { loses, "it may lose messages (--lossy allows that)" },
    { gives_to_one, "each message goes to one receiver" },
    { gives_to_all, "every message goes to every receiver (--broadcast asks for that)" },
    { lacks_senders, "it has one sender" },
    { lacks_receivers, "it has one receiver" },
    { has_few_senders, "it has fewer senders at once" },
    { has_few_receivers, "it has fewer receivers at once" },
    { is_too_small, "its largest message is smaller" },
};

static void apply_rules(struct question *q)
{
    for (int i = 0; i < q->round->count; i++) {
        const struct contestant *c = &q->round->contestants[i];
        if (c->group != GROUP_TONG || c->bursts || c->hands)
            continue;
        struct verdict *v = &q->verdicts[q->count++];
        *v = (struct verdict){ .contestant = c, .time = -1, .cpu = -1 };
        for (size_t k = 0; k < sizeof rules / sizeof *rules && !*v->reason; k++)
            if (rules[k].rules_out(q->settings, c))
                snprintf(v->reason, sizeof v->reason, "%s", rules[k].reason);
    }
}

/* ---- What was measured ------------------------------------------------------------------------------------ */

/* The size measured that is nearest by its ratio. */
static int nearest_work(const struct settings *s)
{
    int best = -1;
    for (int w = 0; w < work_count; w++)
        if (round_in_sizes(&works[w], SIZES_APART) &&
            (best < 0 || fabs(log2((double)works[w].size / (double)s->size)) <
                         fabs(log2((double)works[best].size / (double)s->size))))
            best = w;
    return best;
}

/* With several ends; who is not measured so, as a server of many, is judged by one of each. */
static int work_of_ends(const struct settings *s)
{
    for (int w = 0; w < work_count && (s->senders > 1 || s->receivers > 1); w++)
        if (works[w].broadcast == s->broadcast && (works[w].senders > 1 || s->broadcast) &&
            (works[w].receivers > 1) == (s->receivers > 1))
            return w;
    return -1;
}

static int paced_work(const struct settings *s)
{
    for (int w = 0; w < work_count && s->rate && s->rate <= CALM; w++)
        if (works[w].test == TEST_PACED)
            return w;
    return -1;
}

static bool keep_on(const struct round *round, const struct work *work, const struct contestant *c, double done)
{
    (void)round;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%3.0f%% %s: %s", done * 100, work->key, c->name);
    return !stop_asked();
}

static int measure(struct question *q)
{
    struct round *part = calloc(1, sizeof *part);
    int wanted[] = { q->work, q->ends, q->pace }, r = part ? 0 : -ENOMEM;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && r == 0; i++) {
        if (wanted[i] < 0)
            continue;
        memset(part, 0, sizeof *part);
        round_settle(part, true, "none");
        part->exact_work = part->tong_only = true;
        part->only_work = works[wanted[i]].key;
        part->progress = keep_on;
        r = round_run(part);
        memcpy(q->round->cells[wanted[i]], part->cells[wanted[i]], sizeof part->cells[wanted[i]]);
    }
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    free(part);
    return r;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(SAVED_MAX + 1) : NULL;
    size_t size = text ? fread(text, 1, SAVED_MAX, file) : 0;
    if (text)
        text[size] = '\0';
    if (file)
        fclose(file);
    return text;
}

static void load_figure(json_value from, const char *name, struct figure *ret)
{
    if (json_get_real(json_member(json_member(from, name), "median"), &ret->median))
        ret->runs = 1;
}

static void load_work(struct round *round, int work, json_value from)
{
    char name[64], group[16];
    json_value results = json_member(from, "results"), result;
    for (size_t k = 0; (result = json_element(results, k)).at; k++) {
        if (!json_get_string(json_member(result, "name"), name, sizeof name) ||
            !json_get_string(json_member(result, "group"), group, sizeof group))
            continue;
        for (int i = 0; i < round->count; i++)
            if (!strcmp(round->contestants[i].name, name) && !strcmp(group_names[round->contestants[i].group], group)) {
                load_figure(result, metric_names[METRIC_TIME], &round->cells[work][i].figures[METRIC_TIME]);
                load_figure(result, metric_names[METRIC_CPU], &round->cells[work][i].figures[METRIC_CPU]);
            }
    }
}

static int load(struct question *q, const char *path)
{
    char *text = read_file(path), key[64];
    json_value saved = json_member(json_document(text ? text : ""), "works"), work;
    bool any = false;
    for (size_t k = 0; (work = json_element(saved, k)).at; k++)
        for (int w = 0; w < work_count && json_get_string(json_member(work, "key"), key, sizeof key); w++)
            if (!strcmp(works[w].key, key)) {
                load_work(q->round, w, work);
                any = true;
            }
    free(text);
    return any ? CODE_DONE : fail_usage("%s: is not what tong bench --json writes", path);
}

/* ---- The verdicts ----------------------------------------------------------------------------------------- */

/* A short round leaves out what a disk decides. */
static const char *unmeasured(const struct contestant *c)
{
    return strcmp(c->mechanism.variant, "durable=yes") ? "it was not measured"
                                                        : "not measured: the disk decides; keeps what was synced when power is lost";
}

static void take_figures(struct question *q, struct verdict *v)
{
    long i = v->contestant - q->round->contestants;
    const struct cell *ends = q->ends < 0 ? NULL : &q->round->cells[q->ends][i];
    const struct cell *cell = ends && ends->figures[METRIC_TIME].runs ? ends : &q->round->cells[q->work][i];
    char time[16];
    if (*v->reason)
        return;
    if (!cell->figures[METRIC_TIME].runs) {
        snprintf(v->reason, sizeof v->reason, "%s", *cell->missing ? cell->missing : unmeasured(v->contestant));
        return;
    }
    v->time = cell->figures[METRIC_TIME].median;
    cell = q->pace < 0 ? cell : &q->round->cells[q->pace][i];
    v->cpu = cell->figures[METRIC_CPU].runs ? cell->figures[METRIC_CPU].median : -1;
    if (q->settings->rate && v->time * (double)q->settings->rate > 1e9)
        snprintf(v->reason, sizeof v->reason, "too slow: a message takes %s", bench_time(v->time, time));
}

/* What orders those that are left: the processor's time when there is little to do, else the time of a message. */
static double cost(const struct question *q, const struct verdict *v)
{
    return q->pace >= 0 && v->cpu >= 0 ? v->cpu : v->time;
}

static void decide(struct question *q)
{
    for (int i = 0; i < q->count; i++)
        take_figures(q, &q->verdicts[i]);
    for (int i = 1; i < q->count; i++)
        for (int k = i; k > 0; k--) {
            struct verdict *a = &q->verdicts[k - 1], *b = &q->verdicts[k], swap = *a;
            if (*b->reason || (!*a->reason && cost(q, a) <= cost(q, b)))
                break;
            *a = *b;
            *b = swap;
        }
}

/* ---- Showing ---------------------------------------------------------------------------------------------- */

static void print_verdict(const struct question *q, const struct verdict *v)
{
    char time[16], rate[16], cpu[16];
    printf("  %-34s %9s a message (%s), %s of processor time: %.2f times the best\n", v->contestant->name,
           bench_time(v->time, time), bench_rate(v->time, rate), v->cpu >= 0 ? bench_time(v->cpu, cpu) : "unknown",
           cost(q, v) / cost(q, &q->verdicts[0]));
}

static void print_all(const struct question *q)
{
    const struct verdict *best = &q->verdicts[0];
    char size[16];
    printf("Use %s (%s): %s\n\n", best->contestant->name, best->contestant->mechanism.form,
           best->contestant->mechanism.summary);
    printf("Decided by %s, measured %s, messages of %s:\n",
           q->pace >= 0 ? "processor time a message" : "time a message",
           q->settings->from ? "before" : "here and now", bench_size(works[q->work].size, size));
    for (int i = 0; i < q->count && !*q->verdicts[i].reason; i++)
        print_verdict(q, &q->verdicts[i]);
    puts("\nRejected:");
    for (int i = 0; i < q->count; i++)
        if (*q->verdicts[i].reason)
            printf("  %-34s %s\n", q->verdicts[i].contestant->name, q->verdicts[i].reason);
}

static void json_verdict(struct json *json, const struct verdict *v)
{
    const struct { const char *name; double value; } numbers[] = { { "time_ns", v->time }, { "cpu_ns", v->cpu } };
    json_open(json, '{');
    json_text(json, "name", v->contestant->name);
    json_text(json, "scheme", v->contestant->mechanism.scheme);
    for (int i = 0; i < 2; i++) {
        json_name(json, numbers[i].name);
        if (numbers[i].value < 0)
            json_null(json);
        else
            json_real(json, numbers[i].value);
    }
    json_text(json, "rejected", *v->reason ? v->reason : NULL);
    json_close(json, '}');
}

static int print_json(const struct question *q)
{
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    json_open(&json, '{');
    json_text(&json, "use", *q->verdicts[0].reason ? NULL : q->verdicts[0].contestant->name);
    json_number(&json, "size_measured", works[q->work].size);
    json_text(&json, "decided_by", q->pace >= 0 ? metric_names[METRIC_CPU] : metric_names[METRIC_TIME]);
    json_name(&json, "mechanisms");
    json_open(&json, '[');
    for (int i = 0; i < q->count; i++)
        json_verdict(&json, &q->verdicts[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    return json_print(&json);
}

static int answer(struct question *q)
{
    decide(q);
    if (q->settings->json) {
        int code = print_json(q);
        if (code != CODE_DONE)
            return code;
    } else if (*q->verdicts[0].reason) {
        puts("Nothing here can do all of that.\n\nRejected:");
        for (int i = 0; i < q->count; i++)
            printf("  %-34s %s\n", q->verdicts[i].contestant->name, q->verdicts[i].reason);
    } else {
        print_all(q);
    }
    return *q->verdicts[0].reason ? CODE_FAILED : CODE_DONE;
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
    q->work = nearest_work(&settings);
    q->ends = work_of_ends(&settings);
    q->pace = paced_work(&settings);
    round_gather(q->round);
    apply_rules(q);
    int code = settings.from ? load(q, settings.from) : CODE_DONE;
    r = settings.from ? 0 : measure(q);
    if (r < 0)
        code = r == -ECANCELED ? CODE_FAILED : fail_system(r, "advise");
    if (code == CODE_DONE)
        code = answer(q);
    free(q->round);
    free(q);
    return stop_end(code);
}

const struct command cmd_advise = {
    "advise", "Measure", "which mechanism for what is needed", "",
    "What the mechanisms offer rules some out; what is measured here decides among the rest.  Up to 100000 messages a\n"
    "second the processor's time counts, beyond and without a rate the time of a message.",
    "tong advise --size 4096 --rate 1000 --related", options, 0, 0, false, run,
};
