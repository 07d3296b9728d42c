/* SPDX-License-Identifier: MIT */
/* leftover.h - by kind, whether this user may remove it: 0, or -EACCES, -EPERM and why; -EOPNOTSUPP: only trying it tells; or
 * what asking it fails with. */
#ifndef LEFTOVER_LEFTOVER_H
#define LEFTOVER_LEFTOVER_H

#include "inspect/leftover.h"

#define LEFTOVER_PATH 4200

int may_remove_channel(const struct leftover *leftover);
int may_remove_memory(const struct leftover *leftover);
int may_remove_name(const struct leftover *leftover);

#endif
