/* SPDX-License-Identifier: MIT */
/* A directory of our own. */
#include "directory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int directory_make(const char *word, char ret[DIRECTORY_MAX])
{
    const char *base = getenv("TMPDIR");
    if (!base || !*base || strlen(base) + strlen(word) > DIRECTORY_MAX - sizeof "/tong--XXXXXX")
        base = "/tmp";
    snprintf(ret, DIRECTORY_MAX, "%s/tong-%s-XXXXXX", base, word);
    if (mkdtemp(ret))
        return 0;
    int r = -errno;
    *ret = '\0';
    return r;
}

void directory_remove(const char *path)
{
    DIR *directory = *path ? opendir(path) : NULL;
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    rmdir(path);
}
