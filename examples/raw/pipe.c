/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - a parent says something to its child through an anonymous pipe.
 *
 * A pipe is a stream of bytes: one read(2) may give less than was written, so the child reads to the end, and the end
 * comes only when nobody holds the writing end any more: each process closes the end that it does not use.  Without
 * readers write(2) is answered by SIGPIPE, which kills; ignored, by an error.
 *
 * Build: cc pipe.c -o pipe
 * Prints (the child does):
 *     19 Hello Child Process
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int child(int from_parent)
{
    char text[255];
    size_t have = 0;
    ssize_t more;
    while (have < sizeof text && (more = read(from_parent, text + have, sizeof text - have)) != 0) {
        if (more < 0)
            err(1, "read");
        have += (size_t)more;
    }
    printf("%zu %.*s\n", have, (int)have, text);
    return fflush(stdout) != 0;
}

int main(void)
{
    const char *message = "Hello Child Process";
    int fd[2], status;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || pipe(fd) < 0)
        err(1, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid == 0) {
        close(fd[1]);
        _exit(child(fd[0]));
    }
    close(fd[0]);
    if (write(fd[1], message, strlen(message)) < 0)
        err(1, "write");
    close(fd[1]);
    if (waitpid(pid, &status, 0) < 0)
        err(1, "waitpid");
    return status != 0;
}
