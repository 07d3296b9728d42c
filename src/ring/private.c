/* SPDX-License-Identifier: MIT */
/*
 * Until the two have met, zeros lie where the other side's segment will be mapped: a side of which nobody has ever taken a
 * place.  So all above behaves as in a named channel to which the other side has not come yet: a sender fills its lane, a
 * receiver waits.  Each direction maps the real one over the zeros by itself, in a call of its own (ring_end_meet()), so
 * that nobody else reads what changes by that.
 *
 * There is no name by which a third could come.  So a receiver that has left in order is missed here: -EPIPE.
 */
#include "ring/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "ring/channel.h"
#include "ring/meeting.h"
#include "ring/sealed.h"
#include "sys/sys.h"

struct private_channel {
    struct ring_channel base;
    struct ring_meeting meeting;
};

static struct ring_meeting *meeting_of(const struct conduit *conduit)
{
    return &((struct private_channel *)(uintptr_t)conduit)->meeting;
}

/* ---- Objects --------------------------------------------------------------------------------------------- */

static struct ring_meeting *meeting_with(const struct ring_object *object)
{
    return (struct ring_meeting *)(uintptr_t)object->home;
}

/* Open both ways, so that it never hangs up; what is given away is another description. */
static int make_pipe(const char *object, int *ret_own, int *ret_given)
{
    int fds[2];
    int r = sys_pipe(fds);
    if (r < 0)
        return fail_call(r, "%s: pipe", object);
    r = sys_fchmod(fds[0], 0666); /* for a peer of another user; it has no name */
    if (r < 0)
        r = fail_call(r, "%s: fchmod", object);
    if (r == 0)
        r = *ret_own = ring_sealed_open_again(fds[0], O_RDWR | O_NONBLOCK);
    if (r >= 0)
        r = *ret_given = ring_sealed_open_again(fds[0], O_WRONLY | O_NONBLOCK);
    sys_close(fds[0]);
    sys_close(fds[1]);
    return r < 0 ? r : 0;
}

static int map_control(const struct ring_object *object, int fd, uint32_t kind, void **ret)
{
    int r, flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    *ret = sys_mmap(layout_control_size(kind), fd < 0 ? PROT_READ : PROT_READ | PROT_WRITE, flags, fd, 0, &r);
    return *ret ? 0 : fail_call(r, "%s: mmap", object->path);
}

/* Both sides' control areas: ours, and zeros. */
static int map(struct ring_object *object)
{
    void *memory = NULL;
    int r = map_control(object, object->senders_fd, LAYOUT_KIND_SENDERS, &memory);
    object->senders = memory;
    if (r < 0)
        return r;
    r = map_control(object, object->receivers_fd, LAYOUT_KIND_RECEIVERS, &memory);
    object->receivers = memory;
    return r;
}

static int make_side(struct ring_meeting *meeting, struct ring_object *object, bool sender)
{
    unsigned segment = sender ? HAND_SENDERS : HAND_RECEIVERS, pipe = sender ? HAND_ROOM : HAND_BELL;
    uint32_t kind = sender ? LAYOUT_KIND_SENDERS : LAYOUT_KIND_RECEIVERS;
    int *fd = sender ? &object->senders_fd : &object->receivers_fd;
    ring_meeting_forget(meeting, segment); /* of a try that failed */
    ring_meeting_forget(meeting, pipe);
    int r = *fd = ring_sealed_make(object->path, kind, &object->shape, sender);
    if (r >= 0)
        r = map(object);
    if (r == 0 && sender)
        r = ring_object_map_lane(object, 0, true);
    if (r == 0)
        r = meeting->ours[segment] = ring_sealed_seal(object->path, *fd);
    if (r >= 0)
        r = make_pipe(object->path, sender ? &object->room_fd : &object->bell_fd, &meeting->ours[pipe]);
    return r;
}

static int open_side(const struct ring_home *home, const struct address *address, const char *name, bool sender,
                     struct ring_object *ret)
{
    struct ring_meeting *meeting = (struct ring_meeting *)(uintptr_t)home;
    (void)name;
    *ret = ring_object_closed;
    ret->home = home;
    strcpy(ret->path, meeting->object);
    ret->shape = (struct layout_shape){
        .capacity = ring_shape_rounded((uint64_t)address->value[OPTION_CAPACITY]), .deliver = LAYOUT_ONE, .receivers = 1,
    };
    int r = sys_getrandom(&ret->shape.id, sizeof ret->shape.id);
    if (r < (int)sizeof ret->shape.id)
        return fail_call(r < 0 ? r : -EIO, "getrandom");
    r = make_side(meeting, ret, sender);
    if (r == 0)
        ret->meeting_fd = meeting->epoll_fd;
    else
        ring_object_close(ret);
    return r;
}

static int is_named(const struct ring_object *object)
{
    (void)object;
    return 1;
}

static int no_fifo(const struct ring_object *object, bool sender, unsigned place)
{
    (void)sender;
    return fail(-EBADMSG, "%s: the other end says that it has a place %u, and there is one", object->path, place);
}

static int nothing_to_remove(const struct ring_object *object)
{
    (void)object;
    return 0;
}

static int gone(const struct ring_object *object, bool sender)
{
    if (object->meeting_fd >= 0)
        return 0;
    return sender ? fail(-EPIPE, "%s: the receiver has left, and nobody else can come: open it again", object->path)
                  : fail(-ECONNRESET, "%s: the sender died before it began", object->path);
}

static int will_not_come(const struct ring_object *object, bool sender)
{
    return ring_meeting_refusal(meeting_with(object), sender);
}

static void take(int *hand, int *ret)
{
    *ret = *hand;
    *hand = -1;
}

static int map_theirs(struct ring_meeting *meeting, struct ring_object *object, bool sender)
{
    uint32_t kind = sender ? LAYOUT_KIND_RECEIVERS : LAYOUT_KIND_SENDERS;
    void *there = sender ? (void *)object->receivers : (void *)object->senders;
    int r = sys_mmap_over(there, layout_control_size(kind), meeting->theirs[sender ? HAND_RECEIVERS : HAND_SENDERS]);
    if (r < 0)
        return fail_call(r, "%s: mmap", object->path);
    take(&meeting->theirs[sender ? HAND_RECEIVERS : HAND_SENDERS], sender ? &object->receivers_fd : &object->senders_fd);
    take(&meeting->theirs[sender ? HAND_BELL : HAND_ROOM], sender ? &object->bell_fd : &object->room_fd);
    if (!sender)
        object->shape = meeting->shape;
    object->meeting_fd = -1;
    return 1;
}

static int meet(struct ring_object *object, bool sender)
{
    struct ring_meeting *meeting = meeting_with(object);
    int r = ring_meeting_look(meeting);
    if (r < 0 && meeting->state < 0) {
        atomic_store_explicit(&object->cut, true, memory_order_relaxed);
        return ring_meeting_refusal(meeting, sender);
    }
    if (r <= 0)
        return r;
    pthread_mutex_lock(&meeting->lock);
    r = map_theirs(meeting, object, sender);
    pthread_mutex_unlock(&meeting->lock);
    return r;
}

static const struct ring_objects objects = {
    .open = open_side, .named = is_named, .open_fifo = no_fifo, .make_fifo = no_fifo, .gone = gone, .cut = will_not_come,
    .meet = meet, .remove_ours = nothing_to_remove, .remove_unused = nothing_to_remove,
};

/* ---- What differs from a named channel ------------------------------------------------------------------- */

static int receiver_left(struct conduit *conduit)
{
    const struct ring_end *end = &((struct ring_channel *)conduit)->out;
    if (__builtin_expect(session_state(shared_session(&end->peer->places[0])) != SESSION_CLOSED, 1))
        return 0;
    return gone(&end->object, true);
}

HOT static int private_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    int r = receiver_left(conduit);
    return r < 0 ? r : ring_channel_send(conduit, out, deadline);
}

HOT static ssize_t private_send_batch(struct conduit *conduit, const tong_batch *batch, size_t count, int64_t deadline)
{
    int r = receiver_left(conduit);
    return r < 0 ? r : ring_channel_send_batch(conduit, batch, count, deadline);
}

HOT static int private_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret)
{
    int r = receiver_left(conduit);
    return r < 0 ? r : ring_channel_reserve(conduit, size, deadline, ret);
}

/* The meeting was held before the first message came, and what it found out does not change any more. */
HOT static ssize_t private_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    ssize_t r = ring_channel_receive(conduit, in, deadline);
    if (r >= 0)
        in->meta.sender = meeting_of(conduit)->peer;
    return r;
}

HOT static ssize_t private_peek(struct conduit *conduit, int64_t deadline, tong_message *meta, tong_token *ret)
{
    ssize_t r = ring_channel_peek(conduit, deadline, meta, ret);
    if (r >= 0 && meta)
        meta->sender = meeting_of(conduit)->peer;
    return r;
}

static int private_peer(struct conduit *conduit, tong_identity *ret)
{
    int r = ring_meeting_look(meeting_of(conduit));
    if (r == 0)
        return fail(-ENOTCONN, "%s: nobody has come to the other end yet", conduit->object);
    if (r > 0)
        *ret = meeting_of(conduit)->peer;
    return r < 0 ? r : 0;
}

static int private_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct ring_meeting *meeting = meeting_of(conduit);
    pthread_mutex_lock(&meeting->lock);
    int r = ring_channel_describe(conduit, ret);
    pthread_mutex_unlock(&meeting->lock);
    return r;
}

/* 0 if nothing was sent, or somebody has it; -EAGAIN, without words: nobody has come for it; or why nobody will have it. */
static int is_handed_over(struct private_channel *channel)
{
    const struct ring_end *end = &channel->base.out;
    if (!end->announced || end->object.meeting_fd < 0 || shared_tail(end->place.row) == 0)
        return 0;
    int r = ring_meeting_look(&channel->meeting);
    if (r != 0)
        return r < 0 ? r : 0;
    pthread_mutex_lock(&channel->meeting.lock);
    bool kept = channel->meeting.state == MEETING_AWAITED && !channel->meeting.greeted;
    pthread_mutex_unlock(&channel->meeting.lock);
    return kept ? -EAGAIN : 0;
}

/* What was sent lies in memory that goes with us, until somebody has it. */
static int private_finish(struct conduit *conduit, int64_t deadline)
{
    struct private_channel *channel = (struct private_channel *)conduit;
    int r = is_handed_over(channel);
    if (r == -EAGAIN)
        r = ring_meeting_await(&channel->meeting, conduit->cancel_fd, deadline);
    if (r == -EAGAIN || r == -ETIMEDOUT)
        return fail(r, "%s: nobody came to take what was sent", conduit->object);
    return r < 0 ? r : ring_channel_finish(conduit, deadline);
}

static int private_close(struct conduit *conduit, bool forked)
{
    struct private_channel *channel = (struct private_channel *)conduit;
    int lost = forked ? 0 : is_handed_over(channel);
    if (lost == -EAGAIN)
        lost = fail(-EPIPE, "%s: closed before anybody came: what was sent is gone", conduit->object);
    ring_meeting_close(&channel->meeting, forked);
    int r = ring_channel_close(conduit, forked);
    return lost < 0 ? lost : r;
}

static const struct ring_delivery delivery = {
    .facet = {
        .variant = "",
        .identity = TONG_IDENTITY_CONNECTION,
        .shape = TONG_HAS_TWO_WAY,
        .late_deadlines = true,
        .send = private_send,
        .receive = private_receive,
        .send_batch = private_send_batch,
        .receive_batch = ring_channel_receive_batch,
        .reserve = private_reserve,
        .commit = ring_channel_commit,
        .abort = ring_channel_abort,
        .peek = private_peek,
        .release = ring_channel_release,
        .finish = private_finish,
        .pollfd = ring_channel_pollfd,
        .cancel = ring_channel_cancel,
        .peer = private_peer,
        .describe = private_describe,
        .close = private_close,
    },
    .open_receiver = ring_channel_open_receiver,
    .open_sender = ring_channel_open_sender,
    .open_reader = ring_channel_open_reader,
    .open_writer = ring_channel_open_writer,
    .ask_receivers = ring_channel_ask_receivers,
};

const struct channel_facet *const ring_private_variants[] = { &delivery.facet, NULL };

const struct option_use ring_private_options[] = {
    { OPTION_CAPACITY, 4 << 20, (int64_t)LAYOUT_CAPACITY_LOW, (int64_t)LAYOUT_CAPACITY_HIGH, 0 },
    { OPTION_FULL, FULL_WAIT, 0, 0, 0 },
    { OPTION_PEER, 0, 0, UINT32_MAX - 1, 0 },
    OPTIONS_END
};

/* ---- Opening --------------------------------------------------------------------------------------------- */

#define MOMENT (5 * TONG_MILLISECOND) /* in which one who is waiting there has answered */

/*
 * A sender waits for its receiver, as at a FIFO: what it sent would go with it.  So does who comes as a third, until the
 * others have met.  All others go on: who came first hears of the other in a call that waits, and so does who came second,
 * if it was not answered at once.
 */
static int begin_by_name(struct private_channel *channel, const struct open_request *request)
{
    struct ring_meeting *meeting = &channel->meeting;
    int r = ring_meeting_arrive(meeting, channel->base.base.cancel_fd, request->deadline);
    if (r < 0)
        return r;
    bool waits = meeting->ways == TONG_SEND && !meeting->greeted;
    int64_t soon = request->deadline == DEADLINE_NOW ? DEADLINE_NOW : deadline_after(MOMENT);
    if (!waits && !meeting->greeted)
        return 0;
    r = ring_meeting_await(meeting, channel->base.base.cancel_fd, waits ? request->deadline : soon);
    if (!waits && (r == -ETIMEDOUT || r == -EAGAIN))
        return 0;
    if (r == -EAGAIN)
        return fail(-ENXIO, "nobody has %s open to receive: start a receiver first, or wait for one", meeting->object);
    return r == -ETIMEDOUT ? fail(r, "nobody opened %s to receive in time", meeting->object) : r;
}

static int prepare(const struct open_request *request, struct private_channel **ret)
{
    struct conduit *conduit;
    char object[sizeof "memfd:" + sizeof ((struct sockaddr_un *)0)->sun_path];
    snprintf(object, sizeof object, "memfd:%s", request->address->name);
    int r = conduit_new(request, &delivery.facet, sizeof(struct private_channel), object, &conduit);
    if (r < 0)
        return r;
    struct private_channel *channel = (struct private_channel *)conduit;
    channel->meeting.home = (struct ring_home){ .objects = &objects, .delivery = &delivery, .scheme = "memfd",
                                                 .in_memory = true };
    channel->base.home = &channel->meeting.home;
    conduit->flags |= TONG_INFO_FRAMED;
    r = ring_meeting_open(&channel->meeting, conduit->object, request->address, request->flags & TONG_BOTH);
    if (r == 0)
        r = ring_channel_begin(&channel->base, request->address);
    if (r < 0)
        private_close(conduit, false);
    else
        *ret = channel;
    return r;
}

int ring_private_open(const struct open_request *request, struct conduit **ret)
{
    struct local_name name;
    struct private_channel *channel = NULL;
    int r = local_name_make(request->address, &name);
    if (r < 0 || (r = prepare(request, &channel)) < 0)
        return r;
    channel->meeting.name = name;
    r = begin_by_name(channel, request);
    if (r < 0)
        private_close(&channel->base.base, false);
    else
        *ret = &channel->base.base;
    return r;
}
