/* SPDX-License-Identifier: MIT */
/*
 * model.h - a model checker for the rings: their very source files, compiled again over a model of the memory of C11.
 *
 * Threads are coroutines, one for each simulated process.  Every atomic access to shared memory, and every system call
 * that others can see, is a point where another thread may go on, where a thread that may die is killed, and, if it is a
 * load, where one of several stores is read.  One execution is one list of such choices; the search goes through all of
 * them, depth first, each time from the beginning.
 *
 * Memory (memory.c).  Each word has its stores in the order in which they were executed.  A thread knows of some of them:
 * those it made, it read, and those that happened before what it synchronised with.  A load may read the newest that it
 * knows of or any later one.  A release store carries what its thread knows; an acquire load, or an acquire fence behind a
 * load, takes it over; read-modify-writes read the newest and carry on what they read carried (a release sequence as
 * C++20 has it, which is the weaker).  The fences of sequential consistency, and membarrier(2) as one in each process that
 * registered for it, hand a view of the whole on from one to the next; seq_cst accesses do so for their word.  Bytes that
 * are no atomics are checked for races with vector clocks.
 *
 * What this covers: every interleaving within the bounds that are printed, and every reordering of the kinds
 * store-load (store buffers), store-store and load-load, also as several see it differently.  What it does not: loads that
 * read stores which come later in time (load buffering: what a processor would have to guess; a missing release on such a
 * path is found as a race on the bytes that it guards), orders of stores to one word other than that of their execution
 * (the words here have one writer, or are changed by read-modify-writes alone), tearing, and what the compiler may do to
 * accesses that are no atomics.  Time does not pass: no sleep ends by itself unless the scenario says that all do, so that
 * a wake-up which is missed is a deadlock, where it is a delay in the product.
 *
 * States.  What a thread will do follows from what it has read, and what it may read from the histories of all.  Both are
 * kept as one number; an execution that comes to a number which was met before with the same choices left is cut off,
 * because everything from there on was looked at then, or will be.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdarg.h>

#include "access.h"

#define MODEL_THREADS 6 /* with the one that prepares */

/* ---- For scenarios ---------------------------------------------------------------------------------------------- */

/* In prepare(): a thread that will know all that was done there. */
int model_spawn(const char *name, void (*run)(void *argument), void *argument);
/* The same of one that may be killed at any point. */
int model_spawn_mortal(const char *name, void (*run)(void *argument), void *argument);

/* Between two looks for something: others go on until there may be something new. */
void model_pause(void);

/* Until that thread has ended or was killed, and all that it did is known: true if it was killed. */
bool model_await(int thread);
bool model_was_killed(int thread);

/* What a scenario finds to be wrong. */
void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define MODEL_CHECK(condition, ...) ((condition) ? (void)0 : model_fail(__VA_ARGS__))

/* Private memory, gone with the execution. */
void *model_allocate(size_t size);
void *model_allocate_cleared(size_t size);

/* ---- Shared memory ---------------------------------------------------------------------------------------------- */

#define MODEL_MEMORY 131072

extern unsigned char model_memory[MODEL_MEMORY];
/* From `at` on there are `many` rings of `capacity` bytes, each mapped twice in a row. */
void model_lay_rings(size_t at, uint64_t capacity, unsigned many);
/* In prepare(): atomic loads may meet bytes that are being written, for what they read is a guess that is checked later.
 * Each then reads what lay there at some time.  C11 says nothing of such loads; here they are as on a processor whose stores
 * are seen by all others at once (x86, ARMv8): who sees bytes that were written behind an acquire load, and acquires, sees what
 * that load saw. */
void model_permit_guesses(void);
/* In prepare(): payload is copied word by word with relaxed atomics, so that receivers copy what is overwritten meanwhile, and
 * have to find out.  There are no races on it then. */
void model_permit_overtaking(void);
/* In prepare(): words that one thread alone touches, or that nobody writes, are no part of what is searched. */
void model_leave_out(size_t at, size_t size);
/* What the word that begins there is called, in traces. */
void model_name(size_t at, char *ret, size_t size);

/* ---- Wrong orders ----------------------------------------------------------------------------------------------- */

enum { MODEL_KEEP = -1, MODEL_SKIP = -2 };

struct mutation {
    const char *site;  /* whose accesses are wrong */
    int order;         /* which they have in place of their own; MODEL_KEEP; or MODEL_SKIP, of a fence or a change */
    const char *until; /* a store is held back until behind the next access of this site; NULL: none is */
};

extern const struct mutation *model_mutation; /* NULL: as written */
bool model_skips(const char *site);

/* ---- The search ------------------------------------------------------------------------------------------------- */

struct scenario {
    const char *name;
    void (*prepare)(void);  /* lays the memory, opens what is open from the beginning, and starts the threads */
    void (*finish)(void);   /* what has to hold when all have ended; may be NULL */
    void (*clean)(void);    /* after every execution, whatever became of it; may be NULL */
    int preemptions, stale; /* the most of an execution in the short form: choices of another thread where one could go on, */
    int long_preemptions, long_stale; /* and of older stores; and in the long form */
};

struct search {
    uint64_t executions, whole, states, random, points;
    bool bounded;           /* given up before all was looked at */
    char failure[512];      /* empty: none */
};

/* As far as there is a failure, which is left in it; at most `most` executions of each kind. */
void model_search(const struct scenario *scenario, bool deep, uint64_t most, uint64_t random, struct search *ret);
/* Runs the execution that failed last once more and prints what it does. */
void model_show(const struct scenario *scenario);

#endif
