/* SPDX-License-Identifier: MIT */
/*
 * Regions of mmap: - any regular file, mapped (mmap:PATH), or memory without a name that children inherit (mmap: alone).
 *
 * A store into a mapped file is in the page cache, where every process that maps or reads the file sees it at once, and
 * outlives its process.  It reaches the disk when the kernel gets to it; tong_region_sync() waits for that.  The name of a
 * file that is made is on the disk when opening returns.
 *
 * Memory without a name is what MAP_SHARED | MAP_ANONYMOUS gives, but made by memfd_create(2): it can be reserved in
 * advance, and its lock, which parent and child take from each other, needs a file to be on.
 */
#include "mmap_region.h"

#include <errno.h>
#include <stdio.h>

#include "base/detail.h"
#include "core/mapped.h"

#define OBJECT_MAX (sizeof "mmap:" + ADDRESS_NAME_MAX)

/* What goes with all who have it is on no disk. */
static const struct region_facet nameless = {
    .lock = mapped_lock, .unlock = mapped_unlock, .descriptor = mapped_descriptor, .describe = mapped_describe,
    .close = mapped_close,
};

static int open_nameless(const struct open_request *request, struct region **ret)
{
    struct mapped *mapped;
    int r = mapped_open_nameless(request, "mmap:", "tong-mmap", &mapped);
    if (r < 0)
        return r;
    mapped->base.facet = &nameless;
    *ret = &mapped->base;
    return 0;
}

static int find_file(const struct address *address, char object[OBJECT_MAX], struct named_file *ret)
{
    if (address->second)
        return fail(-EINVAL, "%s names two files: a region, or a lock, is one", address->text);
    snprintf(object, OBJECT_MAX, "mmap:%s", address->name);
    *ret = (struct named_file){ .object = object, .path = address->name, .durable = true };
    return 0;
}

static int region_open(const struct open_request *request, struct region **ret)
{
    char object[OBJECT_MAX];
    struct named_file file;
    int r = find_file(request->address, object, &file);
    if (r < 0)
        return r;
    return *file.path ? mapped_open_named(request, &file, ret) : open_nameless(request, ret);
}

/* The lock of a region that is not there yet is an empty file. */
static int lock_open(const struct open_request *request, struct lock **ret)
{
    char object[OBJECT_MAX];
    struct named_file file;
    int r = find_file(request->address, object, &file);
    if (r == 0 && !*file.path)
        r = fail(-EINVAL, "mmap: alone has no name to lock it by: open the region and use tong_region_lock()");
    return r < 0 ? r : lock_file_open(request, &file, ret);
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

const struct region_facet mmap_region = {
    .options = region_options, .open = region_open, .lock = mapped_lock, .unlock = mapped_unlock, .sync = mapped_sync,
    .descriptor = mapped_descriptor, .describe = mapped_describe, .close = mapped_close,
};

const struct lock_facet mmap_lock = {
    .options = lock_options, .open = lock_open, .take = lock_file_take, .release = lock_file_release,
    .descriptor = lock_file_descriptor, .close = lock_file_close,
};
