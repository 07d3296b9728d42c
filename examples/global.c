/* SPDX-License-Identifier: MIT */
/*
 * global.c - parent and child share no global variable: from fork(2) on each has its own.  A region that was opened
 * before the fork is the same memory for both.
 *
 * With the bare calls: raw/global.c.  From a shell, whose variables are no more shared than a program's:
 *     x=1; (x=42); echo $x
 *
 * Build: cc global.c -o global $(pkg-config --cflags --libs tong)
 * Prints what the parent sees of the two after the child has set both to 42:
 *     a global variable: 1
 *     mapped and shared: 42
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

static int global = 1;

int main(void)
{
    tong_region *region;
    int status;
    if (tong_region_open("mmap:?size=4K", TONG_READ | TONG_WRITE, &region) < 0)
        return fprintf(stderr, "%s\n", tong_detail()), 1;
    int *shared = tong_region_data(region);
    *shared = 1;
    pid_t child = fork();
    if (child < 0)
        return perror("fork"), 1;
    if (child == 0) {
        global = 42;
        *shared = 42;
        _exit(0);
    }
    if (waitpid(child, &status, 0) < 0 || status != 0)
        return fprintf(stderr, "the child failed\n"), 1;
    printf("a global variable: %d\nmapped and shared: %d\n", global, *shared);
    return tong_region_close(region) < 0;
}
