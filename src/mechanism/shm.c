/* SPDX-License-Identifier: MIT */
/*
 * shm: - a channel in shared memory: a ring (src/ring) in files of /dev/shm (shm_object.c).
 *
 * After opening, the kernel is asked for nothing while both ends are awake: an end that must wait sleeps on the
 * other's cursor (ring/sleep.c), at most SLICE at a time.  Between slices it looks whether the other end still
 * lives and whether it was cancelled; so both are noticed within SLICE, and no wake-up that is lost, to a
 * hostile peer or to a cancel between the look and the sleep, costs more.
 *
 * Sessions.  A sender begins a session when it opens and ends it when it finishes or closes; the mark of the end
 * lies in the ring, behind the last message, where the receiver meets it in order.  A sender that was killed
 * leaves no mark: the receiver, when it has drained what was committed, finds the session open and the place
 * not held; or, if another sender came first, that one has marked the death.  Each end is told once.
 *
 * The channel outlives its ends: a sender may fill it before a receiver comes, and go before it is drained.  A
 * sender that finds it full waits for a receiver, be it the first or the next after one that left in order; but
 * a receiver that was killed without a successor is -EPIPE.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/mechanism.h"
#include "core/wait.h"
#include "ring/ring.h"
#include "shm_end.h"

#define SLICE 4000000 /* ns: the longest time for which a death or a cancel goes unnoticed */

struct shm {
    struct conduit base;
    struct shm_end out, in;
    struct ring_writer writer;
    struct ring_reader reader;
    uint64_t over;              /* receiving: no session up to this one has an end that is still to be told */
    uint32_t told;              /* low half of the session whose end was told without a mark */
    int64_t remove;
};

static struct shm_end *end_of(struct shm *shm, uint32_t direction)
{
    return direction == TONG_SEND ? &shm->out : &shm->in;
}

static int damaged(const struct shm_end *end)
{
    return fail(-EBADMSG, "%s is damaged: the other end wrote what cannot be; remove it and begin again",
                end->object.path);
}

/* ---- Waiting --------------------------------------------------------------------------------------------- */

/* Sleeps until the other side's cursor is no longer `seen`.  0: look again; 1: a slice has passed, so look also
 * whether anybody lives there. */
static int doze(struct shm *shm, struct shm_end *end, uint64_t seen, int64_t deadline)
{
    int64_t left = deadline_left(deadline);
    if (left == 0)
        return wait_expired(deadline);
    if (atomic_load_explicit(&shm->base.cancelled, memory_order_acquire))
        return fail_static(-ECANCELED, "cancelled");
    int r = ring_sleep(&end->own->places[0], &end->peer->cursor, seen, left < 0 || left > SLICE ? SLICE : left);
    return r == -ETIMEDOUT ? 1 : r;
}

/* ---- Receiving ------------------------------------------------------------------------------------------- */

/* An end of the sender's session that was not told yet: -ENODATA, -ECONNRESET, or 0. */
static int sender_gone(struct shm *shm, bool ask, uint64_t *ret_number)
{
    uint64_t word = ring_place_session(shm->in.peer);
    *ret_number = session_number(word);
    if (*ret_number <= shm->over)
        return 0;
    if (session_state(word) == SESSION_CLOSED)
        return -ENODATA;
    int r = session_state(word) == SESSION_OPEN && ask ? shm_end_peer_died(&shm->in, word) : 0;
    return r > 0 ? -ECONNRESET : r;
}

static int tell_end(const struct shm *shm, int end)
{
    if (end == -ENODATA)
        return fail_static(-ENODATA, "the sender has finished");
    return end == -ECONNRESET ? fail(end, "%s: the sender died without finishing", shm->base.object) : end;
}

/* The record that is next, or the end.  Nothing that was published before an end was seen may come after it. */
static int look(struct shm *shm, bool ask, struct ring_record *ret)
{
    uint64_t number;
    int r = ring_next(&shm->reader, ret);
    int gone = r == -EAGAIN ? sender_gone(shm, ask, &number) : 0;
    if (gone == 0 || (r = ring_next(&shm->reader, ret)) != -EAGAIN)
        return r;
    if (gone == -ENODATA || gone == -ECONNRESET) {
        shm->over = number;
        shm->told = (uint32_t)number;
    }
    return tell_end(shm, gone);
}

static int take(struct shm *shm, const struct ring_record *record)
{
    uint64_t claim;
    int r = ring_take(&shm->reader, record, &claim);
    if (r < 0)
        return fail(r, "%s: out of memory", shm->base.object);
    if (ring_release(&shm->reader, claim) > 0)
        shm_end_tell(&shm->in);
    return 0;
}

/* Takes a mark.  Its number is the low half of a session that has begun, else it is not believed. */
static int take_mark(struct shm *shm, const struct ring_record *record)
{
    int r = take(shm, record);
    if (r < 0)
        return r;
    uint64_t newest = session_number(ring_place_session(shm->in.peer));
    uint64_t number = newest - (uint32_t)(newest - record->length);
    if (number <= newest && number > shm->over)
        shm->over = number;
    if (shm->told && shm->told == (uint32_t)record->length)
        return 0;
    return tell_end(shm, record->kind == RECORD_END ? -ENODATA : -ECONNRESET);
}

/* Before a caller goes back to its event loop. */
static void rearm_receive(struct shm *shm)
{
    struct shm_end *end = &shm->in;
    struct ring_record record;
    uint64_t word = ring_place_session(end->peer), number;
    bool alive = session_state(word) == SESSION_OPEN && session_number(word) > shm->over;
    if (!ring_bell_is_open(&end->bell))
        return;
    if (ring_bell_rearm(&end->bell, &end->own->places[0], end->peer, alive) < 0 ||
        ring_next(&shm->reader, &record) != -EAGAIN || sender_gone(shm, false, &number))
        ring_bell_ring_self(&end->bell);
}

/* Waits for a message, telling ends on the way.  A sender that writes marks without end is not followed. */
static int await_message(struct shm *shm, int64_t deadline, struct ring_record *ret)
{
    bool ask = deadline == DEADLINE_NOW;
    for (uint64_t marks = 0; marks <= shm->reader.capacity / RECORD_MARK; ) {
        int r = look(shm, ask, ret);
        if (r == 0 && ret->kind == RECORD_MESSAGE)
            return 0;
        if (r == 0) {
            marks++;
            r = take_mark(shm, ret);
        } else if (r == -EAGAIN) {
            r = doze(shm, &shm->in, shm->reader.tail, deadline);
            ask = r > 0;
        }
        if (r == -EAGAIN)
            rearm_receive(shm);
        if (r < 0)
            return r == -EBADMSG ? damaged(&shm->in) : r;
    }
    return damaged(&shm->in);
}

static void fill_meta(const struct ring_record *record, tong_message *meta)
{
    meta->type = record->type;
    meta->length = record->length;
    meta->flags = record->redelivered ? TONG_MESSAGE_REDELIVERED : 0;
}

static ssize_t shm_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct shm *shm = (struct shm *)conduit;
    struct ring_record record;
    struct ring_span span[2];
    int r = await_message(shm, deadline, &record);
    if (r < 0)
        return r;
    fill_meta(&record, &in->meta);
    if (record.length > in->capacity)
        return fail(-EMSGSIZE, "%s: the message has %llu bytes, the buffer %zu", conduit->object,
                    (unsigned long long)record.length, in->capacity);
    unsigned parts = ring_spans(shm->reader.data, shm->reader.capacity, record.start, record.length, span);
    unsigned char *to = in->data;
    for (unsigned i = 0; i < parts; to += span[i++].size)
        memcpy(to, span[i].data, span[i].size);
    r = take(shm, &record);
    return r < 0 ? r : (ssize_t)record.length;
}

/* private_word: 0 the claim, 1 its direction, 2 its size, 3 the conduit, by which the facade knows its tokens. */
static void fill_token(struct conduit *conduit, uint32_t direction, uint64_t start, uint64_t size, uint64_t claim,
                       tong_token *ret)
{
    const struct shm_object *object = &end_of((struct shm *)conduit, direction)->object;
    struct ring_span span[2];
    ret->parts = ring_spans(object->data, object->capacity, start, size, span);
    for (unsigned i = 0; i < ret->parts; i++) {
        ret->span[i].data = span[i].data;
        ret->span[i].size = span[i].size;
    }
    ret->private_word[0] = claim;
    ret->private_word[1] = direction;
    ret->private_word[2] = size;
    ret->private_word[3] = (uintptr_t)conduit;
}

static int bad_token(const struct conduit *conduit)
{
    return fail(-EINVAL, "%s: the token was given back already, or is used for more than was reserved",
                conduit->object);
}

static ssize_t shm_peek(struct conduit *conduit, int64_t deadline, tong_message *meta, tong_token *ret)
{
    struct shm *shm = (struct shm *)conduit;
    struct ring_record record;
    uint64_t claim;
    int r = await_message(shm, deadline, &record);
    if (r == 0 && (r = ring_take(&shm->reader, &record, &claim)) < 0)
        r = fail(r, "%s: out of memory", conduit->object);
    if (r < 0)
        return r;
    fill_meta(&record, meta);
    fill_token(conduit, TONG_RECEIVE, record.start, record.length, claim, ret);
    return (ssize_t)record.length;
}

static int shm_release(struct conduit *conduit, tong_token *token)
{
    struct shm *shm = (struct shm *)conduit;
    int moved = token->private_word[1] == TONG_RECEIVE ? ring_release(&shm->reader, token->private_word[0]) : -EINVAL;
    if (moved < 0)
        return bad_token(conduit);
    token->private_word[3] = 0;
    if (moved)
        shm_end_tell(&shm->in);
    return 0;
}

/* ---- Sending --------------------------------------------------------------------------------------------- */

static int receiver_died(struct shm *shm)
{
    uint64_t word = ring_place_session(shm->out.peer);
    int r = session_state(word) == SESSION_OPEN ? shm_end_peer_died(&shm->out, word) : 0;
    return r > 0 ? fail(-EPIPE, "%s: the receiver died, and no message more has room", shm->base.object) : r;
}

static void rearm_send(struct shm *shm, uint64_t size)
{
    struct shm_end *end = &shm->out;
    bool alive = session_state(ring_place_session(end->peer)) == SESSION_OPEN;
    if (!ring_bell_is_open(&end->bell))
        return;
    if (ring_bell_rearm(&end->bell, &end->own->places[0], end->peer, alive) < 0 ||
        ring_room(&shm->writer, size) != -EAGAIN)
        ring_bell_ring_self(&end->bell);
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
    bool ask = deadline == DEADLINE_NOW;
    for (;;) {
        int r = ring_reserve(&shm->writer, size, ret_claim);
        if (r == 0)
            return 0;
        if (r == -EBADMSG)
            return damaged(&shm->out);
        if (r != -EAGAIN)
            return fail(r, "%s: out of memory", shm->base.object);
        r = ask ? receiver_died(shm) : 0;
        if (r == 0)
            r = doze(shm, &shm->out, shm->writer.head, deadline);
        ask = r > 0;
        if (r == -EAGAIN)
            rearm_send(shm, size);
        if (r < 0)
            return r;
    }
}

/* Where the claim lies; it is the youngest. */
static void fill_room(struct conduit *conduit, uint64_t size, uint64_t claim, tong_token *ret)
{
    struct ring_writer *writer = &((struct shm *)conduit)->writer;
    fill_token(conduit, TONG_SEND, ring_claims_find(&writer->claims, claim)->start, size, claim, ret);
}

static int settle(struct shm *shm, tong_token *token, int moved)
{
    if (moved < 0)
        return bad_token(&shm->base);
    token->private_word[3] = 0;
    if (moved)
        shm_end_tell(&shm->out);
    return 0;
}

static int shm_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
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

static int shm_reserve(struct conduit *conduit, size_t size, int64_t deadline, tong_token *ret)
{
    uint64_t claim;
    int r = await_room((struct shm *)conduit, size, deadline, &claim);
    if (r == 0)
        fill_room(conduit, size, claim, ret);
    return r;
}

/* The ring knows the room only rounded up; the token knows what was asked. */
static int shm_commit(struct conduit *conduit, tong_token *token, size_t used, int64_t type)
{
    struct shm *shm = (struct shm *)conduit;
    bool fits = token->private_word[1] == TONG_SEND && used <= token->private_word[2];
    return settle(shm, token, fits ? ring_commit(&shm->writer, token->private_word[0], used, type) : -EINVAL);
}

static int shm_abort(struct conduit *conduit, tong_token *token)
{
    struct shm *shm = (struct shm *)conduit;
    bool ours = token->private_word[1] == TONG_SEND;
    return settle(shm, token, ours ? ring_abort(&shm->writer, token->private_word[0]) : -EINVAL);
}

/* The mark has room unless this session sent nothing into a ring that was full of earlier ones; then the closed
 * session tells the end alone. */
static int shm_finish(struct conduit *conduit, int64_t deadline)
{
    struct shm *shm = (struct shm *)conduit;
    (void)deadline;
    int r = ring_mark(&shm->writer, RECORD_END, shm->out.place.session);
    if (r == -EBUSY)
        return fail(r, "%s: tokens are outstanding: commit or abort them before the end", conduit->object);
    if (r == -EBADMSG)
        return damaged(&shm->out);
    ring_place_close(&shm->out.place);
    shm_end_tell(&shm->out);
    return 0;
}

/* ---- The rest -------------------------------------------------------------------------------------------- */

static int shm_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct shm *shm = (struct shm *)conduit;
    struct shm_end *end = end_of(shm, direction);
    int r = ring_bell_is_open(&end->bell) ? 0 : ring_bell_open(&end->bell, &end->own->places[0], end->own_fifo);
    *ret = (struct pollfd){ end->bell.epoll_fd, POLLIN, 0 };
    return r;
}

/* Async-signal-safe.  Who has looked at `cancelled` but does not sleep yet misses this and wakes at the end of
 * its slice. */
static int shm_cancel(struct conduit *conduit)
{
    struct shm *shm = (struct shm *)conduit;
    if (shm->in.open)
        ring_disturb(&shm->in.peer->cursor);
    if (shm->out.open)
        ring_disturb(&shm->out.peer->cursor);
    return 0;
}

static int shm_peer(struct conduit *conduit, tong_identity *ret)
{
    struct shm *shm = (struct shm *)conduit;
    const struct shm_end *end = shm->in.open ? &shm->in : &shm->out;
    int held = session_state(ring_place_session(end->peer)) == SESSION_OPEN ? ring_place_held(end->peer_fd) : 0;
    if (held < 0)
        return held;
    if (!held)
        return fail(-ENOTCONN, "%s: nobody is at the other end now", conduit->object);
    ring_place_identity(end->peer, ret);
    return 0;
}

/* May run beside a call in either direction, so it reads shared words and what never changes. */
static int shm_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct shm *shm = (struct shm *)conduit;
    const struct shm_end *end = shm->out.open ? &shm->out : &shm->in;
    const struct shm_object *object = &end->object;
    uint64_t head = atomic_load_explicit(&object->receivers->cursor, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&object->senders->cursor, memory_order_acquire);
    ret->largest = record_largest(object->capacity);
    ret->capacity = object->capacity;
    ret->depth = tail - head <= object->capacity ? tail - head : TONG_UNKNOWN;
    return 0;
}

/* ---- Opening and closing --------------------------------------------------------------------------------- */

static int contradictory(const struct shm_end *end, int error)
{
    if (error == -EBADMSG)
        return fail(-EPROTO, "%s is damaged: its cursors contradict each other; remove it", end->object.path);
    return fail(error, "%s: out of memory", end->object.path);
}

static int open_sender(struct shm *shm, const struct address *address, const char *name)
{
    struct shm_end *end = &shm->out;
    int r = shm_end_open(end, address, name, true);
    if (r < 0)
        return r;
    r = ring_writer_open(&shm->writer, end->own, end->peer, end->object.data, end->object.capacity);
    if (r < 0)
        return contradictory(end, r);
    if (end->place.predecessor_died)
        ring_mark(&shm->writer, RECORD_DIED, end->place.session - 1);
    shm_end_announce(end);
    return 0;
}

/* What ended before we came is told only if something of it is still in the ring. */
static void begin_sessions(struct shm *shm)
{
    uint64_t word = ring_place_session(shm->in.peer), number = session_number(word);
    bool empty = shm->reader.head == shm->reader.tail;
    bool ended = session_state(word) != SESSION_OPEN || shm_end_peer_died(&shm->in, word) > 0;
    shm->over = number && !(empty && ended) ? number - 1 : number;
}

static int open_receiver(struct shm *shm, const struct address *address, const char *name)
{
    struct shm_end *end = &shm->in;
    int r = shm_end_open(end, address, name, false);
    if (r < 0)
        return r;
    r = ring_reader_open(&shm->reader, end->own, end->peer, end->object.data, end->object.capacity);
    if (r < 0)
        return contradictory(end, r);
    begin_sessions(shm);
    shm_end_announce(end);
    return 0;
}

static int shm_close(struct conduit *conduit, bool forked)
{
    struct shm *shm = (struct shm *)conduit;
    int r = 0;
    if (!forked && shm->out.announced && !conduit->finished) {
        ring_drop(&shm->writer);
        r = shm_finish(conduit, DEADLINE_NOW);
    }
    if (!forked && shm->in.announced)
        ring_place_close(&shm->in.place);
    shm_end_close(&shm->out, shm->remove, forked);
    shm_end_close(&shm->in, shm->remove, forked);
    ring_writer_close(&shm->writer);
    ring_reader_close(&shm->reader);
    conduit_free(conduit);
    return r;
}

static int open_ends(struct shm *shm, const struct address *address)
{
    const char *to = address->second ? address->second : address->name;
    int r = shm->base.flags & TONG_RECEIVE ? open_receiver(shm, address, address->name) : 0;
    if (r == 0 && shm->base.flags & TONG_SEND)
        r = open_sender(shm, address, to);
    if (r == 0 && (shm->in.object.created || shm->out.object.created))
        shm->base.flags |= TONG_INFO_CREATED;
    return r;
}

static const struct channel_facet facet;

static int check_names(const struct open_request *request)
{
    bool both = (request->flags & TONG_BOTH) == TONG_BOTH;
    if (both && !request->address->second)
        return fail(-EOPNOTSUPP, "%s goes one way: name two channels, shm:IN,OUT, for both", request->address->text);
    if (!both && request->address->second)
        return fail(-EINVAL, "%s names two channels, but only one direction is opened", request->address->text);
    return 0;
}

static int shm_open_end(const struct open_request *request, struct conduit **ret)
{
    const struct address *address = request->address;
    char object[2 * SHM_NAME_MAX + 16];
    int r = check_names(request);
    if (r < 0)
        return r;
    snprintf(object, sizeof object, "shm:%s%s%s", address->name, address->second ? "," : "",
             address->second ? address->second : "");
    struct conduit *conduit;
    r = conduit_new(request, &facet, sizeof(struct shm), object, &conduit);
    if (r < 0)
        return r;
    struct shm *shm = (struct shm *)conduit;
    shm->remove = address->value[OPTION_REMOVE];
    r = open_ends(shm, address);
    if (r == 0)
        *ret = conduit;
    else
        shm_close(conduit, false);
    return r;
}

static int shm_remove(const struct address *address)
{
    int r = shm_object_remove(address->name);
    int second = address->second ? shm_object_remove(address->second) : 0;
    return r < 0 ? r : second;
}

static const struct channel_facet facet = {
    .variant = "",
    .identity = TONG_IDENTITY_NONE,
    .shape = TONG_HAS_TWO_WAY_PAIR,
    .send = shm_send,
    .receive = shm_receive,
    .reserve = shm_reserve,
    .commit = shm_commit,
    .abort = shm_abort,
    .peek = shm_peek,
    .release = shm_release,
    .finish = shm_finish,
    .pollfd = shm_pollfd,
    .cancel = shm_cancel,
    .peer = shm_peer,
    .describe = shm_describe,
    .close = shm_close,
};

static const struct channel_facet *const variants[] = { &facet, NULL };

static const struct option_use options[] = {
    { OPTION_MODE, 0600, 0, 0666, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 0 },
    { OPTION_CAPACITY, 4 << 20, (int64_t)LAYOUT_CAPACITY_LOW, (int64_t)LAYOUT_CAPACITY_HIGH, 0 },
    { OPTION_FULL, FULL_WAIT, 0, 0, 0 },
    { OPTION_DELIVER, DELIVER_QUEUE, 0, 0, 1 << DELIVER_QUEUE },
    OPTIONS_END
};

static uint64_t largest_message(const char *source)
{
    (void)source;
    return record_largest(LAYOUT_CAPACITY_HIGH);
}

static const struct limit limits[] = {
    { "free space", "bytes", SHM_DIRECTORY, shm_space },
    { "largest message", "bytes", "capacity=1G", largest_message },
    { NULL, NULL, NULL, NULL },
};

const struct mechanism mechanism_shm = {
    .scheme = "shm",
    .form = "shm:NAME, shm:IN,OUT",
    .summary = "a ring in shared memory: messages without a system call, and without a copy if you like",
    .medium = "memory",
    .unit = "message",
    .reach = "one machine",
    .order = "a lock-free ring; who must wait sleeps on a futex, event loops on a FIFO",
    .lifetime = "until removed or the machine restarts",
    .family = "POSIX shared memory (/dev/shm), futexes and OFD locks: Linux",
    .options = options,
    .limits = limits,
    .channels = variants,
    .open = shm_open_end,
    .remove = shm_remove,
};
