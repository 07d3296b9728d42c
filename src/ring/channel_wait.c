/* SPDX-License-Identifier: MIT */
/*
 * Waiting at an end of a channel, in two steps.  For a short while on the futex of the other's cursor, which is the
 * fastest to be woken by and costs no descriptor; then, after a look whether anybody lives there, in poll(2) on what
 * an event loop would poll: the bell with the pidfd of the other end (ring/bell.h), and the eventfd of a cancellable
 * channel.
 *
 * A cancel without an eventfd rings our own bell.  The flag is set before the byte is written and looked at after
 * the bell was emptied, so one of the two is seen; only a slice can begin without having seen either.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/wait.h"
#include "ring/place.h"
#include "ring/channel.h"
#include "sys/sys.h"

#define SLICE 4000000 /* ns: the longest time for which a death or a cancel goes unnoticed */

static int cancelled(const struct ring_channel *channel)
{
    bool set = atomic_load_explicit(&channel->base.cancelled, memory_order_acquire);
    return set ? fail_static(-ECANCELED, "cancelled") : 0;
}

/* Whatever may not block is not cancelled: it has nothing to wait for. */
static int doze(struct ring_channel *channel, struct ring_end *end, uint64_t seen, int64_t deadline)
{
    if (deadline == DEADLINE_NOW)
        return wait_expired(deadline);
    int64_t left = deadline_left(deadline);
    int r = cancelled(channel);
    if (r < 0)
        return r;
    if (left == 0)
        return wait_expired(deadline);
    r = ring_sleep(&end->own->places[0], &end->peer->cursor, seen, left < 0 || left > SLICE ? SLICE : left);
    return r == -ETIMEDOUT ? WAIT_SLICE : r;
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
    return ring_bell_is_open(&end->bell) || ring_bell_open(&end->bell, &end->own->places[0], end->own_fifo) == 0;
}

/* Nobody can come any more: the name is gone, and who had the channel open has left, or died.  The lock tells, and
 * not the session: who is just coming has it before he says so. */
static int removed(const struct ring_channel *channel, const struct ring_end *end)
{
    struct stat state;
    if (sys_fstat(end->object.senders_fd, &state) < 0 || state.st_nlink > 0 ||
        ring_place_held(end->peer_fd) != 0)
        return 0;
    return fail(-ESTALE, "%s was removed while nobody else had it open: by %s; open it again", channel->base.object,
                channel->home->removers);
}

int ring_channel_wait(struct ring_channel *channel, struct ring_end *end, uint64_t seen, int last, int64_t deadline,
                      void (*rearm)(struct ring_channel *, uint64_t), uint64_t size)
{
    int r = last == WAIT_SLICE ? removed(channel, end) : 0;
    if (r < 0)
        return r;
    if (last == WAIT_SLICE && has_bell(end)) {
        rearm(channel, size);
        return await_bell(channel, end, deadline);
    }
    r = doze(channel, end, seen, deadline);
    if (r == -EAGAIN && ring_bell_is_open(&end->bell))
        rearm(channel, size);
    return r;
}
