/* SPDX-License-Identifier: MIT */
/* Making, sealing and checking segments that have no name. */
#include "ring/sealed.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/detail.h"
#include "core/named_file.h"
#include "sys/sys.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux 5.1 */
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static int new_memory(const char *object)
{
    int fd = sys_memfd("tong", MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd == -EINVAL)
        fd = sys_memfd("tong", MFD_ALLOW_SEALING);
    return fd < 0 ? fail_call(fd, "%s: memfd_create", object) : fd;
}

static int fill(const char *object, int fd, const struct layout_header *header, unsigned lanes)
{
    int r = sys_fchmod(fd, 0600);
    if (r < 0)
        return fail_call(r, "%s: fchmod", object);
    r = named_file_fill(object, fd, 0, layout_touched_size(header));
    if (r == 0 && lanes > 0)
        r = named_file_fill(object, fd, header->data_offset, lanes * header->capacity);
    if (r == 0 && (r = sys_ftruncate(fd, (off_t)header->file_size)) < 0)
        r = fail_call(r, "%s: ftruncate", object);
    if (r < 0)
        return r;
    ssize_t written = sys_write(fd, header, sizeof *header);
    return written == (ssize_t)sizeof *header ? 0 : fail_call(written < 0 ? (int)written : -EIO, "%s: write", object);
}

int ring_sealed_make(const char *object, uint32_t kind, const struct layout_shape *shape, unsigned lanes)
{
    struct layout_header header;
    layout_prepare(&header, kind, shape);
    int fd = new_memory(object);
    int r = fd < 0 ? fd : fill(object, fd, &header, lanes);
    if (r == 0)
        return fd;
    sys_close(fd);
    return r;
}

int ring_sealed_open_again(int fd, int flags)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int again = sys_open(self, flags | O_NOCTTY, 0);
    return again < 0 ? fail_call(again, "open(%s), once more", self) : again;
}

int ring_sealed_seal(const char *object, int fd)
{
    int r = sys_fcntl_int(fd, F_ADD_SEALS, SEALS);
    if (r == -EINVAL)
        return fail(-EOPNOTSUPP, "%s: this kernel cannot seal memory against writing (F_SEAL_FUTURE_WRITE, Linux 5.1): use shm:",
                    object);
    return r < 0 ? fail_call(r, "%s: sealing its memory", object) : ring_sealed_open_again(fd, O_RDONLY);
}

int ring_sealed_check(const char *object, int fd, uint32_t kind, struct layout_shape *ret)
{
    struct stat status;
    struct layout_header header;
    int seals = sys_fcntl_int(fd, F_GET_SEALS, 0);
    if (seals == -EINVAL || seals == -EBADF || (seals >= 0 && (seals & SEALS) != SEALS))
        return fail(-EPROTO, "%s: what the other end handed over is not sealed memory: it is not used", object);
    int r = seals < 0 ? seals : sys_fstat(fd, &status);
    ssize_t size = r < 0 ? r : sys_pread(fd, &header, sizeof header, 0);
    if (size == -EBADF || (size >= 0 && (!S_ISREG(status.st_mode) || size < (ssize_t)sizeof header)))
        return fail(-EPROTO, "%s: what the other end handed over cannot be read: it is not used", object);
    if (size < 0)
        return fail_call((int)size, "%s: looking at what the other end handed over", object);
    const char *refusal = layout_refusal(&header, kind, (uint64_t)status.st_size);
    if (!refusal && (header.deliver != LAYOUT_ONE || header.features))
        refusal = "it is not of a channel between two";
    if (refusal)
        return fail(-EPROTO, "%s: what the other end handed over is refused: %s", object, refusal);
    *ret = layout_shape_of(&header);
    return 0;
}
