/* SPDX-License-Identifier: MIT */
/*
 * msgq: - System V message queues, msgget(2), msgop(2), msgctl(2).
 *
 * The kernel keeps whole messages, each with a type above 0, and a receiver says which types it takes.  So
 * the type selects the receiver, and ONE queue serves both directions and any number of processes.  Nothing
 * is added to what is sent: a C program with msgsnd and msgrcv is as good a peer as this library.
 *
 * Traps dealt with here:
 *   - The kernel wants the type as a long right before the text, which no caller's buffer has, so every
 *     message passes through a packet of ours.  It is allocated once a direction, and the copy is all that a
 *     message costs beside its one system call.
 *   - A message above msg_qbytes but not above kernel.msgmax is not refused by msgsnd: it waits for ever.
 *   - msgrcv either cuts a message that is too long or says E2BIG without saying how long it is; the length
 *     is found by looking at copies of the messages (MSG_COPY), by the same rule that chose the message.
 *   - There is no descriptor and no timed wait: waiting for ever is left to the kernel, any other wait tries
 *     again with pauses growing to 1 ms, and poll= gives a timer to an event loop.
 *   - A removed queue is EIDRM to those who sleep in it and EINVAL to those who come later.
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
#include "core/mechanism.h"
#include "core/patience.h"
#include "core/process.h"
#include "core/sysv_name.h"
#include "sys/sys.h"

#define LOOK_MAX 1024               /* messages looked at for a length: each look is a walk in the kernel */
#define TYPE_OFFSET sizeof(long)

struct packet {
    long type;
    char text[];
};

struct queue {
    struct conduit conduit;
    int id;
    bool made;            /* by this open, and closing removes it */
    long type;            /* of messages that are sent without one */
    long wanted;          /* msgrcv's type argument, */
    int except;           /* and its MSG_EXCEPT: the selection; guarded as the receiving side */
    size_t largest;       /* that can be sent, as last asked of the kernel; guarded as the sending side */
    struct packet *out, *in;
    size_t in_size;       /* of in->text */
    int64_t tick;         /* option poll in nanoseconds, 0: none */
    int timer[2];         /* of the receiving and of the sending side, -1 until somebody polls */
};

/* ---- Limits -------------------------------------------------------------------------------------------- */

static size_t kernel_msgmax(void)
{
    union { struct msginfo limits; struct msqid_ds space; } about;
    return sys_msgctl(0, IPC_INFO, &about.space) < 0 ? 8192 : (size_t)about.limits.msgmax;
}

/* Asks the kernel what may be sent now; who may not look at the queue knows kernel.msgmax alone. */
static size_t ask_largest(int id, size_t *ret_qbytes)
{
    struct msqid_ds state;
    size_t msgmax = kernel_msgmax();
    *ret_qbytes = sys_msgctl(id, IPC_STAT, &state) < 0 ? SIZE_MAX : state.msg_qbytes;
    return msgmax < *ret_qbytes ? msgmax : *ret_qbytes;
}

static struct packet *resize(struct packet *packet, size_t size)
{
    return realloc(packet, TYPE_OFFSET + size);
}

/* A message is larger than what could be sent when last asked: asks again, and makes room or says why not. */
static int make_room(struct queue *queue, size_t size)
{
    size_t qbytes, largest = ask_largest(queue->id, &qbytes);
    if (size > largest && largest == qbytes)
        return fail(-EMSGSIZE, "%s: a message of %zu bytes cannot be sent: the whole queue holds %zu (msg_qbytes; "
                    "make it with ?capacity=)", queue->conduit.object, size, qbytes);
    if (size > largest)
        return fail(-EMSGSIZE, "%s: a message of %zu bytes cannot be sent: kernel.msgmax is %zu", queue->conduit.object,
                    size, largest);
    struct packet *packet = resize(queue->out, largest);
    if (!packet)
        return fail(-ENOMEM, "%s: out of memory for messages of %zu bytes", queue->conduit.object, largest);
    queue->out = packet;
    queue->largest = largest;
    return 0;
}

/* ---- Waiting ------------------------------------------------------------------------------------------- */

/* Inside msgsnd and msgrcv nothing but a signal could wake a waiter that shall be cancelled. */
static inline bool kernel_waits(const struct queue *queue, int64_t deadline)
{
    return deadline == DEADLINE_NEVER && queue->conduit.cancel_fd < 0;
}

/* One pause before the next try.  Who polls is told "not ready" until the next tick. */
static int back_off(struct queue *queue, int side, struct patience *patience, int64_t deadline)
{
    uint64_t ticks;
    if (deadline == DEADLINE_NOW && queue->timer[side] >= 0)
        sys_read(queue->timer[side], &ticks, sizeof ticks);
    return patience_pause(patience, queue->conduit.cancel_fd, deadline);
}

/* The words for what msgsnd or msgrcv said; the waits have said theirs. */
static int failed(const struct queue *queue, const char *call, int error)
{
    switch (error) {
    case -EAGAIN: case -ETIMEDOUT: case -ECANCELED:
        return error;
    case -EINTR:
        return fail_static(-EINTR, "a signal was caught before anything moved");
    case -EIDRM: case -EINVAL:
        return sysv_removed(queue->conduit.object);
    case -EACCES:
        return fail(-EACCES, "%s: %s is not permitted: its mode and owner (ipcs -q) do not let this user",
                    queue->conduit.object, call);
    default:
        return fail_call(error, "%s: %s", queue->conduit.object, call);
    }
}

/* ---- Sending ------------------------------------------------------------------------------------------- */

static int put(struct queue *queue, size_t size, int64_t deadline)
{
    if (kernel_waits(queue, deadline))
        return sys_msgsnd(queue->id, queue->out, size, 0);
    int r, paused = 0;
    struct patience patience = PATIENCE_INIT;
    do
        r = sys_msgsnd(queue->id, queue->out, size, IPC_NOWAIT);
    while (r == -EAGAIN && (paused = back_off(queue, 1, &patience, deadline)) == 0);
    patience_end(&patience);
    return paused < 0 ? paused : r;
}

/* EINVAL is what msgsnd says of a removed queue and of a kernel.msgmax that was lowered meanwhile. */
static int send_failed(struct queue *queue, size_t size, int error)
{
    struct msqid_ds state;
    if (error == -EINVAL && sys_msgctl(queue->id, IPC_STAT, &state) != -EINVAL) {
        int r = make_room(queue, size);
        if (r < 0)
            return r;
    }
    return failed(queue, "msgsnd", error);
}

static int queue_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct queue *queue = (struct queue *)conduit;
    long type = out->type ? (long)out->type : queue->type;
    if (type <= 0 || (out->type && type != out->type))
        return fail(-EINVAL, "%s: a message cannot have type %lld: types of System V queues are numbers from 1 to %ld",
                    conduit->object, (long long)out->type, LONG_MAX);
    if (out->size > queue->largest) {
        int r = make_room(queue, out->size);
        if (r < 0)
            return r;
    }
    queue->out->type = type;
    if (out->size)
        memcpy(queue->out->text, out->data, out->size);
    int r = put(queue, out->size, deadline);
    return r == 0 ? 0 : send_failed(queue, out->size, r);
}

/* ---- Receiving ----------------------------------------------------------------------------------------- */

static ssize_t take(struct queue *queue, size_t size, int64_t deadline)
{
    if (kernel_waits(queue, deadline))
        return sys_msgrcv(queue->id, queue->in, size, queue->wanted, queue->except);
    int paused = 0;
    ssize_t r;
    struct patience patience = PATIENCE_INIT;
    do
        r = sys_msgrcv(queue->id, queue->in, size, queue->wanted, queue->except | IPC_NOWAIT);
    while (r == -ENOMSG && (paused = back_off(queue, 0, &patience, deadline)) == 0);
    patience_end(&patience);
    return paused < 0 ? paused : r;
}

/* Whether the selection prefers a message of `type` to the best one so far, whose type is `best` (0: none). */
static bool preferred(const struct queue *queue, long type, long best)
{
    if (queue->wanted < 0)
        return type <= -queue->wanted && (best == 0 || type < best);
    if (best)
        return false;
    return queue->wanted == 0 || (queue->except ? type != queue->wanted : type == queue->wanted);
}

/* Looks at copies of the messages for the one that msgrcv would take.  -1: it cannot be seen. */
static ssize_t look(struct queue *queue, struct packet *copy, size_t size)
{
    ssize_t length = -1;
    long best = 0;
    for (long index = 0; index < LOOK_MAX && (best == 0 || queue->wanted < 0); index++) {
        ssize_t r = sys_msgrcv(queue->id, copy, size, index, MSG_COPY | IPC_NOWAIT);
        if (r == -ENOMSG)
            return length;
        if (r < 0)
            return -1;
        if (preferred(queue, copy->type, best)) {
            length = r;
            best = copy->type;
        }
    }
    return best && queue->wanted >= 0 ? length : -1;
}

/* Bytes of the message that did not fit `size`; where copies cannot be had, as much as it can be. */
static size_t next_length(struct queue *queue, size_t size)
{
    struct msqid_ds state;
    size_t most = kernel_msgmax();
    size_t held = sys_msgctl(queue->id, IPC_STAT, &state) < 0 ? most : state.__msg_cbytes;
    /* what did not fit that much was sent before kernel.msgmax was lowered, and cannot be copied */
    if (held > most && most > size)
        held = most;
    if (held <= size)
        held = size + 1;
    struct packet *copy = resize(NULL, held);
    ssize_t length = copy ? look(queue, copy, held) : -1;
    free(copy);
    return length < 0 ? held : (size_t)length;
}

/* What msgrcv would take did not fit: it is still there.  0 if it fits after all, or does now. */
static int too_long(struct queue *queue, struct message_in *in, size_t size)
{
    size_t length = next_length(queue, size);
    if (length > in->capacity) {
        in->meta.length = length;
        return fail(-EMSGSIZE, "%s: the next message has up to %zu bytes and the buffer %zu: it is kept",
                    queue->conduit.object, length, in->capacity);
    }
    if (length <= queue->in_size)
        return 0;
    struct packet *packet = resize(queue->in, length);
    if (!packet)
        return fail(-ENOMEM, "%s: out of memory for a message of %zu bytes", queue->conduit.object, length);
    queue->in = packet;
    queue->in_size = length;
    return 0;
}

static ssize_t queue_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct queue *queue = (struct queue *)conduit;
    ssize_t r;
    for (;;) {
        size_t size = in->capacity < queue->in_size ? in->capacity : queue->in_size;
        r = take(queue, size, deadline);
        if (r != -E2BIG)
            break;
        r = too_long(queue, in, size);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return failed(queue, "msgrcv", (int)r);
    if (r > 0)
        memcpy(in->data, queue->in->text, (size_t)r);
    in->meta.type = queue->in->type;
    in->meta.length = (uint64_t)r;
    return r;
}

static int queue_select(struct conduit *conduit, int rule, int64_t type)
{
    struct queue *queue = (struct queue *)conduit;
    if (rule != TONG_SELECT_FIRST && (long)type != type)
        return fail(-EINVAL, "%s: type %lld is above %ld, the largest there is", conduit->object, (long long)type,
                    LONG_MAX);
    queue->wanted = rule == TONG_SELECT_FIRST ? 0 : rule == TONG_SELECT_UP_TO ? -(long)type : (long)type;
    queue->except = rule == TONG_SELECT_EXCEPT ? MSG_EXCEPT : 0;
    return 0;
}

/* ---- Readiness, sight ---------------------------------------------------------------------------------- */

static int queue_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct queue *queue = (struct queue *)conduit;
    int *timer = &queue->timer[direction == TONG_SEND];
    if (queue->tick == 0)
        return fail(-EOPNOTSUPP, "%s: the kernel gives System V queues no readiness: open it with ?poll=1ms to be "
                    "woken that often", conduit->object);
    if (*timer < 0) {
        struct timespec tick = { queue->tick / 1000000000, queue->tick % 1000000000 };
        int fd = sys_timerfd();
        int r = fd < 0 ? fd : sys_timerfd_settime(fd, &(struct itimerspec){ tick, { 0, 1 } });
        if (r < 0) {
            sys_close(fd);
            return fail_call(r, "%s: a timer for ?poll=", conduit->object);
        }
        *timer = fd;
    }
    *ret = (struct pollfd){ *timer, POLLIN, 0 };
    return 0;
}

/* The last one that did the opposite of what this end does; with both directions, not this process. */
static int queue_peer(struct conduit *conduit, tong_identity *ret)
{
    struct queue *queue = (struct queue *)conduit;
    struct msqid_ds state;
    int r = sys_msgctl(queue->id, IPC_STAT, &state);
    if (r < 0)
        return failed(queue, "msgctl(IPC_STAT)", r);
    pid_t pid = conduit->flags & TONG_RECEIVE ? state.msg_lspid : state.msg_lrpid;
    if ((conduit->flags & TONG_BOTH) == TONG_BOTH && pid == getpid())
        pid = state.msg_lrpid != getpid() ? state.msg_lrpid : 0;
    if (pid == 0)
        return fail(-ENOTCONN, "%s: no other process that can be seen from here has used it yet", conduit->object);
    process_name_last(pid, ret);
    return 0;
}

static int queue_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct queue *queue = (struct queue *)conduit;
    struct msqid_ds state;
    size_t qbytes;
    ret->largest = ask_largest(queue->id, &qbytes);
    int r = sys_msgctl(queue->id, IPC_STAT, &state);
    if (r == -EACCES)
        return 0;
    if (r < 0)
        return failed(queue, "msgctl(IPC_STAT)", r);
    ret->capacity = state.msg_qbytes;
    ret->depth = state.__msg_cbytes;
    ret->messages = state.msg_qnum;
    return 0;
}

/* ---- Opening, closing, removing ------------------------------------------------------------------------ */

/* A child shares the queue but not the right to remove it, and ticks of its own wake it. */
static int queue_after_fork(struct conduit *conduit)
{
    struct queue *queue = (struct queue *)conduit;
    queue->made = false;
    for (int side = 0; side < 2; side++) {
        sys_close(queue->timer[side]);
        queue->timer[side] = -1;
    }
    return 0;
}

static int queue_close(struct conduit *conduit, bool forked)
{
    struct queue *queue = (struct queue *)conduit;
    int r = queue->made && !forked ? sys_msgctl(queue->id, IPC_RMID, NULL) : 0;
    if (r == -EIDRM || r == -EINVAL)
        r = 0;
    if (r < 0)
        r = fail_call(r, "%s: msgctl(IPC_RMID)", conduit->object);
    sys_close(queue->timer[0]);
    sys_close(queue->timer[1]);
    free(queue->out);
    free(queue->in);
    conduit_free(conduit);
    return r;
}

static const struct channel_facet queue_facet = {
    .variant = "",
    .identity = TONG_IDENTITY_LAST,
    .shape = TONG_HAS_TWO_WAY | TONG_HAS_MANY_SENDERS | TONG_HAS_MANY_RECEIVERS,
    .send = queue_send,
    .receive = queue_receive,
    .select = queue_select,
    .pollfd = queue_pollfd,
    .after_fork = queue_after_fork,
    .peer = queue_peer,
    .describe = queue_describe,
    .close = queue_close,
};

static int cannot_get(const struct address *address, key_t key, int error)
{
    switch (error) {
    case -ENOENT:
        return fail(-ENOENT, "msgq:%s: there is no queue with key 0x%x, and create=no", address->name, (unsigned)key);
    case -EEXIST:
        return fail(-EEXIST, "msgq:%s: a queue with key 0x%x exists, and create=excl", address->name, (unsigned)key);
    case -EACCES:
        return fail(-EACCES, "msgq:%s: the queue's mode and owner (ipcs -q) do not let this user open it",
                    address->name);
    case -ENOSPC:
        return fail(-ENOSPC, "msgq:%s: no more queues can be made: kernel.msgmni is %llu", address->name,
                    (unsigned long long)limit_from_proc("kernel.msgmni"));
    default:
        return fail_call(error, "msgq:%s: msgget(0x%x)", address->name, (unsigned)key);
    }
}

/* Asks for no more than this end needs, so that a queue of another user that lets us only send will do. */
static int get(const struct open_request *request, key_t key, bool *ret_made)
{
    const struct address *address = request->address;
    int need = (request->flags & TONG_RECEIVE ? 0400 : 0) | (request->flags & TONG_SEND ? 0200 : 0);
    int64_t create = address->value[OPTION_CREATE];
    *ret_made = false;
    for (;;) {
        int id = create == CREATE_EXCL ? -ENOENT : sys_msgget(key, need);
        if (id >= 0)
            return id;
        if (id != -ENOENT || create == CREATE_NO)
            return cannot_get(address, key, id);
        id = sys_msgget(key, IPC_CREAT | IPC_EXCL | (int)address->value[OPTION_MODE]);
        *ret_made = id >= 0;
        if (id >= 0)
            return id;
        if (id != -EEXIST || create == CREATE_EXCL)
            return cannot_get(address, key, id);
    }
}

/* Finds the queue and its key.  A sender that may not read a queue cannot learn the key behind id=N. */
static int attach(const struct open_request *request, struct sysv_name *name, bool *ret_made)
{
    struct msqid_ds state;
    *ret_made = false;
    if (!name->is_id) {
        name->id = get(request, name->key, ret_made);
        return name->id < 0 ? name->id : 0;
    }
    int r = sys_msgctl(name->id, IPC_STAT, &state);
    if (r == -EINVAL || r == -EIDRM)
        return fail(-ENOENT, "msgq: there is no queue with identifier %d (ipcs -q lists them)", name->id);
    if (r < 0 && (r != -EACCES || request->flags & TONG_RECEIVE))
        return fail_call(r, "msgq:id=%d: msgctl(IPC_STAT)", name->id);
    name->key = r < 0 ? IPC_PRIVATE : state.msg_perm.__key;
    return 0;
}

static int set_capacity(const struct address *address, int id)
{
    struct msqid_ds state;
    unsigned long asked = (unsigned long)address->value[OPTION_CAPACITY];
    if (asked == 0)
        return 0;
    int r = sys_msgctl(id, IPC_STAT, &state);
    if (r == 0 && state.msg_qbytes == asked)
        return 0;
    state.msg_qbytes = asked;
    if (r == 0)
        r = sys_msgctl(id, IPC_SET, &state);
    if (r == -EPERM)
        return fail(-EPERM, "msgq:%s: capacity %lu is not permitted: only the queue's owner sets it, and above "
                    "kernel.msgmnb (%llu) only root", address->name, asked,
                    (unsigned long long)limit_from_proc("kernel.msgmnb"));
    return r < 0 ? fail_call(r, "msgq:%s: capacity %lu: msgctl(IPC_SET)", address->name, asked) : 0;
}

/* The packets; half of one is freed by close. */
static int prepare(struct queue *queue, const struct address *address)
{
    size_t qbytes, largest = ask_largest(queue->id, &qbytes);
    if (queue->conduit.flags & TONG_SEND)
        queue->out = resize(NULL, largest);
    if (queue->conduit.flags & TONG_RECEIVE)
        queue->in = resize(NULL, largest);
    if ((queue->conduit.flags & TONG_SEND && !queue->out) || (queue->conduit.flags & TONG_RECEIVE && !queue->in))
        return fail(-ENOMEM, "%s: out of memory for messages of %zu bytes", queue->conduit.object, largest);
    queue->largest = queue->in_size = largest;
    queue->type = (long)address->value[OPTION_TYPE];
    queue->tick = address->value[OPTION_POLL];
    return queue_select(&queue->conduit, (int)address->value[OPTION_SELECT], address->selection_type);
}

static int queue_new(const struct open_request *request, const struct sysv_name *name, struct queue **ret)
{
    char object[ADDRESS_NAME_MAX + 64];
    snprintf(object, sizeof object, "msgq:%s (key 0x%x, id %d)", request->address->name, (unsigned)name->key, name->id);
    struct conduit *conduit;
    int r = conduit_new(request, &queue_facet, sizeof(struct queue), object, &conduit);
    if (r < 0)
        return r;
    struct queue *queue = (struct queue *)conduit;
    queue->id = name->id;
    queue->timer[0] = queue->timer[1] = -1;
    conduit->flags |= TONG_INFO_ENDLESS;
    *ret = queue;
    return 0;
}

static int queue_open(const struct open_request *request, struct conduit **ret)
{
    const struct address *address = request->address;
    struct sysv_name name;
    struct queue *queue = NULL;
    bool made;
    int r = sysv_name_parse(address, &name);
    if (r == 0)
        r = attach(request, &name, &made);
    if (r < 0)
        return r;
    r = set_capacity(address, name.id);
    if (r == 0)
        r = queue_new(request, &name, &queue);
    if (r == 0)
        r = prepare(queue, address);
    if (r < 0) {
        if (queue)
            queue_close(&queue->conduit, false);
        if (made)
            sys_msgctl(name.id, IPC_RMID, NULL);
        return r;
    }
    queue->made = made && address->value[OPTION_REMOVE] == REMOVE_OWNER;
    queue->conduit.flags |= made ? TONG_INFO_CREATED : 0;
    *ret = &queue->conduit;
    return 0;
}

static int queue_remove(const struct address *address)
{
    struct sysv_name name;
    int r = sysv_name_parse(address, &name);
    if (r < 0)
        return r;
    int id = name.is_id ? name.id : sys_msgget(name.key, 0);
    r = id < 0 ? id : sys_msgctl(id, IPC_RMID, NULL);
    if (r == -ENOENT || r == -EINVAL || r == -EIDRM)
        return fail(-ENOENT, "msgq:%s: there is no such queue (ipcs -q lists them)", address->name);
    if (r == -EPERM)
        return fail(-EPERM, "msgq:%s: only the queue's owner may remove it", address->name);
    return r < 0 ? fail_call(r, "msgq:%s: msgctl(IPC_RMID)", address->name) : 0;
}

/* ---- The row ------------------------------------------------------------------------------------------- */

static const struct option_use queue_options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 1 << REMOVE_NEVER | 1 << REMOVE_OWNER },
    { OPTION_CAPACITY, 0, 0, INT_MAX, 0 },
    { OPTION_FULL, FULL_WAIT, 0, 0, 0 },
    { OPTION_TYPE, 1, 1, LONG_MAX, 0 },
    { OPTION_SELECT, TONG_SELECT_FIRST, 0, 0, 0 },
    { OPTION_POLL, 0, 10 * TONG_MICROSECOND, 3600 * TONG_SECOND, 0 },
    OPTIONS_END,
};

static const struct limit queue_limits[] = {
    { "largest message", "bytes", "kernel.msgmax", limit_from_proc },
    { "bytes in a queue", "bytes", "kernel.msgmnb", limit_from_proc },
    { "queues in all", "queues", "kernel.msgmni", limit_from_proc },
    { NULL, NULL, NULL, NULL },
};

static const struct channel_facet *const queue_channels[] = { &queue_facet, NULL };

const struct mechanism mechanism_msgq = {
    .scheme = "msgq",
    .form = "msgq:KEY, msgq:0xKEY, msgq:PATH#PROJ, msgq:id=N",
    .summary = "System V message queue: the type of a message selects its receiver",
    .medium = "memory (of the kernel)",
    .unit = "message",
    .reach = "one machine",
    .order = "the kernel; a waiter sleeps in msgsnd or msgrcv",
    .lifetime = "until it is removed or the machine restarts",
    .family = "System V; Linux, the BSDs, macOS, Solaris, AIX",
    .options = queue_options,
    .limits = queue_limits,
    .channels = queue_channels,
    .open = queue_open,
    .remove = queue_remove,
};
