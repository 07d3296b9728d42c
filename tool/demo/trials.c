/* SPDX-License-Identifier: MIT */
/* What the processes of each kind of trial do, and how it is judged. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "demo/trial.h"

#define NUMBERS 1000
#define SILENCE (200 * TONG_MILLISECOND)
#define COUNTERS 4
#define UPDATES 10000       /* of each */
#define BETWEEN 1000        /* steps from reading a counter to writing it: or each had its turn of a processor alone */
#define ENTERING 5          /* milliseconds that the next has to fall asleep in its wait */

static void judge(struct trial *trial, bool good, const char *why)
{
    if (!good)
        trial_fail(trial, why);
    trial->ok = !*trial->failure;
}

/* ---- Numbers from process to process --------------------------------------------------------------------- */

/* Numbers that interrupt have to be blocked before they are asked for. */
static int receive_numbers(struct trial *trial)
{
    char own[40], text[32];
    tong_channel *channel;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    snprintf(own, sizeof own, "%s:", trial->mechanism.scheme);
    int r = tong_channel_open(own, TONG_RECEIVE, 0, &channel);
    if (r < 0)
        return r;
    atomic_store(&trial->ready, 1);
    trial->in_order = true;
    for (;;) {
        bool last = atomic_load(&trial->done);
        ssize_t size = tong_channel_receive(channel, text, sizeof text - 1, NULL, last ? 0 : SILENCE);
        if (size < 0 && size != -ETIMEDOUT && size != -EAGAIN)
            return (int)size;
        if (size < 0 && last)
            return tong_channel_close(channel);
        if (size < 0)
            continue;
        text[size] = '\0';
        trial->in_order &= (uint64_t)strtoll(text, NULL, 10) == trial->received;
        trial->received++;
        trial->end = clock_now();
    }
}

static int send_numbers(struct trial *trial)
{
    char to[64], text[32];
    tong_channel *channel;
    int r = trial_wait(&trial->ready, 1);
    snprintf(to, sizeof to, "%s:%d", trial->mechanism.scheme, (int)trial->pids[0]);
    if (r == 0)
        r = tong_channel_open(to, TONG_SEND, 0, &channel);
    if (r < 0)
        return r;
    trial->start = clock_now();
    for (; trial->sent < NUMBERS && r == 0; trial->sent += r == 0) {
        int size = snprintf(text, sizeof text, "%" PRIu64, trial->sent);
        r = tong_channel_send(channel, text, (size_t)size, NULL, 10 * TONG_SECOND);
    }
    tong_channel_close(channel);
    atomic_store(&trial->done, 1);
    return r;
}

void try_numbers(struct trial *trial, void (*tick)(void))
{
    trial_run(trial, (trial_work *const[]){ receive_numbers, send_numbers }, 2, tick);
    judge(trial, trial->received == NUMBERS, "numbers are missing");
    judge(trial, trial->in_order, "they came in another order");
}

/* ---- Updates of one counter by several processes --------------------------------------------------------- */

/* What a processor does for `counter = counter + 1`, in so many words. */
static void update(struct trial *trial)
{
    int64_t seen = trial->counter;
    for (volatile int i = 0; i < BETWEEN; i++)
        ;
    trial->counter = seen + 1;
}

static void start_together(struct trial *trial)
{
    if (atomic_fetch_add(&trial->ready, 1) + 1 == COUNTERS)
        trial->start = clock_now();
    while (atomic_load(&trial->ready) < COUNTERS)
        sched_yield();
}

static int count_updates(struct trial *trial)
{
    tong_semaphore *semaphore = NULL;
    int r = trial->mechanism.scheme ? tong_semaphore_open(trial->address, 0, &semaphore) : 0;
    start_together(trial); /* also who fails, or the others would wait for ever */
    for (int i = 0; i < UPDATES && r == 0; i++) {
        r = semaphore ? tong_semaphore_wait(semaphore, 0, 10 * TONG_SECOND) : 0;
        if (r == 0)
            update(trial);
        if (r == 0 && semaphore)
            r = tong_semaphore_post(semaphore, 0);
    }
    if (atomic_fetch_add(&trial->done, 1) + 1 == COUNTERS)
        trial->end = clock_now();
    tong_semaphore_close(semaphore);
    return r;
}

/* Without anything between them updates are lost: how many is what the row shows. */
void try_updates(struct trial *trial, void (*tick)(void))
{
    tong_semaphore *semaphore = NULL;
    trial->processes = COUNTERS;
    trial->sent = COUNTERS * UPDATES;
    int r = trial->mechanism.scheme ? trial_opened(trial, tong_semaphore_open(trial->first, 0, &semaphore)) : 0;
    if (r < 0)
        trial_fail(trial, tong_detail());
    else
        trial_run(trial, (trial_work *const[COUNTERS]){ count_updates, count_updates, count_updates, count_updates },
                  COUNTERS, tick);
    tong_semaphore_close(semaphore);
    trial->received = (uint64_t)trial->counter;
    trial->lost = trial->sent - trial->received;
    if (!trial->mechanism.scheme)
        snprintf(trial->verdict, sizeof trial->verdict, "%.0f%% are lost",
                 100.0 * (double)trial->lost / (double)trial->sent);
    judge(trial, !trial->mechanism.scheme || trial->lost == 0, "updates were lost");
}

/* ---- The file in memory ---------------------------------------------------------------------------------- */

static int open_region(struct trial *trial, const char *address, uint32_t flags, tong_region **ret)
{
    *ret = trial->region;
    return trial->inherited ? 0 : tong_region_open(address, flags, ret);
}

/* By plain memory access, from the first byte until the reader knows that all are there.  Some objects live only as
 * long as somebody has them, so both have it before and after. */
static int write_memory(struct trial *trial)
{
    tong_region *region;
    int r = trial_opened(trial, open_region(trial, trial->first, TONG_READ | TONG_WRITE, &region));
    if (r < 0)
        return r;
    atomic_store(&trial->ready, 1);
    r = trial_wait(&trial->done, 1);
    trial->start = clock_now();
    if (r == 0)
        memcpy(tong_region_data(region), trial->content, (size_t)trial->source->size);
    atomic_store(&trial->ready, 2);
    r = r ? r : trial_wait(&trial->done, 2);
    return r < 0 || trial->inherited ? r : tong_region_close(region);
}

static void digest_memory(struct trial *trial, const tong_region *region)
{
    struct sha256 sha;
    size_t size = tong_region_size(region);
    trial->received = trial->source->size < size ? trial->source->size : size;
    sha256_begin(&sha);
    sha256_add(&sha, tong_region_data(region), (size_t)trial->received);
    sha256_end(&sha, trial->digest);
}

static int read_memory(struct trial *trial)
{
    tong_region *region;
    int r = trial_wait(&trial->ready, 1);
    if (r == 0)
        r = open_region(trial, trial->address, TONG_READ, &region);
    if (r < 0)
        return r;
    atomic_store(&trial->done, 1);
    r = trial_wait(&trial->ready, 2);
    trial->end = clock_now();
    if (r == 0)
        digest_memory(trial, region);
    atomic_store(&trial->done, 2);
    return r < 0 || trial->inherited ? r : tong_region_close(region);
}

void try_memory(struct trial *trial, void (*tick)(void))
{
    int r = trial->inherited ? tong_region_open(trial->first, TONG_READ | TONG_WRITE, &trial->region) : 0;
    if (r < 0)
        trial_fail(trial, tong_detail());
    else
        trial_run(trial, (trial_work *const[]){ write_memory, read_memory }, 2, tick);
    tong_region_close(trial->region);
    judge(trial, !strcmp(trial->digest, trial->source->digest), "the digest differs");
}

/* ---- The lock of a holder that is killed ----------------------------------------------------------------- */

static int hold_lock(struct trial *trial)
{
    tong_lock *lock;
    int r = trial_opened(trial, tong_lock_open(trial->first, &lock));
    if (r == 0)
        r = tong_lock_take(lock, 0);
    atomic_store(&trial->ready, 1);
    while (r == 0)
        pause();
    return r;
}

static int take_lock(struct trial *trial)
{
    tong_lock *lock;
    int r = trial_wait(&trial->ready, 1);
    if (r == 0)
        r = tong_lock_open(trial->address, &lock);
    if (r < 0)
        return r;
    trial->in_order = tong_lock_take(lock, 0) == -EAGAIN;
    atomic_store(&trial->ready, 2);
    r = tong_lock_take(lock, 10 * TONG_SECOND);
    trial->end = clock_now();
    int closed = tong_lock_close(lock);
    return r < 0 ? r : closed;
}

static int kill_holder(struct trial *trial)
{
    int r = trial_wait(&trial->ready, 2);
    if (r < 0)
        return r;
    usleep(ENTERING * 1000);
    trial->start = clock_now();
    return kill(trial->pids[0], SIGKILL) < 0 ? -errno : 0;
}

void try_lock(struct trial *trial, void (*tick)(void))
{
    trial->sacrifice = 1;
    trial_run(trial, (trial_work *const[]){ hold_lock, take_lock, kill_holder }, 3, tick);
    judge(trial, trial->in_order, "two held it at once");
}
