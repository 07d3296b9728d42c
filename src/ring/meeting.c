/* SPDX-License-Identifier: MIT */
/*
 * The meeting.
 *
 *     first comer                              second comer
 *     bind, listen                             connect; SO_PEERCRED: whoever called listen(2)
 *                                 <----------  hello and descriptors
 *     accept; SO_PEERCRED: whoever called connect(2)
 *     hello and descriptors       ---------->
 *     the name goes
 *
 * Neither message is waited for.  A stranger at the socket is turned away and told so, and who came first goes on waiting:
 * nobody can spoil it for those who are meant.  One who connects and says nothing is dropped after a second.  If the first
 * comer leaves before it took what it was handed, a sender is told (-EPIPE), and a receiver comes to the name anew.
 */
#include "ring/meeting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/port.h"
#include "core/wait.h"
#include "ring/sealed.h"
#include "sys/sys.h"
#include "tong/channel.h"

#define RACES 20         /* how often others may come and go at the name while we come */
#define STRANGERS 16     /* who are turned away in one look */
#define SILENCE TONG_SECOND
#define MAGIC "tongmeet"
#define VERSION 1

/* Once each way.  A refusal hands nothing over. */
struct hello {
    char magic[8];
    uint32_t version;
    uint32_t ways;   /* TONG_SEND, TONG_RECEIVE of who says it */
    int32_t status;  /* 0, or a negative errno: the other one is refused */
    uint32_t zero;
};

struct received {
    struct hello hello;
    ssize_t size;
    int fd[HANDS];
    unsigned count;
};

/* ---- What is handed over --------------------------------------------------------------------------------- */

static const struct hand {
    uint32_t way;  /* who hands it over */
    uint32_t kind; /* of segment; 0: a pipe */
} hands[HANDS] = {
    [HAND_SENDERS] = { TONG_SEND, LAYOUT_KIND_SENDERS },
    [HAND_ROOM] = { TONG_SEND, 0 },
    [HAND_RECEIVERS] = { TONG_RECEIVE, LAYOUT_KIND_RECEIVERS },
    [HAND_BELL] = { TONG_RECEIVE, 0 },
};

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sys_close(fds[i]);
        fds[i] = -1;
    }
}

static void close_one(int *fd)
{
    sys_close(*fd);
    *fd = -1;
}

void ring_meeting_forget(struct ring_meeting *meeting, unsigned hand)
{
    close_one(&meeting->ours[hand]);
}

static void write_control(const struct ring_meeting *meeting, struct msghdr *message)
{
    int fds[HANDS], count = 0;
    for (unsigned i = 0; i < HANDS; i++)
        if (hands[i].way & meeting->ways)
            fds[count++] = meeting->ours[i];
    message->msg_controllen = CMSG_SPACE((size_t)count * sizeof *fds);
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN((size_t)count * sizeof *fds);
    memcpy(CMSG_DATA(control), fds, (size_t)count * sizeof *fds);
}

static int say(const struct ring_meeting *meeting, int fd, int status)
{
    union { char bytes[CMSG_SPACE(HANDS * sizeof(int))]; struct cmsghdr align; } control;
    struct hello hello = { .version = VERSION, .ways = meeting->ways, .status = status };
    struct iovec span = { &hello, sizeof hello };
    struct msghdr message = { .msg_iov = &span, .msg_iovlen = 1 };
    memcpy(hello.magic, MAGIC, sizeof hello.magic);
    memset(&control, 0, sizeof control);
    if (status == 0) {
        message.msg_control = control.bytes;
        write_control(meeting, &message);
    }
    ssize_t r = sys_sendmsg(fd, &message, MSG_DONTWAIT);
    return r < 0 ? (int)r : 0;
}

static void collect(struct msghdr *message, struct received *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        ret->count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(ret->fd, CMSG_DATA(c), ret->count * sizeof(int));
    }
}

/* 1 something came, 0 nothing yet, -ENOTCONN the other one is gone.  No more descriptors come than the buffer has room for. */
static int hear(const struct ring_meeting *meeting, struct received *ret)
{
    union { char bytes[CMSG_SPACE(HANDS * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec span = { &ret->hello, sizeof ret->hello };
    struct msghdr message = { .msg_iov = &span, .msg_iovlen = 1, .msg_control = control.bytes,
                              .msg_controllen = sizeof control.bytes };
    *ret = (struct received){ .fd = { -1, -1, -1, -1 } };
    ssize_t r = sys_recvmsg(meeting->socket_fd, &message, MSG_DONTWAIT);
    if (r == -ECONNRESET) /* it left without having heard all, and perhaps said why before */
        r = sys_recvmsg(meeting->socket_fd, &message, MSG_DONTWAIT);
    if (r == -EAGAIN)
        return 0;
    if (r == 0 || r == -ECONNRESET)
        return -ENOTCONN;
    if (r < 0)
        return fail_call((int)r, "%s: recvmsg", meeting->object);
    collect(&message, ret);
    ret->size = message.msg_flags & MSG_TRUNC ? 0 : r;
    return 1;
}

/* Our own description of the other's pipe, so that nobody can make it block under us.  We may be allowed to write where the
 * other is not, and would do so in its place: it has to show that it is. */
static int check_pipe(const struct ring_meeting *meeting, int *fd)
{
    struct stat status;
    int r = sys_fstat(*fd, &status);
    if (r < 0)
        return fail_call(r, "%s: looking at what the other end handed over", meeting->object);
    r = sys_fcntl_int(*fd, F_GETFL, 0);
    if (!S_ISFIFO(status.st_mode) || r < 0 || (r & O_ACCMODE) == O_RDONLY)
        return fail(-EPROTO, "%s: the other end handed over something that is not a pipe to write to", meeting->object);
    int again = ring_sealed_open_again(*fd, O_RDWR | O_NONBLOCK);
    if (again < 0)
        return again;
    sys_close(*fd);
    *fd = again;
    return 0;
}

static int check_hand(struct ring_meeting *meeting, unsigned hand, int *fd)
{
    struct layout_shape shape;
    if (!hands[hand].kind)
        return check_pipe(meeting, fd);
    int r = ring_sealed_check(meeting->object, *fd, hands[hand].kind, &shape);
    if (r == 0 && hand == HAND_SENDERS)
        meeting->shape = shape;
    return r;
}

/* Takes over what was handed: it is ours only once all of it was found good. */
static int check_hands(struct ring_meeting *meeting, struct received *received)
{
    int r = 0;
    unsigned next = 0, expected = 2 * (unsigned)__builtin_popcount(received->hello.ways);
    if (received->count != expected)
        return fail(-EPROTO, "%s: the other end handed over %u descriptors, and %u were due (or this process may have no more "
                    "open: ulimit -n)", meeting->object, received->count, expected);
    for (unsigned i = 0; i < HANDS && r == 0; i++)
        if (hands[i].way & received->hello.ways)
            r = check_hand(meeting, i, &received->fd[next++]);
    next = 0;
    for (unsigned i = 0; i < HANDS && r == 0; i++)
        if (hands[i].way & received->hello.ways) {
            meeting->theirs[i] = received->fd[next];
            received->fd[next++] = -1;
        }
    return r;
}

/* ---- Who may meet ---------------------------------------------------------------------------------------- */

/* Before anything is handed over, or taken. */
static int check_credentials(struct ring_meeting *meeting)
{
    int r = port_peer(meeting->socket_fd, meeting->object, &meeting->peer);
    if (r == 0 && meeting->peer.uid != meeting->uid)
        r = fail(-EACCES, "%s: process %lld of uid %u is at the other end, and not one of uid %u: nothing was handed over (add "
                 "peer=%u if that is whom you want to talk to)", meeting->object, (long long)meeting->peer.pid,
                 meeting->peer.uid, meeting->uid, meeting->peer.uid);
    return r;
}

static const char *side_of(uint32_t ways)
{
    return ways == TONG_BOTH ? "an end for both ways" : ways == TONG_SEND ? "a sender" : "a receiver";
}

/* A sender and a receiver, or two that are both. */
static int check_ways(const struct ring_meeting *meeting, uint32_t theirs)
{
    if (theirs == (meeting->ways == TONG_BOTH ? TONG_BOTH : meeting->ways ^ TONG_BOTH))
        return 0;
    return fail(theirs == meeting->ways ? -EBUSY : -EINVAL, "%s: %s is there, and %s came: they do not fit", meeting->object,
                side_of(meeting->ways), side_of(theirs));
}

static int check_hello(const struct ring_meeting *meeting, const struct received *received)
{
    const struct hello *hello = &received->hello;
    if (received->size != sizeof *hello || memcmp(hello->magic, MAGIC, sizeof hello->magic) || hello->version != VERSION ||
        !(hello->ways & TONG_BOTH) || hello->ways & ~TONG_BOTH)
        return fail(-EPROTO, "%s: who is at the other end does not speak as tong does: choose another name", meeting->object);
    return 0;
}

static int refused(const struct ring_meeting *meeting, const struct hello *hello)
{
    static const struct { int status; const char *why; } reasons[] = {
        { -EACCES, "does not want to meet this user: it has to say peer=" },
        { -EBUSY, "is there for the same direction, and there is one for each" },
        { -EINVAL, "does not go the same ways: open both ends for both, or one to send and one to receive" },
    };
    const char *why = "could not take what it was handed";
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (hello->status == reasons[i].status)
            why = reasons[i].why;
    int error = hello->status < 0 && hello->status > -4096 ? hello->status : -EPROTO;
    return fail(error, "%s: process %lld, which came first, %s", meeting->object, (long long)meeting->peer.pid, why);
}

/* ---- The sockets ----------------------------------------------------------------------------------------- */

static int watch(const struct ring_meeting *meeting, int operation, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events };
    return sys_epoll_ctl(meeting->epoll_fd, operation, fd, &event);
}

/* Whoever is next may come.  Taken out by name, because a forked child may have the socket too. */
static void drop(struct ring_meeting *meeting)
{
    watch(meeting, EPOLL_CTL_DEL, meeting->socket_fd, 0);
    close_one(&meeting->socket_fd);
    meeting->greeted = false;
    if (meeting->listener_fd >= 0)
        watch(meeting, EPOLL_CTL_MOD, meeting->listener_fd, EPOLLIN);
}

static int take_socket(struct ring_meeting *meeting, int fd)
{
    int r = watch(meeting, EPOLL_CTL_ADD, fd, EPOLLIN);
    if (r < 0) {
        sys_close(fd);
        return fail_call(r, "%s: epoll_ctl", meeting->object);
    }
    if (meeting->listener_fd >= 0)
        watch(meeting, EPOLL_CTL_MOD, meeting->listener_fd, 0);
    meeting->socket_fd = fd;
    meeting->since = clock_now();
    return 0;
}

/* Who was turned away before it came to that hears why. */
static int greet(struct ring_meeting *meeting)
{
    int r = check_credentials(meeting), said = r == 0 ? say(meeting, meeting->socket_fd, 0) : 0;
    if (said < 0 && said != -EPIPE && said != -ECONNRESET)
        r = fail_call(said, "%s: handing over", meeting->object);
    meeting->greeted = r == 0;
    if (r < 0)
        drop(meeting);
    return r;
}

static int connect_failed(const struct ring_meeting *meeting, int error)
{
    if (error == -EPROTOTYPE)
        return fail(-EEXIST, "%s: a socket of another kind is there: choose another name", meeting->object);
    if (error == -EACCES)
        return fail(error, "%s: not allowed to uid %u: who made it must add peer=%u", meeting->object, (unsigned)geteuid(),
                    (unsigned)geteuid());
    return fail_call(error, "connect(%s)", meeting->object);
}

/* 0; -ENOENT and -ECONNREFUSED, without words: nobody is there; -EAGAIN: too many are. */
static int connect_to_first(struct ring_meeting *meeting)
{
    int fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK);
    if (fd < 0)
        return fail_call(fd, "socket");
    int r = sys_connect(fd, local_name_raw(&meeting->name), meeting->name.size);
    if (r < 0) {
        sys_close(fd);
        return r == -ENOENT || r == -ECONNREFUSED || r == -EAGAIN ? r : connect_failed(meeting, r);
    }
    r = take_socket(meeting, fd);
    return r < 0 ? r : greet(meeting);
}

static int bind_name(const struct ring_meeting *meeting, int fd)
{
    const struct local_name *name = &meeting->name;
    mode_t mode = meeting->uid == geteuid() ? 0600 : 0666; /* the credentials are looked at in any case */
    int r = name->abstract ? 0 : sys_fchmod(fd, 0600);
    if (r == 0)
        r = sys_bind(fd, local_name_raw(name), name->size);
    if (r == -EADDRINUSE && !name->abstract)
        r = local_name_take_over(fd, name);
    if (r == 0 && !name->abstract && mode != 0600)
        r = sys_chmod(name->address.sun_path, mode);
    return r;
}

/* 0; -EADDRINUSE, without words: somebody else was first. */
static int become_first(struct ring_meeting *meeting)
{
    int fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK);
    if (fd < 0)
        return fail_call(fd, "socket");
    int r = bind_name(meeting, fd);
    if (r < 0) {
        sys_close(fd);
        return r == -EADDRINUSE ? r : fail_call(r, "bind(%s)", meeting->object);
    }
    r = meeting->name.abstract ? 0 : made_name_note(&meeting->made, meeting->name.address.sun_path);
    if (r == 0 && ((r = sys_listen(fd, STRANGERS)) < 0 || (r = watch(meeting, EPOLL_CTL_ADD, fd, EPOLLIN)) < 0))
        r = fail_call(r, "listen(%s)", meeting->object);
    meeting->listener_fd = fd;
    return r;
}

static int come(struct ring_meeting *meeting)
{
    int r = meeting->name.abstract ? 0 : local_name_foreign(meeting->name.address.sun_path, 0);
    if (r == 0)
        r = connect_to_first(meeting);
    if (r == -ENOENT || r == -ECONNREFUSED)
        r = become_first(meeting);
    return r;
}

int ring_meeting_arrive(struct ring_meeting *meeting)
{
    int r = -EAGAIN;
    for (int race = 0; race < RACES && (r == -EADDRINUSE || r == -EAGAIN); race++) {
        r = race ? wait_pause(TONG_MILLISECOND, -1, DEADLINE_NEVER) : 0;
        if (r == 0)
            r = come(meeting);
    }
    if (r == -EADDRINUSE || r == -EAGAIN)
        return fail(-EBUSY, "%s: others keep coming and going there, or somebody has it bound and does not listen",
                    meeting->object);
    return r;
}

/* ---- Meeting --------------------------------------------------------------------------------------------- */

/* Whoever came to the name while two met there shall come again, for the next meeting.  The name is gone, so no more come. */
static void send_back(const struct ring_meeting *meeting)
{
    int fd;
    for (int i = 0; i < STRANGERS && (fd = sys_accept(meeting->listener_fd, SOCK_NONBLOCK)) >= 0; i++) {
        say(meeting, fd, -EAGAIN);
        sys_close(fd);
    }
}

/* The name is free for the next two.  What was sent can still be read after shutdown(2), and from now on the socket, and so
 * the epoll instance, is readable: which tells the thread of the other direction. */
static int hold(struct ring_meeting *meeting)
{
    made_name_remove(&meeting->made);
    made_name_free(&meeting->made);
    if (meeting->listener_fd >= 0)
        send_back(meeting);
    close_one(&meeting->listener_fd);
    sys_shutdown(meeting->socket_fd, SHUT_RDWR);
    close_all(meeting->ours, HANDS);
    atomic_store_explicit(&meeting->state, MEETING_HELD, memory_order_release);
    return 1;
}

static int give_up(struct ring_meeting *meeting, int error)
{
    snprintf(meeting->refusal, sizeof meeting->refusal, "%s", tong_detail());
    made_name_remove(&meeting->made);
    made_name_free(&meeting->made);
    atomic_store_explicit(&meeting->state, error, memory_order_release);
    return error;
}

static int accept_one(struct ring_meeting *meeting)
{
    int fd = sys_accept(meeting->listener_fd, SOCK_NONBLOCK);
    if (fd == -EAGAIN || fd == -ECONNABORTED)
        return 0;
    if (fd < 0)
        return fail_call(fd, "accept(%s)", meeting->object);
    int r = take_socket(meeting, fd);
    return r < 0 ? r : 1;
}

/* The one who connected is not it.  What is wrong with us is no reason to go on as if nobody had come. */
static int turn_away(struct ring_meeting *meeting, int error)
{
    bool stranger = error == -EACCES || error == -EPROTO || error == -EBUSY || error == -EINVAL;
    say(meeting, meeting->socket_fd, error);
    drop(meeting);
    return stranger ? 0 : error;
}

static int come_again(struct ring_meeting *meeting)
{
    drop(meeting);
    int r = ring_meeting_arrive(meeting);
    return r < 0 ? give_up(meeting, r) : 0;
}

/* A receiver whom nobody has handed anything yet has lost nothing: for it, it is as if nobody had been there. */
static int left(struct ring_meeting *meeting)
{
    drop(meeting);
    if (meeting->listener_fd >= 0)
        return 0;
    if (meeting->ways & TONG_SEND)
        return give_up(meeting, fail(-EPIPE, "%s: process %lld at the other end left before it took anything",
                                     meeting->object, (long long)meeting->peer.pid));
    return come_again(meeting);
}

/* 1; 0 if it has gone meanwhile and left nothing: what a sender handed over is all that it sent, and nobody else has it. */
static int reply(struct ring_meeting *meeting, uint32_t theirs)
{
    int r = say(meeting, meeting->socket_fd, 0);
    if (r == 0 || (theirs & TONG_SEND && (r == -EPIPE || r == -ECONNRESET)))
        return 1;
    close_all(meeting->theirs, HANDS);
    return r == -EPIPE || r == -ECONNRESET ? 0 : fail_call(r, "%s: handing over", meeting->object);
}

static int answer(struct ring_meeting *meeting, struct received *received)
{
    int r = check_credentials(meeting);
    if (r == 0)
        r = check_hello(meeting, received);
    if (r == 0)
        r = check_ways(meeting, received->hello.ways);
    if (r == 0)
        r = check_hands(meeting, received);
    close_all(received->fd, received->count);
    if (r == 0)
        r = reply(meeting, received->hello.ways);
    return r < 0 ? turn_away(meeting, r) : r == 0 ? left(meeting) : hold(meeting);
}

static int be_answered(struct ring_meeting *meeting, struct received *received)
{
    int r = check_hello(meeting, received);
    if (r == 0 && received->hello.status == -EAGAIN) {
        close_all(received->fd, received->count);
        return come_again(meeting);
    }
    if (r == 0 && received->hello.status != 0)
        r = refused(meeting, &received->hello);
    if (r == 0)
        r = check_ways(meeting, received->hello.ways);
    if (r == 0)
        r = check_hands(meeting, received);
    close_all(received->fd, received->count);
    return r < 0 ? give_up(meeting, r) : hold(meeting);
}

/* A user who is not meant is not waited for: it may never say anything. */
static int listen_to(struct ring_meeting *meeting)
{
    struct received received;
    int r = hear(meeting, &received);
    if (r < 0)
        return r == -ENOTCONN ? left(meeting) : r;
    if (r == 0 && !meeting->greeted && (r = check_credentials(meeting)) < 0)
        return turn_away(meeting, r);
    if (r == 0)
        return meeting->greeted || clock_now() - meeting->since < SILENCE ? 0 : left(meeting);
    return meeting->greeted ? be_answered(meeting, &received) : answer(meeting, &received);
}

static int look(struct ring_meeting *meeting)
{
    int r = meeting->state;
    for (int strangers = 0; r == MEETING_AWAITED && strangers < STRANGERS; strangers++) {
        if (meeting->socket_fd < 0 && (r = accept_one(meeting)) <= 0)
            return r;
        r = listen_to(meeting);
        if (r != 0 || meeting->socket_fd >= 0)
            return r;
    }
    return r < 0 ? ring_meeting_refusal(meeting, true) : r == MEETING_HELD;
}

int ring_meeting_look(struct ring_meeting *meeting)
{
    int state = atomic_load_explicit(&meeting->state, memory_order_acquire);
    if (state == MEETING_HELD || state == MEETING_CLOSED)
        return state == MEETING_HELD;
    pthread_mutex_lock(&meeting->lock);
    int r = look(meeting);
    pthread_mutex_unlock(&meeting->lock);
    return r;
}

int ring_meeting_await(struct ring_meeting *meeting, int cancel_fd, int64_t deadline)
{
    for (;;) {
        int r = ring_meeting_look(meeting);
        if (r != 0)
            return r < 0 ? r : 0;
        int64_t left = deadline_left(deadline);
        if (left == 0) /* strangers may come without end */
            return wait_expired(deadline);
        bool longer = left < 0 || left > SILENCE;
        r = wait_descriptor(meeting->epoll_fd, POLLIN, cancel_fd, longer ? deadline_after(SILENCE) : deadline);
        if (r < 0 && !(r == -ETIMEDOUT && longer))
            return r;
    }
}

int ring_meeting_refusal(const struct ring_meeting *meeting, bool sender)
{
    int state = meeting->state;
    return fail(state == -EPIPE && !sender ? -ECONNRESET : state, "%s", meeting->refusal);
}

/* ---- Beginning and ending -------------------------------------------------------------------------------- */

int ring_meeting_open(struct ring_meeting *meeting, const char *object, const struct address *address, uint32_t ways)
{
    meeting->object = object;
    meeting->ways = ways;
    meeting->uid = address_given(address, OPTION_PEER) ? (uint32_t)address->value[OPTION_PEER] : geteuid();
    meeting->peer = (tong_identity)TONG_IDENTITY_INIT;
    meeting->listener_fd = meeting->socket_fd = -1;
    for (unsigned i = 0; i < HANDS; i++)
        meeting->ours[i] = meeting->theirs[i] = -1;
    pthread_mutex_init(&meeting->lock, NULL);
    meeting->epoll_fd = sys_epoll_create();
    return meeting->epoll_fd < 0 ? fail_call(meeting->epoll_fd, "epoll_create1") : 0;
}

void ring_meeting_close(struct ring_meeting *meeting, bool forked)
{
    if (meeting->state >= 0) /* why there was none is what closing says, too */
        atomic_store_explicit(&meeting->state, MEETING_CLOSED, memory_order_release);
    if (!forked)
        made_name_remove(&meeting->made);
    made_name_free(&meeting->made);
    close_one(&meeting->listener_fd);
    close_one(&meeting->socket_fd);
    close_one(&meeting->epoll_fd);
    close_all(meeting->ours, HANDS);
    close_all(meeting->theirs, HANDS);
}
