/* SPDX-License-Identifier: MIT */
/* The only list of mechanisms, in the order in which `tong explain` and `tong demo` show them. */
#include <stddef.h>

#include "core/mechanism.h"

extern const struct mechanism mechanism_file, mechanism_pipe, mechanism_fd, mechanism_fifo, mechanism_unix, mechanism_msgq,
    mechanism_shm, mechanism_sem, mechanism_sysvsem;

const struct mechanism *const mechanism_table[] = {
    &mechanism_file,
    &mechanism_pipe,
    &mechanism_fd,
    &mechanism_fifo,
    &mechanism_unix,
    &mechanism_msgq,
    &mechanism_shm,
    &mechanism_sem,
    &mechanism_sysvsem,
    NULL,
};
