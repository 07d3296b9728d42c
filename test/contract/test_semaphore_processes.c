/* SPDX-License-Identifier: MIT */
/* Semaphores between processes: waking, interruption, death, removal, birth, and a thousand at once. */
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "semaphore.h"
#include "third.h"

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(memory != MAP_FAILED, "mmap: %s", strerror(errno));
    return memory;
}

/* A child that runs `body` on the semaphore, opened by itself, and sleeps in it by the time this returns. */
static pid_t sleeper(const struct semaphore_row *row, void (*body)(tong_semaphore *))
{
    pid_t child = frame_fork();
    if (child == 0) {
        tong_semaphore *s = semaphore_open(row, "create=no");
        body(s);
        OK(tong_semaphore_close(s));
        _exit(0);
    }
    frame_asleep(child, child);
    return child;
}

static void wait_for_ever(tong_semaphore *s)
{
    OK(tong_semaphore_wait(s, 0, TONG_FOREVER));
}

static void wait_a_minute(tong_semaphore *s)
{
    OK(tong_semaphore_wait(s, 0, 60 * TONG_SECOND));
}

static void test_wakes(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, NULL);
    for (int i = 0; i < 2; i++) {
        pid_t child = sleeper(row, i ? wait_a_minute : wait_for_ever);
        OK(tong_semaphore_post(s, 0));
        frame_join(child);
        GIVES(semaphore_value(s, 0), 0);
    }
    semaphore_end(row, s);
}

/* ---- Interruption ------------------------------------------------------------------------------------------ */

static void on_signal(int number)
{
    (void)number;
}

static void catch_signal(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGUSR1, &action, NULL);
}

static void interrupted_for_ever(tong_semaphore *s)
{
    catch_signal();
    GIVES(tong_semaphore_wait(s, 0, TONG_FOREVER), -EINTR);
}

static void interrupted_minute(tong_semaphore *s)
{
    catch_signal();
    GIVES(tong_semaphore_wait(s, 0, 60 * TONG_SECOND), -EINTR);
}

static void test_interrupted(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, NULL);
    for (int i = 0; i < 2; i++) {
        pid_t child = sleeper(row, i ? interrupted_minute : interrupted_for_ever);
        kill(child, SIGUSR1);
        frame_join(child);
    }
    OK(tong_semaphore_post(s, 0));
    GIVES(semaphore_value(s, 0), 1);
    semaphore_end(row, s);
}

/* ---- Death and removal --------------------------------------------------------------------------------------- */

/* A child that takes counter 0 with these flags, says so, and lives until it is killed. */
static pid_t taker(tong_semaphore *s, uint32_t flags, int *taken)
{
    *taken = 0;
    pid_t child = frame_fork();
    if (child)
        return child;
    tong_semaphore_operation take = { sizeof take, flags, 0, -1 };
    OK(tong_semaphore_operate(s, &take, 1, 0));
    __atomic_store_n(taken, 1, __ATOMIC_RELEASE);
    for (;;)
        pause();
}

struct waker {
    tong_semaphore *semaphore;
    int64_t woken;
    int tid;
};

static void *wait_in_thread(void *argument)
{
    struct waker *waker = argument;
    __atomic_store_n(&waker->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    OK(tong_semaphore_wait(waker->semaphore, 0, 10 * TONG_SECOND));
    waker->woken = frame_now();
    return NULL;
}

static int64_t undone_after(const void *semaphore)
{
    tong_semaphore *s = *(tong_semaphore *const *)semaphore;
    int *taken = shared(sizeof *taken);
    pid_t child = taker(s, TONG_SEMAPHORE_UNDO, taken);
    frame_until(taken);
    struct waker waker = { s, 0, 0 };
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, wait_in_thread, &waker) == 0, "pthread_create");
    frame_until(&waker.tid);
    frame_asleep(0, waker.tid);
    int64_t killed = frame_now();
    frame_kill(child);
    pthread_join(thread, NULL);
    OK(tong_semaphore_post(s, 0));
    munmap(taken, sizeof *taken);
    return waker.woken - killed;
}

/* The kernel undoes what a process did after it has taken its memory apart, of which a watched one has very much. */
static void test_undone(const struct semaphore_row *row)
{
    const int64_t bound = (frame_watched() ? 50 : 10) * TONG_MILLISECOND;
    tong_semaphore *s = semaphore_open(row, "value=1");
    int64_t after = third_least(bound, undone_after, &s);
    MUST(after < bound, "the dead holder's turn came back after %lld ns", (long long)after);
    GIVES(semaphore_value(s, 0), 1);
    semaphore_end(row, s);
}

static void test_not_undone(const struct semaphore_row *row)
{
    int *taken = shared(sizeof *taken);
    tong_semaphore *s = semaphore_open(row, "value=1");
    pid_t child = taker(s, 0, taken);
    frame_until(taken);
    frame_kill(child);
    GIVES(tong_semaphore_wait(s, 0, 0), -EAGAIN);
    GIVES(tong_semaphore_wait(s, 0, 20 * TONG_MILLISECOND), -ETIMEDOUT);
    semaphore_end(row, s);
    munmap(taken, sizeof *taken);
}

static void removed_while_waiting(tong_semaphore *s)
{
    GIVES(tong_semaphore_wait(s, 0, TONG_FOREVER), -EIDRM);
    MUST(strstr(tong_detail(), "RemoveIPC"), "not told who may have: %s", tong_detail());
}

static void test_removed(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, NULL);
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    pid_t child = sleeper(row, removed_while_waiting);
    OK(tong_semaphore_get(s, 0, &info));
    GIVES(info.waiting, 1);
    OK(tong_remove(semaphore_address(row, NULL)));
    frame_join(child);
    GIVES(tong_semaphore_wait(s, 0, TONG_FOREVER), -EIDRM);
    GIVES(tong_semaphore_post(s, 0), -EIDRM);
    GIVES(tong_semaphore_get(s, 0, &info), -EIDRM);
    OK(tong_semaphore_close(s));
}

/* ---- Birth --------------------------------------------------------------------------------------------------- */

/* Whoever opens it sees it finished: rounds of openers that all start at once. */
static void test_birth(const struct semaphore_row *row)
{
    enum { ROUNDS = 60, OPENERS = 8 };
    static const char *const options[] = { "value=7", "value=7&count=200", "value=7&count=2000" };
    int *go = shared(2 * sizeof *go), *made = go + 1;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t children[OPENERS];
        *go = *made = 0;
        for (int i = 0; i < OPENERS; i++) {
            children[i] = frame_fork();
            if (children[i])
                continue;
            while (!__atomic_load_n(go, __ATOMIC_ACQUIRE))
                sched_yield();
            tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
            tong_semaphore *s = semaphore_open(row, options[row->has & HAS_SETS ? round % 3 : 0]);
            OK(tong_semaphore_get(s, tong_semaphore_count(s) - 1, &info));
            GIVES(info.value, 7);
            __atomic_add_fetch(made, !!(info.flags & TONG_INFO_CREATED), __ATOMIC_RELAXED);
            OK(tong_semaphore_close(s));
            _exit(0);
        }
        __atomic_store_n(go, 1, __ATOMIC_RELEASE);
        for (int i = 0; i < OPENERS; i++)
            frame_join(children[i]);
        GIVES(*made, 1);
        OK(tong_remove(semaphore_address(row, NULL)));
    }
    munmap(go, 2 * sizeof *go);
}

/* ---- Threads and system calls ---------------------------------------------------------------------------------- */

enum { THREADS = 8, TURNS = 500 };

struct crowd {
    tong_semaphore *semaphore;
    int inside, sum;
};

static void *take_turns(void *argument)
{
    struct crowd *crowd = argument;
    for (int i = 0; i < TURNS; i++) {
        OK(tong_semaphore_wait(crowd->semaphore, 0, 30 * TONG_SECOND));
        MUST(__atomic_add_fetch(&crowd->inside, 1, __ATOMIC_RELAXED) == 1, "two at once");
        /* in two steps, as sum++ would be; atomic each, because ThreadSanitizer knows nothing of semop and sem_clockwait */
        int sum = __atomic_load_n(&crowd->sum, __ATOMIC_RELAXED);
        __atomic_store_n(&crowd->sum, sum + 1, __ATOMIC_RELAXED);
        __atomic_sub_fetch(&crowd->inside, 1, __ATOMIC_RELAXED);
        OK(tong_semaphore_post(crowd->semaphore, 0));
    }
    return NULL;
}

static void test_threads(const struct semaphore_row *row)
{
    struct crowd crowd = { semaphore_open(row, "value=1"), 0, 0 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, take_turns, &crowd) == 0, "pthread_create");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    GIVES(crowd.sum, THREADS * TURNS);
    semaphore_end(row, crowd.semaphore);
}

/* In strict seccomp every system call but exit(2), read and write kills. */
static void test_silence(const struct semaphore_row *row)
{
    tong_semaphore *s = semaphore_open(row, NULL);
    pid_t child = frame_fork();
    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
            _exit(1);
        int wrong = 0;
        for (int i = 0; i < 1000; i++)
            wrong |= tong_semaphore_post(s, 0) | tong_semaphore_wait(s, 0, TONG_FOREVER);
        wrong |= tong_semaphore_wait(s, 0, 0) != -EAGAIN;
        syscall(SYS_exit, wrong);
    }
    frame_join(child);
    semaphore_end(row, s);
}

/* ---- A thousand ------------------------------------------------------------------------------------------------ */

enum { PROCESSES = 1000, ADDITIONS = 20 };

/* Read, let others run, write: without a lock an addition of theirs is lost. */
static void add_slowly(volatile int *cell)
{
    int value = *cell;
    sched_yield();
    *cell = value + 1;
}

/* Process `number` adds to the cells; s is NULL: without a lock. */
typedef void work(tong_semaphore *s, volatile int *cells, unsigned number);

/* All start at once, when the pipe is closed. */
static void run_thousand(tong_semaphore *s, volatile int *cells, work *body)
{
    static pid_t children[PROCESSES];
    int gate[2];
    char byte;
    MUST(pipe(gate) == 0, "pipe: %s", strerror(errno));
    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = frame_fork();
        if (children[i])
            continue;
        close(gate[1]);
        MUST(read(gate[0], &byte, 1) == 0, "the gate");
        body(s, cells, i);
        _exit(0);
    }
    close(gate[0]);
    close(gate[1]);
    for (unsigned i = 0; i < PROCESSES; i++)
        frame_join(children[i]);
}

static void add_unlocked(tong_semaphore *s, volatile int *cells, unsigned number)
{
    (void)s, (void)number;
    for (int i = 0; i < ADDITIONS; i++)
        add_slowly(cells);
}

static void add_locked(tong_semaphore *s, volatile int *cells, unsigned number)
{
    (void)number;
    for (int i = 0; i < ADDITIONS; i++) {
        OK(tong_semaphore_wait(s, 0, 60 * TONG_SECOND));
        add_slowly(cells);
        OK(tong_semaphore_post(s, 0));
    }
}

/* Each cell has a lock of its own, and belongs to two processes. */
static void add_each_its_own(tong_semaphore *s, volatile int *cells, unsigned number)
{
    for (unsigned i = 0; i < ADDITIONS; i++) {
        unsigned cell = (number + i % 2) % PROCESSES;
        OK(tong_semaphore_wait(s, cell, 60 * TONG_SECOND));
        add_slowly(&cells[cell]);
        OK(tong_semaphore_post(s, cell));
    }
}

static void test_thousand(const struct semaphore_row *row)
{
    int *cell = shared(sizeof *cell);
    run_thousand(NULL, cell, add_unlocked);
    MUST(*cell < PROCESSES * ADDITIONS, "a thousand processes without a lock lost nothing: the test shows nothing");
    tong_semaphore *s = semaphore_open(row, "value=1");
    *cell = 0;
    run_thousand(s, cell, add_locked);
    GIVES(*cell, PROCESSES * ADDITIONS);
    semaphore_end(row, s);
    munmap(cell, sizeof *cell);
}

static void test_thousand_locks(const struct semaphore_row *row)
{
    int *cells = shared(PROCESSES * sizeof *cells);
    tong_semaphore *s = semaphore_open(row, "value=1&count=1000");
    run_thousand(s, cells, add_each_its_own);
    for (int i = 0; i < PROCESSES; i++)
        GIVES(cells[i], ADDITIONS);
    semaphore_end(row, s);
    munmap(cells, PROCESSES * sizeof *cells);
}

const struct semaphore_test semaphore_process_tests[] = {
    { "wakes", test_wakes, 0, 20 },
    { "interrupted", test_interrupted, 0, 20 },
    { "undone", test_undone, HAS_UNDO, 30 },
    { "not-undone", test_not_undone, 0, 20 },
    { "removed-while-waiting", test_removed, HAS_REMOVAL, 20 },
    { "born-finished", test_birth, 0, 60 },
    { "threads", test_threads, 0, 60 },
    { "no-system-call", test_silence, HAS_SILENCE, 10 },
    { "a-thousand-processes", test_thousand, 0, 120 },
    { "a-thousand-locks", test_thousand_locks, HAS_SETS, 120 },
    { NULL, NULL, 0, 0 },
};
