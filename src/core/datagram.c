/* SPDX-License-Identifier: MIT */
/* One message a datagram. */
#include "core/datagram.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/port.h"
#include "core/process.h"
#include "sys/sys.h"

/* More than any socket of an ordinary user can send; pages that are never touched cost nothing. */
#define SPILL_SIZE (1 << 20)
/* What the kernel takes of SO_SNDBUF for itself: unix_dgram_sendmsg() refuses len > sk_sndbuf - 32. */
#define SEND_RESERVE 32

static int largest_message(const struct datagram *datagram, size_t *ret)
{
    int size;
    socklen_t length = sizeof size;
    int r = sys_getsockopt(datagram->fd, SOL_SOCKET, SO_SNDBUF, &size, &length);
    if (r < 0)
        return fail_call(r, "%s: SO_SNDBUF", datagram->base.object);
    *ret = (size_t)size - SEND_RESERVE - (datagram->framed ? FRAME_HEADER : 0);
    return 0;
}

/* Without a header an empty message and the end both read as 0; only a message carries credentials. */
static int ask_credentials(int fd)
{
    int on = 1;
    int r = sys_setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    return r < 0 ? fail_call(r, "SO_PASSCRED") : 0;
}

static int set_up(struct datagram *datagram, const struct address *address, bool seqpacket)
{
    bool capacity = address_given(address, OPTION_CAPACITY);
    int size = capacity ? (int)(address->value[OPTION_CAPACITY] / 2) : 0; /* the kernel doubles it, socket(7) */
    int r = capacity ? sys_setsockopt(datagram->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) : 0;
    if (r < 0)
        return fail_call(r, "%s: SO_SNDBUF", datagram->base.object);
    if ((datagram->creds || (seqpacket && !datagram->framed)) && (r = ask_credentials(datagram->fd)) < 0)
        return r;
    if ((r = largest_message(datagram, &datagram->largest)) < 0)
        return r;
    datagram->heir_options = strdup(seqpacket && !datagram->framed ? "?frame=none" : "");
    return datagram->heir_options ? datagram_after_fork(&datagram->base)
                                  : fail(-ENOMEM, "%s: out of memory", datagram->base.object);
}

int datagram_new(const struct open_request *request, const struct channel_facet *facet, int fd, bool seqpacket,
                 const char *object, struct datagram **ret)
{
    struct conduit *conduit;
    int r = conduit_new(request, facet, sizeof(struct datagram), object, &conduit);
    if (r < 0)
        return r;
    struct datagram *datagram = (struct datagram *)conduit;
    datagram->fd = fd;
    datagram->owned = true;
    datagram->connected = seqpacket;
    datagram->framed = seqpacket && request->address->value[OPTION_FRAME] == FRAME_PACKET;
    datagram->creds = request->address->value[OPTION_CREDS];
    datagram->admit = -1;
    datagram->peer = (tong_identity)TONG_IDENTITY_INIT;
    datagram->ready = (struct ready)READY_INIT;
    conduit->flags |= (datagram->framed ? TONG_INFO_FRAMED : 0) | (seqpacket ? 0 : TONG_INFO_ENDLESS);
    r = set_up(datagram, request->address, seqpacket);
    if (r < 0) {
        free(datagram->heir_options);
        conduit_free(conduit);
        return r;
    }
    *ret = datagram;
    return 0;
}

int datagram_after_fork(struct conduit *conduit)
{
    struct datagram *datagram = (struct datagram *)conduit;
    int r = sys_getrandom(&datagram->writer, sizeof datagram->writer);
    if (r < 0)
        return fail_call(r, "getrandom");
    datagram->generation = fork_generation;
    datagram->announced = false;
    return 0;
}

/* ---- Sending --------------------------------------------------------------------------------------------- */

static int send_refused(const struct datagram *datagram, int error, size_t size)
{
    switch (error) {
    case -EPIPE: case -ECONNREFUSED: case -ECONNRESET: case -ENOTCONN: case -ENOENT:
        return fail(-EPIPE, "%s: nobody is left to receive", datagram->base.object);
    case -EMSGSIZE:
        return fail(-EMSGSIZE, "%s: a message of %zu bytes; the largest is %zu (the socket's SO_SNDBUF: option capacity, up to "
                    "net.core.wmem_max)", datagram->base.object, size, datagram->largest);
    case -EINTR:
        return fail_static(-EINTR, "a signal was caught before anything moved");
    default:
        return fail_call(error, "%s: sendmsg", datagram->base.object);
    }
}

static int send_spans(struct datagram *datagram, struct iovec *spans, size_t count, size_t size, int64_t deadline)
{
    struct conduit *conduit = &datagram->base;
    struct msghdr message = { .msg_iov = spans, .msg_iovlen = count };
    bool bare = deadline == DEADLINE_NEVER && conduit->cancel_fd < 0;
    for (;;) {
        ssize_t r = sys_sendmsg(datagram->fd, &message, bare ? 0 : MSG_DONTWAIT);
        if (r >= 0)
            return 0;
        if (r != -EAGAIN)
            return send_refused(datagram, (int)r, size);
        if (deadline == DEADLINE_NOW)
            return wait_expired(deadline);
        int events = wait_descriptor(datagram->fd, POLLOUT, conduit->cancel_fd, deadline);
        if (events < 0)
            return events;
    }
}

static int send_framed(struct datagram *datagram, uint8_t flags, const struct message_out *out, int64_t deadline)
{
    uint32_t number = datagram->number + (uint32_t)atomic_load_explicit(&datagram->base.dropped, memory_order_relaxed);
    struct frame frame = { flags, (uint32_t)out->size, datagram->writer, number, out->type };
    uint8_t header[FRAME_HEADER];
    frame_encode(&frame, header);
    struct iovec spans[2] = { { header, sizeof header }, { (void *)(uintptr_t)out->data, out->size } };
    return send_spans(datagram, spans, out->size ? 2 : 1, out->size, deadline);
}

int datagram_send(struct conduit *conduit, const struct message_out *out, int64_t deadline)
{
    struct datagram *datagram = (struct datagram *)conduit;
    if (out->size > datagram->largest)
        return send_refused(datagram, -EMSGSIZE, out->size);
    if (out->type && !datagram->framed)
        return conduit_refuse_type(conduit, out->type);
    if (datagram->generation != fork_generation) {
        int r = datagram_after_fork(conduit);
        if (r < 0)
            return r;
    }
    struct iovec span = { (void *)(uintptr_t)out->data, out->size };
    int r = datagram->framed ? send_framed(datagram, FRAME_FIRST | FRAME_LAST, out, deadline)
                             : send_spans(datagram, &span, 1, out->size, deadline);
    if (r < 0)
        return r;
    datagram->number++;
    datagram->announced = true;
    return 0;
}

int datagram_finish(struct conduit *conduit, int64_t deadline)
{
    struct datagram *datagram = (struct datagram *)conduit;
    if (!datagram->connected)
        return fail(-EOPNOTSUPP, "%s: datagrams have no end", conduit->object);
    struct message_out nothing = { NULL, 0, 0 };
    int r = datagram->framed ? send_framed(datagram, FRAME_END, &nothing, deadline) : 0;
    if (r == 0)
        sys_shutdown(datagram->fd, SHUT_WR);
    return r;
}

/* ---- Receiving ------------------------------------------------------------------------------------------- */

static int say_ended(struct datagram *datagram, int error)
{
    datagram->ended = error;
    return error == -ENODATA ? fail_static(error, "the end: the other side has finished")
                             : fail(error, "%s: the other side died, or closed without finishing", datagram->base.object);
}

/* One datagram into header, caller's buffer and spill: its size, or -errno. */
static ssize_t read_one(struct datagram *datagram, struct msghdr *message, int64_t deadline)
{
    struct conduit *conduit = &datagram->base;
    bool bare = deadline == DEADLINE_NEVER && conduit->cancel_fd < 0;
    size_t control = message->msg_controllen;
    for (;;) {
        message->msg_controllen = control;
        ssize_t r = sys_recvmsg(datagram->fd, message, bare ? 0 : MSG_DONTWAIT);
        if (r == -EINTR)
            return fail_static(-EINTR, "a signal was caught before anything moved");
        if (r == -ECONNRESET)
            return say_ended(datagram, datagram->framed ? -ECONNRESET : -ENODATA);
        if (r != -EAGAIN)
            return r < 0 ? fail_call((int)r, "%s: recvmsg", conduit->object) : r;
        if (deadline == DEADLINE_NOW)
            return wait_expired(deadline);
        int events = wait_descriptor(datagram->fd, POLLIN, conduit->cancel_fd, deadline);
        if (events < 0)
            return events;
    }
}

/* Header of a framed message: 0, or 1 after the mark of the end, or -EBADMSG. */
static int take_header(struct datagram *datagram, const uint8_t *header, size_t size, tong_message *meta)
{
    struct frame frame;
    int r = size < FRAME_HEADER ? fail(-EBADMSG, "%s: a packet without a tong header: open with ?frame=none",
                                       datagram->base.object)
                                : frame_decode(header, size, &frame);
    if (r < 0)
        return r;
    if (frame.flags & FRAME_END)
        return 1;
    if (frame.flags != (FRAME_FIRST | FRAME_LAST) || frame.length != size - FRAME_HEADER)
        return fail(-EBADMSG, "%s: a packet's header contradicts its length", datagram->base.object);
    meta->type = frame.type;
    meta->lost = datagram->peer_began ? (uint32_t)(frame.number - datagram->next) : 0;
    meta->flags |= meta->lost ? TONG_MESSAGE_LOST_BEFORE : 0;
    datagram->next = frame.number + 1;
    datagram->peer_began = true;
    return 0;
}

static int too_small(const struct datagram *datagram, size_t size, size_t capacity)
{
    return fail(-EMSGSIZE, "%s: the message has %zu bytes, the buffer %zu: it is kept, receive it with a larger one",
                datagram->base.object, size, capacity);
}

/* The message is longer than the buffer: put it together from both spans, for the next call. */
static int keep(struct datagram *datagram, const struct message_in *in, size_t size)
{
    datagram->kept = malloc(size);
    if (!datagram->kept)
        return fail(-ENOMEM, "%s: out of memory: a message of %zu bytes is lost", datagram->base.object, size);
    if (in->capacity)
        memcpy(datagram->kept, in->data, in->capacity);
    memcpy(datagram->kept + in->capacity, datagram->spill, size - in->capacity);
    datagram->kept_size = size;
    datagram->kept_meta = in->meta;
    return too_small(datagram, size, in->capacity);
}

static ssize_t take_kept(struct datagram *datagram, struct message_in *in)
{
    in->meta = datagram->kept_meta;
    if (datagram->kept_size > in->capacity)
        return too_small(datagram, datagram->kept_size, in->capacity);
    memcpy(in->data, datagram->kept, datagram->kept_size);
    free(datagram->kept);
    datagram->kept = NULL;
    return (ssize_t)datagram->kept_size;
}

/* An empty read: a message without bytes (it carries credentials), or the end. */
static bool is_end(const struct datagram *datagram, const struct msghdr *message)
{
    return datagram->connected && (datagram->framed || message->msg_controllen == 0);
}

#define REFUSED (-EINPROGRESS) /* internal: from somebody who may not send here */

static ssize_t receive_one(struct datagram *datagram, struct message_in *in, int64_t deadline)
{
    union { char bytes[CMSG_SPACE(sizeof(struct ucred))]; struct cmsghdr align; } control;
    uint8_t header[FRAME_HEADER];
    size_t header_size = datagram->framed ? FRAME_HEADER : 0;
    bool credentials = datagram->creds || (datagram->connected && !datagram->framed);
    struct iovec spans[3] = { { header, header_size }, { in->data, in->capacity }, { datagram->spill, SPILL_SIZE } };
    struct msghdr message = { .msg_iov = spans, .msg_iovlen = 3,
                              .msg_control = credentials ? control.bytes : NULL,
                              .msg_controllen = credentials ? sizeof control.bytes : 0 };
    ssize_t r = read_one(datagram, &message, deadline);
    if (r < 0)
        return r;
    if (r == 0 && is_end(datagram, &message))
        return say_ended(datagram, datagram->framed && (datagram->must_end || datagram->peer_began) ? -ECONNRESET : -ENODATA);
    in->meta.sender = datagram->peer;
    if (datagram->creds)
        port_sender(&message, &in->meta.sender);
    if (datagram->admit >= 0 && !port_admits(in->meta.sender.uid, in->meta.sender.gid, datagram->admit))
        return REFUSED;
    int bad = datagram->framed ? take_header(datagram, header, (size_t)r, &in->meta) : 0;
    if (bad)
        return bad < 0 ? (datagram->ended = bad) : say_ended(datagram, -ENODATA);
    size_t size = (size_t)r - header_size;
    in->meta.length = size;
    if (message.msg_flags & MSG_TRUNC)
        in->meta.flags |= TONG_MESSAGE_TRUNCATED;
    return size <= in->capacity ? (ssize_t)size : keep(datagram, in, size);
}

/* Those who are kept out do not hold us up. */
static ssize_t receive_admitted(struct datagram *datagram, struct message_in *in, int64_t deadline)
{
    ssize_t r;
    while ((r = receive_one(datagram, in, deadline)) == REFUSED) {
        int over = wait_may_look_on(&datagram->base.cancelled, deadline);
        if (over < 0)
            return over;
    }
    return r;
}

static void settle_ready(struct datagram *datagram)
{
    if (datagram->ready.event_fd < 0)
        return;
    if (datagram->kept || datagram->ended)
        ready_raise(&datagram->ready);
    else
        ready_lower(&datagram->ready);
}

ssize_t datagram_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    struct datagram *datagram = (struct datagram *)conduit;
    ssize_t r;
    if (!datagram->spill && !(datagram->spill = malloc(SPILL_SIZE)))
        return fail(-ENOMEM, "%s: out of memory for a buffer of %d bytes", conduit->object, SPILL_SIZE);
    if (datagram->kept)
        r = take_kept(datagram, in);
    else if (datagram->ended)
        r = say_ended(datagram, datagram->ended);
    else
        r = receive_admitted(datagram, in, deadline);
    settle_ready(datagram);
    return r;
}

/* ---- The rest -------------------------------------------------------------------------------------------- */

int datagram_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct datagram *datagram = (struct datagram *)conduit;
    if (direction == TONG_SEND) {
        *ret = (struct pollfd){ datagram->fd, POLLOUT, 0 };
        return 0;
    }
    int r = ready_open(&datagram->ready, datagram->fd, POLLIN);
    if (r < 0)
        return r;
    settle_ready(datagram);
    *ret = (struct pollfd){ datagram->ready.epoll_fd, POLLIN, 0 };
    return 0;
}

int datagram_descriptor(struct conduit *conduit, uint32_t direction)
{
    (void)direction;
    return ((struct datagram *)conduit)->fd;
}

int datagram_heir_options(struct conduit *conduit, char *ret, size_t size)
{
    snprintf(ret, size, "%s", ((struct datagram *)conduit)->heir_options);
    return 0;
}

int datagram_peer(struct conduit *conduit, tong_identity *ret)
{
    return port_peer(((struct datagram *)conduit)->fd, conduit->object, ret);
}

int datagram_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct datagram *datagram = (struct datagram *)conduit;
    int bytes;
    ret->largest = datagram->largest;
    ret->capacity = datagram->largest + SEND_RESERVE + (datagram->framed ? FRAME_HEADER : 0);
    if (datagram->creds)
        ret->identity = TONG_IDENTITY_MESSAGE;
    else if (!datagram->connected)
        ret->identity = TONG_IDENTITY_NONE;
    if (conduit->flags & TONG_RECEIVE && sys_ioctl_int(datagram->fd, FIONREAD, &bytes) >= 0)
        ret->depth = (uint64_t)bytes + (datagram->kept ? datagram->kept_size : 0);
    return 0;
}

int datagram_close(struct conduit *conduit, bool forked)
{
    struct datagram *datagram = (struct datagram *)conduit;
    bool ours = !forked && datagram->generation == fork_generation;
    int r = 0;
    if (ours && datagram->connected && !conduit->finished && datagram->announced) {
        r = datagram_finish(conduit, DEADLINE_NOW);
        r = r == -EPIPE ? 0 : r;
    }
    if (ours)
        made_name_remove(&datagram->made);
    made_name_free(&datagram->made);
    if (datagram->owned)
        sys_close(datagram->fd);
    ready_close(&datagram->ready);
    free(datagram->heir_options);
    free(datagram->spill);
    free(datagram->kept);
    conduit_free(conduit);
    return r;
}
