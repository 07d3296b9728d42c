/* SPDX-License-Identifier: MIT */
/* The carriers: each mechanism raw, and through tong. */
#include "bench/carrier.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/ticks.h"

static void stop(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    _exit(1);
}

bool carrier_again(struct carriage *c, const char *what)
{
    if (!c->spins || (errno != EAGAIN && errno != ENOMSG))
        stop(what);
    bench_pause();
    if (++c->looked % 4096 == 0)
        sched_yield();
    return true;
}

/* ---- Raw descriptors: write(2) and read(2) --------------------------------------------------------------- */

static void fd_send(struct carriage *c, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = write(c->out, data, size);
        if (n < 0 && carrier_again(c, "write"))
            continue;
        data += n;
        size -= (size_t)n;
    }
}

static void fd_receive(struct carriage *c, uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = read(c->in, data, size);
        if (n < 0 && carrier_again(c, "read"))
            continue;
        if (n == 0)
            stop("read");
        data += n;
        size -= (size_t)n;
    }
}

static int fd_enter(struct carriage *c, int role)
{
    c->in = c->descriptors[2 * role];
    c->out = c->descriptors[2 * role + 1];
    return 0;
}

static void fd_leave(struct carriage *c, int role)
{
    (void)role;
    for (int i = 0; i < 4; i++)
        close(c->descriptors[i]);
}

static int pipe_prepare(struct carriage *c)
{
    int there[2], back[2];
    if (pipe(there) < 0 || pipe(back) < 0)
        return -errno;
    memcpy(c->descriptors, (int[4]){ back[0], there[1], there[0], back[1] }, sizeof c->descriptors);
    return 0;
}

static int unix_prepare(struct carriage *c)
{
    int s[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
        return -errno;
    memcpy(c->descriptors, (int[4]){ s[0], dup(s[0]), s[1], dup(s[1]) }, sizeof c->descriptors);
    return 0;
}

/* ---- Sockets of the Internet, on this machine -------------------------------------------------------------- */

/* Bound to a free port, and where. */
static int bound_socket(int type, struct sockaddr_in *ret)
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof here;
    int fd = socket(AF_INET, type, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) < 0 ||
        getsockname(fd, (struct sockaddr *)&here, &size) < 0)
        return -errno;
    *ret = here;
    return fd;
}

static int connected_socket(int type, const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, type, 0);
    return fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) < 0 ? -errno : fd;
}

static int tcp_prepare(struct carriage *c)
{
    struct sockaddr_in here;
    int on = 1, listening = bound_socket(SOCK_STREAM, &here);
    if (listening < 0 || listen(listening, 1) < 0)
        return listening < 0 ? listening : -errno;
    int client = connected_socket(SOCK_STREAM, &here);
    int server = client < 0 ? -1 : accept(listening, NULL, NULL);
    close(listening);
    if (server < 0 || setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return -errno;
    memcpy(c->descriptors, (int[4]){ client, dup(client), server, dup(server) }, sizeof c->descriptors);
    return 0;
}

/* The first process is connected; the second is bound and answers, as a server of many clients must. */
static int udp_prepare(struct carriage *c)
{
    struct sockaddr_in here;
    int server = bound_socket(SOCK_DGRAM, &here);
    int client = server < 0 ? server : connected_socket(SOCK_DGRAM, &here);
    if (client < 0)
        return client;
    memcpy(c->descriptors, (int[4]){ client, dup(client), server, dup(server) }, sizeof c->descriptors);
    return 0;
}

static int udp_enter(struct carriage *c, int role)
{
    fd_enter(c, role);
    c->role = role;
    return 0;
}

static void udp_send(struct carriage *c, const uint8_t *data, size_t size)
{
    ssize_t n;
    do
        n = c->role ? sendto(c->out, data, size, 0, (struct sockaddr *)&c->client, sizeof c->client)
                    : send(c->out, data, size, 0);
    while (n < 0 && carrier_again(c, "send"));
    if (n != (ssize_t)size)
        stop("send");
}

static void udp_receive(struct carriage *c, uint8_t *data, size_t size)
{
    socklen_t length = sizeof c->client;
    ssize_t n;
    do
        n = c->role ? recvfrom(c->in, data, size, 0, (struct sockaddr *)&c->client, &length)
                    : recv(c->in, data, size, 0);
    while (n < 0 && carrier_again(c, "recv"));
    if (n != (ssize_t)size)
        stop("recv");
}

/* ---- FIFOs ----------------------------------------------------------------------------------------------- */

static void fifo_path(const struct carriage *c, char which, char ret[80])
{
    snprintf(ret, 80, "%s/%c", c->directory, which);
}

static int fifo_prepare(struct carriage *c)
{
    char path[80];
    for (char which = 'a'; which <= 'b'; which++) {
        fifo_path(c, which, path);
        if (mkfifo(path, 0600) < 0)
            return -errno;
    }
    return 0;
}

static void fifo_remove(const struct carriage *c)
{
    char path[80];
    for (char which = 'a'; which <= 'b'; which++) {
        fifo_path(c, which, path);
        unlink(path);
    }
}

/* The first process reads a and writes b; in this order neither waits for ever. */
static int fifo_enter(struct carriage *c, int role)
{
    char a[80], b[80];
    fifo_path(c, 'a', a);
    fifo_path(c, 'b', b);
    if (role == 0) {
        c->in = open(a, O_RDONLY | O_CLOEXEC);
        c->out = open(b, O_WRONLY | O_CLOEXEC);
    } else {
        c->out = open(a, O_WRONLY | O_CLOEXEC);
        c->in = open(b, O_RDONLY | O_CLOEXEC);
    }
    return c->in < 0 || c->out < 0 ? -errno : 0;
}

static void fifo_leave(struct carriage *c, int role)
{
    close(c->in);
    close(c->out);
    if (role == 0)
        fifo_remove(c);
}

/* ---- System V message queues: one queue, a type for each direction ---------------------------------------- */

static int msgq_prepare(struct carriage *c)
{
    c->queue = msgget(IPC_PRIVATE, 0600 | IPC_CREAT);
    return c->queue < 0 ? -errno : 0;
}

static int msgq_enter(struct carriage *c, int role)
{
    c->send_type = 1 + role;
    c->receive_type = 2 - role;
    return 0;
}

static void msgq_send(struct carriage *c, const uint8_t *data, size_t size)
{
    c->box.type = c->send_type;
    memcpy(c->box.text, data, size);
    while (msgsnd(c->queue, &c->box, size, c->spins ? IPC_NOWAIT : 0) < 0 && carrier_again(c, "msgsnd"))
        ;
}

static void msgq_receive(struct carriage *c, uint8_t *data, size_t size)
{
    ssize_t n;
    do
        n = msgrcv(c->queue, &c->box, sizeof c->box.text, c->receive_type, c->spins ? IPC_NOWAIT : 0);
    while (n < 0 && carrier_again(c, "msgrcv"));
    if (n != (ssize_t)size)
        stop("msgrcv");
    memcpy(data, c->box.text, size);
}

static void msgq_leave(struct carriage *c, int role)
{
    if (role == 0)
        msgctl(c->queue, IPC_RMID, NULL);
}

/* ---- POSIX message queues: one for each direction, both of the system's usual length -------------------- */

static void mq_name(const struct carriage *c, int which, char ret[48])
{
    snprintf(ret, 48, "/tong-bench-%016llx-%d", (unsigned long long)c->name, which);
}

static int mq_prepare(struct carriage *c)
{
    return getrandom(&c->name, sizeof c->name, 0) < 0 ? -errno : 0;
}

/* The first process receives from 0 and sends to 1. */
static int mq_enter(struct carriage *c, int role)
{
    struct mq_attr attributes = { .mq_maxmsg = 10, .mq_msgsize = (long)c->size };
    char in[48], out[48];
    mq_name(c, role, in);
    mq_name(c, !role, out);
    c->in = mq_open(in, O_RDONLY | O_CREAT, 0600, &attributes);
    c->out = mq_open(out, O_WRONLY | O_CREAT, 0600, &attributes);
    return c->in < 0 || c->out < 0 ? -errno : 0;
}

static void mq_put(struct carriage *c, const uint8_t *data, size_t size)
{
    while (mq_send(c->out, (const char *)data, size, 0) < 0 && carrier_again(c, "mq_send"))
        ;
}

static void mq_take(struct carriage *c, uint8_t *data, size_t size)
{
    ssize_t n;
    do
        n = mq_receive(c->in, (char *)data, size, NULL);
    while (n < 0 && carrier_again(c, "mq_receive"));
    if (n != (ssize_t)size)
        stop("mq_receive");
}

static void mq_remove(const struct carriage *c)
{
    char name[48];
    for (int which = 0; which < 2; which++) {
        mq_name(c, which, name);
        mq_unlink(name);
    }
}

static void mq_leave(struct carriage *c, int role)
{
    mq_close(c->in);
    mq_close(c->out);
    if (role == 0)
        mq_remove(c);
}

/* ---- Through tong: only the addresses differ -------------------------------------------------------------- */

static void tong_stop(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, tong_detail());
    _exit(1);
}

static void tong_send(struct carriage *c, const uint8_t *data, size_t size)
{
    tong_message message = TONG_MESSAGE_INIT;
    message.type = c->send_type;
    if (tong_channel_send(c->channel, data, size, &message, TONG_FOREVER) < 0)
        tong_stop("send");
}

/* With frame=none bytes may come in pieces, as from read(2). */
static void tong_receive(struct carriage *c, uint8_t *data, size_t size)
{
    do {
        ssize_t n = tong_channel_receive(c->channel, data, size, NULL, TONG_FOREVER);
        if (n < 0)
            tong_stop("receive");
        data += n;
        size -= (size_t)n;
    } while (size);
}

static int tong_pair(struct carriage *c, const char *scheme)
{
    char address[64];
    snprintf(address, sizeof address, "%s:?frame=%s", scheme, c->frame);
    return tong_channel_pair(address, TONG_BOTH, c->pair);
}

static int tong_pipe_prepare(struct carriage *c)
{
    return tong_pair(c, "pipe");
}

static int tong_unix_prepare(struct carriage *c)
{
    return tong_pair(c, "unix");
}

static int tong_pair_enter(struct carriage *c, int role)
{
    c->channel = c->pair[role];
    return tong_channel_close(c->pair[!role]);
}

static int tong_fifo_enter(struct carriage *c, int role)
{
    char address[256];
    snprintf(address, sizeof address, "fifo:%s/%c,%s/%c?frame=%s", c->directory, role ? 'b' : 'a', c->directory,
             role ? 'a' : 'b', c->frame);
    return tong_channel_open(address, TONG_BOTH, 10 * TONG_SECOND, &c->channel);
}

static int tong_tcp_prepare(struct carriage *c)
{
    char address[64];
    snprintf(address, sizeof address, "tcp:127.0.0.1:0?frame=%s", c->frame);
    return tong_listener_open(address, 0, &c->listener);
}

static int tong_tcp_enter(struct carriage *c, int role)
{
    int r = role ? tong_channel_open(tong_listener_address(c->listener), TONG_BOTH, 10 * TONG_SECOND, &c->channel)
                 : tong_listener_accept(c->listener, TONG_BOTH, 10 * TONG_SECOND, &c->channel);
    tong_listener_close(c->listener);
    return r;
}

static int tong_udp_prepare(struct carriage *c)
{
    char address[64];
    snprintf(address, sizeof address, "udp:127.0.0.1:0?frame=%s", c->frame);
    return tong_channel_open(address, TONG_BOTH, TONG_FOREVER, &c->pair[1]);
}

/* As raw: the second process is the bound one. */
static int tong_udp_enter(struct carriage *c, int role)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    if (role == 1) {
        c->channel = c->pair[1];
        return tong_channel_after_fork(c->channel);
    }
    int r = tong_channel_describe(c->pair[1], &info);
    if (r == 0)
        r = tong_channel_open(info.object, TONG_BOTH, TONG_FOREVER, &c->channel);
    tong_channel_close(c->pair[1]);
    return r;
}

static int tong_msgq_prepare(struct carriage *c)
{
    return getrandom(&c->key, sizeof c->key, 0) < 0 ? -errno : 0;
}

static int tong_msgq_enter(struct carriage *c, int role)
{
    char address[96];
    c->send_type = 1 + role;
    snprintf(address, sizeof address, "msgq:0x%x?select=%d", (unsigned)c->key | 1, 2 - role);
    return tong_channel_open(address, TONG_BOTH, TONG_FOREVER, &c->channel);
}

static int tong_mq_enter(struct carriage *c, int role)
{
    char in[48], out[48], address[160];
    mq_name(c, role, in);
    mq_name(c, !role, out);
    snprintf(address, sizeof address, "mq:%s,%s?messages=10&size=%zu", in, out, c->size);
    return tong_channel_open(address, TONG_BOTH, TONG_FOREVER, &c->channel);
}

static void tong_mq_leave(struct carriage *c, int role)
{
    tong_channel_close(c->channel);
    if (role == 0)
        mq_remove(c);
}

static void tong_leave(struct carriage *c, int role)
{
    char address[96];
    tong_channel_close(c->channel);
    if (role == 0 && c->key) {
        snprintf(address, sizeof address, "msgq:0x%x", (unsigned)c->key | 1);
        tong_remove(address);
    }
    if (role == 0)
        fifo_remove(c);
}

/* ---- The table ------------------------------------------------------------------------------------------- */

static const struct carrier raw_pipe = { "pipe", pipe_prepare, fd_enter, fd_send, fd_receive, fd_leave };
static const struct carrier raw_fifo = { "fifo", fifo_prepare, fifo_enter, fd_send, fd_receive, fifo_leave };
static const struct carrier raw_unix = { "unix", unix_prepare, fd_enter, fd_send, fd_receive, fd_leave };
static const struct carrier raw_tcp = { "tcp", tcp_prepare, fd_enter, fd_send, fd_receive, fd_leave };
static const struct carrier raw_udp = { "udp", udp_prepare, udp_enter, udp_send, udp_receive, fd_leave };
static const struct carrier raw_msgq = { "msgq", msgq_prepare, msgq_enter, msgq_send, msgq_receive, msgq_leave };
static const struct carrier raw_mq = { "mq", mq_prepare, mq_enter, mq_put, mq_take, mq_leave };
static const struct carrier over_pipe = { "pipe", tong_pipe_prepare, tong_pair_enter, tong_send, tong_receive,
                                          tong_leave };
static const struct carrier over_fifo = { "fifo", fifo_prepare, tong_fifo_enter, tong_send, tong_receive, tong_leave };
static const struct carrier over_unix = { "unix", tong_unix_prepare, tong_pair_enter, tong_send, tong_receive,
                                          tong_leave };
static const struct carrier over_tcp = { "tcp", tong_tcp_prepare, tong_tcp_enter, tong_send, tong_receive, tong_leave };
static const struct carrier over_udp = { "udp", tong_udp_prepare, tong_udp_enter, tong_send, tong_receive, tong_leave };
static const struct carrier over_msgq = { "msgq", tong_msgq_prepare, tong_msgq_enter, tong_send, tong_receive,
                                          tong_leave };
static const struct carrier over_mq = { "mq", mq_prepare, tong_mq_enter, tong_send, tong_receive, tong_mq_leave };

const struct contest contest_pipe = { &raw_pipe, &over_pipe, 0 };
const struct contest contest_fifo = { &raw_fifo, &over_fifo, 0 };
const struct contest contest_unix = { &raw_unix, &over_unix, 0 };
const struct contest contest_tcp = { &raw_tcp, &over_tcp, 0 };
const struct contest contest_udp = { &raw_udp, &over_udp, 16 };
const struct contest contest_msgq = { &raw_msgq, &over_msgq, 0 };
const struct contest contest_mq = { &raw_mq, &over_mq, 0 };
