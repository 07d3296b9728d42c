/* SPDX-License-Identifier: MIT */
/* finding.h - adding what is wrong with one object, and asking whether its users are dead. */
#ifndef INSPECT_FINDING_H
#define INSPECT_FINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "inspect/probe.h"

/* Adds one; all strings are static or the snapshot's. */
void finding_add(struct scan *scan, uint32_t kind, uint32_t certainty, uint32_t object, const char *address,
                 const char *summary, const char *proof, const char *advice);

/* "msgq key 0x4d2" */
const char *finding_title(struct scan *scan, const tong_object *object);

/* No process, and no thread, of this number is there.  0 is one that cannot be named here, of another pid namespace. */
bool finding_is_dead(struct scan *scan, int64_t pid);

/* A file beside a channel of tong, "PATH.0123456789abcdef.bell", which is told of as that channel. */
bool finding_is_part(const char *name);

/* An orphan that is told of as a leftover, with what speaks for that, and so not as an orphan, nor as full. */
bool finding_is_leftover(struct scan *scan, const tong_object *object);

#endif
