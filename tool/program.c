/* SPDX-License-Identifier: MIT */
/* Programs that a verb runs. */
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

static void pass_on(int number);

static const struct { int number; void (*handler)(int); } signals[] = {
    { SIGTERM, pass_on }, { SIGHUP, pass_on }, { SIGINT, SIG_IGN }, { SIGQUIT, SIG_IGN },
};
#define SIGNALS (sizeof signals / sizeof *signals)

static sigset_t mask;                     /* as it was */
static bool holding;                      /* `mask` is not what holds now */
static volatile pid_t running[PROGRAMS_MAX]; /* 0: none, or ended: the number may soon be another's */

static void pass_on(int number)
{
    int error = errno;
    for (size_t i = 0; i < PROGRAMS_MAX; i++)
        if (running[i])
            kill(running[i], number);
    errno = error;
}

static void hold_signals(void)
{
    sigset_t set;
    if (holding)
        return;
    sigemptyset(&set);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(&set, signals[i].number);
    sigprocmask(SIG_BLOCK, &set, &mask);
    holding = true;
}

int program_fork(pid_t *ret_pid)
{
    hold_signals();
    pid_t pid = fork();
    if (pid < 0) {
        fail_system(-errno, "fork");
        return CODE_OWN_FAILURE;
    }
    if (pid == 0)
        sigprocmask(SIG_SETMASK, &mask, NULL);
    *ret_pid = pid;
    return 0;
}

int program_execute(char **argv)
{
    execvp(argv[0], argv);
    int error = errno;
    say("cannot run '%s': %s", argv[0], strerror(error));
    return error == ENOENT ? CODE_NO_COMMAND : CODE_NOT_EXECUTABLE;
}

/* Until it has ended its number is its own, and signals may go there. */
static int wait_for(size_t index)
{
    siginfo_t ended;
    pid_t pid = running[index];
    int status;
    while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) < 0)
        if (errno != EINTR) {
            fail_system(-errno, "waitid");
            return CODE_OWN_FAILURE;
        }
    running[index] = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return CODE_OWN_FAILURE;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int program_wait(const pid_t *pids, size_t count)
{
    int code = CODE_OWN_FAILURE;
    for (size_t i = 0; i < count; i++)
        running[i] = pids[i];
    for (size_t i = 0; i < SIGNALS; i++)
        signal(signals[i].number, signals[i].handler);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    for (size_t i = 0; i < count; i++)
        code = wait_for(i);
    return code;
}
