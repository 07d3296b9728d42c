/* SPDX-License-Identifier: MIT */
/* Probes of what a pipe, a FIFO and a file are: the objects behind descriptors, and what lies on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "directory.h"
#include "probe/probe.h"

#define PIECE 4096

static const char *access_words(int fd)
{
    switch (fcntl(fd, F_GETFL) & O_ACCMODE) {
    case O_RDONLY:
        return "read only";
    case O_WRONLY:
        return "write only";
    default:
        return "read and write";
    }
}

/* What two descriptors of one pipe are, after a write. */
static int describe_ends(struct measured *measured, const int *ends)
{
    static const char piece[PIECE];
    struct stat reading, writing;
    if (write(ends[1], piece, PIECE) != PIECE || fstat(ends[0], &reading) < 0 || fstat(ends[1], &writing) < 0)
        return -errno;
    figure_number(measured, "read_inode", "inode behind the first descriptor", (double)reading.st_ino, NULL);
    figure_text(measured, "read_access", "the first descriptor is for", access_words(ends[0]));
    figure_number(measured, "write_inode", "inode behind the second descriptor", (double)writing.st_ino, NULL);
    figure_text(measured, "write_access", "the second descriptor is for", access_words(ends[1]));
    figure_number(measured, "capacity", "it holds", fcntl(ends[1], F_GETPIPE_SZ), "bytes");
    figure_number(measured, "disk", "on a disk after 4096 bytes were written", (double)writing.st_blocks * 512,
                  "bytes");
    measured->shown = reading.st_ino == writing.st_ino && reading.st_dev == writing.st_dev && !writing.st_blocks &&
                      !strcmp(access_words(ends[0]), "read only") && !strcmp(access_words(ends[1]), "write only");
    return 0;
}

static int probe_ends(struct measured *measured)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    int r = describe_ends(measured, ends);
    close(ends[0]);
    close(ends[1]);
    return r;
}

/* ---- Siblings: neither is the other's parent ------------------------------------------------------------- */

struct siblings {
    int ends[2];
    long *shared; /* what the reader says */
};

static void write_word(void *argument)
{
    struct siblings *siblings = argument;
    ssize_t size = write(siblings->ends[1], "brother", 7);
    (void)size; /* the reader notices */
}

static void read_word(void *argument)
{
    struct siblings *siblings = argument;
    char word[16];
    close(siblings->ends[1]);
    siblings->shared[0] = read(siblings->ends[0], word, sizeof word);
    siblings->shared[1] = getppid();
}

static int probe_siblings(struct measured *measured)
{
    struct siblings siblings = { .shared = probe_shared(PIECE) };
    if (!siblings.shared || pipe2(siblings.ends, O_CLOEXEC) < 0)
        return -errno;
    int r = probe_child(write_word, &siblings);
    close(siblings.ends[1]);
    if (r >= 0)
        r = probe_child(read_word, &siblings);
    close(siblings.ends[0]);
    if (r < 0)
        return r;
    figure_number(measured, "written", "one child wrote", 7, "bytes");
    figure_number(measured, "read", "its sibling read", (double)siblings.shared[0], "bytes");
    measured->shown = siblings.shared[0] == 7 && siblings.shared[1] == getpid();
    return 0;
}

/* ---- A name on the disk, and what lies behind it --------------------------------------------------------- */

static int describe_fifo(struct measured *measured, const char *path)
{
    static const char piece[PIECE];
    struct stat status;
    int waiting = 0, fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    bool written = write(fd, piece, PIECE) == PIECE;
    if (!written || ioctl(fd, FIONREAD, &waiting) < 0 || stat(path, &status) < 0) {
        close(fd);
        return -errno;
    }
    close(fd);
    figure_number(measured, "waiting", "bytes that wait in the pipe", waiting, "bytes");
    figure_number(measured, "size", "size of the file with its name", (double)status.st_size, "bytes");
    figure_number(measured, "disk", "on a disk for it", (double)status.st_blocks * 512, "bytes");
    measured->shown = waiting == PIECE && status.st_size == 0 && status.st_blocks == 0;
    return 0;
}

static int probe_disk(struct measured *measured)
{
    char directory[DIRECTORY_MAX], path[DIRECTORY_MAX + 8];
    int r = directory_make("explain", directory);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "%s/fifo", directory);
    r = mkfifo(path, 0600) < 0 ? -errno : describe_fifo(measured, path);
    directory_remove(directory);
    return r;
}

static void write_file(void *argument)
{
    static const char piece[PIECE];
    int fd = open(argument, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t size = fd < 0 ? -1 : write(fd, piece, PIECE);
    if (size != PIECE)
        _exit(1);
}

static ssize_t read_file(const char *path)
{
    char piece[PIECE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, piece, sizeof piece);
    if (fd >= 0)
        close(fd);
    return size;
}

/* The writer is gone before the first reader comes. */
static int probe_readers(struct measured *measured)
{
    char directory[DIRECTORY_MAX], path[DIRECTORY_MAX + 8];
    int r = directory_make("explain", directory);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "%s/file", directory);
    int status = probe_child(write_file, path);
    ssize_t first = read_file(path), second = read_file(path);
    directory_remove(directory);
    if (status)
        return status < 0 ? status : -EIO;
    figure_number(measured, "written", "written by a process that has ended", PIECE, "bytes");
    figure_number(measured, "first", "the first reader got", (double)first, "bytes");
    figure_number(measured, "second", "the second reader got", (double)second, "bytes");
    measured->shown = first == PIECE && second == PIECE;
    return 0;
}

const struct probe probes_ends[] = {
    { "ends", "descriptors of a pipe",
      "one object with two ends, one only for reading and one only for writing, and not a file on a disk:",
      probe_ends },
    { "siblings", "a pipe between siblings", "siblings can use a pipe that their parent made:", probe_siblings },
    { "disk", "the file of a FIFO", "the path is only a name: what is written waits in memory:", probe_disk },
    { "readers", "a file and its readers",
      "what is written stays when its writer is gone, and every reader gets all of it:", probe_readers },
    { .name = NULL },
};
