/* SPDX-License-Identifier: MIT */
/*
 * two_pipes.c - a parent and its child talk both ways: a pipe has one direction, so there are two.
 *
 * TONG_BOTH makes the two.  Both ends exist before fork(2), and each process closes the one that it does not use: as
 * long as a sending end is open anywhere, its receiver never sees the end.
 *
 * With the bare calls: raw/two_pipes.c.  From a shell, with two programs in the place of parent and child:
 *     tong pipe --both -- sh -c 'echo 6; read x; echo "6 * 7 = $x" >&2' -- sh -c 'read y; echo $((y * 7))'
 *
 * Build: cc two_pipes.c -o two_pipes $(pkg-config --cflags --libs tong)
 * Prints (the parent does):
 *     4 * 7 = 28
 *     5 * 7 = 35
 *     6 * 7 = 42
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

/* Answers each number with seven times as much, until the parent has finished. */
static int child(tong_channel *parent)
{
    long number;
    ssize_t r;
    while ((r = tong_channel_receive(parent, &number, sizeof number, NULL, TONG_FOREVER)) == sizeof number) {
        number *= 7;
        if (tong_channel_send(parent, &number, sizeof number, NULL, TONG_FOREVER) < 0)
            return failed("child");
    }
    if (r != -ENODATA)
        return failed("child");
    return tong_channel_close(parent) < 0;
}

static int ask(tong_channel *child)
{
    for (long number = 4; number <= 6; number++) {
        long answer;
        if (tong_channel_send(child, &number, sizeof number, NULL, TONG_FOREVER) < 0 ||
            tong_channel_receive(child, &answer, sizeof answer, NULL, 5 * TONG_SECOND) != sizeof answer)
            return failed("parent");
        printf("%ld * 7 = %ld\n", number, answer);
    }
    /* "no more from me"; the child sees the end, and its own end comes back */
    char none[1];
    if (tong_channel_finish(child, TONG_FOREVER) < 0 ||
        tong_channel_receive(child, none, sizeof none, NULL, 5 * TONG_SECOND) != -ENODATA)
        return failed("parent");
    return 0;
}

int main(void)
{
    tong_channel *ends[2];
    if (tong_channel_pair("pipe:", TONG_BOTH, ends) < 0)
        return failed("pair");
    pid_t pid = fork();
    if (pid < 0)
        return perror("fork"), 1;
    tong_channel_close(ends[pid == 0 ? 0 : 1]);
    if (pid == 0)
        _exit(child(ends[1]));
    int result = ask(ends[0]), status;
    tong_channel_close(ends[0]);
    return waitpid(pid, &status, 0) < 0 || status != 0 || result;
}
