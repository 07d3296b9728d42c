/* SPDX-License-Identifier: MIT */
/*
 * work.h - the work that everything is measured by, the same for tong, bare system calls, hand-written rings and other
 * libraries; and how the process that does a part of it talks to the one that keeps the score.
 *
 * The work is honest.  The sender copies every byte of a message from a source that carries the message's number; the
 * receiver adds the first and the last word of each 64-byte line and compares.  One wrong sum, or a number out of
 * order, and the measurement is void.
 *
 * Protocol: a process is started as
 *     PROGRAM ROLE TEST SIZE COUNT WAITING BURST DELIVERY SENDERS RECEIVERS DIRECTORY
 * (WAITING spin or sleep, BURST messages at once, DELIVERY queue or broadcast) and speaks lines:
 *     says ready     it is connected              hears go    all are
 *     says sent      (senders, one way)           hears end   all have sent: now come the marks of the end
 *                                                 hears stop  (one way) all receivers are over
 *     says KEY NUMBERS ..., over                  and exits with 0
 * Keys: began ended (nanoseconds of CLOCK_MONOTONIC), messages, out and in (all that was sent and received, the warm-up
 * too), wrong, cpu (nanoseconds), and of latencies, in nanoseconds,  latency VALUE SAMPLES  for each that occurred,
 * within the steps of bench/histogram.h; or, at any time,  missing WORDS: not offered, and why.
 * PROGRAM describe  says  name NAME, and in any number  sizes LEAST MOST, waiting spin|sleep, ends S R, bursts,
 * server.  PROGRAM server DIRECTORY  (only after "server") says ready, and stays until it is killed.
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum test { TEST_ROUND_TRIP, TEST_ONE_WAY, TEST_PACED, TESTS };

extern const char *const test_names[TESTS]; /* "round-trip", "one-way", "paced" */

#define ROLES_MAX 8
#define PACE 10000 /* messages a second, where they are paced */

/*
 * A message's first word is its number among the sender's, and above that, who sent it; the mark of the end has this.
 */
#define WORK_SENDER_SHIFT 48
#define WORK_MARK ((UINT64_C(1) << WORK_SENDER_SHIFT) - 1)

struct job {
    enum test test;
    size_t size;           /* of a message: 64, or a multiple of it */
    uint64_t count;        /* round trips, or messages of each sender; a tenth more comes first, to warm up */
    bool spin;             /* never sleep: look again and again */
    unsigned burst;        /* so many messages at most are sent and received together, by who can; 1: one by one */
    int senders, receivers;
    bool broadcast;        /* each receiver gets every message; else each message goes to one */
    bool together;         /* all processes share one processor: looking again is in vain until another ran */
    bool crowded;          /* there are more processes than processors */
    int role;              /* this process's: senders first, then receivers */
    char directory[100];   /* private to this measurement, in memory if possible */
};

struct end;

/* How messages are carried.  All but enter end the process (end_missing) when they cannot go on. */
struct wire {
    void (*enter)(struct end *);
    /* `count` messages of job.size, one after another at `data`; what is sent may be kept back until flush. */
    void (*send)(struct end *, const uint8_t *data, unsigned count);
    /* Waits for a message; returns how many lie at *ret and every end->stride bytes from there, until release. */
    unsigned (*receive)(struct end *, const uint8_t **ret);
    void (*release)(struct end *); /* or NULL */
    void (*flush)(struct end *);   /* or NULL */
    void (*leave)(struct end *);   /* or NULL */
};

/* One process's end while it works. */
struct end {
    const struct wire *wire;
    struct job job;
    int says, hears;       /* descriptors of the protocol */
    void *subject;         /* the wire's, given before the processes were started */
    void *own;             /* the wire's, made by enter */
    uint8_t *buffer;       /* room for a burst, or for one large message: the wire's to receive into */
    size_t stride;         /* of what receive returns; job.size unless enter changes it */
    unsigned window;       /* so many messages are answered by one, because more might be lost; 0: none needs to be */
    unsigned looked;       /* end_look's */
};

#define BURST 32       /* the usual: enough to publish an index, or to pass a batch, rarely */
#define BURST_MAX 1024 /* 64 KiB of the smallest: what is worth a system call */

/* Does the work: says it all, and returns what the process exits with. */
int end_run(struct end *end);

/* What every message of this size holds; the sender writes a number over the first word. */
void work_fill(uint8_t *message, size_t size);

/* Says why this cannot be measured, and ends the process. */
void end_missing(const struct end *end, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

/* Between two looks at what has not come yet: lets another process run when it takes long. */
void end_look(struct end *end);

static inline bool end_sends(const struct end *end)
{
    return end->job.role < end->job.senders;
}

#ifdef __cplusplus
}
#endif

#endif
