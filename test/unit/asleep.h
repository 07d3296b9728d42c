/* SPDX-License-Identifier: MIT */
/* asleep.h - knowing that another thread or process sleeps in the kernel, in place of sleeping for luck. */
#ifndef TEST_UNIT_ASLEEP_H
#define TEST_UNIT_ASLEEP_H

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tong/tong.h"

/* Waits up to 10 s until the thread (or the process of one thread) `tid` sleeps: asleep once may be a lock on the way,
 * asleep five times in a row is the wait. */
static inline void wait_asleep(int tid)
{
    char path[64], text[512];
    int seen = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", tid);
    for (int64_t end = clock_now() + 10 * TONG_SECOND; clock_now() < end; usleep(1000)) {
        FILE *file = fopen(path, "re");
        size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
        text[size] = '\0';
        if (file)
            fclose(file);
        char *state = strrchr(text, ')');
        seen = state && state[2] == 'S' ? seen + 1 : 0;
        if (seen == 5)
            return;
    }
    ck_abort_msg("thread %d does not sleep", tid);
}

/* A thread that receives one message. */
struct receiver {
    tong_channel *channel;
    int64_t timeout;
    atomic_int tid; /* set when it is about to receive */
    pthread_t thread;
    ssize_t result;
    char buffer[256];
};

static inline void *receive_one(void *argument)
{
    struct receiver *receiver = argument;
    atomic_store(&receiver->tid, (int)gettid());
    receiver->result = tong_channel_receive(receiver->channel, receiver->buffer, sizeof receiver->buffer, NULL,
                                            receiver->timeout);
    return NULL;
}

static inline void receiver_start(struct receiver *receiver, tong_channel *channel, int64_t timeout)
{
    receiver->channel = channel;
    receiver->timeout = timeout;
    atomic_init(&receiver->tid, 0);
    ck_assert_int_eq(pthread_create(&receiver->thread, NULL, receive_one, receiver), 0);
    while (!atomic_load(&receiver->tid))
        sched_yield();
    wait_asleep(atomic_load(&receiver->tid));
}

static inline ssize_t receiver_join(struct receiver *receiver)
{
    pthread_join(receiver->thread, NULL);
    return receiver->result;
}

#endif
