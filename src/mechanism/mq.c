/* SPDX-License-Identifier: MIT */
/*
 * mq: - POSIX message queues, mq_overview(7).
 *
 * The kernel keeps whole messages, each with a priority, and hands out the highest first, the oldest of those that
 * are equal.  A receiver does not choose, so both directions need two queues, mq:/IN,/OUT.  Nothing is added to what
 * is sent: a C program with mq_send and mq_receive is as good a peer as this library.
 *
 * On Linux a queue's descriptor is a file descriptor: it can be polled, and that is the notification, too.
 * mq_notify(3) serves one process a queue, once, by a signal or a thread; a library makes neither unasked.  Who has
 * registered so is served by the kernel as ever when a message is sent from here into an empty queue.
 *
 * Traps dealt with here:
 *   - mq_timedsend and mq_timedreceive take a deadline of CLOCK_REALTIME, which may be set.  So they are given none,
 *     to wait for ever, or one that is always past, to try; any other wait is poll(2)'s.  No flag of the description,
 *     which a forked child shares, is needed for that.
 *   - mq_receive refuses a buffer below mq_msgsize whatever the message's length, which cannot be asked for.  With a
 *     smaller one the message is taken into a buffer of ours, and stays there if the caller's cannot hold it: the
 *     next receive has it, before anything of a higher priority.  Closing puts it back, behind its equals; who is
 *     killed loses it.
 *   - The limits are many, and mq_open says EINVAL or EMFILE of most.
 *   - A removed name wakes nobody.  A wait in poll looks every second whether there still is one; a wait that is
 *     left to the kernel (for ever, not cancellable) does not.
 *   - A queue outlives its processes and has no end: nobody learns that a peer died.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "core/mechanism.h"
#include "core/wait.h"
#include "sys/sys.h"

#define PRIORITY_MAX 32767                  /* MQ_PRIO_MAX - 1 */
#define MESSAGES_MAX 65536                  /* HARD_MSGMAX and HARD_MSGSIZEMAX of the kernel: with CAP_SYS_RESOURCE */
#define SIZE_MAX_OF_A_MESSAGE (16 << 20)
#define GLANCE INT64_C(1000000000)          /* nanoseconds: how often a wait looks for its queue's name */
#define COST_OF_A_MESSAGE 96                /* struct msg_msg and struct posix_msg_tree_node count, too */

static const struct timespec past = { 0, 0 };

/* One queue in one direction. */
struct side {
    int fd;               /* -1: none */
    size_t largest;       /* mq_msgsize, which never changes */
    char *name;           /* owned */
    bool made;            /* by this open */
};

struct queue {
    struct conduit conduit;
    struct side in, out;
    unsigned priority;    /* of messages that are sent without one */
    bool removes;         /* closing removes what this open made */
    /* A message that did not fit; these are guarded as the receiving side. */
    bool keeps;
    char *kept;           /* in.largest bytes, NULL until somebody receives with a smaller buffer */
    size_t kept_size;
    unsigned kept_priority;
    struct ready ready;
};

/* ---- Waiting --------------------------------------------------------------------------------------------- */

/* Inside mq_send and mq_receive nothing but a signal could wake a waiter that shall be cancelled. */
static inline bool kernel_waits(const struct queue *queue, int64_t deadline)
{
    return deadline == DEADLINE_NEVER && queue->conduit.cancel_fd < 0;
}

static bool has_name(int fd)
{
    struct stat state;
    return sys_fstat(fd, &state) < 0 || state.st_nlink > 0;
}

/* After a try in vain.  Others who have the queue open may go on without a name; nobody new can come. */
static int await(const struct queue *queue, int fd, short events, int64_t deadline)
{
    if (deadline == DEADLINE_NOW)
        return wait_expired(deadline);
    for (;;) {
        int64_t glance = clock_now() + GLANCE;
        bool last = deadline != DEADLINE_NEVER && deadline <= glance;
        int r = wait_descriptor(fd, events, queue->conduit.cancel_fd, last ? deadline : glance);
        if (r != -ETIMEDOUT || last)
            return r;
        if (!has_name(fd))
            return fail(-ESTALE, "%s was removed while it was waited on: by tong rm, mq_unlink or rm, or by logind as "
                        "its user logged out (RemoveIPC=yes in logind.conf); open it again", queue->conduit.object);
    }
}

static int failed(const struct queue *queue, const char *call, int error)
{
    switch (error) {
    case -EAGAIN: case -ETIMEDOUT: case -ECANCELED: case -ESTALE:
        return error;
    case -EINTR:
        return fail_static(-EINTR, "a signal was caught before anything moved");
    default:
        return fail_call(error, "%s: %s", queue->conduit.object, call);
    }
}

/* ---- Sending --------------------------------------------------------------------------------------------- */

HOT static int put(const struct queue *queue, const void *data, size_t size, unsigned priority, int64_t deadline)
{
    int fd = queue->out.fd;
    if (kernel_waits(queue, deadline))
        return sys_mq_send(fd, data, size, priority, NULL);
    for (;;) {
        int r = sys_mq_send(fd, data, size, priority, &past);
        if (r != -ETIMEDOUT || (r = await(queue, fd, POLLOUT, deadline)) < 0)
            return r;
    }
}

HOT static int queue_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct queue *queue = (struct queue *)conduit;
    int64_t priority = out->type ? out->type : queue->priority;
    if (priority < 0 || priority > PRIORITY_MAX)
        return fail(-EINVAL, "%s: a message cannot have type %lld: here it is the priority, from 0 to %d",
                    conduit->object, (long long)out->type, PRIORITY_MAX);
    if (out->size > queue->out.largest)
        return fail(-EMSGSIZE, "%s: a message of %zu bytes cannot be sent: the most is %zu (mq_msgsize, which size= "
                    "sets when the queue is made)", conduit->object, out->size, queue->out.largest);
    int r = put(queue, out->size ? out->data : "", out->size, (unsigned)priority, deadline);
    return r == 0 ? 0 : failed(queue, "mq_send", r);
}

/* ---- Receiving ------------------------------------------------------------------------------------------- */

HOT static ssize_t take(const struct queue *queue, void *data, size_t size, unsigned *priority, int64_t deadline)
{
    int fd = queue->in.fd;
    if (kernel_waits(queue, deadline))
        return sys_mq_receive(fd, data, size, priority, NULL);
    for (;;) {
        ssize_t r = sys_mq_receive(fd, data, size, priority, &past);
        if (r != -ETIMEDOUT || (r = await(queue, fd, POLLIN, deadline)) < 0)
            return r;
    }
}

/* Into our buffer, if there is nothing in it. */
static ssize_t take_kept(struct queue *queue, int64_t deadline)
{
    if (queue->keeps)
        return (ssize_t)queue->kept_size;
    if (!queue->kept && !(queue->kept = malloc(queue->in.largest)))
        return fail(-ENOMEM, "%s: out of memory for a message of %zu bytes", queue->conduit.object, queue->in.largest);
    ssize_t r = take(queue, queue->kept, queue->in.largest, &queue->kept_priority, deadline);
    queue->kept_size = r < 0 ? 0 : (size_t)r;
    return r;
}

/* What is kept is in no queue, so the kernel does not know of it. */
static void settle_ready(struct queue *queue)
{
    if (queue->ready.event_fd < 0)
        return;
    if (queue->keeps)
        ready_raise(&queue->ready);
    else
        ready_lower(&queue->ready);
}

static ssize_t receive_by_copy(struct queue *queue, struct message_in *in, int64_t deadline)
{
    ssize_t r = take_kept(queue, deadline);
    if (r < 0)
        return r == -ENOMEM ? r : failed(queue, "mq_receive", (int)r);
    in->meta.type = queue->kept_priority;
    in->meta.length = (uint64_t)r;
    queue->keeps = (size_t)r > in->capacity;
    settle_ready(queue);
    if (queue->keeps)
        return fail(-EMSGSIZE, "%s: the message has %zd bytes and the buffer %zu: it is kept", queue->conduit.object, r,
                    in->capacity);
    if (r > 0)
        memcpy(in->data, queue->kept, (size_t)r);
    return r;
}

/* Straight into the caller's buffer where the kernel takes it. */
HOT static ssize_t queue_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct queue *queue = (struct queue *)conduit;
    unsigned priority;
    if (queue->keeps || in->capacity < queue->in.largest)
        return receive_by_copy(queue, in, deadline);
    ssize_t r = take(queue, in->data, in->capacity, &priority, deadline);
    if (r < 0)
        return failed(queue, "mq_receive", (int)r);
    in->meta.type = priority;
    in->meta.length = (uint64_t)r;
    return r;
}

/* ---- Readiness, sight ------------------------------------------------------------------------------------ */

static int queue_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct queue *queue = (struct queue *)conduit;
    if (direction == TONG_SEND) {
        *ret = (struct pollfd){ queue->out.fd, POLLOUT, 0 };
        return 0;
    }
    int r = ready_open(&queue->ready, queue->in.fd, EPOLLIN);
    settle_ready(queue);
    *ret = (struct pollfd){ queue->ready.epoll_fd, POLLIN, 0 };
    return r;
}

/* "QSIZE:129 ...": what read(2) gives of a queue that is open to receive. */
static uint64_t bytes_held(int fd)
{
    static const char head[] = "QSIZE:";
    char text[128];
    ssize_t size = sys_pread(fd, text, sizeof text - 1, 0);
    if (size < (ssize_t)sizeof head)
        return TONG_UNKNOWN;
    text[size] = '\0';
    return strncmp(text, head, sizeof head - 1) ? TONG_UNKNOWN : strtoull(text + sizeof head - 1, NULL, 10);
}

static int queue_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct queue *queue = (struct queue *)conduit;
    const struct side *side = queue->out.fd >= 0 ? &queue->out : &queue->in;
    struct mq_attr state;
    int r = sys_mq_getattr(side->fd, &state);
    if (r < 0)
        return failed(queue, "mq_getattr", r);
    ret->largest = side->largest;
    ret->capacity = (uint64_t)state.mq_maxmsg * (uint64_t)state.mq_msgsize;
    ret->messages = (uint64_t)state.mq_curmsgs;
    ret->depth = side == &queue->in ? bytes_held(side->fd) : TONG_UNKNOWN;
    return 0;
}

/* ---- Closing --------------------------------------------------------------------------------------------- */

/* A queue that is open to receive is opened once more to send; its name may be another's by now. */
static int put_back(struct queue *queue)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", queue->in.fd);
    int fd = sys_open(self, O_WRONLY, 0);
    int r = fd < 0 ? fd : sys_mq_send(fd, queue->kept, queue->kept_size, queue->kept_priority, &past);
    sys_close(fd);
    if (r == -ETIMEDOUT)
        r = -EAGAIN;
    return r < 0 ? fail_call(r, "%s: a message of %zu bytes, received but too long for the caller's buffer, could not "
                             "be put back and is lost", queue->conduit.object, queue->kept_size) : 0;
}

/* In this file system a name cannot be another's: either it is ours or we have none. */
static int side_close(struct side *side, bool remove)
{
    int r = remove && side->fd >= 0 && side->made && has_name(side->fd) ? sys_mq_unlink(side->name) : 0;
    sys_close(side->fd);
    free(side->name);
    return r == -ENOENT ? 0 : r;
}

static int queue_close(struct conduit *conduit, bool forked)
{
    struct queue *queue = (struct queue *)conduit;
    bool remove = queue->removes && !forked;
    int kept = queue->keeps && !forked ? put_back(queue) : 0;
    ready_close(&queue->ready);
    int in = side_close(&queue->in, remove), out = side_close(&queue->out, remove);
    int r = in < 0 ? in : out;
    if (r < 0)
        fail_call(r, "%s: mq_unlink", conduit->object);
    free(queue->kept);
    conduit_free(conduit);
    return kept < 0 ? kept : r;
}

/* A child has the queues, but not the right to remove them, nor what its parent keeps; and readiness of its own. */
static int queue_after_fork(struct conduit *conduit)
{
    struct queue *queue = (struct queue *)conduit;
    queue->removes = false;
    queue->keeps = false;
    ready_close(&queue->ready);
    return 0;
}

static const struct channel_facet queue_facet = {
    .variant = "",
    .identity = TONG_IDENTITY_NONE,
    .shape = TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS | TONG_HAS_MANY_RECEIVERS,
    .send = queue_send,
    .receive = queue_receive,
    .pollfd = queue_pollfd,
    .after_fork = queue_after_fork,
    .describe = queue_describe,
    .close = queue_close,
};

/* ---- Opening --------------------------------------------------------------------------------------------- */

static int check_name(const char *name)
{
    if (*name != '/')
        return fail(-EINVAL, "mq:%s: a name begins with '/': write mq:/%s", name, name);
    if (strchr(name + 1, '/') || !name[1] || !strcmp(name, "/.") || !strcmp(name, "/.."))
        return fail(-EINVAL, "mq:%s: a name is one '/' and then something without another '/': mq:/NAME", name);
    if (strlen(name + 1) > NAME_MAX)
        return fail(-ENAMETOOLONG, "mq: the name has %zu bytes behind its '/', the most is %d", strlen(name + 1),
                    NAME_MAX);
    return 0;
}

/* EMFILE says that this process has no descriptors left, or that its user has no more bytes for queues. */
static int out_of_bytes(const char *name, const struct mq_attr *asked)
{
    struct rlimit limit;
    int fd = sys_eventfd(0);
    if (fd < 0 || sys_getrlimit(RLIMIT_MSGQUEUE, &limit) < 0) {
        sys_close(fd);
        return fail(-EMFILE, "mq_open(%s): this process has no descriptors left (ulimit -n)", name);
    }
    sys_close(fd);
    return fail(-EMFILE, "mq_open(%s): %ld messages of %ld bytes count as %llu bytes, and with this user's other "
                "queues that passes RLIMIT_MSGQUEUE, which is %llu (ulimit -q raises it; or ask for less by messages= "
                "and size=, or remove queues, which /dev/mqueue lists)", name, asked->mq_maxmsg, asked->mq_msgsize,
                (unsigned long long)asked->mq_maxmsg * ((unsigned long long)asked->mq_msgsize + COST_OF_A_MESSAGE),
                (unsigned long long)limit.rlim_cur);
}

static int above(const char *name, long asked, const char *what, const char *limit)
{
    return fail(-EINVAL, "mq_open(%s): %ld %s asked, %s is %llu (sysctl %s=%ld raises it; CAP_SYS_RESOURCE may exceed "
                "it)", name, asked, what, limit, (unsigned long long)limit_from_proc(limit), limit, asked);
}

static int cannot_make(const char *name, const struct mq_attr *asked, int error)
{
    switch (error) {
    case -EINVAL:
        if ((uint64_t)asked->mq_maxmsg > limit_from_proc("fs.mqueue.msg_max"))
            return above(name, asked->mq_maxmsg, "messages", "fs.mqueue.msg_max");
        if ((uint64_t)asked->mq_msgsize > limit_from_proc("fs.mqueue.msgsize_max"))
            return above(name, asked->mq_msgsize, "bytes a message", "fs.mqueue.msgsize_max");
        break;
    case -EMFILE:
        return out_of_bytes(name, asked);
    case -ENOSPC:
        return fail(-ENOSPC, "mq_open(%s): no more queues can be made: fs.mqueue.queues_max is %llu", name,
                    (unsigned long long)limit_from_proc("fs.mqueue.queues_max"));
    }
    return fail_call(error, "mq_open(%s), to make it", name);
}

static int cannot_open(const char *name, int error)
{
    switch (error) {
    case -ENOENT:
        return fail(-ENOENT, "mq:%s: there is no such queue, and create=no", name);
    case -EEXIST:
        return fail(-EEXIST, "mq:%s: the queue exists, and create=excl", name);
    case -EACCES:
        return fail(-EACCES, "mq:%s: the queue's mode and owner (ls -l /dev/mqueue) do not let this user open it",
                    name);
    case -ENOSYS:
        return fail(-ENOSYS, "mq:%s: this kernel has no POSIX message queues (CONFIG_POSIX_MQUEUE)", name);
    default:
        return fail_call(error, "mq_open(%s)", name);
    }
}

static long lesser(const char *a, const char *b)
{
    uint64_t x = limit_from_proc(a), y = limit_from_proc(b), least = x < y ? x : y;
    return least <= LONG_MAX ? (long)least : 0;
}

/* What a new queue shall be: as asked, else as the kernel has it for who does not ask. */
static struct mq_attr attributes(const struct address *address)
{
    struct mq_attr asked = {
        .mq_maxmsg = (long)address->value[OPTION_MESSAGES],
        .mq_msgsize = (long)address->value[OPTION_SIZE],
    };
    if (asked.mq_maxmsg == 0)
        asked.mq_maxmsg = lesser("fs.mqueue.msg_default", "fs.mqueue.msg_max");
    if (asked.mq_msgsize == 0)
        asked.mq_msgsize = lesser("fs.mqueue.msgsize_default", "fs.mqueue.msgsize_max");
    return asked;
}

/* The umask takes from the mode that was asked for, so it is said once more. */
static int make(const struct address *address, const char *name, int flags)
{
    mode_t mode = (mode_t)address->value[OPTION_MODE];
    struct mq_attr asked = attributes(address);
    int fd = sys_mq_open(name, flags | O_CREAT | O_EXCL, mode, &asked);
    if (fd < 0)
        return fd == -EEXIST ? fd : cannot_make(name, &asked, fd);
    int r = sys_fchmod(fd, mode);
    if (r == 0)
        return fd;
    sys_mq_unlink(name);
    sys_close(fd);
    return fail_call(r, "mq:%s: fchmod", name);
}

static int get(const struct address *address, const char *name, int flags, bool *ret_made)
{
    int64_t create = address->value[OPTION_CREATE];
    *ret_made = false;
    for (;;) {
        int fd = create == CREATE_EXCL ? -ENOENT : sys_mq_open(name, flags, 0, NULL);
        if (fd >= 0)
            return fd;
        if (fd != -ENOENT || create == CREATE_NO)
            return cannot_open(name, fd);
        fd = make(address, name, flags);
        *ret_made = fd >= 0;
        if (fd != -EEXIST)
            return fd;
        if (create == CREATE_EXCL)
            return cannot_open(name, fd);
    }
}

/* A queue never changes: one that is there and holds less than asked is refused, rather than used as if it did. */
static int check_attributes(const struct address *address, const char *name, const struct mq_attr *state)
{
    if (state->mq_maxmsg >= address->value[OPTION_MESSAGES] && state->mq_msgsize >= address->value[OPTION_SIZE])
        return 0;
    return fail(-EEXIST, "mq:%s exists with %ld messages of %ld bytes, which is less than asked and cannot be changed: "
                "remove it, or leave messages= and size= out", name, state->mq_maxmsg, state->mq_msgsize);
}

static int side_open(struct queue *queue, const struct address *address, const char *name, int flags,
                     struct side *ret)
{
    struct mq_attr state;
    int r = check_name(name);
    if (r == 0 && !(ret->name = strdup(name)))
        r = fail(-ENOMEM, "mq:%s: out of memory", name);
    if (r < 0)
        return r;
    r = ret->fd = get(address, name, flags, &ret->made);
    if (r < 0)
        return r;
    queue->conduit.flags |= ret->made ? TONG_INFO_CREATED : 0;
    r = sys_mq_getattr(ret->fd, &state);
    if (r < 0)
        return fail_call(r, "mq:%s: mq_getattr", name);
    ret->largest = (size_t)state.mq_msgsize;
    return check_attributes(address, name, &state);
}

static int check_directions(const struct open_request *request)
{
    bool both = (request->flags & TONG_BOTH) == TONG_BOTH;
    if (both && !request->address->second)
        return fail(-EOPNOTSUPP, "%s: a receiver of a POSIX queue cannot choose, and would get what it sent itself: "
                    "name two, mq:/IN,/OUT, for both directions", request->address->text);
    if (!both && request->address->second)
        return fail(-EINVAL, "%s names two queues, but only one direction is opened", request->address->text);
    return 0;
}

static int open_sides(struct queue *queue, const struct address *address)
{
    const char *to = address->second ? address->second : address->name;
    int r = queue->conduit.flags & TONG_RECEIVE ? side_open(queue, address, address->name, O_RDONLY, &queue->in) : 0;
    if (r == 0 && queue->conduit.flags & TONG_SEND)
        r = side_open(queue, address, to, O_WRONLY, &queue->out);
    return r;
}

static int queue_open(const struct open_request *request, struct conduit **ret)
{
    const struct address *address = request->address;
    char object[2 * ADDRESS_NAME_MAX + 8];
    int r = check_directions(request);
    if (r < 0)
        return r;
    snprintf(object, sizeof object, "mq:%s%s%s", address->name, address->second ? "," : "",
             address->second ? address->second : "");
    struct conduit *conduit;
    r = conduit_new(request, &queue_facet, sizeof(struct queue), object, &conduit);
    if (r < 0)
        return r;
    struct queue *queue = (struct queue *)conduit;
    queue->in.fd = queue->out.fd = -1;
    queue->ready = (struct ready)READY_INIT;
    queue->priority = (unsigned)address->value[OPTION_TYPE];
    queue->removes = true;
    conduit->flags |= TONG_INFO_ENDLESS;
    r = open_sides(queue, address);
    if (r < 0) {
        queue_close(conduit, false);
        return r;
    }
    queue->removes = address->value[OPTION_REMOVE] == REMOVE_OWNER;
    *ret = conduit;
    return 0;
}

static int remove_one(const char *name)
{
    int r = check_name(name);
    if (r < 0)
        return r;
    r = sys_mq_unlink(name);
    if (r == -ENOENT)
        return fail(-ENOENT, "mq:%s: there is no such queue (/dev/mqueue lists them)", name);
    if (r == -EACCES || r == -EPERM)
        return fail(r, "mq:%s: only the queue's owner may remove it", name);
    return r < 0 ? fail_call(r, "mq_unlink(%s)", name) : 0;
}

static int queue_remove(const struct address *address)
{
    int r = remove_one(address->name);
    int second = address->second ? remove_one(address->second) : 0;
    return r < 0 ? r : second;
}

/* ---- The row --------------------------------------------------------------------------------------------- */

static const struct option_use queue_options[] = {
    { OPTION_MODE, 0600, 0, 0666, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 1 << REMOVE_NEVER | 1 << REMOVE_OWNER },
    { OPTION_MESSAGES, 0, 1, MESSAGES_MAX, 0 },
    { OPTION_SIZE, 0, 1, SIZE_MAX_OF_A_MESSAGE, 0 },
    { OPTION_FULL, FULL_WAIT, 0, 0, 0 },
    { OPTION_TYPE, 0, 0, PRIORITY_MAX, 0 },
    OPTIONS_END,
};

static uint64_t bytes_of_a_user(const char *source)
{
    struct rlimit limit;
    (void)source;
    return sys_getrlimit(RLIMIT_MSGQUEUE, &limit) < 0 ? TONG_UNKNOWN : limit.rlim_cur;
}

static uint64_t highest_priority(const char *source)
{
    (void)source;
    return PRIORITY_MAX;
}

static const struct limit queue_limits[] = {
    { "messages in a queue", "messages", "fs.mqueue.msg_max", limit_from_proc },
    { "largest message", "bytes", "fs.mqueue.msgsize_max", limit_from_proc },
    { "queues in all", "queues", "fs.mqueue.queues_max", limit_from_proc },
    { "bytes of a user's queues", "bytes", "RLIMIT_MSGQUEUE", bytes_of_a_user },
    { "highest priority", "priority", "MQ_PRIO_MAX", highest_priority },
    { NULL, NULL, NULL, NULL },
};

static const struct channel_facet *const queue_channels[] = { &queue_facet, NULL };

const struct mechanism mechanism_mq = {
    .scheme = "mq",
    .form = "mq:/NAME, mq:/IN,/OUT",
    .summary = "POSIX message queue: the type of a message is its priority, and the highest comes first",
    .medium = "memory (of the kernel)",
    .unit = "message",
    .reach = "one machine",
    .order = "the kernel, by priority; a waiter sleeps in mq_send, mq_receive or poll",
    .lifetime = "until it is removed or the machine restarts",
    .family = "POSIX; Linux, FreeBSD, NetBSD, Solaris, AIX, QNX",
    .options = queue_options,
    .limits = queue_limits,
    .channels = queue_channels,
    .open = queue_open,
    .remove = queue_remove,
};
