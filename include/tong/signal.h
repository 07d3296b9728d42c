/* SPDX-License-Identifier: MIT */
/*
 * tong/signal.h - signals: what they are here, sending them, and what this process does with them.
 *
 *     tong_identity to = TONG_IDENTITY_INIT;
 *     int32_t value = 42;
 *     to.pid = 1234;
 *     tong_signal_send(&to, tong_signal_number("RTMIN"), &value);
 *
 *     tong_signal_block(TONG_SIGNAL_BIT(number), NULL);          before any thread is started
 *     tong_signal_arrival a = TONG_SIGNAL_ARRIVAL_INIT;
 *     tong_signal_wait(TONG_SIGNAL_BIT(number), TONG_SECOND, &a);
 *
 * Standard signals (below 32) merge: one that is pending already swallows the next, with its value, and nobody is told.
 * Real-time signals queue, each with a value, until the receiver's RLIMIT_SIGPENDING.  signal(7), sigqueue(3).
 *
 * A signal ends the process unless its default is another (tong_signal_info.action), it is handled, ignored or blocked;
 * that goes for SIGUSR1 and SIGUSR2 too.  See also the channel signal:PID (tong/channel.h), which carries numbers.
 *
 * The library changes dispositions and masks only in the calls below that say so, and only of the signal that they name.
 * None of these calls is async-signal-safe unless it says so.  fork: a child inherits dispositions and mask, and no
 * pending signals; exec keeps the mask and what is ignored.
 */
#ifndef TONG_SIGNAL_H
#define TONG_SIGNAL_H

#include <tong/base.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- What there is ------------------------------------------------------------------------------------- */

/* A signal in a set of them.  Numbers are 1 to 64. */
#define TONG_SIGNAL_BIT(number) (UINT64_C(1) << ((number) - 1))

/* What happens when nobody handles, ignores or blocks it. */
enum {
    TONG_SIGNAL_TERMINATE = 1, /* the process ends */
    TONG_SIGNAL_CORE = 2,      /* it ends, and leaves a core file where that is allowed */
    TONG_SIGNAL_IGNORE = 3,    /* nothing */
    TONG_SIGNAL_STOP = 4,      /* it stops, until SIGCONT */
    TONG_SIGNAL_CONTINUE = 5   /* it goes on if it was stopped */
};

/* Who sends it as a rule; any process may send any. */
#define TONG_SIGNAL_FROM_KERNEL UINT32_C(0x1)   /* for something the process did, or a descriptor or child of it */
#define TONG_SIGNAL_FROM_PROCESS UINT32_C(0x2)  /* kill(2), sigqueue(3) */
#define TONG_SIGNAL_FROM_TIMER UINT32_C(0x4)    /* alarm(2), setitimer(2), timer_create(2) */
#define TONG_SIGNAL_FROM_TERMINAL UINT32_C(0x8) /* a key, a hangup, a change of size */

#define TONG_SIGNAL_REAL_TIME UINT32_C(0x1)     /* queues, with values */
#define TONG_SIGNAL_RESERVED UINT32_C(0x2)      /* the C library's own: cannot be used */
#define TONG_SIGNAL_FIXED UINT32_C(0x4)         /* cannot be handled, ignored or blocked: KILL and STOP */

typedef struct tong_signal_info {
    uint32_t size;       /* sizeof(tong_signal_info) */
    uint32_t flags;      /* TONG_SIGNAL_REAL_TIME ... */
    int32_t number;
    uint32_t action;     /* its default: TONG_SIGNAL_TERMINATE ...; 0: reserved */
    uint32_t origins;    /* TONG_SIGNAL_FROM_... */
    uint32_t reserved;
    char name[16];       /* "USR1", "RTMIN+3"; of a reserved one its number */
    const char *summary; /* one line; static */
} tong_signal_info;

#define TONG_SIGNAL_INFO_INIT { sizeof(tong_signal_info), 0, 0, 0, 0, 0, "", NULL }

/* The number of "USR1", "SIGUSR1", "RTMIN+3", "RTMAX-1" or "10", in any case.  -EINVAL there is none, or it is
 * reserved.  Does not block; any thread. */
int tong_signal_number(const char *name);

/* What signal `number` is; also 32 and 33, which glibc keeps for itself.  -EINVAL there is none. */
int tong_signal_describe(int number, tong_signal_info *ret);

/* The index-th signal that can be used, from 0, by number (62 with glibc); -ENOENT past the last. */
int tong_signal_list(size_t index, tong_signal_info *ret);

/* ---- Sending ------------------------------------------------------------------------------------------- */

/*
 * Sends a signal to the process `to`, with *value unless value is NULL.  to->pid counts, and to->start_time unless it is
 * 0: a later process with the same number is then never reached.  Does not block; any thread.
 *
 * The receiver is told this process's pid and uid, as sigqueue(3) does; a receiver cannot tell them from forged ones.
 * A real-time signal queues with or without a value.  A standard one that is pending already is merged into it, and its
 * value lost; its value is lost too when the receiver's queue is full.
 *
 * Errors: -ESRCH there is no such process, or it has ended; -EPERM it is another user's (kill(2)); -EAGAIN its queue is
 * full (real-time only): RLIMIT_SIGPENDING counts what waits for all processes of its real user; -EINVAL no such signal,
 * or the pid is a thread's; -EMFILE.  pidfd_send_signal(2).
 */
int tong_signal_send(const tong_identity *to, int number, const int32_t *value);

/* ---- Receiving ----------------------------------------------------------------------------------------- */

#define TONG_SIGNAL_VALUE UINT32_C(0x1)         /* `value` came with it */

typedef struct tong_signal_arrival {
    uint32_t size;        /* sizeof(tong_signal_arrival) */
    uint32_t flags;       /* TONG_SIGNAL_VALUE */
    int32_t number;
    int32_t value;
    uint32_t origin;      /* TONG_SIGNAL_FROM_PROCESS, _TIMER or _KERNEL: _KERNEL if si_code is above 0, which no other
                           * process can claim; below it a process may claim to be a timer */
    int32_t code;         /* si_code of sigaction(2) */
    tong_identity sender; /* TONG_IDENTITY_CLAIMED, or NONE.  start_time is 0 in a handler */
} tong_signal_arrival;

#define TONG_SIGNAL_ARRIVAL_INIT { sizeof(tong_signal_arrival), 0, 0, 0, 0, 0, TONG_IDENTITY_INIT }

/*
 * Blocks, or releases, a set of signals in the calling thread: a blocked signal waits until it is released, waited for, or
 * received by a channel; releasing one that waits delivers it before the call returns.  *ret_before (or NULL) gets what
 * was blocked before.  Threads inherit the mask of whoever starts them, and a signal to the process goes to any thread
 * that has not blocked it: so block before threads are started.  -EINVAL KILL, STOP, reserved, or an empty set.
 * pthread_sigmask(3).
 */
int tong_signal_block(uint64_t set, uint64_t *ret_before);
int tong_signal_release(uint64_t set, uint64_t *ret_before);

/*
 * Waits until one of `set` is there, takes it and returns its number; real-time ones by number, each in the order sent.
 * `ret` may be NULL.  Blocks until `timeout`.  -EINVAL one of them is not blocked in the calling thread (it would be
 * delivered instead); -EAGAIN, -ETIMEDOUT; -EINTR another signal was caught.  sigtimedwait(2).
 */
int tong_signal_wait(uint64_t set, int64_t timeout, tong_signal_arrival *ret);

/* ---- Dispositions -------------------------------------------------------------------------------------- */

/* Runs in signal context, on any thread that has not blocked the signal: only async-signal-safe functions (signal-safety(7))
 * and lock-free atomics may be used in it.  errno is kept for whoever was interrupted. */
typedef void (*tong_signal_function)(const tong_signal_arrival *arrival, void *context);

#define TONG_SIGNAL_RESTART UINT32_C(0x1)       /* system calls that it interrupts go on (SA_RESTART) */

/*
 * From now on `function` is called when the signal is delivered; the signal itself is blocked meanwhile.  Without
 * TONG_SIGNAL_RESTART, calls that it interrupts return -EINTR, those of this library too.  A second call changes the
 * function; both are seen together or not at all.  What was there before the first of these calls is remembered for
 * tong_signal_restore().  Of the process: all threads.  -EINVAL KILL, STOP, reserved.  sigaction(2).
 */
int tong_signal_handle(int number, tong_signal_function function, void *context, uint32_t flags);

/* Throws the signal away, or does its default (see tong_signal_info.action).  What is pending is thrown away too by
 * ignoring.  Remembers and fails as tong_signal_handle(). */
int tong_signal_ignore(int number);
int tong_signal_default(int number);

/* Brings back what was there before the first of the three calls above.  -ENOENT none of them was made; -EBUSY somebody
 * else has changed it since: it is left alone, and forgotten here. */
int tong_signal_restore(int number);

/* ---- What is pending where ----------------------------------------------------------------------------- */

typedef struct tong_signal_status {
    uint32_t size;       /* sizeof(tong_signal_status) */
    uint32_t threads;    /* how many the process has */
    uint64_t pending;    /* sets: sent to the process, for any of its threads, and not delivered */
    uint64_t ignored;
    uint64_t caught;     /* handled */
    uint64_t queued;     /* signals that wait in queues of all processes of its real user */
    uint64_t limit;      /* and how many may: its RLIMIT_SIGPENDING */
    int64_t pid;
    uint64_t start_time; /* as in tong_identity */
    uint32_t uid;        /* its real user */
    uint32_t reserved;
    char name[64];       /* of its program, as proc(5) escapes it */
} tong_signal_status;

#define TONG_SIGNAL_STATUS_INIT { sizeof(tong_signal_status), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "" }

typedef struct tong_signal_thread {
    uint32_t size;       /* sizeof(tong_signal_thread), the same in every element */
    uint32_t reserved;
    int64_t tid;
    uint64_t pending;    /* sent to this very thread (pthread_kill, or a fault of its own) */
    uint64_t blocked;
    char name[64];
} tong_signal_thread;

#define TONG_SIGNAL_THREAD_INIT { sizeof(tong_signal_thread), 0, 0, 0, 0, "" }

/* What the kernel says of process `pid` (0: this one) at this moment.  -ESRCH there is none, or it cannot be seen.
 * Reads /proc/PID/status (proc(5)), which everybody may unless /proc is mounted with hidepid. */
int tong_signal_status_of(int64_t pid, tong_signal_status *ret);

/* The same of its threads: fills in up to `count` elements, whose size must be set, and returns how many threads there
 * are, which may be more. */
ssize_t tong_signal_threads_of(int64_t pid, tong_signal_thread *ret, size_t count);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
