/* SPDX-License-Identifier: MIT */
/* The ring's batches: what is the same in a run of messages is looked at once, and still nothing is taken that was not sent. */
#include <stdlib.h>

#include "ring_fixture.h"

#define MANY 48

/* One line of 64 bytes is a size of its own there. */
static uint64_t some_size(unsigned *seed)
{
    return rand_r(seed) % 3 == 0 ? 64 : (unsigned)rand_r(seed) % 200;
}

/* Sizes that come in runs, so that most messages are like the one before; some have a type. */
static void compose(tong_batch batch[MANY], unsigned char content[MANY][200], uint64_t first, unsigned *seed)
{
    uint64_t size = some_size(seed);
    for (uint64_t i = 0; i < MANY; i++) {
        if (rand_r(seed) % 5 == 0)
            size = some_size(seed);
        for (uint64_t n = 0; n < size; n++)
            content[i][n] = pattern(first + i, n);
        batch[i] = (tong_batch){ .size = sizeof *batch, .data = content[i], .capacity = 200, .length = size,
                                 .type = rand_r(seed) % 7 == 0 ? (int64_t)(first + i) : 0 };
    }
}

/* As many as have room go at once, and come in whatever pieces they are asked for. */
START_TEST(batches_of_runs_of_sizes)
{
    static unsigned char content[MANY][200], buffer[MANY][200];
    tong_batch out[MANY], in[MANY];
    unsigned seed = 1;
    for (uint64_t round = 0; round < 5000; round++) {
        compose(out, content, round, &seed);
        ck_assert_int_eq(ring_room(&writer, 200), 0); /* looks how far the reader came */
        int64_t sent = ring_send_batch(&writer, out, MANY);
        ck_assert_int_gt(sent, 0);
        ck_assert_uint_le(writer.tail - reader.head, CAPACITY - RECORD_MARK - RECORD_ZERO);
        for (uint64_t received = 0; received < (uint64_t)sent; ) {
            uint64_t most = 1 + (unsigned)rand_r(&seed) % MANY;
            for (uint64_t i = 0; i < most; i++)
                in[i] = (tong_batch){ .size = sizeof *in, .data = buffer[i], .capacity = 200, .length = 999, .type = -1 };
            uint64_t got = ring_receive_batch(&reader, in, most);
            ck_assert(got == most || received + got == (uint64_t)sent);
            for (uint64_t i = 0; i < got; i++, received++) {
                ck_assert_uint_eq(in[i].length, out[received].length);
                ck_assert_int_eq(in[i].type, out[received].type);
                ck_assert_int_eq(memcmp(buffer[i], content[received], in[i].length), 0);
            }
        }
        ck_assert_uint_eq(ring_receive_batch(&reader, in, 1), 0);
    }
}
END_TEST

/* One that does not fit ends a batch before it, and stays. */
START_TEST(a_batch_ends_before_what_does_not_fit)
{
    unsigned char content[3][8] = { "first", "second", "third" }, buffer[3][8];
    tong_batch out[3], in[3];
    for (int i = 0; i < 3; i++) {
        out[i] = (tong_batch){ .size = sizeof *out, .data = content[i], .length = 8 };
        in[i] = (tong_batch){ .size = sizeof *in, .data = buffer[i], .capacity = i == 1 ? 7 : 8 };
    }
    ck_assert_int_eq(ring_send_batch(&writer, out, 3), 3);
    ck_assert_uint_eq(ring_receive_batch(&reader, in, 3), 1);
    in[1].capacity = 8;
    ck_assert_uint_eq(ring_receive_batch(&reader, in + 1, 2), 2);
    ck_assert_int_eq(memcmp(buffer, content, sizeof content), 0);
}
END_TEST

/* Every word says the same; no more may be taken than can be in the ring.  What no message can say is not taken twice. */
START_TEST(a_writer_that_repeats_itself)
{
    const uint64_t words[] = { record_word(8, RECORD_MESSAGE, 1), record_word(4000, RECORD_MESSAGE, 1),
                               record_word(64, RECORD_MESSAGE, 1), record_word(5000, RECORD_MESSAGE, 1), UINT64_MAX };
    static const uint64_t most[] = { (CAPACITY - RECORD_ZERO) / 16, 1, (CAPACITY - RECORD_ZERO) / 72, 0, 0 };
    static unsigned char buffer[5000];
    tong_batch in[2 * CAPACITY / 16];
    for (size_t word = 0; word < sizeof words / sizeof *words; word++) {
        for (uint64_t at = 0; at < CAPACITY; at += 8)
            memcpy(writers.data + at, &words[word], 8);
        for (size_t i = 0; i < sizeof in / sizeof *in; i++)
            in[i] = (tong_batch){ .size = sizeof *in, .data = buffer, .capacity = sizeof buffer };
        ck_assert_uint_eq(ring_receive_batch(&reader, in, sizeof in / sizeof *in), most[word]);
    }
}
END_TEST

static void send_numbers(unsigned char *number, uint64_t many)
{
    for (*number = 0; *number < many; ++*number)
        ck_assert_int_eq(ring_send(&writer, number, 1, 0), 0);
}

/* What is in hand keeps its room: nothing is released behind it, and what comes again says so, which a batch cannot. */
START_TEST(a_batch_does_not_pass_what_is_in_hand)
{
    unsigned char number, buffer[2];
    tong_batch in[2];
    struct ring_record record;
    uint64_t claim;
    for (int i = 0; i < 2; i++)
        in[i] = (tong_batch){ .size = sizeof *in, .data = buffer + i, .capacity = 1 };
    send_numbers(&number, 3);
    ck_assert_int_eq(ring_next(&reader, &record), 0);
    ck_assert_int_eq(ring_take(&reader, &record, &claim), 0);
    ck_assert_uint_eq(ring_receive_batch(&reader, in, 2), 0);
    ck_assert_uint_eq(atomic_load(&readers.reader->head), 0);
    ring_reader_close(&reader);
    ck_assert_int_eq(reopen_reader(), 0);
    ck_assert_uint_eq(ring_receive_batch(&reader, in, 2), 0);
    ck_assert_int_eq(ring_next(&reader, &record), 0);
    ck_assert(record.redelivered);
    ck_assert_int_eq(ring_consume(&reader, &record, 1), 0);
    ck_assert_uint_eq(ring_receive_batch(&reader, in, 2), 2);
    ck_assert_int_eq(memcmp(buffer, "\1\2", 2), 0);
}
END_TEST

/* It would fit into an empty ring, and is more than a message may be. */
START_TEST(a_batch_ends_before_what_is_too_large)
{
    static unsigned char content[CAPACITY];
    tong_batch out[2] = { { .size = sizeof *out, .data = content, .length = 1 },
                          { .size = sizeof *out, .data = content, .length = writer.largest + 1 } };
    ck_assert_int_eq(ring_send_batch(&writer, out + 1, 1), -EAGAIN);
    ck_assert_int_eq(ring_send_batch(&writer, out, 2), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_batch");
    TCase *tests = tcase_create("ring_batch");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, batches_of_runs_of_sizes);
    tcase_add_test(tests, a_batch_ends_before_what_does_not_fit);
    tcase_add_test(tests, a_writer_that_repeats_itself);
    tcase_add_test(tests, a_batch_does_not_pass_what_is_in_hand);
    tcase_add_test(tests, a_batch_ends_before_what_is_too_large);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
