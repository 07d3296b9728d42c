/* SPDX-License-Identifier: MIT */
/*
 * Most of what a process has mapped is its own, and to write all of /proc/PID/maps down costs the kernel as much as 40
 * descriptors do.  So it is asked for what matters alone where it understands that (PROCMAP_QUERY, Linux 6.11).
 */
#include "inspect/areas.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sys/sys.h"
#include "tong/base.h"

struct asking {
    bool shared;    /* all shared ones; else the one at `at` */
    uint64_t at;
    int (*each)(void *context, const struct area *area);
    void *context;
};

static uint32_t direction_of(bool readable, bool writable)
{
    return (readable ? TONG_RECEIVE : 0) | (writable ? TONG_SEND : 0);
}

/* "start-end rw-s offset major:minor inode  path" */
static int read_line(void *context, char *line)
{
    const struct asking *asking = context;
    const char *rights = strchr(line, ' ');
    unsigned long long from, to, offset, inode;
    unsigned first, second;
    int path = 0;
    if (!rights || strlen(rights) < 5 || (asking->shared && rights[4] != 's'))
        return 0;
    int got = sscanf(line, "%llx-%llx %*s %llx %x:%x %llu %n", &from, &to, &offset, &first, &second, &inode, &path);
    if (got < 6 || !path)
        return 0;
    const struct area area = {
        .from = from, .to = to, .offset = offset, .device = makedev(first, second), .inode = inode,
        .direction = direction_of(rights[1] == 'r', rights[2] == 'w'), .shared = rights[4] == 's', .path = line + path,
    };
    if (asking->shared)
        return asking->each(asking->context, &area);
    return asking->at >= from && asking->at < to ? asking->each(asking->context, &area) : 0;
}

/* -ENOTTY: this kernel does not understand; else as areas_shared(). */
static int ask(int maps, const struct asking *asking)
{
    char path[PATH_MAX];
    struct sys_area found;
    int r = sys_area(maps, asking->at, asking->shared, &found, path, sizeof path);
    while (r == 0) {
        const struct area area = {
            .from = found.from, .to = found.to, .offset = found.offset, .device = makedev(found.major, found.minor),
            .inode = found.inode, .direction = direction_of(found.readable, found.writable), .shared = found.shared,
            .path = path,
        };
        r = asking->each(asking->context, &area);
        if (r || !asking->shared)
            return r;
        r = sys_area(maps, found.to, true, &found, path, sizeof path);
    }
    return r == -ENOENT ? 0 : r;
}

static int ask_or_read(struct proc *proc, int directory, const char *name, struct asking *asking)
{
    int maps = sys_openat(directory, name, O_RDONLY);
    int r = maps < 0 ? maps : ask(maps, asking);
    sys_close(maps);
    if (r != -ENOTTY)
        return r;
    ssize_t size = proc_read(proc, directory, name);
    return size > 0 ? proc_lines(proc, read_line, asking) : (int)size;
}

int areas_shared(struct proc *proc, int directory, const char *name,
                 int (*each)(void *context, const struct area *area), void *context)
{
    struct asking asking = { true, 0, each, context };
    return ask_or_read(proc, directory, name, &asking);
}

int areas_at(struct proc *proc, int directory, const char *name, uint64_t at,
             int (*each)(void *context, const struct area *area), void *context)
{
    struct asking asking = { false, at, each, context };
    return ask_or_read(proc, directory, name, &asking);
}
