/* SPDX-License-Identifier: MIT */
/*
 * channel.h - a channel made of rings as this process has it.  A mechanism says where the files lie and has the rest
 * from here; channel_receive.c and channel_send.c are the two directions.
 */
#ifndef RING_CHANNEL_H
#define RING_CHANNEL_H

#include "core/mechanism.h"
#include "ring/broadcast.h"
#include "ring/end.h"
#include "ring/ring.h"

/* ---- What a mechanism's row is made of ------------------------------------------------------------------- */

/* The ways to deliver, as variants of the mechanism. */
extern const struct channel_facet *const ring_channel_variants[];
extern const struct option_use ring_channel_options[];
int ring_channel_open(const struct ring_home *home, const struct open_request *request, struct conduit **ret);
int ring_channel_remove(const struct ring_home *home, const struct address *address);
/* A limit: the largest message there can be. */
uint64_t ring_channel_largest(const char *source);

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
extern const struct ring_delivery ring_delivery_one, ring_delivery_broadcast;

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
};

/* Receiving from a broadcast. */
struct ring_member {
    struct layout_seat *seat;               /* ours in the receivers' segment, or of who only watches, in private memory */
    struct ring_start start[LAYOUT_PLACES]; /* in each lane */
    int64_t from, slow;
    uint64_t name;
};

struct ring_channel {
    struct conduit base;
    const struct ring_home *home;
    const struct ring_delivery *delivery;
    struct ring_end out, in;
    struct ring_writer writer;
    struct ring_log log;        /* sending to a broadcast */
    struct ring_member member;
    struct ring_lanes lanes;
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

int ring_channel_open_receiver(struct ring_channel *channel);
int ring_channel_open_reader(struct ring_channel *channel, unsigned lane);
void ring_channel_close_lanes(struct ring_channel *channel);
ssize_t ring_channel_receive(struct conduit *conduit, struct message_in *in, int64_t deadline);
ssize_t ring_channel_receive_batch(struct conduit *conduit, tong_batch *batch, size_t count, int64_t deadline);
ssize_t ring_channel_peek(struct conduit *conduit, int64_t deadline, tong_message *meta, tong_token *ret);
int ring_channel_release(struct conduit *conduit, tong_token *token);

/* What private memory a receiver of a broadcast has. */
void ring_broadcast_leave(struct ring_channel *channel);

int ring_channel_open_sender(struct ring_channel *channel);
int ring_channel_open_writer(struct ring_channel *channel, unsigned lane);
int ring_channel_ask_receivers(struct ring_channel *channel);
int ring_channel_send(struct conduit *conduit, const struct message_out *out, int64_t deadline);
ssize_t ring_channel_send_batch(struct conduit *conduit, const tong_batch *batch, size_t count, int64_t deadline);
int ring_channel_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret);
int ring_channel_commit(struct conduit *conduit, tong_token *token, size_t used, int64_t type);
int ring_channel_abort(struct conduit *conduit, tong_token *token);
int ring_channel_finish(struct conduit *conduit, int64_t deadline);

#endif
