/* SPDX-License-Identifier: MIT */
/* areas.h - areas of a process's memory, from its maps; `name` leads from `directory` to /proc/PID/maps. */
#ifndef INSPECT_AREAS_H
#define INSPECT_AREAS_H

#include "inspect/proc.h"

struct area {
    uint64_t from, to, offset; /* offset: of the file, where the area begins */
    uint64_t device, inode;
    uint32_t direction;        /* TONG_RECEIVE: it may be read, TONG_SEND: written */
    bool shared;
    const char *path;          /* lives until `each` returns */
};

/* Calls `each` with every shared area, until it returns what is not 0. */
int areas_shared(struct proc *proc, int directory, const char *name,
                 int (*each)(void *context, const struct area *area), void *context);

/* The same with the area in which an address lies, if there is one. */
int areas_at(struct proc *proc, int directory, const char *name, uint64_t at,
             int (*each)(void *context, const struct area *area), void *context);

#endif
