/* SPDX-License-Identifier: MIT */
/* Sockets whose users wait for each other, in every call that waits for one of many; and who is only idle. */
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "stage.h"

#define HOUR 3600

/* ---- Waiting for one of many: for ever, or an hour -------------------------------------------------------- */

static void poll_one(int fd, bool limited)
{
    struct pollfd item = { .fd = fd, .events = POLLIN };
    poll(&item, 1, limited ? HOUR * 1000 : -1);
}

static void ppoll_one(int fd, bool limited)
{
    struct pollfd item = { .fd = fd, .events = POLLIN };
    struct timespec limit = { .tv_sec = HOUR };
    ppoll(&item, 1, limited ? &limit : NULL, NULL);
}

static void select_one(int fd, bool limited)
{
    struct timeval limit = { .tv_sec = HOUR };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    select(fd + 1, &set, NULL, NULL, limited ? &limit : NULL);
}

static void epoll_one(int fd, bool limited)
{
    struct epoll_event event = { .events = EPOLLIN };
    int set = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
    epoll_wait(set, &event, 1, limited ? HOUR * 1000 : -1);
}

static void receive_one(int fd, bool limited)
{
    char byte;
    struct timeval limit = { .tv_sec = limited ? HOUR : 0 }; /* a limit that no argument shows */
    OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    recv(fd, &byte, 1, 0);
}

static void send_one(int fd, bool limited)
{
    char block[4096] = "";
    struct timeval limit = { .tv_sec = limited ? HOUR : 0 };
    OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
    while (send(fd, block, sizeof block, MSG_DONTWAIT) > 0)
        ;
    send(fd, block, sizeof block, 0);
}

#ifdef SYS_poll
#define POLL SYS_poll
#define EPOLL SYS_epoll_wait
#else
#define POLL SYS_ppoll
#define EPOLL SYS_epoll_pwait
#endif

enum { BY_POLL, BY_PPOLL, BY_SELECT, BY_EPOLL, BY_RECEIVE, BY_DATAGRAM, BY_PACKET, BY_SEND };

static const struct way {
    void (*wait)(int fd, bool limited);
    long call;
    int type;
} ways[] = {
    [BY_POLL] = { poll_one, POLL, SOCK_STREAM },
    [BY_PPOLL] = { ppoll_one, SYS_ppoll, SOCK_STREAM },
    [BY_SELECT] = { select_one, SYS_pselect6, SOCK_STREAM },
    [BY_EPOLL] = { epoll_one, EPOLL, SOCK_STREAM },
    [BY_RECEIVE] = { receive_one, SYS_recvfrom, SOCK_STREAM },
    [BY_DATAGRAM] = { receive_one, SYS_recvfrom, SOCK_DGRAM },
    [BY_PACKET] = { receive_one, SYS_recvfrom, SOCK_SEQPACKET },
    [BY_SEND] = { send_one, SYS_sendto, SOCK_STREAM },
};

static void wait_at_left(struct stage *stage)
{
    close(stage->pair[1]);
    ways[stage->step].wait(stage->pair[0], false);
}

static void wait_at_right(struct stage *stage)
{
    close(stage->pair[0]);
    ways[stage->step].wait(stage->pair[1], false);
}

static void wait_an_hour(struct stage *stage)
{
    close(stage->pair[0]);
    ways[stage->step].wait(stage->pair[1], true);
}

static void pair(int way)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = way;
    stage.certainty = TONG_EXACT;
    OK(socketpair(AF_UNIX, ways[way].type | SOCK_CLOEXEC, 0, stage.pair));
    stage_start_two(&stage, wait_at_left, ways[way].call, wait_at_right, ways[way].call);
    stage_found(&stage, TONG_FINDING_STUCK, "for socket|whose other end only");
    stage_end(&stage);
}

static void pair_well(int way)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = way;
    OK(socketpair(AF_UNIX, ways[way].type | SOCK_CLOEXEC, 0, stage.pair));
    stage_start_two(&stage, wait_at_left, ways[way].call, wait_an_hour, ways[way].call);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* ---- TCP -------------------------------------------------------------------------------------------------- */

static int listen_to_loopback(struct sockaddr_in *ret)
{
    socklen_t size = sizeof *ret;
    int listener = (int)OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    *ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    OK(bind(listener, (struct sockaddr *)ret, size));
    OK(listen(listener, 1));
    OK(getsockname(listener, (struct sockaddr *)ret, &size));
    return listener;
}

static void connect_pair(int pair[2])
{
    struct sockaddr_in address;
    int listener = listen_to_loopback(&address);
    pair[0] = (int)OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    OK(connect(pair[0], (struct sockaddr *)&address, sizeof address));
    pair[1] = (int)OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    close(listener);
}

static void connection(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = BY_RECEIVE;
    connect_pair(stage.pair);
    stage_start_two(&stage, wait_at_left, SYS_recvfrom, well ? wait_an_hour : wait_at_right, SYS_recvfrom);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "for connection|whose other end only");
    stage_end(&stage);
}

/* ---- A backlog -------------------------------------------------------------------------------------------- */

static int bound(int type, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
    int fd = (int)OK(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    *ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    OK(bind(fd, (struct sockaddr *)ret_address, sizeof(sa_family_t))); /* the kernel chooses a name */
    *ret_size = sizeof *ret_address;
    OK(getsockname(fd, (struct sockaddr *)ret_address, ret_size));
    return fd;
}

/* A server that is its own client, behind one whom it has not accepted yet. */
static void connect_to_itself(struct stage *stage)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    socklen_t size = sizeof address;
    OK(getsockname(stage->file[0], (struct sockaddr *)&address, &size));
    int client = (int)OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    connect(client, (struct sockaddr *)&address, size);
}

static void backlog(int well)
{
    struct stage stage;
    struct sockaddr_un address;
    socklen_t size;
    stage_begin(&stage);
    stage.file[0] = bound(SOCK_STREAM, &address, &size);
    OK(listen(stage.file[0], 0));
    stage.file[1] = (int)OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    OK(connect(stage.file[1], (struct sockaddr *)&address, size));
    stage_act(&stage, connect_to_itself, SYS_connect);
    if (well)
        stage_act(&stage, stage_idle, SYS_clock_nanosleep);
    stage_let_go(&stage);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "waits in connect for room among those who wait to be accepted");
    stage_end(&stage);
}

/* ---- Servers: that nobody comes is not their fault -------------------------------------------------------- */

static void accept_one(struct stage *stage)
{
    accept(stage->file[0], NULL, NULL);
}

static void accept_by_epoll(struct stage *stage)
{
    epoll_one(stage->file[0], false);
}

static void accept_by_poll(struct stage *stage)
{
    poll_one(stage->file[0], false);
}

static void receive_datagram(struct stage *stage)
{
    receive_one(stage->file[0], false);
}

enum { SERVES_UNIX, SERVES_TCP, SERVES_DATAGRAMS, SERVES_UDP };

static int server_socket(int kind)
{
    struct sockaddr_un address;
    struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size;
    if (kind == SERVES_TCP)
        return listen_to_loopback(&loopback);
    if (kind == SERVES_UDP) {
        int fd = (int)OK(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        OK(bind(fd, (struct sockaddr *)&loopback, sizeof loopback));
        return fd;
    }
    int fd = bound(kind == SERVES_UNIX ? SOCK_STREAM : SOCK_DGRAM, &address, &size);
    if (kind == SERVES_UNIX)
        OK(listen(fd, 1));
    return fd;
}

static const struct {
    int kind;
    void (*act)(struct stage *stage);
    long call;
} servers[] = {
    { SERVES_UNIX, accept_one, SYS_accept }, { SERVES_UNIX, accept_by_epoll, EPOLL }, { SERVES_UNIX, accept_by_poll, POLL },
    { SERVES_TCP, accept_one, SYS_accept }, { SERVES_TCP, accept_by_epoll, EPOLL },
    { SERVES_DATAGRAMS, receive_datagram, SYS_recvfrom }, { SERVES_UDP, receive_datagram, SYS_recvfrom },
};

static void server(int number)
{
    struct stage stage;
    stage_begin(&stage);
    stage.file[0] = server_socket(servers[number].kind);
    stage_act(&stage, servers[number].act, servers[number].call);
    stage_let_go(&stage);
    stage_quiet(&stage);
    stage_end(&stage);
}

static const struct stage_case cases[] = {
    { "poll and poll", pair, BY_POLL, "poll and a poll with a limit", pair_well, BY_POLL },
    { "ppoll and ppoll", pair, BY_PPOLL, "ppoll and a ppoll with a limit", pair_well, BY_PPOLL },
    { "select and select", pair, BY_SELECT, "select and a select with a limit", pair_well, BY_SELECT },
    { "epoll and epoll", pair, BY_EPOLL, "epoll and an epoll with a limit", pair_well, BY_EPOLL },
    { "streams, receiving", pair, BY_RECEIVE, "streams, one with a limit of its socket", pair_well, BY_RECEIVE },
    { "streams, sending", pair, BY_SEND, "streams, one sending with a limit of its socket", pair_well, BY_SEND },
    { "datagrams, receiving", pair, BY_DATAGRAM, "datagrams, one with a limit", pair_well, BY_DATAGRAM },
    { "packets, receiving", pair, BY_PACKET, "packets, one with a limit", pair_well, BY_PACKET },
    { "a TCP connection", connection, 0, "a TCP connection, one with a limit", connection, 1 },
    { "a backlog of itself", backlog, 0, "a backlog that somebody else may accept", backlog, 1 },
    { NULL, NULL, 0, "a server in accept", server, 0 },
    { NULL, NULL, 0, "a server in epoll", server, 1 },
    { NULL, NULL, 0, "a server in poll", server, 2 },
    { NULL, NULL, 0, "a TCP server in accept", server, 3 },
    { NULL, NULL, 0, "a TCP server in epoll", server, 4 },
    { NULL, NULL, 0, "a server of datagrams", server, 5 },
    { NULL, NULL, 0, "a UDP server", server, 6 },
};

int main(int argc, char **argv)
{
    return stage_main("deadlock_sockets", argc, argv, cases, sizeof cases / sizeof *cases);
}
