/* SPDX-License-Identifier: MIT */
/*
 * models.c - the two models of communication, side by side: the same blocks from a producer to a consumer.
 *
 * Message passing: send and receive.  The kernel copies each block in and out, and lets whoever has to wait sleep;
 * there is nothing that the two could touch at once.
 *
 * Shared memory: a bounded buffer.  Blocks are written and read where they lie, without the kernel; but two counters
 * have to say how many slots are free and how many are used, and each process waits while its counter is 0.
 *
 *       producer: wait FREE, write, post USED         consumer: wait USED, read, post FREE
 *            |                                            ^
 *            +--> [slot 0][slot 1][slot 2][slot 3] -------+          one after the other, and round again
 *
 * Build: cc models.c -o models $(pkg-config --cflags --libs tong)
 * Usage: models [ADDRESS]            (of the counters; default sysvsem:1234, which no set may have yet)
 * Prints (the times are what was measured):
 *     message passing: 400 blocks of 65536 bytes, sum 80200, 6.5 ms
 *     shared memory: 400 blocks of 65536 bytes, sum 80200, 5.0 ms
 */
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tong/tong.h>

enum { FREE, USED };
#define SLOTS 4
#define BLOCKS 400
#define WORDS 16384

typedef int block[WORDS];

static tong_channel *ends[2];
static tong_semaphore *counters;
static block *slots, message;

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, tong_detail());
    return 1;
}

/* A block is its number, written all over; whoever reads it looks at all of it. */
static void write_block(int *to, int number)
{
    for (int i = 0; i < WORDS; i++)
        to[i] = number;
}

static long read_block(const int *from)
{
    long sum = 0;
    for (int i = 0; i < WORDS; i++)
        sum += from[i];
    return sum / WORDS;
}

static int send_messages(void)
{
    tong_channel_close(ends[1]);
    for (int i = 1; i <= BLOCKS; i++) {
        write_block(message, i);
        if (tong_channel_send(ends[0], message, sizeof message, NULL, TONG_FOREVER) < 0)
            return failed("producer");
    }
    return tong_channel_close(ends[0]) < 0;
}

static long receive_messages(void)
{
    long sum = 0;
    tong_channel_close(ends[0]);
    for (int i = 1; i <= BLOCKS; i++, sum += read_block(message))
        if (tong_channel_receive(ends[1], message, sizeof message, NULL, 5 * TONG_SECOND) != sizeof message)
            return failed("consumer"), -1;
    tong_channel_close(ends[1]);
    return sum;
}

static int fill_slots(void)
{
    for (int i = 1; i <= BLOCKS; i++) {
        if (tong_semaphore_wait(counters, FREE, 5 * TONG_SECOND) < 0)
            return failed("producer");
        write_block(slots[i % SLOTS], i);
        if (tong_semaphore_post(counters, USED) < 0)
            return failed("producer");
    }
    return 0;
}

static long empty_slots(void)
{
    long sum = 0;
    for (int i = 1; i <= BLOCKS; i++) {
        if (tong_semaphore_wait(counters, USED, 5 * TONG_SECOND) < 0)
            return failed("consumer"), -1;
        sum += read_block(slots[i % SLOTS]);
        if (tong_semaphore_post(counters, FREE) < 0)
            return failed("consumer"), -1;
    }
    return sum;
}

static int run(const char *model, int (*produce)(void), long (*consume)(void))
{
    struct timespec begin, end;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t pid = fork();
    if (pid < 0)
        return perror("fork"), 1;
    if (pid == 0)
        _exit(produce());
    long sum = consume();
    if (waitpid(pid, &status, 0) < 0 || status != 0 || sum < 0)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ms = (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
    printf("%s: %d blocks of %zu bytes, sum %ld, %.1f ms\n", model, BLOCKS, sizeof(block), sum, ms);
    return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    char text[256];
    tong_region *region;
    if (tong_channel_pair("pipe:", TONG_SEND, ends) < 0)
        return failed("pair");
    int result = run("message passing", send_messages, receive_messages);
    snprintf(text, sizeof text, "mmap:?size=%zu", SLOTS * sizeof(block));
    if (tong_region_open(text, TONG_READ | TONG_WRITE, &region) < 0)
        return failed("region");
    slots = tong_region_data(region);
    snprintf(text, sizeof text, "%s?count=2&create=excl&remove=owner", argc > 1 ? argv[1] : "sysvsem:1234");
    if (tong_semaphore_open(text, 0, &counters) < 0)
        return failed("counters") | (tong_region_close(region) < 0);
    result |= tong_semaphore_set(counters, FREE, SLOTS) < 0 ? failed("counters")
                                                            : run("shared memory", fill_slots, empty_slots);
    tong_region_close(region);
    return (tong_semaphore_close(counters) < 0) | result;
}
