/* SPDX-License-Identifier: MIT */
/* posix send NAME PRIORITY TEXT, posix receive NAME, posix notify NAME: a plain program, which knows nothing of tong. */
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char *call)
{
    perror(call);
    return 1;
}

static int receive(mqd_t queue)
{
    static char text[65536];
    unsigned priority;
    ssize_t size = mq_receive(queue, text, sizeof text, &priority);
    if (size < 0)
        return failed("mq_receive");
    printf("%u %.*s\n", priority, (int)size, text);
    return 0;
}

/* Says when it is registered, and then that it was told; the message itself stays where it is. */
static int await_notice(mqd_t queue)
{
    sigset_t usr1;
    int number;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    if (mq_notify(queue, &(struct sigevent){ .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 }) < 0)
        return failed("mq_notify");
    puts("registered");
    fflush(stdout);
    sigwait(&usr1, &number);
    puts("notified");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 5)
        return 2;
    mqd_t queue = mq_open(argv[2], argc == 5 ? O_WRONLY : O_RDONLY);
    if (queue < 0)
        return failed("mq_open");
    if (argc == 5)
        return mq_send(queue, argv[4], strlen(argv[4]), (unsigned)atoi(argv[3])) < 0 ? failed("mq_send") : 0;
    return strcmp(argv[1], "notify") ? receive(queue) : await_notice(queue);
}
