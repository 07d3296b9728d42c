/* SPDX-License-Identifier: MIT */
/* The lock facade. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/process.h"
#include "handle.h"

struct tong_lock {
    struct lock *lock;
    unsigned generation; /* of the process that opened it */
};

int tong_lock_open(const char *text, tong_lock **ret)
{
    struct address address;
    struct open_request request = { NULL, &address, 0, DEADLINE_NOW };
    int r = resolve(text, TONG_HAS_LOCK, &address, &request.mechanism);
    if (r < 0)
        return r;
    fork_watch();
    tong_lock *handle = malloc(sizeof *handle);
    if (!handle)
        r = fail(-ENOMEM, "tong_lock: out of memory");
    else
        r = request.mechanism->lock->open(&request, &handle->lock);
    address_free(&address);
    if (r < 0) {
        free(handle);
        return r;
    }
    handle->generation = fork_generation;
    *ret = handle;
    return 0;
}

int tong_lock_take(tong_lock *handle, int64_t timeout)
{
    return handle->lock->facet->take(handle->lock, deadline_after(timeout));
}

int tong_lock_release(tong_lock *handle)
{
    return handle->lock->facet->release(handle->lock);
}

int tong_lock_close(tong_lock *handle)
{
    if (!handle)
        return 0;
    int r = handle->lock->facet->close(handle->lock, handle->generation != fork_generation);
    free(handle);
    return r;
}

const char *tong_lock_object(const tong_lock *handle)
{
    return handle->lock->object;
}
