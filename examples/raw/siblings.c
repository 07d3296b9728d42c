/* SPDX-License-Identifier: MIT */
/*
 * siblings.c - a pipe between two children of one parent: who inherits an end can use it, in whatever generation.
 *
 * The parent makes the pipe and uses neither end.  It closes both, or the younger would wait for the end for ever.
 *
 * Build: cc siblings.c -o siblings
 * Prints (the younger child does):
 *     Hello Sibling
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int elder(const int fd[2])
{
    const char *message = "Hello Sibling";
    close(fd[0]);
    if (write(fd[1], message, strlen(message)) < 0)
        err(1, "write");
    return close(fd[1]) < 0;
}

static int younger(const int fd[2])
{
    char text[64];
    ssize_t size;
    close(fd[1]);
    while ((size = read(fd[0], text, sizeof text)) > 0)
        printf("%.*s", (int)size, text);
    if (size < 0)
        err(1, "read");
    putchar('\n');
    return fflush(stdout) != 0;
}

int main(void)
{
    int (*const children[])(const int[2]) = { elder, younger };
    int fd[2], status, result = 0;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || pipe(fd) < 0)
        err(1, "pipe");
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid < 0)
            err(1, "fork");
        if (pid == 0)
            _exit(children[i](fd));
    }
    close(fd[0]);
    close(fd[1]);
    while (wait(&status) > 0)
        result |= status != 0;
    return result;
}
