/* SPDX-License-Identifier: MIT */
/*
 * The reading end of a lane.  It stands at a word that is 0 until something is published there.  Everything that the
 * writer wrote is hostile until checked: word 0 is read once, a record may not be longer than what can be in the ring, a
 * skip must move.  So no read leaves the ring.  A lane of nothing but skips would have no end: one look passes over RING_RUN of
 * them, and the channel asks whether there is time for another (channel_receive.c).
 */
#include <errno.h>

#include "base/hot.h"
#include "ring/copy.h"
#include "ring/ring.h"

int ring_reader_open(struct ring_reader *reader, struct layout_cursor *own, const struct layout_place *writer,
                     const unsigned char *data, uint64_t capacity)
{
    uint64_t head = shared_head(own), intent = shared_intent(own);
    if (!layout_cursors_agree(shared_tail(writer), head, capacity))
        return -EBADMSG;
    if (intent - head > capacity)
        intent = head;
    *reader = (struct ring_reader){ .own = own, .capacity = capacity, .head = head, .seen = head, .redelivered_to = intent };
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

/* A writer may be waiting for just that room. */
int ring_pass(struct ring_reader *reader, uint64_t end)
{
    uint64_t number;
    int r = ring_claims_push(&reader->claims, reader->seen, end, &number);
    if (r < 0)
        return r;
    reader->seen = end;
    ring_claim_at(&reader->claims, number)->number = reader->number;
    ring_release(reader, number);
    return 0;
}

uint64_t ring_mark_extent(uint64_t word)
{
    uint64_t offset = record_offset(word);
    if (offset != 0 && offset != RECORD_HEAD)
        return 0;
    switch (record_kind(word)) {
    case RECORD_SKIP:
        return record_length(word);
    case RECORD_END:
    case RECORD_DIED:
    case RECORD_LOST:
        return offset ? RECORD_CHECKED : RECORD_MARK;
    default:
        return 0;
    }
}

/* Past skips, but not for ever, which a writer that skips all the time would have it do. */
__attribute__((noinline)) int ring_next_slowly(struct ring_reader *reader, uint64_t word, struct ring_record *ret)
{
    do {
        uint64_t extent = ring_mark_extent(word);
        if (extent == 0 || extent % RECORD_ALIGN || extent > ring_unread(reader))
            return -EBADMSG;
        *ret = (struct ring_record){ .kind = record_kind(word), .length = record_length(word), .start = reader->seen,
                                     .end = reader->seen + extent, .redelivered = ring_comes_again(reader) };
        if (ret->kind != RECORD_SKIP) {
            ret->type = extent > RECORD_MARK ? (int64_t)shared_get(ring_stands_at(reader) + RECORD_ALIGN) : 0;
            return 0;
        }
        int r = ring_pass(reader, ret->end);
        if (r < 0)
            return r;
        word = shared_turn(ring_stands_at(reader));
        if (word == 0 || ring_read(reader, word, ret))
            return word == 0 ? -EAGAIN : 0;
    } while (++reader->passed % RING_RUN);
    return RING_PASSED;
}

/* Puts the message that stands there into a batch, if it fits. */
static inline bool put(tong_batch *item, const unsigned char *record, uint64_t length, uint64_t offset)
{
    if (__builtin_expect(length > item->capacity, 0))
        return false;
    copy_message(item->data, record + offset * RECORD_ALIGN, length);
    item->length = length;
    item->type = offset > 1 ? (int64_t)shared_get(record + RECORD_ALIGN) : 0;
    item->flags = 0;
    return true;
}

/* Takes the messages that begin with this word, which was checked, with the first of them: where the next one stands is known
 * before this one has come, and all that is left to ask of it is whether it has that word, too. */
INLINED uint64_t take_alike(struct ring_reader *reader, tong_batch *batch, uint64_t count, uint64_t word)
{
    const uint64_t length = record_length(word), offset = record_offset(word), extent = record_extent(offset, length);
    const uint64_t last = ring_unread(reader) - extent;
    const unsigned char *first = ring_stands_at(reader);
    uint64_t taken = 0, there = 0;
    for (; taken < count && there <= last && shared_turn(first + there) == word; taken++, there += extent)
        if (!put(&batch[taken], first + there, length, offset) || !ring_is_whole(reader, reader->seen + there))
            break;
    reader->seen += there;
    return taken;
}

/* Of messages of one line, where it shows, the word is a constant: their copy needs no branch and no register for a size. */
static inline uint64_t take_run(struct ring_reader *reader, tong_batch *batch, uint64_t count, uint64_t word)
{
    const uint64_t of_line = record_word(COPY_LINE, RECORD_MESSAGE, 1);
    return word == of_line ? take_alike(reader, batch, count, of_line) : take_alike(reader, batch, count, word);
}

/* Messages of a stream mostly look alike, so it goes from run to run of those that do. */
HOT uint64_t ring_receive_batch(struct ring_reader *reader, tong_batch *batch, uint64_t count)
{
    struct ring_reader private = *reader; /* so that it can stay in registers */
    struct ring_record first;
    uint64_t received = 0, taken = 1;
    if (!ring_claims_empty(&reader->claims) || ring_comes_again(reader))
        return 0;
    for (; received < count && taken > 0; received += taken) {
        uint64_t word = ring_turn(&private);
        bool plain = word != 0 && ring_read(&private, word, &first);
        taken = plain ? take_run(&private, batch + received, count - received, word) : 0;
    }
    reader->seen = private.seen;
    reader->number += received;
    if (received > 0)
        ring_set_head(reader, private.seen, reader->number);
    return received;
}
