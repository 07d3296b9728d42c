/* SPDX-License-Identifier: MIT */
/*
 * Probes of directions.  Whether a queue or a piece of memory goes both ways is disputed because both answers can be
 * measured: without something that says for whom a message is, its writer may read it back; with it, one object
 * serves both.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "probe/probe.h"

struct letter {
    long type;
    int from;
};

#define BODY (sizeof(struct letter) - offsetof(struct letter, from))

/* ---- A queue --------------------------------------------------------------------------------------------- */

static void answer_letter(void *argument)
{
    struct letter letter;
    int queue = *(int *)argument;
    if (msgrcv(queue, &letter, BODY, 1, 0) < 0)
        _exit(1);
    letter = (struct letter){ 2, getpid() };
    if (msgsnd(queue, &letter, BODY, 0) < 0)
        _exit(1);
}

static int try_queue(struct measured *measured, int queue)
{
    struct letter mine = { 1, getpid() }, got;
    if (msgsnd(queue, &mine, BODY, IPC_NOWAIT) < 0 || msgrcv(queue, &got, BODY, 0, IPC_NOWAIT) < 0)
        return -errno;
    bool own = got.from == getpid();
    if (msgsnd(queue, &mine, BODY, IPC_NOWAIT) < 0)
        return -errno;
    int status = probe_child(answer_letter, &queue);
    if (status)
        return status < 0 ? status : -EIO;
    if (msgrcv(queue, &got, BODY, 2, IPC_NOWAIT) < 0)
        return -errno;
    figure_number(measured, "queues", "queues used", 1, NULL);
    figure_text(measured, "untyped", "who received it when no type was asked for",
                own ? "the sender itself" : "another process");
    figure_text(measured, "typed", "who sent what type 2 received, after type 1 was sent",
                got.from == getpid() ? "the sender itself" : "another process");
    measured->shown = own && got.from != getpid();
    return 0;
}

static int probe_queue_ways(struct measured *measured)
{
    int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    if (queue < 0)
        return -errno;
    int r = try_queue(measured, queue);
    msgctl(queue, IPC_RMID, NULL);
    return r;
}

/* ---- Memory ---------------------------------------------------------------------------------------------- */

static void write_second(void *argument)
{
    volatile int *words = argument;
    words[1] = words[0] + 1;
}

static int probe_memory_ways(struct measured *measured)
{
    volatile int *words = probe_shared(2 * sizeof *words);
    if (!words)
        return -errno;
    words[0] = 41;
    int own = words[0];
    int status = probe_child(write_second, (void *)words);
    figure_number(measured, "own", "read back by who wrote it", own, NULL);
    figure_number(measured, "other", "read from the place that the other process writes", words[1], NULL);
    measured->shown = status == 0 && own == 41 && words[1] == 42;
    munmap((void *)words, 2 * sizeof *words);
    return status < 0 ? status : 0;
}

/* ---- A socket -------------------------------------------------------------------------------------------- */

static void answer_socket(void *argument)
{
    int *ends = argument, word;
    close(ends[0]);
    if (read(ends[1], &word, sizeof word) != sizeof word)
        _exit(1);
    word++;
    if (write(ends[1], &word, sizeof word) != sizeof word)
        _exit(1);
}

static int probe_socket_ways(struct measured *measured)
{
    int ends[2], word = 41, back = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    int r = write(ends[0], &word, sizeof word) < 0 ? -errno : probe_child(answer_socket, ends);
    if (r == 0 && recv(ends[0], &back, sizeof back, MSG_DONTWAIT) < 0)
        r = -errno;
    close(ends[0]);
    close(ends[1]);
    figure_number(measured, "sockets", "sockets at each end", 1, NULL);
    figure_number(measured, "sent", "sent there", word, NULL);
    figure_number(measured, "answered", "came back on the same one", back, NULL);
    measured->shown = r == 0 && back == word + 1;
    return r < 0 ? r : 0;
}

const struct probe probes_ways[] = {
    { "queue-ways", "directions of a queue",
      "one queue goes both ways when types say for whom a message is; without them its sender may take it back:",
      probe_queue_ways },
    { "memory-ways", "directions of shared memory",
      "both processes can read and write it; it goes both ways when each has a place of its own to write:",
      probe_memory_ways },
    { "socket-ways", "directions of a socket", "one socket goes both ways, and nobody reads back his own words:",
      probe_socket_ways },
    { .name = NULL },
};
