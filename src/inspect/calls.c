/* SPDX-License-Identifier: MIT */
/*
 * System calls that sleep: which argument tells for what, and which one says for how long.  A call that is not in the
 * table waits for something that nobody here can name, so whoever is in it may come back at any time.
 */
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "inspect/waits.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* on every port, though older headers lack it */
#endif

#define NEVER 7 /* no argument says until when */
#define MILLISECONDS 8 /* it is the argument below this bit, a number; else a pointer, NULL for ever */
#define FOREVER_IN(argument) (MILLISECONDS | (argument))

struct call {
    long number;
    const char *name;
    void (*decode)(struct look_at_thread *look);
    uint8_t timeout;
};

static void read_first(struct look_at_thread *look)
{
    wait_on_descriptor(look, (int)look->argument[0], TONG_RECEIVE, false);
}

static void write_first(struct look_at_thread *look)
{
    wait_on_descriptor(look, (int)look->argument[0], TONG_SEND, false);
}

/* Between two descriptors: until the one has something or the other has room. */
static void splice_third(struct look_at_thread *look)
{
    look->either = true;
    wait_on_descriptor(look, (int)look->argument[0], TONG_RECEIVE, true);
    wait_on_descriptor(look, (int)look->argument[2], TONG_SEND, true);
}

static void tee_second(struct look_at_thread *look)
{
    look->either = true;
    wait_on_descriptor(look, (int)look->argument[0], TONG_RECEIVE, true);
    wait_on_descriptor(look, (int)look->argument[1], TONG_SEND, true);
}

static void sendfile_first(struct look_at_thread *look)
{
    look->either = true;
    wait_on_descriptor(look, (int)look->argument[1], TONG_RECEIVE, true);
    wait_on_descriptor(look, (int)look->argument[0], TONG_SEND, true);
}

static void any_client(struct look_at_thread *look)
{
    wait_on_descriptor(look, (int)look->argument[0], 0, false);
}

static void any_signal(struct look_at_thread *look)
{
    wait_open(look, "a signal");
}

static void only_time(struct look_at_thread *look)
{
    look->timed = true;
    wait_open(look, "the time");
}

static void wait_child(struct look_at_thread *look, int64_t pid)
{
    bool known = pid > 0 && wait_same_namespace(look, SCAN_PID);
    const struct wait_fact fact = { .rule = RULE_CHILDREN, .fd = -1, .number = known ? pid : 0, .children = true };
    wait_add(look, &fact, TONG_NOBODY, 0, "the end of a child");
}

static void child_of_wait4(struct look_at_thread *look)
{
    wait_child(look, (int)look->argument[0]);
}

static void child_of_waitid(struct look_at_thread *look)
{
    if (look->argument[0] == P_PIDFD)
        wait_open(look, "a process, by its descriptor");
    else
        wait_child(look, look->argument[0] == P_PID ? (int)look->argument[1] : 0);
}

static void child_of_vfork(struct look_at_thread *look)
{
    wait_child(look, 0);
}

/* posix_spawn(3): until the child runs another program, or ends. */
static void child_of_clone(struct look_at_thread *look)
{
    uint64_t flags = look->argument[0];
    bool known = strcmp(look->operation, "clone3") || wait_peek(look, flags, &flags, sizeof flags);
    if (known && flags & CLONE_VFORK)
        wait_child(look, 0);
    else
        wait_open(look, "the kernel");
}

static void in_uring(struct look_at_thread *look)
{
    graph_gap(look->scan->graph, "what threads in io_uring wait for", "their rings are not read");
    wait_open(look, "what it asked of io_uring");
}

/* A stop interrupted it, and its arguments are gone. */
static void interrupted(struct look_at_thread *look)
{
    wait_open(look, "what it waited for before it was stopped");
}

static const struct call calls[] = {
    { SYS_read, "read", read_first, NEVER },
    { SYS_readv, "readv", read_first, NEVER },
    { SYS_preadv2, "preadv2", read_first, NEVER },
    { SYS_write, "write", write_first, NEVER },
    { SYS_writev, "writev", write_first, NEVER },
    { SYS_pwritev2, "pwritev2", write_first, NEVER },
    { SYS_recvfrom, "recvfrom", read_first, NEVER },
    { SYS_recvmsg, "recvmsg", read_first, NEVER },
    { SYS_recvmmsg, "recvmmsg", read_first, 4 },
    { SYS_sendto, "sendto", write_first, NEVER },
    { SYS_sendmsg, "sendmsg", write_first, NEVER },
    { SYS_sendmmsg, "sendmmsg", write_first, NEVER },
    { SYS_splice, "splice", splice_third, NEVER },
    { SYS_tee, "tee", tee_second, NEVER },
    { SYS_vmsplice, "vmsplice", write_first, NEVER },
    { SYS_sendfile, "sendfile", sendfile_first, NEVER },
    { SYS_accept, "accept", any_client, NEVER },
    { SYS_accept4, "accept4", any_client, NEVER },
    { SYS_connect, "connect", call_connect, NEVER },
    { SYS_ppoll, "ppoll", call_poll, 2 },
    { SYS_pselect6, "pselect6", call_select, 4 },
    { SYS_epoll_pwait, "epoll_pwait", call_epoll, FOREVER_IN(3) },
    { SYS_epoll_pwait2, "epoll_pwait2", call_epoll, 3 },
    { SYS_semop, "semop", call_semop, NEVER },
    { SYS_semtimedop, "semtimedop", call_semop, 3 },
    { SYS_msgrcv, "msgrcv", call_msgrcv, NEVER },
    { SYS_msgsnd, "msgsnd", call_msgsnd, NEVER },
    { SYS_mq_timedreceive, "mq_receive", read_first, 4 },
    { SYS_mq_timedsend, "mq_send", write_first, 4 },
    { SYS_futex, "futex", call_futex, 3 },
    { SYS_futex_waitv, "futex_waitv", call_futex_waitv, 3 },
    { SYS_flock, "flock", call_flock, NEVER },
    { SYS_fcntl, "fcntl", call_fcntl, NEVER },
    { SYS_openat, "openat", call_openat, NEVER },
    { SYS_openat2, "openat2", call_openat, NEVER },
    { SYS_wait4, "wait4", child_of_wait4, NEVER },
    { SYS_waitid, "waitid", child_of_waitid, NEVER },
    { SYS_clone, "clone", child_of_clone, NEVER },
    { SYS_clone3, "clone3", child_of_clone, NEVER },
    { SYS_io_uring_enter, "io_uring_enter", in_uring, NEVER },
    { SYS_restart_syscall, "restart_syscall", interrupted, NEVER },
    { SYS_rt_sigsuspend, "sigsuspend", any_signal, NEVER },
    { SYS_rt_sigtimedwait, "sigtimedwait", any_signal, 2 },
    { SYS_nanosleep, "nanosleep", only_time, NEVER },
    { SYS_clock_nanosleep, "clock_nanosleep", only_time, NEVER },
#ifdef SYS_poll /* calls that only older ports have */
    { SYS_poll, "poll", call_poll, FOREVER_IN(2) },
    { SYS_select, "select", call_select, 4 },
    { SYS_epoll_wait, "epoll_wait", call_epoll, FOREVER_IN(3) },
    { SYS_open, "open", call_open, NEVER },
    { SYS_pause, "pause", any_signal, NEVER },
    { SYS_vfork, "vfork", child_of_vfork, NEVER },
#endif
};

static bool is_timed(const struct look_at_thread *look, unsigned timeout)
{
    if (timeout == NEVER)
        return false;
    uint64_t value = look->argument[timeout & (MILLISECONDS - 1)];
    return timeout & MILLISECONDS ? (int)value >= 0 : value != 0;
}

void call_decode(struct look_at_thread *look, long number)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i].number == number) {
            look->operation = calls[i].name;
            look->timed = is_timed(look, calls[i].timeout);
            calls[i].decode(look);
            return;
        }
    look->operation = "?";
    wait_open(look, graph_format(look->scan->graph, "system call %ld", number));
}
