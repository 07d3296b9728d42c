/* SPDX-License-Identifier: MIT */
/* reach.h - what a path of another process leads to, as far as finding out cannot mean waiting for somebody. */
#ifndef INSPECT_REACH_H
#define INSPECT_REACH_H

#include "inspect/probe.h"

/* Opens what a thread would by that path (O_PATH), from `directory`, one of its descriptors or AT_FDCWD.  -EREMOTE: the
 * way leads through a file system that may have a server, or nobody knows through which. */
int reach(struct scan *scan, int64_t tid, int directory, const char *path);

#endif
