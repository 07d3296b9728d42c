/* SPDX-License-Identifier: MIT */
/*
 * tong/channel.h - a channel is one end of a conduit of messages.
 *
 * A channel is opened by address, "scheme:name?option=value&...", and the address alone decides which
 * mechanism of the kernel, or which ring in shared memory, carries the messages:
 *
 *     tong_channel *c;
 *     int r = tong_channel_open("fifo:/tmp/jobs", TONG_SEND, TONG_FOREVER, &c);
 *     if (r == 0)
 *         r = tong_channel_send(c, "hello", 5, NULL, TONG_FOREVER);
 *     if (r < 0)
 *         fprintf(stderr, "%s\n", tong_detail());
 *     tong_channel_close(c);
 *
 * Ends.  Receiving returns the number of bytes; 0 is an empty message.  The end of the conversation is an
 * error code: -ENODATA when the sender finished in order, -ECONNRESET when it died without finishing.
 * Unframed byte streams (frame=line, frame=none) cannot tell the two apart and report -ENODATA.  Message
 * queues and datagrams have no end.  -EPIPE is for senders only: nobody is left to receive.
 *
 * Several receivers.  On msgq:, mq:, and on shm: and mmap: with receivers=N (up to 16), each message goes to one of those
 * that are there; all of them are told the end.  A receiver of shm: or mmap: that is killed, or closes, with messages in
 * hand leaves them to the others, or to the next who comes: flagged TONG_MESSAGE_REDELIVERED, and at least once.  One that is
 * stopped holds up nobody until its sender has filled the channel once round behind the message that it holds.
 *
 * Broadcast.  On shm: and mmap: with deliver=broadcast each message goes to every receiver, up to 16 (receivers=), that is
 * there.  from=end begins with what comes, from=start with the oldest that is kept, from=left with as=NAME where the receiver
 * of that name left or died; a second one of a living name is refused (-EBUSY).  Senders wait for a receiver with slow=wait
 * until it dies or closes, and for no other: with slow=skip it misses what is overwritten, and the next message tells how
 * many (`lost`, TONG_MESSAGE_LOST_BEFORE); with slow=drop every receive from then on returns -EOVERFLOW.  Where nobody is
 * there, nobody is waited for, and the oldest is overwritten.  readonly=yes, for who may only read: it takes no place and
 * writes nothing, skips, and looks every millisecond.  tong_channel_describe() says what this receiver has not seen.
 *
 * Threads.  One thread may send on a channel while one other receives; more need tong_channel_clone().
 * tong_channel_cancel() may be called by any thread and from a signal handler.
 *
 * fork.  In a child every call on an inherited channel returns -EBADFD, except tong_channel_close(), which
 * only lets go, and tong_channel_after_fork(), which takes the channel over.  Channels of
 * tong_channel_pair() on `pipe:` and `unix:` are made to be inherited and work in the child at once.
 *
 * Signals.  A blocking call that a caught signal interrupts before anything moved returns -EINTR.  Where the kernel has no
 * wait with a deadline, and the library looks again and again, signals are held back for the moment of each look and come
 * in between, so that none goes by.  In memory, on mq: and udp: a long wait is several sleeps, and one that is caught just
 * between two of them does not end it: who must not miss any has the handler call tong_channel_cancel(), or polls.
 */
#ifndef TONG_CHANNEL_H
#define TONG_CHANNEL_H

#include <poll.h>
#include <tong/base.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tong_channel tong_channel;

/* Flags of a received message. */
#define TONG_MESSAGE_REDELIVERED UINT32_C(0x1) /* its first taker was gone before releasing it, or the machine stopped */
#define TONG_MESSAGE_LOST_BEFORE UINT32_C(0x2) /* `lost` messages before this one never arrived */
#define TONG_MESSAGE_TRUNCATED UINT32_C(0x4)   /* the kernel cut it; its true length is in `length` */

/* What travels beside the bytes of a message. */
typedef struct tong_message {
    uint32_t size;        /* sizeof(tong_message) */
    uint32_t flags;       /* received: TONG_MESSAGE_... */
    int64_t type;         /* both ways: the type (msgq:), the priority (mq:), else a number that framing carries */
    uint64_t length;      /* received: bytes of the message; after -EMSGSIZE the buffer it needs */
    uint64_t lost;        /* received: messages known to be lost since the one before */
    tong_identity sender; /* received: who sent it, as far as the mechanism knows */
} tong_message;

#define TONG_MESSAGE_INIT { sizeof(tong_message), 0, 0, 0, 0, TONG_IDENTITY_INIT }

/*
 * Opens one end of the conduit that `address` names.
 *
 * flags    TONG_RECEIVE, TONG_SEND or TONG_BOTH, and TONG_CANCELLABLE.  Both directions on a mechanism that
 *          has one are refused (-EOPNOTSUPP) unless the address names two objects ("fifo:IN,OUT", "fd:3,4").
 * timeout  how long to wait for what opening needs from a peer: a reader on fifo: and, for who only sends, on memfd:; a
 *          server on unix: or tcp:, on this machine also a receiver on udp:.  When it runs out: -ENXIO (0) or -ETIMEDOUT; -EAGAIN where 0 leaves a
 *          machine far away no time to answer.  Who comes to a path of memfd: while two others are about to meet there
 *          waits for them to do so: -EBUSY (0) or -ETIMEDOUT.  Mechanisms that need no peer ignore it.  Names of hosts and services
 *          are looked up by getaddrinfo(3), which takes as long as the system's resolver does, whatever the timeout.
 * ret      the channel; the caller closes it with tong_channel_close().
 *
 * Kernel queues and shared names are made, mode 0600, by whoever comes first (option `create`); see the
 * TONG_INFO_CREATED flag.  Descriptors are opened with O_CLOEXEC.
 *
 * Errors: -EINVAL the address is malformed or an option is unknown; -EPROTONOSUPPORT no such mechanism;
 * -EOPNOTSUPP the mechanism has no such direction; -ENOENT create=no and it does not exist; -EEXIST
 * create=excl and it exists, or an object of another kind stands under the name; -EACCES; -ENAMETOOLONG;
 * -EBUSY the place for a receiver (or sender) is taken; -EPROTO the object is of another layout or version;
 * -ENOSPC, -ENOMEM, -EMFILE.  Of tcp: and udp: also -EADDRNOTAVAIL no such host, or (binding) not this machine;
 * -EHOSTUNREACH, -ENETUNREACH no way there; -EADDRINUSE the port to receive on is taken.
 *
 * udp: with TONG_RECEIVE binds the address; with TONG_SEND it is connected to it.  With both, whoever comes first binds
 * it (option `create`: excl always, no never) and sends to who was heard last: until somebody was, a send waits.
 */
int tong_channel_open(const char *address, uint32_t flags, int64_t timeout, tong_channel **ret);

/*
 * Makes both ends of an unnamed conduit at once ("pipe:", "unix:?socket=seqpacket"), to be shared with
 * children by fork, or handed to a program with tong_channel_inherit().
 *
 * flags    what ret[0] may do; ret[1] may do the opposite.  TONG_BOTH on `pipe:` makes two pipes.
 *
 * Each process should close the end it does not use: as long as a sending end is open anywhere, the
 * receiver cannot see the end.  Semantics: pipe(7), unix(7), socketpair(2).
 */
int tong_channel_pair(const char *address, uint32_t flags, tong_channel *ret[2]);

/*
 * Ends the channel and frees it; NULL is allowed.  A sender that closes tells its receiver that this is the
 * end (see tong_channel_finish()) as far as that is possible without blocking.
 *
 * Returns 0, or a negative errno when something that a send had already accepted could not be delivered
 * (-EAGAIN: the peer did not take it in time; or there was no room for the mark of the end, and the receiver will
 * take it for a death: tong_channel_finish() waits for room).  The channel is gone in every case.
 */
int tong_channel_close(tong_channel *channel);

/*
 * Sends one message of `size` bytes from `data` (NULL is allowed when size is 0).  The data may be used again
 * at once.  `message` may be NULL; of it, only `type` is read.
 *
 * Blocks while the conduit is full, until `timeout`.  The message is sent whole or not at all: when part of a
 * long message is in a byte stream as the time runs out, the rest is kept, the call returns 0, and the rest
 * goes first at the next call (tong_channel_finish() waits for it).
 *
 * Errors: -EMSGSIZE above the largest message (named in tong_detail()); -EINVAL a type other than 0 where
 * nothing is added to what is sent (frame=line, frame=none, datagrams); -EAGAIN, -ETIMEDOUT full; -EPIPE
 * nobody is left to receive; -EINTR; -ECANCELED; -EIDRM, -ESTALE the object was removed; -EBADF the channel
 * was not opened to send; -EBADFD after fork.
 */
int tong_channel_send(tong_channel *channel, const void *data, size_t size, const tong_message *message,
                      int64_t timeout);

/*
 * Receives one message into `buffer` of `capacity` bytes and returns its length (0: an empty message).
 * `ret_message` may be NULL.
 *
 * Blocks until a message is there, until `timeout`.  On rings, what is no message (room that was given back, ends of other
 * senders) may lie before one: a call with timeout 0 passes over it for some milliseconds, then says -EAGAIN, and the next
 * one goes on there.
 *
 * Errors: -EMSGSIZE the message is longer than the buffer: it is kept, and ret_message->length says what it
 * needs (the one result filled in on failure); -ENODATA the orderly end; -ECONNRESET the peer died without
 * ending; -EBADMSG what arrived is not a message of this layout; -EAGAIN, -ETIMEDOUT; -EINTR; -ECANCELED;
 * -EIDRM, -ESTALE the object was removed; -EOVERFLOW this receiver of a broadcast was overtaken, and slow=drop; -EBADF the
 * channel was not opened to receive; -EBADFD after fork.
 */
ssize_t tong_channel_receive(tong_channel *channel, void *buffer, size_t capacity, tong_message *ret_message,
                             int64_t timeout);

/* One message of a batch. */
typedef struct tong_batch {
    uint32_t size;    /* sizeof(tong_batch), the same in every element of the array */
    uint32_t flags;   /* received: TONG_MESSAGE_... */
    int64_t type;     /* both ways */
    void *data;       /* the caller's; only read when sending */
    uint64_t capacity;/* receiving: bytes at `data` */
    uint64_t length;  /* sending: bytes to send; receiving: bytes received */
} tong_batch;

/*
 * Sends `count` messages in as few system calls and wake-ups as the mechanism allows.  Returns how many were
 * sent, which is less than `count` only if an error or the timeout came after the first one; an error before
 * the first is returned itself, as from tong_channel_send().
 */
ssize_t tong_channel_send_batch(tong_channel *channel, const tong_batch *batch, size_t count, int64_t timeout);

/*
 * Waits for one message, then takes those that are already there, up to `count`.  Returns how many; an error
 * before the first is returned itself, as from tong_channel_receive().  It may end early.  A message too long for its element
 * ends the batch before it; what else ends it after the first message is told by the next receive.
 */
ssize_t tong_channel_receive_batch(tong_channel *channel, tong_batch *batch, size_t count, int64_t timeout);

/* A place in shared memory where a message lies or will lie: two spans, because a ring may wrap. */
typedef struct tong_token {
    uint32_t size;    /* sizeof(tong_token) */
    uint32_t parts;   /* spans in use: 0, 1 or 2 */
    struct {
        void *data;
        size_t size;
    } span[2];
    uint64_t private_word[4]; /* the library's */
} tong_token;

#define TONG_TOKEN_INIT { sizeof(tong_token), 0, { { NULL, 0 }, { NULL, 0 } }, { 0, 0, 0, 0 } }

/*
 * Zero copy, where memory is shared (shm:, mmap:, memfd:); -EOPNOTSUPP elsewhere.
 *
 * reserve  makes room for a message of up to `size` bytes; the caller writes into the spans.
 * commit   sends the first `used` bytes of them (used <= size), -EINVAL otherwise.
 * abort    gives the room back; nothing is sent.
 * peek     shows the next message where it lies and returns its length, without taking it.
 * release  takes it.
 *
 * Several tokens of one channel may be outstanding (each reserve follows the last, each peek shows the
 * message after the last one peeked); messages are sent in the order of reserve, however commits come.
 * A token belongs to the channel and thread that got it and becomes void when the channel is closed.  A channel
 * that has been cloned has none: reserve and peek return -EOPNOTSUPP.
 * With several receivers at most 64 messages are in hand at once: -ENOBUFS.
 * In a broadcast, a message that is peeked at with slow=skip, slow=drop or readonly=yes may be overwritten meanwhile: then
 * release returns -ESTALE, the token is gone, and nothing that was read there is to be believed.
 * A hostile sender may change a peeked message while it is looked at: use tong_channel_receive(), which
 * copies, for peers you do not trust.  Errors and blocking as for send and receive.
 */
int tong_channel_reserve(tong_channel *channel, size_t size, int64_t timeout, tong_token *ret);
int tong_channel_commit(tong_channel *channel, tong_token *token, size_t used, const tong_message *message);
int tong_channel_abort(tong_channel *channel, tong_token *token);
ssize_t tong_channel_peek(tong_channel *channel, int64_t timeout, tong_message *ret_message, tong_token *ret);
int tong_channel_release(tong_channel *channel, tong_token *token);

/*
 * Ends sending in order (half close): delivers what is still kept, then tells the receiver, who gets
 * -ENODATA after the last message.  The other direction goes on.  Later sends return -EPIPE.
 * Blocks until `timeout` while kept data or the mark of the end cannot be written.
 * -EOPNOTSUPP where a conduit has no end (msgq:, mq:, datagrams).
 */
int tong_channel_finish(tong_channel *channel, int64_t timeout);

/*
 * Waits until what went through this channel before is on the disk, so that it survives a power loss.  Of one opened to
 * send: every message that a send accepted before this call will be received, whole and in order, if it was not received
 * before; of what is sent later a beginning survives, which may be nothing.  Of one opened to receive: what was received
 * or released before this call does not come again.  What was not synced may: then it is flagged
 * TONG_MESSAGE_REDELIVERED, as is all that was waiting.
 * mmap: with durable=yes, and file:, whose receivers have nothing to sync and get 0.  -EOPNOTSUPP elsewhere.
 * tong_channel_finish() and tong_channel_close() sync a durable channel by themselves.
 * Blocks as long as the disk takes, whatever the timeouts; is not ended by a signal or tong_channel_cancel().  May run
 * beside calls in both directions.  -EIO and the other errors of fdatasync(2): what was sent is not safe.
 */
int tong_channel_sync(tong_channel *channel);

/*
 * Ends every blocking call on the channel, now and from now on, with -ECANCELED: what is there can still be
 * received and there is room that can still be used, but nothing waits any more.  Async-signal-safe, any
 * thread.  -EOPNOTSUPP if the channel was opened without TONG_CANCELLABLE and the kernel does its waiting.
 */
int tong_channel_cancel(tong_channel *channel);

/* Which messages tong_channel_receive() takes: the rule of msgrcv(2). */
enum {
    TONG_SELECT_FIRST = 0,  /* the oldest, whatever its type */
    TONG_SELECT_EQUAL = 1,  /* the oldest of exactly this type */
    TONG_SELECT_UP_TO = 2,  /* of the types up to this one, the oldest of the lowest */
    TONG_SELECT_EXCEPT = 3  /* the oldest of any other type */
};

/* From the next receive on, take only messages by this rule.  type > 0 except for FIRST.  -EOPNOTSUPP where
 * a conduit has no selection (all but msgq:). */
int tong_channel_select(tong_channel *channel, int rule, int64_t type);

/*
 * What an event loop polls: `ret` gets a descriptor and the events to wait for, level-triggered, for
 * direction TONG_RECEIVE or TONG_SEND.  Ready may be spurious (then a call with timeout 0 says -EAGAIN) but
 * never missed: a message already in this process's own buffer, and the end, count.  After ready, call
 * with timeout 0 until -EAGAIN or go back to polling at any time.  The descriptor belongs to the channel and
 * lives as long; do not read, write or close it.  Counts as a call in that direction: same thread.  A conduit costs its sender nothing while nobody asked.
 * -EOPNOTSUPP where the kernel has no readiness (msgq: without ?poll=).
 */
int tong_channel_pollfd(tong_channel *channel, uint32_t direction, struct pollfd *ret);

/*
 * A second handle on the same conduit for another thread; close both.  The handles take turns: sends do not
 * interleave, each message goes to one of the receivers.  Counts as a call in both directions: clone before another
 * thread is in a call on this channel, because a call that began on the only handle takes no turn.
 */
int tong_channel_clone(tong_channel *channel, tong_channel **ret);

/*
 * In a child after fork: takes the inherited channel over, with an identity of its own as a sender.  The
 * parent should then use another channel or another direction.  -EOPNOTSUPP where the place cannot be shared
 * (on shm: a place belongs to one process), and then only tong_channel_close() is left.
 */
int tong_channel_after_fork(tong_channel *channel);

/*
 * Prepares the channel for a program that this process is about to execute: clears close-on-exec on its
 * descriptors and writes the address under which that program opens it ("fd:5", "fd:5,6?frame=line") to
 * `ret_address` (ENAMETOOLONG if size is too small; 64 bytes always suffice).  Call it in the child, between
 * fork and exec.  -EOPNOTSUPP where a conduit is not made of inheritable descriptors.
 */
int tong_channel_inherit(tong_channel *channel, char *ret_address, size_t size);

/* The descriptor that carries `direction`, for dup2(2) onto 0 or 1; it stays the channel's.  -EOPNOTSUPP. */
int tong_channel_descriptor(tong_channel *channel, uint32_t direction);

/* Who is at the other end, as the kernel knows it (SO_PEERCRED, msqid_ds, the ring's participant table).
 * -EOPNOTSUPP where nobody knows; -ENOTCONN where nobody is there yet. */
int tong_channel_peer(tong_channel *channel, tong_identity *ret);

#define TONG_INFO_FRAMED UINT32_C(0x20)   /* messages carry tong's own header */
#define TONG_INFO_ENDLESS UINT32_C(0x40)  /* the conduit has no end of its own */
#define TONG_INFO_LINES UINT32_C(0x80)    /* each message is a line: none can have a newline in it */
#define TONG_INFO_BYTES UINT32_C(0x100)   /* plain bytes: where a message ends is not kept */

typedef struct tong_channel_info {
    uint32_t size;        /* sizeof(tong_channel_info) */
    uint32_t flags;       /* TONG_RECEIVE, TONG_SEND, TONG_CANCELLABLE, TONG_INFO_CREATED, TONG_INFO_... */
    uint64_t largest;     /* bytes of the largest message that can be sent */
    uint64_t capacity;    /* bytes the conduit holds before a sender waits; TONG_UNKNOWN */
    uint64_t depth;       /* bytes in it now; TONG_UNKNOWN */
    uint64_t messages;    /* messages in it now; TONG_UNKNOWN */
    uint64_t dropped;     /* messages that this end gave up because full=drop was asked */
    uint32_t identity;    /* TONG_IDENTITY_...: what messages, or else tong_channel_peer(), say of the sender */
    uint32_t reserved;
    const char *scheme;   /* "msgq"; static */
    const char *object;   /* the object in words, "msgq:1234 (key 0x4d2, id 7)"; valid until close.  Of udp: that is
                           * bound, the address that others open */
    uint64_t refused;     /* what came here and was passed over because it was no message of tong's (udp:) */
} tong_channel_info;

#define TONG_CHANNEL_INFO_INIT { sizeof(tong_channel_info), 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, 0 }

/* What the channel is and holds at this moment.  Does not block. */
int tong_channel_describe(tong_channel *channel, tong_channel_info *ret);

/*
 * Removes the object that `address` names: unlinks a FIFO, a socket's path, a file or a shared-memory
 * channel with all that belongs to it, or removes a queue.  Refuses what is not of that kind (-EEXIST) and
 * what has no name (-EOPNOTSUPP).  Those who have it open keep it, except System V queues, where they get
 * -EIDRM; who waits alone on a shm: or mmap: channel, or for more of a file:, gets -ESTALE, and so does who waits on
 * mq: with a timeout or cancellably.  -ENOENT, -EACCES, -EPERM.
 */
int tong_remove(const char *address);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
