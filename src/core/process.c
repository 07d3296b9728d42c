/* SPDX-License-Identifier: MIT */
/*
 * Reads /proc/PID/stat: the command's name in it may hold anything, so fields count from the last ')'.  A process whose
 * first thread has ended (pthread_exit) looks like a zombie there while its other threads run: it is none.
 */
#include "core/process.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/sys.h"

#define FIELD_THREADS 20 /* proc_pid_stat(5) */
#define FIELD_START_TIME 22

/* The n-th field, of which the state is the third; 0 where there is none. */
static uint64_t field_of(const char *state, int n)
{
    for (int skip = 3; skip < n && state; skip++)
        state = strchr(state + 1, ' ');
    return state ? strtoull(state, NULL, 10) : 0;
}

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
    char *state = strrchr(text, ')');
    if (!state || *++state != ' ' || state[1] == 'X' || (state[1] == 'Z' && field_of(state, FIELD_THREADS) < 2))
        return 0;
    return field_of(state, FIELD_START_TIME);
}

bool process_alive(pid_t pid, uint64_t start_time)
{
    uint64_t now = process_start_time(pid);
    return now != 0 && (start_time == 0 || now == start_time);
}

void process_name_last(pid_t pid, tong_identity *ret)
{
    if (pid <= 0)
        return;
    ret->source = TONG_IDENTITY_LAST;
    ret->pid = pid;
    ret->start_time = process_start_time(pid);
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

uint64_t process_boot(void)
{
    char text[40];
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    int fd = sys_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
    ssize_t size = fd < 0 ? fd : sys_read(fd, text, sizeof text);
    sys_close(fd);
    for (ssize_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return size > 0 ? hash : 0;
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
