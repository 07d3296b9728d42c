/* SPDX-License-Identifier: MIT */
/*
 * Locks of flock(2) belong to an open file description: every descriptor that dup(2), fork(2) or SCM_RIGHTS made of
 * it holds the same lock, and it is free when the last of them is closed.  That gives the two traps of this file:
 *
 *   - The object's own descriptor may be handed to others, who would then hold our lock.  So the lock has a
 *     description of its own, opened by /proc/self/fd (which works for files without a name, too).
 *   - A child that is forked while its parent holds the lock keeps the description open: the parent could die and
 *     the lock stay for as long as the child lives.  So a fork handler closes the child's copy; the parent's lock is
 *     not touched by that.  When the child wants the lock it opens another description, and competes.
 *
 * Between open(2) and its place in the list a description would be missed by the handler: both happen under the mutex
 * that fork waits for.  Who forks by clone(2) or _Fork(), past the handlers, keeps the copy until it executes or ends.
 */
#include "core/file_lock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/patience.h"
#include "core/process.h"
#include "sys/sys.h"

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER; /* of the list, and of fd in each of its elements */
static struct file_lock *all;

/* ---- fork ------------------------------------------------------------------------------------------------ */

static void before_fork(void)
{
    pthread_mutex_lock(&guard);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&guard);
}

static void in_child(void)
{
    for (struct file_lock *lock = all; lock; lock = lock->next) {
        sys_close(lock->fd);
        lock->fd = -1;
    }
    all = NULL;
    pthread_mutex_unlock(&guard);
}

static void watch(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

/* ---- Who has it ------------------------------------------------------------------------------------------ */

/* "12: FLOCK  ADVISORY  WRITE 4711 fd:01:5678 0 EOF"; who waits has "->" behind the number. */
static bool parse_holder(const char *line, const struct stat *status, int *ret_pid)
{
    int pid;
    unsigned high, low;
    unsigned long long inode;
    bool ours = sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%llu", &pid, &high, &low, &inode) == 4 &&
                high == major(status->st_dev) && low == minor(status->st_dev) && inode == status->st_ino;
    if (ours)
        *ret_pid = pid;
    return ours;
}

/* Takes whole lines off the front of text[0..size); what is left of the last one is moved there. */
static size_t scan_lines(char *text, size_t size, const struct stat *status, int *ret_pid)
{
    char *line = text, *end;
    while ((end = memchr(line, '\n', size - (size_t)(line - text)))) {
        *end = '\0';
        if (parse_holder(line, status, ret_pid))
            return 0;
        line = end + 1;
    }
    size_t left = size - (size_t)(line - text);
    memmove(text, line, left);
    return left;
}

void file_lock_holder(int fd, tong_identity *ret)
{
    char text[4096];
    struct stat status;
    size_t left = 0;
    ssize_t size = 0;
    int pid = 0, list = sys_fstat(fd, &status) < 0 ? -1 : sys_open("/proc/locks", O_RDONLY, 0);
    while (list >= 0 && pid <= 0 && left < sizeof text && (size = sys_read(list, text + left, sizeof text - left)) > 0)
        left = scan_lines(text, left + (size_t)size, &status, &pid);
    sys_close(list);
    process_name_last(pid, ret);
}

/* ---- The lock -------------------------------------------------------------------------------------------- */

/* For reading is enough for flock(2), and all that the mode may allow. */
static int open_description(struct file_lock *lock)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", lock->object_fd);
    pthread_mutex_lock(&guard);
    int fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
    if (fd >= 0) {
        lock->fd = fd;
        lock->next = all;
        lock->link = &all;
        if (all)
            all->link = &lock->next;
        all = lock;
    }
    pthread_mutex_unlock(&guard);
    return fd;
}

/* Cold: the words for a lock that was not to be had in time. */
static int not_to_be_had(const struct file_lock *lock, const char *object, int error)
{
    tong_identity holder = TONG_IDENTITY_INIT;
    if (error == -EAGAIN)
        return fail_static(error, "the lock is held by somebody else, and the call was not to wait");
    if (error != -ETIMEDOUT)
        return error;
    file_lock_holder(lock->fd, &holder);
    if (holder.source == TONG_IDENTITY_NONE)
        return fail(error, "%s: timed out: its lock is held by a process that cannot be seen from here", object);
    return fail(error, "%s: timed out: its lock was taken by process %lld", object, (long long)holder.pid);
}

int file_lock_take(struct file_lock *lock, const char *object, int64_t deadline)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch);
    int r = lock->fd < 0 ? open_description(lock) : 0;
    if (r < 0)
        return fail_call(r, "%s: a description for its lock (/proc/self/fd/%d)", object, lock->object_fd);
    int wait = deadline == DEADLINE_NEVER ? 0 : LOCK_NB;
    int paused = 0;
    struct patience patience = PATIENCE_INIT;
    do
        r = sys_flock(lock->fd, LOCK_EX | wait);
    while (r == -EAGAIN && (paused = patience_pause(&patience, -1, deadline)) == 0);
    patience_end(&patience);
    if (r == -EAGAIN)
        return not_to_be_had(lock, object, paused);
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught before the lock was taken");
    return r < 0 ? fail_call(r, "%s: flock", object) : 0;
}

int file_lock_release(struct file_lock *lock, const char *object)
{
    int r = sys_flock(lock->fd, LOCK_UN);
    return r < 0 ? fail_call(r, "%s: flock(LOCK_UN)", object) : 0;
}

void file_lock_close(struct file_lock *lock)
{
    pthread_mutex_lock(&guard);
    if (lock->fd >= 0) {
        *lock->link = lock->next;
        if (lock->next)
            lock->next->link = lock->link;
        sys_close(lock->fd);
        lock->fd = -1;
    }
    pthread_mutex_unlock(&guard);
}

/* ---- The noun -------------------------------------------------------------------------------------------- */

struct lock_file {
    struct lock base;
    int fd;
    struct file_lock lock;
};

static int new_lock(const struct open_request *request, int fd, const char *object, struct lock **ret)
{
    int r = lock_new(request, sizeof(struct lock_file), object, ret);
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    struct lock_file *file = (struct lock_file *)*ret;
    file->fd = fd;
    file->lock = (struct file_lock)FILE_LOCK_INIT(fd);
    return 0;
}

int lock_file_open(const struct open_request *request, const struct named_file *where, struct lock **ret)
{
    struct named_file file = *where;
    bool made;
    file.flags = O_RDONLY;
    file.create = request->address->value[OPTION_CREATE];
    file.mode = (mode_t)request->address->value[OPTION_MODE];
    int fd = named_file_open(&file, &made);
    int r = fd < 0 ? fd : new_lock(request, fd, file.object, ret);
    if (fd >= 0 && r < 0 && made)
        sys_unlink(file.path);
    if (r == 0 && made)
        (*ret)->flags = TONG_INFO_CREATED;
    return r;
}

int lock_file_take(struct lock *lock, int64_t deadline)
{
    return file_lock_take(&((struct lock_file *)lock)->lock, lock->object, deadline);
}

int lock_file_release(struct lock *lock)
{
    return file_lock_release(&((struct lock_file *)lock)->lock, lock->object);
}

int lock_file_descriptor(struct lock *lock)
{
    return ((struct lock_file *)lock)->lock.fd;
}

int lock_file_close(struct lock *lock, bool forked)
{
    (void)forked;
    struct lock_file *file = (struct lock_file *)lock;
    file_lock_close(&file->lock);
    sys_close(file->fd);
    lock_free(lock);
    return 0;
}
