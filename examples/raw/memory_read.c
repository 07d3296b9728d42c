/* SPDX-License-Identifier: MIT */
/*
 * memory_read.c - prints the string that memory_write.c left in System V shared memory, and removes the memory.
 *
 * The string was written by others: it is looked for within the segment, which may be of any size and without an end.
 *
 * Build: cc memory_read.c -o memory_read
 * Usage: memory_read [KEY]            (default 1234)
 * Prints:
 *     Linux Programming
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
    key_t key = (key_t)strtoul(argc > 1 ? argv[1] : "1234", NULL, 0);
    struct shmid_ds segment;
    int id = shmget(key, 0, 0);
    if (id < 0 || shmctl(id, IPC_STAT, &segment) < 0)
        err(1, "shmget");
    const char *memory = shmat(id, NULL, SHM_RDONLY);
    if (memory == (void *)-1)
        err(1, "shmat");
    fwrite(memory, 1, strnlen(memory, segment.shm_segsz), stdout);
    putchar('\n');
    if (shmdt(memory) < 0 || shmctl(id, IPC_RMID, NULL) < 0)
        err(1, "removing the segment");
    return 0;
}
