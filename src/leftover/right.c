/* SPDX-License-Identifier: MIT */
/*
 * Whether this user may remove what the dead left, by the rules that the kernel goes by when it is tried: who may write to
 * a directory may take a name out of it, in a sticky one only who owns the file or the directory; memory of System V
 * belongs to who made it and to whom it was given.  What no rule tells (a file that is immutable, a security module) only
 * the removal itself shows.
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

static bool is_capable(unsigned capability)
{
    uint64_t capabilities;
    return sys_capabilities(&capabilities) == 0 && capabilities >> capability & 1;
}

static bool is_own(uint32_t uid)
{
    return uid == geteuid();
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
    if (!(place.above.st_mode & S_ISVTX) || is_own(place.file.st_uid) || is_own(place.above.st_uid) ||
        is_capable(CAP_FOWNER))
        return 0;
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
    if (is_own(state.shm_perm.uid) || is_own(state.shm_perm.cuid) || is_capable(CAP_SYS_ADMIN))
        return 0;
    return fail(-EPERM, "it is uid %u's: only that user or root may remove it, not uid %u", (unsigned)state.shm_perm.uid,
                (unsigned)geteuid());
}
