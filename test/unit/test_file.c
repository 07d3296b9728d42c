/* SPDX-License-Identifier: MIT */
/* file: - readers that follow, ends, lines and bytes, readiness, and what may happen to a file. */
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "asleep.h"
#include "file_fixture.h"
#include "sys/sys.h"

START_TEST(every_reader_gets_all)
{
    tong_channel *sender = open_channel("", TONG_SEND);
    tong_message message = TONG_MESSAGE_INIT;
    send_text(sender, "one");
    message.type = -77;
    ck_assert_int_eq(tong_channel_send(sender, NULL, 0, &message, 0), 0);
    send_text(sender, "three\n");
    for (int i = 0; i < 2; i++) {
        tong_channel *reader = open_channel("", TONG_RECEIVE);
        expect(reader, "one");
        ck_assert_int_eq(tong_channel_receive(reader, NULL, 0, &message, 0), 0);
        ck_assert_int_eq(message.type, -77);
        expect(reader, "three\n");
        ck_assert_int_eq(receive_now(reader), -EAGAIN);
        tong_channel_close(reader);
    }
    tong_channel *late = open_channel("?from=end", TONG_RECEIVE);
    ck_assert_int_eq(receive_now(late), -EAGAIN);
    send_text(sender, "four");
    expect(late, "four");
    tong_channel_close(late);
    tong_channel_close(sender);
}
END_TEST

START_TEST(ends)
{
    tong_channel *reader = open_channel("", TONG_RECEIVE), *follower = open_channel("?follow=yes", TONG_RECEIVE);
    tong_channel *sender = open_channel("", TONG_SEND);
    send_text(sender, "first");
    ck_assert_int_eq(tong_channel_close(sender), 0);
    sender = open_channel("", TONG_SEND);
    ck_assert_int_eq(tong_channel_close(sender), 0); /* sent nothing: marks no end */
    sender = open_channel("", TONG_SEND);
    send_text(sender, "second");
    ck_assert_int_eq(tong_channel_finish(sender, 0), 0);
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 0), -EPIPE);
    ck_assert_int_eq(tong_channel_close(sender), 0);
    expect(reader, "first"); /* and its END, which something follows */
    expect(reader, "second");
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    sender = open_channel("", TONG_SEND); /* is there, so this may not be the end */
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    ck_assert_int_eq(tong_channel_close(sender), 0);
    ck_assert_int_eq(tong_channel_receive(reader, NULL, 0, NULL, TONG_FOREVER), -ENODATA);
    expect(follower, "first");
    expect(follower, "second");
    ck_assert_int_eq(receive_now(follower), -EAGAIN);
    tong_channel_close(follower);
    tong_channel_close(reader);
}
END_TEST

/* Two senders: the first END is not the end; the reader that waits is woken when the second goes, though it sent nothing. */
START_TEST(last_one_ends)
{
    tong_channel *reader = open_channel("", TONG_RECEIVE);
    tong_channel *first = open_channel("", TONG_SEND), *second = open_channel("", TONG_SEND);
    send_text(first, "only");
    ck_assert_int_eq(tong_channel_close(first), 0);
    expect(reader, "only");
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    pid_t child = fork();
    if (child == 0) {
        tong_channel *own = NULL; /* an inherited one may not be used, and would keep the second sender there */
        tong_channel_close(second);
        int r = tong_channel_open(address, TONG_RECEIVE, 0, &own);
        char text[8];
        if (r == 0 && tong_channel_receive(own, text, sizeof text, NULL, TONG_FOREVER) == 4)
            r = (int)tong_channel_receive(own, text, sizeof text, NULL, TONG_FOREVER);
        tong_channel_close(own);
        _exit(r != -ENODATA);
    }
    wait_asleep(child);
    ck_assert_int_eq(tong_channel_close(second), 0);
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    tong_channel_close(reader);
}
END_TEST

/* A second sender sends, and ends, just as the reader asks whether anybody is there behind the first one's END. */
static tong_channel *overtaking;

static int overtake(const char *call)
{
    tong_channel *sender = overtaking;
    if (!sender || strcmp(call, "fcntl_lock"))
        return 0;
    overtaking = NULL;
    send_text(sender, "late");
    return tong_channel_finish(sender, 0);
}

START_TEST(an_end_that_is_overtaken)
{
    tong_channel *reader = open_channel("", TONG_RECEIVE);
    tong_channel *first = open_channel("", TONG_SEND), *second = open_channel("", TONG_SEND);
    send_text(first, "only");
    ck_assert_int_eq(tong_channel_close(first), 0);
    expect(reader, "only");
    overtaking = second;
    sys_fault = overtake;
    expect(reader, "late");
    sys_fault = NULL;
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    tong_channel_close(second);
    tong_channel_close(reader);
}
END_TEST

/* Who could not mark the end has not gone. */
START_TEST(an_end_that_fails)
{
    tong_channel *reader = open_channel("", TONG_RECEIVE);
    tong_channel *first = open_channel("", TONG_SEND), *second = open_channel("", TONG_SEND);
    int holder = open(path, O_RDWR);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    send_text(first, "one");
    ck_assert_int_eq(fcntl(holder, F_OFD_SETLK, &lock), 0);
    ck_assert_int_eq(tong_channel_finish(first, TONG_MILLISECOND), -ETIMEDOUT);
    close(holder);
    send_text(second, "two");
    ck_assert_int_eq(tong_channel_close(second), 0);
    expect(reader, "one");
    expect(reader, "two");
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    send_text(first, "three");
    expect(reader, "three");
    ck_assert_int_eq(tong_channel_close(first), 0);
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    tong_channel_close(reader);
}
END_TEST

START_TEST(lines)
{
    char text[64], longer[1500];
    tong_channel *sender = open_channel("?frame=line", TONG_SEND);
    tong_channel *reader = open_channel("?frame=line&buffer=512", TONG_RECEIVE);
    tong_channel *follower = open_channel("?frame=line&follow=yes", TONG_RECEIVE);
    send_text(sender, "one");
    send_text(sender, "");
    ck_assert_int_eq(tong_channel_send(sender, "a\nb", 3, NULL, 0), -EINVAL);
    ck_assert_uint_eq(read_raw(text, sizeof text), 5);
    ck_assert_mem_eq(text, "one\n\n", 5);
    expect(reader, "one");
    expect(reader, "");
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    write_raw("torn", 4, O_APPEND);
    send_text(sender, "two");
    expect(reader, "torn");
    expect(reader, "two");
    memset(longer, 'l', sizeof longer);
    ck_assert_int_eq(tong_channel_send(sender, longer, sizeof longer, NULL, 0), 0);
    write_raw("last", 4, O_APPEND);
    char buffer[1500];
    tong_message message = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_receive(reader, buffer, 100, &message, 0), -EMSGSIZE);
    ck_assert_uint_eq(message.length, sizeof longer);
    ck_assert_int_eq(tong_channel_receive(reader, buffer, sizeof buffer, NULL, 0), sizeof longer);
    expect(reader, "last");
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    for (int i = 0; i < 5; i++)
        tong_channel_receive(follower, buffer, sizeof buffer, NULL, 0);
    ck_assert_int_eq(receive_now(follower), -EAGAIN); /* "last" has no end yet */
    write_raw("!\n", 2, O_APPEND);
    expect(follower, "last!");
    tong_channel_close(follower);
    tong_channel_close(reader);
    tong_channel_close(sender);
}
END_TEST

START_TEST(a_line_too_long)
{
    char data[3000];
    memset(data, 'x', sizeof data);
    write_raw(data, sizeof data, 0);
    tong_channel *reader = open_channel("?frame=line&size=2000&buffer=512", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_receive(reader, data, sizeof data, NULL, 0), -EBADMSG);
    tong_channel_close(reader);
}
END_TEST

START_TEST(raw_bytes)
{
    tong_channel *sender = open_channel("?frame=none", TONG_SEND), *reader = open_channel("?frame=none", TONG_RECEIVE);
    char buffer[8];
    send_text(sender, "abc");
    send_text(sender, "defgh");
    ck_assert_int_eq(tong_channel_receive(reader, buffer, 4, NULL, 0), 4);
    ck_assert_mem_eq(buffer, "abcd", 4);
    expect(reader, "efgh");
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    tong_message message = TONG_MESSAGE_INIT;
    message.type = 3;
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, &message, 0), -EINVAL);
    tong_channel_close(reader);
    tong_channel_close(sender);
}
END_TEST

START_TEST(foreign_objects)
{
    tong_channel *channel;
    char text[256];
    write_raw("plain text\n", 11, 0);
    ck_assert_int_eq(tong_channel_open(address, TONG_SEND, 0, &channel), -EEXIST);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "is not a tong record file; use ?frame=line or ?frame=none"));
    ck_assert_int_eq(tong_channel_open(address, TONG_RECEIVE, 0, &channel), -EEXIST);
    ck_assert_int_eq(file_size(), 11);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(tong_channel_open(address, TONG_SEND, 0, &channel), -EEXIST);
    ck_assert_int_eq(tong_channel_open(address, TONG_RECEIVE, 0, &channel), -EEXIST);
    ck_assert_int_eq(tong_remove(address), -EEXIST);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/dev/null", path), 0);
    ck_assert_int_eq(tong_channel_open(address, TONG_SEND, 0, &channel), -ELOOP);
    ck_assert_int_eq(tong_remove(address), -EEXIST);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(text, sizeof text, "file:%s", directory);
    ck_assert_int_eq(tong_channel_open(text, TONG_SEND, 0, &channel), -EEXIST);
    ck_assert_int_eq(tong_channel_open(text, TONG_RECEIVE, 0, &channel), -EEXIST);
    ck_assert_int_eq(tong_channel_open(address, TONG_BOTH, 0, &channel), -EOPNOTSUPP);
    ck_assert_int_eq(tong_channel_open("file:", TONG_SEND, 0, &channel), -EINVAL);
    ck_assert_int_eq(tong_remove(address), -ENOENT);
}
END_TEST

START_TEST(making_and_removing)
{
    struct stat state;
    char text[256];
    tong_channel *channel;
    tong_channel_info about = TONG_CHANNEL_INFO_INIT;
    snprintf(text, sizeof text, "%s?create=no", address);
    ck_assert_int_eq(tong_channel_open(text, TONG_RECEIVE, 0, &channel), -ENOENT);
    channel = open_channel("?remove=owner&mode=0640&sync=on", TONG_SEND);
    ck_assert_int_eq(tong_channel_describe(channel, &about), 0);
    ck_assert_uint_eq(about.flags & (TONG_INFO_CREATED | TONG_INFO_FRAMED), TONG_INFO_CREATED | TONG_INFO_FRAMED);
    ck_assert_uint_eq(about.largest, 16 << 20);
    ck_assert_int_eq(stat(path, &state), 0);
    ck_assert_int_eq(state.st_mode & 0777, 0640);
    send_text(channel, "on the disk");
    snprintf(text, sizeof text, "%s?create=excl", address);
    tong_channel *second;
    ck_assert_int_eq(tong_channel_open(text, TONG_SEND, 0, &second), -EEXIST);
    ck_assert_int_eq(tong_channel_close(channel), 0);
    ck_assert_int_eq(stat(path, &state), -1);
    channel = open_channel("", TONG_SEND);
    ck_assert_int_eq(stat(path, &state), 0);
    ck_assert_int_eq(state.st_mode & 0777, 0600);
    tong_channel_close(channel);
    ck_assert_int_eq(tong_remove(address), 0);
}
END_TEST

START_TEST(both_ways)
{
    char there[300], back[300], second[128];
    snprintf(second, sizeof second, "%s/other", directory);
    snprintf(there, sizeof there, "file:%s,%s", path, second);
    snprintf(back, sizeof back, "file:%s,%s", second, path);
    tong_channel *a, *b;
    ck_assert_int_eq(tong_channel_open(there, TONG_BOTH, 0, &a), 0);
    ck_assert_int_eq(tong_channel_open(back, TONG_BOTH, 0, &b), 0);
    send_text(a, "question");
    expect(b, "question");
    send_text(b, "answer");
    expect(a, "answer");
    tong_channel_close(a);
    tong_channel_close(b);
    ck_assert_int_eq(tong_remove(there), 0);
    /* What was made on the way goes again when the rest cannot be opened. */
    snprintf(there, sizeof there, "file:%s,%s/nowhere/x", path, directory);
    ck_assert_int_eq(tong_channel_open(there, TONG_BOTH, 0, &a), -ENOENT);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(sizes)
{
    const size_t length[] = { 0, 1, 479, 480, 481, 4096, 100000 };
    const size_t count = sizeof length / sizeof *length;
    char *data = malloc(100001), *buffer = malloc(100001);
    for (size_t i = 0; i < 100001; i++)
        data[i] = (char)(i * 7 + (i >> 8));
    tong_channel *sender = open_channel("?size=100000", TONG_SEND), *reader = open_channel("?buffer=512", TONG_RECEIVE);
    tong_message message = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_send(sender, data, 100001, NULL, 0), -EMSGSIZE);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(tong_channel_send(sender, data, length[i], NULL, 0), 0);
    for (size_t i = 0; i < count; i++) {
        if (length[i]) {
            ck_assert_int_eq(tong_channel_receive(reader, buffer, length[i] - 1, &message, 0), -EMSGSIZE);
            ck_assert_uint_eq(message.length, length[i]);
        }
        ck_assert_int_eq(tong_channel_receive(reader, buffer, length[i], NULL, 0), (ssize_t)length[i]);
        ck_assert_int_eq(memcmp(buffer, data, length[i]), 0);
    }
    tong_channel_close(sender);
    tong_channel_close(reader);
    free(data);
    free(buffer);
}
END_TEST

START_TEST(a_reader_is_woken)
{
    const char *options[] = { "", "?frame=line&follow=yes", "?frame=none&follow=yes", "" };
    struct receiver receiver;
    tong_channel *reader = open_channel(options[_i], TONG_RECEIVE | (_i == 3 ? TONG_CANCELLABLE : 0));
    tong_channel *sender = open_channel(options[_i], TONG_SEND);
    for (int again = 0; again < 3; again++) {
        receiver_start(&receiver, reader, again ? 20 * TONG_SECOND : TONG_FOREVER);
        send_text(sender, "wake");
        ck_assert_int_eq(receiver_join(&receiver), 4);
    }
    receiver_start(&receiver, reader, TONG_FOREVER);
    if (_i == 0 || _i == 3) {
        ck_assert_int_eq(tong_channel_finish(sender, TONG_FOREVER), 0);
        ck_assert_int_eq(receiver_join(&receiver), -ENODATA);
    } else {
        ck_assert_int_eq(tong_remove(address), 0);
        ck_assert_int_eq(receiver_join(&receiver), -ESTALE);
        ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 0), -ESTALE);
    }
    tong_channel_close(sender);
    tong_channel_close(reader);
}
END_TEST

static void caught(int number)
{
    (void)number;
}

START_TEST(waits_that_end)
{
    struct receiver receiver;
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = caught, .sa_flags = SA_RESTART }, NULL);
    tong_channel *reader = open_channel("", TONG_RECEIVE | TONG_CANCELLABLE), *sender = open_channel("", TONG_SEND);
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    int64_t start = clock_now();
    ck_assert_int_eq(tong_channel_receive(reader, NULL, 0, NULL, 30 * TONG_MILLISECOND), -ETIMEDOUT);
    ck_assert_int_ge(clock_now() - start, 30 * TONG_MILLISECOND);
    receiver_start(&receiver, reader, TONG_FOREVER);
    pthread_kill(receiver.thread, SIGUSR1);
    ck_assert_int_eq(receiver_join(&receiver), -EINTR);
    receiver_start(&receiver, reader, TONG_FOREVER);
    ck_assert_int_eq(tong_channel_cancel(reader), 0);
    ck_assert_int_eq(receiver_join(&receiver), -ECANCELED);
    send_text(sender, "still");
    expect(reader, "still");
    ck_assert_int_eq(tong_channel_receive(reader, NULL, 0, NULL, TONG_FOREVER), -ECANCELED);
    tong_channel_close(sender);
    tong_channel_close(reader);
}
END_TEST

START_TEST(a_file_that_is_cut)
{
    tong_channel *sender = open_channel("", TONG_SEND), *reader = open_channel("", TONG_RECEIVE);
    send_text(sender, "gone");
    expect(reader, "gone");
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(receive_now(reader), -ESTALE);
    send_text(sender, "new");
    tong_channel *second = open_channel("", TONG_RECEIVE);
    expect(second, "new");
    tong_channel_close(second);
    tong_channel_close(sender);
    tong_channel_close(reader);
}
END_TEST

/* Level-triggered, ready while anything is unread, not ready for ever after. */
START_TEST(readiness)
{
    struct pollfd item;
    tong_channel *sender = open_channel("", TONG_SEND), *reader = open_channel("", TONG_RECEIVE);
    send_text(sender, "one");
    send_text(sender, "two");
    ck_assert_int_eq(tong_channel_pollfd(sender, TONG_SEND, &item), 0);
    ck_assert_int_eq(poll(&item, 1, 0), 1);
    expect(reader, "one");
    ck_assert_int_eq(tong_channel_pollfd(reader, TONG_RECEIVE, &item), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(poll(&item, 1, 0), 1);
    expect(reader, "two");
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    ck_assert_int_eq(poll(&item, 1, 0), 0);
    for (int i = 0; i < 3; i++) {
        send_text(sender, "more");
        send_text(sender, "and more");
        ck_assert_int_eq(poll(&item, 1, 5000), 1);
        expect(reader, "more");
        ck_assert_int_eq(poll(&item, 1, 5000), 1);
        expect(reader, "and more");
        ck_assert_int_eq(receive_now(reader), -EAGAIN);
        ck_assert_int_eq(poll(&item, 1, 0), 0);
    }
    ck_assert_int_eq(tong_channel_finish(sender, 0), 0);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    ck_assert_int_eq(receive_now(reader), -ENODATA);
    ck_assert_int_eq(poll(&item, 1, 0), 1);
    /* The beginning of a record wakes, but does not keep awake. */
    write_raw("\xf7tng", 4, O_APPEND);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(receive_now(reader), -EAGAIN);
    ck_assert_int_eq(poll(&item, 1, 0), 0);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(receive_now(reader), -ESTALE);
    tong_channel_close(sender);
    tong_channel_close(reader);
}
END_TEST

/* Where the file may not grow any more, a message is taken back: nothing of it, and those before it stay. */
START_TEST(no_room)
{
    char data[5000] = { 0 };
    const char *options[] = { "", "?frame=line", "?frame=none" };
    tong_channel *sender = open_channel(options[_i], TONG_SEND);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 7000;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(tong_channel_send(sender, data, sizeof data, NULL, 0), 0);
    off_t size = file_size();
    ck_assert_int_eq(tong_channel_send(sender, data, sizeof data, NULL, 0), -EFBIG);
    ck_assert_int_eq(file_size(), size);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(tong_channel_send(sender, data, 10, NULL, 0), 0);
    ck_assert_int_gt(file_size(), size);
    tong_channel_close(sender);
}
END_TEST

START_TEST(a_locked_file)
{
    tong_channel *sender = open_channel("", TONG_SEND), *other = open_channel("", TONG_SEND | TONG_CANCELLABLE);
    int fd = open(path, O_RDWR);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = INT64_MAX };
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 5 * TONG_MILLISECOND), -ETIMEDOUT);
    ck_assert_int_eq(tong_channel_cancel(other), 0);
    ck_assert_int_eq(tong_channel_send(other, "x", 1, NULL, TONG_FOREVER), -ECANCELED);
    ck_assert_int_eq(file_size(), 0);
    close(fd);
    send_text(sender, "free");
    fd = open(path, O_RDWR);
    ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    ck_assert_int_eq(tong_channel_close(sender), -EAGAIN);
    close(fd);
    tong_channel_close(other);
}
END_TEST

START_TEST(forked)
{
    tong_channel *sender = open_channel("?remove=owner", TONG_SEND), *reader = open_channel("", TONG_RECEIVE);
    send_text(sender, "parent");
    pid_t child = fork();
    if (child == 0) {
        int refused = tong_channel_send(sender, "x", 1, NULL, 0);
        int r = refused == -EBADFD ? tong_channel_after_fork(sender) : -1;
        if (r == 0)
            r = tong_channel_send(sender, "child", 5, NULL, TONG_FOREVER);
        tong_channel_close(sender);
        tong_channel_close(reader);
        _exit(r != 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    send_text(sender, "parent again");
    expect(reader, "parent");
    expect(reader, "child");
    expect(reader, "parent again");
    tong_channel_close(sender);
    tong_channel_close(reader);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

static int faults_left;

static int fault(const char *call)
{
    return strcmp(call, "close") && --faults_left == 0 ? -EIO : 0;
}

/* Sends and receives with one of its system calls failing; 0 if none failed any more. */
static int exchange(const char *text)
{
    tong_channel *sender = NULL, *reader = NULL;
    struct pollfd item;
    char buffer[8];
    int r = tong_channel_open(text, TONG_SEND, 0, &sender);
    if (r == 0)
        r = tong_channel_open(text, TONG_RECEIVE, 0, &reader);
    if (r == 0)
        r = tong_channel_pollfd(reader, TONG_RECEIVE, &item);
    if (r == 0)
        r = tong_channel_pollfd(sender, TONG_SEND, &item);
    if (r == 0)
        r = tong_channel_send(sender, "x", 1, NULL, 0);
    if (r == 0)
        r = (int)tong_channel_receive(reader, buffer, 8, NULL, TONG_FOREVER) == 1 ? 0 : -1;
    int closed = tong_channel_close(sender);
    tong_channel_close(reader);
    return r == 0 ? closed : r;
}

START_TEST(failing_calls)
{
    char text[200];
    snprintf(text, sizeof text, "%s?remove=owner&sync=on", address);
    for (int n = 1, r = -1; r < 0; n++) {
        ck_assert_int_lt(n, 100);
        faults_left = n;
        sys_fault = fault;
        r = exchange(text);
        sys_fault = NULL;
        ck_assert(r == 0 || *tong_detail());
        unlink(path);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, every_reader_gets_all);
    tcase_add_test(tests, ends);
    tcase_add_test(tests, last_one_ends);
    tcase_add_test(tests, an_end_that_is_overtaken);
    tcase_add_test(tests, an_end_that_fails);
    tcase_add_test(tests, lines);
    tcase_add_test(tests, a_line_too_long);
    tcase_add_test(tests, raw_bytes);
    tcase_add_test(tests, foreign_objects);
    tcase_add_test(tests, making_and_removing);
    tcase_add_test(tests, both_ways);
    tcase_add_test(tests, sizes);
    tcase_add_loop_test(tests, a_reader_is_woken, 0, 4);
    tcase_add_test(tests, waits_that_end);
    tcase_add_test(tests, a_file_that_is_cut);
    tcase_add_test(tests, readiness);
    tcase_add_loop_test(tests, no_room, 0, 3);
    tcase_add_test(tests, a_locked_file);
    tcase_add_test(tests, forked);
    tcase_add_test(tests, failing_calls);
}

int main(void)
{
    TCase *tests = tcase_create("file");
    add_tests(tests);
    return run_case(tests, "file");
}
