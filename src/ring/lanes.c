/* SPDX-License-Identifier: MIT */
/* What all have in common that receive from lanes: whether there is time for more, and ends. */
#include <errno.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/number.h"
#include "core/wait.h"
#include "ring/channel.h"

#define PASSING 5000000     /* ns for which a call that may not block passes over what is no message */
#define LAPS 32             /* of a lane, without a message and without an end, that nobody writes in good faith */

/* ---- Time ------------------------------------------------------------------------------------------------ */

/* Who polls without blocking asks once a tick of the coarse clock; who polls a descriptor was woken for it, perhaps. */
bool ring_lanes_may_ask(struct ring_channel *channel, int last, int64_t deadline)
{
    if (deadline != DEADLINE_NOW || ring_bell_is_open(&channel->in.bell))
        return last != WAIT_MOVED;
    int64_t tick = clock_coarse();
    bool ask = tick != channel->lanes.asked;
    channel->lanes.asked = tick;
    return ask;
}

int ring_lanes_look_on(struct ring_channel *channel, int64_t deadline, int64_t *until)
{
    struct ring_lanes *lanes = &channel->lanes;
    if (lanes->passed - lanes->asked_at < RING_RUN)
        return 0;
    lanes->asked_at = lanes->passed;
    ring_lanes_close_fast_path(lanes);
    if (lanes->passed - lanes->clear > LAPS * channel->in.object.shape.capacity / RECORD_MARK)
        return -EBADMSG;
    if (deadline != DEADLINE_NOW)
        return wait_may_look_on(&channel->base.cancelled, deadline);
    *until = *until ? *until : clock_now() + PASSING;
    return deadline_left(*until) == 0 ? wait_expired(deadline) : 0;
}

/* ---- Ends ------------------------------------------------------------------------------------------------ */

int ring_lanes_sender_gone(struct ring_channel *channel, unsigned lane, bool ask, uint64_t *ret_number)
{
    uint64_t word = shared_session(&channel->in.peer->places[lane]);
    *ret_number = session_number(word);
    if (*ret_number <= channel->lanes.told[lane])
        return 0;
    if (session_state(word) == SESSION_CLOSED)
        return -ENODATA;
    int r = session_state(word) == SESSION_OPEN && ask ? ring_end_peer_died(&channel->in, lane, word) : 0;
    return r > 0 ? -ECONNRESET : r < 0 ? r : session_state(word) == SESSION_OPEN;
}

int ring_lanes_ended_session(const struct ring_channel *channel, unsigned lane, uint32_t mark, uint64_t *ret_number)
{
    uint64_t newest = session_number(shared_session(&channel->in.peer->places[lane]));
    *ret_number = newest - (uint32_t)(newest - mark);
    return *ret_number > newest ? -EBADMSG : 0;
}

/* From now on that is what a receive gives. */
int ring_lanes_tell_end(struct ring_channel *channel)
{
    channel->lanes.ended = channel->lanes.owed;
    ring_lanes_close_fast_path(&channel->lanes);
    if (ring_bell_is_open(&channel->in.bell))
        ring_bell_ring_self(&channel->in.bell);
    return channel->lanes.ended;
}

/* The next message tells of them; who only watches has no place to write it down. */
void ring_channel_lose(struct ring_channel *channel, uint64_t messages)
{
    channel->lanes.lost += messages;
    if (channel->in.own)
        shared_add_lost(channel->in.place.row, messages);
}

int ring_lanes_ended(const struct ring_channel *channel)
{
    if (channel->lanes.ended == -ENODATA)
        return fail_static(-ENODATA, "the sender has finished");
    if (channel->lanes.ended == -EOVERFLOW)
        return fail(-EOVERFLOW, "%s: this receiver was overtaken by %llu message%s, and slow=drop: open it again, or use "
                    "slow=skip or slow=wait", channel->base.object, (unsigned long long)channel->lanes.lost,
                    plural(channel->lanes.lost, "", "s"));
    if (channel->lanes.outage > 1)
        return fail(channel->lanes.ended, "%s: the machine stopped before the sender had finished: what it had sent and not "
                    "synced is lost, at least %llu bytes", channel->base.object,
                    (unsigned long long)channel->lanes.outage - 1);
    if (channel->lanes.outage)
        return fail(channel->lanes.ended, "%s: the machine stopped before the sender had finished: what it had sent and not "
                    "synced may be lost", channel->base.object);
    return fail(channel->lanes.ended, "%s: the sender died without finishing", channel->base.object);
}
