/* SPDX-License-Identifier: MIT */
/*
 * look.h - what the programs "look" tell, a record each: of processes, of their descriptors and shared mappings, and of
 * what the kernel would undo for them.  All of them are of the pid namespace of the reader or below it.
 *
 * Addresses of the kernel only tell things apart.  They must not be shown.
 */
#ifndef BPF_LOOK_H
#define BPF_LOOK_H

#define LOOK_READS 1u  /* as FMODE_READ and FMODE_WRITE of the kernel, and VM_READ and VM_WRITE */
#define LOOK_WRITES 2u

struct who_seen {
    unsigned long long started; /* nanoseconds after boot */
    int number;                 /* of the process, on the whole machine */
    int thread;                 /* as the reader sees it, if it is not the first of its process, else 0 */
};

/* ---- tasks ------------------------------------------------------------------------------------------------ */

#define TASK_SEEN_KERNEL 0x00200000u /* flags: PF_KTHREAD */
#define TASK_SEEN_STOPPED 0x0cu      /* state: __TASK_STOPPED, __TASK_TRACED */
#define TASK_SEEN_ENDED 0x30u        /* ended: EXIT_DEAD, EXIT_ZOMBIE */

struct task_seen {
    struct who_seen who;
    unsigned long long start_time; /* nanoseconds after boot, in the reader's time namespace */
    unsigned long long signals_pending, signals_blocked, signals_ignored, signals_caught;
    unsigned int namespaces[4];    /* inodes: pid, network, IPC, mount */
    int pid, parent;               /* as the reader sees them; 0: it does not */
    int inner_pid;
    unsigned int uid, gid;
    unsigned int flags, state, ended; /* as the kernel has them */
    int threads;                   /* with those that ended and were not waited for */
    int tracer;                    /* pid of its debugger; 0: none, or the reader does not see it */
    unsigned int unused;
    char name[16];
};

/* ---- calls ------------------------------------------------------------------------------------------------ */

enum call_seen_kind {
    CALL_SEEN_ASK,  /* /proc has to say: it is falling asleep or waking up, or is of another processor's kind */
    CALL_SEEN_NONE, /* it runs, or sleeps in no call */
    CALL_SEEN_CALL
};

/* A thread of a process, as the files syscall, schedstat and stat of proc(5) have it. */
struct call_seen {
    struct who_seen who;
    unsigned int kind;
    unsigned int state;                    /* as the kernel has it */
    long long number;
    unsigned long long argument[6], stack, instruction;
    unsigned long long ran, delayed, turns; /* nanoseconds on a processor and waiting for one, and how often */
    unsigned long long files;              /* address of its table of descriptors */
};

/* ---- files, files_plainly --------------------------------------------------------------------------------- */

enum file_seen_kind {
    FILE_SEEN_ASK = 1, /* /proc has to say what it is */
    FILE_SEEN_LOCKED,  /* the same, and it has locks */
    FILE_SEEN_PIPE,
    FILE_SEEN_FIFO,    /* /proc has to say how it is called */
    FILE_SEEN_MEMORY,  /* lies in no directory */
    FILE_SEEN_SOCKET,
    FILE_SEEN_EVENTFD,
    FILE_SEEN_EPOLL,
    FILE_SEEN_WATCH    /* of the set whose record follows; only of small sets */
};

#define FILE_SEEN_SLOTS_MOST 16 /* of one pipe, whose bytes are counted */
#define FILE_SEEN_NAME 48       /* a longer name /proc has to say */
#define FILE_SEEN_UNKNOWN 0xFFFFFFFFu

/* Who sleeps until it can be read, or written; in order, so that of several sights the greatest holds. */
enum sleeper_seen {
    SLEEPER_UNKNOWN,
    SLEEPER_NONE,
    SLEEPER_SOME
};

/* Of memory. */
struct memory_seen {
    unsigned int device;            /* as the kernel has it: 12 bits major, 20 bits minor */
    unsigned int uid, gid, mode;
    char name[FILE_SEEN_NAME];      /* "memfd:x" */
};

struct file_seen {
    struct who_seen who;            /* a thread that is not the first has descriptors of its own */
    unsigned long long description; /* address of the open file description; of a watch, of what is watched */
    unsigned long long inode;
    unsigned long long value;       /* of an eventfd; size of memory; bytes in a pipe, or ~0: too many to be counted */
    int fd;
    unsigned char kind, mode;       /* LOOK_READS, LOOK_WRITES */
    unsigned char reading, writing; /* enum sleeper_seen */
    unsigned int number;            /* of an eventfd; events of a watch; watches of a set, or FILE_SEEN_UNKNOWN; slots
                                     * of a pipe that are in use */
    unsigned int slots;             /* that it has: pages */
    unsigned int readers, writers;  /* open file descriptions, and those that wait in an open */
    struct memory_seen memory;
};

/* ---- mappings --------------------------------------------------------------------------------------------- */

#define MAPPING_SEEN_NAME 64

struct mapping_seen {
    struct who_seen who;
    unsigned long long start, end;
    unsigned long long inode;
    unsigned long long file;      /* address of the inode */
    unsigned int device;          /* as the kernel has it: 12 bits major, 20 bits minor */
    unsigned int mode;            /* LOOK_READS, LOOK_WRITES */
    unsigned int size;            /* of the name with its NUL; 0: /proc has to say it */
    unsigned int unused;
    char name[MAPPING_SEEN_NAME]; /* of memory that lies in no directory: "memfd:x" */
};

/* ---- undos ------------------------------------------------------------------------------------------------ */

#define UNDO_SEEN_COUNTERS 128 /* of one set; of those behind it nothing is told */
#define UNDO_SEEN_MORE (-1)    /* in place of a set: there are more than are told of */

/* What the end of a process adds to counters of a System V set, by SEM_UNDO. */
struct undo_seen {
    struct who_seen who;
    unsigned int namespace_inode;
    int id;
    short change[UNDO_SEEN_COUNTERS]; /* behind the last counter of the set there is anything */
};

#endif
