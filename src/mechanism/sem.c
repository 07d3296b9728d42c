/* SPDX-License-Identifier: MIT */
/*
 * sem: - POSIX named semaphores, sem_overview(7).
 *
 * A counter in a page of memory that all its users map.  libc takes and gives with one atomic instruction and enters
 * the kernel (futex(2)) only to sleep while the counter is 0 and to wake who sleeps: uncontended it costs no system
 * call at all.  A C program with sem_open() is as good a user as this library.
 *
 * Traps dealt with here:
 *   - sem_open() maps whatever stands at /dev/shm/sem.NAME: an empty file is a SIGBUS at the first touch, another
 *     user's file whoever was first.  So the file is opened here, without following links and without blocking,
 *     its kind, size and owner are checked on the descriptor, and that descriptor is mapped.  The counter is
 *     libc's own sem_t, used by libc's calls, and sem_overview(7) promises the path: both kinds of users meet.
 *   - sem_open() takes the umask from the mode and does not say who made the semaphore; here it is made without a
 *     name (O_TMPFILE), filled, given exactly its mode, and then linked, which is atomic and says who was first.
 *   - A sem_t of a 32-bit program has another size: refused by the size, in words.
 *   - sem_timedwait() follows CLOCK_REALTIME, which may be set: sem_clockwait() does not.
 *   - sem_wait() begins as a cancellation point (pthread_cancel) even when nothing has to be waited for: trying first
 *     is cheaper and leaves only the wait itself to be one.
 *   - Nothing is undone when a process dies: a turn that its taker never gives back is lost.  So there is no lock.
 *   - A removed name leaves those who have the semaphore with it and parts them from those who come later, who
 *     get a new one: a wait that times out says so.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/hot.h"
#include "core/made_name.h"
#include "core/mechanism.h"
#include "core/named_file.h"
#include "core/wait.h"
#include "sys/sys.h"

#define DIRECTORY "/dev/shm"
#define NAME_LIMIT (NAME_MAX - 4) /* "sem." stands before it */
#define PATH_SIZE (sizeof DIRECTORY "/sem." + NAME_LIMIT)
#define RACES 16                  /* how often others may make and remove the name while we look */

struct named {
    struct semaphore semaphore;
    sem_t *counter;        /* shared; only libc's calls touch it */
    struct made_name name; /* what was opened */
    bool made;             /* by this open, and closing removes it */
};

/* ---- Using ----------------------------------------------------------------------------------------------- */

static int timed_out(const struct named *named, int64_t deadline)
{
    if (made_name_stands(&named->name))
        return semaphore_expired(named->semaphore.object, deadline);
    return fail(-ETIMEDOUT, "%s: timed out, and its name was removed meanwhile: nobody new can post to it (tong rm, sem_unlink, "
                "or logind when its user logged out, see RemoveIPC in logind.conf)", named->semaphore.object);
}

static int sleep_until(const struct named *named, int64_t deadline)
{
    struct timespec until = { deadline / 1000000000, deadline % 1000000000 };
    int r = deadline == DEADLINE_NEVER ? sys_sem_wait(named->counter) : sys_sem_clockwait(named->counter, &until);
    switch (r) {
    case 0:
        return 0;
    case -ETIMEDOUT:
        return timed_out(named, deadline);
    case -EINTR:
        return fail_static(-EINTR, "a signal was caught before anything moved");
    default:
        return fail_call(r, "%s: sem_wait", named->semaphore.object);
    }
}

HOT static int named_wait(struct semaphore *semaphore, unsigned index, int64_t deadline)
{
    const struct named *named = (struct named *)semaphore;
    (void)index;
    int r = sys_sem_trywait(named->counter);
    if (__builtin_expect(r == 0, 1))
        return 0;
    if (r != -EAGAIN)
        return fail_call(r, "%s: sem_trywait", semaphore->object);
    return deadline == DEADLINE_NOW ? semaphore_expired(semaphore->object, deadline) : sleep_until(named, deadline);
}

HOT static int named_post(struct semaphore *semaphore, unsigned index)
{
    (void)index;
    int r = sys_sem_post(((struct named *)semaphore)->counter);
    if (__builtin_expect(r == 0, 1))
        return 0;
    if (r == -EOVERFLOW)
        return fail(-EOVERFLOW, "%s: it is at %d, the largest there is (SEM_VALUE_MAX)", semaphore->object, SEM_VALUE_MAX);
    return fail_call(r, "%s: sem_post", semaphore->object);
}

static int named_get(struct semaphore *semaphore, unsigned index, tong_semaphore_info *ret)
{
    int value = 0, r = sys_sem_getvalue(((struct named *)semaphore)->counter, &value);
    (void)index;
    if (r < 0)
        return fail_call(r, "%s: sem_getvalue", semaphore->object);
    ret->value = (uint32_t)value;
    return 0;
}

/* ---- Names ------------------------------------------------------------------------------------------------ */

static int name_path(const struct address *address, char ret[PATH_SIZE])
{
    const char *name = address->name + (*address->name == '/');
    size_t size = strlen(name);
    if (address->second)
        return fail(-EINVAL, "sem: one semaphore serves all who use it: give one name");
    if (size == 0 || strchr(name, '/'))
        return fail(-EINVAL, "sem:%s: a name is not empty and has no '/' but perhaps the first character", address->name);
    if (size > NAME_LIMIT)
        return fail(-ENAMETOOLONG, "sem: the name has %zu bytes, the most is %d", size, NAME_LIMIT);
    for (size_t i = 0; i < size; i++)
        if (iscntrl((unsigned char)name[i]))
            return fail(-EINVAL, "sem: the name has a control character at byte %zu", i + 1);
    snprintf(ret, PATH_SIZE, DIRECTORY "/sem.%s", name);
    return 0;
}

/* ---- Finding ---------------------------------------------------------------------------------------------- */

static int check_kind(const char *path, const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return fail(-EEXIST, "%s exists and is not a file: no semaphore; choose another name", path);
    if (status->st_size != sizeof(sem_t))
        return fail(-EEXIST, "%s has %lld bytes where a semaphore has %zu: it is none, or one of a 32-bit program; choose "
                    "another name", path, (long long)status->st_size, sizeof(sem_t));
    return 0;
}

static int check(int fd, const char *path, const struct address *address, struct stat *ret)
{
    int r = sys_fstat(fd, ret);
    if (r < 0)
        return fail_call(r, "fstat(%s)", path);
    r = check_kind(path, ret);
    if (r == 0 && ret->st_uid != geteuid() && address->value[OPTION_CREATE] != CREATE_NO)
        return fail(-EACCES, "%s belongs to uid %u: add create=no if that is whose semaphore you want", path,
                    (unsigned)ret->st_uid);
    return r;
}

/* The descriptor of a semaphore that exists.  -ENOENT without words: it does not. */
static int find(const char *path, const struct address *address, struct stat *ret)
{
    int fd = sys_open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    if (fd == -ENOENT)
        return fd;
    if (fd == -ELOOP)
        return fail(-EEXIST, "%s is a symbolic link, which is not followed: choose another name", path);
    if (fd == -EISDIR || fd == -ENXIO)
        return fail(-EEXIST, "%s exists and is not a file: no semaphore; choose another name", path);
    if (fd == -EACCES)
        return fail(fd, "open(%s): not allowed to uid %u: whoever makes it must do so with a wider mode=", path,
                    (unsigned)geteuid());
    if (fd < 0)
        return fail_call(fd, "open(%s)", path);
    int r = check(fd, path, address, ret);
    if (r == 0)
        return fd;
    sys_close(fd);
    return r;
}

/* ---- Making ----------------------------------------------------------------------------------------------- */

static int fill(int fd, const char *path, const struct address *address)
{
    union { sem_t counter; char bytes[sizeof(sem_t)]; } image;
    memset(&image, 0, sizeof image);
    if (sem_init(&image.counter, 1, (unsigned)address->value[OPTION_VALUE]) < 0)
        return fail(-EINVAL, "%s: sem_init refuses the value %lld", path, (long long)address->value[OPTION_VALUE]);
    int r = named_file_fill(path, fd, 0, sizeof image);
    if (r < 0)
        return r;
    ssize_t written = sys_write(fd, &image, sizeof image);
    if (written != (ssize_t)sizeof image)
        return fail_call(written < 0 ? (int)written : -ENOSPC, "%s: a page of " DIRECTORY, path);
    r = sys_fchmod(fd, (mode_t)address->value[OPTION_MODE]);
    return r < 0 ? fail_call(r, "fchmod(%s)", path) : 0;
}

/* The descriptor of a new one.  -EEXIST without words: somebody was first. */
static int make(const char *path, const struct address *address, struct stat *ret)
{
    int fd = sys_open(DIRECTORY, O_TMPFILE | O_RDWR, 0600);
    if (fd < 0)
        return fail_call(fd, "a new file in " DIRECTORY);
    int r = fill(fd, path, address);
    if (r == 0 && (r = sys_fstat(fd, ret)) < 0)
        r = fail_call(r, "fstat(%s)", path);
    if (r == 0)
        r = made_name_give(fd, path);
    if (r == 0)
        return fd;
    sys_close(fd);
    return r;
}

static int find_or_make(const char *path, const struct address *address, struct stat *ret, bool *ret_made)
{
    int64_t create = address->value[OPTION_CREATE];
    *ret_made = false;
    for (int i = 0; i < RACES; i++) {
        int fd = create == CREATE_EXCL ? -ENOENT : find(path, address, ret);
        if (fd == -ENOENT && create == CREATE_NO)
            return fail(-ENOENT, "there is no semaphore sem:%s (%s), and create=no", address->name, path);
        if (fd != -ENOENT)
            return fd;
        fd = make(path, address, ret);
        *ret_made = fd >= 0;
        if (fd != -EEXIST)
            return fd;
        if (create == CREATE_EXCL)
            return fail(-EEXIST, "sem:%s (%s) exists, and create=excl", address->name, path);
    }
    return fail(-EBUSY, "%s: others make and remove it all the time", path);
}

/* ---- Opening, closing, removing --------------------------------------------------------------------------- */

static void discard(struct named *named)
{
    if (named->made)
        made_name_remove(&named->name);
    made_name_free(&named->name);
    sys_munmap(named->counter, sizeof(sem_t));
    semaphore_free(&named->semaphore);
}

static int named_close(struct semaphore *semaphore, bool forked)
{
    struct named *named = (struct named *)semaphore;
    named->made = named->made && !forked;
    discard(named);
    return 0;
}

/* Wraps what was found or made; the name is noted from the descriptor, so that it is this very file. */
static int wrap(const struct open_request *request, const char *path, int fd, const struct stat *status,
                struct named **ret)
{
    char object[ADDRESS_NAME_MAX + 64 + PATH_SIZE];
    struct semaphore *semaphore;
    int error;
    snprintf(object, sizeof object, "sem:%s (%s)", request->address->name, path);
    int r = semaphore_new(request, sizeof(struct named), object, 1, &semaphore);
    if (r < 0)
        return r;
    struct named *named = (struct named *)semaphore;
    named->name = (struct made_name){ strdup(path), status->st_dev, status->st_ino };
    named->counter = sys_mmap(sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, &error);
    if (named->name.path && named->counter) {
        *ret = named;
        return 0;
    }
    r = named->counter ? fail(-ENOMEM, "%s: out of memory", object) : fail_call(error, "mmap(%s)", path);
    discard(named);
    return r;
}

static int named_open(const struct open_request *request, struct semaphore **ret)
{
    char path[PATH_SIZE];
    struct stat status;
    struct named *named;
    bool made;
    int r = name_path(request->address, path);
    if (r < 0)
        return r;
    int fd = find_or_make(path, request->address, &status, &made);
    if (fd < 0)
        return fd;
    r = wrap(request, path, fd, &status, &named);
    sys_close(fd);
    if (r < 0) {
        if (made)
            sys_unlink(path);
        return r;
    }
    named->made = made && request->address->value[OPTION_REMOVE] == REMOVE_OWNER;
    named->semaphore.flags = made ? TONG_INFO_CREATED : 0;
    *ret = &named->semaphore;
    return 0;
}

static int named_remove(const struct address *address)
{
    char path[PATH_SIZE];
    struct stat status;
    int r = name_path(address, path);
    if (r < 0)
        return r;
    r = sys_lstat(path, &status);
    if (r == -ENOENT)
        return fail(r, "sem:%s: there is no such semaphore (%s)", address->name, path);
    if (r < 0)
        return fail_call(r, "lstat(%s)", path);
    r = check_kind(path, &status);
    if (r < 0)
        return r;
    r = sys_unlink(path);
    return r < 0 ? fail_call(r, "unlink(%s)", path) : 0;
}

/* ---- The row ---------------------------------------------------------------------------------------------- */

static const struct option_use named_options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 1 << REMOVE_NEVER | 1 << REMOVE_OWNER },
    { OPTION_VALUE, 0, 0, SEM_VALUE_MAX, 0 },
    OPTIONS_END,
};

static uint64_t limit_value(const char *source)
{
    (void)source;
    return SEM_VALUE_MAX;
}

static uint64_t limit_name(const char *source)
{
    (void)source;
    return NAME_LIMIT;
}

static const struct limit named_limits[] = {
    { "largest value", "", "SEM_VALUE_MAX", limit_value },
    { "longest name", "bytes", "NAME_MAX - 4", limit_name },
    { NULL, NULL, NULL, NULL },
};

static const struct semaphore_facet named_facet = {
    .options = named_options,
    .open = named_open,
    .wait = named_wait,
    .post = named_post,
    .get = named_get,
    .close = named_close,
};

const struct mechanism mechanism_sem = {
    .scheme = "sem",
    .form = "sem:/NAME, sem:NAME",
    .summary = "POSIX named semaphore: one counter to wait on, no system call while nobody waits",
    .medium = "memory",
    .unit = "number (a counter)",
    .reach = "one machine",
    .order = "the processes themselves, by atomic instructions; a waiter sleeps in futex",
    .lifetime = "until it is removed or the machine restarts",
    .family = "POSIX; Linux, the BSDs, macOS, Solaris, AIX",
    .limits = named_limits,
    .semaphore = &named_facet,
    .remove = named_remove,
};
