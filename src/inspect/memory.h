/* SPDX-License-Identifier: MIT */
/* memory.h - the memory of another process, as far as reading it cannot mean waiting for somebody. */
#ifndef INSPECT_MEMORY_H
#define INSPECT_MEMORY_H

#include "inspect/probe.h"

/* What a thread has at an address: how much was read, or -EFAULT: nothing is mapped there; -EREMOTE: to
 * read it could wait for the server of a file system, or for who brings pages; or why it may not be read.  `cut`: up to there is enough. */
ssize_t memory_read(struct scan *scan, int64_t tid, uint64_t at, void *ret, size_t size, bool cut);

#endif
