/* SPDX-License-Identifier: MIT */
/* Making, checking, taking over and removing the names of sockets. */
#include "core/local_name.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/patience.h"
#include "sys/sys.h"
#include "tong/base.h"

int local_name_make(const struct address *address, struct local_name *ret)
{
    struct local_name name = { .address.sun_family = AF_UNIX, .abstract = *address->name == '@' };
    size_t size = strlen(address->name);
    if (address->second)
        return fail(-EINVAL, "%s: a socket goes both ways and has one name (write %%2C for a comma in it)", address->text);
    if (size < 1u + name.abstract)
        return fail(-EINVAL, "%s names no socket: write %s:/some/path or %s:@name", address->text, address->scheme,
                    address->scheme);
    if (size >= sizeof name.address.sun_path)
        return fail(-ENAMETOOLONG, "%.60s...: the name has %zu bytes; a unix socket's holds at most %zu", address->text, size,
                    sizeof name.address.sun_path - 1);
    memcpy(name.address.sun_path, address->name, size);
    if (name.abstract)
        name.address.sun_path[0] = '\0';
    /* an abstract name is exactly its bytes, a path ends with NUL */
    name.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + !name.abstract);
    *ret = name;
    return 0;
}

int local_name_foreign(const char *path, int otherwise)
{
    struct stat status;
    if (sys_lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
        return fail(-EEXIST, "%s exists and is not a socket: choose another name", path);
    return otherwise;
}

/* Asked by a datagram socket: one that listens answers it with -EPROTOTYPE, and does not find a client in its backlog that
 * was never meant. */
bool local_name_is_stale(const struct local_name *name)
{
    int fd = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
    if (fd < 0)
        return false;
    int r = sys_connect(fd, local_name_raw(name), name->size);
    sys_close(fd);
    return r == -ECONNREFUSED;
}

static int open_directory(const char *path)
{
    char directory[sizeof ((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) + (slash == path) : 1;
    memcpy(directory, slash ? path : ".", size);
    directory[size] = '\0';
    return sys_open(directory, O_RDONLY | O_DIRECTORY, 0);
}

/* Anybody who may read the directory can hold its lock, so it is not waited for without end. */
static int lock_directory(int directory)
{
    int64_t deadline = deadline_after(TONG_SECOND);
    int r, paused = 0;
    struct patience patience = PATIENCE_INIT;
    do
        r = sys_flock(directory, LOCK_EX | LOCK_NB);
    while (r == -EAGAIN && (paused = patience_pause(&patience, -1, deadline)) == 0);
    patience_end(&patience);
    return paused == -ETIMEDOUT ? -EBUSY : paused < 0 ? paused : r;
}

/* Under the directory's lock, which everybody who binds by this asks for, what is stale stays so until we have its
 * name. */
int local_name_take_over(int fd, const struct local_name *name)
{
    const char *path = name->address.sun_path;
    int directory = open_directory(path);
    if (directory < 0)
        return fail_call(directory, "the directory of %s", path);
    int r = lock_directory(directory);
    if (r == 0 && local_name_is_stale(name)) {
        r = sys_unlink(path);
        r = r < 0 && r != -ENOENT ? r : sys_bind(fd, local_name_raw(name), name->size);
    } else if (r == 0) {
        r = -EADDRINUSE;
    }
    sys_close(directory);
    return r;
}

int local_name_remove(const struct address *address)
{
    struct local_name name;
    int r = local_name_make(address, &name);
    if (r < 0)
        return r;
    if (name.abstract)
        return fail(-EOPNOTSUPP, "%s: an abstract name goes with its last socket", address->text);
    r = local_name_foreign(name.address.sun_path, 0);
    if (r < 0)
        return r;
    r = sys_unlink(name.address.sun_path);
    return r < 0 ? fail_call(r, "unlink(%s)", name.address.sun_path) : 0;
}
