/* SPDX-License-Identifier: MIT */
/* nng over ipc://: PAIR for round trips and paced messages, PUSH and PULL one way. */
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/peers/peer.h"

struct socket {
    nng_socket socket;
    nng_msg *message;
};

static void enter(struct end *end)
{
    struct socket *s = calloc(1, sizeof *s);
    char address[160];
    int room = end->job.size <= 1024 ? 1024 : 8, listens = end->job.role == end->job.senders, r;
    if (end->job.test != TEST_ONE_WAY)
        r = nng_pair0_open(&s->socket);
    else
        r = end_sends(end) ? nng_push0_open(&s->socket) : nng_pull0_open(&s->socket);
    if (r)
        end_missing(end, "%s", nng_strerror(r));
    nng_setopt_size(s->socket, NNG_OPT_RECVMAXSZ, 0);
    nng_setopt_int(s->socket, NNG_OPT_SENDBUF, room);
    nng_setopt_int(s->socket, NNG_OPT_RECVBUF, room);
    snprintf(address, sizeof address, "ipc://%s/nng", end->job.directory);
    if (listens && (r = nng_listen(s->socket, address, NULL, 0)))
        end_missing(end, "%s", nng_strerror(r));
    for (int i = 0; i < 5000 && !listens && nng_dial(s->socket, address, NULL, 0); i++)
        usleep(1000);
    end->own = s;
}

static void send_all(struct end *end, const uint8_t *data, unsigned count)
{
    struct socket *s = end->own;
    nng_msg *message;
    for (; count; count--, data += end->job.size) {
        if (nng_msg_alloc(&message, end->job.size))
            end_missing(end, "out of memory");
        memcpy(nng_msg_body(message), data, end->job.size);
        while (nng_sendmsg(s->socket, message, 0))
            end_look(end);
    }
}

static unsigned receive(struct end *end, const uint8_t **ret)
{
    struct socket *s = end->own;
    while (nng_recvmsg(s->socket, &s->message, 0))
        end_look(end);
    *ret = nng_msg_body(s->message);
    return 1;
}

static void release(struct end *end)
{
    nng_msg_free(((struct socket *)end->own)->message);
}

/* What is on its way is given up by closing, so the last message gets time to arrive. */
static void leave(struct end *end)
{
    if (end_sends(end))
        usleep(20000);
    nng_close(((struct socket *)end->own)->socket);
}

int main(int argc, char **argv)
{
    static const struct peer peer = {
        { enter, send_all, receive, release, NULL, leave },
        "name nng (ipc)\nwaiting sleep\n", NULL,
    };
    return peer_main(argc, argv, &peer);
}
