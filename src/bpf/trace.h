/* SPDX-License-Identifier: MIT */
/*
 * trace.h - what the program "trace" is told, counts and tells: its maps hold these structures.
 *
 * Numbers of system calls differ between processors, so what each call means is a table that is filled in when the
 * program is loaded ("calls"); the program itself is the same everywhere.
 */
#ifndef BPF_TRACE_H
#define BPF_TRACE_H

#define TRACE_CALLS 512         /* numbers of system calls that the table has room for */
#define TRACE_CONTENT_MOST 4096 /* bytes of a message's content */
#define TRACE_NAME 16           /* of a process, as the kernel has it */
#define TRACE_SOCKET_NAME 108   /* sun_path */

enum { TRACE_RECEIVE = 1, TRACE_SEND = 2, TRACE_BY_MODE = 3 }; /* the last: as the descriptor was opened */

/* Which argument leads to the object, and of what sort it is. */
enum { TRACE_NO_CALL, TRACE_DESCRIPTOR, TRACE_QUEUE, TRACE_SET, TRACE_WORD };

/* How much it moved: its result, its third argument, or the sum over the result's many headers. */
enum { TRACE_BY_RESULT, TRACE_BY_SIZE, TRACE_BY_MANY };

/* What its second argument points to. */
enum { TRACE_NOTHING, TRACE_BYTES, TRACE_SPANS, TRACE_HEADER, TRACE_HEADERS, TRACE_TYPED };

#define TRACE_NONE 0xff

struct trace_call {
    unsigned char leads;     /* TRACE_DESCRIPTOR, ... */
    unsigned char direction;
    unsigned char argument;  /* which one leads to the object */
    unsigned char other;     /* which one is the descriptor that it takes from besides, or TRACE_NONE */
    unsigned char amount;    /* TRACE_BY_... */
    unsigned char content;   /* TRACE_BYTES, ... */
    unsigned char flags;     /* which argument may hold MSG_PEEK, or TRACE_NONE */
    unsigned char own;       /* what it does is not what read and write do to the same descriptor: POSIX queues */
};

#define TRACE_EVERYTHING 0x1u /* of all processes */
#define TRACE_OBJECTS 0x2u    /* on objects of the map "objects", of all processes */
#define TRACE_NAMES 0x4u      /* and unix sockets that are called as in "names", and their peers */
#define TRACE_PORTS 0x8u      /* and both ends of connections within this machine to "ports" */
#define TRACE_FILES 0x10u     /* regular files, too */
#define TRACE_EVENTS 0x20u    /* each message is told */
#define TRACE_FOLLOW 0x40u    /* children of processes are added */

struct trace_settings {
    unsigned int flags;
    unsigned int self;       /* the process that looks, which is never told of */
    unsigned int space;      /* inode of the pid namespace in which processes have numbers; 0: the first */
    unsigned int content;    /* bytes of content to tell at most */
    unsigned int page_shift;
    unsigned int epoch;      /* to which counts belong that are begun now */
};

/* What is wanted of a process in the map "processes". */
#define TRACE_MESSAGES 0x1u
#define TRACE_PAIRS 0x2u

/* An object: the numbers that its key in a snapshot is made of. */
struct trace_object {
    unsigned int kind;         /* TONG_KIND_... */
    unsigned int device;       /* as the kernel has it: 12 bits major, 20 bits minor; of System V, the namespace */
    unsigned long long inode;  /* or identifier */
    unsigned long long offset; /* of a word in a file */
};

/* In the map "objects".  Kinds whose numbers are not those of files stand above the device; 0 of pipes and sockets. */
struct trace_place {
    unsigned long long device, inode;
};

#define TRACE_KIND_SHIFT 32

/* The values of "objects": whatever is done there, or only what is done to words of that memory. */
enum { TRACE_ALL = 1, TRACE_WORDS = 2 };

/* A path padded with zeros (size 0), or an abstract name of `size` bytes with the leading NUL. */
struct trace_name {
    unsigned int size;
    char bytes[TRACE_SOCKET_NAME];
};

struct trace_port {
    unsigned int kind, port;
};

/* Counts of an epoch that is over, and that no program can still be adding to, can be taken out whole. */
struct trace_count_key {
    struct trace_object object;
    unsigned int process, direction;
    unsigned int epoch, unused;
};

struct trace_count {
    unsigned long long calls, messages, bytes;
    char name[TRACE_NAME];
};

struct trace_pair_key {
    unsigned int from, to, signal; /* signal 0: woke */
};

struct trace_pair {
    unsigned long long count;
    char from[TRACE_NAME], to[TRACE_NAME];
};

struct trace_lost {
    unsigned long long events;  /* had no room in the ring */
    unsigned long long messages, bytes; /* had no room in "counts" */
    unsigned long long pairs;
    unsigned long long foreign; /* calls of 32-bit programs, whose numbers are others */
    unsigned long long begun;   /* not a loss: how many "counts" were begun, to know when old ones have to make room */
    unsigned long long refused; /* how often one could not be begun, for want of room */
};

#define TRACE_COUNTS 16384 /* room in "counts" */
#define TRACE_BEGUN_MANY (TRACE_COUNTS / 4)

/* The last two: so many counts were begun again; a socket is told of for the first time, or once more. */
enum { TRACE_MESSAGE = 1, TRACE_SIGNAL = 2, TRACE_END = 3, TRACE_BEGIN = 4, TRACE_CROWDED = 5, TRACE_SOCKET = 6 };

/* The content of TRACE_SOCKET: what it is called may be gone when somebody asks. */
struct trace_socket {
    unsigned long long self, other;      /* of a unix socket: what tells both ends from all that are open now */
    unsigned long long peer;             /* inode of the other end, or 0: nobody has accepted it yet */
    unsigned short family, here_port, there_port, unused;
    unsigned char here[16], there[16];   /* addresses, of IPv4 the first 4 bytes */
    struct trace_name name;              /* of a unix socket, or of its peer */
};

/* In the ring; `content` bytes follow. */
struct trace_event {
    unsigned long long time;   /* CLOCK_MONOTONIC, nanoseconds */
    unsigned int what;
    unsigned int process, thread;
    unsigned int call;         /* number of the system call */
    struct trace_object object;
    unsigned long long bytes, messages;
    unsigned int direction;
    int fd;
    unsigned int other;        /* who was signalled, or begins */
    int signal, code, result;
    char name[TRACE_NAME], other_name[TRACE_NAME];
    unsigned int content, unused;
};

#endif
