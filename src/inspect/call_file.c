/* SPDX-License-Identifier: MIT */
/* Locks on files, the opening of a FIFO, and connect: calls whose object has no descriptor, or not the one that is
 * named. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "inspect/waits.h"
#include "sys/sys.h"

#define PATH 4096

/* ---- Locks ------------------------------------------------------------------------------------------------ */

/* The lock that the kernel says this process waits for; else any on that file, which has the number of its file. */
static uint32_t lock_object(struct look_at_thread *look, const struct stat *status)
{
    const struct tong_snapshot *graph = look->scan->graph;
    for (size_t i = 0; i < graph->ends.count; i++) {
        const tong_end *end = &graph_ends(graph)[i];
        const tong_object *object = graph_object_at(look->scan->graph, end->object);
        if (object->kind == TONG_KIND_LOCK && end->process == look->process && end->flags & TONG_END_WAITS &&
            object->inode == status->st_ino)
            return end->object;
    }
    for (uint32_t i = 0; i < graph->objects.count; i++) {
        const tong_object *object = graph_object_at(look->scan->graph, i);
        if (object->kind == TONG_KIND_LOCK && object->device == status->st_dev && object->inode == status->st_ino)
            return i;
    }
    return TONG_NOBODY;
}

static void wait_for_lock(struct look_at_thread *look, const char *detail)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "%lld/fd/%d", (long long)look->pid, (int)look->argument[0]);
    int r = sys_fstatat(look->scan->proc.fd, path, &status, 0);
    graph_missed(look->scan->graph, "files that threads wait for", r);
    if (r < 0) {
        wait_open(look, "a lock on a file that could not be asked");
        return;
    }
    uint32_t object = lock_object(look, &status);
    const struct wait_fact fact = { .rule = object == TONG_NOBODY ? RULE_OPEN : RULE_LOCK, .fd = (int)look->argument[0],
                                    .device = status.st_dev, .inode = status.st_ino };
    wait_add(look, &fact, object, 0, detail);
}

void call_flock(struct look_at_thread *look)
{
    wait_for_lock(look, look->argument[1] & LOCK_SH ? "a shared lock" : "an exclusive lock");
}

void call_fcntl(struct look_at_thread *look)
{
    struct flock lock;
    int command = (int)look->argument[1];
    if (command != F_SETLKW && command != F_OFD_SETLKW)
        wait_open(look, "fcntl");
    else
        wait_for_lock(look, !wait_peek(look, look->argument[2], &lock, sizeof lock) ? "a lock"
                            : lock.l_type == F_RDLCK ? "a shared lock" : "an exclusive lock");
}

/* ---- Opening a FIFO --------------------------------------------------------------------------------------- */

/* Where a path of that process leads, seen from here. */
static int stat_of(struct look_at_thread *look, int directory, const char *path, struct stat *ret)
{
    char from[PATH + 64];
    if (*path == '/')
        snprintf(from, sizeof from, "%lld/root%s", (long long)look->pid, path);
    else if (directory == AT_FDCWD)
        snprintf(from, sizeof from, "%lld/cwd/%s", (long long)look->pid, path);
    else
        snprintf(from, sizeof from, "%lld/fd/%d/%s", (long long)look->pid, directory, path);
    int r = sys_fstatat(look->scan->proc.fd, from, ret, 0);
    graph_missed(look->scan->graph, "files that threads wait for", r);
    return r;
}

static uint32_t fifo_object(struct look_at_thread *look, const struct stat *status, const char *path)
{
    char key[GRAPH_KEY];
    bool fresh;
    graph_file_key(status->st_dev, status->st_ino, key);
    uint32_t number = graph_object(look->scan->graph, TONG_KIND_FIFO, key, &fresh);
    if (number == TONG_NOBODY || !fresh)
        return number;
    const char *name = graph_text(look->scan->graph, path);
    tong_object *object = graph_object_at(look->scan->graph, number);
    object->name = name;
    object->source = "/proc/TID/syscall";
    object->uid = status->st_uid;
    object->gid = status->st_gid;
    object->mode = status->st_mode & 07777;
    object->device = status->st_dev;
    object->inode = status->st_ino;
    object->flags |= status->st_mode & S_IWOTH ? TONG_OBJECT_WORLD_WRITABLE : 0;
    return number;
}

/* Who opens a FIFO can be interrupted; who cannot waits for a disk or a server, of which nothing is asked here. */
static bool is_interruptible(struct look_at_thread *look)
{
    char path[64];
    snprintf(path, sizeof path, "%lld/task/%lld/stat", (long long)look->pid, (long long)look->tid);
    ssize_t r = proc_read(&look->scan->proc, look->scan->proc.fd, path);
    const char *name_end = r > 0 ? strrchr(look->scan->proc.buffer, ')') : NULL;
    graph_missed(look->scan->graph, "states of threads", r);
    return name_end && name_end[1] == ' ' && name_end[2] == 'S';
}

static void wait_for_open(struct look_at_thread *look, int directory, uint64_t at, int flags)
{
    char path[PATH];
    struct stat status;
    uint32_t direction = (flags & O_ACCMODE) == O_RDONLY ? TONG_RECEIVE : TONG_SEND;
    if (!is_interruptible(look) || !wait_peek_path(look, at, path, sizeof path) ||
        stat_of(look, directory, path, &status) < 0 || !S_ISFIFO(status.st_mode)) {
        wait_open(look, "a file");
        return;
    }
    uint32_t object = fifo_object(look, &status, path);
    const tong_end end = { .object = object, .process = look->process, .flags = TONG_END_WAITS, .direction = direction,
                           .certainty = TONG_EXACT, .fd = -1 };
    const struct wait_fact fact = { .rule = RULE_OPENING, .fd = -1, .inferred = true };
    if (object != TONG_NOBODY)
        graph_add_end(look->scan->graph, &end);
    wait_add(look, &fact, object, direction, direction == TONG_RECEIVE ? "a writer" : "a reader");
}

void call_open(struct look_at_thread *look)
{
    wait_for_open(look, AT_FDCWD, look->argument[0], (int)look->argument[1]);
}

/* openat2 has its flags in memory, and is judged as a reader's if they cannot be read. */
void call_openat(struct look_at_thread *look)
{
    uint64_t flags = look->argument[2];
    if (!strcmp(look->operation, "openat2") && !wait_peek(look, flags, &flags, sizeof flags))
        flags = O_RDONLY;
    wait_for_open(look, (int)look->argument[0], look->argument[1], (int)flags);
}

/* ---- connect ---------------------------------------------------------------------------------------------- */

/* Unix sockets wait for room among the clients that nobody has accepted yet; who listens accepts. */
void call_connect(struct look_at_thread *look)
{
    struct sockaddr_un address = { .sun_family = AF_UNSPEC };
    size_t size = look->argument[2];
    size = size < sizeof address ? size : sizeof address;
    if (size < sizeof(sa_family_t) || !wait_peek(look, look->argument[1], &address, size) ||
        address.sun_family != AF_UNIX) {
        wait_on_descriptor(look, (int)look->argument[0], 0, false);
        return;
    }
    char name[sizeof address.sun_path + 1] = "";
    size_t length = size - offsetof(struct sockaddr_un, sun_path);
    bool abstract = length > 0 && !*address.sun_path;
    for (size_t i = 0; i < length && (abstract || address.sun_path[i]); i++)
        name[i] = address.sun_path[i] ? address.sun_path[i] : '@';
    for (uint32_t i = 0; i < look->scan->graph->objects.count; i++) {
        const tong_object *object = graph_object_at(look->scan->graph, i);
        if (object->kind == TONG_KIND_UNIX && object->flags & TONG_OBJECT_LISTENING && !strcmp(object->name, name)) {
            const struct wait_fact fact = { .rule = RULE_OBJECT, .fd = -1, .hideable = true };
            wait_add(look, &fact, i, TONG_SEND, "room among those who wait to be accepted");
            return;
        }
    }
    wait_open(look, "a connection");
}
