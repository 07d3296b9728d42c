/* SPDX-License-Identifier: MIT */
/* Deaths: one that may be killed at every point, those who wait on it, and who takes its place. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "scenarios.h"

#define SMALL 8
#define LARGE 96

enum { VICTIM, HEIR };

static struct ring_writer writers[2];
static struct ring_reader readers[2];
static struct ring_channel *sending, *receiving;
static unsigned done, heard[2], taken, released;
static unsigned held; /* messages that one who is gone had in hand before the victim came */
static int victim;

static void clear(void)
{
    done = heard[VICTIM] = heard[HEIR] = taken = released = held = 0;
}

/* ---- Rings ------------------------------------------------------------------------------------------------------- */

static int open_writer(unsigned who)
{
    return ring_writer_open(&writers[who], &world.senders->places[0], &world.receivers->cursors[0], world.lane[0],
                            world.capacity);
}

static int open_reader(unsigned who)
{
    return ring_reader_open(&readers[who], &world.receivers->cursors[0], &world.senders->places[0], world.lane[0],
                            world.capacity);
}

static void ring_send_one(unsigned who, unsigned number)
{
    unsigned char bytes[SMALL];
    int r;
    message_write(bytes, SMALL, who, number);
    while ((r = ring_send(&writers[who], bytes, SMALL, 0)) == -EAGAIN)
        model_pause();
    MODEL_CHECK(r == 0, "send: %d", r);
}

static void ring_next_one(unsigned who, struct ring_record *ret)
{
    int r;
    while ((r = ring_next(&readers[who], ret)) == -EAGAIN)
        model_pause();
    MODEL_CHECK(r == 0 && ret->kind == RECORD_MESSAGE, "next: %d", r);
}

static void send_three(void *who)
{
    for (done = 0; done < 3; done++)
        ring_send_one((unsigned)(uintptr_t)who, done);
}

static void send_batch(void *unused)
{
    unsigned char bytes[3][SMALL];
    tong_batch batch[3] = { { .data = NULL } };
    (void)unused;
    for (unsigned number = 0; number < 3; number++) {
        message_write(bytes[number], SMALL, VICTIM, number);
        batch[number] = (tong_batch){ .data = bytes[number], .length = SMALL };
    }
    MODEL_CHECK(ring_send_batch(&writers[VICTIM], batch, 3) == 3, "batch");
    done = 3;
}

/* Reserved, the younger committed first: one publication for both, or none. */
static void send_claims(void *unused)
{
    uint64_t claim[3];
    (void)unused;
    for (unsigned i = 0; i < 3; i++) {
        MODEL_CHECK(ring_reserve(&writers[VICTIM], SMALL, &claim[i]) == 0, "reserve");
        message_write(ring_claimed(&writers[VICTIM], claim[i]), SMALL, VICTIM, i);
    }
    for (unsigned i = 3; i-- > 0; )
        MODEL_CHECK(ring_commit(&writers[VICTIM], claim[i], SMALL, 0) == (i == 0), "commit");
    done = 3;
}

static void succeed_as_writer(void *unused)
{
    (void)unused;
    model_await(victim);
    int r = open_writer(HEIR);
    MODEL_CHECK(r == 0, "the successor cannot open: %d", r);
    ring_send_one(HEIR, 0);
}

static void hear(const void *bytes, uint64_t size)
{
    unsigned who = message_sender(bytes);
    MODEL_CHECK(who <= HEIR, "a message of nobody's");
    unsigned number = message_read(bytes, size, who);
    MODEL_CHECK(number == heard[who], "message %u of %s came, not %u", number, who == HEIR ? "the heir" : "the victim",
                heard[who]);
    heard[who]++;
}

static void receive_to_heir(void *unused)
{
    struct ring_record record;
    (void)unused;
    while (heard[HEIR] == 0) {
        ring_next_one(VICTIM, &record);
        hear(record.data, record.length);
        MODEL_CHECK(ring_consume(&readers[VICTIM], &record, 1) == 0, "consume");
    }
}

static void make(uint64_t capacity)
{
    clear();
    world_make(capacity);
    MODEL_CHECK(open_writer(VICTIM) == 0 && open_reader(VICTIM) == 0, "open");
}

static void start_writers(void (*send)(void *))
{
    victim = model_spawn_mortal("victim", send, (void *)(uintptr_t)VICTIM);
    model_spawn("heir", succeed_as_writer, NULL);
    model_spawn("receiver", receive_to_heir, NULL);
}

static void prepare_writer(void)
{
    make(64);
    start_writers(send_three);
}

static void prepare_batch(void)
{
    make(128);
    start_writers(send_batch);
}

static void prepare_claims(void)
{
    make(128);
    start_writers(send_claims);
}

static void finish_writer(void)
{
    MODEL_CHECK(heard[VICTIM] >= done && heard[VICTIM] <= done + 1, "%u of %u that were sent came", heard[VICTIM], done);
}

static void finish_whole(void)
{
    MODEL_CHECK(heard[VICTIM] == 3 || (heard[VICTIM] == 0 && done == 0), "%u of a batch came", heard[VICTIM]);
}

static uint64_t take_one(unsigned who)
{
    struct ring_record record;
    uint64_t claim;
    ring_next_one(who, &record);
    MODEL_CHECK(ring_take(&readers[who], &record, &claim) == 0, "take");
    return claim;
}

/* Takes two and gives them back, the older first. */
static void receive_and_die(void *unused)
{
    uint64_t claim[2];
    (void)unused;
    for (; taken < 2; taken++)
        claim[taken] = take_one(VICTIM);
    for (; released < 2; released++)
        MODEL_CHECK(ring_release(&readers[VICTIM], claim[released]) == 1, "release");
}

/* Takes one, copies one, which waits for it, and gives both back at once. */
static void copy_and_die(void *unused)
{
    struct ring_record record;
    (void)unused;
    uint64_t claim = take_one(VICTIM);
    taken++;
    ring_next_one(VICTIM, &record);
    MODEL_CHECK(ring_consume(&readers[VICTIM], &record, 1) == 0, "consume");
    taken++;
    MODEL_CHECK(ring_release(&readers[VICTIM], claim) == 1, "release");
    released = 2;
}

/* The first that it had in hand comes again, or is the one behind what it gave back and did not live to say so. */
static void succeed_as_reader(void *step)
{
    struct ring_record record;
    unsigned again = 0;
    model_await(victim);
    MODEL_CHECK(open_reader(HEIR) == 0, "the successor cannot open");
    unsigned known = taken > held ? taken : held;
    for (unsigned number = 0, first = 1; first || number < 2; first = 0) {
        ring_next_one(HEIR, &record);
        unsigned got = message_read(record.data, record.length, VICTIM);
        bool next = first ? got == released || got == released + (uintptr_t)step : got == number + 1;
        MODEL_CHECK(next, "message %u came after %u", got, number);
        again = record.redelivered ? got + 1 : again;
        MODEL_CHECK(record.redelivered || got >= known, "message %u came again and does not say so", got);
        number = got;
        MODEL_CHECK(ring_consume(&readers[HEIR], &record, 1) == 0, "consume");
    }
    MODEL_CHECK(again <= known + 1, "%u came again of %u that were taken", again, known);
}

static void start_readers(void (*receive)(void *), unsigned step)
{
    victim = model_spawn_mortal("victim", receive, NULL);
    model_spawn("heir", succeed_as_reader, (void *)(uintptr_t)step);
}

static void prepare_reader(void)
{
    make(64);
    model_spawn("sender", send_three, (void *)(uintptr_t)VICTIM);
    start_readers(receive_and_die, 1);
}

static void prepare_copier(void)
{
    make(64);
    model_spawn("sender", send_three, (void *)(uintptr_t)VICTIM);
    start_readers(copy_and_die, 2);
}

/* The victim takes only a part of what comes again. */
static void prepare_reader_again(void)
{
    make(128);
    send_three((void *)(uintptr_t)VICTIM);
    for (; held < 3; held++)
        take_one(VICTIM);
    MODEL_CHECK(open_reader(VICTIM) == 0, "the victim cannot open");
    start_readers(receive_and_die, 1);
}

/* ---- Channels ---------------------------------------------------------------------------------------------------- */

static void send_and_die(void *size)
{
    for (unsigned number = 0; number < 2; number++) {
        channel_send(sending, (uintptr_t)size, VICTIM, number);
        done++;
    }
}

static int receive_one(void)
{
    unsigned char bytes[MESSAGE_MOST];
    ssize_t r = channel_receive(receiving, bytes, NULL);
    if (r > 0)
        hear(bytes, (uint64_t)r);
    return (int)r;
}

/* A process that ends without saying so has died, too. */
static void receive_to_death(void *unused)
{
    int r;
    (void)unused;
    while ((r = receive_one()) > 0)
        continue;
    MODEL_CHECK(r == -ECONNRESET, "the end was %d", r);
}

static void prepare_told(void)
{
    clear();
    world_make(256);
    world.impatient = true;
    receiving = world_open(2, TONG_RECEIVE);
    sending = world_open(1, TONG_SEND);
    victim = model_spawn_mortal("victim", send_and_die, (void *)SMALL);
    model_spawn("receiver", receive_to_death, NULL);
}

static void succeed_as_sender(void *unused)
{
    (void)unused;
    model_await(victim);
    struct ring_channel *heir = world_open(0, TONG_SEND);
    channel_send(heir, SMALL, HEIR, 0);
}

static void receive_from_heir(void *unused)
{
    (void)unused;
    while (heard[HEIR] == 0) {
        int r = receive_one();
        MODEL_CHECK(r > 0, "receive: %d", r);
    }
}

static void prepare_heir(void)
{
    clear();
    world_make(256);
    receiving = world_open(3, TONG_RECEIVE);
    receiving->reconnect = true;
    sending = world_open(1, TONG_SEND);
    victim = model_spawn_mortal("victim", send_and_die, (void *)SMALL);
    model_spawn("heir", succeed_as_sender, NULL);
    model_spawn("receiver", receive_from_heir, NULL);
}

/* The receiver is killed while the sender waits for room. */
static void send_to_the_dead(void *unused)
{
    unsigned char bytes[MESSAGE_MOST];
    (void)unused;
    for (done = 0; done < 4; done++) {
        message_write(bytes, LARGE, VICTIM, done);
        struct message_out out = { bytes, LARGE, 0 };
        int r = sending->base.facet->send(&sending->base, &out, DEADLINE_NEVER);
        if (r == -EPIPE)
            return;
        MODEL_CHECK(r == 0, "send: %d", r);
    }
}

static void receive_twice_and_die(void *unused)
{
    (void)unused;
    while (heard[VICTIM] < 2)
        MODEL_CHECK(receive_one() > 0, "receive");
}

static void prepare_dead_receiver(void)
{
    clear();
    world_make(256);
    world.impatient = true;
    receiving = world_open(1, TONG_RECEIVE);
    sending = world_open(2, TONG_SEND);
    victim = model_spawn_mortal("victim", receive_twice_and_die, NULL);
    model_spawn("sender", send_to_the_dead, NULL);
}

/* It may be told of the death before it sees the room that the dead one gave last. */
static void finish_dead_receiver(void)
{
    MODEL_CHECK(done >= 2 && done <= 3 + heard[VICTIM], "%u were sent, %u came", done, heard[VICTIM]);
}

const struct scenario death_scenarios[] = {
    { "a sender is killed", prepare_writer, finish_writer, NULL, 3, 3, -1, -1 },
    { "a batch is killed", prepare_batch, finish_whole, NULL, -1, -1, -1, -1 },
    { "claims are killed", prepare_claims, finish_whole, NULL, -1, -1, -1, -1 },
    { "a receiver is killed", prepare_reader, NULL, NULL, 3, 3, -1, -1 },
    { "a copier is killed", prepare_copier, NULL, NULL, 3, 3, -1, -1 },
    { "a receiver is killed again", prepare_reader_again, NULL, NULL, -1, -1, -1, -1 },
    { "a death is told", prepare_told, finish_writer, world_clean, 2, 2, -1, -1 },
    { "a successor sends", prepare_heir, finish_writer, world_clean, 2, 2, -1, -1 },
    { "a death frees the sender", prepare_dead_receiver, finish_dead_receiver, world_clean, 2, 2, -1, -1 },
    { .name = NULL }
};
