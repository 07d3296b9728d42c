/* SPDX-License-Identifier: MIT */
/*
 * The meeting.
 *
 *     first comer                              second comer
 *     bind, listen                             connect; SO_PEERCRED: whoever called listen(2)
 *                                 <----------  hello and descriptors
 *     the name goes
 *     accept; SO_PEERCRED: whoever called connect(2)
 *     hello and descriptors       ---------->
 *
 * Neither message is waited for.  A stranger at the socket is turned away and told so, and who came first goes on waiting:
 * nobody can spoil it for those who are meant.  One who connects and says nothing is dropped after a second.  If the first
 * comer leaves before it took what it was handed, a sender is told (-EPIPE), and a receiver comes to the name anew.
 *
 * A sender may be gone before it is answered, and trust that the first comer takes what it handed over.  So only one may
 * hand anything over.  Where the mode of the path keeps strangers out, the kernel sees to that: the queue of the socket has
 * one place, and before anybody is taken out of it the name goes and shutdown(2) closes the socket to all who come later.
 * A third waits in opening, and comes to the next meeting.  Where strangers can connect they would fill that place under a
 * first comer who is not looking.  There sixteen may wait, the name stays until two have met, and whoever else has come by
 * then is told to come again; one who trusted and is gone has lost what it sent.
 */
#include "ring/meeting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/patience.h"
#include "core/port.h"
#include "core/wait.h"
#include "ring/hello.h"
#include "sys/sys.h"
#include "tong/channel.h"

#define RACE (200 * TONG_MILLISECOND) /* how long a name may be bound with nobody to answer, as others come and go there */
#define MOMENT (20 * TONG_MILLISECOND) /* in which two who are awake have met */
#define STRANGERS 16     /* who are turned away in one look */
#define SILENCE TONG_SECOND

static void close_one(int *fd)
{
    sys_close(*fd);
    *fd = -1;
}

void ring_meeting_forget(struct ring_meeting *meeting, unsigned hand)
{
    close_one(&meeting->ours[hand]);
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

/* ---- The sockets ----------------------------------------------------------------------------------------- */

static int watch(const struct ring_meeting *meeting, int operation, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events };
    return sys_epoll_ctl(meeting->epoll_fd, operation, fd, &event);
}

/* Whether the kernel lets nobody of another user connect. */
static bool is_private(const struct ring_meeting *meeting)
{
    return !meeting->name.abstract && meeting->uid == geteuid();
}

/* Taken out by name, because a forked child may have the socket too. */
static void close_watched(const struct ring_meeting *meeting, int *fd)
{
    watch(meeting, EPOLL_CTL_DEL, *fd, 0);
    close_one(fd);
}

static void drop(struct ring_meeting *meeting)
{
    close_watched(meeting, &meeting->socket_fd);
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
    int r = check_credentials(meeting), said = r == 0 ? ring_hello_say(meeting, meeting->socket_fd, 0) : 0;
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

/* A path says what who is bound there does: a sender's cannot be read, and one for both ways can be executed. */
static const mode_t modes[] = { [TONG_SEND] = 0222, [TONG_RECEIVE] = 0666, [TONG_BOTH] = 0777 };

static mode_t mode_of(const struct ring_meeting *meeting)
{
    mode_t everybody = is_private(meeting) ? 0700 : 0777; /* the credentials are looked at in any case */
    return everybody & modes[meeting->ways];
}

/* 0: of one who does not speak as we do. */
static uint32_t ways_of(const struct ring_meeting *meeting, mode_t mode)
{
    mode_t everybody = is_private(meeting) ? 0700 : 0777;
    for (uint32_t ways = TONG_RECEIVE; ways <= TONG_BOTH; ways++)
        if ((mode & 0777) == (everybody & modes[ways]))
            return ways;
    return 0;
}

/* Where two may never hear of one another again, whether they fit is known before anything is handed over; and who came first
 * and waits is not disturbed by who does not. */
static int look_at_the_door(const struct ring_meeting *meeting, struct stat *ret)
{
    ret->st_mode = 0;
    if (meeting->name.abstract)
        return 0;
    int r = local_name_foreign(meeting->name.address.sun_path, 0);
    if (r < 0 || sys_lstat(meeting->name.address.sun_path, ret) < 0)
        return r;
    uint32_t theirs = ways_of(meeting, ret->st_mode);
    bool fits = theirs == 0 || check_ways(meeting, theirs) == 0;
    return fits || local_name_is_stale(&meeting->name) ? 0 : check_ways(meeting, theirs);
}

/* We connected to who stood there `before`, unless another stands there now. */
static bool is_first(const struct ring_meeting *meeting, const struct stat *before)
{
    struct stat now;
    if (meeting->name.abstract)
        return true;
    bool there = sys_lstat(meeting->name.address.sun_path, &now) == 0;
    return before->st_mode && (!there || (now.st_dev == before->st_dev && now.st_ino == before->st_ino &&
                                          now.st_mode == before->st_mode));
}

/* 0; -ENOENT and -ECONNREFUSED, without words: nobody is there; -EAGAIN: too many are; -EADDRINUSE: they change. */
static int connect_to_first(struct ring_meeting *meeting, const struct stat *before)
{
    int fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK);
    if (fd < 0)
        return fail_call(fd, "socket");
    int r = sys_connect(fd, local_name_raw(&meeting->name), meeting->name.size);
    if (r < 0 && r != -ENOENT && r != -ECONNREFUSED && r != -EAGAIN)
        r = connect_failed(meeting, r);
    if (r == 0 && !is_first(meeting, before))
        r = -EADDRINUSE;
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    r = take_socket(meeting, fd);
    return r < 0 ? r : greet(meeting);
}

static int bind_name(const struct ring_meeting *meeting, int fd)
{
    const struct local_name *name = &meeting->name;
    int r = name->abstract ? 0 : sys_fchmod(fd, mode_of(meeting));
    if (r == 0)
        r = sys_bind(fd, local_name_raw(name), name->size);
    if (r == -EADDRINUSE && !name->abstract)
        r = local_name_take_over(fd, name);
    if (r == 0 && !name->abstract)
        r = sys_chmod(name->address.sun_path, mode_of(meeting)); /* whatever umask(2) is */
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
    if (r == 0 && ((r = sys_listen(fd, is_private(meeting) ? 0 : STRANGERS)) < 0 ||
                   (r = watch(meeting, EPOLL_CTL_ADD, fd, EPOLLIN)) < 0))
        r = fail_call(r, "listen(%s)", meeting->object);
    meeting->listener_fd = fd;
    return r;
}

static int come(struct ring_meeting *meeting)
{
    struct stat before;
    int r = look_at_the_door(meeting, &before);
    if (r == 0)
        r = connect_to_first(meeting, &before);
    if (r == -ENOENT || r == -ECONNREFUSED)
        r = become_first(meeting);
    return r;
}

static int not_arrived(const struct ring_meeting *meeting, int reason, int64_t deadline)
{
    if (reason == -EADDRINUSE)
        return fail(-EBUSY, "%s: others keep coming and going there, or somebody has it bound and does not listen",
                    meeting->object);
    return fail(deadline == DEADLINE_NOW ? -EBUSY : -ETIMEDOUT, "%s: two others are about to meet there, and who came first has "
                "not looked yet", meeting->object);
}

int ring_meeting_arrive(struct ring_meeting *meeting, int cancel_fd, int64_t deadline)
{
    struct patience patience = PATIENCE_OF(TONG_MILLISECOND / 10, 10 * TONG_MILLISECOND);
    int64_t race = deadline_after(RACE), until = deadline == DEADLINE_NOW ? deadline_after(MOMENT) : deadline;
    int r, paused = 0;
    while (paused == 0 && ((r = come(meeting)) == -EADDRINUSE || r == -EAGAIN)) {
        if (r == -EAGAIN)
            race = deadline_after(RACE);
        paused = patience_pause(&patience, cancel_fd, r == -EAGAIN ? until : race);
    }
    patience_end(&patience);
    return paused == -ETIMEDOUT ? not_arrived(meeting, r, deadline) : paused < 0 ? paused : r;
}

/* ---- Meeting --------------------------------------------------------------------------------------------- */

/* Whoever came to the name while two met there shall come again, for the next meeting.  The name is gone, so no more come. */
static void send_back(const struct ring_meeting *meeting)
{
    int fd;
    for (int i = 0; i < STRANGERS && (fd = sys_accept(meeting->listener_fd, SOCK_NONBLOCK)) >= 0; i++) {
        ring_hello_say(meeting, fd, -EAGAIN);
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
    ring_hello_close(meeting->ours, HANDS);
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

static int come_again(struct ring_meeting *meeting)
{
    int r = ring_meeting_arrive(meeting, -1, DEADLINE_NOW);
    return r < 0 ? give_up(meeting, r) : 0;
}

/* Whoever is next may come: to the name that is still ours, or we to the name anew. */
static int await_next(struct ring_meeting *meeting)
{
    drop(meeting);
    return meeting->listener_fd >= 0 ? 0 : come_again(meeting);
}

/* Nobody comes after who is there now.  The name goes first, so that nobody finds a socket that is closed to all. */
static void close_the_door(struct ring_meeting *meeting)
{
    made_name_remove(&meeting->made);
    made_name_free(&meeting->made);
    sys_shutdown(meeting->listener_fd, SHUT_RD);
}

/* What is handed over comes with the hello or is lost, so before anybody is taken there must be room for it, for the
 * connection, and for a pipe that is opened again. */
static int check_room(const struct ring_meeting *meeting)
{
    int fds[HANDS + 2], r = 0;
    unsigned count = 0;
    while (r >= 0 && count < HANDS + 2)
        if ((r = fds[count] = sys_fcntl_int(meeting->listener_fd, F_DUPFD_CLOEXEC, 0)) >= 0)
            count++;
    ring_hello_close(fds, count);
    return r < 0 ? fail_call(r, "%s: %d more descriptors for who has come", meeting->object, HANDS + 2) : 0;
}

/* 1; 0 when nobody is there, or somebody else was faster, who can only be a forked child of ours. */
static int take_one(struct ring_meeting *meeting)
{
    struct epoll_event event;
    const bool only = is_private(meeting);
    int r = sys_epoll_wait(meeting->epoll_fd, &event, 1, 0);
    if (r <= 0)
        return r < 0 ? fail_call(r, "%s: epoll_wait", meeting->object) : 0;
    if ((r = check_room(meeting)) < 0)
        return r;
    if (only)
        close_the_door(meeting);
    int fd = sys_accept(meeting->listener_fd, SOCK_NONBLOCK);
    if (fd < 0 && fd != -EAGAIN && fd != -EINVAL && fd != -ECONNABORTED)
        return fail_call(fd, "accept(%s)", meeting->object);
    if (only)
        close_watched(meeting, &meeting->listener_fd);
    r = fd < 0 ? 0 : take_socket(meeting, fd);
    if (only && meeting->socket_fd < 0) {
        int again = come_again(meeting);
        return r < 0 ? r : again;
    }
    return r < 0 ? r : fd >= 0;
}

/* The one who connected is not it.  What is wrong with us is no reason to go on as if nobody had come. */
static int turn_away(struct ring_meeting *meeting, int error)
{
    bool stranger = error == -EACCES || error == -EPROTO || error == -EBUSY || error == -EINVAL;
    ring_hello_say(meeting, meeting->socket_fd, error);
    int r = await_next(meeting);
    return r < 0 ? r : stranger ? 0 : error;
}

/* A receiver whom nobody has handed anything yet has lost nothing: for it, it is as if nobody had been there. */
static int left(struct ring_meeting *meeting)
{
    if (!(meeting->greeted && meeting->ways & TONG_SEND))
        return await_next(meeting);
    drop(meeting);
    return give_up(meeting, fail(-EPIPE, "%s: process %lld at the other end left before it took anything", meeting->object,
                                 (long long)meeting->peer.pid));
}

/* 1; 0 if it has gone meanwhile and left nothing: what a sender handed over is all that it sent, and nobody else has it. */
static int reply(struct ring_meeting *meeting, uint32_t theirs)
{
    int r = ring_hello_say(meeting, meeting->socket_fd, 0);
    if (r == 0 || (theirs & TONG_SEND && (r == -EPIPE || r == -ECONNRESET)))
        return 1;
    ring_hello_close(meeting->theirs, HANDS);
    return r == -EPIPE || r == -ECONNRESET ? 0 : fail_call(r, "%s: handing over", meeting->object);
}

static int answer(struct ring_meeting *meeting, struct ring_received *received)
{
    int r = check_credentials(meeting);
    if (r == 0)
        r = ring_hello_check(meeting, received);
    if (r == 0)
        r = check_ways(meeting, received->hello.ways);
    if (r == 0)
        r = ring_hello_take(meeting, received);
    ring_hello_close(received->fd, received->count);
    if (r == 0)
        r = reply(meeting, received->hello.ways);
    return r < 0 ? turn_away(meeting, r) : r == 0 ? left(meeting) : hold(meeting);
}

static int be_answered(struct ring_meeting *meeting, struct ring_received *received)
{
    int r = ring_hello_check(meeting, received);
    if (r == 0 && received->hello.status == -EAGAIN) {
        ring_hello_close(received->fd, received->count);
        return await_next(meeting);
    }
    if (r == 0 && received->hello.status != 0)
        r = ring_hello_refused(meeting, &received->hello);
    if (r == 0)
        r = check_ways(meeting, received->hello.ways);
    if (r == 0)
        r = ring_hello_take(meeting, received);
    ring_hello_close(received->fd, received->count);
    return r < 0 ? give_up(meeting, r) : hold(meeting);
}

/* A user who is not meant is not waited for: it may never say anything. */
static int listen_to(struct ring_meeting *meeting)
{
    struct ring_received received;
    int r = ring_hello_hear(meeting, &received);
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
        if (meeting->socket_fd < 0 && (r = take_one(meeting)) <= 0)
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
    ring_hello_close(meeting->ours, HANDS);
    ring_hello_close(meeting->theirs, HANDS);
}
