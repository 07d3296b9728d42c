/* SPDX-License-Identifier: MIT */
/*
 * shm: who shares its only processor with the other side sleeps without a fence in all processors.  That it does so no
 * longer than it may is seen by the calls of membarrier(2): here its receiver is pinned to one processor.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "shm_fixture.h"
#include "sys/sys.h"

#define TRUSTED 64 /* waits after which it looks again, as in channel_wait.c */

static atomic_int fences, wakes_to_lose;

static int watch(const char *call)
{
    if (!strcmp(call, "membarrier"))
        atomic_fetch_add(&fences, 1);
    if (strcmp(call, "futex_wake") || atomic_load(&wakes_to_lose) == 0)
        return 0;
    atomic_fetch_sub(&wakes_to_lose, 1);
    return -EFAULT;
}

static void pin(pid_t process, int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    ck_assert_int_eq(sched_setaffinity(process, sizeof set, &set), 0);
}

/* Two that we may use; false: there are not so many. */
static bool two_processors(int ret[2])
{
    cpu_set_t ours;
    int many = 0;
    ck_assert_int_eq(sched_getaffinity(0, sizeof ours, &ours), 0);
    for (int processor = 0; processor < CPU_SETSIZE && many < 2; processor++)
        if (CPU_ISSET(processor, &ours))
            ret[many++] = processor;
    return many == 2;
}

static pid_t sender_on(int processor, const char *text)
{
    if (in_child()) {
        pin(0, processor);
        send_text(open_with("", TONG_SEND), text);
        say_and_stay();
    }
    await_word();
    return child;
}

static void end(pid_t process)
{
    child = process;
    kill(process, SIGKILL);
    reap(-SIGKILL);
}

/* Of a wait that ends without anything: the bell, which it comes to at the end, always has one.  A wait without any was
 * over before it slept, for the machine stood still: there is another one. */
static int fences_of_a_wait(tong_channel *in)
{
    atomic_store(&fences, 0);
    for (int tries = 0; tries < 10 && atomic_load(&fences) == 0; tries++)
        ck_assert_int_eq(try_receive(in, MILLISECOND), -ETIMEDOUT);
    return atomic_load(&fences);
}

/* A receiver on the first processor that has had a message from a sender there, and its bell. */
static tong_channel *receiver_beside(int processor, pid_t *ret_sender)
{
    pin(0, processor);
    tong_channel *in = open_with("", TONG_RECEIVE);
    *ret_sender = sender_on(processor, "one");
    expect_text(in, "one");
    sys_fault = watch;
    fences_of_a_wait(in);
    ck_assert_int_eq(fences_of_a_wait(in), 1);
    return in;
}

START_TEST(who_was_let_go_elsewhere_is_found_out)
{
    int processor[2];
    pid_t sender;
    if (!two_processors(processor))
        return;
    tong_channel *in = receiver_beside(processor[0], &sender);
    pin(sender, processor[1]);
    for (int wait = 0; wait <= TRUSTED; wait++)
        fences_of_a_wait(in);
    ck_assert_int_eq(fences_of_a_wait(in), 2);
    sys_fault = NULL;
    end(sender);
    tong_channel_close(in);
}
END_TEST

/* Their sessions have the same number. */
START_TEST(a_sender_elsewhere_ends_it_at_once)
{
    int processor[2];
    pid_t beside, elsewhere;
    if (!two_processors(processor))
        return;
    tong_channel *in = receiver_beside(processor[0], &beside);
    elsewhere = sender_on(processor[1], "two");
    expect_text(in, "two");
    ck_assert_int_eq(fences_of_a_wait(in), 2);
    sys_fault = NULL;
    end(beside);
    end(elsewhere);
    tong_channel_close(in);
}
END_TEST

static void *send_while_it_sleeps(void *out)
{
    const struct timespec shortly = { 0, 1000000 };
    nanosleep(&shortly, NULL);
    atomic_store(&wakes_to_lose, 1);
    send_text(out, "lost");
    return NULL;
}

/* The processors of a process are those of its first thread: what another thread does there is seen by what is missed. */
START_TEST(a_missed_wake_ends_it)
{
    int processor[2];
    pid_t sender;
    if (!two_processors(processor))
        return;
    tong_channel *in = receiver_beside(processor[0], &sender), *out = open_with("", TONG_SEND);
    int before = fences_of_a_wait(in);
    ck_assert_int_eq(before, 1);
    for (int tries = 0; tries < 200 && fences_of_a_wait(in) == before; tries++) {
        pthread_t thread;
        pthread_create(&thread, NULL, send_while_it_sleeps, out);
        expect_text(in, "lost");
        pthread_join(thread, NULL);
        atomic_store(&wakes_to_lose, 0);
    }
    ck_assert_int_eq(fences_of_a_wait(in), 2);
    sys_fault = NULL;
    end(sender);
    tong_channel_close(out);
    tong_channel_close(in);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        who_was_let_go_elsewhere_is_found_out, a_sender_elsewhere_ends_it_at_once, a_missed_wake_ends_it,
    };
    return run_tests("shm_processor", tests, sizeof tests / sizeof *tests);
}
