/* SPDX-License-Identifier: MIT */
/* The only list of mechanisms, in the order in which `tong explain` and `tong demo` show them. */
#include <stddef.h>

#include "core/mechanism.h"

const struct mechanism *const mechanism_table[] = {
    NULL,
};
