/* SPDX-License-Identifier: MIT */
/*
 * unix: - sockets of one machine, by path or abstract name: stream, seqpacket and datagram.
 *
 * Traps that are dealt with here:
 *   - A path stays behind when its server dies, and is taken over (core/local_name.h).
 *   - The mode of a socket's path is what fchmod(2) on the unbound socket left, less the umask, so it is never too
 *     wide; what the umask took from a mode that was asked for is given back afterwards.  Abstract names have no mode: there, the same rule is applied to the credentials of each client, or each datagram.
 *   - A path holds 107 bytes, whatever PATH_MAX says.
 * A datagram channel receives at the address and sends to it; it goes one way and has no end.
 * Semantics: unix(7), socket(7).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/connection.h"
#include "core/datagram.h"
#include "core/local_name.h"
#include "core/process.h"
#include "core/stream.h"
#include "sys/sys.h"

static const struct option_use unix_options[] = {
    { OPTION_SOCKET, SOCKET_STREAM, 0, 0, 0 },
    STREAM_OPTIONS,
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_REMOVE, REMOVE_OWNER, 0, 0, 1 << REMOVE_NEVER | 1 << REMOVE_OWNER },
    { OPTION_CREDS, 0, 0, 0, 0 },
    { OPTION_BACKLOG, 128, 1, 65535, 0 },
    { OPTION_CAPACITY, 208 << 10, 4 << 10, 1 << 30, 0 },
    OPTIONS_END,
};

static const struct channel_facet unix_stream = {
    .variant = "socket=stream",
    .identity = TONG_IDENTITY_CONNECTION,
    .accepted = true,
    .shape = TONG_HAS_TWO_WAY,
    .send = stream_send, .send_batch = stream_send_batch, .receive = stream_receive, .receive_batch = stream_receive_batch,
    .finish = stream_finish, .pollfd = stream_pollfd, .after_fork = stream_after_fork,
    .descriptor = stream_descriptor, .heir_options = stream_heir_options,
    .peer = stream_peer, .describe = stream_describe, .close = stream_close,
};

static const struct channel_facet unix_seqpacket = {
    .variant = "socket=seqpacket",
    .identity = TONG_IDENTITY_CONNECTION,
    .accepted = true,
    .shape = TONG_HAS_TWO_WAY,
    .send = datagram_send, .receive = datagram_receive,
    .finish = datagram_finish, .pollfd = datagram_pollfd, .after_fork = datagram_after_fork,
    .descriptor = datagram_descriptor, .heir_options = datagram_heir_options,
    .peer = datagram_peer, .describe = datagram_describe, .close = datagram_close,
};

/* No finish: nothing is added to datagrams, so they have no end. */
static const struct channel_facet unix_datagram = {
    .variant = "socket=datagram",
    .identity = TONG_IDENTITY_MESSAGE,
    .shape = TONG_HAS_MANY_SENDERS,
    .send = datagram_send, .receive = datagram_receive,
    .pollfd = datagram_pollfd, .after_fork = datagram_after_fork,
    .descriptor = datagram_descriptor, .heir_options = datagram_heir_options,
    .describe = datagram_describe, .close = datagram_close,
};

static const int socket_types[] = {
    [SOCKET_STREAM] = SOCK_STREAM, [SOCKET_SEQPACKET] = SOCK_SEQPACKET, [SOCKET_DATAGRAM] = SOCK_DGRAM,
};

static int socket_type(const struct address *address)
{
    return socket_types[address->value[OPTION_SOCKET]];
}

/* ---- Connecting ------------------------------------------------------------------------------------------ */

struct unix_target {
    const struct local_name *name;
    int type;
};

static int try_connect(const void *target, struct patience *patience, int64_t deadline, int *ret)
{
    const struct unix_target *x = target;
    (void)patience, (void)deadline; /* a server's backlog has room for us, or not: nothing to wait for */
    int fd = sys_socket(AF_UNIX, x->type | SOCK_NONBLOCK);
    if (fd < 0)
        return fd;
    int r = sys_connect(fd, local_name_raw(x->name), x->name->size);
    /* our own, unshared description */
    if (r == 0)
        r = sys_fcntl_int(fd, F_SETFL, 0);
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    *ret = fd;
    return 0;
}

static int connect_failed(const char *text, const char *path, int error)
{
    switch (error) {
    case -EPROTOTYPE:
        return fail(-EPROTOTYPE, "%s is a socket of another type: choose socket=stream, seqpacket or datagram", text);
    case -ECONNREFUSED: case -ENOENT: case -EAGAIN:
        error = local_name_foreign(path, 0);
        return error ? error : fail(-ENXIO, "nobody listens on %s: start its server first, or wait for it", text);
    default:
        return fail_call(error, "connect(%s)", text);
    }
}

static int connect_until(const struct open_request *request, const struct local_name *name, int *ret)
{
    struct unix_target target = { name, socket_type(request->address) };
    bool said;
    int r = connection_await(try_connect, &target, request->address->text, request->deadline, &said, ret);
    return r == 0 || said ? r : connect_failed(request->address->text, request->address->name, r);
}

/* ---- Binding --------------------------------------------------------------------------------------------- */

static int bind_socket(const struct open_request *request, const struct local_name *name, int flags, int *ret)
{
    const char *text = request->address->text;
    int fd = sys_socket(AF_UNIX, socket_type(request->address) | flags);
    if (fd < 0)
        return fail_call(fd, "socket");
    /* before the name exists, so that not even the first datagram comes without them */
    int on = 1, r = 0;
    if (request->address->value[OPTION_SOCKET] == SOCKET_DATAGRAM && (name->abstract || request->address->value[OPTION_CREDS]))
        r = sys_setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    if (r == 0 && !name->abstract)
        r = sys_fchmod(fd, (mode_t)request->address->value[OPTION_MODE]);
    if (r == 0)
        r = sys_bind(fd, local_name_raw(name), name->size);
    if (r == -EADDRINUSE && !name->abstract && (r = local_name_foreign(name->address.sun_path, -EADDRINUSE)) == -EADDRINUSE)
        r = local_name_take_over(fd, name);
    if (r == 0 && !name->abstract && address_given(request->address, OPTION_MODE) &&
        (r = sys_chmod(name->address.sun_path, (mode_t)request->address->value[OPTION_MODE])) < 0)
        sys_unlink(name->address.sun_path);
    if (r == 0) {
        *ret = fd;
        return 0;
    }
    sys_close(fd);
    if (r == -EADDRINUSE)
        return fail(-EADDRINUSE, "%s has a living server already", text);
    if (r == -EBUSY)
        return fail(-EBUSY, "%s was left by a dead server, but another process keeps flock(2) on its directory: remove it", text);
    return r == -EEXIST ? r : fail_call(r, "bind(%s)", text);
}

/* What close has to remove: nothing of an abstract name, or with remove=never. */
static int note_name(const struct address *address, const struct local_name *name, struct made_name *ret)
{
    *ret = (struct made_name){ NULL, 0, 0 };
    bool remove = !name->abstract && address->value[OPTION_REMOVE] == REMOVE_OWNER;
    return remove ? made_name_note(ret, name->address.sun_path) : 0;
}

/* ---- Channels -------------------------------------------------------------------------------------------- */

static int wrap_stream(const struct open_request *request, int fd, struct conduit **ret)
{
    struct stream *stream;
    int r = connection_stream(request, &unix_stream, fd, request->address->text, &stream);
    if (r < 0)
        return r;
    *ret = &stream->base;
    return 0;
}

static int wrap_datagram(const struct open_request *request, int fd, struct conduit **ret)
{
    bool seqpacket = request->address->value[OPTION_SOCKET] == SOCKET_SEQPACKET;
    struct datagram *datagram;
    int r = datagram_new(request, seqpacket ? &unix_seqpacket : &unix_datagram, fd, seqpacket, request->address->text, &datagram);
    if (r < 0)
        return r;
    *ret = &datagram->base;
    return 0;
}

/* Takes `fd` over in every case. */
static int wrap(const struct open_request *request, int fd, struct conduit **ret)
{
    bool stream = request->address->value[OPTION_SOCKET] == SOCKET_STREAM;
    int size = (int)(request->address->value[OPTION_CAPACITY] / 2); /* the kernel doubles it, socket(7) */
    int r = 0;
    if (stream && address_given(request->address, OPTION_CAPACITY))
        r = sys_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (r < 0)
        r = fail_call(r, "%s: SO_SNDBUF", request->address->text);
    else
        r = stream ? wrap_stream(request, fd, ret) : wrap_datagram(request, fd, ret);
    if (r < 0)
        sys_close(fd);
    return r;
}

/*
 * A connection that was made by name belongs to two processes alone: when it ends without END, one of them died,
 * and what comes over it is from who made the other end, as far as the kernel says.
 */
static void belongs_to_two(struct conduit *conduit)
{
    tong_identity peer = TONG_IDENTITY_INIT;
    if (conduit->flags & TONG_RECEIVE)
        conduit->facet->peer(conduit, &peer);
    if (conduit->facet == &unix_stream) {
        connection_belongs_to_two((struct stream *)conduit, &peer);
    } else {
        struct datagram *datagram = (struct datagram *)conduit;
        datagram->must_end = datagram->announced = true;
        datagram->peer = peer;
    }
}

static int receive_datagrams(const struct open_request *request, const struct local_name *name, struct conduit **ret)
{
    int fd;
    int r = bind_socket(request, name, 0, &fd);
    if (r < 0)
        return r;
    struct made_name made;
    if ((r = note_name(request->address, name, &made)) < 0)
        sys_close(fd);
    else if ((r = wrap(request, fd, ret)) < 0)
        made_name_free(&made);
    if (r < 0) {
        if (!name->abstract)
            sys_unlink(name->address.sun_path);
        return r;
    }
    (*ret)->flags |= TONG_INFO_CREATED;
    struct datagram *datagram = (struct datagram *)*ret;
    datagram->made = made;
    if (name->abstract) {
        datagram->creds = true;
        datagram->admit = request->address->value[OPTION_MODE];
    }
    return 0;
}

static int unix_open(const struct open_request *request, struct conduit **ret)
{
    struct local_name name;
    int fd = -1;
    int r = local_name_make(request->address, &name);
    if (r < 0)
        return r;
    bool datagram = request->address->value[OPTION_SOCKET] == SOCKET_DATAGRAM;
    if (datagram && (request->flags & TONG_BOTH) == TONG_BOTH)
        return fail(-EOPNOTSUPP, "%s: datagrams go one way, to the address: use socket=seqpacket for both", request->address->text);
    if (datagram && request->flags & TONG_RECEIVE)
        return receive_datagrams(request, &name, ret);
    r = connect_until(request, &name, &fd);
    if (r < 0 || (r = wrap(request, fd, ret)) < 0)
        return r;
    if (!datagram)
        belongs_to_two(*ret);
    return 0;
}

static int unix_pair(const struct open_request *request, struct conduit *ret[2])
{
    uint32_t ways = request->flags & TONG_BOTH;
    struct open_request first = *request, second = *request;
    int fds[2];
    if (*request->address->name)
        return fail(-EINVAL, "%s: a pair has no name: write unix:", request->address->text);
    int r = sys_socketpair(AF_UNIX, socket_type(request->address), fds);
    if (r < 0)
        return fail_call(r, "socketpair");
    if (ways != TONG_BOTH)
        second.flags ^= TONG_BOTH;
    r = wrap(&first, fds[0], &ret[0]);
    if (r < 0) {
        sys_close(fds[1]);
        return r;
    }
    r = wrap(&second, fds[1], &ret[1]);
    if (r < 0) {
        ret[0]->facet->close(ret[0], false);
        return r;
    }
    ret[0]->inheritable = ret[1]->inheritable = true;
    return 0;
}

/* ---- The listener ---------------------------------------------------------------------------------------- */

struct unix_listener {
    struct acceptor base;
    struct made_name made;
    unsigned generation;    /* only the process that bound the path removes it */
};

static bool may_enter(const struct acceptor *acceptor, int fd)
{
    struct ucred client;
    socklen_t size = sizeof client;
    if (sys_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client, &size) < 0)
        return false;
    return port_admits(client.uid, client.gid, acceptor->address.value[OPTION_MODE]);
}

static int wrap_accepted(const struct open_request *request, int fd, struct conduit **ret)
{
    int r = wrap(request, fd, ret);
    if (r == 0)
        belongs_to_two(*ret);
    return r;
}

static int unix_listen(const struct open_request *request, struct listener **ret)
{
    const struct address *address = request->address;
    struct local_name name;
    int fd, on = 1;
    if (address->value[OPTION_SOCKET] == SOCKET_DATAGRAM)
        return fail(-EOPNOTSUPP, "%s: datagrams have no connections to accept: open it to receive", address->text);
    int r = local_name_make(address, &name);
    if (r < 0 || (r = bind_socket(request, &name, SOCK_NONBLOCK, &fd)) < 0)
        return r;
    /* accepted sockets inherit it, so not even a client's first message comes without credentials */
    if (address->value[OPTION_CREDS])
        r = sys_setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    if (r == 0)
        r = sys_listen(fd, (int)address->value[OPTION_BACKLOG]);
    r = r < 0 ? fail_call(r, "listen(%s)", address->text) : 0;
    struct acceptor *acceptor = NULL;
    struct made_name made = { NULL, 0, 0 };
    if (r == 0)
        r = note_name(address, &name, &made);
    if (r == 0)
        r = acceptor_new(request, sizeof(struct unix_listener), address->text, fd, &acceptor);
    if (r < 0) {
        made_name_free(&made);
        if (!name.abstract)
            sys_unlink(name.address.sun_path);
        sys_close(fd);
        return r;
    }
    acceptor->admits = name.abstract ? may_enter : NULL;
    acceptor->wrap = wrap_accepted;
    struct unix_listener *listener = (struct unix_listener *)acceptor;
    listener->made = made;
    listener->generation = fork_generation;
    *ret = &acceptor->base;
    return 0;
}

static void unix_listener_close(struct listener *base)
{
    struct unix_listener *listener = (struct unix_listener *)base;
    if (listener->generation == fork_generation)
        made_name_remove(&listener->made);
    made_name_free(&listener->made);
    acceptor_close(base);
}

static const struct listener_facet unix_listener = {
    .open = unix_listen, .accept = acceptor_accept, .pollfd = acceptor_pollfd, .close = unix_listener_close,
};

/* ---- The row --------------------------------------------------------------------------------------------- */

static uint64_t path_size(const char *source)
{
    (void)source;
    return sizeof ((struct sockaddr_un *)0)->sun_path - 1;
}

static const struct limit unix_limits[] = {
    { "largest message of a stream", "bytes", "size=1G", stream_limit_largest },
    { "longest name", "bytes", "sockaddr_un.sun_path", path_size },
    { "default send buffer", "bytes", "net.core.wmem_default", limit_from_proc },
    { "largest send buffer for an ordinary user", "bytes", "net.core.wmem_max", limit_from_proc },
    { "datagrams that wait for a receiver", "messages", "net.unix.max_dgram_qlen", limit_from_proc },
    { "largest backlog", "connections", "net.core.somaxconn", limit_from_proc },
    { NULL, NULL, NULL, NULL },
};

static const struct channel_facet *const unix_channels[] = { &unix_stream, &unix_seqpacket, &unix_datagram, NULL };

const struct mechanism mechanism_unix = {
    .scheme = "unix",
    .form = "unix:PATH, unix:@NAME",
    .summary = "socket of this machine: one server, many clients, and who they are",
    .medium = "socket: kernel memory; the path is only a name",
    .unit = "bytes or messages: streams are framed into messages",
    .reach = "one machine, whoever may open the path",
    .order = "the kernel: a full socket blocks the writer, an empty one the reader, asleep",
    .lifetime = "a connection until either end closes; the path until it is removed",
    .family = "BSD, then POSIX; every Unix (seqpacket and abstract names: Linux)",
    .options = unix_options,
    .limits = unix_limits,
    .channels = unix_channels,
    .listener = &unix_listener,
    .open = unix_open,
    .pair = unix_pair,
    .remove = local_name_remove,
};
