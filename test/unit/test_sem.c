/* SPDX-License-Identifier: MIT */
/* sem: against what may stand at /dev/shm/sem.NAME, and beside sem_open(3). */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <tong/tong.h>
#include <unistd.h>

#include "frame.h"

static char name[64], address[96], path[96];

static void prepare(void)
{
    snprintf(name, sizeof name, "/%ssem", frame_mark());
    snprintf(address, sizeof address, "sem:%s", name);
    snprintf(path, sizeof path, "/dev/shm/sem.%s", name + 1);
}

static void refused(int error)
{
    tong_semaphore *s = NULL;
    GIVES(tong_semaphore_open(address, 0, &s), error);
    MUST(s == NULL, "a refused open gave something");
    MUST(strstr(tong_detail(), path), "not told where: %s", tong_detail());
}

static void make_file(off_t size)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
    MUST(fd >= 0 && ftruncate(fd, size) == 0, "%s: %s", path, strerror(errno));
    close(fd);
}

static void test_hostile(int unused)
{
    (void)unused;
    static const off_t sizes[] = { 0, 1, sizeof(sem_t) - 1, sizeof(sem_t) + 1, 16, 4096 };
    prepare();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file(sizes[i]);
        refused(-EEXIST);
        GIVES(tong_remove(address), -EEXIST);
        unlink(path);
    }
    MUST(symlink("/etc/passwd", path) == 0, "symlink: %s", strerror(errno));
    refused(-EEXIST);
    GIVES(tong_remove(address), -EEXIST);
    unlink(path);
    MUST(mkfifo(path, 0600) == 0, "mkfifo: %s", strerror(errno));
    refused(-EEXIST);
    unlink(path);
    MUST(mkdir(path, 0700) == 0, "mkdir: %s", strerror(errno));
    refused(-EEXIST);
    rmdir(path);
}

static void test_another_user(int unused)
{
    (void)unused;
    char own[160];
    tong_semaphore *s;
    prepare();
    make_file(sizeof(sem_t));
    MUST(chown(path, 65534, 65534) == 0, "chown: %s", strerror(errno));
    refused(-EACCES);
    snprintf(own, sizeof own, "%s?create=no", address);
    OK(tong_semaphore_open(own, 0, &s));
    OK(tong_semaphore_close(s));
    OK(tong_remove(address));
}

static void test_names(int unused)
{
    (void)unused;
    static const char *const wrong[] = { "sem:", "sem:/", "sem:/a/b", "sem://a", "sem:a%0ab", "sem:/a,/b" };
    tong_semaphore *s;
    char longest[300] = "sem:";
    prepare();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        GIVES(tong_semaphore_open(wrong[i], 0, &s), -EINVAL);
    memset(longest + 4, 'x', 252);
    GIVES(tong_semaphore_open(longest, 0, &s), -ENAMETOOLONG);
    snprintf(longest, sizeof longest, "sem:%s?create=excl&remove=owner", name + 1);
    OK(tong_semaphore_open(longest, 0, &s));
    MUST(access(path, F_OK) == 0, "the name without '/' is another one");
    OK(tong_semaphore_close(s));
}

/* What sem_open() made is used here, and the other way round: one counter. */
static void test_beside_libc(int unused)
{
    (void)unused;
    tong_semaphore *s;
    int value;
    prepare();
    sem_t *theirs = sem_open(name, O_CREAT | O_EXCL, 0600, 3);
    MUST(theirs != SEM_FAILED, "sem_open: %s", strerror(errno));
    OK(tong_semaphore_open(address, 0, &s));
    OK(tong_semaphore_wait(s, 0, 0));
    MUST(sem_getvalue(theirs, &value) == 0 && value == 2, "sem_open sees %d", value);
    sem_close(theirs);
    OK(tong_semaphore_close(s));
    OK(tong_remove(address));
    OK(tong_semaphore_open(address, 0, &s));
    theirs = sem_open(name, 0);
    MUST(theirs != SEM_FAILED, "sem_open: %s", strerror(errno));
    pid_t child = frame_fork();
    if (child == 0) {
        MUST(sem_wait(theirs) == 0, "sem_wait: %s", strerror(errno));
        _exit(0);
    }
    frame_asleep(child, child);
    OK(tong_semaphore_post(s, 0));
    frame_join(child);
    MUST(sem_unlink(name) == 0, "sem_unlink: %s", strerror(errno));
    sem_close(theirs);
    OK(tong_semaphore_close(s));
}

int main(int argc, char **argv)
{
    frame_begin("sem", argc, argv);
    frame_run("sem/hostile", test_hostile, 0, 20);
    if (geteuid() == 0)
        frame_run("sem/another-user", test_another_user, 0, 20);
    else
        frame_skip("sem/another-user", "only root can make a file of another user");
    frame_run("sem/names", test_names, 0, 20);
    frame_run("sem/beside-libc", test_beside_libc, 0, 20);
    return frame_end();
}
