/* SPDX-License-Identifier: MIT */
/*
 * global.c - parent and child share no global variable: from fork(2) on each has its own.  A page that was mapped as
 * shared before the fork is one page for both.
 *
 * Build: cc global.c -o global
 * Prints what the parent sees of the two after the child has set both to 42:
 *     a global variable: 1
 *     mapped and shared: 42
 */
#include <err.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int global = 1;

int main(void)
{
    int status, *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        err(1, "mmap");
    *shared = 1;
    pid_t child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0) {
        global = 42;
        *shared = 42;
        _exit(0);
    }
    if (waitpid(child, &status, 0) < 0)
        err(1, "waitpid");
    if (status != 0)
        errx(1, "the child failed");
    printf("a global variable: %d\nmapped and shared: %d\n", global, *shared);
    return munmap(shared, sizeof *shared) < 0;
}
