/* SPDX-License-Identifier: MIT */
/*
 * Pseudoterminals.  The slave is a device in a devpts file system, with its number in the device's; the master is an
 * open /dev/ptmx, and says in its fdinfo which one it is of.  Which devpts file system that is, if there are several,
 * is the one that its process sees.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "inspect/descriptor.h"
#include "sys/sys.h"

#define SLAVE_FIRST 136 /* majors: Documentation/admin-guide/devices.txt */
#define SLAVE_LAST 143
#define PTMX makedev(5, 2)
#define MINORS 256
#define DEVPTS "/dev/pts/"

static bool is_slave(const struct stat *status)
{
    return major(status->st_rdev) >= SLAVE_FIRST && major(status->st_rdev) <= SLAVE_LAST;
}

bool descriptor_is_terminal(const struct stat *status)
{
    return S_ISCHR(status->st_mode) && (is_slave(status) || status->st_rdev == PTMX);
}

static bool find_number(const struct descriptor *descriptor, const struct stat *status, unsigned *ret)
{
    *ret = (major(status->st_rdev) - SLAVE_FIRST) * MINORS + minor(status->st_rdev);
    if (is_slave(status))
        return true;
    const char *field = descriptor_read(descriptor) > 0 ? descriptor_field(descriptor, "tty-index") : NULL;
    *ret = field ? (unsigned)strtoul(field, NULL, 10) : 0;
    return field != NULL;
}

static dev_t devpts_of(const struct descriptor *descriptor, const struct stat *status)
{
    struct stat devpts;
    bool inside = is_slave(status) || !strncmp(descriptor->target, DEVPTS, sizeof DEVPTS - 1);
    return inside || sys_fstatat(descriptor->directory, "../root" DEVPTS, &devpts, 0) < 0 ? status->st_dev : devpts.st_dev;
}

void descriptor_add_terminal(const struct descriptor *descriptor, const struct stat *status)
{
    struct tong_snapshot *graph = descriptor->scan->graph;
    dev_t devpts = devpts_of(descriptor, status);
    unsigned index;
    char key[GRAPH_KEY];
    bool fresh;
    if (!find_number(descriptor, status, &index))
        return;
    graph_file_key(devpts, index, key);
    uint32_t number = graph_object(graph, TONG_KIND_PTY, key, &fresh);
    if (number == TONG_NOBODY)
        return;
    const char *name = fresh ? graph_format(graph, DEVPTS "%u", index) : "";
    tong_object *object = graph_object_at(graph, number);
    if (fresh) {
        object->name = name;
        object->source = "/proc/PID/fd";
    }
    if (is_slave(status)) {
        object->uid = status->st_uid;
        object->gid = status->st_gid;
        object->mode = status->st_mode & 07777;
        object->device = status->st_dev;
        object->inode = status->st_ino;
        object->flags |= status->st_mode & S_IWOTH ? TONG_OBJECT_WORLD_WRITABLE : 0;
    }
    descriptor_add_end(descriptor, number, is_slave(status) ? 0 : TONG_END_MASTER);
}
