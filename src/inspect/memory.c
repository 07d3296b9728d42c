/* SPDX-License-Identifier: MIT */
/*
 * A page that is not in memory is brought by who reads it, and from a file of FUSE, NFS or 9p that can take for ever, as it
 * can where a process brings the pages of another itself (userfaultfd(2): memory without a file, tmpfs, hugetlbfs): the
 * reader would hang as those do whom it looks at.  So what is mapped there is asked for first (proc(5), pagemap).  Read is
 * what nobody has to bring: pages that the process has written to and so has as its own; of memory, and of an overlay, of
 * which nobody says where its layers are, what is there; and files of file systems on this machine.
 *
 * What a call was given, and what threads sleep on, has been touched, and so is there.
 *
 * Which device is of what file system is read from mountinfo, because to ask the file system is what could hang.
 * What is mapped may become another between the look and the reading; then it is memory of a moment ago.
 */
#include "inspect/memory.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/areas.h"
#include "inspect/mounts.h"
#include "sys/sys.h"

struct memory_device {
    uint64_t device;
    enum where where;
};

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

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

static int read_mount(void *context, char *line)
{
    struct scan *scan = context;
    struct mount mount;
    if (mounts_parse(line, &mount) == 0)
        add(scan, mount.device, mount.where);
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
            add(scan, status.st_dev, MEMORY);
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
#define OF_FILE (UINT64_C(1) << 61)  /* or shared */
#define GUARDED (UINT64_C(1) << 57)  /* against writing, by userfaultfd(2): then "swapped" may mean that nothing is there */
#define PAGES 64                     /* asked for at once */

struct reading {
    struct scan *scan;
    int64_t tid;
    uint64_t at, end; /* what is still to be looked at */
    int refusal;      /* why no more may be read; 0: nothing speaks against it */
    int pagemap;      /* open; or why not */
    uint64_t size;    /* of a page */
    uint64_t page[PAGES], first, count; /* what was asked for last */
};

/* -ESRCH: the process is gone. */
static int ask_pages(struct reading *reading, uint64_t number)
{
    uint64_t wanted = (reading->end - 1) / reading->size - number + 1;
    wanted = wanted < PAGES ? wanted : PAGES;
    ssize_t r = reading->pagemap < 0 ? reading->pagemap
        : sys_pread(reading->pagemap, reading->page, wanted * sizeof *reading->page, (off_t)(number * sizeof *reading->page));
    reading->first = number;
    reading->count = r < 0 ? 0 : (uint64_t)r / sizeof *reading->page;
    return r < 0 ? (int)r : reading->count ? 0 : -ESRCH;
}

static int page_at(struct reading *reading, uint64_t at, uint64_t *ret)
{
    uint64_t number = at / reading->size;
    bool known = number >= reading->first && number - reading->first < reading->count;
    int r = known ? 0 : ask_pages(reading, number);
    *ret = r < 0 ? 0 : reading->page[number - reading->first];
    return r;
}

static bool is_own(uint64_t page)
{
    return !(page & OF_FILE) && (page & PRESENT || (page & (SWAPPED | GUARDED)) == SWAPPED);
}

static bool is_at_hand(uint64_t page, enum where where)
{
    return is_own(page) || (where != ELSEWHERE && page & PRESENT);
}

/* From `at` on, up to `end` at most: where the first page begins that somebody might have to bring; and why it is not known. */
static uint64_t end_of_pages(struct reading *reading, uint64_t end, enum where where, int *ret_error)
{
    uint64_t at = reading->at, page;
    while (at < end && (*ret_error = page_at(reading, at, &page)) == 0 && is_at_hand(page, where))
        at = (at / reading->size + 1) * reading->size;
    return at < end ? at : end;
}

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

/* Whether a kernel without pagemap, or that shows it to nobody, is to blame: then memory is taken for what it mostly is. */
static bool is_withheld(int error)
{
    return error == -ENOENT || error == -EACCES || error == -EPERM;
}

static int look_at(void *context, const struct area *area)
{
    struct reading *reading = context;
    int error = 0;
    uint64_t end = area->to < reading->end ? area->to : reading->end, safe = end;
    enum where where = area->inode ? where_is(reading->scan, reading->tid, area->device) : MEMORY;
    if (where != LOCAL)
        safe = end_of_pages(reading, end, where, &error);
    if (where == MEMORY && is_withheld(error))
        safe = end;
    if (safe < end)
        reading->refusal = error && !is_withheld(error) ? error : -EREMOTE;
    reading->at = safe;
    return 1;
}

/* Behind what is mapped the reading itself ends. */
static int look_at_areas(struct reading *reading)
{
    char path[48];
    int r = 1;
    snprintf(path, sizeof path, "%lld/maps", (long long)reading->tid);
    while (r == 1 && reading->at < reading->end && !reading->refusal)
        r = areas_at(&reading->scan->proc, reading->scan->proc.fd, path, reading->at, look_at, reading);
    return r;
}

/* What is its own, as most of it is, may be read wherever it lies: only of the rest the area matters. */
static int look_at_all(struct reading *reading)
{
    char path[48];
    int error;
    snprintf(path, sizeof path, "%lld/pagemap", (long long)reading->tid);
    reading->pagemap = sys_openat(reading->scan->proc.fd, path, O_RDONLY);
    reading->at = end_of_pages(reading, reading->end, ELSEWHERE, &error);
    int r = look_at_areas(reading);
    sys_close(reading->pagemap);
    return r;
}

ssize_t memory_read(struct scan *scan, int64_t tid, uint64_t at, void *ret, size_t size, bool cut)
{
    struct reading reading = { .scan = scan, .tid = tid, .at = at, .end = at + size, .size = (uint64_t)sysconf(_SC_PAGESIZE) };
    if (size == 0 || at > UINT64_MAX - size)
        return size ? -EFAULT : 0;
    int r = look_at_all(&reading);
    if (r < 0)
        return r;
    if (reading.refusal && (!cut || reading.at == at))
        return reading.refusal;
    return sys_process_read((pid_t)tid, at, ret, reading.refusal ? (size_t)(reading.at - at) : size);
}
