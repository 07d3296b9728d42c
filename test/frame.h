/* SPDX-License-Identifier: MIT */
/*
 * frame.h - a thin frame over the check library: every test is a leak test.
 *
 * Each test runs in a process and a process group of its own with a time limit.  Before and after it the
 * frame counts what a test can leave behind; a difference fails the test by name and says what is left.
 *
 * Tests of other processes run beside this one, on the same machine.  So only objects that this test can have
 * made are counted: descriptors, mappings and children of this process, and named objects that carry this
 * process's own mark.  Tests take their names from frame_directory(), frame_mark() and frame_key().
 */
#ifndef TEST_FRAME_H
#define TEST_FRAME_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- Running: begin, then run and skip in any order, then return end() from main() ------------------------ */

void frame_begin(const char *suite, int argc, char **argv);

/* Runs fn(argument) as the test `name`, unless the command line names other tests. */
void frame_run(const char *name, void (*fn)(int), int argument, double seconds);

/* Counts a test that is not run, and prints why at the end. */
void frame_skip(const char *name, const char *reason);

/* Prints the skips and "N passed, N failed, N skipped"; the exit status. */
int frame_end(void);

/* ---- Names that nobody else uses -------------------------------------------------------------------------- */

/* The directory of this program's tests, which must be empty again after each. */
const char *frame_directory(void);

/* "tong-test-PID", part of every name outside that directory. */
const char *frame_mark(void);

/* The first of 256 System V keys that belong to this program. */
key_t frame_key(void);

/* ---- Saying what must hold; also in children and threads of a test ------------------------------------------ */

/* Ends the test, or the child of a test (with status 1 and the words on standard error). */
void frame_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4), noreturn));

#define MUST(condition, ...)                              \
    do {                                                  \
        if (!(condition))                                 \
            frame_fail(__FILE__, __LINE__, __VA_ARGS__);  \
    } while (0)

/* A call of the library that must succeed; its result. */
#define OK(call) frame_ok((call), #call, __FILE__, __LINE__)
/* A call that must give exactly this. */
#define GIVES(call, expected) frame_gives((call), (expected), #call, __FILE__, __LINE__)

int64_t frame_ok(int64_t result, const char *call, const char *file, int line);
void frame_gives(int64_t result, int64_t expected, const char *call, const char *file, int line);

/* ---- Processes and waiting ---------------------------------------------------------------------------------- */

/* fork(); what a child of a test fails ends it with status 1.  A child must end with _exit(). */
pid_t frame_fork(void);

/* Waits for a child that must have ended with status 0. */
void frame_join(pid_t pid);

/* Kills a child and waits for it. */
void frame_kill(pid_t pid);

/* Waits until thread `tid` of process `pid` (0: this one) sleeps in the kernel and stays there. */
void frame_asleep(pid_t pid, pid_t tid);

/* Waits until *flag is nonzero, for at most 30 s. */
void frame_until(const volatile int *flag);

int64_t frame_now(void);

/* Whether the build watches the program (a sanitizer), so that times and sizes should be kinder. */
bool frame_watched(void);

#endif
