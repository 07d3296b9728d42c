/* SPDX-License-Identifier: MIT */
/* The bare system calls of carrier.c, doing the work that everything else does: sleeping, one sender, one receiver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int raw_contestants(struct contestant *list, int most)
{
    static const struct { const struct contest *contest; size_t most; } all[] = {
        { &contest_pipe, SIZE_MAX }, { &contest_fifo, SIZE_MAX }, { &contest_unix, SIZE_MAX },
        { &contest_tcp, SIZE_MAX }, { &contest_udp, 32768 }, { &contest_msgq, BOX }, { &contest_mq, BOX },
    };
    int count = (int)(sizeof all / sizeof *all);
    for (int i = 0; i < count && i < most; i++) {
        list[i] = (struct contestant){ .group = GROUP_RAW, .wire = &wire, .least = 64, .most = all[i].most,
                                       .sleeps = true, .prepare = prepare, .remove = forget, .contest = all[i].contest,
                                       .may_lose = all[i].contest->window };
        snprintf(list[i].name, sizeof list[i].name, "%s", all[i].contest->raw->mechanism);
    }
    return count < most ? count : most;
}
