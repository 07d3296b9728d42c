/* SPDX-License-Identifier: MIT */
/* The lock facade, and what it shares with the locks of regions: who holds one already, or none. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/process.h"
#include "handle.h"
#include "sys/sys.h"

struct tong_lock {
    struct lock *lock;
    unsigned generation; /* of the process that opened it */
    struct holding holding;
};

int holding_begin(struct holding *holding, const char *object)
{
    unsigned mine = fork_generation + 1, seen = atomic_load_explicit(&holding->word, memory_order_relaxed);
    do {
        if (seen == mine)
            return fail(-EDEADLK, "%s: its lock is held, or just being taken, through this very handle: threads that exclude "
                        "each other open it once each", object);
    } while (!atomic_compare_exchange_weak_explicit(&holding->word, &seen, mine, memory_order_acquire, memory_order_relaxed));
    return 0;
}

bool holding_is(const struct holding *holding)
{
    return atomic_load_explicit(&holding->word, memory_order_relaxed) == fork_generation + 1;
}

int holding_check(const struct holding *holding, const char *object)
{
    return holding_is(holding) ? 0 : fail(-EPERM, "%s: its lock is not held through this handle", object);
}

void holding_end(struct holding *holding)
{
    atomic_store_explicit(&holding->word, 0, memory_order_release);
}

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
    atomic_init(&handle->holding.word, 0);
    *ret = handle;
    return 0;
}

int tong_lock_take(tong_lock *handle, int64_t timeout)
{
    struct lock *lock = handle->lock;
    int r = holding_begin(&handle->holding, lock->object);
    if (r < 0)
        return r;
    r = lock->facet->take(lock, deadline_after(timeout));
    if (r < 0)
        holding_end(&handle->holding);
    return r;
}

int tong_lock_release(tong_lock *handle)
{
    struct lock *lock = handle->lock;
    int r = holding_check(&handle->holding, lock->object);
    if (r < 0)
        return r;
    r = lock->facet->release(lock);
    holding_end(&handle->holding);
    return r;
}

int tong_lock_share(tong_lock *handle)
{
    struct lock *lock = handle->lock;
    if (!lock->facet->descriptor)
        return fail(-EOPNOTSUPP, "%s: the lock belongs to this process alone, and stays with it when it executes another "
                    "program", lock->object);
    int r = holding_check(&handle->holding, lock->object);
    if (r < 0)
        return r;
    r = sys_fcntl_int(lock->facet->descriptor(lock), F_DUPFD_CLOEXEC, 3);
    return r < 0 ? fail_call(r, "%s: fcntl(F_DUPFD_CLOEXEC)", lock->object) : r;
}

int tong_lock_close(tong_lock *handle)
{
    if (!handle)
        return 0;
    int released = holding_is(&handle->holding) ? tong_lock_release(handle) : 0;
    int r = handle->lock->facet->close(handle->lock, handle->generation != fork_generation);
    free(handle);
    return released < 0 ? released : r;
}

const char *tong_lock_object(const tong_lock *handle)
{
    return handle->lock->object;
}

uint32_t tong_lock_flags(const tong_lock *handle)
{
    return handle->lock->flags;
}
