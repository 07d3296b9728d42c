/* SPDX-License-Identifier: MIT */
/*
 * guarded.h - mappings of files that others may cut short, and what is done about it where the caller asked for it.
 *
 * Touching a page behind the end of the file is SIGBUS.  tong_guard_sigbus() installs a handler that lays zero pages over
 * the mapping and sets the flag of whoever made it, who turns it into an error.
 */
#ifndef CORE_GUARDED_H
#define CORE_GUARDED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Notes a mapping; *ret_cut is set when it was repaired.  -ENOMEM. */
int guarded_add(void *start, size_t size, _Atomic bool *ret_cut);

/* Before it is unmapped.  NULL and what was not noted are allowed. */
void guarded_remove(const void *start);

/* Whether `address` lies in a mapping that was noted: it is all zero pages now.  Async-signal-safe. */
bool guarded_repair(const void *address);

#endif
