/* SPDX-License-Identifier: MIT */
/*
 * The signals of this machine.  Numbers differ between architectures, so the table is written with libc's names; where
 * the real-time signals begin is libc's choice too (glibc keeps the kernel's first two, 32 and 33, for its threads)
 * and is asked at run time.
 */
#include "core/signal_name.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/detail.h"
#include "base/number.h"
#include "tong/signal.h"

#define KERNEL TONG_SIGNAL_FROM_KERNEL
#define PROCESS TONG_SIGNAL_FROM_PROCESS
#define TIMER TONG_SIGNAL_FROM_TIMER
#define TERMINAL TONG_SIGNAL_FROM_TERMINAL

static const struct signal_row rows[] = {
    { SIGHUP, "HUP", TONG_SIGNAL_TERMINATE, TERMINAL | PROCESS, "the terminal hung up; daemons take it for: read the settings again" },
    { SIGINT, "INT", TONG_SIGNAL_TERMINATE, TERMINAL | PROCESS, "Ctrl-C was typed" },
    { SIGQUIT, "QUIT", TONG_SIGNAL_CORE, TERMINAL | PROCESS, "Ctrl-\\ was typed" },
    { SIGILL, "ILL", TONG_SIGNAL_CORE, KERNEL, "the processor does not know the instruction" },
    { SIGTRAP, "TRAP", TONG_SIGNAL_CORE, KERNEL, "a breakpoint was reached" },
    { SIGABRT, "ABRT", TONG_SIGNAL_CORE, PROCESS, "the process called abort()" },
    { SIGBUS, "BUS", TONG_SIGNAL_CORE, KERNEL, "memory that is mapped but not there, such as past the end of a file" },
    { SIGFPE, "FPE", TONG_SIGNAL_CORE, KERNEL, "arithmetic went wrong, such as a division by zero" },
    { SIGKILL, "KILL", TONG_SIGNAL_TERMINATE, PROCESS | KERNEL, "ends the process, whatever it does; also sent when memory runs out" },
    { SIGUSR1, "USR1", TONG_SIGNAL_TERMINATE, PROCESS, "for programs to give a meaning; without one it ends the process" },
    { SIGSEGV, "SEGV", TONG_SIGNAL_CORE, KERNEL, "memory that is not the process's to use" },
    { SIGUSR2, "USR2", TONG_SIGNAL_TERMINATE, PROCESS, "for programs to give a meaning; without one it ends the process" },
    { SIGPIPE, "PIPE", TONG_SIGNAL_TERMINATE, KERNEL, "a write to a pipe or socket that nobody reads any more" },
    { SIGALRM, "ALRM", TONG_SIGNAL_TERMINATE, TIMER, "the timer of alarm() ran out" },
    { SIGTERM, "TERM", TONG_SIGNAL_TERMINATE, PROCESS, "please end; what kill(1) sends by itself" },
#ifdef SIGSTKFLT
    { SIGSTKFLT, "STKFLT", TONG_SIGNAL_TERMINATE, PROCESS, "unused" },
#endif
    { SIGCHLD, "CHLD", TONG_SIGNAL_IGNORE, KERNEL, "a child ended, stopped or went on" },
    { SIGCONT, "CONT", TONG_SIGNAL_CONTINUE, PROCESS, "go on after a stop" },
    { SIGSTOP, "STOP", TONG_SIGNAL_STOP, PROCESS, "stops the process, whatever it does" },
    { SIGTSTP, "TSTP", TONG_SIGNAL_STOP, TERMINAL, "Ctrl-Z was typed" },
    { SIGTTIN, "TTIN", TONG_SIGNAL_STOP, TERMINAL, "a process in the background read from its terminal" },
    { SIGTTOU, "TTOU", TONG_SIGNAL_STOP, TERMINAL, "a process in the background wrote to its terminal" },
    { SIGURG, "URG", TONG_SIGNAL_IGNORE, KERNEL, "urgent bytes came in on a socket" },
    { SIGXCPU, "XCPU", TONG_SIGNAL_CORE, KERNEL, "more processor time than RLIMIT_CPU allows" },
    { SIGXFSZ, "XFSZ", TONG_SIGNAL_CORE, KERNEL, "a file longer than RLIMIT_FSIZE allows" },
    { SIGVTALRM, "VTALRM", TONG_SIGNAL_TERMINATE, TIMER, "a timer of the process's own processor time ran out" },
    { SIGPROF, "PROF", TONG_SIGNAL_TERMINATE, TIMER, "a profiling timer ran out" },
    { SIGWINCH, "WINCH", TONG_SIGNAL_IGNORE, TERMINAL, "the window of the terminal changed its size" },
    { SIGIO, "IO", TONG_SIGNAL_TERMINATE, KERNEL, "a descriptor became ready (fcntl O_ASYNC)" },
    { SIGPWR, "PWR", TONG_SIGNAL_TERMINATE, PROCESS, "the power fails" },
    { SIGSYS, "SYS", TONG_SIGNAL_CORE, KERNEL, "a system call that does not exist or is forbidden (seccomp)" },
};

static const struct signal_row real_time = {
    0, "RT", TONG_SIGNAL_TERMINATE, PROCESS | TIMER, "real time: queues in order, each with its value",
};

static const struct { const char *name; int number; } aliases[] = {
    { "IOT", SIGABRT }, { "CLD", SIGCHLD }, { "POLL", SIGIO },
};

bool signal_real_time(int number)
{
    return number >= SIGRTMIN && number <= SIGRTMAX;
}

bool signal_reserved(int number)
{
    return number > SIGSYS && number < SIGRTMIN;
}

bool signal_fixed(int number)
{
    return number == SIGKILL || number == SIGSTOP;
}

const struct signal_row *signal_row(int number)
{
    if (signal_real_time(number))
        return &real_time;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].number == number)
            return &rows[i];
    return NULL;
}

/* As kill -l counts: up from RTMIN in the lower half, down from RTMAX in the upper. */
static void real_time_name(int number, char ret[SIGNAL_NAME_SIZE])
{
    unsigned char up = (unsigned char)(number - SIGRTMIN), down = (unsigned char)(SIGRTMAX - number);
    if (up == 0 || down == 0)
        snprintf(ret, SIGNAL_NAME_SIZE, up == 0 ? "RTMIN" : "RTMAX");
    else if (up <= down)
        snprintf(ret, SIGNAL_NAME_SIZE, "RTMIN+%d", up);
    else
        snprintf(ret, SIGNAL_NAME_SIZE, "RTMAX-%d", down);
}

void signal_name(int number, char ret[SIGNAL_NAME_SIZE])
{
    const struct signal_row *row = signal_row(number);
    if (row == &real_time)
        real_time_name(number, ret);
    else if (row)
        snprintf(ret, SIGNAL_NAME_SIZE, "%s", row->name);
    else
        snprintf(ret, SIGNAL_NAME_SIZE, "%d", number);
}

/* "RTMIN+3" and "RTMAX-3", and both without a number; -EINVAL. */
static int real_time_number(const char *text)
{
    bool low = !strncasecmp(text, "RTMIN", 5);
    int64_t distance = 0;
    if (!low && strncasecmp(text, "RTMAX", 5))
        return -EINVAL;
    text += 5;
    if (*text && (*text++ != (low ? '+' : '-') || parse_count(text, 10, &distance) < 0 || distance > 64))
        return -EINVAL;
    int number = low ? SIGRTMIN + (int)distance : SIGRTMAX - (int)distance;
    return signal_real_time(number) ? number : -EINVAL;
}

static int named_number(const char *text)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcasecmp(rows[i].name, text))
            return rows[i].number;
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (!strcasecmp(aliases[i].name, text))
            return aliases[i].number;
    return real_time_number(text);
}

int signal_number(const char *text)
{
    int64_t number;
    bool counted = parse_count(text, 10, &number) == 0;
    if (counted && number > 0 && number <= SIGRTMAX && signal_reserved((int)number))
        return fail(-EINVAL, "signal %lld: the C library keeps it for its threads", (long long)number);
    if (counted)
        number = number > 0 && number <= SIGRTMAX && signal_row((int)number) ? number : -EINVAL;
    else
        number = named_number(strncasecmp(text, "SIG", 3) ? text : text + 3);
    return number > 0 ? (int)number : fail(-EINVAL, "there is no signal '%.40s': use a name such as USR1, TERM or RTMIN+3 "
                                           "(tong signal list), or its number", text);
}
