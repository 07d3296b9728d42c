/* SPDX-License-Identifier: MIT */
/*
 * workers.c - the second reason to cooperate, computing faster: one job in pieces on a queue, and workers that take the
 * next piece whenever they are free.
 *
 * Pieces are messages of type 1, results of type 2, all on one System V queue; an empty piece sends a worker home.
 * More workers are faster only where there are more processors, so what is printed is what was measured.
 *
 * Build: cc workers.c -o workers $(pkg-config --cflags --libs tong)
 * Usage: workers [LIMIT [ADDRESS]]            (default 2000000 and msgq:1234; no queue may have the key yet)
 * Prints, on a machine with two processors and little else to do:
 *     1 worker:  148933 primes below 2000000 in 0.35 s
 *     2 workers: 148933 primes below 2000000 in 0.24 s
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tong/tong.h>

enum { PIECE = 1, RESULT = 2 };
#define PIECES 64

static int failed(const char *who)
{
    fprintf(stderr, "%s: %s\n", who, tong_detail());
    return 1;
}

static long primes(const long range[2])
{
    long count = 0;
    for (long n = range[0] < 2 ? 2 : range[0]; n < range[1]; n++) {
        long divisor = 2;
        while (divisor * divisor <= n && n % divisor != 0)
            divisor++;
        count += divisor * divisor > n;
    }
    return count;
}

static int work(const char *address)
{
    tong_message result = TONG_MESSAGE_INIT;
    tong_channel *queue;
    long range[2];
    ssize_t size;
    char there[256];
    result.type = RESULT;
    snprintf(there, sizeof there, "%s?create=no", address); /* who comes too late shall not wait on a queue of its own */
    if (tong_channel_open(there, TONG_BOTH, 0, &queue) < 0 ||
        tong_channel_select(queue, TONG_SELECT_EQUAL, PIECE) < 0)
        return failed("worker");
    while ((size = tong_channel_receive(queue, range, sizeof range, NULL, TONG_FOREVER)) == sizeof range) {
        long count = primes(range);
        if (tong_channel_send(queue, &count, sizeof count, &result, TONG_FOREVER) < 0)
            return failed("worker");
    }
    return size == 0 ? tong_channel_close(queue) < 0 : failed("worker");
}

/* Returns the sum of all results, or -1. */
static long share_out(tong_channel *queue, int workers, long limit)
{
    tong_message piece = TONG_MESSAGE_INIT;
    long sum = 0, count;
    piece.type = PIECE;
    for (long i = 0; i < PIECES; i++) {
        long range[2] = { limit / PIECES * i, i == PIECES - 1 ? limit : limit / PIECES * (i + 1) };
        if (tong_channel_send(queue, range, sizeof range, &piece, 10 * TONG_SECOND) < 0)
            return failed("parent"), -1;
    }
    for (int i = 0; i < workers; i++)
        if (tong_channel_send(queue, NULL, 0, &piece, 10 * TONG_SECOND) < 0)
            return failed("parent"), -1;
    for (int i = 0; i < PIECES; i++, sum += count)
        if (tong_channel_receive(queue, &count, sizeof count, NULL, 10 * TONG_SECOND) != sizeof count)
            return failed("parent"), -1;
    return sum;
}

static int compute(int workers, long limit, const char *address)
{
    char made[256];
    tong_channel *queue;
    struct timespec begin, end;
    int status, result = 0;
    snprintf(made, sizeof made, "%s?create=excl&remove=owner&select=%d", address, RESULT);
    if (tong_channel_open(made, TONG_BOTH, 0, &queue) < 0)
        return failed("open");
    for (int i = 0; i < workers; i++) {
        pid_t pid = fork();
        if (pid < 0)
            perror("fork");
        if (pid == 0)
            _exit(work(address));
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
    long sum = share_out(queue, workers, limit);
    clock_gettime(CLOCK_MONOTONIC, &end);
    /* each worker finds its word to go home in the queue; if they were not all sent home, its removal ends them */
    if (sum < 0) {
        tong_channel_close(queue);
        result = 1;
    }
    while (wait(&status) > 0)
        result |= status != 0;
    if (sum >= 0)
        result |= tong_channel_close(queue) < 0;
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%d worker%s %ld primes below %ld in %.2f s\n", workers, workers == 1 ? ": " : "s:", sum, limit, seconds);
    return fflush(stdout) != 0 || result;
}

int main(int argc, char **argv)
{
    long limit = atol(argc > 1 ? argv[1] : "2000000");
    const char *address = argc > 2 ? argv[2] : "msgq:1234";
    return compute(1, limit, address) || compute(2, limit, address);
}
