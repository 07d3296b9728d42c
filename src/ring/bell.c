/* SPDX-License-Identifier: MIT */
/* The bell.  A FIFO that is full, or whose waiter has died, is not an error: it is ready, or nobody listens. */
#include "ring/bell.h"

#include <errno.h>

#include "base/detail.h"
#include "core/process.h"
#include "ring/place.h"
#include "sys/sys.h"

#define LOOK_EVERY 4000000 /* ns: a death that no pidfd can tell */
#define GLANCE_EVERY 1     /* s: a process that has let go of its place and lives on, as after exec; a removed name */

/* seq_cst, and before the look at the ring that follows: see ring_sleep(). */
static void want(struct layout_place *own)
{
    uint32_t turn = (atomic_load_explicit(&own->bell, memory_order_relaxed) + 1) | 1;
    atomic_store_explicit(&own->bell, turn, memory_order_seq_cst);
}

static int add(int epoll_fd, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    return sys_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int set_timer(struct ring_bell *bell, struct timespec every)
{
    const struct itimerspec value = { every, every };
    return sys_timerfd_settime(bell->timer_fd, &value);
}

bool ring_bell_is_open(const struct ring_bell *bell)
{
    return bell->epoll_fd >= 0;
}

int ring_bell_open(struct ring_bell *bell, struct layout_place *own, int fifo)
{
    struct ring_bell made = { fifo, sys_epoll_create(), -1, -1, 0 };
    int r = made.epoll_fd < 0 ? made.epoll_fd : add(made.epoll_fd, fifo);
    if (r >= 0)
        r = made.timer_fd = sys_timerfd();
    if (r >= 0)
        r = add(made.epoll_fd, made.timer_fd);
    if (r >= 0)
        r = set_timer(&made, (struct timespec){ GLANCE_EVERY, 0 });
    if (r < 0) {
        ring_bell_close(&made);
        return fail_call(r, "a descriptor to poll for a ring");
    }
    *bell = made;
    want(own);
    ring_bell_ring_self(bell);
    return 0;
}

void ring_bell_close(struct ring_bell *bell)
{
    sys_close(bell->epoll_fd);
    sys_close(bell->pid_fd);
    sys_close(bell->timer_fd);
    *bell = (struct ring_bell)RING_BELL_INIT;
}

/* A pidfd of that very process: opened first, then checked, so that a number used again is not mistaken. */
static int open_peer(const struct layout_control *peer)
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
static void unwatch(struct ring_bell *bell)
{
    if (bell->pid_fd >= 0)
        sys_epoll_ctl(bell->epoll_fd, EPOLL_CTL_DEL, bell->pid_fd, NULL);
    sys_close(bell->pid_fd);
    bell->pid_fd = -1;
}

/* A dead peer's session stays open and its pidfd readable: once that has been told, it must not wake again. */
static int watch(struct ring_bell *bell, const struct layout_control *peer, uint64_t told)
{
    uint64_t session = ring_place_session(peer);
    if (session_number(session) <= told)
        session = 0;
    if (session == bell->watched)
        return 0;
    unwatch(bell);
    bool somebody = session_state(session) == SESSION_OPEN;
    bell->pid_fd = somebody ? open_peer(peer) : -1;
    bool watched = bell->pid_fd >= 0 && add(bell->epoll_fd, bell->pid_fd) == 0;
    const struct timespec glance = { GLANCE_EVERY, 0 }, often = { 0, LOOK_EVERY };
    int r = set_timer(bell, somebody && !watched ? often : glance);
    if (r == 0)
        bell->watched = session;
    return r;
}

int ring_bell_rearm(struct ring_bell *bell, struct layout_place *own, const struct layout_control *peer, uint64_t told)
{
    char bytes[64];
    uint64_t ticks;
    sys_read(bell->fd, bytes, sizeof bytes);
    sys_read(bell->timer_fd, &ticks, sizeof ticks);
    want(own);
    int r = watch(bell, peer, told);
    return r < 0 ? fail_call(r, "watching the other end of a ring") : 0;
}

void ring_bell_disturb(int fifo)
{
    const char byte = 1;
    sys_write(fifo, &byte, 1);
}

void ring_bell_ring_self(struct ring_bell *bell)
{
    ring_bell_disturb(bell->fd);
}

void ring_bell_ring(const struct layout_place *waiter, int fifo, uint32_t *rung)
{
    uint32_t turn = atomic_load_explicit(&waiter->bell, memory_order_seq_cst);
    if (!(turn & 1) || turn == *rung)
        return;
    *rung = turn;
    ring_bell_disturb(fifo);
}
