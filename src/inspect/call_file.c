/* SPDX-License-Identifier: MIT */
/* Locks on files, leases, the opening of a FIFO, and connect: calls whose object has no descriptor, or not the one that is
 * named. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "inspect/locks.h"
#include "inspect/reach.h"
#include "inspect/waits.h"
#include "sys/sys.h"

#define PATH 4096

/* ---- Locks ------------------------------------------------------------------------------------------------ */

static bool is_lock_of(const tong_object *object, const struct stat *status)
{
    return object->kind == TONG_KIND_LOCK && object->device == status->st_dev && object->inode == status->st_ino;
}

/* The lock that the kernel says this process waits for; else any on that file, which has the number of its file. */
static uint32_t lock_object(struct look_at_thread *look, const struct stat *status)
{
    const struct tong_snapshot *graph = look->scan->graph;
    for (size_t i = 0; i < graph->ends.count; i++) {
        const tong_end *end = &graph_ends(graph)[i];
        if (end->process == look->process && end->flags & TONG_END_WAITS &&
            is_lock_of(graph_object_at(look->scan->graph, end->object), status))
            return end->object;
    }
    for (uint32_t i = 0; i < graph->objects.count; i++)
        if (is_lock_of(graph_object_at(look->scan->graph, i), status))
            return i;
    return TONG_NOBODY;
}

/* As /proc/locks writes it; NULL: it depends on where the file's end, or the descriptor, is. */
static const char *range_of(const struct flock *lock, char ret[48])
{
    if (lock->l_whence != SEEK_SET || lock->l_start < 0 || lock->l_len < 0)
        return NULL;
    if (lock->l_len == 0)
        snprintf(ret, 48, "%lld:EOF", (long long)lock->l_start);
    else
        snprintf(ret, 48, "%lld:%lld", (long long)lock->l_start, (long long)(lock->l_start + lock->l_len - 1));
    return ret;
}

/* "an exclusive lock of bytes 7 to 9"; of a whole file only the kind. */
static const char *with_range(struct look_at_thread *look, const struct flock *lock, const char *kind)
{
    char range[48];
    if (!range_of(lock, range) || !strcmp(range, "0:EOF"))
        return kind;
    return graph_format(look->scan->graph, "%s of bytes %.*s to %s", kind, (int)strcspn(range, ":"), range,
                        strchr(range, ':') + 1);
}

/* Of descriptions' locks the kernel does not say who waits, so it is told here. */
static uint32_t find_lock(struct look_at_thread *look, const struct stat *status, const struct flock *described)
{
    char range[48];
    uint32_t found = !described ? TONG_NOBODY
        : locks_find_waiter(look->scan, look->process, status->st_dev, status->st_ino, range_of(described, range));
    return found == TONG_NOBODY ? lock_object(look, status) : found;
}

/* `described`: of an open file description; else NULL. */
static void wait_for_lock(struct look_at_thread *look, const struct flock *described, const char *detail)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "%lld/fd/%d", (long long)look->tid, (int)look->argument[0]);
    int r = sys_fstatat_known(look->scan->proc.fd, path, &status);
    graph_missed(look->scan->graph, "files that threads wait for", r);
    if (r < 0) {
        wait_open(look, "a lock on a file that could not be asked");
        return;
    }
    uint32_t object = find_lock(look, &status, described);
    const struct wait_fact fact = { .rule = object == TONG_NOBODY ? RULE_OPEN : RULE_LOCK, .fd = (int)look->argument[0],
                                    .device = status.st_dev, .inode = status.st_ino };
    wait_add(look, &fact, object, 0, detail);
}

void call_flock(struct look_at_thread *look)
{
    wait_for_lock(look, NULL, look->argument[1] & LOCK_SH ? "a shared lock" : "an exclusive lock");
}

void call_fcntl(struct look_at_thread *look)
{
    struct flock lock;
    int command = (int)look->argument[1];
    if (command != F_SETLKW && command != F_OFD_SETLKW) {
        wait_open(look, "fcntl");
        return;
    }
    bool read = wait_peek(look, look->argument[2], &lock, sizeof lock);
    const char *kind = !read ? "a lock" : lock.l_type == F_RDLCK ? "a shared lock" : "an exclusive lock";
    wait_for_lock(look, read && command == F_OFD_SETLKW ? &lock : NULL, read ? with_range(look, &lock, kind) : kind);
}

/* ---- Leases ----------------------------------------------------------------------------------------------- */

/* Whether the kernel takes a lease back by itself after a while. */
static bool leases_end(struct scan *scan)
{
    return proc_read(&scan->proc, scan->proc.fd, "sys/fs/lease-break-time") <= 0 || atoi(scan->proc.buffer) > 0;
}

/* Who opens a file that another has a lease on waits until that gives it back. */
static bool wait_for_lease(struct look_at_thread *look, const struct stat *status)
{
    struct tong_snapshot *graph = look->scan->graph;
    for (uint32_t i = 0; i < graph->objects.count; i++) {
        const tong_object *object = graph_object_at(graph, i);
        if (!is_lock_of(object, status) || strncmp(object->key, "LEASE", 5))
            continue;
        const tong_end end = { .object = i, .process = look->process, .flags = TONG_END_WAITS, .certainty = TONG_EXACT,
                               .fd = -1 };
        const struct wait_fact fact = { .rule = RULE_LOCK, .fd = -1, .device = status->st_dev, .inode = status->st_ino };
        look->timed = leases_end(look->scan);
        graph_add_end(graph, &end);
        wait_add(look, &fact, i, 0, "the end of a lease");
        return true;
    }
    return false;
}

/* ---- Opening a FIFO --------------------------------------------------------------------------------------- */

/* Fills in what the path leads to, and in its place, from where it was typed, its full one.  Not even of a FIFO is that an
 * opening which anybody could notice. */
static int resolve(struct look_at_thread *look, int directory, char path[PATH], struct stat *ret)
{
    char link[32], full[PATH];
    int fd = reach(look->scan, look->tid, directory, path), r = fd < 0 ? fd : sys_fstat(fd, ret);
    snprintf(link, sizeof link, "self/fd/%d", fd);
    ssize_t size = r < 0 ? r : proc_link(look->scan->proc.fd, link, full, sizeof full);
    graph_missed(look->scan->graph, "files that threads wait for", size);
    if (size > 0 && *full == '/')
        memcpy(path, full, sizeof full);
    sys_close(fd);
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

/* Who opens a FIFO can be interrupted.  Who cannot waits for a disk, and may hold what a look at that path would wait for.
 * For a server one may wait in either way: reach.h. */
static bool is_interruptible(struct look_at_thread *look)
{
    return thread_state(look->scan, look->pid, look->tid) == 'S';
}

static void wait_for_open(struct look_at_thread *look, int directory, uint64_t at, int flags)
{
    char path[PATH];
    struct stat status;
    uint32_t direction = (flags & O_ACCMODE) == O_RDONLY ? TONG_RECEIVE : TONG_SEND;
    if (!is_interruptible(look) || !wait_peek_path(look, at, path, sizeof path) ||
        resolve(look, directory, path, &status) < 0 || (!S_ISFIFO(status.st_mode) && !wait_for_lease(look, &status))) {
        wait_open(look, "a file");
        return;
    }
    if (!S_ISFIFO(status.st_mode))
        return;
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
