/* SPDX-License-Identifier: MIT */
/*
 * fifo.c - a named pipe: two programs that have nothing in common but a path.
 *
 * open(2) waits until there is somebody at the other end.  Whoever comes first makes the name; the reader removes it
 * at the end, because a FIFO stays in its directory when nobody uses it any more.
 *
 * Build: cc fifo.c -o fifo
 * Usage: fifo PATH            reads to the end and prints
 *        fifo PATH TEXT       writes TEXT
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int receive(const char *path)
{
    char text[256];
    ssize_t size;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        err(1, "%s", path);
    while ((size = read(fd, text, sizeof text)) > 0)
        printf("%.*s", (int)size, text);
    if (size < 0)
        err(1, "%s", path);
    putchar('\n');
    close(fd);
    return unlink(path) < 0;
}

static int transmit(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        err(1, "%s", path);
    return close(fd) < 0;
}

int main(int argc, char **argv)
{
    struct stat found;
    if (argc < 2 || argc > 3)
        errx(2, "usage: fifo PATH [TEXT]");
    if (mkfifo(argv[1], 0600) < 0 && errno != EEXIST)
        err(1, "%s", argv[1]);
    if (lstat(argv[1], &found) < 0)
        err(1, "%s", argv[1]);
    if (!S_ISFIFO(found.st_mode))
        errx(1, "%s is there and is not a FIFO", argv[1]);
    return argc == 3 ? transmit(argv[1], argv[2]) : receive(argv[1]);
}
