/* SPDX-License-Identifier: MIT */
/* sysv_name.h - the names of System V objects: a key, a key made by ftok(3), or an identifier. */
#ifndef CORE_SYSV_NAME_H
#define CORE_SYSV_NAME_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/address.h"

struct sysv_name {
    bool is_id; /* id names an object that exists; else key does, perhaps */
    int id;
    key_t key;
};

/* Takes "1234", "0x4d2", "PATH#proj" or "id=N" apart.  -EINVAL; -ENOENT and others for the PATH of ftok. */
int sysv_name_parse(const struct address *address, struct sysv_name *ret);

/* Words for an object that was there and is not: returns -EIDRM. */
int sysv_removed(const char *object);

#endif
