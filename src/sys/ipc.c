/* SPDX-License-Identifier: MIT */
/* The system calls of System V objects, and of POSIX queues and semaphores. */
#include "sys/sys.h"

#include "base/hot.h"

#include <errno.h>
#include <sys/ipc.h>
#include <time.h>

/* System V message queues. */

/* Keys of projects from 128 on are negative: only -1 is a failure. */
int sys_ftok(const char *path, int project, key_t *ret)
{
    SYS_CALL(int, "ftok", (*ret = ftok(path, project)) == -1 ? -1 : 0);
}

int sys_msgget(key_t key, int flags)
{
    SYS_CALL(int, "msgget", msgget(key, flags));
}

HOT int sys_msgsnd(int id, const void *message, size_t size, int flags)
{
    SYS_CALL(int, "msgsnd", msgsnd(id, message, size, flags));
}

HOT ssize_t sys_msgrcv(int id, void *message, size_t size, long type, int flags)
{
    SYS_CALL(ssize_t, "msgrcv", msgrcv(id, message, size, type, flags));
}

int sys_msgctl(int id, int command, struct msqid_ds *data)
{
    SYS_CALL(int, "msgctl", msgctl(id, command, data));
}

/* System V shared memory. */

int sys_shmget(key_t key, size_t size, int flags)
{
    SYS_CALL(int, "shmget", shmget(key, size, flags));
}

int sys_shmat(int id, int flags, void **ret)
{
    SYS_CALL(int, "shmat", (*ret = shmat(id, NULL, flags)) == (void *)-1 ? -1 : 0);
}

void sys_shmdt(const void *address)
{
    if (address)
        shmdt(address);
}

int sys_shmctl(int id, int command, struct shmid_ds *data)
{
    SYS_CALL(int, "shmctl", shmctl(id, command, data));
}

/* Semaphores. */

int sys_semget(key_t key, int count, int flags)
{
    SYS_CALL(int, "semget", semget(key, count, flags));
}

int sys_semctl(int id, int index, int command, union sem_argument argument)
{
    SYS_CALL(int, "semctl", semctl(id, index, command, argument));
}

int sys_sem_getvalue(sem_t *counter, int *ret)
{
    SYS_CALL(int, "sem_getvalue", sem_getvalue(counter, ret));
}

int sys_sem_wait(sem_t *counter)
{
    SYS_CALL(int, "sem_wait", sem_wait(counter));
}

int sys_sem_clockwait(sem_t *counter, const struct timespec *until)
{
    SYS_CALL(int, "sem_clockwait", sem_clockwait(counter, CLOCK_MONOTONIC, until));
}

/* POSIX message queues. */

int sys_mq_open(const char *name, int flags, mode_t mode, struct mq_attr *attributes)
{
    SYS_CALL(int, "mq_open", mq_open(name, flags | O_CLOEXEC, mode, attributes));
}

int sys_mq_unlink(const char *name)
{
    SYS_CALL(int, "unlink", mq_unlink(name));
}

int sys_mq_getattr(int fd, struct mq_attr *ret)
{
    SYS_CALL(int, "mq_getattr", mq_getattr(fd, ret));
}
