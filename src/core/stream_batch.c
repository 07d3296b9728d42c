/* SPDX-License-Identifier: MIT */
/* Receiving many messages by one call. */
#include <string.h>

#include "base/clock.h"
#include "base/hot.h"
#include "core/stream_parts.h"

/* Those plain ones that lie in the inbox: how many. */
HOT static size_t take_plain(struct stream *stream, tong_batch *batch, size_t count)
{
    size_t taken = 0;
    struct frame_wire wire;
    if (stream->frame != FRAME_PACKET || !stream->table || stream->current || stream->remaining)
        return 0;
    for (; taken < count && available(&stream->inbox) >= FRAME_HEADER; taken++) {
        tong_batch *item = &batch[taken];
        uint8_t *at = stream->inbox.data + stream->inbox.head;
        memcpy(&wire, at, sizeof wire);
        if (!stream_next_is_plain(stream, item->capacity, &wire))
            break;
        item->length = le32toh(wire.length);
        item->type = (int64_t)le64toh((uint64_t)wire.type);
        item->flags = 0;
        if (item->length)
            memcpy(item->data, at + FRAME_HEADER, item->length);
        stream->table->writers[0].next++;
        stream->inbox.head += FRAME_HEADER + item->length;
    }
    if (taken) {
        stream->table->writers[0].open = true;
        stream->predicted = batch[taken - 1].length;
    }
    consume(stream, 0);
    return taken;
}

/* Waits for the first; then what is there, read by as few calls as may be: none after one that left nothing behind. */
static ssize_t receive_some(struct stream *stream, tong_batch *batch, size_t count, int64_t deadline, size_t *received)
{
    stream->sips = 0;
    for (;;) {
        *received += take_plain(stream, batch + *received, count - *received);
        if (*received == count)
            return 0;
        tong_batch *item = &batch[*received];
        struct message_in in = { item->data, item->capacity, TONG_MESSAGE_INIT };
        bool told = stream->dry && !stream->in.creds && stream->in.kind != PORT_OTHER;
        ssize_t r = *received ? stream_take_next(stream, &in) : stream_receive(&stream->base, &in, deadline);
        if (r == MORE && !told)
            r = stream_receive(&stream->base, &in, DEADLINE_NOW);
        if (r < 0)
            return r;
        item->length = (uint64_t)r;
        item->type = in.meta.type;
        item->flags = in.meta.flags;
        ++*received;
    }
}

/* A message that was dropped in the middle of a batch is told by the next receive; the other errors come again. */
HOT ssize_t stream_receive_batch(struct conduit *conduit, tong_batch *batch, size_t count, int64_t deadline)
{
    struct stream *stream = (struct stream *)conduit;
    size_t received = 0;
    ssize_t r = receive_some(stream, batch, count, deadline, &received);
    stream_settle_ready(stream);
    if (received && !stream->ended && (r == -EBADMSG || r == -ENOMEM || r == -EINTR))
        conduit->deferred = (int)r;
    return received ? (ssize_t)received : r;
}
