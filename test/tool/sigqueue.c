/* SPDX-License-Identifier: MIT */
/* A plain C program that never heard of tong: sigqueue send PID NUMBER VALUE, or sigqueue receive NUMBER FILE, which
 * writes its pid to FILE once it can be sent to, and prints "VALUE from PID". */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int send_one(pid_t pid, int number, int value)
{
    union sigval carried = { .sival_int = value };
    return sigqueue(pid, number, carried) == 0 ? 0 : 1;
}

static int receive_one(int number, const char *path)
{
    sigset_t set;
    siginfo_t got;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, NULL);
    FILE *file = fopen(path, "w");
    if (!file || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0)
        return 1;
    if (sigtimedwait(&set, &got, &(struct timespec){ 20, 0 }) != number || got.si_code != SI_QUEUE)
        return 1;
    printf("%d from %d\n", got.si_value.sival_int, (int)got.si_pid);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "send"))
        return send_one((pid_t)atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
    if (argc == 4 && !strcmp(argv[1], "receive"))
        return receive_one(atoi(argv[2]), argv[3]);
    return 2;
}
