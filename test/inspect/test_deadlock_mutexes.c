/* SPDX-License-Identifier: MIT */
/* Locks in memory, within a process and between several, whose holders wait for each other or are dead; and their twins
 * that are well. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "stage.h"

/* ---- Mutexes ---------------------------------------------------------------------------------------------- */

enum { PLAIN, ROBUST, INHERITING };

static pthread_mutex_t *mutex_of(const struct stage *stage, int number)
{
    _Static_assert(sizeof(pthread_mutex_t) <= sizeof stage->locks->place[0], "a mutex does not fit");
    return (pthread_mutex_t *)(void *)stage->locks->place[number];
}

static void begin_mutexes(struct stage *stage, int kind)
{
    pthread_mutexattr_t attributes;
    stage_begin(stage);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (kind == ROBUST)
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (kind == INHERITING)
        pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    for (int i = 0; i < 2; i++)
        pthread_mutex_init(mutex_of(stage, i), &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static void lock_mutexes(struct stage *stage, int first)
{
    pthread_mutex_lock(mutex_of(stage, first));
    stage_meet(stage, 2);
    pthread_mutex_lock(mutex_of(stage, 1 - first));
}

static void mutex_forward(struct stage *stage)
{
    lock_mutexes(stage, 0);
}

static void mutex_backward(struct stage *stage)
{
    lock_mutexes(stage, 1);
}

/* If both close the circle at once, both are refused. */
static void mutex_backward_later(struct stage *stage)
{
    pthread_mutex_lock(mutex_of(stage, 1));
    stage_meet(stage, 2);
    frame_asleep(stage->actor[0], stage->actor[0]);
    pthread_mutex_lock(mutex_of(stage, 0));
}

static void mutex_and_idle(struct stage *stage)
{
    pthread_mutex_lock(mutex_of(stage, 1));
    stage_meet(stage, 2);
    stage_idle(stage);
}

static void mutex_for_an_hour(struct stage *stage)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 3600;
    pthread_mutex_lock(mutex_of(stage, 1));
    stage_meet(stage, 2);
    pthread_mutex_timedlock(mutex_of(stage, 0), &until);
}

static void mutexes(int kind)
{
    struct stage stage;
    begin_mutexes(&stage, kind);
    stage_start_two(&stage, mutex_forward, SYS_futex, mutex_backward, SYS_futex);
    stage_found(&stage, TONG_FINDING_STUCK, "which is held by");
    stage_end(&stage);
}

static void mutex_and_read(struct stage *stage)
{
    close(stage->pair[1]);
    pthread_mutex_lock(mutex_of(stage, 0));
    stage_meet(stage, 2);
    stage_take_byte(stage->pair[0]);
}

static void mutex_before_answer(struct stage *stage)
{
    close(stage->pair[0]);
    stage_meet(stage, 2);
    pthread_mutex_lock(mutex_of(stage, 0));
}

static void mutex_and_think(struct stage *stage)
{
    close(stage->pair[1]);
    pthread_mutex_lock(mutex_of(stage, 0));
    stage_meet(stage, 2);
    stage_idle(stage);
}

static void socket_and_mutex(int kind)
{
    struct stage stage;
    begin_mutexes(&stage, kind);
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    stage_start_two(&stage, mutex_and_read, SYS_read, mutex_before_answer, SYS_futex);
    stage_found(&stage, TONG_FINDING_STUCK, "lock in");
    stage_end(&stage);
}

static void socket_and_mutex_well(int kind)
{
    struct stage stage;
    begin_mutexes(&stage, kind);
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    stage_start_two(&stage, mutex_and_think, SYS_clock_nanosleep, mutex_before_answer, SYS_futex);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* In a circle of inheriting mutexes the kernel finds the deadlock (EDEADLK), and libc makes who closed it sleep for ever on
 * a word that nobody else knows. */
static void inheriting(int i)
{
    struct stage stage;
    (void)i;
    begin_mutexes(&stage, INHERITING);
    stage_start_two(&stage, mutex_forward, SYS_futex, mutex_backward_later, SYS_futex);
    for (int actor = 0; actor < 2; actor++) /* who is refused leaves that call for the one that it stays in */
        frame_asleep(stage.actor[actor], stage.actor[actor]);
    stage_found(&stage, TONG_FINDING_STUCK, "which is held by|its own threads alone");
    stage_end(&stage);
}

static void mutexes_well(int kind)
{
    struct stage stage;
    begin_mutexes(&stage, kind);
    stage_start_two(&stage, mutex_forward, SYS_futex, mutex_and_idle, SYS_clock_nanosleep);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void mutex_timed(int kind)
{
    struct stage stage;
    begin_mutexes(&stage, kind);
    stage_start_two(&stage, mutex_forward, SYS_futex, mutex_for_an_hour, SYS_futex);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void mutex_of_dead(struct stage *stage)
{
    pthread_mutex_lock(mutex_of(stage, 0));
}

static void lock_and_end(struct stage *stage)
{
    pthread_mutex_lock(mutex_of(stage, 0));
    _exit(0);
}

/* step: it was not even waited for, and is a zombie. */
static void dead_owner(int zombie)
{
    struct stage stage;
    begin_mutexes(&stage, PLAIN);
    pid_t owner = frame_fork();
    if (owner == 0)
        lock_and_end(&stage);
    const struct stage beside = { .actor = { owner }, .actors = 1 };
    stage_until(&beside, 0, 'Z');
    if (!zombie)
        frame_join(owner);
    stage_act(&stage, mutex_of_dead, SYS_futex);
    stage_found(&stage, TONG_FINDING_STUCK, "which is no more");
    stage_end(&stage);
    if (zombie)
        frame_join(owner);
}

static void living_owner(int i)
{
    struct stage stage;
    (void)i;
    begin_mutexes(&stage, PLAIN);
    stage_start_two(&stage, mutex_forward, SYS_futex, mutex_and_idle, SYS_clock_nanosleep);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* ---- Locks of readers and writers, conditions -------------------------------------------------------------- */

static pthread_rwlock_t *rwlock_of(const struct stage *stage, int number)
{
    _Static_assert(sizeof(pthread_rwlock_t) <= sizeof stage->locks->place[0], "a lock does not fit");
    return (pthread_rwlock_t *)(void *)stage->locks->place[number];
}

static void begin_rwlocks(struct stage *stage)
{
    pthread_rwlockattr_t attributes;
    stage_begin(stage);
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    for (int i = 0; i < 2; i++)
        pthread_rwlock_init(rwlock_of(stage, i), &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

enum { WRITER, READER };

static void lock_rwlocks(struct stage *stage, int first)
{
    int (*take)(pthread_rwlock_t *) = stage->step == WRITER ? pthread_rwlock_wrlock : pthread_rwlock_rdlock;
    take(rwlock_of(stage, first));
    stage_meet(stage, 2);
    pthread_rwlock_wrlock(rwlock_of(stage, 1 - first));
}

static void rwlock_forward(struct stage *stage)
{
    lock_rwlocks(stage, 0);
}

static void rwlock_backward(struct stage *stage)
{
    lock_rwlocks(stage, 1);
}

static void rwlock_and_idle(struct stage *stage)
{
    pthread_rwlock_wrlock(rwlock_of(stage, 1));
    stage_meet(stage, 2);
    stage_idle(stage);
}

/* Who reads is not written down anywhere: who maps it could be one. */
static void rwlocks(int kind)
{
    struct stage stage;
    begin_rwlocks(&stage);
    stage.step = kind;
    stage.certainty = TONG_INFERRED;
    stage_start_two(&stage, rwlock_forward, SYS_futex, rwlock_backward, SYS_futex);
    stage_found(&stage, TONG_FINDING_STUCK, kind == WRITER ? "which is held by" : "a word of|map");
    stage_end(&stage);
}

static void rwlocks_well(int kind)
{
    struct stage stage;
    begin_rwlocks(&stage);
    stage.step = kind;
    stage_start_two(&stage, rwlock_forward, SYS_futex, rwlock_and_idle, SYS_clock_nanosleep);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void rwlock_first_and_idle(struct stage *stage)
{
    pthread_rwlock_wrlock(rwlock_of(stage, 0));
    stage_idle(stage);
}

static void read_under_rwlock(struct stage *stage)
{
    pthread_rwlock_rdlock(rwlock_of(stage, 0));
}

static void wait_for_condition(struct stage *stage)
{
    pthread_cond_t *condition = (pthread_cond_t *)(void *)stage->locks->place[1];
    pthread_mutex_lock(mutex_of(stage, 0));
    pthread_cond_wait(condition, mutex_of(stage, 0));
}

static void begin_condition(struct stage *stage)
{
    pthread_condattr_t attributes;
    begin_mutexes(stage, PLAIN);
    pthread_condattr_init(&attributes);
    pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    memset(stage->locks->place[1], 0, sizeof stage->locks->place[1]);
    pthread_cond_init((pthread_cond_t *)(void *)stage->locks->place[1], &attributes);
    pthread_condattr_destroy(&attributes);
}

static void wait_for_semaphore(struct stage *stage)
{
    sem_wait((sem_t *)(void *)stage->locks->place[0]);
}

static void begin_semaphore(struct stage *stage)
{
    stage_begin(stage);
    sem_init((sem_t *)(void *)stage->locks->place[0], 1, 0);
}

/* One who takes part is dead, and nobody else maps it. */
static const struct {
    void (*begin)(struct stage *stage);
    void (*partner)(struct stage *stage);
    void (*wait)(struct stage *stage);
    const char *words;
} partners[] = {
    { begin_rwlocks, rwlock_first_and_idle, read_under_rwlock, "which is no more" },
    { begin_condition, stage_idle, wait_for_condition, "a word of|which only itself maps" },
    { begin_semaphore, stage_idle, wait_for_semaphore, "a word of|which only itself maps" },
};

static void partner(int number, bool dies)
{
    struct stage stage;
    partners[number].begin(&stage);
    stage_act(&stage, partners[number].partner, SYS_clock_nanosleep);
    stage_act(&stage, partners[number].wait, SYS_futex);
    stage_let_go(&stage);
    if (dies) {
        frame_kill(stage.actor[0]);
        stage.actor[0] = stage.actor[--stage.actors];
        stage_found(&stage, TONG_FINDING_STUCK, partners[number].words);
    } else {
        stage_quiet(&stage);
    }
    stage_end(&stage);
}

static void partner_dead(int number)
{
    partner(number, true);
}

static void partner_idle(int number)
{
    partner(number, false);
}

/* ---- A semaphore with a name ------------------------------------------------------------------------------- */

static sem_t *open_named(void)
{
    char name[64];
    snprintf(name, sizeof name, "/%s", frame_mark());
    sem_t *semaphore = sem_open(name, O_CREAT, 0600, 0);
    MUST(semaphore != SEM_FAILED, "sem_open: %s", strerror(errno));
    return semaphore;
}

static void unlink_named(void)
{
    char name[64];
    snprintf(name, sizeof name, "/%s", frame_mark());
    sem_unlink(name);
}

static void wait_for_named(struct stage *stage)
{
    (void)stage;
    sem_wait(open_named());
}

/* Whoever knows the name could post it, as a client does to a server: only without it is that nobody. */
static void named(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage_act(&stage, wait_for_named, SYS_futex);
    if (!well)
        unlink_named();
    stage.certainty = TONG_INFERRED;
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "which only itself maps");
    unlink_named();
    stage_end(&stage);
}

/* ---- Waiting for one of many words -------------------------------------------------------------------------- */

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* struct futex_waitv, which older headers lack. */
struct word {
    uint64_t value, at;
    uint32_t flags, zero;
};
#define WORD_OF_32_BITS 2u

static void wait_for_words(struct stage *stage)
{
    const struct word words[] = {
        { 0, (uintptr_t)stage->locks->place[0], WORD_OF_32_BITS, 0 },
        { 0, (uintptr_t)stage->locks->place[1], WORD_OF_32_BITS, 0 },
    };
    syscall(SYS_futex_waitv, words, 2, 0, NULL, CLOCK_MONOTONIC);
}

static void words(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage_act(&stage, wait_for_words, SYS_futex_waitv);
    if (well)
        stage_act(&stage, stage_idle, SYS_clock_nanosleep);
    stage_let_go(&stage);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "waits in futex_waitv for a word of|which only itself maps");
    stage_end(&stage);
}

/* ---- Threads ----------------------------------------------------------------------------------------------- */

static void *idle_thread(void *stage)
{
    stage_idle(stage);
    return NULL;
}

static void *hold_second_in_thread(void *argument)
{
    atomic_store(&((struct stage *)argument)->shared->heir[0], (int)gettid());
    mutex_and_idle(argument);
    return NULL;
}

/* Two of three threads lock each other out; the third is at leisure, and could not help. */
static void *lock_backward_in_thread(void *argument)
{
    atomic_store(&((struct stage *)argument)->shared->heir[0], (int)gettid());
    lock_mutexes(argument, 1);
    return NULL;
}

static void lock_among_threads(struct stage *stage)
{
    pthread_t thread;
    pthread_mutex_init(mutex_of(stage, 0), NULL); /* private ones, wherever they lie */
    pthread_mutex_init(mutex_of(stage, 1), NULL);
    pthread_create(&thread, NULL, idle_thread, stage);
    if (stage->step == 0)
        pthread_create(&thread, NULL, lock_backward_in_thread, stage);
    else
        pthread_create(&thread, NULL, hold_second_in_thread, stage);
    lock_mutexes(stage, 0);
}

static void threads(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = well;
    stage_act(&stage, lock_among_threads, SYS_futex);
    struct stage beside = { .actor = { atomic_load(&stage.shared->heir[0]) }, .actors = 1 };
    stage_asleep(&beside, 0, well ? SYS_clock_nanosleep : SYS_futex);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "(thread ");
    stage_end(&stage);
}


static const struct stage_case cases[] = {
    { "mutexes", mutexes, PLAIN, "mutexes of one at leisure", mutexes_well, PLAIN },
    { "robust mutexes", mutexes, ROBUST, "robust mutexes of one at leisure", mutexes_well, ROBUST },
    { "inheriting mutexes", inheriting, 0, "inheriting mutexes of one at leisure", mutexes_well, INHERITING },
    { "socket and inheriting mutex", socket_and_mutex, INHERITING, "socket and inheriting mutex of one at leisure",
      socket_and_mutex_well, INHERITING },
    { "socket and robust mutex", socket_and_mutex, ROBUST, "socket and robust mutex of one at leisure",
      socket_and_mutex_well, ROBUST },
    { "a dead owner", dead_owner, 0, "a living owner", living_owner, 0 },
    { "an owner that is a zombie", dead_owner, 1, "an owner with a limit", mutex_timed, PLAIN },
    { "locks of writers", rwlocks, WRITER, "locks of writers, one at leisure", rwlocks_well, WRITER },
    { "locks of readers", rwlocks, READER, "locks of readers, one at leisure", rwlocks_well, READER },
    { "a lock whose writer died", partner_dead, 0, "a lock whose writer is at leisure", partner_idle, 0 },
    { "a condition whose partner died", partner_dead, 1, "a condition whose partner is at leisure", partner_idle, 1 },
    { "a semaphore whose partner died", partner_dead, 2, "a semaphore whose partner is at leisure", partner_idle, 2 },
    { "a semaphore that lost its name", named, 0, "a semaphore with a name", named, 1 },
    { "two threads of three", threads, 0, "a thread at leisure has it", threads, 1 },
};

static const struct stage_case waitv[] = {
    { "one of two words", words, 0, "one of two words that somebody maps", words, 1 },
};

int main(int argc, char **argv)
{
    frame_begin("deadlock_mutexes", argc, argv);
    stage_run(cases, sizeof cases / sizeof *cases);
    if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 && errno == ENOSYS)
        frame_skip("one of two words", "this kernel has no futex_waitv (Linux 5.16)");
    else
        stage_run(waitv, 1);
    return frame_end();
}
