/* SPDX-License-Identifier: MIT */
/*
 * queue_types.c - two structures on one System V message queue; the receiver chooses by type.
 *
 * The temperature comes first although an order lies before it; then the orders come in their own order.  The type
 * stands beside the bytes and not in them, and what lies in the queue is what plain msgsnd(2) would have put there.
 *
 * With the bare calls: raw/queue_types.c.  From a shell:
 *     tong send --type 1 msgq:1234 '3 apples'; tong send --type 2 msgq:1234 '21.5 degrees'
 *     tong recv --type 2 -n 1 --lines msgq:1234; tong recv --type 1 -n 1 --lines msgq:1234; tong rm msgq:1234
 *
 * Build: cc queue_types.c -o queue_types $(pkg-config --cflags --libs tong)
 * Usage: queue_types [ADDRESS]            (default msgq:1234; no queue may have the key yet)
 * Prints (the child does):
 *     type 2: 21.5 degrees
 *     type 1: 3 apples
 *     type 1: 5 pears
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

enum { ORDER = 1, TEMPERATURE = 2 };

struct order {
    int count;
    char what[12];
};

static int failed(const char *who)
{
    fprintf(stderr, "%s: %s\n", who, tong_detail());
    return 1;
}

static int put(tong_channel *queue, int64_t type, const void *body, size_t size)
{
    tong_message message = TONG_MESSAGE_INIT;
    message.type = type;
    return tong_channel_send(queue, body, size, &message, TONG_SECOND) < 0 ? failed("parent") : 0;
}

static int child(const char *address)
{
    struct order order;
    double degrees;
    tong_channel *queue;
    if (tong_channel_open(address, TONG_RECEIVE, 0, &queue) < 0 ||
        tong_channel_select(queue, TONG_SELECT_EQUAL, TEMPERATURE) < 0 ||
        tong_channel_receive(queue, &degrees, sizeof degrees, NULL, 5 * TONG_SECOND) < 0 ||
        tong_channel_select(queue, TONG_SELECT_EQUAL, ORDER) < 0)
        return failed("child");
    printf("type %d: %.1f degrees\n", TEMPERATURE, degrees);
    for (int i = 0; i < 2; i++) {
        if (tong_channel_receive(queue, &order, sizeof order, NULL, 5 * TONG_SECOND) < 0)
            return failed("child");
        printf("type %d: %d %.12s\n", ORDER, order.count, order.what);
    }
    fflush(stdout);
    return tong_channel_close(queue) < 0;
}

int main(int argc, char **argv)
{
    const struct order apples = { 3, "apples" }, pears = { 5, "pears" };
    const double degrees = 21.5;
    const char *address = argc > 1 ? argv[1] : "msgq:1234";
    char made[256];
    tong_channel *queue;
    int status = 1;
    /* who made the queue removes it, also when the child has died */
    snprintf(made, sizeof made, "%s?create=excl&remove=owner", address);
    if (tong_channel_open(made, TONG_SEND, 0, &queue) < 0)
        return failed("open");
    pid_t pid = fork();
    if (pid < 0)
        perror("fork");
    if (pid == 0)
        _exit(child(address));
    int result = put(queue, ORDER, &apples, sizeof apples) || put(queue, TEMPERATURE, &degrees, sizeof degrees) ||
                 put(queue, ORDER, &pears, sizeof pears);
    if (pid > 0)
        waitpid(pid, &status, 0);
    return (tong_channel_close(queue) < 0) | result | (status != 0);
}
