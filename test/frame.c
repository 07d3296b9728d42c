/* SPDX-License-Identifier: MIT */
/*
 * The frame.  check(3) gives each test a process, a process group and a time limit; around it this file counts
 * objects in that process, and the program itself, as the reaper of everything below it, kills what a test
 * left running.  One suite runner a test costs nothing and lets each result be printed as it comes.
 */
#include "frame.h"

#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "count.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#define SKIPS_MAX 1024
#define COUNTERS_MAX 16
#define PATIENCE INT64_C(30000000000) /* for what comes soon, or not at all */

static struct {
    const char *suite;
    char directory[64], mark[32];
    key_t key;
    char **only;
    int passed, failed, skipped;
    struct { char *name, *reason; } skips[SKIPS_MAX];
} frame;

static int before[COUNTERS_MAX];
static pid_t test_pid;

const char *frame_directory(void)
{
    return frame.directory;
}

const char *frame_mark(void)
{
    return frame.mark;
}

key_t frame_key(void)
{
    return frame.key;
}

bool frame_watched(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

#if defined(__SANITIZE_THREAD__)
/* ThreadSanitizer does not know this call everywhere, and then takes what it guards for unguarded.  It knows
 * the older one, whose clock may be set: in a test it is not. */
int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    struct timespec now, wall;
    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &wall);
    int64_t left = (int64_t)(until->tv_sec - now.tv_sec) * 1000000000 + until->tv_nsec - now.tv_nsec + wall.tv_nsec;
    if (left < 0)
        left = 0;
    wall.tv_sec += left / 1000000000;
    wall.tv_nsec = left % 1000000000;
    return pthread_mutex_timedlock(mutex, &wall);
}
#endif

int64_t frame_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pause_1ms(void)
{
    nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
}

/* ---- Failing --------------------------------------------------------------------------------------------- */

void frame_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *slash = strrchr(file, '/');
    if (getpid() == test_pid)
        ck_abort_msg("%s:%d: %s", slash ? slash + 1 : file, line, text);
    fprintf(stderr, "in a child: %s:%d: %s\n", slash ? slash + 1 : file, line, text);
    _exit(1);
}

static const char *result_words(int64_t result)
{
    static _Thread_local char words[48];
    const char *name = result < 0 && result > -4096 ? strerrorname_np((int)-result) : NULL;
    if (name)
        snprintf(words, sizeof words, "-%s", name);
    else
        snprintf(words, sizeof words, "%lld", (long long)result);
    return words;
}

/* The library's words, when the program is linked with it. */
extern const char *tong_detail(void) __attribute__((weak));

static const char *detail(void)
{
    return tong_detail ? tong_detail() : "";
}

int64_t frame_ok(int64_t result, const char *call, const char *file, int line)
{
    if (result < 0)
        frame_fail(file, line, "%s gave %s (%s)", call, result_words(result), detail());
    return result;
}

void frame_gives(int64_t result, int64_t expected, const char *call, const char *file, int line)
{
    if (result == expected)
        return;
    char wanted[48];
    snprintf(wanted, sizeof wanted, "%s", result_words(expected));
    frame_fail(file, line, "%s gave %s where %s was due (%s)", call, result_words(result), wanted,
               result < 0 ? detail() : "");
}

/* ---- Around a test ----------------------------------------------------------------------------------------- */

static void set_up(void)
{
    test_pid = getpid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < counters_count; i++)
        before[i] = counters[i].count(NULL, false);
}

/* What a killed process held may go a moment after it was waited for, so a difference must last to count. */
static void tear_down(void)
{
    for (int i = 0; i < counters_count; i++) {
        int64_t deadline = frame_now() + 2000000000;
        int after;
        while ((after = counters[i].count(NULL, false)) != before[i] && frame_now() < deadline)
            pause_1ms();
        if (after == before[i])
            continue;
        char *text = NULL;
        size_t size;
        FILE *list = open_memstream(&text, &size);
        counters[i].count(list, false);
        fclose(list);
        ck_abort_msg("leak: %d %s before the test, %d after:%s", before[i], counters[i].what, after, text);
    }
}

/* Whatever a test left running is now a child of this program, or its process group is. */
static void reap(void)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0)
            return;
        if (pid > 0)
            continue;
        FILE *children = fopen("/proc/thread-self/children", "re");
        for (int child; children && fscanf(children, "%d", &child) == 1; )
            kill(child, SIGKILL);
        if (children)
            fclose(children);
        pause_1ms();
    }
}

/* ---- Running ------------------------------------------------------------------------------------------------ */

void frame_begin(const char *suite, int argc, char **argv)
{
    frame.suite = suite;
    frame.only = argc > 1 ? argv + 1 : NULL;
    /* Sockets have short paths, so TMPDIR is honoured only if it is short. */
    const char *parent = getenv("TMPDIR");
    if (!parent || strlen(parent) > 32)
        parent = "/tmp";
    snprintf(frame.directory, sizeof frame.directory, "%s/tong-test-XXXXXX", parent);
    if (!mkdtemp(frame.directory)) {
        perror(frame.directory);
        exit(2);
    }
    snprintf(frame.mark, sizeof frame.mark, "tong-test-%d-", (int)getpid());
    /* Process numbers have at most 22 bits: 256 keys for each process of the machine. */
    frame.key = (key_t)(0x40000000 | getpid() << 8);
    setvbuf(stdout, NULL, _IOLBF, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static bool asked_for(const char *name)
{
    if (!frame.only)
        return true;
    for (char **only = frame.only; *only; only++)
        if (!fnmatch(*only, name, 0))
            return true;
    return false;
}

static void report(const char *name, SRunner *runner, int64_t began)
{
    double seconds = (double)(frame_now() - began) / 1e9;
    TestResult **results = srunner_results(runner);
    if (srunner_ntests_run(runner) == 1 && tr_rtype(results[0]) == CK_PASS) {
        frame.passed++;
        printf("ok   %s (%.2f s)\n", name, seconds);
    } else {
        frame.failed++;
        printf("FAIL %s (%.2f s): %s\n", name, seconds,
               srunner_ntests_run(runner) == 1 ? tr_msg(results[0]) : "it did not run");
    }
    free(results);
}

void frame_run(const char *name, void (*fn)(int), int argument, double seconds)
{
    if (!asked_for(name))
        return;
    TTest test = { name, fn, __FILE__, __LINE__ };
    TCase *tcase = tcase_create(name);
    Suite *suite = suite_create(frame.suite);
    tcase_set_timeout(tcase, seconds);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    _tcase_add_test(tcase, &test, 0, 0, argument, argument + 1);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    int64_t began = frame_now();
    srunner_run_all(runner, CK_SILENT);
    report(name, runner, began);
    srunner_free(runner);
    reap();
    count_sweep();
}

void frame_skip(const char *name, const char *reason)
{
    if (!asked_for(name))
        return;
    if (frame.skipped < SKIPS_MAX) {
        frame.skips[frame.skipped].name = strdup(name);
        frame.skips[frame.skipped].reason = strdup(reason);
    }
    frame.skipped++;
}

int frame_end(void)
{
    rmdir(frame.directory);
    for (int i = 0; i < frame.skipped && i < SKIPS_MAX; i++) {
        printf("skip %s: %s\n", frame.skips[i].name, frame.skips[i].reason);
        free(frame.skips[i].name);
        free(frame.skips[i].reason);
    }
    printf("%d passed, %d failed, %d skipped\n", frame.passed, frame.failed, frame.skipped);
    return frame.failed ? 1 : 0;
}

/* ---- Processes and waiting ---------------------------------------------------------------------------------- */

pid_t frame_fork(void)
{
    fflush(NULL);
    pid_t pid = fork();
    MUST(pid >= 0, "fork: %s", strerror(errno));
    return pid;
}

void frame_join(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        MUST(errno == EINTR, "waitpid(%d): %s", (int)pid, strerror(errno));
    MUST(WIFEXITED(status), "the child was killed by signal %d", WTERMSIG(status));
    MUST(WEXITSTATUS(status) == 0, "the child failed with status %d (its words are on standard error)", WEXITSTATUS(status));
}

void frame_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0)
        MUST(errno == EINTR, "waitpid(%d): %s", (int)pid, strerror(errno));
}

static char thread_state(pid_t pid, pid_t tid)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)(pid ? pid : getpid()), (int)tid);
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = '\0';
    char *state = strrchr(text, ')');
    return state && state[1] == ' ' ? state[2] : '?';
}

/* Asleep once may be a lock on the way; asleep five times in a row is the wait. */
void frame_asleep(pid_t pid, pid_t tid)
{
    int64_t deadline = frame_now() + PATIENCE;
    for (int seen = 0; seen < 5; pause_1ms()) {
        seen = thread_state(pid, tid) == 'S' ? seen + 1 : 0;
        MUST(frame_now() < deadline, "thread %d never went to sleep (state %c)", (int)tid, thread_state(pid, tid));
    }
}

void frame_until(const volatile int *flag)
{
    int64_t deadline = frame_now() + PATIENCE;
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE)) {
        MUST(frame_now() < deadline, "waited 30 s in vain");
        pause_1ms();
    }
}
