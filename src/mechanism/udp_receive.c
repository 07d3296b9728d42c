/* SPDX-License-Identifier: MIT */
/*
 * The receiving side of udp:.  A datagram is received into our own buffer, which holds the largest there can be: so
 * nothing is ever cut, and what does not fit the caller's buffer simply stays.
 *
 * Anybody can send anything here.  What is not a frame of tong's is passed over and counted (`refused`), because an
 * error would let a stranger end the conversation; and a flood of it does not keep a caller beyond its deadline.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "mechanism/udp_channel.h"
#include "sys/sys.h"

/* How many are passed over by a call that may not wait, or not any more. */
#define PASSED_AT_MOST 64

HOT bool udp_is_frame(const uint8_t *bytes, size_t size, struct frame *ret)
{
    if (size < FRAME_HEADER || !frame_read(bytes, ret) || ret->length != size - FRAME_HEADER)
        return false;
    return ret->flags == (FRAME_FIRST | FRAME_LAST) || (ret->flags == FRAME_BEGIN && !ret->length);
}

HOT struct udp_sender *udp_heard(struct udp *udp, const union inet_address *from, const struct frame *frame)
{
    struct udp_sender *sender = NULL;
    if (frame)
        sender = udp_sender_of(udp->senders, from, frame->writer);
    if (!frame)
        udp->last = *from;
    else if (frame->flags != FRAME_BEGIN || !atomic_load_explicit(&udp->heard, memory_order_relaxed))
        udp->senders->answered = sender; /* and a mere newcomer does not take the answer to another's question */
    if (!atomic_load_explicit(&udp->heard, memory_order_relaxed))
        ready_change(&udp->answerable, udp->fd, EPOLLOUT);
    atomic_store_explicit(&udp->heard, true, memory_order_release);
    return sender;
}

/* One datagram to `to`: its size, or -errno with words. */
HOT static ssize_t read_one(struct udp *udp, uint8_t *to, union inet_address *from, int64_t deadline)
{
    struct conduit *conduit = &udp->base;
    int flags = deadline == DEADLINE_NEVER && conduit->cancel_fd < 0 ? 0 : MSG_DONTWAIT;
    for (;;) {
        socklen_t size = sizeof *from;
        ssize_t r = udp->bound ? sys_recvfrom(udp->fd, to, UDP_LARGEST_6, flags, &from->any, &size)
                               : sys_recv(udp->fd, to, UDP_LARGEST_6, flags);
        if (__builtin_expect(r >= 0, 1))
            return r;
        if (r == -EINTR)
            return fail_static(-EINTR, "a signal was caught before anything moved");
        if (r == -EMSGSIZE) /* of what was sent before, and found a part of its way too narrow: lost, as any may be */
            continue;
        if (r == -ECONNREFUSED)
            return fail(-ECONNRESET, "%s: nobody receives there: what was sent last was refused", conduit->object);
        if (r != -EAGAIN)
            return fail_call((int)r, "%s: recv", conduit->object);
        if (deadline == DEADLINE_NOW)
            return wait_expired(deadline);
        int events = wait_descriptor(udp->fd, POLLIN, conduit->cancel_fd, deadline);
        if (events < 0)
            return events;
    }
}

/* Whether a frame is a message that has not come before; notes what was lost before it. */
HOT static bool take_frame(struct udp *udp, const union inet_address *from, const struct frame *frame, tong_message *meta)
{
    udp_lock(udp);
    struct udp_sender *sender = udp_heard(udp, from, frame);
    if (!sender->known)
        udp_sender_begins(udp->senders, sender, frame->number);
    bool fresh = frame->flags != FRAME_BEGIN && udp_sequence_note(&sender->sequence, frame->number, &meta->lost);
    udp_unlock(udp);
    meta->type = frame->type;
    meta->flags = meta->lost ? TONG_MESSAGE_LOST_BEFORE : 0;
    return fresh;
}

/* Whether what came is for the caller. */
HOT static bool admit(struct udp *udp, const uint8_t *bytes, size_t size, const union inet_address *from,
                  tong_message *meta)
{
    struct frame frame;
    if (udp->framed && udp_is_frame(bytes, size, &frame))
        return take_frame(udp, from, &frame, meta);
    if (udp->framed) {
        atomic_fetch_add_explicit(&udp->refused, 1, memory_order_relaxed);
        return false;
    }
    if (udp->answers) {
        udp_lock(udp);
        udp_heard(udp, from, NULL);
        udp_unlock(udp);
    }
    return true;
}

HOT static ssize_t give(struct udp *udp, struct message_in *in, const uint8_t *payload)
{
    size_t size = in->meta.length;
    if (__builtin_expect(size <= in->capacity, 1)) {
        if (size)
            memcpy(in->data, payload, size);
        udp->kept = NULL;
        return (ssize_t)size;
    }
    udp->kept = payload;
    udp->kept_meta = in->meta;
    return fail(-EMSGSIZE, "%s: the message has %zu bytes, the buffer %zu: it is kept, receive it with a larger one",
                udp->base.object, size, in->capacity);
}

HOT static ssize_t receive_fresh(struct udp *udp, struct message_in *in, int64_t deadline)
{
    size_t header = udp->framed ? FRAME_HEADER : 0;
    uint8_t *bytes = udp->datagram + udp_offset(in->data);
    union inet_address from;
    memset(&from, 0, sizeof from);
    for (int passed = 0; ; passed++) {
        ssize_t size = passed > PASSED_AT_MOST ? wait_may_look_on(&udp->base.cancelled, deadline) : 0;
        if (size == 0)
            size = read_one(udp, bytes, &from, deadline);
        if (size < 0)
            return size;
        if (admit(udp, bytes, (size_t)size, &from, &in->meta)) {
            in->meta.length = (size_t)size - header;
            return give(udp, in, bytes + header);
        }
    }
}

static void settle_ready(struct udp *udp)
{
    if (udp->ready.event_fd < 0)
        return;
    if (udp->kept)
        ready_raise(&udp->ready);
    else
        ready_lower(&udp->ready);
}

HOT ssize_t udp_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct udp *udp = (struct udp *)conduit;
    ssize_t r;
    if (__builtin_expect(udp->kept != NULL, 0)) {
        in->meta = udp->kept_meta;
        r = give(udp, in, udp->kept);
    } else {
        r = receive_fresh(udp, in, deadline);
    }
    settle_ready(udp);
    return r;
}

int udp_pollfd_receive(struct udp *udp, struct pollfd *ret)
{
    int r = ready_open(&udp->ready, udp->fd, POLLIN);
    if (r < 0)
        return r;
    settle_ready(udp);
    *ret = (struct pollfd){ udp->ready.epoll_fd, POLLIN, 0 };
    return 0;
}
