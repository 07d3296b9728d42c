/* SPDX-License-Identifier: MIT */
/*
 * port.h - bytes in and out of a descriptor that others may share.
 *
 * O_NONBLOCK lives in the open file description, which parents, children and programs like a shell share, so
 * it is never changed here.  Whether a call may block is said call by call instead: MSG_DONTWAIT for sockets,
 * RWF_NOWAIT for pipes, a second, non-blocking description for FIFOs (which do not know RWF_NOWAIT) and for pipes
 * that are tried again and again, and a poll(2) beforehand for everything else.
 *
 * A call that may wait for ever and cannot be cancelled is one bare blocking system call; any other tries
 * first and polls only when there is nothing.
 */
#ifndef CORE_PORT_H
#define CORE_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "sys/sys.h"
#include "tong/base.h"

enum port_kind {
    PORT_CLOSED,
    PORT_SOCKET, /* stream sockets */
    PORT_PIPE,   /* anonymous pipes, and FIFOs opened by others */
    PORT_FIFO,   /* descriptions of our own: one blocking, one not (FIFOs, signals) */
    PORT_OTHER   /* terminals, devices, regular files */
};

struct port {
    enum port_kind kind;
    int fd;                /* -1 when closed */
    int nonblocking_fd;    /* PORT_FIFO, and a PORT_PIPE that was tried often; else -1 */
    bool nowait_refused;   /* PORT_PIPE: this object does not know RWF_NOWAIT */
    bool owned;            /* close it when done */
    bool given;            /* by its number: nobody knows who made it, and with which flags */
    bool quiet;            /* the process ignored SIGPIPE when this was opened, so a plain write(2) raises none */
    bool creds;            /* PORT_SOCKET: ask the kernel for the sender of what is read */
    tong_identity sender;  /* of the bytes read last, when creds; else who made the other end, where that is known */
    unsigned tries;        /* PORT_PIPE: calls that were not to wait, until it was opened again */
};

#define PORT_INIT { PORT_CLOSED, -1, -1, false, false, false, false, false, TONG_IDENTITY_INIT, 0 }

/* What kind of port `fd` is, by fstat; -EBADF.  Sockets that keep boundaries are -EPROTOTYPE: see datagram.h. */
int port_kind_of(int fd, enum port_kind *ret);

/* What a socket says once, of a machine that stopped answering: afterwards it reads as ended.  port_read() tells it
 * from a timeout of its own by returning PORT_VANISHED. */
bool port_has_vanished(int error);
#define PORT_VANISHED (-EHOSTUNREACH)

/* Reads at least one byte: its count, 0 at the end of the stream, or -errno as wait_descriptor(). */
ssize_t port_read(struct port *port, const struct iovec *spans, int count, int cancel_fd, int64_t deadline);

/* Writes at least one byte: its count (may be short), or -errno; -EPIPE never raises SIGPIPE. */
ssize_t port_write(struct port *port, const struct iovec *spans, int count, int cancel_fd, int64_t deadline);

/* One bare blocking call, for those who know that it may wait for ever: the count, or -errno without a detail. */
static inline ssize_t port_read_bare(struct port *port, void *data, size_t size)
{
    return sys_read(port->fd, data, size);
}

static inline ssize_t port_write_bare(struct port *port, const void *data, size_t size)
{
    if (port->kind == PORT_SOCKET)
        return sys_send(port->fd, data, size, 0);
    if (port->quiet)
        return sys_write(port->fd, data, size);
    return sys_writev_nosignal(port->fd, &(struct iovec){ (void *)(uintptr_t)data, size }, 1, false);
}

/* Whether one bare call tells without waiting; else port_read() and port_write() know how. */
static inline bool port_can_try(const struct port *port)
{
    return port->kind == PORT_SOCKET || port->nonblocking_fd >= 0;
}

/* One bare call that does not wait: the count, or -errno without a detail. */
static inline ssize_t port_read_try(struct port *port, void *data, size_t size)
{
    return port->kind == PORT_SOCKET ? sys_recv(port->fd, data, size, MSG_DONTWAIT) : sys_read(port->nonblocking_fd, data, size);
}

static inline ssize_t port_write_try(struct port *port, const void *data, size_t size)
{
    if (port->kind == PORT_SOCKET)
        return sys_send(port->fd, data, size, MSG_DONTWAIT);
    if (port->quiet)
        return sys_write(port->nonblocking_fd, data, size);
    return sys_writev_nosignal(port->nonblocking_fd, &(struct iovec){ (void *)(uintptr_t)data, size }, 1, false);
}

/* The credentials in a received control buffer, or an identity of source NONE. */
struct msghdr;
void port_sender(struct msghdr *message, tong_identity *ret);

/* What the mode of a path would decide, for a name that has none: owner (and root), group, others. */
bool port_admits(uint32_t uid, uint32_t gid, int64_t mode);

/* SO_PEERCRED: who made the other end of socket `fd`; for a pair, the process that called socketpair(2).
 * -EOPNOTSUPP if it is no socket, -ENOTCONN. */
int port_peer(int fd, const char *object, tong_identity *ret);

void port_close(struct port *port);

#endif
