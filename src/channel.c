/* SPDX-License-Identifier: MIT */
/*
 * The channel facade: checks what the public header promises, takes turns between cloned handles, and hands
 * the call to the conduit's facet.  The hot paths are straight: one check, one indirect call.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/give.h"
#include "base/hot.h"
#include "core/process.h"
#include "core/wait.h"
#include "handle.h"
#include "sys/sys.h"

__attribute__((cold)) static int unusable(const tong_channel *channel, uint32_t direction)
{
    if (!channel)
        return fail(-EINVAL, "the channel is NULL");
    if (channel->generation != fork_generation && !channel->conduit->inheritable)
        return fail(-EBADFD, "%s was opened before fork: close it, or take it over with tong_channel_after_fork()",
                    channel->conduit->object);
    return fail(-EBADF, "%s was not opened to %s", channel->conduit->object,
                direction == TONG_SEND ? "send" : "receive");
}

/* Whether the handle may be used in this process, in this direction (0: none needed). */
static inline bool usable(const tong_channel *channel, uint32_t direction)
{
    return __builtin_expect(channel && (channel->generation == fork_generation || channel->conduit->inheritable) &&
                            (channel->conduit->flags & direction) == direction, 1);
}

static int not_offered(const struct conduit *conduit, const char *what)
{
    return fail(-EOPNOTSUPP, "%s: cannot %s", conduit->mechanism->scheme, what);
}

static int sending_finished(const struct conduit *conduit)
{
    return fail(-EPIPE, "%s: sending was finished", conduit->object);
}

/* Between clones: one in each direction at a time, and no longer than the deadline. */
__attribute__((noinline)) static int lock_turn(pthread_mutex_t *lock, int64_t deadline)
{
    int r;
    if (deadline == DEADLINE_NEVER)
        r = pthread_mutex_lock(lock);
    else if (deadline == DEADLINE_NOW)
        r = pthread_mutex_trylock(lock);
    else
        r = pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &(struct timespec){ deadline / 1000000000, deadline % 1000000000 });
    return r == 0 ? 0 : wait_expired(deadline);
}

/* A conduit that once had clones keeps locking: one that closes must not let two in. */
static inline bool is_cloned(const struct conduit *conduit)
{
    return __builtin_expect(atomic_load_explicit(&conduit->handles, memory_order_relaxed) != 1, 0);
}

static inline int64_t deadline_for(const struct conduit *conduit, int64_t timeout)
{
    return __builtin_expect(conduit->facet->late_deadlines, 1) ? deadline_late(timeout) : deadline_after(timeout);
}

/* Waiting for a turn begins the deadline. */
static inline int enter(struct conduit *conduit, pthread_mutex_t *lock, int64_t *deadline, bool *ret_locked)
{
    *ret_locked = is_cloned(conduit);
    if (!*ret_locked)
        return 0;
    *deadline = deadline_begin(*deadline);
    return lock_turn(lock, *deadline);
}

static inline void leave(pthread_mutex_t *lock, bool locked)
{
    if (locked)
        pthread_mutex_unlock(lock);
}

/* ---- Sending ------------------------------------------------------------------------------------------- */

/* One message by the conduit's policy for when it is full: wait, or not wait and perhaps drop and count. */
static inline int send_by_policy(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    if (__builtin_expect(conduit->full == FULL_WAIT, 1))
        return conduit->facet->send(conduit, out, deadline);
    int r = conduit->facet->send(conduit, out, DEADLINE_NOW);
    if (r != -EAGAIN || conduit->full == FULL_FAIL)
        return r;
    atomic_fetch_add_explicit(&conduit->dropped, 1, memory_order_relaxed);
    return 0;
}

HOT int tong_channel_send(tong_channel *channel, const void *data, size_t size, const tong_message *message, int64_t timeout)
{
    if (!usable(channel, TONG_SEND))
        return unusable(channel, TONG_SEND);
    struct conduit *conduit = channel->conduit;
    struct message_out out = { data, size, message ? message->type : 0 };
    int64_t deadline = deadline_for(conduit, timeout);
    bool locked;
    int r = enter(conduit, &conduit->send_lock, &deadline, &locked);
    if (r < 0)
        return r;
    r = conduit->finished ? sending_finished(conduit)
                          : send_by_policy(conduit, &out, deadline);
    leave(&conduit->send_lock, locked);
    return r;
}

/* What comes before either kind of batch: 1 to go on, 0 when there is nothing to do, or an error. */
static int check_batch(const tong_channel *channel, uint32_t direction, const tong_batch *batch, size_t count)
{
    if (!usable(channel, direction))
        return unusable(channel, direction);
    if (count == 0)
        return 0;
    return batch && batch->size >= sizeof *batch ? 1 : fail(-EINVAL, "tong_batch.size is not set: use sizeof(tong_batch)");
}

static const tong_batch *batch_at(const tong_batch *batch, size_t index)
{
    return (const tong_batch *)((const char *)batch + index * batch->size);
}

/* For mechanisms that cannot do better.  Messages share the deadline; an error after the first ends the batch. */
static ssize_t send_one_by_one(struct conduit *conduit, const tong_batch *batch, size_t count, int64_t deadline)
{
    size_t sent = 0;
    deadline = deadline_begin(deadline);
    for (; sent < count; sent++) {
        const tong_batch *item = batch_at(batch, sent);
        struct message_out out = { item->data, item->length, item->type };
        int r = send_by_policy(conduit, &out, deadline);
        if (r < 0)
            return sent ? (ssize_t)sent : r;
    }
    return (ssize_t)sent;
}

HOT ssize_t tong_channel_send_batch(tong_channel *channel, const tong_batch *batch, size_t count, int64_t timeout)
{
    int go = check_batch(channel, TONG_SEND, batch, count);
    if (go <= 0)
        return go;
    struct conduit *conduit = channel->conduit;
    int64_t deadline = deadline_for(conduit, timeout);
    bool locked;
    ssize_t r = enter(conduit, &conduit->send_lock, &deadline, &locked);
    if (r < 0)
        return r;
    if (conduit->finished)
        r = sending_finished(conduit);
    else if (conduit->facet->send_batch && batch->size == sizeof *batch && conduit->full == FULL_WAIT)
        r = conduit->facet->send_batch(conduit, batch, count, deadline);
    else
        r = send_one_by_one(conduit, batch, count, deadline);
    leave(&conduit->send_lock, locked);
    return r;
}

int tong_channel_finish(tong_channel *channel, int64_t timeout)
{
    if (!usable(channel, TONG_SEND))
        return unusable(channel, TONG_SEND);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->finish)
        return not_offered(conduit, "mark an end: receivers of such a conduit agree on one themselves");
    int64_t deadline = deadline_after(timeout);
    bool locked;
    int r = enter(conduit, &conduit->send_lock, &deadline, &locked);
    if (r < 0)
        return r;
    if (!conduit->finished && (r = conduit->facet->finish(conduit, deadline)) == 0)
        conduit->finished = true;
    leave(&conduit->send_lock, locked);
    return r;
}

/* Takes no turn: it waits for the disk, and for nobody here. */
int tong_channel_sync(tong_channel *channel)
{
    if (!usable(channel, 0))
        return unusable(channel, 0);
    struct conduit *conduit = channel->conduit;
    return conduit->facet->sync ? conduit->facet->sync(conduit)
                                : not_offered(conduit, "reach a disk: use mmap: with durable=yes, or file:");
}

/* ---- Receiving ----------------------------------------------------------------------------------------- */

static void give_message(tong_message *to, const tong_message *from, ssize_t result)
{
    if (to && (result >= 0 || result == -EMSGSIZE))
        give(to, from, sizeof *from);
}

/* What ended a batch after its first message, and would not come again by itself, is told by the next receive. */
static ssize_t tell_deferred(struct conduit *conduit)
{
    int error = conduit->deferred;
    conduit->deferred = 0;
    return fail_call(error, "%s: after the last batch", conduit->object);
}

static bool comes_again(ssize_t error)
{
    static const int errors[] = { -EAGAIN, -ETIMEDOUT, -EMSGSIZE, -ENODATA, -ECONNRESET, -ECANCELED };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (error == errors[i])
            return true;
    return false;
}

HOT ssize_t tong_channel_receive(tong_channel *channel, void *buffer, size_t capacity, tong_message *ret_message, int64_t timeout)
{
    if (!usable(channel, TONG_RECEIVE))
        return unusable(channel, TONG_RECEIVE);
    struct conduit *conduit = channel->conduit;
    struct message_in in = { buffer, capacity, TONG_MESSAGE_INIT };
    int64_t deadline = deadline_for(conduit, timeout);
    bool locked;
    ssize_t r = enter(conduit, &conduit->receive_lock, &deadline, &locked);
    if (r < 0)
        return r;
    r = __builtin_expect(conduit->deferred, 0) ? tell_deferred(conduit) : conduit->facet->receive(conduit, &in, deadline);
    leave(&conduit->receive_lock, locked);
    give_message(ret_message, &in.meta, r);
    return r;
}

static ssize_t receive_one_by_one(struct conduit *conduit, tong_batch *batch, size_t count, int64_t deadline)
{
    size_t received = 0;
    ssize_t r = 0;
    for (; received < count; received++) {
        tong_batch *item = (tong_batch *)((char *)batch + received * batch->size);
        struct message_in in = { item->data, item->capacity, TONG_MESSAGE_INIT };
        r = conduit->facet->receive(conduit, &in, received ? DEADLINE_NOW : deadline);
        if (r < 0)
            break;
        item->length = (uint64_t)r;
        item->type = in.meta.type;
        item->flags = in.meta.flags;
    }
    if (received && received < count && !comes_again(r))
        conduit->deferred = (int)r;
    return received ? (ssize_t)received : r;
}

ssize_t tong_channel_receive_batch(tong_channel *channel, tong_batch *batch, size_t count, int64_t timeout)
{
    int go = check_batch(channel, TONG_RECEIVE, batch, count);
    if (go <= 0)
        return go;
    struct conduit *conduit = channel->conduit;
    int64_t deadline = deadline_for(conduit, timeout);
    bool locked;
    ssize_t r = enter(conduit, &conduit->receive_lock, &deadline, &locked);
    if (r < 0)
        return r;
    if (__builtin_expect(conduit->deferred, 0))
        r = tell_deferred(conduit);
    else if (conduit->facet->receive_batch && batch->size == sizeof *batch)
        r = conduit->facet->receive_batch(conduit, batch, count, deadline);
    else
        r = receive_one_by_one(conduit, batch, count, deadline);
    leave(&conduit->receive_lock, locked);
    return r;
}

int tong_channel_select(tong_channel *channel, int rule, int64_t type)
{
    if (!usable(channel, TONG_RECEIVE))
        return unusable(channel, TONG_RECEIVE);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->select)
        return not_offered(conduit, "select messages by type: use msgq:");
    if (rule < TONG_SELECT_FIRST || rule > TONG_SELECT_EXCEPT || (rule != TONG_SELECT_FIRST && type <= 0))
        return fail(-EINVAL, "select: rule %d with type %lld: use a TONG_SELECT_... rule and a type above 0", rule, (long long)type);
    int64_t deadline = DEADLINE_NEVER;
    bool locked;
    int r = enter(conduit, &conduit->receive_lock, &deadline, &locked);
    if (r < 0)
        return r;
    r = conduit->facet->select(conduit, rule, type);
    leave(&conduit->receive_lock, locked);
    return r;
}

/* ---- Zero copy ----------------------------------------------------------------------------------------- */

static int no_zero_copy(const struct conduit *conduit)
{
    return not_offered(conduit, "lend its memory: only shm: and mmap: can; use send and receive");
}

/* A turn would last from reserve to commit: who waits for room could wait for one who waits for the turn. */
static int no_turns(const struct conduit *conduit)
{
    return fail(-EOPNOTSUPP, "%s: has clones, and tokens belong to one handle: use send and receive, or do not clone it",
                conduit->object);
}

HOT int tong_channel_reserve(tong_channel *channel, size_t size, int64_t timeout, tong_token *ret)
{
    if (!usable(channel, TONG_SEND))
        return unusable(channel, TONG_SEND);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->reserve)
        return no_zero_copy(conduit);
    if (is_cloned(conduit))
        return no_turns(conduit);
    if (conduit->finished)
        return sending_finished(conduit);
    if (__builtin_expect(ret->size == sizeof *ret, 1))
        return conduit->facet->reserve(conduit, size, deadline_for(conduit, timeout), ret);
    tong_token token = TONG_TOKEN_INIT;
    int r = conduit->facet->reserve(conduit, size, deadline_for(conduit, timeout), &token);
    if (r == 0)
        give(ret, &token, sizeof token);
    return r;
}

/* A token that the caller gives back: only ours, and only once (release and commit clear it). */
static int take_token(const struct conduit *conduit, tong_token *token)
{
    if (token && token->size >= sizeof *token && token->private_word[3] == (uintptr_t)conduit)
        return 0;
    return fail(-EINVAL, "%s: the token is not one that this channel gave out and still waits for", conduit->object);
}

HOT int tong_channel_commit(tong_channel *channel, tong_token *token, size_t used, const tong_message *message)
{
    if (!usable(channel, TONG_SEND))
        return unusable(channel, TONG_SEND);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->commit)
        return no_zero_copy(conduit);
    int r = take_token(conduit, token);
    return r < 0 ? r : conduit->facet->commit(conduit, token, used, message ? message->type : 0);
}

int tong_channel_abort(tong_channel *channel, tong_token *token)
{
    if (!usable(channel, TONG_SEND))
        return unusable(channel, TONG_SEND);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->abort)
        return no_zero_copy(conduit);
    int r = take_token(conduit, token);
    return r < 0 ? r : conduit->facet->abort(conduit, token);
}

__attribute__((noinline)) static ssize_t peek_and_give(tong_channel *channel, int64_t timeout, tong_message *ret_message,
                                                       tong_token *ret)
{
    if (!usable(channel, TONG_RECEIVE))
        return unusable(channel, TONG_RECEIVE);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->peek)
        return no_zero_copy(conduit);
    if (is_cloned(conduit))
        return no_turns(conduit);
    tong_message meta = TONG_MESSAGE_INIT;
    tong_token token = TONG_TOKEN_INIT;
    ssize_t r = conduit->facet->peek(conduit, deadline_for(conduit, timeout), &meta, &token);
    if (r < 0)
        return r;
    give(ret, &token, sizeof token);
    give_message(ret_message, &meta, r);
    return r;
}

/* What most callers want needs nothing but the conduit. */
HOT ssize_t tong_channel_peek(tong_channel *channel, int64_t timeout, tong_message *ret_message, tong_token *ret)
{
    if (__builtin_expect(usable(channel, TONG_RECEIVE) && !ret_message && ret->size == sizeof *ret, 1)) {
        struct conduit *conduit = channel->conduit;
        if (__builtin_expect(conduit->facet->peek && !is_cloned(conduit), 1))
            return conduit->facet->peek(conduit, deadline_for(conduit, timeout), NULL, ret);
    }
    return peek_and_give(channel, timeout, ret_message, ret);
}

HOT int tong_channel_release(tong_channel *channel, tong_token *token)
{
    if (!usable(channel, TONG_RECEIVE))
        return unusable(channel, TONG_RECEIVE);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->release)
        return no_zero_copy(conduit);
    int r = take_token(conduit, token);
    return r < 0 ? r : conduit->facet->release(conduit, token);
}

/* ---- Readiness, cancelling, sharing ---------------------------------------------------------------------- */

int tong_channel_pollfd(tong_channel *channel, uint32_t direction, struct pollfd *ret)
{
    if (direction != TONG_SEND && direction != TONG_RECEIVE)
        return fail(-EINVAL, "pollfd: direction 0x%x: ask for TONG_RECEIVE or for TONG_SEND", direction);
    if (!usable(channel, direction))
        return unusable(channel, direction);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->pollfd)
        return not_offered(conduit, "be polled");
    if (direction == TONG_SEND && conduit->finished)
        return sending_finished(conduit);
    struct pollfd item = { -1, 0, 0 };
    pthread_mutex_t *lock = direction == TONG_SEND ? &conduit->send_lock : &conduit->receive_lock;
    int64_t deadline = DEADLINE_NEVER;
    bool locked;
    int r = enter(conduit, lock, &deadline, &locked);
    if (r < 0)
        return r;
    r = conduit->facet->pollfd(conduit, direction, &item);
    leave(lock, locked);
    if (r == 0)
        *ret = item;
    return r;
}

/* Async-signal-safe: no fail() with a format, no lock.  The store comes before the wake, and waiters look at
 * `cancelled` before they sleep, so none is missed. */
int tong_channel_cancel(tong_channel *channel)
{
    struct conduit *conduit = channel->conduit;
    if (conduit->cancel_fd < 0 && !conduit->facet->cancel)
        return fail_static(-EOPNOTSUPP, "the channel was not opened with TONG_CANCELLABLE");
    atomic_store_explicit(&conduit->cancelled, true, memory_order_release);
    uint64_t one = 1;
    if (conduit->cancel_fd >= 0)
        sys_write(conduit->cancel_fd, &one, sizeof one);
    return conduit->facet->cancel ? conduit->facet->cancel(conduit) : 0;
}

int tong_channel_clone(tong_channel *channel, tong_channel **ret)
{
    if (!usable(channel, 0))
        return unusable(channel, 0);
    tong_channel *clone = malloc(sizeof *clone);
    if (!clone)
        return fail(-ENOMEM, "tong_channel_clone: out of memory");
    *clone = *channel;
    /* Far from 1 for ever, so that a call which began before a clone was closed still finds its lock. */
    unsigned handles = atomic_fetch_add(&channel->conduit->handles, 1);
    if (handles == 1)
        atomic_fetch_add(&channel->conduit->handles, 1U << 16);
    *ret = clone;
    return 0;
}

int tong_channel_after_fork(tong_channel *channel)
{
    if (!channel)
        return unusable(channel, 0);
    struct conduit *conduit = channel->conduit;
    if (channel->generation == fork_generation)
        return 0;
    if (!conduit->facet->after_fork && !conduit->inheritable)
        return not_offered(conduit, "be taken over after fork: open a channel of your own");
    int r = conduit->facet->after_fork ? conduit->facet->after_fork(conduit) : 0;
    if (r == 0)
        channel->generation = fork_generation;
    return r;
}

int tong_channel_close(tong_channel *channel)
{
    if (!channel)
        return 0;
    struct conduit *conduit = channel->conduit;
    bool forked = channel->generation != fork_generation && !conduit->inheritable;
    free(channel);
    unsigned others = atomic_fetch_sub(&conduit->handles, 1) - 1;
    return (others & 0xffff) == 0 ? conduit->facet->close(conduit, forked) : 0;
}

/* ---- Descriptors and descriptions ------------------------------------------------------------------------ */

int tong_channel_descriptor(tong_channel *channel, uint32_t direction)
{
    if (direction != TONG_SEND && direction != TONG_RECEIVE)
        return fail(-EINVAL, "descriptor: direction 0x%x: ask for TONG_RECEIVE or for TONG_SEND", direction);
    if (!usable(channel, direction))
        return unusable(channel, direction);
    struct conduit *conduit = channel->conduit;
    if (direction == TONG_SEND && conduit->finished)
        return sending_finished(conduit);
    return conduit->facet->descriptor ? conduit->facet->descriptor(conduit, direction)
                                      : not_offered(conduit, "be reduced to a descriptor");
}

static int keep_on_exec(int fd)
{
    int r = sys_fcntl_int(fd, F_SETFD, 0);
    return r < 0 ? fail_call(r, "fcntl(%d, F_SETFD)", fd) : 0;
}

int tong_channel_inherit(tong_channel *channel, char *ret_address, size_t size)
{
    if (!usable(channel, 0))
        return unusable(channel, 0);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->descriptor || !conduit->facet->heir_options)
        return not_offered(conduit, "be inherited by a program: let it open the address");
    bool receives = conduit->flags & TONG_RECEIVE, sends = conduit->flags & TONG_SEND;
    int from = receives ? conduit->facet->descriptor(conduit, TONG_RECEIVE) : -1;
    int to = sends ? conduit->facet->descriptor(conduit, TONG_SEND) : -1;
    char options[40], text[64];
    int r = conduit->facet->heir_options(conduit, options, sizeof options);
    if (r < 0 || (receives && (r = keep_on_exec(from)) < 0) || (sends && (r = keep_on_exec(to)) < 0))
        return r;
    int used = receives && sends && from != to ? snprintf(text, sizeof text, "fd:%d,%d%s", from, to, options)
                                               : snprintf(text, sizeof text, "fd:%d%s", receives ? from : to, options);
    if (used < 0 || (size_t)used >= size)
        return fail(-ENAMETOOLONG, "tong_channel_inherit: '%s' does not fit %zu bytes", text, size);
    memcpy(ret_address, text, (size_t)used + 1);
    return 0;
}

int tong_channel_peer(tong_channel *channel, tong_identity *ret)
{
    if (!usable(channel, 0))
        return unusable(channel, 0);
    struct conduit *conduit = channel->conduit;
    if (!conduit->facet->peer)
        return not_offered(conduit, "say who is at the other end");
    tong_identity identity = TONG_IDENTITY_INIT;
    int r = conduit->facet->peer(conduit, &identity);
    if (r == 0)
        give(ret, &identity, sizeof identity);
    return r;
}

int tong_channel_describe(tong_channel *channel, tong_channel_info *ret)
{
    if (!usable(channel, 0))
        return unusable(channel, 0);
    struct conduit *conduit = channel->conduit;
    tong_channel_info info = { sizeof info, conduit->flags, TONG_UNKNOWN, TONG_UNKNOWN, TONG_UNKNOWN, TONG_UNKNOWN,
                               atomic_load_explicit(&conduit->dropped, memory_order_relaxed),
                               conduit->facet->identity, 0, conduit->mechanism->scheme, conduit->object, 0 };
    int r = conduit->facet->describe ? conduit->facet->describe(conduit, &info) : 0;
    if (r == 0)
        give(ret, &info, sizeof info);
    return r;
}
