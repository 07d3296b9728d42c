/* SPDX-License-Identifier: MIT */
/*
 * pipe: - the anonymous pipe of pipe(2), made in pairs for parent, child and siblings.
 *
 * A pipe goes one way; TONG_BOTH makes two, one for each direction.  It has no name: who did not inherit its
 * descriptors cannot reach it, so opening "pipe:" by address is explained rather than done.  Several processes
 * may hold the sending end, so messages travel as fragments of at most PIPE_BUF bytes (core/frame.h).
 * Semantics: pipe(7).
 */
#include <errno.h>

#include "base/detail.h"
#include "core/stream.h"
#include "sys/sys.h"

static const struct option_use pipe_options[] = {
    STREAM_OPTIONS,
    { OPTION_CAPACITY, 64 << 10, 4 << 10, 1 << 30, 0 },
    OPTIONS_END,
};

static const struct channel_facet pipe_channel = {
    .variant = "",
    .shape = TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS,
    .send = stream_send, .send_batch = stream_send_batch, .receive = stream_receive, .receive_batch = stream_receive_batch,
    .finish = stream_finish, .pollfd = stream_pollfd, .after_fork = stream_after_fork,
    .descriptor = stream_descriptor, .heir_options = stream_heir_options,
    .describe = stream_describe, .close = stream_close,
};

static struct port pipe_port(int fd)
{
    struct port port = PORT_INIT;
    port.kind = fd < 0 ? PORT_CLOSED : PORT_PIPE;
    port.fd = fd;
    port.owned = true;
    return port;
}

static int make(const struct open_request *request, int ret[2])
{
    int r = sys_pipe(ret);
    if (r < 0)
        return fail_call(r, "pipe2");
    if (!address_given(request->address, OPTION_CAPACITY))
        return 0;
    long long capacity = request->address->value[OPTION_CAPACITY];
    r = sys_fcntl_int(ret[1], F_SETPIPE_SZ, (int)capacity);
    if (r >= 0)
        return 0;
    sys_close(ret[0]);
    sys_close(ret[1]);
    ret[0] = ret[1] = -1;
    return fail_call(r, "pipe: capacity=%lld, above what fs.pipe-max-size or fs.pipe-user-pages-soft lets an ordinary user have",
                     capacity);
}

static int make_end(const struct open_request *request, uint32_t flags, int in, int out, struct conduit **ret)
{
    struct open_request end = *request;
    end.flags = flags;
    struct port from = pipe_port(in), to = pipe_port(out);
    struct stream *stream;
    int r = stream_new(&end, &pipe_channel, &from, &to, "pipe:", &stream);
    if (r < 0)
        return r;
    stream->base.inheritable = true;
    *ret = &stream->base;
    return 0;
}

static int pipe_pair(const struct open_request *request, struct conduit *ret[2])
{
    /* there: from the first end to the second; back: the other way */
    int there[2] = { -1, -1 }, back[2] = { -1, -1 };
    uint32_t ways = request->flags & TONG_BOTH, rest = request->flags & ~TONG_BOTH;
    uint32_t opposite = rest | (ways & TONG_SEND ? TONG_RECEIVE : 0) | (ways & TONG_RECEIVE ? TONG_SEND : 0);
    int r = ways & TONG_SEND ? make(request, there) : 0;
    if (r == 0 && ways & TONG_RECEIVE)
        r = make(request, back);
    if (r == 0 && (r = make_end(request, request->flags, back[0], there[1], &ret[0])) == 0) {
        back[0] = there[1] = -1;
        if ((r = make_end(request, opposite, there[0], back[1], &ret[1])) == 0)
            return 0;
        stream_close(ret[0], false);
    }
    for (int i = 0; i < 2; i++) {
        sys_close(there[i]);
        sys_close(back[i]);
    }
    return r;
}

static int pipe_open(const struct open_request *request, struct conduit **ret)
{
    (void)request;
    (void)ret;
    return fail(-EOPNOTSUPP, "an anonymous pipe has no name, so no other process can open it: use fifo:PATH for a pipe with a "
                "name, 'tong pipe -- PRODUCER -- CONSUMER' or tong_channel_pair() to make one, fd:N for one you inherited");
}

static const struct limit pipe_limits[] = {
    { "largest message", "bytes", "size=1G", stream_limit_largest },
    { "largest write that never interleaves", "bytes", "PIPE_BUF", limit_pipe_buf },
    { "largest capacity for an ordinary user", "bytes", "fs.pipe-max-size", limit_from_proc },
    { "pages of all pipes of one user before they shrink", "pages", "fs.pipe-user-pages-soft", limit_from_proc },
    { NULL, NULL, NULL, NULL },
};

static const struct channel_facet *const pipe_channels[] = { &pipe_channel, NULL };

const struct mechanism mechanism_pipe = {
    .scheme = "pipe",
    .form = "pipe:",
    .summary = "anonymous pipe between processes of one family",
    .medium = "kernel memory",
    .unit = "bytes, framed into messages",
    .reach = "related processes: parent, children, siblings",
    .order = "the kernel: a full pipe blocks the writer, an empty one the reader, asleep",
    .lifetime = "until its last descriptor is closed",
    .family = "POSIX; every Unix, and Windows in its own form",
    .options = pipe_options,
    .limits = pipe_limits,
    .channels = pipe_channels,
    .open = pipe_open,
    .pair = pipe_pair,
};
