/* SPDX-License-Identifier: MIT */
/*
 * queue_both_ways.c - one System V message queue serves both directions: the type of a message says who it is for.
 *
 * Type 1 is for the server, a client's process id for that client.  Everybody takes only what is theirs, so one
 * queue serves any number of clients, and what lies in it is what plain msgsnd(2) and msgrcv(2) send and take.
 *
 * With the bare calls: raw/queue_both_ways.c.  From a shell, in each of two terminals:
 *     tong talk msgq:1234
 *
 * Build: cc queue_both_ways.c -o queue_both_ways $(pkg-config --cflags --libs tong)
 * Usage: queue_both_ways [ADDRESS]            (default msgq:1234; no queue may have the key yet)
 * Prints (each client does, the first to be served first):
 *     for client 4711 alone
 *     for client 4712 alone
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

#define FOR_SERVER 1
#define CLIENTS 2

static int failed(const char *who)
{
    fprintf(stderr, "%s: %s\n", who, tong_detail());
    return 1;
}

/* Asks, with its own type in the question, and takes only the answer to that. */
static int client(const char *address)
{
    tong_channel *queue;
    tong_message question = TONG_MESSAGE_INIT;
    long me = getpid();
    char answer[64];
    question.type = FOR_SERVER;
    if (tong_channel_open(address, TONG_BOTH, 0, &queue) < 0 ||
        tong_channel_select(queue, TONG_SELECT_EQUAL, me) < 0 ||
        tong_channel_send(queue, &me, sizeof me, &question, TONG_SECOND) < 0)
        return failed("client");
    ssize_t size = tong_channel_receive(queue, answer, sizeof answer, NULL, 5 * TONG_SECOND);
    if (size < 0)
        return failed("client");
    printf("%.*s\n", (int)size, answer);
    fflush(stdout);
    return tong_channel_close(queue) < 0;
}

static int serve(tong_channel *queue)
{
    char text[64];
    long asker;
    tong_message answer = TONG_MESSAGE_INIT;
    if (tong_channel_receive(queue, &asker, sizeof asker, NULL, 5 * TONG_SECOND) != sizeof asker)
        return failed("server");
    answer.type = asker;
    int size = snprintf(text, sizeof text, "for client %ld alone", asker);
    return tong_channel_send(queue, text, (size_t)size, &answer, TONG_SECOND) < 0 ? failed("server") : 0;
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "msgq:1234";
    char made[256];
    tong_channel *queue;
    int status, result = 0;
    /* who made the queue removes it; nobody else may be using the key */
    snprintf(made, sizeof made, "%s?create=excl&remove=owner&select=%d", address, FOR_SERVER);
    if (tong_channel_open(made, TONG_BOTH, 0, &queue) < 0)
        return failed("open");
    for (int i = 0; i < CLIENTS; i++) {
        pid_t pid = fork();
        if (pid < 0)
            perror("fork");
        if (pid == 0)
            _exit(client(address));
    }
    for (int i = 0; i < CLIENTS && result == 0; i++)
        result = serve(queue);
    while (wait(&status) > 0)
        result |= status != 0;
    return result | (tong_channel_close(queue) < 0);
}
