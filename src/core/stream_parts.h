/* SPDX-License-Identifier: MIT */
/* stream_parts.h - what the receiving side of a stream is made of: shared by stream_receive.c, stream_line.c and stream_batch.c. */
#ifndef CORE_STREAM_PARTS_H
#define CORE_STREAM_PARTS_H

#include <errno.h>

#include "core/stream.h"

#define MORE (-EINPROGRESS) /* no result: nothing whole yet, read on */

static inline size_t available(const struct inbox *inbox)
{
    return inbox->tail - inbox->head;
}

static inline void consume(struct stream *stream, size_t size)
{
    struct inbox *inbox = &stream->inbox;
    inbox->head += size;
    if (inbox->head == inbox->tail)
        inbox->head = inbox->tail = 0;
}

/* The next message of the one writer that has written so far, whole in the inbox, in sequence, and not too long. */
static inline bool stream_next_is_plain(const struct stream *stream, size_t capacity, const struct frame_wire *wire)
{
    const struct frame_writer *writer = &stream->table->writers[0];
    return wire->magic == htole16(FRAME_MAGIC) && wire->version == FRAME_VERSION && wire->flags == (FRAME_FIRST | FRAME_LAST) &&
           le32toh(wire->writer) == writer->id && le32toh(wire->number) == writer->next && writer->known &&
           !writer->assembling && stream->table->lost == 0 && le32toh(wire->length) <= capacity &&
           le32toh(wire->length) <= stream->largest && le32toh(wire->length) <= available(&stream->inbox) - FRAME_HEADER;
}

/* Space behind the tail of the inbox, which may grow to `most` bytes for that. */
int stream_make_space(struct stream *stream, size_t most);

/* One read, waiting until the deadline: at least a byte, or an error, of which the end is one. */
ssize_t stream_read(struct stream *stream, const struct iovec *spans, int count, int64_t deadline);

/* What every receive says from now on. */
int stream_say_ended(const struct stream *stream);

/* 0, or an error when a peer that sends what never becomes a message has had its time. */
int stream_may_read_on(const struct stream *stream, int64_t deadline);

/* The next message, if it needs no reading; else MORE. */
ssize_t stream_take_next(struct stream *stream, struct message_in *in);
ssize_t stream_take_line(struct stream *stream, struct message_in *in);

ssize_t stream_receive_line(struct stream *stream, struct message_in *in, int64_t deadline);
ssize_t stream_receive_bytes(struct stream *stream, struct message_in *in, int64_t deadline);

#endif
