/* SPDX-License-Identifier: MIT */
/* The region facade. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/give.h"
#include "core/process.h"
#include "handle.h"
#include "sys/sys.h"

struct tong_region {
    struct region *region;
    unsigned generation; /* of the process that opened it */
    struct holding holding;
};

static int check_flags(uint32_t flags)
{
    if ((flags & TONG_READ) && !(flags & ~(TONG_READ | TONG_WRITE)))
        return 0;
    return fail(-EINVAL, "flags 0x%x: give TONG_READ, or TONG_READ | TONG_WRITE", flags);
}

int tong_region_open(const char *text, uint32_t flags, tong_region **ret)
{
    struct address address;
    struct open_request request = { NULL, &address, flags, DEADLINE_NOW };
    int r = check_flags(flags);
    if (r < 0 || (r = resolve(text, TONG_HAS_REGION, &address, &request.mechanism)) < 0)
        return r;
    fork_watch();
    tong_region *handle = malloc(sizeof *handle);
    if (!handle)
        r = fail(-ENOMEM, "tong_region: out of memory");
    else
        r = request.mechanism->region->open(&request, &handle->region);
    address_free(&address);
    if (r < 0) {
        free(handle);
        return r;
    }
    handle->generation = fork_generation;
    atomic_init(&handle->holding.word, 0);
    *ret = handle;
    return 0;
}

int tong_region_close(tong_region *handle)
{
    if (!handle)
        return 0;
    int unlocked = holding_is(&handle->holding) ? tong_region_unlock(handle) : 0;
    int r = handle->region->facet->close(handle->region, handle->generation != fork_generation);
    free(handle);
    return unlocked < 0 ? unlocked : r;
}

void *tong_region_data(const tong_region *handle)
{
    return handle->region->data;
}

size_t tong_region_size(const tong_region *handle)
{
    return handle->region->size;
}

int tong_region_lock(tong_region *handle, int64_t timeout)
{
    struct region *region = handle->region;
    int r = holding_begin(&handle->holding, region->object);
    if (r < 0)
        return r;
    r = region->facet->lock(region, deadline_after(timeout));
    if (r < 0)
        holding_end(&handle->holding);
    return r;
}

int tong_region_unlock(tong_region *handle)
{
    struct region *region = handle->region;
    int r = holding_check(&handle->holding, region->object);
    if (r < 0)
        return r;
    r = region->facet->unlock(region);
    holding_end(&handle->holding);
    return r;
}

int tong_region_sync(tong_region *handle, size_t offset, size_t size)
{
    struct region *region = handle->region;
    if (!region->facet->sync)
        return fail(-EOPNOTSUPP, "%s: is memory alone: there is no disk to wait for", region->object);
    if (offset > region->size || size > region->size - offset)
        return fail(-ERANGE, "%s: has %zu bytes; %zu from %zu on are asked", region->object, region->size, size, offset);
    return region->facet->sync(region, offset, size);
}

int tong_region_descriptor(tong_region *handle)
{
    struct region *region = handle->region;
    if (!region->facet->descriptor)
        return fail(-EOPNOTSUPP, "%s: has no descriptor", region->object);
    return region->facet->descriptor(region);
}

int tong_region_inherit(tong_region *handle, char *ret_address, size_t size)
{
    int fd = tong_region_descriptor(handle);
    if (fd < 0)
        return fd;
    if ((size_t)snprintf(ret_address, size, "fd:%d", fd) >= size)
        return fail(-ENAMETOOLONG, "tong_region_inherit: %zu bytes are too few for the address", size);
    int r = sys_fcntl_int(fd, F_SETFD, 0);
    return r < 0 ? fail_call(r, "%s: fcntl(F_SETFD)", handle->region->object) : 0;
}

int tong_region_describe(tong_region *handle, tong_region_info *ret)
{
    struct region *region = handle->region;
    tong_region_info info = TONG_REGION_INFO_INIT;
    info.flags = region->flags;
    info.bytes = region->size;
    info.page = (uint64_t)sysconf(_SC_PAGESIZE);
    info.attached = info.resident = TONG_UNKNOWN;
    info.scheme = region->mechanism->scheme;
    info.object = region->object;
    int r = region->facet->describe(region, &info);
    if (r < 0)
        return r;
    give(ret, &info, sizeof info);
    return 0;
}
