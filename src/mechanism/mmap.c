/* SPDX-License-Identifier: MIT */
/*
 * mmap: - a channel in a mapped file: the ring of src/ring at a path of the caller's choice, so that what was sent and
 * not received is still there after everybody has closed, or was killed, and after the machine has restarted.
 *
 * The kernel's page cache is the shared memory: both ends map the same pages, and nothing is read or written by a
 * system call.  What follows from that:
 *   - A store lives on when its process dies, because the page belongs to the file.  It reaches the disk when the
 *     kernel writes the page back, some seconds later or as the machine shuts down in order.  A power cut in between
 *     may leave older pages beside newer ones.
 *   - The kernel makes a page that it wrote back read-only, to see it get dirty again: now and then a store costs a
 *     fault.  On a tmpfs it never does.
 *   - All room is taken when the file is made.  A file system that copies on write (btrfs) may still be full at a later
 *     store, and that, like a file that somebody cut short, is SIGBUS.
 *   - Locks and futexes are of one machine.  Over a network file system two machines would not see each other.
 *   - The side files lie beside the file and carry its name: who moves or copies it alone has half a channel, which
 *     is refused.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/detail.h"
#include "core/named_file.h"
#include "mmap_region.h"
#include "ring/channel.h"

static int mmap_path(const char *name, char ret[RING_PATH_MAX])
{
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    if (!*last)
        return fail(-EINVAL, "mmap:%s: a channel needs the path of a file: mmap:PATH", name);
    if (strlen(last) > NAME_MAX - RING_SIDE_MAX || strlen(name) > RING_PATH_MAX - 1 - RING_SIDE_MAX)
        return fail(-ENAMETOOLONG, "mmap: the path is too long: its last part may have %d bytes, all of it %d",
                    (int)(NAME_MAX - RING_SIDE_MAX), (int)(RING_PATH_MAX - 1 - RING_SIDE_MAX));
    strcpy(ret, name);
    return 0;
}

static const struct ring_home home = {
    .objects = &ring_objects_named,
    .scheme = "mmap",
    .path = mmap_path,
    .removers = "tong rm, or by rm",
};

static int mmap_open(const struct open_request *request, struct conduit **ret)
{
    return ring_channel_open(&home, request, ret);
}

/* A file that is no channel is a region. */
static int mmap_remove(const struct address *address)
{
    if (!*address->name)
        return fail(-EOPNOTSUPP, "mmap: alone has no name, so there is nothing to remove: it goes with its last mapping");
    int r = ring_channel_remove(&home, address);
    return r == -EEXIST && !address->second ? named_file_remove(address->text, address->name) : r;
}

static uint64_t page_size(const char *source)
{
    (void)source;
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static const struct limit limits[] = {
    { "page", "bytes", "_SC_PAGESIZE", page_size },
    { "largest message", "bytes", "capacity=1G", ring_channel_largest },
    { "senders at once", "ends", "its layout", ring_channel_places },
    { "receivers at once", "ends", "its layout", ring_channel_places },
    { NULL, NULL, NULL, NULL },
};

const struct mechanism mechanism_mmap = {
    .scheme = "mmap",
    .form = "mmap:PATH, mmap:IN,OUT",
    .summary = "a mapped file: a ring of messages, or a region of plain bytes, that outlives its processes",
    .medium = "file and memory: its pages, mapped, are shared memory",
    .unit = "message; page of a region",
    .reach = "one machine",
    .order = "a lock-free ring; who must wait sleeps on a futex, then on a FIFO, as event loops do",
    .lifetime = "until removed: it survives processes and restarts",
    .family = "POSIX mmap(2), futexes and OFD locks: Linux",
    .options = ring_channel_durable_options,
    .limits = limits,
    .channels = ring_channel_durable_variants,
    .region = &mmap_region,
    .lock = &mmap_lock,
    .open = mmap_open,
    .remove = mmap_remove,
};
