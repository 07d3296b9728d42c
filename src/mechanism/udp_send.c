/* SPDX-License-Identifier: MIT */
/*
 * The sending side of udp:.  One copy and one bare system call a message.
 *
 * A connected end learns from ICMP that nobody receives, one call late: the send that finds it out has sent nothing
 * (-EPIPE), and the next may succeed.  A bound end answers who was heard last; each of those it answers sees a writer
 * of its own, numbered without gaps.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "mechanism/udp_channel.h"
#include "sys/sys.h"

#define SLICE (10 * TONG_MILLISECOND)

/* Where a message goes, and what it is numbered. */
struct destination {
    const union inet_address *to; /* NULL: where the socket is connected to */
    union inet_address place;
    struct udp_sender *sender;
    uint32_t writer, number;
};

void udp_announcement(uint32_t writer, uint32_t number, uint8_t ret[FRAME_HEADER])
{
    frame_encode(&(struct frame){ FRAME_BEGIN, 0, writer, number, 0 }, ret);
}

/* What is kept is the parent's, and so are its descriptors of readiness; whoever held the lock is there, too. */
int udp_after_fork(struct conduit *conduit)
{
    struct udp *udp = (struct udp *)conduit;
    uint32_t chance[2];
    int r = sys_getrandom(chance, sizeof chance);
    if (r < 0)
        return fail_call(r, "getrandom");
    pthread_mutex_init(&udp->lock, NULL);
    udp->writer = chance[0];
    udp->number = 0;
    udp->kept = NULL;
    ready_close(&udp->ready);
    ready_close(&udp->answerable);
    if (udp->senders)
        udp_senders_after_fork(udp->senders, chance[1]);
    return 0;
}

/* ---- Whom to answer ---------------------------------------------------------------------------------------------- */

/* Looks at what waits to be received, without taking it: who sent it can be answered. */
static bool meet_next(struct udp *udp, ssize_t *ret)
{
    uint8_t header[FRAME_HEADER];
    union inet_address from = { .any.sa_family = 0 };
    socklen_t size = sizeof from;
    struct frame frame;
    memset(&from, 0, sizeof from);
    /* MSG_TRUNC: the size that the datagram has, whatever was asked for */
    *ret = sys_recvfrom(udp->fd, header, sizeof header, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, &from.any, &size);
    if (*ret < 0 || (udp->framed && !udp_is_frame(header, (size_t)*ret, &frame)))
        return false;
    udp_lock(udp);
    if (!udp->heard)
        udp_heard(udp, &from, udp->framed ? &frame : NULL);
    udp_unlock(udp);
    return true;
}

static bool has_heard(const struct udp *udp)
{
    return atomic_load_explicit(&udp->heard, memory_order_acquire);
}

/* Sleeps until something comes, but not for long: the receiving side may take it before we look. */
static int await_arrival(const struct udp *udp, int64_t deadline)
{
    int64_t slice = clock_now() + SLICE;
    bool last = deadline != DEADLINE_NEVER && deadline <= slice;
    int r = wait_descriptor(udp->fd, POLLIN, udp->base.cancel_fd, last ? deadline : slice);
    return r == -ETIMEDOUT && !last ? 0 : r;
}

static int await_somebody(struct udp *udp, int64_t deadline)
{
    ssize_t got;
    int r;
    while (!has_heard(udp) && !meet_next(udp, &got)) {
        if (got < 0 && got != -EAGAIN)
            return fail_call((int)got, "%s: recvfrom", udp->base.object);
        if (deadline == DEADLINE_NOW)
            return fail_static(-EAGAIN, "nobody was heard yet, so there is nobody to send to");
        /* what is there is no message of tong's: the receiving side has to pass over it */
        r = got >= 0 ? wait_pause(TONG_MILLISECOND, udp->base.cancel_fd, deadline) : await_arrival(udp, deadline);
        if (r < 0)
            return r;
    }
    return 0;
}

HOT static int find_destination(struct udp *udp, int64_t deadline, struct destination *ret)
{
    *ret = (struct destination){ .writer = udp->writer, .number = udp->number };
    if (!udp->answers)
        return 0;
    int r = has_heard(udp) ? 0 : await_somebody(udp, deadline);
    if (r < 0)
        return r;
    udp_lock(udp);
    if (udp->framed) {
        ret->sender = udp->senders->answered;
        ret->place = ret->sender->from;
        ret->writer = ret->sender->answer_writer;
        ret->number = ret->sender->answers++;
    } else {
        ret->place = udp->last;
    }
    udp_unlock(udp);
    ret->to = &ret->place;
    return 0;
}

/* Only what went out is counted: a number that is missing is a loss. */
HOT static void count_sent(struct udp *udp, const struct destination *destination, bool sent)
{
    udp->number += sent;
    if (sent || !destination->sender)
        return;
    udp_lock(udp);
    if (destination->sender->answer_writer == destination->writer) /* else its place is another's by now */
        destination->sender->answers--;
    udp_unlock(udp);
}

/* ---- Sending ----------------------------------------------------------------------------------------------------- */

static int send_failed(const struct udp *udp, int error, size_t size)
{
    switch (error) {
    case -ECONNREFUSED:
        return fail(-EPIPE,
                    "%s: nobody receives there: what was sent before was refused, and this message was not sent",
                    udp->base.object);
    case -EMSGSIZE:
        return fail(-EMSGSIZE, "%s: a message of %zu bytes; the largest that fits a datagram is %zu", udp->base.object,
                    size, udp->largest);
    case -EINTR:
        return fail_static(-EINTR, "a signal was caught before anything moved");
    default:
        return fail_call(error, "%s: send", udp->base.object);
    }
}

static inline ssize_t send_once(const struct udp *udp, const void *data, size_t size, int flags,
                                const union inet_address *to)
{
    return to ? sys_sendto(udp->fd, data, size, flags, &to->any, inet_size(to)) : sys_send(udp->fd, data, size, flags);
}

HOT static int transmit(struct udp *udp, const void *data, size_t size, const union inet_address *to, int64_t deadline)
{
    bool bare = deadline == DEADLINE_NEVER && udp->base.cancel_fd < 0;
    for (;;) {
        ssize_t r = send_once(udp, data, size, bare ? 0 : MSG_DONTWAIT, to);
        if (__builtin_expect(r >= 0, 1))
            return 0;
        if (r != -EAGAIN)
            return send_failed(udp, (int)r, size);
        if (deadline == DEADLINE_NOW)
            return wait_expired(deadline);
        int events = wait_descriptor(udp->fd, POLLOUT, udp->base.cancel_fd, deadline);
        if (events < 0)
            return events;
    }
}

HOT static int send_framed(struct udp *udp, const struct message_out *out, const struct destination *destination,
                       int64_t deadline)
{
    uint8_t *bytes = udp->scratch + udp_offset(out->data);
    frame_encode(&(struct frame){ FRAME_FIRST | FRAME_LAST, (uint32_t)out->size, destination->writer,
                                  destination->number, out->type },
                 bytes);
    if (out->size)
        memcpy(bytes + FRAME_HEADER, out->data, out->size);
    return transmit(udp, bytes, FRAME_HEADER + out->size, destination->to, deadline);
}

HOT int udp_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct udp *udp = (struct udp *)conduit;
    struct destination destination;
    if (out->size > udp->largest)
        return send_failed(udp, -EMSGSIZE, out->size);
    if (out->type && !udp->framed)
        return conduit_refuse_type(conduit, out->type);
    int r = find_destination(udp, deadline, &destination);
    if (r < 0)
        return r;
    r = udp->framed ? send_framed(udp, out, &destination, deadline)
                    : transmit(udp, out->data, out->size, destination.to, deadline);
    count_sent(udp, &destination, r == 0);
    return r;
}

/* Before anybody was heard, what makes sending possible is that somebody is: the receiving side may be the one to hear
 * it, while this descriptor is polled. */
int udp_pollfd_send(struct udp *udp, struct pollfd *ret)
{
    if (!udp->answers) {
        *ret = (struct pollfd){ udp->fd, POLLOUT, 0 };
        return 0;
    }
    udp_lock(udp);
    int r = ready_open(&udp->answerable, udp->fd, has_heard(udp) ? EPOLLOUT : EPOLLIN);
    udp_unlock(udp);
    *ret = (struct pollfd){ udp->answerable.epoll_fd, POLLIN, 0 };
    return r;
}
