/* SPDX-License-Identifier: MIT */
/* mq: against the calls of the kernel that it stands on, and against a plain C peer. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "asleep.h"

#define NOBODY 65534

#define SIZE 256
#define SMALL "?messages=10&size=256" /* what all queues of a user may hold is little, and others test, too */

static char name[64], other[80], address[80], buffer[4096];
static mqd_t raw = -1; /* the same queue by its own calls */

/* A test that fails does not come to its end: the next one, and the last, clean up behind it. */
static void sweep(void)
{
    mq_unlink(name);
    mq_unlink(other);
}

static void teardown(void)
{
    mq_close(raw);
    sweep();
}

/* The options begin with '?' when they say how large the queue shall be, else they follow those of a small one. */
static int try_open(const char *options, uint32_t flags, tong_channel **ret)
{
    char text[256];
    snprintf(text, sizeof text, "%s%s%s", address, *options == '?' ? "" : SMALL, options);
    return tong_channel_open(text, flags, 0, ret);
}

static tong_channel *open_channel(const char *options, uint32_t flags)
{
    tong_channel *channel = NULL;
    int r = try_open(options, flags, &channel);
    ck_assert_msg(r == 0, "%s%s: %s", address, options, tong_detail());
    return channel;
}

static void open_raw(void)
{
    struct mq_attr small = { .mq_maxmsg = 10, .mq_msgsize = SIZE };
    raw = mq_open(name, O_RDWR | O_NONBLOCK | O_CREAT, 0600, &small);
    ck_assert_int_ge(raw, 0);
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
    tong_message message = TONG_MESSAGE_INIT;
    ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, &message, 0);
    ck_assert_msg(r == (ssize_t)strlen(text), "%zd for '%s': %s", r, text, tong_detail());
    ck_assert_mem_eq(buffer, text, (size_t)r);
    ck_assert_int_eq(message.type, type);
    ck_assert_uint_eq(message.length, (uint64_t)r);
}

static void expect_raw(const char *text, unsigned priority)
{
    unsigned got;
    ssize_t r = mq_receive(raw, buffer, sizeof buffer, &got);
    ck_assert_msg(r == (ssize_t)strlen(text), "%zd for '%s': %s", r, text, strerror(errno));
    ck_assert_mem_eq(buffer, text, (size_t)r);
    ck_assert_uint_eq(got, priority);
}

static bool is_ready(const struct pollfd *item)
{
    struct pollfd copy = *item;
    return poll(&copy, 1, 0) == 1;
}

static void join(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "the child ended with 0x%x", status);
}

/* ---- Names and options ----------------------------------------------------------------------------------- */

START_TEST(bad_names)
{
    const char *bad[] = { "mq:", "mq:jobs", "mq:/", "mq:/a/b", "mq://a", "mq:/.", "mq:/..", "mq:/a?frame=line",
                          "mq:/a?type=32768", "mq:/a?messages=0", "mq:/a?messages=65537", "mq:/a?size=0",
                          "mq:/a?size=16777217", "mq:/a?remove=last", "mq:/a?select=1", "mq:/a,/b" };
    tong_channel *channel;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(tong_channel_open(bad[i], TONG_SEND, 0, &channel) == -EINVAL, "%s: %s", bad[i], tong_detail());
    ck_assert_int_eq(tong_channel_open("mq:jobs", TONG_SEND, 0, &channel), -EINVAL);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "write mq:/jobs"));
    char longest[NAME_MAX + 64];
    snprintf(longest, sizeof longest, "mq:%s%0*d%s", name, NAME_MAX + 1 - (int)strlen(name), 0, SMALL);
    int r = tong_channel_open(longest, TONG_SEND, 0, &channel);
    ck_assert_msg(r == 0, "%s", tong_detail());
    tong_channel_close(channel);
    ck_assert_int_eq(tong_remove(longest), 0);
    snprintf(longest, sizeof longest, "mq:%s%0*d%s", name, NAME_MAX + 2 - (int)strlen(name), 0, SMALL);
    ck_assert_int_eq(tong_channel_open(longest, TONG_SEND, 0, &channel), -ENAMETOOLONG);
}
END_TEST

START_TEST(create_and_remove)
{
    tong_channel *channel;
    ck_assert_int_eq(try_open("?create=no", TONG_RECEIVE, &channel), -ENOENT);
    ck_assert_int_eq(tong_remove(address), -ENOENT);
    channel = open_channel("?remove=owner&messages=3&size=100", TONG_SEND);
    ck_assert_int_eq(try_open("?create=excl", TONG_RECEIVE, &channel), -EEXIST);
    open_raw();
    struct mq_attr state;
    struct stat status;
    ck_assert_int_eq(mq_getattr(raw, &state), 0);
    ck_assert_int_eq(state.mq_maxmsg, 3);
    ck_assert_int_eq(state.mq_msgsize, 100);
    ck_assert_int_eq(fstat(raw, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
    tong_channel *second = open_channel("?remove=owner&size=100", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_close(second), 0);
    ck_assert_int_eq(fstat(raw, &status), 0);
    ck_assert_uint_eq(status.st_nlink, 1);
    ck_assert_int_eq(tong_channel_close(channel), 0);
    ck_assert_int_eq(fstat(raw, &status), 0);
    ck_assert_uint_eq(status.st_nlink, 0);
}
END_TEST

/* Who makes a queue does not remove another of that name; and the umask takes nothing from what was asked. */
START_TEST(a_successor_stays)
{
    struct stat status;
    umask(077);
    tong_channel *channel = open_channel("&remove=owner", TONG_SEND);
    ck_assert_int_eq(tong_remove(address), 0);
    tong_channel *successor = open_channel("&mode=0622", TONG_SEND);
    ck_assert_int_eq(tong_channel_close(channel), 0);
    open_raw();
    ck_assert_int_eq(fstat(raw, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0622);
    tong_channel_close(successor);
}
END_TEST

/* A queue cannot be changed: less than asked is refused, and stays; more will do. */
START_TEST(what_exists_is_not_enough)
{
    tong_channel *channel, *maker = open_channel("?messages=3&size=100", TONG_SEND);
    ck_assert_int_eq(try_open("?messages=4", TONG_SEND, &channel), -EEXIST);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "3 messages of 100 bytes"));
    ck_assert_int_eq(try_open("?size=101", TONG_SEND, &channel), -EEXIST);
    channel = open_channel("?messages=2&size=100&create=no", TONG_SEND);
    tong_channel_close(channel);
    tong_channel_close(maker);
}
END_TEST

/* ---- Limits ---------------------------------------------------------------------------------------------- */

static bool write_limit(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;
    close(fd);
    return done;
}

static int expect_refusal(const char *options, int error, const char *words)
{
    tong_channel *channel;
    int r = try_open(options, TONG_SEND, &channel);
    if (r == error && strstr(tong_detail(), words))
        return 0;
    fprintf(stderr, "%s gave %d: %s\n", options, r, tong_detail());
    return 1;
}

/* As somebody to whom the limits apply; in an IPC namespace of its own the number of queues can be one, too. */
static int meet_the_limits(void)
{
    bool own = geteuid() == 0 && unshare(CLONE_NEWIPC) == 0 && write_limit("/proc/sys/fs/mqueue/queues_max", "1");
    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return 2;
    int r = expect_refusal("?messages=65536", -EINVAL, "65536 messages asked, fs.mqueue.msg_max is ");
    r += expect_refusal("?messages=65536", -EINVAL, "(sysctl fs.mqueue.msg_max=65536 raises it; CAP_SYS_RESOURCE");
    r += expect_refusal("?size=16777216", -EINVAL, "16777216 bytes a message asked, fs.mqueue.msgsize_max is ");
    setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){ 5000, 5000 });
    r += expect_refusal("?messages=5&size=1000", -EMFILE, "count as 5480 bytes");
    r += expect_refusal("?messages=5&size=1000", -EMFILE, "RLIMIT_MSGQUEUE, which is 5000");
    if (own) {
        mqd_t first = mq_open("/first", O_RDWR | O_CREAT, 0600, &(struct mq_attr){ .mq_maxmsg = 1, .mq_msgsize = 1 });
        r += first < 0 || expect_refusal("?messages=1&size=1", -ENOSPC, "fs.mqueue.queues_max is 1");
    }
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, 0 });
    return r + expect_refusal("?messages=1&size=1&create=excl", -EMFILE, "no descriptors left");
}

START_TEST(limits_are_named)
{
    pid_t child = fork();
    if (child == 0)
        _exit(meet_the_limits());
    join(child);
}
END_TEST

START_TEST(sight)
{
    tong_channel *sender = open_channel("?messages=3&size=100", TONG_SEND);
    tong_channel *receiver = open_channel("?size=100", TONG_RECEIVE);
    tong_channel_info state = TONG_CHANNEL_INFO_INIT;
    send_typed(sender, "four", 1);
    send_typed(sender, "sixsix", 2);
    ck_assert_int_eq(tong_channel_describe(receiver, &state), 0);
    ck_assert_uint_eq(state.largest, 100);
    ck_assert_uint_eq(state.capacity, 300);
    ck_assert_uint_eq(state.messages, 2);
    ck_assert_uint_eq(state.depth, 10);
    ck_assert_uint_eq(state.identity, TONG_IDENTITY_NONE);
    ck_assert_str_eq(state.object, address);
    ck_assert(!(state.flags & TONG_INFO_CREATED) && state.flags & TONG_INFO_ENDLESS);
    ck_assert_int_eq(tong_channel_describe(sender, &state), 0);
    ck_assert_uint_eq(state.messages, 2);
    ck_assert(state.flags & TONG_INFO_CREATED);
    ck_assert_int_eq(tong_channel_send(sender, buffer, 101, NULL, TONG_FOREVER), -EMSGSIZE);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "the most is 100"));
    tong_channel_close(sender);
    tong_channel_close(receiver);
}
END_TEST

/* ---- Peers ----------------------------------------------------------------------------------------------- */

START_TEST(nothing_is_added)
{
    tong_channel *channel = open_channel("&type=7", TONG_SEND);
    open_raw();
    send_typed(channel, "as it is", 0);
    send_typed(channel, "", 9);
    expect_raw("", 9);
    expect_raw("as it is", 7);
    tong_channel_close(channel);
}
END_TEST

START_TEST(foreign_peer)
{
    tong_channel *channel = open_channel("", TONG_RECEIVE);
    open_raw();
    ck_assert_int_eq(mq_send(raw, "low", 3, 0), 0);
    ck_assert_int_eq(mq_send(raw, "high", 4, 32767), 0);
    ck_assert_int_eq(mq_send(raw, "", 0, 0), 0);
    expect(channel, "high", 32767);
    expect(channel, "low", 0);
    expect(channel, "", 0);
    tong_channel_close(channel);
}
END_TEST

START_TEST(both_ways)
{
    char text[256];
    tong_channel *here, *there;
    ck_assert_int_eq(try_open("", TONG_BOTH, &here), -EOPNOTSUPP);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "mq:/IN,/OUT"));
    snprintf(text, sizeof text, "mq:%s,%s" SMALL, name, other);
    ck_assert_int_eq(tong_channel_open(text, TONG_BOTH, 0, &here), 0);
    snprintf(text, sizeof text, "mq:%s,%s" SMALL, other, name);
    ck_assert_int_eq(tong_channel_open(text, TONG_BOTH, 0, &there), 0);
    send_typed(here, "question", 1);
    expect(there, "question", 1);
    send_typed(there, "answer", 2);
    expect(here, "answer", 2);
    tong_channel_close(here);
    tong_channel_close(there);
    ck_assert_int_eq(tong_remove(text), 0);
    ck_assert_int_eq(tong_remove(text), -ENOENT);
}
END_TEST

/* If the second queue cannot be had, the first one is not left behind. */
START_TEST(half_an_open_leaves_nothing)
{
    char text[256];
    tong_channel *channel;
    snprintf(text, sizeof text, "mq:%s,/no/name" SMALL, name);
    ck_assert_int_eq(tong_channel_open(text, TONG_BOTH, 0, &channel), -EINVAL);
    ck_assert_int_eq(mq_unlink(name), -1);
}
END_TEST

static volatile sig_atomic_t notified;

static void note(int number)
{
    (void)number;
    notified = 1;
}

/* Who asked the kernel to be notified is, when a message of ours comes into the empty queue: once; and a descriptor
 * of ours is ready as often as there is something. */
START_TEST(notification)
{
    tong_channel *sender = open_channel("", TONG_SEND), *receiver = open_channel("", TONG_RECEIVE);
    struct pollfd item;
    open_raw();
    signal(SIGUSR1, note);
    ck_assert_int_eq(mq_notify(raw, &(struct sigevent){ .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 }), 0);
    ck_assert_int_eq(tong_channel_pollfd(receiver, TONG_RECEIVE, &item), 0);
    for (int i = 0; i < 3; i++) {
        notified = 0;
        ck_assert(!is_ready(&item));
        send_typed(sender, "news", 0);
        ck_assert_int_eq(notified, i == 0);
        ck_assert(is_ready(&item));
        expect(receiver, "news", 0);
    }
    tong_channel_close(sender);
    tong_channel_close(receiver);
}
END_TEST

/* ---- A message that does not fit -------------------------------------------------------------------------- */

START_TEST(too_small_a_buffer_keeps_the_message)
{
    tong_channel *channel = open_channel("", TONG_RECEIVE);
    tong_message message = TONG_MESSAGE_INIT;
    struct pollfd item;
    open_raw();
    if (_i) /* readiness asked for before, or after */
        ck_assert_int_eq(tong_channel_pollfd(channel, TONG_RECEIVE, &item), 0);
    ck_assert_int_eq(mq_send(raw, "ten bytes.", 10, 4), 0);
    for (size_t size = 0; size < 10; size += 3) {
        ck_assert_int_eq(tong_channel_receive(channel, buffer, size, &message, TONG_FOREVER), -EMSGSIZE);
        ck_assert_uint_eq(message.length, 10);
        ck_assert_int_eq(message.type, 4);
    }
    ck_assert_int_eq(tong_channel_pollfd(channel, TONG_RECEIVE, &item), 0);
    ck_assert(is_ready(&item));
    ck_assert_int_eq(mq_send(raw, "urgent", 6, 5), 0);
    expect(channel, "ten bytes.", 4);
    ck_assert(is_ready(&item));
    expect(channel, "urgent", 5);
    ck_assert(!is_ready(&item));
    tong_channel_close(channel);
}
END_TEST

START_TEST(closing_puts_it_back)
{
    tong_channel *channel = open_channel("?messages=1&size=20", TONG_RECEIVE);
    open_raw();
    ck_assert_int_eq(mq_send(raw, "ten bytes.", 10, 4), 0);
    ck_assert_int_eq(tong_channel_receive(channel, buffer, 3, NULL, 0), -EMSGSIZE);
    if (_i)
        ck_assert_int_eq(mq_send(raw, "another", 7, 0), 0);
    ck_assert_int_eq(tong_channel_close(channel), _i ? -EAGAIN : 0);
    if (_i)
        ck_assert_ptr_nonnull(strstr(tong_detail(), "is lost"));
    expect_raw(_i ? "another" : "ten bytes.", _i ? 0 : 4);
}
END_TEST

/* ---- Waiting --------------------------------------------------------------------------------------------- */

START_TEST(timeouts)
{
    tong_channel *receiver = open_channel("?messages=1&size=256", TONG_RECEIVE), *sender = open_channel("?size=256", TONG_SEND);
    int64_t start = clock_now();
    ck_assert_int_eq(tong_channel_receive(receiver, buffer, 1, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_receive(receiver, buffer, 1, NULL, 30 * TONG_MILLISECOND), -ETIMEDOUT);
    ck_assert_int_ge(clock_now() - start, 30 * TONG_MILLISECOND);
    send_typed(sender, "full", 0);
    start = clock_now();
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 0), -EAGAIN);
    ck_assert_int_eq(tong_channel_send(sender, "x", 1, NULL, 30 * TONG_MILLISECOND), -ETIMEDOUT);
    ck_assert_int_ge(clock_now() - start, 30 * TONG_MILLISECOND);
    expect(receiver, "full", 0);
    tong_channel_close(receiver);
    tong_channel_close(sender);
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

/* A wait whose queue has lost its name ends within the second; what is in the queue is received before. */
START_TEST(a_removed_name_ends_the_wait)
{
    struct receiver receiver;
    tong_channel *channel = open_channel("", TONG_RECEIVE | (_i ? 0 : TONG_CANCELLABLE));
    open_raw();
    receiver_start(&receiver, channel, _i ? 20 * TONG_SECOND : TONG_FOREVER);
    ck_assert_int_eq(tong_remove(address), 0);
    int64_t start = clock_now();
    ck_assert_int_eq(receiver_join(&receiver), -ESTALE);
    ck_assert_int_lt(clock_now() - start, 5 * TONG_SECOND);
    ck_assert_int_eq(mq_send(raw, "late", 4, 0), 0);
    expect(channel, "late", 0);
    tong_channel_close(channel);
}
END_TEST

START_TEST(cancelling)
{
    struct receiver receiver;
    tong_channel *channel = open_channel("", TONG_RECEIVE | TONG_CANCELLABLE), *sender = open_channel("", TONG_SEND);
    receiver_start(&receiver, channel, _i ? 20 * TONG_SECOND : TONG_FOREVER);
    ck_assert_int_eq(tong_channel_cancel(channel), 0);
    ck_assert_int_eq(receiver_join(&receiver), -ECANCELED);
    send_typed(sender, "still", 0);
    expect(channel, "still", 0);
    ck_assert_int_eq(tong_channel_receive(channel, buffer, 1, NULL, TONG_FOREVER), -ECANCELED);
    tong_channel_close(channel);
    ck_assert_int_eq(tong_channel_cancel(sender), -EOPNOTSUPP);
    tong_channel_close(sender);
}
END_TEST

START_TEST(interrupted)
{
    const uint32_t cancellable[] = { 0, TONG_CANCELLABLE };
    struct receiver receiver;
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = note }, NULL);
    tong_channel *channel = open_channel("", TONG_RECEIVE | cancellable[_i]);
    receiver_start(&receiver, channel, TONG_FOREVER);
    pthread_kill(receiver.thread, SIGUSR1);
    ck_assert_int_eq(receiver_join(&receiver), -EINTR);
    tong_channel_close(channel);
}
END_TEST

/* A child takes it over; and when it closes it, taken over or not, the queue that its parent made stays, and so does
 * what its parent keeps. */
START_TEST(a_child_takes_it_over)
{
    tong_channel *channel = open_channel("&remove=owner", TONG_RECEIVE);
    open_raw();
    ck_assert_int_eq(mq_send(raw, "kept", 4, 1), 0);
    ck_assert_int_eq(tong_channel_receive(channel, buffer, 1, NULL, 0), -EMSGSIZE);
    ck_assert_int_eq(mq_send(raw, "child", 5, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        if (tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0) != -EBADFD)
            _exit(1);
        if (_i && (tong_channel_after_fork(channel) < 0 ||
                   tong_channel_receive(channel, buffer, sizeof buffer, NULL, 0) != 5))
            _exit(2);
        _exit(tong_channel_close(channel) < 0);
    }
    join(child);
    struct stat status;
    ck_assert_int_eq(fstat(raw, &status), 0);
    ck_assert_uint_eq(status.st_nlink, 1);
    expect(channel, "kept", 1);
    if (!_i)
        expect(channel, "child", 0);
    struct mq_attr state;
    ck_assert_int_eq(mq_getattr(raw, &state), 0);
    ck_assert_int_eq(state.mq_curmsgs, 0);
    ck_assert_int_eq(tong_channel_close(channel), 0);
    ck_assert_int_eq(tong_remove(address), -ENOENT);
}
END_TEST

int main(void)
{
    const struct { const TTest *test; int times; } tests[] = {
        { bad_names, 1 }, { create_and_remove, 1 }, { a_successor_stays, 1 }, { what_exists_is_not_enough, 1 },
        { limits_are_named, 1 }, { sight, 1 }, { nothing_is_added, 1 }, { foreign_peer, 1 }, { both_ways, 1 },
        { half_an_open_leaves_nothing, 1 }, { notification, 1 }, { too_small_a_buffer_keeps_the_message, 2 },
        { closing_puts_it_back, 2 }, { timeouts, 1 }, { woken_by_a_message, 4 }, { a_removed_name_ends_the_wait, 2 },
        { cancelling, 2 }, { interrupted, 2 }, { a_child_takes_it_over, 2 },
    };
    snprintf(name, sizeof name, "/tong-test-mq-%d", (int)getpid());
    snprintf(other, sizeof other, "%s-back", name);
    snprintf(address, sizeof address, "mq:%s", name);
    Suite *suite = suite_create("mq");
    TCase *all = tcase_create("mq");
    tcase_add_checked_fixture(all, sweep, teardown);
    tcase_set_timeout(all, 60);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_loop_test(all, tests[i].test, 0, tests[i].times);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    sweep();
    return failed != 0;
}
