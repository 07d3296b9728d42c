/* SPDX-License-Identifier: MIT */
/*
 * frame.h - messages in a stream of bytes, also when several writers share the stream.
 *
 * Every message is one or more fragments: a header of 24 bytes and its part of the payload.  On a pipe, which
 * several may write to, a fragment is at most PIPE_BUF bytes, because only such writes never interleave
 * (pipe(7); several go by one write where that is known not to be cut within one, pipe_cuts.h); the reader puts
 * the fragments of each writer together again.  On a stream that has one writer a message is one fragment of any
 * length.
 *
 *     offset  0 magic "to"   2 version 1   3 flags   4 length of this payload   8 writer
 *            12 message number of this writer       16 type (64 bits)          24 payload     little-endian
 *
 * Nothing that arrives is trusted: bounds are checked before anything is believed, what is assembled at once is
 * bounded by FRAME_WRITERS messages of at most `largest` bytes, and what a dead writer left unfinished is
 * dropped when its place is needed or the stream ends.
 */
#ifndef CORE_FRAME_H
#define CORE_FRAME_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FRAME_HEADER 24
#define FRAME_WRITERS 256

enum {
    FRAME_FIRST = 1, /* a message begins with this fragment */
    FRAME_LAST = 2,  /* and ends with this one */
    FRAME_BEGIN = 4, /* no message: a writer announces itself */
    FRAME_END = 8    /* no message: a writer has finished */
};

struct frame {
    uint8_t flags;
    uint32_t length;  /* payload bytes that follow */
    uint32_t writer;  /* chosen at random by each writer */
    uint32_t number;  /* of the message, counted by its writer; gaps are losses */
    int64_t type;
};

/* The header as it lies in the stream: no holes, little-endian. */
struct frame_wire {
    uint16_t magic;
    uint8_t version, flags;
    uint32_t length, writer, number;
    int64_t type;
};

_Static_assert(sizeof(struct frame_wire) == FRAME_HEADER, "the header has no holes");

#define FRAME_MAGIC 0x6f74 /* "to" */
#define FRAME_VERSION 1

static inline void frame_encode(const struct frame *frame, uint8_t to[FRAME_HEADER])
{
    struct frame_wire wire = { htole16(FRAME_MAGIC), FRAME_VERSION, frame->flags, htole32(frame->length),
                               htole32(frame->writer), htole32(frame->number), (int64_t)htole64((uint64_t)frame->type) };
    memcpy(to, &wire, sizeof wire);
}

/* What a header says, unjudged; false if it is none, or of another version. */
static inline bool frame_read(const uint8_t from[FRAME_HEADER], struct frame *ret)
{
    struct frame_wire wire;
    memcpy(&wire, from, sizeof wire);
    *ret = (struct frame){ wire.flags, le32toh(wire.length), le32toh(wire.writer), le32toh(wire.number),
                           (int64_t)le64toh((uint64_t)wire.type) };
    return le16toh(wire.magic) == FRAME_MAGIC && wire.version == FRAME_VERSION;
}

/* -EBADMSG: not a header, or it promises more than `largest`. */
int frame_decode(const uint8_t from[FRAME_HEADER], size_t largest, struct frame *ret);

/* One writer as the reader knows it, and its message in the making. */
struct frame_writer {
    uint32_t id;
    uint32_t next;      /* number of the message that should come next */
    bool known;         /* `next` holds */
    bool open;          /* it has begun and not ended */
    bool assembling;    /* between FIRST and LAST */
    bool pieces;        /* its message comes in several fragments */
    bool borrowed;      /* `data` is the receiver's own buffer */
    int64_t type;
    uint64_t lost;      /* messages missing before the one that is being made */
    uint64_t touched;   /* for choosing whom to forget */
    uint8_t *data;
    size_t size, capacity;
};

struct frame_table {
    uint64_t lost;        /* losses that no later message of the same writer will report */
    uint64_t clock;
    unsigned count;
    struct frame_writer writers[FRAME_WRITERS];
};

/* The writer `id`, made if it is new; the one that was silent longest makes room.  Never NULL. */
struct frame_writer *frame_writer_of(struct frame_table *table, uint32_t id);

/* Notes that message `number` begins; drops what was unfinished.  Fills in lost. */
void frame_message_begins(struct frame_table *table, struct frame_writer *writer, const struct frame *frame);

/* Room for `more` bytes behind what is there.  -EBADMSG above `largest`, -ENOMEM; the message is then dropped. */
int frame_make_room(struct frame_table *table, struct frame_writer *writer, size_t more, size_t largest);

/* Turns a borrowed buffer into one of our own.  -ENOMEM as above. */
int frame_own(struct frame_table *table, struct frame_writer *writer);

/* Forgets the message in the making and counts it as lost. */
void frame_drop(struct frame_table *table, struct frame_writer *writer);

/* Whether some writer has begun and not ended: at the end of the stream it must have died. */
bool frame_any_open(const struct frame_table *table);

void frame_table_free(struct frame_table *table);

#endif
