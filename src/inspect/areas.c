/* SPDX-License-Identifier: MIT */
/*
 * Most of what a process has mapped is its own, and to write all of /proc/PID/maps down costs the kernel as much as 40
 * descriptors do.  So it is asked for the shared ones alone where it understands that (PROCMAP_QUERY, Linux 6.11).
 */
#include "inspect/areas.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sys/sys.h"
#include "tong/base.h"

struct reading {
    int (*each)(void *context, const struct area *area);
    void *context;
};

/* "start-end rw-s offset major:minor inode  path" */
static int read_line(void *context, char *line)
{
    const struct reading *reading = context;
    const char *rights = strchr(line, ' ');
    unsigned long long from, to, inode;
    unsigned first, second;
    int path = 0;
    if (!rights || strlen(rights) < 5 || rights[4] != 's')
        return 0;
    if (sscanf(line, "%llx-%llx %*s %*x %x:%x %llu %n", &from, &to, &first, &second, &inode, &path) < 5 || !path)
        return 0;
    const struct area area = {
        .from = from, .to = to, .device = makedev(first, second), .inode = inode, .path = line + path,
        .direction = (rights[1] == 'r' ? TONG_RECEIVE : 0) | (rights[2] == 'w' ? TONG_SEND : 0),
    };
    return reading->each(reading->context, &area);
}

/* -ENOTTY: this kernel does not understand; else as areas_shared(). */
static int ask(int maps, const struct reading *reading)
{
    char path[PATH_MAX];
    struct sys_area found;
    int r = sys_shared_area(maps, 0, &found, path, sizeof path);
    while (r == 0) {
        const struct area area = {
            .from = found.from, .to = found.to, .device = makedev(found.major, found.minor), .inode = found.inode,
            .direction = (found.readable ? TONG_RECEIVE : 0) | (found.writable ? TONG_SEND : 0), .path = path,
        };
        r = reading->each(reading->context, &area);
        r = r ? r : sys_shared_area(maps, found.to, &found, path, sizeof path);
    }
    return r == -ENOENT ? 0 : r;
}

int areas_shared(struct proc *proc, int directory, const char *name,
                 int (*each)(void *context, const struct area *area), void *context)
{
    struct reading reading = { each, context };
    int maps = sys_openat(directory, name, O_RDONLY);
    int r = maps < 0 ? maps : ask(maps, &reading);
    sys_close(maps);
    if (r != -ENOTTY)
        return r;
    ssize_t size = proc_read(proc, directory, name);
    return size > 0 ? proc_lines(proc, read_line, &reading) : (int)size;
}
