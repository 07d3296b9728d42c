/* SPDX-License-Identifier: MIT */
/*
 * Names that nobody need have open: files and named semaphores in /dev/shm, and POSIX message queues where their file
 * system is mounted in the caller's mount namespace.  Queues and semaphores are opened, read-only, to be asked what is
 * in them.
 *
 * A queue's file says how many bytes it holds; mq_getattr(3) says the rest of the same descriptor.  A semaphore's first
 * word is its value, in every libc that lays sem_t out so: glibc and musl.
 */
#include "inspect/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "inspect/file.h"
#include "inspect/mounts.h"
#include "sys/sys.h"

#define MQUEUE_MAGIC 0x19800202 /* statfs(2) */
#define PATH_MOST 4200

struct names_scan {
    struct scan *scan;
    int directory;
    const char *path;    /* of the directory, with a slash behind it */
    size_t directories;
};

/* ---- Message queues -------------------------------------------------------------------------------------------- */

bool names_are_queues(int directory, const char *name)
{
    uint64_t type = 0;
    int fd = sys_openat(directory, name, O_PATH);
    if (fd >= 0)
        sys_fstatfs_type(fd, &type);
    sys_close(fd);
    return type == MQUEUE_MAGIC;
}

static uint64_t read_bytes(int fd)
{
    char text[128];
    ssize_t size = sys_pread(fd, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    const char *value = strstr(text, "QSIZE:");
    return value ? strtoull(value + sizeof "QSIZE:" - 1, NULL, 10) : TONG_UNKNOWN;
}

void names_describe_queue(struct scan *scan, uint32_t number, bool own, int directory, const char *name)
{
    struct mq_attr attributes;
    int fd = sys_openat(directory, name, O_RDONLY | O_NONBLOCK);
    uint64_t bytes = fd < 0 ? TONG_UNKNOWN : read_bytes(fd);
    int r = fd < 0 ? fd : sys_mq_getattr(fd, &attributes);
    sys_close(fd);
    tong_object *object = graph_object_at(scan->graph, number);
    object->depth = bytes;
    object->capacity = TONG_UNKNOWN; /* not the size of the file */
    object->address = own && !(object->flags & TONG_OBJECT_DELETED) ? graph_address(scan->graph, "mq:", object->name) : "";
    graph_missed(scan->graph, "what lies in POSIX message queues", r);
    if (r < 0)
        return;
    object->messages = (uint64_t)attributes.mq_curmsgs;
    object->capacity = (uint64_t)attributes.mq_maxmsg * (uint64_t)attributes.mq_msgsize;
    object->flags |= attributes.mq_curmsgs >= attributes.mq_maxmsg ? TONG_OBJECT_FULL : 0;
    object->detail = graph_format(scan->graph, "%ld of %ld message%s of at most %ld byte%s", attributes.mq_curmsgs,
                                  attributes.mq_maxmsg, plural((uint64_t)attributes.mq_maxmsg, "", "s"),
                                  attributes.mq_msgsize, plural((uint64_t)attributes.mq_msgsize, "", "s"));
}

static int add_queue(void *context, const char *name)
{
    const struct names_scan *names = context;
    struct tong_snapshot *graph = names->scan->graph;
    struct stat status;
    char path[PATH_MOST];
    bool fresh;
    int r = sys_fstatat(names->directory, name, &status, AT_SYMLINK_NOFOLLOW);
    graph_missed(graph, "POSIX message queues", r);
    if (r < 0 || !S_ISREG(status.st_mode))
        return 0;
    uint32_t object = file_object(graph, TONG_KIND_MQ, status.st_dev, status.st_ino, &fresh);
    if (object == TONG_NOBODY || !fresh)
        return graph->error;
    snprintf(path, sizeof path, "/%s", name);
    file_describe_named(graph, object, path, &status, "mqueue");
    names_describe_queue(names->scan, object, true, names->directory, name);
    return graph->error;
}

/* ---- /dev/shm -------------------------------------------------------------------------------------------------- */

static void describe_semaphore(struct tong_snapshot *graph, uint32_t number, const struct names_scan *names,
                               const char *name)
{
    int32_t value;
    int fd = sys_openat(names->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    ssize_t size = fd < 0 ? fd : sys_pread(fd, &value, sizeof value, 0);
    sys_close(fd);
    if (size != sizeof value || value < 0) {
        graph_gap(graph, "values of named semaphores", "not permitted to this user");
        return;
    }
    graph_object_at(graph, number)->messages = (uint64_t)value;
}

static int add_file(void *context, const char *name)
{
    struct names_scan *names = context;
    struct tong_snapshot *graph = names->scan->graph;
    struct stat status;
    char path[PATH_MOST];
    bool fresh;
    int r = sys_fstatat(names->directory, name, &status, AT_SYMLINK_NOFOLLOW);
    graph_missed(graph, "files in /dev/shm", r);
    if (r < 0)
        return 0;
    names->directories += S_ISDIR(status.st_mode);
    snprintf(path, sizeof path, "%s%s", names->path, name);
    uint32_t kind = S_ISREG(status.st_mode) ? file_kind(path) : S_ISFIFO(status.st_mode) ? TONG_KIND_FIFO : 0;
    if (!kind)
        return 0;
    uint32_t object = file_object(graph, kind, status.st_dev, status.st_ino, &fresh);
    if (object == TONG_NOBODY || !fresh)
        return graph->error;
    file_describe_named(graph, object, path, &status, "/dev/shm");
    if (kind == TONG_KIND_SEM)
        describe_semaphore(graph, object, names, name);
    return graph->error;
}

static int list(struct scan *scan, const char *path, int (*each)(void *context, const char *name))
{
    struct names_scan names = { .scan = scan, .path = path };
    names.directory = sys_open(path, O_RDONLY | O_DIRECTORY, 0);
    int r = names.directory < 0 ? names.directory : proc_names(names.directory, each, &names);
    sys_close(names.directory);
    if (names.directories)
        graph_gap(scan->graph, "files in directories below /dev/shm that nobody has open", "not looked for");
    if (r < 0 && r != -ENOMEM)
        graph_gap(scan->graph, path, "cannot be read");
    return r == -ENOMEM ? r : 0;
}

/* ---- Where queues have names ----------------------------------------------------------------------------------- */

struct mounts {
    char *text;      /* directories, ended by NUL each; an empty one ends them */
    size_t size;
};

/* "36 35 98:0 / /dev/mqueue rw,nosuid - mqueue mqueue rw": optional fields end with a single "-". */
static int add_mount(void *context, char *line)
{
    struct mounts *mounts = context;
    struct mount mount;
    const char *type = strstr(line, " - ");
    if (!type || strncmp(type + 3, "mqueue ", 7) || mounts_parse(line, &mount) < 0)
        return 0;
    size_t size = strlen(mount.point) + 2;
    char *wider = realloc(mounts->text, mounts->size + size + 1);
    if (!wider)
        return -ENOMEM;
    snprintf(wider + mounts->size, size, "%s/", mount.point);
    wider[mounts->size + size] = '\0';
    *mounts = (struct mounts){ wider, mounts->size + size };
    return 0;
}

static int list_queues(struct scan *scan)
{
    struct mounts mounts = { NULL, 0 };
    int r = proc_read(&scan->proc, scan->proc.fd, "self/mountinfo") < 0 ? 0 : proc_lines(&scan->proc, add_mount, &mounts);
    if (!mounts.text && r == 0)
        graph_gap(scan->graph, "POSIX message queues that nobody has open", "their file system is not mounted");
    for (const char *path = mounts.text; path && *path && r == 0; path += strlen(path) + 1)
        r = list(scan, graph_text(scan->graph, path), add_queue);
    free(mounts.text);
    return r;
}

int probe_names(struct scan *scan)
{
    int r = list(scan, FILE_SHM, add_file);
    return r ? r : list_queues(scan);
}
