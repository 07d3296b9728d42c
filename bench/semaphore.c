/* SPDX-License-Identifier: MIT */
/*
 * Semaphores, raw and through tong.  A "message" is a post, and receiving it a wait.
 *   pingpong  round trip: two processes wake each other in turn; one way: one posts, the other keeps up as it can
 *   free      one process alone, so that nobody ever sleeps: post and wait in turn; one way: only posts
 */
#include "bench/carrier.h"

#include <errno.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <unistd.h>

static void stop(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    _exit(1);
}

/* ---- Raw: sem_post(3) and sem_wait(3) -------------------------------------------------------------------- */

static int posix_prepare(struct carriage *c)
{
    c->counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c->counters == MAP_FAILED)
        return -errno;
    for (int i = 0; i < 2; i++)
        sem_init(&c->counters[i], 1, 0);
    return 0;
}

static void posix_post(struct carriage *c, unsigned which)
{
    if (sem_post(&c->counters[which]) < 0)
        stop("sem_post", strerror(errno));
}

static void posix_wait(struct carriage *c, unsigned which)
{
    if (sem_wait(&c->counters[which]) < 0)
        stop("sem_wait", strerror(errno));
}

static void posix_leave(struct carriage *c, int role)
{
    (void)role;
    munmap(c->counters, 4096);
}

/* ---- Raw: semop(2) ---------------------------------------------------------------------------------------- */

static int sysv_prepare(struct carriage *c)
{
    c->queue = semget(IPC_PRIVATE, 2, 0600 | IPC_CREAT);
    return c->queue < 0 ? -errno : 0;
}

static void sysv_change(struct carriage *c, unsigned which, short by)
{
    struct sembuf step = { (unsigned short)which, by, 0 };
    if (semop(c->queue, &step, 1) < 0)
        stop("semop", strerror(errno));
}

static void sysv_post(struct carriage *c, unsigned which)
{
    sysv_change(c, which, 1);
}

static void sysv_wait(struct carriage *c, unsigned which)
{
    sysv_change(c, which, -1);
}

static void sysv_leave(struct carriage *c, int role)
{
    if (role == 0)
        semctl(c->queue, 0, IPC_RMID);
}

/* ---- Through tong ----------------------------------------------------------------------------------------- */

static int tong_open(struct carriage *c, int which, const char *address)
{
    return tong_semaphore_open(address, 0, &c->semaphores[which]);
}

static int tong_posix_prepare(struct carriage *c)
{
    char address[64];
    unsigned number;
    if (getrandom(&number, sizeof number, 0) < 0)
        return -errno;
    int r = 0;
    for (int i = 0; i < 2 && r == 0; i++) {
        snprintf(address, sizeof address, "sem:/tong-bench-%08x-%d?create=excl&remove=owner", number, i);
        r = tong_open(c, i, address);
    }
    return r;
}

static int tong_sysv_prepare(struct carriage *c)
{
    char address[64];
    unsigned key;
    if (getrandom(&key, sizeof key, 0) < 0)
        return -errno;
    snprintf(address, sizeof address, "sysvsem:0x%x?count=2&create=excl&remove=owner", key | 1);
    return tong_open(c, 0, address);
}

/* One set of two, or two of one. */
static void posix_over_post(struct carriage *c, unsigned which)
{
    if (tong_semaphore_post(c->semaphores[which], 0) < 0)
        stop("post", tong_detail());
}

static void posix_over_wait(struct carriage *c, unsigned which)
{
    if (tong_semaphore_wait(c->semaphores[which], 0, TONG_FOREVER) < 0)
        stop("wait", tong_detail());
}

static void sysv_over_post(struct carriage *c, unsigned which)
{
    if (tong_semaphore_post(c->semaphores[0], which) < 0)
        stop("post", tong_detail());
}

static void sysv_over_wait(struct carriage *c, unsigned which)
{
    if (tong_semaphore_wait(c->semaphores[0], which, TONG_FOREVER) < 0)
        stop("wait", tong_detail());
}

static void tong_leave(struct carriage *c, int role)
{
    (void)role;
    for (int i = 0; i < 2; i++)
        tong_semaphore_close(c->semaphores[i]);
}

/* ---- Work --------------------------------------------------------------------------------------------------- */

/* "pingpong": each process posts the other's counter and waits for its own.  "free": the first uses its own alone. */
static unsigned posted(const struct carriage *c)
{
    return (unsigned)(c->free_of_others ? 0 : c->role);
}

static unsigned awaited(const struct carriage *c)
{
    return (unsigned)(c->free_of_others ? 0 : !c->role);
}

static int enter(struct carriage *c, int role)
{
    c->role = role;
    c->free_of_others = !strcmp(c->frame, "free");
    return 0;
}

static bool idle(const struct carriage *c)
{
    return c->free_of_others && c->role == 1;
}

#define WORK(how, post, wait)                                                     \
    static void how##_send(struct carriage *c, const uint8_t *data, size_t size)  \
    {                                                                             \
        (void)data, (void)size;                                                   \
        if (!idle(c))                                                             \
            post(c, posted(c));                                                   \
    }                                                                             \
    static void how##_receive(struct carriage *c, uint8_t *data, size_t size)     \
    {                                                                             \
        (void)data, (void)size;                                                   \
        if (!idle(c))                                                             \
            wait(c, awaited(c));                                                  \
    }

WORK(posix, posix_post, posix_wait)
WORK(sysv, sysv_post, sysv_wait)
WORK(posix_over, posix_over_post, posix_over_wait)
WORK(sysv_over, sysv_over_post, sysv_over_wait)

static const struct carrier raw_sem = { "sem", posix_prepare, enter, posix_send, posix_receive, posix_leave };
static const struct carrier raw_sysvsem = { "sysvsem", sysv_prepare, enter, sysv_send, sysv_receive, sysv_leave };
static const struct carrier over_sem = {
    "sem", tong_posix_prepare, enter, posix_over_send, posix_over_receive, tong_leave
};
static const struct carrier over_sysvsem = {
    "sysvsem", tong_sysv_prepare, enter, sysv_over_send, sysv_over_receive, tong_leave
};

const struct contest contest_sem = { &raw_sem, &over_sem };
const struct contest contest_sysvsem = { &raw_sysvsem, &over_sysvsem };
