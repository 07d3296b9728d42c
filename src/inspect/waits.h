/* SPDX-License-Identifier: MIT */
/*
 * waits.h - who waits for whom, while a snapshot is made.
 *
 * probe_wait.c takes what each thread is in, from thread.c or kernel_wait.c, and decodes its call by the table in calls.c; wakers.c says who
 * could end each wait; stuck.c judges, verdict.c tells of it, and proof.c puts it in words.  Threads of one process follow
 * each other, and so do the waits of one thread, which any one of them ends (poll).
 */
#ifndef INSPECT_WAITS_H
#define INSPECT_WAITS_H

#include <stdbool.h>
#include <stdint.h>

#include "inspect/graph.h"
#include "inspect/probe.h"
#include "inspect/undo.h"

/* What tells who could end a wait. */
enum rule {
    RULE_OPEN,     /* somebody who need not be there yet, a signal, time, another machine; or it is not known */
    RULE_OBJECT,   /* who has ends of the object, by its kind */
    RULE_LOCK,     /* who has a lock on the file */
    RULE_OWNER,    /* the thread whose number the lock word holds */
    RULE_HELD,     /* who holds a System V counter with undo, and who used it last */
    RULE_USED,     /* the process that did the last operation on a System V object, by the kernel's book */
    RULE_CHILDREN, /* a child, by its end */
    RULE_OPENING,  /* who opens the other side of a FIFO */
    RULE_PROCESS   /* another thread of the same process */
};

struct thread_seen {
    uint32_t process;
    int64_t tid;
    uint32_t first, count; /* its waits */
    uint64_t mark;         /* of its call, arguments and turns on a processor: equal later, it has not run since */
    bool live;             /* it runs, or could be woken by who does */
    bool certain;          /* live for a reason that nothing takes back */
    bool stopped;          /* by a signal or its debugger: taken for live, until it is asked who waits for such */
    uint64_t turns;        /* of one that is stopped: on a processor */
};

/* What a thread is in, as proc(5) or the kernel's program "calls" has it. */
struct thread_now {
    bool in_call;          /* it sleeps, and in a call; else the next four say nothing */
    long number;
    uint64_t argument[6], stack, instruction;
    uint64_t turns;        /* on a processor: equal later, it has had none since */
    bool stopped;          /* by a signal or its debugger */
    bool refused;          /* not to be known */
};

/* Beside the tong_wait_seen of the same number. */
struct wait_fact {
    enum rule rule;
    uint32_t thread;
    uint32_t first, count; /* its wakers */
    int32_t fd;            /* that it waits on, or -1 */
    uint32_t fd_direction; /* with which that is open */
    int64_t number;        /* RULE_OWNER: tid; RULE_HELD, RULE_USED: pid; RULE_CHILDREN: pid, or 0: any */
    uint64_t used_at;      /* RULE_USED: when, in seconds of the epoch; 0: not known */
    struct undo undo;      /* RULE_HELD */
    uint64_t device, inode;/* RULE_LOCK, and what a futex lies in */
    bool multiplexed;      /* one of several, as in poll */
    bool hideable;         /* a process that cannot be seen could have an end of it, too */
    bool inferred;         /* who could end it is concluded */
    bool dead;             /* who should end it is no more */
    bool doubtful;         /* somebody else could come, though all that is known speaks against it */
    bool children;         /* for the end, or the stop, of a child or of who is traced, whatever the rule is by now */
    bool by_number;        /* what it waits on is what its descriptor's number stands for now */
    bool in_family;        /* a relative could do it, if one is live, though nothing says so */
};

struct waker {
    uint32_t process;
    uint32_t thread; /* the only one of its threads that could; TONG_NOBODY: any */
};

/* A descriptor before ends are put in order. */
struct descriptor_seen {
    uint32_t process, object, direction;
    int32_t fd;
};

struct waits {
    struct graph_array threads, facts, wakers;
    struct descriptor_seen *descriptors;
    size_t descriptors_count;
    uint32_t *first_thread; /* of each process; the last is the count */
    bool *live;             /* processes, while liveness spreads */
    uint32_t *by_tid;       /* threads in the order of their numbers, once all are known */
    int64_t own;            /* the thread that looks */
    const bool *still;      /* processes that cannot have changed their descriptors since those were read; NULL: unknown */
};

/* One thread, while its call is decoded. */
struct look_at_thread {
    struct scan *scan;
    struct waits *waits;
    uint32_t process, thread;
    int64_t pid, tid;
    uint64_t argument[6];
    const char *operation;
    bool timed;
    bool either;           /* it sleeps on one of two descriptors */
    bool by_number;        /* of the fact that is added */
};

static inline struct thread_seen *waits_threads(const struct waits *waits)
{
    return waits->threads.item;
}

static inline struct wait_fact *waits_facts(const struct waits *waits)
{
    return waits->facts.item;
}

static inline struct waker *waits_wakers(const struct waits *waits)
{
    return waits->wakers.item;
}

/* Adds a wait of the thread that is looked at.  Of a NULL detail, "". */
void wait_add(struct look_at_thread *look, const struct wait_fact *fact, uint32_t object, uint32_t direction,
              const char *detail);
/* On a descriptor; on what an epoll set tells of, if it is one. */
void wait_on_descriptor(struct look_at_thread *look, int fd, uint32_t direction, bool multiplexed);
/* For what nobody can say: it may end at any time. */
void wait_open(struct look_at_thread *look, const char *detail);

/* Memory of the process that is looked at (memory.h); false, and a gap, where it cannot be read. */
bool wait_peek(struct look_at_thread *look, uint64_t at, void *ret, size_t size);
/* A path in its memory, ended by NUL. */
bool wait_peek_path(struct look_at_thread *look, uint64_t at, char *ret, size_t size);
/* What may be beside an argument: no gap where it was never touched, for then it is not there. */
bool wait_peek_beside(struct look_at_thread *look, uint64_t at, void *ret, size_t size);
/* Whether it is in the same namespace as this process: SCAN_PID, SCAN_IPC. */
bool wait_same_namespace(const struct look_at_thread *look, unsigned which);

/* Decodes the call with that number into waits: calls.c, which has the rest of call_*.c in its table. */
void call_decode(struct look_at_thread *look, long number);
void call_poll(struct look_at_thread *look);
void call_select(struct look_at_thread *look);
void call_epoll(struct look_at_thread *look);
void call_semop(struct look_at_thread *look);
void call_msgrcv(struct look_at_thread *look);
void call_msgsnd(struct look_at_thread *look);
void call_futex(struct look_at_thread *look);
void call_futex_waitv(struct look_at_thread *look);
void call_flock(struct look_at_thread *look);
void call_fcntl(struct look_at_thread *look);
void call_open(struct look_at_thread *look);
void call_openat(struct look_at_thread *look);
void call_connect(struct look_at_thread *look);

/*
 * thread.c: what a thread is in, by /proc.  ask: whether it is stopped is asked only if its process is.  mark: of its call
 * and its turns, in one number; 0: it runs, or is gone.  state: "S", "D", "T", as proc(5) has it; 0: it is gone.  turns: of
 * what schedstat says, nanoseconds on a processor and waiting for one, and how often.
 */
void thread_ask(struct scan *scan, uint32_t process, int64_t tid, struct thread_now *ret);
uint64_t thread_mark(struct scan *scan, int64_t pid, int64_t tid);
uint64_t thread_mark_of(const struct thread_now *now);
char thread_state(struct scan *scan, int64_t pid, int64_t tid);
uint64_t thread_turns(struct scan *scan, int64_t pid, int64_t tid);
uint64_t thread_turns_of(const uint64_t times[3]);
/* Whether that thread, which sleeps, is the only one that its process has had. */
bool thread_was_always_alone(struct scan *scan, int64_t pid, int64_t tid);

/* Makes scan->waits: asks for the threads of each process, which are added there one after the other.  A negative errno if
 * there are none: -ESRCH: it is gone.  `still` and `context` are the caller's, who lets go of them afterwards. */
typedef int waits_threads_of(struct scan *scan, uint32_t process, const void *context);
int waits_read(struct scan *scan, waits_threads_of *threads_of, const bool *still, const void *context);
int waits_add(struct scan *scan, uint32_t process, int64_t tid, const struct thread_now *now);

/* Fills in who could end each wait.  Ends are in order by then. */
int wakers_find(struct scan *scan);

/* Who waits for whom in words, a line for each wait of `threads`. */
const char *proof_of(struct scan *scan, const uint32_t *threads, size_t count);
/* "postgres 123", "postgres 123 (thread 124)". */
void proof_thread(const struct scan *scan, uint32_t thread, char *ret, size_t size);

#endif
