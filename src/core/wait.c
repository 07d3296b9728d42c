/* SPDX-License-Identifier: MIT */
/* Sleeping on descriptors. */
#include "core/wait.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/detail.h"
#include "sys/sys.h"

int wait_expired(int64_t deadline)
{
    return deadline == DEADLINE_NOW ? fail_static(-EAGAIN, "it would block: nothing there now, or no room")
                                    : fail_static(-ETIMEDOUT, "timed out before anything could move");
}

int wait_may_look_on(const atomic_bool *cancelled, int64_t deadline)
{
    if (deadline_left(deadline) == 0)
        return wait_expired(deadline);
    return atomic_load_explicit(cancelled, memory_order_acquire) ? fail_static(-ECANCELED, "cancelled") : 0;
}

static const struct timespec *remaining(int64_t deadline, struct timespec *ret)
{
    int64_t left = deadline_left(deadline);
    if (left < 0)
        return NULL;
    *ret = (struct timespec){ left / 1000000000, left % 1000000000 };
    return ret;
}

int wait_descriptor(int fd, short events, int cancel_fd, int64_t deadline)
{
    return wait_descriptor_masked(fd, events, cancel_fd, deadline, NULL);
}

int wait_descriptor_masked(int fd, short events, int cancel_fd, int64_t deadline, const sigset_t *mask)
{
    struct pollfd items[2] = { { fd, events, 0 }, { cancel_fd, POLLIN, 0 } };
    struct timespec time;
    int r = sys_ppoll(items, cancel_fd < 0 ? 1 : 2, remaining(deadline, &time), mask);
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught before anything moved");
    if (r < 0)
        return fail_call(r, "poll");
    if (items[0].revents)
        return items[0].revents;
    if (items[1].revents)
        return fail_static(-ECANCELED, "cancelled");
    return wait_expired(deadline);
}

int wait_pause(int64_t nanoseconds, int cancel_fd, int64_t deadline)
{
    int64_t left = deadline_left(deadline);
    if (left == 0)
        return wait_expired(deadline);
    if (left > 0 && left < nanoseconds)
        nanoseconds = left;
    int r = wait_descriptor(-1, 0, cancel_fd, clock_now() + nanoseconds);
    return r == -ETIMEDOUT ? 0 : r;
}

int ready_open(struct ready *ready, int fd, uint32_t epoll_events)
{
    if (ready->epoll_fd >= 0)
        return 0;
    int epoll_fd = sys_epoll_create(), event_fd = -1;
    if (epoll_fd < 0)
        return fail_call(epoll_fd, "epoll_create1");
    struct epoll_event on_fd = { .events = epoll_events }, on_event = { .events = EPOLLIN };
    int r = sys_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &on_fd);
    if (r == -EPERM) { /* a regular file: it never blocks */
        ready->always = true;
        r = 0;
    }
    if (r == 0)
        r = event_fd = sys_eventfd(ready->always);
    if (r >= 0)
        r = sys_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &on_event);
    if (r < 0) {
        sys_close(event_fd);
        sys_close(epoll_fd);
        return fail_call(r, "a descriptor for readiness");
    }
    ready->epoll_fd = epoll_fd;
    ready->event_fd = event_fd;
    return 0;
}

void ready_change(struct ready *ready, int fd, uint32_t epoll_events)
{
    if (ready->epoll_fd >= 0)
        sys_epoll_ctl(ready->epoll_fd, EPOLL_CTL_MOD, fd, &(struct epoll_event){ .events = epoll_events });
}

void ready_raise(struct ready *ready)
{
    if (ready->raised || ready->always)
        return;
    ready->raised = true;
    uint64_t one = 1;
    if (ready->event_fd >= 0)
        sys_write(ready->event_fd, &one, sizeof one);
}

void ready_lower(struct ready *ready)
{
    if (!ready->raised)
        return;
    ready->raised = false;
    uint64_t count;
    if (ready->event_fd >= 0)
        sys_read(ready->event_fd, &count, sizeof count);
}

void ready_close(struct ready *ready)
{
    sys_close(ready->epoll_fd);
    sys_close(ready->event_fd);
    *ready = (struct ready)READY_INIT;
}
