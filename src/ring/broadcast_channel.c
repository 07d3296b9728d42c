/* SPDX-License-Identifier: MIT */
/*
 * A broadcast as a channel: where a receiver begins in each lane, whom a sender waits for, and what there is to describe.
 * All else is that of a channel with one receiver; lanes are logs (ring/broadcast.h).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/wait.h"
#include "ring/channel.h"
#include "ring/sleep.h"

#define SETTLING 1000000 /* ns in which every store buffer has drained */

/* ---- Beginning ------------------------------------------------------------------------------------------- */

/* In its own place again, one of that name goes on in every lane, in one that began meanwhile with the first message. */
static struct ring_start resume(const struct layout_cursor *cursor)
{
    return (struct ring_start){ .head = shared_head(cursor), .resumed = true };
}

/* With the oldest, or behind what is there.  The mark is read after the floor and so is not below it. */
static struct ring_start begin(const struct layout_place *sender, bool oldest)
{
    uint64_t floor = shared_floor(sender), mark = shared_mark(sender), tail = shared_tail(sender);
    return (struct ring_start){ .head = oldest ? floor : mark, .quiet_to = oldest ? 0 : tail };
}

/* Of what a lane kept from sessions that are over, no end is told to who reads it later. */
static void write_start(struct ring_channel *channel, unsigned lane, bool oldest)
{
    const struct layout_place *sender = &channel->in.peer->places[lane];
    struct layout_cursor *cursor = &channel->member.seat->positions[lane];
    struct ring_start *start = &channel->member.start[lane];
    uint64_t session = session_number(shared_session(sender));
    *start = begin(sender, oldest);
    shared_set_head(cursor, start->head);
    shared_set_intent(cursor, start->head);
    shared_set_told(cursor, oldest && session > 0 ? session - 1 : 0);
    shared_set_count(&cursor->counts[0], UINT64_MAX, 0);
    shared_set_count(&cursor->counts[1], UINT64_MAX, 0);
}

static bool resumes(const struct ring_channel *channel)
{
    return channel->in.place.resumed && channel->member.from == FROM_LEFT;
}

/* Who goes on where it left, but was never here, has all before it. */
static void begin_lane(struct ring_channel *channel, unsigned lane)
{
    if (resumes(channel))
        channel->member.start[lane] = resume(&channel->member.seat->positions[lane]);
    else
        write_start(channel, lane, channel->member.from != FROM_END);
}

/* Aligned as in the segment, because its words are. */
static int take_seat(struct ring_channel *channel)
{
    struct ring_end *end = &channel->in;
    struct ring_member *member = &channel->member;
    if (end->own) {
        member->seat = &end->object.receivers->seats[end->place.index];
        shared_set_slow(end->place.row, (uint64_t)member->slow);
        return 0;
    }
    member->seat = aligned_alloc(_Alignof(struct layout_seat), sizeof *member->seat);
    if (!member->seat)
        return fail(-ENOMEM, "%s: out of memory", channel->base.object);
    *member->seat = (struct layout_seat){ .holds = { { 0 } } };
    return 0;
}

static int open_receiver(struct ring_channel *channel)
{
    int r = take_seat(channel);
    if (r < 0)
        return r;
    for (unsigned lane = 0; lane < LAYOUT_PLACES; lane++)
        begin_lane(channel, lane);
    if (channel->in.own)
        ring_place_name(&channel->in.place, channel->member.name);
    return 0;
}

/* What the floor has passed since is begun anew: senders did not know of us yet (R3 in ring/broadcast.h). */
static int settle_receiver(struct ring_channel *channel)
{
    int r = ring_fence_heavily() ? 0 : wait_pause(SETTLING, -1, DEADLINE_NEVER);
    if (r < 0)
        return r;
    for (unsigned lane = 0; lane < LAYOUT_PLACES && !resumes(channel); lane++)
        if ((int64_t)(shared_floor(&channel->in.peer->places[lane]) - channel->member.start[lane].head) > 0)
            begin_lane(channel, lane);
    r = ring_channel_open_receiver(channel);
    for (unsigned lane = 0; lane < LAYOUT_PLACES; lane++)
        if (!(channel->lanes.used >> lane & 1))
            channel->member.start[lane] = (struct ring_start){ .awaited = true };
    return r;
}

/* Passes over what lay behind the newest index when it came, and not over more, which a hostile sender may have put there.
 * What is left is passed over by who receives. */
static int pass_quietly(struct ring_reader *reader)
{
    struct ring_record record;
    const uint64_t most = reader->capacity / RECORD_CHUNKS / RECORD_ALIGN;
    int r = RING_PASSED;
    while (r == RING_PASSED && reader->passed < most)
        r = ring_log_next(reader, &record);
    return r;
}

/* The number of where it begins is found at once: who is overtaken before it first receives knows by how many. */
static int open_reader(struct ring_channel *channel, unsigned lane)
{
    const struct ring_end *end = &channel->in;
    struct ring_reader *reader = &channel->lanes.reader[lane];
    int r = ring_log_open_reader(reader, &channel->member.seat->positions[lane], &end->peer->places[lane],
                                 end->object.lane[lane], end->object.shape.capacity, &channel->member.start[lane]);
    reader->lossy = channel->member.slow != SLOW_WAIT;
    if (r == 0)
        r = pass_quietly(reader);
    return r < 0 && r != -EAGAIN ? ring_channel_contradictory(end, r) : 0;
}

void ring_broadcast_leave(struct ring_channel *channel)
{
    if (channel->in.open && !channel->in.own)
        free(channel->member.seat);
}

/* ---- Sending --------------------------------------------------------------------------------------------- */

static int open_writer(struct ring_channel *channel, unsigned lane)
{
    struct ring_end *end = &channel->out;
    struct ring_log *log = &channel->log;
    *log = (struct ring_log){ .receivers = end->object.receivers, .lane = lane, .fences = end->fences };
    int r = ring_log_open_writer(&channel->writer, log, end->place.row, end->object.lane[lane], end->object.shape.capacity);
    return r < 0 ? ring_channel_contradictory(end, r) : 0;
}

/* Forgets receivers that died: nobody waits for them any more.  1: there was one. */
static int ask_receivers(struct ring_channel *channel)
{
    const struct ring_end *end = &channel->out;
    int found = 0;
    for (uint64_t rest = shared_used(end->peer) & LAYOUT_EVERY_PLACE; rest; rest &= rest - 1) {
        unsigned place = (unsigned)__builtin_ctzll(rest);
        uint64_t word = shared_session(&end->peer->places[place]), number = session_number(word);
        if (session_state(word) != SESSION_OPEN || number == channel->log.gone[place])
            continue;
        int r = ring_end_peer_died(end, place, word);
        if (r < 0)
            return r;
        if (r == 0)
            continue;
        channel->log.gone[place] = number;
        found = 1;
    }
    return found;
}

/* ---- Describing ------------------------------------------------------------------------------------------ */

/* Bytes of a lane behind a position that is a receiver's, or the floor. */
static uint64_t depth_behind(uint64_t tail, uint64_t position, uint64_t capacity)
{
    return (int64_t)(tail - position) < 0 ? 0 : tail - position < capacity ? tail - position : capacity;
}

/* To a receiver what it has not seen; to a sender what is kept.  May run beside a call, so it reads shared words and what
 * never changes; the head that a receiver has in private memory is not one of them where it is behind. */
static int describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    const struct ring_end *end = channel->in.open ? &channel->in : &channel->out;
    const struct layout_control *senders = end->object.senders;
    uint64_t used = shared_used(senders), capacity = end->object.shape.capacity;
    ret->largest = record_largest_logged(capacity);
    ret->capacity = capacity;
    ret->depth = 0;
    for (unsigned lane = 0; lane < LAYOUT_PLACES; lane++) {
        const struct layout_place *sender = &senders->places[lane];
        uint64_t from = channel->in.open ? shared_head(&channel->member.seat->positions[lane]) : shared_floor(sender);
        ret->depth += used >> lane & 1 ? depth_behind(shared_tail(sender), from, capacity) : 0;
    }
    return 0;
}

const struct ring_delivery ring_delivery_broadcast = {
    .facet = {
        .variant = "deliver=broadcast",
        .identity = TONG_IDENTITY_CLAIMED,
        .shape = TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS | TONG_HAS_MANY_RECEIVERS,
        .send = ring_channel_send,
        .receive = ring_channel_receive,
        .send_batch = ring_channel_send_batch,
        .receive_batch = ring_channel_receive_batch,
        .reserve = ring_channel_reserve,
        .commit = ring_channel_commit,
        .abort = ring_channel_abort,
        .peek = ring_channel_peek,
        .release = ring_channel_release,
        .finish = ring_channel_finish,
        .pollfd = ring_channel_pollfd,
        .cancel = ring_channel_cancel,
        .peer = ring_channel_peer,
        .describe = describe,
        .close = ring_channel_close,
    },
    .open_receiver = open_receiver,
    .open_sender = ring_channel_open_sender,
    .settle_receiver = settle_receiver,
    .open_reader = open_reader,
    .open_writer = open_writer,
    .ask_receivers = ask_receivers,
};
