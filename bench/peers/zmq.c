/* SPDX-License-Identifier: MIT */
/* ZeroMQ over ipc://: PAIR for round trips and paced messages, PUSH and PULL one way. */
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

static void enter(struct end *end)
{
    struct socket *s = calloc(1, sizeof *s);
    char address[160];
    int type = end->job.test != TEST_ONE_WAY ? ZMQ_PAIR : end_sends(end) ? ZMQ_PUSH : ZMQ_PULL;
    int linger = 5000, many = end->job.size >= 65536 ? 16 : 1000;
    s->context = zmq_ctx_new();
    s->socket = zmq_socket(s->context, type);
    zmq_setsockopt(s->socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(s->socket, ZMQ_SNDHWM, &many, sizeof many);
    zmq_setsockopt(s->socket, ZMQ_RCVHWM, &many, sizeof many);
    snprintf(address, sizeof address, "ipc://%s/zmq", end->job.directory);
    /* Who connects too early tries again only after 100 ms. */
    int binds = end->job.role == end->job.senders;
    while (!binds && access(address + strlen("ipc://"), F_OK) < 0)
        usleep(1000);
    if ((binds ? zmq_bind(s->socket, address) : zmq_connect(s->socket, address)) < 0)
        end_missing(end, "%s", zmq_strerror(zmq_errno()));
    usleep(20000); /* connecting is its threads' business, and takes them a while */
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
        "name ZeroMQ (ipc)\nwaiting sleep\n", NULL,
    };
    return peer_main(argc, argv, &peer);
}
