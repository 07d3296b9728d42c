/* SPDX-License-Identifier: MIT */
/*
 * driver COUNT FILE...: gives a target every file, and then COUNT inputs that are the files changed at random
 * from a fixed seed, so that a failure comes again.  What killed the target is written out in hexadecimal.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX 8192
#define FILES_MAX 256

static struct input {
    uint8_t bytes[INPUT_MAX];
    size_t size;
} files[FILES_MAX], current;
static size_t files_count;

static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

static uint32_t chance(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (uint32_t)(state >> 32) % below : 0;
}

/* Only what a signal handler may call. */
static void write_out(int signal)
{
    static const char digits[] = "0123456789abcdef";
    (void)!write(2, "\nthe input was: ", 16);
    for (size_t i = 0; i < current.size; i++)
        (void)!write(2, (char[2]){ digits[current.bytes[i] >> 4], digits[current.bytes[i] & 15] }, 2);
    (void)!write(2, "\n", 1);
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigaction(signal, &action, NULL);
    raise(signal);
}

static int load(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file || files_count == FILES_MAX) {
        perror(path);
        return -1;
    }
    struct input *input = &files[files_count++];
    input->size = fread(input->bytes, 1, INPUT_MAX, file);
    fclose(file);
    return 0;
}

static void flip(struct input *input)
{
    if (input->size)
        input->bytes[chance((uint32_t)input->size)] ^= (uint8_t)(1 << chance(8));
}

static void replace(struct input *input)
{
    static const uint8_t telling[] = { 0, 1, 0x7f, 0x80, 0xff, '%', '?', '&', '=', ',', ':', '\n', ' ', '-', '/', '9' };
    if (input->size)
        input->bytes[chance((uint32_t)input->size)] = telling[chance(sizeof telling)];
}

static void cut(struct input *input)
{
    if (input->size == 0)
        return;
    size_t at = chance((uint32_t)input->size), size = 1 + chance((uint32_t)(input->size - at));
    memmove(input->bytes + at, input->bytes + at + size, input->size - at - size);
    input->size -= size;
}

/* A piece of some file, put in anywhere. */
static void splice(struct input *input)
{
    const struct input *from = &files[chance((uint32_t)files_count)];
    if (from->size == 0)
        return;
    size_t start = chance((uint32_t)from->size), size = 1 + chance((uint32_t)(from->size - start));
    size_t at = chance((uint32_t)input->size + 1);
    if (input->size + size > INPUT_MAX)
        return;
    memmove(input->bytes + at + size, input->bytes + at, input->size - at);
    memcpy(input->bytes + at, from->bytes + start, size);
    input->size += size;
}

static void mutate(struct input *input)
{
    static void (*const changes[])(struct input *) = { flip, flip, replace, replace, cut, splice };
    for (uint32_t i = 0, count = 1 + chance(6); i < count; i++)
        changes[chance(sizeof changes / sizeof *changes)](input);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    for (int i = 2; i < argc; i++)
        if (load(argv[i]) < 0)
            return 2;
    if (files_count == 0)
        return 2;
    struct sigaction action = { .sa_handler = write_out };
    const int deadly[] = { SIGSEGV, SIGABRT, SIGILL, SIGTRAP, SIGBUS, SIGALRM };
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        sigaction(deadly[i], &action, NULL);
    for (size_t i = 0; i < files_count; i++) {
        current = files[i];
        LLVMFuzzerTestOneInput(current.bytes, current.size);
    }
    for (long i = 0; i < count; i++) {
        current = files[chance((uint32_t)files_count)];
        mutate(&current);
        alarm(10);
        LLVMFuzzerTestOneInput(current.bytes, current.size);
    }
    printf("%zu files and %ld inputs made from them\n", files_count, count);
    return 0;
}
