/* SPDX-License-Identifier: MIT */
/* The names of FIFOs and sockets, with calls that fail or are overtaken at a moment that cannot be met from outside. */
#include "stream_fixture.h"

static int opens;

/* A reader that comes and goes before the writer has looked again, twice. */
static int reader_gone_again(const char *call)
{
    if (strcmp(call, "open"))
        return 0;
    opens++;
    return opens == 1 || opens == 3 ? -ENXIO : 0;
}

START_TEST(waiting_again_for_a_reader_keeps_no_descriptor)
{
    tong_channel *reader = open_fifo("", TONG_RECEIVE), *writer;
    opens = 0;
    sys_fault = reader_gone_again;
    int r = tong_channel_open(address, TONG_SEND, TONG_FOREVER, &writer);
    sys_fault = NULL;
    ck_assert_int_eq(r, 0);
    ck_assert_int_ge(opens, 5);
    tong_channel_close(writer);
    tong_channel_close(reader);
}
END_TEST

/* A writer that comes and goes while the reader has only one of its two descriptions. */
static int writer_in_between(const char *call)
{
    if (strcmp(call, "open") || ++opens != 2)
        return 0;
    sys_fault = NULL;
    tong_channel *writer;
    ck_assert_int_eq(tong_channel_open(address, TONG_SEND, 0, &writer), 0);
    ck_assert_int_eq(tong_channel_send(writer, "a", 1, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_close(writer), 0);
    return 0;
}

START_TEST(a_writer_that_was_there_during_the_open_has_ended)
{
    char buffer[16];
    struct pollfd ready;
    tong_channel *reader;
    opens = 0;
    sys_fault = writer_in_between;
    int r = tong_channel_open(address, TONG_RECEIVE, 0, &reader);
    sys_fault = NULL;
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(tong_channel_pollfd(reader, TONG_RECEIVE, &ready), 0);
    ck_assert_int_eq(tong_channel_receive(reader, buffer, sizeof buffer, NULL, 0), 1);
    ck_assert_int_eq(poll(&ready, 1, 0), 1);
    ck_assert_int_eq(tong_channel_receive(reader, buffer, sizeof buffer, NULL, 0), -ENODATA);
    tong_channel_close(reader);
}
END_TEST

static int refuse_capacity(const char *call)
{
    return strcmp(call, "fcntl_int") || ++opens != 2 ? 0 : -EPERM; /* the first is F_SETFL */
}

START_TEST(a_capacity_that_cannot_be_had_is_an_error)
{
    tong_channel *reader;
    char text[160];
    snprintf(text, sizeof text, "%s?capacity=1G", address);
    opens = 0;
    sys_fault = refuse_capacity;
    int r = tong_channel_open(text, TONG_RECEIVE, 0, &reader);
    sys_fault = NULL;
    ck_assert_int_eq(r, -EPERM);
}
END_TEST

/* The umask belongs to what a process makes by default, not to what was asked for by number. */
START_TEST(a_socket_has_the_mode_that_was_asked)
{
    char text[160];
    struct stat status;
    tong_listener *listener;
    snprintf(text, sizeof text, "unix:%s?mode=0666", path);
    mode_t old = umask(077);
    int r = tong_listener_open(text, 0, &listener);
    umask(old);
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(lstat(path, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0666);
    tong_listener_close(listener);
}
END_TEST

/* A newcomer while a server has bound its path and does not listen yet. */
static int second_server(const char *call)
{
    char text[160];
    tong_listener *listener;
    if (strcmp(call, "listen"))
        return 0;
    sys_fault = NULL;
    snprintf(text, sizeof text, "unix:%s", path);
    ck_assert_int_lt(tong_listener_open(text, 0, &listener), 0);
    return 0;
}

START_TEST(a_server_about_to_listen_is_not_taken_for_a_dead_one)
{
    char text[160];
    tong_listener *listener;
    tong_channel *client;
    snprintf(text, sizeof text, "unix:%s", path);
    sys_fault = second_server;
    ck_assert_int_eq(tong_listener_open(text, 0, &listener), 0);
    ck_assert_int_eq(tong_channel_open(text, TONG_SEND, 0, &client), 0);
    tong_channel_close(client);
    tong_listener_close(listener);
}
END_TEST

/* Who closes late must not take the name of the one that came after it. */
START_TEST(a_name_that_is_anothers_by_now_stays)
{
    char text[160];
    tong_listener *old, *new;
    snprintf(text, sizeof text, "unix:%s", path);
    ck_assert_int_eq(tong_listener_open(text, 0, &old), 0);
    ck_assert_int_eq(tong_remove(text), 0);
    ck_assert_int_eq(tong_listener_open(text, 0, &new), 0);
    tong_listener_close(old);
    ck_assert_int_eq(access(path, F_OK), 0);
    tong_listener_close(new);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

/* Nobody sends what the kernel does not vouch for when it was not asked to. */
START_TEST(datagrams_without_creds_say_so)
{
    char text[160];
    tong_channel *c;
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    for (int creds = 0; creds < 2; creds++) {
        snprintf(text, sizeof text, "unix:%s?socket=datagram&creds=%s", path, creds ? "on" : "off");
        ck_assert_int_eq(tong_channel_open(text, TONG_RECEIVE, 0, &c), 0);
        ck_assert_int_eq(tong_channel_describe(c, &info), 0);
        ck_assert_uint_eq(info.identity, creds ? TONG_IDENTITY_MESSAGE : TONG_IDENTITY_NONE);
        tong_channel_close(c);
    }
}
END_TEST

/* An abstract name has no mode that the kernel would mind. */
START_TEST(an_abstract_name_takes_no_strangers_datagrams)
{
    if (geteuid() != 0)
        return;
    char text[96], buffer[16];
    tong_channel *c;
    snprintf(text, sizeof text, "unix:@%s?socket=datagram&mode=%s", path, _i ? "0666" : "0600");
    ck_assert_int_eq(tong_channel_open(text, TONG_RECEIVE, 0, &c), 0);
    pid_t child = fork();
    if (child == 0) {
        tong_channel *sender;
        int r = setgid(65534) || setuid(65534) ? -EPERM : tong_channel_open(text, TONG_SEND, 0, &sender);
        _exit(r < 0 || tong_channel_send(sender, "theirs", 6, NULL, 0) < 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    tong_channel *sender;
    ck_assert_int_eq(tong_channel_open(text, TONG_SEND, 0, &sender), 0);
    ck_assert_int_eq(tong_channel_send(sender, "own", 3, NULL, 0), 0);
    if (_i)
        ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, LONG), 6);
    ck_assert_int_eq(tong_channel_receive(c, buffer, sizeof buffer, NULL, LONG), 3);
    tong_channel_close(sender);
    tong_channel_close(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream_names");
    TCase *names = new_case(suite, "names");
    tcase_add_test(names, waiting_again_for_a_reader_keeps_no_descriptor);
    tcase_add_test(names, a_writer_that_was_there_during_the_open_has_ended);
    tcase_add_test(names, a_capacity_that_cannot_be_had_is_an_error);
    tcase_add_test(names, a_socket_has_the_mode_that_was_asked);
    tcase_add_test(names, a_server_about_to_listen_is_not_taken_for_a_dead_one);
    tcase_add_test(names, a_name_that_is_anothers_by_now_stays);
    tcase_add_test(names, datagrams_without_creds_say_so);
    tcase_add_loop_test(names, an_abstract_name_takes_no_strangers_datagrams, 0, 2);
    return run(suite);
}
