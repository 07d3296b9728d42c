/* SPDX-License-Identifier: MIT */
/*
 * mechanism.h - what a mechanism fills in.
 *
 * A mechanism is one row: its scheme, what is true of it, the options it takes, and the facets it honestly
 * has.  A facet is a small struct of functions; a facet or function that is NULL is not offered: the facade
 * answers -EOPNOTSUPP in its place, and `tong explain` computes its table from these pointers.
 *
 * What the facade (src/channel.c, src/listener.c, src/region.c ...) guarantees to every function below:
 *   - arguments are checked: no NULL where the public header forbids it, directions are ones the channel was
 *     opened with, tokens belong to the caller, `deadline` is as in base/clock.h;
 *   - at most one thread is in send/reserve/commit/finish/pollfd(SEND) and at most one in
 *     receive/peek/release/select/pollfd(RECEIVE) at a time; describe and peer may run beside either; cancel
 *     may interrupt anything, also from a signal handler;
 *   - no call arrives in a forked child, but after_fork and close (and, for inheritable conduits, any);
 *   - close is the last call, and the only one after a failed after_fork.
 * What every function guarantees to the facade: 0 or a count, else a negative errno with fail() called; a
 * descriptor or object made on the way is gone again after a failure.
 */
#ifndef CORE_MECHANISM_H
#define CORE_MECHANISM_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/address.h"
#include "tong/tong.h"

struct channel_facet;
struct listener_facet;
struct region_facet;
struct semaphore_facet;
struct lock_facet;

/* One conduit as this process has it; the first member of each mechanism's own struct. */
struct conduit {
    const struct channel_facet *facet;
    const struct mechanism *mechanism;
    uint32_t flags;           /* TONG_RECEIVE, TONG_SEND, TONG_CANCELLABLE, TONG_INFO_... */
    bool inheritable;         /* works in a forked child as it is */
    char *object;             /* what it is, in words, for people; owned, never NULL once open */
    int cancel_fd;            /* eventfd readable once cancelled, or -1 without TONG_CANCELLABLE */
    atomic_bool cancelled;    /* set once, by tong_channel_cancel() (release); read (acquire) before each wait */
    int deferred;             /* an error that ended a batch after its first message, for the next receive; 0: none */
    bool finished;            /* tong_channel_finish() succeeded; guarded as the sending side */
    uint32_t full;            /* FULL_WAIT, FULL_DROP or FULL_FAIL: what the facade does when send would block */
    atomic_uint_fast64_t dropped; /* messages given up by FULL_DROP; written by the sending side only (relaxed) */
    /* The facade's: handles on this conduit, and the locks that they take once there are several. */
    atomic_uint handles;
    pthread_mutex_t send_lock, receive_lock;
};

/* A message on its way out. */
struct message_out {
    const void *data;
    size_t size;
    int64_t type;
};

/* Where a message goes that comes in.  `meta` is zeroed (sender: NONE) by the facade. */
struct message_in {
    void *data;
    size_t capacity;
    tong_message meta;
};

/* What an end is opened with. */
struct open_request {
    const struct mechanism *mechanism;
    const struct address *address; /* settled; only valid during the call */
    uint32_t flags;                /* TONG_RECEIVE, TONG_SEND, TONG_CANCELLABLE */
    int64_t deadline;
};

/* The channel noun.  open and pair make the conduit with conduit_new(); close ends with conduit_free(). */
struct channel_facet {
    const char *variant;     /* "socket=seqpacket", or "" */
    uint32_t identity;       /* TONG_IDENTITY_...: the best that receive can say of a sender */
    bool accepted;           /* the mechanism's listener makes these */
    uint32_t shape;          /* TONG_HAS_TWO_WAY, _TWO_WAY_PAIR, _MANY_SENDERS, _MANY_RECEIVERS, TONG_MAY_LOSE */
    bool late_deadlines;     /* but for finish, a deadline may be a deadline_late(): who waits calls deadline_begin() first */

    /* Sends one message whole or not at all.  -EMSGSIZE before anything moved. */
    int (*send)(struct conduit *, const struct message_out *, int64_t deadline);
    /* Receives one; fills meta.length, also on -EMSGSIZE, when the message must be kept. */
    ssize_t (*receive)(struct conduit *, struct message_in *, int64_t deadline);
    /* Many in one go, never more than one wait; NULL: the facade calls send or receive one by one. */
    ssize_t (*send_batch)(struct conduit *, const tong_batch *, size_t count, int64_t deadline);
    /* Waits for the first only.  What ends it after that comes again by itself. */
    ssize_t (*receive_batch)(struct conduit *, tong_batch *, size_t count, int64_t deadline);

    /* Zero copy: all five or none. */
    int (*reserve)(struct conduit *, size_t size, int64_t deadline, tong_token *);
    int (*commit)(struct conduit *, tong_token *, size_t used, int64_t type);
    int (*abort)(struct conduit *, tong_token *);
    ssize_t (*peek)(struct conduit *, int64_t deadline, tong_message *, tong_token *); /* the message may be NULL */
    int (*release)(struct conduit *, tong_token *);

    /* Delivers what is kept, then marks the end.  NULL: the conduit has no end. */
    int (*finish)(struct conduit *, int64_t deadline);
    /* What was sent or released before reaches the disk; may run beside a call in either direction.  NULL: nothing is
     * behind the conduit that outlives the machine's memory. */
    int (*sync)(struct conduit *);
    int (*select)(struct conduit *, int rule, int64_t type);
    int (*pollfd)(struct conduit *, uint32_t direction, struct pollfd *);
    /* Wakes this conduit's waiters after `cancelled` was set; async-signal-safe.  NULL: they wait on
     * cancel_fd, so without TONG_CANCELLABLE nothing can wake them. */
    int (*cancel)(struct conduit *);
    int (*after_fork)(struct conduit *);
    /* The descriptor of one direction; `options` gets what the address of an heir must say ("frame=line"). */
    int (*descriptor)(struct conduit *, uint32_t direction);
    int (*heir_options)(struct conduit *, char *ret, size_t size);
    int (*peer)(struct conduit *, tong_identity *);
    /* Fills in largest, capacity, depth, messages and identity; the facade has done the rest. */
    int (*describe)(struct conduit *, tong_channel_info *);
    /* Lets go of everything; in a forked child of a process that keeps it, touches nothing shared. */
    int (*close)(struct conduit *, bool forked);
};

/* A listener as this process has it; the first member of each mechanism's own struct. */
struct listener {
    const struct listener_facet *facet;
    const struct mechanism *mechanism;
    char *object;             /* the address clients open; owned */
    int cancel_fd;            /* as in struct conduit */
    atomic_bool cancelled;
};

/* The listener noun. */
struct listener_facet {
    int (*open)(const struct open_request *, struct listener **ret);
    int (*accept)(struct listener *, uint32_t flags, int64_t deadline, struct conduit **ret);
    int (*pollfd)(struct listener *, struct pollfd *);
    void (*close)(struct listener *);
};

/* A region as this process has it; the first member of each mechanism's own struct. */
struct region {
    const struct region_facet *facet;
    const struct mechanism *mechanism;
    uint32_t flags;           /* TONG_READ, TONG_WRITE, TONG_INFO_CREATED */
    char *object;             /* what it is, in words; owned */
    void *data;               /* where it is mapped; NULL when size is 0 */
    size_t size;
};

/* The region noun: plain bytes, nothing of ours in them. */
struct region_facet {
    const struct option_use *options;
    int (*open)(const struct open_request *, struct region **ret);
    /* One holder at a time, among all processes; the kernel takes it back from the dead.  The facade calls lock only
     * when this process does not hold it through this region, also in a child whose parent does, and unlock only when
     * it does, also before close; never two of them at once.  A forked child's copy must not keep its parent's lock. */
    int (*lock)(struct region *, int64_t deadline);
    int (*unlock)(struct region *);
    /* Bytes [offset, offset + size) reach what keeps them.  NULL: nothing is behind the memory. */
    int (*sync)(struct region *, size_t offset, size_t size);
    /* What can be handed to others, who map it by fd:N.  NULL: no descriptor. */
    int (*descriptor)(struct region *);
    /* Fills in what the kernel knows beside the size. */
    int (*describe)(struct region *, tong_region_info *);
    int (*close)(struct region *, bool forked);
};

/* A set of semaphores as this process has it; the first member of each mechanism's own struct. */
struct semaphore {
    const struct semaphore_facet *facet;
    const struct mechanism *mechanism;
    uint32_t flags;           /* TONG_INFO_CREATED */
    char *object;
    unsigned count;           /* semaphores in the set */
};

/* Elements are as large as the caller was compiled with. */
static inline const tong_semaphore_operation *operation_at(const tong_semaphore_operation *operations, size_t index)
{
    return (const tong_semaphore_operation *)((const char *)operations + index * operations->size);
}

/* The semaphore noun.  Indices are below `count`. */
struct semaphore_facet {
    const struct option_use *options;
    int (*open)(const struct open_request *, struct semaphore **ret);
    /* Takes 1, sleeping while it is 0; adds 1, never sleeping. */
    int (*wait)(struct semaphore *, unsigned index, int64_t deadline);
    int (*post)(struct semaphore *, unsigned index);
    /* All or nothing; the elements are checked.  NULL: the mechanism can do no more than wait and post. */
    int (*operate)(struct semaphore *, const tong_semaphore_operation *, size_t count, int64_t deadline);
    /* Fills in value, and waiting, zero and last where the kernel knows them. */
    int (*get)(struct semaphore *, unsigned index, tong_semaphore_info *);
    int (*set)(struct semaphore *, unsigned index, unsigned value);   /* NULL: a value cannot be set */
    int (*close)(struct semaphore *, bool forked);
};

/* A lock as this process has it; the first member of each mechanism's own struct. */
struct lock {
    const struct lock_facet *facet;
    const struct mechanism *mechanism;
    char *object;
    uint32_t flags;           /* TONG_INFO_CREATED */
};

/* The lock noun: only where the kernel releases it when its holder dies.  take and release are called as lock and
 * unlock of a region are. */
struct lock_facet {
    const struct option_use *options;
    int (*open)(const struct open_request *, struct lock **ret);
    int (*take)(struct lock *, int64_t deadline);
    int (*release)(struct lock *);
    /* The descriptor that carries the lock once it is taken.  NULL: it belongs to the process. */
    int (*descriptor)(struct lock *);
    int (*close)(struct lock *, bool forked);
};

/* One limit in force here: `read` returns it, or TONG_UNKNOWN. */
struct limit {
    const char *name, *unit, *source;
    uint64_t (*read)(const char *source);
};

struct mechanism {
    const char *scheme, *form, *summary;
    const char *medium, *unit, *reach, *order, *lifetime, *family;
    const struct limit *limits;                    /* ends with a NULL name; may be NULL */
    /* Channels: NULL, or variants, ended by NULL, and the options that open, pair and listener take. */
    const struct channel_facet *const *channels;
    const struct option_use *options;
    const struct listener_facet *listener;
    const struct region_facet *region;
    const struct semaphore_facet *semaphore;
    const struct lock_facet *lock;
    int (*open)(const struct open_request *, struct conduit **ret);
    int (*pair)(const struct open_request *, struct conduit *ret[2]);
    int (*remove)(const struct address *);
};

/*
 * Allocates `size` zeroed bytes that begin with a conduit and makes its cancel_fd if the request asks for
 * one.  `object` is copied.  conduit_free() undoes it (and takes NULL); a mechanism's close ends with it.
 */
int conduit_new(const struct open_request *request, const struct channel_facet *facet, size_t size,
                const char *object, struct conduit **ret);
void conduit_free(struct conduit *conduit);

/* For conduits that add nothing to what is sent: a type has no place in them and is not dropped in silence. */
int conduit_refuse_type(const struct conduit *conduit, int64_t type);

/* What a frame= of byte streams and files makes of a channel: the TONG_INFO_... flag that says so. */
uint32_t conduit_frame_flag(int frame);

int listener_new(const struct open_request *request, size_t size, const char *object, struct listener **ret);
void listener_free(struct listener *listener);

/* `count` counters. */
int semaphore_new(const struct open_request *request, size_t size, const char *object, unsigned count,
                  struct semaphore **ret);
void semaphore_free(struct semaphore *semaphore);
/* -EAGAIN or -ETIMEDOUT, in words: the counter did not become large enough by `deadline`. */
int semaphore_expired(const char *object, int64_t deadline);

int lock_new(const struct open_request *request, size_t size, const char *object, struct lock **ret);
void lock_free(struct lock *lock);

/* Limits that several mechanisms have: a sysctl by its name ("kernel.msgmax", TONG_UNKNOWN if it cannot be
 * read), the text of one that holds more than a number (false), PIPE_BUF, the memory that can be had without swapping,
 * and what is free in the file system at a path. */
uint64_t limit_from_proc(const char *source);
bool limit_text_from_proc(const char *source, char *ret, size_t size);
uint64_t limit_pipe_buf(const char *source);
uint64_t limit_memory(const char *source);
uint64_t limit_space(const char *source);

/* The only list of mechanisms (src/mechanism/table.c), ended by NULL. */
extern const struct mechanism *const mechanism_table[];

#endif
