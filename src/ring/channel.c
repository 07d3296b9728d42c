/* SPDX-License-Identifier: MIT */
/*
 * A channel in mapped memory: a ring in files that have a name (object.c), with a sender's and a receiver's place
 * (end.c).  In which directory, and under which names, is the mechanism's.
 *
 * After opening, the kernel is asked for nothing while both ends are awake: an end that must wait sleeps on the
 * other's cursor, and after a while on its bell (channel_wait.c).  A sender begins a session when it opens and ends it
 * when it finishes or closes (channel_send.c); the receiver is told where one ends (channel_receive.c).
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/detail.h"
#include "ring/channel.h"

int ring_channel_damaged(const struct ring_end *end)
{
    if (ring_end_is_cut(end))
        return ring_end_cut(end);
    return fail(-EBADMSG, "%s is damaged: the other end wrote what cannot be; remove it and begin again",
                end->object.path);
}

int ring_channel_contradictory(const struct ring_end *end, int error)
{
    if (error == -EBADMSG)
        return fail(-EPROTO, "%s is damaged: its cursors contradict each other; remove it", end->object.path);
    return fail(error, "%s: out of memory", end->object.path);
}

int ring_channel_bad_token(const struct conduit *conduit)
{
    return fail(-EINVAL, "%s: the token was given back already, or is used for more than was reserved",
                conduit->object);
}

/* ---- Questions and cancelling ---------------------------------------------------------------------------- */

int ring_channel_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct ring_end *end = ring_end_of((struct ring_channel *)conduit, direction);
    int r = ring_bell_is_open(&end->bell) ? 0 : ring_end_open_bell(end);
    *ret = (struct pollfd){ end->bell.epoll_fd, POLLIN, 0 };
    return r;
}

/* Async-signal-safe: two system calls an end. */
int ring_channel_cancel(struct conduit *conduit)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    ring_end_disturb(&channel->in);
    ring_end_disturb(&channel->out);
    return 0;
}

/* The first who is there. */
int ring_channel_peer(struct conduit *conduit, tong_identity *ret)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    const struct ring_end *end = channel->in.open ? &channel->in : &channel->out;
    for (unsigned place = 0; place < LAYOUT_PLACES; place++) {
        const struct layout_place *row = &end->peer->places[place];
        int held = session_state(shared_session(row)) == SESSION_OPEN ? ring_place_held(end->peer_fd, place) : 0;
        if (held > 0)
            ring_place_identity(row, ret);
        if (held != 0)
            return held < 0 ? held : 0;
    }
    return fail(-ENOTCONN, "%s: nobody is at the other end now", conduit->object);
}

/* May run beside a call in either direction, so it reads shared words and what never changes. */
int ring_channel_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    const struct ring_end *end = channel->out.open ? &channel->out : &channel->in;
    const struct ring_object *object = &end->object;
    uint64_t used = shared_used(object->senders);
    ret->largest = record_largest(object->shape.capacity);
    ret->capacity = object->shape.capacity;
    ret->depth = 0;
    for (unsigned lane = 0; lane < LAYOUT_PLACES; lane++) {
        const struct layout_cursor *cursor = &object->receivers->cursors[lane];
        uint64_t head = object->shape.deliver == LAYOUT_QUEUE ? shared_claim(cursor) : shared_head(cursor);
        uint64_t depth = used >> lane & 1 ? shared_tail(&object->senders->places[lane]) - head : 0;
        ret->depth += depth <= object->shape.capacity ? depth : 0;
    }
    return 0;
}

/* ---- Closing --------------------------------------------------------------------------------------------- */

int ring_channel_close(struct conduit *conduit, bool forked)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    int r = 0;
    if (!forked && channel->out.announced && !conduit->finished) {
        ring_abandon(&channel->writer);
        r = ring_channel_finish(conduit, DEADLINE_NOW);
    }
    ring_queue_close(channel, forked);
    if (!forked && channel->in.announced) {
        ring_place_close(&channel->in.place);
        ring_end_tell(&channel->in);
    }
    ring_end_close(&channel->out, channel->remove, forked);
    ring_end_close(&channel->in, channel->remove, forked);
    ring_writer_close(&channel->writer);
    ring_channel_close_lanes(channel);
    ring_broadcast_leave(channel);
    conduit_free(conduit);
    return r;
}

/* ---- Ways to deliver ------------------------------------------------------------------------------------- */

const struct ring_delivery ring_delivery_one = {
    .facet = {
        .variant = "",
        .identity = TONG_IDENTITY_CLAIMED,
        .shape = TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS,
        .late_deadlines = true,
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
        .describe = ring_channel_describe,
        .close = ring_channel_close,
    },
    .open_receiver = ring_channel_open_receiver,
    .open_sender = ring_channel_open_sender,
    .open_reader = ring_channel_open_reader,
    .open_writer = ring_channel_open_writer,
    .ask_receivers = ring_channel_ask_receivers,
};

static const struct ring_delivery *const deliveries[] = {
    [LAYOUT_ONE] = &ring_delivery_one,
    [LAYOUT_QUEUE] = &ring_delivery_queue,
    [LAYOUT_BROADCAST] = &ring_delivery_broadcast,
};

const struct channel_facet *const ring_channel_variants[] = { &ring_delivery_one.facet, &ring_delivery_queue.facet,
                                                              &ring_delivery_broadcast.facet, NULL };
const struct channel_facet *const ring_channel_durable_variants[] = { &ring_delivery_one.facet, &ring_delivery_queue.facet,
                                                                      &ring_delivery_broadcast.facet,
                                                                      &ring_delivery_durable.facet, NULL };

static const struct ring_delivery *delivery_of(const struct layout_shape *shape)
{
    bool durable = shape->features & LAYOUT_DURABLE;
    return !durable ? deliveries[shape->deliver] : shape->deliver == LAYOUT_ONE ? &ring_delivery_durable : NULL;
}

/* Both directions are delivered in one way. */
static int choose_delivery(struct ring_channel *channel)
{
    const struct ring_end *first = channel->in.open ? &channel->in : &channel->out;
    channel->delivery = channel->home->delivery ? channel->home->delivery : delivery_of(&first->object.shape);
    bool both = channel->in.open && channel->out.open && !channel->home->delivery;
    if (both && delivery_of(&channel->out.object.shape) != channel->delivery)
        return fail(-EINVAL, "%s and %s deliver in different ways, or only one is durable: open each by itself",
                    channel->in.object.path, channel->out.object.path);
    if (!channel->delivery)
        return fail(-EOPNOTSUPP, "%s was made to be durable and to deliver to several, which do not go together: remove it",
                    first->object.path);
    channel->base.facet = &channel->delivery->facet;
    channel->is_durable = channel->delivery == &ring_delivery_durable;
    return 0;
}

/* ---- Opening --------------------------------------------------------------------------------------------- */

static int open_ends(struct ring_channel *channel, const struct address *address)
{
    const char *to = address->second ? address->second : address->name;
    int r = 0;
    if (channel->base.flags & TONG_RECEIVE)
        r = ring_end_open(&channel->in, channel->home, address, address->name, false);
    if (r == 0 && channel->base.flags & TONG_SEND)
        r = ring_end_open(&channel->out, channel->home, address, to, true);
    return r;
}

/* Nobody is told of the first end before the second one is open too: if that fails, there was none. */
int ring_channel_begin(struct ring_channel *channel, const struct address *address)
{
    int r = open_ends(channel, address);
    if (r == 0)
        r = choose_delivery(channel);
    if (r == 0 && channel->in.open)
        r = channel->delivery->open_receiver(channel);
    if (r == 0 && channel->out.open)
        r = channel->delivery->open_sender(channel);
    if (r < 0)
        return r;
    if (channel->in.open)
        ring_end_announce(&channel->in);
    if (channel->out.open)
        ring_end_announce(&channel->out);
    if (channel->in.object.created || channel->out.object.created)
        channel->base.flags |= TONG_INFO_CREATED;
    return channel->in.open && channel->delivery->settle_receiver ? channel->delivery->settle_receiver(channel) : 0;
}

static int check_names(const struct ring_home *home, const struct open_request *request)
{
    bool both = (request->flags & TONG_BOTH) == TONG_BOTH;
    if (both && !request->address->second)
        return fail(-EOPNOTSUPP, "%s goes one way: name two channels, %s:IN,OUT, for both", request->address->text,
                    home->scheme);
    if (!both && request->address->second)
        return fail(-EINVAL, "%s names two channels, but only one direction is opened", request->address->text);
    return 0;
}

static int check_options(const struct open_request *request)
{
    const int64_t *value = request->address->value;
    if (value[OPTION_READONLY] && request->flags & TONG_SEND)
        return fail(-EINVAL, "%s: readonly=yes only receives", request->address->text);
    if (value[OPTION_FROM] == FROM_LEFT && !value[OPTION_AS])
        return fail(-EINVAL, "%s: from=left is for a receiver that has a name: add as=NAME", request->address->text);
    if (value[OPTION_READONLY] && (value[OPTION_AS] || value[OPTION_SLOW] == SLOW_WAIT) &&
        (address_given(request->address, OPTION_AS) || address_given(request->address, OPTION_SLOW)))
        return fail(-EINVAL, "%s: readonly=yes leaves no trace, so senders cannot wait for it, and it has no name",
                    request->address->text);
    return 0;
}

static void choose(struct ring_channel *channel, const struct address *address)
{
    channel->remove = address->value[OPTION_REMOVE];
    channel->reconnect = address->value[OPTION_RECONNECT];
    channel->syncs = address->value[OPTION_SYNC];
    channel->member.from = address->value[OPTION_FROM];
    channel->member.slow = address->value[OPTION_SLOW];
    if (address->value[OPTION_READONLY] && channel->member.slow == SLOW_WAIT)
        channel->member.slow = SLOW_SKIP;
    channel->member.name = (uint64_t)address->value[OPTION_AS];
}

int ring_channel_open(const struct ring_home *home, const struct open_request *request, struct conduit **ret)
{
    const struct address *address = request->address;
    char object[2 * RING_PATH_MAX + ADDRESS_SCHEME_MAX + 4];
    int r = check_names(home, request);
    if (r == 0)
        r = check_options(request);
    if (r < 0)
        return r;
    snprintf(object, sizeof object, "%s:%s%s%s", home->scheme, address->name, address->second ? "," : "",
             address->second ? address->second : "");
    struct conduit *conduit;
    r = conduit_new(request, &ring_delivery_one.facet, sizeof(struct ring_channel), object, &conduit);
    if (r < 0)
        return r;
    struct ring_channel *channel = (struct ring_channel *)conduit;
    channel->home = home;
    choose(channel, address);
    conduit->flags |= TONG_INFO_FRAMED;
    r = ring_channel_begin(channel, address);
    if (r == 0)
        *ret = conduit;
    else
        ring_channel_close(conduit, false);
    return r;
}

int ring_channel_remove(const struct ring_home *home, const struct address *address)
{
    int r = ring_object_remove(home, address->name);
    int second = address->second ? ring_object_remove(home, address->second) : 0;
    return r < 0 ? r : second;
}

#define OPTIONS \
    { OPTION_MODE, 0600, 0, 0666, 0 }, \
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 }, \
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 0 }, \
    { OPTION_CAPACITY, 4 << 20, (int64_t)LAYOUT_CAPACITY_LOW, (int64_t)LAYOUT_CAPACITY_HIGH, 0 }, \
    { OPTION_FULL, FULL_WAIT, 0, 0, 0 }, \
    { OPTION_RECONNECT, 0, 0, 0, 0 }, \
    { OPTION_DELIVER, DELIVER_QUEUE, 0, 0, 0 }, \
    { OPTION_RECEIVERS, 1, 1, LAYOUT_PLACES, 0 }, \
    { OPTION_SLOW, SLOW_WAIT, 0, 0, 0 }, \
    { OPTION_FROM, FROM_END, 0, 0, 0 }, \
    { OPTION_AS, 0, 0, 0, 0 }, \
    { OPTION_READONLY, 0, 0, 0, 0 }

const struct option_use ring_channel_options[] = { OPTIONS, OPTIONS_END };

const struct option_use ring_channel_durable_options[] = {
    OPTIONS,
    { OPTION_DURABLE, 0, 0, 0, 0 },
    { OPTION_SYNC, 0, 0, 0, 0 },
    OPTIONS_END
};

uint64_t ring_channel_largest(const char *source)
{
    (void)source;
    return record_largest(LAYOUT_CAPACITY_HIGH);
}

uint64_t ring_channel_places(const char *source)
{
    (void)source;
    return LAYOUT_PLACES;
}
