/* SPDX-License-Identifier: MIT */
/*
 * The bare system calls of carrier.c, doing the work that everything else does, with one sender and one receiver: a
 * message a call, or, of what carries a stream of bytes, as many messages as there are to send or have come.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/carrier.h"
#include "bench/contestant.h"

#define BOX 8192 /* the usual largest message of both kinds of queues, and what struct carriage has room for */

static struct carriage *fresh(const struct contestant *c, const struct job *job)
{
    struct carriage *carriage = calloc(1, sizeof *carriage);
    if (carriage) {
        carriage->carrier = c->contest->raw;
        carriage->size = job->size;
        carriage->in = carriage->out = -1;
        snprintf(carriage->directory, sizeof carriage->directory, "%.63s", job->directory);
    }
    return carriage;
}

static void *prepare(const struct contestant *c, const struct job *job)
{
    struct carriage *carriage = fresh(c, job);
    if (carriage && carriage->carrier->prepare(carriage) < 0) {
        free(carriage);
        return NULL;
    }
    return carriage;
}

/* Here and not in role 0: a queue that goes takes the messages in it along. */
static void forget(const struct contestant *c, void *subject)
{
    struct carriage *carriage = subject;
    (void)c;
    carriage->carrier->leave(carriage, 0);
    free(carriage);
}

static void enter(struct end *end)
{
    struct carriage *carriage = end->subject;
    int r = carriage->carrier->enter(carriage, end->job.role);
    if (r < 0)
        end_missing(end, "%s", strerror(-r));
    carriage->spins = end->job.spin;
    const int descriptors[] = { carriage->in, carriage->out };
    for (int i = 0; i < 2 && carriage->spins && carriage->in >= 0; i++)
        fcntl(descriptors[i], F_SETFL, fcntl(descriptors[i], F_GETFL) | O_NONBLOCK);
}

static void send_plain(struct end *end, const uint8_t *data, unsigned count)
{
    struct carriage *carriage = end->subject;
    for (; count; count--, data += end->job.size)
        carriage->carrier->send(carriage, data, end->job.size);
}

static unsigned receive_plain(struct end *end, const uint8_t **ret)
{
    struct carriage *carriage = end->subject;
    carriage->carrier->receive(carriage, end->buffer, end->job.size);
    *ret = end->buffer;
    return 1;
}

static const struct wire wire = { enter, send_plain, receive_plain, NULL, NULL, NULL };

/* ---- Many messages a call --------------------------------------------------------------------------------- */

/* What end->own is. */
struct stream {
    size_t used, shown; /* bytes in end->buffer, and of them those out for reading */
};

static void enter_stream(struct end *end)
{
    const struct carriage *carriage = end->subject;
    enter(end);
    fcntl(carriage->out, F_SETPIPE_SZ, BURST_PIPE); /* sockets refuse it */
    end->own = calloc(1, sizeof(struct stream));
    if (!end->own)
        end_missing(end, "out of memory");
}

static void send_stream(struct end *end, const uint8_t *data, unsigned count)
{
    struct carriage *carriage = end->subject;
    carriage->carrier->send(carriage, data, count * end->job.size);
}

static unsigned receive_stream(struct end *end, const uint8_t **ret)
{
    struct carriage *carriage = end->subject;
    struct stream *stream = end->own;
    while (stream->used < end->job.size) {
        ssize_t n = read(carriage->in, end->buffer + stream->used, end->job.burst * end->job.size - stream->used);
        if (n < 0 && carrier_again(carriage, "read"))
            continue;
        if (n == 0)
            end_missing(end, "read: the other end is gone");
        stream->used += (size_t)n;
    }
    unsigned count = (unsigned)(stream->used / end->job.size);
    stream->shown = count * end->job.size;
    *ret = end->buffer;
    return count;
}

/* The beginning of a message whose end has not come yet stays. */
static void release_stream(struct end *end)
{
    struct stream *stream = end->own;
    stream->used -= stream->shown;
    memmove(end->buffer, end->buffer + stream->shown, stream->used);
}

static const struct wire stream_wire = { enter_stream, send_stream, receive_stream, release_stream, NULL, NULL };

/* ---- The list --------------------------------------------------------------------------------------------- */

int raw_contestants(struct contestant *list, int most)
{
    static const struct { const struct contest *contest; size_t most; const struct wire *wire; } all[] = {
        { &contest_pipe, SIZE_MAX, &wire }, { &contest_fifo, SIZE_MAX, &wire }, { &contest_unix, SIZE_MAX, &wire },
        { &contest_tcp, SIZE_MAX, &wire }, { &contest_udp, 32768, &wire }, { &contest_msgq, BOX, &wire },
        { &contest_mq, BOX, &wire }, { &contest_pipe, 1024, &stream_wire }, { &contest_fifo, 1024, &stream_wire },
        { &contest_unix, 1024, &stream_wire }, { &contest_tcp, 1024, &stream_wire },
    };
    int count = (int)(sizeof all / sizeof *all);
    for (int i = 0; i < count && i < most; i++) {
        bool stream = all[i].wire == &stream_wire;
        list[i] = (struct contestant){ .group = GROUP_RAW, .wire = all[i].wire, .least = 64, .most = all[i].most,
                                       .sleeps = true, .spins = true, .prepare = prepare, .remove = forget,
                                       .contest = all[i].contest, .may_lose = all[i].contest->window,
                                       .bursts = stream, .one_way = stream };
        snprintf(list[i].name, sizeof list[i].name, "%s%s", all[i].contest->raw->mechanism,
                 stream ? ", in batches" : "");
    }
    return count < most ? count : most;
}
