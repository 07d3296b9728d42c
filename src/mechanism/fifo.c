/* SPDX-License-Identifier: MIT */
/*
 * fifo: - the named pipe: a pipe that processes find by a path.
 *
 * Traps that are dealt with here:
 *   - open(2) of a FIFO blocks until the other side comes.  The reader opens without blocking and waits where it
 *     can be timed and cancelled; the writer has to know that somebody reads, or it would write into nothing.
 *   - O_NONBLOCK cannot be said call by call on a FIFO (RWF_NOWAIT is refused), so each side holds two
 *     descriptions of its own: one blocking, one not.
 *   - Two readers would tear messages apart between them: the one reader holds flock(2) on its description.
 *   - Writes above PIPE_BUF interleave: messages travel as fragments (core/frame.h), or, unframed, under an
 *     OFD lock that writers share.
 * Semantics: fifo(7), pipe(7), mkfifo(3).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/made_name.h"
#include "core/patience.h"
#include "core/process.h"
#include "core/stream.h"
#include "sys/sys.h"

static const struct option_use fifo_options[] = {
    STREAM_OPTIONS,
    { OPTION_MODE, 0600, 0, 0777, 0 },
    { OPTION_CREATE, CREATE_YES, 0, 0, 0 },
    { OPTION_REMOVE, REMOVE_NEVER, 0, 0, 1 << REMOVE_NEVER | 1 << REMOVE_OWNER },
    { OPTION_CAPACITY, 64 << 10, 4 << 10, 1 << 30, 0 },
    { OPTION_RECONNECT, 0, 0, 0, 0 },
    OPTIONS_END,
};

/* What close removes, and the writing end that reconnect=yes holds so that no end is ever seen. */
struct fifo_extra {
    struct made_name made[2];
    int hold_fd;
};

static void fifo_closed(struct stream *stream, bool forked)
{
    struct fifo_extra *extra = stream->owner;
    for (int i = 0; i < 2; i++) {
        if (!forked)
            made_name_remove(&extra->made[i]);
        made_name_free(&extra->made[i]);
    }
    sys_close(extra->hold_fd);
    free(extra);
}

static const struct channel_facet fifo_channel = {
    .variant = "",
    .shape = TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS,
    .send = stream_send, .send_batch = stream_send_batch, .receive = stream_receive, .receive_batch = stream_receive_batch,
    .finish = stream_finish, .pollfd = stream_pollfd, .after_fork = stream_after_fork,
    .descriptor = stream_descriptor, .heir_options = stream_heir_options,
    .describe = stream_describe, .close = stream_close,
};

/* ---- The name -------------------------------------------------------------------------------------------- */

static int foreign(const char *path, mode_t mode)
{
    const char *what = S_ISREG(mode) ? "a regular file" : S_ISDIR(mode) ? "a directory" : S_ISSOCK(mode) ? "a socket"
                     : S_ISLNK(mode) ? "a symbolic link, which is not followed" : "something else";
    return fail(-EEXIST, "%s exists and is not a FIFO but %s: choose another name", path, what);
}

static int make_name(const char *path, const struct address *address, bool *ret_created)
{
    int64_t create = address->value[OPTION_CREATE];
    *ret_created = false;
    if (create == CREATE_NO)
        return 0;
    mode_t mode = (mode_t)address->value[OPTION_MODE];
    int r = sys_mkfifo(path, mode);
    if (r == -EEXIST && create == CREATE_YES)
        return 0;
    if (r == -EEXIST)
        return fail(-EEXIST, "%s exists already, and create=excl was asked", path);
    if (r < 0)
        return fail_call(r, "mkfifo(%s)", path);
    *ret_created = true;
    /* mkfifo(3) takes the umask away from the mode that was asked for */
    if (address_given(address, OPTION_MODE) && (r = sys_chmod(path, mode)) < 0) {
        sys_unlink(path);
        return fail_call(r, "chmod(%s)", path);
    }
    return 0;
}

static int open_failed(const char *path, int error)
{
    struct stat status;
    if ((error == -ELOOP || error == -EISDIR || error == -ENXIO) && sys_lstat(path, &status) == 0 && !S_ISFIFO(status.st_mode))
        return foreign(path, status.st_mode);
    if (error == -ENXIO)
        return fail(-ENXIO, "nobody has %s open to receive: start a receiver first, or wait for one", path);
    if (error == -ENOENT)
        return fail(-ENOENT, "%s does not exist: start a receiver first, wait for one, or check the path", path);
    return fail_call(error, "open(%s)", path);
}

/* Opens without blocking and checks that it is a FIFO: -ENXIO for a writer without a reader. */
static int open_checked(const char *path, int access, int *ret)
{
    int fd = sys_open(path, access | O_NONBLOCK | O_NOFOLLOW, 0);
    if (fd < 0)
        return open_failed(path, fd);
    struct stat status;
    int r = sys_fstat(fd, &status);
    if (r < 0)
        r = fail_call(r, "fstat(%s)", path);
    else if (!S_ISFIFO(status.st_mode))
        r = foreign(path, status.st_mode);
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    *ret = fd;
    return 0;
}

/* The same FIFO once more, by the descriptor: the path may be another's by now.  The first becomes the blocking one,
 * and the one that is polled: it has seen every writer, also one that came and went before there was a second. */
static int open_again(int fd, int access, const char *path, int *ret)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int again = sys_open(self, access | O_NONBLOCK, 0);
    if (again < 0)
        return fail_call(again, "open(%s) once more", path);
    int r = sys_fcntl_int(fd, F_SETFL, 0);
    if (r < 0) {
        sys_close(again);
        return fail_call(r, "fcntl(%s, F_SETFL)", path);
    }
    *ret = again;
    return 0;
}

static int make_port(int fd, int access, const char *path, struct port *ret)
{
    struct port port = PORT_INIT;
    port.kind = PORT_FIFO;
    port.fd = fd;
    port.owned = true;
    int r = open_again(fd, access, path, &port.nonblocking_fd);
    if (r < 0) {
        sys_close(fd);
        return r;
    }
    *ret = port;
    return 0;
}

/* ---- Opening an end -------------------------------------------------------------------------------------- */

static int open_reader(const char *path, struct port *ret)
{
    int fd;
    int r = open_checked(path, O_RDONLY, &fd);
    if (r < 0 || (r = make_port(fd, O_RDONLY, path, ret)) < 0)
        return r;
    r = sys_flock(ret->fd, LOCK_EX | LOCK_NB);
    if (r == 0)
        return 0;
    port_close(ret);
    return r == -EAGAIN ? fail(-EBUSY, "%s has a receiver already, and a FIFO serves one: a second would tear messages apart", path)
                        : fail_call(r, "flock(%s)", path);
}

/* Waits in open(2), as the kernel offers it, until a reader is there: it is then at the path, or gone again. */
static int await_reader(const char *path, int *ret_hold)
{
    int r = sys_open(path, O_WRONLY | O_NOFOLLOW, 0);
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught while waiting for a receiver");
    if (r < 0)
        return open_failed(path, r);
    *ret_hold = r;
    return 0;
}

/*
 * Waits for a reader.  A reader that itself blocks in open(2) makes no event that inotify could tell, so a
 * timed wait has to look again and again, ever more slowly; each look costs one open(2).
 */
static int open_writer(const char *path, int64_t deadline, struct port *ret)
{
    struct patience patience = PATIENCE_OF(100 * TONG_MICROSECOND, 10 * TONG_MILLISECOND);
    int fd, r, waited = 0, hold = -1;
    while ((r = open_checked(path, O_WRONLY, &fd)) == -ENXIO && deadline != DEADLINE_NOW && waited == 0) {
        sys_close(hold); /* the reader of that wait has gone again */
        hold = -1;
        waited = deadline == DEADLINE_NEVER ? await_reader(path, &hold) : patience_pause(&patience, -1, deadline);
    }
    patience_end(&patience);
    if (waited == -ETIMEDOUT && r == -ENXIO)
        return fail(-ETIMEDOUT, "nobody opened %s to receive in time", path);
    if (r == 0)
        r = make_port(fd, O_WRONLY, path, ret);
    sys_close(hold);
    return waited < 0 && r == -ENXIO ? waited : r;
}

static int set_capacity(const struct address *address, const struct port *port)
{
    long long capacity = address->value[OPTION_CAPACITY];
    int r = address_given(address, OPTION_CAPACITY) ? sys_fcntl_int(port->fd, F_SETPIPE_SZ, (int)capacity) : 0;
    return r < 0 ? fail_call(r, "%s: capacity=%lld, less than what is in it, or above what fs.pipe-max-size or "
                             "fs.pipe-user-pages-soft lets an ordinary user have", address->text, capacity) : 0;
}

static bool excl(const struct address *address)
{
    return address->value[OPTION_CREATE] == CREATE_EXCL;
}

struct fifo_names {
    const char *in, *out;
    bool made_in, made_out;
};

static int choose_names(const struct open_request *request, struct fifo_names *ret)
{
    const struct address *address = request->address;
    uint32_t ways = request->flags & TONG_BOTH;
    if (!*address->name)
        return fail(-EINVAL, "%s names no path: write fifo:/some/path", address->text);
    if (ways == TONG_BOTH && !address->second)
        return fail(-EOPNOTSUPP, "a FIFO goes one way: name two for both directions, fifo:IN,OUT");
    if (ways != TONG_BOTH && address->second)
        return fail(-EINVAL, "%s names two FIFOs: open it for both directions", address->text);
    *ret = (struct fifo_names){ ways & TONG_RECEIVE ? address->name : NULL,
                                ways == TONG_BOTH ? address->second : ways == TONG_SEND ? address->name : NULL, false, false };
    return 0;
}

static int open_ports(const struct open_request *request, struct fifo_names *names, struct port *in, struct port *out, int *hold)
{
    int r = names->in ? make_name(names->in, request->address, &names->made_in) : 0;
    /* a sender that may not wait makes no name: nobody could be reading from it */
    if (r == 0 && names->out && (names->in || request->deadline != DEADLINE_NOW || excl(request->address)))
        r = make_name(names->out, request->address, &names->made_out);
    if (r == 0 && names->in)
        r = open_reader(names->in, in);
    if (r == 0 && names->in && request->address->value[OPTION_RECONNECT])
        r = open_checked(names->in, O_WRONLY, hold);
    if (r == 0 && names->out)
        r = open_writer(names->out, request->deadline, out);
    return r < 0 ? r : set_capacity(request->address, names->in ? in : out);
}

static int wrap(const struct open_request *request, const struct fifo_names *names, struct port *in, struct port *out, int hold,
                struct conduit **ret)
{
    struct fifo_extra *extra = calloc(1, sizeof *extra);
    bool remove = request->address->value[OPTION_REMOVE] == REMOVE_OWNER;
    if (!extra)
        return fail(-ENOMEM, "%s: out of memory", request->address->text);
    extra->hold_fd = -1;
    int r = remove && names->made_in ? made_name_note(&extra->made[0], names->in) : 0;
    if (r == 0 && remove && names->made_out)
        r = made_name_note(&extra->made[1], names->out);
    struct stream *stream;
    if (r == 0)
        r = stream_new(request, &fifo_channel, in, out, request->address->text, &stream);
    if (r < 0) {
        made_name_free(&extra->made[0]);
        made_name_free(&extra->made[1]);
        free(extra);
        return r;
    }
    extra->hold_fd = hold;
    stream->owner = extra;
    stream->closed = fifo_closed;
    stream->lock_large = true;
    stream->base.flags |= names->made_in || names->made_out ? TONG_INFO_CREATED : 0;
    r = names->out ? stream_announce(stream, request->deadline) : 0;
    if (r < 0) {
        extra->hold_fd = -1;
        stream->in = stream->out = (struct port)PORT_INIT;
        stream_close(&stream->base, false);
        return r;
    }
    *ret = &stream->base;
    return 0;
}

static int fifo_open(const struct open_request *request, struct conduit **ret)
{
    struct fifo_names names = { NULL, NULL, false, false };
    struct port in = PORT_INIT, out = PORT_INIT;
    int hold = -1;
    int r = choose_names(request, &names);
    if (r < 0)
        return r;
    r = open_ports(request, &names, &in, &out, &hold);
    if (r == 0)
        r = wrap(request, &names, &in, &out, hold, ret);
    if (r == 0)
        return 0;
    port_close(&in);
    port_close(&out);
    sys_close(hold);
    /* what a failed open made is gone again; somebody who found it in this moment waits on a name that is no more */
    if (names.made_in)
        sys_unlink(names.in);
    if (names.made_out)
        sys_unlink(names.out);
    return r;
}

static int remove_one(const char *path)
{
    struct stat status;
    int r = sys_lstat(path, &status);
    if (r < 0)
        return fail_call(r, "%s", path);
    if (!S_ISFIFO(status.st_mode))
        return foreign(path, status.st_mode);
    r = sys_unlink(path);
    return r < 0 ? fail_call(r, "unlink(%s)", path) : 0;
}

static int fifo_remove(const struct address *address)
{
    if (!*address->name)
        return fail(-EINVAL, "%s names no path: write fifo:/some/path", address->text);
    int r = remove_one(address->name);
    return r == 0 && address->second ? remove_one(address->second) : r;
}

static const struct limit fifo_limits[] = {
    { "largest message", "bytes", "size=1G", stream_limit_largest },
    { "largest write that never interleaves", "bytes", "PIPE_BUF", limit_pipe_buf },
    { "largest capacity for an ordinary user", "bytes", "fs.pipe-max-size", limit_from_proc },
    { NULL, NULL, NULL, NULL },
};

static const struct channel_facet *const fifo_channels[] = { &fifo_channel, NULL };

const struct mechanism mechanism_fifo = {
    .scheme = "fifo",
    .form = "fifo:PATH, fifo:IN,OUT",
    .summary = "named pipe: many senders, one receiver, found by a path",
    .medium = "kernel memory; the path is only a name",
    .unit = "bytes, framed into messages",
    .reach = "one machine, whoever may open the path",
    .order = "the kernel: a full pipe blocks the writer, an empty one the reader, asleep",
    .lifetime = "the name until it is removed, what is in it until the last end closes",
    .family = "POSIX; every Unix",
    .options = fifo_options,
    .limits = fifo_limits,
    .channels = fifo_channels,
    .open = fifo_open,
    .remove = fifo_remove,
};
