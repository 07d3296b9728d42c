/* SPDX-License-Identifier: MIT */
/*
 * How far receivers have come.  Those of a broadcast each have a position in every lane; where the number of the next
 * message is known at both ends, so is how many lie between.  A receiver's number stands beside its head.  A lane's is in
 * the index that its mark names, and behind that its records are counted, as far as a bounded read goes.  What is read may
 * be overwritten meanwhile, and its writers may be hostile: each word is checked, and the floor is asked afterwards.
 *
 * Else receivers share a position, and what one has in hand is what its holds cover.
 */
#include "inspect/channel.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

#define READ_MOST (UINT64_C(1) << 20) /* of a lane */

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* ---- Counting ------------------------------------------------------------------------------------------------- */

/* Bytes of a record with this word, and how many messages it stands for; 0: it is none. */
static uint64_t record_step(uint64_t word, uint64_t *ret_messages)
{
    uint64_t length = record_length(word), offset = record_offset(word);
    unsigned kind = record_kind(word);
    *ret_messages = kind == RECORD_MESSAGE ? 1 : kind == RECORD_LOST ? length : 0;
    switch (kind) {
    case RECORD_MESSAGE:
        return offset - 1 < RECORD_OFFSET_MOST ? record_extent(offset, length) : 0;
    case RECORD_SKIP:
        return offset || length % RECORD_ALIGN ? 0 : length;
    case RECORD_INDEX:
        return offset || length ? 0 : RECORD_INDEX_SIZE;
    case RECORD_END:
    case RECORD_DIED:
    case RECORD_LOST:
        return offset ? 0 : RECORD_MARK;
    default:
        return 0;
    }
}

/* Messages in `size` bytes of whole records, added to *ret; false: they are none. */
static bool count(const unsigned char *bytes, uint64_t size, uint64_t *ret)
{
    for (uint64_t at = 0, extent, messages; at < size; at += extent) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        extent = size - at < sizeof word ? 0 : record_step(word, &messages);
        if (extent == 0 || extent > size - at)
            return false;
        *ret += messages;
    }
    return true;
}

static bool read_lane(int fd, const struct layout_header *header, unsigned lane, uint64_t position, void *ret,
                      uint64_t size)
{
    uint64_t capacity = header->capacity, at = position & (capacity - 1), until_edge = capacity - at;
    uint64_t first = size < until_edge ? size : until_edge, begins = header->data_offset + lane * capacity;
    return sys_pread(fd, ret, first, (off_t)(begins + at)) == (ssize_t)first &&
           sys_pread(fd, (char *)ret + first, size - first, (off_t)begins) == (ssize_t)(size - first);
}

static uint64_t floor_now(int fd, unsigned lane)
{
    uint64_t floor = UINT64_MAX;
    size_t at = offsetof(struct layout_control, places) + lane * sizeof(struct layout_place) +
                offsetof(struct layout_place, floor);
    return sys_pread(fd, &floor, sizeof floor, (off_t)at) == sizeof floor ? floor : UINT64_MAX;
}

/* The number of the next message behind the tail.  Position 0 counts as an index of number 0. */
static bool number_at_tail(int fd, const struct layout_control *senders, unsigned lane, uint64_t *ret)
{
    const struct layout_place *sender = &senders->places[lane];
    uint64_t mark = load(&sender->mark), tail = load(&sender->tail), size = tail - mark, index[2];
    if (size > READ_MOST || size > senders->header.capacity || (mark | tail) & (RECORD_ALIGN - 1))
        return false;
    *ret = 0;
    if (mark != 0) {
        if (size < sizeof index || !read_lane(fd, &senders->header, lane, mark, index, sizeof index) ||
            index[0] != record_word(0, RECORD_INDEX, 0))
            return false;
        *ret = index[1];
    }
    unsigned char *bytes = malloc(size + 1);
    bool counted = bytes && read_lane(fd, &senders->header, lane, mark, bytes, size) && count(bytes, size, ret) &&
                   floor_now(fd, lane) <= mark;
    free(bytes);
    return counted;
}

struct channel_progress channel_begin(int senders_fd, const struct layout_control *senders,
                                      const struct layout_control *receivers)
{
    struct channel_progress progress = { .senders = senders, .receivers = (const struct layout_receivers *)receivers };
    bool plain = senders->header.deliver == LAYOUT_BROADCAST && !(senders->header.features & LAYOUT_DURABLE);
    uint64_t used = plain ? load(&senders->used) : 0;
    for (unsigned lane = 0; lane < LAYOUT_PLACES; lane++)
        progress.counted[lane] = used >> lane & 1 &&
                                 number_at_tail(senders_fd, senders, lane, &progress.number[lane]);
    return progress;
}

/* ---- A receiver ------------------------------------------------------------------------------------------------ */

/* The number of the next message at the head, of the one of two that has it; TONG_UNKNOWN. */
static uint64_t number_at_head(const struct layout_cursor *cursor, uint64_t head)
{
    for (unsigned i = 0; i < 2; i++)
        if (load(&cursor->counts[i].position) == head)
            return load(&cursor->counts[i].number);
    return head == 0 ? 0 : TONG_UNKNOWN;
}

/* The tail may be one publication behind. */
static uint64_t bytes_left(const struct channel_progress *progress, unsigned lane, uint64_t head)
{
    uint64_t left = load(&progress->senders->places[lane].tail) - head;
    return left > INT64_MAX ? 0 : left;
}

static void add_lane(const struct channel_progress *progress, unsigned place, unsigned lane, tong_end *ret)
{
    const struct layout_cursor *cursor = &progress->receivers->seats[place].positions[lane];
    uint64_t head = load(&cursor->head), left = bytes_left(progress, lane, head);
    uint64_t before = number_at_head(cursor, head), messages = progress->number[lane] - before;
    bool counted = left == 0 || (progress->counted[lane] && before != TONG_UNKNOWN && messages <= progress->number[lane]);
    ret->behind += left;
    if (!counted)
        ret->messages_behind = TONG_UNKNOWN;
    else if (ret->messages_behind != TONG_UNKNOWN)
        ret->messages_behind += left ? messages : 0;
}

static uint64_t bytes_in_hand(const struct layout_seat *seat)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < LAYOUT_HOLDS; i++)
        bytes += hold_bytes(load(&seat->holds[i].what));
    return bytes;
}

void channel_progress(const struct channel_progress *progress, unsigned place, tong_end *ret)
{
    if (!progress->receivers)
        return;
    uint64_t used = load(&progress->senders->used);
    unsigned deliver = progress->senders->header.deliver;
    ret->flags |= TONG_END_COUNTED;
    ret->lost = load(&progress->receivers->control.places[place].lost);
    ret->messages_behind = deliver == LAYOUT_BROADCAST ? 0 : TONG_UNKNOWN;
    if (deliver == LAYOUT_QUEUE)
        ret->behind = bytes_in_hand(&progress->receivers->seats[place]);
    for (unsigned lane = 0; lane < LAYOUT_PLACES; lane++)
        if (used >> lane & 1 && deliver == LAYOUT_BROADCAST)
            add_lane(progress, place, lane, ret);
        else if (used >> lane & 1 && deliver == LAYOUT_ONE)
            ret->behind += bytes_left(progress, lane, load(&progress->receivers->cursors[lane].head));
}
