/* SPDX-License-Identifier: MIT */
/* names.h - POSIX message queues, which descriptors lead to as names do (probe_names.c). */
#ifndef INSPECT_NAMES_H
#define INSPECT_NAMES_H

#include "inspect/probe.h"

/* Whether that file lies in a file system of POSIX message queues.  It is not opened for that. */
bool names_are_queues(int directory, const char *name);

/* What is in the queue and what fits, by opening it for reading, which takes nothing out of it.  own: it is of the
 * caller's IPC namespace, where its name leads to it. */
void names_describe_queue(struct scan *scan, uint32_t object, bool own, int directory, const char *name);

#endif
