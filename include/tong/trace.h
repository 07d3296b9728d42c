/* SPDX-License-Identifier: MIT */
/*
 * tong/trace.h - what goes through channels while it goes: who sends and receives how much, who signals whom, who
 * wakes whom.
 *
 * A program in the kernel looks at each system call that moves a message as the call returns, counts it, and tells of
 * it if asked.  Those who are looked at are not stopped; each of their calls takes some hundred nanoseconds longer.
 *
 * What is counted.  Calls that succeeded and what they moved: read, write, send, receive and their kin, splice and
 * sendfile, System V and POSIX queues, operations on System V semaphores, and futexes in shared memory.  A message of
 * a stream is what one call moved.  Counts are exact: what had no room in them is told by tong_trace_lost().
 *
 * What is not.  A tong channel in shared memory makes no system call for a message; only its wake-ups are
 * seen.  Neither are io_uring, and what 32-bit programs do on a 64-bit machine (the latter is counted by
 * tong_trace_lost()).  Objects are those of tong/inspect.h; in file systems that number their files anew, such as
 * overlays, a FIFO cannot be chosen or named.
 *
 * Rights.  CAP_BPF and CAP_PERFMON, and Linux 5.11 with BTF.  Content is read only if asked for, and is
 * whatever the processes exchange, passwords too.
 *
 * Threads: one at a time may use a trace.  Fork: a child must not.  Structures grow at their end and begin with their
 * `size`.
 */
#ifndef TONG_TRACE_H
#define TONG_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <tong/base.h>
#include <tong/inspect.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tong_trace tong_trace;

#define TONG_TRACE_EVENTS UINT32_C(0x1)  /* tell of each message; without it they are only counted */
#define TONG_TRACE_SIGNALS UINT32_C(0x2) /* tell of signals to and from the processes, and count them */
#define TONG_TRACE_WAKES UINT32_C(0x4)   /* count who wakes whom */
#define TONG_TRACE_FOLLOW UINT32_C(0x8)  /* processes that the chosen ones start, and theirs, too */
#define TONG_TRACE_FILES UINT32_C(0x10)  /* regular files of chosen processes, too */

#define TONG_TRACE_CONTENT_MOST 4096

/*
 * What to look at: all that the processes do, and all that anybody does at the objects.  Neither: everything. Of an
 * object that is a unix socket with a name, or a TCP or UDP socket, also those count that have the same name or local
 * port, now or later, and the other ends of their connections on this machine; of a channel of tong its FIFOs, and
 * the signals and wake-ups of the processes at it.
 */
typedef struct tong_trace_options {
    uint32_t size;                 /* sizeof(tong_trace_options) */
    uint32_t flags;                /* TONG_TRACE_... */
    const int64_t *pids;
    size_t pid_count;
    const tong_snapshot *snapshot; /* in which `objects` are; only used while starting */
    const size_t *objects;         /* indices */
    size_t object_count;
    uint32_t content;              /* bytes of each message to tell, at most TONG_TRACE_CONTENT_MOST; 0: none */
} tong_trace_options;

#define TONG_TRACE_OPTIONS_INIT { sizeof(tong_trace_options), TONG_TRACE_EVENTS, NULL, 0, NULL, NULL, 0, 0 }

enum {
    TONG_TRACE_MESSAGE = 1,
    TONG_TRACE_SIGNAL = 2,
    TONG_TRACE_END = 3,     /* a chosen process has ended */
    TONG_TRACE_BEGIN = 4    /* TONG_TRACE_FOLLOW: it started `other`, which is one of them now */
};

/* What became of a signal. */
enum {
    TONG_SIGNAL_DELIVERED = 0,
    TONG_SIGNAL_IGNORED = 1,
    TONG_SIGNAL_MERGED = 2,    /* one was pending already */
    TONG_SIGNAL_FULL = 3,      /* too many are pending */
    TONG_SIGNAL_BARE = 4       /* delivered without what came with it */
};

/* An object, as tong_object has it. */
typedef struct tong_trace_object {
    uint32_t kind;          /* TONG_KIND_...; TONG_KIND_FILE of any regular file, also of one in /dev/shm */
    uint32_t unused;
    uint64_t device, inode; /* of what is a file */
    char key[64];
    const char *name;       /* of a socket: as tong_object has it, or the peer's; "" not known; the trace's */
    uint64_t peer;          /* of a unix socket: the inode of its other end; 0: not known */
} tong_trace_object;

typedef struct tong_trace_event {
    uint32_t size;
    uint32_t kind;             /* TONG_TRACE_... */
    int64_t time;              /* CLOCK_MONOTONIC, nanoseconds */
    int64_t pid, thread;       /* who; 0: of another pid namespace, or of a signal and without a name: an interrupt */
    char name[16];             /* of the process */
    const char *operation;     /* "sendmsg"; lives for ever */
    uint32_t direction;        /* TONG_SEND or TONG_RECEIVE */
    int32_t fd;                /* -1: none */
    tong_trace_object object;
    uint64_t bytes, messages;
    const void *content;       /* its first bytes, or NULL; until the next call on this trace */
    size_t content_size;
    int64_t other;             /* of a signal: to whom; of a beginning: who */
    char other_name[16];
    int32_t signal;
    int32_t code;              /* si_code, see sigaction(2) */
    uint32_t result;           /* TONG_SIGNAL_... */
    uint32_t unused;
} tong_trace_event;

/* What one process put into one object, or took out of it. */
typedef struct tong_trace_count {
    uint32_t size;
    uint32_t direction;
    tong_trace_object object;
    int64_t pid;
    char name[16];
    uint64_t calls, messages, bytes;
} tong_trace_count;

/* How often one process signalled or woke another. */
typedef struct tong_trace_pair {
    uint32_t size;
    int32_t signal;            /* 0: woke */
    int64_t from, to;          /* 0: as in tong_trace_event */
    char from_name[16], to_name[16];
    uint64_t count;
} tong_trace_pair;

typedef struct tong_trace_losses {
    uint32_t size;
    uint32_t unused;
    uint64_t events;           /* not told, because nobody took them in time; they are counted */
    uint64_t messages, bytes;  /* not counted: too many processes and objects */
    uint64_t pairs;            /* the same of signals and wake-ups */
    uint64_t foreign_calls;    /* of 32-bit programs */
} tong_trace_losses;

#define TONG_TRACE_LOSSES_INIT { sizeof(tong_trace_losses), 0, 0, 0, 0, 0, 0 }

/*
 * Begins.  -EPERM: not allowed; -EOPNOTSUPP: the kernel cannot; -EINVAL: an option, or a size too small; -ESRCH: none of
 * the processes is there, and no objects are chosen; -ENOBUFS: before Linux 5.11, the limit of locked memory; -ENOMEM,
 * -EMFILE and whatever else may pass; each in words by tong_detail().  Source: bpf(2), getrlimit(2).
 */
int tong_trace_start(const tong_trace_options *options, tong_trace **ret);
void tong_trace_stop(tong_trace *trace); /* NULL is allowed */

/* Is readable while there are events; belongs to the trace. */
int tong_trace_fd(const tong_trace *trace);

/*
 * The next event, which is the trace's and lives until the next call on it.  Waits for `timeout` nanoseconds
 * (TONG_FOREVER): -ETIMEDOUT, or -EAGAIN with 0; -EINTR.
 */
int tong_trace_next(tong_trace *trace, int64_t timeout, const tong_trace_event **ret);

/* Reads the counts since the beginning: how many there are, or -ENOMEM; then each: NULL from the number on.  They are
 * the trace's, and live until they are read again. */
ssize_t tong_trace_read_counts(tong_trace *trace);
const tong_trace_count *tong_trace_count_at(const tong_trace *trace, size_t index);
ssize_t tong_trace_read_pairs(tong_trace *trace);
const tong_trace_pair *tong_trace_pair_at(const tong_trace *trace, size_t index);

/* What is missing so far; ret->size is set (TONG_TRACE_LOSSES_INIT).  0; -EINVAL: it is not. */
int tong_trace_lost(tong_trace *trace, tong_trace_losses *ret);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
