/* SPDX-License-Identifier: MIT */
/*
 * waitpid(2) has no timeout, so a timer ticks while it waits: two ticks within one step mean that the victim sits in a
 * system call.  A string instruction (rep movsb) traps after each of its rounds, so each is a step of its own.
 */
#include "step.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK 3000 /* us */

static void tick(int number)
{
    (void)number;
}

void step_await(void)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
}

static void set_timer(int microseconds)
{
    const struct sigaction action = { .sa_handler = tick };
    const struct itimerval timer = { { 0, microseconds }, { 0, microseconds } };
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* Waits for the next stop of the victim; false: it stays in a system call. */
static bool await_stop(struct ledger *ledger, pid_t victim)
{
    int status, ticks = 0;
    for (;;) {
        pid_t r = waitpid(victim, &status, __WALL);
        if (r == victim) {
            MUST(ledger, !ledger->failed, "%s", ledger->failure);
            MUST(ledger, WIFSTOPPED(status), "the victim ended with status 0x%x while it was stepped", (unsigned)status);
            int number = WSTOPSIG(status);
            MUST(ledger, number == SIGTRAP || number == SIGSTOP, "the victim got signal %d (%s)", number, strsignal(number));
            return true;
        }
        MUST(ledger, errno == EINTR, "waitpid: %s", strerror(errno));
        if (++ticks == 2)
            return false;
    }
}

struct step_result step_and_kill(struct ledger *ledger, pid_t victim, uint64_t turn)
{
    struct step_result result = { 0 };
    bool entered = false;
    set_timer(TICK);
    while (!await_stop(ledger, victim))
        continue;
    ptrace(PTRACE_SETOPTIONS, victim, NULL, (void *)PTRACE_O_EXITKILL);
    while (!(entered |= ledger->inside != 0) || (ledger->inside && result.steps < turn)) {
        bool counts = ledger->inside;
        ptrace(PTRACE_SINGLESTEP, victim, NULL, NULL);
        bool stopped = await_stop(ledger, victim);
        result.steps += counts;
        if (!stopped && counts && result.steps == turn) {
            result.in_kernel = true;
            break;
        }
        while (!stopped) {
            ledger->prodded = 1;
            stopped = await_stop(ledger, victim);
        }
    }
    set_timer(0);
    result.finished = !ledger->inside;
    result.killed = ledger_kill(victim);
    return result;
}
