/* SPDX-License-Identifier: MIT */
/* alike.h - two looks at the same processes, which hold still, must tell the same, whoever told it. */
#ifndef TEST_INSPECT_ALIKE_H
#define TEST_INSPECT_ALIKE_H

#include <sys/types.h>

#include "tong/inspect.h"

/*
 * The ends, objects, watches and waits of those processes.  That more ends are known to be hidden, that a wait has other
 * wakers, and how sure it is, may differ: there BPF knows more.  So may the number by which a description goes.
 */
void alike(const tong_snapshot *one, const tong_snapshot *other, const pid_t *pids, int count);

#endif
