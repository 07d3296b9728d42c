/* SPDX-License-Identifier: MIT */
/* Trying until somebody listens; accepting. */
#include "core/connection.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/detail.h"
#include "sys/sys.h"

static bool is_early(int error)
{
    return error == -ECONNREFUSED || error == -ENOENT || error == -EAGAIN;
}

int connection_await(connection_try *try, const void *target, const char *text, int64_t deadline, bool *ret_said,
                     int *ret)
{
    int r, paused = 0;
    struct patience patience = PATIENCE_OF(100 * TONG_MICROSECOND, 20 * TONG_MILLISECOND);
    do
        r = try(target, &patience, deadline, ret);
    while (is_early(r) && deadline != DEADLINE_NOW && (paused = patience_pause(&patience, -1, deadline)) == 0);
    patience_end(&patience);
    *ret_said = paused < 0;
    if (paused == -ETIMEDOUT)
        return fail(-ETIMEDOUT, "nobody began to listen on %s in time", text);
    return paused < 0 ? paused : r;
}

int connection_stream(const struct open_request *request, const struct channel_facet *facet, int fd, const char *object,
                      struct stream **ret)
{
    struct port both = PORT_INIT;
    both.kind = PORT_SOCKET;
    both.fd = fd;
    both.owned = true;
    both.creds = request->address->value[OPTION_CREDS];
    int on = 1;
    int r = both.creds ? sys_setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) : 0;
    if (r < 0)
        return fail_call(r, "SO_PASSCRED");
    return stream_new(request, facet, &both, &both, object, ret);
}

void connection_belongs_to_two(struct stream *stream, const tong_identity *peer)
{
    stream->must_end = stream->announced = true;
    stream->in.sender = *peer;
}

int acceptor_new(const struct open_request *request, size_t size, const char *object, int fd, struct acceptor **ret)
{
    struct listener *listener = NULL;
    struct address copy;
    int r = address_parse(request->address->text, &copy);
    if (r < 0)
        return r;
    r = address_settle(&copy, request->mechanism->options);
    if (r == 0)
        r = listener_new(request, size, object, &listener);
    if (r < 0) {
        address_free(&copy);
        return r;
    }
    struct acceptor *acceptor = (struct acceptor *)listener;
    acceptor->address = copy;
    acceptor->fd = fd;
    *ret = acceptor;
    return 0;
}

static int accept_failed(const struct acceptor *acceptor, int error)
{
    return error == -EINTR ? fail_static(-EINTR, "a signal was caught before a client came")
                           : fail_call(error, "accept(%s)", acceptor->base.object);
}

/* What became of a client before it was accepted is that client's misfortune (accept(2), "Error handling"). */
static bool client_is_gone(int error)
{
    static const int errors[] = { -ECONNABORTED, -EPROTO, -ENETDOWN, -ENOPROTOOPT, -EHOSTDOWN, -ENONET, -EHOSTUNREACH,
                                  -ENETUNREACH };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (error == errors[i])
            return true;
    return false;
}

static int accept_one(struct acceptor *acceptor, int64_t deadline, int *ret)
{
    for (;;) {
        int r = sys_accept(acceptor->fd, 0);
        if (r >= 0 && (!acceptor->admits || acceptor->admits(acceptor, r))) {
            *ret = r;
            return 0;
        }
        if (r >= 0) {
            sys_close(r);
            if ((r = wait_may_look_on(&acceptor->base.cancelled, deadline)) < 0)
                return r; /* those who are turned away do not hold us up */
        } else if (r != -EAGAIN && !client_is_gone(r))
            return accept_failed(acceptor, r);
        if (r == -EAGAIN && (r = wait_descriptor(acceptor->fd, POLLIN, acceptor->base.cancel_fd, deadline)) < 0)
            return r;
    }
}

int acceptor_accept(struct listener *base, uint32_t flags, int64_t deadline, struct conduit **ret)
{
    struct acceptor *acceptor = (struct acceptor *)base;
    struct open_request request = { base->mechanism, &acceptor->address, flags, deadline };
    int fd = -1;
    int r = accept_one(acceptor, deadline, &fd);
    return r < 0 ? r : acceptor->wrap(&request, fd, ret);
}

int acceptor_pollfd(struct listener *base, struct pollfd *ret)
{
    *ret = (struct pollfd){ ((struct acceptor *)base)->fd, POLLIN, 0 };
    return 0;
}

void acceptor_close(struct listener *base)
{
    struct acceptor *acceptor = (struct acceptor *)base;
    sys_close(acceptor->fd);
    address_free(&acceptor->address);
    listener_free(base);
}
