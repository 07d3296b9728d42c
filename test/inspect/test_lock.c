/* SPDX-License-Identifier: MIT */
/* Who holds a lock of a file, also when the one who took it is dead, and who waits for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "look.h"

static const char *path_of_file(void)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/locked", frame_directory());
    return path;
}

static int open_file(void)
{
    int fd = open(path_of_file(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    MUST(fd >= 0, "open: %s", strerror(errno));
    return fd;
}

/* The only lock of our file whose key begins so. */
static const tong_object *lock_of(const tong_snapshot *snapshot, const char *begins, size_t *ret_number)
{
    const tong_object *found = NULL;
    for (size_t i = 0; i < tong_snapshot_objects(snapshot); i++) {
        const tong_object *object = tong_snapshot_object(snapshot, i);
        if (object->kind != TONG_KIND_LOCK || strcmp(object->name, path_of_file()) ||
            strncmp(object->key, begins, strlen(begins)))
            continue;
        MUST(!found, "there are two");
        found = object;
        *ret_number = i;
    }
    MUST(found, "no lock %s of %s", begins, path_of_file());
    return found;
}

/* A child that waits for the lock that the parent holds. */
static pid_t waiter(int (*take)(int fd), int fd)
{
    pid_t child = frame_fork();
    if (child == 0) {
        close(fd);
        take(open_file());
        _exit(0);
    }
    frame_asleep(child, child);
    return child;
}

static int take_flock(int fd)
{
    return flock(fd, LOCK_EX);
}

static int take_posix(int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };
    return fcntl(fd, F_SETLKW, &lock);
}

static int take_description(int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 20, .l_len = 0 };
    return fcntl(fd, F_OFD_SETLKW, &lock);
}

static void check(const char *kind, int (*take)(int fd))
{
    size_t number;
    int fd = open_file();
    MUST(take(fd) == 0, "locking: %s", strerror(errno));
    pid_t child = waiter(take, fd);
    tong_snapshot *snapshot = look();
    lock_of(snapshot, kind, &number);
    const tong_end *holds = end_of(snapshot, number, getpid(), TONG_END_LOCK);
    MUST(holds && holds->fd == fd && holds->certainty == TONG_EXACT, "we hold it");
    MUST(end_of(snapshot, number, child, TONG_END_WAITS), "the child waits for it");
    MUST(!end_of(snapshot, number, child, TONG_END_LOCK), "and does not hold it");
    tong_snapshot_free(snapshot);
    frame_kill(child);
    close(fd);
    unlink(path_of_file());
}

static void test_flock(int unused)
{
    (void)unused;
    check("FLOCK:", take_flock);
}

static void test_posix(int unused)
{
    (void)unused;
    check("POSIX:", take_posix);
}

/* The kernel does not say whose the waiting one is; its thread does. */
static void test_description_waits(int unused)
{
    (void)unused;
    check("OFDLCK:", take_description);
}

/* Who took it is dead, and the grandchild that it forked has it. */
static void test_inherited(int unused)
{
    (void)unused;
    size_t number;
    int told[2];
    pid_t holder;
    MUST(pipe2(told, O_CLOEXEC) == 0, "pipe2");
    pid_t taker = frame_fork();
    if (taker == 0) {
        MUST(flock(open_file(), LOCK_EX) == 0, "flock");
        holder = frame_fork();
        if (holder == 0)
            pause();
        MUST(write(told[1], &holder, sizeof holder) == sizeof holder, "write");
        _exit(0);
    }
    frame_join(taker);
    MUST(read(told[0], &holder, sizeof holder) == sizeof holder, "read");
    tong_snapshot *snapshot = look();
    lock_of(snapshot, "FLOCK:", &number);
    MUST(end_of(snapshot, number, holder, TONG_END_LOCK), "the grandchild holds it");
    tong_snapshot_free(snapshot);
    frame_kill(holder);
    close(told[0]);
    close(told[1]);
    unlink(path_of_file());
}

static void test_description(int unused)
{
    (void)unused;
    size_t number;
    int fd = open_file();
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 4096, .l_len = 1 };
    MUST(fcntl(fd, F_OFD_SETLK, &lock) == 0, "fcntl: %s", strerror(errno));
    tong_snapshot *snapshot = look();
    const tong_object *object = lock_of(snapshot, "OFDLCK:", &number);
    MUST(strstr(object->key, ":4096:4096"), "it is %s", object->key);
    MUST(strstr(object->detail, "reading"), "it is %s", object->detail);
    MUST(end_of(snapshot, number, getpid(), TONG_END_LOCK), "we hold it");
    tong_snapshot_free(snapshot);
    close(fd);
    unlink(path_of_file());
}

int main(int argc, char **argv)
{
    frame_begin("inspect_lock", argc, argv);
    frame_run("flock", test_flock, 0, 20);
    frame_run("POSIX locks", test_posix, 0, 20);
    frame_run("a lock that was inherited from a dead one", test_inherited, 0, 20);
    frame_run("a lock of an open file description", test_description, 0, 20);
    frame_run("a lock of an open file description that is waited for", test_description_waits, 0, 20);
    return frame_end();
}
