/* SPDX-License-Identifier: MIT */
/* Several receivers of one lane: each message goes to one of them, whoever is killed. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "scenarios.h"

#define SMALL 8
#define LARGE 96
#define MOST 4

static struct ring_channel *sending, *receiving[2];
static unsigned many, heard[2][MOST], again[MOST]; /* times that a receiver had a message; that one came again */
static uint64_t sizes;
static int victim;

static void send_and_finish(void *unused)
{
    (void)unused;
    for (unsigned number = 0; number < many; number++)
        channel_send(sending, sizes, 0, number);
    int r = sending->base.facet->finish(&sending->base, DEADLINE_NEVER);
    MODEL_CHECK(r == 0, "finish: %d", r);
}

/* A message that is new comes in its sender's order to each. */
static void hear(unsigned who, const void *bytes, ssize_t size, uint32_t flags, unsigned *next)
{
    MODEL_CHECK(size == (ssize_t)sizes, "a message of %d bytes", (int)size);
    unsigned number = message_read(bytes, (uint64_t)size, 0);
    MODEL_CHECK(number < many, "message %u was never sent", number);
    heard[who][number]++;
    again[number] += flags & TONG_MESSAGE_REDELIVERED ? 1 : 0;
    MODEL_CHECK(number >= *next || flags & TONG_MESSAGE_REDELIVERED, "message %u came behind %u", number, *next - 1);
    *next = number >= *next ? number + 1 : *next;
}

static void receive_to_end(void *which)
{
    unsigned who = (unsigned)(uintptr_t)which, next = 0;
    unsigned char bytes[MESSAGE_MOST];
    ssize_t r;
    uint32_t flags;
    while ((r = channel_receive(receiving[who], bytes, &flags)) > 0)
        hear(who, bytes, r, flags, &next);
    MODEL_CHECK(r == -ENODATA, "the end was %d %s", (int)r, tong_detail());
}

/* Looks at one in place, and may die with it in hand. */
static void peek_one(void *which)
{
    unsigned who = (unsigned)(uintptr_t)which, next = 0;
    const struct channel_facet *facet = receiving[who]->base.facet;
    tong_message meta = TONG_MESSAGE_INIT;
    tong_token token;
    ssize_t r = facet->peek(&receiving[who]->base, DEADLINE_NEVER, &meta, &token);
    if (r == -ENODATA)
        return;
    hear(who, token.span[0].data, r, (uint32_t)meta.flags, &next);
    MODEL_CHECK(facet->release(&receiving[who]->base, &token) == 0, "release");
}

static void lay(unsigned messages, uint64_t size)
{
    memset(heard, 0, sizeof heard);
    memset(again, 0, sizeof again);
    many = messages;
    sizes = size;
    world_make(256);
    world.deliver = LAYOUT_QUEUE;
    world.receivers_most = 2;
    model_permit_guesses();
    sending = world_open(1, TONG_SEND);
    for (int i = 0; i < 2; i++)
        receiving[i] = world_open(2 + i, TONG_RECEIVE);
}

static void make(unsigned messages, uint64_t size)
{
    lay(messages, size);
    model_spawn("sender", send_and_finish, NULL);
}

static void prepare_two(void)
{
    make(2, SMALL);
    model_spawn("receiver 1", receive_to_end, (void *)0);
    model_spawn("receiver 2", receive_to_end, (void *)1);
}

static void prepare_full(void)
{
    make(3, LARGE);
    model_spawn("receiver 1", receive_to_end, (void *)0);
    model_spawn("receiver 2", receive_to_end, (void *)1);
}

static void prepare_in_place(void)
{
    make(3, LARGE);
    model_spawn("receiver 1", receive_to_end, (void *)0);
    model_spawn("receiver 2", peek_one, (void *)1);
}

static void prepare_killed(void)
{
    make(2, SMALL);
    world.impatient = true;
    model_spawn("survivor", receive_to_end, (void *)0);
    victim = model_spawn_mortal("victim", peek_one, (void *)1);
}

static void hear_of_death(void *which)
{
    unsigned char bytes[MESSAGE_MOST];
    ssize_t r = channel_receive(receiving[(uintptr_t)which], bytes, NULL);
    MODEL_CHECK(r == -ECONNRESET, "the end was %d", (int)r);
}

/* A sender is dead, and its successor says so and ends: whoever gets which mark, both hear of a death. */
static void prepare_marks(void)
{
    make(0, SMALL);
    ring_place_leave(&sending->out.place);
    sending = world_open(1, TONG_SEND);
    model_spawn("receiver 1", hear_of_death, (void *)0);
    model_spawn("receiver 2", hear_of_death, (void *)1);
}

/* There is no mark, and who finds it first tells the other. */
static void prepare_word(void)
{
    lay(0, SMALL);
    world.impatient = true;
    ring_place_leave(&sending->out.place);
    model_spawn("receiver 1", hear_of_death, (void *)0);
    model_spawn("receiver 2", hear_of_death, (void *)1);
}

/* One of the receivers is dead, and the sender waits for the other. */
static void prepare_one_lives(void)
{
    make(3, LARGE);
    world.impatient = true;
    ring_place_leave(&receiving[0]->in.place);
    model_spawn("receiver", receive_to_end, (void *)1);
}

static void finish_once(void)
{
    for (unsigned number = 0; number < many; number++)
        MODEL_CHECK(heard[0][number] + heard[1][number] == 1 + again[number], "message %u came %u times", number,
                    heard[0][number] + heard[1][number]);
}

/* What the victim had in hand comes to the survivor, or to who opens next; what it was about to claim may come again although
 * the survivor had it, and says so. */
static void finish_killed(void)
{
    unsigned missing = 0;
    for (unsigned number = 0; number < many; number++) {
        unsigned times = heard[0][number] + heard[1][number];
        missing += times == 0;
        MODEL_CHECK(times <= 1 + again[number], "message %u came %u times and does not say so", number, times);
    }
    MODEL_CHECK(missing == 0 || (missing == 1 && model_was_killed(victim)), "%u messages are missing", missing);
}

const struct scenario queue_scenarios[] = {
    { "two receivers", prepare_two, finish_once, world_clean, 1, 1, -1, -1 },
    { "two receivers, full", prepare_full, finish_once, world_clean, 1, 1, -1, -1 },
    { "two receivers, in place", prepare_in_place, finish_once, world_clean, 1, 1, -1, -1 },
    { "one of two is dead", prepare_one_lives, finish_once, world_clean, 1, 1, -1, -1 },
    { "two find a death", prepare_word, NULL, world_clean, 2, 2, -1, -1 },
    { "two hear of a death", prepare_marks, NULL, world_clean, 2, 2, -1, -1 },
    { "one of two is killed", prepare_killed, finish_killed, world_clean, 1, 1, -1, -1 },
    { .name = NULL }
};
