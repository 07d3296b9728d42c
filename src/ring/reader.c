/* SPDX-License-Identifier: MIT */
/*
 * The reading end.  Everything that the writer wrote is hostile until checked: the tail may lie at most a
 * capacity ahead, a record may not reach past the tail, a skip must move.  So no read leaves the ring, and one
 * call passes over at most the capacity.
 */
#include <errno.h>

#include "ring/ring.h"

static uint64_t get_word(const struct ring_reader *reader, uint64_t at)
{
    const void *place = reader->data + (at & (reader->capacity - 1));
    return atomic_load_explicit((const _Atomic uint64_t *)place, memory_order_relaxed);
}

/* seq_cst: the reads before it are done, and it stands before the load of `sleeping` in ring_wake(). */
static void publish(struct ring_reader *reader, uint64_t head)
{
    reader->head = head;
    atomic_store_explicit(&reader->own->cursor, head, memory_order_seq_cst);
}

int ring_reader_open(struct ring_reader *reader, struct layout_control *own, const struct layout_control *peer,
                     const void *data, uint64_t capacity)
{
    uint64_t head = atomic_load_explicit(&own->cursor, memory_order_acquire);
    uint64_t intent = atomic_load_explicit(&own->places[0].intent, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&peer->cursor, memory_order_acquire);
    if (!layout_cursors_agree(tail, head, capacity))
        return -EBADMSG;
    if (intent - head > tail - head)
        intent = head;
    *reader = (struct ring_reader){ peer, own, data, capacity, head, head, tail, intent, { NULL, 0, 0, 0 } };
    return ring_claims_open(&reader->claims);
}

void ring_reader_close(struct ring_reader *reader)
{
    ring_claims_close(&reader->claims);
}

static int believe_tail(struct ring_reader *reader)
{
    uint64_t tail = atomic_load_explicit(&reader->peer->cursor, memory_order_seq_cst);
    if (!layout_cursors_agree(tail, reader->head, reader->capacity) ||
        tail - reader->head < reader->tail - reader->head)
        return -EBADMSG;
    reader->tail = tail;
    return 0;
}

/* Passes over what nobody has to see.  It is released at once if nothing older is outstanding, because a
 * writer may be waiting for just that room. */
static int pass(struct ring_reader *reader, uint64_t end)
{
    uint64_t number;
    int r = ring_claims_push(&reader->claims, reader->seen, end, &number);
    if (r < 0)
        return r;
    reader->seen = end;
    r = ring_release(reader, number);
    return r < 0 ? r : 0;
}

static int read_record(const struct ring_reader *reader, struct ring_record *ret)
{
    uint64_t available = reader->tail - reader->seen, word = get_word(reader, reader->seen);
    uint64_t length = record_length(word), extent = RECORD_MARK;
    *ret = (struct ring_record){ record_kind(word), length, 0, reader->seen, 0, false };
    switch (ret->kind) {
    case RECORD_MESSAGE:
        extent = record_extent(length);
        if (extent <= available)
            ret->type = (int64_t)get_word(reader, reader->seen + 8);
        break;
    case RECORD_SKIP:
        extent = length;
        break;
    case RECORD_END:
    case RECORD_DIED:
    case RECORD_LOST:
        break;
    default:
        return -EBADMSG;
    }
    if (extent == 0 || extent > available || extent & (RECORD_ALIGN - 1))
        return -EBADMSG;
    ret->end = reader->seen + extent;
    ret->redelivered = (int64_t)(reader->redelivered_to - ret->start) > 0;
    return 0;
}

int ring_next(struct ring_reader *reader, struct ring_record *ret)
{
    int r = reader->seen == reader->tail ? believe_tail(reader) : 0;
    while (r == 0 && reader->seen != reader->tail) {
        struct ring_record record;
        r = read_record(reader, &record);
        if (r == 0 && record.kind != RECORD_SKIP) {
            *ret = record;
            return 0;
        }
        if (r == 0)
            r = pass(reader, record.end);
    }
    return r < 0 ? r : -EAGAIN;
}

int ring_take(struct ring_reader *reader, const struct ring_record *record, uint64_t *ret_claim)
{
    int r = ring_claims_push(&reader->claims, record->start, record->end, ret_claim);
    if (r < 0)
        return r;
    reader->seen = record->end;
    atomic_store_explicit(&reader->own->places[0].intent, record->end, memory_order_release);
    return 0;
}

int ring_release(struct ring_reader *reader, uint64_t number)
{
    struct ring_claim *claim = ring_claims_find(&reader->claims, number);
    uint64_t head;
    if (!claim)
        return -EINVAL;
    claim->settled = true;
    if (!ring_claims_advance(&reader->claims, &head))
        return 0;
    publish(reader, head);
    return 1;
}

unsigned ring_spans(const void *data, uint64_t capacity, uint64_t start, uint64_t size, struct ring_span ret[2])
{
    uint64_t at = (start + RECORD_HEAD) & (capacity - 1);
    uint64_t first = size < capacity - at ? size : capacity - at;
    ret[0] = (struct ring_span){ (unsigned char *)data + at, first };
    ret[1] = (struct ring_span){ (unsigned char *)data, size - first };
    return size == 0 ? 0 : first == size ? 1 : 2;
}
