/* SPDX-License-Identifier: MIT */
/*
 * filters.c - the third reason to cooperate, modularity: a chain of small processes, each of which does one thing and
 * knows nothing of the others but what comes in and what goes out.
 *
 * A filter is put in, taken out or exchanged in the table; each ends when what feeds it has ended.
 *
 * From a shell, whose pipelines are the same:
 *     tong pipe -- seq 5 -- awk '{ sum += $1 * $1 } END { print sum }'
 *
 * Build: cc filters.c -o filters $(pkg-config --cflags --libs tong)
 * Prints (the last filter does):
 *     1 4 9 16 25 sum 55
 */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tong/tong.h>

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tong_detail());
    return 1;
}

static int put(tong_channel *out, long number)
{
    return tong_channel_send(out, &number, sizeof number, NULL, TONG_FOREVER) < 0 ? failed("send") : 0;
}

/* 1 if there is one, 0 at the end; what went wrong before it is a death in the chain, and no end */
static int get(tong_channel *in, long *ret)
{
    ssize_t size = tong_channel_receive(in, ret, sizeof *ret, NULL, TONG_FOREVER);
    if (size != sizeof *ret && size != -ENODATA)
        _exit(failed("receive"));
    return size == sizeof *ret;
}

static int count(tong_channel *in, tong_channel *out)
{
    int result = 0;
    (void)in;
    for (long number = 1; number <= 5 && result == 0; number++)
        result = put(out, number);
    return result;
}

static int square(tong_channel *in, tong_channel *out)
{
    int result = 0;
    for (long number; result == 0 && get(in, &number);)
        result = put(out, number * number);
    return result;
}

static int add_up(tong_channel *in, tong_channel *out)
{
    long sum = 0;
    (void)out;
    for (long number; get(in, &number); sum += number)
        printf("%ld ", number);
    printf("sum %ld\n", sum);
    return fflush(stdout) != 0;
}

int main(void)
{
    int (*const chain[])(tong_channel *, tong_channel *) = { count, square, add_up };
    const size_t length = sizeof chain / sizeof *chain;
    tong_channel *in = NULL;
    int status, result = 0;
    for (size_t i = 0; i < length; i++) {
        /* [0] is where this filter puts, [1] where the next one gets */
        tong_channel *ends[2] = { NULL, NULL };
        if (i + 1 < length && tong_channel_pair("pipe:", TONG_SEND, ends) < 0)
            return failed("pair");
        pid_t pid = fork();
        if (pid < 0)
            return perror("fork"), 1;
        if (pid == 0) {
            tong_channel_close(ends[1]);
            result = chain[i](in, ends[0]);
            _exit(tong_channel_close(ends[0]) < 0 || result);
        }
        tong_channel_close(in);
        tong_channel_close(ends[0]);
        in = ends[1];
    }
    while (wait(&status) > 0)
        result |= status != 0;
    return result;
}
