/* SPDX-License-Identifier: MIT */
/*
 * Contestants of a work take turns, run by run, and the order rotates, so that what the machine does in between
 * reaches all alike.  A measurement counts when the line before and after it was normal; else it is taken again.
 */
#include "bench/round.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/line.h"
#include "bench/ticks.h"

const char *const group_names[GROUPS] = { "limit", "tong", "raw", "rival" };
const char *const metric_names[METRICS] = { "time_ns", "p99_ns", "p99.9_ns", "p99.99_ns", "cpu_ns", "ratio_to_limit",
                                            "ratio_to_raw" };

#define LINE_LOW 68.0   /* what is normal on most machines: both processors on one cache, on cores of their own */
#define LINE_HIGH 200.0
#define LINE_FACTOR 1.6 /* elsewhere: this far from the run's own median */
#define LOOKS 24        /* of the line, by which is judged what is normal */
#define WAIT_US 20000
#define CROWDED_SLICES 5 /* more processes than processors take turns, and each has to come to several */
#define SLICES_MAX 5   /* that a measurement may take for the sake of percentiles */

/* What the runs of a work gave. */
struct taken {
    double values[CONTESTANTS_MAX][METRICS][RUNS_MAX];
    double lines[CONTESTANTS_MAX][RUNS_MAX];
    struct histogram latencies[CONTESTANTS_MAX]; /* of all runs */
};

static const struct { double fraction; uint64_t needed; } percentiles[METRICS] = {
    [METRIC_P99] = { 0.99, 1000 }, [METRIC_P999] = { 0.999, 10000 }, [METRIC_P9999] = { 0.9999, 100000 },
};

uint64_t round_samples_needed(enum metric metric)
{
    return percentiles[metric].needed;
}

struct state {
    struct round *round;
    int processors[2];
    bool two;
    int given_up;           /* measurements in a row whose line did not become normal */
    double lines[LOOKS];    /* the latest */
    int looks;
    double done, whole;
    char directory[64];
    int servers[CONTESTANTS_MAX];
    int made;               /* directories: a name that a killed process left behind is not met again */
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void figure_of(struct figure *ret, double *values, int count)
{
    *ret = (struct figure){ .runs = count };
    if (!count)
        return;
    qsort(values, (size_t)count, sizeof *values, by_value);
    ret->median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    ret->least = values[0];
    ret->most = values[count - 1];
}

/* ---- Who does what ---------------------------------------------------------------------------------------- */

static bool fits_manner(const struct contestant *c, const struct work *w)
{
    if (c->hands != w->hands || (c->one_way && w->test != TEST_ONE_WAY))
        return false;
    return w->loose || (c->bursts == (w->burst > 0) && (w->spin ? c->spins : c->sleeps));
}

static bool fits_ends(const struct contestant *c, const struct work *w)
{
    if (w->receivers == 1 && !w->broadcast && c->several)
        return false;
    if (w->senders == 1 && w->receivers == 1 && !w->broadcast)
        return true;
    if (c->may_lose || (w->broadcast && !c->broadcasts) || (w->senders > 1 && !c->many_senders))
        return false;
    return w->receivers == 1 || w->broadcast || c->many_receivers;
}

bool round_fits(const struct contestant *c, const struct work *w)
{
    return w->size >= c->least && w->size <= c->most && fits_manner(c, w) && fits_ends(c, w);
}

int round_limit(const struct round *round, int work)
{
    int best = -1;
    for (int i = 0; i < round->count; i++) {
        const struct figure *time = &round->cells[work][i].figures[METRIC_TIME];
        if (round->contestants[i].group != GROUP_LIMIT || round->contestants[i].idle || !time->runs)
            continue;
        if (best < 0 || time->median < round->cells[work][best].figures[METRIC_TIME].median)
            best = i;
    }
    return best;
}

bool round_has(const struct round *round, int work)
{
    for (int i = 0; i < round->count; i++)
        if (round->cells[work][i].figures[METRIC_TIME].runs)
            return true;
    return false;
}

/* Who was not asked for is not measured, but the limit always is. */
static bool takes_part(const struct round *round, int work, int i)
{
    const struct contestant *c = &round->contestants[i];
    if (!round_fits(c, &works[work]))
        return false;
    if (c->group == GROUP_LIMIT)
        return !c->idle || works[work].test == TEST_PACED;
    if (round->quick && c->mechanism.offers & TONG_HAS_ZERO_COPY && *c->mechanism.variant && !c->several)
        return false; /* of memory only the plain way */
    return (!round->only || strstr(c->name, round->only)) && (!round->tong_only || c->group == GROUP_TONG);
}

static bool is_wanted(const struct state *x, int work)
{
    const struct round *round = x->round;
    if (works[work].place == PLACE_APART && !x->two)
        return false;
    if (round->exact_work)
        return !strcmp(works[work].key, round->only_work);
    return round->only_work ? strstr(works[work].key, round->only_work) != NULL : works[work].quick || !round->quick;
}

/* The bare system calls that a contestant is to be compared with, by index; -1: none. */
static int baseline(const struct round *round, int of)
{
    const struct contestant *c = &round->contestants[of];
    size_t size = c->mechanism.scheme ? strlen(c->mechanism.scheme) : 0;
    if (c->group != GROUP_TONG || (*c->mechanism.variant && !strstr(c->mechanism.variant, "stream")))
        return -1;
    for (int i = 0; i < round->count; i++)
        if (round->contestants[i].group == GROUP_RAW && round->contestants[i].bursts == c->bursts &&
            strcspn(round->contestants[i].name, ",") == size &&
            !strncmp(round->contestants[i].name, c->mechanism.scheme, size))
            return i;
    return -1;
}

/* ---- The line --------------------------------------------------------------------------------------------- */

static bool is_normal(const struct state *x, double line)
{
    const struct conditions *c = &x->round->conditions;
    return !x->two || (line >= c->line_low && line <= c->line_high);
}

static double look_at_line(struct state *x)
{
    double line = x->two ? line_measure(x->processors) : 0;
    x->lines[x->looks++ % LOOKS] = line;
    return line;
}

/* What is normal, from the latest looks. */
static void know_line(struct state *x)
{
    struct conditions *c = &x->round->conditions;
    struct figure line;
    double looks[LOOKS];
    int count = x->looks < LOOKS ? x->looks : LOOKS;
    memcpy(looks, x->lines, sizeof looks);
    figure_of(&line, looks, count);
    bool usual = line.median >= LINE_LOW && line.median <= LINE_HIGH;
    c->line = line.median;
    c->line_low = usual ? LINE_LOW : line.median / LINE_FACTOR;
    c->line_high = usual ? LINE_HIGH : line.median * LINE_FACTOR;
    c->line_changes++;
    x->given_up = 0;
}

/* The usual line is worth waiting for: what most others were measured at. */
static void begin_line(struct state *x)
{
    for (int tries = 0; tries < 4; tries++) {
        for (int i = 0; i < LOOKS; i++)
            look_at_line(x);
        know_line(x);
        if (x->round->conditions.line_low == LINE_LOW)
            break;
        usleep(500000);
    }
    x->round->conditions.line_changes = 1;
}

/* Waits a while for the line to become normal.  When that was in vain several times, another length is normal now. */
static double await_line(struct state *x)
{
    double line = look_at_line(x);
    for (int i = 0; i < x->round->patience && !is_normal(x, line); i++) {
        usleep(WAIT_US);
        line = look_at_line(x);
    }
    x->given_up = is_normal(x, line) ? 0 : x->given_up + 1;
    if (x->given_up >= 2)
        know_line(x);
    return line;
}

/* ---- One measurement -------------------------------------------------------------------------------------- */

/* The directory is ours alone, so whatever is in it goes. */
static void remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    rmdir(path);
}

static void run_once(struct state *x, int work, int i, uint64_t count, struct outcome *ret)
{
    const struct work *w = &works[work];
    const struct contestant *c = &x->round->contestants[i];
    struct job job = { .test = w->test, .size = w->size, .count = count, .spin = w->loose ? c->spins : w->spin,
                       .burst = c->bursts ? w->burst ? w->burst : BURST : 1, .senders = w->senders,
                       .receivers = w->receivers, .broadcast = w->broadcast };
    snprintf(job.directory, sizeof job.directory, "%s/%d", x->directory, ++x->made);
    if (mkdir(job.directory, 0700) < 0) {
        snprintf(ret->missing, sizeof ret->missing, "%s: %s", job.directory, strerror(errno));
        return;
    }
    crew_run(c, &job, w->place, x->processors, ret);
    remove_directory(job.directory);
}

/* Enough latencies for the percentiles too, where that does not take too long. */
static double enough_samples(const struct state *x, int work, double count)
{
    double wanted = (double)percentiles[x->round->quick ? METRIC_P999 : METRIC_P9999].needed / x->round->runs;
    if (works[work].test != TEST_ROUND_TRIP || count >= wanted)
        return count;
    return wanted < count * SLICES_MAX ? wanted : count * SLICES_MAX;
}

/* So many messages that a measurement takes its slice; paced ones take the time they take. */
static void find_count(struct state *x, int work, int i)
{
    struct cell *cell = &x->round->cells[work][i];
    bool crowded = works[work].senders + works[work].receivers > 2;
    double slice = (double)x->round->slice * (crowded ? CROWDED_SLICES : 1), count = works[work].size > 65536 ? 8 : 64;
    if (works[work].test == TEST_PACED) {
        cell->count = (uint64_t)(4 * slice / 1e9 * PACE);
        return;
    }
    for (int tries = 0; tries < 5; tries++) {
        struct outcome o;
        run_once(x, work, i, (uint64_t)count, &o);
        if (*o.missing) {
            snprintf(cell->missing, sizeof cell->missing, "%s", o.missing);
            return;
        }
        double factor = slice / o.elapsed;
        count *= factor > 50 ? 50 : factor;
        if (factor < 3)
            break;
    }
    count = enough_samples(x, work, count);
    cell->count = count < 4 ? 4 : (uint64_t)count;
}

static void keep(struct taken *taken, const struct round *round, int work, int i, const struct outcome *o)
{
    const struct cell *cell = &round->cells[work][i];
    double (*values)[RUNS_MAX] = taken->values[i];
    const struct histogram *h = &o->latency;
    int at = cell->figures[METRIC_TIME].runs;
    values[METRIC_TIME][at] = round->contestants[i].idle ? 0 : h->samples ? histogram_quantile(h, 0.5) : o->per_message;
    for (int m = METRIC_P99; m <= METRIC_P9999; m++)
        values[m][at] = h->samples ? histogram_quantile(h, percentiles[m].fraction) : -1;
    values[METRIC_CPU][at] = o->cpu;
    histogram_join(&taken->latencies[i], h);
}

/* One run of one contestant, taken again while the line is not normal. */
static void take(struct state *x, struct taken *taken, int work, int i)
{
    struct cell *cell = &x->round->cells[work][i];
    struct outcome o;
    double line = 0;
    for (int tries = 1;; tries++) {
        double before = await_line(x);
        run_once(x, work, i, cell->count, &o);
        line = look_at_line(x);
        line = line > before ? line : before;
        if (is_normal(x, line) || tries >= x->round->tries || *o.missing)
            break;
        cell->repeated++;
    }
    if (*o.missing) {
        snprintf(cell->missing, sizeof cell->missing, "%s", o.missing);
        return;
    }
    cell->wrong += o.wrong > 0;
    if (o.wrong > 0)
        return;
    cell->unsettled += !is_normal(x, line);
    keep(taken, x->round, work, i, &o);
    taken->lines[i][cell->figures[METRIC_TIME].runs++] = line;
}

/* ---- One work --------------------------------------------------------------------------------------------- */

static void figures_of(struct state *x, struct taken *taken, int work, int i)
{
    struct cell *cell = &x->round->cells[work][i];
    int runs = cell->figures[METRIC_TIME].runs;
    const struct histogram *h = &taken->latencies[i];
    figure_of(&cell->line, taken->lines[i], runs);
    cell->samples = runs ? h->samples : 0;
    for (int m = METRIC_TIME; m < METRICS; m++) {
        int known = 0;
        for (int k = 0; k < runs; k++)
            if (taken->values[i][m][k] >= 0)
                taken->values[i][m][known++] = taken->values[i][m][k];
        bool enough = known == runs && cell->samples >= percentiles[m].needed;
        figure_of(&cell->figures[m], taken->values[i][m], enough ? known : 0);
        if (percentiles[m].needed && cell->figures[m].runs)
            cell->figures[m].median = histogram_quantile(h, percentiles[m].fraction);
    }
}

/* Run by run, before the runs are sorted: what was measured in the same turn is compared. */
static void compare(struct state *x, struct taken *taken, int work, int i, int with, enum metric metric)
{
    const struct cell *cells = x->round->cells[work];
    int runs = with < 0 || x->round->contestants[i].idle ? 0 : cells[i].figures[METRIC_TIME].runs;
    for (int k = 0; k < RUNS_MAX; k++) {
        bool both = k < runs && k < cells[with].figures[METRIC_TIME].runs;
        taken->values[i][metric][k] = -1;
        if (both)
            taken->values[i][metric][k] = taken->values[i][METRIC_TIME][k] / taken->values[with][METRIC_TIME][k];
    }
}

/* Medians of the limits are needed before the ratios to the best of them, which need the runs in their order. */
static int best_limit(struct state *x, const struct taken *taken, int work)
{
    struct round *round = x->round;
    double values[RUNS_MAX];
    for (int i = 0; i < round->count; i++) {
        struct figure *time = &round->cells[work][i].figures[METRIC_TIME];
        memcpy(values, taken->values[i][METRIC_TIME], sizeof values);
        if (round->contestants[i].group == GROUP_LIMIT)
            figure_of(time, values, time->runs);
    }
    return round_limit(round, work);
}

static bool tell(const struct state *x, int work, int i)
{
    const struct round *round = x->round;
    return !round->progress || round->progress(round, &works[work], &round->contestants[i], x->done / x->whole);
}

static int measure_work(struct state *x, struct taken *taken, int work)
{
    struct round *round = x->round;
    for (int run = 0; run < round->runs; run++)
        for (int k = 0; k < round->count; k++) {
            int i = (k + run * 7) % round->count;
            struct cell *cell = &round->cells[work][i];
            if (!cell->fits)
                continue;
            if (!tell(x, work, i))
                return -ECANCELED;
            if (run == 0)
                find_count(x, work, i);
            if (!*cell->missing)
                take(x, taken, work, i);
            x->done++;
        }
    for (int i = 0; i < round->count; i++)
        if (round->cells[work][i].wrong)
            round->cells[work][i].figures[METRIC_TIME].runs = 0; /* what was wrong once is not to be believed */
    int limit = best_limit(x, taken, work);
    for (int i = 0; i < round->count; i++) {
        compare(x, taken, work, i, limit, METRIC_LIMIT);
        compare(x, taken, work, i, baseline(round, i), METRIC_RAW);
    }
    for (int i = 0; i < round->count; i++)
        figures_of(x, taken, work, i);
    return 0;
}

/* ---- The round -------------------------------------------------------------------------------------------- */

static double load_now(void)
{
    double loads[3];
    return getloadavg(loads, 3) == 3 ? loads[0] : -1;
}

static void know_machine(struct conditions *c)
{
    struct utsname name;
    char line[256];
    cpu_set_t set;
    if (uname(&name) == 0)
        snprintf(c->kernel, sizeof c->kernel, "%.60s %.60s %.60s", name.sysname, name.release, name.machine);
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file))
        if (!*c->machine && sscanf(line, "model name : %127[^\n]", c->machine) == 1)
            break;
    if (file)
        fclose(file);
    c->processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    c->load = load_now();
}

/* Part of a name or key; NULL is part of all. */
static bool is_part(const char *part, const char *of)
{
    return !part || strstr(of, part);
}

enum asked round_asked(struct round *round)
{
    struct state x = { .round = round };
    enum asked ret = ASKED_NO_WORK;
    x.two = line_processors(x.processors);
    round_gather(round);
    for (int work = 0; work < work_count; work++) {
        if (!is_part(round->only_work, works[work].key))
            continue;
        ret = ret == ASKED_NO_WORK ? ASKED_NO_NAME : ret;
        for (int i = 0; i < round->count; i++) {
            bool named = is_part(round->only, round->contestants[i].name);
            ret = named && ret == ASKED_NO_NAME ? ASKED_NOTHING : ret;
            if (named && is_wanted(&x, work) && takes_part(round, work, i))
                return ASKED_WELL;
        }
    }
    return ret;
}

void round_gather(struct round *round)
{
    struct contestant *list = round->contestants;
    if (round->count)
        return;
    round->count = limit_contestants(list, CONTESTANTS_MAX);
    round->count += over_contestants(list + round->count, CONTESTANTS_MAX - round->count);
    round->count += hand_contestants(list + round->count, CONTESTANTS_MAX - round->count);
    round->count += raw_contestants(list + round->count, CONTESTANTS_MAX - round->count);
    if (*round->rivals)
        round->count += rivals_found(round->rivals, list + round->count, CONTESTANTS_MAX - round->count);
    if (!round->alone)
        rivals_absent(round->rivals, round->absent, sizeof round->absent);
}

static void start_servers(struct state *x)
{
    for (int i = 0; i < x->round->count; i++)
        if (x->round->contestants[i].needs_server)
            x->servers[i] = crew_server(&x->round->contestants[i], x->directory);
}

static void end_servers(struct state *x)
{
    for (int i = 0; i < x->round->count; i++)
        crew_server_end(x->servers[i]);
}

static void plan(struct state *x)
{
    struct round *round = x->round;
    for (int work = 0; work < work_count; work++)
        for (int i = 0; i < round->count; i++) {
            round->cells[work][i].fits = is_wanted(x, work) && takes_part(round, work, i);
            x->whole += round->cells[work][i].fits ? round->runs : 0;
        }
}

static int measure(struct state *x)
{
    struct taken *taken = calloc(1, sizeof *taken);
    int r = taken ? 0 : -ENOMEM;
    for (int work = 0; work < work_count && r == 0; work++) {
        memset(taken, 0, sizeof *taken);
        r = measure_work(x, taken, work);
    }
    free(taken);
    if (r == 0 && !x->round->only && !x->round->only_work)
        r = files_measure(x->round->files, x->round->runs, x->directory);
    return r;
}

/* In memory, so that what rivals keep in files is shared memory and FIFOs are not slowed down by a disk's journal. */
static int make_directory(char ret[64])
{
    static const char *const bases[] = { "/dev/shm", "/tmp" };
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        snprintf(ret, 64, "%s/tong-bench.XXXXXX", bases[i]);
        if (mkdtemp(ret))
            return 0;
    }
    return -errno;
}

void round_settle(struct round *round, bool quick, const char *rivals)
{
    round->runs = 5;
    round->tries = quick ? 2 : 6;
    round->patience = quick ? 5 : 20;
    round->slice = (quick ? 10 : 80) * TONG_MILLISECOND;
    round->quick = quick;
    round->alone = rivals && !strcmp(rivals, "none");
    rivals_find(rivals, round->rivals);
}

int round_run(struct round *round)
{
    struct state x = { .round = round, .whole = 0 };
    uint64_t start = bench_now();
    int r = make_directory(x.directory);
    if (r < 0)
        return r;
    x.two = line_processors(x.processors);
    know_machine(&round->conditions);
    if (x.two)
        begin_line(&x);
    round_gather(round);
    plan(&x);
    start_servers(&x);
    r = measure(&x);
    end_servers(&x);
    remove_directory(x.directory);
    round->conditions.load_after = load_now();
    round->conditions.seconds = (double)(bench_now() - start) / 1e9;
    return r;
}
