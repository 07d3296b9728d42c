/* SPDX-License-Identifier: MIT */
/*
 * A file written and read by write(2) and read(2), and the same bytes through a mapping of it (a region of `mmap:`).
 * The file lies in the page cache either way: what is measured is the copy and the system call, not the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/round.h"
#include "bench/ticks.h"

#define REPEATS(size) ((4 << 20) / (size) + 4)

struct file {
    int fd;
    uint8_t *buffer, *mapped;
    size_t size;
};

static volatile uint64_t sink; /* keeps the reading from being optimised away */

static void add_lines(const uint8_t *at, size_t size)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i < size; i += 64) {
        memcpy(&word, at + i, sizeof word);
        sum += word;
    }
    sink = sum;
}

static bool file_write(struct file *f)
{
    return pwrite(f->fd, f->buffer, f->size, 0) == (ssize_t)f->size;
}

static bool file_read(struct file *f)
{
    bool good = pread(f->fd, f->buffer, f->size, 0) == (ssize_t)f->size;
    add_lines(f->buffer, f->size);
    return good;
}

static bool map_write(struct file *f)
{
    memcpy(f->mapped, f->buffer, f->size);
    return true;
}

static bool map_read(struct file *f)
{
    add_lines(f->mapped, f->size);
    return true;
}

static bool measure(struct file *f, bool (*act)(struct file *), int runs, struct figure *ret)
{
    double values[RUNS_MAX];
    int repeats = (int)REPEATS(f->size);
    bool good = act(f);
    for (int run = 0; run < runs && good; run++) {
        uint64_t start = bench_now();
        for (int i = 0; i < repeats && good; i++)
            good = act(f);
        values[run] = (double)(bench_now() - start) / repeats;
    }
    figure_of(ret, values, good ? runs : 0);
    return good;
}

static int measure_size(struct file_figures *ret, int runs, const char *directory)
{
    char path[128], address[160];
    tong_region *region = NULL;
    struct file f = { .size = ret->size, .buffer = calloc(1, ret->size) };
    snprintf(path, sizeof path, "%.100s/file", directory);
    snprintf(address, sizeof address, "mmap:%s?create=no", path);
    f.fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int r = f.fd < 0 || !f.buffer || ftruncate(f.fd, (off_t)f.size) < 0 ? -errno : 0;
    if (r == 0)
        r = tong_region_open(address, TONG_READ | TONG_WRITE, &region);
    if (r == 0) {
        f.mapped = tong_region_data(region);
        bool good = measure(&f, file_write, runs, &ret->write) && measure(&f, file_read, runs, &ret->read) &&
                    measure(&f, map_write, runs, &ret->map_write) && measure(&f, map_read, runs, &ret->map_read);
        r = good ? 0 : -EIO;
        tong_region_close(region);
    }
    if (f.fd >= 0)
        close(f.fd);
    unlink(path);
    free(f.buffer);
    return r;
}

int files_measure(struct file_figures *ret, int runs, const char *directory)
{
    static const size_t sizes[FILE_SIZES] = { 4096, 65536, 1048576 };
    int r = 0;
    for (int i = 0; i < FILE_SIZES && r == 0; i++) {
        ret[i].size = sizes[i];
        r = measure_size(&ret[i], runs, directory);
    }
    return r;
}
