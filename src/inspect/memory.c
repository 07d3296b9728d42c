/* SPDX-License-Identifier: MIT */
/*
 * A page that is not in memory is fetched by who reads it, and from a file of FUSE, NFS or 9p that can take for ever: the
 * reader would hang as those do whom it looks at.  So what is mapped there is asked for first.  Read is what no server
 * has to bring: memory without a file, shared memory, files of file systems on this machine, and pages of any file that
 * the process has written to and so has as its own (proc(5), pagemap).  Of an overlay nobody says where its layers are:
 * of it, what is in memory.
 *
 * Which device is of what file system is read from mountinfo, because to ask the file system is what could hang.
 * What is mapped may become another between the look and the reading; then it is memory of a moment ago.
 */
#include "inspect/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "inspect/areas.h"
#include "sys/sys.h"

enum where { ELSEWHERE, LAYERED, LOCAL };

struct memory_device {
    uint64_t device;
    enum where where;
};

static const char *const local[] = {
    "bcachefs", "btrfs", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hugetlbfs", "iso9660", "jfs",
    "minix", "msdos", "nilfs2", "ntfs3", "ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "ubifs", "udf", "vfat",
    "xfs", "zfs",
};

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

static enum where where_of(const char *type)
{
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if (!strcmp(local[i], type))
            return LOCAL;
    return strcmp(type, "overlay") ? ELSEWHERE : LAYERED;
}

static const struct memory_device *find(const struct scan *scan, uint64_t device)
{
    const struct memory_device *known = scan->devices.item;
    for (size_t i = 0; i < scan->devices.count; i++)
        if (known[i].device == device)
            return &known[i];
    return NULL;
}

static void add(struct scan *scan, uint64_t device, enum where where)
{
    struct memory_device *added = find(scan, device) ? NULL : graph_push(scan->graph, &scan->devices, sizeof *added);
    if (added)
        *added = (struct memory_device){ device, where };
}

/* "22 27 0:21 / /proc rw,relatime shared:1 - proc proc rw" */
static int read_mount(void *context, char *line)
{
    struct scan *scan = context;
    unsigned first, second;
    char type[32];
    const char *behind = strstr(line, " - ");
    if (behind && sscanf(line, "%*d %*d %u:%u", &first, &second) == 2 && sscanf(behind, " - %31s", type) == 1)
        add(scan, makedev(first, second), where_of(type));
    return scan->graph->error;
}

/* Shared memory that no name leads to is of file systems that nobody has mounted: ours is of the same. */
static void learn_own(struct scan *scan)
{
    static const unsigned sorts[] = { 0, MFD_HUGETLB };
    struct stat status;
    for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
        int fd = sys_memfd("tong", sorts[i]);
        if (fd >= 0 && sys_fstat(fd, &status) == 0)
            add(scan, status.st_dev, LOCAL);
        sys_close(fd);
    }
    if (proc_read(&scan->proc, scan->proc.fd, "self/mountinfo") > 0)
        proc_lines(&scan->proc, read_mount, scan);
}

/* What is not mounted here may be where the process is. */
static enum where where_is(struct scan *scan, int64_t tid, uint64_t device)
{
    char path[48];
    if (scan->devices.count == 0)
        learn_own(scan);
    if (!find(scan, device)) {
        snprintf(path, sizeof path, "%lld/mountinfo", (long long)tid);
        if (proc_read(&scan->proc, scan->proc.fd, path) > 0)
            proc_lines(&scan->proc, read_mount, scan);
        add(scan, device, ELSEWHERE);
    }
    const struct memory_device *known = find(scan, device);
    return known ? known->where : ELSEWHERE;
}

/* ---- Pages ------------------------------------------------------------------------------------------------------ */

#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define OF_FILE (UINT64_C(1) << 61) /* or shared */

static bool is_at_hand(uint64_t page, enum where where)
{
    bool own = page & (PRESENT | SWAPPED) && !(page & OF_FILE);
    return own || (where == LAYERED && page & PRESENT);
}

/* From `at` on, up to `end` at most: where the first page begins that somebody might have to bring. */
static uint64_t end_of_pages(const struct scan *scan, int64_t tid, uint64_t at, uint64_t end, enum where where)
{
    char path[48];
    uint64_t page, size = (uint64_t)sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof path, "%lld/pagemap", (long long)tid);
    int fd = sys_openat(scan->proc.fd, path, O_RDONLY);
    while (fd >= 0 && at < end && sys_pread(fd, &page, sizeof page, (off_t)(at / size * sizeof page)) == sizeof page &&
           is_at_hand(page, where))
        at = (at / size + 1) * size;
    sys_close(fd);
    return at < end ? at : end;
}

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

struct reading {
    struct scan *scan;
    int64_t tid;
    uint64_t at, end; /* what is still to be looked at */
    bool refused;
};

static int look_at(void *context, const struct area *area)
{
    struct reading *reading = context;
    uint64_t end = area->to < reading->end ? area->to : reading->end, safe = end;
    enum where where = area->inode ? where_is(reading->scan, reading->tid, area->device) : LOCAL;
    if (where != LOCAL)
        safe = end_of_pages(reading->scan, reading->tid, reading->at, end, where);
    reading->refused = safe < end;
    reading->at = safe;
    return 1;
}

/* Behind what is mapped the reading itself ends. */
static int look_at_all(struct reading *reading)
{
    char path[48];
    int r = 1;
    snprintf(path, sizeof path, "%lld/maps", (long long)reading->tid);
    while (r == 1 && reading->at < reading->end && !reading->refused)
        r = areas_at(&reading->scan->proc, reading->scan->proc.fd, path, reading->at, look_at, reading);
    return r;
}

ssize_t memory_read(struct scan *scan, int64_t tid, uint64_t at, void *ret, size_t size, bool cut)
{
    struct reading reading = { scan, tid, at, at + size, false };
    if (size == 0 || at > UINT64_MAX - size)
        return size ? -EFAULT : 0;
    int r = look_at_all(&reading);
    if (r < 0)
        return r;
    if (reading.refused && (!cut || reading.at == at))
        return -EREMOTE;
    return sys_process_read((pid_t)tid, at, ret, reading.refused ? (size_t)(reading.at - at) : size);
}
