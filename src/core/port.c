/* SPDX-License-Identifier: MIT */
/* Trying, waiting, trying again, without ever changing a flag that somebody else can see. */
#include "core/port.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/process.h"
#include "core/wait.h"
#include "sys/sys.h"

int port_kind_of(int fd, enum port_kind *ret)
{
    struct stat status;
    int r = sys_fstat(fd, &status);
    if (r < 0)
        return fail_call(r, "descriptor %d", fd);
    if (!S_ISSOCK(status.st_mode)) {
        *ret = S_ISFIFO(status.st_mode) ? PORT_PIPE : PORT_OTHER;
        return 0;
    }
    int type;
    socklen_t size = sizeof type;
    r = sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    if (r < 0)
        return fail_call(r, "descriptor %d: SO_TYPE", fd);
    if (type != SOCK_STREAM)
        return fail_static(-EPROTOTYPE, "the socket keeps message boundaries");
    *ret = PORT_SOCKET;
    return 0;
}

void port_sender(struct msghdr *message, tong_identity *ret)
{
    *ret = (tong_identity)TONG_IDENTITY_INIT;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
            continue;
        struct ucred credentials;
        memcpy(&credentials, CMSG_DATA(c), sizeof credentials);
        if (credentials.pid == 0 && credentials.uid == (uid_t)-1)
            continue;
        *ret = (tong_identity){ sizeof *ret, TONG_IDENTITY_MESSAGE, credentials.pid,
                                credentials.pid > 0 ? process_start_time(credentials.pid) : 0,
                                credentials.uid, credentials.gid };
    }
}

bool port_admits(uint32_t uid, uint32_t gid, int64_t mode)
{
    return uid == 0 || uid == geteuid() || (mode & 0020 && gid == getegid()) || mode & 0002;
}

int port_peer(int fd, const char *object, tong_identity *ret)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    int r = sys_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
    if (r < 0)
        return fail_call(r == -ENOTSOCK ? -EOPNOTSUPP : r, "%s: SO_PEERCRED", object);
    if (credentials.uid == (uid_t)-1)
        return fail(-ENOTCONN, "%s: nobody is at the other end", object);
    *ret = (tong_identity){ sizeof *ret, TONG_IDENTITY_CONNECTION, credentials.pid,
                            credentials.pid > 0 ? process_start_time(credentials.pid) : 0,
                            credentials.uid, credentials.gid };
    return 0;
}

/* ---- One try ------------------------------------------------------------------------------------------- */

static ssize_t read_socket(struct port *port, const struct iovec *spans, int count, bool wait)
{
    union { char bytes[CMSG_SPACE(sizeof(struct ucred))]; struct cmsghdr align; } control;
    struct msghdr message = { .msg_iov = (struct iovec *)spans, .msg_iovlen = (size_t)count };
    if (port->creds) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
    }
    ssize_t r = sys_recvmsg(port->fd, &message, wait ? 0 : MSG_DONTWAIT);
    if (r > 0 && port->creds)
        port_sender(&message, &port->sender);
    return r;
}

#define TRIES 64

/*
 * Who asks a pipe again and again without waiting has it opened again, because a look by RWF_NOWAIT takes half as long
 * again as one at a description that never blocks.  Where that cannot be, nothing is lost.
 */
static void note_try(struct port *port, int access)
{
    char path[32];
    struct stat ours, found;
    if (port->tries >= TRIES || ++port->tries < TRIES || !port->owned)
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", port->fd);
    int fd = sys_open(path, access | O_NONBLOCK, 0);
    bool same = fd >= 0 && sys_fstat(fd, &found) == 0 && sys_fstat(port->fd, &ours) == 0 && found.st_dev == ours.st_dev &&
                found.st_ino == ours.st_ino;
    if (same)
        port->nonblocking_fd = fd;
    else
        sys_close(fd);
}

/* With one reader, what poll saw is still there when it is read. */
static ssize_t read_after_poll(struct port *port, const struct iovec *spans, int count)
{
    int r = wait_descriptor(port->fd, POLLIN, -1, DEADLINE_NOW);
    return r < 0 ? r : sys_readv(port->fd, spans, count);
}

static ssize_t read_once(struct port *port, const struct iovec *spans, int count, bool wait)
{
    if (port->kind == PORT_SOCKET && (port->creds || !wait))
        return read_socket(port, spans, count, wait);
    if (wait)
        return count == 1 ? sys_read(port->fd, spans->iov_base, spans->iov_len) : sys_readv(port->fd, spans, count);
    if (port->nonblocking_fd >= 0)
        return sys_readv(port->nonblocking_fd, spans, count);
    if (port->kind == PORT_PIPE && !port->nowait_refused) {
        ssize_t r = sys_preadv2(port->fd, spans, count, -1, RWF_NOWAIT);
        if (r != -EOPNOTSUPP) {
            note_try(port, O_RDONLY);
            return r;
        }
        port->nowait_refused = true;
    }
    return read_after_poll(port, spans, count);
}

/* A pipe that is writable takes PIPE_BUF bytes without blocking, and no promise goes further. */
static ssize_t write_after_poll(struct port *port, const struct iovec *spans, int count)
{
    int r = wait_descriptor(port->fd, POLLOUT, -1, DEADLINE_NOW);
    if (r < 0)
        return r;
    struct iovec short_spans[2];
    size_t room = PIPE_BUF;
    int used = 0;
    for (; used < count && used < 2 && room; used++) {
        short_spans[used] = spans[used];
        if (short_spans[used].iov_len > room)
            short_spans[used].iov_len = room;
        room -= short_spans[used].iov_len;
    }
    return sys_writev_nosignal(port->fd, short_spans, used, false);
}

static ssize_t write_once(struct port *port, const struct iovec *spans, int count, bool wait)
{
    if (wait && count == 1)
        return port_write_bare(port, spans->iov_base, spans->iov_len);
    if (port->kind == PORT_SOCKET) {
        struct msghdr message = { .msg_iov = (struct iovec *)spans, .msg_iovlen = (size_t)count };
        return sys_sendmsg(port->fd, &message, wait ? 0 : MSG_DONTWAIT);
    }
    if (wait)
        return sys_writev_nosignal(port->fd, spans, count, false);
    if (port->nonblocking_fd >= 0)
        return sys_writev_nosignal(port->nonblocking_fd, spans, count, false);
    if (port->kind == PORT_PIPE && !port->nowait_refused) {
        ssize_t r = sys_writev_nosignal(port->fd, spans, count, true);
        if (r != -EOPNOTSUPP) {
            note_try(port, O_WRONLY);
            return r;
        }
        port->nowait_refused = true;
    }
    return write_after_poll(port, spans, count);
}

/* ---- Trying until the deadline ------------------------------------------------------------------------- */

/*
 * A FIFO without writers reads as 0 at once, also before the first writer has come.  poll(2) knows the
 * difference: it reports a hangup only if a writer was there since this description was opened (pipe(7)).
 */
static int fifo_ended(struct port *port, int cancel_fd, int64_t deadline)
{
    int events = wait_descriptor(port->fd, POLLIN, cancel_fd, deadline);
    return events < 0 ? events : !(events & POLLIN);
}

bool port_has_vanished(int error)
{
    return error == -ETIMEDOUT || error == -EHOSTUNREACH || error == -ENETUNREACH || error == -ENETDOWN;
}

static ssize_t translate(ssize_t r, const char *call)
{
    if (r >= 0)
        return r;
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught before anything moved");
    return fail_call((int)r, "%s", call);
}

ssize_t port_read(struct port *port, const struct iovec *spans, int count, int cancel_fd, int64_t deadline)
{
    bool bare = deadline == DEADLINE_NEVER && cancel_fd < 0;
    for (;;) {
        ssize_t r = read_once(port, spans, count, bare);
        if (r == 0 && port->kind == PORT_FIFO) {
            int ended = fifo_ended(port, cancel_fd, deadline);
            if (ended)
                return ended < 0 ? ended : 0;
            continue;
        }
        if (port_has_vanished((int)r))
            return fail_static(PORT_VANISHED, "the machine at the other end has vanished: it does not answer any more");
        if (r != -EAGAIN)
            return translate(r, "read");
        if (deadline == DEADLINE_NOW)
            return wait_expired(deadline);
        int events = wait_descriptor(port->fd, POLLIN, cancel_fd, deadline);
        if (events < 0)
            return events;
    }
}

ssize_t port_write(struct port *port, const struct iovec *spans, int count, int cancel_fd, int64_t deadline)
{
    bool bare = deadline == DEADLINE_NEVER && cancel_fd < 0;
    for (;;) {
        ssize_t r = write_once(port, spans, count, bare);
        if (r == -ECONNRESET || r == -ENOTCONN || r == -ECONNREFUSED || port_has_vanished((int)r))
            r = -EPIPE;
        if (r == -EPIPE)
            return fail_static(-EPIPE, "nobody is left to receive: the other end was closed");
        if (r != -EAGAIN)
            return translate(r, "write");
        if (deadline == DEADLINE_NOW)
            return wait_expired(deadline);
        int events = wait_descriptor(port->fd, POLLOUT, cancel_fd, deadline);
        if (events < 0)
            return events;
    }
}

void port_close(struct port *port)
{
    if (port->owned)
        sys_close(port->fd);
    sys_close(port->nonblocking_fd);
    port->kind = PORT_CLOSED;
    port->fd = port->nonblocking_fd = -1;
}
