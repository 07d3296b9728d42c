/* SPDX-License-Identifier: MIT */
/*
 * udp: - datagrams: whole messages or none, in any order, from anybody.
 *
 * Who receives binds HOST:PORT; who sends is connected to it.  Who does both is whoever comes first: it binds if nobody
 * has, and then answers who was heard last; else it is connected and hears only the one it sends to.  `create` says it
 * outright: excl always binds, no never does.
 *
 * Traps that are dealt with here:
 *   - Datagrams are lost, above all when they come faster than they are received.  With frame=packet each carries its
 *     sender and a number (core/frame.h), so the receiver is told what is missing.  Nothing is sent again.
 *   - A receive buffer above net.core.rmem_max is cut down in silence: what was asked for and is not given is an error.
 *   - That nobody is there is told, if at all, by ICMP, and only to a connected socket, one call late.  So with
 *     frame=packet a sender announces itself as it opens: on one machine the answer comes at once.
 *   - Anybody may bind the port of a sleeping socket with SO_REUSEADDR: it is not set here.
 * There is no end and no death: nothing says either.  Semantics: udp(7), ip(7), ipv6(7).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/detail.h"
#include "core/connection.h"
#include "mechanism/udp_channel.h"
#include "sys/sys.h"

#define CAPACITY_DEFAULT (4 << 20)

static const struct option_use udp_options[] = {
    { OPTION_FRAME, FRAME_PACKET, 0, 0, 1 << FRAME_PACKET | 1 << FRAME_NONE },
    { OPTION_CAPACITY, CAPACITY_DEFAULT, 4 << 10, 1 << 30, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    OPTIONS_END,
};

/* ---- Sockets ----------------------------------------------------------------------------------------------------- */

/* The default is wished for, as far as the limit goes; a size that was asked for has to be there. */
static int set_capacity(int fd, const struct address *address)
{
    int64_t wanted = address->value[OPTION_CAPACITY];
    bool given = address_given(address, OPTION_CAPACITY);
    int half = (int)(wanted / 2), got = 0; /* the kernel doubles it, socket(7) */
    socklen_t size = sizeof got;
    int r = given ? sys_setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof half) : -EPERM;
    if (r == -EPERM)
        r = sys_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof half);
    if (r == 0)
        r = sys_getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &size);
    if (r < 0)
        return fail_call(r, "%.80s: SO_RCVBUF", address->text);
    if (given && got < wanted)
        return fail(-EPERM, "%.80s: capacity: only %d bytes are allowed (twice net.core.rmem_max): ask for less, or "
                    "have root raise that", address->text, got);
    return 0;
}

static int new_buffers(struct udp *udp)
{
    size_t room = (UDP_ROOM + STREAM_PAGE - 1) / STREAM_PAGE * STREAM_PAGE;
    bool receives = udp->base.flags & TONG_RECEIVE, sends = udp->base.flags & TONG_SEND;
    udp->datagram = receives ? aligned_alloc(STREAM_PAGE, room) : NULL;
    udp->senders = receives && udp->framed ? calloc(1, sizeof *udp->senders) : NULL;
    udp->scratch = sends && udp->framed ? aligned_alloc(STREAM_PAGE, room) : NULL;
    if ((receives && !udp->datagram) || (receives && udp->framed && !udp->senders) ||
        (sends && udp->framed && !udp->scratch))
        return fail(-ENOMEM, "%s: out of memory", udp->base.object);
    int r = udp->senders ? sys_getrandom(&udp->senders->next_writer, sizeof udp->senders->next_writer) : 0;
    return r < 0 ? fail_call(r, "getrandom") : 0;
}

static void free_all(struct udp *udp)
{
    pthread_mutex_destroy(&udp->lock);
    free(udp->datagram);
    free(udp->senders);
    free(udp->scratch);
    conduit_free(&udp->base);
}

static size_t largest_payload(int fd)
{
    union inet_address here;
    bool six = inet_here(fd, &here) == 0 && here.any.sa_family == AF_INET6;
    /* on all interfaces IPv4 comes this way too */
    return six && !IN6_IS_ADDR_UNSPECIFIED(&here.six.sin6_addr) && !IN6_IS_ADDR_V4MAPPED(&here.six.sin6_addr)
               ? UDP_LARGEST_6
               : UDP_LARGEST_4;
}

static const struct channel_facet udp_datagram;

/* Takes `fd` over in every case. */
static int wrap(const struct open_request *request, int fd, bool bound, uint32_t writer, const char *object,
                struct conduit **ret)
{
    struct conduit *conduit;
    int r = conduit_new(request, &udp_datagram, sizeof(struct udp), object, &conduit);
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    struct udp *udp = (struct udp *)conduit;
    udp->fd = fd;
    udp->framed = request->address->value[OPTION_FRAME] == FRAME_PACKET;
    udp->bound = bound;
    udp->answers = bound && conduit->flags & TONG_SEND;
    udp->largest = largest_payload(fd) - (udp->framed ? FRAME_HEADER : 0);
    udp->ready = udp->answerable = (struct ready)READY_INIT;
    udp->writer = writer;
    pthread_mutex_init(&udp->lock, NULL);
    conduit->flags |= TONG_INFO_ENDLESS | (udp->framed ? TONG_INFO_FRAMED : 0) | (bound ? TONG_INFO_CREATED : 0);
    r = new_buffers(udp);
    if (r < 0) {
        sys_close(fd);
        free_all(udp);
        return r;
    }
    *ret = conduit;
    return 0;
}

/* ---- Binding ----------------------------------------------------------------------------------------------------- */

static int open_bound(const struct open_request *request, struct conduit **ret)
{
    struct inet_list list;
    union inet_address bound;
    int fd = -1;
    int r = inet_resolve(request->address, SOCK_DGRAM, true, &list);
    if (r == 0)
        r = inet_bind(request->address, &list, SOCK_DGRAM, set_capacity, &fd);
    if (r < 0)
        return r;
    r = inet_here(fd, &bound);
    char *object = r == 0 ? inet_open_to_others(request->address, &bound) : NULL;
    if (object) {
        r = wrap(request, fd, true, 0, object, ret);
    } else {
        sys_close(fd);
        r = r < 0 ? r : fail(-ENOMEM, "%.80s: out of memory", request->address->text);
    }
    free(object);
    return r;
}

/* ---- Connecting -------------------------------------------------------------------------------------------------- */

struct udp_target {
    const struct address *address;
    struct inet_list list;
    uint32_t writer;
};

/* Whether somebody refuses our announcement: on this machine that is known as soon as it is sent. */
static int announce(const struct udp_target *target, int fd)
{
    uint8_t header[FRAME_HEADER];
    int error = 0;
    socklen_t size = sizeof error;
    if (target->address->value[OPTION_FRAME] != FRAME_PACKET)
        return 0;
    udp_announcement(target->writer, 0, header);
    int r = (int)sys_send(fd, header, sizeof header, MSG_DONTWAIT);
    if (r >= 0)
        r = sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return r < 0 ? r : -error;
}

static int connect_one(const struct udp_target *target, const union inet_address *at, int *ret)
{
    int fd = sys_socket(at->any.sa_family, SOCK_DGRAM);
    if (fd < 0)
        return fd;
    int r = set_capacity(fd, target->address);
    if (r == 0) {
        r = sys_connect(fd, &at->any, inet_size(at));
        if (r == 0)
            r = announce(target, fd);
        if (r == -EPERM)
            r = -EACCES; /* as the kernel also says it */
    }
    if (r < 0)
        sys_close(fd);
    else
        *ret = fd;
    return r;
}

static int try_connect(const void *argument, struct patience *patience, int64_t deadline, int *ret)
{
    const struct udp_target *target = argument;
    bool refused = false;
    int r = -EADDRNOTAVAIL;
    (void)patience, (void)deadline; /* nothing here waits */
    for (int i = 0; i < target->list.count; i++) {
        r = connect_one(target, &target->list.at[i], ret);
        if (r == 0)
            return 0;
        refused |= r == -ECONNREFUSED;
    }
    return refused ? -ECONNREFUSED : r;
}

static int connect_failed(const char *text, int error)
{
    if (error == -ECONNREFUSED)
        return fail(-ENXIO, "nobody receives on %.80s: start the receiver first, or wait for it", text);
    return error == -EPERM ? error : inet_connect_failed(text, error); /* EPERM is said by set_capacity() */
}

static int open_connected(const struct open_request *request, struct conduit **ret)
{
    const char *text = request->address->text;
    struct udp_target target = { .address = request->address };
    char object[INET_OBJECT];
    bool said;
    int fd = -1;
    int r = inet_resolve(request->address, SOCK_DGRAM, false, &target.list);
    if (r == 0 && inet_port_is_zero(target.list.at))
        r = fail(-EINVAL, "%.80s: port 0 asks for a free one, which only a receiver can: give the port that it says",
                 text);
    if (r == 0 && (r = sys_getrandom(&target.writer, sizeof target.writer)) < 0)
        r = fail_call(r, "getrandom");
    if (r < 0)
        return r;
    r = connection_await(try_connect, &target, text, request->deadline, &said, &fd);
    if (r < 0)
        return said ? r : connect_failed(text, r);
    if ((r = inet_object("udp", fd, object)) < 0) {
        sys_close(fd);
        return r;
    }
    return wrap(request, fd, false, target.writer, object, ret);
}

/* ---- Opening and closing ----------------------------------------------------------------------------------------- */

static int udp_open(const struct open_request *request, struct conduit **ret)
{
    uint32_t ways = request->flags & TONG_BOTH;
    int64_t create = request->address->value[OPTION_CREATE];
    if (ways == TONG_RECEIVE && create == CREATE_NO)
        return fail(-EINVAL, "%.80s: create=no: who only receives has to bind the port", request->address->text);
    if (ways == TONG_SEND && create == CREATE_EXCL)
        return fail(-EINVAL, "%.80s: create=excl: who only sends binds nothing", request->address->text);
    int r = ways == TONG_SEND || create == CREATE_NO ? -EADDRINUSE : open_bound(request, ret);
    bool another = r == -EADDRINUSE || r == -EADDRNOTAVAIL || r == -EACCES;
    if (!another || ways == TONG_RECEIVE || create == CREATE_EXCL)
        return r;
    return open_connected(request, ret);
}

static int udp_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct udp *udp = (struct udp *)conduit;
    return direction == TONG_SEND ? udp_pollfd_send(udp, ret) : udp_pollfd_receive(udp, ret);
}

static int udp_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct udp *udp = (struct udp *)conduit;
    int bytes;
    socklen_t size = sizeof bytes;
    ret->largest = udp->largest;
    ret->refused = atomic_load_explicit(&udp->refused, memory_order_relaxed);
    if (sys_getsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size) == 0)
        ret->capacity = (uint64_t)bytes;
    return 0;
}

/* That what was sent last was refused would be told by the next send: here it is told instead. */
static int udp_close(struct conduit *conduit, bool forked)
{
    struct udp *udp = (struct udp *)conduit;
    int error = 0, r = 0;
    socklen_t size = sizeof error;
    bool asks = !forked && conduit->flags & TONG_SEND && udp->number > 0;
    if (asks && sys_getsockopt(udp->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED)
        r = fail(-EPIPE, "%s: nobody receives there any more: what was sent last was refused", conduit->object);
    sys_close(udp->fd);
    ready_close(&udp->ready);
    ready_close(&udp->answerable);
    free_all(udp);
    return r;
}

static const struct channel_facet udp_datagram = {
    .variant = "",
    .identity = TONG_IDENTITY_NONE,
    .shape = TONG_HAS_TWO_WAY | TONG_HAS_MANY_SENDERS | TONG_MAY_LOSE,
    .send = udp_send, .receive = udp_receive, .pollfd = udp_pollfd, .after_fork = udp_after_fork,
    .describe = udp_describe, .close = udp_close,
};

/* ---- The row ----------------------------------------------------------------------------------------------------- */

static uint64_t largest_datagram(const char *source)
{
    (void)source;
    return UDP_LARGEST_4;
}

static const struct limit udp_limits[] = {
    { "largest datagram over IPv4", "bytes", "65535 - 20 (IP) - 8 (UDP)", largest_datagram },
    { "default receive buffer", "bytes", "net.core.rmem_default", limit_from_proc },
    { "half the largest receive buffer for an ordinary user", "bytes", "net.core.rmem_max", limit_from_proc },
    { "default send buffer", "bytes", "net.core.wmem_default", limit_from_proc },
    { "lowest port for an ordinary user", "port", "net.ipv4.ip_unprivileged_port_start", inet_limit_lowest_port },
    { "first port the kernel chooses", "port", "net.ipv4.ip_local_port_range", limit_from_proc },
    { "last port the kernel chooses", "port", "net.ipv4.ip_local_port_range", inet_limit_last },
    { NULL, NULL, NULL, NULL },
};

static const struct channel_facet *const udp_channels[] = { &udp_datagram, NULL };

const struct mechanism mechanism_udp = {
    .scheme = "udp",
    .form = "udp:HOST:PORT",
    .summary = "datagrams to a program on any machine: whole, unordered, and sometimes lost",
    .medium = "socket: kernel memory at the receiver, and the network between",
    .unit = "message: one datagram each",
    .reach = "network: any machine that routes lead to; this one by 127.0.0.1 and [::1]",
    .order = "nobody: who sends too fast loses; an empty socket blocks the reader, asleep",
    .lifetime = "the port until the receiver closes; what nobody received goes with it",
    .family = "BSD, then POSIX; every system with Internet protocols",
    .options = udp_options,
    .limits = udp_limits,
    .channels = udp_channels,
    .open = udp_open,
};
