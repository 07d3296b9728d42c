/* SPDX-License-Identifier: MIT */
/*
 * Following a file that grows.
 *
 * Readers take no lock: a record that is not whole is not there yet.  Only a record that is complete and wrong
 * is looked at again under a shared lock, because a reader may read just while a torn tail is cut away and
 * overwritten; what is wrong under the lock is wrong indeed.
 *
 * Waiting is inotify(7) on the file itself (by /proc/self/fd, so that renaming does not matter).  The watch is
 * made before the last look at the file, and events are drained before a look, never after one, so that what is
 * written between the look and the sleep wakes the sleeper.  A sender that goes is seen too (IN_CLOSE_WRITE), but the
 * kernel says so just before it lets go of the lock of one that was killed: who waits behind an END for others to go
 * looks again once a GLANCE.  inotify does not see what another machine writes to a network file system.
 */
#include "core/follower.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/detail.h"
#include "core/record.h"
#include "sys/sys.h"

#define GLANCE INT64_C(100000000) /* ns */

/* ---- The buffer ---------------------------------------------------------------------------------------- */

static int read_failed(const struct follower *follower, ssize_t error)
{
    return fail_call((int)error, "%s: pread at byte %llu", follower->object, (unsigned long long)follower->position);
}

static inline size_t at_hand(const struct follower *follower)
{
    uint64_t end = follower->at + follower->have;
    return follower->position >= follower->at && follower->position < end ? (size_t)(end - follower->position) : 0;
}

static inline const unsigned char *next_bytes(const struct follower *follower)
{
    return follower->bytes + (follower->position - follower->at);
}

static int refill(struct follower *follower)
{
    follower->have = 0;
    ssize_t r = sys_pread(follower->fd, follower->bytes, follower->size, (off_t)follower->position);
    if (r < 0)
        return read_failed(follower, r);
    follower->at = follower->position;
    follower->have = (size_t)r;
    return 0;
}

/* Has the next `need` bytes at hand.  -EAGAIN: they are not there yet. */
static inline int need_bytes(struct follower *follower, size_t need)
{
    if (at_hand(follower) >= need)
        return 0;
    int r = refill(follower);
    return r < 0 ? r : follower->have >= need ? 0 : -EAGAIN;
}

/* ---- Records ------------------------------------------------------------------------------------------- */

/* The record at hand is wrong: 0 if it is right by now, -EAGAIN if it is torn and will be cut away. */
static int judge(struct follower *follower, int64_t deadline)
{
    struct stat state;
    uint64_t next = 0;
    follower->have = 0;
    int r = record_lock(follower->fd, F_RDLCK, follower->cancel_fd, deadline);
    if (r < 0)
        return r;
    r = sys_fstat(follower->fd, &state);
    if (r == 0)
        r = (uint64_t)state.st_size > follower->position
            ? record_check(follower->fd, follower->position, (uint64_t)state.st_size, &next) : RECORD_TORN;
    record_lock(follower->fd, F_UNLCK, -1, deadline);
    unsigned long long where = follower->position;
    switch (r) {
    case RECORD_WHOLE: return 0;
    case RECORD_TORN: return -EAGAIN;
    case RECORD_DAMAGED:
        follower->position = next;
        return fail(-EBADMSG, "%s: the record at byte %llu is damaged and was passed over", follower->object, where);
    case RECORD_FOREIGN:
        return fail(-EBADMSG, "%s: at byte %llu begins something that is no record: the file was damaged, or "
                    "written to by another program", follower->object, where);
    default:
        return fail_call(r, "%s: looking at the record at byte %llu", follower->object, where);
    }
}

/* Only of a record that is there: one that is still being written has no need yet, and a header from the buffer
 * may have been that of a torn one.  0: look again. */
static int too_long(struct follower *follower, struct message_in *in, const struct record *record)
{
    unsigned char before[RECORD_HEADER];
    struct stat state;
    memcpy(before, next_bytes(follower), sizeof before);
    int r = sys_fstat(follower->fd, &state);
    if (r < 0)
        return fail_call(r, "%s: fstat", follower->object);
    r = refill(follower);
    if (r < 0)
        return r;
    if ((uint64_t)state.st_size < follower->position + RECORD_HEADER + record->length)
        return -EAGAIN;
    if (follower->have < sizeof before || memcmp(before, follower->bytes, sizeof before))
        return 0;
    in->meta.length = record->length;
    return fail(-EMSGSIZE, "%s: the next message has %u bytes and the buffer %zu: it is kept", follower->object,
                record->length, in->capacity);
}

/* A payload that is larger than our buffer goes straight to the caller, but for what is at hand already. */
static int read_long(struct follower *follower, const struct record *record, char *to)
{
    size_t part = at_hand(follower) - RECORD_HEADER;
    if (part > record->length)
        part = record->length;
    memcpy(to, next_bytes(follower) + RECORD_HEADER, part);
    while (part < record->length) {
        ssize_t r = sys_pread(follower->fd, to + part, record->length - part,
                              (off_t)(follower->position + RECORD_HEADER + part));
        if (r < 0)
            return read_failed(follower, r);
        if (r == 0) {
            follower->have = 0;
            return -EAGAIN;
        }
        part += (size_t)r;
    }
    return crc32c(0, to, record->length) == record->payload_crc ? 0 : -EBADMSG;
}

/* 0, -EAGAIN, or -EBADMSG without words: the check sum is wrong. */
static int read_payload(struct follower *follower, const struct record *record, char *to)
{
    size_t whole = RECORD_HEADER + (size_t)record->length;
    if (whole > follower->size)
        return read_long(follower, record, to);
    int r = need_bytes(follower, whole);
    if (r < 0) {
        follower->have = 0;
        return r;
    }
    const unsigned char *payload = next_bytes(follower) + RECORD_HEADER;
    if (crc32c(0, payload, record->length) != record->payload_crc)
        return -EBADMSG;
    if (record->length)
        memcpy(to, payload, record->length);
    return 0;
}

/*
 * An END record is an end only while nothing follows it and no sender is there that might still append: a
 * sender lets go of its place before it appends END, so the last one's END is seen when all are gone.  What they
 * appended before they went is seen by a look after nobody was there.
 * 0: pass over it.
 */
static int at_end_record(struct follower *follower)
{
    int attended = 0, r = follower->follow ? 0 : need_bytes(follower, RECORD_HEADER + 1);
    if (r == -EAGAIN && (attended = record_attended(follower->fd)) == 0)
        r = need_bytes(follower, RECORD_HEADER + 1);
    follower->attended = attended > 0;
    if (r == 0)
        follower->position += RECORD_HEADER;
    if (r != -EAGAIN || attended > 0)
        return r;
    return attended < 0 ? attended : fail_static(-ENODATA, "the end: the last sender has finished");
}

static ssize_t take_record(struct follower *follower, struct message_in *in, int64_t deadline)
{
    for (;;) {
        struct record record;
        int r = need_bytes(follower, RECORD_HEADER);
        if (r < 0)
            return r;
        bool right = record_decode(next_bytes(follower), &record);
        if (right && record.flags & RECORD_END) {
            if ((r = at_end_record(follower)) < 0)
                return r;
            continue;
        }
        if (right && record.length > in->capacity) {
            r = too_long(follower, in, &record);
            if (r < 0)
                return r;
            continue;
        }
        r = right ? read_payload(follower, &record, in->data) : -EBADMSG;
        if (r == 0) {
            follower->position += RECORD_HEADER + record.length;
            in->meta.type = record.type;
            in->meta.length = record.length;
            return (ssize_t)record.length;
        }
        if (r != -EBADMSG || (r = judge(follower, deadline)) < 0)
            return r;
    }
}

/* ---- Lines and bytes ----------------------------------------------------------------------------------- */

static int at_end(const struct follower *follower)
{
    struct stat state;
    if (follower->follow)
        return -EAGAIN;
    int r = sys_fstat(follower->fd, &state);
    if (r < 0)
        return fail_call(r, "%s: fstat", follower->object);
    return (uint64_t)state.st_size < follower->position ? -EAGAIN : fail_static(-ENODATA, "the end of the file");
}

static int grow(struct follower *follower)
{
    if (follower->size > follower->largest)
        return fail(-EBADMSG, "%s: the line at byte %llu is longer than %llu bytes: raise ?size=, or read it with "
                    "?frame=none",
                    follower->object, (unsigned long long)follower->position, (unsigned long long)follower->largest);
    size_t size = follower->size * 2 < follower->largest + 1 ? follower->size * 2 : (size_t)follower->largest + 1;
    unsigned char *bytes = realloc(follower->bytes, size);
    if (!bytes)
        return fail(-ENOMEM, "%s: out of memory for a line of more than %zu bytes", follower->object, follower->size);
    follower->bytes = bytes;
    follower->size = size;
    return 0;
}

static bool line_at_hand(const struct follower *follower, size_t *ret_length)
{
    size_t have = at_hand(follower);
    const unsigned char *start = have ? next_bytes(follower) : NULL;
    const unsigned char *end = have ? memchr(start, '\n', have) : NULL;
    *ret_length = end ? (size_t)(end - start) : have;
    return end != NULL;
}

static int refill_locked(struct follower *follower, int64_t deadline)
{
    int r = record_lock(follower->fd, F_RDLCK, follower->cancel_fd, deadline);
    if (r < 0)
        return r;
    r = refill(follower);
    record_lock(follower->fd, F_UNLCK, -1, deadline);
    return r;
}

/* Has the next line at hand; *ret_end is the length of its end, 0 for the last one of a file that lacks it,
 * which is only certain under the lock: one of our writers may be in the middle of it. */
static int find_line(struct follower *follower, int64_t deadline, size_t *ret_length, size_t *ret_end)
{
    bool fresh = false, locked = false;
    for (;;) {
        *ret_end = line_at_hand(follower, ret_length);
        if (*ret_end)
            return 0;
        bool to_end = fresh && *ret_length < follower->size;
        if (to_end && (*ret_length == 0 || follower->follow))
            return at_end(follower);
        if (to_end && locked)
            return 0;
        int r = fresh && !to_end ? grow(follower) : 0;
        if (r == 0)
            r = to_end ? refill_locked(follower, deadline) : refill(follower);
        if (r < 0)
            return r;
        fresh = true;
        locked = to_end;
    }
}

static ssize_t take_line(struct follower *follower, struct message_in *in, int64_t deadline)
{
    size_t length, end;
    int r = find_line(follower, deadline, &length, &end);
    if (r < 0)
        return r;
    in->meta.length = length;
    if (length > in->capacity)
        return fail(-EMSGSIZE, "%s: the next line has %zu bytes and the buffer %zu: it is kept", follower->object,
                    length, in->capacity);
    if (length)
        memcpy(in->data, next_bytes(follower), length);
    follower->position += length + end;
    return (ssize_t)length;
}

static ssize_t take_bytes(struct follower *follower, struct message_in *in, int64_t deadline)
{
    (void)deadline;
    if (in->capacity == 0) {
        in->meta.length = 1;
        return fail_static(-EMSGSIZE, "no byte fits a buffer of none");
    }
    ssize_t r = sys_pread(follower->fd, in->data, in->capacity, (off_t)follower->position);
    if (r < 0)
        return read_failed(follower, r);
    if (r == 0)
        return at_end(follower);
    follower->position += (uint64_t)r;
    in->meta.length = (uint64_t)r;
    return r;
}

/* By FRAME_...: -EAGAIN without words when there is nothing yet. */
static ssize_t (*const takes[])(struct follower *, struct message_in *, int64_t deadline) = {
    [FRAME_PACKET] = take_record,
    [FRAME_LINE] = take_line,
    [FRAME_NONE] = take_bytes,
};

/* ---- Waiting ------------------------------------------------------------------------------------------- */

static int watch(struct follower *follower)
{
    char path[32];
    int fd = sys_inotify();
    if (fd == -EMFILE)
        return fail(fd, "%s: no more inotify descriptors for this user or process: "
                    "fs.inotify.max_user_instances is %llu", follower->object,
                    (unsigned long long)limit_from_proc("fs.inotify.max_user_instances"));
    if (fd < 0)
        return fail_call(fd, "%s: inotify_init1", follower->object);
    snprintf(path, sizeof path, "/proc/self/fd/%d", follower->fd);
    int r = sys_inotify_add(fd, path, IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE);
    if (r < 0) {
        sys_close(fd);
        return fail_call(r, "%s: inotify_add_watch(%s)", follower->object, path);
    }
    follower->notify_fd = fd;
    return 0;
}

static void drain(struct follower *follower)
{
    char events[4096];
    while (sys_read(follower->notify_fd, events, sizeof events) == sizeof events)
        continue;
}

/* Nothing more will come to a file without a name, nor to one that was cut before our place in it. */
static int check_alive(const struct follower *follower)
{
    struct stat state;
    int r = sys_fstat(follower->fd, &state);
    if (r < 0)
        return fail_call(r, "%s: fstat", follower->object);
    if ((uint64_t)state.st_size < follower->position)
        return fail(-ESTALE, "%s: the file was cut to %llu bytes while this reader was at byte %llu: open it again",
                    follower->object, (unsigned long long)state.st_size, (unsigned long long)follower->position);
    if (state.st_nlink == 0)
        return fail(-ESTALE, "%s: the file was removed while this reader waited for more", follower->object);
    return 0;
}

/* 0: look again. */
static int wait_more(struct follower *follower, int64_t deadline)
{
    int r = check_alive(follower);
    if (r < 0)
        return r;
    if (deadline == DEADLINE_NOW)
        return wait_expired(deadline);
    if (follower->notify_fd < 0)
        return watch(follower);
    int64_t glance = clock_now() + GLANCE;
    bool early = follower->attended && (deadline < 0 || deadline > glance);
    r = wait_descriptor(follower->notify_fd, POLLIN, follower->cancel_fd, early ? glance : deadline);
    if (r == -ETIMEDOUT && early)
        return 0;
    if (r < 0)
        return r;
    drain(follower);
    return 0;
}

/* Somebody polls: events are drained, and only a look that then finds nothing makes us unready. */
static ssize_t take_polled(struct follower *follower, struct message_in *in, int64_t deadline)
{
    ssize_t r = takes[follower->frame](follower, in, deadline);
    if (r == -EAGAIN && follower->ready.epoll_fd >= 0) {
        drain(follower);
        r = takes[follower->frame](follower, in, deadline);
    }
    if (r == -EAGAIN)
        ready_lower(&follower->ready);
    else
        ready_raise(&follower->ready);
    return r;
}

ssize_t follower_receive(struct follower *follower, struct message_in *in, int64_t deadline)
{
    for (;;) {
        ssize_t r = take_polled(follower, in, deadline);
        if (r != -EAGAIN)
            return r;
        r = wait_more(follower, deadline);
        if (r < 0)
            return r;
    }
}

/* What was there before the watch is not known to it: ready until a look finds nothing. */
int follower_pollfd(struct follower *follower, struct pollfd *ret)
{
    int r = follower->notify_fd < 0 ? watch(follower) : 0;
    if (r == 0 && follower->ready.epoll_fd < 0) {
        follower->ready.raised = false;
        r = ready_open(&follower->ready, follower->notify_fd, EPOLLIN);
        if (r == 0)
            ready_raise(&follower->ready);
    }
    if (r == 0)
        *ret = (struct pollfd){ follower->ready.epoll_fd, POLLIN, 0 };
    return r;
}

/* ---- Opening ------------------------------------------------------------------------------------------- */

int follower_open(struct follower *follower, int fd, size_t buffer)
{
    follower->fd = fd;
    follower->size = buffer;
    follower->bytes = malloc(buffer);
    return follower->bytes ? 0 : fail(-ENOMEM, "%s: out of memory for a buffer of %zu bytes", follower->object, buffer);
}

void follower_close(struct follower *follower)
{
    ready_close(&follower->ready);
    sys_close(follower->notify_fd);
    sys_close(follower->fd);
    free(follower->bytes);
    *follower = FOLLOWER_NONE;
}

int follower_skip_to_end(struct follower *follower)
{
    struct stat state;
    uint64_t end = 0;
    int r = sys_fstat(follower->fd, &state);
    if (r < 0)
        return fail_call(r, "%s: fstat", follower->object);
    end = (uint64_t)state.st_size;
    if (follower->frame == FRAME_PACKET)
        r = record_tail(follower->fd, 0, end, &end);
    if (r == -EBADMSG)
        return fail(r, "%s: at byte %llu begins something that is no record", follower->object,
                    (unsigned long long)end);
    follower->position = end;
    return r;
}

void follower_after_fork(struct follower *follower)
{
    ready_close(&follower->ready);
    sys_close(follower->notify_fd);
    follower->notify_fd = -1;
}
