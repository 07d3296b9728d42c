/* SPDX-License-Identifier: MIT */
/*
 * tcp: - connections between machines, or within one: a listener, many clients, streams of bytes.
 *
 * Traps that are dealt with here:
 *   - Small messages wait for the acknowledgement of those before (Nagle): TCP_NODELAY unless nodelay=off.
 *   - A machine that vanishes says nothing.  While a connection is idle, keepalive probes notice within `keepalive`;
 *     while sent bytes are not acknowledged, the kernel gives up after net.ipv4.tcp_retries2 repeats (15: about 15
 *     minutes).  TCP_USER_TIMEOUT would bound that too, but it also ends connections to a peer that lives and has not
 *     read for so long, and that is only a full conduit.
 *   - A client that tries ports of the ephemeral range again and again on its own machine is, now and then, connected
 *     to itself (simultaneous open).  That is nobody.
 *   - close(2) with something unread resets the connection, and what we sent last is lost on the way: so what has come
 *     is thrown away first.
 *   - A name has several addresses: each is tried, and one that swallows packets does not use up the whole time.
 *   - TIME_WAIT: a server that starts again may bind its port at once (SO_REUSEADDR; on Linux it lets nobody steal the
 *     port of a socket that listens).
 * The kernel does not know who is at the other end; only where.  Semantics: tcp(7), ip(7), ipv6(7), socket(7).
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/connection.h"
#include "core/inet.h"
#include "core/stream.h"
#include "sys/sys.h"

static const struct option_use tcp_options[] = {
    STREAM_OPTIONS,
    { OPTION_NODELAY, 1, 0, 0, 0 },
    { OPTION_KEEPALIVE, 30 * TONG_SECOND, 0, 24 * 3600 * TONG_SECOND, 0 },
    { OPTION_BACKLOG, 128, 1, 65535, 0 },
    { OPTION_CAPACITY, 0, 4 << 10, 1 << 30, 0 },
    OPTIONS_END,
};

static const struct channel_facet tcp_stream = {
    .variant = "",
    .identity = TONG_IDENTITY_NONE,
    .accepted = true,
    .shape = TONG_HAS_TWO_WAY,
    .send = stream_send, .send_batch = stream_send_batch, .receive = stream_receive, .receive_batch = stream_receive_batch,
    .finish = stream_finish, .pollfd = stream_pollfd, .after_fork = stream_after_fork,
    .descriptor = stream_descriptor, .heir_options = stream_heir_options,
    .describe = stream_describe, .close = stream_close,
};

/* ---- Sockets --------------------------------------------------------------------------------------------------- */

/* Probes begin after half the time, and three of them go unanswered in the other half; fewer where seconds are few. */
static int keep_alive(int fd, int64_t time)
{
    int seconds = time > 2 * TONG_SECOND ? (int)((time + TONG_SECOND - 1) / TONG_SECOND) : 2;
    int on = 1, interval = seconds >= 6 ? seconds / 6 : 1, probes = seconds >= 4 ? 3 : seconds - 1;
    int idle = seconds - probes * interval;
    const struct { int level, name; const int *value; } settings[] = {
        { SOL_SOCKET, SO_KEEPALIVE, &on }, { IPPROTO_TCP, TCP_KEEPIDLE, &idle },
        { IPPROTO_TCP, TCP_KEEPINTVL, &interval }, { IPPROTO_TCP, TCP_KEEPCNT, &probes },
    };
    int r = 0;
    for (size_t i = 0; time && i < sizeof settings / sizeof *settings && r == 0; i++)
        r = sys_setsockopt(fd, settings[i].level, settings[i].name, settings[i].value, sizeof on);
    return r;
}

/* What every socket has; accepted ones have it from the one that listens. */
static int set_up(int fd, const struct address *address)
{
    int on = 1, size = (int)(address->value[OPTION_CAPACITY] / 2); /* the kernel doubles it, socket(7) */
    int r = address->value[OPTION_NODELAY] ? sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) : 0;
    if (r == 0)
        r = keep_alive(fd, address->value[OPTION_KEEPALIVE]);
    if (r == 0 && size)
        r = sys_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return r < 0 ? fail_call(r, "%.80s: setsockopt", address->text) : 0;
}

static int set_up_server(int fd, const struct address *address)
{
    int on = 1;
    int r = sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return r < 0 ? fail_call(r, "SO_REUSEADDR") : set_up(fd, address);
}

static void discard_unread(struct stream *stream, bool forked)
{
    char bytes[4096];
    for (int i = 0; i < 256 && !forked && sys_recv(stream->in.fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0; i++)
        ;
}

/* Takes `fd` over in every case. */
static int wrap(const struct open_request *request, int fd, struct conduit **ret)
{
    char object[INET_OBJECT];
    struct stream *stream;
    int r = inet_object("tcp", fd, object);
    if (r == 0)
        r = connection_stream(request, &tcp_stream, fd, object, &stream);
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    connection_belongs_to_two(stream, &(tong_identity)TONG_IDENTITY_INIT);
    stream->closed = discard_unread;
    *ret = &stream->base;
    return 0;
}

/* ---- Connecting ------------------------------------------------------------------------------------------------- */

struct tcp_target {
    const struct address *address;
    struct inet_list list;
};

/* An address that does not answer leaves time for those behind it. */
#define SHARE (3 * TONG_SECOND)

static int64_t share_of(int64_t deadline, int left)
{
    if (left == 1 || deadline == DEADLINE_NOW)
        return deadline;
    int64_t now = clock_now();
    return deadline == DEADLINE_NEVER ? now + SHARE : now + (deadline - now) / left;
}

static bool is_own_echo(int fd)
{
    union inet_address here, there;
    char from[INET_TEXT], to[INET_TEXT];
    if (inet_here(fd, &here) < 0 || inet_there(fd, &there) < 0)
        return false;
    inet_text(&here, from);
    inet_text(&there, to);
    return !strcmp(from, to);
}

/* Waits for the handshake: 0, or what went wrong with it. */
static int shake_hands(int fd, struct patience *patience, int64_t deadline)
{
    int error = 0;
    socklen_t size = sizeof error;
    int r = patience_descriptor(patience, fd, POLLOUT, -1, deadline);
    if (r >= 0)
        r = sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return r < 0 ? r : -error;
}

static int connect_one(const struct address *address, const union inet_address *at, struct patience *patience,
                       int64_t deadline, int *ret)
{
    int fd = sys_socket(at->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK);
    if (fd < 0)
        return fd;
    int r = set_up(fd, address);
    if (r == 0)
        r = sys_connect(fd, &at->any, inet_size(at));
    if (r == -EINPROGRESS)
        r = shake_hands(fd, patience, deadline);
    if (r == 0 && is_own_echo(fd))
        r = -ECONNREFUSED;
    /* our own, unshared description */
    if (r == 0)
        r = sys_fcntl_int(fd, F_SETFL, 0);
    if (r < 0)
        sys_close(fd);
    else
        *ret = fd;
    return r;
}

/* -EINPROGRESS: no time was left for an answer.  A refusal is worth more than what another address said. */
static int try_connect(const void *argument, struct patience *patience, int64_t deadline, int *ret)
{
    const struct tcp_target *target = argument;
    bool refused = false;
    int r = -EADDRNOTAVAIL;
    for (int i = 0; i < target->list.count; i++) {
        r = connect_one(target->address, &target->list.at[i], patience, share_of(deadline, target->list.count - i), ret);
        if (r == 0 || r == -EINTR)
            return r;
        refused |= r == -ECONNREFUSED;
    }
    return refused ? -ECONNREFUSED : r == -EAGAIN ? -EINPROGRESS : r;
}

static int connect_failed(const char *text, int error)
{
    switch (error) {
    case -ECONNREFUSED:
        return fail(-ENXIO, "nobody listens on %.80s: start its server first, or wait for it", text);
    case -EINPROGRESS:
        return fail(-EAGAIN, "%.80s: there was no time for an answer", text);
    case -ETIMEDOUT:
        return fail(-ETIMEDOUT, "%.80s: no answer: the machine is down, a firewall swallows what is sent to it, or its "
                    "server does not accept and its backlog is full", text);
    case -EINTR:
        return fail_static(-EINTR, "a signal was caught before there was an answer");
    default:
        return inet_connect_failed(text, error);
    }
}

static int tcp_open(const struct open_request *request, struct conduit **ret)
{
    const char *text = request->address->text;
    struct tcp_target target = { .address = request->address };
    bool said;
    int fd = -1;
    int r = inet_resolve(request->address, SOCK_STREAM, false, &target.list);
    if (r == 0 && inet_port_is_zero(target.list.at))
        r = fail(-EINVAL, "%.80s: port 0 asks for a free one, which only a listener can: give the port that it says",
                 text);
    if (r < 0)
        return r;
    r = connection_await(try_connect, &target, text, request->deadline, &said, &fd);
    if (r < 0)
        return said ? r : connect_failed(text, r);
    return wrap(request, fd, ret);
}

/* ---- The listener ------------------------------------------------------------------------------------------------ */

static int tcp_listen(const struct open_request *request, struct listener **ret)
{
    const struct address *address = request->address;
    struct inet_list list;
    union inet_address bound;
    struct acceptor *acceptor;
    int fd = -1;
    int r = inet_resolve(address, SOCK_STREAM, true, &list);
    if (r == 0)
        r = inet_bind(address, &list, SOCK_STREAM | SOCK_NONBLOCK, set_up_server, &fd);
    if (r < 0)
        return r;
    if ((r = sys_listen(fd, (int)address->value[OPTION_BACKLOG])) < 0)
        r = fail_call(r, "listen(%.80s)", address->text);
    if (r == 0)
        r = inet_here(fd, &bound);
    char *object = r == 0 ? inet_open_to_others(address, &bound) : NULL;
    if (r == 0)
        r = object ? acceptor_new(request, sizeof *acceptor, object, fd, &acceptor)
                   : fail(-ENOMEM, "%.80s: out of memory", address->text);
    free(object);
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    acceptor->wrap = wrap;
    *ret = &acceptor->base;
    return 0;
}

static const struct listener_facet tcp_listener = {
    .open = tcp_listen, .accept = acceptor_accept, .pollfd = acceptor_pollfd, .close = acceptor_close,
};

/* ---- The row ---------------------------------------------------------------------------------------------------- */

static const struct limit tcp_limits[] = {
    { "largest message", "bytes", "size=1G", stream_limit_largest },
    { "lowest port for an ordinary user", "port", "net.ipv4.ip_unprivileged_port_start", inet_limit_lowest_port },
    { "first port the kernel chooses", "port", "net.ipv4.ip_local_port_range", limit_from_proc },
    { "last port the kernel chooses", "port", "net.ipv4.ip_local_port_range", inet_limit_last },
    { "largest backlog", "connections", "net.core.somaxconn", limit_from_proc },
    { "largest send buffer the kernel grows to", "bytes", "net.ipv4.tcp_wmem", inet_limit_last },
    { "largest receive buffer the kernel grows to", "bytes", "net.ipv4.tcp_rmem", inet_limit_last },
    { "repeats before a silent machine is given up", "repeats", "net.ipv4.tcp_retries2", limit_from_proc },
    { NULL, NULL, NULL, NULL },
};

static const struct channel_facet *const tcp_channels[] = { &tcp_stream, NULL };

const struct mechanism mechanism_tcp = {
    .scheme = "tcp",
    .form = "tcp:HOST:PORT",
    .summary = "connection to a program on any machine: one server, many clients",
    .medium = "socket: kernel memory at both ends, and the network between",
    .unit = "bytes, framed into messages",
    .reach = "network: any machine that routes lead to; this one by 127.0.0.1 and [::1]",
    .order = "the kernel: a full window blocks the writer, an empty one the reader, asleep",
    .lifetime = "a connection until either end closes; the port until the listener does",
    .family = "BSD, then POSIX; every system with Internet protocols",
    .options = tcp_options,
    .limits = tcp_limits,
    .channels = tcp_channels,
    .listener = &tcp_listener,
    .open = tcp_open,
};
