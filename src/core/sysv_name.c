/* SPDX-License-Identifier: MIT */
/*
 * Names of System V objects.  Keys are 32 bits and signed: ipcs prints them in hexadecimal, programs write
 * them in decimal, and ftok(3) makes those of projects from 128 on negative.  "PATH#5" is project 5, as
 * ftok(path, 5) in C; the character is written as its number, "PATH#53".
 */
#include "core/sysv_name.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>

#include "base/detail.h"
#include "sys/sys.h"

static bool parse_number(const char *text, long long low, long long high, long long *ret)
{
    char *end;
    int base = !strncmp(text, "0x", 2) ? 16 : 10;
    errno = 0;
    *ret = strtoll(text, &end, base);
    return *text && strchr("-0123456789", *text) && !*end && !errno && *ret >= low && *ret <= high;
}

static int parse_project(const struct address *address, const char *text, int *ret)
{
    long long number;
    if (parse_number(text, 1, UCHAR_MAX, &number))
        *ret = (int)number;
    else if (text[0] && !text[1] && text[0] != '0')
        *ret = (unsigned char)text[0];
    else
        return fail(-EINVAL, "%s: '#%.40s' is not a project for ftok: write one character, or a number from 1 to 255",
                    address->scheme, text);
    return 0;
}

static int key_of_path(const struct address *address, const char *hash, key_t *ret)
{
    char path[PATH_MAX];
    int project = 0, r = parse_project(address, hash + 1, &project);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "%.*s", (int)(hash - address->name), address->name);
    r = sys_ftok(path, project, ret);
    return r < 0 ? fail_call(r, "%s: ftok(%s), which takes the key from a file that exists", address->scheme, path) : 0;
}

static int parse_id(const struct address *address, const char *text, struct sysv_name *ret)
{
    long long number;
    if (!parse_number(text, 0, INT_MAX, &number))
        return fail(-EINVAL, "%s: '%.40s' is not an identifier as ipcs shows it", address->scheme, text);
    ret->is_id = true;
    ret->id = (int)number;
    return 0;
}

static int parse_key(const struct address *address, key_t *ret)
{
    const char *hash = strrchr(address->name, '#');
    long long number;
    int r = hash ? key_of_path(address, hash, ret) : 0;
    if (r < 0)
        return r;
    if (!hash && !parse_number(address->name, INT_MIN, UINT_MAX, &number))
        return fail(-EINVAL, "%s: '%.40s' is not a key: write a number such as 1234 or 0x4d2, PATH#proj, or id=N",
                    address->scheme, address->name);
    if (!hash)
        *ret = (key_t)(uint32_t)number;
    if (*ret == IPC_PRIVATE)
        return fail(-EINVAL, "%s: key 0 is IPC_PRIVATE, an object that nobody else could find: use another key",
                    address->scheme);
    return 0;
}

int sysv_name_parse(const struct address *address, struct sysv_name *ret)
{
    *ret = (struct sysv_name){ false, -1, IPC_PRIVATE };
    if (address->second)
        return fail(-EINVAL, "%s: one object serves all who use it: give one key", address->scheme);
    return strncmp(address->name, "id=", 3) ? parse_key(address, &ret->key) : parse_id(address, address->name + 3, ret);
}

int sysv_removed(const char *object)
{
    return fail(-EIDRM, "%s was removed: by tong rm or ipcrm, or by logind when its user logged out (RemoveIPC=yes in "
                "logind.conf)", object);
}
