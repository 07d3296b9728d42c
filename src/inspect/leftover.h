/* SPDX-License-Identifier: MIT */
/* leftover.h - what a snapshot knows of what the dead left behind, so that it can be told later whether it is still that. */
#ifndef INSPECT_LEFTOVER_H
#define INSPECT_LEFTOVER_H

#include "inspect/probe.h"

/* How a file is called between being moved out of the way and being removed: this, eight digits, a dot, and its name. */
#define LEFTOVER_ASIDE ".tong-gc-"
#define LEFTOVER_DIGITS 8

struct leftover {
    uint32_t object;        /* of the finding, or TONG_NOBODY: then its address is `path` */
    uint32_t kind;          /* TONG_KIND_CHANNEL, TONG_KIND_SYSVSHM; TONG_KIND_UNIX: a socket's name; TONG_KIND_FILE: one aside */
    const char *path;
    uint64_t device, inode; /* of what has that path */
    int64_t changed;        /* when it was, in nanoseconds of the epoch; of System V memory, made or given away, in seconds */
    int id;                 /* of System V memory */
    uint64_t channel;       /* id of a channel */
    uint64_t mark;          /* another once anybody came to it: channel_mark, memory_mark */
};

/* The name that it had, within such a name; NULL: it is none. */
const char *leftover_name_before(const char *name);

/* 0: no socket is bound to that name, in any namespace; -EBUSY: one is; else why the kernel does not say. */
int leftover_is_unbound(const char *path);

/* A number that changes whenever anybody joins a channel, leaves it, sends or receives; 0: it cannot be read. */
uint64_t channel_mark(const char *path);

/* The same of System V memory: whoever attaches or detaches. */
struct shmid_ds;
uint64_t memory_mark(const struct shmid_ds *state);

#endif
