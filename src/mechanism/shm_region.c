/* SPDX-License-Identifier: MIT */
/*
 * Regions of shm: - POSIX shared memory, shm_open(3), which on Linux is a file in /dev/shm: shm:jobs is what a C program
 * calls shm_open("/jobs") and Python SharedMemory("jobs").  The bytes are theirs and ours alike; a channel of the same
 * name is another object (tong.jobs).
 *
 * The directory is open to everybody, so whoever is first to put something under a well-known name would get what is
 * written there: an object of another user is refused to writers unless create=no says that somebody else was to make it.
 * Semaphores lie in the same directory (sem_overview(7)), and are no memory to write text into.
 */
#include "shm_region.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/detail.h"
#include "core/mapped.h"
#include "sys/sys.h"

#define REGION_PATH_MAX (sizeof SHM_DIRECTORY "/" + SHM_NAME_MAX)

/* Where a region is, and what it is called. */
struct place {
    char path[REGION_PATH_MAX], object[sizeof "shm:" + SHM_NAME_MAX];
};

static int find_place(const char *name, struct place *ret)
{
    int r = shm_check_name(name);
    if (r < 0)
        return r;
    if (!strncmp(name, "sem.", 4) || !strncmp(name, "tong.", 5))
        return fail(-EINVAL, "shm:%s: names that begin so belong to %s: choose another", name,
                    *name == 's' ? "POSIX semaphores" : "the channels of tong");
    snprintf(ret->path, sizeof ret->path, SHM_DIRECTORY "/%s", name);
    snprintf(ret->object, sizeof ret->object, "shm:%s", name);
    return 0;
}

static int find_only_place(const struct address *address, struct place *ret)
{
    if (address->second)
        return fail(-EINVAL, "%s names two objects: a region, or a lock, is one", address->text);
    return find_place(address->name, ret);
}

static int region_open(const struct open_request *request, struct region **ret)
{
    struct place place;
    int r = find_only_place(request->address, &place);
    bool trusts = !(request->flags & TONG_WRITE) || request->address->value[OPTION_CREATE] == CREATE_NO;
    struct named_file file = { .object = place.object, .path = place.path, .own = !trusts };
    return r < 0 ? r : mapped_open_named(request, &file, ret);
}

/* The lock of a region that is not there yet is an empty one. */
static int lock_open(const struct open_request *request, struct lock **ret)
{
    struct place place;
    const struct address *address = request->address;
    int r = find_only_place(address, &place);
    if (r < 0)
        return r;
    struct named_file file = {
        .object = place.object, .path = place.path, .own = address->value[OPTION_CREATE] != CREATE_NO,
    };
    return lock_file_open(request, &file, ret);
}

int shm_region_remove(const char *name)
{
    struct place place;
    int r = find_place(name, &place);
    return r < 0 ? r : named_file_remove(place.object, place.path);
}

bool shm_region_named(const char *name)
{
    struct place place;
    struct stat status;
    return find_place(name, &place) == 0 && sys_lstat(place.path, &status) == 0;
}

static const struct option_use region_options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 1 << REMOVE_NEVER | 1 << REMOVE_OWNER },
    { OPTION_SIZE, 0, 1, INT64_MAX, 0 },
    OPTIONS_END,
};

static const struct option_use lock_options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    OPTIONS_END,
};

const struct region_facet shm_region = {
    .options = region_options, .open = region_open, .lock = mapped_lock, .unlock = mapped_unlock,
    .descriptor = mapped_descriptor, .describe = mapped_describe, .close = mapped_close,
};

const struct lock_facet shm_lock = {
    .options = lock_options, .open = lock_open, .take = lock_file_take, .release = lock_file_release,
    .descriptor = lock_file_descriptor, .close = lock_file_close,
};
