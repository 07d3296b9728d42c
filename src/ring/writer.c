/* SPDX-License-Identifier: MIT */
/*
 * The writing end.  Bytes are written into room that the reader has released and become visible all at once
 * when the tail is stored: a writer that dies before leaves nothing, one that dies after has sent it.
 */
#include <errno.h>

#include "ring/ring.h"

/* Plain words would do for who acquires the tail; atomic ones cannot be torn for who scribbles or looks. */
static void put_word(struct ring_writer *writer, uint64_t at, uint64_t word)
{
    _Atomic uint64_t *place = (_Atomic uint64_t *)(void *)(writer->data + (at & (writer->capacity - 1)));
    atomic_store_explicit(place, word, memory_order_relaxed);
}

/* seq_cst: releases the records before it, and stands before the load of `sleeping` in ring_wake(). */
static void publish(struct ring_writer *writer, uint64_t tail)
{
    writer->tail = tail;
    atomic_store_explicit(&writer->own->cursor, tail, memory_order_seq_cst);
}

int ring_writer_open(struct ring_writer *writer, struct layout_control *own, const struct layout_control *peer,
                     void *data, uint64_t capacity)
{
    uint64_t tail = atomic_load_explicit(&own->cursor, memory_order_acquire);
    uint64_t head = atomic_load_explicit(&peer->cursor, memory_order_acquire);
    if (!layout_cursors_agree(tail, head, capacity))
        return -EBADMSG;
    *writer = (struct ring_writer){ own, peer, data, capacity, tail, tail, head, { NULL, 0, 0, 0 } };
    return ring_claims_open(&writer->claims);
}

void ring_writer_close(struct ring_writer *writer)
{
    ring_claims_close(&writer->claims);
}

/* acquire: the reader is done with the bytes before its head, so they may be written again. */
static int believe_head(struct ring_writer *writer)
{
    uint64_t head = atomic_load_explicit(&writer->peer->cursor, memory_order_seq_cst);
    if (head - writer->head > writer->tail - writer->head || head & (RECORD_ALIGN - 1))
        return -EBADMSG;
    writer->head = head;
    return 0;
}

/* Whether `extent` bytes are free; the head is loaded only when what was known of it does not suffice. */
static int find_room(struct ring_writer *writer, uint64_t extent)
{
    if (writer->capacity - (writer->reserved - writer->head) >= extent)
        return 0;
    int r = believe_head(writer);
    if (r < 0)
        return r;
    return writer->capacity - (writer->reserved - writer->head) >= extent ? 0 : -EAGAIN;
}

int ring_room(struct ring_writer *writer, uint64_t size)
{
    return find_room(writer, record_extent(size) + RECORD_MARK);
}

int ring_reserve(struct ring_writer *writer, uint64_t size, uint64_t *ret_claim)
{
    uint64_t extent = record_extent(size);
    int r = ring_room(writer, size);
    if (r == 0)
        r = ring_claims_push(&writer->claims, writer->reserved, writer->reserved + extent, ret_claim);
    if (r == 0)
        writer->reserved += extent;
    return r;
}

/* Cuts a claim to end at `end`.  The room behind the youngest claim is simply taken back; behind an older one,
 * where others already lie, the reader is told to skip it. */
static void cut(struct ring_writer *writer, uint64_t number, struct ring_claim *claim, uint64_t end)
{
    if (number == writer->claims.next - 1)
        writer->reserved = claim->end = end;
    else if (end != claim->end)
        put_word(writer, end, record_word(claim->end - end, RECORD_SKIP));
}

static int settle(struct ring_writer *writer, struct ring_claim *claim)
{
    uint64_t tail;
    claim->settled = true;
    if (!ring_claims_advance(&writer->claims, &tail))
        return 0;
    publish(writer, tail);
    return 1;
}

int ring_commit(struct ring_writer *writer, uint64_t number, uint64_t used, int64_t type)
{
    struct ring_claim *claim = ring_claims_find(&writer->claims, number);
    if (!claim || used > claim->end - claim->start - RECORD_HEAD)
        return -EINVAL;
    put_word(writer, claim->start, record_word(used, RECORD_MESSAGE));
    put_word(writer, claim->start + 8, (uint64_t)type);
    cut(writer, number, claim, claim->start + record_extent(used));
    return settle(writer, claim);
}

int ring_abort(struct ring_writer *writer, uint64_t number)
{
    struct ring_claim *claim = ring_claims_find(&writer->claims, number);
    if (!claim)
        return -EINVAL;
    cut(writer, number, claim, claim->start);
    return settle(writer, claim);
}

/* The youngest first, whose room is simply taken back. */
void ring_abandon(struct ring_writer *writer)
{
    for (uint64_t number = writer->claims.next; number > writer->claims.first; number--)
        ring_abort(writer, number - 1);
}

int ring_mark(struct ring_writer *writer, unsigned kind, uint64_t number)
{
    if (writer->reserved != writer->tail)
        return -EBUSY;
    int r = find_room(writer, RECORD_MARK);
    if (r < 0)
        return r;
    put_word(writer, writer->tail, record_word(number, kind));
    writer->reserved += RECORD_MARK;
    publish(writer, writer->reserved);
    return 0;
}
