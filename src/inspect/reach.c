/* SPDX-License-Identifier: MIT */
/*
 * Who looks up a name in FUSE, NFS or 9p asks its server, and waits for it, unkillably if it is not this machine's kernel
 * that ends the wait.  So a path is walked name by name.  Each step stays in its mount (RESOLVE_NO_XDEV), and the
 * kernel refuses to cross into another before it has asked that for anything; then mountinfo tells what would be entered.
 * Links are followed here for the same reason.
 *
 * Of an overlay nobody says where its layers are.  Here it counts as local: it is what containers have as their root, and
 * without it no FIFO in one would be seen.
 *
 * Where the process begins is taken from the text of its links, which asks nobody.  They are written as seen from the
 * root of who looks, so that of its own root is cut off.  Of a process in another chroot that is no mount of its own,
 * mountinfo does not say where its root is.
 */
#include "inspect/reach.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "inspect/mounts.h"
#include "sys/sys.h"

#define LINKS_MOST 40   /* as in the kernel */
#define STEPS_MOST 4096 /* of a path that goes up and down: each ".." is walked from the root again */
#define STEP (O_PATH | O_NOFOLLOW)

struct walk {
    struct scan *scan;
    int64_t tid;
    int fd;               /* what is reached */
    unsigned links;
    char done[PATH_MAX];  /* its path from the root of the process, without links: "" of the root, else "/a/b" */
    char left[PATH_MAX];  /* from there on */
};

/* ---- Mounts ------------------------------------------------------------------------------------------------- */

struct crossing {
    const char *point;
    bool found, remote;
};

/* Mounts may lie on top of each other: all must be local. */
static int compare_mount(void *context, char *line)
{
    struct crossing *crossing = context;
    struct mount mount;
    if (mounts_parse(line, &mount) < 0 || strcmp(mount.point, crossing->point))
        return 0;
    crossing->found = true;
    crossing->remote |= mount.where == ELSEWHERE;
    return 0;
}

/* 0: what is mounted there may be entered. */
static int may_enter(struct walk *walk, const char *point)
{
    char path[48];
    struct crossing crossing = { .point = point };
    snprintf(path, sizeof path, "%lld/mountinfo", (long long)walk->tid);
    ssize_t r = proc_read(&walk->scan->proc, walk->scan->proc.fd, path);
    if (r < 0)
        return (int)r;
    proc_lines(&walk->scan->proc, compare_mount, &crossing);
    return crossing.found && !crossing.remote ? 0 : -EREMOTE;
}

/* ---- Steps -------------------------------------------------------------------------------------------------- */

/* Instead of what is reached; a negative errno stays one. */
static int move_to(struct walk *walk, int fd)
{
    if (fd >= 0) {
        sys_close(walk->fd);
        walk->fd = fd;
    }
    return fd < 0 ? fd : 0;
}

/* Text of its links, which asks nobody. */
static int link_of(const struct walk *walk, const char *name, char ret[PATH_MAX])
{
    char path[64];
    snprintf(path, sizeof path, "%lld/%s", (long long)walk->tid, name);
    ssize_t size = proc_link(walk->scan->proc.fd, path, ret, PATH_MAX);
    return size < 0 ? (int)size : *ret == '/' ? 0 : -ENOTDIR;
}

/* Then who looks could not have begun either, did its server not answer; mountinfo has no line for the root of a chroot. */
static bool shares_our_root(const struct walk *walk)
{
    char path[48], ours[64], theirs[64], root[PATH_MAX];
    int proc = walk->scan->proc.fd;
    snprintf(path, sizeof path, "%lld/ns/mnt", (long long)walk->tid);
    return proc_link(proc, "self/ns/mnt", ours, sizeof ours) > 0 && proc_link(proc, path, theirs, sizeof theirs) > 0 &&
           !strcmp(ours, theirs) && link_of(walk, "root", root) == 0 && !strcmp(root, "/");
}

/* That path, then what is left.  A path from the root begins there. */
static int prefix(struct walk *walk, const char *path)
{
    char joined[PATH_MAX], root[48];
    int size = snprintf(joined, sizeof joined, "%s/%s", path, walk->left);
    if (size >= (int)sizeof joined)
        return -ENAMETOOLONG;
    memcpy(walk->left, joined, (size_t)size + 1);
    if (*path && *path != '/')
        return 0;
    *walk->done = '\0';
    snprintf(root, sizeof root, "%lld/root", (long long)walk->tid);
    int r = shares_our_root(walk) ? 0 : may_enter(walk, "");
    return r < 0 ? r : move_to(walk, sys_openat(walk->scan->proc.fd, root, O_PATH));
}

static int step_up(struct walk *walk)
{
    char above[PATH_MAX];
    char *slash = strrchr(walk->done, '/');
    if (slash)
        *slash = '\0';
    memcpy(above, walk->done, sizeof above);
    return prefix(walk, above);
}

/* Instead of a link, where it leads to. */
static int follow(struct walk *walk, int link)
{
    char target[PATH_MAX];
    ssize_t size = proc_link(link, "", target, sizeof target);
    sys_close(link);
    if (size < 0)
        return (int)size;
    return ++walk->links > LINKS_MOST ? -ELOOP : prefix(walk, target);
}

static int step_down(struct walk *walk, const char *name)
{
    struct stat status;
    size_t length = strlen(walk->done);
    int size = snprintf(walk->done + length, sizeof walk->done - length, "/%s", name);
    if (size >= (int)(sizeof walk->done - length))
        return -ENAMETOOLONG;
    int fd = sys_open_within(walk->fd, name, STEP), r = fd;
    if (fd == -EXDEV && (r = may_enter(walk, walk->done)) == 0)
        r = fd = sys_openat(walk->fd, name, STEP);
    if (r < 0)
        return r;
    r = sys_fstat(fd, &status);
    if (r == 0 && !S_ISLNK(status.st_mode))
        return move_to(walk, fd);
    walk->done[length] = '\0';
    if (r == 0)
        return follow(walk, fd);
    sys_close(fd);
    return r;
}

/* Takes the first name from what is left. */
static int step(struct walk *walk)
{
    char name[NAME_MAX + 1];
    const char *from = walk->left + strspn(walk->left, "/");
    size_t size = strcspn(from, "/");
    if (size >= sizeof name)
        return -ENAMETOOLONG;
    memcpy(name, from, size);
    name[size] = '\0';
    memmove(walk->left, from + size, strlen(from + size) + 1);
    if (!*name || !strcmp(name, "."))
        return 0;
    return strcmp(name, "..") ? step_down(walk, name) : step_up(walk);
}

/* ---- Where it begins ---------------------------------------------------------------------------------------- */

/* The directory that a relative path is of, from the root of the process. */
static int begin_at(struct walk *walk, int directory)
{
    char name[32], root[PATH_MAX], from[PATH_MAX];
    snprintf(name, sizeof name, directory == AT_FDCWD ? "cwd" : "fd/%d", directory);
    int r = link_of(walk, name, from);
    r = r < 0 ? r : link_of(walk, "root", root);
    if (r < 0)
        return r;
    size_t length = strcmp(root, "/") ? strlen(root) : 0;
    if (strncmp(from, root, length) || (from[length] && from[length] != '/'))
        return -EREMOTE; /* outside of its root: nobody says where */
    return prefix(walk, from + length);
}

int reach(struct scan *scan, int64_t tid, int directory, const char *path)
{
    struct walk walk = { .scan = scan, .tid = tid, .fd = -1 };
    if (snprintf(walk.left, sizeof walk.left, "%s", path) >= (int)sizeof walk.left)
        return -ENAMETOOLONG;
    int r = *path == '/' ? prefix(&walk, "") : begin_at(&walk, directory);
    for (unsigned steps = 0; r == 0 && *walk.left; steps++)
        r = steps < STEPS_MOST ? step(&walk) : -ELOOP;
    if (r < 0)
        sys_close(walk.fd);
    return r < 0 ? r : walk.fd;
}
