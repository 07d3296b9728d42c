/* SPDX-License-Identifier: MIT */
/*
 * shm: - a channel in shared memory: a ring (src/ring) in files of /dev/shm, which is a tmpfs, so that they are
 * memory and nothing else.  What shm_open(3) makes lies in the same directory; "tong." before the name keeps the two
 * apart.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/detail.h"
#include "ring/channel.h"
#include "sys/sys.h"

#define SHM_DIRECTORY "/dev/shm"
#define SHM_NAME_MAX 200

static int shm_path(const char *name, char ret[RING_PATH_MAX])
{
    size_t size = strlen(name);
    if (size == 0 || *name == '.' || strchr(name, '/'))
        return fail(-EINVAL, "shm:%s: a name is not empty, has no '/' and does not begin with '.'", name);
    if (size > SHM_NAME_MAX)
        return fail(-ENAMETOOLONG, "shm: the name has %zu bytes, the most is %d", size, SHM_NAME_MAX);
    for (size_t i = 0; i < size; i++)
        if (iscntrl((unsigned char)name[i]))
            return fail(-EINVAL, "shm: the name has a control character at byte %zu", i + 1);
    snprintf(ret, RING_PATH_MAX, SHM_DIRECTORY "/tong.%s", name);
    return 0;
}

static const struct ring_home home = {
    .scheme = "shm",
    .path = shm_path,
    .removers = "tong rm, or by logind when its user logged out (RemoveIPC=yes in logind.conf)",
};

static int shm_open_channel(const struct open_request *request, struct conduit **ret)
{
    return ring_channel_open(&home, request, ret);
}

static int shm_remove(const struct address *address)
{
    return ring_channel_remove(&home, address);
}

static const struct channel_facet *const variants[] = { &ring_channel_facet, NULL };

/* Free bytes in the file system at `source`. */
static uint64_t shm_space(const char *source)
{
    struct statvfs status;
    return sys_statvfs(source, &status) < 0 ? TONG_UNKNOWN : (uint64_t)status.f_bavail * status.f_frsize;
}

static const struct limit limits[] = {
    { "free space", "bytes", SHM_DIRECTORY, shm_space },
    { "largest message", "bytes", "capacity=1G", ring_channel_largest },
    { NULL, NULL, NULL, NULL },
};

const struct mechanism mechanism_shm = {
    .scheme = "shm",
    .form = "shm:NAME, shm:IN,OUT",
    .summary = "a ring in shared memory: messages without a system call, and without a copy if you like",
    .medium = "memory",
    .unit = "message",
    .reach = "one machine",
    .order = "a lock-free ring; who must wait sleeps on a futex, then on a FIFO, as event loops do",
    .lifetime = "until removed or the machine restarts",
    .family = "POSIX shared memory (/dev/shm), futexes and OFD locks: Linux",
    .options = ring_channel_options,
    .limits = limits,
    .channels = variants,
    .open = shm_open_channel,
    .remove = shm_remove,
};
