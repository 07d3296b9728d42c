/* SPDX-License-Identifier: MIT */
/*
 * fifo.c - a named pipe: two programs that have nothing in common but a path.
 *
 * Whoever comes first makes the name and waits for the other.  The receiver removes it at the end: a FIFO stays in its
 * directory when nobody uses it any more.
 *
 * With the bare calls: raw/fifo.c; frame=none makes the two understand each other.  From a shell:
 *     tong recv --lines fifo:/tmp/f            and in another terminal            tong send fifo:/tmp/f 'over a name'
 *
 * Build: cc fifo.c -o fifo $(pkg-config --cflags --libs tong)
 * Usage: fifo ADDRESS            receives to the end and prints
 *        fifo ADDRESS TEXT       sends TEXT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tong/tong.h>

static int failed(void)
{
    fprintf(stderr, "fifo: %s\n", tong_detail());
    return 1;
}

static int receive(const char *address)
{
    char text[256];
    tong_channel *fifo;
    ssize_t size;
    if (tong_channel_open(address, TONG_RECEIVE, TONG_FOREVER, &fifo) < 0)
        return failed();
    while ((size = tong_channel_receive(fifo, text, sizeof text, NULL, TONG_FOREVER)) >= 0)
        printf("%.*s\n", (int)size, text);
    int result = size == -ENODATA ? 0 : failed();
    tong_channel_close(fifo);
    return tong_remove(address) < 0 ? failed() : result;
}

static int transmit(const char *address, const char *text)
{
    tong_channel *fifo;
    if (tong_channel_open(address, TONG_SEND, TONG_FOREVER, &fifo) < 0)
        return failed();
    int result = tong_channel_send(fifo, text, strlen(text), NULL, TONG_FOREVER) < 0 ? failed() : 0;
    return tong_channel_close(fifo) < 0 || result;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3)
        return fprintf(stderr, "usage: fifo ADDRESS [TEXT]\n"), 2;
    return argc == 3 ? transmit(argv[1], argv[2]) : receive(argv[1]);
}
