/* SPDX-License-Identifier: MIT */
/*
 * waitpid(2) has no timeout, so a timer ticks while it waits: two ticks within one step mean that the victim sits in a
 * system call.
 *
 * A string instruction (rep movsb) traps after each of its rounds.  It is one instruction: the rest of it runs up to a
 * breakpoint behind it, unless the operation is there for the rounds (LARGE).
 */
#include "step.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK 1500   /* us */
#define PATIENCE 6  /* waits of two ticks before a prod: longer than a sleep on a futex */

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
            MUST(ledger, (number & ~0x80) == SIGTRAP || number == SIGSTOP, "the victim got signal %d (%s)", number, strsignal(number));
            return true;
        }
        MUST(ledger, errno == EINTR, "waitpid: %s", strerror(errno));
        if (++ticks == 2)
            return false;
    }
}

/* Goes on by one instruction, or to the next entry or exit of a system call.  False: it stays in the kernel. */
static bool advance(struct ledger *ledger, pid_t victim, int request)
{
    ptrace(request, victim, NULL, NULL);
    return await_stop(ledger, victim);
}

/* Who has left the operation sleeps for good. */
static void prod(struct ledger *ledger, pid_t victim)
{
    for (int waits = 0; !await_stop(ledger, victim) && ledger->inside; waits++)
        ledger->prodded |= waits >= PATIENCE;
}

#ifdef __x86_64__
#define PROGRAM_COUNTER ((void *)offsetof(struct user, regs.rip))

static unsigned long program_counter(pid_t victim)
{
    return (unsigned long)ptrace(PTRACE_PEEKUSER, victim, PROGRAM_COUNTER, NULL);
}

/* Whether the next instruction enters the kernel. */
static bool is_before_call(pid_t victim)
{
    return (ptrace(PTRACE_PEEKTEXT, victim, (void *)program_counter(victim), NULL) & 0xffff) == 0x050f;
}

/* Runs a string instruction to its end, if the victim is in one. */
static void leave_string(struct ledger *ledger, pid_t victim, unsigned long at)
{
    long code = ptrace(PTRACE_PEEKTEXT, victim, (void *)at, NULL);
    bool repeats = (code & 0xff) == 0xf3 || (code & 0xff) == 0xf2, wide = (code & 0xf000) == 0x4000;
    if (!repeats || program_counter(victim) != at)
        return;
    unsigned long behind = at + (wide ? 3 : 2);
    code = ptrace(PTRACE_PEEKTEXT, victim, (void *)behind, NULL);
    ptrace(PTRACE_POKETEXT, victim, (void *)behind, (void *)((code & ~0xffl) | 0xcc));
    if (!advance(ledger, victim, PTRACE_CONT))
        while (!await_stop(ledger, victim))
            continue;
    ptrace(PTRACE_POKETEXT, victim, (void *)behind, (void *)code);
    ptrace(PTRACE_POKEUSER, victim, PROGRAM_COUNTER, (void *)behind);
}
#else
static unsigned long program_counter(pid_t victim)
{
    (void)victim;
    return 0;
}

static bool is_before_call(pid_t victim)
{
    (void)victim;
    return false;
}

static void leave_string(struct ledger *ledger, pid_t victim, unsigned long at)
{
    (void)ledger, (void)victim, (void)at;
}
#endif

/* One instruction. */
static bool step(struct ledger *ledger, pid_t victim, bool rounds)
{
    unsigned long at = program_counter(victim);
    bool stopped = advance(ledger, victim, PTRACE_SINGLESTEP);
    if (stopped && !rounds)
        leave_string(ledger, victim, at);
    return stopped;
}

/* To the first instruction of the operation. */
static void begin(struct ledger *ledger, pid_t victim)
{
    set_timer(TICK);
    while (!await_stop(ledger, victim))
        continue;
    ptrace(PTRACE_SETOPTIONS, victim, NULL, (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
    while (!ledger->inside)
        if (!advance(ledger, victim, PTRACE_SINGLESTEP))
            while (!await_stop(ledger, victim))
                continue;
}

static void end(struct ledger *ledger, pid_t victim, struct step_result *result)
{
    set_timer(0);
    result->finished = !ledger->inside;
    result->killed = ledger_kill(victim);
}

struct step_result step_through(struct ledger *ledger, pid_t victim, struct step_map *map)
{
    struct step_result result = { 0 };
    map->count = 0;
    begin(ledger, victim);
    while (ledger->inside) {
        bool call = is_before_call(victim);
        if (!step(ledger, victim, map->rounds))
            prod(ledger, victim);
        result.steps++;
        if (call && map->count < STEP_CALLS)
            map->at[map->count++] = result.steps;
    }
    end(ledger, victim, &result);
    return result;
}

/* Passes the system calls before `turn`.  False: in the one that ends there it stays. */
static bool pass_calls(struct ledger *ledger, pid_t victim, uint64_t turn, const struct step_map *map,
                       struct step_result *result)
{
    for (unsigned i = 0; i < map->count && map->at[i] <= turn && ledger->inside; i++) {
        result->steps = map->at[i];
        if (!advance(ledger, victim, PTRACE_SYSCALL))
            prod(ledger, victim);
        if (!advance(ledger, victim, PTRACE_SYSCALL)) {
            if (map->at[i] == turn)
                return false;
            prod(ledger, victim);
        }
    }
    return true;
}

struct step_result step_and_kill(struct ledger *ledger, pid_t victim, uint64_t turn, const struct step_map *map)
{
    struct step_result result = { 0 };
    begin(ledger, victim);
    bool stopped = pass_calls(ledger, victim, turn, map, &result);
    while (stopped && ledger->inside && result.steps < turn) {
        stopped = step(ledger, victim, map->rounds);
        if (!stopped && ++result.steps == turn)
            break;
        if (!stopped)
            prod(ledger, victim);
        result.steps += stopped;
        stopped = true;
    }
    result.in_kernel = !stopped;
    end(ledger, victim, &result);
    return result;
}
