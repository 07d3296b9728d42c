/* SPDX-License-Identifier: MIT */
/* Records: the format, and judging what lies in a file. */
#include "core/record.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/detail.h"
#include "core/patience.h"
#include "sys/sys.h"

#define SCAN_SIZE 65536
#define VERSION 1

static const unsigned char magic[4] = { 0xf7, 't', 'n', 'g' };

/* ---- The header ---------------------------------------------------------------------------------------- */

static void put32(unsigned char *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof value);
}

static uint32_t get32(const unsigned char *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return le32toh(value);
}

void record_encode(const struct record *record, unsigned char ret[RECORD_HEADER])
{
    uint64_t type = (uint64_t)record->type;
    memset(ret, 0, RECORD_HEADER);
    memcpy(ret, magic, sizeof magic);
    ret[4] = VERSION;
    ret[5] = record->flags;
    put32(ret + 8, (uint32_t)type);
    put32(ret + 12, (uint32_t)(type >> 32));
    put32(ret + 16, record->length);
    put32(ret + 20, record->payload_crc);
    put32(ret + 28, crc32c(0, ret, 28));
}

bool record_decode(const unsigned char bytes[RECORD_HEADER], struct record *ret)
{
    if (memcmp(bytes, magic, sizeof magic) || bytes[4] != VERSION || get32(bytes + 28) != crc32c(0, bytes, 28))
        return false;
    struct record record = {
        .type = (int64_t)(get32(bytes + 8) | (uint64_t)get32(bytes + 12) << 32),
        .length = get32(bytes + 16),
        .payload_crc = get32(bytes + 20),
        .flags = bytes[5],
    };
    if (record.length > RECORD_LARGEST || record.flags & ~RECORD_END || (record.flags & RECORD_END && record.length))
        return false;
    *ret = record;
    return true;
}

bool record_begins(const unsigned char *bytes, size_t size)
{
    size_t known = size < sizeof magic ? size : sizeof magic, i = 0;
    while (i < known && bytes[i] == magic[i])
        i++;
    while (i < known && bytes[i] == 0)
        i++;
    return i == known;
}

/* ---- Judging ------------------------------------------------------------------------------------------- */

/* A piece of the file in memory. */
struct window {
    int fd;
    uint64_t at;
    size_t have;
    unsigned char *bytes; /* SCAN_SIZE */
};

static int window_open(struct window *window, int fd)
{
    *window = (struct window){ fd, 0, 0, malloc(SCAN_SIZE) };
    return window->bytes ? 0 : fail(-ENOMEM, "out of memory for reading records");
}

/* Makes file[at..at+need) visible; the bytes there are fewer only at the end of the file. */
static int window_show(struct window *window, uint64_t at, size_t need, const unsigned char **ret, size_t *ret_size)
{
    if (at < window->at || at + need > window->at + window->have) {
        ssize_t r = sys_pread(window->fd, window->bytes, SCAN_SIZE, (off_t)at);
        if (r < 0)
            return fail_call((int)r, "pread of records");
        window->at = at;
        window->have = (size_t)r;
    }
    *ret = window->bytes + (at - window->at);
    *ret_size = window->at + window->have - at;
    return 0;
}

static int payload_matches(struct window *window, uint64_t at, const struct record *record, bool *ret)
{
    uint32_t crc = 0;
    for (uint64_t left = record->length; left > 0;) {
        const unsigned char *bytes = NULL;
        size_t size = 0;
        int r = window_show(window, at, 1, &bytes, &size);
        if (r < 0)
            return r;
        if (size == 0)
            break;
        size = size < left ? size : (size_t)left;
        crc = crc32c(crc, bytes, size);
        at += size;
        left -= size;
    }
    *ret = crc == record->payload_crc;
    return 0;
}

/* Whether a right header begins anywhere in file[at..size). */
static int header_follows(struct window *window, uint64_t at, uint64_t size, bool *ret)
{
    *ret = false;
    while (at + RECORD_HEADER <= size) {
        const unsigned char *bytes = NULL;
        struct record record;
        size_t have = 0;
        int r = window_show(window, at, RECORD_HEADER, &bytes, &have);
        if (r < 0)
            return r;
        if (have < RECORD_HEADER)
            return 0;
        const unsigned char *found = memchr(bytes, magic[0], have - RECORD_HEADER + 1);
        if (found && record_decode(found, &record)) {
            *ret = true;
            return 0;
        }
        at += found ? (size_t)(found - bytes) + 1 : have - RECORD_HEADER + 1;
    }
    return 0;
}

/* There is no right header at `at`: torn, or no record. */
static int check_wrong_header(struct window *window, uint64_t at, uint64_t size, const unsigned char *bytes,
                              size_t have)
{
    if (!record_begins(bytes, have))
        return RECORD_FOREIGN;
    bool follows;
    int r = header_follows(window, at + 1, size, &follows);
    return r < 0 ? r : follows ? RECORD_FOREIGN : RECORD_TORN;
}

static int check(struct window *window, uint64_t at, uint64_t size, uint64_t *ret_next)
{
    const unsigned char *bytes = NULL;
    struct record record;
    size_t have = 0;
    int r = window_show(window, at, RECORD_HEADER, &bytes, &have);
    if (r < 0)
        return r;
    if (have < RECORD_HEADER || !record_decode(bytes, &record))
        return check_wrong_header(window, at, size, bytes, have);
    uint64_t next = at + RECORD_HEADER + record.length;
    if (next > size)
        return RECORD_TORN;
    bool matches;
    r = payload_matches(window, at + RECORD_HEADER, &record, &matches);
    if (r < 0)
        return r;
    *ret_next = next;
    return matches ? RECORD_WHOLE : next == size ? RECORD_TORN : RECORD_DAMAGED;
}

int record_check(int fd, uint64_t at, uint64_t size, uint64_t *ret_next)
{
    struct window window;
    int r = window_open(&window, fd);
    if (r == 0)
        r = check(&window, at, size, ret_next);
    free(window.bytes);
    return r;
}

/* From header to header, as far as they are right: *ret_last is the last record that ends by `size`. */
static int walk(struct window *window, uint64_t *at, uint64_t size, uint64_t *ret_last)
{
    for (;;) {
        const unsigned char *bytes = NULL;
        struct record record;
        size_t have = 0;
        if (*at + RECORD_HEADER > size)
            return 0;
        int r = window_show(window, *at, RECORD_HEADER, &bytes, &have);
        if (r < 0)
            return r;
        if (have < RECORD_HEADER || !record_decode(bytes, &record) || *at + RECORD_HEADER + record.length > size)
            return 0;
        *ret_last = *at;
        *at += RECORD_HEADER + record.length;
    }
}

static int find_tail(struct window *window, uint64_t from, uint64_t size, uint64_t *ret_end)
{
    uint64_t at = from, last = from, next;
    int r = walk(window, &at, size, &last);
    if (r < 0)
        return r;
    /* Writers judge what is before them, so only the last one can be anything but whole. */
    uint64_t doubtful = at == size ? last : at;
    r = doubtful == size ? RECORD_WHOLE : check(window, doubtful, size, &next);
    if (r < 0)
        return r;
    *ret_end = r == RECORD_WHOLE ? size : doubtful;
    return r == RECORD_FOREIGN ? -EBADMSG : 0;
}

int record_tail(int fd, uint64_t from, uint64_t size, uint64_t *ret_end)
{
    struct window window;
    int r = window_open(&window, fd);
    if (r == 0)
        r = find_tail(&window, from, size, ret_end);
    free(window.bytes);
    return r;
}

/* ---- The lock ------------------------------------------------------------------------------------------ */

#define ATTENDANCE INT64_MAX /* the byte that senders hold; appending locks all before it */

int record_attend(int fd, short type)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = ATTENDANCE, .l_len = 1 };
    int r = sys_fcntl_lock(fd, F_OFD_SETLK, &lock);
    /* a foreign program has locked the file to its last byte: then this sender is not counted */
    return r == 0 || r == -EAGAIN || r == -EACCES ? 0 : fail_call(r, "locking a file");
}

int record_attended(int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = ATTENDANCE, .l_len = 1 };
    int r = sys_fcntl_lock(fd, F_OFD_GETLK, &lock);
    return r < 0 ? fail_call(r, "asking for a lock on a file") : lock.l_type != F_UNLCK;
}

static int try_lock(int fd, short type, bool wait)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = ATTENDANCE };
    int r = sys_fcntl_lock(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    return r == -EACCES ? -EAGAIN : r;
}

int record_lock(int fd, short type, int cancel_fd, int64_t deadline)
{
    bool kernel_waits = deadline == DEADLINE_NEVER && cancel_fd < 0 && type != F_UNLCK;
    int r, paused = 0;
    struct patience patience = PATIENCE_INIT;
    do
        r = try_lock(fd, type, kernel_waits);
    while (r == -EAGAIN && (paused = patience_pause(&patience, cancel_fd, deadline)) == 0);
    patience_end(&patience);
    if (paused < 0)
        return paused;
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught before anything moved");
    return r < 0 ? fail_call(r, "locking a file") : 0;
}
