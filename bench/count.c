/* SPDX-License-Identifier: MIT */
/* The kernel stops a traced process at each system call's entry and exit; half the stops are the calls. */
#include "bench/count.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int trace_child(pid_t child)
{
    int status;
    if (waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status))
        return -1;
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options) < 0)
        return -1;
    return ptrace(PTRACE_SYSCALL, child, NULL, NULL) < 0 ? -1 : 0;
}

/* Signals meant for the process are passed on; stops of the tracing itself are not. */
static long signal_to_pass(int status)
{
    int signal = WSTOPSIG(status);
    return signal == SIGTRAP || signal == SIGSTOP || signal == (SIGTRAP | 0x80) ? 0 : signal;
}

long count_system_calls(int (*work)(void *), void *argument)
{
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(1);
        raise(SIGSTOP);
        _exit(work(argument));
    }
    if (child < 0 || trace_child(child) < 0)
        return -1;
    long stops = 0;
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            return -1;
        if (pid == child && (WIFEXITED(status) || WIFSIGNALED(status)))
            return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? stops / 2 : -1;
        if (!WIFSTOPPED(status))
            continue;
        stops += WSTOPSIG(status) == (SIGTRAP | 0x80);
        ptrace(PTRACE_SYSCALL, pid, NULL, (void *)signal_to_pass(status));
    }
}
