/* SPDX-License-Identifier: MIT */
/* How many system calls a stream makes for its messages, and that those of many writers stay whole all the same. */
#include "stream_fixture.h"

static int reads, writes;

static int count_calls(const char *call)
{
    reads += strstr(call, "read") != NULL || strstr(call, "recv") != NULL;
    writes += strstr(call, "write") != NULL || strstr(call, "send") != NULL;
    return 0;
}

static void begin_counting(void)
{
    reads = writes = 0;
    sys_fault = count_calls;
}

START_TEST(a_message_above_pipe_buf_goes_by_one_write)
{
    static const size_t sizes[] = { 4072, 4073, 4096, 2 * 4048, 2 * 4048 + 1, 40000, 60000 };
    static char out[60000], in[60000];
    tong_channel *pair[2];
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i * 7 / 5);
    ck_assert_int_eq(tong_channel_pair("pipe:", TONG_SEND, pair), 0);
    ck_assert_int_eq(tong_channel_send(pair[0], out, sizes[1], NULL, 0), 0); /* how pipes are cut has been tried now */
    ck_assert_int_eq(tong_channel_receive(pair[1], in, sizeof in, NULL, 0), (ssize_t)sizes[1]);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(in, 0, sizeof in);
        begin_counting();
        ck_assert_int_eq(tong_channel_send(pair[0], out, sizes[i], NULL, TONG_FOREVER), 0);
        ck_assert_int_eq(writes, 1);
        ck_assert_int_eq(tong_channel_receive(pair[1], in, sizeof in, NULL, TONG_FOREVER), (ssize_t)sizes[i]);
        ck_assert_int_eq(reads, 1);
        ck_assert_mem_eq(in, out, sizes[i]);
    }
    tong_channel_close(pair[0]);
    tong_channel_close(pair[1]);
}
END_TEST

START_TEST(a_batch_is_one_call_at_each_end)
{
    static char bytes[32][64], buffers[64][64];
    static const char *const addresses[] = { "pipe:", "unix:" };
    tong_batch out[32], in[64];
    tong_channel *pair[2];
    for (int i = 0; i < 64; i++)
        in[i] = (tong_batch){ .size = sizeof *in, .data = buffers[i], .capacity = 64 };
    for (int i = 0; i < 32; i++)
        out[i] = (tong_batch){ .size = sizeof *out, .data = bytes[i], .length = 64, .type = i };
    for (int which = 0; which < 2; which++) {
        ck_assert_int_eq(tong_channel_pair(addresses[which], TONG_BOTH, pair), 0);
        for (int round = 0; round < 3; round++) {
            begin_counting();
            ck_assert_int_eq(tong_channel_send_batch(pair[0], out, 32, TONG_FOREVER), 32);
            ck_assert_int_eq(writes, 1);
            ck_assert_int_eq(tong_channel_receive_batch(pair[1], in, 64, TONG_FOREVER), 32);
            ck_assert_int_eq(reads, 1);
            for (int i = 0; i < 32; i++)
                ck_assert_int_eq(in[i].type, i);
        }
        sys_fault = NULL;
        tong_channel_close(pair[0]);
        tong_channel_close(pair[1]);
    }
}
END_TEST

/* What was there before the call is given, however often that must be read. */
START_TEST(a_batch_takes_all_that_is_there)
{
    enum { MANY = 250 }; /* more than a read of the buffer takes, less than the socket's own holds */
    static char buffers[MANY][128];
    tong_batch in[MANY];
    tong_channel *pair[2];
    for (int i = 0; i < MANY; i++)
        in[i] = (tong_batch){ .size = sizeof *in, .data = buffers[i], .capacity = 128 };
    ck_assert_int_eq(tong_channel_pair("unix:?buffer=4K", TONG_BOTH, pair), 0);
    for (int i = 0; i < MANY - 1; i++)
        ck_assert_int_eq(tong_channel_send(pair[0], buffers, (size_t)i % 129, NULL, LONG), 0);
    ck_assert_int_eq(tong_channel_receive_batch(pair[1], in, MANY, LONG), MANY - 1);
    for (int i = 0; i < MANY - 1; i++)
        ck_assert_uint_eq(in[i].length, (uint64_t)i % 129);
    tong_channel_close(pair[0]);
    tong_channel_close(pair[1]);
}
END_TEST

/* One that comes with the batch's first message but is too long for anybody is told next. */
START_TEST(a_packet_that_ended_a_batch_is_told_next)
{
    uint8_t stream[5 * FRAME_HEADER + 13];
    size_t used = 0;
    static const struct frame frames[] = { { FRAME_FIRST | FRAME_LAST, 1, 7, 0, 0 }, { FRAME_FIRST, 6, 7, 1, 0 },
                                           { FRAME_LAST, 6, 7, 1, 0 }, { FRAME_FIRST | FRAME_LAST, 0, 7, 2, 0 } };
    int peer;
    char one[16], two[16];
    tong_batch batch[2] = { { sizeof *batch, 0, 0, one, sizeof one, 0 }, { sizeof *batch, 0, 0, two, sizeof two, 0 } };
    tong_channel *c = open_pipe("size=8", &peer);
    memset(stream, 0, sizeof stream);
    for (size_t i = 0; i < sizeof frames / sizeof *frames; used += FRAME_HEADER + frames[i++].length)
        frame_encode(&frames[i], stream + used);
    ck_assert_int_eq(write(peer, stream, used), (ssize_t)used);
    ck_assert_int_eq(tong_channel_receive_batch(c, batch, 2, 0), 1);
    ck_assert_int_eq(tong_channel_receive_batch(c, batch, 2, 0), -EBADMSG);
    ck_assert_int_eq(tong_channel_receive_batch(c, batch, 2, 0), 1);
    ck_assert_uint_eq(batch[0].length, 0);
    ck_assert(batch[0].flags & TONG_MESSAGE_LOST_BEFORE);
    close(peer);
    tong_channel_close(c);
}
END_TEST

/* It takes a descriptor more each, which is gone with the channel. */
START_TEST(a_pipe_that_is_tried_often_is_opened_again)
{
    tong_channel *pair[2];
    char byte = 0;
    ck_assert_int_eq(tong_channel_pair("pipe:", TONG_SEND, pair), 0);
    int before = count_descriptors();
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(tong_channel_receive(pair[1], &byte, 1, NULL, 0), -EAGAIN);
        ck_assert_int_eq(tong_channel_send(pair[0], &(char){ (char)i }, 1, NULL, 0), 0);
        ck_assert_int_eq(tong_channel_receive(pair[1], &byte, 1, NULL, 0), 1);
        ck_assert_int_eq(byte, i);
    }
    ck_assert_int_eq(count_descriptors(), before + 2);
    tong_channel_close(pair[1]);
    ck_assert_int_eq(tong_channel_send(pair[0], "a", 1, NULL, 0), -EPIPE);
    tong_channel_close(pair[0]);
    ck_assert_int_eq(count_descriptors(), before - 2);
}
END_TEST

/* A run of equal messages is read one by one; whatever follows it, at any length, loses nothing. */
/* What a read leaves of a packet is gone (pipe(2), O_DIRECT), and only the sender's end says that it writes such. */
START_TEST(a_pipe_of_packets_is_read_whole)
{
    static char out[3000], in[3000];
    char name[2][20];
    tong_channel *receiver, *sender;
    int fds[2];
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_DIRECT), 0);
    for (int i = 0; i < 2; i++)
        snprintf(name[i], sizeof name[i], "fd:%d", fds[i]);
    ck_assert_int_eq(tong_channel_open(name[0], TONG_RECEIVE, 0, &receiver), 0);
    ck_assert_int_eq(tong_channel_open(name[1], TONG_SEND, 0, &sender), 0);
    for (int i = 0; i < 300; i++) {
        size_t size = i == 250 ? sizeof out : 100;
        ck_assert_int_eq(tong_channel_send(sender, out, size, NULL, TONG_FOREVER), 0);
        ck_assert_int_eq(tong_channel_receive(receiver, in, sizeof in, NULL, TONG_FOREVER), (ssize_t)size);
    }
    tong_channel_close(sender);
    tong_channel_close(receiver);
}
END_TEST

START_TEST(runs_of_one_length_and_others_are_all_the_same)
{
    static char out[5000], in[5000];
    tong_channel *pair[2];
    unsigned seed = 1, sent = 0;
    ck_assert_int_eq(tong_channel_pair("unix:", TONG_BOTH, pair), 0);
    for (int run = 0; run < 300; run++) {
        seed = seed * 1103515245 + 12345;
        size_t size = (seed >> 16) % sizeof out, ahead = 1 + (seed >> 8) % 5;
        for (int i = 0; i < (run % 3 ? 3 : 200); i++) {
            for (size_t j = 0; j < ahead; j++)
                ck_assert_int_eq(tong_channel_send(pair[0], out, size - (j == 4 && size), &(tong_message){ sizeof(tong_message), .type = sent + j }, LONG), 0);
            for (size_t j = 0; j < ahead; j++) {
                tong_message message = TONG_MESSAGE_INIT;
                ck_assert_int_eq(tong_channel_receive(pair[1], in, sizeof in, &message, j ? 0 : LONG), (ssize_t)(size - (j == 4 && size)));
                ck_assert_int_eq(message.type, sent + j);
                ck_assert_uint_eq(message.lost, 0);
            }
            sent += (unsigned)ahead;
        }
    }
    tong_channel_close(pair[0]);
    tong_channel_close(pair[1]);
}
END_TEST

#define WRITERS 4
#define EACH 150

/* Of any length, a third of them short, so that pages are left open at every place. */
static size_t length_of(int writer, int number)
{
    unsigned seed = (unsigned)(writer * 7919 + number) * 2654435761u;
    return number % 3 ? 1 + (seed >> 8) % 300 : 4000 + (seed >> 8) % 60000;
}

static void write_all_of(tong_channel *channel, int writer)
{
    static char bytes[70000];
    memset(bytes, 'a' + writer, sizeof bytes);
    for (int i = 0; i < EACH; i++)
        if (tong_channel_send(channel, bytes, length_of(writer, i), &(tong_message){ sizeof(tong_message), .type = writer }, LONG) < 0)
            _exit(1);
    /* which waits for room; closing does not */
    _exit(tong_channel_finish(channel, LONG) < 0 || tong_channel_close(channel) < 0);
}

static bool is_all(const char *bytes, char what, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != what)
            return false;
    return true;
}

/* In a pipe of one page or two it is full at each cut. */
START_TEST(long_messages_of_many_writers_stay_whole)
{
    static const char *const addresses[] = { "pipe:?capacity=4K", "pipe:?capacity=8K", "pipe:" };
    static char bytes[70000];
    tong_channel *pair[2];
    int next[WRITERS] = { 0 }, status;
    ck_assert_int_eq(tong_channel_pair(addresses[_i], TONG_SEND, pair), 0);
    for (int writer = 0; writer < WRITERS; writer++)
        if (fork() == 0) {
            tong_channel_close(pair[1]);
            write_all_of(pair[0], writer);
        }
    for (int i = 0; i < WRITERS * EACH; i++) {
        tong_message message = TONG_MESSAGE_INIT;
        ssize_t size = tong_channel_receive(pair[1], bytes, sizeof bytes, &message, LONG);
        ck_assert_msg(size >= 0 && message.type >= 0 && message.type < WRITERS, "%s", tong_detail());
        ck_assert_int_eq(size, (ssize_t)length_of((int)message.type, next[message.type]++));
        ck_assert(is_all(bytes, (char)('a' + message.type), (size_t)size));
        ck_assert_uint_eq(message.lost, 0);
    }
    for (int writer = 0; writer < WRITERS; writer++)
        ck_assert(wait(&status) > 0 && status == 0);
    tong_channel_close(pair[0]);
    tong_channel_close(pair[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream calls");
    TCase *calls = new_case(suite, "calls");
    tcase_add_test(calls, a_message_above_pipe_buf_goes_by_one_write);
    tcase_add_test(calls, a_batch_is_one_call_at_each_end);
    tcase_add_test(calls, a_batch_takes_all_that_is_there);
    tcase_add_test(calls, a_packet_that_ended_a_batch_is_told_next);
    tcase_add_test(calls, a_pipe_that_is_tried_often_is_opened_again);
    TCase *order = new_case(suite, "order");
    tcase_add_test(order, a_pipe_of_packets_is_read_whole);
    tcase_add_test(order, runs_of_one_length_and_others_are_all_the_same);
    tcase_add_loop_test(order, long_messages_of_many_writers_stay_whole, 0, 3);
    return run(suite);
}
