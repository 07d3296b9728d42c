/* SPDX-License-Identifier: MIT */
/*
 * Waiting at an end of a channel, in three steps.  It spins, as long as that has paid lately.  Then it sleeps for a short
 * while on the futex of the other side, which is the fastest to be woken by and costs no descriptor.  Then, after a look
 * whether anybody lives there, it sleeps in poll(2) on what an event loop would poll: the bell with the pidfds of the
 * other side (ring/bell.h), and the eventfd of a cancellable channel.
 *
 * Spinning pays where the answer comes sooner than a sleep and a wake would take, RING_SPIN_MOST or so.  What comes while
 * spinning keeps the budget; a budget that was spent in vain is halved; and who sleeps without having spun and is woken
 * within that time tries again, after pauses that double each time that fails.  Who shares its only processor with the
 * other side never spins: nothing can happen until it sleeps.
 *
 * A cancel without an eventfd rings our own bell.  The flag is set before the byte is written and looked at after
 * the bell was emptied, so one of the two is seen; only a slice can begin without having seen either.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/wait.h"
#include "ring/channel.h"
#include "ring/sleep.h"
#include "sys/sys.h"

#define SLICE 5000000       /* ns: the longest time for which a death or a cancel goes unnoticed */
#define SLICE_BLIND 1000000 /* ns: the same where no heavy fence can be had, so that a wake may be missed */
#define SPIN_LEAST 1000     /* ns: less is none */
#define POLLS_UNTIMED 50    /* looks before the clock is first read */
#define POLLS 8             /* looks between two readings of it */
#define PENALTY_MOST 1024
#define SPINS 256           /* that something ended, until the clock is looked at all the same */
#define TRUST 64           /* waits for which who was found alone is taken to be */

static int cancelled(const struct ring_channel *channel)
{
    bool set = atomic_load_explicit(&channel->base.cancelled, memory_order_acquire);
    return set ? fail_static(-ECANCELED, "cancelled") : 0;
}

/* ---- Spinning -------------------------------------------------------------------------------------------- */

static bool poll_for(struct ring_channel *channel, ring_found found, uint64_t size, int polls)
{
    while (polls-- > 0) {
        if (found(channel, size, false))
            return true;
        ring_relax();
    }
    return false;
}

/* Whether whoever holds that place may run there only. */
static bool runs_only_there(const struct layout_place *place, const cpu_set_t *there)
{
    tong_identity peer = TONG_IDENTITY_INIT;
    cpu_set_t theirs;
    ring_place_identity(place, &peer);
    return peer.pid > 0 && sys_getaffinity((pid_t)peer.pid, &theirs) >= 0 && CPU_EQUAL(there, &theirs);
}

/* Whether the process and all who are at the other side may run on one processor only, and it is the same. */
static bool share_one_processor(const struct ring_end *end)
{
    cpu_set_t ours;
    bool anybody = false;
    if (sys_getaffinity(0, &ours) < 0 || CPU_COUNT(&ours) != 1)
        return false;
    for (unsigned place = 0; place < LAYOUT_PLACES; place++) {
        const struct layout_place *row = &end->peer->places[place];
        if (session_state(shared_session(row)) != SESSION_OPEN)
            continue;
        if (!runs_only_there(row, &ours))
            return false;
        anybody = true;
    }
    return anybody;
}

/* Changes with every beginning and every end at the other side. */
static uint64_t sessions(const struct ring_end *end)
{
    uint64_t sum = 0;
    for (uint64_t used = shared_used(end->peer) & LAYOUT_EVERY_PLACE; used; used &= used - 1)
        sum += shared_session(&end->peer->places[__builtin_ctzll(used)]);
    return sum;
}

/* Asked when somebody came or went.  Who was found alone is asked again now and then, because a process may be let go
 * elsewhere, and never again after a wake was missed: threads of one process may have processors of their own. */
static bool is_alone(struct ring_end *end)
{
    struct ring_patience *patience = &end->patience;
    uint64_t now = sessions(end);
    if (patience->judged != now || (patience->alone && patience->trust-- == 0)) {
        patience->judged = now;
        patience->trust = TRUST;
        patience->alone = !patience->mistaken && share_one_processor(end);
    }
    return patience->alone;
}

/* Whether it came. */
static bool spin(struct ring_channel *channel, struct ring_end *end, ring_found found, uint64_t size)
{
    struct ring_patience *patience = &end->patience;
    if (patience->budget == 0 || is_alone(end))
        return false;
    if (poll_for(channel, found, size, POLLS_UNTIMED))
        return true;
    for (int64_t until = clock_now() + patience->budget; clock_now() < until; )
        if (poll_for(channel, found, size, POLLS))
            return true;
    patience->budget = patience->budget / 2 < SPIN_LEAST ? 0 : patience->budget / 2;
    if (patience->budget == 0) {
        patience->penalty = patience->penalty < PENALTY_MOST ? 2 * patience->penalty + 1 : PENALTY_MOST;
        patience->pause = patience->penalty;
    }
    return false;
}

/* A hostile peer may let something come again and again that is nothing when it is looked at: that must not go on for
 * longer than was asked for, and for honest ones a look now and then costs nothing. */
static int spun(const struct ring_channel *channel, struct ring_end *end, int64_t deadline)
{
    if (++end->patience.spins % SPINS)
        return WAIT_MOVED;
    int r = cancelled(channel);
    return r == 0 && deadline_left(deadline) == 0 ? wait_expired(deadline) : r;
}

/* After a sleep that ended in time to have been worth spinning for. */
static void reconsider(struct ring_patience *patience, int64_t slept)
{
    if (slept >= RING_SPIN_MOST || patience->budget != 0)
        return;
    if (patience->pause > 0)
        patience->pause--;
    else
        patience->budget = RING_SPIN_MOST;
}

/* ---- Sleeping -------------------------------------------------------------------------------------------- */

/* How long nobody need be asked again.  Who only watches cannot ask. */
static int64_t call(struct ring_end *end)
{
    if (!end->own)
        return SLICE_BLIND;
    shared_call(end->own, CALL_WAKE);
    return end->patience.alone || ring_fence_heavily() ? SLICE : SLICE_BLIND;
}

/* Asks to be told, looks once more, and sleeps.  Who runs on our only processor has passed a fence by giving it to us; if
 * it has been let go elsewhere since we asked, one slice is the most that it can cost: then we have been mistaken. */
static int sleep_slice(struct ring_channel *channel, struct ring_end *end, int64_t left, ring_found found, uint64_t size)
{
    uint32_t seen = shared_wake(end->peer);
    int64_t slice = call(end);
    if (found(channel, size, true))
        return WAIT_MOVED;
    int r = ring_sleep(end->peer, end->object.quick, seen, left < 0 || left > slice ? slice : left);
    if (r == -ETIMEDOUT && end->patience.alone && found(channel, size, false)) {
        end->patience.mistaken = true;
        end->patience.alone = false;
    }
    return r;
}

/* Whatever may not block is not cancelled: it has nothing to wait for. */
static int doze(struct ring_channel *channel, struct ring_end *end, int64_t deadline, ring_found found, uint64_t size)
{
    if (deadline == DEADLINE_NOW)
        return wait_expired(deadline);
    int64_t left = deadline_left(deadline);
    int r = cancelled(channel);
    if (r < 0)
        return r;
    if (left == 0)
        return wait_expired(deadline);
    bool learns = end->patience.budget == 0 && !end->patience.alone;
    int64_t before = learns ? clock_now() : 0;
    r = sleep_slice(channel, end, left, found, size);
    if (r == 0 && learns)
        reconsider(&end->patience, clock_now() - before);
    return r == -ETIMEDOUT ? WAIT_SLICE : r;
}

/* Empties the bell and asks for it; it stays ready if there is something after all. */
static void rearm(struct ring_channel *channel, struct ring_end *end, ring_found found, uint64_t size)
{
    const uint64_t *told = end->sender ? channel->log.gone : channel->lanes.told;
    if (ring_bell_rearm(&end->bell, end->own, end->place.row, end->peer, told) < 0 || found(channel, size, true))
        ring_bell_ring_self(&end->bell);
}

static int await_bell(struct ring_channel *channel, struct ring_end *end, int64_t deadline)
{
    int r = cancelled(channel);
    if (r == 0)
        r = wait_descriptor(end->bell.epoll_fd, POLLIN, channel->base.cancel_fd, deadline);
    return r < 0 ? r : WAIT_BELL;
}

/* Without descriptors to spare the slices go on. */
static bool has_bell(struct ring_end *end)
{
    return ring_bell_is_open(&end->bell) || ring_end_open_bell(end) == 0;
}

/* Whether a place of the other side is held, be it by one who has not said so yet. */
static bool is_anybody_there(const struct ring_end *end)
{
    for (unsigned place = 0; place < LAYOUT_PLACES; place++)
        if (ring_place_held(end->peer_fd, place) != 0)
            return true;
    return false;
}

/* Nobody can come any more: the name is gone, and who had the channel open has left, or died.  The lock tells, and
 * not the session: who is just coming has it before he says so. */
static int removed(const struct ring_end *end)
{
    int r = end->object.home->objects->gone(&end->object, end->sender);
    return r < 0 && is_anybody_there(end) ? 0 : r;
}

int ring_channel_wait(struct ring_channel *channel, struct ring_end *end, int last, int64_t deadline, ring_found found,
                      uint64_t size)
{
    int r = ring_end_cut(end);
    if (r == 0 && (r = ring_end_meet(end)) > 0)
        return WAIT_MOVED;
    if (r == 0 && last == WAIT_SLICE)
        r = removed(end);
    if (r < 0)
        return r;
    if (last == WAIT_SLICE && end->own && has_bell(end)) {
        rearm(channel, end, found, size);
        return await_bell(channel, end, deadline);
    }
    if (deadline != DEADLINE_NOW && last == WAIT_MOVED && spin(channel, end, found, size))
        return spun(channel, end, deadline);
    r = doze(channel, end, deadline, found, size);
    if (r == -EAGAIN && ring_bell_is_open(&end->bell))
        rearm(channel, end, found, size);
    return r;
}
