/* SPDX-License-Identifier: MIT */
/* The only list of mechanisms, in the order in which `tong explain` and `tong demo` show them. */
#include <stddef.h>

#include "core/mechanism.h"

#define MECHANISMS(each) \
    each(file) \
    each(pipe) \
    each(fd) \
    each(fifo) \
    each(unix) \
    each(tcp) \
    each(udp) \
    each(msgq) \
    each(mq) \
    each(shm) \
    each(memfd) \
    each(sysvshm) \
    each(mmap) \
    each(signal) \
    each(sem) \
    each(sysvsem)

#define DECLARE(name) extern const struct mechanism mechanism_##name;
#define ENTER(name) &mechanism_##name,

MECHANISMS(DECLARE)

const struct mechanism *const mechanism_table[] = { MECHANISMS(ENTER) NULL };
