/* SPDX-License-Identifier: MIT */
/* memfd: channels: who meets whom, what is handed over, and what a hostile other end gets out of it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <tong/tong.h>
#include <unistd.h>

#include "base/layout.h"
#include "frame.h"
#include "third.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)
#define LONG (20 * TONG_SECOND)

static char path[200], address[256];

static void choose(const char *options)
{
    snprintf(path, sizeof path, "%s/meet", frame_directory());
    snprintf(address, sizeof address, "memfd:%s%s", path, options);
}

static tong_channel *come(uint32_t flags, int64_t timeout)
{
    tong_channel *channel = NULL;
    OK(tong_channel_open(address, flags, timeout, &channel));
    return channel;
}

static void send_text(tong_channel *channel, const char *text)
{
    OK(tong_channel_send(channel, text, strlen(text), NULL, LONG));
}

static void expect_text(tong_channel *channel, const char *text)
{
    char buffer[64] = "";
    GIVES(tong_channel_receive(channel, buffer, sizeof buffer, NULL, LONG), (int64_t)strlen(text));
    MUST(!strcmp(buffer, text), "'%s' came", buffer);
}

/* ---- Meeting --------------------------------------------------------------------------------------------- */

static void send_late(void)
{
    tong_channel *channel = come(TONG_SEND, LONG);
    send_text(channel, "text");
    OK(tong_channel_finish(channel, LONG));
    OK(tong_channel_close(channel));
    _exit(0);
}

/* A sender that comes first waits, and one that may not wait says so and leaves no name. */
static void test_order(int unused)
{
    (void)unused;
    choose("");
    tong_channel *none = NULL;
    GIVES(tong_channel_open(address, TONG_SEND, 0, &none), -ENXIO);
    GIVES(tong_channel_open(address, TONG_SEND, 20 * TONG_MILLISECOND, &none), -ETIMEDOUT);
    MUST(access(path, F_OK) < 0, "a name is left");
    pid_t pid = frame_fork();
    if (pid == 0)
        send_late();
    while (access(path, F_OK) < 0)
        usleep(500);
    tong_channel *in = come(TONG_RECEIVE, 0);
    expect_text(in, "text");
    GIVES(tong_channel_receive(in, NULL, 0, NULL, LONG), -ENODATA);
    MUST(access(path, F_OK) < 0, "the name was not removed after the meeting");
    OK(tong_channel_close(in));
    frame_join(pid);
}

static void test_both_ways(int unused)
{
    (void)unused;
    choose("?capacity=4K");
    tong_channel *first = come(TONG_BOTH, 0);
    send_text(first, "before");
    tong_channel *second = come(TONG_BOTH, 0);
    send_text(second, "back");
    expect_text(first, "back");
    expect_text(second, "before");
    OK(tong_channel_finish(first, LONG));
    GIVES(tong_channel_receive(second, NULL, 0, NULL, LONG), -ENODATA);
    send_text(second, "still");
    expect_text(first, "still");
    OK(tong_channel_close(second));
    OK(tong_channel_close(first));
}

/* What was sent to nobody goes with its sender, and that is said. */
static void test_nobody_came(int unused)
{
    (void)unused;
    choose("");
    tong_channel *alone = come(TONG_BOTH, 0);
    send_text(alone, "anybody?");
    GIVES(tong_channel_finish(alone, 0), -EAGAIN);
    GIVES(tong_channel_close(alone), -EPIPE);
    MUST(access(path, F_OK) < 0, "a name is left");
}

/* Who comes to the name while two others are about to meet waits in opening, and is for the next meeting. */
static void test_third(int unused)
{
    (void)unused;
    tong_channel *none = NULL;
    choose("");
    tong_channel *in = come(TONG_RECEIVE, 0), *first = come(TONG_SEND, 0);
    GIVES(tong_channel_open(address, TONG_SEND, 0, &none), -EBUSY);
    GIVES(tong_channel_open(address, TONG_SEND, 20 * TONG_MILLISECOND, &none), -ETIMEDOUT);
    GIVES(tong_channel_open(address, TONG_RECEIVE, LONG, &none), -EBUSY);
    GIVES(tong_channel_open(address, TONG_BOTH, LONG, &none), -EINVAL);
    pid_t pid = frame_fork();
    if (pid == 0)
        send_late();
    frame_asleep(pid, pid);
    send_text(first, "one");
    OK(tong_channel_close(first));
    expect_text(in, "one");
    OK(tong_channel_close(in));
    in = come(TONG_RECEIVE, 0);
    expect_text(in, "text");
    OK(tong_channel_close(in));
    frame_join(pid);
}

enum { CROWD = 3, TURNS = 40 };

struct turn {
    unsigned sender, number;
};

/* Comes, sends and goes, with nobody to tell it what became of that. */
static void come_and_go(unsigned sender)
{
    for (unsigned i = 0; i < TURNS; i++) {
        const struct turn turn = { sender, i };
        tong_channel *out = NULL;
        int r;
        while ((r = tong_channel_open(address, TONG_SEND, LONG, &out)) == -EBUSY) /* another sender waits there */
            usleep(100);
        OK(r);
        OK(tong_channel_send(out, &turn, sizeof turn, NULL, LONG));
        OK(tong_channel_close(out));
    }
    _exit(0);
}

/* Whoever sent, and closed without an error, was received, also where its receiver looks only after it is gone. */
static void test_crowd(int unused)
{
    (void)unused;
    pid_t pids[CROWD];
    unsigned next[CROWD] = { 0 }, received = 0;
    choose("?capacity=4K");
    for (unsigned i = 0; i < CROWD; i++)
        if ((pids[i] = frame_fork()) == 0)
            come_and_go(i);
    while (received < CROWD * TURNS) {
        struct turn turn;
        tong_channel *in = come(TONG_RECEIVE, LONG);
        if (received % 2)
            usleep(7000); /* longer than who came second waits for an answer */
        GIVES(tong_channel_receive(in, &turn, sizeof turn, NULL, LONG), sizeof turn);
        MUST(turn.sender < CROWD && turn.number == next[turn.sender], "%u of %u came, not %u", turn.number, turn.sender,
             turn.sender < CROWD ? next[turn.sender] : 0);
        next[turn.sender]++;
        received++;
        GIVES(tong_channel_receive(in, &turn, sizeof turn, NULL, LONG), -ENODATA);
        OK(tong_channel_close(in));
    }
    for (unsigned i = 0; i < CROWD; i++)
        frame_join(pids[i]);
}

/* Who waits keeps its place, however many others come for it. */
static void test_rivals(int unused)
{
    (void)unused;
    tong_channel *none = NULL;
    choose("");
    pid_t pid = frame_fork();
    if (pid == 0) {
        tong_channel *in = come(TONG_RECEIVE, 0);
        expect_text(in, "text");
        OK(tong_channel_close(in));
        _exit(0);
    }
    while (access(path, F_OK) < 0)
        usleep(500);
    frame_asleep(pid, pid);
    for (int i = 0; i < 100; i++) {
        GIVES(tong_channel_open(address, TONG_RECEIVE, 0, &none), -EBUSY);
        GIVES(tong_channel_open(address, TONG_BOTH, 0, &none), -EINVAL);
        MUST(access(path, F_OK) == 0, "the name is gone");
    }
    tong_channel *out = come(TONG_SEND, 0);
    send_text(out, "text");
    OK(tong_channel_close(out));
    frame_join(pid);
}

/* Who has no descriptors left to take what is handed over says so, and takes it once it has. */
static void test_no_descriptors(int unused)
{
    (void)unused;
    choose("");
    tong_channel *in = come(TONG_RECEIVE, 0), *out = come(TONG_SEND, 0);
    send_text(out, "text");
    OK(tong_channel_close(out));
    struct rlimit before, limit;
    MUST(getrlimit(RLIMIT_NOFILE, &before) == 0, "getrlimit: %s", strerror(errno));
    int next = dup(0);
    close(next);
    for (int room = 0; room < 6; room++) {
        limit = (struct rlimit){ (rlim_t)(next + room), before.rlim_max };
        MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit: %s", strerror(errno));
        GIVES(tong_channel_receive(in, NULL, 0, NULL, LONG), -EMFILE);
    }
    MUST(setrlimit(RLIMIT_NOFILE, &before) == 0, "setrlimit: %s", strerror(errno));
    expect_text(in, "text");
    OK(tong_channel_close(in));
}

/* Who sent to one that left without having looked is told of it, at the latest when it closes. */
static void test_left(int unused)
{
    (void)unused;
    choose("");
    tong_channel *in = come(TONG_RECEIVE, 0), *out = come(TONG_SEND, 0);
    send_text(out, "text");
    OK(tong_channel_close(in));
    GIVES(tong_channel_close(out), -EPIPE);
}

/* Two senders do not meet; the receiver does, whom the first was waiting for. */
static void test_same_side(int unused)
{
    (void)unused;
    choose("");
    pid_t pid = frame_fork();
    if (pid == 0)
        send_late();
    while (access(path, F_OK) < 0)
        usleep(500);
    MUST(kill(pid, SIGSTOP) == 0 && waitpid(pid, NULL, WUNTRACED) == pid, "%s", strerror(errno));
    tong_channel *second = NULL;
    GIVES(tong_channel_open(address, TONG_SEND, LONG, &second), -EBUSY); /* the first need not be awake to say so */
    MUST(kill(pid, SIGCONT) == 0, "%s", strerror(errno));
    tong_channel *in = come(TONG_RECEIVE, 0);
    expect_text(in, "text");
    OK(tong_channel_close(in));
    frame_join(pid);
}

/* A path without a living process behind it is taken over; what is no socket is not. */
static void test_stale(int unused)
{
    (void)unused;
    choose("");
    pid_t pid = frame_fork();
    if (pid == 0) {
        come(TONG_RECEIVE, 0);
        pause();
    }
    while (access(path, F_OK) < 0)
        usleep(500);
    frame_kill(pid);
    MUST(access(path, F_OK) == 0, "the dead one has removed its name");
    tong_channel *in = come(TONG_RECEIVE, 0), *out = come(TONG_SEND, 0);
    send_text(out, "text");
    expect_text(in, "text");
    OK(tong_channel_close(out));
    OK(tong_channel_close(in));
    MUST(symlink("/dev/null", path) == 0, "symlink: %s", strerror(errno));
    GIVES(tong_channel_open(address, TONG_RECEIVE, 0, &in), -EEXIST);
    unlink(path);
}

/* ---- Lives ----------------------------------------------------------------------------------------------- */

static void test_after_death(int unused)
{
    (void)unused;
    choose("");
    tong_channel *in = come(TONG_RECEIVE, 0);
    pid_t pid = frame_fork();
    if (pid == 0) {
        send_text(come(TONG_SEND, 0), "last words");
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, NULL, 0);
    tong_message message = TONG_MESSAGE_INIT;
    char buffer[64];
    GIVES(tong_channel_receive(in, buffer, sizeof buffer, &message, LONG), 10);
    MUST(message.sender.source == TONG_IDENTITY_CONNECTION && message.sender.pid == pid, "pid %lld",
         (long long)message.sender.pid);
    GIVES(tong_channel_receive(in, buffer, sizeof buffer, NULL, LONG), -ECONNRESET);
    OK(tong_channel_close(in));
}

static int64_t died_at(int fd)
{
    int64_t when;
    MUST(read(fd, &when, sizeof when) == sizeof when, "the child never said when");
    return when;
}

/* Who waits in its last sleep, the one that lasts longest, is told of a death at once: how long after. */
static int64_t death_is_noticed_after(const void *end)
{
    const uint32_t ours = *(const uint32_t *)end;
    int said[2];
    choose("?capacity=4K");
    MUST(pipe(said) == 0, "pipe: %s", strerror(errno));
    tong_channel *channel = ours == TONG_RECEIVE ? come(TONG_RECEIVE, 0) : NULL;
    pid_t pid = frame_fork();
    if (pid == 0) {
        tong_channel *other = come(ours ^ TONG_BOTH, LONG);
        if (ours == TONG_RECEIVE)
            send_text(other, "hello");
        else
            expect_text(other, "hello");
        frame_asleep(getppid(), getppid());
        usleep(20000);
        int64_t now = frame_now();
        MUST(write(said[1], &now, sizeof now) == sizeof now, "write: %s", strerror(errno));
        kill(getpid(), SIGKILL);
    }
    if (!channel)
        channel = come(TONG_SEND, LONG);
    int64_t r;
    if (ours == TONG_RECEIVE) {
        expect_text(channel, "hello");
        r = tong_channel_receive(channel, NULL, 0, NULL, LONG);
        GIVES(r, -ECONNRESET);
    } else {
        send_text(channel, "hello");
        while ((r = tong_channel_send(channel, path, 100, NULL, LONG)) == 0)
            ;
        GIVES(r, -EPIPE);
    }
    int64_t late = frame_now() - died_at(said[0]);
    printf("     a %s's death was noticed after %.1f ms\n", ours == TONG_RECEIVE ? "sender" : "receiver", (double)late / 1e6);
    OK(tong_channel_close(channel));
    waitpid(pid, NULL, 0);
    close(said[0]);
    close(said[1]);
    return late;
}

static void notices_death(uint32_t ours)
{
    const int64_t bound = (frame_watched() ? 100 : 50) * TONG_MILLISECOND;
    const int64_t took = third_least(bound, death_is_noticed_after, &ours);
    MUST(took < bound, "it took %lld ns", (long long)took);
}

static void test_deaths(int unused)
{
    (void)unused;
    notices_death(TONG_RECEIVE);
    notices_death(TONG_SEND);
}

static uint64_t digest(uint64_t before, const unsigned char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        before = (before ^ data[i]) * UINT64_C(0x100000001b3);
    return before;
}

#define BULK (64 << 20)
#define PIECE 40000

static void test_bulk(int unused)
{
    (void)unused;
    static unsigned char data[PIECE];
    int said[2];
    choose("?capacity=256K");
    MUST(pipe(said) == 0, "pipe: %s", strerror(errno));
    pid_t pid = frame_fork();
    if (pid == 0) {
        tong_channel *out = come(TONG_SEND, LONG);
        uint64_t sum = 1, x = 88172645463325252;
        for (size_t sent = 0; sent < BULK; sent += PIECE) {
            for (size_t i = 0; i < PIECE; i++, x ^= x << 13, x ^= x >> 7, x ^= x << 17)
                data[i] = (unsigned char)x;
            sum = digest(sum, data, PIECE);
            OK(tong_channel_send(out, data, PIECE, NULL, LONG));
        }
        OK(tong_channel_finish(out, LONG));
        OK(tong_channel_close(out));
        MUST(write(said[1], &sum, sizeof sum) == sizeof sum, "write: %s", strerror(errno));
        _exit(0);
    }
    tong_channel *in = come(TONG_RECEIVE, 0);
    uint64_t sum = 1, theirs;
    int64_t r;
    while ((r = tong_channel_receive(in, data, sizeof data, NULL, LONG)) >= 0)
        sum = digest(sum, data, (size_t)r);
    GIVES(r, -ENODATA);
    MUST(read(said[0], &theirs, sizeof theirs) == sizeof theirs && theirs == sum, "other bytes came than went");
    OK(tong_channel_close(in));
    frame_join(pid);
    close(said[0]);
    close(said[1]);
}

/* ---- Users ----------------------------------------------------------------------------------------------- */

#define STRANGER 65533

static void become_stranger(void)
{
    MUST(setresgid(STRANGER, STRANGER, STRANGER) == 0 && setresuid(STRANGER, STRANGER, STRANGER) == 0, "setresuid: %s",
         strerror(errno));
}

static bool lives(pid_t pid)
{
    siginfo_t ended = { .si_pid = 0 };
    MUST(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0, "waitid: %s", strerror(errno));
    return ended.si_pid == 0;
}

/* An abstract name has no mode: only the credentials stand between two users. */
static void test_foreign(int unused)
{
    (void)unused;
    tong_channel *in = NULL;
    if (geteuid() != 0) {
        printf("     needs root: two users\n");
        return;
    }
    snprintf(address, sizeof address, "memfd:@%s", frame_mark());
    in = come(TONG_RECEIVE, 0);
    pid_t pid = frame_fork();
    if (pid == 0) {
        tong_channel *out = NULL;
        become_stranger();
        GIVES(tong_channel_open(address, TONG_SEND, LONG, &out), -EACCES);
        MUST(strstr(tong_detail(), "uid 0"), "it says: %s", tong_detail());
        strcat(address, "?peer=0"); /* it wants to, the other one does not */
        int64_t r = tong_channel_open(address, TONG_SEND, LONG, &out);
        for (int64_t until = frame_now() + LONG; r == 0 && frame_now() < until; )
            r = tong_channel_send(out, "x", 1, NULL, TONG_MILLISECOND), usleep(1000);
        GIVES(r, -EACCES);
        tong_channel_close(out);
        _exit(0);
    }
    while (lives(pid))
        GIVES(tong_channel_receive(in, NULL, 0, NULL, 20 * TONG_MILLISECOND), -ETIMEDOUT);
    frame_join(pid);
    OK(tong_channel_close(in));
}

/* Both say so: then they meet, at a path too. */
static void test_agreed(int unused)
{
    (void)unused;
    if (geteuid() != 0)
        return;
    choose("?peer=65533");
    MUST(chmod(frame_directory(), 0711) == 0, "chmod: %s", strerror(errno));
    tong_channel *in = come(TONG_RECEIVE, 0);
    pid_t pid = frame_fork();
    if (pid == 0) {
        become_stranger();
        choose("?peer=0");
        send_text(come(TONG_SEND, LONG), "text");
        pause();
    }
    tong_identity who = TONG_IDENTITY_INIT;
    expect_text(in, "text");
    OK(tong_channel_peer(in, &who));
    MUST(who.source == TONG_IDENTITY_CONNECTION && who.uid == STRANGER && who.pid == pid && who.start_time, "uid %u", who.uid);
    frame_kill(pid);
    GIVES(tong_channel_receive(in, NULL, 0, NULL, LONG), -ECONNRESET);
    OK(tong_channel_close(in));
    MUST(chmod(frame_directory(), 0700) == 0, "chmod: %s", strerror(errno));
}

/* ---- Hostile ends ---------------------------------------------------------------------------------------- */

struct hello {
    char magic[8];
    uint32_t version, ways;
    int32_t status;
    uint32_t zero;
};

static int connect_raw(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    memcpy(name.sun_path, path, strlen(path) + 1);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof name) == 0, "connect: %s", strerror(errno));
    return fd;
}

static void connect_abstract(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    size_t size = strlen(frame_mark());
    memcpy(name.sun_path + 1, frame_mark(), size);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size)) == 0,
         "connect: %s", strerror(errno));
}

static void hand_over(int socket, const void *words, size_t size, const int *fds, size_t count)
{
    union { char bytes[CMSG_SPACE(8 * sizeof(int))]; struct cmsghdr align; } control = { .bytes = "" };
    struct iovec span = { (void *)(uintptr_t)words, size };
    struct msghdr message = { .msg_iov = &span, .msg_iovlen = 1 };
    if (count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        *c = (struct cmsghdr){ CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    MUST(sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size, "sendmsg: %s", strerror(errno));
}

/* A senders' segment as it should be, but for `seals` and its size. */
static int segment(unsigned seals, int64_t more)
{
    struct layout_header header;
    struct layout_shape shape = { .id = 7, .capacity = 4096, .deliver = LAYOUT_ONE, .receivers = 1 };
    int fd = memfd_create("hostile", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    layout_prepare(&header, LAYOUT_KIND_SENDERS, &shape);
    MUST(fd >= 0 && ftruncate(fd, (off_t)((int64_t)header.file_size + more)) == 0 &&
         write(fd, &header, sizeof header) == sizeof header && fcntl(fd, F_ADD_SEALS, seals) == 0, "%s", strerror(errno));
    return fd;
}

/* What the one in the middle is told, and that the receiver goes on to wait for another. */
static void refuses(const struct hello *hello, size_t size, const int *fds, size_t count)
{
    struct hello reply = { .status = 0 };
    choose("");
    tong_channel *in = come(TONG_RECEIVE, 0);
    int socket = connect_raw();
    hand_over(socket, hello, size, fds, count);
    int64_t until = frame_now() + LONG;
    ssize_t r;
    do
        GIVES(tong_channel_receive(in, NULL, 0, NULL, 10 * TONG_MILLISECOND), -ETIMEDOUT);
    while ((r = recv(socket, &reply, sizeof reply, MSG_DONTWAIT)) < 0 && errno == EAGAIN && frame_now() < until);
    MUST(r == sizeof reply && reply.status < 0, "it was not refused");
    close(socket);
    tong_channel *out = come(TONG_SEND, 0);
    send_text(out, "text");
    expect_text(in, "text");
    OK(tong_channel_close(out));
    OK(tong_channel_close(in));
}

static void test_hostile_hello(int unused)
{
    (void)unused;
    const struct hello good = { "tongmeet", 1, TONG_SEND, 0, 0 };
    struct hello bad;
    int room[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), file = open(frame_directory(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    MUST(pipe2(room, O_CLOEXEC) == 0 && null >= 0 && file >= 0, "%s", strerror(errno));
    int fine = segment(SEALS, 0), bare = segment(0, 0), growing = segment(SEALS & ~F_SEAL_GROW, 0);
    int shrinking = segment(SEALS & ~F_SEAL_SHRINK, 0), open_seals = segment(SEALS & ~F_SEAL_SEAL, 0);
    int small = segment(SEALS, -4096), large = segment(SEALS, 4096);
    const int wrong[] = { bare, growing, shrinking, open_seals, small, large, null, file, room[0] };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuses(&good, sizeof good, (int[]){ wrong[i], room[1] }, 2);
    refuses(&good, sizeof good, (int[]){ fine, null }, 2);
    refuses(&good, sizeof good, (int[]){ fine, room[0] }, 2);
    refuses(&good, sizeof good, (int[]){ fine }, 1);
    refuses(&good, sizeof good, (int[]){ fine, room[1], fine, room[1] }, 4);
    refuses(&good, sizeof good, NULL, 0);
    refuses(&good, 7, (int[]){ fine, room[1] }, 2);
    bad = good, bad.version = 9;
    refuses(&bad, sizeof bad, (int[]){ fine, room[1] }, 2);
    bad = good, bad.ways = 77;
    refuses(&bad, sizeof bad, (int[]){ fine, room[1] }, 2);
    bad = good, bad.ways = TONG_RECEIVE;
    refuses(&bad, sizeof bad, (int[]){ fine, room[1] }, 2);
    const int all[] = { room[0], room[1], null, file, fine, bare, growing, shrinking, open_seals, small, large };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        close(all[i]);
}

/* One who connects and says nothing holds up the others for a second, and one who goes at once not at all. */
static void test_silent(int unused)
{
    (void)unused;
    choose("");
    tong_channel *in = come(TONG_RECEIVE, 0);
    close(connect_raw());
    GIVES(tong_channel_receive(in, NULL, 0, NULL, 10 * TONG_MILLISECOND), -ETIMEDOUT);
    int socket = connect_raw();
    GIVES(tong_channel_receive(in, NULL, 0, NULL, 10 * TONG_MILLISECOND), -ETIMEDOUT);
    pid_t pid = frame_fork();
    if (pid == 0)
        send_late();
    int64_t begun = frame_now();
    expect_text(in, "text");
    MUST(frame_now() - begun < 5 * TONG_SECOND, "it was held up for long");
    close(socket);
    OK(tong_channel_close(in));
    frame_join(pid);
}

/* A forked child keeps the socket of one who is gone open, which is no reason to be ready for ever. */
static void test_gone_before_a_fork(int unused)
{
    (void)unused;
    struct pollfd item;
    choose("");
    tong_channel *in = come(TONG_RECEIVE, 0);
    int socket = connect_raw();
    GIVES(tong_channel_receive(in, NULL, 0, NULL, 10 * TONG_MILLISECOND), -ETIMEDOUT);
    pid_t pid = frame_fork();
    if (pid == 0) {
        close(socket);
        pause();
    }
    close(socket);
    OK(tong_channel_pollfd(in, TONG_RECEIVE, &item));
    int ready = 1;
    for (int i = 0; ready && i < 20; i++) {
        GIVES(tong_channel_receive(in, NULL, 0, NULL, 0), -EAGAIN);
        ready = poll(&item, 1, 50);
    }
    MUST(ready == 0, "it stays ready");
    frame_kill(pid);
    OK(tong_channel_close(in));
}

static int64_t held_up_by_strangers(const void *unused)
{
    (void)unused;
    snprintf(address, sizeof address, "memfd:@%s", frame_mark());
    tong_channel *in = come(TONG_RECEIVE, 0);
    int ready[2];
    MUST(pipe2(ready, O_CLOEXEC) == 0, "pipe2: %s", strerror(errno));
    pid_t pid = frame_fork();
    if (pid == 0) {
        become_stranger();
        for (int i = 0; i < 4; i++)
            connect_abstract();
        MUST(write(ready[1], "x", 1) == 1, "write: %s", strerror(errno));
        pause();
    }
    char byte;
    MUST(read(ready[0], &byte, 1) == 1, "read: %s", strerror(errno));
    tong_channel *out = come(TONG_SEND, 0);
    int64_t begun = frame_now();
    send_text(out, "text");
    expect_text(in, "text");
    int64_t took = frame_now() - begun;
    frame_kill(pid);
    close(ready[0]);
    close(ready[1]);
    OK(tong_channel_close(out));
    OK(tong_channel_close(in));
    return took;
}

/* Those of another user hold up nobody, also where a name has no mode. */
static void test_silent_strangers(int unused)
{
    (void)unused;
    if (geteuid() != 0)
        return;
    MUST(third_least(TONG_SECOND, held_up_by_strangers, NULL) < TONG_SECOND, "they held it up");
}

/* A first comer that answers with garbage. */
static void test_hostile_first(int unused)
{
    (void)unused;
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    tong_channel *out = NULL;
    choose("");
    memcpy(name.sun_path, path, strlen(path) + 1);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    MUST(bind(listener, (struct sockaddr *)&name, sizeof name) == 0 && listen(listener, 4) == 0, "%s", strerror(errno));
    out = come(TONG_SEND, 0);
    int socket = accept(listener, NULL, NULL);
    MUST(write(socket, "garbage", 7) == 7, "write: %s", strerror(errno));
    GIVES(tong_channel_send(out, "x", 1, NULL, TONG_SECOND), -EPROTO);
    GIVES(tong_channel_send(out, "x", 1, NULL, TONG_SECOND), -EPROTO);
    tong_channel_close(out);
    close(socket);
    close(listener);
    unlink(path);
}

static int take_descriptors(int socket, int *fds)
{
    union { char bytes[CMSG_SPACE(4 * sizeof(int))]; struct cmsghdr align; } control;
    struct hello hello;
    struct iovec span = { &hello, sizeof hello };
    struct msghdr message = { .msg_iov = &span, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control };
    MUST(recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == sizeof hello && hello.status == 0, "nothing was handed over");
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(c), (size_t)count * sizeof(int));
    return count;
}

/* What was handed over can be read, and nothing else, however it is opened again. */
static void test_ftruncate(int unused)
{
    (void)unused;
    const struct hello both = { "tongmeet", 1, TONG_BOTH, 0, 0 };
    int fds[4], room[2];
    char again[40];
    choose("");
    MUST(pipe2(room, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    tong_channel *first = come(TONG_BOTH, 0);
    int socket = connect_raw();
    struct layout_header header;
    struct layout_shape shape = { .id = 7, .capacity = 4096, .deliver = LAYOUT_ONE, .receivers = 1 };
    int receivers = memfd_create("hostile", MFD_ALLOW_SEALING | MFD_CLOEXEC), senders = segment(SEALS, 0);
    layout_prepare(&header, LAYOUT_KIND_RECEIVERS, &shape);
    MUST(ftruncate(receivers, (off_t)header.file_size) == 0 && write(receivers, &header, sizeof header) == sizeof header &&
         fcntl(receivers, F_ADD_SEALS, SEALS) == 0, "%s", strerror(errno));
    hand_over(socket, &both, sizeof both, (int[]){ senders, room[1], receivers, room[1] }, 4);
    GIVES(tong_channel_receive(first, NULL, 0, NULL, TONG_SECOND), -ECONNRESET); /* nobody holds a place in that */
    MUST(take_descriptors(socket, fds) == 4, "not four descriptors");
    for (int i = 0; i < 4; i += 2) {
        MUST(ftruncate(fds[i], 0) < 0 && (errno == EINVAL || errno == EBADF), "ftruncate: %s", strerror(errno));
        MUST(write(fds[i], "x", 1) < 0 && errno == EBADF, "write: %s", strerror(errno));
        MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0) == MAP_FAILED, "it can be mapped to write");
        snprintf(again, sizeof again, "/proc/self/fd/%d", fds[i]);
        int fd = open(again, O_RDWR | O_CLOEXEC);
        MUST(fd >= 0, "open: %s", strerror(errno));
        MUST(ftruncate(fd, 0) < 0 && errno == EPERM, "ftruncate: %s", strerror(errno));
        MUST(ftruncate(fd, 1 << 30) < 0 && errno == EPERM, "ftruncate: %s", strerror(errno));
        MUST(write(fd, "x", 1) < 0 && errno == EPERM, "write: %s", strerror(errno));
        MUST(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0 && errno == EPERM, "punched a hole");
        MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED, "it can be mapped to write");
        close(fd);
    }
    send_text(first, "as before");
    const int all[] = { fds[0], fds[1], fds[2], fds[3], room[0], room[1], socket, receivers, senders };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        close(all[i]);
    OK(tong_channel_close(first));
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(int); double seconds; } tests[] = {
        { "order", test_order, 30 }, { "both-ways", test_both_ways, 20 }, { "nobody-came", test_nobody_came, 20 },
        { "same-side", test_same_side, 30 }, { "third", test_third, 30 }, { "crowd", test_crowd, 60 }, { "left", test_left, 20 },
        { "rivals", test_rivals, 30 }, { "no-descriptors", test_no_descriptors, 20 },
        { "stale", test_stale, 30 }, { "after-death", test_after_death, 30 },
        { "deaths", test_deaths, 60 }, { "bulk", test_bulk, 100 }, { "foreign", test_foreign, 30 },
        { "agreed", test_agreed, 30 }, { "hostile-hello", test_hostile_hello, 60 }, { "silent", test_silent, 30 },
        { "silent-strangers", test_silent_strangers, 30 }, { "gone-before-a-fork", test_gone_before_a_fork, 20 },
        { "hostile-first", test_hostile_first, 20 }, { "ftruncate", test_ftruncate, 20 },
    };
    frame_begin("memfd-channel", argc, argv);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        char name[64];
        snprintf(name, sizeof name, "memfd-channel/%s", tests[i].name);
        frame_run(name, tests[i].run, 0, tests[i].seconds);
    }
    return frame_end();
}
