/* SPDX-License-Identifier: MIT */
/*
 * tong/listener.h - a listener accepts channels: one server, many clients.
 *
 * Offered by unix: (stream and seqpacket) and tcp:.  Threads: several may accept on one listener at once.  fork: a
 * child may use an inherited listener as it is; each connection goes to one of those who accept.
 */
#ifndef TONG_LISTENER_H
#define TONG_LISTENER_H

#include <poll.h>
#include <tong/channel.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tong_listener tong_listener;

/*
 * Binds `address` and listens (option `backlog`).  flags: TONG_CANCELLABLE or 0.  The caller closes it.
 * A path is made with mode 0600 (option `mode`) before anybody can connect.  A path left behind by a dead
 * server is taken over; a living server's is not: -EADDRINUSE.  -EEXIST if something else stands there.
 * tcp:HOST:PORT binds that one address (of a name with several, the first that can be bound): nothing beyond loopback
 * unless the address says so, every interface for tcp:*:PORT alone.  Port 0 is any free one; tong_listener_address()
 * says which.  -EADDRNOTAVAIL the host is not this machine; -EACCES the port is for root.
 */
int tong_listener_open(const char *address, uint32_t flags, tong_listener **ret);

/* Stops listening, removes a path it made (option `remove`), frees it; NULL is allowed. */
void tong_listener_close(tong_listener *listener);

/*
 * Waits for a client.  flags: what the new channel may do (TONG_RECEIVE, TONG_SEND, TONG_BOTH) and
 * TONG_CANCELLABLE for it.  The channel is the caller's and outlives the listener.
 * A client that has reset its connection meanwhile is handed out all the same: what it sent can be received, and
 * then its end.
 * Errors: -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED; -EMFILE (the client stays in the backlog; with TONG_CANCELLABLE,
 * whose descriptor is the second, it may be turned away instead).
 */
int tong_listener_accept(tong_listener *listener, uint32_t flags, int64_t timeout, tong_channel **ret);

/* What an event loop polls to know when tong_listener_accept() will not block.  As tong_channel_pollfd(). */
int tong_listener_pollfd(tong_listener *listener, struct pollfd *ret);

/* Ends every wait in tong_listener_accept() with -ECANCELED, now and from now on, also in children that inherited the
 * listener.  Async-signal-safe. */
int tong_listener_cancel(tong_listener *listener);

/* The address clients open, with what the kernel chose filled in.  Valid until close. */
const char *tong_listener_address(const tong_listener *listener);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
