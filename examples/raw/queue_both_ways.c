/* SPDX-License-Identifier: MIT */
/*
 * queue_both_ways.c - one System V message queue serves both directions: the type says who a message is for.
 *
 * Type 1 is for the server, a client's process id for that client.  Everybody takes only what is theirs.  msgrcv(2)
 * has no time limit, so the parent sets an alarm: a client that dies must not make the server wait for ever.
 *
 * Build: cc queue_both_ways.c -o queue_both_ways
 * Usage: queue_both_ways [KEY]            (default 1234; no queue may have it yet)
 * Prints (each client does, the first to be served first):
 *     for client 4711 alone
 *     for client 4712 alone
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOR_SERVER 1
#define CLIENTS 2

struct question {
    long type, asker;
};

struct answer {
    long type;
    char text[64];
};

static int client(int queue)
{
    struct question question = { FOR_SERVER, getpid() };
    struct answer answer;
    if (msgsnd(queue, &question, sizeof question.asker, 0) < 0)
        err(1, "client: msgsnd");
    ssize_t size = msgrcv(queue, &answer, sizeof answer.text, question.asker, 0);
    if (size < 0)
        err(1, "client: msgrcv");
    printf("%.*s\n", (int)size, answer.text);
    return fflush(stdout) != 0;
}

static int serve(int queue)
{
    struct question question;
    struct answer answer;
    if (msgrcv(queue, &question, sizeof question.asker, FOR_SERVER, 0) < 0)
        return warn("msgrcv"), 1;
    answer.type = question.asker;
    int size = snprintf(answer.text, sizeof answer.text, "for client %ld alone", question.asker);
    if (msgsnd(queue, &answer, (size_t)size, 0) < 0)
        return warn("msgsnd"), 1;
    return 0;
}

static void too_late(int signal)
{
    (void)signal; /* that it came is enough: msgrcv(2) ends with EINTR */
}

int main(int argc, char **argv)
{
    struct sigaction alarmed = { .sa_handler = too_late };
    int status, result = 0;
    int queue = msgget((key_t)strtoul(argc > 1 ? argv[1] : "1234", NULL, 0), IPC_CREAT | IPC_EXCL | 0600);
    if (queue < 0)
        err(1, "msgget");
    for (int i = 0; i < CLIENTS; i++) {
        pid_t pid = fork();
        if (pid < 0)
            warn("fork");
        if (pid == 0)
            _exit(client(queue));
    }
    sigaction(SIGALRM, &alarmed, NULL);
    alarm(10);
    for (int i = 0; i < CLIENTS && result == 0; i++)
        result = serve(queue);
    if (result == 0)
        while (wait(&status) > 0)
            result |= status != 0;
    /* who still waits on the queue wakes with EIDRM */
    return result | (msgctl(queue, IPC_RMID, NULL) < 0);
}
