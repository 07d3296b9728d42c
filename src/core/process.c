/* SPDX-License-Identifier: MIT */
/* Reads /proc/PID/stat: the command's name in it may hold anything, so fields count from the last ')'. */
#include "core/process.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/sys.h"

uint64_t process_start_time(pid_t pid)
{
    char path[32], text[1024];
    /* Ourselves by name: /proc may be that of another pid namespace, where our number is somebody else's. */
    if (pid == getpid())
        snprintf(path, sizeof path, "/proc/self/stat");
    else
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = sys_open(path, O_RDONLY, 0);
    if (fd < 0)
        return 0;
    ssize_t size = sys_read(fd, text, sizeof text - 1);
    sys_close(fd);
    if (size <= 0)
        return 0;
    text[size] = '\0';
    char *field = strrchr(text, ')');
    if (!field || field[1] != ' ' || field[2] == 'Z' || field[2] == 'X')
        return 0;
    for (int skip = 0; skip < 20 && field; skip++)
        field = strchr(field + 1, ' ');
    return field ? strtoull(field, NULL, 10) : 0;
}

bool process_alive(pid_t pid, uint64_t start_time)
{
    uint64_t now = process_start_time(pid);
    return now != 0 && (start_time == 0 || now == start_time);
}

uint64_t process_pid_namespace(void)
{
    struct stat status;
    int fd = sys_open("/proc/self/ns/pid", O_RDONLY, 0);
    int r = fd < 0 ? fd : sys_fstat(fd, &status);
    if (fd >= 0)
        sys_close(fd);
    return r < 0 ? 0 : (uint64_t)status.st_ino;
}

unsigned fork_generation;

static void forked(void)
{
    fork_generation++;
}

static void watch(void)
{
    pthread_atfork(NULL, NULL, forked);
}

void fork_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch);
}
