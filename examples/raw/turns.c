/* SPDX-License-Identifier: MIT */
/*
 * turns.c - two processes talk through one piece of shared memory, both ways but never at once (half duplex, as with
 * two radios): a semaphore for each says whose turn it is.
 *
 * The memory synchronises nobody.  Without the semaphores the parent would read its own question.  Both are made
 * private, so children inherit them and no key can clash.  The memory is removed at once: it lives until the last
 * process lets go.  A semaphore set does not, so whoever made it removes it, also when the other has died: that is
 * what the time limit is for.
 *
 * Build: cc turns.c -o turns
 * Usage: turns [KEY]            (of the semaphores; default IPC_PRIVATE, 0)
 * Prints:
 *     parent: 1, over
 *     child:  1 heard, over
 *     parent: 2, over
 *     child:  2 heard, over
 *     parent: 3, over
 *     child:  3 heard, over
 */
#define _GNU_SOURCE 1
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARENT, CHILD, SPEAKERS };
#define SIZE 64
#define TURNS 3

static int change(int set, int whose, short by)
{
    struct sembuf operation = { .sem_num = (unsigned short)whose, .sem_op = by };
    struct timespec limit = { .tv_sec = 5 };
    return semtimedop(set, &operation, 1, &limit) < 0 ? warn("the other has not answered"), 1 : 0;
}

static int parent(int set, char *memory)
{
    for (int i = 1; i <= TURNS; i++) {
        snprintf(memory, SIZE, "%d", i);
        printf("parent: %s, over\n", memory);
        if (change(set, CHILD, 1) || change(set, PARENT, -1))
            return 1;
        printf("child:  %s, over\n", memory);
    }
    return 0;
}

static int child(int set, char *memory)
{
    for (int i = 1; i <= TURNS; i++) {
        if (change(set, CHILD, -1))
            return 1;
        int heard = atoi(memory);
        snprintf(memory, SIZE, "%d heard", heard);
        if (change(set, PARENT, 1))
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    key_t key = (key_t)strtoul(argc > 1 ? argv[1] : "0", NULL, 0);
    int segment = shmget(IPC_PRIVATE, SIZE, 0600), status = 1, result = 1;
    if (segment < 0)
        err(1, "shmget");
    char *memory = shmat(segment, NULL, 0);
    if (shmctl(segment, IPC_RMID, NULL) < 0 || memory == (void *)-1)
        err(1, "shmat");
    int set = semget(key, SPEAKERS, IPC_CREAT | IPC_EXCL | 0600);
    if (set < 0)
        err(1, "semget");
    /* System V promises no first value; the parent begins, and waits for nothing then */
    if (semctl(set, CHILD, SETVAL, 0) < 0 || semctl(set, PARENT, SETVAL, 0) < 0)
        warn("semctl");
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(set, memory));
    if (pid < 0)
        warn("fork");
    if (pid > 0) {
        result = parent(set, memory);
        waitpid(pid, &status, 0);
    }
    return (semctl(set, 0, IPC_RMID) < 0) | result | (status != 0);
}
