/* SPDX-License-Identifier: MIT */
/* Holds alone, the protocol of queue.c without channels around it: who looks how far the head may go must find what is
 * claimed, moved or split meanwhile, and what nobody has in hand any more is room. */
#include <errno.h>
#include <string.h>

#include "scenarios.h"

#define WIDE 1024 /* a lane in which a message is less than what makes a look due */
#define SMALL 8
#define LARGE 80
#define RECEIVERS 3

static struct ring_channel *sending, *receiving[RECEIVERS];
static struct queue_record last;  /* in the hand of the one who looks */
static unsigned messages;         /* sent */
static unsigned let_go;           /* bits of what came again, and may not have been let go of */
static unsigned came;             /* how often each came: four bits for each message */
static int victim;

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

static void send(uint64_t size)
{
    unsigned char bytes[MESSAGE_MOST];
    int r;
    message_write(bytes, size, 0, messages);
    while ((r = ring_send(&sending->writer, bytes, size, 0)) == -EAGAIN)
        model_pause();
    MODEL_CHECK(r == 0, "send: %d", r);
    messages++;
}

static void send_one(void *unused)
{
    (void)unused;
    send(LARGE);
}

static unsigned number_of(const struct queue_record *record, const unsigned char *at)
{
    MODEL_CHECK(record_kind(record->word) == RECORD_MESSAGE, "a record of kind %u", record_kind(record->word));
    return message_read(at + record_offset(record->word) * RECORD_ALIGN, record_length(record->word), 0);
}

static struct queue_record take(struct ring_queue *queue, unsigned hold)
{
    struct queue_record record;
    do {
        int r;
        while ((r = ring_queue_next(queue, 0, &record)) == -EAGAIN)
            model_pause();
        MODEL_CHECK(r == 0, "next: %d", r);
    } while (!ring_queue_claim(queue, 0, record.start, record.end, hold));
    return record;
}

static void give(struct ring_queue *queue, const struct queue_record *record, unsigned hold)
{
    ring_queue_release(queue, record->lane, record->start, record->end, hold);
}

/* Looks how far the head may go. */
static void give_last(void *queue)
{
    give(queue, &last, 0);
}

/* Whether one came again. */
static bool take_one_again(struct ring_queue *queue, unsigned *ret_number)
{
    struct queue_record record;
    unsigned hold;
    int r = ring_queue_take_again(queue, UINT64_MAX, &record, &hold);
    MODEL_CHECK(r == 0 || r == 1, "take again: %d", r);
    if (r == 0)
        return false;
    *ret_number = number_of(&record, queue->loan[hold].copy);
    let_go |= 1U << *ret_number;
    give(queue, &record, hold);
    return true;
}

static void take_again(struct ring_queue *queue, unsigned number)
{
    unsigned got;
    MODEL_CHECK(take_one_again(queue, &got), "message %u, which was in hand, did not come again", number);
    MODEL_CHECK(got == number, "message %u came again, not %u", got, number);
}

static void take_all_again(struct ring_queue *queue)
{
    unsigned got;
    while (take_one_again(queue, &got))
        came += 1U << 4 * got;
}

/* ---- What is prepared -------------------------------------------------------------------------------------------- */

static void lay(uint64_t capacity, unsigned receivers)
{
    messages = let_go = came = 0;
    world_make(capacity);
    world.deliver = LAYOUT_QUEUE;
    world.receivers_most = RECEIVERS;
    model_permit_guesses();
    sending = world_open(1 + RECEIVERS, TONG_SEND);
    for (unsigned i = 0; i < receivers; i++)
        receiving[i] = world_open(1 + (int)i, TONG_RECEIVE);
}

/* Who had two messages in one hold is gone, and the third is in the hand of `other`. */
static void leave_two(unsigned who, unsigned hold, unsigned other)
{
    struct ring_queue *queue = receiving[who]->queue;
    struct queue_record first;
    for (unsigned i = 0; i < 3; i++)
        send(SMALL);
    MODEL_CHECK(ring_queue_next(queue, 0, &first) == 0, "next");
    MODEL_CHECK(ring_queue_claim(queue, 0, first.start, first.end + (first.end - first.start), hold), "claim");
    last = take(receiving[other]->queue, 0);
    ring_place_leave(&receiving[who]->in.place);
}

static void finish_room(void)
{
    const struct layout_cursor *cursor = &world.receivers->cursors[0];
    MODEL_CHECK(shared_head(cursor) == shared_claim(cursor), "nobody has anything in hand, and the head is at %u of %u",
                (unsigned)shared_head(cursor), (unsigned)shared_claim(cursor));
}

/* From a seat that is looked at later to one that is looked at first. */
static void move_and_take(void *unused)
{
    struct ring_queue *queue = receiving[0]->queue;
    (void)unused;
    int r = ring_queue_recover(queue, receiving[0]->in.place.fd);
    MODEL_CHECK(r == 1, "recover: %d", r);
    take_again(queue, 0);
    take_again(queue, 1);
}

static void prepare_moved(void)
{
    lay(WIDE, 3);
    leave_two(1, 0, 2);
    model_spawn("heir", move_and_take, NULL);
    model_spawn("who looks", give_last, receiving[2]->queue);
}

/* The rest gets a hold that is looked at before the one in which it was. */
static void split_and_take(void *unused)
{
    struct ring_queue *queue = receiving[0]->queue;
    (void)unused;
    take_again(queue, 0);
    take_again(queue, 1);
}

static void split(unsigned hold)
{
    lay(WIDE, 2);
    leave_two(0, hold, 1);
    receiving[0] = world_open(1, TONG_RECEIVE);
    model_spawn("heir", split_and_take, NULL);
    model_spawn("who looks", give_last, receiving[1]->queue);
}

static void prepare_split(void)
{
    split(1);
}

static void prepare_split_behind(void)
{
    split(0);
}

/* Of two who find what one had in hand that is gone, one gets it. */
static void recover(void *channel)
{
    struct ring_channel *own = channel;
    ring_queue_recover(own->queue, own->in.place.fd);
    take_all_again(own->queue);
}

static void prepare_recovered(void)
{
    lay(WIDE, 3);
    leave_two(1, 0, 2);
    give(receiving[2]->queue, &last, 0);
    model_spawn("first", recover, receiving[0]);
    model_spawn("second", recover, receiving[2]);
}

static void finish_recovered(void)
{
    MODEL_CHECK(came == 0x11, "of two messages, which were in hand, %02x came again", came);
    finish_room();
}

/* ---- Deaths ------------------------------------------------------------------------------------------------------ */

static void take_what_is_left(void *unused)
{
    (void)unused;
    model_await(victim);
    recover(receiving[2]);
    give(receiving[2]->queue, &last, 0);
}

static void prepare_heir(void)
{
    lay(WIDE, 3);
    leave_two(1, 0, 2);
    victim = model_spawn_mortal("victim", move_and_take, NULL);
    model_spawn("who is left", take_what_is_left, NULL);
}

static void finish_heir(void)
{
    MODEL_CHECK(let_go == 3, "of two messages that were in hand %x came again", let_go);
    finish_room();
}

/* Its predecessor was about to claim what another had, wrote the hold and was killed: who has it may have looked before that,
 * and the sender may write over it while it is copied. */
static void inherit_what_was_not_had(void *unused)
{
    struct ring_queue *queue = receiving[0]->queue;
    (void)unused;
    shared_hold(&world.receivers->seats[0].holds[0], last.start, hold_word(last.end - last.start, 0));
    ring_queue_inherit(queue);
    take_all_again(queue);
}

static void prepare_torn(void)
{
    lay(128, 2);
    model_permit_overtaking();
    send(LARGE / 2);
    last = take(receiving[1]->queue, 0);
    ring_queue_reach(receiving[0]->queue, 0);
    model_spawn("heir", inherit_what_was_not_had, NULL);
    model_spawn("who looks", give_last, receiving[1]->queue);
    model_spawn("sender", send_one, NULL);
}

/* ---- Claims ------------------------------------------------------------------------------------------------------ */

/* Its seat was never used, nor had it a hold, when the other begins to look. */
static void come_and_take(void *unused)
{
    struct ring_queue queue = *receiving[0]->queue;
    (void)unused;
    queue.seat = RECEIVERS;
    ring_queue_inherit(&queue);
    shared_use(&world.receivers->control, queue.seat);
    struct queue_record record = take(&queue, 0);
    unsigned got = number_of(&record, queue_at(&queue, 0, record.start));
    MODEL_CHECK(got == 2, "message %u came, not 2", got);
    give(&queue, &record, 0);
}

/* One that was stopped before it wrote its hold for the first message, and was killed then, is in nobody's way. */
static void leave_void(void)
{
    struct queue_record first = take(receiving[0]->queue, 0);
    give(receiving[0]->queue, &first, 0);
    ring_queue_reach(receiving[1]->queue, 0);
    shared_hold(&world.receivers->seats[1].holds[0], first.start, hold_word(first.end - first.start, 0));
    ring_place_leave(&receiving[1]->in.place);
}

/* What is sent has room only where the third message lies. */
static void prepare_claimed(void)
{
    lay(128, 2);
    send(SMALL);
    leave_void();
    send(SMALL);
    last = take(receiving[0]->queue, 0);
    send(LARGE / 2);
    model_spawn("sender", send_one, NULL);
    model_spawn("who looks", give_last, receiving[0]->queue);
    model_spawn("who comes", come_and_take, NULL);
}

static void take_all(void *queue)
{
    struct queue_record record;
    while (ring_queue_next(queue, 0, &record) == 0) {
        if (!ring_queue_claim(queue, 0, record.start, record.end, 0))
            continue;
        came += 1U << 4 * number_of(&record, queue_at(queue, 0, record.start));
        give(queue, &record, 0);
    }
}

/* Who loses may have been asked to look, because its hold was in the way of one who was done. */
static void prepare_lost(void)
{
    lay(WIDE, 2);
    send(SMALL);
    send(SMALL);
    model_spawn("first", take_all, receiving[0]->queue);
    model_spawn("second", take_all, receiving[1]->queue);
}

static void finish_lost(void)
{
    MODEL_CHECK(came == 0x11, "of two messages %02x came", came);
    finish_room();
}

/* What a hold says that was never won, because another had it or is to have it, is nobody's. */
static void take_nothing(void *unused)
{
    struct ring_channel *own = receiving[0];
    (void)unused;
    recover(own);
    MODEL_CHECK(came == 0, "%x came again, which nobody had in hand", came);
}

static void prepare_void(void)
{
    lay(WIDE, 2);
    send(SMALL);
    leave_void();
    send(SMALL);
    uint64_t start = shared_claim(&world.receivers->cursors[0]);
    ring_queue_reach(receiving[1]->queue, 1);
    shared_hold(&world.receivers->seats[1].holds[1], start, hold_word(2 * RECORD_ALIGN, 0));
    model_spawn("who is left", take_nothing, NULL);
}

static void take_batch(void *queue)
{
    unsigned char bytes[2][LARGE];
    tong_batch batch[2] = { { .data = bytes[0], .capacity = LARGE }, { .data = bytes[1], .capacity = LARGE } };
    uint64_t many = ring_queue_receive_batch(queue, 0, batch, 2);
    MODEL_CHECK(many == 2, "%u of a batch came", (unsigned)many);
    for (unsigned i = 0; i < 2; i++) {
        unsigned got = message_read(batch[i].data, batch[i].length, 0);
        MODEL_CHECK(got == i, "message %u of a batch came, not %u", got, i);
    }
}

static void prepare_batch(void)
{
    lay(128, 1);
    send(SMALL);
    send(LARGE / 2);
    model_spawn("sender", send_one, NULL);
    model_spawn("receiver", take_batch, receiving[0]->queue);
}

const struct scenario hold_scenarios[] = {
    { "a hold is moved", prepare_moved, finish_room, world_clean, 2, 1, -1, -1 },
    { "a hold is split", prepare_split, finish_room, world_clean, 2, 1, -1, -1 },
    { "a hold is split behind it", prepare_split_behind, finish_room, world_clean, 1, 1, -1, -1 },
    { "two recover the same", prepare_recovered, finish_recovered, world_clean, 2, 1, -1, -1 },
    { "who takes over is killed", prepare_heir, finish_heir, world_clean, -1, -1, -1, -1 },
    { "what comes again was not had", prepare_torn, NULL, world_clean, 2, 0, -1, -1 },
    { "one claims, another looks", prepare_claimed, NULL, world_clean, 2, 1, -1, -1 },
    { "two claim the same", prepare_lost, finish_lost, world_clean, 2, 1, -1, -1 },
    { "holds that are void", prepare_void, NULL, world_clean, -1, -1, -1, -1 },
    { "a batch is claimed", prepare_batch, NULL, world_clean, -1, -1, -1, -1 },
    { .name = NULL }
};
