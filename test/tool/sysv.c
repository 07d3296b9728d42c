/* SPDX-License-Identifier: MIT */
/* sysv send KEY TYPE TEXT, sysv receive KEY TYPE: a program of the old school, which knows nothing of tong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

int main(int argc, char **argv)
{
    struct { long type; char text[8192]; } message;
    if (argc < 4)
        return 2;
    int id = msgget((key_t)strtol(argv[2], NULL, 0), 0);
    long type = strtol(argv[3], NULL, 0);
    if (id < 0) {
        perror("msgget");
        return 1;
    }
    if (argc > 4) {
        message.type = type;
        size_t size = strlen(argv[4]);
        if (size > sizeof message.text)
            return 2;
        memcpy(message.text, argv[4], size);
        return msgsnd(id, &message, size, 0) < 0;
    }
    ssize_t size = msgrcv(id, &message, sizeof message.text, type, 0);
    if (size < 0) {
        perror("msgrcv");
        return 1;
    }
    printf("%ld %.*s\n", message.type, (int)size, message.text);
    return 0;
}
