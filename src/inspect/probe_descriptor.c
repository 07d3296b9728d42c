/* SPDX-License-Identifier: MIT */
/*
 * Descriptors, from the links in /proc/PID/fd.  What a link says names the kind: "pipe:[17]", "socket:[18]",
 * "anon_inode:[eventfd]", a path.  The permission bits of the link itself are those with which it was opened.  A link
 * is never opened: that would add a reader or a writer to what it leads to.
 *
 * Kinds are a table.  Sockets are known by their inode from the probes that ran before; a path is asked for what it is
 * only if a FIFO, a terminal or a queue can be there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "bpf/look.h"
#include "inspect/descriptor.h"
#include "inspect/file.h"
#include "inspect/locks.h"
#include "inspect/names.h"
#include "sys/sys.h"

#define QUEUE_FILE_SIZE 80 /* of every file in the file system of POSIX queues */

static uint32_t direction_of(const struct stat *link)
{
    return (link->st_mode & S_IRUSR ? TONG_RECEIVE : 0) | (link->st_mode & S_IWUSR ? TONG_SEND : 0);
}

static uint32_t direction_seen(const struct file_seen *seen)
{
    return (seen->mode & LOOK_READS ? TONG_RECEIVE : 0) | (seen->mode & LOOK_WRITES ? TONG_SEND : 0);
}

static void add_end(const struct descriptor *descriptor, uint32_t object, uint32_t flags, uint32_t direction)
{
    const tong_end end = { .object = object, .process = descriptor->process, .flags = flags, .fd = descriptor->fd,
                           .certainty = TONG_EXACT, .direction = direction,
                           .description = descriptor_description(descriptor) };
    if (object == TONG_NOBODY)
        return;
    graph_add_end(descriptor->scan->graph, &end);
    descriptor_remember(descriptor, object, flags);
}

void descriptor_add_both(const struct descriptor *descriptor, uint32_t object)
{
    add_end(descriptor, object, 0, TONG_SEND | TONG_RECEIVE);
}

void descriptor_add_end(const struct descriptor *descriptor, uint32_t object, uint32_t flags)
{
    struct stat link;
    if (descriptor->seen) {
        add_end(descriptor, object, flags, direction_seen(descriptor->seen));
        return;
    }
    int r = sys_fstatat(descriptor->directory, descriptor->name, &link, AT_SYMLINK_NOFOLLOW);
    graph_missed(descriptor->scan->graph, "directions of descriptors", r);
    add_end(descriptor, object, flags, r < 0 ? 0 : direction_of(&link));
}

ssize_t descriptor_read(const struct descriptor *descriptor)
{
    char path[40];
    snprintf(path, sizeof path, "../fdinfo/%s", descriptor->name);
    ssize_t r = proc_read(&descriptor->scan->proc, descriptor->directory, path);
    graph_missed(descriptor->scan->graph, "what descriptors are of", r);
    return r;
}

const char *descriptor_field(const struct descriptor *descriptor, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = descriptor->scan->proc.buffer; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, name, size) && line[size] == ':')
            return line + size + 1;
    }
    return NULL;
}

/* What stands between the brackets is the inode, which is one on the whole machine. */
static void bracketed(const char *target, char ret[24])
{
    const char *open = strchr(target, '[');
    snprintf(ret, 24, "%.*s", open ? (int)strcspn(open + 1, "]") : 0, open ? open + 1 : "");
}

void descriptor_add_pipe(const struct descriptor *descriptor, const char *key)
{
    struct tong_snapshot *graph = descriptor->scan->graph;
    bool fresh;
    uint32_t object = graph_object(graph, TONG_KIND_PIPE, key, &fresh);
    if (object != TONG_NOBODY && fresh) {
        graph_object_at(graph, object)->source = "/proc/PID/fd";
        graph_object_at(graph, object)->inode = strtoull(key, NULL, 10);
    }
    descriptor_add_end(descriptor, object, 0);
}

static void add_pipe(const struct descriptor *descriptor)
{
    char key[24];
    bracketed(descriptor->target, key);
    descriptor_add_pipe(descriptor, key);
}

/* A socket that no probe knows has a family that none asks for.  Unix comes last: its rows can be forged. */
void descriptor_add_socket(const struct descriptor *descriptor, const char *key)
{
    static const uint32_t kinds[] = { TONG_KIND_TCP, TONG_KIND_UDP, TONG_KIND_NETLINK, TONG_KIND_UNIX };
    uint32_t object = TONG_NOBODY;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && object == TONG_NOBODY; i++)
        object = graph_find_object(descriptor->scan->graph, kinds[i], key);
    descriptor_add_both(descriptor, object);
}

static void add_socket(const struct descriptor *descriptor)
{
    char key[24];
    bracketed(descriptor->target, key);
    descriptor_add_socket(descriptor, key);
}

/* Only a file of that size, one below the root of a file system without a disk, is worth asking. */
static bool is_queue(const struct descriptor *descriptor, const struct stat *status)
{
    if (major(status->st_dev) != 0 || status->st_size != QUEUE_FILE_SIZE || strchr(descriptor->target + 1, '/'))
        return false;
    return names_are_queues(descriptor->directory, descriptor->name);
}

static uint32_t kind_of_file(const struct descriptor *descriptor, const struct stat *status)
{
    if (S_ISFIFO(status->st_mode))
        return TONG_KIND_FIFO;
    if (!S_ISREG(status->st_mode))
        return 0;
    return is_queue(descriptor, status) ? TONG_KIND_MQ : file_kind(descriptor->target);
}

static void add_file(const struct descriptor *descriptor)
{
    struct tong_snapshot *graph = descriptor->scan->graph;
    struct stat status;
    bool fresh;
    int r = sys_fstatat_known(descriptor->directory, descriptor->name, &status);
    graph_missed(graph, "files that processes have open", r);
    if (r < 0)
        return;
    locks_add_held(descriptor, &status);
    if (descriptor_is_terminal(&status)) {
        descriptor_add_terminal(descriptor, &status);
        return;
    }
    uint32_t kind = kind_of_file(descriptor, &status);
    if (!kind)
        return;
    uint32_t object = file_object(graph, kind, status.st_dev, status.st_ino, &fresh);
    bool is_own = graph_process_at(graph, descriptor->process)->namespaces[SCAN_IPC] ==
                  descriptor->scan->namespaces[SCAN_IPC];
    if (object != TONG_NOBODY && fresh) {
        file_describe(graph, object, descriptor->target, &status, "/proc/PID/fd");
        if (kind == TONG_KIND_MQ)
            names_describe_queue(descriptor->scan, object, is_own, descriptor->directory, descriptor->name);
    }
    descriptor_add_end(descriptor, object, 0);
}

/* By how the link begins; the first that fits. */
static const struct link_kind {
    const char *begins;
    void (*add)(const struct descriptor *descriptor);
} link_kinds[] = {
    { "pipe:[", add_pipe },
    { "socket:[", add_socket },
    { "anon_inode:[eventfd]", descriptor_add_eventfd },
    { "anon_inode:[eventpoll]", descriptor_add_epoll },
    { "/", add_file },
};

int descriptor_ask(struct descriptor *descriptor, const char *name)
{
    const char *target = descriptor->target;
    ssize_t r = proc_link(descriptor->directory, name, descriptor->target, sizeof descriptor->target);
    if (r < 0)
        return r == -ESRCH ? -ENOENT : (int)r;
    descriptor->name = name;
    for (size_t i = 0; i < sizeof link_kinds / sizeof *link_kinds; i++)
        if (!strncmp(target, link_kinds[i].begins, strlen(link_kinds[i].begins))) {
            link_kinds[i].add(descriptor);
            break;
        }
    return descriptor->scan->graph->error;
}

static int add_descriptor(void *context, const char *name, int64_t number)
{
    struct descriptor *descriptor = context;
    descriptor->fd = (int)number;
    int r = descriptor_ask(descriptor, name); /* closed meanwhile; or root may list what it may not read */
    return r == -ENOENT ? 0 : r;
}

static int look_at_all(struct descriptor *descriptor, int process)
{
    struct tong_snapshot *graph = descriptor->scan->graph;
    size_t first_end = graph->ends.count, first_watch = graph->watches.count;
    char path[48];
    int r = process_is_still(descriptor->scan, process, descriptor->process);
    if (r < 0)
        return r;
    process_part(descriptor->scan, process, descriptor->process, "fd", path, sizeof path);
    descriptor->directory = proc_directory(process, path);
    r = descriptor->directory < 0 ? descriptor->directory
                                  : proc_numbers(descriptor->directory, add_descriptor, descriptor);
    sys_close(descriptor->directory);
    descriptor_watched(graph, descriptor->process, first_end, first_watch);
    return r;
}

static int look_at(struct scan *scan, uint32_t number)
{
    tong_process *process = graph_process_at(scan->graph, number);
    struct descriptor descriptor = { .scan = scan, .process = number, .pid = process->pid };
    char path[24];
    if (process->flags & (TONG_PROCESS_KERNEL | TONG_PROCESS_ZOMBIE))
        return 0;
    snprintf(path, sizeof path, "%lld", (long long)process->pid);
    int directory = proc_directory(scan->proc.fd, path);
    int r = directory < 0 ? directory : look_at_all(&descriptor, directory);
    sys_close(directory);
    if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
        return r;
    if (r < 0)
        process->flags |= r == -ENOENT || r == -ESRCH ? TONG_PROCESS_GONE : TONG_PROCESS_HIDDEN;
    graph_missed(scan->graph, "descriptors of processes", r);
    return 0;
}

int probe_descriptors(struct scan *scan)
{
    int r = 0;
    for (uint32_t process = 0; process < scan->graph->processes.count && r == 0; process++)
        r = look_at(scan, process);
    return r;
}
