/* SPDX-License-Identifier: MIT */
/*
 * The writing end of a lane.
 *
 * Bytes are written into room that the reader has released, and become visible with word 0 of their record, which is
 * stored last (ring/shared.h).  A writer that dies before leaves nothing; one that dies after has sent it.  The word
 * behind what is published is always 0: it is cleared before, and lies in room that nobody else may use, for which every
 * message leaves room.
 *
 * The successor of a writer that is gone follows the records from the tail to the word of zero.  It may find one
 * publication more than the tail says, never less, and checks each step: a hostile predecessor is damage, not a loop.
 */
#include <errno.h>

#include "base/hot.h"
#include "ring/broadcast.h"
#include "ring/copy.h"
#include "ring/ring.h"

static inline unsigned char *at(const struct ring_writer *writer, uint64_t position)
{
    return writer->data + (position & (writer->capacity - 1));
}

/* ---- Opening --------------------------------------------------------------------------------------------- */

uint64_t ring_extent(uint64_t word)
{
    uint64_t length = record_length(word), offset = record_offset(word);
    switch (record_kind(word)) {
    case RECORD_MESSAGE:
        return offset >= 1 && offset <= RECORD_OFFSET_MOST ? record_extent(offset, length) : 0;
    case RECORD_SKIP:
        return offset || length % RECORD_ALIGN ? 0 : length;
    case RECORD_END:
    case RECORD_DIED:
    case RECORD_LOST:
        return offset ? 0 : RECORD_MARK;
    default:
        return 0;
    }
}

/* Where publication ended, from a tail that may be behind; false: what lies there is no ring. */
static bool find_end(const struct ring_writer *writer, uint64_t *tail)
{
    uint64_t word, passed = 0;
    while ((word = shared_turn(at(writer, *tail + passed))) != 0) {
        uint64_t extent = ring_extent(word);
        if (extent == 0 || passed + extent > writer->capacity - RECORD_ZERO)
            return false;
        passed += extent;
    }
    *tail += passed;
    return true;
}

int ring_writer_open(struct ring_writer *writer, struct layout_place *own, const struct layout_cursor *reader,
                     unsigned char *data, uint64_t capacity)
{
    uint64_t tail = shared_tail(own), head = shared_head(reader);
    *writer = (struct ring_writer){ .data = data, .own = own, .reader = reader, .capacity = capacity, .head = head,
                                    .largest = record_largest(capacity) };
    if ((tail | head) & (RECORD_ALIGN - 1) || !find_end(writer, &tail) || tail - head > capacity)
        return -EBADMSG;
    writer->tail = writer->reserved = tail;
    shared_set_tail(own, tail);
    return ring_claims_open(&writer->claims);
}

void ring_writer_close(struct ring_writer *writer)
{
    ring_claims_close(&writer->claims);
}

/* ---- Room ------------------------------------------------------------------------------------------------ */

static inline bool has_room(const struct ring_writer *writer, uint64_t bytes)
{
    return writer->capacity - (writer->reserved - writer->head) >= bytes;
}

/* Whether that many bytes are free after a look at the head, which comes only when what was known does not suffice. */
__attribute__((noinline)) static int look_for_room(struct ring_writer *writer, uint64_t bytes)
{
    if (writer->log)
        return ring_log_room(writer, bytes);
    uint64_t head = shared_head(writer->reader);
    if (head - writer->head > writer->tail - writer->head || head & (RECORD_ALIGN - 1))
        return -EBADMSG;
    writer->head = head;
    return has_room(writer, bytes) ? 0 : -EAGAIN;
}

static inline int find_room(struct ring_writer *writer, uint64_t bytes)
{
    return __builtin_expect(has_room(writer, bytes), 1) ? 0 : look_for_room(writer, bytes);
}

int ring_room(struct ring_writer *writer, uint64_t size)
{
    return find_room(writer, record_room(size));
}

/* ---- Sending --------------------------------------------------------------------------------------------- */

static inline void publish(struct ring_writer *writer, uint64_t end, uint64_t word)
{
    shared_put(at(writer, end), 0);
    shared_publish(at(writer, writer->tail), word);
    writer->tail = writer->reserved = end;
    shared_set_tail(writer->own, end);
}

/* Begins where the copy is fast. */
__attribute__((noinline)) static uint64_t bulk_offset(const struct ring_writer *writer, uint64_t start, const void *data)
{
    uint64_t offset = record_bulk_offset(start);
    bool trapped = copy_is_trapped(at(writer, start) + offset * RECORD_ALIGN, data);
    return offset + (trapped ? RECORD_BULK_ALIGN / RECORD_ALIGN : 0);
}

/* Writes all of a record but its word 0, which is returned. */
INLINED uint64_t fill(struct ring_writer *writer, uint64_t start, const void *data, uint64_t size, int64_t type,
                      uint64_t *ret_end)
{
    uint64_t offset = __builtin_expect(size < RECORD_BULK, 1) ? 1 + (type != 0) : bulk_offset(writer, start, data);
    unsigned char *record = at(writer, start);
    if (offset > 1)
        shared_put(record + RECORD_ALIGN, (uint64_t)type);
    copy_message(record + offset * RECORD_ALIGN, data, size);
    *ret_end = start + record_extent(offset, size);
    return record_word(size, RECORD_MESSAGE, offset);
}

HOT int ring_send(struct ring_writer *writer, const void *data, uint64_t size, int64_t type)
{
    uint64_t end;
    if (__builtin_expect(!ring_claims_empty(&writer->claims), 0))
        return -EBUSY;
    int r = find_room(writer, record_room(size));
    if (__builtin_expect(r < 0, 0))
        return r;
    uint64_t word = fill(writer, writer->tail, data, size, type, &end);
    publish(writer, end, word);
    writer->number++;
    return 0;
}

/* Writes those of a batch that follow one without a type and have its size and room; returns how many.
 * What is behind the edge of the lane lies where that is mapped for the second time. */
INLINED uint64_t fill_alike(struct ring_writer *writer, const tong_batch *batch, uint64_t count, uint64_t size)
{
    const uint64_t extent = record_extent(1, size), room = writer->head + writer->capacity - writer->reserved;
    const int64_t last = (int64_t)(room - record_room(size)); /* where one can begin, from the first; less than 0: nowhere */
    unsigned char *first = at(writer, writer->reserved);
    uint64_t filled = 0;
    int64_t there = 0;
    for (; filled < count && batch->length == size && batch->type == 0 && there <= last; filled++, batch++) {
        shared_put(first + there, record_word(size, RECORD_MESSAGE, 1));
        copy_message(first + there + RECORD_ALIGN, batch->data, size);
        there += (int64_t)extent;
    }
    writer->reserved += filled * extent;
    return filled;
}

/* Of messages of one line, where it shows, the size is a constant (see take_run() of the reader). */
static inline uint64_t fill_run(struct ring_writer *writer, const tong_batch *batch, uint64_t count, uint64_t size)
{
    return size == COPY_LINE ? fill_alike(writer, batch, count, COPY_LINE) : fill_alike(writer, batch, count, size);
}

/* With the room that is known; who sends the next one looks for more. */
HOT int64_t ring_send_batch(struct ring_writer *writer, const struct tong_batch *batch, uint64_t count)
{
    struct ring_writer private = *writer; /* so that it can stay in registers */
    uint64_t sent = 0, first = 0;
    if (!ring_claims_empty(&writer->claims))
        return -EBUSY;
    while (sent < count) {
        const tong_batch *item = &batch[sent];
        uint64_t start = private.reserved, size = item->length;
        if (size > private.largest || !has_room(&private, record_room(size)))
            break;
        uint64_t word = fill(&private, start, item->data, size, item->type, &private.reserved);
        if (sent == 0)
            first = word;
        else
            shared_put(at(&private, start), word);
        sent++;
        if (item->type == 0 && size < RECORD_BULK)
            sent += fill_run(&private, item + 1, count - sent, size);
    }
    if (sent > 0)
        publish(writer, private.reserved, first);
    writer->number += sent;
    return sent > 0 ? (int64_t)sent : -EAGAIN;
}

/* ---- Claims ---------------------------------------------------------------------------------------------- */

int ring_reserve(struct ring_writer *writer, uint64_t size, uint64_t *ret_claim)
{
    int r = ring_room(writer, size);
    uint64_t start = writer->reserved, offset = size < RECORD_BULK ? 2 : record_bulk_offset(start);
    if (r == 0)
        r = ring_claims_push(&writer->claims, start, start + record_extent(offset, size), ret_claim);
    if (r < 0)
        return r;
    ring_claim_at(&writer->claims, *ret_claim)->offset = offset;
    writer->reserved = start + record_extent(offset, size);
    return 0;
}

unsigned char *ring_claimed(const struct ring_writer *writer, uint64_t number)
{
    const struct ring_claim *claim = ring_claim_at(&writer->claims, number);
    return at(writer, claim->start) + claim->offset * RECORD_ALIGN;
}

/* Cuts a claim to end at `end`.  The room behind the youngest claim is simply taken back; behind an older one, where
 * others already lie, the reader is told to skip it. */
static void cut(struct ring_writer *writer, uint64_t number, struct ring_claim *claim, uint64_t end)
{
    uint64_t skipped = claim->end - end, skip = record_word(skipped, RECORD_SKIP, 0);
    if (number == writer->claims.next - 1)
        writer->reserved = claim->end = end;
    else if (end == claim->start)
        claim->word = skip;
    else if (skipped > 0)
        shared_put(at(writer, end), skip);
}

/* The messages among the settled claims from `first` on; an index between them gets its number. */
static void count(struct ring_writer *writer, uint64_t first)
{
    for (uint64_t number = first; number < writer->claims.first; number++) {
        const struct ring_claim *done = ring_claim_at(&writer->claims, number);
        unsigned kind = done->end > done->start ? record_kind(done->word) : 0;
        if (kind == RECORD_INDEX)
            shared_put(at(writer, done->start) + RECORD_ALIGN, writer->number);
        writer->number += kind == RECORD_MESSAGE;
    }
}

/* Publishes the settled claims before the oldest that is not: the first of them last. */
static int settle(struct ring_writer *writer, struct ring_claim *claim)
{
    struct ring_claims *claims = &writer->claims;
    uint64_t end, reserved = writer->reserved, first = claims->first, word = 0;
    claim->settled = true;
    if (!ring_claims_advance(claims, &end))
        return 0;
    if (writer->log)
        count(writer, first);
    for (uint64_t number = claims->first; number-- > first; ) {
        const struct ring_claim *done = ring_claim_at(claims, number);
        if (done->start == writer->tail && done->end > done->start)
            word = done->word;
        else if (done->end > done->start)
            shared_put(at(writer, done->start), done->word);
    }
    if (end == writer->tail)
        return 1;
    publish(writer, end, word);
    writer->reserved = reserved;
    if (writer->log)
        ring_log_published(writer);
    return 1;
}

int ring_commit(struct ring_writer *writer, uint64_t number, uint64_t used, int64_t type)
{
    struct ring_claim *claim = ring_claims_find(&writer->claims, number);
    if (!claim || used > claim->end - claim->start - claim->offset * RECORD_ALIGN)
        return -EINVAL;
    shared_put(at(writer, claim->start + RECORD_ALIGN), (uint64_t)type);
    claim->word = record_word(used, RECORD_MESSAGE, claim->offset);
    cut(writer, number, claim, claim->start + record_extent(claim->offset, used));
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
    if (!ring_claims_empty(&writer->claims))
        return -EBUSY;
    int r = find_room(writer, RECORD_MARK + RECORD_ZERO);
    if (r == 0)
        publish(writer, writer->tail + RECORD_MARK, record_word(number, kind, 0));
    if (r == 0 && kind == RECORD_LOST)
        writer->number += number;
    return r;
}

void ring_publish(struct ring_writer *writer, uint64_t end, uint64_t word)
{
    publish(writer, end, word);
}

int ring_settle(struct ring_writer *writer, struct ring_claim *claim)
{
    return settle(writer, claim);
}
