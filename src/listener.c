/* SPDX-License-Identifier: MIT */
/* The listener facade. */
#include "base/clock.h"
#include "base/detail.h"
#include "core/process.h"
#include "handle.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdlib.h>

int tong_listener_open(const char *text, uint32_t flags, tong_listener **ret)
{
    struct address address;
    struct open_request request = { NULL, &address, flags, DEADLINE_NOW };
    if (flags & ~TONG_CANCELLABLE)
        return fail(-EINVAL, "flags 0x%x: a listener takes TONG_CANCELLABLE or 0", flags);
    int r = resolve(text, TONG_HAS_CHANNEL, &address, &request.mechanism);
    if (r < 0)
        return r;
    fork_watch();
    tong_listener *handle = malloc(sizeof *handle);
    if (!handle)
        r = fail(-ENOMEM, "tong_listener: out of memory");
    else if (!request.mechanism->listener)
        r = fail(-EOPNOTSUPP, "%s: has no listeners: open both ends as channels", address.scheme);
    else
        r = request.mechanism->listener->open(&request, &handle->listener);
    address_free(&address);
    if (r < 0) {
        free(handle);
        return r;
    }
    *ret = handle;
    return 0;
}

void tong_listener_close(tong_listener *handle)
{
    if (!handle)
        return;
    handle->listener->facet->close(handle->listener);
    free(handle);
}

int tong_listener_accept(tong_listener *handle, uint32_t flags, int64_t timeout, tong_channel **ret)
{
    if (!handle || !(flags & TONG_BOTH) || flags & ~(TONG_BOTH | TONG_CANCELLABLE))
        return fail(-EINVAL, "tong_listener_accept: give a listener and TONG_RECEIVE, TONG_SEND or TONG_BOTH");
    struct conduit *conduit;
    int r = handle->listener->facet->accept(handle->listener, flags, deadline_after(timeout), &conduit);
    return r < 0 ? r : handle_new(conduit, ret);
}

int tong_listener_pollfd(tong_listener *handle, struct pollfd *ret)
{
    return handle ? handle->listener->facet->pollfd(handle->listener, ret) : fail(-EINVAL, "the listener is NULL");
}

/* Async-signal-safe, as tong_channel_cancel(). */
int tong_listener_cancel(tong_listener *handle)
{
    if (handle->listener->cancel_fd < 0)
        return fail_static(-EOPNOTSUPP, "the listener was not opened with TONG_CANCELLABLE");
    atomic_store_explicit(&handle->listener->cancelled, true, memory_order_release);
    uint64_t one = 1;
    int r = (int)sys_write(handle->listener->cancel_fd, &one, sizeof one);
    return r < 0 ? r : 0;
}

const char *tong_listener_address(const tong_listener *handle)
{
    return handle->listener->object;
}
