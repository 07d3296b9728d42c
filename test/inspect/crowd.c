/* SPDX-License-Identifier: MIT */
/*
 * crowd PROCESSES LIMIT: what a snapshot costs where PROCESSES processes have 40 descriptors each, beside `lsof +E`
 * where it is found: at most 1/LIMIT of that, or with LIMIT 0 no matter how much.  Every pipe of the crowd must be
 * seen, with both ends.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <tong/inspect.h>
#include <unistd.h>

#define PIPES 8
#define PAIRS 4
#define EVENTFDS 6
#define FILES 8
#define ROUNDS 5

/* Milliseconds of processor time, which other programs on the machine change less than those on the clock. */
static double now(int whose)
{
    struct rusage used;
    getrusage(whose, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static void must(int result, const char *what)
{
    if (result >= 0)
        return;
    perror(what);
    _exit(1);
}

/* 40 descriptors, and one byte down `told` once they are there; ends when its parent does. */
static void be_one(int told, int stay)
{
    int ends[2], watched = stay;
    for (int i = 0; i < PIPES; i++)
        must(pipe2(ends, O_CLOEXEC), "pipe2");
    for (int i = 0; i < PAIRS; i++)
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
    for (int i = 0; i < EVENTFDS; i++)
        must(watched = eventfd(0, EFD_CLOEXEC), "eventfd");
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = { .events = EPOLLIN };
        int set = epoll_create1(EPOLL_CLOEXEC);
        must(epoll_ctl(set, EPOLL_CTL_ADD, watched, &event), "epoll_ctl");
    }
    for (int i = 0; i < FILES; i++)
        must(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "open");
    must((int)write(told, "", 1), "write");
    char byte;
    must((int)read(stay, &byte, 1), "read");
    _exit(0);
}

static size_t count_pipes(const tong_snapshot *snapshot, const pid_t *crowd, int processes)
{
    size_t pipes = 0;
    for (size_t i = 0; i < tong_snapshot_ends(snapshot); i++) {
        const tong_end *end = tong_snapshot_end(snapshot, i);
        int64_t pid = tong_snapshot_process(snapshot, end->process)->pid;
        bool ours = pid >= crowd[0] && pid <= crowd[processes - 1];
        pipes += ours && end->count == 1 && tong_snapshot_object(snapshot, end->object)->kind == TONG_KIND_PIPE;
    }
    return pipes;
}

/* The best round, and how many ends of pipes the crowd was seen to have. */
static double look(uint32_t flags, const pid_t *crowd, int processes, size_t *ret_pipes)
{
    tong_look asked = { sizeof asked, flags, NULL };
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        tong_snapshot *snapshot;
        double began = now(RUSAGE_SELF);
        must(tong_snapshot_take(&asked, &snapshot), "tong_snapshot_take");
        double took = now(RUSAGE_SELF) - began;
        best = took < best ? took : best;
        *ret_pipes = count_pipes(snapshot, crowd, processes);
        tong_snapshot_free(snapshot);
    }
    return best;
}

static double lsof(void)
{
    double best = 0;
    for (int i = 0; i < 2; i++) {
        double began = now(RUSAGE_CHILDREN);
        if (system("lsof -n -P +E >/dev/null 2>&1") == -1 || system("command -v lsof >/dev/null") != 0)
            return 0;
        double took = now(RUSAGE_CHILDREN) - began;
        best = best == 0 || took < best ? took : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    int processes = argc > 1 ? atoi(argv[1]) : 20, limit = argc > 2 ? atoi(argv[2]) : 0, told[2], stay[2];
    pid_t *crowd = calloc((size_t)processes, sizeof *crowd);
    char byte;
    must(pipe2(told, O_CLOEXEC), "pipe2");
    must(pipe2(stay, O_CLOEXEC), "pipe2");
    for (int i = 0; i < processes; i++) {
        must(crowd[i] = fork(), "fork");
        if (crowd[i] == 0) {
            close(stay[1]);
            be_one(told[1], stay[0]);
        }
        must((int)read(told[0], &byte, 1), "read");
    }
    size_t pipes;
    double scan = look(0, crowd, processes, &pipes), all = look(TONG_LOOK_ALL, crowd, processes, &pipes), other = lsof();
    printf("%d processes: snapshot %.1f ms, with depths and waits %.1f ms, lsof +E %.1f ms\n", processes, scan, all, other);
    close(stay[1]);
    for (int i = 0; i < processes; i++)
        waitpid(crowd[i], NULL, 0);
    size_t due = (size_t)processes * 2 * PIPES;
    if (pipes < due)
        printf("only %zu of %zu ends of pipes were seen\n", pipes, due);
    bool slow = limit && other > 0 && all * limit > other;
    if (slow)
        printf("that is more than 1/%d of lsof\n", limit);
    free(crowd);
    return pipes < due || slow;
}
