/* SPDX-License-Identifier: MIT */
/*
 * tong/inspect.h - who talks to whom on this machine, and who is stuck: a snapshot, taken without the help of those who
 * are looked at and without disturbing them.
 *
 * The picture.  A process has ends.  An end is one open file description, mapping or attachment, and leads to an object:
 * a pipe, a socket with its peer, a queue, a piece of memory.  A wait is a thread that sleeps in a call until somebody at
 * an object does something.  A finding is what is wrong with one of them.  A gap is what could not be seen, and what
 * every answer has to say with itself.
 *
 * Truth.  Processes come and go while they are looked at, so a snapshot is not of one instant.  What is in it was read
 * from the kernel (TONG_EXACT), concluded from what was read (TONG_INFERRED), or could be otherwise as far as could be
 * seen (TONG_UNSURE).  "Could wake" does not mean "will wake", and content of shared memory is invisible.
 *
 * Rights.  An ordinary user sees its own processes; of others, what everybody may see, and a gap for the rest.  Nothing is
 * opened but files of /proc and, read-only, names in /dev/shm, in the file system of POSIX queues, and mapped files that
 * have the name or size of tong's own channels; a descriptor that is copied from a process to be asked is closed at once.
 * The name of a socket that seems to be nobody's is asked by connecting a datagram socket to it, of which nobody is told.
 *
 * Orphans.  That nobody has an object is exact where the kernel counts (System V memory) or a lock says so (tong's channels);
 * concluded of System V queues and semaphores, whose last users are gone; and else as sure as everybody could be seen.
 *
 * Ownership.  All that a snapshot shows belongs to it and lives until tong_snapshot_free(); strings end with NUL, may hold
 * any other byte, and are never NULL.  Structures grow at their end and begin with their `size`.  Threads: a snapshot may be
 * read by many at once.  Fork: a child may read and free what it inherited.
 */
#ifndef TONG_INSPECT_H
#define TONG_INSPECT_H

#include <stddef.h>
#include <stdint.h>

#include <tong/base.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tong_snapshot tong_snapshot;

#define TONG_NOBODY UINT32_MAX /* an index that leads to nothing */

/* How sure it is. */
enum { TONG_EXACT = 1, TONG_INFERRED = 2, TONG_UNSURE = 3 };

/* Kinds of objects.  Numbers are never used again. */
enum {
    TONG_KIND_PIPE = 1,
    TONG_KIND_FIFO = 2,
    TONG_KIND_UNIX = 3,
    TONG_KIND_TCP = 4,
    TONG_KIND_UDP = 5,
    TONG_KIND_NETLINK = 6,
    TONG_KIND_MSGQ = 7,     /* System V message queue */
    TONG_KIND_SYSVSHM = 8,
    TONG_KIND_SYSVSEM = 9,
    TONG_KIND_MQ = 10,      /* POSIX message queue */
    TONG_KIND_SHM = 11,     /* a file in /dev/shm */
    TONG_KIND_SEM = 12,     /* a named POSIX semaphore */
    TONG_KIND_MEMFD = 13,
    TONG_KIND_MAP = 14,     /* a file, or memory without a name, that several map */
    TONG_KIND_EVENTFD = 15,
    TONG_KIND_EPOLL = 16,
    TONG_KIND_PTY = 17,
    TONG_KIND_LOCK = 18,    /* a file that somebody has, or waits for, a lock on */
    TONG_KIND_FUTEX = 19,   /* a word of shared memory that somebody sleeps on */
    TONG_KIND_PROCESS = 20, /* a process as something that is waited for: its end, or a signal to it */
    TONG_KIND_CHANNEL = 21, /* a channel of tong in shared memory or a mapped file */
    TONG_KIND_FILE = 22     /* a file with a record channel, or what else has several ends */
};
/* "pipe", "msgq"; "?" for a kind of a newer library. */
const char *tong_kind_name(uint32_t kind);

/* ---- What a snapshot holds ------------------------------------------------------------------------------- */

#define TONG_PROCESS_HIDDEN UINT32_C(0x1)    /* its descriptors could not be read: what it holds is not known */
#define TONG_PROCESS_ZOMBIE UINT32_C(0x2)
#define TONG_PROCESS_STOPPED UINT32_C(0x4)
#define TONG_PROCESS_KERNEL UINT32_C(0x8)
#define TONG_PROCESS_GONE UINT32_C(0x10)     /* it ended while it was looked at, or is known by its number only */
#define TONG_PROCESS_HEADLESS UINT32_C(0x20) /* its first thread has ended, and others run */

typedef struct tong_process {
    uint32_t size;
    uint32_t flags;          /* TONG_PROCESS_... */
    int64_t pid;             /* in the caller's pid namespace */
    uint64_t start_time;     /* clock ticks after boot; with the pid, this and no other process; 0: unknown */
    int64_t parent;          /* pid; 0: none */
    uint32_t uid, gid;       /* effective */
    uint64_t namespaces[4];  /* inodes: pid, network, IPC, mount; 0: not known */
    int64_t inner_pid;       /* its number in the innermost pid namespace */
    const char *name;        /* comm, as the kernel has it, without a letter that it cut in two */
    const char *command;     /* the command line, its words joined by blanks; "" unknown */
    uint64_t signals_pending, signals_blocked, signals_ignored, signals_caught; /* bit n - 1: signal n */
    int64_t tracer;          /* pid of its debugger; 0: none */
} tong_process;

#define TONG_OBJECT_ORPHAN UINT32_C(0x1)         /* nobody has it open, mapped or attached; as sure as `certainty` says */
#define TONG_OBJECT_FULL UINT32_C(0x2)
#define TONG_OBJECT_WORLD_WRITABLE UINT32_C(0x4)
#define TONG_OBJECT_DELETED UINT32_C(0x8)        /* its name is gone */
#define TONG_OBJECT_LISTENING UINT32_C(0x10)
#define TONG_OBJECT_HIDDEN_ENDS UINT32_C(0x20)   /* the kernel counts more ends than could be seen: a gap, too */
#define TONG_OBJECT_OURS UINT32_C(0x40)          /* part of a channel of tong */
#define TONG_OBJECT_DEAD_PLACES UINT32_C(0x80)   /* of a channel of tong: somebody died whose place nobody took since */
#define TONG_OBJECT_DURABLE UINT32_C(0x100)      /* a channel of tong that survives a power loss */

typedef struct tong_object {
    uint32_t size;
    uint32_t kind;           /* TONG_KIND_... */
    uint32_t flags;          /* TONG_OBJECT_... */
    uint32_t certainty;      /* of what follows */
    const char *key;         /* what tells it from all others of its kind: "4026531839:17", "0:14:12345" */
    const char *name;        /* as its users call it: "/tmp/f", "key 0x4d2", "127.0.0.1:80"; "" none */
    const char *address;     /* for tong_channel_open() and tong_remove(); "" none */
    const char *source;      /* where this is known from: "/proc/PID/fd", "unix_diag" */
    const char *detail;      /* in words, what no field has: "2 of 4 counters are 0"; "" nothing */
    uint32_t uid, gid;       /* owner; UINT32_MAX: unknown */
    uint32_t mode;           /* permissions; UINT32_MAX: has none, or unknown */
    uint32_t peer;           /* object at the other side of a socket, or TONG_NOBODY */
    uint64_t depth, capacity;/* bytes that lie in it and that fit; TONG_UNKNOWN */
    uint64_t messages;       /* that lie in it; of a counter its value; of System V memory, attachments; TONG_UNKNOWN */
    uint64_t device, inode;  /* of what is a file, else 0 */
    uint64_t namespace_inode;/* in which `key` is one; 0: everywhere on this machine */
    uint64_t passed;         /* bytes that ever went into a channel of tong, heads of messages included; TONG_UNKNOWN */
} tong_object;

#define TONG_END_INHERITED UINT32_C(0x1) /* somebody who started this process has the same open file description */
#define TONG_END_MAPPED UINT32_C(0x2)    /* mapped or attached, not a descriptor */
#define TONG_END_LOCK UINT32_C(0x4)      /* holds a lock on it */
#define TONG_END_WAITS UINT32_C(0x8)     /* waits for a lock on it, or in an open of it */
#define TONG_END_MASTER UINT32_C(0x10)   /* of a terminal: the side of who shows it */
#define TONG_END_COUNTED UINT32_C(0x20)  /* a receiver of a channel of tong: `behind` and what follows it are known */

typedef struct tong_end {
    uint32_t size;
    uint32_t object;         /* index */
    uint32_t process;        /* index */
    uint32_t flags;          /* TONG_END_... */
    uint32_t direction;      /* TONG_RECEIVE: can take from it, TONG_SEND: can put into it; 0: neither or unknown */
    uint32_t certainty;      /* of which description, and of the direction */
    int32_t fd;              /* the lowest descriptor that leads to it; -1: none does, or only one that a thread has for itself */
    uint32_t count;          /* descriptors or mappings of this process that do */
    uint64_t description;    /* equal in two ends of one object: the same open file description; 0: not known */
    uint64_t behind;         /* bytes that it has not taken yet */
    uint64_t messages_behind;/* the same in messages; TONG_UNKNOWN */
    uint64_t lost;           /* messages of which it was told that they are lost */
} tong_end;

#define TONG_WAIT_TIMED UINT32_C(0x1)  /* ends by itself */
#define TONG_WAIT_STUCK UINT32_C(0x2)  /* nobody can end it; only with TONG_LOOK_FINDINGS */
#define TONG_WAIT_UNKNOWN UINT32_C(0x4)/* who could end it cannot be seen */

/* A thread that sleeps.  Waits of one thread for several objects (poll) follow each other in the snapshot. */
typedef struct tong_wait_seen {
    uint32_t size;
    uint32_t process;        /* index */
    int64_t thread;          /* tid */
    uint32_t object;         /* index; TONG_NOBODY: none that is known */
    uint32_t direction;      /* TONG_RECEIVE: until there is something, TONG_SEND: until there is room, 0: else */
    uint32_t flags;          /* TONG_WAIT_... */
    uint32_t certainty;
    const char *operation;   /* "read", "semop", "flock" */
    const char *detail;      /* "counter 1", "" */
} tong_wait_seen;

/* What is wrong. */
enum {
    TONG_FINDING_STUCK = 1,          /* threads that nobody can wake */
    TONG_FINDING_ORPHAN = 2,
    TONG_FINDING_FULL = 3,
    TONG_FINDING_WORLD_WRITABLE = 4,
    TONG_FINDING_LEFTOVER = 5,       /* its owner is dead, and nobody will come back for it */
    TONG_FINDING_UNSURE = 6,         /* it looks stuck, but somebody who cannot be seen could help */
    TONG_FINDING_STOPPED = 7         /* threads that only somebody who is stopped (SIGSTOP, a debugger) could wake */
};

typedef struct tong_finding {
    uint32_t size;
    uint32_t kind;           /* TONG_FINDING_... */
    uint32_t certainty;
    uint32_t object;         /* index, or TONG_NOBODY */
    const char *summary;     /* one line */
    const char *proof;       /* the chain of facts, a line each; why it is so */
    const char *advice;      /* what to do */
    uint32_t first_wait, waits; /* places of tong_snapshot_stuck(); 0, 0: none */
    const char *address;     /* what to remove: for tong_remove(), or a path that begins with '/'; "" nothing */
} tong_finding;

/* What could not be seen. */
typedef struct tong_gap {
    uint32_t size;
    uint32_t count;          /* how many of them */
    const char *what;        /* "descriptors of processes of other users" */
    const char *why;         /* "not permitted" */
} tong_gap;

/* ---- Taking one ------------------------------------------------------------------------------------------- */

#define TONG_LOOK_WAITS UINT32_C(0x1)    /* threads and what they wait for */
#define TONG_LOOK_DEPTHS UINT32_C(0x2)   /* how full pipes are, which needs a copy of a descriptor */
#define TONG_LOOK_PLAINLY UINT32_C(0x4)  /* without BPF, though it be allowed */
#define TONG_LOOK_FINDINGS UINT32_C(0x8) /* what is wrong, which TONG_LOOK_WAITS is needed for */
#define TONG_LOOK_ALL (TONG_LOOK_WAITS | TONG_LOOK_DEPTHS | TONG_LOOK_FINDINGS)

typedef struct tong_look {
    uint32_t size;           /* sizeof(tong_look) */
    uint32_t flags;          /* TONG_LOOK_... */
    const char *proc;        /* where proc(5) is mounted; NULL: /proc */
} tong_look;

#define TONG_LOOK_INIT { sizeof(tong_look), TONG_LOOK_ALL, NULL }

/*
 * Who may use BPF (CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE, Linux 5.8 with BTF) is told in one pass what /proc tells in
 * many calls, and more: who holds a System V counter with undo, descriptors that a thread has for itself, and how many
 * readers and writers a pipe has.  The programs for it are loaded for the first snapshot and unloaded with the last.
 *
 * Looks at the whole machine, which takes milliseconds to some tenths of a second, without waiting for anybody.  What
 * cannot be seen becomes gaps, not an error.  `look` NULL: TONG_LOOK_INIT.  -EINVAL: its size is not set, or a flag that
 * does not exist; -ENOENT: no proc(5) is mounted there, or that of another pid namespace; -ENOMEM; -EMFILE.
 * Source: proc(5), sock_diag(7), pidfd_getfd(2), bpf(2).
 */
int tong_snapshot_take(const tong_look *look, tong_snapshot **ret);
void tong_snapshot_free(tong_snapshot *snapshot); /* NULL is allowed */

/* When it began and ended, in nanoseconds of CLOCK_MONOTONIC, and whether BPF was used ("bpf", "proc"). */
int64_t tong_snapshot_time(const tong_snapshot *snapshot, int64_t *ret_end);
const char *tong_snapshot_tier(const tong_snapshot *snapshot);

/* How many there are, and one of them: NULL from the count on. */
size_t tong_snapshot_processes(const tong_snapshot *snapshot);
const tong_process *tong_snapshot_process(const tong_snapshot *snapshot, size_t index);
size_t tong_snapshot_objects(const tong_snapshot *snapshot);
const tong_object *tong_snapshot_object(const tong_snapshot *snapshot, size_t index);
size_t tong_snapshot_ends(const tong_snapshot *snapshot); /* ordered by object, then process */
const tong_end *tong_snapshot_end(const tong_snapshot *snapshot, size_t index);
size_t tong_snapshot_waits(const tong_snapshot *snapshot);
const tong_wait_seen *tong_snapshot_wait(const tong_snapshot *snapshot, size_t index);
size_t tong_snapshot_findings(const tong_snapshot *snapshot);
const tong_finding *tong_snapshot_finding(const tong_snapshot *snapshot, size_t index);
size_t tong_snapshot_gaps(const tong_snapshot *snapshot);
const tong_gap *tong_snapshot_gap(const tong_snapshot *snapshot, size_t index);

/* The waits of findings, one after another: the index of the wait at a place; TONG_NOBODY behind the last. */
uint32_t tong_snapshot_stuck(const tong_snapshot *snapshot, size_t place);

/* The ends of one object: the first, and how many follow it. */
size_t tong_snapshot_ends_of(const tong_snapshot *snapshot, size_t object, size_t *ret_first);

/* ---- Removing ---------------------------------------------------------------------------------------------- */

/*
 * Removes what a finding of the kind TONG_FINDING_LEFTOVER names, if it is TONG_EXACT, still the very object that was seen,
 * and still dead: that is asked again, and where locks can keep others away they do.  What a removal that was killed has
 * left aside is given its name back, which the next look judges anew.  -EINVAL: no such finding, or one that
 * is not proved; -ESTALE: it is gone, or another has its name now; -EBUSY: somebody came to it (System V memory that was
 * attached at the very last moment is kept until it is detached, and then goes); -EACCES; -EPERM.
 * Source: unlinkat(2), renameat2(2), shmctl(2), F_OFD_SETLK.
 */
int tong_snapshot_remove(const tong_snapshot *snapshot, size_t finding);

/*
 * Whether this user may, without trying: 0, or -EACCES or -EPERM, and tong_detail() says whose it is.  By the owner of the
 * file, of its directory and of the memory, sticky bits and capabilities; what else may forbid it (an immutable file, a
 * security module) only the removal shows.  -EOPNOTSUPP: it is not known before it is tried, since this user namespace does
 * not map all users, and capabilities count only over those that it does.  -EINVAL as above; or what asking fails with,
 * -ENOENT where it is gone.  Source: unlink(2), shmctl(2), capabilities(7), user_namespaces(7).
 */
int tong_snapshot_may_remove(const tong_snapshot *snapshot, size_t finding);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
