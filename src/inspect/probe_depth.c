/* SPDX-License-Identifier: MIT */
/*
 * How full pipes and FIFOs are, where no program of the kernel's has told it, by a copy of one of their descriptors
 * (pidfd_getfd(2)), which is closed at once.  A
 * copy is of the same open file description, so it adds neither reader nor writer.  It is checked to be of the pipe
 * that was seen: the process may have ended, or closed and opened, in between.
 *
 * The kernel does not tell how many readers and writers a pipe has.  But poll(2) on an end tells whether the other side
 * has anybody at all; if it has and nobody there could be seen, that is said (TONG_OBJECT_HIDDEN_ENDS).  A reader of a
 * FIFO to which no writer ever came is told nothing by poll(2), so of FIFOs only the writers' side is believed.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "inspect/probe.h"
#include "sys/sys.h"

#define UNKNOWN "how full pipes are"

struct pipe_ends {
    uint32_t writer, reader; /* an end each, or TONG_NOBODY */
};

struct depth_scan {
    struct tong_snapshot *graph;
    struct pipe_ends *pipes; /* of each object */
    uint32_t process;        /* of which `pidfd` is, or why there is none */
    int pidfd;
};

static bool is_unknown_pipe(const tong_object *object)
{
    return (object->kind == TONG_KIND_PIPE || object->kind == TONG_KIND_FIFO) && object->depth == TONG_UNKNOWN;
}

static void choose_ends(const struct depth_scan *scan)
{
    const tong_end *ends = graph_ends(scan->graph);
    for (uint32_t i = 0; i < scan->graph->objects.count; i++)
        scan->pipes[i] = (struct pipe_ends){ TONG_NOBODY, TONG_NOBODY };
    for (uint32_t i = 0; i < scan->graph->ends.count; i++) {
        struct pipe_ends *pipe = &scan->pipes[ends[i].object];
        if (ends[i].direction & TONG_SEND && pipe->writer == TONG_NOBODY)
            pipe->writer = i;
        if (ends[i].direction & TONG_RECEIVE && pipe->reader == TONG_NOBODY)
            pipe->reader = i;
    }
}

static int copy_of(struct depth_scan *scan, const tong_end *end, const tong_object *object)
{
    struct stat status;
    if (scan->process != end->process) {
        sys_close(scan->pidfd);
        scan->pidfd = sys_pidfd_open((pid_t)graph_process_at(scan->graph, end->process)->pid);
        scan->process = end->process;
    }
    int fd = scan->pidfd < 0 ? scan->pidfd : sys_pidfd_getfd(scan->pidfd, end->fd);
    int r = fd < 0 ? fd : sys_fstat(fd, &status);
    if (r == 0 && (!S_ISFIFO(status.st_mode) || status.st_ino != object->inode))
        r = -ESTALE;
    if (r < 0 && fd >= 0)
        sys_close(fd);
    return r < 0 ? r : fd;
}

static void read_depth(struct tong_snapshot *graph, tong_object *object, const struct pipe_ends *pipe, int fd)
{
    bool writes = pipe->writer != TONG_NOBODY;
    struct pollfd asked = { .fd = fd, .events = writes ? POLLOUT : POLLIN };
    int bytes, capacity = sys_fcntl_int(fd, F_GETPIPE_SZ, 0);
    int filled = sys_ioctl_int(fd, FIONREAD, &bytes), r = sys_ppoll(&asked, 1, &(struct timespec){ 0, 0 }, NULL);
    object->depth = filled < 0 ? TONG_UNKNOWN : (uint64_t)bytes;
    object->capacity = capacity < 0 ? TONG_UNKNOWN : (uint64_t)capacity;
    graph_missed(graph, UNKNOWN, filled < 0 ? filled : capacity < 0 ? capacity : r);
    if (r < 0)
        return;
    bool alone = asked.revents & (writes ? POLLERR : POLLHUP);
    bool tells = writes ? pipe->reader == TONG_NOBODY : object->kind == TONG_KIND_PIPE;
    object->flags |= tells && !alone ? TONG_OBJECT_HIDDEN_ENDS : 0;
    object->flags |= writes && !(asked.revents & POLLOUT) ? TONG_OBJECT_FULL : 0;
}

static void look_at(struct depth_scan *scan, uint32_t number)
{
    tong_object *object = graph_object_at(scan->graph, number);
    const struct pipe_ends *pipe = &scan->pipes[number];
    uint32_t end = pipe->writer != TONG_NOBODY ? pipe->writer : pipe->reader;
    int fd = copy_of(scan, graph_ends(scan->graph) + end, object);
    if (fd >= 0)
        read_depth(scan->graph, object, pipe, fd);
    else if (fd == -ENOSYS)
        graph_gap(scan->graph, UNKNOWN, "this kernel copies no descriptors (Linux 5.6)");
    else if (fd != -ESTALE && fd != -EBADF)
        graph_missed(scan->graph, UNKNOWN, fd);
    sys_close(fd < 0 ? -1 : fd);
}

/* In the order of ends, which is that of processes: each is opened once. */
int probe_depths(struct scan *scan)
{
    struct tong_snapshot *graph = scan->graph;
    struct depth_scan depths = { graph, malloc((graph->objects.count + 1) * sizeof *depths.pipes), TONG_NOBODY, -1 };
    if (!depths.pipes)
        return -ENOMEM;
    choose_ends(&depths);
    for (uint32_t i = 0; i < graph->ends.count; i++) {
        uint32_t object = graph_ends(graph)[i].object;
        const struct pipe_ends *pipe = &depths.pipes[object];
        uint32_t chosen = pipe->writer != TONG_NOBODY ? pipe->writer : pipe->reader;
        if (chosen == i && is_unknown_pipe(graph_object_at(graph, object)))
            look_at(&depths, object);
    }
    sys_close(depths.pidfd < 0 ? -1 : depths.pidfd);
    free(depths.pipes);
    return 0;
}
