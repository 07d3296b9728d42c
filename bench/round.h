/* SPDX-License-Identifier: MIT */
/*
 * round.h - one round of measurements: every work done by every contestant that can, in turn, several times; and what
 * came of it, as medians, ranges, and ratios to the limit that was measured in the same turn.
 */
#ifndef BENCH_ROUND_H
#define BENCH_ROUND_H

#include "bench/contestant.h"
#include "bench/crew.h"

#define CONTESTANTS_MAX 96
#define WORKS_MAX 32
#define RUNS_MAX 21
#define NOTES_MAX 16

/* One kind of work. */
struct work {
    const char *key;         /* "round-trip-64-spin-apart": for JSON, and to choose by */
    const char *title;       /* "Round trip, 64 B, spinning, two processors" */
    enum test test;
    size_t size;
    int senders, receivers;
    bool broadcast, spin;
    unsigned burst;          /* so many messages at once; 0: one by one */
    bool hands;              /* large messages lie in shared memory already and are handed over */
    bool loose;              /* with several ends: in bursts or one by one, spinning or not, as each can */
    enum place place;
    bool quick;              /* part of a short round */
};

extern const struct work works[];
extern const int work_count;

/*
 * What is measured of a work.  TIME is the median latency, where there is one (round trips, paced), else per message.
 */
enum metric { METRIC_TIME, METRIC_P99, METRIC_P999, METRIC_P9999, METRIC_CPU, METRIC_LIMIT, METRIC_RAW, METRICS };

extern const char *const metric_names[METRICS];

/*
 * Of p99 and beyond `median` is of the latencies of all runs together; the others are the least and most of a run's
 * own.
 */
struct figure {
    double median, least, most;
    int runs;                /* 0: not measured */
};

/* What became of one contestant at one work. */
struct cell {
    bool fits;               /* it can do this work at all */
    struct figure figures[METRICS];
    struct figure line;      /* nanoseconds beside it */
    int repeated;            /* measurements thrown away because the line was not normal */
    int unsettled;           /* runs kept although it was not, after `tries` */
    int wrong;               /* runs void by a wrong sum or order */
    char missing[400];       /* why there is nothing; "" */
    uint64_t count;          /* messages of a run */
    uint64_t samples;        /* latencies of all runs together */
};

/* A file written and read, and the same through a mapping of it; nanoseconds for all bytes. */
struct file_figures {
    size_t size;
    struct figure write, read, map_write, map_read;
};

#define FILE_SIZES 3

struct conditions {
    char machine[128], kernel[192];
    double load;             /* average of a minute, when the round began; negative: unknown */
    double load_after;
    int processors;          /* that this process may use */
    double line, line_low, line_high; /* the latest median; what is accepted; 0: one processor */
    int line_changes;        /* how often that was settled: 1, and once for each time the machine changed */
    double seconds;          /* the round took */
};

struct round {
    int runs, tries;
    int patience;            /* looks at the line while it is not normal, before a measurement */
    int64_t slice;           /* nanoseconds that one measurement should take */
    bool quick;
    bool alone;              /* rivals are left out, not absent */
    bool exact_work, tong_only; /* only_work is a whole key; nobody else takes part */
    const char *only_work, *only;  /* parts of keys or names, or NULL */
    char rivals[300];        /* directory of the programs, "": none */
    struct contestant contestants[CONTESTANTS_MAX];
    int count;
    struct cell cells[WORKS_MAX][CONTESTANTS_MAX];
    struct file_figures files[FILE_SIZES];
    struct conditions conditions;
    char absent[512];        /* rivals that are not here, by name */
    /* Before each measurement; NULL: silent.  Returns false to stop. */
    bool (*progress)(const struct round *, const struct work *, const struct contestant *, double done);
};

/* The usual settings, into a zeroed round.  rivals: a directory, "none", or NULL: where tong was built or installed. */
void round_settle(struct round *round, bool quick, const char *rivals);

/* The contestants that there are, unless there are some already. */
void round_gather(struct round *round);

/* Whether what `only` and `only_work` ask for can be measured: no such work, nobody of that name, nobody who does it, or yes. */
enum asked { ASKED_NO_WORK, ASKED_NO_NAME, ASKED_NOTHING, ASKED_WELL };

enum asked round_asked(struct round *round);

/* Whether a contestant can do a work at all. */
bool round_fits(const struct contestant *contestant, const struct work *work);

/* Measures everything; `round` has its settings, the rest is zeroed.  0 or a negative errno. */
int round_run(struct round *round);

/* Whether the round has anything of a work. */
bool round_has(const struct round *round, int work);

/* The contestant that is the limit of a work, by index: the best of those measured.  -1: none. */
int round_limit(const struct round *round, int work);

/* Works of several sizes: one way, one by one, each waiting as it does; round trips, sleeping. */
enum sizes { SIZES_APART, SIZES_TOGETHER, SIZES };

extern const char *const sizes_words[SIZES];

/* Whether a work is one of those. */
bool round_in_sizes(const struct work *work, enum sizes sizes);

/* The smallest size from which on `faster` takes less time than `slower` at every larger one measured; 0: at none. */
size_t round_overtakes(const struct round *round, enum sizes sizes, int faster, int slower);

/* At how many of those sizes both were measured. */
int round_sizes(const struct round *round, enum sizes sizes, int a, int b);

/* How many latencies a percentile needs to be told: ten beyond it.  0: it is none. */
uint64_t round_samples_needed(enum metric metric);

/* file.c */
int files_measure(struct file_figures *ret, int runs, const char *directory);

void figure_of(struct figure *ret, double *values, int count); /* sorts them */

/* rival.c: names of the rivals whose programs are not in `directory`. */
void rivals_absent(const char *directory, char *ret, size_t size);
void rivals_find(const char *given, char ret[300]);
int rivals_found(const char *directory, struct contestant *list, int most);

#endif
