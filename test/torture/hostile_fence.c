/* SPDX-License-Identifier: MIT */
/*
 * Every mapping that is made in this program lies between two pages that nobody may touch: AddressSanitizer knows nothing
 * of mappings, and what lies beside one could be another.  These stand before the calls of the C library.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FENCED 512

static char *fenced[FENCED]; /* mappings with a page before and one behind; of this process, which has one thread */

static void *map(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, at);
}

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t rounded(size_t size)
{
    return (size + page_size() - 1) & ~(page_size() - 1);
}

static char **slot_of(const char *address)
{
    for (int i = 0; i < FENCED; i++)
        if (fenced[i] == address)
            return &fenced[i];
    return NULL;
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
    char **slot = address || flags & MAP_FIXED ? NULL : slot_of(NULL);
    if (!slot)
        return map(address, size, protection, flags, fd, at);
    char *fence = map(NULL, rounded(size) + 2 * page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fence == MAP_FAILED)
        return MAP_FAILED;
    void *inside = map(fence + page_size(), size, protection, flags | MAP_FIXED, fd, at);
    int error = errno;
    if (inside == MAP_FAILED)
        syscall(SYS_munmap, fence, rounded(size) + 2 * page_size());
    else
        *slot = inside;
    errno = error;
    return inside;
}

int munmap(void *address, size_t size)
{
    char **slot = address ? slot_of(address) : NULL;
    if (!slot)
        return (int)syscall(SYS_munmap, address, size);
    char *fence = *slot - page_size();
    *slot = NULL;
    return (int)syscall(SYS_munmap, fence, rounded(size) + 2 * page_size());
}
