/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frame.h"
#include "sys/sys.h"

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return written;
}

/* Who is not root is root in a namespace of users, where that is allowed. */
static bool become_root(void)
{
    char map[64];
    unsigned uid = geteuid(), gid = getegid();
    if (uid == 0)
        return true;
    if (unshare(CLONE_NEWUSER) < 0)
        return false;
    snprintf(map, sizeof map, "0 %u 1\n", uid);
    bool mapped = write_file("/proc/self/uid_map", map) && write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1\n", gid);
    return mapped && write_file("/proc/self/gid_map", map);
}

static bool leave(void)
{
    return become_root() && unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) == 0;
}

/* As the first process of the namespace. */
static bool settle(void)
{
    static const char *const empty[] = { "/dev/shm", "/run", "/tmp" };
    bool settled = mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        settled = settled && mount("tmpfs", empty[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") == 0;
    return settled;
}

/* 0: the last process of it ended well; 77: there is none to be had. */
static int live(void (*fn)(int), int argument)
{
    int status;
    if (!settle())
        return 77;
    pid_t child = fork();
    if (child == 0) {
        if (fn)
            fn(argument);
        _exit(0);
    }
    while (waitpid(-1, &status, 0) != child) /* orphans are its, too */
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run(void (*fn)(int), int argument)
{
    int status;
    if (!leave())
        return 77;
    pid_t first = fork();
    if (first == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(live(fn, argument));
    }
    if (first < 0 || waitpid(first, &status, 0) != first)
        return 77;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

bool world_is_possible(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(run(NULL, 0));
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void world_run(void (*fn)(int), int argument)
{
    pid_t child = frame_fork();
    if (child == 0)
        _exit(run(fn, argument));
    frame_join(child);
}

pid_t world_fork_as(pid_t pid)
{
    char last[24];
    snprintf(last, sizeof last, "%lld", (long long)pid - 1);
    if (!write_file("/proc/sys/kernel/ns_last_pid", last))
        return -1;
    pid_t child = frame_fork();
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    MUST(child == 0 || child == pid, "the child is %lld and not %lld", (long long)child, (long long)pid);
    return child;
}

static unsigned calls_left;
static void (*at_call)(void);

static int spring(const char *call)
{
    (void)call;
    if (calls_left-- > 0)
        return 0;
    void (*then)(void) = at_call;
    world_at_call(0, NULL);
    then();
    return 0;
}

void world_at_call(unsigned nth, void (*then)(void))
{
    calls_left = nth;
    at_call = then;
    sys_fault = then ? spring : NULL;
}

bool world_was_called(void)
{
    bool called = !at_call;
    world_at_call(0, NULL);
    return called;
}

const tong_process *world_process(const tong_snapshot *snapshot, pid_t pid)
{
    for (size_t i = 0; i < tong_snapshot_processes(snapshot); i++)
        if (tong_snapshot_process(snapshot, i)->pid == pid)
            return tong_snapshot_process(snapshot, i);
    return NULL;
}
