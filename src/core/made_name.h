/* SPDX-License-Identifier: MIT */
/* made_name.h - a path that this process made and removes again, unless it is another's by then. */
#ifndef CORE_MADE_NAME_H
#define CORE_MADE_NAME_H

#include <stdbool.h>
#include <sys/types.h>

/* The path, owned, or NULL; and what stood there when it was noted. */
struct made_name {
    char *path;
    dev_t device;
    ino_t inode;
};

/* Notes what stands at `path` now.  -ENOMEM, or why it cannot be looked at. */
int made_name_note(struct made_name *name, const char *path);

/* The same of a file that was opened or made at `path`: this very file, whatever stands there by now. */
int made_name_note_open(struct made_name *name, const char *path, int fd);

/* Removes the path if it still is what was noted.  To be called while that is open, so that its inode cannot have
 * been used again. */
void made_name_remove(const struct made_name *name);

/* Whether the path still is what was noted. */
bool made_name_stands(const struct made_name *name);

void made_name_free(struct made_name *name);

/* Gives a finished file that has no name (O_TMPFILE) its first one, atomically: whoever finds the name finds a finished
 * file.  -EEXIST, without words, when something stands there. */
int made_name_give(int fd, const char *path);

#endif
