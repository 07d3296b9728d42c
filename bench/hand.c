/* SPDX-License-Identifier: MIT */
/*
 * Large messages that lie in a region of shared memory, handed over through tong: a message of one line says in which
 * of its blocks, and one comes back when the block was read.  The sender writes no more into a block than what tells
 * messages apart; the receiver reads all of it where it lies.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bench/contestant.h"

#define BLOCKS 8
#define NOTE 64 /* bytes of a message that says which block */

struct place {
    char region[160], channel[2][164]; /* addresses; of the channels from role 0, and to it */
};

struct side {
    struct place *place;
    tong_region *region;
    uint8_t *blocks;
    tong_channel *out, *in;
    uint64_t sent, back;   /* the sender: blocks handed over, and come back */
    uint8_t note[NOTE];
    int64_t timeout;       /* 0: spin */
};

/* ---- Before and after ------------------------------------------------------------------------------------- */

static void place_remove(const struct contestant *c, void *subject)
{
    struct place *place = subject;
    (void)c;
    for (int way = 0; way < 2; way++)
        tong_remove(place->channel[way]);
    tong_remove(place->region);
    free(place);
}

static int make_region(const struct place *place, size_t size)
{
    tong_region *region;
    char address[240];
    snprintf(address, sizeof address, "%s?create=excl&size=%zu", place->region, BLOCKS * size);
    int r = tong_region_open(address, TONG_READ | TONG_WRITE, &region);
    for (size_t i = 0; r == 0 && i < BLOCKS; i++)
        work_fill((uint8_t *)tong_region_data(region) + i * size, size);
    return r < 0 ? r : tong_region_close(region);
}

static void *place_prepare(const struct contestant *c, const struct job *job)
{
    uint64_t number = 0;
    struct place *place = calloc(1, sizeof *place);
    if (!place || getrandom(&number, sizeof number, 0) < 0) {
        free(place);
        return NULL;
    }
    bool in_files = strstr(c->mechanism.form, "PATH") != NULL;
    snprintf(place->region, sizeof place->region, "%s:%s%stong-bench-%016" PRIx64, c->mechanism.scheme,
             in_files ? job->directory : "", in_files ? "/" : "", number);
    for (int way = 0; way < 2; way++)
        snprintf(place->channel[way], sizeof place->channel[way], "%s-%d", place->region, way);
    if (make_region(place, job->size) == 0)
        return place;
    place_remove(c, place);
    return NULL;
}

/* ---- At work ---------------------------------------------------------------------------------------------- */

static void must(const struct end *end, int result)
{
    if (result < 0)
        end_missing(end, "%s", tong_detail());
}

static void enter(struct end *end)
{
    struct side *side = calloc(1, sizeof *side);
    if (!side)
        end_missing(end, "out of memory");
    side->place = end->subject;
    side->timeout = end->job.spin ? 0 : TONG_FOREVER;
    int in = end_sends(end);
    must(end, tong_region_open(side->place->region, TONG_READ | TONG_WRITE, &side->region));
    side->blocks = tong_region_data(side->region);
    must(end, tong_channel_open(side->place->channel[in], TONG_RECEIVE, 10 * TONG_SECOND, &side->in));
    must(end, tong_channel_open(side->place->channel[!in], TONG_SEND, 10 * TONG_SECOND, &side->out));
    end->own = side;
}

static bool again(struct end *end, const struct side *side, ssize_t result)
{
    if (result >= 0)
        return false;
    if (result != -EAGAIN || side->timeout)
        must(end, (int)result);
    end_look(end);
    return true;
}

static void say(struct end *end, struct side *side, uint64_t block)
{
    memcpy(side->note, &block, sizeof block);
    while (again(end, side, tong_channel_send(side->out, side->note, NOTE, NULL, side->timeout)))
        ;
}

static uint64_t hear(struct end *end, struct side *side)
{
    uint64_t block;
    while (again(end, side, tong_channel_receive(side->in, side->note, NOTE, NULL, side->timeout)))
        ;
    memcpy(&block, side->note, sizeof block);
    return block;
}

static void hand_send(struct end *end, const uint8_t *data, unsigned count)
{
    struct side *side = end->own;
    for (; count; count--, data += end->job.size, side->sent++) {
        if (side->sent - side->back == BLOCKS) {
            hear(end, side);
            side->back++;
        }
        memcpy(side->blocks + side->sent % BLOCKS * end->job.size, data, 16);
        say(end, side, side->sent % BLOCKS);
    }
}

static unsigned hand_receive(struct end *end, const uint8_t **ret)
{
    struct side *side = end->own;
    *ret = side->blocks + hear(end, side) % BLOCKS * end->job.size;
    return 1;
}

static void hand_release(struct end *end)
{
    say(end, end->own, 0);
}

static void leave(struct end *end)
{
    struct side *side = end->own;
    tong_channel_close(side->out);
    tong_channel_close(side->in);
    tong_region_close(side->region);
}

/* ---- The list --------------------------------------------------------------------------------------------- */

static const struct wire wire = { enter, hand_send, hand_receive, hand_release, NULL, leave };

/* Without a name there is no region that the other end could open. */
static bool is_named(const tong_mechanism_info *m)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    for (size_t i = 0; tong_mechanism_option(m->scheme, i, &option) == 0; i++)
        if (option.noun == TONG_HAS_REGION && !strcmp(option.name, "create"))
            return true;
    return false;
}

int hand_contestants(struct contestant *list, int most)
{
    tong_mechanism_info m = TONG_MECHANISM_INFO_INIT;
    int count = 0;
    for (size_t i = 0; tong_mechanism_describe(i, &m) == 0 && count < most; i++) {
        if (!(m.offers & TONG_HAS_ZERO_COPY && m.offers & TONG_HAS_REGION && is_named(&m)) || *m.variant)
            continue;
        struct contestant *c = &list[count++];
        *c = (struct contestant){ .group = GROUP_TONG, .wire = &wire, .least = 65536, .most = SIZE_MAX, .sleeps = true,
                                  .spins = true, .one_way = true, .hands = true, .mechanism = m,
                                  .prepare = place_prepare, .remove = place_remove };
        snprintf(c->name, sizeof c->name, "%s, handed over", m.scheme);
    }
    return count;
}
