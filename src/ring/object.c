/* SPDX-License-Identifier: MIT */
/*
 * The files of a channel, side by side in one directory:
 *
 *     PATH                   the senders' segment and the ring; its name is the channel's
 *     PATH.ID.receive        the receivers' segment
 *     PATH.ID.bell, .room    the FIFOs for event loops, of the first place of each side
 *     PATH.ID.bell.N, .room.N  of the others, made by whoever first takes that place
 *
 * ID is random and in the header, so that the side files of two channels that had one name after the other are
 * never mixed.  Whoever comes first makes all of them, the one with the name last: without a name (O_TMPFILE),
 * with the memory of its control area (fallocate, because a write into a page that a full file system cannot give is
 * SIGBUS; a lane gets its memory when the first sender takes it, which until then is a hole in the file) and with its
 * header, and then with linkat, which is atomic and fails if somebody else was first.  So whoever
 * finds the name finds a finished channel.  Not every file system can do all that (vfat has no FIFOs, NFS no files
 * without a name): those are refused by name.
 *
 * What stands under the name may be anything: it is opened without following links and without blocking (it may
 * be a FIFO), and its kind, owner, mode, size and header are checked, on a private copy, before it is mapped.
 * An object of another user is refused unless create=no says that somebody else was to make it: otherwise
 * whoever is first to put something under a well-known name would get our messages.
 */
#include "ring/object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/detail.h"
#include "core/guarded.h"
#include "core/made_name.h"
#include "core/named_file.h"
#include "ring/place.h"
#include "ring/side.h"
#include "sys/sys.h"

#define AT_ONCE (UINT64_C(8) << 20) /* bytes of a lane that have their pages before the first message */
#define QUICK offsetof(struct layout_control, places)
#define RACES 16 /* how often others may make and remove the name while we look */

const struct ring_object ring_object_closed = { .senders_fd = -1, .receivers_fd = -1, .bell_fd = -1, .room_fd = -1,
                                                .meeting_fd = -1 };

static uint64_t lane_at(const struct ring_object *object, unsigned lane)
{
    return LAYOUT_LANES_AT + lane * object->shape.capacity;
}

/* ---- Making ---------------------------------------------------------------------------------------------- */

/* The directory of a path: it need not name one. */
static void directory_of(const char *path, char ret[RING_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(ret, RING_PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    else
        strcpy(ret, ".");
}

/* What the file system at `path` lacks. */
static int cannot_live(const char *path, const char *what)
{
    char directory[RING_PATH_MAX];
    directory_of(path, directory);
    return fail(-EOPNOTSUPP, "the file system of %s has no %s, which a channel needs: put it on another one (ext4, xfs, "
                "btrfs and tmpfs will do)", directory, what);
}

/* Memory for some of a file's bytes, in the words of who makes a channel. */
static int allocate(int fd, const char *path, uint64_t start, uint64_t size)
{
    int r = named_file_fill(path, fd, start, size);
    if (r == -EOPNOTSUPP)
        return cannot_live(path, "fallocate(2)");
    return r == -ENOSPC ? fail(r, "%s: %llu bytes asked of its file system (give a smaller capacity=, or free some)", path,
                               (unsigned long long)size) : r;
}

/* What is touched before a lane is there, and so is the last byte, which makes the file as long as it will be; lanes come with their
 * senders. */
static int fill_segment(int fd, const char *path, const struct layout_header *header, mode_t mode)
{
    int r = sys_fchmod(fd, mode);
    if (r < 0)
        return fail_call(r, "fchmod(%s)", path);
    r = allocate(fd, path, 0, layout_touched_size(header));
    if (r == 0)
        r = allocate(fd, path, header->file_size - 1, 1);
    if (r < 0)
        return r;
    ssize_t written = sys_write(fd, header, sizeof *header);
    if (written != (ssize_t)sizeof *header)
        return fail_call(written < 0 ? (int)written : -EIO, "write(%s)", path);
    r = header->features & LAYOUT_DURABLE ? sys_fdatasync(fd) : 0;
    return r < 0 ? fail_call(r, "fdatasync(%s)", path) : 0;
}

static int make_segment(const char *path, const struct layout_header *header, mode_t mode, struct stat *ret)
{
    char directory[RING_PATH_MAX];
    directory_of(path, directory);
    int fd = sys_open(directory, O_TMPFILE | O_RDWR, 0600);
    if (fd == -EOPNOTSUPP)
        return cannot_live(path, "files without a name (O_TMPFILE)");
    if (fd < 0)
        return fail_call(fd, "a new file in %s", directory);
    int r = fill_segment(fd, path, header, mode);
    if (r == 0 && (r = sys_fstat(fd, ret)) < 0)
        r = fail_call(r, "fstat(%s)", path);
    if (r == 0)
        r = made_name_give(fd, path);
    sys_close(fd);
    return r;
}

/* The name is as random as the id, so nobody else stands under it; chmod because of the umask. */
static int make_fifo(const char *path, mode_t mode)
{
    int r = sys_mkfifo(path, 0600);
    if (r == -EPERM || r == -EOPNOTSUPP)
        return cannot_live(path, "FIFOs");
    if (r == 0)
        r = sys_chmod(path, mode);
    return r < 0 ? fail_call(r, "mkfifo(%s)", path) : 0;
}

static int make_sides(const char *path, const struct layout_shape *shape, mode_t mode)
{
    struct layout_header header;
    struct stat status;
    char side[RING_PATH_MAX];
    layout_prepare(&header, LAYOUT_KIND_RECEIVERS, shape);
    ring_side_path(path, shape->id, "receive", side);
    int r = make_segment(side, &header, mode, &status);
    for (size_t i = 1; i < RING_SIDES && r == 0; i++) {
        ring_side_path(path, shape->id, ring_sides[i], side);
        r = make_fifo(side, mode);
    }
    return r;
}

static int make_senders(const char *path, const struct layout_shape *shape, mode_t mode, struct stat *ret)
{
    struct layout_header header;
    layout_prepare(&header, LAYOUT_KIND_SENDERS, shape);
    int r = make_segment(path, &header, mode, ret);
    if (r < 0 || !(shape->features & LAYOUT_DURABLE))
        return r;
    r = named_file_sync_name(path, path);
    if (r < 0)
        sys_unlink(path);
    return r;
}

/* -EEXIST: somebody else was first, and nothing of ours is left. */
static int make(struct ring_object *object, const struct address *address)
{
    struct stat status;
    mode_t mode = (mode_t)address->value[OPTION_MODE];
    struct layout_shape shape;
    int r = ring_shape_asked(object->path, address, &shape);
    if (r < 0)
        return r;
    r = sys_getrandom(&shape.id, sizeof shape.id);
    if (r < (int)sizeof shape.id)
        return fail_call(r < 0 ? r : -EIO, "getrandom");
    r = make_sides(object->path, &shape, mode);
    if (r == 0)
        r = make_senders(object->path, &shape, mode, &status);
    if (r < 0) {
        ring_unlink_sides(object->path, shape.id);
        return r;
    }
    object->shape = shape;
    object->device = status.st_dev;
    object->inode = status.st_ino;
    object->created = true;
    return 0;
}

/* ---- Checking -------------------------------------------------------------------------------------------- */

static int check_owner(const char *path, const struct stat *status, const struct address *address)
{
    if (status->st_uid != geteuid() && address->value[OPTION_CREATE] != CREATE_NO)
        return fail(-EACCES, "%s belongs to uid %u: add create=no if that is whom you want to talk to", path,
                    (unsigned)status->st_uid);
    if (status->st_mode & 0002 && !(address->value[OPTION_MODE] & 0002))
        return fail(-EACCES, "%s can be written by everybody: add mode=0666 if it should", path);
    return 0;
}

static int read_header(int fd, const char *path, struct layout_header *ret, struct stat *ret_status)
{
    int r = sys_fstat(fd, ret_status);
    if (r < 0)
        return fail_call(r, "fstat(%s)", path);
    ssize_t size = S_ISREG(ret_status->st_mode) ? sys_pread(fd, ret, sizeof *ret, 0) : 0;
    if (size < 0)
        return fail_call((int)size, "read(%s)", path);
    if (size < (ssize_t)sizeof *ret || !layout_is_ours(ret))
        return fail(-EEXIST, "%s exists and is not a channel of tong: choose another name", path);
    return 0;
}

static int open_file(const char *path, int flags)
{
    int fd = sys_open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    if (fd == -ELOOP)
        return fail(-EEXIST, "%s is a symbolic link, which is not followed: choose another name", path);
    if (fd == -EISDIR || fd == -ENXIO)
        return fail(-EEXIST, "%s exists and is not a channel of tong: choose another name", path);
    if (fd == -EACCES)
        return fail(fd, "open(%s): not allowed to uid %u: whoever makes it must do so with a wider mode=", path,
                    (unsigned)geteuid());
    return fd < 0 ? fail_call(fd, "open(%s)", path) : fd;
}

static int check_segment(int fd, const char *path, const struct address *address, uint32_t kind,
                         struct layout_header *ret, struct stat *ret_status)
{
    int r = read_header(fd, path, ret, ret_status);
    if (r == 0)
        r = check_owner(path, ret_status, address);
    if (r < 0)
        return r;
    const char *refusal = layout_refusal(ret, kind, (uint64_t)ret_status->st_size);
    return refusal ? fail(-EPROTO, "%s: %s (layout %u, ours is %d)", path, refusal, ret->version, LAYOUT_VERSION) : 0;
}

static int open_segment(const char *path, const struct address *address, uint32_t kind, bool writes,
                        struct layout_header *ret, struct stat *ret_status)
{
    int fd = open_file(path, writes ? O_RDWR : O_RDONLY);
    if (fd < 0)
        return fd;
    int r = check_segment(fd, path, address, kind, ret, ret_status);
    if (r == 0)
        return fd;
    sys_close(fd);
    return r;
}

static int open_fifo(const char *path, const struct address *address)
{
    struct stat status;
    int fd = open_file(path, O_RDWR);
    if (fd < 0)
        return fd;
    int r = sys_fstat(fd, &status);
    if (r < 0)
        r = fail_call(r, "fstat(%s)", path);
    else if (!S_ISFIFO(status.st_mode))
        r = fail(-EEXIST, "%s is not a FIFO: it does not belong to a channel of tong", path);
    else
        r = check_owner(path, &status, address);
    if (r == 0)
        return fd;
    sys_close(fd);
    return r;
}

/* ---- Opening --------------------------------------------------------------------------------------------- */

static int map_control(struct ring_object *object, int fd, uint32_t kind, bool writes, void **ret)
{
    int r, protection = PROT_READ | (writes ? PROT_WRITE : 0);
    uint64_t size = layout_control_size(kind);
    *ret = sys_mmap(size, protection, MAP_SHARED, fd, 0, &r);
    return *ret ? guarded_add(*ret, size, &object->cut) : fail_call(r, "mmap(%s, %llu bytes)", object->path,
                                                                    (unsigned long long)size);
}

static int map(struct ring_object *object, bool sender)
{
    void *memory = NULL;
    int r = map_control(object, object->senders_fd, LAYOUT_KIND_SENDERS, sender, &memory);
    object->senders = memory;
    if (r < 0 || object->receivers_fd < 0)
        return r;
    r = map_control(object, object->receivers_fd, LAYOUT_KIND_RECEIVERS, !sender, &memory);
    object->receivers = memory;
    return r;
}

/* The page in which the other side has its `wake`, to be written, which its mode has to allow. */
static void map_quick(struct ring_object *object, bool sender)
{
    char path[40];
    int r, theirs = sender ? object->receivers_fd : object->senders_fd;
    snprintf(path, sizeof path, "/proc/self/fd/%d", theirs);
    int fd = object->receivers ? sys_open(path, O_RDWR, 0) : -1;
    if (fd >= 0)
        object->quick = sys_mmap(QUICK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, &r);
    sys_close(fd);
}

int ring_object_map_lane(struct ring_object *object, unsigned lane, bool writes)
{
    int r, protection = PROT_READ | (writes ? PROT_WRITE : 0);
    if (object->lane[lane])
        return 0;
    object->lane[lane] = sys_mmap_twice(object->shape.capacity, protection, object->senders_fd, (off_t)lane_at(object, lane), &r);
    if (!object->lane[lane])
        return fail_call(r, "mmap(%s, %llu bytes twice)", object->path, (unsigned long long)object->shape.capacity);
    return guarded_add(object->lane[lane], 2 * object->shape.capacity, &object->cut);
}

/* Page by page, in the midst of messages, it takes as long and more.  Where it cannot be done there are the faults. */
void ring_object_populate_lane(const struct ring_object *object, unsigned lane)
{
    if (object->home->in_memory)
        sys_madvise_populate(object->lane[lane], object->shape.capacity < AT_ONCE ? object->shape.capacity : AT_ONCE);
}

int ring_object_allocate_lane(const struct ring_object *object, unsigned lane)
{
    return allocate(object->senders_fd, object->path, lane_at(object, lane), object->shape.capacity);
}

static int open_place_fifo(const struct ring_object *object, bool sender, unsigned place)
{
    char path[RING_PATH_MAX];
    struct stat status;
    ring_place_path(object->path, object->shape.id, sender, place, path);
    int fd = open_file(path, O_RDWR);
    int r = fd < 0 ? fd : sys_fstat(fd, &status);
    if (r == 0 && !S_ISFIFO(status.st_mode))
        r = fail(-EEXIST, "%s is not a FIFO: it does not belong to a channel of tong", path);
    if (r == 0)
        return fd;
    sys_close(fd);
    return r;
}

static int named(const struct ring_object *object)
{
    struct stat status;
    int r = sys_lstat(object->path, &status);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return fail_call(r, "lstat(%s)", object->path);
    return status.st_dev == object->device && status.st_ino == object->inode;
}

/* If the channel's name is gone, whoever took it away took our file with it, or will not. */
static int make_place_fifo(const struct ring_object *object, bool sender, unsigned place)
{
    char path[RING_PATH_MAX];
    struct stat status;
    ring_place_path(object->path, object->shape.id, sender, place, path);
    int r = sys_fstat(sender ? object->room_fd : object->bell_fd, &status);
    if (r == 0)
        r = make_fifo(path, status.st_mode & 0777);
    int fd = r < 0 && r != -EEXIST ? r : open_place_fifo(object, sender, place);
    if (named(object) <= 0)
        sys_unlink(path);
    return fd;
}

/* The side files: -ESTALE when they are gone, as while somebody removes the channel. */
static int open_sides(struct ring_object *object, const struct address *address, bool sender)
{
    char side[RING_PATH_MAX];
    struct layout_header header;
    struct stat status;
    ring_side_path(object->path, object->shape.id, "receive", side);
    int r = object->receivers_fd = open_segment(side, address, LAYOUT_KIND_RECEIVERS, !sender, &header, &status);
    if (r >= 0 && !ring_shape_is(&header, &object->shape))
        return fail(-EPROTO, "%s does not belong to %s", side, object->path);
    if (r >= 0) {
        ring_side_path(object->path, object->shape.id, "bell", side);
        r = object->bell_fd = open_fifo(side, address);
    }
    if (r >= 0) {
        ring_side_path(object->path, object->shape.id, "room", side);
        r = object->room_fd = open_fifo(side, address);
    }
    if (r == -ENOENT)
        return fail(-ESTALE, "%s: its side file %s is gone: remove the channel and begin again", object->path, side);
    return r;
}

/* readonly=yes: the senders' segment is all that it opens, and it makes nothing. */
static bool watches(const struct address *address)
{
    return address->value[OPTION_READONLY];
}

static int attach(struct ring_object *object, const struct address *address, bool sender)
{
    struct layout_header header;
    struct stat status;
    int r = object->senders_fd = open_segment(object->path, address, LAYOUT_KIND_SENDERS, sender, &header, &status);
    if (r < 0)
        return r;
    object->shape = layout_shape_of(&header);
    object->device = status.st_dev;
    object->inode = status.st_ino;
    r = ring_shape_check(object->path, &object->shape, address);
    if (r == 0 && (sender || !watches(address)))
        r = open_sides(object, address, sender);
    if (r >= 0 && (r = map(object, sender)) == 0)
        map_quick(object, sender);
    return r;
}

/* All places are held while the names go, so nobody can come in between and find himself in a channel without a
 * name.  Who tries meets -EBUSY from a place whose session is not open, and tries again. */
static int remove_if_unused(const struct ring_object *object, int senders_fd, int receivers_fd,
                            int (*take_name)(const void *context), const void *context)
{
    int r = ring_places_lock(senders_fd);
    r = r == 0 && receivers_fd >= 0 ? ring_places_lock(receivers_fd) : r;
    r = r == 0 ? named(object) : r;
    if (r <= 0 || !take_name)
        return r > 0 ? ring_unlink_channel(object->path, object->shape.id) : r;
    r = take_name(context);
    if (r == 0)
        ring_unlink_sides(object->path, object->shape.id);
    return r < 0 ? r : 1;
}

/* What is locked is the file that is meant, not what has its name by now. */
static int is_object(int fd, const struct ring_object *object)
{
    struct stat status;
    int r = sys_fstat(fd, &status);
    return r < 0 ? r : status.st_dev == object->device && status.st_ino == object->inode;
}

static int remove_unused_by(const struct ring_object *object, int (*take_name)(const void *context), const void *context)
{
    char side[RING_PATH_MAX];
    ring_side_path(object->path, object->shape.id, "receive", side);
    int senders_fd = open_file(object->path, O_RDWR), receivers_fd = open_file(side, O_RDWR);
    int r = senders_fd < 0 ? senders_fd : receivers_fd == -ENOENT ? 0 : receivers_fd;
    if (r >= 0)
        r = is_object(senders_fd, object);
    if (r > 0)
        r = remove_if_unused(object, senders_fd, receivers_fd, take_name, context);
    ring_places_unlock(senders_fd);
    ring_places_unlock(receivers_fd);
    sys_close(senders_fd);
    sys_close(receivers_fd);
    return r;
}

static int remove_unused(const struct ring_object *object)
{
    return remove_unused_by(object, NULL, NULL);
}

static int try_open(struct ring_object *object, const struct address *address, bool sender)
{
    int64_t create = address->value[OPTION_CREATE];
    int r = create == CREATE_EXCL ? -ENOENT : attach(object, address, sender);
    if (r == -ENOENT && (create == CREATE_NO || watches(address)))
        return fail(r, "%s does not exist, and %s makes none: start the other side first", object->path,
                    create == CREATE_NO ? "create=no" : "readonly=yes");
    if (r != -ENOENT)
        return r;
    r = make(object, address);
    if (r == -EEXIST && create == CREATE_EXCL)
        return fail(-EEXIST, "%s exists, and create=excl was asked", object->path);
    if (r < 0 && r != -EEXIST)
        return r;
    bool created = object->created;
    r = attach(object, address, sender);
    if (r < 0 && created)
        remove_unused(object);
    return r;
}

static int open_named(const struct ring_home *home, const struct address *address, const char *name, bool sender,
                      struct ring_object *ret)
{
    char path[RING_PATH_MAX];
    int r = home->path(name, path);
    if (r < 0)
        return r;
    for (int race = 0; race < RACES; race++) {
        *ret = ring_object_closed;
        ret->home = home;
        strcpy(ret->path, path);
        r = try_open(ret, address, sender);
        if (r >= 0)
            return 0;
        ring_object_close(ret);
        if ((r != -ENOENT && r != -ESTALE) || address->value[OPTION_CREATE] != CREATE_YES)
            return r;
    }
    return r;
}

static void unmap(void *memory, uint64_t size)
{
    guarded_remove(memory);
    sys_munmap(memory, size);
}

void ring_object_close(struct ring_object *object)
{
    for (unsigned lane = 0; lane < LAYOUT_PLACES; lane++) {
        unmap(object->lane[lane], 2 * object->shape.capacity);
        object->lane[lane] = NULL;
    }
    unmap(object->senders, layout_control_size(LAYOUT_KIND_SENDERS));
    unmap(object->receivers, layout_control_size(LAYOUT_KIND_RECEIVERS));
    unmap((void *)(uintptr_t)object->quick, QUICK);
    sys_close(object->senders_fd);
    sys_close(object->receivers_fd);
    sys_close(object->bell_fd);
    sys_close(object->room_fd);
    object->senders_fd = object->receivers_fd = object->bell_fd = object->room_fd = -1;
    object->senders = NULL;
    object->receivers = NULL;
    object->quick = NULL;
}

/* ---- Removing -------------------------------------------------------------------------------------------- */

int ring_object_remove(const struct ring_home *home, const char *name)
{
    char path[RING_PATH_MAX];
    struct layout_header header;
    struct stat status;
    int r = home->path(name, path);
    int fd = r < 0 ? r : open_file(path, O_RDONLY);
    if (fd < 0)
        return fd;
    r = read_header(fd, path, &header, &status);
    sys_close(fd);
    if (r < 0)
        return r;
    const char *refusal = layout_refusal(&header, LAYOUT_KIND_SENDERS, (uint64_t)status.st_size);
    if (refusal)
        return fail(-EPROTO, "%s: %s, so what belongs to it is not known: remove its files by hand", path, refusal);
    return ring_unlink_channel(path, header.id);
}

int ring_object_remove_dead(const char *path, uint64_t id, uint64_t device, uint64_t inode,
                            int (*take_name)(const void *context), const void *context)
{
    struct ring_object object = ring_object_closed;
    if (strlen(path) >= sizeof object.path)
        return fail(-ENAMETOOLONG, "%s: no channel has so long a name", path);
    strcpy(object.path, path);
    object.shape.id = id;
    object.device = (dev_t)device;
    object.inode = (ino_t)inode;
    int r = remove_unused_by(&object, take_name, context);
    return r > 0 ? 0 : r == 0 || r == -ENOENT ? fail(-ESTALE, "%s is another by now, or gone", path) : r;
}

static int remove_ours(const struct ring_object *object)
{
    int r = named(object);
    return r > 0 ? ring_unlink_channel(object->path, object->shape.id) : r;
}

static int gone(const struct ring_object *object, bool sender)
{
    struct stat status;
    (void)sender;
    if (sys_fstat(object->senders_fd, &status) < 0 || status.st_nlink > 0)
        return 0;
    return fail(-ESTALE, "%s was removed while nobody else had it open: by %s; open it again", object->path,
                object->home->removers);
}

static int cut_short(const struct ring_object *object, bool sender)
{
    (void)sender;
    return fail(-ESTALE, "%s was cut short by another process while it was in use, and what was in it is lost: remove it and "
                "begin again", object->path);
}

const struct ring_objects ring_objects_named = {
    .open = open_named, .named = named, .open_fifo = open_place_fifo, .make_fifo = make_place_fifo, .gone = gone,
    .cut = cut_short, .remove_ours = remove_ours, .remove_unused = remove_unused,
};
