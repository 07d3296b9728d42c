/* SPDX-License-Identifier: MIT */
/* What threads are in: BPF and /proc say the same of each, to the last argument, turn and address. */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inspect/kernel.h"
#include "inspect/locks.h"
#include "inspect/waits.h"
#include "look.h"

#define WIDE (INT64_C(0x5a5a5a5a) << 32) /* what a register may hold above an argument of 32 bits */
#define PROCESSES 3

/* ---- Who is looked at -------------------------------------------------------------------------------------- */

static int quiet[2], told[2];

static void in_read(void)
{
    char byte;
    read(quiet[0], &byte, 1);
}

static void in_wide_read(void)
{
    char byte;
    syscall(SYS_read, WIDE | quiet[0], &byte, 1);
}

static void in_poll(void)
{
    struct pollfd items[] = { { quiet[0], POLLIN, 0 }, { -1, 0, 0 } };
    poll(items, 2, -1);
}

static void in_futex(void)
{
    int word = 1;
    syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

static void in_sleep(void)
{
    nanosleep(&(struct timespec){ 1000, 0 }, NULL);
}

static void in_no_call(void)
{
    for (volatile int busy = 1; busy; )
        ;
}

#ifdef __x86_64__
/* As a program of 32 bits calls: the number is of another table, and the arguments are in other registers. */
static long call_narrowly(long number)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(7), "c"(8), "d"(9) : "memory", "r8", "r9", "r10", "r11");
    return result;
}

static void in_narrow_pause(void)
{
    call_narrowly(29);
}

static bool calls_narrowly(void)
{
    int status;
    pid_t child = frame_fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(call_narrowly(20) == getpid() ? 0 : 2);
    }
    MUST(waitpid(child, &status, 0) == child, "waitpid");
    return status == 0;
}
#else
static void in_narrow_pause(void)
{
}

static bool calls_narrowly(void)
{
    return false;
}
#endif

/* The last two are not always there: who runs all the time, and who calls as a program of 32 bits. */
static void (*const ways[])(void) = { in_read, in_wide_read, in_poll, in_futex, in_sleep, in_no_call, in_narrow_pause };
#define SLEEPING 5
#define ALL 7

static void *go(void *way)
{
    pid_t tid = gettid();
    MUST(write(told[1], &tid, sizeof tid) == sizeof tid, "write");
    (*(void (*const *)(void))way)();
    return NULL;
}

/* A process whose threads go these ways; its first sleeps, too, or is no more. */
static pid_t start(int count, bool headless)
{
    pthread_t thread;
    pid_t child = frame_fork(), tid;
    if (child == 0) {
        for (int i = 0; i < count; i++)
            MUST(pthread_create(&thread, NULL, go, (void *)&ways[i]) == 0, "pthread_create");
        if (headless)
            pthread_exit(NULL);
        for (;;)
            pause();
    }
    for (int i = 0; i < count; i++)
        MUST(read(told[0], &tid, sizeof tid) == sizeof tid, "a thread did not start");
    return child;
}

/* ---- Looks ------------------------------------------------------------------------------------------------- */

struct sight {
    struct scan scan;
    struct kernel_list calls; /* what the kernel's program said of everybody */
};

static void begin(struct sight *sight, uint32_t flags)
{
    *sight = (struct sight){ .scan.look = { sizeof(tong_look), flags, NULL } };
    sight->scan.graph = calloc(1, sizeof *sight->scan.graph);
    MUST(sight->scan.graph && proc_open(&sight->scan.proc, "/proc") == 0, "proc_open");
    OK(kernel_open(&sight->scan));
    OK(probe_own(&sight->scan));
}

static void end(struct sight *sight)
{
    waits_free(sight->scan.waits);
    locks_free(sight->scan.locks);
    free(sight->scan.listed);
    free(sight->scan.calls);
    free(sight->scan.sleepers);
    free(sight->scan.identities.item);
    free(sight->calls.item);
    proc_close(&sight->scan.proc);
    tong_snapshot_free(sight->scan.graph);
}

static void look_plainly(struct sight *sight)
{
    begin(sight, TONG_LOOK_WAITS | TONG_LOOK_PLAINLY);
    OK(probe_processes(&sight->scan));
    OK(probe_lock_list(&sight->scan));
    OK(probe_waits(&sight->scan));
}

static void look_by_kernel(struct sight *sight)
{
    begin(sight, TONG_LOOK_WAITS);
    OK(kernel_processes(&sight->scan));
    OK(probe_lock_list(&sight->scan));
    OK(kernel_calls(&sight->scan));
    OK(kernel_waits(&sight->scan));
    OK(kernel_run(sight->scan.kernel, "calls", sizeof(struct call_seen), &sight->calls));
}

/* How many of the process's threads sleep, and of how many the kernel says in which call, without /proc. */
static int told_of(const struct sight *sight, pid_t pid, int *ret_asleep)
{
    int count = 0;
    *ret_asleep = 0;
    for (size_t i = 0; i < sight->calls.count; i++) {
        const struct call_seen *seen = (const struct call_seen *)sight->calls.item + i;
        uint32_t process = kernel_process_of_thread(&sight->scan, &seen->who);
        if (process == TONG_NOBODY || graph_process_at(sight->scan.graph, process)->pid != pid)
            continue;
        count += seen->kind == CALL_SEEN_CALL && seen->number >= 0;
        *ret_asleep += seen->state != 0 && seen->kind != CALL_SEEN_NONE;
    }
    return count;
}

/* ---- That they say the same -------------------------------------------------------------------------------- */

static void compare_thread(const struct sight *one, const struct thread_seen *a, const struct sight *other,
                           const struct thread_seen *b)
{
    GIVES(a->tid, b->tid);
    MUST(a->mark == b->mark, "thread %lld: mark %llx by BPF, %llx by /proc", (long long)a->tid,
         (unsigned long long)a->mark, (unsigned long long)b->mark);
    GIVES(a->stopped, b->stopped);
    GIVES(a->certain, b->certain);
    GIVES(a->count, b->count);
    MUST(!a->stopped || a->turns == b->turns, "thread %lld: turns", (long long)a->tid);
    for (uint32_t i = 0; i < a->count; i++) {
        const tong_wait_seen *its = graph_waits(one->scan.graph) + a->first + i;
        const tong_wait_seen *same = graph_waits(other->scan.graph) + b->first + i;
        MUST(!strcmp(its->operation, same->operation) && !strcmp(its->detail, same->detail) && its->flags == same->flags,
             "thread %lld: %s for %s by BPF, %s for %s by /proc", (long long)a->tid, its->operation, its->detail,
             same->operation, same->detail);
    }
}

/* How many threads it has. */
static int compare(const struct sight *one, const struct sight *other, pid_t pid)
{
    uint32_t process = graph_process(one->scan.graph, pid), same = graph_process(other->scan.graph, pid);
    MUST(process != TONG_NOBODY && same != TONG_NOBODY, "process %d", (int)pid);
    const uint32_t *first = one->scan.waits->first_thread + process, *others = other->scan.waits->first_thread + same;
    GIVES(first[1] - first[0], others[1] - others[0]);
    for (uint32_t i = 0; i < first[1] - first[0]; i++)
        compare_thread(one, waits_threads(one->scan.waits) + *first + i, other,
                       waits_threads(other->scan.waits) + *others + i);
    return (int)(first[1] - first[0]);
}

/* Who was told to sleep may still be in the queue of its processor for a while, and is left to /proc. */
static void until_told(pid_t pid, int calls, int asleep)
{
    struct sight sight;
    bool enough = false;
    for (int64_t deadline = frame_now() + INT64_C(10000000000); !enough; end(&sight)) {
        look_by_kernel(&sight);
        int sleeping, in_calls = told_of(&sight, pid, &sleeping);
        enough = in_calls == calls && sleeping == asleep;
        MUST(enough || frame_now() < deadline, "process %d: %d sleep, %d calls told", (int)pid, sleeping,
             in_calls);
    }
}

static void until_stopped(pid_t pid)
{
    int status;
    MUST(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status), "SIGSTOP");
}

static void test_calls(int unused)
{
    (void)unused;
    bool narrowly = calls_narrowly();
    int most = narrowly ? ALL : ALL - 1;
    struct sight plain, sight;
    MUST(pipe2(quiet, O_CLOEXEC) == 0 && pipe2(told, O_CLOEXEC) == 0, "pipe2");
    const pid_t pids[PROCESSES] = { start(SLEEPING, false), start(most, false), start(SLEEPING, true) };
    until_told(pids[0], 1 + SLEEPING, 1 + SLEEPING);
    until_told(pids[1], 1 + SLEEPING, most);
    until_told(pids[2], SLEEPING, SLEEPING);
    until_stopped(pids[1]);
    look_by_kernel(&sight);
    look_plainly(&plain);
    GIVES(compare(&sight, &plain, pids[0]), 1 + SLEEPING);
    GIVES(compare(&sight, &plain, pids[1]), 1 + most);
    GIVES(compare(&sight, &plain, pids[2]), 1 + SLEEPING);
    end(&sight);
    end(&plain);
    MUST(kill(pids[1], SIGCONT) == 0, "SIGCONT");
    until_told(pids[1], 1 + SLEEPING, most);
    look_by_kernel(&sight);
    look_plainly(&plain);
    GIVES(compare(&sight, &plain, pids[1]), 1 + most);
    end(&sight);
    end(&plain);
    for (int i = 0; i < PROCESSES; i++)
        frame_kill(pids[i]);
    for (int i = 0; i < 2; i++) {
        close(quiet[i]);
        close(told[i]);
    }
}

/* ---- What is open may become another ----------------------------------------------------------------------- */

static int other[2], order[2];

enum replacer { THREAD, PROCESS, PASSING }; /* the last is a process that ends when it is done */

/* Once it is told to, it puts another pipe in place of the one that is read from, and says so. */
static void *replace(void *passes)
{
    char byte;
    MUST(read(order[0], &byte, 1) == 1 && dup2(other[0], quiet[0]) == quiet[0], "dup2");
    MUST(write(told[1], "", 1) == 1, "write");
    if (passes)
        _exit(0);
    pause();
    return NULL;
}

/* Beside the first thread, which never wakes: another one, or a process that has the same descriptors. */
static pid_t start_replacing(enum replacer who)
{
    static const unsigned long flags[] = { [PROCESS] = CLONE_FILES | SIGCHLD,
                                           [PASSING] = CLONE_FILES | CLONE_PARENT | SIGCHLD };
    pthread_t thread;
    pid_t child = frame_fork();
    if (child)
        return child;
    pid_t sharer = who == THREAD ? -1 : (pid_t)syscall(SYS_clone, flags[who], NULL, NULL, NULL, NULL);
    if (sharer == 0) {
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "prctl");
        replace(who == PASSING ? order : NULL);
    }
    MUST(who == THREAD ? pthread_create(&thread, NULL, replace, NULL) == 0 : sharer > 0, "who replaces");
    in_read();
    _exit(1);
}

/* What the first thread of a process waits for. */
static uint32_t kind_waited_for(const struct sight *sight, pid_t pid)
{
    const tong_snapshot *graph = sight->scan.graph;
    for (size_t i = 0; i < graph->waits.count; i++)
        if (graph_waits(graph)[i].thread == pid && graph_waits(graph)[i].object != TONG_NOBODY)
            return tong_snapshot_object(graph, graph_waits(graph)[i].object)->kind;
    return 0;
}

static void have_replaced(enum replacer who)
{
    char byte;
    MUST(write(order[1], "", 1) == 1 && read(told[0], &byte, 1) == 1, "it was not replaced");
    MUST(who != PASSING || waitpid(-1, NULL, 0) > 0, "waitpid");
}

static uint32_t look_around(struct sight *sight, pid_t pid, bool replaces, enum replacer who)
{
    begin(sight, TONG_LOOK_WAITS);
    OK(kernel_processes(&sight->scan));
    OK(probe_lock_list(&sight->scan));
    OK(kernel_calls(&sight->scan));
    OK(kernel_descriptors(&sight->scan));
    if (replaces)
        have_replaced(who);
    OK(kernel_waits(&sight->scan));
    uint32_t kind = kind_waited_for(sight, pid);
    end(sight);
    return kind;
}

static void test_replaced(int who)
{
    struct sight sight;
    MUST(pipe(quiet) == 0 && pipe(other) == 0 && pipe(told) == 0 && pipe(order) == 0, "pipe");
    pid_t child = start_replacing((enum replacer)who);
    frame_asleep(child, child);
    GIVES(look_around(&sight, child, false, (enum replacer)who), TONG_KIND_PIPE);
    GIVES(look_around(&sight, child, true, (enum replacer)who), 0);
    frame_kill(child);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    int *const pipes[] = { quiet, other, told, order };
    for (size_t i = 0; i < sizeof pipes / sizeof *pipes; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

int main(int argc, char **argv)
{
    frame_begin("inspect_call", argc, argv);
    if (look_is_by_kernel()) {
        frame_run("the same by BPF and by /proc", test_calls, 0, 60);
        frame_run("a thread replaces what another reads from", test_replaced, THREAD, 20);
        frame_run("a process that has the same descriptors does", test_replaced, PROCESS, 20);
        frame_run("a process that has the same descriptors does, and ends", test_replaced, PASSING, 20);
    } else
        frame_skip("what threads are in, by BPF", "not allowed, or this kernel cannot");
    return frame_end();
}
