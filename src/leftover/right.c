/* SPDX-License-Identifier: MIT */
/*
 * Whether this user may remove what the dead left, by the rules that the kernel goes by when it is tried: who may write to
 * a directory may take a name out of it, in a sticky one only who owns the file or the directory; memory of System V
 * belongs to who made it and to whom it was given.  What no rule tells (a file that is immutable, a security module) only
 * the removal itself shows; and in a user namespace, over whom its capabilities count: not over users who are none there,
 * nor over memory of an IPC namespace that belongs to another.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "base/detail.h"
#include "leftover/leftover.h"
#include "sys/sys.h"

#define UNMAPPED 65534 /* what the kernel calls a user who has no number in this user namespace */

static bool is_capable(unsigned capability)
{
    uint64_t capabilities;
    return sys_capabilities(&capabilities) == 0 && capabilities >> capability & 1;
}

/* Without user namespaces there is no such file. */
static bool is_whole(const char *map)
{
    char text[80] = "";
    unsigned from, to, count;
    int fd = sys_open(map, O_RDONLY, 0);
    if (fd < 0)
        return fd == -ENOENT;
    ssize_t size = sys_read(fd, text, sizeof text - 1);
    sys_close(fd);
    return size > 0 && sscanf(text, "%u %u %u", &from, &to, &count) == 3 && from == 0 && to == 0 && count == UINT32_MAX;
}

/* Whether all users and groups have their numbers here, so that a number says who it is, and capabilities count for all. */
static bool are_all_mapped(void)
{
    return is_whole("/proc/self/uid_map") && is_whole("/proc/self/gid_map");
}

static bool is_own(uint32_t uid)
{
    return uid == geteuid() && (uid != UNMAPPED || are_all_mapped());
}

/* Of what is not its own: whether this user may all the same, or -EOPNOTSUPP.  alike: a number says that it might be. */
static int may_others(unsigned capability, bool alike)
{
    if (!is_capable(capability) && !alike)
        return -EPERM;
    if (are_all_mapped())
        return 0;
    return fail(-EOPNOTSUPP, "whether uid %u of this user namespace may is not known before it is tried",
                (unsigned)geteuid());
}

/* The directory that a path is in, and what both are. */
struct place {
    char directory[LEFTOVER_PATH];
    struct stat above, file;
};

static int find_place(const char *path, struct place *ret)
{
    snprintf(ret->directory, sizeof ret->directory, "%s", path);
    char *slash = strrchr(ret->directory, '/');
    if (!slash || slash == ret->directory)
        return -EINVAL;
    *slash = '\0';
    int r = sys_fstatat(AT_FDCWD, ret->directory, &ret->above, 0);
    return r < 0 ? r : sys_fstatat(AT_FDCWD, path, &ret->file, AT_SYMLINK_NOFOLLOW);
}

static int may_unlink(const char *path)
{
    struct place place;
    int r = find_place(path, &place);
    if (r < 0)
        return fail_call(r, "%s", path);
    r = sys_eaccess(place.directory, W_OK | X_OK);
    if (r < 0)
        return fail_call(r, "uid %u may not take names out of %s", (unsigned)geteuid(), place.directory);
    if (!(place.above.st_mode & S_ISVTX) || is_own(place.file.st_uid) || is_own(place.above.st_uid))
        return 0;
    r = may_others(CAP_FOWNER, place.file.st_uid == geteuid() || place.above.st_uid == geteuid());
    if (r != -EPERM)
        return r;
    return fail(-EPERM, "it is uid %u's, and %s is sticky: only that user or root may take it out, not uid %u",
                (unsigned)place.file.st_uid, place.directory, (unsigned)geteuid());
}

int may_remove_name(const struct leftover *leftover)
{
    return may_unlink(leftover->path);
}

/* Its locks are taken before it is removed, and its file is opened for that. */
int may_remove_channel(const struct leftover *leftover)
{
    int r = sys_eaccess(leftover->path, R_OK | W_OK);
    return r < 0 ? fail_call(r, "uid %u may not open %s", (unsigned)geteuid(), leftover->path) : may_unlink(leftover->path);
}

int may_remove_memory(const struct leftover *leftover)
{
    struct shmid_ds state;
    int r = sys_shmctl(leftover->id, IPC_STAT, &state);
    if (r < 0)
        return fail_call(r, "sysvshm:id=%d: shmctl", leftover->id);
    if (is_own(state.shm_perm.uid) || is_own(state.shm_perm.cuid))
        return 0;
    r = may_others(CAP_SYS_ADMIN, state.shm_perm.uid == geteuid() || state.shm_perm.cuid == geteuid());
    if (r != -EPERM)
        return r;
    return fail(-EPERM, "it is uid %u's: only that user or root may remove it, not uid %u", (unsigned)state.shm_perm.uid,
                (unsigned)geteuid());
}
