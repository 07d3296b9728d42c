/* SPDX-License-Identifier: MIT */
/* Objects that another process removes or replaces in the middle of opening, and a set too wide to be used. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <tong/tong.h>
#include <unistd.h>

#include "frame.h"
#include "sys/sys.h"

static const char *due; /* the call before which it is removed, once */

static int remove_before(const char *call)
{
    if (!due || strcmp(call, due))
        return 0;
    due = NULL;
    bool segment = !strncmp(call, "shm", 3);
    int id = segment ? shmget(frame_key(), 0, 0) : semget(frame_key(), 0, 0);
    MUST(id >= 0, "nothing is there: %s", strerror(errno));
    int r = segment ? shmctl(id, IPC_RMID, NULL) : semctl(id, 0, IPC_RMID);
    MUST(r == 0, "it cannot be removed: %s", strerror(errno));
    return 0;
}

static void removed_before(const char *call, const char *scheme, const char *options)
{
    char address[128];
    tong_region *region;
    tong_semaphore *semaphore;
    snprintf(address, sizeof address, "%s:%d?remove=owner&%s", scheme, (int)frame_key(), options);
    due = call;
    sys_fault = remove_before;
    if (!strcmp(scheme, "sysvshm"))
        OK(tong_region_open(address, TONG_READ | TONG_WRITE, &region));
    else
        OK(tong_semaphore_open(address, 0, &semaphore));
    sys_fault = NULL;
    MUST(!due, "%s was never called", call);
    if (!strcmp(scheme, "sysvshm"))
        OK(tong_region_close(region));
    else
        OK(tong_semaphore_close(semaphore));
}

static void test_segment(int unused)
{
    (void)unused;
    removed_before("shmctl", "sysvshm", "size=4K");
    removed_before("shmat", "sysvshm", "size=4K");
}

static void test_set(int unused)
{
    (void)unused;
    removed_before("semop", "sysvsem", "value=1");
}

static int replace_before_lstat(const char *call)
{
    char path[128];
    if (!due || strcmp(call, due))
        return 0;
    due = NULL;
    snprintf(path, sizeof path, "/dev/shm/%sreplaced", frame_mark());
    MUST(unlink(path) == 0, "unlink: %s", strerror(errno));
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MUST(fd >= 0, "open: %s", strerror(errno));
    close(fd);
    return 0;
}

/* remove=owner removes what was made, and not what another program has put in its place. */
static void test_replaced(int unused)
{
    (void)unused;
    char address[128];
    tong_region *region;
    snprintf(address, sizeof address, "shm:%sreplaced?size=4K&remove=owner", frame_mark());
    due = "lstat";
    sys_fault = replace_before_lstat;
    OK(tong_region_open(address, TONG_READ | TONG_WRITE, &region));
    OK(tong_region_close(region));
    sys_fault = NULL;
    MUST(!due, "nobody looked at the name");
    *strchr(address, '?') = '\0';
    OK(tong_remove(address));
}

/* struct sembuf has 16 bits for the number of a counter: the 65537th would be mistaken for the first. */
static void test_wide_set(int unused)
{
    (void)unused;
    tong_semaphore *semaphore;
    char address[64];
    FILE *limits = unshare(CLONE_NEWIPC) == 0 ? fopen("/proc/sys/kernel/sem", "w") : NULL;
    if (!limits || fputs("70000 140000 500 10", limits) < 0 || fclose(limits) != 0)
        return; /* only root can have such sets */
    MUST(semget(frame_key(), 70000, IPC_CREAT | IPC_EXCL | 0600) >= 0, "semget: %s", strerror(errno));
    snprintf(address, sizeof address, "sysvsem:%d", (int)frame_key());
    GIVES(tong_semaphore_open(address, 0, &semaphore), -EOVERFLOW);
    OK(tong_remove(address));
}

int main(int argc, char **argv)
{
    frame_begin("opening-races", argc, argv);
    frame_run("opening-races/segment", test_segment, 0, 20);
    frame_run("opening-races/set", test_set, 0, 20);
    frame_run("opening-races/replaced", test_replaced, 0, 20);
    frame_run("opening-races/wide-set", test_wide_set, 0, 20);
    return frame_end();
}
