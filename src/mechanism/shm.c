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
#include "shm_region.h"
#include "sys/sys.h"

int shm_check_name(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || *name == '.' || strchr(name, '/'))
        return fail(-EINVAL, "shm:%s: a name is not empty, has no '/' (shm_open(\"/jobs\") is shm:jobs) and does not begin "
                    "with '.'", name);
    if (size > SHM_NAME_MAX)
        return fail(-ENAMETOOLONG, "shm: the name has %zu bytes, the most is %d", size, SHM_NAME_MAX);
    for (size_t i = 0; i < size; i++)
        if (iscntrl((unsigned char)name[i]))
            return fail(-EINVAL, "shm: the name has a control character at byte %zu", i + 1);
    return 0;
}

static int shm_path(const char *name, char ret[RING_PATH_MAX])
{
    int r = shm_check_name(name);
    if (r == 0)
        snprintf(ret, RING_PATH_MAX, SHM_DIRECTORY "/tong.%s", name);
    return r;
}

static const struct ring_home home = {
    .objects = &ring_objects_named,
    .scheme = "shm",
    .path = shm_path,
    .removers = "tong rm, or by logind when its user logged out (RemoveIPC=yes in logind.conf)",
    .in_memory = true,
};

static int shm_open_channel(const struct open_request *request, struct conduit **ret)
{
    return ring_channel_open(&home, request, ret);
}

static bool channel_named(const char *name)
{
    char path[RING_PATH_MAX];
    struct stat status;
    return shm_path(name, path) == 0 && sys_lstat(path, &status) == 0;
}

/* One name may be a channel's and a region's, and nothing says which of the two is meant. */
static int shm_remove(const struct address *address)
{
    if (address->second || !shm_region_named(address->name))
        return ring_channel_remove(&home, address);
    if (channel_named(address->name))
        return fail(-EEXIST, "shm:%s is a channel and a region: remove the region with rm " SHM_DIRECTORY "/%s, and then, by "
                    "this, the channel", address->name, address->name);
    return shm_region_remove(address->name);
}

static const struct limit limits[] = {
    { "free space", "bytes", SHM_DIRECTORY, limit_space },
    { "largest message", "bytes", "capacity=1G", ring_channel_largest },
    { "senders at once", "ends", "its layout", ring_channel_places },
    { "receivers at once", "ends", "its layout", ring_channel_places },
    { NULL, NULL, NULL, NULL },
};

const struct mechanism mechanism_shm = {
    .scheme = "shm",
    .form = "shm:NAME, shm:IN,OUT",
    .summary = "shared memory: a ring of messages without a system call, or a region of plain bytes",
    .medium = "memory",
    .unit = "message; bytes of a region",
    .reach = "one machine",
    .order = "a lock-free ring; who must wait sleeps on a futex, then on a FIFO, as event loops do",
    .lifetime = "until removed or the machine restarts",
    .family = "POSIX shared memory (/dev/shm), futexes and OFD locks: Linux",
    .options = ring_channel_options,
    .limits = limits,
    .channels = ring_channel_variants,
    .region = &shm_region,
    .lock = &shm_lock,
    .open = shm_open_channel,
    .remove = shm_remove,
};
