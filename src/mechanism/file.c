/* SPDX-License-Identifier: MIT */
/*
 * file: - a shared file that senders append to and receivers follow.
 *
 * The file keeps everything: every receiver has a position of its own, gets every message, and may begin at the
 * start long after the sender is gone.  There is no peer, so nobody learns that one died: a receiver that has
 * read everything waits, until a sender that ends in order appends an END record.  That is the end while nothing
 * follows it and no other sender is there (core/follower.c); a file that grows again can be read on.  In a file
 * of lines or bytes (frame=line, frame=none) the end of the file is the end.  follow=yes takes neither for one.
 *
 * How a record stays whole is told in core/record.h, appending in core/appender.c, reading in core/follower.c, opening in
 * core/named_file.c.  Traps dealt with here: poll(2) and epoll(7) call a regular file always ready, or refuse it;
 * O_APPEND makes pwrite(2) append too, so a receiver never has it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/appender.h"
#include "core/file_lock.h"
#include "core/follower.h"
#include "core/mechanism.h"
#include "core/record.h"
#include "sys/sys.h"

#define CLOSE_WAIT INT64_C(100000000) /* nanoseconds that closing waits for the lock to append END */

struct file {
    struct conduit conduit;
    struct appender out;      /* fd -1: none */
    struct follower in;       /* fd -1: none */
    bool sent;                /* something that nobody has ended yet */
    int writable_fd;          /* an eventfd, always writable, for who polls; -1 until then */
    uint64_t largest;
    /* Files that this open made and close removes, if they still stand there, to receive and to send; NULL: none.
     * Until opening has succeeded: all that it made. */
    char *made[2];
};

/* ---- The calls ----------------------------------------------------------------------------------------- */

static int file_send(struct conduit *conduit, const struct message_out *message, int64_t deadline)
{
    struct file *file = (struct file *)conduit;
    if (message->size > file->largest)
        return fail(-EMSGSIZE, "%s: a message of %zu bytes is above ?size=%llu (which may be up to 1G)",
                    conduit->object, message->size, (unsigned long long)file->largest);
    int r = appender_append(&file->out, message->data, message->size, message->type, 0, deadline);
    if (r == 0)
        file->sent = true;
    return r;
}

static ssize_t file_receive(struct conduit *conduit, struct message_in *in, int64_t deadline)
{
    return follower_receive(&((struct file *)conduit)->in, in, deadline);
}

static int file_finish(struct conduit *conduit, int64_t deadline)
{
    struct file *file = (struct file *)conduit;
    if (file->out.frame != FRAME_PACKET)
        return 0;
    /* before END is there, so that whoever reads it counts only the others */
    int r = record_attend(file->out.fd, F_UNLCK);
    if (r == 0 && (r = appender_append(&file->out, NULL, 0, 0, RECORD_END, deadline)) < 0)
        record_attend(file->out.fd, F_RDLCK);
    return r;
}

/* A receiver's place in the file is kept nowhere. */
static int file_sync(struct conduit *conduit)
{
    struct file *file = (struct file *)conduit;
    int r = file->out.fd < 0 ? 0 : sys_fdatasync(file->out.fd);
    return r < 0 ? fail_call(r, "%s: fdatasync: what was sent last is perhaps not on the disk", conduit->object) : 0;
}

static int file_pollfd(struct conduit *conduit, uint32_t direction, struct pollfd *ret)
{
    struct file *file = (struct file *)conduit;
    if (direction == TONG_RECEIVE)
        return follower_pollfd(&file->in, ret);
    if (file->writable_fd < 0) {
        int fd = sys_eventfd(0);
        if (fd < 0)
            return fail_call(fd, "%s: a descriptor to poll", conduit->object);
        file->writable_fd = fd;
    }
    *ret = (struct pollfd){ file->writable_fd, POLLOUT, 0 };
    return 0;
}

static int file_describe(struct conduit *conduit, tong_channel_info *ret)
{
    struct file *file = (struct file *)conduit;
    struct stat state;
    int r = sys_fstat(file->out.fd >= 0 ? file->out.fd : file->in.fd, &state);
    if (r < 0)
        return fail_call(r, "%s: fstat", conduit->object);
    ret->largest = file->largest;
    ret->depth = (uint64_t)state.st_size;
    return 0;
}

static void forget_made(struct file *file)
{
    for (int i = 0; i < 2; i++) {
        free(file->made[i]);
        file->made[i] = NULL;
    }
}

/* The lock belongs to the open file description, which the child shares with its parent: it needs another. */
static int file_after_fork(struct conduit *conduit)
{
    struct file *file = (struct file *)conduit;
    char path[32];
    if (file->in.fd >= 0)
        follower_after_fork(&file->in);
    if (file->out.fd >= 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", file->out.fd);
        int fd = sys_open(path, O_RDWR | O_APPEND, 0);
        if (fd < 0)
            return fail_call(fd, "%s: open(%s) in the child", conduit->object, path);
        sys_close(file->out.fd);
        file->out.fd = fd;
        int r = file->out.frame == FRAME_PACKET ? record_attend(fd, F_RDLCK) : 0;
        if (r < 0)
            return r;
    }
    file->sent = false;
    forget_made(file);
    return 0;
}

/* Only the very file that was made, not another that has come to stand under the name. */
static void remove_made(const char *path, int fd)
{
    struct stat named, open;
    if (path && sys_fstat(fd, &open) == 0 && sys_lstat(path, &named) == 0 && named.st_ino == open.st_ino &&
        named.st_dev == open.st_dev)
        sys_unlink(path);
}

static int file_close(struct conduit *conduit, bool forked)
{
    struct file *file = (struct file *)conduit;
    int r = 0;
    if (!forked && file->sent && !conduit->finished)
        r = file_finish(conduit, clock_now() + CLOSE_WAIT);
    if (r == -ETIMEDOUT || r == -ECANCELED)
        r = fail(-EAGAIN, "%s: another sender has it locked: the END record was not appended", conduit->object);
    if (!forked) {
        /* the kernel tells readers that a descriptor is closed before it lets the lock go */
        if (file->out.fd >= 0)
            record_attend(file->out.fd, F_UNLCK);
        remove_made(file->made[0], file->in.fd);
        remove_made(file->made[1], file->out.fd);
    }
    forget_made(file);
    follower_close(&file->in);
    sys_close(file->out.fd);
    sys_close(file->writable_fd);
    conduit_free(conduit);
    return r;
}

static const struct channel_facet file_facet = {
    .variant = "",
    .identity = TONG_IDENTITY_NONE,
    .shape = TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS | TONG_HAS_MANY_RECEIVERS,
    .send = file_send,
    .receive = file_receive,
    .finish = file_finish,
    .sync = file_sync,
    .pollfd = file_pollfd,
    .after_fork = file_after_fork,
    .describe = file_describe,
    .close = file_close,
};

/* ---- Opening ------------------------------------------------------------------------------------------- */

#define OBJECT_MAX (sizeof "file:" + ADDRESS_NAME_MAX)

static void find_file(const char *path, char object[OBJECT_MAX], struct named_file *ret)
{
    snprintf(object, OBJECT_MAX, "file:%s", path);
    *ret = (struct named_file){ .object = object, .path = path };
}

static int check_records(const char *path, int fd)
{
    unsigned char start[4];
    ssize_t size = sys_pread(fd, start, sizeof start, 0);
    if (size < 0)
        return fail_call((int)size, "file: pread(%s)", path);
    if (record_begins(start, (size_t)size))
        return 0;
    return fail(-EEXIST, "file:%s is not a tong record file; use ?frame=line or ?frame=none", path);
}

/* Opens one of the names; made[side] remembers it if it was made. */
static int open_side(struct file *file, const char *path, const struct address *address, int side, int flags)
{
    char object[OBJECT_MAX];
    struct named_file wanted;
    bool made;
    find_file(path, object, &wanted);
    wanted.flags = flags;
    wanted.create = address->value[OPTION_CREATE];
    wanted.mode = (mode_t)address->value[OPTION_MODE];
    wanted.durable = address->value[OPTION_SYNC];
    int fd = named_file_open(&wanted, &made);
    if (fd < 0)
        return fd;
    int r = address->value[OPTION_FRAME] == FRAME_PACKET ? check_records(path, fd) : 0;
    if (r == 0 && made && !(file->made[side] = strdup(path)))
        r = fail(-ENOMEM, "file:%s: out of memory", path);
    if (r < 0) {
        if (made)
            sys_unlink(path);
        sys_close(fd);
        return r;
    }
    file->conduit.flags |= made ? TONG_INFO_CREATED : 0;
    return fd;
}

static int open_in(struct file *file, const struct address *address)
{
    struct follower *in = &file->in;
    in->frame = (int)address->value[OPTION_FRAME];
    in->follow = address->value[OPTION_FOLLOW] == FOLLOW_YES;
    in->largest = file->largest;
    in->cancel_fd = file->conduit.cancel_fd;
    in->object = file->conduit.object;
    int fd = open_side(file, address->name, address, 0, O_RDONLY);
    if (fd < 0)
        return fd;
    int r = follower_open(in, fd, (size_t)address->value[OPTION_BUFFER]);
    return r == 0 && address->value[OPTION_FROM] == FROM_END ? follower_skip_to_end(in) : r;
}

static int open_out(struct file *file, const struct address *address)
{
    struct appender *out = &file->out;
    out->frame = (int)address->value[OPTION_FRAME];
    out->sync = address->value[OPTION_SYNC];
    out->cancel_fd = file->conduit.cancel_fd;
    out->object = file->conduit.object;
    int fd = open_side(file, address->second ? address->second : address->name, address, 1, O_RDWR | O_APPEND);
    if (fd < 0)
        return fd;
    out->fd = fd;
    return out->frame == FRAME_PACKET ? record_attend(fd, F_RDLCK) : 0;
}

static int check_names(const struct open_request *request)
{
    const struct address *address = request->address;
    if (!*address->name || (address->second && !*address->second))
        return fail(-EINVAL, "file: names no file: write file:PATH, or file:IN,OUT");
    if ((request->flags & TONG_BOTH) == TONG_BOTH && !address->second)
        return fail(-EOPNOTSUPP, "file:%s: one file goes one way: give two, file:IN,OUT, to send and to receive",
                    address->name);
    return 0;
}

static int file_open(const struct open_request *request, struct conduit **ret)
{
    const struct address *address = request->address;
    int r = check_names(request);
    if (r < 0)
        return r;
    char object[2 * ADDRESS_NAME_MAX + 16];
    snprintf(object, sizeof object, "file:%s%s%s", address->name, address->second ? "," : "",
             address->second ? address->second : "");
    struct conduit *conduit;
    r = conduit_new(request, &file_facet, sizeof(struct file), object, &conduit);
    if (r < 0)
        return r;
    struct file *file = (struct file *)conduit;
    file->in = FOLLOWER_NONE;
    file->out = (struct appender){ .fd = -1 };
    file->writable_fd = -1;
    file->largest = (uint64_t)address->value[OPTION_SIZE];
    conduit->flags |= conduit_frame_flag((int)address->value[OPTION_FRAME]);
    if (request->flags & TONG_RECEIVE)
        r = open_in(file, address);
    if (r == 0 && request->flags & TONG_SEND)
        r = open_out(file, address);
    if (r < 0) {
        file_close(conduit, false);
        return r;
    }
    if (address->value[OPTION_REMOVE] != REMOVE_OWNER)
        forget_made(file);
    *ret = conduit;
    return 0;
}

static int remove_one(const char *path)
{
    char object[OBJECT_MAX];
    struct named_file file;
    find_file(path, object, &file);
    return named_file_remove(object, path);
}

static int file_remove(const struct address *address)
{
    int r = remove_one(address->name);
    int second = address->second ? remove_one(address->second) : 0;
    return r < 0 ? r : second;
}

/* ---- The lock ------------------------------------------------------------------------------------------ */

/* flock(2), which flock(1) takes too, and which meets none of the locks by fcntl(2) under which senders append: a program
 * may send to the file whose lock it holds. */
static int lock_open(const struct open_request *request, struct lock **ret)
{
    char object[OBJECT_MAX];
    struct named_file file;
    if (!*request->address->name || request->address->second)
        return fail(-EINVAL, "%s: a lock is on one file: write file:PATH", request->address->text);
    find_file(request->address->name, object, &file);
    return lock_file_open(request, &file, ret);
}

static const struct option_use lock_options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    OPTIONS_END,
};

static const struct lock_facet file_lock = {
    .options = lock_options, .open = lock_open, .take = lock_file_take, .release = lock_file_release,
    .descriptor = lock_file_descriptor, .close = lock_file_close,
};

/* ---- The row ------------------------------------------------------------------------------------------- */

static const struct option_use file_options[] = {
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 1 << REMOVE_NEVER | 1 << REMOVE_OWNER },
    { OPTION_SIZE, 16 << 20, 1, RECORD_LARGEST, 0 },
    { OPTION_FRAME, FRAME_PACKET, 0, 0, 0 },
    { OPTION_BUFFER, 64 << 10, 512, 64 << 20, 0 },
    { OPTION_FROM, FROM_START, 0, 0, 1 << FROM_START | 1 << FROM_END },
    { OPTION_FOLLOW, FOLLOW_NO, 0, 0, 0 },
    { OPTION_SYNC, 0, 0, 0, 0 },
    OPTIONS_END,
};

static uint64_t largest_record(const char *source)
{
    (void)source;
    return RECORD_LARGEST;
}

static const struct limit file_limits[] = {
    { "largest record", "bytes", "size=1G", largest_record },
    { "readers that wait, of one user", "inotify descriptors", "fs.inotify.max_user_instances", limit_from_proc },
    { "files waited for, by one user", "files", "fs.inotify.max_user_watches", limit_from_proc },
    { NULL, NULL, NULL, NULL },
};

static const struct channel_facet *const file_channels[] = { &file_facet, NULL };

const struct mechanism mechanism_file = {
    .scheme = "file",
    .form = "file:PATH, file:IN,OUT",
    .summary = "shared file: senders append, every receiver reads all of it and follows as it grows",
    .medium = "file",
    .unit = "message (frame=packet), bytes",
    .reach = "one machine",
    .order = "the library: senders by a lock that dies with its holder; a receiver sleeps in inotify",
    .lifetime = "until it is removed; survives a restart",
    .family = "POSIX files and locks; following by inotify: Linux",
    .options = file_options,
    .limits = file_limits,
    .channels = file_channels,
    .lock = &file_lock,
    .open = file_open,
    .remove = file_remove,
};
