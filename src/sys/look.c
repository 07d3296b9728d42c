/* SPDX-License-Identifier: MIT */
/* Calls by which other processes, and what they have open, are looked at. */
#include "sys/sys.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

/* openat2(2), also where headers are older. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define NO_XDEV 1 /* RESOLVE_NO_XDEV */

int sys_open_within(int directory, const char *name, int flags)
{
    const struct { uint64_t flags, mode, resolve; } how = { (uint64_t)flags | O_CLOEXEC, 0, NO_XDEV };
    SYS_CALL(int, "openat2", (int)syscall(SYS_openat2, directory, name, &how, sizeof how));
}

static int ask_known(int directory, const char *name, struct statx *ret)
{
    SYS_CALL(int, "statx", statx(directory, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, ret));
}

int sys_fstatat_known(int directory, const char *name, struct stat *ret)
{
    struct statx known;
    int r = ask_known(directory, name, &known);
    if (r < 0)
        return r;
    *ret = (struct stat){
        .st_dev = makedev(known.stx_dev_major, known.stx_dev_minor), .st_ino = known.stx_ino, .st_mode = known.stx_mode,
        .st_nlink = known.stx_nlink, .st_uid = known.stx_uid, .st_gid = known.stx_gid,
        .st_rdev = makedev(known.stx_rdev_major, known.stx_rdev_minor), .st_size = (off_t)known.stx_size,
        .st_ctim = { known.stx_ctime.tv_sec, known.stx_ctime.tv_nsec },
        .st_mtim = { known.stx_mtime.tv_sec, known.stx_mtime.tv_nsec },
    };
    return 0;
}

static int ask_statfs(int fd, uint64_t *ret)
{
    struct statfs status;
    int r = fstatfs(fd, &status);
    *ret = r < 0 ? 0 : (uint64_t)status.f_type;
    return r;
}

int sys_fstatfs_type(int fd, uint64_t *ret)
{
    SYS_CALL(int, "fstatfs", ask_statfs(fd, ret));
}

static int sys_capget(struct __user_cap_header_struct *head, struct __user_cap_data_struct *words)
{
    SYS_CALL(int, "capget", (int)syscall(SYS_capget, head, words));
}

int sys_capabilities(uint64_t *ret)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };
    *ret = 0;
    int r = sys_capget(&head, words);
    *ret = (uint64_t)words[1].effective << 32 | words[0].effective;
    return r;
}

int sys_bpf(int command, union bpf_attr *attributes)
{
    SYS_CALL(int, "bpf", (int)syscall(SYS_bpf, command, attributes, sizeof *attributes));
}

int sys_pidfd_getfd(int pidfd, int fd)
{
    SYS_CALL(int, "pidfd_getfd", (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0));
}

int sys_kcmp_file(pid_t one, int its_fd, pid_t other, int others_fd)
{
    SYS_CALL(int, "kcmp", (int)syscall(SYS_kcmp, one, other, KCMP_FILE, its_fd, others_fd));
}

/* A transfer ends at the first span that is not mapped whole: so the spans end with pages. */
ssize_t sys_process_read(pid_t pid, uint64_t at, void *ret, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), head = page - at % page;
    struct iovec here = { ret, size }, there[] = { { (void *)(uintptr_t)at, head < size ? head : size },
                                                   { (void *)(uintptr_t)(at + head), head < size ? size - head : 0 } };
    SYS_CALL(ssize_t, "process_vm_readv", process_vm_readv(pid, &here, 1, there, 2, 0));
}

/* ---- Areas of memory -------------------------------------------------------------------------------------- */

#ifndef PROCMAP_QUERY /* headers older than Linux 6.11 */
struct procmap_query {
    uint64_t size, query_flags, query_addr;                           /* asked */
    uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode; /* answered */
    uint32_t dev_major, dev_minor;
    uint32_t vma_name_size, build_id_size;                            /* both */
    uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY _IOWR('f', 17, struct procmap_query)
#define PROCMAP_QUERY_VMA_READABLE 0x01
#define PROCMAP_QUERY_VMA_WRITABLE 0x02
#define PROCMAP_QUERY_VMA_SHARED 0x08
#define PROCMAP_QUERY_COVERING_OR_NEXT_VMA 0x10
#endif

static int ask_area(int maps, struct procmap_query *query)
{
    SYS_CALL(int, "procmap_query", ioctl(maps, PROCMAP_QUERY, query));
}

int sys_area(int maps, uint64_t at, bool next_shared, struct sys_area *ret, char *path, size_t size)
{
    struct procmap_query query = {
        .size = sizeof query, .query_addr = at,
        .query_flags = next_shared ? PROCMAP_QUERY_VMA_SHARED | PROCMAP_QUERY_COVERING_OR_NEXT_VMA : 0,
        .vma_name_size = (uint32_t)size, .vma_name_addr = (uintptr_t)path,
    };
    int r = ask_area(maps, &query);
    *path = r == 0 && query.vma_name_size ? *path : '\0';
    if (r == -ENAMETOOLONG) {
        query.vma_name_addr = query.vma_name_size = 0;
        snprintf(path, size, "/(a path that is too long)");
        r = ask_area(maps, &query);
    }
    *ret = (struct sys_area){
        query.vma_start, query.vma_end, query.vma_offset, query.inode, query.dev_major, query.dev_minor,
        query.vma_flags & PROCMAP_QUERY_VMA_READABLE, query.vma_flags & PROCMAP_QUERY_VMA_WRITABLE,
        query.vma_flags & PROCMAP_QUERY_VMA_SHARED,
    };
    return r;
}
