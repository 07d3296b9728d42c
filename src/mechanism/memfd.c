/* SPDX-License-Identifier: MIT */
/*
 * memfd: - memory without a name, memfd_create(2): a descriptor is all there is, and whoever has it maps it.
 *
 * The descriptor goes to others by fork(2) and execve(2) (tong_region_inherit(), fd:N) or by SCM_RIGHTS.  Its size is
 * sealed: in a named object, which refuses seals, a peer that cuts it short kills with SIGBUS whoever touches what was
 * there.  Sealed memory cannot be cut, so peers need trust each other with nothing but the bytes.
 *
 * As a channel it is a pair of rings between two processes alone (src/ring/private.c), who meet at a socket, look at each
 * other's credentials, and hand over what each of them has sealed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/detail.h"
#include "core/local_name.h"
#include "core/mapped.h"
#include "ring/channel.h"
#include "ring/private.h"

#define LABEL_MAX 249 /* memfd_create(2) */

static int memfd_open(const struct open_request *request, struct region **ret)
{
    const char *label = request->address->name;
    char object[sizeof "memfd:" + LABEL_MAX];
    if (request->address->second || strlen(label) > LABEL_MAX)
        return fail(-EINVAL, "memfd: takes one label of at most %d bytes, which /proc shows and nobody can open it by",
                    LABEL_MAX);
    snprintf(object, sizeof object, "memfd:%s", label);
    struct mapped *mapped;
    int r = mapped_open_nameless(request, object, *label ? label : "tong", &mapped);
    if (r == 0)
        *ret = &mapped->base;
    return r;
}

static const struct option_use options[] = {
    { OPTION_SIZE, 0, 1, INT64_MAX, 0 },
    OPTIONS_END,
};

static const struct region_facet region = {
    .options = options, .open = memfd_open, .lock = mapped_lock, .unlock = mapped_unlock,
    .descriptor = mapped_descriptor, .describe = mapped_describe, .close = mapped_close,
};

static const struct limit limits[] = {
    { "free memory", "bytes", "MemAvailable", limit_memory },
    { "largest message", "bytes", "capacity=1G", ring_channel_largest },
    { "senders at once", "ends", "its layout", ring_channel_places },
    { "receivers at once", "ends", "its layout", ring_channel_places },
    { NULL, NULL, NULL, NULL },
};

const struct mechanism mechanism_memfd = {
    .scheme = "memfd",
    .form = "memfd:PATH, memfd:@NAME, memfd:, memfd:LABEL",
    .summary = "sealed memory: a ring between two who know each other, or a region handed on as a descriptor",
    .medium = "memory",
    .unit = "message; bytes of a region",
    .reach = "one machine: two processes that show who they are; a region: whoever is given its descriptor",
    .order = "a lock-free ring; who must wait sleeps on a futex, then on a FIFO, as event loops do",
    .lifetime = "until its last descriptor and mapping are gone; the path until the two have met",
    .family = "memfd_create(2) with seals: Linux",
    .options = ring_private_options,
    .limits = limits,
    .channels = ring_private_variants,
    .region = &region,
    .open = ring_private_open,
    .remove = local_name_remove,
};
