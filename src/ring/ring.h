/* SPDX-License-Identifier: MIT */
/*
 * ring.h - a lane: a ring of records in mapped memory, with one writer and one reader, without a lock, and without a
 * system call while both are awake.
 *
 * Positions are bytes since the beginning and never wrap (2^64 bytes do not pass); a byte lies at its position modulo
 * the capacity.  The memory is mapped twice in a row, so that whatever begins in the ring goes on behind its edge.  The
 * writer owns the tail, the reader the head; each believes the other's only after checking it.
 *
 * Claims.  Room that was reserved, and records that were peeked, may be given back in any order; the position moves over
 * the oldest that are settled.  Claims are kept in private memory, so a peer cannot touch them, and a process that dies
 * takes its claims with it: what it reserved was never published, what it peeked was never released.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/layout.h"
#include "ring/shared.h"
#include "tong/channel.h"

struct ring_log;

#define RING_RUN 256  /* records that are no messages, after which a look for the next one comes to an end */
#define RING_PASSED 1 /* it did; where it stands now, the next look goes on */

struct ring_claim {
    uint64_t start, end;
    uint64_t offset; /* writing: of the message, in words */
    uint64_t word;   /* writing: word 0 of what it became, stored when it is its turn */
    uint64_t number; /* reading: of the message behind it */
    bool settled;
};

/* A queue of claims, oldest first, in an array that grows: number n lies at item[n % size]. */
struct ring_claims {
    struct ring_claim *item;
    uint64_t size;        /* a power of two */
    uint64_t first, next; /* numbers in use: first <= n < next */
};

struct ring_writer {
    unsigned char *data;
    struct layout_place *own;
    const struct layout_cursor *reader;
    uint64_t capacity;
    uint64_t largest;  /* message */
    uint64_t tail;     /* published */
    uint64_t reserved; /* end of the last claim; tail when there is none */
    uint64_t head;     /* the reader's, as last believed; what lies a capacity behind it may be written */
    uint64_t number;   /* messages published or given up */
    struct ring_log *log; /* of a broadcast; else NULL */
    struct ring_claims claims;
};

struct ring_reader {
    const unsigned char *data; /* NULL: not open */
    struct layout_cursor *own;
    uint64_t capacity;
    uint64_t head;           /* released */
    uint64_t seen;           /* end of the last claim; head when there is none */
    uint64_t redelivered_to; /* records before this were handed out by a reader that is gone */
    uint64_t number;         /* messages before what it has not seen */
    struct ring_claims claims;
    const struct layout_place *log; /* of a broadcast: its sender's place; else NULL.  What follows is of one, too */
    bool lossy;              /* it may be overtaken: what was read counts if the floor has not passed it meanwhile */
    bool overtaken;          /* while it read; the channel clears it */
    uint8_t standing;        /* STANDS_... */
    uint8_t count;           /* of the cursor: the next to be written */
    uint64_t quiet_to;       /* records that begin before are not shown: it came after them */
    uint64_t missed;         /* messages that were overwritten before it saw them; the channel clears it */
    uint64_t caught;         /* where it went on when it was last overtaken */
    uint64_t passed;         /* records that were passed over, ever */
};

/* Whether a reader's number is that of where it stands, and if not, what the index there tells. */
enum { STANDS_WELL, STANDS_BEHIND, STANDS_NEW };

/* What lies next in the ring: a private copy of its head. */
struct ring_record {
    unsigned kind;   /* RECORD_MESSAGE, RECORD_END, RECORD_DIED or RECORD_LOST */
    bool redelivered;
    uint64_t length; /* of the message; of a mark, its number */
    int64_t type;
    uint64_t start, end;
    const unsigned char *data;
};

/*
 * Begin where the lane stands; `data` is it, mapped twice.  A writer goes on behind the last record that was published,
 * whatever its predecessor still had to do.  -EBADMSG: what lies there contradicts itself; -ENOMEM.
 */
int ring_writer_open(struct ring_writer *writer, struct layout_place *own, const struct layout_cursor *reader,
                     unsigned char *data, uint64_t capacity);
void ring_writer_close(struct ring_writer *writer);
int ring_reader_open(struct ring_reader *reader, struct layout_cursor *own, const struct layout_place *writer,
                     const unsigned char *data, uint64_t capacity);
void ring_reader_close(struct ring_reader *reader);

/* Sends a message that is at most record_largest(), while no claims are outstanding.  -EBUSY some are; else as reserve. */
int ring_send(struct ring_writer *writer, const void *data, uint64_t size, int64_t type);

/* Sends up to `count` messages of a batch, of which the reader sees all at once or, when the writer dies, none; returns how
 * many had room (-EAGAIN: none), or what ring_send() would. */
int64_t ring_send_batch(struct ring_writer *writer, const tong_batch *batch, uint64_t count);

/* Claims room for a message of `size` bytes (at most record_largest()).  -EAGAIN no room now, -EBADMSG, -ENOMEM. */
int ring_reserve(struct ring_writer *writer, uint64_t size, uint64_t *ret_claim);
/* Where the message of a claim begins. */
unsigned char *ring_claimed(const struct ring_writer *writer, uint64_t claim);
/* Settles a claim: the first `used` bytes are a message.  1 if the tail moved, 0 if it waits for an older claim;
 * -EINVAL no such claim, or used is more than was reserved. */
int ring_commit(struct ring_writer *writer, uint64_t claim, uint64_t used, int64_t type);
int ring_abort(struct ring_writer *writer, uint64_t claim);
/* Whether ring_reserve() would find room: 0, -EAGAIN, -EBADMSG. */
int ring_room(struct ring_writer *writer, uint64_t size);
/* Aborts every claim that is not settled, so that what was committed behind one is sent. */
void ring_abandon(struct ring_writer *writer);
/* Publishes a mark.  -EBUSY while claims are outstanding, -EAGAIN no room. */
int ring_mark(struct ring_writer *writer, unsigned kind, uint64_t number);

/* Bytes of a record with this word 0, unless it is an index or has a check; 0: it is none. */
uint64_t ring_extent(uint64_t word);
/* For who writes records with checks (durable.c): makes everything before `end` visible, which begins at the tail with a
 * record of this word; and settles a claim whose word is known: 1 if the tail moved, else 0. */
void ring_publish(struct ring_writer *writer, uint64_t end, uint64_t word);
int ring_settle(struct ring_writer *writer, struct ring_claim *claim);

/* ---- Claims (claims.c) ------------------------------------------------------------------------------------ */

int ring_claims_open(struct ring_claims *claims);
void ring_claims_close(struct ring_claims *claims);
int ring_claims_grow(struct ring_claims *claims);

static inline bool ring_claims_empty(const struct ring_claims *claims)
{
    return claims->first == claims->next;
}

static inline struct ring_claim *ring_claim_at(const struct ring_claims *claims, uint64_t claim)
{
    return &claims->item[claim & (claims->size - 1)];
}

static inline int ring_claims_push(struct ring_claims *claims, uint64_t start, uint64_t end, uint64_t *ret_claim)
{
    if (__builtin_expect(claims->next - claims->first == claims->size, 0) && ring_claims_grow(claims) < 0)
        return -ENOMEM;
    *ret_claim = claims->next++;
    struct ring_claim *claim = ring_claim_at(claims, *ret_claim);
    claim->start = start;
    claim->end = end;
    claim->settled = false;
    return 0;
}

/* NULL if there is no such claim, or it is settled. */
static inline struct ring_claim *ring_claims_find(const struct ring_claims *claims, uint64_t claim)
{
    if (claim - claims->first >= claims->next - claims->first)
        return NULL;
    struct ring_claim *found = ring_claim_at(claims, claim);
    return found->settled ? NULL : found;
}

/* Drops the oldest claims that are settled; true, and the end of the last one, if there were any. */
static inline bool ring_claims_advance(struct ring_claims *claims, uint64_t *ret_end)
{
    bool moved = false;
    while (claims->first != claims->next && ring_claim_at(claims, claims->first)->settled) {
        *ret_end = ring_claim_at(claims, claims->first++)->end;
        moved = true;
    }
    return moved;
}

/* ---- Reading ---------------------------------------------------------------------------------------------- */

static inline const unsigned char *ring_stands_at(const struct ring_reader *reader)
{
    return reader->data + (reader->seen & (reader->capacity - 1));
}

/* Word 0 of what was published next, or 0.  The line behind it is asked for together with its own, because most messages
 * lie in both, and one after the other they take twice as long to come. */
static inline uint64_t ring_turn(const struct ring_reader *reader)
{
    const unsigned char *word = ring_stands_at(reader);
    __builtin_prefetch(word + 64);
    return shared_turn(word);
}

/* Whether what lay at `start` when it was read was that record, and not what overwrote it: asked after reading. */
static inline bool ring_is_whole(const struct ring_reader *reader, uint64_t start)
{
    return __builtin_expect(!reader->lossy, 1) || (int64_t)(shared_floor_after(reader->log) - start) <= 0;
}

/* Whether something was published that the reader has not seen. */
static inline bool ring_waits(const struct ring_reader *reader)
{
    return ring_turn(reader) != 0 || !ring_is_whole(reader, reader->seen);
}

/* The most that can lie before the reader. */
static inline uint64_t ring_unread(const struct ring_reader *reader)
{
    return reader->capacity - RECORD_ZERO - (reader->seen - reader->head);
}

/* Whether a reader that is gone had it in hand. */
static inline bool ring_comes_again(const struct ring_reader *reader)
{
    return (int64_t)(reader->redelivered_to - reader->seen) > 0;
}

/* The message whose word 0 is `word`; false: it is something else, or damaged. */
static inline bool ring_read(const struct ring_reader *reader, uint64_t word, struct ring_record *ret)
{
    const unsigned char *record = ring_stands_at(reader);
    uint64_t length = record_length(word), offset = record_offset(word), extent = record_extent(offset, length);
    if (__builtin_expect(record_kind(word) != RECORD_MESSAGE || offset - 1 >= RECORD_OFFSET_MOST ||
                         extent > ring_unread(reader), 0))
        return false;
    ret->kind = RECORD_MESSAGE;
    ret->length = length;
    ret->type = offset > 1 ? (int64_t)shared_get(record + RECORD_ALIGN) : 0;
    ret->start = reader->seen;
    ret->end = reader->seen + extent;
    ret->data = record + offset * RECORD_ALIGN;
    ret->redelivered = ring_comes_again(reader);
    return true;
}

/* Bytes of the record with this word, which is no message; 0: nothing that can be. */
uint64_t ring_mark_extent(uint64_t word);

/* The same for whatever else it is. */
int ring_next_slowly(struct ring_reader *reader, uint64_t word, struct ring_record *ret);

/* Shows the record after the last one taken.  -EAGAIN none, -EBADMSG what lies there is no record; RING_PASSED. */
static inline int ring_next(struct ring_reader *reader, struct ring_record *ret)
{
    uint64_t word = ring_turn(reader);
    if (word == 0)
        return -EAGAIN;
    return ring_read(reader, word, ret) ? 0 : ring_next_slowly(reader, word, ret);
}

/* The same in a broadcast, where a successor of the same name must know the number, too. */
void ring_set_counted_head(struct ring_reader *reader, uint64_t head, uint64_t number);

/* `number` messages lie before it. */
static inline void ring_set_head(struct ring_reader *reader, uint64_t head, uint64_t number)
{
    if (__builtin_expect(reader->log != NULL, 0)) {
        ring_set_counted_head(reader, head, number);
        return;
    }
    reader->head = head;
    shared_set_head(reader->own, head);
}

/* What ends there is in the hands of this reader, or will come again with what is.  The intent never falls: who takes the
 * first of several that its predecessor had in hand may be gone before it has them all, and they say so to the next one, too. */
static inline void ring_intend(struct ring_reader *reader, uint64_t end)
{
    if (__builtin_expect((int64_t)(end - reader->redelivered_to) > 0, 1))
        shared_set_intent(reader->own, end);
}

/* Claims that message.  -ENOMEM. */
static inline int ring_take(struct ring_reader *reader, const struct ring_record *record, uint64_t *ret_claim)
{
    int r = ring_claims_push(&reader->claims, record->start, record->end, ret_claim);
    if (__builtin_expect(r < 0, 0))
        return r;
    reader->seen = record->end;
    ring_claim_at(&reader->claims, *ret_claim)->number = ++reader->number;
    ring_intend(reader, record->end);
    return 0;
}

/* Settles a claim: 1 if the head moved, 0, -EINVAL no such claim. */
static inline int ring_release(struct ring_reader *reader, uint64_t number)
{
    struct ring_claims *claims = &reader->claims;
    struct ring_claim *claim = ring_claims_find(claims, number);
    uint64_t head;
    if (__builtin_expect(!claim, 0))
        return -EINVAL;
    if (__builtin_expect(claims->next - claims->first == 1, 1)) {
        claims->first++;
        ring_set_head(reader, claim->end, claim->number);
        return 1;
    }
    claim->settled = true;
    if (!ring_claims_advance(&reader->claims, &head))
        return 0;
    ring_set_head(reader, head, ring_claim_at(claims, claims->first - 1)->number);
    return 1;
}

/* Passes over what nobody has to see any more.  It is released at once if nothing older is outstanding.  -ENOMEM. */
int ring_pass(struct ring_reader *reader, uint64_t end);

/* Copies the plain messages that are there into a batch and releases them at once, up to `count`, and to the first that does
 * not fit or has something to be said of; returns how many. */
uint64_t ring_receive_batch(struct ring_reader *reader, tong_batch *batch, uint64_t count);

/* Takes that record, which was copied and stands for `messages` of them, and releases it, if nothing older is outstanding.
 * -ENOMEM. */
static inline int ring_consume(struct ring_reader *reader, const struct ring_record *record, uint64_t messages)
{
    reader->number += messages;
    if (__builtin_expect(!ring_claims_empty(&reader->claims), 0)) {
        ring_intend(reader, record->end);
        return ring_pass(reader, record->end);
    }
    reader->seen = record->end;
    ring_set_head(reader, record->end, reader->number);
    return 0;
}

#endif
