/* SPDX-License-Identifier: MIT */
/*
 * Locks of files: flock(2), POSIX, those of open file descriptions (OFDLCK), leases.  Each lock is an object.
 *
 * /proc/locks has them all, with the process that took each, and behind it who waits for it ("->").  But a lock of
 * flock(2) or of an open file description belongs to whoever has that description open: who took it may be dead, and
 * its child holds it.  fdinfo of every such descriptor has the same line.  So the descriptors of files that /proc/locks
 * names are asked. In a pid namespace of its own /proc/locks leaves out what processes took that are not, or no longer,
 * in it: there every file is asked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "inspect/locks.h"
#include "inspect/probe.h"

#define LIST_FIRST 64
#define LOCK_KEY (2 * GRAPH_KEY + 16)

/* "FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF" */
struct lock {
    char kind[16];
    char range[48];      /* "0:EOF" */
    bool writes, waits, told; /* told: of who waits, its thread was found */
    int64_t pid;         /* that took it or waits; -1: not known */
    uint64_t device, inode;
    size_t held;         /* of who waits: the lock, by its number in the list */
};

struct locks {
    struct lock *list;   /* in the order of the file */
    size_t count, room;
    struct lock *sorted; /* by file */
    bool everywhere;     /* /proc/locks leaves out some */
};

static bool parse(const char *text, struct lock *ret)
{
    char type[16], end[24];
    unsigned first, second;
    unsigned long long inode, start;
    long long pid;
    const char *arrow = strstr(text, "-> ");
    *ret = (struct lock){ .waits = arrow != NULL };
    const char *words = arrow ? arrow + 3 : proc_word(text, 1);
    int got = sscanf(words, "%15s %*s %15s %lld %x:%x:%llu %llu %23s", ret->kind, type, &pid, &first, &second, &inode,
                     &start, end);
    if (got != 8)
        return false;
    ret->pid = pid;
    ret->writes = !strcmp(type, "WRITE");
    ret->device = makedev(first, second);
    ret->inode = inode;
    snprintf(ret->range, sizeof ret->range, "%llu:%s", start, end);
    return true;
}

static int compare(const void *left, const void *right)
{
    const struct lock *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return a->inode < b->inode ? -1 : a->inode > b->inode;
}

/* ---- Before the descriptors ------------------------------------------------------------------------------------ */

static struct lock *add(struct locks *locks)
{
    if (locks->count == locks->room) {
        size_t room = locks->room ? 2 * locks->room : LIST_FIRST;
        struct lock *wider = realloc(locks->list, room * sizeof *wider);
        if (!wider)
            return NULL;
        locks->list = wider;
        locks->room = room;
    }
    return &locks->list[locks->count++];
}

static int add_line(void *context, char *line)
{
    struct locks *locks = context;
    struct lock lock, *added;
    if (!parse(line, &lock))
        return 0;
    lock.held = !lock.waits ? locks->count : locks->count ? locks->list[locks->count - 1].held : 0;
    added = add(locks);
    if (added)
        *added = lock;
    return added ? 0 : -ENOMEM;
}

int probe_lock_list(struct scan *scan)
{
    struct locks *locks = calloc(1, sizeof *locks);
    scan->locks = locks;
    if (!locks)
        return -ENOMEM;
    ssize_t size = proc_read(&scan->proc, scan->proc.fd, "locks");
    int r = size < 0 ? 0 : proc_lines(&scan->proc, add_line, locks);
    if (size < 0)
        graph_gap(scan->graph, "who waits for locks of files", "/proc/locks cannot be read");
    locks->everywhere = size < 0 || scan->namespaces[SCAN_PID] != SCAN_FIRST_PIDS;
    locks->sorted = malloc(locks->count * sizeof *locks->sorted + 1);
    if (!locks->sorted)
        return -ENOMEM;
    if (locks->count) {
        memcpy(locks->sorted, locks->list, locks->count * sizeof *locks->sorted);
        qsort(locks->sorted, locks->count, sizeof *locks->sorted, compare);
    }
    return r;
}

void locks_free(struct locks *locks)
{
    if (!locks)
        return;
    free(locks->list);
    free(locks->sorted);
    free(locks);
}

/* ---- With the descriptors -------------------------------------------------------------------------------------- */

static void write_key(const struct lock *lock, char ret[LOCK_KEY])
{
    char file[GRAPH_KEY];
    graph_file_key(lock->device, lock->inode, file);
    snprintf(ret, LOCK_KEY, "%s:%s:%s", lock->kind, file, lock->range);
}

static uint32_t object_of(struct tong_snapshot *graph, const struct lock *lock)
{
    char key[LOCK_KEY];
    bool fresh;
    write_key(lock, key);
    uint32_t number = graph_object(graph, TONG_KIND_LOCK, key, &fresh);
    if (number == TONG_NOBODY || !fresh)
        return number;
    const char *detail = graph_format(graph, "%s, %s", lock->kind, lock->writes ? "for writing" : "for reading");
    tong_object *object = graph_object_at(graph, number);
    object->device = lock->device;
    object->inode = lock->inode;
    object->detail = detail;
    object->source = "/proc/locks";
    return number;
}

static void add_end(struct tong_snapshot *graph, const struct lock *lock, uint32_t process, uint32_t certainty)
{
    const tong_end end = { .object = object_of(graph, lock), .process = process, .fd = -1, .certainty = certainty,
                           .flags = lock->waits ? TONG_END_WAITS : TONG_END_LOCK };
    if (end.object != TONG_NOBODY && process != TONG_NOBODY)
        graph_add_end(graph, &end);
}

static int add_held(void *context, char *line)
{
    const struct descriptor *descriptor = context;
    struct tong_snapshot *graph = descriptor->scan->graph;
    struct lock lock;
    if (strncmp(line, "lock:", 5) || !parse(line + 5, &lock))
        return 0;
    uint32_t object = object_of(graph, &lock);
    if (object != TONG_NOBODY && !*graph_object_at(graph, object)->name) {
        const char *name = graph_text(graph, descriptor->target);
        graph_object_at(graph, object)->name = name;
    }
    const tong_end end = { .object = object, .process = descriptor->process, .fd = descriptor->fd,
                           .flags = TONG_END_LOCK, .certainty = TONG_EXACT,
                           .description = descriptor_description(descriptor) };
    if (object != TONG_NOBODY)
        graph_add_end(graph, &end);
    return graph->error;
}

void locks_add_held(const struct descriptor *descriptor, const struct stat *status)
{
    const struct locks *locks = descriptor->scan->locks;
    const struct lock wanted = { .device = status->st_dev, .inode = status->st_ino };
    bool asked = locks->everywhere && (S_ISREG(status->st_mode) || S_ISDIR(status->st_mode));
    if (!asked && !bsearch(&wanted, locks->sorted, locks->count, sizeof wanted, compare))
        return;
    if (descriptor_read(descriptor) > 0)
        proc_lines(&descriptor->scan->proc, add_held, (void *)descriptor);
}

/* ---- After the descriptors ------------------------------------------------------------------------------------- */

/* Leases and POSIX locks are a process's own. */
static bool is_of_process(const struct lock *lock)
{
    return strcmp(lock->kind, "FLOCK") && strcmp(lock->kind, "OFDLCK");
}

/* Whether it is there when /proc/locks is read again: who held it may have let go before its descriptors were seen. */
static bool is_there(const struct locks *now, const struct lock *lock)
{
    for (size_t i = 0; i < now->count; i++) {
        const struct lock *other = &now->list[i];
        if (!other->waits && compare(other, lock) == 0 && other->pid == lock->pid && !strcmp(other->range, lock->range) &&
            !strcmp(other->kind, lock->kind))
            return true;
    }
    return false;
}

/* Nobody's descriptor said that it holds this one: some that holds it cannot be seen, unless the process itself does. */
static void add_unseen(struct tong_snapshot *graph, const struct lock *lock)
{
    uint32_t process = lock->pid > 0 ? graph_process(graph, lock->pid) : TONG_NOBODY;
    add_end(graph, lock, process, is_of_process(lock) ? TONG_EXACT : TONG_UNSURE);
    uint32_t object = object_of(graph, lock);
    if (object != TONG_NOBODY && (process == TONG_NOBODY || !is_of_process(lock)))
        graph_object_at(graph, object)->flags |= TONG_OBJECT_HIDDEN_ENDS;
}

/* Waits for the lock before it in the file, whatever it itself would be. */
static void add_waiting(struct tong_snapshot *graph, const struct lock *lock, const struct lock *held)
{
    struct lock wanted = *held;
    wanted.waits = true;
    add_end(graph, &wanted, lock->pid > 0 ? graph_process(graph, lock->pid) : TONG_NOBODY, TONG_EXACT);
}

static void add_listed(struct tong_snapshot *graph, const struct locks *locks, const struct locks *now, const bool *held,
                       size_t objects)
{
    for (size_t i = 0; i < locks->count; i++) {
        const struct lock *lock = &locks->list[i];
        char key[LOCK_KEY];
        write_key(lock, key);
        uint32_t object = graph_find_object(graph, TONG_KIND_LOCK, key);
        bool seen = object < objects && held[object];
        if (lock->waits)
            add_waiting(graph, lock, &locks->list[lock->held]);
        else if (!seen && is_there(now, lock))
            add_unseen(graph, lock);
    }
}

int probe_locks(struct scan *scan)
{
    struct tong_snapshot *graph = scan->graph;
    struct locks now = { NULL };
    size_t objects = graph->objects.count;
    bool *held = calloc(objects + 1, sizeof *held);
    if (!held)
        return -ENOMEM;
    for (size_t i = 0; i < graph->ends.count; i++)
        held[graph_ends(graph)[i].object] |= (graph_ends(graph)[i].flags & TONG_END_LOCK) != 0;
    int r = proc_read(&scan->proc, scan->proc.fd, "locks") < 0 ? 0 : proc_lines(&scan->proc, add_line, &now);
    if (r == 0)
        add_listed(graph, scan->locks, &now, held, objects);
    free(now.list);
    free(held);
    return r;
}

/* ---- With the threads ------------------------------------------------------------------------------------------ */

uint32_t locks_find_waiter(struct scan *scan, uint32_t process, uint64_t device, uint64_t inode, const char *range)
{
    const struct lock file = { .device = device, .inode = inode };
    for (size_t i = 0; i < scan->locks->count; i++) {
        struct lock *lock = &scan->locks->list[i];
        if (!lock->waits || lock->told || lock->pid > 0 || strcmp(lock->kind, "OFDLCK") || compare(lock, &file) != 0 ||
            (range && strcmp(lock->range, range)))
            continue;
        lock->told = true;
        struct lock wanted = scan->locks->list[lock->held];
        wanted.waits = true;
        add_end(scan->graph, &wanted, process, TONG_EXACT);
        return object_of(scan->graph, &wanted);
    }
    return TONG_NOBODY;
}

int probe_lock_waiters(struct scan *scan)
{
    for (size_t i = 0; i < scan->locks->count; i++) {
        const struct lock *lock = &scan->locks->list[i];
        if (lock->waits && lock->pid <= 0 && !lock->told)
            graph_gap(scan->graph, "who waits for locks of open file descriptions", "the kernel does not say");
    }
    return scan->graph->error;
}
