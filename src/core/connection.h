/* SPDX-License-Identifier: MIT */
/*
 * connection.h - connections that are made by name: what unix: and tcp: have in common.
 *
 * A client tries until somebody listens, ever more slowly; a listener hands out accepted sockets; a stream over a
 * socket that two processes share belongs to them alone, so its end without END is a death.
 */
#ifndef CORE_CONNECTION_H
#define CORE_CONNECTION_H

#include "core/mechanism.h"
#include "core/patience.h"
#include "core/stream.h"

/* One try: 0 and a socket, or -errno without words.  `target` is the mechanism's; no longer than the deadline.  Who sleeps
 * in it does so by patience_descriptor(), as signals are held back between the tries. */
typedef int connection_try(const void *target, struct patience *patience, int64_t deadline, int *ret);

/*
 * Tries until the deadline while nobody is there (-ECONNREFUSED, -ENOENT, -EAGAIN: no server yet, or its backlog is
 * full).  0; -ETIMEDOUT and -EINTR with words; any other error of the try as it was, for the mechanism to explain,
 * also those three where the deadline is DEADLINE_NOW.  *ret_said: the words are there.
 */
int connection_await(connection_try *try, const void *target, const char *text, int64_t deadline, bool *ret_said,
                     int *ret);

/* A stream over a connected socket, both ways whatever the flags say, which the facade minds: an end can then be
 * marked by a mere receiver.  Takes `fd` over only on success. */
int connection_stream(const struct open_request *request, const struct channel_facet *facet, int fd, const char *object,
                      struct stream **ret);

/* It was connected by name, so it belongs to two processes. */
void connection_belongs_to_two(struct stream *stream, const tong_identity *peer);

/* A listener over a socket; the first member of the mechanism's own struct. */
struct acceptor {
    struct listener base;
    struct address address;  /* for the channels it accepts */
    int fd;                  /* bound, listening, non-blocking; owned */
    bool (*admits)(const struct acceptor *, int fd); /* NULL: everybody */
    /* Makes the channel, taking `fd` over in every case. */
    int (*wrap)(const struct open_request *, int fd, struct conduit **ret);
};

/* Makes `size` zeroed bytes that begin with an acceptor; takes `fd` over only on success. */
int acceptor_new(const struct open_request *request, size_t size, const char *object, int fd, struct acceptor **ret);

/* The facet's functions. */
int acceptor_accept(struct listener *, uint32_t flags, int64_t deadline, struct conduit **ret);
int acceptor_pollfd(struct listener *, struct pollfd *);
void acceptor_close(struct listener *);

#endif
