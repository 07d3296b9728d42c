/* SPDX-License-Identifier: MIT */
/* What is sent arrives: in order, whole, at every size that a limit is near, with its type, in batches. */
#include <stdio.h>
#include <stdlib.h>

#include "contract.h"

#define ORDERED 10000
#define MIB (1024 * 1024)

/* ---- Order --------------------------------------------------------------------------------------------------- */

static size_t ordered_message(char text[160], int number)
{
    int digits = snprintf(text, 160, "%06d ", number);
    size_t extra = (size_t)number % 120;
    pattern_fill(text + digits, extra, (uint32_t)number);
    return (size_t)digits + extra;
}

static void send_ordered(tong_channel *channel)
{
    char text[160];
    for (int i = 0; i < ORDERED; i++) {
        size_t size = ordered_message(text, i);
        OK(tong_channel_send(channel, text, size, NULL, TONG_FOREVER));
    }
    finish_and_close(channel);
}

static void test_order(const struct row *row)
{
    struct ends ends;
    pid_t pid = ends_with_sender(&ends, row, NULL, 0, send_ordered);
    char expected[160], got[160];
    for (int i = 0; i < ORDERED; i++) {
        size_t size = ordered_message(expected, i);
        int64_t r = OK(tong_channel_receive(ends.receiver, got, sizeof got, NULL, TONG_FOREVER));
        MUST((size_t)r == size && !memcmp(got, expected, size), "message %d: got '%.*s'", i, (int)r, got);
    }
    frame_join(pid);
    if (row->has & HAS_END)
        GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, 10 * TONG_SECOND), -ENODATA);
    ends_close(&ends);
}

static void test_order_of_bytes(const struct row *row)
{
    struct ends ends;
    pid_t pid = ends_with_sender(&ends, row, NULL, 0, send_ordered);
    char expected[160], got[160];
    for (int i = 0; i < ORDERED; i++) {
        size_t size = ordered_message(expected, i);
        receive_bytes(ends.receiver, got, size);
        MUST(!memcmp(got, expected, size), "piece %d: got '%.*s'", i, (int)size, got);
    }
    frame_join(pid);
    GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, 10 * TONG_SECOND), -ENODATA);
    ends_close(&ends);
}

/* ---- Sizes --------------------------------------------------------------------------------------------------- */

static const size_t sizes[] = { 0, 1, 2, PIPE_BUF - 33, PIPE_BUF - 1, PIPE_BUF, PIPE_BUF + 1, 8191, 65535, 65536, 65537, MIB };
static const struct row *sizes_row;

static bool size_fits(size_t size, uint64_t limit)
{
    return size <= limit && (size > 0 || sizes_row->has & HAS_EMPTY);
}

static void send_sizes(tong_channel *channel)
{
    char *data = malloc(MIB);
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (!size_fits(sizes[i], largest(channel)))
            continue;
        pattern_fill(data, sizes[i], i);
        OK(tong_channel_send(channel, data, sizes[i], NULL, TONG_FOREVER));
    }
    free(data);
    finish_and_close(channel);
}

static void test_sizes(const struct row *row)
{
    struct ends ends;
    sizes_row = row;
    pid_t pid = ends_with_sender(&ends, row, NULL, 0, send_sizes);
    uint64_t limit = largest(ends.receiver);
    MUST(!(row->has & HAS_LONG) || limit > PIPE_BUF, "the largest message is %llu bytes", (unsigned long long)limit);
    MUST(!(row->has & HAS_ROOM) || limit >= MIB, "the largest message is %llu bytes", (unsigned long long)limit);
    char *data = malloc(MIB);
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (!size_fits(sizes[i], limit))
            continue;
        tong_message message = TONG_MESSAGE_INIT;
        int64_t r = OK(tong_channel_receive(ends.receiver, data, MIB, &message, TONG_FOREVER));
        MUST((size_t)r == sizes[i] && message.length == sizes[i], "a message of %zu bytes came as %lld", sizes[i], (long long)r);
        MUST(pattern_holds(data, sizes[i], i), "a message of %zu bytes came changed", sizes[i]);
    }
    frame_join(pid);
    free(data);
    ends_close(&ends);
}

/* The size that test_largest() agreed on, for its child. */
static size_t largest_size;

static void send_largest(tong_channel *channel)
{
    char *data = malloc(largest_size);
    pattern_fill(data, largest_size, 3);
    OK(tong_channel_send(channel, data, largest_size, NULL, TONG_FOREVER));
    free(data);
    finish_and_close(channel);
}

/* One more than the largest is refused before anything moves, and what follows goes as if nothing had been. */
static void refuse_one_more(const struct row *row)
{
    struct ends ends;
    char number[32], got[16];
    ends_open(&ends, row, NULL, 0);
    uint64_t limit = largest(ends.sender);
    largest_size = limit > 16 * MIB ? 0 : (size_t)limit;
    char *data = calloc(1, largest_size + 1);
    GIVES(tong_channel_send(ends.sender, data, limit + 1, NULL, 0), -EMSGSIZE);
    snprintf(number, sizeof number, "%llu", (unsigned long long)limit);
    MUST(strstr(tong_detail(), number), "the limit %s is not named: %s", number, tong_detail());
    OK(tong_channel_send(ends.sender, "after", 5, NULL, TONG_SECOND));
    GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, TONG_SECOND), 5);
    MUST(!memcmp(got, "after", 5), "got '%.5s'", got);
    free(data);
    ends_close(&ends);
}

static void test_largest(const struct row *row)
{
    refuse_one_more(row);
    if (largest_size == 0)
        return;
    struct ends ends;
    pid_t pid = ends_with_sender(&ends, row, NULL, 0, send_largest);
    char *data = malloc(largest_size);
    GIVES(tong_channel_receive(ends.receiver, data, largest_size, NULL, TONG_FOREVER), (int64_t)largest_size);
    MUST(pattern_holds(data, largest_size, 3), "the largest message came changed");
    free(data);
    frame_join(pid);
    ends_close(&ends);
}

static void test_small_buffer(const struct row *row)
{
    struct ends ends;
    char got[200], sent[100];
    ends_open(&ends, row, NULL, 0);
    pattern_fill(sent, sizeof sent, 9);
    OK(tong_channel_send(ends.sender, sent, sizeof sent, NULL, TONG_SECOND));
    OK(tong_channel_send(ends.sender, "next", 4, NULL, TONG_SECOND));
    for (size_t capacity = 0; capacity < sizeof sent; capacity += 33) {
        tong_message message = TONG_MESSAGE_INIT;
        memset(got, 0, sizeof got);
        GIVES(tong_channel_receive(ends.receiver, got, capacity, &message, TONG_SECOND), -EMSGSIZE);
        MUST(message.length == sizeof sent, "the length needed was given as %llu", (unsigned long long)message.length);
        MUST(got[capacity] == 0, "more was written than the buffer holds");
    }
    GIVES(tong_channel_receive(ends.receiver, got, sizeof sent, NULL, TONG_SECOND), sizeof sent);
    MUST(pattern_holds(got, sizeof sent, 9), "the kept message came changed");
    GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, TONG_SECOND), 4);
    ends_close(&ends);
}

static void test_every_byte(const struct row *row)
{
    struct ends ends;
    unsigned char sent[256], got[256];
    for (int i = 0; i < 256; i++)
        sent[i] = (unsigned char)(255 - i);
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_send(ends.sender, sent, sizeof sent, NULL, TONG_SECOND));
    receive_bytes(ends.receiver, got, sizeof got);
    MUST(!memcmp(sent, got, sizeof sent), "bytes were changed on the way");
    ends_close(&ends);
}

static void test_line_refused(const struct row *row)
{
    struct ends ends;
    char got[16];
    ends_open(&ends, row, NULL, 0);
    int64_t r = tong_channel_send(ends.sender, "a\nb", 3, NULL, TONG_SECOND);
    MUST(r == -EINVAL || r == -EBADMSG || r == -EILSEQ, "a message with a newline gave %lld on a conduit of lines", (long long)r);
    OK(tong_channel_send(ends.sender, "1", 1, NULL, TONG_SECOND));
    GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, TONG_SECOND), 1);
    ends_close(&ends);
}

/* ---- Numbers --------------------------------------------------------------------------------------------------- */

static void test_numbers(const struct row *row)
{
    static const char *const numbers[] = { "0", "42", "-1", "2147483647", "-2147483648", "" };
    struct ends ends;
    char got[16];
    ends_open(&ends, row, NULL, 0);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        OK(tong_channel_send(ends.sender, numbers[i], strlen(numbers[i]), NULL, TONG_SECOND));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int64_t r = OK(tong_channel_receive(ends.receiver, got, sizeof got, NULL, TONG_SECOND));
        MUST((size_t)r == strlen(numbers[i]) && !memcmp(got, numbers[i], (size_t)r), "'%s' came as '%.*s'", numbers[i], (int)r,
             got);
    }
    GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, 0), -EAGAIN);
    ends_close(&ends);
}

/* What would not arrive as it was sent is refused, whole. */
static void test_numbers_refused(const struct row *row)
{
    static const char *const others[] = { "x", "1x", "+1", "007", "-0", "-", " 1", "1\n", "0x10", "2147483648", "-2147483649" };
    struct ends ends;
    char got[16];
    ends_open(&ends, row, NULL, 0);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        GIVES(tong_channel_send(ends.sender, others[i], strlen(others[i]), NULL, TONG_SECOND), -EINVAL);
        MUST(strstr(tong_detail(), "number"), "'%s' is refused with the words: %s", others[i], tong_detail());
    }
    GIVES(tong_channel_send(ends.sender, "1\0" "2", 3, NULL, TONG_SECOND), -EINVAL);
    GIVES(tong_channel_send(ends.sender, "123456789012", 12, NULL, TONG_SECOND), -EMSGSIZE);
    GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, 0), -EAGAIN);
    ends_close(&ends);
}

/* ---- Both ways, types, batches --------------------------------------------------------------------------------- */

static void test_both_ways(const struct row *row)
{
    struct ends ends;
    char got[64];
    ends_open(&ends, row, NULL, TONG_BOTH);
    for (int i = 0; i < 100; i++) {
        OK(tong_channel_send(ends.sender, "question", 8, NULL, TONG_SECOND));
        receive_bytes(ends.receiver, got, 8);
        MUST(!memcmp(got, "question", 8), "got '%.8s'", got);
        OK(tong_channel_send(ends.receiver, "answer", 6, NULL, TONG_SECOND));
        receive_bytes(ends.sender, got, 6);
        MUST(!memcmp(got, "answer", 6), "got '%.6s'", got);
    }
    ends_close(&ends);
}

static void test_type(const struct row *row)
{
    static const int64_t types[] = { 1, 2, 255, 65536, INT64_C(1) << 31, INT64_C(1) << 40, INT64_MAX };
    struct ends ends;
    char got[8];
    ends_open(&ends, row, NULL, 0);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        tong_message message = TONG_MESSAGE_INIT, result = TONG_MESSAGE_INIT;
        message.type = types[i];
        OK(tong_channel_send(ends.sender, "x", 1, &message, TONG_SECOND));
        GIVES(tong_channel_receive(ends.receiver, got, sizeof got, &result, TONG_SECOND), 1);
        MUST(result.type == types[i], "type %lld came as %lld", (long long)types[i], (long long)result.type);
        MUST(result.size == sizeof result, "the size of the result was changed");
    }
    ends_close(&ends);
}

/* The highest first, the oldest of equals; what is none is refused and nothing is sent. */
static void test_priority(const struct row *row)
{
    static const int64_t sent[] = { 0, 5, 32767, 5, 1, 0 };
    static const char expected[] = "213405";
    struct ends ends;
    char got[8];
    tong_message message = TONG_MESSAGE_INIT;
    ends_open(&ends, row, NULL, 0);
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        message.type = sent[i];
        OK(tong_channel_send(ends.sender, &(char){ (char)('0' + i) }, 1, &message, TONG_SECOND));
    }
    for (message.type = 32768; message.type > -2; message.type -= 32769)
        GIVES(tong_channel_send(ends.sender, "x", 1, &message, 0), -EINVAL);
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        GIVES(tong_channel_receive(ends.receiver, got, sizeof got, &message, TONG_SECOND), 1);
        MUST(got[0] == expected[i], "message %c came when %c was due", got[0], expected[i]);
        MUST(message.type == sent[expected[i] - '0'], "message %c came with priority %lld", got[0], (long long)message.type);
    }
    GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, 0), -EAGAIN);
    ends_close(&ends);
}

#define BATCH 8

static void test_batch(const struct row *row)
{
    struct ends ends;
    char sent[BATCH][64], got[BATCH][64];
    tong_batch out[BATCH], in[BATCH];
    ends_open(&ends, row, NULL, 0);
    for (uint32_t i = 0; i < BATCH; i++) {
        pattern_fill(sent[i], 40 + i, i);
        out[i] = (tong_batch){ sizeof out[i], 0, row->has & HAS_TYPE ? 5 : 0, sent[i], 0, 40 + i };
        in[i] = (tong_batch){ sizeof in[i], 0, 0, got[i], sizeof got[i], 0 };
    }
    GIVES(tong_channel_send_batch(ends.sender, out, 0, 0), 0);
    GIVES(tong_channel_send_batch(ends.sender, out, BATCH, TONG_SECOND), BATCH);
    ssize_t have = 0;
    while (have < BATCH)
        have += OK(tong_channel_receive_batch(ends.receiver, in + have, (size_t)(BATCH - have), TONG_SECOND));
    for (uint32_t i = 0; i < BATCH; i++)
        MUST(in[i].type == out[i].type || !(row->has & HAS_TYPE), "message %u has the type %lld", i, (long long)in[i].type);
    for (uint32_t i = 0; i < BATCH; i++)
        MUST(in[i].length == 40 + i && pattern_holds(got[i], 40 + i, i), "message %u of the batch came changed", i);
    GIVES(tong_channel_receive_batch(ends.receiver, in, BATCH, 0), -EAGAIN);
    ends_close(&ends);
}

/* A message too long for its place ends the batch before it, and is kept. */
static void test_batch_too_long(const struct row *row)
{
    struct ends ends;
    char a[64], b[4], c[64];
    tong_batch in[3] = {
        { sizeof *in, 0, 0, a, sizeof a, 0 }, { sizeof *in, 0, 0, b, sizeof b, 0 }, { sizeof *in, 0, 0, c, sizeof c, 0 },
    };
    ends_open(&ends, row, NULL, 0);
    for (int i = 0; i < 3; i++)
        OK(tong_channel_send(ends.sender, "1234567890", 10, NULL, TONG_SECOND));
    GIVES(tong_channel_receive_batch(ends.receiver, in, 3, TONG_SECOND), 1);
    GIVES(tong_channel_receive_batch(ends.receiver, in + 1, 2, TONG_SECOND), -EMSGSIZE);
    GIVES(tong_channel_receive(ends.receiver, c, sizeof c, NULL, TONG_SECOND), 10);
    GIVES(tong_channel_receive(ends.receiver, c, sizeof c, NULL, TONG_SECOND), 10);
    ends_close(&ends);
}

/* Full in the middle of a batch: a count, and exactly that many arrive; the last may wait for the next call, which
 * comes when half is taken. */
static void test_batch_full(const struct row *row)
{
    struct ends ends;
    static char data[1000], got[1000];
    static tong_batch out[4000];
    ends_open(&ends, row, NULL, 0);
    for (size_t i = 0; i < 4000; i++)
        out[i] = (tong_batch){ sizeof *out, 0, 0, data, 0, sizeof data };
    int64_t sent = 0, r;
    while ((r = tong_channel_send_batch(ends.sender, out, 4000, 0)) > 0)
        sent += r;
    GIVES(r, -EAGAIN);
    for (int64_t i = 0; i < sent; i++) {
        if (i == sent / 2)
            OK(tong_channel_send(ends.sender, "last", 4, NULL, TONG_SECOND));
        GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, TONG_SECOND), sizeof got);
    }
    GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, TONG_SECOND), 4);
    GIVES(tong_channel_receive(ends.receiver, got, sizeof got, NULL, 0), -EAGAIN);
    ends_close(&ends);
}

const struct contract_test message_tests[] = {
    { "order", test_order, HAS_BOUNDARIES | HAS_TEXT, HAS_LOSS, 60 },
    { "order-of-bytes", test_order_of_bytes, HAS_TEXT, HAS_BOUNDARIES, 60 },
    { "sizes", test_sizes, HAS_BOUNDARIES | HAS_TEXT, 0, 30 },
    { "largest-and-one-more", test_largest, HAS_BOUNDARIES | HAS_TEXT, 0, 60 },
    { "small-buffer", test_small_buffer, HAS_BOUNDARIES | HAS_TEXT, 0, 10 },
    { "every-byte", test_every_byte, HAS_ANY_BYTES, 0, 10 },
    { "newline-refused", test_line_refused, HAS_BOUNDARIES, HAS_ANY_BYTES, 10 },
    { "numbers", test_numbers, HAS_NUMBERS, 0, 10 },
    { "numbers-refused", test_numbers_refused, HAS_NUMBERS, 0, 10 },
    { "both-ways", test_both_ways, HAS_BOTH | HAS_TEXT, 0, 20 },
    { "type", test_type, HAS_TYPE, 0, 10 },
    { "priority", test_priority, HAS_PRIORITY, 0, 10 },
    { "batch", test_batch, HAS_BOUNDARIES | HAS_TEXT, 0, 10 },
    { "batch-too-long", test_batch_too_long, HAS_BOUNDARIES, 0, 10 },
    { "batch-full", test_batch_full, HAS_BOUNDARIES | HAS_FULL, 0, 30 },
    { NULL, NULL, 0, 0, 0 },
};
