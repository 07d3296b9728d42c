/* SPDX-License-Identifier: MIT */
/*
 * Appending under a lock.
 *
 * Every append happens under a write lock on the whole file, so that whoever has it knows that no other writer
 * of ours is in the middle of one: what is no whole message then was left by one who died.  A torn record is
 * cut away; a torn line is ended, since in a file of lines it may as well be somebody's text.
 *
 * The kernel copies a write into the file page by page and moves the size behind each: readers and survivors
 * of SIGKILL see a beginning of it, never a hole.  A write that runs out of space is taken back by the writer.
 *
 * The lock is an OFD lock: it goes with the last descriptor of the description.  A process that forks in one
 * thread while another appends, and is then killed, leaves it to its child until that executes or exits.
 */
#include "core/appender.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/detail.h"
#include "core/address.h"
#include "core/record.h"
#include "sys/sys.h"

#define SPANS_MAX 3

/* What is written for one message. */
struct pieces {
    struct iovec span[SPANS_MAX];
    int count;
    size_t size;
};

static void add_piece(struct pieces *pieces, const void *data, size_t size)
{
    if (size == 0)
        return;
    pieces->span[pieces->count++] = (struct iovec){ (void *)data, size };
    pieces->size += size;
}

/* ---- Judging what others left, under the lock ------------------------------------------------------------ */

static int cut_torn_tail(struct appender *appender, uint64_t size)
{
    uint64_t end = 0;
    int r = record_tail(appender->fd, size < appender->known ? 0 : appender->known, size, &end);
    if (r == -EBADMSG)
        return fail(r, "%s: at byte %llu begins something that is no record and no rest of one: the file was "
                    "damaged, or written to by another program; move it away", appender->object,
                    (unsigned long long)end);
    if (r == 0 && end < size)
        r = sys_ftruncate(appender->fd, (off_t)end);
    if (r < 0)
        return fail_call(r, "%s: judging what an earlier sender left", appender->object);
    appender->known = end;
    return 0;
}

/* Whether the last line lacks its end. */
static int line_is_open(struct appender *appender, uint64_t size)
{
    char last;
    ssize_t r = size ? sys_pread(appender->fd, &last, 1, (off_t)size - 1) : 0;
    if (r < 0)
        return fail_call((int)r, "%s: pread", appender->object);
    return r == 1 && last != '\n';
}

/* 1: a line that somebody left open must be ended first. */
static int judge(struct appender *appender, uint64_t *ret_size)
{
    struct stat state;
    int r = sys_fstat(appender->fd, &state);
    if (r < 0)
        return fail_call(r, "%s: fstat", appender->object);
    if (state.st_nlink == 0)
        return fail(-ESTALE, "%s: the file was removed: nobody else can open what would be added to it",
                    appender->object);
    *ret_size = (uint64_t)state.st_size;
    if (*ret_size == appender->known || appender->frame == FRAME_NONE)
        return 0;
    if (appender->frame == FRAME_LINE)
        return line_is_open(appender, *ret_size);
    r = cut_torn_tail(appender, *ret_size);
    *ret_size = appender->known;
    return r;
}

/* ---- Writing --------------------------------------------------------------------------------------------- */

/* Takes back the beginning of a message that could not be written whole; not if a stranger wrote behind it. */
static void take_back(struct appender *appender, uint64_t before, uint64_t written)
{
    struct stat state;
    if (written && sys_fstat(appender->fd, &state) == 0 && (uint64_t)state.st_size == before + written)
        sys_ftruncate(appender->fd, (off_t)before);
}

static int failed(const struct appender *appender, size_t size, int error)
{
    if (error == -ENOSPC || error == -EDQUOT)
        return fail(error, "%s: no space for a message of %zu bytes: nothing of it is in the file",
                    appender->object, size);
    return fail_call(error, "%s: writing %zu bytes", appender->object, size);
}

static void skip_written(struct pieces *pieces, size_t written)
{
    pieces->size -= written;
    for (int i = 0; written > 0; i++) {
        size_t part = written < pieces->span[i].iov_len ? written : pieces->span[i].iov_len;
        pieces->span[i].iov_base = (char *)pieces->span[i].iov_base + part;
        pieces->span[i].iov_len -= part;
        written -= part;
    }
}

static int write_all(struct appender *appender, struct pieces *pieces, uint64_t before)
{
    uint64_t written = 0;
    size_t size = pieces->size;
    while (pieces->size > 0) {
        ssize_t r = sys_writev(appender->fd, pieces->span, pieces->count);
        if (r <= 0) {
            take_back(appender, before, written);
            return failed(appender, size, r < 0 ? (int)r : -EIO);
        }
        written += (uint64_t)r;
        skip_written(pieces, (size_t)r);
    }
    appender->known = before + written;
    return 0;
}

static int write_locked(struct appender *appender, struct pieces *pieces)
{
    static const char end_of_line = '\n';
    uint64_t before = 0;
    int r = judge(appender, &before);
    if (r < 0)
        return r;
    if (r == 0)
        return write_all(appender, pieces, before);
    struct pieces more = { .count = 0 };
    add_piece(&more, &end_of_line, 1);
    for (int i = 0; i < pieces->count; i++)
        add_piece(&more, pieces->span[i].iov_base, pieces->span[i].iov_len);
    return write_all(appender, &more, before);
}

static int append(struct appender *appender, struct pieces *pieces, int64_t deadline)
{
    int r = record_lock(appender->fd, F_WRLCK, appender->cancel_fd, deadline);
    if (r < 0)
        return r;
    r = write_locked(appender, pieces);
    int unlocked = record_lock(appender->fd, F_UNLCK, -1, deadline);
    if (r == 0)
        r = unlocked;
    if (r == 0 && appender->sync && (r = sys_fdatasync(appender->fd)) < 0)
        r = fail_call(r, "%s: fdatasync: the message is in the file but perhaps not on the disk", appender->object);
    return r;
}

static int append_record(struct appender *appender, const void *data, size_t size, int64_t type, uint8_t flags,
                         int64_t deadline)
{
    unsigned char header[RECORD_HEADER];
    struct record record = {
        .type = type, .length = (uint32_t)size, .payload_crc = crc32c(0, data, size), .flags = flags,
    };
    record_encode(&record, header);
    struct pieces pieces = { .count = 0 };
    add_piece(&pieces, header, sizeof header);
    add_piece(&pieces, data, size);
    return append(appender, &pieces, deadline);
}

int appender_append(struct appender *appender, const void *data, size_t size, int64_t type, uint8_t flags,
                    int64_t deadline)
{
    if (appender->frame == FRAME_PACKET)
        return append_record(appender, data, size, type, flags, deadline);
    if (type != 0)
        return fail(-EINVAL, "%s: type %lld has no place in a file without records: use ?frame=packet",
                    appender->object, (long long)type);
    struct pieces pieces = { .count = 0 };
    add_piece(&pieces, data, size);
    if (appender->frame == FRAME_LINE) {
        if (size && memchr(data, '\n', size))
            return fail(-EINVAL, "%s: a message with a newline in it is not one line: use ?frame=packet",
                        appender->object);
        add_piece(&pieces, "\n", 1);
    }
    return pieces.size ? append(appender, &pieces, deadline) : 0;
}
