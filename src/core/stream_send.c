/* SPDX-License-Identifier: MIT */
/* The sending side of a stream: fragments out, and what a full stream did not take kept. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "core/patience.h"
#include "core/pipe_cuts.h"
#include "core/process.h"
#include "core/stream.h"
#include "sys/sys.h"

/* Bytes of messages that go by one call: 1024 of the smallest, and more than most pipes and buffers of sockets hold. */
#define PACK_SIZE (128 << 10)

/* Something of it is in the stream and cannot be taken back. */
static bool has_moved(const struct outgoing *message)
{
    return message->header_gone || message->gone;
}

static bool all_gone(const struct outgoing *message)
{
    return message->header_gone == message->header_size && message->gone == message->size;
}

/* The next fragment of a framed message, header first. */
static void next_fragment(struct stream *stream, struct outgoing *message)
{
    size_t left = message->size - message->gone;
    size_t part = stream->fragment_max - FRAME_HEADER < left ? stream->fragment_max - FRAME_HEADER : left;
    struct frame frame = {
        (uint8_t)((message->gone == 0 ? FRAME_FIRST : 0) | (part == left ? FRAME_LAST : 0)),
        (uint32_t)part, stream->writer, message->number, message->type,
    };
    frame_encode(&frame, message->header);
    message->header_size = FRAME_HEADER;
    message->header_gone = 0;
    message->fragment_end = message->gone + part;
}

static void advance(struct outgoing *message, size_t written)
{
    size_t header = message->header_size - message->header_gone;
    if (header > written)
        header = written;
    message->header_gone += header;
    message->gone += written - header;
}

/* Writes what is left of the fragment under way, once. */
static int write_fragment(struct stream *stream, struct outgoing *message, int64_t deadline)
{
    uint8_t *copy = stream->scratch + stream_offset(message->data + message->gone);
    size_t header = message->header_size - message->header_gone, payload = message->fragment_end - message->gone;
    struct iovec spans[2] = {
        { message->header + message->header_gone, header },
        { (void *)((uintptr_t)message->data + message->gone), payload },
    };
    int first = header == 0, count = (header != 0) + (payload != 0);
    if (count == 2 && payload <= STREAM_COPY_MAX) {
        memcpy(copy, spans[0].iov_base, header);
        memcpy(copy + header, spans[1].iov_base, payload);
        spans[0] = (struct iovec){ copy, header + payload };
        count = 1;
    }
    ssize_t r = port_write(&stream->out, spans + first, count, stream->base.cancel_fd, deadline);
    if (r < 0)
        return (int)r;
    advance(message, (size_t)r);
    return 0;
}

/* Pushes until all is gone.  Stops with an error at any point; the message remembers how far it is. */
static int push(struct stream *stream, struct outgoing *message, int64_t deadline)
{
    for (;;) {
        bool between = message->header_gone == message->header_size && message->gone == message->fragment_end;
        if (between && message->framed && (message->header_size == 0 || message->gone < message->size))
            next_fragment(stream, message);
        if (all_gone(message))
            return 0;
        int r = write_fragment(stream, message, deadline);
        if (r < 0)
            return r;
    }
}

/*
 * Part of the message is in the stream and cannot be taken back: copy the rest, so that the caller may go on.
 * Without memory for that nothing may follow, or the receiver would take it for the rest.
 */
static int keep(struct stream *stream, struct outgoing *message)
{
    if (stream->kept)
        return 0;
    uint8_t *copy = malloc(message->size ? message->size : 1);
    stream->torn = !copy;
    stream->kept = true;
    if (!copy)
        return fail(-ENOMEM, "%s: out of memory for the rest of a message of %zu bytes", stream->base.object, message->size);
    memcpy(copy, message->data, message->size);
    message->data = message->kept = copy;
    return 0;
}

/* Finishes what has begun: only a wait that ran out, or was cancelled, leaves a rest. */
static int push_or_keep(struct stream *stream, int64_t deadline)
{
    struct outgoing *message = &stream->out_message;
    int r;
    do
        r = push(stream, message, deadline);
    while (r == -EINTR && has_moved(message));
    if (r < 0 && (!has_moved(message) || r == -EPIPE))
        return r;
    if (r < 0 && (r = keep(stream, message)) < 0)
        return r;
    stream->announced = true;
    return 0;
}

/* Messages that were dropped here leave a gap in the numbers, by which the receiver counts them. */
static uint32_t next_number(struct stream *stream)
{
    return stream->number + (uint32_t)atomic_load_explicit(&stream->base.dropped, memory_order_relaxed);
}

static int start(struct stream *stream, const void *data, size_t size, int64_t type, int64_t deadline)
{
    bool framed = stream->frame == FRAME_PACKET;
    stream->out_message = (struct outgoing){ .data = data, .size = size, .type = type, .framed = framed,
                                             .number = next_number(stream), .fragment_end = framed ? 0 : size };
    int r = push_or_keep(stream, deadline);
    stream->number += r == 0 || has_moved(&stream->out_message);
    return r;
}

/*
 * A pipe interleaves writes above PIPE_BUF.  Fragments never are; unframed messages take turns under a lock on
 * the writer's own description, which every tong sender asks for and no foreign program knows of.  A short line
 * asks too, or it could fall into the middle of another's long one; bytes without lines have no middle.
 */
static int lock_large(struct stream *stream, int64_t deadline, short type)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET };
    bool bare = type == F_UNLCK || (deadline == DEADLINE_NEVER && stream->base.cancel_fd < 0);
    int r, paused = 0;
    struct patience patience = PATIENCE_INIT;
    do
        r = sys_fcntl_lock(stream->out.fd, bare ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    while ((r == -EAGAIN || r == -EACCES) &&
           (paused = patience_pause(&patience, stream->base.cancel_fd, deadline)) == 0);
    patience_end(&patience);
    if (paused < 0)
        return paused;
    return r < 0 ? fail_call(r, "%s: the lock for messages above %d bytes", stream->base.object, PIPE_BUF) : 0;
}

static int send_bytes(struct stream *stream, const void *data, size_t size, int64_t type, int64_t deadline)
{
    bool locked = stream->lock_large && (stream->frame == FRAME_LINE || (stream->frame == FRAME_NONE && size > PIPE_BUF));
    int r = locked ? lock_large(stream, deadline, F_WRLCK) : 0;
    if (r < 0)
        return r;
    r = start(stream, data, size, type, deadline);
    stream->holds_turn = locked && stream->kept;
    if (locked && !stream->kept)
        lock_large(stream, DEADLINE_NEVER, F_UNLCK);
    return r;
}

static void forget(struct stream *stream)
{
    free(stream->out_message.kept);
    stream->out_message.kept = NULL;
    stream->kept = false;
    if (stream->holds_turn)
        lock_large(stream, DEADLINE_NEVER, F_UNLCK);
    stream->holds_turn = false;
}

/* Sends what an earlier call had to leave.  It stays kept when it does not go, but for a peer that is gone. */
static int flush(struct stream *stream, int64_t deadline)
{
    if (!stream->kept)
        return 0;
    if (stream->torn)
        return fail(-EPIPE, "%s: the rest of a message was lost for want of memory, so nothing can follow it",
                    stream->base.object);
    int r = push(stream, &stream->out_message, deadline);
    if (r == 0 || r == -EPIPE)
        forget(stream);
    return r;
}

/* frame=line: the message and its newline, in one piece. */
static int send_line(struct stream *stream, const struct message_out *out, int64_t deadline)
{
    if (out->size && memchr(out->data, '\n', out->size))
        return fail(-EINVAL, "%s: the message holds a newline, which frame=line cannot carry: use frame=packet", stream->base.object);
    uint8_t *line = malloc(out->size + 1);
    if (!line)
        return fail(-ENOMEM, "%s: out of memory for a line of %zu bytes", stream->base.object, out->size);
    if (out->size)
        memcpy(line, out->data, out->size);
    line[out->size] = '\n';
    int r = send_bytes(stream, line, out->size + 1, 0, deadline);
    free(line);
    return r;
}

static int refuse_large(const struct stream *stream, size_t size)
{
    return fail(-EMSGSIZE, "%s: a message of %zu bytes; the largest is %zu (option size, at most %d)",
                stream->base.object, size, stream->largest, STREAM_SIZE_MAX);
}

/* In a child after fork an inherited stream gets a writer id of its own before its first word. */
static int prepare(struct stream *stream, int64_t deadline)
{
    if (__builtin_expect(stream->generation != fork_generation, 0)) {
        int r = stream_after_fork(&stream->base);
        if (r < 0)
            return r;
    }
    return flush(stream, deadline);
}

/* A short write of a small message, whose header, if it has one, lies in `scratch`: the rest goes the long way. */
static int send_rest(struct stream *stream, const struct message_out *out, size_t header, size_t gone, int64_t deadline)
{
    struct outgoing *message = &stream->out_message;
    *message = (struct outgoing){ .data = out->data, .size = out->size, .header_size = header, .fragment_end = out->size };
    memcpy(message->header, stream->scratch + stream_offset(out->data), header);
    advance(message, gone);
    stream->number++;
    return push_or_keep(stream, deadline);
}

/* Packed messages are whole frames, so what a full stream leaves of them is bytes that go first next time. */
static ssize_t send_packed(struct stream *stream, const uint8_t *bytes, size_t size, size_t packed, int64_t deadline)
{
    stream->out_message = (struct outgoing){ .data = bytes, .size = size, .fragment_end = size };
    int r = push_or_keep(stream, deadline);
    stream->number += r == 0 || has_moved(&stream->out_message) ? (uint32_t)packed : 0;
    if (r < 0)
        return r;
    return (ssize_t)packed;
}

/* A page of a pipe, and what it holds beside two headers. */
#define CUT_PAGE 4096
#define CUT_PAYLOAD (CUT_PAGE - 2 * FRAME_HEADER)

/* Where batches are packed, and messages are cut for a pipe; NULL: no memory. */
static uint8_t *packing(struct stream *stream)
{
    if (!stream->packing)
        stream->packing = aligned_alloc(STREAM_PAGE, PACK_SIZE + STREAM_PAGE);
    return stream->packing ? stream->packing + stream_offset(NULL) : NULL;
}

/*
 * A message above PIPE_BUF in one write.  Linux fills whole pages of a pipe under its lock and lets others in only where
 * the pipe is full (pipe_cuts.h): after `first` bytes and whole pages behind them, or after whole pages.  So a fragment ends
 * at each of these places, and whatever others write falls between fragments.
 */
static size_t cut(struct stream *stream, const struct message_out *out, uint8_t *to)
{
    size_t first = out->size % CUT_PAYLOAD + FRAME_HEADER, used = 0, gone = 0;
    bool last = false;
    for (bool odd = false; !last; odd = !odd) {
        size_t part = (odd ? CUT_PAGE - first : first) - FRAME_HEADER;
        last = gone + part == out->size && !odd;
        struct frame frame = { (uint8_t)((used == 0 ? FRAME_FIRST : 0) | (last ? FRAME_LAST : 0)), (uint32_t)part,
                               stream->writer, next_number(stream), out->type };
        frame_encode(&frame, to + used);
        memcpy(to + used + FRAME_HEADER, (const uint8_t *)out->data + gone, part);
        used += FRAME_HEADER + part;
        gone += part;
    }
    return used;
}

/* Room for it, and worth it: two writes are a wake-up more than one. */
static bool may_cut(const struct stream *stream, size_t size)
{
    return stream->frame == FRAME_PACKET && stream->fragment_max == PIPE_BUF && size > PIPE_BUF - FRAME_HEADER &&
           size / CUT_PAYLOAD < PACK_SIZE / CUT_PAGE - 1 && pipe_cuts_between_pages();
}

static int send_long_way(struct stream *stream, const struct message_out *out, int64_t deadline)
{
    if (out->size > stream->largest)
        return refuse_large(stream, out->size);
    if (out->type && stream->frame != FRAME_PACKET)
        return conduit_refuse_type(&stream->base, out->type);
    int r = prepare(stream, deadline);
    if (r < 0)
        return r;
    if (stream->frame == FRAME_LINE)
        return send_line(stream, out, deadline);
    uint8_t *bytes = may_cut(stream, out->size) ? packing(stream) : NULL;
    if (bytes)
        return (r = (int)send_packed(stream, bytes, cut(stream, out, bytes), 1, deadline)) < 0 ? r : 0;
    return send_bytes(stream, out->data, out->size, out->type, deadline);
}

/* One bare system call, waiting for ever or not at all. */
static inline ssize_t write_plain(struct stream *stream, const void *data, size_t size, int64_t deadline)
{
    return deadline == DEADLINE_NEVER ? port_write_bare(&stream->out, data, size) : port_write_try(&stream->out, data, size);
}

/* A framed message of up to STREAM_COPY_MAX bytes: one copy and one bare system call. */
HOT static ssize_t send_copied(struct stream *stream, const struct message_out *out, int64_t deadline)
{
    uint8_t *bytes = stream->scratch + stream_offset(out->data);
    size_t size = FRAME_HEADER + out->size;
    frame_encode(&(struct frame){ FRAME_FIRST | FRAME_LAST, (uint32_t)out->size, stream->writer, next_number(stream), out->type },
                 bytes);
    if (out->size)
        memcpy(bytes + FRAME_HEADER, out->data, out->size);
    ssize_t r = write_plain(stream, bytes, size, deadline);
    if (r < 0)
        return r;
    stream->announced = true;
    if ((size_t)r < size)
        return send_rest(stream, out, FRAME_HEADER, (size_t)r, deadline);
    stream->number++;
    return 0;
}

/* The bare call moved nothing: the long way knows what to do, but for a signal, which is the caller's. */
static int send_refused(struct stream *stream, const struct message_out *out, ssize_t r, int64_t deadline)
{
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught before anything moved");
    if (r == -EAGAIN && deadline == DEADLINE_NOW)
        return wait_expired(deadline);
    return send_long_way(stream, out, deadline);
}

/* Whether send_copied(), or for unframed bytes one bare write, is all that this message needs. */
static inline bool is_plain(const struct stream *stream, const struct message_out *out, int64_t deadline)
{
    size_t most = stream->frame == FRAME_PACKET ? STREAM_COPY_MAX : PIPE_BUF;
    bool one_call = deadline == DEADLINE_NOW ? port_can_try(&stream->out)
                                             : deadline == DEADLINE_NEVER && stream->base.cancel_fd < 0;
    return one_call && stream->frame != FRAME_LINE && !stream->kept &&
           stream->generation == fork_generation && out->size <= most && out->size <= stream->largest &&
           (stream->frame == FRAME_NONE ? !out->type : FRAME_HEADER + out->size <= stream->fragment_max);
}

/*
 * After a switch of processes hardly any of our code is in the caches, so every line that is not run counts: a
 * plain message costs half of what the long way takes.  What turns out not to be plain goes the long way.
 */
HOT int stream_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct stream *stream = (struct stream *)conduit;
    if (!is_plain(stream, out, deadline))
        return send_long_way(stream, out, deadline);
    if (stream->frame == FRAME_NONE) {
        ssize_t r = out->size ? write_plain(stream, out->data, out->size, deadline) : 0;
        if (r == (ssize_t)out->size)
            return 0;
        if (r > 0)
            return send_rest(stream, out, 0, (size_t)r, deadline);
        return send_refused(stream, out, r, deadline);
    }
    ssize_t r = send_copied(stream, out, deadline);
    return r < 0 ? send_refused(stream, out, r, deadline) : 0;
}

/* As many small messages as one write that never interleaves can hold; 0 if the first is not small. */
HOT static size_t pack(struct stream *stream, const tong_batch *batch, size_t count, uint8_t *to, size_t room, size_t *ret_size)
{
    size_t used = 0, packed = 0;
    struct frame frame = { FRAME_FIRST | FRAME_LAST, 0, stream->writer, next_number(stream), 0 };
    for (; packed < count && batch[packed].length <= stream->largest && used + FRAME_HEADER <= room &&
           batch[packed].length <= room - used - FRAME_HEADER; packed++, frame.number++) {
        frame.length = (uint32_t)batch[packed].length;
        frame.type = batch[packed].type;
        frame_encode(&frame, to + used);
        if (frame.length)
            memcpy(to + used + FRAME_HEADER, batch[packed].data, frame.length);
        used += FRAME_HEADER + frame.length;
    }
    *ret_size = used;
    return packed;
}

ssize_t stream_send_batch(struct conduit *conduit, const tong_batch *batch, size_t count, int64_t deadline)
{
    struct stream *stream = (struct stream *)conduit;
    size_t sent = 0, room = stream->fragment_max < PACK_SIZE ? stream->fragment_max : PACK_SIZE;
    uint8_t *bytes = packing(stream);
    ssize_t r = bytes ? prepare(stream, deadline) : fail(-ENOMEM, "%s: out of memory for a batch", conduit->object);
    while (r >= 0 && sent < count && !stream->kept) {
        size_t size, packed = 0;
        if (stream->frame == FRAME_PACKET)
            packed = pack(stream, batch + sent, count - sent, bytes, room, &size);
        struct message_out one = { batch[sent].data, batch[sent].length, batch[sent].type };
        r = packed > 1 ? send_packed(stream, bytes, size, packed, deadline) : stream_send(conduit, &one, deadline);
        if (r >= 0)
            sent += packed > 1 ? packed : 1;
    }
    return sent ? (ssize_t)sent : r;
}

static int send_control(struct stream *stream, uint8_t flag, int64_t deadline)
{
    struct frame frame = { flag, 0, stream->writer, next_number(stream), 0 };
    stream->out_message = (struct outgoing){ .header_size = FRAME_HEADER };
    frame_encode(&frame, stream->out_message.header);
    int r = push_or_keep(stream, deadline);
    return r == 0 && stream->kept ? wait_expired(deadline) : r;
}

int stream_announce(struct stream *stream, int64_t deadline)
{
    int r = stream->frame == FRAME_PACKET ? send_control(stream, FRAME_BEGIN, deadline) : 0;
    stream->announced = r == 0;
    return r;
}

/* The mark of the end, then the end of file where this direction has a descriptor of its own. */
int stream_finish(struct conduit *conduit, int64_t deadline)
{
    struct stream *stream = (struct stream *)conduit;
    int r = prepare(stream, deadline);
    if (r == 0 && stream->frame == FRAME_PACKET)
        r = send_control(stream, FRAME_END, deadline);
    if (r < 0)
        return r;
    if (stream->out.kind == PORT_SOCKET)
        sys_shutdown(stream->out.fd, SHUT_WR);
    else if (stream->out.fd != stream->in.fd)
        port_close(&stream->out);
    return 0;
}
