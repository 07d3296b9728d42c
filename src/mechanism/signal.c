/* SPDX-License-Identifier: MIT */
/*
 * signal: - numbers carried by signals, sigqueue(3) and signalfd(2).
 *
 * A message is the decimal text of an int, "42", which travels as the signal's value; an empty message is a signal
 * without one.  Its type is the signal's number.  Nothing is added, so kill(1), sigqueue(3) and sigwaitinfo(2) are as
 * good a peer as this library.  The receiver is a process and has no other name than its pid.
 *
 * Traps dealt with here:
 *   - A signal that any thread of the receiver has not blocked is delivered there, and as a rule ends the process.  So a
 *     receiver is opened only when all have; who starts a thread later answers for it.
 *   - Real-time signals queue until RLIMIT_SIGPENDING; standard ones merge with one that waits already, unknown to both
 *     sides.  Waiting for room is trying again: the kernel tells nobody.
 *   - signalfd(2) reads the signals of whoever reads, not of who opened it: in a forked child those of the child.  So a
 *     child opens a channel of its own.
 *   - What was read cannot be put back: a number that does not fit the buffer is kept here, and readiness counts it.
 *   - The sender holds a descriptor of the receiving process, so a later process with its pid gets nothing; it is
 *     readable once the receiver is dead.
 *   - Who sent is what the signal claims: sigqueue(3) may claim anything.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/mechanism.h"
#include "core/patience.h"
#include "core/port.h"
#include "core/process.h"
#include "core/signal_arrival.h"
#include "core/signal_name.h"
#include "core/signal_send.h"
#include "core/signal_status.h"
#include "core/wait.h"
#include "sys/sys.h"

#define TEXT_MAX 11 /* bytes of "-2147483648" */

struct signals {
    struct conduit conduit;
    int number;
    struct signal_target target; /* sending */
    uint64_t target_start;
    struct port port;            /* receiving: a signalfd that blocks, and one that does not */
    struct ready ready;
    bool kept;                   /* `arrival` was read and did not fit; guarded as the receiving side, as it is */
    tong_signal_arrival arrival; /* the last one */
    pthread_mutex_t lock;
    tong_identity last;          /* its sender, for who asks beside a receive; under `lock` */
};

/* ---- Sending ------------------------------------------------------------------------------------------- */

/* Exactly what would be written for the number, so that what arrives is what was sent. */
static int parse_value(const struct conduit *conduit, const char *data, size_t size, int32_t *ret)
{
    char text[TEXT_MAX + 1], again[TEXT_MAX + 1];
    if (size > TEXT_MAX)
        return fail(-EMSGSIZE, "%s: a message of %zu bytes cannot be sent: a signal carries one int, at most %d digits and a sign "
                    "(%d bytes)", conduit->object, size, TEXT_MAX - 1, TEXT_MAX);
    memcpy(text, data, size);
    text[size] = '\0';
    long long number = strtoll(text, NULL, 10);
    *ret = (int32_t)number;
    snprintf(again, sizeof again, "%d", (int)*ret);
    if (*ret == number && size == strlen(again) && !memcmp(text, again, size))
        return 0;
    return fail(-EINVAL, "%s: '%s' cannot be sent: a signal carries one number from -2147483648 to 2147483647, written plainly "
                "such as 42 (lines of numbers: tong send --lines), or nothing", conduit->object, text);
}

static int choose_number(const struct signals *signals, int64_t type)
{
    if (type == 0)
        return signals->number;
    if (type > 0 && type <= SIGRTMAX && signal_row((int)type))
        return (int)type;
    return fail(-EINVAL, "%s: type %lld is no signal that can be sent: it is a signal's number, or 0 for %d",
                signals->conduit.object, (long long)type, signals->number);
}

static int send_failed(const struct signals *signals, int error)
{
    return error == -ESRCH ? fail(-EPIPE, "%s: the process has ended", signals->conduit.object) : error;
}

/* One pause before the next try, or until the receiver dies. */
static int back_off(struct signals *signals, struct patience *patience, int64_t deadline)
{
    if (deadline == DEADLINE_NOW)
        return -EAGAIN;
    int r = patience_pause_on(patience, signals->target.pidfd, POLLIN, signals->conduit.cancel_fd, deadline);
    return r > 0 ? send_failed(signals, -ESRCH) : r;
}

static int signals_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct signals *signals = (struct signals *)conduit;
    int32_t value = 0;
    int number = choose_number(signals, out->type);
    int r = number < 0 ? number : out->size ? parse_value(conduit, out->data, out->size, &value) : 0;
    if (r < 0)
        return r;
    int paused = 0;
    struct patience patience = PATIENCE_INIT;
    do
        r = signal_target_send(&signals->target, number, out->size ? &value : NULL);
    while (r == -EAGAIN && (paused = back_off(signals, &patience, deadline)) == 0);
    patience_end(&patience);
    return paused < 0 ? paused : r < 0 ? send_failed(signals, r) : 0;
}

/* ---- Receiving ----------------------------------------------------------------------------------------- */

static int take(struct signals *signals, int64_t deadline)
{
    struct signalfd_siginfo about;
    ssize_t r = port_read(&signals->port, &(struct iovec){ &about, sizeof about }, 1, signals->conduit.cancel_fd, deadline);
    if (r < 0)
        return (int)r;
    if (r != sizeof about)
        return fail(-EIO, "%s: the kernel gave %zd bytes for a signal instead of %zu", signals->conduit.object, r, sizeof about);
    struct signal_account account = { (int)about.ssi_signo, about.ssi_code, about.ssi_errno, about.ssi_int,
                                      (pid_t)about.ssi_pid, about.ssi_uid };
    signal_arrival(&account, &signals->arrival);
    if (signals->arrival.sender.pid > 0)
        signals->arrival.sender.start_time = process_start_time((pid_t)signals->arrival.sender.pid);
    pthread_mutex_lock(&signals->lock);
    signals->last = signals->arrival.sender;
    pthread_mutex_unlock(&signals->lock);
    return 0;
}

static ssize_t signals_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct signals *signals = (struct signals *)conduit;
    const tong_signal_arrival *arrival = &signals->arrival;
    char text[TEXT_MAX + 1];
    int r = signals->kept ? 0 : take(signals, deadline);
    if (r < 0)
        return r;
    size_t size = arrival->flags & TONG_SIGNAL_VALUE ? (size_t)snprintf(text, sizeof text, "%d", (int)arrival->value) : 0;
    in->meta.length = size;
    signals->kept = size > in->capacity;
    if (signals->kept) {
        ready_raise(&signals->ready);
        return fail(-EMSGSIZE, "%s: the next number has %zu digits and the buffer %zu bytes: it is kept", conduit->object, size,
                    in->capacity);
    }
    ready_lower(&signals->ready);
    if (size)
        memcpy(in->data, text, size);
    in->meta.type = arrival->number;
    in->meta.sender = arrival->sender;
    return (ssize_t)size;
}

/* ---- Readiness, sight ---------------------------------------------------------------------------------- */

static int signals_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct signals *signals = (struct signals *)conduit;
    if (direction == TONG_SEND)
        return fail(-EOPNOTSUPP, "%s: the kernel does not tell when a process has room for signals: send with a timeout",
                    conduit->object);
    int r = ready_open(&signals->ready, signals->port.fd, EPOLLIN);
    if (r < 0)
        return r;
    if (signals->kept)
        ready_raise(&signals->ready);
    *ret = (struct pollfd){ signals->ready.epoll_fd, POLLIN, 0 };
    return 0;
}

/* The process that this end sends to; else whoever sent last, as it claims. */
static int signals_peer(struct conduit *conduit, tong_identity *ret)
{
    struct signals *signals = (struct signals *)conduit;
    if (signals->target.pidfd >= 0) {
        ret->source = TONG_IDENTITY_CONNECTION;
        ret->pid = signals->target.pid;
        ret->start_time = signals->target_start;
        return 0;
    }
    pthread_mutex_lock(&signals->lock);
    *ret = signals->last;
    pthread_mutex_unlock(&signals->lock);
    return ret->source == TONG_IDENTITY_NONE ? fail(-ENOTCONN, "%s: no process has sent yet", conduit->object) : 0;
}

static int signals_describe(struct conduit *conduit, tong_channel_info *ret)
{
    (void)conduit;
    ret->largest = TEXT_MAX;
    return 0;
}

/* ---- Opening and closing ------------------------------------------------------------------------------- */

static int signals_close(struct conduit *conduit, bool forked)
{
    struct signals *signals = (struct signals *)conduit;
    (void)forked;
    ready_close(&signals->ready);
    port_close(&signals->port);
    signal_target_close(&signals->target);
    pthread_mutex_destroy(&signals->lock);
    conduit_free(conduit);
    return 0;
}

static const struct channel_facet signals_facet = {
    .variant = "",
    .identity = TONG_IDENTITY_CLAIMED,
    .shape = TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS,
    .send = signals_send,
    .receive = signals_receive,
    .pollfd = signals_pollfd,
    .peer = signals_peer,
    .describe = signals_describe,
    .close = signals_close,
};

static bool names_self(const char *name)
{
    int64_t pid;
    return !*name || !strcmp(name, "self") || (parse_count(name, 10, &pid) == 0 && pid == getpid());
}

static int parse_pid(const char *name, pid_t *ret)
{
    int64_t pid = 0;
    if (names_self(name))
        pid = getpid();
    else if (parse_count(name, 10, &pid) < 0 || pid <= 0 || pid != (pid_t)pid)
        return fail(-EINVAL, "signal:%s: that is no process number: write signal:PID, or signal: for this process", name);
    *ret = (pid_t)pid;
    return 0;
}

struct names {
    const char *in, *out;
};

static int choose_names(const struct open_request *request, struct names *ret)
{
    const struct address *address = request->address;
    uint32_t ways = request->flags & TONG_BOTH;
    if (ways == TONG_BOTH && !address->second)
        return fail(-EOPNOTSUPP, "a signal goes one way: name two processes for both directions, signal:self,PID");
    if (ways != TONG_BOTH && address->second)
        return fail(-EINVAL, "%s names two processes: open it for both directions", address->text);
    *ret = (struct names){ ways & TONG_RECEIVE ? address->name : NULL,
                           ways == TONG_BOTH ? address->second : ways == TONG_SEND ? address->name : NULL };
    if (ret->in && !names_self(ret->in))
        return fail(-EINVAL, "signal:%s: a process receives its own signals only: open signal: (this process is %d)", ret->in,
                    (int)getpid());
    return 0;
}

/* Whether the signal is blocked in one thread. */
static int check_thread(pid_t tid, void *context)
{
    const struct signals *signals = context;
    struct signal_status status;
    char name[SIGNAL_NAME_SIZE];
    int r = signal_status_read(0, tid, &status);
    if (r < 0)
        return r == -ESRCH ? 0 : r; /* it has ended meanwhile */
    if (status.blocked & signal_bit(signals->number))
        return 0;
    signal_name(signals->number, name);
    return fail(-EINVAL, "%s: thread %d (%s) has %s not blocked, so it would be delivered there instead of received: call "
                "tong_signal_block() before threads are started", signals->conduit.object, (int)tid, status.name, name);
}

static int open_receiving(struct signals *signals)
{
    sigset_t set;
    if (signal_fixed(signals->number))
        return fail(-EINVAL, "%s: cannot be received: KILL and STOP always do what they do", signals->conduit.object);
    int r = signal_threads_visit(0, check_thread, signals);
    if (r < 0)
        return r;
    sigemptyset(&set);
    sigaddset(&set, signals->number);
    int fd = sys_signalfd(&set, false);
    if (fd < 0)
        return fail_call(fd, "%s: signalfd", signals->conduit.object);
    signals->port = (struct port){ PORT_FIFO, fd, -1, .owned = true };
    fd = sys_signalfd(&set, true);
    if (fd < 0)
        return fail_call(fd, "%s: signalfd", signals->conduit.object);
    signals->port.nonblocking_fd = fd;
    return 0;
}

static int open_sending(struct signals *signals, const char *name)
{
    pid_t pid;
    int r = parse_pid(name, &pid);
    if (r == 0)
        r = signal_target_open(pid, 0, &signals->target);
    if (r == 0)
        signals->target_start = process_start_time(pid);
    return r;
}

/* As a sender would have to write it. */
static int write_object(const struct names *names, int number, char *ret, size_t size)
{
    char name[SIGNAL_NAME_SIZE];
    pid_t in = 0, out = 0;
    int r = names->in ? parse_pid(names->in, &in) : 0;
    if (r == 0 && names->out)
        r = parse_pid(names->out, &out);
    signal_name(number, name);
    if (r == 0 && in && out)
        snprintf(ret, size, "signal:%d,%d?signal=%s", (int)in, (int)out, name);
    else if (r == 0)
        snprintf(ret, size, "signal:%d?signal=%s", (int)(in ? in : out), name);
    return r;
}

static int signals_open(const struct open_request *request, struct conduit **ret)
{
    struct names names = { NULL, NULL };
    struct conduit *conduit;
    char object[80];
    int64_t asked = request->address->value[OPTION_SIGNAL];
    int number = asked ? (int)asked : SIGRTMIN;
    int r = choose_names(request, &names);
    if (r == 0)
        r = write_object(&names, number, object, sizeof object);
    if (r == 0)
        r = conduit_new(request, &signals_facet, sizeof(struct signals), object, &conduit);
    if (r < 0)
        return r;
    struct signals *signals = (struct signals *)conduit;
    signals->number = number;
    signals->target = (struct signal_target)SIGNAL_TARGET_INIT;
    signals->port = (struct port)PORT_INIT;
    signals->ready = (struct ready)READY_INIT;
    signals->last = (tong_identity)TONG_IDENTITY_INIT;
    pthread_mutex_init(&signals->lock, NULL);
    conduit->flags |= TONG_INFO_ENDLESS;
    if (names.in)
        r = open_receiving(signals);
    if (r == 0 && names.out)
        r = open_sending(signals, names.out);
    if (r < 0) {
        signals_close(conduit, false);
        return r;
    }
    *ret = conduit;
    return 0;
}

/* ---- The row ------------------------------------------------------------------------------------------- */

static const struct option_use signals_options[] = {
    { OPTION_SIGNAL, 0, 0, 0, 0 },
    { OPTION_FULL, FULL_WAIT, 0, 0, 0 },
    OPTIONS_END,
};

static uint64_t limit_sigpending(const char *source)
{
    struct rlimit limit;
    (void)source;
    return sys_getrlimit(RLIMIT_SIGPENDING, &limit) < 0 ? TONG_UNKNOWN : (uint64_t)limit.rlim_cur;
}

static uint64_t limit_real_time(const char *source)
{
    (void)source;
    return (uint64_t)(SIGRTMAX - SIGRTMIN + 1);
}

static const struct limit signals_limits[] = {
    { "signals that may wait", "signals", "RLIMIT_SIGPENDING", limit_sigpending },
    { "real-time signals", "signals", "SIGRTMAX - SIGRTMIN + 1", limit_real_time },
    { NULL, NULL, NULL, NULL },
};

static const struct channel_facet *const signals_channels[] = { &signals_facet, NULL };

const struct mechanism mechanism_signal = {
    .scheme = "signal",
    .form = "signal:PID, signal: (this process), signal:self,PID",
    .summary = "a number that interrupts, or is waited for; real-time ones queue, standard ones merge",
    .medium = "memory (of the kernel)",
    .unit = "number (one int)",
    .reach = "one machine (processes of the same user)",
    .order = "the kernel; a waiter sleeps in read, who finds it full tries again",
    .lifetime = "the receiving process",
    .family = "POSIX (real-time signals), V7 (the rest); Linux, the BSDs, macOS and Solaris; signalfd is Linux's",
    .limits = signals_limits,
    .channels = signals_channels,
    .options = signals_options,
    .open = signals_open,
};
