/* SPDX-License-Identifier: MIT */
/*
 * The reading end of a lane.  It stands at a word that is 0 until something is published there.  Everything that the
 * writer wrote is hostile until checked: word 0 is read once, a record may not be longer than what can be in the ring, a
 * skip must move.  So no read leaves the ring, and one call passes over at most the capacity.
 */
#include <errno.h>

#include "base/hot.h"
#include "ring/ring.h"

int ring_reader_open(struct ring_reader *reader, struct layout_cursor *own, const struct layout_place *writer,
                     const unsigned char *data, uint64_t capacity)
{
    uint64_t head = shared_head(own), intent = shared_intent(own);
    if (!layout_cursors_agree(shared_tail(writer), head, capacity))
        return -EBADMSG;
    if (intent - head > capacity)
        intent = head;
    *reader = (struct ring_reader){ .own = own, .capacity = capacity, .head = head, .seen = head, .redelivered_to = intent,
                                    .dry = head };
    int r = ring_claims_open(&reader->claims);
    if (r == 0)
        reader->data = data;
    return r;
}

void ring_reader_close(struct ring_reader *reader)
{
    ring_claims_close(&reader->claims);
    reader->data = NULL;
}

static void release_to(struct ring_reader *reader, uint64_t head)
{
    reader->head = head;
    shared_set_head(reader->own, head);
}

/* Passes over what nobody has to see.  It is released at once if nothing older is outstanding, because a writer may be
 * waiting for just that room. */
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

/* What a word that is not a message's says. */
static int read_mark(const struct ring_reader *reader, uint64_t word, uint64_t *ret_extent)
{
    (void)reader;
    *ret_extent = RECORD_MARK;
    switch (record_kind(word)) {
    case RECORD_SKIP:
        *ret_extent = record_length(word);
        break;
    case RECORD_END:
    case RECORD_DIED:
    case RECORD_LOST:
        break;
    default:
        return -EBADMSG;
    }
    return record_offset(word) ? -EBADMSG : 0;
}

/* One record, whatever it is. */
static inline int read_record(const struct ring_reader *reader, uint64_t word, struct ring_record *ret)
{
    uint64_t length = record_length(word), offset = record_offset(word), extent;
    const unsigned char *record = reader->data + (reader->seen & (reader->capacity - 1));
    bool message = record_kind(word) == RECORD_MESSAGE;
    if (__builtin_expect(message, 1)) {
        if (offset - 1 >= RECORD_OFFSET_MOST)
            return -EBADMSG;
        extent = record_extent(offset, length);
    } else if (read_mark(reader, word, &extent) < 0) {
        return -EBADMSG;
    }
    if (extent - 1 >= reader->capacity - RECORD_ZERO - (reader->seen - reader->head) || extent % RECORD_ALIGN)
        return -EBADMSG;
    ret->kind = record_kind(word);
    ret->length = length;
    ret->type = message && offset > 1 ? (int64_t)shared_get(record + RECORD_ALIGN) : 0;
    ret->start = reader->seen;
    ret->end = reader->seen + extent;
    ret->data = record + offset * RECORD_ALIGN;
    ret->redelivered = (int64_t)(reader->redelivered_to - reader->seen) > 0;
    return 0;
}

HOT int ring_next(struct ring_reader *reader, struct ring_record *ret)
{
    for (uint64_t passed = 0; passed < reader->capacity; passed += RECORD_ALIGN) {
        uint64_t word = shared_turn(reader->data + (reader->seen & (reader->capacity - 1)));
        if (word == 0)
            return -EAGAIN;
        int r = read_record(reader, word, ret);
        if (r < 0 || __builtin_expect(ret->kind != RECORD_SKIP, 1))
            return r;
        r = pass(reader, ret->end);
        if (r < 0)
            return r;
    }
    return -EBADMSG;
}

HOT int ring_take(struct ring_reader *reader, const struct ring_record *record, uint64_t *ret_claim)
{
    int r = ring_claims_push(&reader->claims, record->start, record->end, ret_claim);
    if (r < 0)
        return r;
    reader->seen = record->end;
    shared_set_intent(reader->own, record->end);
    return 0;
}

HOT int ring_consume(struct ring_reader *reader, const struct ring_record *record)
{
    if (__builtin_expect(!ring_claims_empty(&reader->claims), 0)) {
        int r = pass(reader, record->end);
        return r < 0 ? r : reader->head == record->end;
    }
    reader->seen = record->end;
    release_to(reader, record->end);
    return 1;
}

HOT int ring_release(struct ring_reader *reader, uint64_t number)
{
    struct ring_claim *claim = ring_claims_find(&reader->claims, number);
    uint64_t head;
    if (!claim)
        return -EINVAL;
    claim->settled = true;
    if (!ring_claims_advance(&reader->claims, &head))
        return 0;
    release_to(reader, head);
    return 1;
}
