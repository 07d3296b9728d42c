/* SPDX-License-Identifier: MIT */
/* Which ends are one open file description, and which of them were inherited. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "look.h"

static pid_t sleeper(const char *opens)
{
    pid_t child = frame_fork();
    if (child == 0) {
        MUST(!opens || open(opens, O_RDWR | O_CLOEXEC) >= 0, "open: %s", strerror(errno));
        pause();
    }
    frame_asleep(child, child);
    return child;
}

/* An end of the process that is, or is not, of that description; NULL: there is none. */
static const tong_end *find_end(const tong_snapshot *snapshot, size_t object, pid_t pid, uint64_t description, bool equal)
{
    size_t first, count = tong_snapshot_ends_of(snapshot, object, &first);
    for (size_t i = first; i < first + count; i++) {
        const tong_end *end = tong_snapshot_end(snapshot, i);
        if (tong_snapshot_process(snapshot, end->process)->pid == pid && (end->description == description) == equal)
            return end;
    }
    return NULL;
}

static void test_inherited(int unused)
{
    (void)unused;
    size_t number;
    char path[256];
    snprintf(path, sizeof path, "%s/fifo", frame_directory());
    MUST(mkfifo(path, 0600) == 0, "mkfifo");
    int fd = open(path, O_RDWR | O_CLOEXEC), copy = dup(fd);
    pid_t child = sleeper(path);
    tong_snapshot *snapshot = look();
    see(snapshot, TONG_KIND_FIFO, path, &number);
    const tong_end *ours = end_of(snapshot, number, getpid(), 0);
    MUST(ours && ours->description && ours->count == 2 && ours->fd == fd, "both descriptors are one end");
    MUST(!(ours->flags & TONG_END_INHERITED), "we have it from nobody");
    const tong_end *theirs = find_end(snapshot, number, child, ours->description, true);
    MUST(theirs && theirs->flags & TONG_END_INHERITED && theirs->count == 2, "the child has it from us");
    const tong_end *own = find_end(snapshot, number, child, ours->description, false);
    MUST(own && own->description && !(own->flags & TONG_END_INHERITED), "and has opened it by itself");
    tong_snapshot_free(snapshot);
    frame_kill(child);
    close(fd);
    close(copy);
    unlink(path);
}

static void test_socket(int unused)
{
    (void)unused;
    size_t one, other;
    int sockets[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0, "socketpair");
    pid_t child = sleeper(NULL);
    tong_snapshot *snapshot = look();
    behind(snapshot, getpid(), sockets[0], &one);
    const tong_object *peer = behind(snapshot, child, sockets[1], &other);
    MUST(peer->peer == one && tong_snapshot_object(snapshot, one)->peer == other, "they are a pair");
    MUST(end_of(snapshot, one, child, TONG_END_INHERITED), "the child has it from us");
    GIVES(end_of(snapshot, one, child, 0)->description, (int64_t)end_of(snapshot, one, getpid(), 0)->description);
    tong_snapshot_free(snapshot);
    frame_kill(child);
    close(sockets[0]);
    close(sockets[1]);
}

int main(int argc, char **argv)
{
    frame_begin("inspect_description", argc, argv);
    frame_run("a FIFO, inherited and opened again", test_inherited, 0, 20);
    frame_run("a socket", test_socket, 0, 20);
    return frame_end();
}
