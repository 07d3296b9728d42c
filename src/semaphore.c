/* SPDX-License-Identifier: MIT */
/* The semaphore facade. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/detail.h"
#include "base/give.h"
#include "base/hot.h"
#include "core/process.h"
#include "handle.h"

/* Two members of the facet and the count are kept here as well: libc takes a free semaphore in 5 ns, of which every
 * pointer that has to be followed first is one. */
struct tong_semaphore {
    struct semaphore *semaphore;
    int (*wait)(struct semaphore *, unsigned index, int64_t deadline);
    int (*post)(struct semaphore *, unsigned index);
    unsigned count;
    unsigned generation; /* of the process that opened it */
};

int tong_semaphore_open(const char *text, uint32_t flags, tong_semaphore **ret)
{
    struct address address;
    struct open_request request = { NULL, &address, flags, DEADLINE_NOW };
    if (flags)
        return fail(-EINVAL, "flags 0x%x: a semaphore takes none", flags);
    int r = resolve(text, TONG_HAS_SEMAPHORE, &address, &request.mechanism);
    if (r < 0)
        return r;
    fork_watch();
    tong_semaphore *handle = malloc(sizeof *handle);
    if (!handle)
        r = fail(-ENOMEM, "tong_semaphore: out of memory");
    else
        r = request.mechanism->semaphore->open(&request, &handle->semaphore);
    address_free(&address);
    if (r < 0) {
        free(handle);
        return r;
    }
    handle->wait = handle->semaphore->facet->wait;
    handle->post = handle->semaphore->facet->post;
    handle->count = handle->semaphore->count;
    handle->generation = fork_generation;
    *ret = handle;
    return 0;
}

int tong_semaphore_close(tong_semaphore *handle)
{
    if (!handle)
        return 0;
    int r = handle->semaphore->facet->close(handle->semaphore, handle->generation != fork_generation);
    free(handle);
    return r;
}

unsigned tong_semaphore_count(const tong_semaphore *handle)
{
    return handle->count;
}

/* Cold: the words for an index that does not exist. */
__attribute__((cold, noinline)) static int no_index(const struct semaphore *semaphore, unsigned index)
{
    return fail(-ERANGE, "%s: there is no semaphore %u in it: it has %u, counted from 0", semaphore->object, index,
                semaphore->count);
}

HOT int tong_semaphore_wait(tong_semaphore *handle, unsigned index, int64_t timeout)
{
    if (__builtin_expect(index >= handle->count, 0))
        return no_index(handle->semaphore, index);
    return handle->wait(handle->semaphore, index, deadline_after(timeout));
}

HOT int tong_semaphore_post(tong_semaphore *handle, unsigned index)
{
    if (__builtin_expect(index >= handle->count, 0))
        return no_index(handle->semaphore, index);
    return handle->post(handle->semaphore, index);
}

static int check_operations(const struct semaphore *semaphore, const tong_semaphore_operation *operations, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const tong_semaphore_operation *operation = operation_at(operations, i);
        if (operation->size < sizeof *operation || operation->size != operations->size)
            return fail(-EINVAL, "tong_semaphore_operation.size is not set: use sizeof(tong_semaphore_operation)");
        if (operation->flags & ~TONG_SEMAPHORE_UNDO)
            return fail(-EINVAL, "flags 0x%x: a semaphore operation takes TONG_SEMAPHORE_UNDO and no other",
                        operation->flags);
        if (operation->index >= semaphore->count)
            return no_index(semaphore, operation->index);
    }
    return 0;
}

int tong_semaphore_operate(tong_semaphore *handle, const tong_semaphore_operation *operations, size_t count,
                           int64_t timeout)
{
    struct semaphore *semaphore = handle->semaphore;
    int r = check_operations(semaphore, operations, count);
    if (r < 0 || count == 0)
        return r;
    bool single = count == 1 && operations->flags == 0;
    if (single && operations->change == -1)
        return semaphore->facet->wait(semaphore, operations->index, deadline_after(timeout));
    if (single && operations->change == 1)
        return semaphore->facet->post(semaphore, operations->index);
    if (!semaphore->facet->operate)
        return fail(-EOPNOTSUPP, "%s: a POSIX semaphore only adds 1 or takes 1, one at a time, and undoes nothing: sysvsem: "
                    "does more in one step", semaphore->object);
    return semaphore->facet->operate(semaphore, operations, count, deadline_after(timeout));
}

int tong_semaphore_get(tong_semaphore *handle, unsigned index, tong_semaphore_info *ret)
{
    struct semaphore *semaphore = handle->semaphore;
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    info.flags = semaphore->flags;
    info.waiting = info.zero = UINT32_MAX;
    info.scheme = semaphore->mechanism->scheme;
    info.object = semaphore->object;
    int r = index < semaphore->count ? semaphore->facet->get(semaphore, index, &info) : no_index(semaphore, index);
    if (r < 0)
        return r;
    give(ret, &info, sizeof info);
    return 0;
}

int tong_semaphore_set(tong_semaphore *handle, unsigned index, unsigned value)
{
    struct semaphore *semaphore = handle->semaphore;
    if (!semaphore->facet->set)
        return fail(-EOPNOTSUPP, "%s: POSIX semaphores have no call that sets them: post or wait, or remove it and make it "
                    "with ?value=", semaphore->object);
    return index < semaphore->count ? semaphore->facet->set(semaphore, index, value) : no_index(semaphore, index);
}
