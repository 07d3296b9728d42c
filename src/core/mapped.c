/* SPDX-License-Identifier: MIT */
/*
 * Mapped files.
 *
 * Traps dealt with here: mmap(2) refuses a size of 0, but an empty region is one that can be read: it has no memory.
 * A mapping ends at the size that the file had when it was opened; if another process cuts the file, touching what is
 * behind is SIGBUS (only sealed memory is safe from that).  A page that is mapped of a file that ends within it can be
 * written to its end, and nothing of that reaches the file: the region's size is the file's.  mincore(2) tells whoever
 * neither owns a file nor may write it that all of it is in memory, whatever is: then it is unknown.
 */
#include "core/mapped.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/detail.h"
#include "sys/sys.h"

#define LOOK_PAGES 4096 /* asked about at once */

/* ---- Opening --------------------------------------------------------------------------------------------- */

static int map(struct mapped *mapped)
{
    struct region *region = &mapped->base;
    struct stat status;
    int r = sys_fstat(mapped->fd, &status);
    if (r < 0)
        return fail_call(r, "%s: fstat", region->object);
    if ((uint64_t)status.st_size > PTRDIFF_MAX)
        return fail(-EFBIG, "%s: %llu bytes are more than this process can map", region->object,
                    (unsigned long long)status.st_size);
    region->size = (size_t)status.st_size;
    int protection = PROT_READ | (region->flags & TONG_WRITE ? PROT_WRITE : 0);
    if (region->size)
        region->data = sys_mmap(region->size, protection, MAP_SHARED, mapped->fd, 0, &r);
    return r < 0 ? fail_call(r, "%s: mmap(%zu bytes)", region->object, region->size) : 0;
}

int mapped_new(const struct open_request *request, const char *object, int fd, bool lent, struct mapped **ret)
{
    struct mapped *mapped = malloc(sizeof *mapped);
    char *words = strdup(object);
    if (!mapped || !words) {
        free(mapped);
        free(words);
        sys_close(lent ? -1 : fd);
        return fail(-ENOMEM, "%s: out of memory", object);
    }
    *mapped = (struct mapped){
        .base = { request->mechanism->region, request->mechanism, request->flags, words, NULL, 0 },
        .fd = fd, .lent = lent, .lock = FILE_LOCK_INIT(fd),
    };
    int r = map(mapped);
    if (r < 0) {
        mapped_close(&mapped->base, false);
        return r;
    }
    *ret = mapped;
    return 0;
}

/* ---- By name --------------------------------------------------------------------------------------------- */

/* Who finds a file without a byte (another program is just making it, or it was made for its lock) gives it the bytes:
 * nobody can have mapped any, and fallocate(2) never takes one away. */
static int check_or_fill(const struct open_request *request, const char *object, int fd)
{
    const struct address *address = request->address;
    struct stat status;
    int r = sys_fstat(fd, &status);
    if (r < 0)
        return fail_call(r, "%s: fstat", object);
    uint64_t size = (uint64_t)status.st_size, asked = (uint64_t)address->value[OPTION_SIZE];
    if (size >= asked)
        return 0;
    if (size == 0 && request->flags & TONG_WRITE && address->value[OPTION_CREATE] == CREATE_YES)
        return named_file_fill(object, fd, 0, asked);
    return fail(-EOVERFLOW, "%s: is there and has %llu bytes; size=%llu is more: open it without size=, or remove it first",
                object, (unsigned long long)size, (unsigned long long)asked);
}

/* How `file` is to be opened for this request: only a writer who says how large it shall be may make it. */
static int plan(const struct open_request *request, struct named_file *file)
{
    const struct address *address = request->address;
    bool writes = request->flags & TONG_WRITE;
    if (address->value[OPTION_CREATE] == CREATE_EXCL && (!writes || !address->value[OPTION_SIZE]))
        return fail(-EINVAL, "%s: create=excl makes it, so open it to write and say how many bytes: size=4K", file->object);
    file->flags = writes ? O_RDWR : O_RDONLY;
    file->size = (uint64_t)address->value[OPTION_SIZE];
    file->create = writes && file->size ? address->value[OPTION_CREATE] : CREATE_NO;
    file->mode = (mode_t)address->value[OPTION_MODE];
    return 0;
}

static int open_planned(const struct open_request *request, const struct named_file *file, bool *ret_made)
{
    int fd = named_file_open(file, ret_made);
    if (fd == -ENOENT && request->flags & TONG_WRITE && file->create == CREATE_NO && !file->size)
        return fail(fd, "%s: does not exist; who writes makes it with size=, as in ?size=4K", file->object);
    return fd;
}

int mapped_open_named(const struct open_request *request, const struct named_file *wanted, struct region **ret)
{
    struct named_file file = *wanted;
    struct made_name made = { .path = NULL };
    struct mapped *mapped = NULL;
    bool fresh = false;
    int r = plan(request, &file), fd = r < 0 ? r : open_planned(request, &file, &fresh);
    if (fd < 0)
        return fd;
    if (!fresh)
        r = check_or_fill(request, file.object, fd);
    else if (request->address->value[OPTION_REMOVE] == REMOVE_OWNER)
        r = made_name_note_open(&made, file.path, fd);
    if (r < 0)
        sys_close(fd);
    else
        r = mapped_new(request, file.object, fd, false, &mapped);
    if (r < 0) {
        made_name_free(&made);
        if (fresh)
            sys_unlink(file.path);
        return r;
    }
    mapped->made = made;
    mapped->base.flags |= fresh ? TONG_INFO_CREATED : 0;
    *ret = &mapped->base;
    return 0;
}

/* ---- Without a name -------------------------------------------------------------------------------------- */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3; vm.memfd_noexec may demand it */
#endif
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int new_memory(const char *object, const char *label, uint64_t size)
{
    int fd = sys_memfd(label, MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd == -EINVAL)
        fd = sys_memfd(label, MFD_ALLOW_SEALING);
    if (fd < 0)
        return fail_call(fd, "%s: memfd_create", object);
    int r = named_file_fill(object, fd, 0, size);
    if (r == 0 && (r = sys_fcntl_int(fd, F_ADD_SEALS, SEALS)) < 0)
        r = fail_call(r, "%s: fcntl(F_ADD_SEALS)", object);
    if (r == 0)
        return fd;
    sys_close(fd);
    return r;
}

int mapped_open_nameless(const struct open_request *request, const char *object, const char *label, struct mapped **ret)
{
    uint64_t size = (uint64_t)request->address->value[OPTION_SIZE];
    if (!(request->flags & TONG_WRITE) || !size)
        return fail(-EINVAL, "%s: has no name by which it could be there already: open it to write, and say how many bytes: "
                    "size=4K", object);
    int fd = new_memory(object, label, size);
    int r = fd < 0 ? fd : mapped_new(request, object, fd, false, ret);
    if (r == 0)
        (*ret)->base.flags |= TONG_INFO_CREATED;
    return r;
}

/* ---- The calls ------------------------------------------------------------------------------------------- */

int mapped_lock(struct region *region, int64_t deadline)
{
    return file_lock_take(&((struct mapped *)region)->lock, region->object, deadline);
}

int mapped_unlock(struct region *region)
{
    return file_lock_release(&((struct mapped *)region)->lock, region->object);
}

int mapped_sync(struct region *region, size_t offset, size_t size)
{
    size_t before = offset % (size_t)sysconf(_SC_PAGESIZE); /* msync(2) wants whole pages */
    int r = size ? sys_msync((char *)region->data + offset - before, size + before, MS_SYNC) : 0;
    return r < 0 ? fail_call(r, "%s: msync", region->object) : 0;
}

int mapped_descriptor(struct region *region)
{
    return ((struct mapped *)region)->fd;
}

uint64_t mapped_resident(const struct region *region)
{
    unsigned char pages[LOOK_PAGES];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), resident = 0;
    for (size_t at = 0; at < region->size; at += LOOK_PAGES * page) {
        size_t size = region->size - at < LOOK_PAGES * page ? region->size - at : LOOK_PAGES * page;
        if (sys_mincore((char *)region->data + at, size, pages) < 0)
            return TONG_UNKNOWN;
        for (size_t i = 0; i < (size + page - 1) / page; i++)
            resident += pages[i] & 1 ? page : 0;
    }
    return resident;
}

static bool learns_residence(const struct mapped *mapped, const struct stat *status)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", mapped->fd);
    return mapped->base.flags & TONG_WRITE || status->st_uid == geteuid() || sys_eaccess(path, W_OK) == 0;
}

int mapped_describe(struct region *region, tong_region_info *ret)
{
    struct mapped *mapped = (struct mapped *)region;
    struct stat status;
    int r = sys_fstat(mapped->fd, &status);
    if (r < 0)
        return fail_call(r, "%s: fstat", region->object);
    ret->mode = status.st_mode & 07777;
    ret->uid = status.st_uid;
    ret->resident = learns_residence(mapped, &status) ? mapped_resident(region) : TONG_UNKNOWN;
    file_lock_holder(mapped->fd, &ret->holder);
    return 0;
}

int mapped_close(struct region *region, bool forked)
{
    struct mapped *mapped = (struct mapped *)region;
    if (!forked)
        made_name_remove(&mapped->made);
    made_name_free(&mapped->made);
    file_lock_close(&mapped->lock);
    sys_munmap(region->data, region->size);
    sys_close(mapped->lent ? -1 : mapped->fd);
    free(region->object);
    free(mapped);
    return 0;
}
