/* SPDX-License-Identifier: MIT */
/*
 * fd: - descriptors that this process was given: fd:0, fd:5, fd:3,4 (receive from 3, send to 4).
 *
 * As with fdopen(3), the channel takes the descriptor over: it becomes close-on-exec and is closed with the
 * channel, except 0, 1 and 2, which stay.  Its file description is shared with whoever gave it, so no flag of
 * it is ever changed (core/port.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/detail.h"
#include "core/datagram.h"
#include "core/mapped.h"
#include "core/stream.h"
#include "sys/sys.h"

static const struct option_use fd_options[] = {
    STREAM_OPTIONS,
    OPTIONS_END,
};

static const struct channel_facet fd_stream = {
    .variant = "",
    .shape = TONG_HAS_TWO_WAY | TONG_HAS_TWO_WAY_PAIR,
    .send = stream_send, .send_batch = stream_send_batch, .receive = stream_receive, .receive_batch = stream_receive_batch,
    .finish = stream_finish, .pollfd = stream_pollfd, .after_fork = stream_after_fork,
    .descriptor = stream_descriptor, .heir_options = stream_heir_options,
    .peer = stream_peer, .describe = stream_describe, .close = stream_close,
};

static const struct channel_facet fd_datagram = {
    .variant = "a socket that keeps boundaries",
    .shape = TONG_HAS_TWO_WAY,
    .send = datagram_send, .receive = datagram_receive,
    .finish = datagram_finish, .pollfd = datagram_pollfd, .after_fork = datagram_after_fork,
    .descriptor = datagram_descriptor, .heir_options = datagram_heir_options,
    .peer = datagram_peer, .describe = datagram_describe, .close = datagram_close,
};

static int parse_descriptor(const char *name, int *ret)
{
    char *end;
    long number = strtol(name, &end, 10);
    if (*name < '0' || *name > '9' || *end || number > 1 << 20)
        return fail(-EINVAL, "fd:%.40s: give the number of an open descriptor, fd:5, or two, fd:3,4", name);
    *ret = (int)number;
    return 0;
}

/* That it is open, and open for what it is wanted for. */
static int check_direction(int fd, uint32_t direction)
{
    int flags = sys_fcntl_int(fd, F_GETFL, 0);
    if (flags < 0)
        return fail(flags, "fd:%d: no such descriptor is open in this process", fd);
    if (flags & O_PATH)
        return fail(-EBADF, "fd:%d carries nothing: it was closed before, or is only a place in the file system", fd);
    int mode = flags & O_ACCMODE;
    if (direction & TONG_RECEIVE && mode == O_WRONLY)
        return fail(-EBADF, "fd:%d is open for writing only: nothing can be received or read", fd);
    if (direction & TONG_SEND && mode == O_RDONLY)
        return fail(-EBADF, "fd:%d is open for reading only: nothing can be sent or written", fd);
    int r = fd > 2 ? sys_fcntl_int(fd, F_SETFD, FD_CLOEXEC) : 0;
    return r < 0 ? fail_call(r, "fd:%d: FD_CLOEXEC", fd) : 0;
}

static int open_datagram(const struct open_request *request, int fd, struct conduit **ret)
{
    int type = 0;
    socklen_t size = sizeof type;
    sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    struct datagram *datagram;
    int r = datagram_new(request, &fd_datagram, fd, type == SOCK_SEQPACKET, request->address->text, &datagram);
    if (r < 0)
        return r;
    datagram->owned = fd > 2;
    datagram->base.inheritable = true;
    *ret = &datagram->base;
    return 0;
}

static int make_port(int fd, uint32_t direction, struct port *ret)
{
    struct port port = PORT_INIT;
    int r = check_direction(fd, direction);
    if (r < 0 || (r = port_kind_of(fd, &port.kind)) < 0)
        return r;
    port.fd = fd;
    port.owned = fd > 2;
    port.given = true;
    *ret = port;
    return 0;
}

static int fd_open(const struct open_request *request, struct conduit **ret)
{
    const struct address *address = request->address;
    uint32_t ways = request->flags & TONG_BOTH;
    int first = -1, second = -1;
    int r = parse_descriptor(address->name, &first);
    if (r == 0 && address->second)
        r = parse_descriptor(address->second, &second);
    if (r == 0 && second >= 0 && ways != TONG_BOTH)
        r = fail(-EINVAL, "%s names two descriptors: open it for both directions", address->text);
    if (r < 0)
        return r;
    struct port in = PORT_INIT, out = PORT_INIT;
    r = make_port(first, second >= 0 ? TONG_RECEIVE : ways, ways & TONG_RECEIVE ? &in : &out);
    if (r == -EPROTOTYPE && second < 0)
        return open_datagram(request, first, ret);
    if (r == 0 && second >= 0)
        r = make_port(second, TONG_SEND, &out);
    else if (r == 0 && ways == TONG_BOTH && in.kind != PORT_SOCKET)
        r = fail(-EOPNOTSUPP, "%s goes one way: name two descriptors for both, fd:IN,OUT", address->text);
    else if (r == 0 && ways == TONG_BOTH)
        out = in;
    if (r < 0)
        return r;
    struct stream *stream;
    r = stream_new(request, &fd_stream, &in, &out, address->text, &stream);
    if (r < 0)
        return r;
    stream->base.inheritable = true;
    *ret = &stream->base;
    return 0;
}

/* ---- Regions: a descriptor of memory or a file ----------------------------------------------------------- */

static int check_mappable(int fd)
{
    struct stat status;
    int r = sys_fstat(fd, &status);
    if (r < 0)
        return fail_call(r, "fd:%d: fstat", fd);
    return S_ISREG(status.st_mode) ? 0 : fail(-EINVAL, "fd:%d is no memory and no regular file: it cannot be mapped", fd);
}

/* A descriptor that cannot be taken over stays the caller's. */
static int region_open(const struct open_request *request, struct region **ret)
{
    const struct address *address = request->address;
    int fd = -1;
    int r = address->second ? fail(-EINVAL, "%s names two descriptors: a region is one", address->text)
                            : parse_descriptor(address->name, &fd);
    if (r == 0)
        r = check_direction(fd, TONG_RECEIVE | (request->flags & TONG_WRITE ? TONG_SEND : 0));
    if (r == 0)
        r = check_mappable(fd);
    struct mapped *mapped = NULL;
    if (r == 0)
        r = mapped_new(request, address->text, fd, true, &mapped);
    if (r < 0)
        return r;
    mapped->lent = fd <= 2;
    *ret = &mapped->base;
    return 0;
}

static const struct option_use region_options[] = { OPTIONS_END };

static const struct region_facet fd_region = {
    .options = region_options, .open = region_open, .lock = mapped_lock, .unlock = mapped_unlock, .sync = mapped_sync,
    .descriptor = mapped_descriptor, .describe = mapped_describe, .close = mapped_close,
};

static const struct channel_facet *const fd_channels[] = { &fd_stream, NULL };

const struct mechanism mechanism_fd = {
    .scheme = "fd",
    .form = "fd:N, fd:IN,OUT",
    .summary = "a descriptor this process was given: a pipe, a socket, a terminal, or memory to map",
    .medium = "any: whatever the descriptor refers to",
    .unit = "bytes, framed into messages",
    .reach = "related processes: whoever shares the descriptor",
    .order = "the kernel: a full one blocks the writer, an empty one the reader, asleep",
    .lifetime = "until its last descriptor is closed",
    .family = "POSIX; every Unix",
    .options = fd_options,
    .channels = fd_channels,
    .region = &fd_region,
    .open = fd_open,
};
