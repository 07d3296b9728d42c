/* SPDX-License-Identifier: MIT */
/* Rings alone: one writer, one reader, who looks until there is something, in a lane that holds two or three messages. */
#include <errno.h>
#include <string.h>

#include "ring/copy.h"
#include "scenarios.h"

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

static unsigned char expected_byte(unsigned sender, unsigned number, uint64_t at)
{
    return (unsigned char)(at == 0 ? sender + 1 : at == 1 ? number + 1 : 31 * sender + 7 * number + at);
}

void message_write(void *to, uint64_t size, unsigned sender, unsigned number)
{
    unsigned char bytes[MESSAGE_MOST];
    for (uint64_t i = 0; i < size; i++)
        bytes[i] = expected_byte(sender, number, i);
    memcpy(to, bytes, size);
}

unsigned message_sender(const void *from)
{
    return *(const unsigned char *)from - 1U;
}

unsigned message_read(const void *from, uint64_t size, unsigned sender)
{
    unsigned char bytes[MESSAGE_MOST];
    MODEL_CHECK(size >= 8 && size <= sizeof bytes, "a message has %llu bytes", (unsigned long long)size);
    memcpy(bytes, from, size);
    unsigned number = bytes[1] - 1U;
    for (uint64_t i = 0; i < size; i++)
        MODEL_CHECK(bytes[i] == expected_byte(sender, number, i), "byte %u of a message is %u", (unsigned)i, bytes[i]);
    return number;
}

/* ---- The ends ---------------------------------------------------------------------------------------------------- */

static struct ring_writer writer;
static struct ring_reader reader;

static void open_both(uint64_t capacity)
{
    world_make(capacity);
    MODEL_CHECK(ring_writer_open(&writer, &world.senders->places[0], &world.receivers->cursors[0], world.lane[0],
                                 capacity) == 0, "writer");
    MODEL_CHECK(ring_reader_open(&reader, &world.receivers->cursors[0], &world.senders->places[0], world.lane[0],
                                 capacity) == 0, "reader");
}

static uint64_t size_of(unsigned number)
{
    return 8 + 8 * (number & 1);
}

static void await_room(uint64_t size)
{
    int r;
    while ((r = ring_room(&writer, size)) == -EAGAIN)
        model_pause();
    MODEL_CHECK(r == 0, "room: %d", r);
}

static void await_record(struct ring_record *ret)
{
    int r;
    while ((r = ring_next(&reader, ret)) == -EAGAIN)
        model_pause();
    MODEL_CHECK(r == 0, "next: %d", r);
}

static void expect(const struct ring_record *record, unsigned number, int64_t type)
{
    MODEL_CHECK(record->kind == RECORD_MESSAGE, "a record of kind %u", record->kind);
    unsigned got = message_read(record->data, record->length, 0);
    MODEL_CHECK(got == number && record->length == size_of(number), "message %u of %u bytes came, not %u", got,
                (unsigned)record->length, number);
    MODEL_CHECK(record->type == type, "type %lld", (long long)record->type);
}

/* ---- One after the other ----------------------------------------------------------------------------------------- */

#define SINGLE 4

static int64_t type_of(unsigned number)
{
    return number % 3 == 1 ? 5 : 0;
}

static void send_singly(void *unused)
{
    (void)unused;
    for (unsigned number = 0; number < SINGLE; number++) {
        unsigned char bytes[16];
        message_write(bytes, size_of(number), 0, number);
        await_room(size_of(number));
        int r = ring_send(&writer, bytes, size_of(number), type_of(number));
        MODEL_CHECK(r == 0, "send: %d", r);
    }
}

static void receive_singly(void *unused)
{
    (void)unused;
    struct ring_record record;
    for (unsigned number = 0; number < SINGLE; number++) {
        await_record(&record);
        expect(&record, number, type_of(number));
        MODEL_CHECK(ring_consume(&reader, &record, 1) == 0, "consume");
    }
}

static void prepare_singly(void)
{
    open_both(64);
    model_spawn("sender", send_singly, NULL);
    model_spawn("receiver", receive_singly, NULL);
}

static void finish_singly(void)
{
    MODEL_CHECK(!ring_waits(&reader), "something is left");
    MODEL_CHECK(shared_tail(&world.senders->places[0]) == reader.head, "the tail is not where the reader is");
}

/* ---- Batches ----------------------------------------------------------------------------------------------------- */

#define BATCHED 5

static void send_batches(void *unused)
{
    unsigned char bytes[BATCHED][16];
    tong_batch batch[BATCHED] = { { .data = NULL } };
    (void)unused;
    for (unsigned number = 0; number < BATCHED; number++) {
        message_write(bytes[number], size_of(number), 0, number);
        batch[number] = (tong_batch){ .data = bytes[number], .length = size_of(number), .type = type_of(number) };
    }
    for (unsigned sent = 0; sent < BATCHED; ) {
        int64_t r = ring_send_batch(&writer, batch + sent, BATCHED - sent);
        MODEL_CHECK(r > 0 || r == -EAGAIN, "send: %d", (int)r);
        sent += r > 0 ? (unsigned)r : 0;
        if (r < 0)
            await_room(size_of(sent));
    }
}

static void receive_batches(void *unused)
{
    unsigned char bytes[3][16];
    (void)unused;
    for (unsigned received = 0; received < BATCHED; ) {
        tong_batch batch[3] = { { .data = bytes[0], .capacity = 16 }, { .data = bytes[1], .capacity = 16 },
                                { .data = bytes[2], .capacity = 16 } };
        uint64_t r = ring_receive_batch(&reader, batch, 3);
        for (uint64_t i = 0; i < r; i++, received++) {
            unsigned got = message_read(batch[i].data, batch[i].length, 0);
            MODEL_CHECK(got == received && batch[i].length == size_of(got) && batch[i].type == type_of(got),
                        "message %u of %u bytes came, not %u", got, (unsigned)batch[i].length, received);
        }
        if (r == 0)
            model_pause();
    }
}

static void prepare_batches(void)
{
    open_both(128);
    model_spawn("sender", send_batches, NULL);
    model_spawn("receiver", receive_batches, NULL);
}

/* ---- Claims ------------------------------------------------------------------------------------------------------ */

static uint64_t claim(unsigned number)
{
    uint64_t made;
    await_room(size_of(number));
    MODEL_CHECK(ring_reserve(&writer, size_of(number), &made) == 0, "reserve");
    return made;
}

static void fill(uint64_t claimed, unsigned number)
{
    message_write(ring_claimed(&writer, claimed), size_of(number), 0, number);
}

/* Two claims, settled the younger first; one that is given back between two others; one that is used in part. */
static void send_claims(void *unused)
{
    (void)unused;
    uint64_t first = claim(0), second = claim(1);
    fill(second, 1);
    MODEL_CHECK(ring_commit(&writer, second, size_of(1), 0) == 0, "the younger was sent before the older");
    fill(first, 0);
    MODEL_CHECK(ring_commit(&writer, first, size_of(0), 0) == 1, "nothing was sent");
    uint64_t third = claim(2), vain = claim(3), last = claim(3);
    fill(last, 3);
    fill(vain, 9);
    fill(third, 2);
    ring_commit(&writer, last, size_of(3), 0);
    ring_abort(&writer, vain);
    MODEL_CHECK(ring_commit(&writer, third, size_of(2), 0) == 1, "nothing was sent");
}

/* Two at a time, released the younger first. */
static void receive_claims(void *unused)
{
    struct ring_record record[2];
    uint64_t taken[2];
    (void)unused;
    for (unsigned number = 0; number < 4; number += 2) {
        for (unsigned i = 0; i < 2; i++) {
            await_record(&record[i]);
            MODEL_CHECK(ring_take(&reader, &record[i], &taken[i]) == 0, "take");
        }
        expect(&record[1], number + 1, 0);
        MODEL_CHECK(ring_release(&reader, taken[1]) == 0, "the younger gave room before the older");
        expect(&record[0], number, 0);
        MODEL_CHECK(ring_release(&reader, taken[0]) == 1, "no room was given");
    }
}

static void prepare_claims(void)
{
    open_both(128);
    model_spawn("sender", send_claims, NULL);
    model_spawn("receiver", receive_claims, NULL);
}

static void finish_empty(void)
{
    MODEL_CHECK(!ring_waits(&reader), "something is left");
}

const struct scenario ring_scenarios[] = {
    { "one to one", prepare_singly, finish_singly, NULL, -1, -1, -1, -1 },
    { "batches", prepare_batches, finish_empty, NULL, -1, -1, -1, -1 },
    { "claims", prepare_claims, finish_empty, NULL, -1, -1, -1, -1 },
    { .name = NULL }
};
