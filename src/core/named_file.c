/* SPDX-License-Identifier: MIT */
/*
 * A new file is made without a name (O_TMPFILE), gets its mode, which the umask has no say in, and all of its blocks,
 * and then its name by linkat(2), which is atomic and fails if somebody else was first.  A file that is only truncated
 * to its size has none of its blocks: a write into its mapping that the file system cannot serve is SIGBUS.
 *
 * What stands under the name may be anything: links are not followed, and O_NONBLOCK, which means nothing to a regular
 * file, keeps a FIFO there from holding us.  fallocate(2) first takes all that is free before it says that there is too
 * little, so others would fail meanwhile: what is free is asked first.  So is RLIMIT_FSIZE, because the kernel answers a
 * larger file with SIGXFSZ, which kills.
 */
#include "core/named_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/detail.h"
#include "core/address.h"
#include "core/made_name.h"
#include "core/mechanism.h"
#include "sys/sys.h"

#define RACES 16 /* how often others may make and remove the name while we look */

/* ---- Words ----------------------------------------------------------------------------------------------- */

static int not_a_file(const char *object)
{
    return fail(-EEXIST, "%s is not a regular file: choose another name", object);
}

static int cannot_open(const struct named_file *file, int error)
{
    switch (error) {
    case -ELOOP: return fail(-ELOOP, "%s is a symbolic link, which is not followed: give the file itself", file->object);
    case -ENOENT: return fail(-ENOENT, "%s: it, or its directory, does not exist", file->object);
    case -EEXIST: return fail(-EEXIST, "%s exists, and create=excl", file->object);
    case -EISDIR: case -ENXIO: return not_a_file(file->object);
    default: return fail_call(error, "%s: open(%s)", file->object, file->path);
    }
}

/* ---- Making ---------------------------------------------------------------------------------------------- */

/* Memory without a file system of its own (memfd) has no bound but the machine's, which is found by being killed. */
static uint64_t available(int fd)
{
    struct statvfs space;
    int r = sys_fstatvfs(fd, &space);
    if (r < 0)
        return UINT64_MAX;
    return space.f_blocks ? (uint64_t)space.f_bavail * space.f_frsize : limit_memory(NULL);
}

static uint64_t largest(void)
{
    struct rlimit limit;
    return sys_getrlimit(RLIMIT_FSIZE, &limit) < 0 ? UINT64_MAX : limit.rlim_cur;
}

int named_file_fill(const char *object, int fd, uint64_t start, uint64_t size)
{
    if (start + size > largest())
        return fail(-EFBIG, "%s: %llu bytes asked, and this process may make files of at most %llu (RLIMIT_FSIZE, ulimit -f)",
                    object, (unsigned long long)(start + size), (unsigned long long)largest());
    uint64_t room = available(fd);
    int r = size > room ? -ENOSPC : size > INT64_MAX ? -EFBIG : sys_fallocate(fd, 0, (off_t)start, (off_t)size);
    if (r == -ENOSPC)
        return fail(-ENOSPC, "%s: %llu bytes asked, and %llu are free there: ask for fewer, or free some", object,
                    (unsigned long long)size, (unsigned long long)room);
    if (r == -EOPNOTSUPP)
        return fail(r, "%s: its file system cannot reserve space (fallocate), and would kill who writes when it is full: "
                    "choose another directory", object);
    return r < 0 ? fail_call(r, "%s: fallocate(%llu bytes)", object, (unsigned long long)size) : 0;
}

/* The directory of a path; the caller frees it. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int sync_directory(const char *object, const char *directory)
{
    int fd = sys_open(directory, O_RDONLY | O_DIRECTORY, 0);
    int r = fd < 0 ? fd : sys_fdatasync(fd);
    sys_close(fd);
    return r < 0 ? fail_call(r, "%s: fdatasync of its directory", object) : 0;
}

int named_file_sync_name(const char *object, const char *path)
{
    char *directory = directory_of(path);
    int r = directory ? sync_directory(object, directory) : fail(-ENOMEM, "%s: out of memory", object);
    free(directory);
    return r;
}

static int give_mode_and_size(const struct named_file *file, int fd)
{
    int r = sys_fchmod(fd, file->mode);
    if (r < 0)
        return fail_call(r, "%s: fchmod", file->object);
    return file->size ? named_file_fill(file->object, fd, 0, file->size) : 0;
}

static int make_in(const struct named_file *file, const char *directory)
{
    int flags = O_RDWR | (file->flags & O_APPEND);
    int fd = sys_open(directory, flags | O_TMPFILE, 0600);
    bool named = fd == -EOPNOTSUPP || fd == -EISDIR;
    if (named)
        fd = sys_open(file->path, flags | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fd == -EEXIST ? fd : cannot_open(file, fd);
    int r = give_mode_and_size(file, fd);
    if (r == 0 && !named) {
        r = made_name_give(fd, file->path);
        named = r == 0;
    }
    if (r == 0 && file->durable)
        r = sync_directory(file->object, directory);
    if (r == 0)
        return fd;
    if (named)
        sys_unlink(file->path);
    sys_close(fd);
    return r;
}

/* -EEXIST without words: somebody else was first. */
static int make(const struct named_file *file)
{
    char *directory = directory_of(file->path);
    if (!directory)
        return fail(-ENOMEM, "%s: out of memory", file->object);
    int fd = make_in(file, directory);
    free(directory);
    return fd;
}

/* ---- Opening --------------------------------------------------------------------------------------------- */

static int check_kind(const struct named_file *file, int fd)
{
    struct stat status;
    int r = sys_fstat(fd, &status);
    if (r < 0)
        r = fail_call(r, "%s: fstat", file->object);
    else if (!S_ISREG(status.st_mode))
        r = not_a_file(file->object);
    else if (file->own && status.st_uid != geteuid())
        r = fail(-EACCES, "%s belongs to uid %u: add create=no if that is who was to make it", file->object,
                 (unsigned)status.st_uid);
    if (r == 0)
        return fd;
    sys_close(fd);
    return r;
}

int named_file_open(const struct named_file *file, bool *ret_made)
{
    *ret_made = false;
    for (int race = 0; race < RACES; race++) {
        int fd = -ENOENT;
        if (file->create != CREATE_EXCL)
            fd = sys_open(file->path, file->flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
        if (fd != -ENOENT || file->create == CREATE_NO)
            return fd < 0 ? cannot_open(file, fd) : check_kind(file, fd);
        fd = make(file);
        *ret_made = fd >= 0;
        if (fd != -EEXIST)
            return fd;
        if (file->create == CREATE_EXCL)
            return cannot_open(file, fd);
    }
    return fail(-EBUSY, "%s: others keep making and removing it", file->object);
}

int named_file_remove(const char *object, const char *path)
{
    struct stat status;
    int r = sys_lstat(path, &status);
    if (r == 0 && !S_ISREG(status.st_mode))
        return not_a_file(object);
    if (r == 0)
        r = sys_unlink(path);
    if (r == -ENOENT)
        return fail(r, "%s does not exist", object);
    return r < 0 ? fail_call(r, "%s: unlink(%s)", object, path) : 0;
}
