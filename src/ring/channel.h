/* SPDX-License-Identifier: MIT */
/* shm_channel.h - a channel of shm: as this process has it; shm_receive.c and shm_send.c are its two directions. */
#ifndef MECHANISM_SHM_CHANNEL_H
#define MECHANISM_SHM_CHANNEL_H

#include "core/mechanism.h"
#include "ring/ring.h"
#include "ring/end.h"

struct shm {
    struct conduit base;
    struct shm_end out, in;
    struct ring_writer writer;
    struct ring_reader reader;
    uint64_t confessed;         /* sending: of the messages that full=drop gave up, how many the ring tells of */
    uint64_t told;              /* receiving: the newest session whose end was told; also in our place */
    uint64_t lost;              /* receiving: messages given up by senders before the next one */
    int ended;                  /* receiving: what every further receive gives; 0 as long as there is no end */
    bool reconnect;             /* receiving: an end is not told, the next session goes on */
    int64_t remove;
};

static inline struct shm_end *shm_end_of(struct shm *shm, uint32_t direction)
{
    return direction == TONG_SEND ? &shm->out : &shm->in;
}

int shm_damaged(const struct shm_end *end);
/* For what ring_writer_open() and ring_reader_open() refuse. */
int shm_contradictory(const struct shm_end *end, int error);
int shm_bad_token(const struct conduit *conduit);
/* private_word: 0 the claim, 1 its direction, 2 its size, 3 the conduit, by which the facade knows its tokens. */
void shm_fill_token(struct conduit *conduit, uint32_t direction, uint64_t start, uint64_t size, uint64_t claim,
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
int shm_wait(struct shm *shm, struct shm_end *end, uint64_t seen, int last, int64_t deadline,
             void (*rearm)(struct shm *, uint64_t), uint64_t size);

int shm_open_receiver(struct shm *shm, const struct address *address, const char *name);
ssize_t shm_receive(struct conduit *conduit, struct message_in *in, int64_t deadline);
ssize_t shm_peek(struct conduit *conduit, int64_t deadline, tong_message *meta, tong_token *ret);
int shm_release(struct conduit *conduit, tong_token *token);

int shm_open_sender(struct shm *shm, const struct address *address, const char *name);
int shm_send(struct conduit *conduit, const struct message_out *out, int64_t deadline);
int shm_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret);
int shm_commit(struct conduit *conduit, tong_token *token, size_t used, int64_t type);
int shm_abort(struct conduit *conduit, tong_token *token);
int shm_finish(struct conduit *conduit, int64_t deadline);

#endif
