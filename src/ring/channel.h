/* SPDX-License-Identifier: MIT */
/*
 * channel.h - a channel made of rings as this process has it.  A mechanism says where the files lie and has the rest
 * from here; channel_receive.c and channel_send.c are the two directions.
 */
#ifndef RING_CHANNEL_H
#define RING_CHANNEL_H

#include "core/mechanism.h"
#include "ring/broadcast.h"
#include "ring/durable.h"
#include "ring/end.h"
#include "ring/ring.h"

/* ---- What a mechanism's row is made of ------------------------------------------------------------------- */

/* The ways to deliver, as variants of the mechanism. */
extern const struct channel_facet *const ring_channel_variants[];
extern const struct option_use ring_channel_options[];
/* The same for files that outlive the machine's memory. */
extern const struct channel_facet *const ring_channel_durable_variants[];
extern const struct option_use ring_channel_durable_options[];
int ring_channel_open(const struct ring_home *home, const struct open_request *request, struct conduit **ret);
int ring_channel_remove(const struct ring_home *home, const struct address *address);
/* Limits: the largest message there can be; how many senders, and how many receivers, at once. */
uint64_t ring_channel_largest(const char *source);
uint64_t ring_channel_places(const char *source);

/* ---- Inside ---------------------------------------------------------------------------------------------- */

struct ring_channel;

/* What is of one way to deliver; there is one for each LAYOUT_ONE and so on. */
struct ring_delivery {
    struct channel_facet facet;
    /* After ring_end_open(), before anybody is told of the end. */
    int (*open_receiver)(struct ring_channel *channel);
    int (*open_sender)(struct ring_channel *channel);
    /* After everybody was told of the receiver; NULL: nothing is left to do. */
    int (*settle_receiver)(struct ring_channel *channel);
    /* The two ends of a lane that is mapped; errors are in words. */
    int (*open_reader)(struct ring_channel *channel, unsigned lane);
    int (*open_writer)(struct ring_channel *channel, unsigned lane);
    /* A sender that has no room asks who of the receivers died: 1 look again, 0 wait on, or it cannot go on. */
    int (*ask_receivers)(struct ring_channel *channel);
};
extern const struct ring_delivery ring_delivery_one, ring_delivery_queue, ring_delivery_broadcast;
extern const struct ring_delivery ring_delivery_durable; /* LAYOUT_ONE with LAYOUT_DURABLE */

/* Receiving: what is known of one lane and its sender beside its records. */
struct ring_lanes {
    struct ring_reader reader[LAYOUT_PLACES]; /* open where `used` says so */
    uint64_t told[LAYOUT_PLACES];             /* the newest session whose end was told; also in the cursor */
    uint64_t used;                            /* bits of lanes */
    unsigned current;                         /* where the last message came from */
    struct ring_reader *now;                  /* its reader */
    uint32_t turns;                           /* messages until another lane has its turn; 0: the fast path is closed */
    uint32_t dry;                             /* `turns` when nothing was there for the last time */
    uint64_t dry_at;                          /* and where that was */
    uint64_t lost;                            /* messages given up by senders before the next one */
    int64_t asked;                            /* the tick of the clock when a non-blocking call last asked for locks */
    int owed;                                 /* an end that is told once no sender is left; 0: none */
    int ended;                                /* what every further receive gives; 0 as long as there is no end */
    uint64_t outage;                          /* the end was a stop of the machine: 1 more than the bytes known to be lost */
    uint64_t doubt;                           /* bits of lanes that no sender has mended since the machine began */
    uint64_t limit[LAYOUT_PLACES];            /* of those: where what is whole ends */
    uint64_t torn[LAYOUT_PLACES];             /* and how many bytes behind that were published once */
    uint64_t passed;                          /* records that were no messages, and looks that found no more, ever */
    uint64_t clear;                           /* of them when there last was a message, or nothing */
    uint64_t asked_at;                        /* and when it was last asked whether there is time for more */
};

/* Receiving from a broadcast. */
struct ring_member {
    struct layout_seat *seat;               /* ours in the receivers' segment, or of who only watches, in private memory */
    struct ring_start start[LAYOUT_PLACES]; /* in each lane */
    int64_t from, slow;
    uint64_t name;
};
struct ring_queue;

struct ring_channel {
    struct conduit base;
    const struct ring_home *home;
    const struct ring_delivery *delivery;
    struct ring_end out, in;
    struct ring_writer writer;
    struct ring_log log;        /* sending to a broadcast */
    struct ring_member member;
    struct ring_lanes lanes;
    struct ring_durable durable; /* sending */
    bool is_durable;
    bool syncs;                 /* sending: every message reaches the disk before send returns */
    bool is_first;              /* receiving: no receiver was there since the machine began; while opening */
    uint64_t life;              /* receiving: of the machine and of the file, as a number; 0: unknown */
    struct ring_queue *queue;   /* receiving from a queue; owned */
    uint64_t confessed;         /* sending: of the messages that full=drop gave up, how many the ring tells of */
    bool reconnect;             /* receiving: an end is not told, the next session goes on */
    int64_t remove;
};

static inline struct ring_end *ring_end_of(struct ring_channel *channel, uint32_t direction)
{
    return direction == TONG_SEND ? &channel->out : &channel->in;
}

/* What all deliveries have, of a struct channel_facet (channel.c). */
int ring_channel_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret);
int ring_channel_cancel(struct conduit *conduit);
int ring_channel_peer(struct conduit *conduit, tong_identity *ret);
int ring_channel_describe(struct conduit *conduit, tong_channel_info *ret);
int ring_channel_close(struct conduit *conduit, bool forked);

int ring_channel_damaged(const struct ring_end *end);
/* For what the openers of a lane's two ends refuse. */
int ring_channel_contradictory(const struct ring_end *end, int error);
int ring_channel_bad_token(const struct conduit *conduit);

/* private_word: 0 the claim, 1 its direction and lane, 2 its size, 3 the conduit, by which the facade knows its tokens. */
static inline void ring_channel_fill_token(struct conduit *conduit, uint64_t direction, const void *data, uint64_t size,
                                           uint64_t claim, tong_token *ret)
{
    ret->parts = size != 0;
    ret->span[0].data = (void *)(uintptr_t)data;
    ret->span[0].size = size;
    ret->private_word[0] = claim;
    ret->private_word[1] = direction;
    ret->private_word[2] = size;
    ret->private_word[3] = (uintptr_t)conduit;
}

/* How a wait came to its end, if not by an error. */
enum {
    WAIT_MOVED = 0, /* the other side did something, or may have */
    WAIT_SLICE = 1, /* nothing for a whole slice: ask whether anybody lives there, then wait by the bell */
    WAIT_BELL = 2   /* the bell's descriptor says that there is something: ask, then sleep a slice first */
};

/* What a wait is for: whether there is something after all.  Polled while it spins; after asking to be told, `last`. */
typedef bool (*ring_found)(struct ring_channel *channel, uint64_t size, bool last);

/*
 * One wait of `end` after nothing (no room) was found.  `last` is how the wait before it ended (WAIT_BELL for a call that
 * may not block).  WAIT_..., or -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED.
 */
int ring_channel_wait(struct ring_channel *channel, struct ring_end *end, int last, int64_t deadline, ring_found found,
                      uint64_t size);

/* ---- For every way to receive (lanes.c) ------------------------------------------------------------------ */

/* What has become of the sender of a lane whose end was not told yet: -ENODATA, -ECONNRESET, 0 nothing; 1 it is there. */
int ring_lanes_sender_gone(struct ring_channel *channel, unsigned lane, bool ask, uint64_t *ret_number);
/* The number of the session that a mark in a lane says has ended: its low half is `mark`.  -EBADMSG: it has not begun. */
int ring_lanes_ended_session(const struct ring_channel *channel, unsigned lane, uint32_t mark, uint64_t *ret_number);
/* From now on the end that is owed is what a receive gives; it; and in words. */
int ring_lanes_tell_end(struct ring_channel *channel);
int ring_lanes_ended(const struct ring_channel *channel);
/* That many messages did not come. */
void ring_channel_lose(struct ring_channel *channel, uint64_t messages);
/* Whether a look may ask for locks, which is a system call. */
bool ring_lanes_may_ask(struct ring_channel *channel, int last, int64_t deadline);

/*
 * What is no message.  A sender may have written it without end, or as dearly as it can, so who passes over it asks every so
 * often: 0 there is time, -EAGAIN, -ETIMEDOUT, -ECANCELED; -EBADMSG: it is more than can come of itself.  A call that may
 * not block is given a few milliseconds of its own: `*until` is theirs, and 0 when the call begins.  Whatever it says, what
 * was passed over stays so.
 */
int ring_lanes_look_on(struct ring_channel *channel, int64_t deadline, int64_t *until);

/* Each of the next messages is looked for the long way. */
static inline void ring_lanes_close_fast_path(struct ring_lanes *lanes)
{
    lanes->turns = 0;
}

/* A message is there, or nothing at all. */
static inline void ring_lanes_clear(struct ring_lanes *lanes)
{
    lanes->clear = lanes->passed;
}

/* Whether so much was passed over for what a batch has by now that it should be given to its caller. */
static inline bool ring_lanes_tarry(const struct ring_lanes *lanes, uint64_t passed_before)
{
    return lanes->passed - passed_before >= 16 * RING_RUN;
}

/* ---- The two directions ---------------------------------------------------------------------------------- */

int ring_channel_open_receiver(struct ring_channel *channel);
int ring_channel_open_reader(struct ring_channel *channel, unsigned lane);
void ring_channel_close_lanes(struct ring_channel *channel);
/* Opens the ends that the conduit's flags say, and tells the others of them once all are open. */
int ring_channel_begin(struct ring_channel *channel, const struct address *address);
ssize_t ring_channel_receive(struct conduit *conduit, struct message_in *in, int64_t deadline);
ssize_t ring_channel_receive_batch(struct conduit *conduit, tong_batch *batch, size_t count, int64_t deadline);
ssize_t ring_channel_peek(struct conduit *conduit, int64_t deadline, tong_message *meta, tong_token *ret);
int ring_channel_release(struct conduit *conduit, tong_token *token);

/* What private memory a receiver of a broadcast has. */
void ring_broadcast_leave(struct ring_channel *channel);
/* What full=drop gave up and no mark tells of yet. */
static inline uint64_t ring_channel_losses(const struct ring_channel *channel)
{
    return atomic_load_explicit(&channel->base.dropped, memory_order_relaxed) - channel->confessed;
}

/* Waits until a message of `size` bytes has room, and the mark of losses before it is written. */
int ring_channel_await_room(struct ring_channel *channel, uint64_t size, int64_t deadline);

/* Has the lane of our place, with its memory. */
int ring_channel_own_lane(struct ring_end *end);

/* Of a queue (queue_receive.c); nothing if there is none. */
void ring_queue_close(struct ring_channel *channel, bool forked);

int ring_channel_open_sender(struct ring_channel *channel);
int ring_channel_open_writer(struct ring_channel *channel, unsigned lane);
int ring_channel_ask_receivers(struct ring_channel *channel);
int ring_channel_send(struct conduit *conduit, const struct message_out *out, int64_t deadline);
ssize_t ring_channel_send_batch(struct conduit *conduit, const tong_batch *batch, size_t count, int64_t deadline);
int ring_channel_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret);
int ring_channel_commit(struct conduit *conduit, tong_token *token, size_t used, int64_t type);
int ring_channel_abort(struct conduit *conduit, tong_token *token);
int ring_channel_finish(struct conduit *conduit, int64_t deadline);

/* ---- Durable channels (channel_durable.c) ----------------------------------------------------------------- */

/* ring_durable_room(), in words if the disk fails. */
int ring_channel_durable_room(struct ring_channel *channel, uint64_t size);

/* What was published is on the disk, and so is what was released. */
int ring_channel_sync_end(struct ring_channel *channel, const struct ring_end *end);

/* Whether a sender has mended the lane since the machine began. */
static inline bool ring_channel_is_mended(const struct ring_channel *channel, unsigned lane)
{
    return channel->life != 0 && shared_boot(&channel->in.peer->places[lane]) == channel->life;
}

#endif
