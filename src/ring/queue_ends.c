/* SPDX-License-Identifier: MIT */
#include "ring/queue_ends.h"

#include <errno.h>

void ring_queue_announce(struct ring_channel *channel, const struct queue_record *mark)
{
    uint64_t number;
    if (record_kind(mark->word) == RECORD_DIED && ring_queue_is_next(channel->queue, mark) &&
        ring_lanes_ended_session(channel, mark->lane, (uint32_t)record_length(mark->word), &number) == 0)
        shared_raise_died(queue_cursor(channel->queue, mark->lane), number);
}

int ring_queue_read_mark(struct ring_channel *channel, const struct queue_record *mark, uint64_t length)
{
    unsigned kind = record_kind(mark->word), lane = mark->lane;
    uint64_t number;
    if (kind == RECORD_LOST)
        ring_channel_lose(channel, length);
    if (kind != RECORD_END && kind != RECORD_DIED)
        return RING_PASSED;
    int r = ring_lanes_ended_session(channel, lane, (uint32_t)length, &number);
    if (r == 0)
        shared_raise_told(queue_cursor(channel->queue, lane), number);
    return r < 0 ? r : RING_PASSED;
}

int ring_queue_end_of(struct ring_channel *channel, unsigned lane, bool ask, uint64_t *ret_number)
{
    const struct layout_cursor *cursor = queue_cursor(channel->queue, lane);
    uint64_t before = channel->lanes.told[lane];
    *ret_number = shared_told(cursor);
    return *ret_number > before ? -ENODATA : ring_lanes_sender_gone(channel, lane, ask, ret_number);
}

/* A death is not covered by an orderly end.  It may be of an earlier session than that, which is asked behind a look at the
 * claim.  Others learn of the death first. */
static void note_end(struct ring_channel *channel, unsigned lane, uint64_t number, int end)
{
    struct layout_cursor *cursor = queue_cursor(channel->queue, lane);
    if (end == -ECONNRESET)
        shared_raise_died(cursor, number);
    shared_raise_told(cursor, number);
    if (shared_died(cursor) > channel->lanes.told[lane])
        end = -ECONNRESET;
    channel->lanes.told[lane] = number;
    if (!channel->reconnect && channel->lanes.owed != -ECONNRESET)
        channel->lanes.owed = end;
}

int ring_queue_find_ends(struct ring_channel *channel, bool ask, bool take)
{
    int found = 0;
    for (uint64_t rest = channel->lanes.used; rest; rest &= rest - 1) {
        unsigned lane = queue_lowest(rest);
        uint64_t number;
        int end = ring_queue_end_of(channel, lane, ask, &number);
        if (end < 0 && end != -ENODATA && end != -ECONNRESET)
            return end;
        if (end >= 0 || (take && ring_queue_waits(channel->queue, lane)))
            continue;
        found++;
        if (take)
            note_end(channel, lane, number, end);
    }
    return found;
}
