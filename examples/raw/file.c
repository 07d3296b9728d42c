/* SPDX-License-Identifier: MIT */
/*
 * file.c - a child leaves its result in a file, and the parent waits for its child before it reads.  A file makes
 * nobody wait for data: who reads too early reads too little.  wait(2) is the synchronisation here.
 *
 * Build: cc file.c -o file
 * Usage: file [PATH]            (default /tmp/result; it must not exist, and is removed at the end)
 * Prints:
 *     before the child wrote: 0 bytes
 *     after waiting for it: 6 * 7 = 42
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child waits at the gate until the parent has looked too early. */
static int write_result(int file, int gate)
{
    char text[32], none;
    int size = snprintf(text, sizeof text, "6 * 7 = %d", 6 * 7);
    if (read(gate, &none, 1) < 0)
        err(1, "read");
    if (write(file, text, (size_t)size) != size)
        err(1, "write");
    return close(file) < 0;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/tmp/result";
    char text[32];
    int gate[2], status;
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        err(1, "%s", path);
    /* the name has done its part: whoever dies now leaves nothing behind */
    if (unlink(path) < 0 || pipe(gate) < 0)
        err(1, "%s", path);
    pid_t child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0) {
        close(gate[1]);
        _exit(write_result(file, gate[0]));
    }
    printf("before the child wrote: %zd bytes\n", pread(file, text, sizeof text, 0));
    close(gate[1]);
    if (waitpid(child, &status, 0) < 0)
        err(1, "waitpid");
    if (status != 0)
        errx(1, "the child failed");
    ssize_t size = pread(file, text, sizeof text, 0);
    if (size < 0)
        err(1, "read");
    printf("after waiting for it: %.*s\n", (int)size, text);
    return close(file) < 0;
}
