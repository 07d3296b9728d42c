/* SPDX-License-Identifier: MIT */
/* Whether the process that an identity names still runs. */
#include <errno.h>

#include "base/detail.h"
#include "core/process.h"
#include "tong/base.h"

int tong_identity_alive(const tong_identity *identity)
{
    if (!identity || identity->pid <= 0)
        return fail(-ENODATA, "the identity does not name a process that is visible from here");
    return process_alive((pid_t)identity->pid, identity->start_time);
}
