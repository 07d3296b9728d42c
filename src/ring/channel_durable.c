/* SPDX-License-Identifier: MIT */
/*
 * Channels that survive a stop of the machine: opening a lane of which any part may be from any moment before, and what
 * sending, ending and syncing do otherwise than elsewhere.
 *
 * Each side mends what it may write.  The sender that takes a place mends its lane, by the checks of the records
 * (ring/durable.h), before it says so in `boot` of its place and begins its session; killed before that, its successor does
 * it again.  A receiver that comes before any sender reads a lane up to the first record that is not whole and takes that
 * for the end, until `boot` says that a sender has mended it, who found the same end by the same rule.
 *
 * Two syncs stand between a sender's opening and its first record.  After the first, what it keeps, and the end behind it,
 * is on the disk; after the second, that it is there: its session, and from where in the lane none but its records, and
 * those of its successors, count.  Without that, a record which was cut off here could come back after the next stop, if
 * the new ones end just before it.  The third sync is that of the receivers' head, which is believed only then.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "core/process.h"
#include "ring/channel.h"
#include "sys/sys.h"

/* A copy of the files is another life, too: it was made while they changed, perhaps. */
static uint64_t life_of(const struct ring_object *object)
{
    const uint64_t prime = UINT64_C(0x100000001b3);
    uint64_t boot = process_boot();
    return boot ? ((boot ^ object->inode) * prime ^ object->device) * prime | 1 : 0;
}

/* ---- The disk -------------------------------------------------------------------------------------------- */

static int disk_failed(const struct ring_channel *channel, int error)
{
    return fail_call(error, "%s: fdatasync: what was sent or released is perhaps not on the disk, and nobody knows any more what "
                     "is", channel->base.object);
}

static int sync_file(struct ring_channel *channel, int fd)
{
    int r = ring_durable_sync(&channel->durable, fd);
    return r < 0 ? disk_failed(channel, r) : 0;
}

int ring_channel_sync_end(struct ring_channel *channel, const struct ring_end *end)
{
    int r = ring_end_cut(end);
    return r < 0 ? r : sync_file(channel, end->sender ? end->object.senders_fd : end->object.receivers_fd);
}

static int durable_sync(struct conduit *conduit)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    int r = channel->out.open ? ring_channel_sync_end(channel, &channel->out) : 0;
    int s = channel->in.open ? ring_channel_sync_end(channel, &channel->in) : 0;
    return r < 0 ? r : s;
}

/* Of the errors of the ring itself none is the disk's. */
static bool is_disk(int error)
{
    return error != 0 && error != -EAGAIN && error != -EBADMSG && error != -EBUSY && error != -ENOMEM;
}

int ring_channel_durable_room(struct ring_channel *channel, uint64_t size)
{
    int r = ring_durable_room(&channel->durable, &channel->writer, size);
    return is_disk(r) ? disk_failed(channel, r) : r;
}

/* ---- Opening a sender ------------------------------------------------------------------------------------ */

static struct ring_remains remains_of(const struct ring_object *object, unsigned lane)
{
    const struct layout_place *row = &object->senders->places[lane];
    uint64_t since = shared_since(row);
    return (struct ring_remains){ object->lane[lane], object->shape.capacity, object->shape.id, shared_cut(row), since };
}

/* Sets the end of our lane behind what is whole, and says how many bytes behind it were published once.  While the machine
 * did not stop, nothing is lost: then the lane is damaged. */
static int mend(struct ring_end *end, bool stopped, uint64_t *ret_lost)
{
    struct ring_object *object = &end->object;
    unsigned lane = end->place.index;
    struct ring_remains remains = remains_of(object, lane);
    uint64_t head = shared_head(&object->receivers->cursors[lane]), tail = shared_tail(end->place.row);
    if ((head | tail) & (RECORD_ALIGN - 1) || (head | tail) > INT64_MAX || (int64_t)(tail - head) > (int64_t)remains.capacity)
        return -EBADMSG;
    uint64_t whole = ring_durable_end(&remains, head, stopped);
    *ret_lost = tail > whole ? tail - whole : 0;
    if (*ret_lost && !stopped)
        return -EBADMSG;
    shared_put(object->lane[lane] + (whole & (remains.capacity - 1)), 0);
    shared_set_tail(end->place.row, whole);
    return 0;
}

/* What the opening promises is on the disk before a record can be. */
static int begin_session(struct ring_channel *channel)
{
    struct ring_end *end = &channel->out;
    struct ring_place *place = &end->place;
    int r = ring_channel_sync_end(channel, end);
    if (r < 0)
        return r;
    shared_set_cut(place->row, channel->writer.tail, (uint32_t)place->session);
    shared_set_boot(place->row, channel->durable.life);
    ring_place_open(place);
    r = ring_channel_sync_end(channel, end);
    return r == 0 ? sync_file(channel, end->object.receivers_fd) : r;
}

static int open_sender(struct ring_channel *channel)
{
    struct ring_end *end = &channel->out;
    uint64_t lost = 0, life = life_of(&end->object);
    int r = ring_channel_own_lane(end);
    if (r < 0)
        return r;
    channel->durable.id = end->object.shape.id;
    channel->durable.session = end->place.session;
    channel->durable.receivers_fd = end->object.receivers_fd;
    channel->durable.life = life;
    bool stopped = life == 0 || shared_boot(end->place.row) != life;
    r = mend(end, stopped, &lost);
    if (r == 0)
        r = ring_writer_open(&channel->writer, end->place.row, &end->object.receivers->cursors[end->place.index],
                             end->object.lane[end->place.index], end->object.shape.capacity);
    if (r < 0)
        return ring_channel_contradictory(end, r);
    r = begin_session(channel);
    if (r == 0 && end->place.predecessor_died)
        ring_durable_mark(&channel->durable, &channel->writer, RECORD_DIED, end->place.session - 1, stopped ? 1 + lost : 0);
    return r;
}

/* ---- Opening a receiver ---------------------------------------------------------------------------------- */

/* Behind the head on the disk, nobody knows what had been received: all of it may come again, and says so.  The tail is
 * what the disk has of it, and says nothing about the head. */
static int open_remains(struct ring_channel *channel, unsigned lane)
{
    const struct ring_object *object = &channel->in.object;
    struct ring_lanes *lanes = &channel->lanes;
    struct layout_cursor *cursor = &object->receivers->cursors[lane];
    struct ring_remains remains = remains_of(object, lane);
    uint64_t head = shared_head(cursor);
    bool mended = ring_channel_is_mended(channel, lane);
    uint64_t whole = mended ? shared_cut(&object->senders->places[lane]) : ring_durable_end(&remains, head, true);
    struct layout_place row = { .tail = mended ? shared_tail(&object->senders->places[lane]) : head };
    uint64_t tail = shared_tail(&object->senders->places[lane]);
    if (!mended) {
        lanes->doubt |= UINT64_C(1) << lane;
        lanes->limit[lane] = whole;
        lanes->torn[lane] = tail > whole ? tail - whole : 0;
    }
    if (channel->is_first)
        shared_set_intent(cursor, whole - head <= remains.capacity ? whole : head);
    int r = ring_reader_open(&lanes->reader[lane], cursor, &row, remains.data, remains.capacity);
    return r < 0 ? ring_channel_contradictory(&channel->in, r) : 0;
}

static int open_receiver(struct ring_channel *channel)
{
    struct ring_end *end = &channel->in;
    channel->life = life_of(&end->object);
    channel->is_first = channel->life == 0 || shared_boot(end->place.row) != channel->life;
    int r = ring_channel_open_receiver(channel);
    if (r == 0)
        shared_set_boot(end->place.row, channel->life);
    channel->is_first = false;
    return r;
}

/* ---- Sending --------------------------------------------------------------------------------------------- */

static int claim_room(struct ring_channel *channel, uint64_t size, int64_t deadline, uint64_t *ret_claim)
{
    bool fits = size <= record_largest(channel->writer.capacity) && !ring_channel_losses(channel);
    int r = fits ? ring_durable_reserve(&channel->durable, &channel->writer, size, ret_claim) : -EAGAIN;
    if (r == 0 || is_disk(r))
        return r ? disk_failed(channel, r) : 0;
    r = ring_channel_await_room(channel, size, deadline);
    if (r == 0 && (r = ring_durable_reserve(&channel->durable, &channel->writer, size, ret_claim)) < 0)
        r = fail(r, "%s: out of memory", channel->base.object);
    return r;
}

__attribute__((noinline)) static int send_slowly(struct ring_channel *channel, const struct message_out *out,
                                                 int64_t deadline)
{
    uint64_t claim;
    int r = claim_room(channel, out->size, deadline, &claim);
    if (r < 0)
        return r;
    if (out->size > 0)
        memcpy(ring_claimed(&channel->writer, claim), out->data, out->size);
    int moved = ring_durable_commit(&channel->durable, &channel->writer, claim, out->size, out->type);
    return moved > 0 ? ring_end_tell(&channel->out) : 0;
}

HOT static int send_one(struct ring_channel *channel, const struct message_out *out, int64_t deadline)
{
    bool fits = out->size <= record_largest(channel->writer.capacity) && !ring_channel_losses(channel);
    int r = fits ? ring_durable_send(&channel->durable, &channel->writer, out->data, out->size, out->type) : -EAGAIN;
    if (__builtin_expect(r == 0, 1))
        return ring_end_tell(&channel->out);
    return is_disk(r) ? disk_failed(channel, r) : send_slowly(channel, out, deadline);
}

static int durable_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    int r = send_one(channel, out, deadline);
    return r == 0 && channel->syncs ? ring_channel_sync_end(channel, &channel->out) : r;
}

/* One sync for all of them. */
static ssize_t durable_send_batch(struct conduit *conduit, const tong_batch *batch, size_t count, int64_t deadline)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    size_t sent = 0;
    int r = 0;
    for (; sent < count; sent++) {
        struct message_out out = { batch[sent].data, batch[sent].length, batch[sent].type };
        r = send_one(channel, &out, deadline);
        if (r < 0)
            break;
    }
    if (sent == 0)
        return r;
    r = channel->syncs ? ring_channel_sync_end(channel, &channel->out) : 0;
    return r < 0 ? r : (ssize_t)sent;
}

static int durable_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    uint64_t claim;
    int r = claim_room(channel, size, deadline, &claim);
    if (r == 0)
        ring_channel_fill_token(conduit, TONG_SEND, ring_claimed(&channel->writer, claim), size, claim, ret);
    return r;
}

static int settle(struct ring_channel *channel, tong_token *token, int moved)
{
    if (moved < 0)
        return ring_channel_bad_token(&channel->base);
    token->private_word[3] = 0;
    int r = moved ? ring_end_tell(&channel->out) : 0;
    return r == 0 && moved && channel->syncs ? ring_channel_sync_end(channel, &channel->out) : r;
}

static int durable_commit(struct conduit *conduit, tong_token *token, size_t used, int64_t type)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    bool fits = token->private_word[1] == TONG_SEND && used <= token->private_word[2];
    return settle(channel, token, fits ? ring_durable_commit(&channel->durable, &channel->writer, token->private_word[0], used,
                                                             type) : -EINVAL);
}

static int durable_abort(struct conduit *conduit, tong_token *token)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    bool ours = token->private_word[1] == TONG_SEND;
    return settle(channel, token, ours ? ring_durable_abort(&channel->durable, &channel->writer, token->private_word[0])
                                       : -EINVAL);
}

/* ---- Closing --------------------------------------------------------------------------------------------- */

/* Who leaves in order leaves what it did on the disk. */
static int durable_close(struct conduit *conduit, bool forked)
{
    struct ring_channel *channel = (struct ring_channel *)conduit;
    int r = 0, s = 0;
    if (!forked && channel->out.announced && !conduit->finished) {
        ring_durable_abandon(&channel->durable, &channel->writer);
        r = ring_channel_finish(conduit, DEADLINE_NOW);
        conduit->finished = true;
    }
    if (!forked && channel->in.announced)
        s = ring_channel_sync_end(channel, &channel->in);
    ring_channel_close(conduit, forked);
    return r < 0 ? r : s;
}

const struct ring_delivery ring_delivery_durable = {
    .facet = {
        .variant = "durable=yes",
        .identity = TONG_IDENTITY_CLAIMED,
        .shape = TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS,
        .send = durable_send,
        .receive = ring_channel_receive,
        .send_batch = durable_send_batch,
        .receive_batch = ring_channel_receive_batch,
        .reserve = durable_reserve,
        .commit = durable_commit,
        .abort = durable_abort,
        .peek = ring_channel_peek,
        .release = ring_channel_release,
        .finish = ring_channel_finish,
        .sync = durable_sync,
        .pollfd = ring_channel_pollfd,
        .cancel = ring_channel_cancel,
        .peer = ring_channel_peer,
        .describe = ring_channel_describe,
        .close = durable_close,
    },
    .open_receiver = open_receiver,
    .open_sender = open_sender,
    .open_reader = open_remains,
    .ask_receivers = ring_channel_ask_receivers,
};
