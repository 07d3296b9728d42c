/* SPDX-License-Identifier: MIT */
/*
 * file.c - a child leaves its result in a file that its parent follows: the parent sleeps until a whole record is
 * there, and it is the end that the child has told, not its death, that says there is no more.
 *
 * With the bare calls the parent has to wait for its child's death, or reads too early: raw/file.c.  From a shell:
 *     tong send file:/tmp/result '6 * 7 = 42'; tong recv --lines file:/tmp/result; tong rm file:/tmp/result
 *
 * Build: cc file.c -o file $(pkg-config --cflags --libs tong)
 * Usage: file [PATH]            (default /tmp/result; it must not exist, and is removed at the end)
 * Prints:
 *     before the child wrote: nothing there yet
 *     after waiting for the record: 6 * 7 = 42
 */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

static int failed(const char *who)
{
    fprintf(stderr, "%s: %s\n", who, tong_detail());
    return 1;
}

/* A channel that was open at fork(2) is its parent's: the child opens its own, by the same address. */
static int child(const char *path)
{
    char address[4096], text[32];
    tong_channel *file;
    snprintf(address, sizeof address, "file:%s?create=no", path);
    int size = snprintf(text, sizeof text, "6 * 7 = %d", 6 * 7);
    if (tong_channel_open(address, TONG_SEND, 0, &file) < 0 ||
        tong_channel_send(file, text, (size_t)size, NULL, TONG_FOREVER) < 0 || tong_channel_close(file) < 0)
        return failed("child");
    return 0;
}

static int follow(tong_channel *file)
{
    char text[32];
    ssize_t size = tong_channel_receive(file, text, sizeof text, NULL, 5 * TONG_SECOND);
    if (size < 0)
        return failed("parent");
    printf("after waiting for the record: %.*s\n", (int)size, text);
    return tong_channel_receive(file, text, sizeof text, NULL, 5 * TONG_SECOND) == -ENODATA ? 0 : failed("no end");
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/tmp/result";
    char address[4096], text[32];
    tong_channel *file;
    int status = 1, result = 1;
    snprintf(address, sizeof address, "file:%s?create=excl&remove=owner", path);
    if (tong_channel_open(address, TONG_RECEIVE, 0, &file) < 0)
        return failed("open");
    if (tong_channel_receive(file, text, sizeof text, NULL, 0) == -EAGAIN)
        printf("before the child wrote: nothing there yet\n");
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        perror("fork");
    if (pid == 0)
        _exit(child(path));
    if (pid > 0) {
        result = follow(file);
        waitpid(pid, &status, 0);
    }
    return (tong_channel_close(file) < 0) | result | (status != 0);
}
