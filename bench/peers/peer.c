/* SPDX-License-Identifier: MIT */
/* PROGRAM describe | server DIRECTORY | the words of a measurement (bench/work.h). */
#include "bench/peers/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int find_test(const char *name)
{
    int test = 0;
    while (test < TESTS && strcmp(test_names[test], name) != 0)
        test++;
    return test;
}

void peer_ready(void)
{
    if (write(STDOUT_FILENO, "ready\n", 6) != 6)
        _exit(1);
}

static int work(char **argv, const struct peer *peer)
{
    struct end end = { .wire = &peer->wire, .says = dup(STDOUT_FILENO), .hears = dup(STDIN_FILENO) };
    end.job = (struct job){ .test = (enum test)find_test(argv[2]), .size = strtoul(argv[3], NULL, 10),
                            .count = strtoull(argv[4], NULL, 10), .spin = !strcmp(argv[5], "spin"),
                            .burst = (unsigned)atoi(argv[6]), .broadcast = !strcmp(argv[7], "broadcast"),
                            .senders = atoi(argv[8]), .receivers = atoi(argv[9]), .role = atoi(argv[1]) };
    end.job.crowded = end.job.senders + end.job.receivers > 2;
    snprintf(end.job.directory, sizeof end.job.directory, "%s", argv[10]);
    if (end.job.test == TESTS || end.job.size < 64 || end.job.size % 64 || end.job.burst > BURST_MAX)
        return 2;
    /* what a library prints is not part of the protocol */
    dup2(STDERR_FILENO, STDOUT_FILENO);
    return end_run(&end);
}

int peer_main(int argc, char **argv, const struct peer *peer)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && !strcmp(argv[1], "describe"))
        return fputs(peer->description, stdout) < 0;
    if (argc == 3 && !strcmp(argv[1], "server") && peer->server) {
        peer->server(argv[2]);
        return 1;
    }
    if (argc == 11)
        return work(argv, peer);
    fprintf(stderr, "usage: %s describe | ROLE TEST SIZE COUNT WAITING BURST DELIVERY SENDERS RECEIVERS DIRECTORY\n",
            argv[0]);
    return 2;
}

const char *peer_path(const struct end *end, const char *name)
{
    size_t room = strlen(end->job.directory) + strlen(name) + 2;
    char *path = malloc(room);
    if (!path)
        end_missing(end, "out of memory");
    snprintf(path, room, "%s/%s", end->job.directory, name);
    return path;
}

/* Whoever has the lock first makes it. */
void *peer_shared(struct end *end, const char *name, size_t size, void (*prepare)(void *))
{
    struct stat status;
    int fd = open(peer_path(end, name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &status) < 0 || ftruncate(fd, (off_t)size) < 0)
        end_missing(end, "%s: %s", name, strerror(errno));
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED)
        end_missing(end, "%s: %s", name, strerror(errno));
    if (status.st_size == 0 && prepare)
        prepare(at);
    flock(fd, LOCK_UN);
    close(fd);
    return at;
}
