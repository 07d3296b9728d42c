/* SPDX-License-Identifier: MIT */
/*
 * channel.h - a channel made of rings as this process has it.  A mechanism says where the files lie and has the rest
 * from here; channel_receive.c and channel_send.c are the two directions.
 */
#ifndef RING_CHANNEL_H
#define RING_CHANNEL_H

#include "core/mechanism.h"
#include "ring/end.h"
#include "ring/ring.h"

/* ---- What a mechanism's row is made of ------------------------------------------------------------------- */

extern const struct channel_facet ring_channel_facet;
extern const struct option_use ring_channel_options[];
int ring_channel_open(const struct ring_home *home, const struct open_request *request, struct conduit **ret);
int ring_channel_remove(const struct ring_home *home, const struct address *address);
/* A limit: the largest message there can be. */
uint64_t ring_channel_largest(const char *source);

/* ---- Inside ---------------------------------------------------------------------------------------------- */

struct ring_channel {
    struct conduit base;
    const struct ring_home *home;
    struct ring_end out, in;
    struct ring_writer writer;
    struct ring_reader reader;
    uint64_t confessed;         /* sending: of the messages that full=drop gave up, how many the ring tells of */
    uint64_t told;              /* receiving: the newest session whose end was told; also in our place */
    uint64_t lost;              /* receiving: messages given up by senders before the next one */
    int ended;                  /* receiving: what every further receive gives; 0 as long as there is no end */
    bool reconnect;             /* receiving: an end is not told, the next session goes on */
    int64_t remove;
};

static inline struct ring_end *ring_end_of(struct ring_channel *channel, uint32_t direction)
{
    return direction == TONG_SEND ? &channel->out : &channel->in;
}

int ring_channel_damaged(const struct ring_end *end);
/* For what ring_writer_open() and ring_reader_open() refuse. */
int ring_channel_contradictory(const struct ring_end *end, int error);
int ring_channel_bad_token(const struct conduit *conduit);
/* private_word: 0 the claim, 1 its direction, 2 its size, 3 the conduit, by which the facade knows its tokens. */
void ring_channel_fill_token(struct conduit *conduit, uint32_t direction, uint64_t start, uint64_t size, uint64_t claim,
                             tong_token *ret);

/* How a wait came to its end, if not by an error. */
enum {
    WAIT_MOVED = 0, /* the other side did something, or may have */
    WAIT_SLICE = 1, /* nothing for a whole slice: ask whether anybody lives there, then wait by the bell */
    WAIT_BELL = 2   /* the bell's descriptor says that there is something: ask, then sleep a slice first */
};

/*
 * One wait of `end` after nothing (no room) was found with the other's cursor at `seen`.  `last` is how the wait
 * before it ended (WAIT_BELL for a call that may not block); `rearm` empties the bell, asks for it and looks once
 * more.  WAIT_..., or -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED.
 */
int ring_channel_wait(struct ring_channel *channel, struct ring_end *end, uint64_t seen, int last, int64_t deadline,
                      void (*rearm)(struct ring_channel *, uint64_t), uint64_t size);

int ring_channel_open_receiver(struct ring_channel *channel, const struct address *address, const char *name);
ssize_t ring_channel_receive(struct conduit *conduit, struct message_in *in, int64_t deadline);
ssize_t ring_channel_peek(struct conduit *conduit, int64_t deadline, tong_message *meta, tong_token *ret);
int ring_channel_release(struct conduit *conduit, tong_token *token);

int ring_channel_open_sender(struct ring_channel *channel, const struct address *address, const char *name);
int ring_channel_send(struct conduit *conduit, const struct message_out *out, int64_t deadline);
int ring_channel_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret);
int ring_channel_commit(struct conduit *conduit, tong_token *token, size_t used, int64_t type);
int ring_channel_abort(struct conduit *conduit, tong_token *token);
int ring_channel_finish(struct conduit *conduit, int64_t deadline);

#endif
