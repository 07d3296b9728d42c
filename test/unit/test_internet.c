/* SPDX-License-Identifier: MIT */
/* tcp: and udp: from the inside: counts of what was lost, strangers, answers, machines that vanish. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/frame.h"
#include "mechanism/udp_senders.h"
#include "sys/sys.h"
#include "tong/tong.h"

#define LONG (5 * TONG_SECOND)

/* ---- Counting losses --------------------------------------------------------------------------------------------- */

static uint64_t note(struct udp_sequence *sequence, uint32_t number, bool fresh)
{
    uint64_t lost;
    ck_assert_int_eq(udp_sequence_note(sequence, number, &lost), fresh);
    return lost;
}

START_TEST(a_gap_is_told_at_once)
{
    struct udp_sequence sequence = { .next = 0 };
    ck_assert_uint_eq(note(&sequence, 0, true), 0);
    ck_assert_uint_eq(note(&sequence, 3, true), 2);
    ck_assert_uint_eq(note(&sequence, 4, true), 0);
    ck_assert_uint_eq(note(&sequence, 300, true), 295);
    ck_assert_uint_eq(note(&sequence, 301, true), 0);
}
END_TEST

/* 1 and 2 change places: nothing is lost, though one seemed to be; so the next real loss of two counts one. */
START_TEST(what_comes_late_was_not_lost)
{
    struct udp_sequence sequence = { .next = 0 };
    note(&sequence, 0, true);
    ck_assert_uint_eq(note(&sequence, 2, true), 1);
    ck_assert_uint_eq(note(&sequence, 1, true), 0);
    ck_assert_uint_eq(note(&sequence, 5, true), 1);
    ck_assert_uint_eq(note(&sequence, 6, true), 0);
}
END_TEST

START_TEST(what_comes_twice_is_given_once)
{
    struct udp_sequence sequence = { .next = 0 };
    note(&sequence, 0, true);
    note(&sequence, 1, true);
    note(&sequence, 1, false);
    note(&sequence, 0, false);
    note(&sequence, 70, true);
    note(&sequence, 70, false);
    note(&sequence, 69, true);
    note(&sequence, 69, false);
}
END_TEST

START_TEST(numbers_may_wrap)
{
    struct udp_sequence sequence = { .first = UINT32_MAX - 1, .next = UINT32_MAX - 1 };
    ck_assert_uint_eq(note(&sequence, UINT32_MAX - 1, true), 0);
    ck_assert_uint_eq(note(&sequence, UINT32_MAX, true), 0);
    ck_assert_uint_eq(note(&sequence, 0, true), 0);
    ck_assert_uint_eq(note(&sequence, 2, true), 1);
}
END_TEST

/* Whatever order a sequence comes in, and however often, the sum is what never came. */
START_TEST(the_sum_is_right_in_any_order)
{
    srand(7);
    for (int round = 0; round < 500; round++) {
        struct udp_sequence sequence = { .next = 0 };
        uint32_t order[200];
        uint64_t told = 0, came = 0, lost;
        int count = 0;
        for (uint32_t i = 0; i < 199; i++)
            if (rand() % 5)
                order[count++] = i;
        for (int i = 0; i < count; i++) { /* nothing is more than 8 places late */
            int j = i / 8 * 8 + rand() % 8;
            if (j >= count)
                continue;
            uint32_t number = order[i];
            order[i] = order[j];
            order[j] = number;
        }
        order[count++] = 199;
        for (int i = 0; i < count; i++) {
            came += udp_sequence_note(&sequence, order[i], &lost);
            told += lost;
            ck_assert_int_eq(udp_sequence_note(&sequence, order[i], &lost), false);
        }
        ck_assert_uint_eq(came + told - sequence.late, 200);
    }
}
END_TEST

START_TEST(no_more_senders_than_fit_are_remembered)
{
    struct udp_senders *senders = calloc(1, sizeof *senders);
    union inet_address from = { .four = { .sin_family = AF_INET } };
    struct udp_sender *first = udp_sender_of(senders, &from, 1);
    senders->answered = first;
    for (uint32_t writer = 2; writer < 10 * UDP_SENDERS; writer++)
        ck_assert_ptr_ne(udp_sender_of(senders, &from, writer), first);
    ck_assert_uint_eq(senders->count, UDP_SENDERS);
    ck_assert_ptr_eq(udp_sender_of(senders, &from, 1), first);
    /* one that may have been here before has lost nothing that we know of */
    struct udp_sender *again = udp_sender_of(senders, &from, 2);
    udp_sender_begins(senders, again, 1000);
    ck_assert_uint_eq(note(&again->sequence, 1000, true), 0);
    free(senders);
}
END_TEST

/* ---- Strangers --------------------------------------------------------------------------------------------------- */

static tong_channel *bind_here(const char *address, uint32_t flags, char *ret, size_t size)
{
    tong_channel *channel;
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    ck_assert_msg(tong_channel_open(address, flags, 0, &channel) == 0, "%s", tong_detail());
    ck_assert_int_eq(tong_channel_describe(channel, &info), 0);
    snprintf(ret, size, "%s", info.object);
    return channel;
}

static tong_channel *reach(const char *address, uint32_t flags)
{
    tong_channel *channel;
    ck_assert_msg(tong_channel_open(address, flags, LONG, &channel) == 0, "%s", tong_detail());
    return channel;
}

static int stranger(const char *address)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

START_TEST(a_stranger_does_not_end_the_conversation)
{
    char address[128], buffer[64];
    tong_channel *receiver = bind_here("udp:127.0.0.1:0", TONG_RECEIVE, address, sizeof address);
    tong_channel *sender = reach(address, TONG_SEND);
    uint8_t header[FRAME_HEADER + 4] = { 0 };
    int fd = stranger(address);
    const struct { struct frame frame; size_t size; } frames[] = {
        { { FRAME_FIRST | FRAME_LAST, 1000000, 9, 0, 0 }, sizeof header }, /* longer than it is */
        { { FRAME_FIRST, 4, 9, 0, 0 }, sizeof header },                    /* a part */
        { { FRAME_END, 0, 9, 0, 0 }, FRAME_HEADER },
        { { FRAME_BEGIN, 4, 9, 0, 0 }, sizeof header },
        { { FRAME_FIRST | FRAME_LAST, 4, 9, 0, 0 }, 10 },                  /* cut */
    };
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        frame_encode(&frames[i].frame, header);
        ck_assert_int_eq(send(fd, header, frames[i].size, 0), (int)frames[i].size);
    }
    ck_assert_int_eq(send(fd, "", 0, 0), 0);
    ck_assert_int_eq(tong_channel_send(sender, "ours", 4, NULL, LONG), 0);
    ck_assert_int_eq(tong_channel_receive(receiver, buffer, sizeof buffer, NULL, LONG), 4);
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    tong_channel_describe(receiver, &info);
    ck_assert_uint_eq(info.refused, 6);
    /* a flood ends a call that may not wait, and one that has waited long enough */
    for (int i = 0; i < 200; i++)
        send(fd, "flood", 5, 0);
    ck_assert_int_eq(tong_channel_receive(receiver, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    close(fd);
    tong_channel_close(sender);
    tong_channel_close(receiver);
}
END_TEST

/* A stranger's huge number is a loss of its own and of nobody else. */
START_TEST(a_stranger_does_not_disturb_the_counts_of_others)
{
    char address[128], buffer[64];
    tong_channel *receiver = bind_here("udp:127.0.0.1:0", TONG_RECEIVE, address, sizeof address);
    tong_channel *sender = reach(address, TONG_SEND);
    tong_message message = TONG_MESSAGE_INIT;
    uint8_t ours[FRAME_HEADER], header[FRAME_HEADER];
    struct frame frame;
    int peek = stranger(address);
    tong_channel_send(sender, "", 0, NULL, LONG);
    ck_assert_int_eq(tong_channel_receive(receiver, buffer, sizeof buffer, &message, LONG), 0);
    /* it has seen what our sender calls itself */
    char other[128];
    tong_channel *spy = bind_here("udp:127.0.0.1:0?frame=none", TONG_RECEIVE, other, sizeof other);
    ck_assert_ptr_nonnull(strchr(other, '?'));
    *strchr(other, '?') = '\0';
    tong_channel *seen = reach(other, TONG_SEND);
    ck_assert_int_eq(tong_channel_receive(spy, ours, sizeof ours, NULL, LONG), FRAME_HEADER);
    ck_assert_int_eq(frame_decode(ours, 100, &frame), 0);
    frame.flags = FRAME_FIRST | FRAME_LAST;
    frame.number = 5000;
    frame_encode(&frame, header);
    send(peek, header, sizeof header, 0);
    ck_assert_int_eq(tong_channel_receive(receiver, buffer, sizeof buffer, &message, LONG), 0);
    ck_assert_uint_eq(message.lost, 5000);
    tong_channel_send(sender, "", 0, NULL, LONG);
    ck_assert_int_eq(tong_channel_receive(receiver, buffer, sizeof buffer, &message, LONG), 0);
    ck_assert_uint_eq(message.lost, 0);
    close(peek);
    tong_channel_close(seen);
    tong_channel_close(spy);
    tong_channel_close(sender);
    tong_channel_close(receiver);
}
END_TEST

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

/* Each client sees a sender of its own, without gaps, and a newcomer does not take another's answer. */
START_TEST(answers_go_to_who_was_heard_last)
{
    char address[128], buffer[8];
    tong_message message = TONG_MESSAGE_INIT;
    tong_channel *server = bind_here("udp:127.0.0.1:0", TONG_BOTH, address, sizeof address), *client[3];
    ck_assert_int_eq(tong_channel_send(server, "?", 1, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_send(server, "?", 1, NULL, TONG_MILLISECOND), -ETIMEDOUT);
    client[0] = reach(address, TONG_BOTH);
    client[1] = reach(address, TONG_BOTH);
    for (int i = 0; i < 20; i++) {
        char name = (char)('a' + i % 2);
        ck_assert_int_eq(tong_channel_send(client[i % 2], &name, 1, NULL, LONG), 0);
        ck_assert_int_eq(tong_channel_receive(server, buffer, sizeof buffer, NULL, LONG), 1);
        if (i == 7) { /* announces itself meanwhile, and is even looked at */
            client[2] = reach(address, TONG_BOTH);
            ck_assert_int_eq(tong_channel_receive(server, buffer + 1, 1, NULL, 0), -EAGAIN);
        }
        ck_assert_int_eq(tong_channel_send(server, buffer, 1, NULL, LONG), 0);
        ck_assert_int_eq(tong_channel_receive(client[i % 2], buffer, sizeof buffer, &message, LONG), 1);
        ck_assert_int_eq(buffer[0], name);
        ck_assert_uint_eq(message.lost, 0);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(tong_channel_receive(client[i], buffer, sizeof buffer, NULL, 0), -EAGAIN);
        tong_channel_close(client[i]);
    }
    tong_channel_close(server);
}
END_TEST

/* Who has not received yet can answer all the same: the one who waits first. */
START_TEST(the_first_to_come_can_be_greeted)
{
    char address[128], buffer[8];
    struct pollfd item;
    tong_channel *server = bind_here("udp:127.0.0.1:0", TONG_BOTH, address, sizeof address);
    ck_assert_int_eq(tong_channel_pollfd(server, TONG_SEND, &item), 0);
    ck_assert_int_eq(poll(&item, 1, 0), 0);
    tong_channel *client = reach(address, TONG_BOTH);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(tong_channel_send(server, "hello", 5, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_receive(client, buffer, sizeof buffer, NULL, LONG), 5);
    tong_channel_close(client);
    tong_channel_close(server);
}
END_TEST

/* ---- Nobody there ------------------------------------------------------------------------------------------------ */

START_TEST(a_sender_learns_that_nobody_receives)
{
    char address[128];
    tong_channel *receiver = bind_here("udp:127.0.0.1:0", TONG_RECEIVE, address, sizeof address), *another;
    tong_channel *sender = reach(address, TONG_SEND);
    ck_assert_int_eq(tong_channel_open(address, TONG_RECEIVE, 0, &another), -EADDRINUSE);
    tong_channel_close(receiver);
    ck_assert_int_eq(tong_channel_open(address, TONG_SEND, 0, &another), -ENXIO);
    ck_assert_int_eq(tong_channel_open(address, TONG_SEND, TONG_MILLISECOND, &another), -ETIMEDOUT);
    ck_assert_int_eq(tong_channel_send(sender, "one", 3, NULL, LONG), 0);
    ck_assert_int_eq(tong_channel_send(sender, "two", 3, NULL, LONG), -EPIPE);
    ck_assert_int_eq(tong_channel_send(sender, "three", 5, NULL, LONG), 0);
    ck_assert_int_eq(tong_channel_close(sender), -EPIPE);
}
END_TEST

START_TEST(a_capacity_above_the_limit_is_an_error)
{
    tong_channel *receiver;
    int r = tong_channel_open("udp:127.0.0.1:0?capacity=1G", TONG_RECEIVE, 0, &receiver);
    if (r == 0) { /* root may have it */
        tong_channel_info info = TONG_CHANNEL_INFO_INIT;
        tong_channel_describe(receiver, &info);
        ck_assert_uint_ge(info.capacity, 1 << 30);
        tong_channel_close(receiver);
        return;
    }
    ck_assert_int_eq(r, -EPERM);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "net.core.rmem_max"));
}
END_TEST

/* ---- Connections ------------------------------------------------------------------------------------------------- */

static const char *fault_call;
static int fault_error;

static int fault_once(const char *call)
{
    if (!fault_call || strcmp(call, fault_call))
        return 0;
    fault_call = NULL;
    return fault_error;
}

static void connect_both(const char *options, tong_channel *ret[2])
{
    char address[128];
    tong_listener *listener;
    snprintf(address, sizeof address, "tcp:127.0.0.1:0%s", options);
    ck_assert_int_eq(tong_listener_open(address, 0, &listener), 0);
    ret[0] = reach(tong_listener_address(listener), TONG_SEND);
    ck_assert_int_eq(tong_listener_accept(listener, TONG_RECEIVE, LONG, &ret[1]), 0);
    tong_listener_close(listener);
}

/* The kernel says ETIMEDOUT once, and afterwards the socket reads as ended: it must pass for neither. */
START_TEST(a_machine_that_vanished_is_no_end)
{
    static const char *const options[] = { "", "?frame=line", "?frame=none" };
    static const int64_t timeouts[] = { TONG_FOREVER, LONG };
    for (int i = 0; i < 6; i++) {
        tong_channel *ends[2];
        char byte;
        connect_both(options[i % 3], ends);
        /* once bare, once with a deadline */
        fault_call = i < 3 ? "read" : "recvmsg";
        fault_error = -ETIMEDOUT;
        sys_fault = fault_once;
        ssize_t r = tong_channel_receive(ends[1], &byte, 1, NULL, timeouts[i / 3]);
        sys_fault = NULL;
        ck_assert_ptr_null(fault_call);
        ck_assert_int_eq(r, -ECONNRESET);
        ck_assert_int_eq(tong_channel_receive(ends[1], &byte, 1, NULL, 0), -ECONNRESET);
        tong_channel_close(ends[0]);
        tong_channel_close(ends[1]);
    }
}
END_TEST

/* What lies unread as a channel is closed must not take along what was sent before. */
START_TEST(closing_with_something_unread_loses_nothing)
{
    for (int round = 0; round < 50; round++) {
        tong_channel *ends[2], *listened;
        static char large[500000];
        char buffer[8];
        tong_listener *listener;
        ck_assert_int_eq(tong_listener_open("tcp:127.0.0.1:0", 0, &listener), 0);
        ends[0] = reach(tong_listener_address(listener), TONG_BOTH);
        ck_assert_int_eq(tong_listener_accept(listener, TONG_BOTH, LONG, &listened), 0);
        ends[1] = listened;
        ck_assert_int_eq(tong_channel_send(ends[1], "unread", 6, NULL, LONG), 0);
        ck_assert_int_eq(tong_channel_send(ends[0], "one", 3, NULL, LONG), 0);
        ck_assert_int_eq(tong_channel_send(ends[0], large, sizeof large, NULL, 0), 0);
        ck_assert_int_eq(tong_channel_close(ends[0]), 0);
        ck_assert_int_eq(tong_channel_receive(ends[1], buffer, sizeof buffer, NULL, LONG), 3);
        ck_assert_int_eq(tong_channel_receive(ends[1], large, sizeof large, NULL, LONG), sizeof large);
        ck_assert_int_eq(tong_channel_receive(ends[1], buffer, sizeof buffer, NULL, LONG), -ENODATA);
        tong_channel_close(ends[1]);
        tong_listener_close(listener);
    }
}
END_TEST

/* What it sent before is received, and it holds up nobody else. */
START_TEST(a_client_that_is_gone_before_it_is_accepted)
{
    tong_listener *listener;
    tong_channel *gone, *server, *client;
    char buffer[8];
    ck_assert_int_eq(tong_listener_open("tcp:127.0.0.1:0?frame=line", 0, &listener), 0);
    gone = reach(tong_listener_address(listener), TONG_SEND);
    ck_assert_int_eq(tong_channel_send(gone, "gone", 4, NULL, LONG), 0);
    ck_assert_int_eq(setsockopt(tong_channel_descriptor(gone, TONG_SEND), SOL_SOCKET, SO_LINGER,
                                &(struct linger){ 1, 0 }, sizeof(struct linger)), 0);
    tong_channel_close(gone);
    client = reach(tong_listener_address(listener), TONG_SEND);
    ck_assert_int_eq(tong_channel_send(client, "here", 4, NULL, LONG), 0);
    for (int i = 0; i < 2; i++) {
        int r = tong_listener_accept(listener, TONG_RECEIVE, LONG, &server);
        ck_assert_msg(r == 0, "%s", tong_detail());
        ck_assert_int_eq(tong_channel_receive(server, buffer, sizeof buffer, NULL, LONG), 4);
        ck_assert_mem_eq(buffer, i ? "here" : "gone", 4);
        tong_channel_close(server);
    }
    tong_channel_close(client);
    tong_listener_close(listener);
}
END_TEST

static int setting(tong_channel *channel, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    ck_assert_int_eq(getsockopt(tong_channel_descriptor(channel, TONG_SEND), level, name, &value, &size), 0);
    return value;
}

START_TEST(both_ends_have_the_settings)
{
    tong_channel *ends[2];
    char address[128];
    tong_listener *listener;
    for (int i = 0; i < 2; i++) {
        snprintf(address, sizeof address, "tcp:[::1]:0%s", i ? "?nodelay=off&keepalive=0" : "?keepalive=60s");
        ck_assert_msg(tong_listener_open(address, 0, &listener) == 0, "%s", tong_detail());
        ends[0] = reach(tong_listener_address(listener), TONG_SEND);
        ck_assert_int_eq(tong_listener_accept(listener, TONG_SEND, LONG, &ends[1]), 0);
        for (int end = 0; end < 2; end++) {
            ck_assert_int_eq(setting(ends[end], IPPROTO_TCP, 1 /* TCP_NODELAY */) != 0, i == 0);
            ck_assert_int_eq(setting(ends[end], SOL_SOCKET, SO_KEEPALIVE) != 0, i == 0);
            if (i == 0)
                ck_assert_int_eq(setting(ends[end], IPPROTO_TCP, 4 /* TCP_KEEPIDLE */), 30);
            tong_channel_close(ends[end]);
        }
        tong_listener_close(listener);
    }
}
END_TEST

START_TEST(the_port_is_told_however_it_was_written)
{
    static const char *const zeros[] = { "tcp:127.0.0.1:0", "tcp:127.0.0.1%3A0", "tcp:[::1]%3a0", "tcp:%3A0", "tcp:127.0.0.1:%30", "tcp:[::1]:00?size=1K",
                                         "tcp::0" };
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++) {
        tong_listener *listener;
        ck_assert_msg(tong_listener_open(zeros[i], 0, &listener) == 0, "%s", tong_detail());
        tong_channel_close(reach(tong_listener_address(listener), TONG_SEND));
        ck_assert((strchr(zeros[i], '?') != NULL) == (strchr(tong_listener_address(listener), '?') != NULL));
        tong_listener_close(listener);
    }
}
END_TEST

static int open_either(const char *address)
{
    tong_channel *channel;
    return tong_channel_open(address, TONG_SEND, 0, &channel);
}

START_TEST(names_that_are_none_are_refused)
{
    static const char *const names[] = {
        "",
        ":",
        "127.0.0.1",
        "127.0.0.1:",
        "::1:80",
        "[::1]",
        "[::1]80",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999",
        "a]:80",
        "127.0.0.1:0",
        "127.0.0.1:-1",
        "127.0.0.1:+80",
        "127.0.0.1:%2080",
        "127.0.0.1:80,127.0.0.1:81",
    };
    char address[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(address, sizeof address, "%s:%s", i % 2 ? "tcp" : "udp", names[i]);
        ck_assert_msg(open_either(address) == -EINVAL, "%s: %s", address, tong_detail());
        ck_assert_msg(strstr(tong_detail(), "PORT") || strstr(tong_detail(), "port"), "%s: %s", address, tong_detail());
    }
    tong_listener *listener;
    ck_assert_int_eq(tong_listener_open("tcp:192.0.2.1:0", 0, &listener), -EADDRNOTAVAIL);
    ck_assert_int_eq(tong_listener_open("tcp:127.0.0.1:no-such-service", 0, &listener), -EPROTONOSUPPORT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("internet");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_gap_is_told_at_once);
    tcase_add_test(tests, what_comes_late_was_not_lost);
    tcase_add_test(tests, what_comes_twice_is_given_once);
    tcase_add_test(tests, numbers_may_wrap);
    tcase_add_test(tests, the_sum_is_right_in_any_order);
    tcase_add_test(tests, no_more_senders_than_fit_are_remembered);
    tcase_add_test(tests, a_stranger_does_not_end_the_conversation);
    tcase_add_test(tests, a_stranger_does_not_disturb_the_counts_of_others);
    tcase_add_test(tests, answers_go_to_who_was_heard_last);
    tcase_add_test(tests, the_first_to_come_can_be_greeted);
    tcase_add_test(tests, a_sender_learns_that_nobody_receives);
    tcase_add_test(tests, a_capacity_above_the_limit_is_an_error);
    tcase_add_test(tests, a_machine_that_vanished_is_no_end);
    tcase_add_test(tests, closing_with_something_unread_loses_nothing);
    tcase_add_test(tests, a_client_that_is_gone_before_it_is_accepted);
    tcase_add_test(tests, the_port_is_told_however_it_was_written);
    tcase_add_test(tests, both_ends_have_the_settings);
    tcase_add_test(tests, names_that_are_none_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
