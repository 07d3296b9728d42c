/* SPDX-License-Identifier: MIT */
/*
 * turns.c - two processes talk through one piece of shared memory, both ways but never at once (half duplex, as with
 * two radios): a semaphore for each says whose turn it is.
 *
 * The memory synchronises nobody.  Without the semaphores the parent would read its own question.  The set is removed
 * by who made it, also when the other has died: that is what the time limit is for.
 *
 * With the bare calls: raw/turns.c.  From a shell, one turn: this terminal says something, the other one hears it:
 *     tong region write --text shm:radio over; tong sem post sysvsem:1234 1
 *     tong sem wait sysvsem:1234 1; tong region read --text shm:radio
 *
 * Build: cc turns.c -o turns $(pkg-config --cflags --libs tong)
 * Usage: turns [ADDRESS]            (of the semaphores; default sysvsem:1234, which no set may have yet)
 * Prints:
 *     parent: 1, over
 *     child:  1 heard, over
 *     parent: 2, over
 *     child:  2 heard, over
 *     parent: 3, over
 *     child:  3 heard, over
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

enum { PARENT, CHILD };
#define SIZE 64
#define TURNS 3

static int failed(const char *who)
{
    fprintf(stderr, "%s: %s\n", who, tong_detail());
    return 1;
}

static int parent(tong_semaphore *turn, char *memory)
{
    for (int i = 1; i <= TURNS; i++) {
        snprintf(memory, SIZE, "%d", i);
        printf("parent: %s, over\n", memory);
        if (tong_semaphore_post(turn, CHILD) < 0 || tong_semaphore_wait(turn, PARENT, 5 * TONG_SECOND) < 0)
            return failed("parent");
        printf("child:  %s, over\n", memory);
    }
    return 0;
}

static int child(tong_semaphore *turn, char *memory)
{
    for (int i = 1; i <= TURNS; i++) {
        if (tong_semaphore_wait(turn, CHILD, 5 * TONG_SECOND) < 0)
            return failed("child");
        int heard = atoi(memory);
        snprintf(memory, SIZE, "%d heard", heard);
        if (tong_semaphore_post(turn, PARENT) < 0)
            return failed("child");
    }
    return 0;
}

int main(int argc, char **argv)
{
    char address[256];
    tong_region *region;
    tong_semaphore *turn;
    int status = 1, result = 1;
    snprintf(address, sizeof address, "%s?count=2&create=excl&remove=owner", argc > 1 ? argv[1] : "sysvsem:1234");
    if (tong_region_open("mmap:?size=4K", TONG_READ | TONG_WRITE, &region) < 0)
        return failed("region");
    if (tong_semaphore_open(address, 0, &turn) < 0)
        return failed("semaphores") | (tong_region_close(region) < 0);
    pid_t pid = fork();
    if (pid < 0)
        perror("fork");
    if (pid == 0)
        _exit(child(turn, tong_region_data(region)));
    if (pid > 0) {
        result = parent(turn, tong_region_data(region));
        waitpid(pid, &status, 0);
    }
    tong_region_close(region);
    return (tong_semaphore_close(turn) < 0) | result | (status != 0);
}
