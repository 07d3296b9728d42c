/* SPDX-License-Identifier: MIT */
/* A lane that is a log: each message goes to every receiver that is waited for, and who is not knows what it missed. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "scenarios.h"

#define CAPACITY 256 /* in which messages of 48 bytes, each with an index behind it, lie three at a time */
#define LARGE 48
#define FEW 16       /* bytes, of which six lie there */
#define SMALL 8
#define NAME 0x656d

enum { VICTIM, HEIR };

static struct ring_channel *sending, *receiving[2];
static unsigned before, many;   /* messages that lie there at first; of the sender in all */
static uint64_t sizes;
static unsigned next[2], done;  /* the message that each receiver, or of each sender, has to come next; that the victim sent */
static bool may_lose;
static int victim;

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

static void send_up_to(struct ring_channel *channel, unsigned who, unsigned from, unsigned to)
{
    for (unsigned number = from; number < to; number++)
        channel_send(channel, sizes, who, number);
}

static void finish(struct ring_channel *channel)
{
    int r = channel->base.facet->finish(&channel->base, DEADLINE_NEVER);
    MODEL_CHECK(r == 0, "finish: %d", r);
}

static void send_rest(void *unused)
{
    (void)unused;
    send_up_to(sending, VICTIM, before, many);
}

static void send_and_finish(void *unused)
{
    send_rest(unused);
    finish(sending);
}

/* The next message of the channel, as it came: its size, or what came in its place. */
static ssize_t receive(unsigned who, void *bytes, uint64_t *ret_lost)
{
    struct message_in in = { bytes, MESSAGE_MOST, TONG_MESSAGE_INIT };
    ssize_t r = receiving[who]->base.facet->receive(&receiving[who]->base, &in, DEADLINE_NEVER);
    *ret_lost = in.meta.lost;
    MODEL_CHECK(r < 0 || r == (ssize_t)sizes, "a message of %d bytes", (int)r);
    return r;
}

static bool hear_next(unsigned who)
{
    unsigned char bytes[MESSAGE_MOST];
    uint64_t lost;
    ssize_t r = receive(who, bytes, &lost);
    MODEL_CHECK(r > 0 || r == -ENODATA, "receive: %d %s", (int)r, tong_detail());
    if (r < 0)
        return false;
    unsigned number = message_read(bytes, sizes, VICTIM);
    MODEL_CHECK(number == next[who] + lost, "message %u came, not %u, and %u were lost", number, next[who], (unsigned)lost);
    MODEL_CHECK(lost == 0 || may_lose, "%u were lost to one who is waited for", (unsigned)lost);
    next[who] = number + 1;
    return true;
}

static void receive_to_end(void *which)
{
    unsigned who = (unsigned)(uintptr_t)which;
    while (hear_next(who))
        continue;
    MODEL_CHECK(next[who] == many, "the end came before message %u", next[who]);
}

/* The same in batches, of which the first message alone tells of losses. */
static void receive_batches_to_end(void *which)
{
    unsigned who = (unsigned)(uintptr_t)which;
    const struct channel_facet *facet = receiving[who]->base.facet;
    while (hear_next(who)) {
        unsigned char bytes[2][MESSAGE_MOST];
        tong_batch batch[2] = { { .data = bytes[0], .capacity = MESSAGE_MOST }, { .data = bytes[1], .capacity = MESSAGE_MOST } };
        ssize_t got = facet->receive_batch(&receiving[who]->base, batch, 2, DEADLINE_NOW);
        for (ssize_t i = 0; i < got; i++) {
            unsigned number = message_read(batch[i].data, batch[i].length, VICTIM);
            bool lost = batch[i].flags & TONG_MESSAGE_LOST_BEFORE;
            MODEL_CHECK(number == next[who] || (lost && number > next[who]), "message %u of a batch came, not %u", number,
                        next[who]);
            next[who] = number + 1;
        }
    }
    MODEL_CHECK(next[who] == many, "the end came before message %u", next[who]);
}

static void receive_one(void *which)
{
    MODEL_CHECK(hear_next((unsigned)(uintptr_t)which), "the end came");
}

/* Comes while the sender moves the floor: whatever is the first, all others follow. */
static void come_and_receive(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    uint64_t lost;
    (void)unused;
    receiving[0] = world_open(0, TONG_RECEIVE);
    ssize_t r = receive(0, bytes, &lost);
    MODEL_CHECK(r > 0, "receive: %d %s", (int)r, tong_detail());
    next[0] = message_read(bytes, sizes, VICTIM) + 1;
    receive_to_end((void *)0);
}

/* ---- What is prepared -------------------------------------------------------------------------------------------- */

static void make(uint64_t size, unsigned at_first, unsigned in_all, unsigned receivers)
{
    next[0] = next[1] = done = 0;
    may_lose = false;
    sizes = size;
    before = at_first;
    many = in_all;
    world_make_broadcast(CAPACITY, receivers);
}

/* Thread 1 is the sender, those behind it receivers. */
static void open_ends(unsigned receivers)
{
    sending = world_open(1, TONG_SEND);
    for (unsigned who = 0; who < receivers; who++)
        receiving[who] = world_open(2 + (int)who, TONG_RECEIVE);
    send_up_to(sending, VICTIM, 0, before);
}

static void prepare_two(void)
{
    make(LARGE, 3, 5, 2);
    model_permit_guesses();
    open_ends(2);
    model_spawn("sender", send_and_finish, NULL);
    model_spawn("receiver 1", receive_to_end, (void *)0);
    model_spawn("receiver 2", receive_to_end, (void *)1);
}

static void prepare_empty(void)
{
    make(SMALL, 0, 1, 1);
    model_permit_guesses();
    open_ends(1);
    model_spawn("sender", send_rest, NULL);
    model_spawn("receiver", receive_one, (void *)0);
}

/* Room is given once only. */
static void prepare_full(void)
{
    make(LARGE, 3, 4, 1);
    model_permit_guesses();
    open_ends(1);
    model_spawn("sender", send_rest, NULL);
    model_spawn("receiver", receive_one, (void *)0);
}

static void prepare_overtaken(void)
{
    make(FEW, 6, 8, 1);
    model_permit_overtaking();
    may_lose = true;
    world.slow = SLOW_SKIP;
    open_ends(1);
    model_spawn("sender", send_and_finish, NULL);
    model_spawn("receiver", receive_to_end, (void *)0);
}

/* The receiver is at the first when the sender writes over several. */
static void prepare_batch_overtaken(void)
{
    make(FEW, 6, 8, 1);
    model_permit_overtaking();
    may_lose = true;
    world.slow = SLOW_SKIP;
    open_ends(1);
    model_spawn("sender", send_and_finish, NULL);
    model_spawn("receiver", receive_batches_to_end, (void *)0);
}

static void prepare_coming(void)
{
    make(LARGE, 3, 5, 1);
    model_permit_guesses();
    open_ends(0);
    model_spawn("sender", send_and_finish, NULL);
    model_spawn("receiver", come_and_receive, NULL);
}

/* Neither sleeps, so nothing but the floor and the seats tells them of one another. */
static void send_if_there_is_room(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    (void)unused;
    message_write(bytes, sizes, VICTIM, before);
    struct message_out out = { bytes, sizes, 0 };
    int r = sending->base.facet->send(&sending->base, &out, DEADLINE_NOW);
    MODEL_CHECK(r == 0 || r == -EAGAIN, "send: %d", r);
}

/* What is there, if there is something: its number must be what the indexes say. */
static void come_and_look(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    struct message_in in = { bytes, MESSAGE_MOST, TONG_MESSAGE_INIT };
    (void)unused;
    struct ring_channel *channel = world_open(0, TONG_RECEIVE);
    ssize_t r = channel->base.facet->receive(&channel->base, &in, DEADLINE_NOW);
    if ((r == -EAGAIN || r == -ECONNRESET) && world.from == FROM_END) /* the sender goes without saying so */
        return;
    MODEL_CHECK(r == (ssize_t)sizes, "receive: %d %s", (int)r, tong_detail());
    unsigned number = message_read(bytes, sizes, VICTIM);
    MODEL_CHECK(number + 1 == channel->lanes.reader[0].number, "message %u came, %u are counted", number,
                (unsigned)channel->lanes.reader[0].number);
    MODEL_CHECK(world.from == FROM_END ? number == before : number <= 1, "the first is message %u", number);
}

static void prepare_looking(unsigned messages, int64_t from, unsigned fencing)
{
    make(LARGE, messages, messages + 1, 1);
    model_permit_guesses();
    world.from = from;
    world.fencing = fencing;
    open_ends(0);
    model_spawn("sender", send_if_there_is_room, NULL);
    model_spawn("receiver", come_and_look, NULL);
}

static void prepare_floor_and_seat(void)
{
    prepare_looking(3, FROM_START, 0);
}

static void prepare_fencing(void)
{
    prepare_looking(3, FROM_START, 1 << 1);
}

static void prepare_coming_at_end(void)
{
    prepare_looking(2, FROM_END, 0);
}

/* One message writes over the one at which the receiver stands. */
static void prepare_copying(void)
{
    make(FEW, 6, 7, 1);
    model_permit_overtaking();
    may_lose = true;
    world.slow = SLOW_SKIP;
    open_ends(1);
    model_spawn("sender", send_rest, NULL);
    model_spawn("receiver", receive_one, (void *)0);
}

static void prepare_coming_overtaken(void)
{
    make(FEW, 6, 8, 1);
    model_permit_overtaking();
    may_lose = true;
    world.slow = SLOW_SKIP;
    open_ends(0);
    model_spawn("sender", send_and_finish, NULL);
    model_spawn("receiver", come_and_receive, NULL);
}

/* ---- Deaths ------------------------------------------------------------------------------------------------------ */

/* The sender goes on without it. */
static void prepare_dead_receiver(void)
{
    make(LARGE, 3, 5, 1);
    model_permit_guesses();
    world.impatient = true;
    open_ends(1);
    model_spawn("sender", send_and_finish, NULL);
    victim = model_spawn_mortal("victim", receive_to_end, (void *)0);
}

static void receive_two(void *unused)
{
    (void)unused;
    while (next[VICTIM] < 2)
        hear_next(VICTIM);
}

/* One of its name goes on where it was, or behind the message that it did not live to hand out. */
static void succeed_as_receiver(void *unused)
{
    (void)unused;
    model_await(victim);
    world.from = FROM_LEFT;
    receiving[HEIR] = world_open(0, TONG_RECEIVE);
    next[HEIR] = (unsigned)receiving[HEIR]->lanes.reader[0].number;
    MODEL_CHECK(next[HEIR] - next[VICTIM] <= 1, "%u were heard, %u are counted", next[VICTIM], next[HEIR]);
    receive_to_end((void *)HEIR);
}

static void prepare_named(void)
{
    make(LARGE, 3, 5, 1);
    model_permit_guesses();
    world.name = NAME;
    open_ends(1);
    model_spawn("sender", send_and_finish, NULL);
    victim = model_spawn_mortal("victim", receive_two, NULL);
    model_spawn("heir", succeed_as_receiver, NULL);
}

static void peek_next(unsigned who, bool may_be_new, tong_token *ret)
{
    tong_message meta = TONG_MESSAGE_INIT;
    ssize_t r = receiving[who]->base.facet->peek(&receiving[who]->base, DEADLINE_NOW, &meta, ret);
    MODEL_CHECK(r == (ssize_t)sizes, "peek: %d %s", (int)r, tong_detail());
    unsigned number = message_read(ret->span[0].data, sizes, VICTIM);
    MODEL_CHECK(number == next[who]++, "message %u came, not %u", number, next[who] - 1);
    MODEL_CHECK(may_be_new || meta.flags & TONG_MESSAGE_REDELIVERED, "message %u came again and does not say so", number);
}

/* Takes a part of what comes again, and gives it back, the older last. */
static void peek_and_die(void *unused)
{
    tong_token token[2] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT };
    (void)unused;
    receiving[VICTIM] = world_open(0, TONG_RECEIVE);
    for (unsigned i = 0; i < 2; i++)
        peek_next(VICTIM, false, &token[i]);
    for (unsigned i = 2; i-- > 0; )
        MODEL_CHECK(receiving[VICTIM]->base.facet->release(&receiving[VICTIM]->base, &token[i]) == 0, "release");
}

static void succeed_by_hand(void *unused)
{
    (void)unused;
    model_await(victim);
    receiving[HEIR] = world_open(0, TONG_RECEIVE);
    next[HEIR] = (unsigned)receiving[HEIR]->lanes.reader[0].number;
    MODEL_CHECK(next[HEIR] == 0 || (next[HEIR] == 2 && next[VICTIM] == 2), "%u are counted", next[HEIR]);
    while (next[HEIR] < before) {
        tong_token token = TONG_TOKEN_INIT;
        peek_next(HEIR, false, &token);
    }
}

/* One who is gone had all in hand. */
static void prepare_named_again(void)
{
    make(FEW, 3, 3, 1);
    model_permit_guesses();
    world.name = NAME;
    world.from = FROM_LEFT;
    sending = world_open(1, TONG_SEND);
    receiving[VICTIM] = world_open(0, TONG_RECEIVE);
    send_up_to(sending, VICTIM, 0, before);
    for (unsigned number = 0; number < before; number++) {
        tong_token token = TONG_TOKEN_INIT;
        peek_next(VICTIM, true, &token);
    }
    ring_channel_close(&receiving[VICTIM]->base, false);
    next[VICTIM] = 0;
    victim = model_spawn_mortal("victim", peek_and_die, NULL);
    model_spawn("heir", succeed_by_hand, NULL);
}

static void send_and_die(void *unused)
{
    (void)unused;
    for (; done < many; done++)
        channel_send(sending, sizes, VICTIM, done);
}

static void succeed_as_sender(void *unused)
{
    (void)unused;
    model_await(victim);
    send_up_to(world_open(0, TONG_SEND), HEIR, 0, 2);
}

/* What one published and did not live to hear of may have come, too. */
static void receive_from_both(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    uint64_t lost;
    (void)unused;
    while (next[HEIR] < 2) {
        ssize_t r = receive(0, bytes, &lost);
        MODEL_CHECK(r > 0 && lost == 0, "receive: %d, %u lost", (int)r, (unsigned)lost);
        unsigned who = message_sender(bytes);
        MODEL_CHECK(who <= HEIR && (who == HEIR || next[HEIR] == 0), "a message of %u", who);
        unsigned number = message_read(bytes, sizes, who);
        MODEL_CHECK(number == next[who], "message %u of %u came, not %u", number, who, next[who]);
        next[who]++;
    }
    MODEL_CHECK(next[VICTIM] - done <= 1, "%u were sent, %u came", done, next[VICTIM]);
}

static void prepare_dead_sender(void)
{
    make(LARGE, 3, 5, 1);
    model_permit_guesses();
    done = before;
    sending = world_open(1, TONG_SEND);
    receiving[0] = world_open(3, TONG_RECEIVE);
    receiving[0]->reconnect = true;
    send_up_to(sending, VICTIM, 0, before);
    victim = model_spawn_mortal("victim", send_and_die, NULL);
    model_spawn("heir", succeed_as_sender, NULL);
    model_spawn("receiver", receive_from_both, NULL);
}

const struct scenario broadcast_scenarios[] = {
    { "broadcast to two", prepare_two, NULL, world_clean, 1, 1, -1, -1 },
    { "broadcast, empty", prepare_empty, NULL, world_clean, 2, 2, -1, -1 },
    { "broadcast, full", prepare_full, NULL, world_clean, 2, 2, -1, -1 },
    { "overwritten while copied", prepare_copying, NULL, world_clean, 2, 2, -1, -1 },
    { "one is overtaken", prepare_overtaken, NULL, world_clean, 1, 2, -1, -1 },
    { "a batch is overtaken", prepare_batch_overtaken, NULL, world_clean, 1, 2, -1, -1 },
    { "one comes, the floor moves", prepare_coming, NULL, world_clean, 1, 2, -1, -1 },
    { "floor and seat", prepare_floor_and_seat, NULL, world_clean, 2, 2, -1, -1 },
    { "floor and seat, fencing", prepare_fencing, NULL, world_clean, 2, 2, -1, -1 },
    { "one comes at the end", prepare_coming_at_end, NULL, world_clean, 2, 2, -1, -1 },
    { "one comes and is overtaken", prepare_coming_overtaken, NULL, world_clean, 1, 2, -1, -1 },
    { "a dead one is waited for", prepare_dead_receiver, NULL, world_clean, 1, 1, -1, -1 },
    { "a named one is killed", prepare_named, NULL, world_clean, 1, 1, -1, -1 },
    { "a named one is killed again", prepare_named_again, NULL, world_clean, 1, 1, -1, -1 },
    { "a log is taken over", prepare_dead_sender, NULL, world_clean, 1, 1, -1, -1 },
    { .name = NULL }
};
