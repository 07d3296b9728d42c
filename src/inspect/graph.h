/* SPDX-License-Identifier: MIT */
/*
 * graph.h - a snapshot while it is made: processes, objects, ends, waits, findings and gaps, in arrays that grow, with
 * an index from keys to objects.
 *
 * What a probe adds stays where it is by its number; pointers into the arrays do not outlive the next addition.  Strings
 * are copied into the snapshot.  Only memory can fail here (-ENOMEM), and then it has failed for good: `error` says
 * so at the end, and additions in between return TONG_NOBODY.
 *
 * Keys, by which probes mean the same object:
 *     PIPE, UNIX, TCP, UDP, NETLINK      inode
 *     MSGQ, SYSVSHM, SYSVSEM             inode of the IPC namespace:identifier
 *     FIFO, MQ, SHM, SEM, MEMFD, MAP     device's major:minor:inode, in decimals (graph_file_key)
 *     EVENTFD                            eventfd-id
 *     EPOLL                              pid:descriptor of the first that was seen to have it
 *     PTY                                major:minor of the devpts file system:number
 *     LOCK                               FLOCK|POSIX|OFDLCK|LEASE|...:major:minor:inode:start:end, as in /proc/locks; who
 *                                        waits for that very lock is an end of it with TONG_END_WAITS
 *     FUTEX                              that of the mapped file:offset of the word
 *     PROCESS                            pid
 *     CHANNEL                            that of the senders' segment, as a file
 */
#ifndef INSPECT_GRAPH_H
#define INSPECT_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tong/inspect.h"

struct graph_array {
    void *item;
    size_t count, room;
};

struct graph_block {
    struct graph_block *next;
    size_t used, size;
    char data[];
};

/*
 * What an epoll set tells of, in graph->watches, in the order of the sets' numbers.  An object that is TONG_NOBODY is
 * something that has none, such as a timer: it may become ready by itself.
 */
struct graph_watch {
    uint32_t set;     /* object of kind TONG_KIND_EPOLL */
    uint32_t object;
    uint32_t process; /* in which `fd` is one; another that inherited the set has it too */
    int32_t fd;
    uint32_t events;  /* EPOLLIN, ... */
    uint64_t inode;   /* of what is watched */
    uint64_t description; /* of it, as an address of the kernel's, until the object is known; 0: not known */
};

/* Of an index with open addressing, whose size is a power of two. */
struct graph_slot {
    uint32_t hash, number; /* number + 1; 0: nothing */
};

struct tong_snapshot {
    struct graph_array processes, objects, ends, waits, findings, gaps, watches;
    struct graph_array leftovers;  /* leftover.h */
    struct graph_array stuck;      /* numbers of waits, of one finding after another */
    struct graph_block *text;      /* strings */
    struct graph_slot *by_key, *by_pid; /* objects, processes */
    uint32_t keys, pids;           /* slots */
    int64_t began, ended;
    const char *tier;
    struct kernel *kernel;         /* it was taken with; NULL: without */
    bool unseen;                   /* there may be processes that are not even listed here */
    bool hides;                    /* proc(5) leaves out processes of this very pid namespace */
    int error;                     /* the first that ended it, or 0 */
};

/* A new element of an array, zeroed; NULL when memory is short. */
void *graph_push(struct tong_snapshot *graph, struct graph_array *array, size_t size);

/* A copy in the snapshot; "" when memory is short. */
const char *graph_text(struct tong_snapshot *graph, const char *text);
/* A name in which a line stays a line: control characters as "\\012". */
const char *graph_line(struct tong_snapshot *graph, const char *name);
/* "shm:NAME" with what would mean something in an address as "%25". */
const char *graph_address(struct tong_snapshot *graph, const char *scheme, const char *name);
const char *graph_format(struct tong_snapshot *graph, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a process, whose `name` and `command` are copied. */
uint32_t graph_add_process(struct tong_snapshot *graph, const tong_process *process);
/* The process with that pid, or TONG_NOBODY. */
uint32_t graph_process(const struct tong_snapshot *graph, int64_t pid);

/* The object of that kind and key, which is added if it is new; *ret_new may be NULL.  A new one has all unknown. */
uint32_t graph_object(struct tong_snapshot *graph, uint32_t kind, const char *key, bool *ret_new);
/* The same without adding: TONG_NOBODY. */
uint32_t graph_find_object(const struct tong_snapshot *graph, uint32_t kind, const char *key);
tong_object *graph_object_at(struct tong_snapshot *graph, uint32_t object);
tong_process *graph_process_at(struct tong_snapshot *graph, uint32_t process);

/* The key that is a number, in decimals; that of a file, as the kernel writes the numbers of devices in many ways. */
#define GRAPH_KEY 64
void graph_number_key(uint64_t number, char ret[GRAPH_KEY]);
void graph_file_key(uint64_t device, uint64_t inode, char ret[GRAPH_KEY]);

uint32_t graph_add_end(struct tong_snapshot *graph, const tong_end *end);
uint32_t graph_add_wait(struct tong_snapshot *graph, const tong_wait_seen *wait);
void graph_add_watch(struct tong_snapshot *graph, const struct graph_watch *watch);
uint32_t graph_add_finding(struct tong_snapshot *graph, const tong_finding *finding);

/* Whether what nobody was seen to have, nobody has. */
bool graph_saw_everybody(const struct tong_snapshot *graph);

/* One more that could not be seen; equal words are counted together.  Both are static or the snapshot's. */
void graph_gap(struct tong_snapshot *graph, const char *what, const char *why);

/* The same of what a failed call leaves out, by its negative errno.  What is gone, or was closed, leaves nothing out. */
void graph_missed(struct tong_snapshot *graph, const char *what, int64_t error);

/* Ends in the order that the public header promises; several descriptors of a process for one description become one. */
void graph_settle(struct tong_snapshot *graph);

static inline tong_end *graph_ends(const struct tong_snapshot *graph)
{
    return graph->ends.item;
}

static inline struct graph_watch *graph_watches(const struct tong_snapshot *graph)
{
    return graph->watches.item;
}

static inline tong_wait_seen *graph_waits(const struct tong_snapshot *graph)
{
    return graph->waits.item;
}

#endif
