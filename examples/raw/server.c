/* SPDX-License-Identifier: MIT */
/*
 * server.c - one server, many clients on a unix socket, in one thread; says who each client is.
 *
 * poll(2) sleeps until a client comes or one that is here has sent something or gone.  SO_PEERCRED is the kernel's
 * word for who connected.  The socket keeps the boundaries of messages (SOCK_SEQPACKET) and has an abstract name,
 * which is not in any directory and goes with its server.
 *
 * Build: cc server.c -o server
 * Prints, in the order in which they come:
 *     client 1 says hello (pid 4711, uid 1000)
 *     client 2 says hello (pid 4712, uid 1000)
 *     client 3 says hello (pid 4713, uid 1000)
 */
#define _GNU_SOURCE 1
#include <err.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 3

static int client(const struct sockaddr_un *name, socklen_t length, int number)
{
    char text[32];
    int size = snprintf(text, sizeof text, "client %d says hello", number);
    int server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (server < 0 || connect(server, (const struct sockaddr *)name, length) < 0 ||
        send(server, text, (size_t)size, MSG_NOSIGNAL) < 0)
        err(1, "client");
    return close(server) < 0;
}

/* One message or the end of a client that is ready: whether it has gone. */
static int serve(int socket)
{
    char text[256];
    struct ucred who;
    socklen_t length = sizeof who;
    ssize_t size = recv(socket, text, sizeof text, MSG_DONTWAIT);
    if (size < 0)
        warn("a client died");
    if (size <= 0)
        return 1;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0)
        err(1, "SO_PEERCRED");
    printf("%.*s (pid %d, uid %u)\n", (int)size, text, who.pid, who.uid);
    return 0;
}

int main(void)
{
    /* item 0 is the listening socket; poll(2) passes over an item whose descriptor is -1 */
    struct pollfd items[1 + CLIENTS] = { { .fd = -1 } };
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int accepted = 0, gone = 0, status, result = 0;
    int size = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "raw-example-server-%d", (int)getpid());
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
    items[0] = (struct pollfd){ .fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), .events = POLLIN };
    if (items[0].fd < 0 || bind(items[0].fd, (struct sockaddr *)&name, length) < 0 || listen(items[0].fd, CLIENTS) < 0)
        err(1, "listen");
    for (int i = 1; i <= CLIENTS; i++)
        if (fork() == 0)
            _exit(client(&name, length, i));
    while (gone < CLIENTS) {
        int ready = poll(items, 1 + (nfds_t)accepted, 10000);
        if (ready < 0)
            err(1, "poll");
        if (ready == 0)
            errx(1, "a client has not come");
        for (int i = accepted; i > 0; i--)
            if (items[i].revents && serve(items[i].fd)) {
                close(items[i].fd);
                items[i].fd = -1;
                gone++;
            }
        if (items[0].revents && accepted < CLIENTS) {
            items[++accepted] = (struct pollfd){ .events = POLLIN };
            items[accepted].fd = accept4(items[0].fd, NULL, NULL, SOCK_CLOEXEC);
            if (items[accepted].fd < 0)
                err(1, "accept");
        }
    }
    while (wait(&status) > 0)
        result |= status != 0;
    return result;
}
