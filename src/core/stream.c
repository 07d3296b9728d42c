/* SPDX-License-Identifier: MIT */
/* Making, describing and ending stream conduits; stream_send.c and stream_receive.c move the messages. */
#include "core/stream.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/process.h"
#include "sys/sys.h"

#define SCRATCH_SIZE (2 * STREAM_PAGE)
_Static_assert(STREAM_OFFSET_MAX + FRAME_HEADER + STREAM_COPY_MAX <= SCRATCH_SIZE, "a small message fits its place");

/* A pipe may have several writers; a socket has one. */
static bool shared_by_writers(enum port_kind kind)
{
    return kind == PORT_PIPE || kind == PORT_FIFO;
}

/* What a program that inherits the descriptors must put behind fd:N. */
static char *options_for_heir(const struct address *address)
{
    static const char *const frames[] = { "packet", "line", "none" };
    char text[64];
    int used = 0;
    if (address->value[OPTION_FRAME] != FRAME_PACKET)
        used += snprintf(text, sizeof text, "?frame=%s", frames[address->value[OPTION_FRAME]]);
    if (address->value[OPTION_SIZE] != STREAM_SIZE_DEFAULT)
        used += snprintf(text + used, sizeof text - (size_t)used, "%csize=%lld", used ? '&' : '?',
                         (long long)address->value[OPTION_SIZE]);
    text[used] = '\0';
    return strdup(text);
}

uint64_t stream_limit_largest(const char *source)
{
    (void)source;
    return STREAM_SIZE_MAX;
}

int stream_new(const struct open_request *request, const struct channel_facet *facet, const struct port *in,
               const struct port *out, const char *object, struct stream **ret)
{
    struct conduit *conduit;
    const struct address *address = request->address;
    int r = conduit_new(request, facet, sizeof(struct stream), object, &conduit);
    if (r < 0)
        return r;
    struct stream *stream = (struct stream *)conduit;
    stream->frame = (int)address->value[OPTION_FRAME];
    stream->largest = (size_t)address->value[OPTION_SIZE];
    stream->buffer = (size_t)address->value[OPTION_BUFFER];
    stream->one_writer = !shared_by_writers(in->kind);
    stream->fragment_max = shared_by_writers(out->kind) ? PIPE_BUF : SIZE_MAX;
    stream->ready = (struct ready)READY_INIT;
    stream->heir_options = options_for_heir(address);
    stream->scratch = out->kind == PORT_CLOSED ? NULL : aligned_alloc(STREAM_PAGE, SCRATCH_SIZE);
    r = stream->heir_options && (stream->scratch || out->kind == PORT_CLOSED) ? 0 : fail(-ENOMEM, "%s: out of memory", object);
    if (r == 0 && out->kind != PORT_CLOSED && stream->frame == FRAME_PACKET)
        r = stream_after_fork(conduit);
    if (r < 0) {
        free(stream->scratch);
        free(stream->heir_options);
        conduit_free(conduit);
        return r;
    }
    stream->in = *in;
    stream->out = *out;
    stream->out.quiet = sys_ignores_sigpipe();
    conduit->flags |= conduit_frame_flag(stream->frame);
    *ret = stream;
    return 0;
}

/* A writer id of this process's own, so that its fragments are not taken for its parent's; what is kept is the parent's. */
int stream_after_fork(struct conduit *conduit)
{
    struct stream *stream = (struct stream *)conduit;
    int r = sys_getrandom(&stream->writer, sizeof stream->writer);
    if (r < 0)
        return fail_call(r, "getrandom");
    stream->generation = fork_generation;
    stream->number = 0;
    stream->announced = false;
    free(stream->out_message.kept);
    stream->out_message.kept = NULL;
    stream->kept = stream->holds_turn = false; /* the parent's, who sends the rest and has the turn */
    return 0;
}

int stream_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct stream *stream = (struct stream *)conduit;
    if (direction == TONG_SEND) {
        *ret = (struct pollfd){ stream->out.fd, POLLOUT, 0 };
        return 0;
    }
    int r = ready_open(&stream->ready, stream->in.fd, POLLIN);
    if (r < 0)
        return r;
    stream_settle_ready(stream);
    *ret = (struct pollfd){ stream->ready.epoll_fd, POLLIN, 0 };
    return 0;
}

int stream_descriptor(struct conduit *conduit, uint32_t direction)
{
    struct stream *stream = (struct stream *)conduit;
    return direction == TONG_SEND ? stream->out.fd : stream->in.fd;
}

int stream_heir_options(struct conduit *conduit, char *ret, size_t size)
{
    snprintf(ret, size, "%s", ((struct stream *)conduit)->heir_options);
    return 0;
}

int stream_peer(struct conduit *conduit, tong_identity *ret)
{
    struct stream *stream = (struct stream *)conduit;
    return port_peer(stream->in.fd >= 0 ? stream->in.fd : stream->out.fd, conduit->object, ret);
}

int stream_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct stream *stream = (struct stream *)conduit;
    const struct port *port = stream->in.fd >= 0 ? &stream->in : &stream->out;
    ret->largest = stream->largest;
    int bytes;
    if (stream->in.creds)
        ret->identity = TONG_IDENTITY_MESSAGE;
    if (port->kind == PORT_PIPE || port->kind == PORT_FIFO) {
        int capacity = sys_fcntl_int(port->fd, F_GETPIPE_SZ, 0);
        ret->capacity = capacity < 0 ? TONG_UNKNOWN : (uint64_t)capacity;
    }
    if (stream->in.fd >= 0 && sys_ioctl_int(stream->in.fd, FIONREAD, &bytes) >= 0)
        ret->depth = (uint64_t)bytes + (stream->inbox.tail - stream->inbox.head);
    return 0;
}

int stream_close(struct conduit *conduit, bool forked)
{
    struct stream *stream = (struct stream *)conduit;
    int r = 0;
    bool owed = stream->kept; /* of a message that was accepted; that nobody takes the END is no loss */
    if (!forked && stream->generation == fork_generation && stream->out.kind != PORT_CLOSED && !conduit->finished &&
        (stream->announced || owed)) {
        r = stream_finish(conduit, DEADLINE_NOW);
        if (r == -EPIPE && !owed)
            r = 0;
    }
    if (stream->closed)
        stream->closed(stream, forked);
    bool same = stream->in.fd == stream->out.fd;
    port_close(&stream->in);
    if (!same)
        port_close(&stream->out);
    ready_close(&stream->ready);
    if (stream->table)
        frame_table_free(stream->table);
    free(stream->table);
    free(stream->inbox.data);
    free(stream->out_message.kept);
    free(stream->packing);
    free(stream->scratch);
    free(stream->heir_options);
    conduit_free(conduit);
    return r;
}
