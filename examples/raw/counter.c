/* SPDX-License-Identifier: MIT */
/*
 * counter.c - a thousand processes add to counters in shared memory: without a lock, with one semaphore for all, and
 * with a thousand counters and as many semaphores, which are one set.
 *
 * Adding is reading, then writing.  What others add in between is lost; sched_yield(2) stands there to make that moment
 * long enough to be seen every time.  SEM_UNDO gives a semaphore back when its holder dies.
 *
 * Build: cc counter.c -o counter
 * Usage: counter [PROCESSES [KEY]]            (of the semaphores; default 1000 and IPC_PRIVATE, 0)
 * Prints (what is lost without a lock is different each time):
 *     no lock: 10000 added, 19 counted, 9981 lost
 *     one semaphore: 10000 added, 10000 counted, 0 lost
 *     a set of 1000: 10000 added, 10000 counted, 0 lost
 */
#include <err.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 10

/* Does nothing when there is no set. */
static void change(int set, int which, short by)
{
    struct sembuf operation = { (unsigned short)which, by, SEM_UNDO };
    if (set >= 0 && semop(set, &operation, 1) < 0)
        err(1, "semop");
}

/* Adds 1 to ROUNDS counters, beginning with its own; of several, neighbours share most. */
static void add(volatile long *counters, int count, int set, int own)
{
    for (int i = own; i < own + ROUNDS; i++) {
        change(set, i % count, -1);
        long seen = counters[i % count];
        sched_yield();
        counters[i % count] = seen + 1;
        change(set, i % count, 1);
    }
}

/* All begin together, when the parent closes the gate.  Returns how many processes there were. */
static int run(volatile long *counters, int count, int set, int processes)
{
    int gate[2], started = 0, status;
    char none;
    if (pipe(gate) < 0)
        return warn("pipe"), 0;
    for (pid_t pid = 1; started < processes && pid > 0; started += pid > 0) {
        pid = fork();
        if (pid < 0)
            warn("fork: %d processes is all there can be", started);
        if (pid == 0) {
            close(gate[1]);
            if (read(gate[0], &none, 1) == 0)
                add(counters, count, set, started);
            _exit(0);
        }
    }
    close(gate[0]);
    close(gate[1]);
    while (wait(&status) > 0)
        if (status != 0)
            started = 0;
    return started;
}

static int try(const char *name, key_t key, int semaphores, int count, int processes)
{
    size_t size = (size_t)count * sizeof(long);
    long *counters = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), counted = 0;
    if (counters == MAP_FAILED)
        err(1, "mmap");
    int set = semaphores > 0 ? semget(key, semaphores, IPC_CREAT | IPC_EXCL | 0600) : -1;
    if (set < 0 && semaphores > 0)
        err(1, "semget of %d semaphores", semaphores);
    for (int i = 0; i < semaphores; i++)
        if (semctl(set, i, SETVAL, 1) < 0)
            warn("semctl");
    long added = (long)run(counters, count, set, processes) * ROUNDS;
    for (int i = 0; i < count; i++)
        counted += counters[i];
    if (set >= 0 && semctl(set, 0, IPC_RMID) < 0)
        err(1, "semctl");
    munmap(counters, size);
    printf("%s: %ld added, %ld counted, %ld lost\n", name, added, counted, added - counted);
    return fflush(stdout) != 0 || added != (long)processes * ROUNDS;
}

int main(int argc, char **argv)
{
    int processes = atoi(argc > 1 ? argv[1] : "1000");
    key_t key = (key_t)strtoul(argc > 2 ? argv[2] : "0", NULL, 0);
    char set[32];
    if (processes < 1)
        errx(2, "usage: counter [PROCESSES [KEY]]");
    snprintf(set, sizeof set, "a set of %d", processes);
    return try("no lock", key, 0, 1, processes) || try("one semaphore", key, 1, 1, processes) ||
           try(set, key, processes, processes, processes);
}
