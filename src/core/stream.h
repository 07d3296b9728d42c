/* SPDX-License-Identifier: MIT */
/*
 * stream.h - messages over byte streams: what pipe:, fd:, fifo: and stream sockets have in common.
 *
 *     send     message -> fragments -> port.out        what a full stream did not take is kept and goes first next time
 *     receive  port.in -> inbox -> message             a long message goes straight into the receiver's buffer
 *
 * With frame=packet (frame.h) messages keep their boundaries, type and number; with frame=line a message is a
 * line; with frame=none bytes are bytes.
 *
 * The end.  A sender that ends in order says so with an END header.  When the stream ends without one from
 * every writer that had begun, somebody died: -ECONNRESET instead of -ENODATA.
 */
#ifndef CORE_STREAM_H
#define CORE_STREAM_H

#include "core/frame.h"
#include "core/mechanism.h"
#include "core/port.h"
#include "core/wait.h"

/* Bytes that were read and not yet consumed: data[head..tail) of `capacity`. */
struct inbox {
    uint8_t *data;
    size_t head, tail, capacity;
};

/* A message on its way: which header and payload bytes have gone.  Also what is kept of it. */
struct outgoing {
    uint8_t header[FRAME_HEADER];
    size_t header_size;  /* 0 when nothing is under way in this fragment */
    size_t header_gone;
    const uint8_t *data; /* the caller's, or `kept` */
    size_t size;         /* of the message, with the newline of frame=line */
    size_t gone;         /* payload bytes that have gone */
    size_t fragment_end; /* payload offset at which the fragment under way ends */
    uint32_t number;
    int64_t type;
    bool framed;         /* it still has to be cut into fragments */
    uint8_t *kept;       /* our copy of `data`, once the caller has its own back */
};

/* Up to this a message is copied behind its header: one span is cheaper for the kernel than two. */
#define STREAM_COPY_MAX 4096

struct stream {
    struct conduit base;
    struct port in, out;
    int frame;              /* FRAME_PACKET, FRAME_LINE, FRAME_NONE */
    size_t largest;         /* bytes of a message */
    size_t buffer;          /* bytes to read ahead */

    /* The receiving side. */
    struct inbox inbox;
    struct frame_table *table;      /* frame=packet; made at the first read */
    struct frame_writer *current;   /* whose fragment is being read, or whose message is complete */
    struct frame_writer *borrower;  /* whose message lies in the caller's buffer, during a receive only */
    size_t remaining;               /* payload bytes of that fragment still to come */
    bool last_fragment;
    bool complete;                  /* current's message waits to be taken */
    size_t predicted;               /* length of the last message: the next is likely as long */
    bool dry;                       /* the last read got less than it asked for: all there was */
    unsigned steady;                /* so many messages were as long as that */
    unsigned sips;                  /* so many reads are to ask for one message only */
    size_t scanned;                 /* frame=line: bytes from inbox.head known to hold no newline */
    bool skipping;                  /* frame=line: inside a line that was too long */
    size_t arrived;                 /* bytes read by this receive */
    bool one_writer;                /* an END ends the stream (sockets); else the end of file does */
    bool must_end;                  /* the end of file without any END means death, also if nothing came */
    int ended;                      /* 0, or the error that every receive now gives */
    struct ready ready;

    /* The sending side. */
    struct outgoing out_message;
    bool kept;                      /* out_message is not all gone */
    bool torn;                      /* and its rest could not be kept */
    bool announced;                 /* this process has sent something that an END should close */
    size_t fragment_max;            /* header and payload of a fragment that never interleaves; SIZE_MAX: any */
    bool lock_large;                /* unframed writes above PIPE_BUF under a lock on `out` */
    bool holds_turn;                /* it is held for a rest that is kept */
    uint32_t writer, number;
    unsigned generation;            /* of the process that chose `writer` */
    char *heir_options;             /* "?frame=line", "" */

    void (*closed)(struct stream *, bool forked);  /* the mechanism's part of close, with the ports still open */
    void *owner;                                   /* for `closed` */

    uint8_t *packing; /* page-aligned; made at the first batch, or message that is cut */
    uint8_t *scratch; /* page-aligned; header and payload of a small message side by side, see stream_offset() */
};

/* Makes a stream conduit over two ports, either of which may be PORT_CLOSED; takes them over only on success.
 * The request's address must have the options of STREAM_OPTIONS. */
int stream_new(const struct open_request *request, const struct channel_facet *facet, const struct port *in,
               const struct port *out, const char *object, struct stream **ret);

/* Sends BEGIN, so that the reader knows this writer from now on. */
int stream_announce(struct stream *stream, int64_t deadline);

#define STREAM_OPTIONS                                                                     \
    { OPTION_FRAME, FRAME_PACKET, 0, 0, 0 },                                               \
    { OPTION_SIZE, STREAM_SIZE_DEFAULT, 1, STREAM_SIZE_MAX, 0 },                           \
    { OPTION_BUFFER, 64 << 10, 256, 16 << 20, 0 },                                         \
    { OPTION_FULL, FULL_WAIT, 0, 0, 0 }

/*
 * Where in a page-aligned buffer a header should begin whose payload is copied to or from `other`.
 *
 * A copy whose destination lies less than 64 bytes above its source, modulo 4096, runs into its own stores: the
 * processor compares only the low 12 bits of addresses ("4K aliasing"), and 4 KiB then take 2 to 25 times as
 * long.  So payload and `other` are alike modulo 64; and since the kernel's side of a write or read of a pipe
 * mostly begins a page, our side begins 64 to 127 bytes into one.
 */
static inline size_t stream_offset(const void *other)
{
    return 64 + (((uintptr_t)other - FRAME_HEADER) & 63);
}

#define STREAM_OFFSET_MAX 128
#define STREAM_PAGE 4096

/* Of a mechanism that carries streams: the most that its option size allows a message. */
uint64_t stream_limit_largest(const char *source);

#define STREAM_SIZE_DEFAULT (16 << 20)
#define STREAM_SIZE_MAX (1 << 30)

/* The facet's functions; a mechanism lists those that hold for it. */
int stream_send(struct conduit *, const struct message_out *, int64_t deadline);
ssize_t stream_send_batch(struct conduit *, const tong_batch *, size_t count, int64_t deadline);
ssize_t stream_receive(struct conduit *, struct message_in *, int64_t deadline);
ssize_t stream_receive_batch(struct conduit *, tong_batch *, size_t count, int64_t deadline);
int stream_finish(struct conduit *, int64_t deadline);
int stream_pollfd(struct conduit *, uint32_t direction, struct pollfd *);
int stream_after_fork(struct conduit *);
int stream_descriptor(struct conduit *, uint32_t direction);
int stream_heir_options(struct conduit *, char *ret, size_t size);
int stream_peer(struct conduit *, tong_identity *);
int stream_describe(struct conduit *, tong_channel_info *);
int stream_close(struct conduit *, bool forked);

/* Raises or lowers the readiness of the receiving side as the inbox demands, if anybody asked for it. */
void stream_settle_ready(struct stream *stream);

#endif
