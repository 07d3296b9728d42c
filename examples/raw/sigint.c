/* SPDX-License-Identifier: MIT */
/*
 * sigint.c - the four things that can happen to a process when SIGINT (Ctrl-C) comes: its own function runs, nothing
 * happens, it waits until it is let in, or the kernel does the default, which is death.
 *
 * A child takes up each of them in turn, says that it is ready, and is sent SIGINT by its parent.  A function that
 * runs in the middle of everything may call only what is async-signal-safe: it sets a flag, and nothing else.
 *
 * Build: cc sigint.c -o sigint
 * Prints:
 *     handled: caught
 *     ignored: nothing came
 *     blocked: pending, and caught when released
 *     default: killed by SIGINT
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void note(int signal)
{
    (void)signal;
    caught = 1;
}

struct way {
    const char *name;
    void (*disposition)(int);
    int blocked;
};

static void take_up(const struct way *way, sigset_t *interrupt)
{
    struct sigaction action = { .sa_handler = way->disposition, .sa_flags = SA_RESTART };
    sigemptyset(interrupt);
    sigaddset(interrupt, SIGINT);
    if (sigaction(SIGINT, &action, NULL) < 0 || (way->blocked && sigprocmask(SIG_BLOCK, interrupt, NULL) < 0))
        err(1, "sigaction");
}

/* Says that it is ready; has been sent SIGINT when the other end is closed; says what came. */
static int child(const struct way *way, int ready, int sent)
{
    sigset_t interrupt, pending;
    char none;
    take_up(way, &interrupt);
    if (write(ready, "r", 1) < 0 || read(sent, &none, 1) < 0 || sigpending(&pending) < 0)
        err(1, "child");
    int waited = sigismember(&pending, SIGINT) && !caught;
    if (sigprocmask(SIG_UNBLOCK, &interrupt, NULL) < 0)
        err(1, "sigprocmask");
    printf("%s: %s%s\n", way->name, waited ? "pending, and " : "",
           !caught ? "nothing came" : waited ? "caught when released" : "caught");
    return fflush(stdout) != 0;
}

static void try(const struct way *way)
{
    int ready[2], sent[2], status;
    char byte;
    if (pipe(ready) < 0 || pipe(sent) < 0)
        err(1, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    close(ready[pid == 0 ? 0 : 1]);
    close(sent[pid == 0 ? 1 : 0]);
    if (pid == 0)
        _exit(child(way, ready[1], sent[0]));
    if (read(ready[0], &byte, 1) != 1 || kill(pid, SIGINT) < 0)
        err(1, "the child was not ready");
    close(ready[0]);
    close(sent[1]);
    if (waitpid(pid, &status, 0) < 0)
        err(1, "waitpid");
    if (WIFSIGNALED(status))
        printf("%s: killed by SIG%s\n", way->name, WTERMSIG(status) == SIGINT ? "INT" : "something else");
    fflush(stdout);
}

int main(void)
{
    const struct way ways[] = {
        { "handled", note, 0 }, { "ignored", SIG_IGN, 0 }, { "blocked", note, 1 }, { "default", SIG_DFL, 0 }
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        try(&ways[i]);
    return 0;
}
