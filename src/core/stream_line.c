/* SPDX-License-Identifier: MIT */
/* Receiving lines (frame=line) and bytes (frame=none). */
#include <string.h>

#include "base/detail.h"
#include "core/stream_parts.h"

/* A line that is too long is dropped as far as it is there, and the rest of it when it comes. */
static ssize_t drop_line(struct stream *stream, size_t size, bool whole)
{
    bool said = stream->skipping;
    consume(stream, size);
    stream->scanned = 0;
    stream->skipping = !whole;
    return said ? 0 : fail(-EBADMSG, "%s: a line longer than %zu bytes was dropped: open with a larger ?size=",
                           stream->base.object, stream->largest);
}

static ssize_t give_line(struct stream *stream, struct message_in *in, size_t size, bool newline)
{
    in->meta.length = size;
    in->meta.sender = stream->in.sender;
    if (size > in->capacity)
        return fail(-EMSGSIZE, "%s: the line has %zu bytes, the buffer %zu: it is kept, receive it with a larger one",
                    stream->base.object, size, in->capacity);
    if (size)
        memcpy(in->data, stream->inbox.data + stream->inbox.head, size);
    consume(stream, size + newline);
    stream->scanned = 0;
    return (ssize_t)size;
}

ssize_t stream_take_line(struct stream *stream, struct message_in *in)
{
    struct inbox *inbox = &stream->inbox;
    for (;;) {
        uint8_t *start = inbox->data + inbox->head;
        uint8_t *newline = memchr(start + stream->scanned, '\n', available(inbox) - stream->scanned);
        size_t size = newline ? (size_t)(newline - start) : available(inbox);
        if (stream->skipping || size > stream->largest) {
            ssize_t r = drop_line(stream, size + (newline != NULL), newline != NULL);
            if (r < 0)
                return r;
        } else if (newline || (stream->ended && size)) {
            return give_line(stream, in, size, newline != NULL);
        } else {
            stream->scanned = size;
        }
        if (!newline)
            return stream->ended ? stream_say_ended(stream) : MORE;
    }
}

ssize_t stream_receive_line(struct stream *stream, struct message_in *in, int64_t deadline)
{
    ssize_t r;
    stream->arrived = 0;
    while ((r = stream_take_line(stream, in)) == MORE) {
        if ((r = stream_may_read_on(stream, deadline)) < 0 || (r = stream_make_space(stream, stream->largest + 1)) < 0)
            return r;
        struct inbox *inbox = &stream->inbox;
        struct iovec span = { inbox->data + inbox->tail, inbox->capacity - inbox->tail };
        r = stream_read(stream, &span, 1, deadline);
        if (r < 0 && !stream->ended)
            return r;
        inbox->tail += r > 0 ? (size_t)r : 0;
    }
    return r;
}

/* Bytes are bytes: whatever one read gives. */
ssize_t stream_receive_bytes(struct stream *stream, struct message_in *in, int64_t deadline)
{
    if (stream->ended)
        return stream_say_ended(stream);
    if (in->capacity == 0)
        return fail(-EMSGSIZE, "%s: frame=none needs a buffer of at least one byte", stream->base.object);
    struct iovec span = { in->data, in->capacity };
    ssize_t r = stream_read(stream, &span, 1, deadline);
    in->meta.length = r > 0 ? (uint64_t)r : 0;
    in->meta.sender = stream->in.sender;
    return r;
}
