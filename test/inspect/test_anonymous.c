/* SPDX-License-Identifier: MIT */
/* Eventfds, epoll sets and what they watch, terminals, netlink sockets, and sockets of another network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "inspect/graph.h"
#include "look.h"

static pid_t child_asleep(void)
{
    pid_t child = frame_fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    frame_asleep(child, child);
    return child;
}

static void test_eventfd(int unused)
{
    (void)unused;
    size_t number, other;
    int fd = eventfd(20, EFD_CLOEXEC), second = eventfd(1, EFD_CLOEXEC);
    pid_t child = child_asleep();
    tong_snapshot *snapshot = look();
    const tong_object *object = behind(snapshot, getpid(), fd, &number);
    GIVES(object->kind, TONG_KIND_EVENTFD);
    GIVES(object->messages, 20);
    MUST(behind(snapshot, child, fd, &other) == object, "the child has the same");
    MUST(behind(snapshot, getpid(), second, &other) != object, "the second is another");
    tong_snapshot_free(snapshot);
    frame_kill(child);
    close(fd);
    close(second);
}

/* The watch of a set for a descriptor, or NULL. */
static const struct graph_watch *watch_of(const tong_snapshot *snapshot, size_t set, int fd)
{
    for (size_t i = 0; i < snapshot->watches.count; i++)
        if (graph_watches(snapshot)[i].set == set && graph_watches(snapshot)[i].fd == fd)
            return &graph_watches(snapshot)[i];
    return NULL;
}

static void test_epoll(int unused)
{
    (void)unused;
    size_t set, pipe_number, number;
    int ends[2], epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int counter = eventfd(0, EFD_CLOEXEC), sockets[2];
    struct epoll_event event = { .events = EPOLLIN };
    MUST(pipe2(ends, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0, "pipe2");
    const int watched[] = { ends[0], timer, counter, sockets[0] };
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, watched[i], &event) == 0, "epoll_ctl");
    int kept = dup(sockets[0]); /* so that the set goes on watching what had another number */
    MUST(dup2(ends[1], sockets[0]) == sockets[0], "dup2");
    pid_t child = child_asleep();
    tong_snapshot *snapshot = look();
    MUST(behind(snapshot, getpid(), epoll, &set)->kind == TONG_KIND_EPOLL, "an epoll set");
    MUST(behind(snapshot, child, epoll, &number) && number == set, "the child inherited it");
    behind(snapshot, getpid(), ends[1], &pipe_number);
    const struct graph_watch *watch = watch_of(snapshot, set, ends[0]);
    MUST(watch && watch->object == pipe_number && watch->events & EPOLLIN, "it watches the pipe");
    MUST(watch_of(snapshot, set, timer) && watch_of(snapshot, set, timer)->object == TONG_NOBODY, "a timer is no object");
    behind(snapshot, getpid(), counter, &number);
    MUST(watch_of(snapshot, set, counter)->object == number, "it watches the eventfd");
    behind(snapshot, getpid(), kept, &number);
    MUST(watch_of(snapshot, set, sockets[0])->object == number, "it watches the socket, whose descriptor is another now");
    tong_snapshot_free(snapshot);
    frame_kill(child);
    const int all[] = { ends[0], ends[1], epoll, timer, counter, kept, sockets[0], sockets[1] };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        close(all[i]);
}

static void test_terminal(int unused)
{
    (void)unused;
    size_t number, same;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0)
        return;
    MUST(grantpt(master) == 0 && unlockpt(master) == 0, "unlockpt");
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(slave >= 0, "open: %s", strerror(errno));
    tong_snapshot *snapshot = look();
    const tong_object *object = behind(snapshot, getpid(), slave, &number);
    MUST(object->kind == TONG_KIND_PTY && !strcmp(object->name, ptsname(master)), "it is %s", object->name);
    MUST(behind(snapshot, getpid(), master, &same) == object, "both are sides of one");
    MUST(end_of(snapshot, number, getpid(), TONG_END_MASTER)->fd == master, "which is the master");
    tong_snapshot_free(snapshot);
    close(slave);
    close(master);
}

static void test_netlink(int unused)
{
    (void)unused;
    size_t number;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl address = { .nl_family = AF_NETLINK };
    MUST(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "bind: %s", strerror(errno));
    tong_snapshot *snapshot = look();
    const tong_object *object = behind(snapshot, getpid(), fd, &number);
    MUST(object->kind == TONG_KIND_NETLINK && !strcmp(object->name, "route"), "it is %s", object->name);
    tong_snapshot_free(snapshot);
    close(fd);
}

/* A listener in a namespace of its own; its port is that of one here, and they are not one. */
static void test_other_network(int unused)
{
    (void)unused;
    size_t number;
    int told[2];
    char sent;
    MUST(pipe2(told, O_CLOEXEC) == 0, "pipe2");
    pid_t child = frame_fork();
    if (child == 0) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(4711) };
        int can = unshare(CLONE_NEWNET) == 0;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2];
        MUST(!can || bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "bind: %s", strerror(errno));
        MUST(!can || listen(fd, 1) == 0, "listen");
        MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
        sent = can ? (char)fd : 0;
        MUST(write(told[1], &sent, 1) == 1, "write");
        pause();
    }
    MUST(read(told[0], &sent, 1) == 1, "read");
    tong_snapshot *snapshot = look();
    if (sent) {
        const tong_object *object = behind(snapshot, child, sent, &number);
        MUST(object->kind == TONG_KIND_TCP && !strcmp(object->name, "0.0.0.0:4711"), "it is %s", object->name);
        MUST(object->flags & TONG_OBJECT_LISTENING, "it listens");
        MUST(behind(snapshot, child, sent + 1, &number)->kind == TONG_KIND_UNIX, "the pair is there");
        bool said = false;
        for (size_t i = 0; i < tong_snapshot_gaps(snapshot); i++)
            said = said || !strcmp(tong_snapshot_gap(snapshot, i)->what, "peers of unix sockets");
        MUST(said, "that its peer is not known is said");
    }
    tong_snapshot_free(snapshot);
    frame_kill(child);
    close(told[0]);
    close(told[1]);
}

int main(int argc, char **argv)
{
    frame_begin("inspect_anonymous", argc, argv);
    frame_run("eventfds", test_eventfd, 0, 20);
    frame_run("an epoll set", test_epoll, 0, 20);
    frame_run("a terminal", test_terminal, 0, 20);
    frame_run("a netlink socket", test_netlink, 0, 20);
    if (geteuid() == 0)
        frame_run("sockets in another network namespace", test_other_network, 0, 20);
    else
        frame_skip("sockets in another network namespace", "only root can make one");
    return frame_end();
}
