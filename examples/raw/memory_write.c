/* SPDX-License-Identifier: MIT */
/*
 * memory_write.c - puts a string into System V shared memory; memory_read.c, another program, finds it there.
 *
 * Two system calls, shmget(2) and shmat(2), and from then on the memory is used like any other: strcpy(3) is all it
 * takes.  The segment stays in the kernel when this program has ended.  A key is only a number: whoever knows it, and
 * whom the mode lets (0666: everybody), reads and writes there.
 *
 * Build: cc memory_write.c -o memory_write
 * Usage: memory_write [KEY]            (default 1234)
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define SIZE 4096

int main(int argc, char **argv)
{
    key_t key = (key_t)strtoul(argc > 1 ? argv[1] : "1234", NULL, 0);
    int id = shmget(key, SIZE, IPC_CREAT | 0666);
    if (id < 0)
        err(1, "shmget");
    void *memory = shmat(id, NULL, 0);
    if (memory == (void *)-1)
        err(1, "shmat");
    strcpy(memory, "Linux Programming");
    return shmdt(memory) < 0;
}
