/* SPDX-License-Identifier: MIT */
/*
 * server.c - one server, many clients on a unix socket, in one thread; says who sent each message.
 * tong_wait() sleeps until a client comes or one that is here has sent something.  With creds=on the kernel
 * vouches for the sender of every message.  The clients are children, so that the program can be run alone.
 *
 * With the bare calls: raw/server.c.  From a shell, one client after the other:
 *     tong recv --json --follow 'unix:/tmp/s?creds=on'
 *
 * Build: cc server.c -o server $(pkg-config --cflags --libs tong)
 * Prints, in the order in which they come:
 *     client 1 says hello (pid 4711, uid 1000)
 *     client 2 says hello (pid 4712, uid 1000)
 *     client 3 says hello (pid 4713, uid 1000)
 */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

#define CLIENTS 3

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tong_detail());
    return 1;
}

static int client(const char *address, int number)
{
    tong_channel *server;
    char text[32];
    int size = snprintf(text, sizeof text, "client %d says hello", number);
    if (tong_channel_open(address, TONG_SEND, 5 * TONG_SECOND, &server) < 0 ||
        tong_channel_send(server, text, (size_t)size, NULL, TONG_FOREVER) < 0 || tong_channel_close(server) < 0)
        return failed("client");
    return 0;
}

/* One message or the end of a client that is ready: whether it has gone. */
static int serve(tong_channel *channel)
{
    char text[256];
    tong_message message = TONG_MESSAGE_INIT;
    ssize_t size = tong_channel_receive(channel, text, sizeof text, &message, 0);
    if (size < 0)
        return size == -EAGAIN ? 0 : size == -ENODATA ? 1 : failed("a client died");
    printf("%.*s (pid %lld, uid %u)\n", (int)size, text, (long long)message.sender.pid, (unsigned)message.sender.uid);
    return 0;
}

int main(void)
{
    /* item 0 is the listener; an item whose channel is NULL is passed over */
    tong_wait_item items[1 + CLIENTS] = { { .size = sizeof *items, .direction = TONG_RECEIVE } };
    char address[64];
    int accepted = 0, gone = 0, status, result = 0;
    snprintf(address, sizeof address, "unix:@example-server-%d?creds=on", (int)getpid());
    if (tong_listener_open(address, 0, &items[0].listener) < 0)
        return failed("listen");
    for (int i = 1; i <= CLIENTS; i++)
        if (fork() == 0)
            _exit(client(address, i));
    while (gone < CLIENTS) {
        if (tong_wait(items, 1 + (size_t)accepted, 10 * TONG_SECOND) < 0)
            return failed("wait");
        for (int i = accepted; i > 0; i--)
            if (items[i].ready && serve(items[i].channel)) {
                tong_channel_close(items[i].channel);
                items[i].channel = NULL;
                gone++;
            }
        if (items[0].ready && accepted < CLIENTS) {
            items[++accepted] = (tong_wait_item){ .size = sizeof *items, .direction = TONG_RECEIVE };
            if (tong_listener_accept(items[0].listener, TONG_BOTH, 0, &items[accepted].channel) < 0)
                return failed("accept");
        }
    }
    tong_listener_close(items[0].listener);
    while (wait(&status) > 0)
        result |= status != 0;
    return result;
}
