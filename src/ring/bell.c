/* SPDX-License-Identifier: MIT */
/* The bell.  A FIFO that is full, or whose waiter has died, is not an error: it is ready, or nobody listens. */
#include "ring/bell.h"

#include <errno.h>

#include "base/detail.h"
#include "core/process.h"
#include "ring/place.h"
#include "ring/sleep.h"
#include "sys/sys.h"

static const struct timespec look_every = { 0, 4000000 }; /* a death that no pidfd can tell */
static const struct timespec tick = { 0, 1000000 };         /* where nobody rings */
/* A process that has let go of its place and lives on, as after exec; a removed name. */
static const struct timespec glance_every = { 1, 0 };

/* The bell before the call that tells of it; a look at the ring follows.  False: the timer has to make up for it. */
static bool want(struct layout_control *control, struct layout_place *own)
{
    shared_set_bell(own, (shared_bell(own) + 1) | 1);
    shared_call(control, CALL_BELL);
    return ring_fence_heavily();
}

static int add(int epoll_fd, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    return sys_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int set_timer(struct ring_bell *bell, const struct timespec *every)
{
    const struct itimerspec value = { *every, *every };
    return sys_timerfd_settime(bell->timer_fd, &value);
}

void ring_bell_init(struct ring_bell *bell)
{
    *bell = (struct ring_bell){ -1, -1, -1, { { -1, false, 0 } } };
    for (unsigned place = 1; place < LAYOUT_PLACES; place++)
        bell->watch[place] = bell->watch[0];
}

bool ring_bell_is_open(const struct ring_bell *bell)
{
    return bell->epoll_fd >= 0;
}

int ring_bell_open(struct ring_bell *bell, struct layout_control *control, struct layout_place *own, int fifo, int also)
{
    struct ring_bell made;
    ring_bell_init(&made);
    made.fd = fifo;
    int r = made.epoll_fd = sys_epoll_create();
    if (r >= 0)
        r = add(made.epoll_fd, fifo);
    if (r >= 0 && also >= 0)
        r = add(made.epoll_fd, also);
    if (r >= 0)
        r = made.timer_fd = sys_timerfd();
    if (r >= 0)
        r = add(made.epoll_fd, made.timer_fd);
    if (r >= 0)
        r = set_timer(&made, &glance_every);
    if (r < 0) {
        ring_bell_close(&made);
        return fail_call(r, "a descriptor to poll for a ring");
    }
    *bell = made;
    want(control, own);
    ring_bell_ring_self(bell);
    return 0;
}

int ring_bell_open_clock(struct ring_bell *bell)
{
    struct ring_bell made;
    ring_bell_init(&made);
    int r = made.epoll_fd = sys_epoll_create();
    if (r >= 0)
        r = made.timer_fd = sys_timerfd();
    if (r >= 0)
        r = add(made.epoll_fd, made.timer_fd);
    if (r < 0) {
        ring_bell_close(&made);
        return fail_call(r, "a descriptor to poll for a ring");
    }
    *bell = made;
    ring_bell_ring_self(bell);
    return 0;
}

void ring_bell_ignore(struct ring_bell *bell, int fd)
{
    if (ring_bell_is_open(bell))
        sys_epoll_ctl(bell->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void ring_bell_close(struct ring_bell *bell)
{
    sys_close(bell->epoll_fd);
    sys_close(bell->timer_fd);
    for (unsigned place = 0; place < LAYOUT_PLACES; place++)
        sys_close(bell->watch[place].pid_fd);
    ring_bell_init(bell);
}

/* A pidfd of that very process: opened first, then checked, so that a number used again is not mistaken. */
static int open_peer(const struct layout_place *peer)
{
    tong_identity identity = TONG_IDENTITY_INIT;
    ring_place_identity(peer, &identity);
    if (identity.pid <= 0 || identity.start_time == 0)
        return -1;
    int fd = sys_pidfd_open((pid_t)identity.pid);
    if (fd < 0 || process_alive((pid_t)identity.pid, identity.start_time))
        return fd;
    sys_close(fd);
    return -1;
}

/* Taken out by name: a forked child may have the pidfd too, and then closing ours would leave it in the set. */
static void unwatch(struct ring_bell *bell, struct ring_watch *watch)
{
    if (watch->pid_fd >= 0)
        sys_epoll_ctl(bell->epoll_fd, EPOLL_CTL_DEL, watch->pid_fd, NULL);
    sys_close(watch->pid_fd);
    watch->pid_fd = -1;
}

/* A dead peer's session stays open and its pidfd readable: once that has been told, it must not wake again. */
static bool watch_place(struct ring_bell *bell, struct ring_watch *watch, const struct layout_place *peer, uint64_t told)
{
    uint64_t session = shared_session(peer);
    if (session_number(session) <= told)
        session = 0;
    if (session == watch->watched)
        return false;
    unwatch(bell, watch);
    bool somebody = session_state(session) == SESSION_OPEN;
    watch->pid_fd = somebody ? open_peer(peer) : -1;
    watch->blind = somebody && (watch->pid_fd < 0 || add(bell->epoll_fd, watch->pid_fd) < 0);
    watch->watched = session;
    return true;
}

static int watch_all(struct ring_bell *bell, const struct layout_control *peer, const uint64_t *told, bool fenced)
{
    uint64_t used = shared_used(peer);
    bool changed = !fenced, blind = !fenced;
    for (unsigned place = 0; place < LAYOUT_PLACES; place++) {
        if (used >> place & 1)
            changed |= watch_place(bell, &bell->watch[place], &peer->places[place], told[place]);
        blind |= bell->watch[place].blind;
    }
    return changed ? set_timer(bell, blind ? &look_every : &glance_every) : 0;
}

int ring_bell_rearm(struct ring_bell *bell, struct layout_control *control, struct layout_place *own,
                    const struct layout_control *peer, const uint64_t told[LAYOUT_PLACES])
{
    char bytes[64];
    uint64_t ticks;
    sys_read(bell->timer_fd, &ticks, sizeof ticks);
    if (!control)
        return 0;
    sys_read(bell->fd, bytes, sizeof bytes);
    bool fenced = want(control, own);
    int r = watch_all(bell, peer, told, fenced);
    return r < 0 ? fail_call(r, "watching the other end of a ring") : 0;
}

void ring_bell_disturb(int fifo)
{
    const char byte = 1;
    if (fifo >= 0)
        sys_write(fifo, &byte, 1);
}

void ring_bell_ring_self(struct ring_bell *bell)
{
    const struct itimerspec at_once = { tick, { 0, 1 } };
    if (bell->fd < 0)
        sys_timerfd_settime(bell->timer_fd, &at_once);
    ring_bell_disturb(bell->fd);
}
