/* SPDX-License-Identifier: MIT */
/*
 * Checks of records, and writing with them.  A reader needs nothing of it: a message with a check is one with a larger
 * offset (ring.h), and what a reader may not trust it is kept away from (channel_durable.c).
 */
#include "ring/durable.h"

#include "base/crc.h"
#include "base/hot.h"
#include "ring/copy.h"
#include "sys/sys.h"

static const unsigned char *at(const struct ring_remains *remains, uint64_t position)
{
    return remains->data + (position & (remains->capacity - 1));
}

/* Word 2 of the record there, whose word 1 is written; `session` is the high half of it. */
static uint64_t check_of(uint64_t id, uint64_t position, const unsigned char *record, uint64_t word, uint64_t session)
{
    bool message = record_kind(word) == RECORD_MESSAGE;
    uint64_t head[] = { id, position, word, shared_get(record + RECORD_ALIGN), session };
    uint32_t crc = crc32c(0, head, sizeof head);
    return session | (message ? crc32c(crc, record + record_offset(word) * RECORD_ALIGN, record_length(word)) : crc);
}

/* ---- Judging --------------------------------------------------------------------------------------------- */

/* Bytes of a record with a check; 0: it is none. */
static uint64_t extent_of(uint64_t word)
{
    uint64_t length = record_length(word), offset = record_offset(word);
    switch (record_kind(word)) {
    case RECORD_MESSAGE:
        return offset >= RECORD_HEAD && offset <= RECORD_OFFSET_MOST ? record_extent(offset, length) : 0;
    case RECORD_SKIP:
        return offset == RECORD_HEAD && length >= RECORD_CHECKED && length % RECORD_ALIGN == 0 ? length : 0;
    case RECORD_END:
    case RECORD_DIED:
    case RECORD_LOST:
        return offset == RECORD_HEAD ? RECORD_CHECKED : 0;
    default:
        return 0;
    }
}

/* Bytes of the record there, of at most `most`; 0: it is not whole, or not of this place and time. */
static uint64_t whole(const struct ring_remains *remains, uint64_t position, uint64_t most)
{
    const unsigned char *record = at(remains, position);
    uint64_t word = shared_turn(record), extent = extent_of(word);
    if (extent == 0 || extent > most)
        return 0;
    uint64_t check = shared_get(record + 2 * RECORD_ALIGN), session = check & ~(uint64_t)UINT32_MAX;
    bool behind = (int64_t)(position - remains->cut) >= 0;
    if (behind && (int32_t)((uint32_t)(session >> 32) - (uint32_t)remains->since) < 0)
        return 0;
    return check_of(remains->id, position, record, word, session) == check ? extent : 0;
}

/* A skip in which no check has room.  One is believed if what stands behind it is whole: that began there in this lap, and
 * no record but such a skip fits in between. */
static uint64_t gap_at(const struct ring_remains *remains, uint64_t position)
{
    uint64_t word = shared_turn(at(remains, position)), length = record_length(word);
    bool gap = word == record_word(length, RECORD_SKIP, 0) && length % RECORD_ALIGN == 0 && length < RECORD_CHECKED;
    return gap ? length : 0;
}

/* After a stop of the machine a skip at the end is not kept, because a reader that passes one looks at once what is behind it.
 * Without one it was published, and a reader may have passed it. */
uint64_t ring_durable_end(const struct ring_remains *remains, uint64_t head, bool stopped)
{
    uint64_t end = head, next = head, most = remains->capacity - RECORD_ZERO;
    for (;;) {
        uint64_t left = most - (next - head);
        uint64_t gap = left > RECORD_CHECKED ? gap_at(remains, next) : 0;
        uint64_t extent = whole(remains, next + gap, left - gap);
        if (extent == 0)
            return stopped ? end : next + gap;
        bool skipped = record_kind(shared_turn(at(remains, next + gap))) == RECORD_SKIP;
        next += gap + extent;
        if (!skipped)
            end = next;
    }
}

/* ---- The disk -------------------------------------------------------------------------------------------- */

/* The kernel tells of a failure once and then takes the pages for written: a sync that succeeds after it says nothing. */
int ring_durable_sync(struct ring_durable *durable, int fd)
{
    int r = atomic_load_explicit(&durable->failed, memory_order_relaxed);
    if (r == 0)
        r = sys_fdatasync(fd);
    if (r < 0 && r != -EINTR)
        atomic_store_explicit(&durable->failed, r, memory_order_relaxed);
    return r;
}

/* ---- Room ------------------------------------------------------------------------------------------------ */

/* What the reader released is room once the disk has its head: a read-only descriptor will do for that. */
__attribute__((noinline)) static int look_for_room(struct ring_durable *durable, struct ring_writer *writer,
                                                   uint64_t bytes)
{
    uint64_t head = shared_head(writer->reader);
    if (head - writer->head > writer->tail - writer->head || head & (RECORD_ALIGN - 1))
        return -EBADMSG;
    if (writer->capacity - (writer->reserved - head) < bytes)
        return -EAGAIN;
    int r = ring_durable_sync(durable, durable->receivers_fd);
    if (r == 0)
        writer->head = head;
    return r;
}

static int find_room(struct ring_durable *durable, struct ring_writer *writer, uint64_t bytes)
{
    bool known = writer->capacity - (writer->reserved - writer->head) >= bytes;
    return __builtin_expect(known, 1) ? 0 : look_for_room(durable, writer, bytes);
}

int ring_durable_room(struct ring_durable *durable, struct ring_writer *writer, uint64_t size)
{
    return find_room(durable, writer, record_checked_room(size));
}

/* ---- Sending --------------------------------------------------------------------------------------------- */

static unsigned char *place_of(const struct ring_writer *writer, uint64_t position)
{
    return writer->data + (position & (writer->capacity - 1));
}

/* Gives the record at `start`, whose message is there, its other words but word 0, which is `word`. */
static void seal(const struct ring_durable *durable, const struct ring_writer *writer, uint64_t start, uint64_t word,
                 uint64_t type)
{
    unsigned char *record = place_of(writer, start);
    shared_put(record + RECORD_ALIGN, type);
    shared_put(record + 2 * RECORD_ALIGN, check_of(durable->id, start, record, word, durable->session << 32));
}

HOT int ring_durable_send(struct ring_durable *durable, struct ring_writer *writer, const void *data, uint64_t size,
                          int64_t type)
{
    uint64_t start = writer->tail, offset = record_checked_offset(start, size);
    if (!ring_claims_empty(&writer->claims))
        return -EBUSY;
    int r = ring_durable_room(durable, writer, size);
    if (r < 0)
        return r;
    uint64_t word = record_word(size, RECORD_MESSAGE, offset);
    copy_message(place_of(writer, start) + offset * RECORD_ALIGN, data, size);
    seal(durable, writer, start, word, (uint64_t)type);
    ring_publish(writer, start + record_extent(offset, size), word);
    return 0;
}

int ring_durable_reserve(struct ring_durable *durable, struct ring_writer *writer, uint64_t size, uint64_t *ret_claim)
{
    uint64_t start = writer->reserved, offset = record_checked_offset(start, size);
    int r = ring_durable_room(durable, writer, size);
    if (r == 0)
        r = ring_claims_push(&writer->claims, start, start + record_extent(offset, size), ret_claim);
    if (r < 0)
        return r;
    ring_claim_at(&writer->claims, *ret_claim)->offset = offset;
    writer->reserved = start + record_extent(offset, size);
    return 0;
}

/* What is not used at the end of a claim behind which others lie. */
static uint64_t skip(const struct ring_durable *durable, const struct ring_writer *writer, uint64_t start, uint64_t size)
{
    uint64_t word = record_word(size, RECORD_SKIP, size < RECORD_CHECKED ? 0 : RECORD_HEAD);
    if (size >= RECORD_CHECKED)
        seal(durable, writer, start, word, 0);
    return word;
}

/* As in writer.c, but that a skip is sealed if it has room for that. */
static void cut(const struct ring_durable *durable, struct ring_writer *writer, uint64_t number, uint64_t end)
{
    struct ring_claim *claim = ring_claim_at(&writer->claims, number);
    if (number == writer->claims.next - 1)
        writer->reserved = claim->end = end;
    else if (end == claim->start)
        claim->word = skip(durable, writer, end, claim->end - end);
    else if (end < claim->end)
        shared_put(place_of(writer, end), skip(durable, writer, end, claim->end - end));
}

int ring_durable_commit(struct ring_durable *durable, struct ring_writer *writer, uint64_t number, uint64_t used,
                        int64_t type)
{
    struct ring_claim *claim = ring_claims_find(&writer->claims, number);
    if (!claim || used > claim->end - claim->start - claim->offset * RECORD_ALIGN)
        return -EINVAL;
    claim->word = record_word(used, RECORD_MESSAGE, claim->offset);
    seal(durable, writer, claim->start, claim->word, (uint64_t)type);
    cut(durable, writer, number, claim->start + record_extent(claim->offset, used));
    return ring_settle(writer, claim);
}

int ring_durable_abort(struct ring_durable *durable, struct ring_writer *writer, uint64_t number)
{
    struct ring_claim *claim = ring_claims_find(&writer->claims, number);
    if (!claim)
        return -EINVAL;
    cut(durable, writer, number, claim->start);
    return ring_settle(writer, claim);
}

void ring_durable_abandon(struct ring_durable *durable, struct ring_writer *writer)
{
    for (uint64_t number = writer->claims.next; number > writer->claims.first; number--)
        ring_durable_abort(durable, writer, number - 1);
}

int ring_durable_mark(struct ring_durable *durable, struct ring_writer *writer, unsigned kind, uint64_t number,
                      uint64_t word)
{
    if (!ring_claims_empty(&writer->claims))
        return -EBUSY;
    int r = find_room(durable, writer, RECORD_CHECKED + RECORD_ZERO);
    if (r < 0)
        return r;
    seal(durable, writer, writer->tail, record_word(number, kind, RECORD_HEAD), word);
    ring_publish(writer, writer->tail + RECORD_CHECKED, record_word(number, kind, RECORD_HEAD));
    return 0;
}
