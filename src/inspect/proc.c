/* SPDX-License-Identifier: MIT */
#include "inspect/proc.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/detail.h"
#include "base/number.h"
#include "inspect/graph.h"
#include "sys/sys.h"

#define ROOM_FIRST 65536
#define ENTRIES 32768

/* Its numbers must be those that system calls take: in another pid namespace they are of other processes. */
static int check_own(const struct proc *proc, const char *path)
{
    char self[24];
    ssize_t r = proc_link(proc->fd, "self", self, sizeof self);
    if (r < 0 && r != -ENOENT && r != -EINVAL)
        return fail_call((int)r, "readlink(%s/self)", path);
    if (r > 0 && strtoll(self, NULL, 10) == getpid())
        return 0;
    return fail(-ENOENT, "%s is not proc(5), or is that of another pid namespace than this process's: mount -t proc proc %s",
                path, path);
}

int proc_open(struct proc *proc, const char *path)
{
    *proc = (struct proc){ .fd = sys_open(path, O_RDONLY | O_DIRECTORY, 0) };
    if (proc->fd < 0)
        return fail_call(proc->fd, "open(%s): proc(5) must be mounted there", path);
    int r = check_own(proc, path);
    proc->buffer = r < 0 ? NULL : malloc(ROOM_FIRST);
    proc->room = ROOM_FIRST;
    if (proc->buffer)
        return 0;
    proc_close(proc);
    return r < 0 ? r : fail(-ENOMEM, "a snapshot: out of memory");
}

void proc_close(struct proc *proc)
{
    sys_close(proc->fd);
    free(proc->buffer);
    *proc = (struct proc){ .fd = -1 };
}

static int widen(struct proc *proc)
{
    char *wider = realloc(proc->buffer, 2 * proc->room);
    if (!wider)
        return -ENOMEM;
    proc->buffer = wider;
    proc->room *= 2;
    return 0;
}

/* What one has no right to, its callers say by its own name. */
static ssize_t told(const struct proc *proc, ssize_t r)
{
    if (r < 0 && r != -EACCES && r != -EPERM && proc->graph)
        graph_missed(proc->graph, "files of proc(5)", r);
    return r;
}

ssize_t proc_read(struct proc *proc, int directory, const char *name)
{
    int fd = sys_openat(directory, name, O_RDONLY);
    size_t used = 0;
    ssize_t r;
    if (fd < 0)
        return told(proc, fd);
    while ((r = sys_read(fd, proc->buffer + used, proc->room - 1 - used)) > 0) {
        used += (size_t)r;
        if (used == proc->room - 1 && (r = widen(proc)) < 0)
            break;
    }
    sys_close(fd);
    proc->buffer[used] = '\0';
    return r < 0 ? told(proc, r) : (ssize_t)used;
}

ssize_t proc_read_some(struct proc *proc, int directory, const char *name, size_t most)
{
    int fd = sys_openat(directory, name, O_RDONLY);
    ssize_t r = fd < 0 ? fd : sys_read(fd, proc->buffer, most);
    sys_close(fd);
    proc->buffer[r > 0 ? r : 0] = '\0';
    return told(proc, r);
}

ssize_t proc_link(int directory, const char *name, char *ret, size_t size)
{
    ssize_t r = sys_readlinkat(directory, name, ret, size - 1);
    if (r >= 0)
        ret[r] = '\0';
    return r;
}

int proc_directory(int directory, const char *name)
{
    return sys_openat(directory, name, O_RDONLY | O_DIRECTORY);
}

int proc_names(int directory, int (*each)(void *context, const char *name), void *context)
{
    _Alignas(struct dirent64) char entries[ENTRIES];
    ssize_t size;
    while ((size = sys_getdents(directory, entries, sizeof entries)) > 0)
        for (ssize_t at = 0; at < size; ) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
            at += entry->d_reclen;
            int r = strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") ? each(context, entry->d_name) : 0;
            if (r)
                return r;
        }
    return size < 0 ? (int)size : 0;
}

struct numbered {
    int (*each)(void *context, const char *name, int64_t number);
    void *context;
};

static int if_number(void *context, const char *name)
{
    const struct numbered *wanted = context;
    int64_t number;
    if (*name < '0' || *name > '9' || parse_count(name, 10, &number) < 0)
        return 0;
    return wanted->each(wanted->context, name, number);
}

int proc_numbers(int directory, int (*each)(void *context, const char *name, int64_t number), void *context)
{
    struct numbered wanted = { each, context };
    return proc_names(directory, if_number, &wanted);
}

int proc_lines(struct proc *proc, int (*each)(void *context, char *line), void *context)
{
    int r = 0;
    for (char *line = proc->buffer, *next; r == 0 && *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        r = each(context, line);
    }
    return r;
}

const char *proc_word(const char *line, unsigned n)
{
    line += strspn(line, " \t");
    for (; n > 0; n--) {
        line += strcspn(line, " \t");
        line += strspn(line, " \t");
    }
    return line;
}
