/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - a parent says something to its child through an anonymous pipe.
 *
 * What arrives is a message and not bytes, so one receive gives what one send took.  Each process closes the end
 * that it does not use: as long as a sending end is open anywhere, its receiver never sees the end.
 *
 * With the bare calls: raw/pipe.c.  From a shell, with two programs in the place of parent and child:
 *     tong pipe -- printf 'Hello Child Process' -- cat
 *
 * Build: cc pipe.c -o pipe $(pkg-config --cflags --libs tong)
 * Prints (the child does):
 *     19 Hello Child Process
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

static int failed(const char *who)
{
    fprintf(stderr, "%s: %s\n", who, tong_detail());
    return 1;
}

static int child(tong_channel *parent)
{
    char text[255];
    ssize_t size = tong_channel_receive(parent, text, sizeof text, NULL, TONG_FOREVER);
    if (size < 0)
        return failed("child");
    printf("%zd %.*s\n", size, (int)size, text);
    return fflush(stdout) != 0;
}

int main(void)
{
    const char *message = "Hello Child Process";
    tong_channel *ends[2];
    int status;
    if (tong_channel_pair("pipe:", TONG_SEND, ends) < 0)
        return failed("pair");
    pid_t pid = fork();
    if (pid < 0)
        return perror("fork"), 1;
    tong_channel_close(ends[pid == 0 ? 0 : 1]);
    if (pid == 0)
        _exit(child(ends[1]));
    if (tong_channel_send(ends[0], message, strlen(message), NULL, TONG_FOREVER) < 0)
        failed("parent");
    tong_channel_close(ends[0]);
    return waitpid(pid, &status, 0) < 0 || status != 0;
}
