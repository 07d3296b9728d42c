/* SPDX-License-Identifier: MIT */
/*
 * Sending into a ring.
 *
 * A channel outlives its ends: a sender may fill it before a receiver comes, and go before it is drained.  A sender
 * that finds it full waits for a receiver, be it the first or the next after one that left in order; but a receiver
 * that was killed without a successor is -EPIPE.
 *
 * What full=drop gives up is counted by the facade.  The next message that has room is preceded by a mark that says
 * how many it were, so the receiver knows of the gap where it is.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "ring/channel.h"

static int receiver_died(struct shm *shm)
{
    uint64_t word = ring_place_session(shm->out.peer);
    int r = session_state(word) == SESSION_OPEN ? shm_end_peer_died(&shm->out, word) : 0;
    return r > 0 ? fail(-EPIPE, "%s: the receiver died, and no message more has room", shm->base.object) : r;
}

static uint64_t losses(const struct shm *shm)
{
    return atomic_load_explicit(&shm->base.dropped, memory_order_relaxed) - shm->confessed;
}

/* Room for a message of `size` bytes and for the mark before it, if one is due. */
static int find_room(struct shm *shm, uint64_t size)
{
    return ring_room(&shm->writer, size + (losses(shm) ? RECORD_MARK : 0));
}

static void rearm(struct shm *shm, uint64_t size)
{
    struct shm_end *end = &shm->out;
    if (ring_bell_rearm(&end->bell, &end->own->places[0], end->peer, 0) < 0 || find_room(shm, size) != -EAGAIN)
        ring_bell_ring_self(&end->bell);
}

/* While tokens are outstanding there is no place for a mark; then it stands before a later message. */
static int confess(struct shm *shm)
{
    uint64_t count = losses(shm) < UINT32_MAX ? losses(shm) : UINT32_MAX;
    int r = ring_mark(&shm->writer, RECORD_LOST, count);
    if (r == 0)
        shm->confessed += count;
    return r == -EBUSY ? 0 : r;
}

static int claim_room(struct shm *shm, uint64_t size, uint64_t *ret_claim)
{
    int r = losses(shm) ? find_room(shm, size) : 0;
    if (r == 0 && losses(shm))
        r = confess(shm);
    return r < 0 ? r : ring_reserve(&shm->writer, size, ret_claim);
}

static int too_large(const struct shm *shm, uint64_t size)
{
    return fail(-EMSGSIZE, "%s: the message has %llu bytes, the most is %llu: make it with a larger capacity=",
                shm->base.object, (unsigned long long)size,
                (unsigned long long)record_largest(shm->writer.capacity));
}

static int await_room(struct shm *shm, uint64_t size, int64_t deadline, uint64_t *ret_claim)
{
    if (size > record_largest(shm->writer.capacity))
        return too_large(shm, size);
    if (shm->base.full != FULL_WAIT)
        deadline = DEADLINE_NOW;
    int last = deadline == DEADLINE_NOW ? WAIT_BELL : WAIT_MOVED;
    for (;;) {
        int r = claim_room(shm, size, ret_claim);
        if (r == 0)
            return 0;
        if (r == -EBADMSG)
            return shm_damaged(&shm->out);
        if (r != -EAGAIN)
            return fail(r, "%s: out of memory", shm->base.object);
        r = last != WAIT_MOVED ? receiver_died(shm) : 0;
        if (r == 0)
            r = last = shm_wait(shm, &shm->out, shm->writer.head, last, deadline, rearm, size);
        if (r < 0)
            return r;
    }
}

/* Where the claim lies; it is the youngest. */
static void fill_room(struct conduit *conduit, uint64_t size, uint64_t claim, tong_token *ret)
{
    struct ring_writer *writer = &((struct shm *)conduit)->writer;
    shm_fill_token(conduit, TONG_SEND, ring_claims_find(&writer->claims, claim)->start, size, claim, ret);
}

static int settle(struct shm *shm, tong_token *token, int moved)
{
    if (moved < 0)
        return shm_bad_token(&shm->base);
    token->private_word[3] = 0;
    if (moved)
        shm_end_tell(&shm->out);
    return 0;
}

int shm_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct shm *shm = (struct shm *)conduit;
    tong_token token = TONG_TOKEN_INIT;
    uint64_t claim;
    int r = await_room(shm, out->size, deadline, &claim);
    if (r < 0)
        return r;
    fill_room(conduit, out->size, claim, &token);
    const unsigned char *from = out->data;
    for (unsigned i = 0; i < token.parts; from += token.span[i++].size)
        memcpy(token.span[i].data, from, token.span[i].size);
    return settle(shm, &token, ring_commit(&shm->writer, claim, out->size, out->type));
}

int shm_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret)
{
    uint64_t claim;
    int r = await_room((struct shm *)conduit, size, deadline, &claim);
    if (r == 0)
        fill_room(conduit, size, claim, ret);
    return r;
}

/* The ring knows the room only rounded up; the token knows what was asked. */
int shm_commit(struct conduit *conduit, tong_token *token, size_t used, int64_t type)
{
    struct shm *shm = (struct shm *)conduit;
    bool fits = token->private_word[1] == TONG_SEND && used <= token->private_word[2];
    return settle(shm, token, fits ? ring_commit(&shm->writer, token->private_word[0], used, type) : -EINVAL);
}

int shm_abort(struct conduit *conduit, tong_token *token)
{
    struct shm *shm = (struct shm *)conduit;
    bool ours = token->private_word[1] == TONG_SEND;
    return settle(shm, token, ours ? ring_abort(&shm->writer, token->private_word[0]) : -EINVAL);
}

/* The mark has room unless this session sent nothing into a ring that was full of earlier ones; then the closed
 * session tells the end alone. */
int shm_finish(struct conduit *conduit, int64_t deadline)
{
    struct shm *shm = (struct shm *)conduit;
    (void)deadline;
    if (losses(shm) && find_room(shm, 0) == 0)
        confess(shm);
    int r = ring_mark(&shm->writer, RECORD_END, shm->out.place.session);
    if (r == -EBUSY)
        return fail(r, "%s: tokens are outstanding: commit or abort them before the end", conduit->object);
    if (r == -EBADMSG)
        return shm_damaged(&shm->out);
    ring_place_close(&shm->out.place);
    shm_end_tell(&shm->out);
    return 0;
}

int shm_open_sender(struct shm *shm, const struct address *address, const char *name)
{
    struct shm_end *end = &shm->out;
    int r = shm_end_open(end, address, name, true);
    if (r < 0)
        return r;
    r = ring_writer_open(&shm->writer, end->own, end->peer, end->object.data, end->object.capacity);
    if (r < 0)
        return shm_contradictory(end, r);
    if (end->place.predecessor_died)
        ring_mark(&shm->writer, RECORD_DIED, end->place.session - 1);
    return 0;
}
