/* SPDX-License-Identifier: MIT */
/*
 * Messages through libtong, by the public interface and the table of mechanisms alone: a mechanism that is added there
 * is measured here.  The receiver opens first and says on a board where it is, which also is what a port that the
 * kernel chose needs.  There is one object for each direction, but where pairs or connections serve both.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "bench/contestant.h"

#define LARGE 65536
#define LARGE_CAPACITY "8M" /* four messages of 1 MiB have to fit, and this is larger than an L2 cache */

enum manner { PLAIN, IN_PLACE, BATCHED };

struct board {
    char address[2][256];       /* by direction: from role 0, and to it */
    atomic_uint known[2];
};

struct path {
    const struct contestant *contestant;
    struct board *board;
    tong_channel *pair[2];
};

/* This process's side. */
struct side {
    struct path *path;
    tong_channel *out, *in;
    int64_t timeout;            /* 0: spin */
    tong_token token;
    tong_batch outgoing[BURST_MAX], incoming[BURST_MAX];
};

/* ---- Addresses -------------------------------------------------------------------------------------------- */

static bool nameless(const tong_mechanism_info *m)
{
    const char *colon = strchr(m->form, ':');
    return m->offers & TONG_HAS_PAIR && colon && !colon[1];
}

/* A name nobody has, for the word that stands for it in the mechanism's form; false when we cannot make one up. */
static bool made_up(const tong_mechanism_info *m, const struct job *job, int way, char ret[160])
{
    uint64_t number = 0;
    char word[16];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(strchr(m->form, ':') + 1, ", "), strchr(m->form, ':') + 1);
    if (getrandom(&number, sizeof number, 0) < 0)
        return false;
    if (!strcmp(word, "PATH"))
        snprintf(ret, 160, "%s/%d", job->directory, way);
    else if (!strcmp(word, "NAME") || !strcmp(word, "/NAME"))
        snprintf(ret, 160, "%stong-bench-%016" PRIx64, *word == '/' ? "/" : "", number);
    else if (!strcmp(word, "KEY"))
        snprintf(ret, 160, "0x%08x", (unsigned)(number | 1) & 0x7fffffff);
    else if (!strcmp(word, "HOST:PORT"))
        snprintf(ret, 160, "127.0.0.1:0");
    else
        return false;
    return true;
}

/* Whether option `name` is there, and one of its values is `value` (or value is NULL). */
static bool has_option(const char *scheme, const char *name, const char *value)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    for (size_t i = 0; tong_mechanism_option(scheme, i, &option) == 0; i++)
        if (option.noun == TONG_HAS_CHANNEL && !strcmp(option.name, name) && (!value || strstr(option.values, value)))
            return true;
    return false;
}

static void add_option(char *address, size_t room, const char *text)
{
    size_t used = strlen(address);
    if (*text)
        snprintf(address + used, room - used, "%c%s", strchr(address, '?') ? '&' : '?', text);
}

static void add_capacity(const struct contestant *c, const struct job *job, char *address, size_t room)
{
    char text[32] = "";
    if (job->size >= LARGE && c->mechanism.offers & TONG_HAS_ZERO_COPY)
        snprintf(text, sizeof text, "capacity=" LARGE_CAPACITY);
    else if (c->bursts && (!strcmp(c->mechanism.scheme, "pipe") || !strcmp(c->mechanism.scheme, "fifo")))
        snprintf(text, sizeof text, "capacity=%d", BURST_PIPE);
    add_option(address, room, text);
}

static bool compose(const struct contestant *c, const struct job *job, int way, char *ret, size_t room)
{
    const tong_mechanism_info *m = &c->mechanism;
    char name[160];
    if (!made_up(m, job, way, name))
        return false;
    snprintf(ret, room, "%s:%s", m->scheme, name);
    add_option(ret, room, m->variant);
    add_capacity(c, job, ret, room);
    return true;
}

/* ---- Before and after ------------------------------------------------------------------------------------- */

static void path_remove(const struct contestant *c, void *subject)
{
    struct path *path = subject;
    for (int i = 0; i < 2; i++)
        tong_channel_close(path->pair[i]);
    for (int way = 0; path->board && way < 2; way++)
        if (atomic_load(&path->board->known[way]) && c->mechanism.offers & TONG_HAS_REMOVE)
            tong_remove(path->board->address[way]);
    if (path->board)
        munmap(path->board, sizeof *path->board);
    free(path);
}

static void *path_prepare(const struct contestant *c, const struct job *job)
{
    char address[64];
    struct path *path = calloc(1, sizeof *path);
    if (!path || !(path->board = shared_room(sizeof *path->board))) {
        free(path);
        return NULL;
    }
    path->contestant = c;
    bool both = job->test == TEST_ROUND_TRIP, good = true;
    if (nameless(&c->mechanism)) {
        snprintf(address, sizeof address, "%s:", c->mechanism.scheme);
        add_capacity(c, job, address, sizeof address);
        good = tong_channel_pair(address, both ? TONG_BOTH : TONG_SEND, path->pair) == 0;
    }
    for (int way = 0; way < 2 && good && !nameless(&c->mechanism); way++)
        good = compose(c, job, way, path->board->address[way], sizeof path->board->address[way]);
    if (good)
        return path;
    path_remove(c, path);
    return NULL;
}

/* ---- Opening ---------------------------------------------------------------------------------------------- */

static void failed(const struct end *end)
{
    end_missing(end, "%s", tong_detail());
}

static void publish(struct board *board, int way, const char *address)
{
    if (address != board->address[way])
        snprintf(board->address[way], sizeof board->address[way], "%s", address);
    atomic_store(&board->known[way], 1);
}

static const char *published(struct end *end, struct board *board, int way)
{
    while (!atomic_load(&board->known[way]))
        end_look(end);
    return board->address[way];
}

/* Where the kernel chose the name, the channel knows it. */
static void open_first(struct end *end, struct path *path, int way, tong_channel **ret)
{
    const tong_mechanism_info *m = &path->contestant->mechanism;
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    char address[256];
    snprintf(address, sizeof address, "%s", path->board->address[way]);
    if (has_option(m->scheme, "follow", "yes"))
        add_option(address, sizeof address, "follow=yes");
    else if (has_option(m->scheme, "create", "excl") && !strstr(m->form, "HOST:PORT"))
        add_option(address, sizeof address, "create=excl");
    if (tong_channel_open(address, TONG_RECEIVE, 10 * TONG_SECOND, ret) < 0 || tong_channel_describe(*ret, &info) < 0)
        failed(end);
    publish(path->board, way, strstr(m->form, "HOST:PORT") ? info.object : path->board->address[way]);
}

static tong_channel *open_in(struct end *end, struct path *path, int way)
{
    tong_channel *channel;
    if (end->job.role == 0 || end->job.role == end->job.senders)
        open_first(end, path, way, &channel);
    else if (tong_channel_open(published(end, path->board, way), TONG_RECEIVE, 10 * TONG_SECOND, &channel) < 0)
        failed(end);
    return channel;
}

static tong_channel *open_out(struct end *end, struct path *path, int way)
{
    tong_channel *channel;
    if (tong_channel_open(published(end, path->board, way), TONG_SEND, 10 * TONG_SECOND, &channel) < 0)
        failed(end);
    return channel;
}

static tong_channel *connect_both(struct end *end, struct path *path)
{
    tong_channel *channel;
    tong_listener *listener;
    if (end_sends(end)) {
        if (tong_channel_open(published(end, path->board, 0), TONG_BOTH, 10 * TONG_SECOND, &channel) < 0)
            failed(end);
        return channel;
    }
    if (tong_listener_open(path->board->address[0], 0, &listener) < 0)
        failed(end);
    publish(path->board, 0, tong_listener_address(listener));
    if (tong_listener_accept(listener, TONG_BOTH, 10 * TONG_SECOND, &channel) < 0)
        failed(end);
    tong_listener_close(listener);
    return channel;
}

static bool answers(const struct end *end)
{
    return end->job.test == TEST_ROUND_TRIP || end->window;
}

static void open_named(struct end *end, struct side *side)
{
    if (!end_sends(end))
        side->in = open_in(end, side->path, 0);
    else if (answers(end))
        side->in = open_in(end, side->path, 1);
    if (end_sends(end))
        side->out = open_out(end, side->path, 0);
    else if (answers(end))
        side->out = open_out(end, side->path, 1);
}

/* What is the same in every batch is said once, as anybody would. */
static void prepare_batches(const struct end *end, struct side *side)
{
    for (unsigned i = 0; i < end->job.burst; i++) {
        side->outgoing[i] = (tong_batch){ .size = sizeof *side->outgoing, .length = end->job.size };
        side->incoming[i] = (tong_batch){ .size = sizeof *side->incoming, .data = end->buffer + i * end->job.size,
                                          .capacity = end->job.size };
    }
}

static void enter(struct end *end)
{
    struct side *side = calloc(1, sizeof *side);
    struct path *path = end->subject;
    if (!side)
        end_missing(end, "out of memory");
    *side = (struct side){ .path = path, .timeout = end->job.spin ? 0 : TONG_FOREVER, .token = TONG_TOKEN_INIT };
    end->own = side;
    if (path->pair[0]) {
        side->in = side->out = path->pair[!end_sends(end)];
        tong_channel_close(path->pair[end_sends(end)]);
    } else if (path->contestant->mechanism.offers & TONG_HAS_LISTENER) {
        side->in = side->out = connect_both(end, path);
    } else {
        open_named(end, side);
    }
    prepare_batches(end, side);
}

static void leave(struct end *end)
{
    struct side *side = end->own;
    tong_channel_close(side->out);
    if (side->in != side->out)
        tong_channel_close(side->in);
}

/* ---- Plain ------------------------------------------------------------------------------------------------ */

/* Whether to look again; what else went wrong ends the process. */
static bool again(struct end *end, const struct side *side, ssize_t result)
{
    if (result >= 0)
        return false;
    if (result != -EAGAIN || side->timeout)
        failed(end);
    end_look(end);
    return true;
}

static void plain_send(struct end *end, const uint8_t *data, unsigned count)
{
    const struct side *side = end->own;
    for (; count; count--, data += end->job.size)
        while (again(end, side, tong_channel_send(side->out, data, end->job.size, NULL, side->timeout)))
            ;
}

static unsigned plain_receive(struct end *end, const uint8_t **ret)
{
    const struct side *side = end->own;
    ssize_t size;
    do
        size = tong_channel_receive(side->in, end->buffer, end->job.size, NULL, side->timeout);
    while (again(end, side, size));
    if (size != (ssize_t)end->job.size)
        end_missing(end, "a message came with %zd bytes instead of %zu", size, end->job.size);
    *ret = end->buffer;
    return 1;
}

/* ---- In place --------------------------------------------------------------------------------------------- */

static void place_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (; count; count--, data += end->job.size) {
        size_t done = 0;
        while (again(end, side, tong_channel_reserve(side->out, end->job.size, side->timeout, &side->token)))
            ;
        for (uint32_t i = 0; i < side->token.parts; i++) {
            memcpy(side->token.span[i].data, data + done, side->token.span[i].size);
            done += side->token.span[i].size;
        }
        if (tong_channel_commit(side->out, &side->token, done, NULL) < 0)
            failed(end);
    }
}

/* A message that wraps round is put together, because the sum is made of whole lines. */
static unsigned place_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    ssize_t size;
    do
        size = tong_channel_peek(side->in, side->timeout, NULL, &side->token);
    while (again(end, side, size));
    if (size != (ssize_t)end->job.size)
        end_missing(end, "a message came with %zd bytes instead of %zu", size, end->job.size);
    *ret = side->token.span[0].data;
    if (side->token.parts == 2) {
        memcpy(end->buffer, side->token.span[0].data, side->token.span[0].size);
        memcpy(end->buffer + side->token.span[0].size, side->token.span[1].data, side->token.span[1].size);
        *ret = end->buffer;
    }
    return 1;
}

static void place_release(struct end *end)
{
    struct side *side = end->own;
    if (tong_channel_release(side->in, &side->token) < 0)
        failed(end);
}

/* ---- In batches ------------------------------------------------------------------------------------------- */

static void batch_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (unsigned i = 0; i < count; i++, data += end->job.size)
        side->outgoing[i].data = (void *)data;
    for (unsigned done = 0; done < count;) {
        ssize_t sent = tong_channel_send_batch(side->out, side->outgoing + done, count - done, side->timeout);
        if (!again(end, side, sent))
            done += (unsigned)sent;
    }
}

static unsigned batch_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    ssize_t got;
    do
        got = tong_channel_receive_batch(side->in, side->incoming, end->job.burst, side->timeout);
    while (again(end, side, got));
    *ret = end->buffer;
    return (unsigned)got;
}

/* ---- The list --------------------------------------------------------------------------------------------- */

static const struct { const char *words; struct wire wire; } manners[] = {
    [PLAIN] = { "", { enter, plain_send, plain_receive, NULL, NULL, leave } },
    [IN_PLACE] = { " in place", { enter, place_send, place_receive, place_release, NULL, leave } },
    [BATCHED] = { ", in batches", { enter, batch_send, batch_receive, NULL, NULL, leave } },
};

static void set_up(struct contestant *c, const tong_mechanism_info *m, enum manner manner)
{
    const char *value = strchr(m->variant, '=');
    bool named = value && !strncmp(m->variant, "socket=", 7); /* such a value says all; others need the option's name */
    *c = (struct contestant){ .group = GROUP_TONG, .wire = &manners[manner].wire, .least = 64, .most = SIZE_MAX,
                              .sleeps = true, .spins = true, .mechanism = *m, .prepare = path_prepare,
                              .remove = path_remove };
    snprintf(c->name, sizeof c->name, "%s%s%s%s", m->scheme, value ? " " : "",
             named ? value + 1 : m->variant,
             manners[manner].words);
    bool many = !(m->offers & TONG_HAS_LISTENER);
    c->many_senders = many && m->offers & TONG_HAS_MANY_SENDERS;
    bool ring = m->offers & TONG_HAS_ZERO_COPY, keeps = !ring && has_option(m->scheme, "from", NULL);
    bool all = !strcmp(m->variant, "deliver=broadcast");
    c->many_receivers = many && !keeps && !all && m->offers & TONG_HAS_MANY_RECEIVERS;
    c->several = ring && m->offers & TONG_HAS_MANY_RECEIVERS;
    c->broadcasts = all || keeps; /* what keeps its messages shows them to every receiver */
    c->may_lose = m->offers & TONG_MAY_LOSE;
    c->bursts = manner == BATCHED;
    if (c->bursts)
        c->most = 1024;
}

int over_contestants(struct contestant *list, int most)
{
    tong_mechanism_info m = TONG_MECHANISM_INFO_INIT;
    struct job probe = { .directory = "" };
    char name[160];
    int count = 0;
    for (size_t i = 0; tong_mechanism_describe(i, &m) == 0; i++) {
        bool carries = m.offers & TONG_HAS_CHANNEL && strncmp(m.unit, "number", 6);
        if (!carries || !(nameless(&m) || made_up(&m, &probe, 0, name)))
            continue;
        for (enum manner manner = PLAIN; manner <= BATCHED && count < most; manner++)
            if (manner != IN_PLACE || m.offers & TONG_HAS_ZERO_COPY)
                set_up(&list[count++], &m, manner);
    }
    return count;
}
