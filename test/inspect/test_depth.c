/* SPDX-License-Identifier: MIT */
/* How full pipes and FIFOs are, and whether there are ends that nobody can see. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "look.h"

static void test_pipe(int unused)
{
    (void)unused;
    size_t number;
    int ends[2];
    MUST(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && write(ends[1], "1234567", 7) == 7, "pipe2");
    tong_snapshot *snapshot = look();
    const tong_object *object = behind(snapshot, getpid(), ends[0], &number);
    GIVES(object->depth, 7);
    GIVES(object->capacity, fcntl(ends[0], F_GETPIPE_SZ));
    GIVES(object->flags & (TONG_OBJECT_FULL | TONG_OBJECT_HIDDEN_ENDS), 0);
    tong_snapshot_free(snapshot);
    close(ends[1]);
    snapshot = look();
    GIVES(behind(snapshot, getpid(), ends[0], &number)->flags & TONG_OBJECT_HIDDEN_ENDS, 0);
    tong_snapshot_free(snapshot);
    char read_back[8];
    MUST(read(ends[0], read_back, 8) == 7 && read(ends[0], read_back, 8) == 0, "a look takes nothing and adds no writer");
    close(ends[0]);
}

/* Many small packets fill a pipe's slots long before its bytes. */
static void test_full(int unused)
{
    (void)unused;
    size_t number;
    int ends[2];
    MUST(pipe2(ends, O_CLOEXEC | O_NONBLOCK | O_DIRECT) == 0, "pipe2");
    while (write(ends[1], "x", 1) == 1)
        ;
    tong_snapshot *snapshot = look();
    const tong_object *object = behind(snapshot, getpid(), ends[0], &number);
    MUST(object->flags & TONG_OBJECT_FULL, "it is full");
    MUST(object->depth < object->capacity, "%llu bytes", (unsigned long long)object->depth);
    tong_snapshot_free(snapshot);
    close(ends[0]);
    close(ends[1]);
}

/* The only write end lies in a socket, on its way to somebody. */
static void test_hidden(int unused)
{
    (void)unused;
    size_t number;
    int ends[2], sockets[2];
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    char byte = 0;
    struct iovec span = { &byte, 1 };
    struct msghdr message = { .msg_iov = &span, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof control };
    MUST(pipe2(ends, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0, "pipe2");
    memcpy(CMSG_DATA(&control.head), &ends[1], sizeof ends[1]);
    MUST(sendmsg(sockets[0], &message, 0) == 1, "sendmsg: %s", strerror(errno));
    close(ends[1]);
    tong_snapshot *snapshot = look();
    MUST(behind(snapshot, getpid(), ends[0], &number)->flags & TONG_OBJECT_HIDDEN_ENDS, "there is a writer somewhere");
    MUST(gap_count(snapshot, "some ends of objects"), "and that is a gap");
    tong_snapshot_free(snapshot);
    close(ends[0]);
    close(sockets[0]);
    close(sockets[1]);
}

static void test_fifo(int unused)
{
    (void)unused;
    size_t number;
    char path[256];
    snprintf(path, sizeof path, "%s/line\nfeed", frame_directory());
    MUST(mkfifo(path, 0600) == 0, "mkfifo");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    MUST(write(fd, "abc", 3) == 3, "write");
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_FIFO, path, &number);
    GIVES(object->depth, 3);
    GIVES(object->mode, 0600);
    GIVES(end_of(snapshot, number, getpid(), 0)->direction, TONG_SEND | TONG_RECEIVE);
    tong_snapshot_free(snapshot);
    snapshot = look_for(0);
    MUST(see(snapshot, TONG_KIND_FIFO, path, &number)->depth == TONG_UNKNOWN, "who does not ask gets no depth");
    tong_snapshot_free(snapshot);
    close(fd);
    unlink(path);
}

int main(int argc, char **argv)
{
    frame_begin("inspect_depth", argc, argv);
    frame_run("a pipe", test_pipe, 0, 20);
    frame_run("a full pipe", test_full, 0, 20);
    frame_run("a pipe whose writer is hidden", test_hidden, 0, 20);
    frame_run("a FIFO", test_fifo, 0, 20);
    return frame_end();
}
