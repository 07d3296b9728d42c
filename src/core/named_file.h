/* SPDX-License-Identifier: MIT */
/* named_file.h - opening a regular file by its path, or making it whole: never half made, never by way of a link. */
#ifndef CORE_NAMED_FILE_H
#define CORE_NAMED_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct named_file {
    const char *object; /* "shm:jobs", for words */
    const char *path;
    int flags;          /* O_RDONLY or O_RDWR, perhaps O_APPEND */
    int64_t create;     /* CREATE_... of core/address.h; CREATE_NO: it must exist */
    mode_t mode;        /* of a new one, whatever the umask is */
    uint64_t size;      /* bytes of a new one, all of them there */
    bool durable;       /* the name of a new one is on the disk, too */
    bool own;           /* refuses one of another user, -EACCES */
};

/*
 * Returns a descriptor; *ret_made says whether this call made the file.  Who finds the name finds a file of the right
 * mode and size, on file systems that have O_TMPFILE; elsewhere it may be seen empty for a moment.
 * -ENOENT, -EEXIST (also: no regular file), -ELOOP, -EACCES, -ENOSPC ...
 */
int named_file_open(const struct named_file *file, bool *ret_made);

/* Reserves bytes [start, start + size) of a file, all 0, and makes it as long, as named_file_open() does with a new one.
 * -ENOSPC with the bytes that are free; -EFBIG. */
int named_file_fill(const char *object, int fd, uint64_t start, uint64_t size);

/* Waits until the name is on the disk: what its directory holds. */
int named_file_sync_name(const char *object, const char *path);

/* Removes the path if a regular file stands there.  -ENOENT, -EEXIST. */
int named_file_remove(const char *object, const char *path);

#endif
