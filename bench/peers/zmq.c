/* SPDX-License-Identifier: MIT */
/*
 * ZeroMQ over ipc://: PAIR for round trips and paced messages, PUSH and PULL one way, and for broadcasts XPUB, which
 * waits for slow receivers, and SUB.  Receivers bind, and every sender connects to each; but who broadcasts binds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "bench/peers/peer.h"

struct socket {
    void *context, *socket;
    zmq_msg_t message;
};

/* Who connects too early tries again only after 100 ms. */
static void await_file(const char *path)
{
    while (access(path, F_OK) < 0)
        usleep(1000);
}

static void attach(struct end *end, struct socket *s, bool binds, int receiver)
{
    char address[160];
    snprintf(address, sizeof address, "ipc://%s/zmq-%d", end->job.directory, receiver);
    if (!binds)
        await_file(address + strlen("ipc://"));
    if ((binds ? zmq_bind(s->socket, address) : zmq_connect(s->socket, address)) < 0)
        end_missing(end, "%s", zmq_strerror(zmq_errno()));
}

/* Before the first message: each receiver has said that it wants them. */
static void await_subscribers(struct end *end, struct socket *s)
{
    char word[8];
    int wait = 1, yes = 1;
    zmq_setsockopt(s->socket, ZMQ_XPUB_NODROP, &wait, sizeof wait);
    zmq_setsockopt(s->socket, ZMQ_XPUB_VERBOSE, &yes, sizeof yes);
    for (int i = 0; i < end->job.receivers; i++)
        while (zmq_recv(s->socket, word, sizeof word, 0) < 0)
            end_look(end);
}

static void enter_broadcast(struct end *end, struct socket *s)
{
    attach(end, s, end_sends(end), 0);
    if (end_sends(end))
        await_subscribers(end, s);
    else
        zmq_setsockopt(s->socket, ZMQ_SUBSCRIBE, "", 0);
}

static void enter_queue(struct end *end, struct socket *s)
{
    int nth = end->job.role - end->job.senders;
    if (nth >= 0)
        attach(end, s, true, nth);
    for (int i = 0; nth < 0 && i < end->job.receivers; i++)
        attach(end, s, false, i);
    usleep(20000); /* connecting is its threads' business, and takes them a while */
}

static void enter(struct end *end)
{
    struct socket *s = calloc(1, sizeof *s);
    int type = end_sends(end) ? ZMQ_PUSH : ZMQ_PULL;
    int linger = 5000, many = end->job.size >= 65536 ? 16 : 1000;
    if (end->job.test != TEST_ONE_WAY)
        type = ZMQ_PAIR;
    else if (end->job.broadcast)
        type = end_sends(end) ? ZMQ_XPUB : ZMQ_SUB;
    s->context = zmq_ctx_new();
    s->socket = zmq_socket(s->context, type);
    zmq_setsockopt(s->socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(s->socket, ZMQ_SNDHWM, &many, sizeof many);
    zmq_setsockopt(s->socket, ZMQ_RCVHWM, &many, sizeof many);
    if (end->job.broadcast)
        enter_broadcast(end, s);
    else
        enter_queue(end, s);
    end->own = s;
}

static void send_all(struct end *end, const uint8_t *data, unsigned count)
{
    struct socket *s = end->own;
    for (; count; count--, data += end->job.size)
        while (zmq_send(s->socket, data, end->job.size, 0) < 0)
            end_look(end);
}

static unsigned receive(struct end *end, const uint8_t **ret)
{
    struct socket *s = end->own;
    zmq_msg_init(&s->message);
    while (zmq_msg_recv(&s->message, s->socket, 0) < 0)
        end_look(end);
    *ret = zmq_msg_data(&s->message);
    return 1;
}

static void release(struct end *end)
{
    zmq_msg_close(&((struct socket *)end->own)->message);
}

static void leave(struct end *end)
{
    struct socket *s = end->own;
    zmq_close(s->socket);
    zmq_ctx_term(s->context);
}

int main(int argc, char **argv)
{
    static const struct peer peer = {
        { enter, send_all, receive, release, NULL, leave },
        "name ZeroMQ (ipc)\nwaiting sleep\nends 2 1\nends 2 2\nends 1 4\n", NULL,
    };
    return peer_main(argc, argv, &peer);
}
