/* SPDX-License-Identifier: MIT */
/* identity.h - the same thing in two snapshots: equal hashes of what tells it from all others of its kind. */
#ifndef TOOL_SIGHT_IDENTITY_H
#define TOOL_SIGHT_IDENTITY_H

#include <stdint.h>

#include "tong/inspect.h"

uint64_t identity_of_object(const tong_object *object);
uint64_t identity_of_process(const tong_process *process);
uint64_t identity_of_wait(const tong_snapshot *snapshot, const tong_wait_seen *wait);

/* Of who is stuck the threads and what they wait for, else the object and what is to be removed. */
uint64_t identity_of_finding(const tong_snapshot *snapshot, const tong_finding *finding);

/* Of a path that is in a finding only. */
uint64_t identity_of_name(const char *name);

#endif
