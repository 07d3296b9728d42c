/* SPDX-License-Identifier: MIT */
/*
 * ring.h - a ring of records in mapped memory: one writer, one reader, no lock, no system call while both are
 * awake.
 *
 * Cursors are bytes since the beginning and never wrap (2^64 bytes do not pass); a position in the ring is the
 * cursor modulo the capacity.  The writer owns the tail, the reader the head; each believes the other's only
 * after checking it.
 *
 * Claims.  Room that was reserved, and records that were peeked, may be given back in any order; the cursor
 * moves over the oldest that are settled.  Claims are kept in private memory, so a peer cannot touch them, and a
 * process that dies takes its claims with it: what it reserved was never published, what it peeked was never
 * released.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/layout.h"

struct ring_claim {
    uint64_t start, end;
    bool settled;
};

/* A queue of claims, oldest first, in an array that grows: number n lies at item[n % size]. */
struct ring_claims {
    struct ring_claim *item;
    uint64_t size;        /* a power of two */
    uint64_t first, next; /* numbers in use: first <= n < next */
};

struct ring_writer {
    struct layout_control *own;
    const struct layout_control *peer;
    unsigned char *data;
    uint64_t capacity;
    uint64_t tail;     /* published */
    uint64_t reserved; /* end of the last claim; tail when there is none */
    uint64_t head;     /* the reader's, as last believed */
    struct ring_claims claims;
};

struct ring_reader {
    const struct layout_control *peer;
    struct layout_control *own;
    const unsigned char *data;
    uint64_t capacity;
    uint64_t head;           /* released */
    uint64_t seen;           /* end of the last claim; head when there is none */
    uint64_t tail;           /* the writer's, as last believed */
    uint64_t redelivered_to; /* records before this were handed out by a reader that is gone */
    struct ring_claims claims;
};

/* What lies next in the ring: a private copy of its head. */
struct ring_record {
    uint64_t kind;   /* RECORD_MESSAGE, RECORD_END, RECORD_DIED or RECORD_LOST */
    uint64_t length; /* of the message; of a mark, its number */
    int64_t type;
    uint64_t start, end;
    bool redelivered;
};

struct ring_span {
    void *data;
    size_t size;
};

/* Begin where the cursors stand.  `own` is writable, `peer` need not be.  -EBADMSG: they do not agree; -ENOMEM. */
int ring_writer_open(struct ring_writer *writer, struct layout_control *own, const struct layout_control *peer,
                     void *data, uint64_t capacity);
void ring_writer_close(struct ring_writer *writer);
int ring_reader_open(struct ring_reader *reader, struct layout_control *own, const struct layout_control *peer,
                     const void *data, uint64_t capacity);
void ring_reader_close(struct ring_reader *reader);

/* Claims room for a message of `size` bytes (at most record_largest()).  -EAGAIN no room now, -EBADMSG, -ENOMEM. */
int ring_reserve(struct ring_writer *writer, uint64_t size, uint64_t *ret_claim);
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

/* Shows the record after the last one taken.  -EAGAIN none, -EBADMSG what lies there is no record. */
int ring_next(struct ring_reader *reader, struct ring_record *ret);
/* Claims that record.  -ENOMEM. */
int ring_take(struct ring_reader *reader, const struct ring_record *record, uint64_t *ret_claim);
/* Settles a claim: 1 if the head moved, 0, -EINVAL no such claim. */
int ring_release(struct ring_reader *reader, uint64_t claim);

/* The one or two pieces of `size` bytes of payload of the record at `start`; returns how many. */
unsigned ring_spans(const void *data, uint64_t capacity, uint64_t start, uint64_t size, struct ring_span ret[2]);

/* claims.c */
int ring_claims_open(struct ring_claims *claims);
void ring_claims_close(struct ring_claims *claims);
int ring_claims_push(struct ring_claims *claims, uint64_t start, uint64_t end, uint64_t *ret_claim);
/* NULL if there is no such claim, or it is settled. */
struct ring_claim *ring_claims_find(struct ring_claims *claims, uint64_t claim);
/* Drops the oldest claims that are settled; true, and the end of the last one, if there were any. */
bool ring_claims_advance(struct ring_claims *claims, uint64_t *ret_end);

/*
 * Sleeps until *cursor is no longer `seen`, at most `nanoseconds`.  `own` is the sleeper's place.
 * 0 it moved or may have; -ETIMEDOUT, -EINTR.
 */
int ring_sleep(struct layout_place *own, const _Atomic uint64_t *cursor, uint64_t seen, int64_t nanoseconds);

/* After *cursor was stored: wakes who sleeps on it.  `woken` is the caller's memory of the last sleep it ended. */
void ring_wake(const struct layout_place *sleeper, const _Atomic uint64_t *cursor, uint32_t *woken);

/* Wakes whoever sleeps on *cursor, for a reason that it finds elsewhere.  Async-signal-safe. */
void ring_disturb(const _Atomic uint64_t *cursor);

#endif
