/* SPDX-License-Identifier: MIT */
#include "ring/hello.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/detail.h"
#include "ring/sealed.h"
#include "sys/sys.h"
#include "tong/channel.h"

#define MAGIC "tongmeet"
#define VERSION 1

static const struct hand {
    uint32_t way;  /* who hands it over */
    uint32_t kind; /* of segment; 0: a pipe */
} hands[HANDS] = {
    [HAND_SENDERS] = { TONG_SEND, LAYOUT_KIND_SENDERS },
    [HAND_ROOM] = { TONG_SEND, 0 },
    [HAND_RECEIVERS] = { TONG_RECEIVE, LAYOUT_KIND_RECEIVERS },
    [HAND_BELL] = { TONG_RECEIVE, 0 },
};

void ring_hello_close(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sys_close(fds[i]);
        fds[i] = -1;
    }
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

int ring_hello_say(const struct ring_meeting *meeting, int fd, int status)
{
    union { char bytes[CMSG_SPACE(HANDS * sizeof(int))]; struct cmsghdr align; } control;
    struct ring_hello hello = { .version = VERSION, .ways = meeting->ways, .status = status };
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

static void collect(struct msghdr *message, struct ring_received *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        ret->count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(ret->fd, CMSG_DATA(c), ret->count * sizeof(int));
    }
}

/* No more descriptors come than the buffer has room for. */
int ring_hello_hear(const struct ring_meeting *meeting, struct ring_received *ret)
{
    union { char bytes[CMSG_SPACE(HANDS * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec span = { &ret->hello, sizeof ret->hello };
    struct msghdr message = { .msg_iov = &span, .msg_iovlen = 1, .msg_control = control.bytes,
                              .msg_controllen = sizeof control.bytes };
    *ret = (struct ring_received){ .fd = { -1, -1, -1, -1 } };
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

int ring_hello_take(struct ring_meeting *meeting, struct ring_received *received)
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

int ring_hello_check(const struct ring_meeting *meeting, const struct ring_received *received)
{
    const struct ring_hello *hello = &received->hello;
    if (received->size != sizeof *hello || memcmp(hello->magic, MAGIC, sizeof hello->magic) || hello->version != VERSION ||
        !(hello->ways & TONG_BOTH) || hello->ways & ~TONG_BOTH)
        return fail(-EPROTO, "%s: who is at the other end does not speak as tong does: choose another name", meeting->object);
    return 0;
}

int ring_hello_refused(const struct ring_meeting *meeting, const struct ring_hello *hello)
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
