/* SPDX-License-Identifier: MIT */
/*
 * The ring without files: against a model, against a peer that lies, and between two threads on two mappings of
 * one memory (so that ThreadSanitizer watches what two processes do).
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ring/sleep.h"
#include "ring_fixture.h"

static void fill(uint64_t claim, uint64_t number, uint64_t size)
{
    unsigned char *data = ring_claimed(&writer, claim);
    for (uint64_t n = 0; n < size; n++)
        data[n] = pattern(number, n);
}

static void verify(const struct ring_record *record, uint64_t number, uint64_t size)
{
    uint64_t wrong = 0;
    ck_assert_uint_eq(record->kind, RECORD_MESSAGE);
    ck_assert_uint_eq(record->length, size);
    ck_assert_int_eq(record->type, (int64_t)number);
    for (uint64_t n = 0; n < size; n++)
        wrong += record->data[n] != pattern(number, n);
    ck_assert_uint_eq(wrong, 0);
}

static int send_one(uint64_t number, uint64_t size)
{
    uint64_t claim;
    int r = ring_reserve(&writer, size, &claim);
    if (r < 0)
        return r;
    fill(claim, number, size);
    ck_assert_int_eq(ring_commit(&writer, claim, size, (int64_t)number), 1);
    return 0;
}

static int receive_one(uint64_t number, uint64_t size)
{
    struct ring_record record;
    uint64_t claim;
    int r = ring_next(&reader, &record);
    if (r < 0)
        return r;
    verify(&record, number, size);
    ck_assert_int_eq(ring_take(&reader, &record, &claim), 0);
    ck_assert_int_eq(ring_release(&reader, claim), 1);
    return 0;
}

/* ---- In order -------------------------------------------------------------------------------------------- */

START_TEST(every_size_at_every_place)
{
    uint64_t number = 0;
    for (uint64_t size = 0; size <= record_largest(CAPACITY); size += 1 + size / 37)
        for (int turn = 0; turn < 12; turn++, number++) {
            ck_assert_int_eq(send_one(number, size), 0);
            ck_assert_int_eq(receive_one(number, size), 0);
        }
    struct ring_record record;
    ck_assert_int_eq(ring_next(&reader, &record), -EAGAIN);
    ck_assert_uint_eq(reader.head, writer.tail);
}
END_TEST

START_TEST(full_and_largest)
{
    uint64_t sent = 0, largest = record_largest(CAPACITY);
    while (send_one(sent, 100) == 0)
        sent++;
    ck_assert_uint_eq(sent, (CAPACITY - RECORD_MARK - RECORD_ZERO) / record_extent(2, 100));
    ck_assert_int_eq(ring_room(&writer, 100), -EAGAIN);
    for (uint64_t n = 0; n < sent; n++)
        ck_assert_int_eq(receive_one(n, 100), 0);
    ck_assert_int_eq(ring_room(&writer, CAPACITY - 3 * RECORD_MARK), -EAGAIN);
    ck_assert_int_eq(ring_mark(&writer, RECORD_LOST, 3), 0);
    ck_assert_int_eq(send_one(7, largest), 0);
    ck_assert_int_eq(ring_mark(&writer, RECORD_END, 1), 0);
    struct ring_record mark;
    uint64_t claim;
    ck_assert_int_eq(ring_next(&reader, &mark), 0);
    ck_assert_uint_eq(mark.kind, RECORD_LOST);
    ck_assert_uint_eq(mark.length, 3);
    ck_assert_int_eq(ring_take(&reader, &mark, &claim), 0);
    ck_assert_int_eq(ring_release(&reader, claim), 1);
    ck_assert_int_eq(receive_one(7, largest), 0);
    ck_assert_int_eq(ring_next(&reader, &mark), 0);
    ck_assert_uint_eq(mark.kind, RECORD_END);
}
END_TEST

/* ---- Out of order ---------------------------------------------------------------------------------------- */

START_TEST(commits_wait_for_older_ones)
{
    uint64_t claim[3];
    struct ring_record record;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(ring_reserve(&writer, 64, &claim[i]), 0);
        fill(claim[i], (uint64_t)i, 40);
    }
    ck_assert_int_eq(ring_commit(&writer, claim[2], 40, 2), 0);
    ck_assert_int_eq(ring_mark(&writer, RECORD_END, 1), -EBUSY);
    ck_assert_int_eq(ring_next(&reader, &record), -EAGAIN);
    ck_assert_int_eq(ring_abort(&writer, claim[1]), 0);
    ck_assert_int_eq(ring_commit(&writer, claim[0], 65, 0), -EINVAL);
    ck_assert_int_eq(ring_commit(&writer, claim[0], 40, 0), 1);
    ck_assert_int_eq(ring_commit(&writer, claim[0], 40, 0), -EINVAL);
    ck_assert_int_eq(ring_commit(&writer, claim[1], 40, 0), -EINVAL);
    ck_assert_int_eq(receive_one(0, 40), 0);
    ck_assert_int_eq(receive_one(2, 40), 0);
}
END_TEST

START_TEST(aborted_room_is_given_back)
{
    uint64_t a, b, c;
    ck_assert_int_eq(ring_reserve(&writer, 1000, &a), 0);
    ck_assert_int_eq(ring_reserve(&writer, 1000, &b), 0);
    ck_assert_int_eq(ring_abort(&writer, b), 0);
    fill(a, 1, 10);
    ck_assert_int_eq(ring_commit(&writer, a, 10, 1), 1);
    ck_assert_int_eq(receive_one(1, 10), 0);
    struct ring_record record;
    ck_assert_int_eq(ring_next(&reader, &record), -EAGAIN);
    ck_assert_uint_eq(reader.head, writer.tail);
    ck_assert_int_eq(ring_reserve(&writer, record_largest(CAPACITY), &c), 0);
    ck_assert_int_eq(ring_abort(&writer, c), 1);
    ck_assert_int_eq(send_one(2, 5), 0);
    ck_assert_int_eq(receive_one(2, 5), 0);
}
END_TEST

/* A run of random claims on both sides; what is expected is kept by number: a size, or one of these. */
#define RUN 60000
enum { OPEN = -1, ABORTED = -2 };

struct model {
    int64_t size[RUN];
    struct { uint64_t claim, number, size; } out[8];
    uint64_t in[8];
    uint64_t outs, ins, sent, received;
};

static void model_reserve(struct model *model, uint64_t size)
{
    uint64_t claim;
    if (model->outs == 8 || ring_reserve(&writer, size, &claim) < 0)
        return;
    model->size[model->sent] = OPEN;
    model->out[model->outs].claim = claim;
    model->out[model->outs].size = size;
    model->out[model->outs++].number = model->sent++;
}

static void model_settle(struct model *model, unsigned dice)
{
    if (!model->outs)
        return;
    uint64_t pick = dice % model->outs, used = (dice >> 8) % (model->out[pick].size + 1);
    uint64_t claim = model->out[pick].claim, number = model->out[pick].number;
    if (dice & 1 << 6) {
        fill(claim, number, used);
        ck_assert_int_ge(ring_commit(&writer, claim, used, (int64_t)number), 0);
        model->size[number] = (int64_t)used;
    } else {
        ck_assert_int_ge(ring_abort(&writer, claim), 0);
        model->size[number] = ABORTED;
    }
    model->out[pick] = model->out[--model->outs];
}

static void model_take(struct model *model)
{
    struct ring_record record;
    int r = model->ins < 8 ? ring_next(&reader, &record) : -EAGAIN;
    if (r == RING_PASSED)
        return;
    ck_assert(r == 0 || r == -EAGAIN);
    if (r < 0)
        return;
    while (model->size[model->received] == ABORTED)
        model->received++;
    ck_assert_int_ne(model->size[model->received], OPEN);
    verify(&record, model->received, (uint64_t)model->size[model->received]);
    model->received++;
    ck_assert_int_eq(ring_take(&reader, &record, &model->in[model->ins++]), 0);
}

static void model_release(struct model *model, unsigned dice)
{
    if (!model->ins)
        return;
    uint64_t pick = dice % model->ins;
    ck_assert_int_ge(ring_release(&reader, model->in[pick]), 0);
    ck_assert_int_eq(ring_release(&reader, model->in[pick]), -EINVAL);
    model->in[pick] = model->in[--model->ins];
}

START_TEST(random_claims_against_a_model)
{
    static struct model model;
    unsigned seed = 12345;
    for (int step = 0; step < RUN; step++) {
        unsigned dice = (unsigned)rand_r(&seed) >> 3;
        switch (rand_r(&seed) >> 5 & 3) {
        case 0: model_reserve(&model, dice & 511); break;
        case 1: model_settle(&model, dice); break;
        case 2: model_take(&model); break;
        case 3: model_release(&model, dice); break;
        }
    }
    ck_assert_uint_gt(model.received, RUN / 16);
}
END_TEST

/* ---- Peers that die, and peers that lie ------------------------------------------------------------------ */

START_TEST(what_was_not_released_comes_again)
{
    uint64_t claim;
    struct ring_record record;
    for (uint64_t n = 0; n < 3; n++)
        ck_assert_int_eq(send_one(n, 20), 0);
    ck_assert_int_eq(receive_one(0, 20), 0);
    ck_assert_int_eq(ring_next(&reader, &record), 0);
    ck_assert_int_eq(ring_take(&reader, &record, &claim), 0);
    ring_reader_close(&reader);
    ck_assert_int_eq(reopen_reader(), 0);
    ck_assert_int_eq(ring_next(&reader, &record), 0);
    ck_assert(record.redelivered);
    ck_assert_int_eq(receive_one(1, 20), 0);
    ck_assert_int_eq(ring_next(&reader, &record), 0);
    ck_assert(!record.redelivered);
}
END_TEST

static void expect_next(bool redelivered)
{
    struct ring_record record;
    ck_assert_int_eq(ring_next(&reader, &record), 0);
    ck_assert_int_eq(record.redelivered, redelivered);
}

static void take_next(uint64_t number)
{
    uint64_t claim;
    struct ring_record record;
    ck_assert_int_eq(ring_next(&reader, &record), 0);
    verify(&record, number, 20);
    ck_assert_int_eq(ring_take(&reader, &record, &claim), 0);
}

static void consume_next(uint64_t number)
{
    struct ring_record record;
    ck_assert_int_eq(ring_next(&reader, &record), 0);
    verify(&record, number, 20);
    ck_assert_int_eq(ring_consume(&reader, &record, 1), 0);
}

static void replace_reader(void)
{
    ring_reader_close(&reader);
    ck_assert_int_eq(reopen_reader(), 0);
}

/* The second one is gone before it took all that the first one had in hand. */
START_TEST(what_two_had_in_hand_comes_again)
{
    for (uint64_t n = 0; n < 4; n++)
        ck_assert_int_eq(send_one(n, 20), 0);
    for (uint64_t n = 0; n < 3; n++)
        take_next(n);
    replace_reader();
    take_next(0);
    replace_reader();
    for (uint64_t n = 0; n < 3; n++) {
        expect_next(true);
        ck_assert_int_eq(receive_one(n, 20), 0);
    }
    expect_next(false);
}
END_TEST

START_TEST(what_was_copied_behind_what_is_in_hand_comes_again)
{
    for (uint64_t n = 0; n < 3; n++)
        ck_assert_int_eq(send_one(n, 20), 0);
    take_next(0);
    consume_next(1);
    replace_reader();
    for (uint64_t n = 0; n < 2; n++) {
        expect_next(true);
        ck_assert_int_eq(receive_one(n, 20), 0);
    }
    expect_next(false);
}
END_TEST

START_TEST(what_was_not_committed_never_was)
{
    uint64_t claim;
    ck_assert_int_eq(send_one(0, 20), 0);
    ck_assert_int_eq(ring_reserve(&writer, 500, &claim), 0);
    fill(claim, 9, 500);
    ring_writer_close(&writer);
    ck_assert_int_eq(reopen_writer(), 0);
    ck_assert_int_eq(send_one(1, 30), 0);
    ck_assert_int_eq(receive_one(0, 20), 0);
    ck_assert_int_eq(receive_one(1, 30), 0);
}
END_TEST

static void poke(uint64_t at, uint64_t word)
{
    memcpy(writers.data + (at & (CAPACITY - 1)), &word, sizeof word);
}

START_TEST(a_lying_writer)
{
    static const uint64_t tails[] = { 1, 12288, UINT64_MAX, UINT64_MAX - 2 * CAPACITY - 7, 1 << 31 };
    const uint64_t words[] = {
        UINT64_MAX, record_word(UINT32_MAX, RECORD_MESSAGE, 1), record_word(CAPACITY - 8, RECORD_MESSAGE, 1),
        record_word(8, RECORD_MESSAGE, 0), record_word(8, RECORD_MESSAGE, RECORD_OFFSET_MOST + 1),
        record_word(0, RECORD_SKIP, 0), record_word(7, RECORD_SKIP, 0), record_word(CAPACITY, RECORD_SKIP, 0),
        record_word(8, RECORD_SKIP, 1), record_word(8, RECORD_END, 1), record_word(8, 6, 0), 1,
        record_word(8, RECORD_MESSAGE, 1) | UINT64_C(1) << 48,
    };
    struct ring_record record;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        poke(0, words[i]);
        ck_assert_int_eq(ring_next(&reader, &record), -EBADMSG);
        ring_writer_close(&writer);
        ck_assert_int_eq(reopen_writer(), -EBADMSG);
    }
    poke(0, record_word(2 * CAPACITY, RECORD_SKIP, 0)); /* behind which nothing stands, so nothing else is wrong */
    ck_assert_int_eq(ring_next(&reader, &record), -EBADMSG);
    ck_assert_uint_eq(reader.seen, 0);
    poke(0, record_word(48, RECORD_MESSAGE, 1));
    ck_assert_int_eq(ring_next(&reader, &record), 0);
    ck_assert_uint_eq(record.length, 48);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        atomic_store(&writers.writer->tail, tails[i]);
        ring_reader_close(&reader);
        ck_assert_int_eq(reopen_reader(), -EBADMSG);
    }
}
END_TEST

/* A ring in which there is nothing but records, without an end: each look ends, and the next one goes on behind it. */
START_TEST(a_ring_without_an_end)
{
    struct ring_record record;
    for (uint64_t at = 0; at < CAPACITY; at += 8)
        poke(at, record_word(8, RECORD_SKIP, 0));
    for (uint64_t look = 1; look < 100; look++) {
        ck_assert_int_eq(ring_next(&reader, &record), RING_PASSED);
        ck_assert_uint_eq(reader.seen, look * RING_RUN * 8);
        ck_assert_uint_eq(reader.head, reader.seen);
    }
    ring_writer_close(&writer);
    ck_assert_int_eq(reopen_writer(), -EBADMSG);
}
END_TEST

START_TEST(a_writer_that_scribbles)
{
    unsigned seed = 99;
    int seen = 0;
    for (int turn = 0; turn < 20000; turn++) {
        struct ring_record record;
        uint64_t at = reader.seen + (turn & 1 ? 0 : (uint64_t)rand_r(&seed) % 64 * 8), claim;
        poke(at, record_word((uint64_t)rand_r(&seed) % 200, (unsigned)rand_r(&seed) % 7, (unsigned)rand_r(&seed) % 5));
        int r = ring_next(&reader, &record);
        ck_assert(r == 0 || r == -EAGAIN || r == -EBADMSG);
        if (r == 0) {
            seen++;
            ck_assert_uint_le(record.end - reader.head, CAPACITY);
            ck_assert(record.kind != RECORD_MESSAGE || (record.data >= readers.data &&
                                                        record.data + record.length <= readers.data + 2 * CAPACITY));
            ck_assert_int_eq(ring_take(&reader, &record, &claim), 0);
            ck_assert_int_ge(ring_release(&reader, claim), 0);
        } else if (r == -EBADMSG) {
            poke(reader.seen, 0);
        }
    }
    ck_assert_int_gt(seen, 1000);
}
END_TEST

START_TEST(a_lying_reader)
{
    static const uint64_t heads[] = { 1, 4, 240, UINT64_MAX, 1 << 20 };
    uint64_t claim;
    while (send_one(0, 100) == 0)
        ;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        atomic_store(&readers.reader->head, heads[i]);
        int r = ring_reserve(&writer, 100, &claim);
        ck_assert(heads[i] == 240 ? r == 0 : r == -EBADMSG);
        if (r == 0)
            ring_abandon(&writer), writer.head = 0;
    }
    ring_writer_close(&writer);
    atomic_store(&readers.reader->head, 1 << 20);
    ck_assert_int_eq(reopen_writer(), -EBADMSG);
}
END_TEST

/* ---- Two threads ----------------------------------------------------------------------------------------- */

#define MANY 40000

static uint64_t size_of(uint64_t number)
{
    return number * 2654435761u % 700;
}

/* The two sides' control areas, for sleeping; each thread fences by itself, as a process does that cannot register. */
static struct layout_control sides[2];

static void tell(int own, uint64_t *answered)
{
    shared_light_fence(true);
    uint64_t calls = shared_calls(&sides[!own]);
    if (calls != *answered)
        ring_wake(&sides[own]);
    *answered = calls;
}

/* Waits until `there`; counts the sleeps that nobody ended although it was there: else the other thread was kept from its
 * processor for as long. */
static void await(int own, bool (*there)(void), uint64_t *slow)
{
    uint32_t seen = shared_wake(&sides[!own]);
    shared_call(&sides[own], CALL_WAKE);
    atomic_thread_fence(memory_order_seq_cst);
    if (!there() && ring_sleep(&sides[!own], NULL, seen, 100000000) == -ETIMEDOUT)
        *slow += there();
}

static bool has_room(void)
{
    return ring_room(&writer, 700) == 0;
}

static bool has_record(void)
{
    return ring_waits(&reader);
}

static void *write_many(void *unused)
{
    uint64_t answered = 0, slow = 0;
    for (uint64_t n = 0; n < MANY; n++) {
        while (send_one(n, size_of(n)) == -EAGAIN)
            await(0, has_room, &slow);
        tell(0, &answered);
    }
    ck_assert_msg(slow < 20, "%llu sleeps of 100 ms were not ended: wake-ups are lost", (unsigned long long)slow);
    return unused;
}

START_TEST(two_threads)
{
    pthread_t thread;
    uint64_t answered = 0, slow = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, write_many, NULL), 0);
    for (uint64_t n = 0; n < MANY; n++) {
        while (receive_one(n, size_of(n)) == -EAGAIN)
            await(1, has_record, &slow);
        tell(1, &answered);
    }
    pthread_join(thread, NULL);
    ck_assert_msg(slow < 20, "%llu sleeps of 100 ms were not ended: wake-ups are lost", (unsigned long long)slow);
}
END_TEST

START_TEST(headers)
{
    struct layout_header header;
    layout_prepare(&header, LAYOUT_KIND_SENDERS, &(struct layout_shape){ 1, CAPACITY, LAYOUT_ONE, 1, 0 });
    uint64_t size = header.file_size;
    ck_assert_ptr_null(layout_refusal(&header, LAYOUT_KIND_SENDERS, size));
    ck_assert_ptr_nonnull(layout_refusal(&header, LAYOUT_KIND_RECEIVERS, size));
    ck_assert_ptr_nonnull(layout_refusal(&header, LAYOUT_KIND_SENDERS, size - 1));
    for (size_t at = 0; at < offsetof(struct layout_header, deliver) + 4; at++) {
        struct layout_header broken = header;
        if (at >= offsetof(struct layout_header, id) && at < offsetof(struct layout_header, file_size))
            continue;
        ((unsigned char *)&broken)[at] ^= 0x11;
        ck_assert_msg(layout_refusal(&broken, LAYOUT_KIND_SENDERS, size) != NULL, "byte %zu was not looked at", at);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *tests = tcase_create("ring");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, headers);
    tcase_add_test(tests, every_size_at_every_place);
    tcase_add_test(tests, full_and_largest);
    tcase_add_test(tests, commits_wait_for_older_ones);
    tcase_add_test(tests, aborted_room_is_given_back);
    tcase_add_test(tests, random_claims_against_a_model);
    tcase_add_test(tests, what_was_not_released_comes_again);
    tcase_add_test(tests, what_two_had_in_hand_comes_again);
    tcase_add_test(tests, what_was_copied_behind_what_is_in_hand_comes_again);
    tcase_add_test(tests, what_was_not_committed_never_was);
    tcase_add_test(tests, a_lying_writer);
    tcase_add_test(tests, a_ring_without_an_end);
    tcase_add_test(tests, a_writer_that_scribbles);
    tcase_add_test(tests, a_lying_reader);
    tcase_add_test(tests, two_threads);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
