/* SPDX-License-Identifier: MIT */
/*
 * queue.h - several receivers that share the lanes of a channel, so that each message goes to one of them.
 *
 * queue.c is the protocol over shared words, and argues it; queue_again.c is what comes again from receivers that are gone;
 * queue_receive.c is the channel's side.
 */
#ifndef RING_QUEUE_H
#define RING_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/layout.h"
#include "ring/shared.h"
#include "tong/channel.h"

#define QUEUE_RUN 64 /* messages that are claimed at once, at most */
#define QUEUE_TRIES 128 /* how often words that others move are looked at anew: honest ones move them less often */

/* A record of a lane. */
struct queue_record {
    unsigned lane;
    uint64_t word;       /* the first of it */
    uint64_t start, end;
};

/* One receiver's view of the lanes. */
struct ring_queue {
    struct layout_receivers *shared;
    const struct layout_control *senders;
    unsigned char *const *lane;         /* mapped twice in a row, where a sender has come */
    uint64_t capacity;
    unsigned seat;                      /* ours */
    uint64_t reach;                     /* of our seat */
    uint64_t looked[LAYOUT_PLACES];     /* the claim when we last looked how far the head may go */
    uint64_t free;                      /* bits of our holds that are in no use */
    uint64_t again;                     /* bits of our holds that came to us from one who is gone */
    int64_t recovered;                  /* the tick of the clock when we last looked for one */
    struct queue_loan {
        struct queue_record record;     /* that a token stands for */
        uint64_t number;                /* of tokens so far, so that each is good once */
        bool out;
        unsigned char *copy;            /* of a record that came again; owned */
    } loan[LAYOUT_HOLDS];               /* of each hold */
};

static inline struct layout_cursor *queue_cursor(const struct ring_queue *queue, unsigned lane)
{
    return &queue->shared->cursors[lane];
}

/* Whatever a hostile word says, inside the lane and aligned. */
static inline const unsigned char *queue_at(const struct ring_queue *queue, unsigned lane, uint64_t position)
{
    return queue->lane[lane] + (position & (queue->capacity - RECORD_ALIGN));
}

static inline unsigned queue_lowest(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}

/* ---- The protocol (queue.c) ------------------------------------------------------------------------------ */

/* Whether the cursors of a lane agree; -EBADMSG. */
int ring_queue_check(const struct ring_queue *queue, unsigned lane);

/* Bytes of the record with this word; 0: it is none that could lie in such a lane. */
uint64_t ring_queue_extent(const struct ring_queue *queue, uint64_t word);

/* Whether something is unclaimed in a lane. */
bool ring_queue_waits(const struct ring_queue *queue, unsigned lane);

/* -EAGAIN nothing is unclaimed, or others are faster all the time; -EBADMSG what lies there is no record. */
int ring_queue_next(const struct ring_queue *queue, unsigned lane, struct queue_record *ret);

/* Whether nobody has claimed that record since it was looked at, so that what was read of it is true. */
bool ring_queue_is_next(const struct ring_queue *queue, const struct queue_record *record);

/* Takes bytes from `start` to `end` of a lane, which begin with the next record, with a free hold of ours.  False:
 * somebody else was first. */
bool ring_queue_claim(struct ring_queue *queue, unsigned lane, uint64_t start, uint64_t end, unsigned hold);

/* Lets go of them. */
void ring_queue_release(struct ring_queue *queue, unsigned lane, uint64_t start, uint64_t end, unsigned hold);

/* Gives the sender of a lane the room that nobody holds. */
void ring_queue_advance(struct ring_queue *queue, unsigned lane);

/* Makes sure that others look for holds as far as this one of ours. */
void ring_queue_reach(struct ring_queue *queue, unsigned hold);

/* Claims, copies and releases messages of a lane that fit into a batch and of which nothing is to be said; how many. */
uint64_t ring_queue_receive_batch(struct ring_queue *queue, unsigned lane, tong_batch *batch, uint64_t count);

/* ---- What comes again (queue_again.c) -------------------------------------------------------------------- */

/* At the opening: what our predecessors in the seat left is ours. */
void ring_queue_inherit(struct ring_queue *queue);

/* Whether something of a lane was left by one who is gone, or by our predecessor. */
bool ring_queue_is_left(const struct ring_queue *queue, int fd, unsigned lane);

/* Takes over what others left who are gone; `fd` is the description that holds the lock of our place.  1 there was
 * something, 0, or a negative errno. */
int ring_queue_recover(struct ring_queue *queue, int fd);

/* Whether it has a hold to take something over with, and one for the rest of what is split. */
static inline bool ring_queue_can_recover(const struct ring_queue *queue)
{
    return queue->free & (queue->free - 1);
}

/* The next record that comes again, in a hold of ours that only it is in, and a copy of it in that hold's loan: 1; 0 there
 * is none.  -EMSGSIZE: it is a message longer than `most`, and stays; -ENOBUFS no hold is free; -ENOMEM, -EBADMSG. */
int ring_queue_take_again(struct ring_queue *queue, uint64_t most, struct queue_record *ret, unsigned *ret_hold);

/* Frees the copies. */
void ring_queue_forget(struct ring_queue *queue);

#endif
