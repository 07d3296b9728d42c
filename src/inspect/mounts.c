/* SPDX-License-Identifier: MIT */
/* A file system that is in neither table is taken for one that has a server. */
#include "inspect/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "inspect/proc.h"

static const struct { const char *type; enum where where; } known[] = {
    { "bcachefs", LOCAL }, { "btrfs", LOCAL }, { "devtmpfs", MEMORY }, { "erofs", LOCAL }, { "exfat", LOCAL },
    { "ext2", LOCAL }, { "ext3", LOCAL }, { "ext4", LOCAL }, { "f2fs", LOCAL }, { "hugetlbfs", MEMORY },
    { "iso9660", LOCAL }, { "jfs", LOCAL }, { "minix", LOCAL }, { "msdos", LOCAL }, { "nilfs2", LOCAL },
    { "nsfs", MEMORY }, { "ntfs3", LOCAL }, { "overlay", LAYERED }, { "ramfs", MEMORY }, { "reiserfs", LOCAL }, { "rootfs", MEMORY },
    { "squashfs", LOCAL }, { "tmpfs", MEMORY }, { "ubifs", LOCAL }, { "udf", LOCAL }, { "vfat", LOCAL },
    { "xfs", LOCAL }, { "zfs", LOCAL },
};

static enum where where_of(const char *type)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].type, type))
            return known[i].where;
    return ELSEWHERE;
}

/* "\040" is how mountinfo writes a blank. */
static void unescape(const char *text, char *ret, size_t size)
{
    size_t at = 0;
    for (; *text && *text != ' ' && at + 1 < size; at++)
        if (*text == '\\' && strspn(text + 1, "01234567") >= 3) {
            ret[at] = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
            text += 4;
        } else
            ret[at] = *text++;
    ret[at] = '\0';
    if (!strcmp(ret, "/"))
        *ret = '\0';
}

/* "22 27 0:21 / /proc rw,relatime shared:1 - proc proc rw": optional fields end with a single "-". */
int mounts_parse(const char *line, struct mount *ret)
{
    unsigned first, second;
    char type[32];
    const char *behind = strstr(line, " - ");
    if (!behind || sscanf(line, "%*d %*d %u:%u", &first, &second) != 2 || sscanf(behind, " - %31s", type) != 1)
        return -EINVAL;
    ret->device = makedev(first, second);
    ret->where = where_of(type);
    unescape(proc_word(line, 4), ret->point, sizeof ret->point);
    return 0;
}
