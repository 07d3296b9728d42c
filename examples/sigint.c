/* SPDX-License-Identifier: MIT */
/*
 * sigint.c - the four things that can happen to a process when SIGINT (Ctrl-C) comes: its own function runs, nothing
 * happens, it waits until it is let in, or the kernel does the default, which is death.
 *
 * A child takes up each of them in turn, says that it is ready, and is sent SIGINT by its parent.  A function that
 * runs in the middle of everything may call only what is async-signal-safe: it sets a flag, and nothing else.
 *
 * With the bare calls: raw/sigint.c.  From a shell, in two terminals:
 *     tong signal wait INT            tong signal send PID INT
 *
 * Build: cc sigint.c -o sigint $(pkg-config --cflags --libs tong)
 * Prints:
 *     handled: caught
 *     ignored: nothing came
 *     blocked: pending, and caught when released
 *     default: killed by SIGINT
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

static volatile sig_atomic_t caught;

static int failed(const char *who)
{
    fprintf(stderr, "%s: %s\n", who, tong_detail());
    return 1;
}

static void note(const tong_signal_arrival *arrival, void *context)
{
    (void)arrival;
    (void)context;
    caught = 1;
}

static int handle(void)
{
    return tong_signal_handle(SIGINT, note, NULL, TONG_SIGNAL_RESTART);
}

static int ignore(void)
{
    return tong_signal_ignore(SIGINT);
}

static int block(void)
{
    int r = handle();
    return r < 0 ? r : tong_signal_block(TONG_SIGNAL_BIT(SIGINT), NULL);
}

static int die(void)
{
    return tong_signal_default(SIGINT);
}

/* Says that it is ready; has been sent SIGINT when the parent has ended; says what came. */
static int child(const char *name, int (*take_up)(void), tong_channel *parent)
{
    tong_signal_status status = TONG_SIGNAL_STATUS_INIT;
    char none[1];
    if (take_up() < 0 || tong_channel_send(parent, NULL, 0, NULL, TONG_FOREVER) < 0 ||
        tong_channel_receive(parent, none, sizeof none, NULL, TONG_FOREVER) != -ENODATA ||
        tong_signal_status_of(0, &status) < 0)
        return failed(name);
    int waited = (status.pending & TONG_SIGNAL_BIT(SIGINT)) != 0;
    if (tong_signal_release(TONG_SIGNAL_BIT(SIGINT), NULL) < 0)
        return failed(name);
    printf("%s: %s%s\n", name, waited ? "pending, and " : "",
           !caught ? "nothing came" : waited ? "caught when released" : "caught");
    return fflush(stdout) != 0;
}

static int try(const char *name, int (*take_up)(void))
{
    tong_channel *ends[2];
    tong_identity to = TONG_IDENTITY_INIT;
    char none[1];
    int status, result = 0;
    if (tong_channel_pair("pipe:", TONG_BOTH, ends) < 0)
        return failed("pair");
    pid_t pid = fork();
    if (pid < 0)
        return perror("fork"), 1;
    tong_channel_close(ends[pid == 0 ? 0 : 1]);
    if (pid == 0)
        _exit(child(name, take_up, ends[1]));
    to.pid = pid;
    if (tong_channel_receive(ends[0], none, sizeof none, NULL, 5 * TONG_SECOND) < 0 ||
        tong_signal_send(&to, SIGINT, NULL) < 0)
        result = failed(name);
    tong_channel_close(ends[0]);
    if (waitpid(pid, &status, 0) < 0)
        return perror("waitpid"), 1;
    if (WIFSIGNALED(status))
        printf("%s: killed by SIG%s\n", name, WTERMSIG(status) == SIGINT ? "INT" : "something else");
    return fflush(stdout) != 0 || result;
}

int main(void)
{
    return try("handled", handle) || try("ignored", ignore) || try("blocked", block) || try("default", die);
}
