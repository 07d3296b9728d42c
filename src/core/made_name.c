/* SPDX-License-Identifier: MIT */
/* Removing by name can only compare first: between the look and the unlink a newcomer may still slip in. */
#include "core/made_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/detail.h"
#include "sys/sys.h"

static int note(struct made_name *name, const char *path, const struct stat *status)
{
    char *copy = strdup(path);
    if (!copy)
        return fail(-ENOMEM, "%s: out of memory", path);
    *name = (struct made_name){ copy, status->st_dev, status->st_ino };
    return 0;
}

int made_name_note(struct made_name *name, const char *path)
{
    struct stat status;
    int r = sys_lstat(path, &status);
    return r < 0 ? fail_call(r, "lstat(%s)", path) : note(name, path, &status);
}

int made_name_note_open(struct made_name *name, const char *path, int fd)
{
    struct stat status;
    int r = sys_fstat(fd, &status);
    return r < 0 ? fail_call(r, "fstat(%s)", path) : note(name, path, &status);
}

bool made_name_stands(const struct made_name *name)
{
    struct stat status;
    return name->path && sys_lstat(name->path, &status) == 0 && status.st_dev == name->device &&
           status.st_ino == name->inode;
}

void made_name_remove(const struct made_name *name)
{
    if (made_name_stands(name))
        sys_unlink(name->path);
}

void made_name_free(struct made_name *name)
{
    free(name->path);
    name->path = NULL;
}

/* By /proc, because AT_EMPTY_PATH wants a capability on older kernels. */
int made_name_give(int fd, const char *path)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int r = sys_linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
    return r < 0 && r != -EEXIST ? fail_call(r, "linkat(%s)", path) : r;
}
