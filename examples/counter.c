/* SPDX-License-Identifier: MIT */
/*
 * counter.c - a thousand processes add to counters in shared memory: without a lock, with one semaphore for all, and
 * with a thousand counters and as many semaphores, which are one set.
 *
 * Adding is reading, then writing.  What others add in between is lost; sched_yield(2) stands there to make that moment
 * long enough to be seen every time.  TONG_SEMAPHORE_UNDO gives a semaphore back when its holder dies.
 *
 * With the bare calls: raw/counter.c.  From a shell, one semaphore and a number in a file:
 *     echo 0 >n; for i in $(seq 50); do tong lock sysvsem:1234 -- sh -c 'echo $(($(cat n) + 1)) >n' & done; wait; cat n
 *
 * Build: cc counter.c -o counter $(pkg-config --cflags --libs tong)
 * Usage: counter [PROCESSES [ADDRESS]]            (of the semaphores; default 1000 and sysvsem:1234)
 * Prints (what is lost without a lock is different each time):
 *     no lock: 10000 added, 19 counted, 9981 lost
 *     one semaphore: 10000 added, 10000 counted, 0 lost
 *     a set of 1000: 10000 added, 10000 counted, 0 lost
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

#define ROUNDS 10

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tong_detail());
    return 1;
}

/* Does nothing when there is no set. */
static int change(tong_semaphore *set, int which, int by)
{
    tong_semaphore_operation operation = { sizeof operation, TONG_SEMAPHORE_UNDO, (uint32_t)which, by };
    return set ? tong_semaphore_operate(set, &operation, 1, TONG_FOREVER) : 0;
}

/* Adds 1 to ROUNDS counters, beginning with its own; of several, neighbours share most. */
static int add(volatile long *counters, int count, tong_semaphore *set, int own)
{
    for (int i = own; i < own + ROUNDS; i++) {
        if (change(set, i % count, -1) < 0)
            return failed("wait");
        long seen = counters[i % count];
        sched_yield();
        counters[i % count] = seen + 1;
        if (change(set, i % count, 1) < 0)
            return failed("post");
    }
    return 0;
}

/* All begin together, when the parent closes its end of the gate.  Returns how many processes there were. */
static int run(volatile long *counters, int count, tong_semaphore *set, int processes)
{
    tong_channel *gate[2];
    char none[1];
    int started = 0, status;
    if (tong_channel_pair("pipe:", TONG_SEND, gate) < 0)
        return failed("pair"), 0;
    for (pid_t pid = 1; started < processes && pid > 0; started += pid > 0) {
        pid = fork();
        if (pid < 0)
            perror("fork");
        if (pid == 0) {
            tong_channel_close(gate[0]);
            if (tong_channel_receive(gate[1], none, sizeof none, NULL, TONG_FOREVER) != -ENODATA)
                _exit(failed("gate"));
            _exit(add(counters, count, set, started));
        }
    }
    tong_channel_close(gate[1]);
    tong_channel_close(gate[0]);
    while (wait(&status) > 0)
        if (status != 0)
            started = 0;
    return started;
}

static int try(const char *name, const char *address, int semaphores, int count, int processes)
{
    char text[256];
    tong_semaphore *set = NULL;
    tong_region *region;
    long counted = 0;
    snprintf(text, sizeof text, "mmap:?size=%zu", (size_t)count * sizeof counted);
    if (tong_region_open(text, TONG_READ | TONG_WRITE, &region) < 0)
        return failed("region");
    snprintf(text, sizeof text, "%s?count=%d&value=1&create=excl&remove=owner", address, semaphores);
    if (semaphores > 0 && tong_semaphore_open(text, 0, &set) < 0)
        return failed("semaphores") | (tong_region_close(region) < 0);
    long *counters = tong_region_data(region), added = (long)run(counters, count, set, processes) * ROUNDS;
    for (int i = 0; i < count; i++)
        counted += counters[i];
    tong_semaphore_close(set);
    tong_region_close(region);
    printf("%s: %ld added, %ld counted, %ld lost\n", name, added, counted, added - counted);
    return fflush(stdout) != 0 || added != (long)processes * ROUNDS;
}

int main(int argc, char **argv)
{
    int processes = atoi(argc > 1 ? argv[1] : "1000");
    const char *address = argc > 2 ? argv[2] : "sysvsem:1234";
    char set[32];
    if (processes < 1)
        return fprintf(stderr, "usage: counter [PROCESSES [ADDRESS]]\n"), 2;
    snprintf(set, sizeof set, "a set of %d", processes);
    return try("no lock", address, 0, 1, processes) || try("one semaphore", address, 1, 1, processes) ||
           try(set, address, processes, processes, processes);
}
