/* SPDX-License-Identifier: MIT */
/*
 * Reads /proc/PID/status and /proc/PID/task/TID/status (proc(5)).  The line of supplementary groups may be longer than
 * any buffer, so the file is read line by line and what is too long for a line is passed over.
 */
#include "core/signal_status.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/detail.h"
#include "sys/sys.h"

static const struct { const char *label; int base; size_t offset; } fields[] = {
    { "SigPnd:", 16, offsetof(struct signal_status, thread_pending) },
    { "ShdPnd:", 16, offsetof(struct signal_status, pending) },
    { "SigBlk:", 16, offsetof(struct signal_status, blocked) },
    { "SigIgn:", 16, offsetof(struct signal_status, ignored) },
    { "SigCgt:", 16, offsetof(struct signal_status, caught) },
    { "SigQ:", 10, offsetof(struct signal_status, queued) },
    { "Threads:", 10, offsetof(struct signal_status, threads) },
    { "Uid:", 10, offsetof(struct signal_status, uid) },
};

static void take_line(const char *line, struct signal_status *ret)
{
    if (!strncmp(line, "Name:\t", 6))
        snprintf(ret->name, sizeof ret->name, "%s", line + 6);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        size_t size = strlen(fields[i].label);
        if (strncmp(line, fields[i].label, size))
            continue;
        char *end;
        *(uint64_t *)((char *)ret + fields[i].offset) = strtoull(line + size, &end, fields[i].base);
        if (*end == '/')
            ret->limit = strtoull(end + 1, NULL, 10);
    }
}

/* Takes the whole lines in text[0..used) and moves the rest to the front; what is left of it.  A line that fills the
 * buffer is let go piece by piece: none of ours is that long. */
static size_t take_lines(char *text, size_t used, size_t room, struct signal_status *ret)
{
    char *start = text, *newline;
    while ((newline = memchr(start, '\n', used - (size_t)(start - text)))) {
        *newline = '\0';
        take_line(start, ret);
        start = newline + 1;
    }
    size_t left = used - (size_t)(start - text);
    memmove(text, start, left);
    return left == room ? 0 : left;
}

static int read_all(int fd, struct signal_status *ret)
{
    char text[2048];
    size_t used = 0;
    for (;;) {
        ssize_t size = sys_read(fd, text + used, sizeof text - used);
        if (size <= 0)
            return (int)size;
        used = take_lines(text, used + (size_t)size, sizeof text, ret);
    }
}

static int refuse(pid_t pid, int error)
{
    if (error == -ENOENT || error == -ESRCH)
        return fail(-ESRCH, "there is no process %d, or it cannot be seen from here", (int)pid);
    return fail_call(error, "/proc/%d: its signals cannot be read", (int)pid);
}

/* "/proc/self/..." for this process: /proc may be that of another pid namespace. */
static void write_path(pid_t pid, const char *rest, char *ret, size_t size)
{
    if (pid == 0 || pid == getpid())
        snprintf(ret, size, "/proc/self/%s", rest);
    else
        snprintf(ret, size, "/proc/%d/%s", (int)pid, rest);
}

int signal_status_read(pid_t pid, pid_t tid, struct signal_status *ret)
{
    char path[64], rest[32] = "status";
    struct signal_status status = { .threads = 0 };
    if (tid)
        snprintf(rest, sizeof rest, "task/%d/status", (int)tid);
    write_path(pid, rest, path, sizeof path);
    int fd = sys_open(path, O_RDONLY, 0);
    int r = fd < 0 ? fd : read_all(fd, &status);
    sys_close(fd);
    if (r < 0)
        return refuse(tid ? tid : pid, r);
    *ret = status;
    return 0;
}

static int visit_entries(const char *entries, size_t size, int (*visit)(pid_t, void *), void *context)
{
    for (size_t at = 0; at < size; ) {
        const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
        at += entry->d_reclen;
        int r = *entry->d_name == '.' ? 0 : visit((pid_t)strtol(entry->d_name, NULL, 10), context);
        if (r)
            return r;
    }
    return 0;
}

int signal_threads_visit(pid_t pid, int (*visit)(pid_t tid, void *context), void *context)
{
    _Alignas(struct dirent64) char entries[4096];
    char path[64];
    write_path(pid, "task", path, sizeof path);
    int fd = sys_open(path, O_RDONLY | O_DIRECTORY, 0), r = 0;
    if (fd < 0)
        return refuse(pid, fd);
    for (;;) {
        ssize_t size = sys_getdents(fd, entries, sizeof entries);
        if (size < 0)
            r = refuse(pid, (int)size);
        if (size > 0)
            r = visit_entries(entries, (size_t)size, visit, context);
        if (r || size == 0)
            break;
    }
    sys_close(fd);
    return r;
}
