/* SPDX-License-Identifier: MIT */
/* What the process of one end does, whatever carries its messages. */
#include "bench/work.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/histogram.h"
#include "bench/ticks.h"

const char *const test_names[TESTS] = { "round-trip", "one-way", "paced" };

#define LINE 64
#define SMALL 1024          /* up to here the source has a copy for each message of a burst */
#define MARK_AGAIN 5        /* milliseconds after which another mark of the end is sent, where receivers share */
#define WARM 150000         /* round trips that warm up, unless fewer are timed: a ring's memory is all touched then */
#define CLOCK_EVERY 16      /* messages, where nobody knows which is the last: the clock costs more than some do */

#define LOOKS_ALONE 4096    /* in vain, before another process is let run */
#define LOOKS_CROWDED 256

/* A role at work. */
struct labour {
    struct end *end;
    uint8_t *source;
    unsigned copies;
    uint64_t base;          /* the sum of a message of number 0 */
    uint64_t number;        /* of the next message out */
    uint64_t sender;        /* this process, as the upper bits of its numbers say it */
    bool in_order;          /* whether no message of a sender may be missing here */
    uint64_t next[ROLES_MAX]; /* by sender: the number expected in */
    unsigned ended_senders; /* whose mark of the end has come: a bit each */
    uint64_t wrong, messages, received, began, ended;
    uint64_t ticks, clock, cpu;  /* when the work began */
    struct histogram latency; /* in ticks */
};

/* ---- The protocol ----------------------------------------------------------------------------------------- */

static void say_bytes(const struct end *end, const char *line, size_t size)
{
    if (write(end->says, line, size) != (ssize_t)size)
        _exit(1);
}

static void say(const struct end *end, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct end *end, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    say_bytes(end, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

/* Whoever keeps the score says one word at a time, and only after it was told something. */
static void hear(const struct end *end)
{
    char c = 0;
    while (c != '\n')
        if (read(end->hears, &c, 1) != 1)
            _exit(1);
}

void end_missing(const struct end *end, const char *format, ...)
{
    char words[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    say(end, "missing %s\n", words);
    _exit(0);
}

void end_look(struct end *end)
{
    if (++end->looked % (end->job.crowded ? LOOKS_CROWDED : LOOKS_ALONE))
        bench_pause();
    else
        sched_yield();
}

/* ---- Messages --------------------------------------------------------------------------------------------- */

static uint64_t word_at(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Of constant size where the time that this takes shows. */
static inline uint64_t sum_lines(const uint8_t *message, size_t size)
{
    uint64_t sum = 0;
    if (size == LINE)
        return word_at(message) + word_at(message + LINE - sizeof sum);
    for (size_t at = 0; at < size; at += LINE)
        sum += word_at(message + at) + word_at(message + at + LINE - sizeof sum);
    return sum;
}

static void *room(const struct end *end, size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED)
        end_missing(end, "mmap: %s", strerror(errno));
    return at;
}

void work_fill(uint8_t *message, size_t size)
{
    uint64_t word = 88172645463325252u; /* xorshift64 */
    memset(message, 0, sizeof word);
    for (size_t at = sizeof word; at < size; at += sizeof word) {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        memcpy(message + at, &word, sizeof word);
    }
}

static void fill_source(struct labour *x)
{
    const struct job *job = &x->end->job;
    unsigned burst = job->burst > BURST ? job->burst : BURST;
    x->copies = job->size <= SMALL ? burst : 1;
    x->source = room(x->end, x->copies * job->size);
    for (unsigned i = 0; i < x->copies; i++)
        work_fill(x->source + i * job->size, job->size);
    x->base = sum_lines(x->source, job->size);
    x->sender = (uint64_t)job->role << WORK_SENDER_SHIFT;
    x->in_order = job->receivers == 1 || job->broadcast;
}

/* The next numbers, written ahead of sending: a copy that waits for a store still on its way would be slow. */
static void stamp(struct labour *x, unsigned copies)
{
    uint8_t *at = x->source;
    size_t size = x->end->job.size;
    uint64_t number = x->number | x->sender;
    x->number += copies;
    for (; copies; copies--, number++, at += size)
        memcpy(at, &number, sizeof number);
}

static void flush(const struct labour *x)
{
    if (x->end->wire->flush)
        x->end->wire->flush(x->end);
}

static void send_one(struct labour *x)
{
    stamp(x, 1);
    x->end->wire->send(x->end, x->source, 1);
    flush(x);
}

/*
 * A sender's messages keep their order, those of several do not: so each sends marks of the end, and each receiver
 * waits for one of each.  Who takes which is chance where receivers share: so marks go on until all receivers are
 * content.
 */
static void send_marks(struct labour *x)
{
    uint64_t mark = WORK_MARK | x->sender;
    struct pollfd stop = { x->end->hears, POLLIN, 0 };
    memcpy(x->source, &mark, sizeof mark);
    do {
        x->end->wire->send(x->end, x->source, 1);
        flush(x);
    } while (poll(&stop, 1, x->end->job.receivers == 1 || x->end->job.broadcast ? -1 : MARK_AGAIN) == 0);
    hear(x->end);
}

static void end_sending(struct labour *x)
{
    say(x->end, "sent\n");
    hear(x->end);
    send_marks(x);
}

static bool all_ended(const struct labour *x)
{
    return x->ended_senders == (1U << x->end->job.senders) - 1;
}

/* Whether a message is one of those counted: false at the mark of the end.  What is not as it must be is wrong. */
static inline bool check(struct labour *x, const uint8_t *message, size_t size)
{
    uint64_t number = word_at(message), sender = number >> WORK_SENDER_SHIFT, position = number & WORK_MARK;
    if (position == WORK_MARK) {
        x->ended_senders |= 1U << sender % ROLES_MAX;
        return false;
    }
    if (sum_lines(message, size) != x->base + number || sender >= ROLES_MAX ||
        (x->in_order ? position != x->next[sender] : position < x->next[sender])) {
        x->wrong++;
        return true;
    }
    x->next[sender] = position + 1;
    return true;
}

static void release(const struct labour *x)
{
    if (x->end->wire->release)
        x->end->wire->release(x->end);
}

static void receive_one(struct labour *x)
{
    const uint8_t *message;
    if (x->end->wire->receive(x->end, &message) != 1 || !check(x, message, x->end->job.size))
        x->wrong++;
    release(x);
}

/* ---- Round trips ------------------------------------------------------------------------------------------ */

static uint64_t warm_up(const struct job *job)
{
    uint64_t most = job->test == TEST_ROUND_TRIP && job->size <= SMALL ? WARM : 64 / (job->size / SMALL + 1) + 1;
    return job->count / 10 + (job->count < most ? job->count : most);
}

static void ask(struct labour *x)
{
    const struct job *job = &x->end->job;
    for (uint64_t i = warm_up(job); i; i--) {
        send_one(x);
        receive_one(x);
    }
    x->began = bench_now();
    uint64_t before = bench_ticks();
    for (uint64_t i = job->count; i; i--) {
        send_one(x);
        receive_one(x);
        uint64_t now = bench_ticks();
        histogram_add(&x->latency, now - before);
        before = now;
    }
    x->ended = bench_now();
    x->messages = job->count;
}

/* Counts the other's messages as sender 0's; its own come back with its role, and the asker expects them so. */
static void answer(struct labour *x)
{
    const struct job *job = &x->end->job;
    for (uint64_t i = warm_up(job) + job->count; i; i--) {
        receive_one(x);
        send_one(x);
    }
}

/* ---- One way ---------------------------------------------------------------------------------------------- */

/* Where more might be lost, so many messages are answered before the next. */
static void await_answer(struct labour *x)
{
    const uint8_t *message;
    if (x->end->window && x->number % x->end->window == 0) {
        x->end->wire->receive(x->end, &message);
        release(x);
    }
}

static void send_many(struct labour *x, uint64_t count)
{
    unsigned most = x->copies;
    if (x->end->window && most > x->end->window)
        most = x->end->window;
    for (unsigned burst; count; count -= burst) {
        burst = count < most ? (unsigned)count : most;
        stamp(x, burst);
        x->end->wire->send(x->end, x->source, burst);
        await_answer(x);
    }
}

/* Windows are filled, or nobody answers. */
static uint64_t whole_windows(const struct labour *x, uint64_t count)
{
    uint64_t window = x->end->window ? x->end->window : 1;
    return (count + window - 1) / window * window;
}

static void send_all(struct labour *x)
{
    const struct job *job = &x->end->job;
    uint64_t count = whole_windows(x, job->count);
    send_many(x, whole_windows(x, warm_up(job)));
    x->began = bench_now();
    send_many(x, count);
    flush(x);
    x->messages = count;
    end_sending(x);
}

/* Each message that fills a window is answered. */
static void answer_windows(struct labour *x, uint64_t before)
{
    unsigned window = x->end->window;
    for (uint64_t answered = window ? before / window : 0; window && answered < x->received / window; answered++)
        x->end->wire->send(x->end, x->source, 1);
}

/* How many of them count. */
static inline unsigned check_all(struct labour *x, const uint8_t *message, unsigned got, size_t size, size_t stride)
{
    unsigned counted = 0;
    for (; got; got--, message += stride)
        counted += check(x, message, size);
    return counted;
}

/* The clock is read at the last message; where several share them nobody knows which that is. */
static void note_end(struct labour *x, uint64_t before, uint64_t all)
{
    if (x->in_order ? x->received == all : x->received / CLOCK_EVERY != before / CLOCK_EVERY)
        x->ended = bench_now();
}

static void receive_all(struct labour *x)
{
    const struct job *job = &x->end->job;
    size_t size = job->size, stride = x->end->stride;
    uint64_t all = (whole_windows(x, warm_up(job)) + whole_windows(x, job->count)) * (uint64_t)job->senders;
    while (!all_ended(x)) {
        const uint8_t *message;
        uint64_t before = x->received;
        unsigned got = x->end->wire->receive(x->end, &message);
        x->received += size == LINE ? check_all(x, message, got, LINE, stride) : check_all(x, message, got, size, stride);
        answer_windows(x, before);
        note_end(x, before, all);
        release(x);
    }
}

/* ---- Paced ------------------------------------------------------------------------------------------------ */

static void send_paced(struct labour *x)
{
    struct timespec at;
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    clock_gettime(CLOCK_MONOTONIC, &at);
    x->began = bench_now();
    for (uint64_t i = 0; i < x->end->job.count; i++) {
        at.tv_nsec += 1000000000 / PACE;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
            ;
        uint64_t now = bench_ticks();
        memcpy(x->source + sizeof now, &now, sizeof now); /* the second word: not one of those that are added */
        send_one(x);
    }
    x->messages = x->end->job.count;
    x->ended = bench_now();
    end_sending(x);
}

static void receive_paced(struct labour *x)
{
    while (!all_ended(x)) {
        const uint8_t *message;
        unsigned got = x->end->wire->receive(x->end, &message);
        uint64_t now = bench_ticks();
        for (; got; got--, message += x->end->stride) {
            bool counts = check(x, message, x->end->job.size);
            uint64_t sent = word_at(message + sizeof sent);
            x->received += counts;
            if (counts)
                histogram_add(&x->latency, now > sent ? now - sent : 0);
        }
        release(x);
    }
}

/* ---- A role ----------------------------------------------------------------------------------------------- */

static uint64_t cpu_used(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000000 +
           (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000;
}

static void tell(const struct labour *x)
{
    double per_tick = (double)(bench_now() - x->clock) / (double)(bench_ticks() - x->ticks);
    const struct histogram *h = &x->latency;
    bool one_way = x->end->job.test != TEST_ROUND_TRIP;
    say(x->end, "began %llu\nended %llu\nmessages %llu\nout %llu\nin %llu\nwrong %llu\ncpu %llu\n",
        (unsigned long long)x->began, (unsigned long long)x->ended, (unsigned long long)x->messages,
        (unsigned long long)(one_way ? x->number : 0), (unsigned long long)x->received, (unsigned long long)x->wrong,
        (unsigned long long)(cpu_used() - x->cpu));
    for (unsigned slot = 0; slot < HISTOGRAM_SLOTS; slot++)
        if (h->counts[slot])
            say(x->end, "latency %.1f %llu\n", histogram_value(slot) * per_tick, (unsigned long long)h->counts[slot]);
    say(x->end, "over\n");
}

int end_run(struct end *end)
{
    static void (*const parts[TESTS][2])(struct labour *) = {
        [TEST_ROUND_TRIP] = { answer, ask }, [TEST_ONE_WAY] = { receive_all, send_all },
        [TEST_PACED] = { receive_paced, send_paced },
    };
    struct labour *x = room(end, sizeof *x);
    x->end = end;
    fill_source(x);
    end->stride = end->job.size;
    end->buffer = room(end, x->copies * end->job.size);
    end->wire->enter(end);
    say(end, "ready\n");
    hear(end);
    x->clock = bench_now();
    x->ticks = bench_ticks();
    x->cpu = cpu_used();
    parts[end->job.test][end_sends(end)](x);
    tell(x);
    if (end->job.test != TEST_ROUND_TRIP && !end_sends(end))
        hear(end); /* until then somebody may still send marks */
    if (end->wire->leave)
        end->wire->leave(end);
    return 0;
}
