/* SPDX-License-Identifier: MIT */
/* Probes of what processes do to each other in time: signals, counters, locks whose holder dies, priorities. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe/probe.h"

/* ---- Signals --------------------------------------------------------------------------------------------- */

static void take_default(void *argument)
{
    sigset_t set;
    (void)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(SIGUSR1);
}

static int probe_default(struct measured *measured)
{
    int status = probe_child(take_default, NULL);
    if (status < 0)
        return status;
    figure_number(measured, "signal", "SIGUSR1 is number", SIGUSR1, NULL);
    figure_text(measured, "ended", "a process that had not prepared for it",
                WIFSIGNALED(status) ? "was killed by it" : "lived on");
    figure_number(measured, "killed_by", "the signal in its wait status", WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                  NULL);
    measured->shown = WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1;
    return 0;
}

/* How many of three that were sent while it was blocked arrive. */
static int count_arrivals(int number)
{
    sigset_t set;
    int count = 0;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 3; i++)
        sigqueue(getpid(), number, (union sigval){ .sival_int = i });
    while (sigtimedwait(&set, NULL, &(struct timespec){ 0, 0 }) == number)
        count++;
    return count;
}

static void count_both(void *argument)
{
    int *counts = argument;
    counts[0] = count_arrivals(SIGUSR1);
    counts[1] = count_arrivals(SIGRTMIN);
}

static int probe_merge(struct measured *measured)
{
    int *counts = probe_shared(2 * sizeof *counts);
    if (!counts)
        return -errno;
    int status = probe_child(count_both, counts);
    figure_number(measured, "standard", "of three SIGUSR1 that were sent while blocked, arrived", counts[0], NULL);
    figure_number(measured, "real_time", "of three SIGRTMIN that were sent while blocked, arrived", counts[1], NULL);
    measured->shown = status == 0 && counts[0] == 1 && counts[1] == 3;
    munmap(counts, 2 * sizeof *counts);
    return status < 0 ? status : 0;
}

/* ---- One counter, two processes -------------------------------------------------------------------------- */

#define ROUNDS 20000

struct counter {
    sem_t lock;
    volatile int ready, alone, guarded;
};

static void count_up(struct counter *counter)
{
    __atomic_fetch_add(&counter->ready, 1, __ATOMIC_SEQ_CST);
    for (int tries = 0; tries < 100000 && counter->ready < 2; tries++)
        sched_yield(); /* begin together, if the other one comes soon */
    for (int i = 0; i < ROUNDS; i++) {
        int seen = counter->alone;
        if (i % 100 == 0)
            sched_yield(); /* so that it shows on one processor too */
        counter->alone = seen + 1;
    }
    for (int i = 0; i < ROUNDS; i++) {
        while (sem_wait(&counter->lock) < 0)
            ;
        counter->guarded = counter->guarded + 1;
        sem_post(&counter->lock);
    }
}

static void count_in_two(void *argument)
{
    struct counter *counter = argument;
    pid_t other = fork();
    count_up(counter);
    if (other == 0)
        _exit(0);
    while (other > 0 && waitpid(other, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int probe_lost(struct measured *measured)
{
    struct counter *counter = probe_shared(sizeof *counter);
    if (!counter || sem_init(&counter->lock, 1, 1) < 0)
        return -errno;
    int status = probe_child(count_in_two, counter);
    figure_number(measured, "expected", "two processes added one, together", 2 * ROUNDS, "times");
    figure_number(measured, "without", "the counter without a semaphore", counter->alone, NULL);
    figure_number(measured, "with", "the counter with a semaphore", counter->guarded, NULL);
    measured->shown = status == 0 && counter->guarded == 2 * ROUNDS && counter->alone < 2 * ROUNDS;
    sem_destroy(&counter->lock);
    munmap(counter, sizeof *counter);
    return status < 0 ? status : 0;
}

/* ---- A holder that dies ---------------------------------------------------------------------------------- */

struct locks {
    sem_t posix;
    int set;
};

static void die_holding(void *argument)
{
    struct locks *locks = argument;
    sem_trywait(&locks->posix);
    if (semop(locks->set, &(struct sembuf){ 0, -1, SEM_UNDO }, 1) < 0 ||
        semop(locks->set, &(struct sembuf){ 1, -1, 0 }, 1) < 0)
        _exit(1);
    kill(getpid(), SIGKILL);
}

static int try_locks(struct measured *measured, struct locks *locks)
{
    unsigned short ones[2] = { 1, 1 };
    int posix = 0;
    if (semctl(locks->set, 0, SETALL, ones) < 0)
        return -errno;
    int status = probe_child(die_holding, locks);
    if (status < 0 || !WIFSIGNALED(status))
        return status < 0 ? status : -EIO;
    sem_getvalue(&locks->posix, &posix);
    int undone = semctl(locks->set, 0, GETVAL), kept = semctl(locks->set, 1, GETVAL);
    figure_number(measured, "posix", "POSIX semaphore (1 is free) after its holder was killed", posix, NULL);
    figure_number(measured, "sysv", "System V, taken without undo", kept, NULL);
    figure_number(measured, "sysv_undo", "System V, taken with SEM_UNDO", undone, NULL);
    measured->shown = posix == 0 && kept == 0 && undone == 1;
    return 0;
}

static int probe_undo(struct measured *measured)
{
    struct locks *locks = probe_shared(sizeof *locks);
    if (!locks || sem_init(&locks->posix, 1, 1) < 0)
        return -errno;
    locks->set = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
    int r = locks->set < 0 ? -errno : try_locks(measured, locks);
    if (locks->set >= 0)
        semctl(locks->set, 0, IPC_RMID);
    sem_destroy(&locks->posix);
    munmap(locks, sizeof *locks);
    return r;
}

static int probe_set(struct measured *measured)
{
    int count = 1000, set = semget(IPC_PRIVATE, count, IPC_CREAT | 0600);
    if (set < 0)
        return -errno;
    struct semid_ds status;
    int r = semctl(set, 0, IPC_STAT, &status) < 0 ? -errno : 0;
    semctl(set, 0, IPC_RMID);
    figure_number(measured, "sets", "sets made", 1, NULL);
    figure_number(measured, "semaphores", "semaphores in it", r < 0 ? 0 : (double)status.sem_nsems, NULL);
    measured->shown = r == 0 && status.sem_nsems == (unsigned)count;
    return r;
}

/* ---- Priorities ------------------------------------------------------------------------------------------ */

static int try_priorities(struct measured *measured, mqd_t queue)
{
    static const unsigned sent[3] = { 1, 9, 5 };
    unsigned got[3] = { 0, 0, 0 };
    char byte;
    for (int i = 0; i < 3; i++)
        if (mq_send(queue, "", 1, sent[i]) < 0)
            return -errno;
    for (int i = 0; i < 3; i++)
        if (mq_receive(queue, &byte, 1, &got[i]) < 0)
            return -errno;
    snprintf(measured->name, 16, "%u, %u, %u", sent[0], sent[1], sent[2]);
    snprintf(measured->name + 16, 48, "%u, %u, %u", got[0], got[1], got[2]);
    figure_text(measured, "sent", "priorities in the order sent", measured->name);
    figure_text(measured, "received", "priorities in the order received", measured->name + 16);
    measured->shown = got[0] == 9 && got[1] == 5 && got[2] == 1;
    return 0;
}

/* The name is gone before anything is sent, so nobody else can come upon it. */
static int probe_priority(struct measured *measured)
{
    char name[64];
    struct mq_attr shape = { .mq_maxmsg = 3, .mq_msgsize = 1 };
    snprintf(name, sizeof name, "/tong-explain-%ld", (long)getpid());
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0600, &shape);
    if (queue == (mqd_t)-1)
        return -errno;
    mq_unlink(name);
    int r = try_priorities(measured, queue);
    mq_close(queue);
    return r;
}

const struct probe probes_order[] = {
    { "default", "what SIGUSR1 does", "SIGUSR1 has a default action: it kills whoever did not prepare for it:",
      probe_default },
    { "merge", "signals that wait",
      "standard signals that wait become one, real-time signals queue:", probe_merge },
    { "lost", "one counter and two processes",
      "without a semaphore two processes lose each other's updates, with one nothing is lost:", probe_lost },
    { "undo", "a semaphore whose holder dies",
      "the kernel gives back only what was taken with SEM_UNDO; the rest stays taken:", probe_undo },
    { "set", "a set of semaphores", "one set holds as many locks as a thousand processes need:", probe_set },
    { "priority", "the order of a POSIX queue", "the most urgent message is received first:", probe_priority },
    { .name = NULL },
};
