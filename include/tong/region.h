/* SPDX-License-Identifier: MIT */
/*
 * tong/region.h - a region is memory that processes share: plain bytes at an address, nothing of ours in them.
 *
 *     tong_region *r;
 *     if (tong_region_open("sysvshm:1234?size=4K&mode=0666", TONG_READ | TONG_WRITE, &r) == 0)
 *         strcpy(tong_region_data(r), "hello");
 *
 * A C program with shmget(1234), or Python, sees the same bytes.  After opening, no access needs the kernel; and
 * nobody synchronises: tong_region_lock() does, or a semaphore (tong/semaphore.h).
 *
 * Threads.  The mapping belongs to the process.  The lock belongs to the handle: threads that shall exclude each
 * other open the region once each.
 *
 * fork.  A child inherits the mapping and may use the memory at once.  It does not inherit a lock that its parent
 * holds; its own tong_region_lock() competes with the parent's.
 */
#ifndef TONG_REGION_H
#define TONG_REGION_H

#include <tong/base.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tong_region tong_region;

#define TONG_READ UINT32_C(0x1)
#define TONG_WRITE UINT32_C(0x2)

/*
 * Opens, and if it is missing makes (option `create`, `mode`, 0600), the region that `address` names and maps all of
 * it.  flags: TONG_READ, or TONG_READ | TONG_WRITE; only a writer makes one, and then `size=` says how many bytes,
 * all of them 0 and all of them there (a full file system is -ENOSPC now, never SIGBUS later).  An empty file, which
 * has none, gets them too, unless create=no.  The caller closes it.
 *
 * Errors: -EINVAL the address or `size`; -ENOENT; -EEXIST create=excl and it exists, or it is of another kind;
 * -EACCES; -EOPNOTSUPP the mechanism has no regions; -ENOSPC, -ENOMEM, -EMFILE; -EFBIG RLIMIT_FSIZE; -EOVERFLOW
 * it is smaller than the `size=` asked; -EBUSY others make and remove it all the time.  shm_open(3), shmget(2), mmap(2), memfd_create(2).
 */
int tong_region_open(const char *address, uint32_t flags, tong_region **ret);

/* Unmaps, lets go of the lock, frees; NULL is allowed.  The object stays, as option `remove` says.  0 or an error. */
int tong_region_close(tong_region *region);

/* Where the bytes are (page-aligned, different in every process; NULL when there are none), and how many. */
void *tong_region_data(const tong_region *region);
size_t tong_region_size(const tong_region *region);

/*
 * Takes the region's lock, which one handle holds at a time, among all processes; waits until `timeout`.  When its
 * holder dies the kernel gives it to the next.  Advisory: memory can be touched without it.  It is the lock that
 * tong_lock_open() of the same address gives (tong/lock.h: flock(2), or a semaphore with SEM_UNDO beside sysvshm:), and
 * who may only read takes it too, but on sysvshm:.  -EAGAIN, -ETIMEDOUT, -EINTR as tong_lock_take(); -EDEADLK this handle
 * holds it, or is just taking it in another thread; -EACCES; on sysvshm: -EIDRM it was removed, -EEXIST the set is
 * another program's, -ENOSPC no more sets can be made, -EOPNOTSUPP a segment without a key.
 */
int tong_region_lock(tong_region *region, int64_t timeout);

/* Gives it back.  -EPERM this handle does not hold it (a forked child: its parent may); -EIDRM it was removed
 * meanwhile, and others may have come in. */
int tong_region_unlock(tong_region *region);

/* Waits until bytes [offset, offset + size) of a mapped file are on its disk, msync(2).  -EOPNOTSUPP where memory is
 * all there is; -ERANGE outside the region. */
int tong_region_sync(tong_region *region, size_t offset, size_t size);

/* The descriptor that others map as "fd:N" when they inherit or are sent it; it stays the region's.  -EOPNOTSUPP. */
int tong_region_descriptor(tong_region *region);

/* For a program about to be executed: as tong_channel_inherit(), between fork and exec. */
int tong_region_inherit(tong_region *region, char *ret_address, size_t size);

typedef struct tong_region_info {
    uint32_t size;        /* sizeof(tong_region_info) */
    uint32_t flags;       /* TONG_READ, TONG_WRITE, TONG_INFO_CREATED */
    uint64_t bytes;       /* of the region */
    uint64_t page;        /* bytes of a page of it */
    uint64_t attached;    /* attachments in all processes, this one too (sysvshm:); TONG_UNKNOWN */
    uint64_t resident;    /* bytes of pages that are in memory at this moment, mincore(2); TONG_UNKNOWN */
    uint32_t mode;        /* permissions; UINT32_MAX: unknown */
    uint32_t uid;         /* owner; UINT32_MAX: unknown */
    tong_identity last;   /* who attached or detached it last, source TONG_IDENTITY_LAST; else NONE */
    tong_identity holder; /* who took the lock and has not given it back, source TONG_IDENTITY_LAST; NONE: nobody, or
                             nobody who can be seen from here */
    const char *scheme;   /* "sysvshm"; static */
    const char *object;   /* in words; valid until close */
} tong_region_info;

#define TONG_REGION_INFO_INIT \
    { sizeof(tong_region_info), 0, 0, 0, 0, 0, UINT32_MAX, UINT32_MAX, TONG_IDENTITY_INIT, TONG_IDENTITY_INIT, NULL, NULL }

int tong_region_describe(tong_region *region, tong_region_info *ret);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
