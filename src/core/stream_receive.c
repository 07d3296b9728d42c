/* SPDX-License-Identifier: MIT */
/*
 * The receiving side of a stream.
 *
 * Small messages are read many at a time into the inbox and copied out one by one: far less than one system
 * call each.  For long ones two things keep the copies down to the kernel's own:
 *   - the rest of a message that has begun is read straight into the caller's buffer ("borrowed");
 *   - a message as long as the one before is expected, and the read is laid out so that its payload falls into
 *     the caller's buffer while header and surplus fall into the inbox, with a gap between them that a wrong
 *     guess fills by one copy.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "core/stream_parts.h"
#include "sys/sys.h"

#define SIPS 64             /* reads of one message each, before all that is there is asked for again */
#define SIP_BELOW 4         /* messages; what brings more is worth a read of all */
#define PREDICT_MIN 16384   /* below, copying out of the inbox is cheaper than a third span */

static int allocate(struct stream *stream)
{
    if (stream->inbox.data)
        return 0;
    stream->inbox.capacity = (stream->buffer + STREAM_OFFSET_MAX + STREAM_PAGE - 1) / STREAM_PAGE * STREAM_PAGE;
    stream->inbox.data = aligned_alloc(STREAM_PAGE, stream->inbox.capacity);
    stream->table = calloc(1, sizeof *stream->table);
    if (stream->inbox.data && stream->table)
        return 0;
    free(stream->inbox.data);
    free(stream->table);
    stream->inbox.data = NULL;
    stream->table = NULL;
    return fail(-ENOMEM, "%s: out of memory for a buffer of %zu bytes", stream->base.object, stream->buffer);
}

/* Free space behind the tail, by moving what is there to the front and, for long lines, by growing. */
int stream_make_space(struct stream *stream, size_t most)
{
    struct inbox *inbox = &stream->inbox;
    if (inbox->tail < inbox->capacity)
        return 0;
    if (inbox->head > 0) {
        memmove(inbox->data, inbox->data + inbox->head, available(inbox));
        inbox->tail -= inbox->head;
        inbox->head = 0;
        return 0;
    }
    size_t capacity = 2 * inbox->capacity < most ? 2 * inbox->capacity : most;
    uint8_t *data = realloc(inbox->data, capacity);
    if (!data)
        return fail(-ENOMEM, "%s: out of memory for a message of more than %zu bytes", stream->base.object, inbox->capacity);
    inbox->data = data;
    inbox->capacity = capacity;
    return 0;
}

/* The end of file: orderly, or did somebody die?  Less than a header, from nobody who is known, was never a frame. */
static void note_end(struct stream *stream)
{
    bool packets = stream->frame == FRAME_PACKET;
    bool died = packets && (stream->must_end || frame_any_open(stream->table));
    stream->ended = died ? -ECONNRESET : packets && available(&stream->inbox) ? -EBADMSG : -ENODATA;
}

int stream_say_ended(const struct stream *stream)
{
    switch (stream->ended) {
    case -ENODATA:
        return fail_static(-ENODATA, "the end: the other side has finished");
    case -EBADMSG:
        return fail(-EBADMSG, "%s: what arrived is not a message of tong's: open with ?frame=line or ?frame=none",
                    stream->base.object);
    default:
        return fail(stream->ended, "%s: the other side died, or closed without finishing", stream->base.object);
    }
}

/* No framing is needed to know that this is not the end. */
static int note_vanished(struct stream *stream)
{
    stream->ended = -ECONNRESET;
    return fail(-ECONNRESET, "%s: the other machine has vanished: it does not answer any more", stream->base.object);
}

ssize_t stream_read(struct stream *stream, const struct iovec *spans, int count, int64_t deadline)
{
    ssize_t r = port_read(&stream->in, spans, count, stream->base.cancel_fd, deadline);
    if (r == PORT_VANISHED)
        return note_vanished(stream);
    if (r == 0 || r == -ECONNRESET) {
        note_end(stream);
        return stream_say_ended(stream);
    }
    size_t asked = 0;
    for (int i = 0; i < count; i++)
        asked += spans[i].iov_len;
    stream->dry = r < (ssize_t)asked;
    stream->arrived += r > 0 ? (size_t)r : 0;
    return r;
}

/* A peer that sends without end what never becomes a message keeps nobody beyond its time. */
int stream_may_read_on(const struct stream *stream, int64_t deadline)
{
    return stream->arrived <= stream->largest + stream->inbox.capacity ? 0
                                                                       : wait_may_look_on(&stream->base.cancelled, deadline);
}

/* ---- frame=packet -------------------------------------------------------------------------------------- */

/* The caller's buffer goes back to the caller: what a message in the making has of it becomes our own. */
static int return_borrowed(struct stream *stream)
{
    struct frame_writer *writer = stream->borrower;
    stream->borrower = NULL;
    int r = writer ? frame_own(stream->table, writer) : 0;
    if (r < 0 && stream->current == writer) {
        stream->current = NULL;
        stream->complete = false;
    }
    return r;
}

static int deliver(struct stream *stream, struct message_in *in, const struct frame_writer *writer, int64_t type,
                   const uint8_t *data, size_t size)
{
    in->meta.type = type;
    in->meta.length = size;
    in->meta.lost = writer->lost;
    in->meta.flags = writer->lost ? TONG_MESSAGE_LOST_BEFORE : 0;
    in->meta.sender = stream->in.sender;
    if (size > in->capacity)
        return fail(-EMSGSIZE, "%s: the message has %zu bytes, the buffer %zu: it is kept, receive it with a larger one",
                    stream->base.object, size, in->capacity);
    if (size && data != in->data) {
        int r = return_borrowed(stream);
        if (r < 0)
            return r;
        memcpy(in->data, data, size);
    }
    return 0;
}

static ssize_t deliver_assembled(struct stream *stream, struct message_in *in)
{
    struct frame_writer *writer = stream->current;
    size_t size = writer->size;
    int r = deliver(stream, in, writer, writer->type, writer->data, size);
    if (r < 0)
        return r;
    /* an empty message may overtake one that is being made in the caller's buffer: that one is still borrowed */
    if (stream->borrower == writer)
        stream->borrower = NULL;
    stream->complete = writer->assembling = false;
    stream->current = NULL;
    stream->predicted = writer->pieces ? 0 : size;
    stream->steady = 0;
    writer->size = 0;
    writer->lost = 0;
    if (writer->borrowed) {
        writer->borrowed = false;
        writer->data = NULL;
        writer->capacity = 0;
    }
    return (ssize_t)size;
}

/* A message that lies whole in the inbox. */
static ssize_t deliver_at_once(struct stream *stream, const struct frame *frame, struct message_in *in)
{
    struct frame_writer *writer = frame_writer_of(stream->table, frame->writer);
    frame_message_begins(stream->table, writer, frame);
    int r = deliver(stream, in, writer, frame->type, stream->inbox.data + stream->inbox.head + FRAME_HEADER, frame->length);
    if (r < 0) {
        writer->next = frame->number; /* it will begin again */
        stream->table->lost += writer->lost;
        return r;
    }
    writer->lost = 0;
    stream->predicted = frame->length;
    consume(stream, FRAME_HEADER + frame->length);
    return (ssize_t)frame->length;
}

/* Takes the header off and prepares for its payload, which may have to be read first. */
static void begin_fragment(struct stream *stream, const struct frame *frame, struct message_in *in)
{
    struct frame_writer *writer = frame_writer_of(stream->table, frame->writer);
    consume(stream, FRAME_HEADER);
    stream->remaining = frame->length;
    stream->last_fragment = frame->flags & FRAME_LAST;
    if (frame->flags & FRAME_FIRST) {
        frame_message_begins(stream->table, writer, frame);
        writer->assembling = true;
        writer->pieces = !stream->last_fragment;
        if (!stream->borrower && writer->capacity < frame->length && in->capacity >= frame->length) {
            free(writer->data);
            writer->data = in->data;
            writer->capacity = in->capacity;
            writer->borrowed = true;
            stream->borrower = writer;
        }
    } else if (writer->assembling && frame->number + 1 != writer->next) {
        frame_drop(stream->table, writer);
    }
    stream->current = writer->assembling ? writer : NULL;
}

static void control(struct stream *stream, const struct frame *frame)
{
    struct frame_writer *writer = frame_writer_of(stream->table, frame->writer);
    consume(stream, FRAME_HEADER);
    if (writer->assembling)
        frame_drop(stream->table, writer);
    if (writer->known)
        stream->table->lost += (uint32_t)(frame->number - writer->next);
    writer->open = frame->flags & FRAME_BEGIN;
    writer->known = true;
    writer->next = frame->number;
    if (frame->flags & FRAME_END && stream->one_writer)
        stream->ended = -ENODATA;
}

static int next_header(struct stream *stream, struct message_in *in, ssize_t *ret)
{
    struct frame frame;
    if (available(&stream->inbox) < FRAME_HEADER)
        return MORE;
    int r = frame_decode(stream->inbox.data + stream->inbox.head, stream->largest, &frame);
    if (r < 0)
        return stream->ended = r;
    if (frame.flags & (FRAME_BEGIN | FRAME_END)) {
        control(stream, &frame);
    } else if (frame.flags == (FRAME_FIRST | FRAME_LAST) && available(&stream->inbox) >= FRAME_HEADER + frame.length) {
        *ret = deliver_at_once(stream, &frame, in);
        return 1;
    } else {
        begin_fragment(stream, &frame, in);
    }
    return 0;
}

static void fragment_done(struct stream *stream)
{
    if (stream->current && stream->last_fragment)
        stream->complete = true;
    else
        stream->current = NULL;
}

/* Moves payload from the inbox to the message in the making. */
static int take_payload(struct stream *stream)
{
    size_t part = available(&stream->inbox) < stream->remaining ? available(&stream->inbox) : stream->remaining;
    struct frame_writer *writer = stream->current;
    if (writer && part) {
        int r = frame_make_room(stream->table, writer, part, stream->largest);
        if (r < 0) {
            stream->current = NULL;
            return r;
        }
        memcpy(writer->data + writer->size, stream->inbox.data + stream->inbox.head, part);
        writer->size += part;
    }
    consume(stream, part);
    stream->remaining -= part;
    if (stream->remaining)
        return MORE;
    fragment_done(stream);
    return 0;
}

static ssize_t take_packet(struct stream *stream, struct message_in *in)
{
    for (;;) {
        if (stream->complete)
            return deliver_assembled(stream, in);
        if (stream->ended)
            return stream_say_ended(stream);
        int r;
        ssize_t size = 0;
        if (stream->remaining || stream->current)
            r = take_payload(stream);
        else
            r = next_header(stream, in, &size);
        if (r != 0)
            return r == 1 ? size : r;
    }
}

/* Reads the rest of a fragment straight to its message, with whatever follows into the inbox. */
static int read_payload(struct stream *stream, int64_t deadline)
{
    struct frame_writer *writer = stream->current;
    int r = frame_make_room(stream->table, writer, stream->remaining, stream->largest);
    if (r < 0) {
        stream->current = NULL;
        return r;
    }
    size_t offset = stream_offset(NULL);
    struct iovec spans[2] = {
        { writer->data + writer->size, stream->remaining },
        { stream->inbox.data + offset, stream->inbox.capacity - offset },
    };
    ssize_t size = stream_read(stream, spans, 2, deadline);
    if (size < 0)
        return (int)size;
    size_t part = (size_t)size < stream->remaining ? (size_t)size : stream->remaining;
    writer->size += part;
    stream->remaining -= part;
    stream->inbox.head = offset;
    stream->inbox.tail = offset + (size_t)size - part;
    consume(stream, 0);
    if (!stream->remaining)
        fragment_done(stream);
    return 0;
}

/*
 * Expects one message of the predicted length p: header to inbox[0..24), payload to the caller, the rest to
 * inbox[24+p..).  When the guess was wrong, copying the payload into the gap makes the inbox whole.
 */
static int read_predicted(struct stream *stream, struct message_in *in, int64_t deadline, ssize_t *ret)
{
    struct inbox *inbox = &stream->inbox;
    size_t p = stream->predicted;
    struct iovec spans[3] = {
        { inbox->data, FRAME_HEADER },
        { in->data, p },
        { inbox->data + FRAME_HEADER + p, inbox->capacity - FRAME_HEADER - p },
    };
    ssize_t size = stream_read(stream, spans, 3, deadline);
    if (size < 0)
        return (int)size;
    inbox->head = 0;
    inbox->tail = (size_t)size;
    struct frame frame;
    if ((size_t)size < FRAME_HEADER + p || frame_decode(inbox->data, stream->largest, &frame) < 0 ||
        frame.flags != (FRAME_FIRST | FRAME_LAST) || frame.length != p) {
        size_t there = (size_t)size > FRAME_HEADER ? (size_t)size - FRAME_HEADER : 0;
        memcpy(inbox->data + FRAME_HEADER, in->data, there < p ? there : p);
        return 0;
    }
    struct frame_writer *writer = frame_writer_of(stream->table, frame.writer);
    frame_message_begins(stream->table, writer, &frame);
    deliver(stream, in, writer, frame.type, in->data, p);
    writer->lost = 0;
    consume(stream, FRAME_HEADER + p);
    *ret = (ssize_t)p;
    return 1;
}

static int refill_packet(struct stream *stream, struct message_in *in, int64_t deadline, ssize_t *ret)
{
    struct inbox *inbox = &stream->inbox;
    size_t p = stream->predicted;
    if (stream->remaining && stream->current && available(inbox) == 0)
        return read_payload(stream, deadline);
    if (available(inbox) == 0 && !stream->remaining && !stream->borrower && p >= PREDICT_MIN && p <= in->capacity &&
        FRAME_HEADER + p < inbox->capacity)
        return read_predicted(stream, in, deadline, ret);
    int r = stream_make_space(stream, inbox->capacity);
    if (r < 0)
        return r;
    struct iovec span = { inbox->data + inbox->tail, inbox->capacity - inbox->tail };
    ssize_t size = stream_read(stream, &span, 1, deadline);
    if (size < 0)
        return (int)size;
    inbox->tail += (size_t)size;
    return 0;
}

static ssize_t receive_packet(struct stream *stream, struct message_in *in, int64_t deadline)
{
    ssize_t r;
    stream->arrived = 0;
    while ((r = take_packet(stream, in)) == MORE) {
        ssize_t size = 0;
        if ((r = stream_may_read_on(stream, deadline)) < 0)
            return r;
        int got = refill_packet(stream, in, deadline, &size);
        if (got == 1)
            return size;
        if (got < 0)
            return got;
    }
    return r;
}

/* ---- Readiness ------------------------------------------------------------------------------------------- */

/* Whether the next receive finds something without reading.  May say yes too often: a header alone is enough. */
static bool something_waits(const struct stream *stream)
{
    const struct inbox *inbox = &stream->inbox;
    if (stream->complete || stream->ended)
        return true;
    if (stream->frame == FRAME_LINE)
        return available(inbox) && (available(inbox) > stream->largest ||
                                    memchr(inbox->data + inbox->head, '\n', available(inbox)));
    if (stream->remaining) /* of a message that was dropped: what follows it was not looked at yet */
        return available(inbox);
    struct frame frame;
    return available(inbox) >= FRAME_HEADER &&
           (frame_decode(inbox->data + inbox->head, stream->largest, &frame) < 0 ||
            available(inbox) >= FRAME_HEADER + frame.length);
}

void stream_settle_ready(struct stream *stream)
{
    if (stream->ready.event_fd < 0)
        return;
    if (something_waits(stream))
        ready_raise(&stream->ready);
    else
        ready_lower(&stream->ready);
}

static ssize_t receive_long_way(struct stream *stream, struct message_in *in, int64_t deadline)
{
    ssize_t r = stream->frame == FRAME_NONE ? 0 : allocate(stream);
    if (r < 0)
        return r;
    switch (stream->frame) {
    case FRAME_PACKET:
        r = receive_packet(stream, in, deadline);
        return_borrowed(stream);
        break;
    case FRAME_LINE: r = stream_receive_line(stream, in, deadline); break;
    default: r = stream_receive_bytes(stream, in, deadline);
    }
    stream_settle_ready(stream);
    return r;
}

/* One bare read, waiting for ever or not at all, or MORE when that did not settle it. */
static ssize_t read_bare(struct stream *stream, void *data, size_t size, int64_t deadline)
{
    bool waits = deadline == DEADLINE_NEVER;
    ssize_t r = waits ? port_read_bare(&stream->in, data, size) : port_read_try(&stream->in, data, size);
    if (r > 0)
        return r;
    if (r == -EAGAIN && !waits)
        return wait_expired(deadline);
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught before anything moved");
    if (r < 0 && port_has_vanished((int)r))
        return note_vanished(stream);
    if (r == 0 && stream->in.kind == PORT_OTHER) { /* a terminal says it once */
        note_end(stream);
        return stream_say_ended(stream);
    }
    return MORE;
}

/* Whether one bare read is all that a receive needs. */
static inline bool one_read(const struct stream *stream, int64_t deadline)
{
    return deadline == DEADLINE_NOW ? port_can_try(&stream->in) : deadline == DEADLINE_NEVER && stream->base.cancel_fd < 0;
}

/*
 * How much to read.  Who takes all that is there again and again finds the stream empty again and again, and then every
 * message of a sender that sends one by one wakes a sleeper, begins a new page of the pipe, or a packet.  So when little
 * came at once, and all messages were of one length lately, the next ones are taken one a read, as a plain program would:
 * meanwhile others can gather behind them.
 */
static inline size_t portion(struct stream *stream, size_t room)
{
    size_t one = FRAME_HEADER + stream->predicted;
    if (!stream->sips || one > room)
        return room;
    stream->sips--;
    return one;
}

/* Whether the next read finds what a short one has left: not in a pipe of packets (O_DIRECT at its other end, which is not seen
 * here), and who knows in a device. */
static bool keeps_the_rest(const struct port *port)
{
    return port->kind == PORT_SOCKET || (port->kind != PORT_OTHER && !port->given);
}

static inline void note_portion(struct stream *stream, size_t asked, size_t got)
{
    size_t one = FRAME_HEADER + stream->predicted;
    stream->dry = got < asked;
    if (asked != one && got < SIP_BELOW * one && stream->steady >= SIPS && keeps_the_rest(&stream->in))
        stream->sips = SIPS;
}

/* A plain message is at most one bare system call and one copy. */
HOT static ssize_t receive_plain(struct stream *stream, struct message_in *in, int64_t deadline)
{
    struct inbox *inbox = &stream->inbox;
    struct frame_wire wire;
    if (!stream->table || stream->current || stream->remaining)
        return MORE;
    if (inbox->tail == 0 && stream->predicted < PREDICT_MIN && one_read(stream, deadline)) {
        size_t offset = stream_offset(in->data), asked = portion(stream, inbox->capacity - offset);
        ssize_t r = read_bare(stream, inbox->data + offset, asked, deadline);
        if (r < 0)
            return r;
        note_portion(stream, asked, (size_t)r);
        inbox->head = offset;
        inbox->tail = offset + (size_t)r;
    }
    if (available(inbox) < FRAME_HEADER)
        return MORE;
    memcpy(&wire, inbox->data + inbox->head, sizeof wire);
    if (!stream_next_is_plain(stream, in->capacity, &wire))
        return MORE;
    size_t size = le32toh(wire.length);
    stream->table->writers[0].next++;
    stream->table->writers[0].open = true;
    stream->steady = size == stream->predicted ? stream->steady + 1 : 0;
    stream->predicted = size;
    in->meta.type = (int64_t)le64toh((uint64_t)wire.type);
    in->meta.length = size;
    if (stream->in.sender.source != TONG_IDENTITY_NONE)
        in->meta.sender = stream->in.sender;
    if (size)
        memcpy(in->data, inbox->data + inbox->head + FRAME_HEADER, size);
    consume(stream, FRAME_HEADER + size);
    return (ssize_t)size;
}

/* As in stream_send(): what is plain takes the short way; what is not is left in the inbox for the long one. */
HOT ssize_t stream_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct stream *stream = (struct stream *)conduit;
    ssize_t r = MORE;
    if (stream->ended || stream->in.creds || stream->ready.event_fd >= 0)
        return receive_long_way(stream, in, deadline);
    if (stream->frame == FRAME_PACKET)
        r = receive_plain(stream, in, deadline);
    else if (stream->frame == FRAME_NONE && in->capacity && stream->in.sender.source == TONG_IDENTITY_NONE &&
             one_read(stream, deadline)) {
        in->meta.length = (uint64_t)(r = read_bare(stream, in->data, in->capacity, deadline));
        stream->dry = r < (ssize_t)in->capacity;
    }
    return r == MORE ? receive_long_way(stream, in, deadline) : r;
}

/* The next message, if it needs no reading; else MORE. */
ssize_t stream_take_next(struct stream *stream, struct message_in *in)
{
    if (stream->frame == FRAME_NONE || stream->ended || !something_waits(stream))
        return MORE;
    ssize_t r = stream->frame == FRAME_PACKET ? take_packet(stream, in) : stream_take_line(stream, in);
    return_borrowed(stream);
    return r;
}
