/* SPDX-License-Identifier: MIT */
/* inside.h - what the parts of the checker know of one another. */
#ifndef MODEL_INSIDE_H
#define MODEL_INSIDE_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>

#include "model.h"

#define LOCATIONS 192

/* Of each location, the number of its stores that are known. */
struct view {
    uint8_t at[LOCATIONS];
};

struct clock {
    uint16_t at[MODEL_THREADS];
};

struct knowledge {
    struct view view;
    struct clock clock;
};

void knowledge_join(struct knowledge *to, const struct knowledge *from);

enum status { ABSENT, READY, PAUSED, ASLEEP, AWAITING, ENDED, KILLED };

#define HELD 8

struct thread {
    const char *name;
    void (*run)(void *argument);
    void *argument;
    enum status status;
    bool mortal, begun, chosen, saw_old;
    bool idle;                /* its last weak exchange failed for no reason */
    uint8_t old_location;     /* of the last store that it read and that was not the newest */
    uint64_t stores_at_pause;
    const void *sleeps_on;    /* the word of a futex, or the descriptor of what is polled */
    int awaits;               /* a thread */
    struct view taken;        /* by acquire loads, where guesses are permitted */
    uint64_t hash;            /* of all that it read and did */
    struct knowledge now;
    struct knowledge fenced;  /* at its last release fence */
    struct knowledge pending; /* what an acquire fence would take over */
    struct held {
        volatile void *at;
        size_t size;
        uint64_t value;
        int order;
        const char *site;
    } held[HELD];             /* by a mutation */
    unsigned holds;
    jmp_buf jump;
    ucontext_t context;
};

extern struct thread threads[MODEL_THREADS];
extern struct thread *current; /* threads[0] prepares and finishes; it has no choices */
extern bool tracing;
extern uint64_t memory_hash, stores_made;

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ (b + UINT64_C(0x9e3779b97f4a7c15) + (a << 6) + (a >> 2))) * UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 29;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 32;
}

/* One of `many` things that may happen, of which 0 is the ordinary one. */
unsigned choose(unsigned many);
unsigned choose_store(unsigned many);
/* Before something that others can see. */
void point(void);
/* Lets others go on while the current thread cannot. */
void give_way(enum status status);
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

void memory_reset(void);
/* The newest of a word that the kernel compares. */
uint64_t memory_newest(const void *at, size_t size);
/* After a look in vain the next one finds something later. */
void memory_pass_time(void);
/* Part of sequential consistency, executed in that thread. */
void memory_fence_in(struct thread *thread);

void kernel_reset(void);
void kernel_bury(struct thread *thread);
/* Whether what the thread polls has become ready. */
bool kernel_ready(const struct thread *thread);
/* Time passes because everybody sleeps; true: a timer woke somebody. */
bool kernel_tick(void);

#endif
