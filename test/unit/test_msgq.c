/* SPDX-License-Identifier: MIT */
/* msgq: against the calls of the kernel that it stands on, and against a plain C peer. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>

#include "asleep.h"
#include "sys/sys.h"

static char path[] = "/tmp/tong-test-msgq-XXXXXX";
static char address[128];
static int raw; /* the same queue by its own calls */

struct letter {
    long type;
    char text[8192];
};

static void setup(void)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    snprintf(address, sizeof address, "msgq:%s#A", path);
    raw = msgget(ftok(path, 'A'), IPC_CREAT | IPC_EXCL | 0600);
    ck_assert_int_ge(raw, 0);
}

static void teardown(void)
{
    if (raw >= 0)
        msgctl(raw, IPC_RMID, NULL);
    unlink(path);
}

static tong_channel *open_channel(const char *options, uint32_t flags)
{
    char text[256];
    tong_channel *channel = NULL;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    ck_assert_msg(r == 0, "%s: %s", text, tong_detail());
    return channel;
}

static void send_typed(tong_channel *channel, const char *text, int64_t type)
{
    tong_message message = TONG_MESSAGE_INIT;
    message.type = type;
    int r = tong_channel_send(channel, text, strlen(text), &message, 0);
    ck_assert_msg(r == 0, "%s", tong_detail());
}

static void expect(tong_channel *channel, const char *text, int64_t type)
{
    char buffer[64];
    tong_message message = TONG_MESSAGE_INIT;
    ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, &message, 0);
    ck_assert_msg(r == (ssize_t)strlen(text), "%zd for '%s': %s", r, text, tong_detail());
    ck_assert_mem_eq(buffer, text, (size_t)r);
    ck_assert_int_eq(message.type, type);
    ck_assert_uint_eq(message.length, (uint64_t)r);
    ck_assert_uint_eq(message.sender.source, TONG_IDENTITY_NONE);
}

START_TEST(names)
{
    char text[128], words[160];
    struct msqid_ds state;
    ck_assert_int_eq(msgctl(raw, IPC_STAT, &state), 0);
    const unsigned key = (unsigned)state.msg_perm.__key;
    for (int i = 0; i < 3; i++) {
        if (i < 2)
            snprintf(text, sizeof text, i ? "msgq:0x%x" : "msgq:%u", key);
        else
            snprintf(text, sizeof text, "msgq:id=%d", raw);
        tong_channel *channel = NULL;
        tong_channel_info description = TONG_CHANNEL_INFO_INIT;
        ck_assert_msg(tong_channel_open(text, TONG_BOTH, 0, &channel) == 0, "%s", tong_detail());
        ck_assert_int_eq(tong_channel_describe(channel, &description), 0);
        snprintf(words, sizeof words, "%s (key 0x%x, id %d)", text, key, raw);
        ck_assert_str_eq(description.object, words);
        ck_assert(!(description.flags & TONG_INFO_CREATED) && description.flags & TONG_INFO_ENDLESS);
        tong_channel_close(channel);
    }
}
END_TEST

START_TEST(bad_names)
{
    const char *bad[] = { "msgq:", "msgq:0", "msgq:0x", "msgq:12x", "msgq:4294967296", "msgq:1,2", "msgq:id=",
                          "msgq:id=-1", "msgq:id=x", "msgq:/etc/passwd#", "msgq:/etc/passwd#AB", "msgq:/etc/passwd#256",
                          "msgq:1?frame=line", "msgq:1?type=0", "msgq:1?select=0", "msgq:1?remove=last" };
    tong_channel *channel;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(tong_channel_open(bad[i], TONG_BOTH, 0, &channel) == -EINVAL, "%s: %s", bad[i], tong_detail());
    ck_assert_int_eq(tong_channel_open("msgq:/nowhere/at/all#A", TONG_BOTH, 0, &channel), -ENOENT);
    ck_assert_int_eq(tong_channel_open("msgq:id=2147483647", TONG_BOTH, 0, &channel), -ENOENT);
    ck_assert_int_eq(tong_remove("msgq:id=2147483647"), -ENOENT);
}
END_TEST

START_TEST(create_and_remove)
{
    tong_channel *channel = NULL;
    char text[160];
    struct msqid_ds state;
    snprintf(text, sizeof text, "%s?create=excl", address);
    ck_assert_int_eq(tong_channel_open(text, TONG_BOTH, 0, &channel), -EEXIST);
    ck_assert_int_eq(tong_remove(address), 0);
    ck_assert_int_eq(tong_remove(address), -ENOENT);
    snprintf(text, sizeof text, "%s?create=no", address);
    ck_assert_int_eq(tong_channel_open(text, TONG_BOTH, 0, &channel), -ENOENT);

    channel = open_channel("?remove=owner&capacity=4096", TONG_BOTH);
    raw = msgget(ftok(path, 'A'), 0);
    ck_assert_int_eq(msgctl(raw, IPC_STAT, &state), 0);
    ck_assert_int_eq(state.msg_perm.mode & 0777, 0600);
    ck_assert_uint_eq(state.msg_qbytes, 4096);
    tong_channel *second = open_channel("?remove=owner", TONG_BOTH);
    ck_assert_int_eq(tong_channel_close(second), 0);
    ck_assert_int_eq(msgctl(raw, IPC_STAT, &state), 0);
    ck_assert_int_eq(tong_channel_close(channel), 0);
    ck_assert_int_eq(msgctl(raw, IPC_STAT, &state), -1);
    raw = -1;
}
END_TEST

START_TEST(nothing_left_when_opening_fails)
{
    tong_channel *channel;
    char text[160];
    ck_assert_int_eq(tong_remove(address), 0);
    raw = -1;
    snprintf(text, sizeof text, "%s?capacity=2147483647", address);
    int r = tong_channel_open(text, TONG_BOTH, 0, &channel);
    if (r == 0) { /* root may set any capacity */
        tong_channel_close(channel);
        ck_assert_int_eq(tong_remove(address), 0);
        return;
    }
    ck_assert_int_eq(r, -EPERM);
    ck_assert_int_eq(msgget(ftok(path, 'A'), 0), -1);
}
END_TEST

START_TEST(foreign_peer)
{
    tong_channel *channel = open_channel("", TONG_BOTH);
    pid_t child = fork();
    if (child == 0) { /* plain C: takes type 1, answers with type 2 in capitals */
        struct letter letter;
        ssize_t size = msgrcv(raw, &letter, sizeof letter.text, 1, 0);
        for (ssize_t i = 0; i < size; i++)
            letter.text[i] = (char)(letter.text[i] - 32);
        letter.type = 2;
        _exit(size < 0 || msgsnd(raw, &letter, (size_t)size, 0) < 0);
    }
    send_typed(channel, "hello", 0);
    ck_assert_int_eq(tong_channel_select(channel, TONG_SELECT_EQUAL, 2), 0);
    char buffer[16];
    tong_message message = TONG_MESSAGE_INIT;
    ck_assert_int_eq(tong_channel_receive(channel, buffer, sizeof buffer, &message, TONG_FOREVER), 5);
    ck_assert_mem_eq(buffer, "HELLO", 5);
    ck_assert_int_eq(message.type, 2);
    tong_identity peer = TONG_IDENTITY_INIT;
    ck_assert_int_eq(tong_channel_peer(channel, &peer), 0);
    ck_assert_int_eq(peer.pid, child);
    ck_assert_uint_eq(peer.source, TONG_IDENTITY_LAST);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    tong_channel_close(channel);
}
END_TEST

START_TEST(nothing_is_added)
{
    tong_channel *channel = open_channel("?type=7", TONG_SEND);
    struct letter letter;
    send_typed(channel, "as it is", 0);
    send_typed(channel, "", 9);
    ck_assert_int_eq(msgrcv(raw, &letter, sizeof letter.text, 0, IPC_NOWAIT), 8);
    ck_assert_mem_eq(letter.text, "as it is", 8);
    ck_assert_int_eq(letter.type, 7);
    ck_assert_int_eq(msgrcv(raw, &letter, sizeof letter.text, 0, IPC_NOWAIT), 0);
    ck_assert_int_eq(letter.type, 9);
    tong_channel_close(channel);
}
END_TEST

START_TEST(selection)
{
    tong_channel *channel = open_channel("", TONG_BOTH);
    const struct { int64_t type; const char *text; } sent[] = {
        { 5, "a" }, { 3, "b" }, { 5, "c" }, { 1, "d" }, { 9, "e" }, { 3, "f" },
    };
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
        send_typed(channel, sent[i].text, sent[i].type);
    ck_assert_int_eq(tong_channel_select(channel, TONG_SELECT_EQUAL, 3), 0);
    expect(channel, "b", 3);
    ck_assert_int_eq(tong_channel_select(channel, TONG_SELECT_UP_TO, 4), 0);
    expect(channel, "d", 1);
    expect(channel, "f", 3);
    ck_assert_int_eq(tong_channel_receive(channel, NULL, 0, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_select(channel, TONG_SELECT_EXCEPT, 5), 0);
    expect(channel, "e", 9);
    ck_assert_int_eq(tong_channel_receive(channel, NULL, 0, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_select(channel, TONG_SELECT_FIRST, 0), 0);
    expect(channel, "a", 5);
    expect(channel, "c", 5);
    ck_assert_int_eq(tong_channel_select(channel, TONG_SELECT_EQUAL, 0), -EINVAL);
    tong_channel_close(channel);
}
END_TEST

START_TEST(selection_by_address)
{
    const struct { const char *options; const char *text; int64_t type; } rows[] = {
        { "?select=4", "four", 4 }, { "?select=<=3", "two", 2 },
        { "?select=!6", "eight", 8 }, { "?select=first", "six", 6 },
    };
    tong_channel *sender = open_channel("", TONG_SEND);
    send_typed(sender, "six", 6);
    send_typed(sender, "eight", 8);
    send_typed(sender, "two", 2);
    send_typed(sender, "four", 4);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tong_channel *receiver = open_channel(rows[i].options, TONG_RECEIVE);
        expect(receiver, rows[i].text, rows[i].type);
        tong_channel_close(receiver);
    }
    tong_channel_close(sender);
}
END_TEST

/* For each rule: a buffer that is too small leaves the chosen message there and learns its very length. */
START_TEST(too_small_a_buffer)
{
    const struct { int rule; int64_t type; size_t length; } rows[] = {
        { TONG_SELECT_EQUAL, 3, 300 }, { TONG_SELECT_UP_TO, 4, 200 },
        { TONG_SELECT_EXCEPT, 9, 300 }, { TONG_SELECT_FIRST, 0, 900 },
    };
    const struct { int64_t type; size_t length; } sent[] = { { 9, 900 }, { 3, 300 }, { 2, 200 } };
    char data[1024] = { 'x' }, buffer[1024];
    tong_channel *channel = open_channel("", TONG_BOTH);
    tong_message message = TONG_MESSAGE_INIT;
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        message.type = sent[i].type;
        ck_assert_int_eq(tong_channel_send(channel, data, sent[i].length, &message, 0), 0);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(tong_channel_select(channel, rows[i].rule, rows[i].type), 0);
        for (int again = 0; again < 2; again++) {
            ck_assert_int_eq(tong_channel_receive(channel, buffer, 10, &message, TONG_FOREVER), -EMSGSIZE);
            ck_assert_uint_eq(message.length, rows[i].length);
        }
    }
    struct msqid_ds state;
    ck_assert_int_eq(msgctl(raw, IPC_STAT, &state), 0);
    ck_assert_uint_eq(state.msg_qnum, 3);
    ck_assert_int_eq(tong_channel_receive(channel, buffer, 900, &message, 0), 900);
    tong_channel_close(channel);
}
END_TEST

START_TEST(limits)
{
    tong_channel *channel = open_channel("", TONG_BOTH);
    tong_channel_info state = TONG_CHANNEL_INFO_INIT;
    ck_assert_int_eq(tong_channel_describe(channel, &state), 0);
    char *data = calloc(1, state.largest + 1), *buffer = malloc(state.largest);
    ck_assert_int_eq(tong_channel_send(channel, data, state.largest + 1, NULL, TONG_FOREVER), -EMSGSIZE);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "msg"));
    ck_assert_int_eq(tong_channel_send(channel, data, state.largest, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_describe(channel, &state), 0);
    ck_assert_uint_eq(state.messages, 1);
    ck_assert_uint_eq(state.depth, state.largest);
    ck_assert_uint_eq(state.identity, TONG_IDENTITY_LAST);
    ck_assert_int_eq(tong_channel_receive(channel, buffer, state.largest, NULL, 0), (ssize_t)state.largest);
    tong_message message = TONG_MESSAGE_INIT;
    message.type = -1;
    ck_assert_int_eq(tong_channel_send(channel, data, 1, &message, 0), -EINVAL);
    ck_assert_int_eq(tong_channel_finish(channel, 0), -EOPNOTSUPP);
    tong_channel_close(channel);
    free(data);
    free(buffer);
}
END_TEST

/* A queue with little room refuses at once what would otherwise wait for ever. */
START_TEST(larger_than_the_queue)
{
    char data[200] = { 0 };
    tong_channel *channel = open_channel("?capacity=100", TONG_SEND);
    ck_assert_int_eq(tong_channel_send(channel, data, 101, NULL, TONG_FOREVER), -EMSGSIZE);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "msg_qbytes"));
    ck_assert_int_eq(tong_channel_send(channel, data, 100, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_send(channel, data, 1, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_send(channel, data, 1, NULL, 5 * TONG_MILLISECOND), -ETIMEDOUT);
    tong_channel_close(channel);
}
END_TEST

/* In an IPC namespace of its own, if we may make one: the limit is the machine's. */
static bool set_msgmax(const char *text)
{
    int fd = open("/proc/sys/kernel/msgmax", O_WRONLY);
    bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;
    close(fd);
    return done;
}

static int receive_what_is_above_msgmax(void)
{
    static char text[12000];
    tong_channel *channel;
    tong_message message = TONG_MESSAGE_INIT;
    if (unshare(CLONE_NEWIPC) < 0 || !set_msgmax("16000"))
        return 0;
    if (tong_channel_open("msgq:1?remove=owner", TONG_BOTH, 0, &channel) < 0)
        return 1;
    if (tong_channel_send(channel, text, sizeof text, NULL, 0) < 0 || !set_msgmax("8192"))
        return 2;
    if (tong_channel_receive(channel, text, 9000, &message, 0) != -EMSGSIZE || message.length != sizeof text)
        return 3;
    return tong_channel_receive(channel, text, message.length, NULL, 0) == sizeof text ? tong_channel_close(channel) : 4;
}

START_TEST(limits_that_shrink)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(receive_what_is_above_msgmax());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(timeouts)
{
    tong_channel *channel = open_channel("", TONG_RECEIVE);
    char buffer[8];
    ck_assert_int_eq(tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    int64_t start = clock_now();
    ck_assert_int_eq(tong_channel_receive(channel, buffer, sizeof buffer, NULL, 30 * TONG_MILLISECOND), -ETIMEDOUT);
    ck_assert_int_ge(clock_now() - start, 30 * TONG_MILLISECOND);
    tong_channel_close(channel);
}
END_TEST

START_TEST(woken_by_a_message)
{
    const uint32_t cancellable[] = { 0, TONG_CANCELLABLE };
    const int64_t timeout[] = { TONG_FOREVER, 20 * TONG_SECOND };
    struct receiver receiver;
    tong_channel *sender = open_channel("", TONG_SEND);
    tong_channel *channel = open_channel("", TONG_RECEIVE | cancellable[_i & 1]);
    receiver_start(&receiver, channel, timeout[_i >> 1]);
    send_typed(sender, "wake", 0);
    ck_assert_int_eq(receiver_join(&receiver), 4);
    tong_channel_close(channel);
    tong_channel_close(sender);
}
END_TEST

START_TEST(removal_wakes)
{
    const uint32_t cancellable[] = { 0, TONG_CANCELLABLE };
    struct receiver receiver;
    tong_channel *channel = open_channel("", TONG_RECEIVE | cancellable[_i]);
    receiver_start(&receiver, channel, TONG_FOREVER);
    ck_assert_int_eq(tong_remove(address), 0);
    raw = -1;
    ck_assert_int_eq(receiver_join(&receiver), -EIDRM);
    ck_assert_int_eq(tong_channel_receive(channel, receiver.buffer, 1, NULL, TONG_FOREVER), -EIDRM);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "RemoveIPC"));
    tong_channel_close(channel);
}
END_TEST

START_TEST(cancelling)
{
    struct receiver receiver;
    tong_channel *channel = open_channel("", TONG_BOTH | TONG_CANCELLABLE);
    receiver_start(&receiver, channel, _i ? 20 * TONG_SECOND : TONG_FOREVER);
    ck_assert_int_eq(tong_channel_cancel(channel), 0);
    ck_assert_int_eq(receiver_join(&receiver), -ECANCELED);
    send_typed(channel, "still", 0);
    expect(channel, "still", 1);
    ck_assert_int_eq(tong_channel_receive(channel, receiver.buffer, 1, NULL, TONG_FOREVER), -ECANCELED);
    tong_channel_close(channel);
    channel = open_channel("", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_cancel(channel), -EOPNOTSUPP);
    tong_channel_close(channel);
}
END_TEST

static void caught(int number)
{
    (void)number;
}

START_TEST(interrupted)
{
    const uint32_t cancellable[] = { 0, TONG_CANCELLABLE };
    struct receiver receiver;
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = caught, .sa_flags = SA_RESTART }, NULL);
    tong_channel *channel = open_channel("", TONG_RECEIVE | cancellable[_i]);
    receiver_start(&receiver, channel, TONG_FOREVER);
    pthread_kill(receiver.thread, SIGUSR1);
    ck_assert_int_eq(receiver_join(&receiver), -EINTR);
    tong_channel_close(channel);
}
END_TEST

START_TEST(polling)
{
    tong_channel *channel = open_channel("?poll=1ms", TONG_BOTH);
    struct pollfd item;
    char buffer[8];
    ck_assert_int_eq(tong_channel_pollfd(channel, TONG_SEND, &item), 0);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(tong_channel_pollfd(channel, TONG_RECEIVE, &item), 0);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0), -EAGAIN);
    send_typed(channel, "tick", 0);
    ck_assert_int_eq(poll(&item, 1, 5000), 1);
    ck_assert_int_eq(tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0), 4);
    tong_channel_close(channel);
    channel = open_channel("", TONG_BOTH);
    ck_assert_int_eq(tong_channel_pollfd(channel, TONG_RECEIVE, &item), -EOPNOTSUPP);
    tong_channel_close(channel);
}
END_TEST

/* A child takes it over; and when it closes it, taken over or not, the queue that its parent made stays. */
START_TEST(a_child_takes_it_over)
{
    ck_assert_int_eq(tong_remove(address), 0);
    tong_channel *channel = open_channel("?remove=owner", TONG_BOTH);
    pid_t child = fork();
    if (child == 0) {
        int r = tong_channel_send(channel, "child", 5, NULL, 0) == -EBADFD ? 0 : -1;
        if (r == 0 && _i)
            r = tong_channel_after_fork(channel);
        if (r == 0 && _i)
            r = tong_channel_send(channel, "child", 5, NULL, TONG_FOREVER);
        tong_channel_close(channel);
        _exit(r != 0);
    }
    int status;
    raw = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    if (_i)
        expect(channel, "child", 1);
    ck_assert_int_eq(tong_channel_close(channel), 0);
    ck_assert_int_eq(tong_remove(address), -ENOENT);
}
END_TEST

/* A message and a buffer above what was known at opening: the packets grow when the limits do. */
START_TEST(limits_that_grow)
{
    char data[300] = { 1 }, buffer[300];
    tong_channel *channel = open_channel("?capacity=100", TONG_BOTH);
    tong_channel *wider = open_channel("?capacity=1000", TONG_SEND);
    ck_assert_int_eq(tong_channel_send(channel, data, sizeof data, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0), sizeof data);
    ck_assert_mem_eq(buffer, data, sizeof data);
    tong_channel_close(channel);
    tong_channel_close(wider);
}
END_TEST

static int faults_left;

static int fault(const char *call)
{
    return strcmp(call, "close") && --faults_left == 0 ? -ENOMEM : 0;
}

/* The nth system call fails, for every n: an error, nothing left behind. */
START_TEST(failing_calls)
{
    tong_channel *channel;
    struct pollfd item;
    char buffer[8], text[160];
    snprintf(text, sizeof text, "%s?poll=1ms&capacity=5000", address);
    for (int n = 1, r = -1; r < 0; n++) {
        ck_assert_int_lt(n, 100);
        tong_remove(address);
        faults_left = n;
        sys_fault = fault;
        r = tong_channel_open(text, TONG_BOTH | TONG_CANCELLABLE, 0, &channel);
        if (r == 0) {
            r = tong_channel_send(channel, "x", 1, NULL, 0);
            int received = r == 0 ? (int)tong_channel_receive(channel, buffer, 8, NULL, 0) : r;
            int polled = received == 1 ? tong_channel_pollfd(channel, TONG_RECEIVE, &item) : received;
            r = polled < 0 ? polled : 0;
            tong_channel_close(channel);
        } else {
            sys_fault = NULL;
            ck_assert_msg(msgget(ftok(path, 'A'), 0) == -1, "call %d failed (%s) and the queue stays", n,
                          tong_detail());
        }
        sys_fault = NULL;
    }
    raw = msgget(ftok(path, 'A'), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("msgq");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, names);
    tcase_add_test(tests, bad_names);
    tcase_add_test(tests, create_and_remove);
    tcase_add_test(tests, nothing_left_when_opening_fails);
    tcase_add_test(tests, foreign_peer);
    tcase_add_test(tests, nothing_is_added);
    tcase_add_test(tests, selection);
    tcase_add_test(tests, selection_by_address);
    tcase_add_test(tests, too_small_a_buffer);
    tcase_add_test(tests, limits);
    tcase_add_test(tests, larger_than_the_queue);
    tcase_add_test(tests, limits_that_grow);
    tcase_add_test(tests, limits_that_shrink);
    tcase_add_test(tests, timeouts);
    tcase_add_loop_test(tests, woken_by_a_message, 0, 4);
    tcase_add_loop_test(tests, removal_wakes, 0, 2);
    tcase_add_loop_test(tests, cancelling, 0, 2);
    tcase_add_loop_test(tests, interrupted, 0, 2);
    tcase_add_test(tests, polling);
    tcase_add_loop_test(tests, a_child_takes_it_over, 0, 2);
    tcase_add_test(tests, failing_calls);
    Suite *suite = suite_create("msgq");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
