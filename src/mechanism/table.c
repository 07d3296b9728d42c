/* SPDX-License-Identifier: MIT */
/* The only list of mechanisms, in the order in which `tong explain` and `tong demo` show them. */
#include <stddef.h>

#include "core/mechanism.h"

extern const struct mechanism msgq_mechanism;

const struct mechanism *const mechanism_table[] = {
    &msgq_mechanism,
    NULL,
};
