/* SPDX-License-Identifier: MIT */
/* areas.h - what a process has mapped that others may map, too. */
#ifndef INSPECT_AREAS_H
#define INSPECT_AREAS_H

#include "inspect/proc.h"

struct area {
    uint64_t from, to;
    uint64_t device, inode;
    uint32_t direction; /* TONG_RECEIVE: it may be read, TONG_SEND: written */
    const char *path;   /* lives until `each` returns */
};

/* Calls `each` with every shared area, until it returns what is not 0; `name` leads from `directory` to /proc/PID/maps. */
int areas_shared(struct proc *proc, int directory, const char *name,
                 int (*each)(void *context, const struct area *area), void *context);

#endif
