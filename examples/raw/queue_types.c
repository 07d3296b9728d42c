/* SPDX-License-Identifier: MIT */
/*
 * queue_types.c - two structures on one System V message queue; the receiver chooses by type.
 *
 * Each structure begins with a long, its type.  msgrcv(2) with type 2 takes the temperature although an order lies
 * before it; then the orders come in their own order.  A queue is in the kernel and not in a directory: it stays when
 * its makers have gone, until somebody removes it.
 *
 * Build: cc queue_types.c -o queue_types
 * Usage: queue_types [KEY]            (default 1234; no queue may have it yet)
 * Prints (the child does):
 *     type 2: 21.5 degrees
 *     type 1: 3 apples
 *     type 1: 5 pears
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <unistd.h>

struct order {
    long type; /* 1 */
    int count;
    char what[12];
};

struct temperature {
    long type; /* 2 */
    double degrees;
};

/* The size that msgsnd(2) and msgrcv(2) mean is without the type. */
#define BODY(message) (sizeof(message) - sizeof(long))

static void put(int queue)
{
    struct order apples = { 1, 3, "apples" }, pears = { 1, 5, "pears" };
    struct temperature now = { 2, 21.5 };
    if (msgsnd(queue, &apples, BODY(apples), 0) < 0 || msgsnd(queue, &now, BODY(now), 0) < 0 ||
        msgsnd(queue, &pears, BODY(pears), 0) < 0)
        err(1, "msgsnd");
}

static int take(int queue)
{
    struct order order;
    struct temperature now;
    if (msgrcv(queue, &now, BODY(now), 2, 0) < 0)
        err(1, "msgrcv");
    printf("type %ld: %.1f degrees\n", now.type, now.degrees);
    for (int i = 0; i < 2; i++) {
        if (msgrcv(queue, &order, BODY(order), 1, 0) < 0)
            err(1, "msgrcv");
        printf("type %ld: %d %.12s\n", order.type, order.count, order.what);
    }
    return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    int status = 1;
    int queue = msgget((key_t)strtoul(argc > 1 ? argv[1] : "1234", NULL, 0), IPC_CREAT | IPC_EXCL | 0600);
    if (queue < 0)
        err(1, "msgget");
    pid_t pid = fork();
    if (pid == 0) {
        put(queue);
        _exit(take(queue));
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        warn("fork");
    if (msgctl(queue, IPC_RMID, NULL) < 0)
        err(1, "msgctl");
    return status != 0;
}
