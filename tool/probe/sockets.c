/* SPDX-License-Identifier: MIT */
/* Probes of sockets: who is at the other end, one port and many clients, datagrams that nobody promised to deliver. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "directory.h"
#include "probe/probe.h"

/* A socket of this kind on 127.0.0.1, with a port that the kernel chooses. */
static int bind_loopback(int kind, struct sockaddr_in *ret)
{
    socklen_t size = sizeof *ret;
    *ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)ret, size) == 0 && getsockname(fd, (struct sockaddr *)ret, &size) == 0)
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

/* ---- Who is there ---------------------------------------------------------------------------------------- */

struct meeting {
    struct sockaddr_un place;
    pid_t *client;
};

static void connect_there(void *argument)
{
    struct meeting *meeting = argument;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *meeting->client = getpid();
    if (fd < 0 || connect(fd, (struct sockaddr *)&meeting->place, sizeof meeting->place) < 0)
        _exit(1);
}

static int ask_client(struct measured *measured, int server, struct meeting *meeting)
{
    struct ucred vouched = { 0 };
    socklen_t size = sizeof vouched;
    if (bind(server, (struct sockaddr *)&meeting->place, sizeof meeting->place) < 0 || listen(server, 1) < 0)
        return -errno;
    int status = probe_child(connect_there, meeting);
    int client = status ? -1 : accept4(server, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return status < 0 ? status : status ? -EIO : -errno;
    int r = getsockopt(client, SOL_SOCKET, SO_PEERCRED, &vouched, &size) < 0 ? -errno : 0;
    close(client);
    figure_number(measured, "client", "the client's process number", *meeting->client, NULL);
    figure_number(measured, "vouched", "what the kernel told the server of it", vouched.pid, NULL);
    figure_number(measured, "uid", "and the user it runs as", vouched.uid, NULL);
    measured->shown = vouched.pid == *meeting->client && vouched.uid == geteuid();
    return r;
}

static int probe_credentials(struct measured *measured)
{
    char directory[DIRECTORY_MAX];
    struct meeting meeting = { .place = { .sun_family = AF_UNIX }, .client = probe_shared(sizeof *meeting.client) };
    int server = meeting.client ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (server < 0)
        return -errno;
    int r = directory_make("explain", directory);
    int size = snprintf(meeting.place.sun_path, sizeof meeting.place.sun_path, "%s/s", directory);
    if (r == 0)
        r = (size_t)size < sizeof meeting.place.sun_path ? ask_client(measured, server, &meeting) : -ENAMETOOLONG;
    close(server);
    directory_remove(directory);
    return r;
}

/* ---- One port, many clients ------------------------------------------------------------------------------ */

#define CLIENTS 3

static int connect_client(const struct sockaddr_in *place)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)place, sizeof *place) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Whether a socket that was accepted has the server's port still. */
static bool same_port(int server, const struct sockaddr_in *place)
{
    struct sockaddr_in local = { 0 };
    socklen_t size = sizeof local;
    int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    bool same = fd >= 0 && getsockname(fd, (struct sockaddr *)&local, &size) == 0 && local.sin_port == place->sin_port;
    if (fd >= 0)
        close(fd);
    return same;
}

static int probe_port(struct measured *measured)
{
    struct sockaddr_in place;
    int server = bind_loopback(SOCK_STREAM, &place), served = 0;
    if (server < 0)
        return server;
    int r = listen(server, CLIENTS) < 0 ? -errno : 0;
    for (int i = 0; r == 0 && i < CLIENTS; i++) {
        int client = connect_client(&place);
        if (client < 0)
            r = -errno;
        else
            close(client);
        served += client >= 0 && same_port(server, &place);
    }
    close(server);
    figure_number(measured, "port", "port that the kernel chose", ntohs(place.sin_port), NULL);
    figure_number(measured, "clients", "clients served on it, each with a socket of its own", served, NULL);
    measured->shown = r == 0 && served == CLIENTS;
    return r;
}

/* ---- Loss ------------------------------------------------------------------------------------------------ */

#define DATAGRAMS 200
#define DATAGRAM 1024

/* Sends without reading; every send succeeds. */
static int send_datagrams(const struct sockaddr_in *place)
{
    static const char piece[DATAGRAM];
    int sent = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (int i = 0; fd >= 0 && i < DATAGRAMS; i++)
        sent += sendto(fd, piece, DATAGRAM, 0, (const struct sockaddr *)place, sizeof *place) == DATAGRAM;
    if (fd >= 0)
        close(fd);
    return sent;
}

static int probe_loss(struct measured *measured)
{
    char piece[DATAGRAM];
    struct sockaddr_in place;
    int fd = bind_loopback(SOCK_DGRAM, &place), small = 16384, arrived = 0;
    if (fd < 0)
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    int sent = send_datagrams(&place);
    while (recv(fd, piece, sizeof piece, MSG_DONTWAIT) > 0)
        arrived++;
    close(fd);
    figure_number(measured, "sent", "datagrams sent without an error", sent, NULL);
    figure_number(measured, "arrived", "arrived at a receiver that came too late", arrived, NULL);
    figure_number(measured, "lost", "lost, and nobody was told", sent - arrived, NULL);
    measured->shown = sent == DATAGRAMS && arrived < sent;
    return 0;
}

const struct probe probes_sockets[] = {
    { "credentials", "who is at the other end", "the kernel tells a server which process and user its client is:",
      probe_credentials },
    { "port", "one port and many clients", "one port serves many clients:", probe_port },
    { "loss", "datagrams that are lost", "a datagram that finds no room is gone, without a word to its sender:",
      probe_loss },
    { .name = NULL },
};
