/* SPDX-License-Identifier: MIT */
/*
 * counter make|wait|post posix /NAME [VALUE], counter make|wait|post sysv KEY [INDEX or COUNT]: a program of the old
 * school, which knows nothing of tong.  wait gives up after ten seconds.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

static int posix(const char *what, const char *name, unsigned value)
{
    struct timespec until;
    sem_t *counter = !strcmp(what, "make") ? sem_open(name, O_CREAT | O_EXCL, 0600, value) : sem_open(name, 0);
    if (counter == SEM_FAILED)
        return -1;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    if (!strcmp(what, "wait"))
        return sem_timedwait(counter, &until);
    return !strcmp(what, "post") ? sem_post(counter) : 0;
}

static int sysv(const char *what, key_t key, unsigned short number)
{
    union { int value; } one = { 1 };
    int id = !strcmp(what, "make") ? semget(key, number, 0600 | IPC_CREAT | IPC_EXCL) : semget(key, 0, 0);
    if (id < 0)
        return -1;
    if (!strcmp(what, "make"))
        return semctl(id, 0, SETVAL, one);
    struct sembuf step = { number, !strcmp(what, "post") ? 1 : -1, 0 };
    return semtimedop(id, &step, 1, &(struct timespec){ 10, 0 });
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    unsigned number = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 0;
    int r = !strcmp(argv[2], "posix") ? posix(argv[1], argv[3], number)
                                      : sysv(argv[1], (key_t)strtoul(argv[3], NULL, 0), (unsigned short)number);
    if (r < 0)
        perror(argv[1]);
    return r < 0;
}
