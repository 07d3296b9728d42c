/* SPDX-License-Identifier: MIT */
/* Channels: what the facade calls, with sleeping, waking, bells, rounds and ends. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "scenarios.h"

#define CAPACITY 256 /* of which a message may have 96 bytes: two such fill it */
#define LARGE 96
#define SMALL 8

void channel_send(struct ring_channel *channel, uint64_t size, unsigned sender, unsigned number)
{
    unsigned char bytes[MESSAGE_MOST];
    message_write(bytes, size, sender, number);
    struct message_out out = { bytes, size, 0 };
    int r = channel->base.facet->send(&channel->base, &out, DEADLINE_NEVER);
    MODEL_CHECK(r == 0, "send %u: %d %s", number, r, r < 0 ? tong_detail() : "");
}

ssize_t channel_receive(struct ring_channel *channel, void *buffer, uint32_t *ret_flags)
{
    struct message_in in = { buffer, MESSAGE_MOST, TONG_MESSAGE_INIT };
    ssize_t r = channel->base.facet->receive(&channel->base, &in, DEADLINE_NEVER);
    if (ret_flags)
        *ret_flags = (uint32_t)in.meta.flags;
    return r;
}

static struct ring_channel *sending[2], *receiving;
static unsigned numbers[2]; /* sent by each sender */
static uint64_t sizes;
static unsigned heard[2];   /* by the receiver */

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

static void finish(struct ring_channel *channel)
{
    int r = channel->base.facet->finish(&channel->base, DEADLINE_NEVER);
    MODEL_CHECK(r == 0, "finish: %d", r);
}

static void send_all(void *which)
{
    unsigned sender = (unsigned)(uintptr_t)which;
    for (unsigned number = 0; number < numbers[sender]; number++)
        channel_send(sending[sender], sizes, sender, number);
}

static void send_and_finish(void *which)
{
    send_all(which);
    finish(sending[(uintptr_t)which]);
}

static void hear(const void *bytes, ssize_t size)
{
    MODEL_CHECK(size == (ssize_t)sizes, "receive: %d %s", (int)size, size < 0 ? tong_detail() : "");
    unsigned sender = message_sender(bytes);
    MODEL_CHECK(sender < 2, "a message of nobody's");
    unsigned number = message_read(bytes, (uint64_t)size, sender);
    MODEL_CHECK(number == heard[sender], "message %u of sender %u came, not %u", number, sender, heard[sender]);
    heard[sender]++;
}

static void receive_all(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    (void)unused;
    while (heard[0] + heard[1] < numbers[0] + numbers[1])
        hear(bytes, channel_receive(receiving, bytes, NULL));
}

static void receive_to_end(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    receive_all(unused);
    ssize_t r = channel_receive(receiving, bytes, NULL);
    MODEL_CHECK(r == -ENODATA, "the end was %d", (int)r);
}

/* In place, two at a time and the younger released first. */
static void peek_all(void *unused)
{
    const struct channel_facet *facet = receiving->base.facet;
    tong_token token[2];
    (void)unused;
    for (unsigned taken = 0; taken < numbers[0]; taken += 2) {
        for (unsigned i = 0; i < 2; i++) {
            ssize_t r = facet->peek(&receiving->base, DEADLINE_NEVER, NULL, &token[i]);
            hear(token[i].span[0].data, r);
        }
        MODEL_CHECK(facet->release(&receiving->base, &token[1]) == 0, "release");
        MODEL_CHECK(facet->release(&receiving->base, &token[0]) == 0, "release");
    }
}

/* Room is reserved for two at a time, and committed the younger first. */
static void reserve_all(void *unused)
{
    const struct channel_facet *facet = sending[0]->base.facet;
    tong_token token[2];
    (void)unused;
    for (unsigned number = 0; number < numbers[0]; number += 2) {
        for (unsigned i = 0; i < 2; i++)
            MODEL_CHECK(facet->reserve(&sending[0]->base, sizes, DEADLINE_NEVER, &token[i]) == 0, "reserve");
        for (unsigned i = 2; i-- > 0; ) {
            message_write(token[i].span[0].data, sizes, 0, number + i);
            MODEL_CHECK(facet->commit(&sending[0]->base, &token[i], sizes, 0) == 0, "commit");
        }
    }
}

/* What has room at once is told of at once. */
static void send_batch(void *unused)
{
    unsigned char bytes[2][SMALL];
    tong_batch batch[2] = { { .data = bytes[0], .length = SMALL }, { .data = bytes[1], .length = SMALL } };
    (void)unused;
    for (unsigned number = 0; number < 2; number++)
        message_write(bytes[number], SMALL, 0, number);
    ssize_t sent = sending[0]->base.facet->send_batch(&sending[0]->base, batch, 2, DEADLINE_NEVER);
    MODEL_CHECK(sent == 2, "%d of a batch were sent", (int)sent);
}

#define BATCHED 5

/* Of which the last gives the room that the sender waits for. */
static void receive_batch(void *unused)
{
    unsigned char bytes[BATCHED][MESSAGE_MOST];
    tong_batch batch[BATCHED] = { { .data = NULL } };
    (void)unused;
    for (unsigned i = 0; i < BATCHED; i++)
        batch[i] = (tong_batch){ .data = bytes[i], .capacity = MESSAGE_MOST };
    ssize_t many = receiving->base.facet->receive_batch(&receiving->base, batch, BATCHED, DEADLINE_NEVER);
    MODEL_CHECK(many == BATCHED, "%d of a batch came", (int)many);
    for (unsigned i = 0; i < BATCHED; i++)
        hear(bytes[i], (ssize_t)batch[i].length);
}

/* All that is there is taken, and given back the youngest first: so there is room once only. */
static void peek_and_release(void *unused)
{
    const struct channel_facet *facet = receiving->base.facet;
    tong_token token[2];
    (void)unused;
    for (unsigned i = 0; i < 2; i++)
        hear(token[i].span[0].data, facet->peek(&receiving->base, DEADLINE_NEVER, NULL, &token[i]));
    for (unsigned i = 2; i-- > 0; )
        MODEL_CHECK(facet->release(&receiving->base, &token[i]) == 0, "release");
}

/* ---- What is prepared -------------------------------------------------------------------------------------------- */

/* Threads 1 and 2 are the senders, if there are two, and the last is the receiver. */
static void make(uint64_t size, unsigned first, unsigned second)
{
    world_make(CAPACITY);
    sizes = size;
    numbers[0] = first;
    numbers[1] = second;
    heard[0] = heard[1] = 0;
}

static void open_ends(unsigned senders)
{
    receiving = world_open((int)senders + 1, TONG_RECEIVE);
    for (unsigned sender = 0; sender < senders; sender++)
        sending[sender] = world_open((int)sender + 1, TONG_SEND);
}

static void start_two(void (*send)(void *), void (*receive)(void *))
{
    open_ends(1);
    model_spawn("sender", send, NULL);
    model_spawn("receiver", receive, NULL);
}

static void prepare_empty(void)
{
    make(SMALL, 2, 0);
    start_two(send_all, receive_all);
}

static void prepare_full(void)
{
    make(LARGE, 4, 0);
    start_two(send_all, receive_all);
}

static void send_last(void *unused)
{
    (void)unused;
    channel_send(sending[0], LARGE, 0, 2);
}

static void receive_first(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    (void)unused;
    hear(bytes, channel_receive(receiving, bytes, NULL));
}

static void receive_both(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    receive_first(unused);
    ssize_t r = channel_receive(receiving, bytes, NULL);
    MODEL_CHECK(r == LARGE, "receive: %d", (int)r);
}

/* The lane is full, and room is given once only. */
static void prepare_release(void)
{
    make(LARGE, 1, 0);
    open_ends(1);
    for (unsigned number = 0; number < 2; number++)
        channel_send(sending[0], LARGE, 0, number);
    model_spawn("sender", send_last, NULL);
    model_spawn("receiver", receive_first, NULL);
}

/* The same where it was looked at in place. */
static void prepare_release_in_place(void)
{
    make(LARGE, 2, 0);
    open_ends(1);
    for (unsigned number = 0; number < 2; number++)
        channel_send(sending[0], LARGE, 0, number);
    model_spawn("sender", send_last, NULL);
    model_spawn("receiver", peek_and_release, NULL);
}

static void prepare_batch(void)
{
    make(SMALL, 2, 0);
    start_two(send_batch, receive_all);
}

/* The lane is full of small ones, of which the first does not make room for a large one. */
static void fill_for_batch(void)
{
    open_ends(1);
    for (unsigned number = 0; number < BATCHED; number++)
        channel_send(sending[0], sizes, 0, number);
    model_spawn("sender", send_last, NULL);
    model_spawn("receiver", receive_batch, NULL);
}

static void prepare_batch_full(void)
{
    make(32, BATCHED, 0);
    fill_for_batch();
}

static void prepare_batch_of_queue(void)
{
    make(32, BATCHED, 0);
    world.deliver = LAYOUT_QUEUE;
    model_permit_guesses();
    fill_for_batch();
}

/* What was reserved behind the first message was given up, so that most of the lane is passed over before the receiver sleeps. */
static void prepare_skips(void)
{
    static const uint64_t given_up[] = { LARGE, 56, SMALL };
    struct ring_writer *writer;
    uint64_t claim[4];
    make(SMALL, 1, 0);
    open_ends(1);
    writer = &sending[0]->writer;
    MODEL_CHECK(ring_reserve(writer, SMALL, &claim[0]) == 0, "reserve");
    message_write(ring_claimed(writer, claim[0]), SMALL, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        MODEL_CHECK(ring_reserve(writer, given_up[i], &claim[1 + i]) == 0, "reserve");
    MODEL_CHECK(ring_commit(writer, claim[0], SMALL, 0) == 1, "commit");
    for (unsigned i = 1; i <= 3; i++)
        MODEL_CHECK(ring_abort(writer, claim[i]) == 1, "abort");
    model_spawn("sender", send_last, NULL);
    model_spawn("receiver", receive_both, NULL);
}

static void prepare_places(void)
{
    make(32, 4, 0);
    start_two(reserve_all, peek_all);
}

static void prepare_end(void)
{
    make(SMALL, 1, 0);
    start_two(send_and_finish, receive_to_end);
}

/* Who waits learns of one that comes, and so of its death, although it sent nothing. */
static void come_and_die(void *unused)
{
    (void)unused;
    sending[0] = world_open(0, TONG_SEND);
    ring_place_leave(&sending[0]->out.place);
}

static void hear_of_death(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    (void)unused;
    ssize_t r = channel_receive(receiving, bytes, NULL);
    MODEL_CHECK(r == -ECONNRESET, "the end was %d", (int)r);
}

static void prepare_coming_and_dying(void)
{
    make(SMALL, 0, 0);
    world.impatient = true;
    receiving = world_open(2, TONG_RECEIVE);
    model_spawn("sender", come_and_die, NULL);
    model_spawn("receiver", hear_of_death, NULL);
}

static void prepare_bells(void)
{
    make(LARGE, 3, 0);
    world.impatient = true;
    start_two(send_all, receive_all);
}

static void prepare_bell_end(void)
{
    make(SMALL, 1, 0);
    world.impatient = true;
    start_two(send_and_finish, receive_to_end);
}

static void prepare_unregistered(void)
{
    make(SMALL, 2, 0);
    world.fencing = 1 << 1;
    start_two(send_all, receive_all);
}

static void prepare_unregistered_full(void)
{
    make(LARGE, 3, 0);
    world.fencing = 1 << 2;
    start_two(send_all, receive_all);
}

static void start_three(void (*send)(void *), void (*receive)(void *))
{
    open_ends(2);
    model_spawn("sender 1", send, (void *)0);
    model_spawn("sender 2", send, (void *)1);
    model_spawn("receiver", receive, NULL);
}

static void prepare_lanes(void)
{
    make(SMALL, 1, 1);
    start_three(send_all, receive_all);
}

static void prepare_lanes_ends(void)
{
    make(SMALL, 1, 0);
    start_three(send_and_finish, receive_to_end);
}

/* A sender opens only now, while the receiver sleeps. */
static void come_and_send(void *which)
{
    sending[0] = world_open(0, TONG_SEND);
    send_and_finish(which);
}

static void prepare_coming(void)
{
    make(SMALL, 1, 0);
    receiving = world_open(2, TONG_RECEIVE);
    model_spawn("sender", come_and_send, NULL);
    model_spawn("receiver", receive_to_end, NULL);
}

/* One comes before the other ends: there is no end before both have. */
static void come_before_the_end(void *which)
{
    (void)which;
    sending[1] = world_open(0, TONG_SEND);
    finish(sending[0]);
    channel_send(sending[1], sizes, 1, 0);
    finish(sending[1]);
}

static void prepare_relay(void)
{
    make(SMALL, 0, 1);
    receiving = world_open(2, TONG_RECEIVE);
    sending[0] = world_open(1, TONG_SEND);
    model_spawn("senders", come_before_the_end, NULL);
    model_spawn("receiver", receive_to_end, NULL);
}

/* The lane is so full that the end of a session finds no room for its mark: its word alone tells. */
static void prepare_word(void)
{
    make(LARGE, 2, 0);
    receiving = world_open(2, TONG_RECEIVE);
    sending[1] = world_open(1, TONG_SEND);
    for (unsigned number = 0; number < numbers[0]; number++)
        channel_send(sending[1], LARGE, 0, number);
    while (ring_mark(&sending[1]->writer, RECORD_LOST, 1) == 0)
        continue;
    ring_place_leave(&sending[1]->out.place);
    sending[0] = world_open(1, TONG_SEND);
}

static void finish_only(void *unused)
{
    (void)unused;
    finish(sending[0]);
}

static void prepare_word_alone(void)
{
    prepare_word();
    model_spawn("sender", finish_only, NULL);
    model_spawn("receiver", receive_to_end, NULL);
}

/* One who left in order has not died, although its place is free: the sender waits for the next. */
static void leave_and_come(void *unused)
{
    ring_place_close(&receiving->in.place);
    ring_place_leave(&receiving->in.place);
    receiving = world_open(0, TONG_RECEIVE);
    receive_all(unused);
}

static void prepare_next_receiver(void)
{
    make(LARGE, 3, 0);
    world.impatient = true;
    open_ends(1);
    for (unsigned number = 0; number < 2; number++)
        channel_send(sending[0], LARGE, 0, number);
    model_spawn("sender", send_last, NULL);
    model_spawn("receivers", leave_and_come, NULL);
}

static void check_heard(void)
{
    MODEL_CHECK(heard[0] == numbers[0] && heard[1] == numbers[1], "not all came");
}

const struct scenario channel_scenarios[] = {
    { "sleeping on empty", prepare_empty, check_heard, world_clean, 2, 2, -1, -1 },
    { "sleeping on full", prepare_full, check_heard, world_clean, 2, 2, -1, -1 },
    { "one release", prepare_release, check_heard, world_clean, 2, 2, -1, -1 },
    { "one release, in place", prepare_release_in_place, check_heard, world_clean, 2, 2, -1, -1 },
    { "a batch is sent", prepare_batch, check_heard, world_clean, 2, 2, -1, -1 },
    { "a batch gives room", prepare_batch_full, check_heard, world_clean, 2, 2, -1, -1 },
    { "a batch of a queue gives room", prepare_batch_of_queue, check_heard, world_clean, 1, 1, -1, -1 },
    { "room of what is passed over", prepare_skips, check_heard, world_clean, 2, 2, -1, -1 },
    { "in place", prepare_places, check_heard, world_clean, 2, 2, -1, -1 },
    { "end", prepare_end, check_heard, world_clean, 2, 2, -1, -1 },
    { "end by its word", prepare_word_alone, check_heard, world_clean, 2, 2, -1, -1 },
    { "one leaves, another comes", prepare_next_receiver, check_heard, world_clean, 2, 2, -1, -1 },
    { "bells", prepare_bells, check_heard, world_clean, 2, 2, -1, -1 },
    { "bell and end", prepare_bell_end, check_heard, world_clean, 2, 2, -1, -1 },
    { "sender fences by itself", prepare_unregistered, check_heard, world_clean, 2, 2, -1, -1 },
    { "receiver fences by itself", prepare_unregistered_full, check_heard, world_clean, 2, 2, -1, -1 },
    { "two lanes", prepare_lanes, check_heard, world_clean, 2, 2, -1, -1 },
    { "two lanes and ends", prepare_lanes_ends, check_heard, world_clean, 2, 2, -1, -1 },
    { "coming", prepare_coming, check_heard, world_clean, 2, 2, -1, -1 },
    { "one comes and dies", prepare_coming_and_dying, NULL, world_clean, 2, 2, -1, -1 },
    { "one comes, another ends", prepare_relay, check_heard, world_clean, 2, 2, -1, -1 },
    { .name = NULL }
};
