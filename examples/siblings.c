/* SPDX-License-Identifier: MIT */
/*
 * siblings.c - a pipe between two children of one parent: who inherits an end can use it, in whatever generation.
 *
 * The parent makes the pair and uses neither end.  It closes both, or the younger would wait for the end for ever.
 *
 * With the bare calls: raw/siblings.c.  From a shell, whose children both programs are:
 *     tong pipe -- printf 'Hello Sibling\n' -- cat
 *
 * Build: cc siblings.c -o siblings $(pkg-config --cflags --libs tong)
 * Prints (the younger child does):
 *     Hello Sibling
 */
#include <errno.h>
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

static int elder(tong_channel *younger)
{
    const char *message = "Hello Sibling";
    if (tong_channel_send(younger, message, strlen(message), NULL, TONG_FOREVER) < 0 || tong_channel_close(younger) < 0)
        return failed("elder");
    return 0;
}

static int younger(tong_channel *elder)
{
    char text[64];
    ssize_t size;
    while ((size = tong_channel_receive(elder, text, sizeof text, NULL, TONG_FOREVER)) >= 0)
        printf("%.*s\n", (int)size, text);
    if (size != -ENODATA)
        return failed("younger");
    return fflush(stdout) != 0;
}

int main(void)
{
    int (*const children[])(tong_channel *) = { elder, younger };
    tong_channel *ends[2];
    int status, result = 0;
    if (tong_channel_pair("pipe:", TONG_SEND, ends) < 0)
        return failed("pair");
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return perror("fork"), 1;
        if (pid == 0) {
            tong_channel_close(ends[!i]);
            _exit(children[i](ends[i]));
        }
    }
    tong_channel_close(ends[0]);
    tong_channel_close(ends[1]);
    while (wait(&status) > 0)
        result |= status != 0;
    return result;
}
