/* SPDX-License-Identifier: MIT */
/*
 * two_pipes.c - a parent and its child talk both ways: a pipe has one direction, so there are two.
 *
 * With one pipe the parent would read its own question.  With two, each process keeps one end of each and closes the
 * other, so that each sees the end when the other has finished.  SIGPIPE is ignored: a child that died is an error
 * of write(2) and not the death of the parent.
 *
 * Build: cc two_pipes.c -o two_pipes
 * Prints (the parent does):
 *     4 * 7 = 28
 *     5 * 7 = 35
 *     6 * 7 = 42
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Answers each number with seven times as much, until the parent has finished.  What is shorter than PIPE_BUF comes
 * whole. */
static int child(int from_parent, int to_parent)
{
    long number;
    ssize_t size;
    while ((size = read(from_parent, &number, sizeof number)) == sizeof number) {
        number *= 7;
        if (write(to_parent, &number, sizeof number) < 0)
            err(1, "child: write");
    }
    if (size != 0)
        err(1, "child: read");
    return 0;
}

static void ask(int to_child, int from_child)
{
    for (long number = 4; number <= 6; number++) {
        long answer;
        if (write(to_child, &number, sizeof number) < 0)
            err(1, "write");
        ssize_t size = read(from_child, &answer, sizeof answer);
        if (size < 0)
            err(1, "read");
        if (size != sizeof answer)
            errx(1, "the child has gone without an answer");
        printf("%ld * 7 = %ld\n", number, answer);
    }
}

int main(void)
{
    int down[2], up[2], status;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || pipe(down) < 0 || pipe(up) < 0)
        err(1, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    close(down[pid == 0 ? 1 : 0]);
    close(up[pid == 0 ? 0 : 1]);
    if (pid == 0)
        _exit(child(down[0], up[1]));
    ask(down[1], up[0]);
    close(down[1]);
    if (waitpid(pid, &status, 0) < 0)
        err(1, "waitpid");
    return status != 0;
}
