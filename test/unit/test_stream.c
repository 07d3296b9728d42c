/* SPDX-License-Identifier: MIT */
/* Streams from the inside: frames that no tong sender writes, short writes, and rests that are kept. */
#include <sys/mman.h>

#include "stream_fixture.h"

/* ---- Receiving ------------------------------------------------------------------------------------------- */

/* Writes one fragment whose payload is `length` times the letter `fill`. */
static void put(int fd, uint8_t flags, uint32_t writer, uint32_t number, uint32_t length, char fill)
{
    uint8_t bytes[FRAME_HEADER + 4096];
    struct frame frame = { flags, length, writer, number, 0 };
    frame_encode(&frame, bytes);
    memset(bytes + FRAME_HEADER, fill, length);
    ck_assert_int_eq(write(fd, bytes, FRAME_HEADER + length), FRAME_HEADER + (ssize_t)length);
}

/* An empty message in two fragments, while another writer's lies half in the caller's buffer. */
START_TEST(an_empty_message_overtakes_one_in_the_callers_buffer)
{
    int peer;
    tong_channel *c = open_pipe("", &peer);
    put(peer, FRAME_FIRST, 1, 0, 100, 'a');
    put(peer, FRAME_FIRST, 2, 0, 0, 0);
    put(peer, FRAME_LAST, 2, 0, 0, 0);
    char *first = malloc(200), second[200];
    memset(first, 'x', 200);
    ck_assert_int_eq(tong_channel_receive(c, first, 200, NULL, 0), 0);
    put(peer, FRAME_LAST, 1, 0, 50, 'b');
    memset(first, 'y', 200);
    ck_assert_int_eq(tong_channel_receive(c, second, sizeof second, NULL, 0), 150);
    ck_assert_int_eq(second[0], 'a');
    ck_assert_int_eq(second[99], 'a');
    ck_assert_int_eq(second[149], 'b');
    ck_assert_int_eq(first[100], 'y');
    free(first);
    close(peer);
    tong_channel_close(c);
}
END_TEST

/* What is dropped because it grows beyond size= is no message that a larger buffer would get. */
START_TEST(a_message_that_grows_too_long_is_bad_and_the_next_one_comes)
{
    int peer;
    char buffer[400];
    struct pollfd ready;
    tong_channel *c = open_pipe("size=300", &peer);
    ck_assert_int_eq(tong_channel_pollfd(c, TONG_RECEIVE, &ready), 0);
    put(peer, FRAME_FIRST, 1, 0, 200, 'a');
    put(peer, FRAME_LAST, 1, 0, 200, 'a');
    put(peer, FRAME_FIRST | FRAME_LAST, 1, 1, 5, 'b');
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), -EBADMSG);
    ck_assert_int_eq(poll(&ready, 1, 0), 1);
    tong_message message = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, &message, 0), 5);
    ck_assert_uint_eq(message.lost, 1);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    close(peer);
    tong_channel_close(c);
}
END_TEST

/* `echo hi` into a framed channel: less than a header, and then the end. */
START_TEST(less_than_a_header_is_not_an_orderly_end)
{
    int peer;
    char buffer[16];
    tong_channel *c = open_pipe("", &peer);
    ck_assert_int_eq(write(peer, "hi\n", 3), 3);
    close(peer);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), -EBADMSG);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), -EBADMSG);
    ck_assert_ptr_null(strstr(tong_detail(), "died"));
    tong_channel_close(c);
}
END_TEST

/* Whether a line is too long must not depend on whether its end came with the same read. */
START_TEST(a_line_above_size_is_dropped_whole)
{
    static const char *const arrives[][2] = {
        { "0123456789abc\nok\n", "" }, { "0123456789", "abc\nok\n" }, { "0123456789abcdefghijkl", "mn\nok\n" },
    };
    int peer;
    char buffer[64];
    struct pollfd ready;
    tong_channel *c = open_pipe("frame=line&size=8", &peer);
    ck_assert_int_eq(tong_channel_pollfd(c, TONG_RECEIVE, &ready), 0);
    const char *first = arrives[_i][0], *second = arrives[_i][1];
    ck_assert_int_eq(write(peer, first, strlen(first)), (ssize_t)strlen(first));
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), -EBADMSG);
    ck_assert_int_eq(write(peer, second, strlen(second)), (ssize_t)strlen(second));
    ck_assert_int_eq(poll(&ready, 1, 0), 1);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), 2);
    ck_assert_mem_eq(buffer, "ok", 2);
    close(peer);
    tong_channel_close(c);
}
END_TEST

/* The last line needs no newline, but the rest of a dropped one is none. */
START_TEST(the_rest_of_a_dropped_line_is_no_line)
{
    int peer;
    char buffer[64];
    tong_channel *c = open_pipe("frame=line&size=8", &peer);
    ck_assert_int_eq(write(peer, "0123456789", 10), 10);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), -EBADMSG);
    ck_assert_int_eq(write(peer, "tail", 4), 4);
    close(peer);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), -ENODATA);
    tong_channel_close(c);
}
END_TEST

/* A line that is too long and did not arrive alone: nothing has to be read to say so. */
START_TEST(a_long_line_behind_another_is_ready)
{
    int peer;
    char buffer[64];
    struct pollfd ready;
    tong_channel *c = open_pipe("frame=line&size=8", &peer);
    ck_assert_int_eq(tong_channel_pollfd(c, TONG_RECEIVE, &ready), 0);
    ck_assert_int_eq(write(peer, "ok\n0123456789", 13), 13);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), 2);
    ck_assert_int_eq(poll(&ready, 1, 0), 1);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, 0), -EBADMSG);
    close(peer);
    tong_channel_close(c);
}
END_TEST

/* Messages lost at the tail are reported by nobody but the END's number. */
/* A batch that has messages says how many; what it met behind them must not be lost with that. */
START_TEST(what_ended_a_batch_is_told_next)
{
    int peer;
    char one[16], two[16];
    tong_batch batch[2] = { { sizeof *batch, 0, 0, one, sizeof one, 0 }, { sizeof *batch, 0, 0, two, sizeof two, 0 } };
    tong_channel *c = open_pipe("frame=line&size=8", &peer);
    ck_assert_int_eq(write(peer, "ok\n0123456789\nend\n", 18), 18);
    ck_assert_int_eq(tong_channel_receive_batch(c, batch, 2, 0), 1);
    ck_assert_int_eq(tong_channel_receive(c, one, sizeof one, NULL, 0), -EBADMSG);
    ck_assert_int_eq(tong_channel_receive(c, one, sizeof one, NULL, 0), 3);
    close(peer);
    tong_channel_close(c);
}
END_TEST

START_TEST(an_end_tells_of_messages_lost_before_it)
{
    int peer;
    char buffer[16];
    tong_message message = TONG_MESSAGE_INIT;
    tong_channel *c = open_pipe("", &peer);
    put(peer, FRAME_FIRST | FRAME_LAST, 1, 0, 1, 'a');
    put(peer, FRAME_END, 1, 3, 0, 0);
    put(peer, FRAME_FIRST | FRAME_LAST, 2, 0, 1, 'b');
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, &message, 0), 1);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, &message, 0), 1);
    ck_assert_uint_eq(message.lost, 2);
    close(peer);
    tong_channel_close(c);
}
END_TEST

/* Ctrl-D is said once: a terminal forgets it when it has been read. */
START_TEST(one_end_of_a_terminal_is_enough)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    bool unlocked = terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0;
    int fd = unlocked ? open(ptsname(terminal), O_RDWR | O_NOCTTY) : -1;
    if (fd < 0) { /* as in a root file system without /dev/pts */
        printf("skip one_end_of_a_terminal_is_enough: no pseudo-terminal can be had here\n");
        close(terminal);
        return;
    }
    char text[64], buffer[16];
    tong_channel *c;
    snprintf(text, sizeof text, "fd:%d?frame=none", fd);
    ck_assert_int_eq(tong_channel_open(text, TONG_RECEIVE, 0, &c), 0);
    ck_assert_int_eq(write(terminal, "\x04", 1), 1);
    alarm(10);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, TONG_FOREVER), -ENODATA);
    alarm(0);
    tong_channel_close(c);
    close(terminal);
}
END_TEST

/* ---- Sending --------------------------------------------------------------------------------------------- */

/* A rest was accepted; that nobody will ever take it is not success. */
START_TEST(close_says_that_a_kept_rest_is_lost)
{
    tong_channel *pair[2];
    static char long_one[300000];
    ck_assert_int_eq(tong_channel_pair("pipe:", TONG_SEND, pair), 0);
    ck_assert_int_eq(tong_channel_send(pair[0], long_one, sizeof long_one, NULL, 0), 0);
    tong_channel_close(pair[1]);
    ck_assert_int_eq(tong_channel_close(pair[0]), -EPIPE);
    /* nothing kept: a reader that is gone takes nothing away */
    ck_assert_int_eq(tong_channel_pair("pipe:", TONG_SEND, pair), 0);
    ck_assert_int_eq(tong_channel_send(pair[0], "a", 1, NULL, 0), 0);
    tong_channel_close(pair[1]);
    ck_assert_int_eq(tong_channel_close(pair[0]), 0);
}
END_TEST

START_TEST(a_batch_keeps_the_largest_size)
{
    tong_channel *pair[2];
    char bytes[200] = "", buffer[400];
    tong_batch batch[3];
    for (int i = 0; i < 3; i++)
        batch[i] = (tong_batch){ .size = sizeof *batch, .data = bytes, .length = i == 1 ? 101 : 100 };
    ck_assert_int_eq(tong_channel_pair("pipe:?size=100", TONG_SEND, pair), 0);
    ck_assert_int_eq(tong_channel_send_batch(pair[0], batch, 3, 0), 1);
    ck_assert_int_eq(tong_channel_send_batch(pair[0], batch + 1, 2, 0), -EMSGSIZE);
    ck_assert_int_eq(tong_channel_receive(pair[1], buffer, sizeof buffer, NULL, 0), 100);
    ck_assert_int_eq(tong_channel_receive(pair[1], buffer, sizeof buffer, NULL, 0), -EAGAIN);
    tong_channel_close(pair[0]);
    tong_channel_close(pair[1]);
}
END_TEST

/* Between the first part of a long line and its rest no other sender's line may fall. */
START_TEST(a_kept_rest_of_a_line_keeps_its_turn)
{
    static char line[200000], buffer[200000];
    memset(line, 'a', sizeof line);
    tong_channel *reader = open_fifo("?frame=line", TONG_RECEIVE);
    tong_channel *one = open_fifo("?frame=line", TONG_SEND), *other = open_fifo("?frame=line", TONG_SEND);
    ck_assert_int_eq(tong_channel_send(one, line, sizeof line, NULL, TONG_MILLISECOND), 0);
    ck_assert_int_eq(tong_channel_receive(reader, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_send(other, "b", 1, NULL, 5 * TONG_MILLISECOND), -ETIMEDOUT);
    int r;
    while ((r = tong_channel_finish(one, 0)) == -EAGAIN)
        ck_assert_int_eq(tong_channel_receive(reader, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(tong_channel_send(other, "b", 1, NULL, LONG), 0);
    ck_assert_int_eq(tong_channel_receive(reader, buffer, sizeof buffer, NULL, LONG), sizeof line);
    ck_assert_mem_eq(buffer, line, sizeof line);
    ck_assert_int_eq(tong_channel_receive(reader, buffer, sizeof buffer, NULL, LONG), 1);
    tong_channel_close(one);
    tong_channel_close(other);
    tong_channel_close(reader);
}
END_TEST

static void *close_when_full(void *reader)
{
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    do
        tong_channel_describe(reader, &info);
    while (info.depth + 4096 < info.capacity);
    tong_channel_close(reader);
    return NULL;
}

/* The same number twice would read as four thousand million messages lost. */
START_TEST(a_message_cut_off_by_a_dying_reader_counts_as_one)
{
    static char long_one[300000];
    char buffer[16];
    tong_channel *first = open_fifo("", TONG_RECEIVE), *writer = open_fifo("", TONG_SEND);
    pthread_t closer;
    ck_assert_int_eq(pthread_create(&closer, NULL, close_when_full, first), 0);
    ck_assert_int_eq(tong_channel_send(writer, long_one, sizeof long_one, NULL, TONG_FOREVER), -EPIPE);
    pthread_join(closer, NULL);
    tong_channel *second = open_fifo("?buffer=256K", TONG_RECEIVE);
    tong_message message = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_receive(second, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_send(writer, "a", 1, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_receive(second, buffer, sizeof buffer, &message, 0), 1);
    ck_assert_uint_eq(message.lost, 1);
    tong_channel_close(writer);
    tong_channel_close(second);
}
END_TEST

START_TEST(what_is_finished_has_no_descriptor)
{
    tong_channel *pair[2];
    struct pollfd ready;
    ck_assert_int_eq(tong_channel_pair("pipe:", TONG_SEND, pair), 0);
    ck_assert_int_eq(tong_channel_finish(pair[0], 0), 0);
    ck_assert_int_eq(tong_channel_descriptor(pair[0], TONG_SEND), -EPIPE);
    ck_assert_int_eq(tong_channel_pollfd(pair[0], TONG_SEND, &ready), -EPIPE);
    tong_channel_close(pair[0]);
    tong_channel_close(pair[1]);
}
END_TEST

/* What is kept is the parent's: a child that takes the channel over does not send it again. */
START_TEST(a_child_does_not_send_its_parents_rest)
{
    static char long_one[300000], buffer[300000];
    tong_channel *pair[2];
    ck_assert_int_eq(tong_channel_pair("pipe:", TONG_SEND, pair), 0);
    ck_assert_int_eq(tong_channel_send(pair[0], long_one, sizeof long_one, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_receive(pair[1], buffer, sizeof buffer, NULL, 0), -EAGAIN);
    pid_t child = fork();
    if (child == 0) {
        int r = tong_channel_after_fork(pair[0]);
        if (r == 0)
            r = tong_channel_send(pair[0], "b", 1, NULL, LONG);
        _exit(r == 0 ? 0 : 1);
    }
    tong_message message = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_receive(pair[1], buffer, sizeof buffer, &message, LONG), 1);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    int r;
    while ((r = tong_channel_finish(pair[0], 0)) == -EAGAIN)
        ck_assert_int_eq(tong_channel_receive(pair[1], buffer, sizeof buffer, NULL, 0), -EAGAIN);
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(tong_channel_receive(pair[1], buffer, sizeof buffer, &message, 0), sizeof buffer);
    ck_assert_uint_eq(message.lost, 0);
    tong_channel_close(pair[0]);
    tong_channel_close(pair[1]);
}
END_TEST

/* Writers announce themselves, on and on: nothing that is a message.  In a file it is always there in time. */
static void write_flood(int fd)
{
    uint8_t header[FRAME_HEADER];
    for (uint32_t i = 0; i < 100000; i++) {
        frame_encode(&(struct frame){ FRAME_BEGIN, 0, i % 1000, 0, 0 }, header);
        ck_assert_int_eq(write(fd, header, sizeof header), sizeof header);
    }
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
}

START_TEST(a_flood_without_a_message_keeps_nobody)
{
    tong_channel *c;
    char text[64], byte;
    int fd = memfd_create("flood", MFD_CLOEXEC);
    write_flood(fd);
    snprintf(text, sizeof text, "fd:%d?size=64K", fd);
    ck_assert_int_eq(tong_channel_open(text, TONG_RECEIVE | TONG_CANCELLABLE, 0, &c), 0);
    ck_assert_int_eq(tong_channel_receive(c, &byte, 1, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_receive(c, &byte, 1, NULL, 1), -ETIMEDOUT);
    ck_assert_int_eq(tong_channel_cancel(c), 0);
    ck_assert_int_eq(tong_channel_receive(c, &byte, 1, NULL, TONG_FOREVER), -ECANCELED);
    tong_channel_close(c);
    close(fd);
}
END_TEST

START_TEST(a_cloned_channel_has_no_tokens)
{
    char text[64];
    tong_channel *c, *clone;
    tong_token token = TONG_TOKEN_INIT;
    snprintf(text, sizeof text, "shm:stream-%d?remove=owner", (int)getpid());
    ck_assert_int_eq(tong_channel_open(text, TONG_SEND, 0, &c), 0);
    ck_assert_int_eq(tong_channel_reserve(c, 1, 0, &token), 0);
    ck_assert_int_eq(tong_channel_abort(c, &token), 0);
    ck_assert_int_eq(tong_channel_clone(c, &clone), 0);
    ck_assert_int_eq(tong_channel_reserve(c, 1, 0, &token), -EOPNOTSUPP);
    tong_channel_close(clone);
    tong_channel_close(c);
    tong_remove(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *receiving = new_case(suite, "receiving"), *sending = new_case(suite, "sending");
    tcase_add_test(receiving, an_empty_message_overtakes_one_in_the_callers_buffer);
    tcase_add_test(receiving, a_message_that_grows_too_long_is_bad_and_the_next_one_comes);
    tcase_add_test(receiving, less_than_a_header_is_not_an_orderly_end);
    tcase_add_loop_test(receiving, a_line_above_size_is_dropped_whole, 0, 3);
    tcase_add_test(receiving, the_rest_of_a_dropped_line_is_no_line);
    tcase_add_test(receiving, a_long_line_behind_another_is_ready);
    tcase_add_test(receiving, what_ended_a_batch_is_told_next);
    tcase_add_test(receiving, an_end_tells_of_messages_lost_before_it);
    tcase_add_test(receiving, one_end_of_a_terminal_is_enough);
    tcase_add_test(receiving, a_flood_without_a_message_keeps_nobody);
    tcase_add_test(sending, close_says_that_a_kept_rest_is_lost);
    tcase_add_test(sending, a_batch_keeps_the_largest_size);
    tcase_add_test(sending, a_kept_rest_of_a_line_keeps_its_turn);
    tcase_add_test(sending, a_message_cut_off_by_a_dying_reader_counts_as_one);
    tcase_add_test(sending, what_is_finished_has_no_descriptor);
    tcase_add_test(sending, a_child_does_not_send_its_parents_rest);
    tcase_add_test(sending, a_cloned_channel_has_no_tokens);
    return run(suite);
}
