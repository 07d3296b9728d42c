/* SPDX-License-Identifier: MIT */
/*
 * Descriptors, as the program "files" tells of them.  What has a name only /proc can call by it: it is asked once for
 * each open file description, and the same answer holds for every other descriptor of that one.
 *
 * Until numbers are given (probe_description.c) an end bears the address of its description.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inspect/descriptor.h"
#include "inspect/file.h"
#include "inspect/kernel.h"
#include "sys/sys.h"

#define NOT_OPEN (-1)
#define REFUSED (-2)

struct known {
    uint64_t description;
    uint32_t object, flags;     /* of its ends */
    uint32_t mode;
    uint64_t inode;
    uint8_t kind;
    bool asked;                 /* what it leads to is known, be it nothing */
};

struct kernel_files {
    struct scan *scan;
    const struct file_seen *list;
    size_t count;
    struct known *known;        /* open addressing; a power of two */
    size_t slots;
    struct descriptor descriptor;
    struct who_seen who;        /* whose descriptors are added: descriptor.directory is of it */
    size_t first_end, first_watch;
};

/* ---- What is known of a description ----------------------------------------------------------------------- */

uint64_t descriptor_description(const struct descriptor *descriptor)
{
    return descriptor->seen ? descriptor->seen->description : 0;
}

void descriptor_remember(const struct descriptor *descriptor, uint32_t object, uint32_t flags)
{
    if (!descriptor->known)
        return;
    descriptor->known->object = object;
    descriptor->known->flags = flags;
}

static struct known *slot_of(const struct kernel_files *files, uint64_t description)
{
    size_t at = (size_t)(description * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (files->slots - 1);
    while (files->known[at].description && files->known[at].description != description)
        at = (at + 1) & (files->slots - 1);
    return &files->known[at];
}

/* The kernel gives the place of what was closed to what is opened next, while it is listed, too. */
static struct known *know(const struct kernel_files *files, const struct file_seen *seen)
{
    struct known *known = slot_of(files, seen->description);
    if (!known->description || known->inode != seen->inode || known->kind != seen->kind)
        *known = (struct known){ .description = seen->description, .object = TONG_NOBODY, .mode = seen->mode,
                                 .inode = seen->inode, .kind = seen->kind };
    return known;
}

static int make_room(struct kernel_files *files)
{
    for (files->slots = 64; files->slots < 2 * files->count; files->slots *= 2)
        ;
    files->known = calloc(files->slots, sizeof *files->known);
    return files->known ? 0 : -ENOMEM;
}

/* ---- Asking /proc ----------------------------------------------------------------------------------------- */

static int open_directory(const struct kernel_files *files)
{
    char path[64];
    snprintf(path, sizeof path, "%lld", (long long)files->descriptor.pid);
    int process = proc_directory(files->scan->proc.fd, path);
    int r = process < 0 ? process : process_is_still(files->scan, process, files->descriptor.process);
    snprintf(path, sizeof path, "task/%d/fd", files->who.thread);
    if (r == 0)
        r = proc_directory(process, files->who.thread ? path : "fd");
    sys_close(process);
    return r;
}

static bool is_gone(int error)
{
    return error == -ESRCH || error == -ENOENT;
}

static bool ends_look(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static void say_missed(const struct kernel_files *files, int error)
{
    if (!is_gone(error))
        graph_process_at(files->scan->graph, files->descriptor.process)->flags |= TONG_PROCESS_HIDDEN;
    graph_missed(files->scan->graph, "names of what processes have open", error);
}

/* 0: it can be asked. */
static int reach(struct kernel_files *files)
{
    struct descriptor *descriptor = &files->descriptor;
    if (descriptor->directory != NOT_OPEN)
        return descriptor->directory == REFUSED ? -ESRCH : 0;
    int fd = open_directory(files);
    descriptor->directory = fd < 0 ? REFUSED : fd;
    if (fd < 0 && !ends_look(fd))
        say_missed(files, fd);
    return ends_look(fd) ? fd : fd < 0 ? -ESRCH : 0;
}

static int ask(struct kernel_files *files, const char *name)
{
    int r = reach(files);
    if (r == 0)
        r = descriptor_ask(&files->descriptor, name);
    if (r < 0 && !ends_look(r))
        say_missed(files, r);
    return r;
}

/* It is gone, or could not be asked, which was said. */
static int pass(int r)
{
    return r == 0 || ends_look(r) ? r : 0;
}

static int ask_once(struct kernel_files *files, const char *name)
{
    struct known *known = files->descriptor.known;
    if (!known->asked) {
        int r = ask(files, name);
        known->asked = r == 0;
        return pass(r);
    }
    if (known->object != TONG_NOBODY)
        descriptor_add_end(&files->descriptor, known->object, known->flags);
    return 0;
}

/* ---- Epoll sets ------------------------------------------------------------------------------------------- */

/* The records of the watches stand before that of their set. */
static void add_watches(struct kernel_files *files, const struct file_seen *set, uint32_t object)
{
    struct tong_snapshot *graph = files->scan->graph;
    for (const struct file_seen *seen = set - set->number; seen < set; seen++) {
        const struct graph_watch watch = { object, TONG_NOBODY, files->descriptor.process, seen->fd, seen->number,
                                           seen->inode, seen->description };
        graph_add_watch(graph, &watch);
    }
}

static int add_set(struct kernel_files *files, const struct file_seen *seen, const char *name)
{
    bool fresh = false;
    uint32_t object = files->descriptor.known->object;
    if (object == TONG_NOBODY)
        object = descriptor_set(&files->descriptor, &fresh);
    files->descriptor.name = name;
    if (object != TONG_NOBODY && fresh && seen->number != FILE_SEEN_UNKNOWN)
        add_watches(files, seen, object);
    else if (fresh) {
        int r = reach(files);
        if (ends_look(r))
            return r;
        if (r == 0)
            descriptor_read_watches(&files->descriptor, object);
    }
    descriptor_add_both(&files->descriptor, object);
    return 0;
}

/* What is watched is what has that very description; what nobody has open any more is known by its inode. */
static void resolve_watches(const struct kernel_files *files)
{
    struct tong_snapshot *graph = files->scan->graph;
    for (size_t i = 0; i < graph->watches.count; i++) {
        struct graph_watch *watch = &graph_watches(graph)[i];
        if (!watch->description)
            continue;
        const struct known *known = slot_of(files, watch->description);
        watch->object = known->description ? known->object : descriptor_object_of_inode(graph, watch->inode);
        watch->description = 0;
    }
}

/* ---- Each descriptor -------------------------------------------------------------------------------------- */

static int add_by_inode(struct kernel_files *files, const struct file_seen *seen, const char *name)
{
    char inode[GRAPH_KEY];
    (void)name;
    graph_number_key(seen->inode, inode);
    if (seen->kind == FILE_SEEN_PIPE)
        descriptor_add_pipe(&files->descriptor, inode);
    else
        descriptor_add_socket(&files->descriptor, inode);
    return 0;
}

static int add_eventfd(struct kernel_files *files, const struct file_seen *seen, const char *name)
{
    (void)name;
    descriptor_add_counter(&files->descriptor, seen->number, seen->value);
    return 0;
}

static int add_named(struct kernel_files *files, const struct file_seen *seen, const char *name)
{
    (void)seen;
    return ask_once(files, name);
}

/* Of memory that lies in no directory the link and the status are as /proc has them. */
static int add_memory(struct kernel_files *files, const struct file_seen *seen, const char *name)
{
    struct tong_snapshot *graph = files->scan->graph;
    const struct memory_seen *memory = &seen->memory;
    const struct stat status = { .st_mode = memory->mode, .st_uid = memory->uid, .st_gid = memory->gid,
                                 .st_size = (off_t)seen->value };
    char path[FILE_SEEN_NAME + 16];
    bool fresh;
    (void)name;
    snprintf(path, sizeof path, "/%s (deleted)", memory->name);
    uint32_t kind = file_kind(path);
    uint32_t object = kind ? file_object(graph, kind, kernel_device(memory->device), seen->inode, &fresh) : TONG_NOBODY;
    if (object != TONG_NOBODY && fresh)
        file_describe(graph, object, path, &status, "/proc/PID/fd");
    descriptor_add_end(&files->descriptor, object, 0);
    return 0;
}

/* Every process that has the description holds its locks. */
static int add_locked(struct kernel_files *files, const struct file_seen *seen, const char *name)
{
    (void)seen;
    return pass(ask(files, name));
}

static int (*const kinds[])(struct kernel_files *files, const struct file_seen *seen, const char *name) = {
    [FILE_SEEN_ASK] = add_named, [FILE_SEEN_LOCKED] = add_locked, [FILE_SEEN_PIPE] = add_by_inode,
    [FILE_SEEN_FIFO] = add_named, [FILE_SEEN_MEMORY] = add_memory, [FILE_SEEN_SOCKET] = add_by_inode,
    [FILE_SEEN_EVENTFD] = add_eventfd, [FILE_SEEN_EPOLL] = add_set,
};

static void end_task(struct kernel_files *files)
{
    struct tong_snapshot *graph = files->scan->graph;
    if (files->descriptor.directory >= 0)
        sys_close(files->descriptor.directory);
    descriptor_watched(graph, files->descriptor.process, files->first_end, files->first_watch);
}

static void begin_task(struct kernel_files *files, const struct file_seen *seen)
{
    struct tong_snapshot *graph = files->scan->graph;
    end_task(files);
    files->who = seen->who;
    files->descriptor.process = kernel_process(files->scan, &seen->who);
    files->descriptor.directory = NOT_OPEN;
    if (files->descriptor.process != TONG_NOBODY)
        files->descriptor.pid = graph_process_at(graph, files->descriptor.process)->pid;
    files->first_end = graph->ends.count;
    files->first_watch = graph->watches.count;
}

static bool is_threads_own(const struct kernel_files *files, const struct file_seen *seen)
{
    const tong_process *process = graph_process_at(files->scan->graph, files->descriptor.process);
    return seen->who.thread && !(process->flags & TONG_PROCESS_HEADLESS);
}

static struct sleepers *sleepers_of(struct scan *scan, uint32_t object)
{
    size_t room = scan->sleepers_count, wanted = 2 * ((size_t)object + 32);
    if (object < room)
        return &scan->sleepers[object];
    struct sleepers *wider = realloc(scan->sleepers, wanted * sizeof *wider);
    if (!wider)
        return NULL;
    memset(wider + room, 0, (wanted - room) * sizeof *wider);
    scan->sleepers = wider;
    scan->sleepers_count = wanted;
    return &wider[object];
}

/* An object is told of once for each of its descriptors: the most holds. */
static int note_sleepers(struct kernel_files *files, const struct file_seen *seen)
{
    uint32_t object = files->descriptor.known->object;
    if (object == TONG_NOBODY || !(seen->reading | seen->writing))
        return 0;
    struct sleepers *sleepers = sleepers_of(files->scan, object);
    if (!sleepers)
        return -ENOMEM;
    sleepers->reading = sleepers->reading > seen->reading ? sleepers->reading : seen->reading;
    sleepers->writing = sleepers->writing > seen->writing ? sleepers->writing : seen->writing;
    return 0;
}

/* A thread's own descriptor is none of its process. */
static int add_descriptor(struct kernel_files *files, const struct file_seen *seen)
{
    char name[GRAPH_KEY];
    if (seen->who.number != files->who.number || seen->who.thread != files->who.thread)
        begin_task(files, seen);
    if (files->descriptor.process == TONG_NOBODY || seen->kind >= sizeof kinds / sizeof *kinds || !kinds[seen->kind])
        return 0;
    graph_number_key((uint64_t)seen->fd, name);
    files->descriptor.fd = is_threads_own(files, seen) ? -1 : seen->fd;
    files->descriptor.seen = seen;
    files->descriptor.known = know(files, seen);
    int r = kinds[seen->kind](files, seen, name);
    r = r ? r : note_sleepers(files, seen);
    return r ? r : files->scan->graph->error;
}

/* ---- Pipes ------------------------------------------------------------------------------------------------ */

struct pipe_count {
    uint32_t readers, writers;           /* open file descriptions that were seen */
    uint32_t due_readers, due_writers;   /* that there are: the least that was told */
    bool told;
};

static void describe_pipe(tong_object *object, struct pipe_count *count, const struct file_seen *seen)
{
    if (!count->told || seen->readers < count->due_readers)
        count->due_readers = seen->readers;
    if (!count->told || seen->writers < count->due_writers)
        count->due_writers = seen->writers;
    count->told = true;
    object->depth = seen->value == UINT64_MAX ? TONG_UNKNOWN : seen->value;
    object->capacity = (uint64_t)seen->slots * (uint64_t)sysconf(_SC_PAGESIZE);
    object->flags &= ~TONG_OBJECT_FULL;
    object->flags |= seen->number >= seen->slots && count->writers ? TONG_OBJECT_FULL : 0;
}

/* Who waits in an open of a FIFO is counted, too, but only as long as the other side has nobody. */
static bool has_hidden_ends(const tong_object *object, const struct pipe_count *count)
{
    bool waits = object->kind == TONG_KIND_FIFO && (!count->due_readers || !count->due_writers);
    return count->told && !waits && (count->due_readers > count->readers || count->due_writers > count->writers);
}

static int describe_pipes(const struct kernel_files *files)
{
    struct tong_snapshot *graph = files->scan->graph;
    struct pipe_count *counts = calloc(graph->objects.count + 1, sizeof *counts);
    if (!counts)
        return -ENOMEM;
    for (size_t i = 0; i < files->slots; i++) {
        const struct known *known = &files->known[i];
        if (!known->description || known->object == TONG_NOBODY)
            continue;
        counts[known->object].readers += (known->mode & LOOK_READS) != 0;
        counts[known->object].writers += (known->mode & LOOK_WRITES) != 0;
    }
    for (const struct file_seen *seen = files->list; seen < files->list + files->count; seen++) {
        const struct known *known = slot_of(files, seen->description);
        bool is_pipe = seen->kind == FILE_SEEN_PIPE || seen->kind == FILE_SEEN_FIFO;
        if (is_pipe && known->description && known->object != TONG_NOBODY)
            describe_pipe(graph_object_at(graph, known->object), &counts[known->object], seen);
    }
    for (uint32_t i = 0; i < graph->objects.count; i++)
        graph_object_at(graph, i)->flags |= has_hidden_ends(graph_object_at(graph, i), &counts[i])
                                            ? TONG_OBJECT_HIDDEN_ENDS : 0;
    free(counts);
    return 0;
}

int kernel_descriptors(struct scan *scan)
{
    struct kernel_list list;
    int r = scan->listed ? kernel_run(scan->kernel, "files", sizeof(struct file_seen), &list) : -EOPNOTSUPP;
    if (r == -EOPNOTSUPP && scan->listed)
        r = kernel_run(scan->kernel, "files_plainly", sizeof(struct file_seen), &list);
    if (r < 0)
        return r;
    struct kernel_files files = { .scan = scan, .list = list.item, .count = list.count, .descriptor.scan = scan,
                                  .descriptor.directory = NOT_OPEN, .first_end = scan->graph->ends.count,
                                  .first_watch = scan->graph->watches.count };
    r = make_room(&files);
    for (size_t i = 0; i < list.count && r == 0; i++)
        r = add_descriptor(&files, &files.list[i]);
    end_task(&files);
    if (r == 0)
        resolve_watches(&files);
    if (r == 0 && scan->look.flags & TONG_LOOK_DEPTHS)
        r = describe_pipes(&files);
    free(files.known);
    free(list.item);
    return r;
}
