/* SPDX-License-Identifier: MIT */
/* What is written, by pwrite(2), which cannot be hit by SIGBUS; and what is done to files and names. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/layout.h"

#define ANYTHING 4 /* of so many choices of a place, lane or seat one is of all of them, the others of those in use */
#define IN_USE 3

uint64_t hostile_chance(struct hostile *hostile, uint64_t most)
{
    unsigned *seed = &hostile->seed;
    uint64_t value = (uint64_t)rand_r(seed) << 31 ^ (uint64_t)rand_r(seed) ^ (uint64_t)rand_r(seed) << 62;
    return most ? value % most : value;
}

/* ---- Targets ---------------------------------------------------------------------------------------------------- */

void hostile_close_target(struct hostile_target *target)
{
    if (target->fd >= 0)
        close(target->fd);
    if (target->pid)
        kill(target->pid, SIGCONT);
    *target = (struct hostile_target){ .fd = -1 };
}

/* The side file of whichever channel has the name now: one of another may lie there for good. */
static void find_receivers(const char *path, char *ret, size_t size)
{
    struct layout_header header = { .id = 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    bool known = fd >= 0 && pread(fd, &header, sizeof header, 0) == sizeof header;
    snprintf(ret, size, "%s.%016llx.receive", path, known ? (unsigned long long)header.id : 0);
    if (fd >= 0)
        close(fd);
}

bool hostile_open_target(const struct hostile *hostile, int side, struct hostile_target *target)
{
    struct stat status;
    hostile_close_target(target);
    target->side = side;
    if (hostile->delivery->nameless)
        return hostile_open_memory(hostile, side, target);
    if (side == SENDERS)
        snprintf(target->path, sizeof target->path, "%s", hostile->path);
    else
        find_receivers(hostile->path, target->path, sizeof target->path);
    target->fd = open(target->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (target->fd < 0 || fstat(target->fd, &status) < 0 || !S_ISREG(status.st_mode))
        return false;
    target->size = (size_t)status.st_size;
    return target->size >= sizeof(struct layout_control);
}

/* ---- Words ------------------------------------------------------------------------------------------------------ */

static uint64_t odd_number(struct hostile *hostile)
{
    static const uint64_t values[] = { 0, 1, 7, 8, 4095, 4096, 4097, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63, 64, 128 };
    if (hostile_chance(hostile, 2))
        return values[hostile_chance(hostile, sizeof values / sizeof *values)];
    return hostile_chance(hostile, hostile_chance(hostile, 3) ? 1 << 16 : 0);
}

static size_t any_of(struct hostile *hostile, size_t count)
{
    return hostile_chance(hostile, hostile_chance(hostile, ANYTHING) == 0 || count < IN_USE ? count : IN_USE);
}

static size_t lane_at(const struct hostile_target *target, size_t lane)
{
    size_t at = LAYOUT_LANES_AT + lane * HOSTILE_CAPACITY;
    return at + HOSTILE_CAPACITY <= target->size ? at : 0;
}

static size_t any_word(struct hostile *hostile, const struct hostile_target *target)
{
    size_t lane = target->side == SENDERS && hostile_chance(hostile, 2) ? lane_at(target, any_of(hostile, LAYOUT_PLACES)) : 0;
    return lane + hostile_chance(hostile, (lane ? HOSTILE_CAPACITY : target->size) / 8) * 8;
}

/* -1, where nothing can be read or written: no process has it mapped. */
static off_t where(const struct hostile_target *target, size_t at)
{
    for (unsigned i = 0; i < target->pieces; i++)
        if (at - target->piece[i].at < target->piece[i].size)
            return target->piece[i].where + (off_t)(at - target->piece[i].at);
    return target->pid ? -1 : (off_t)at;
}

/* 0 if it cannot be read. */
static uint64_t get(const struct hostile_target *target, size_t at)
{
    uint64_t value = 0;
    return pread(target->fd, &value, sizeof value, where(target, at)) == sizeof value ? value : 0;
}

static void put(const struct hostile *hostile, const struct hostile_target *target, size_t at, uint64_t value)
{
    if (pwrite(target->fd, &value, sizeof value, where(target, at)) < 0)
        hostile->ledger->result = errno;
}

/* Where the receivers of a lane will look next: at its tail. */
static size_t next_record(struct hostile *hostile, const struct hostile_target *target)
{
    size_t lane = any_of(hostile, LAYOUT_PLACES), at = lane_at(target, lane);
    uint64_t tail = get(target, offsetof(struct layout_control, places[lane].tail));
    return at ? at + (tail & (HOSTILE_CAPACITY - 8)) : any_word(hostile, target);
}

static uint64_t record(struct hostile *hostile)
{
    unsigned kind = hostile_chance(hostile, 2) ? RECORD_MESSAGE : (unsigned)hostile_chance(hostile, 7);
    return record_word(odd_number(hostile), kind, hostile_chance(hostile, 20));
}

/* ---- Cursors: every word that has a meaning of its own ---------------------------------------------------------- */

struct words {
    size_t at, stride, count; /* of so many things that lie so far apart */
    size_t inside, every;     /* of so many in each, */
    size_t words;             /* so many words */
};

#define PLACE_WORD(word, many) { offsetof(struct layout_control, places[0].word), sizeof(struct layout_place), LAYOUT_PLACES, 1, 0, many }
#define CURSOR_WORD(word, many) { offsetof(struct layout_receivers, cursors[0].word), sizeof(struct layout_cursor), LAYOUT_PLACES, 1, 0, many }

static const struct words words[] = {
    { offsetof(struct layout_control, wake), LAYOUT_LINE, 3, 1, 0, 1 },
    PLACE_WORD(session, 11),
    PLACE_WORD(bell, 1),
    PLACE_WORD(tail, 1),
    PLACE_WORD(floor, 2),
    CURSOR_WORD(head, 9), /* from here on, of the receivers' segment only */
    CURSOR_WORD(claim, 1),
    { offsetof(struct layout_receivers, seats[0].positions), sizeof(struct layout_seat), LAYOUT_PLACES, LAYOUT_PLACES,
      sizeof(struct layout_cursor), 9 },
    { offsetof(struct layout_receivers, seats[0].holds), sizeof(struct layout_seat), LAYOUT_PLACES, LAYOUT_HOLDS,
      sizeof(struct layout_hold), 2 },
};
#define OF_BOTH 5

static size_t any_cursor(struct hostile *hostile, const struct hostile_target *target)
{
    size_t kinds = target->side == SENDERS ? OF_BOTH : sizeof words / sizeof *words;
    const struct words *chosen = &words[hostile_chance(hostile, kinds)];
    return chosen->at + any_of(hostile, chosen->count) * chosen->stride + any_of(hostile, chosen->inside) * chosen->every +
           hostile_chance(hostile, chosen->words) * 8;
}

/* Near what it is, near what it may be, or anything. */
static uint64_t near(struct hostile *hostile, uint64_t now)
{
    switch (hostile_chance(hostile, 5)) {
    case 4:
        return hold_word(8 * hostile_chance(hostile, 64), (unsigned)hostile_chance(hostile, IN_USE));
    case 0:
        return now + 8 * (hostile_chance(hostile, 64) - 32);
    case 1:
        return now + HOSTILE_CAPACITY * (hostile_chance(hostile, 4) - 2) + hostile_chance(hostile, 2);
    case 2:
        return hostile_chance(hostile, 1 << 14) & ~7ull;
    default:
        return odd_number(hostile);
    }
}

static void write_fault(struct hostile *hostile, const struct hostile_target *target, int kind)
{
    size_t at = any_word(hostile, target);
    if (kind == WORD) {
        put(hostile, target, at, odd_number(hostile));
    } else if (kind == RECORD) {
        at = target->side == SENDERS && hostile_chance(hostile, 2) ? next_record(hostile, target) : at;
        put(hostile, target, at, record(hostile));
    } else if (kind == CURSOR) {
        at = any_cursor(hostile, target);
        put(hostile, target, at, near(hostile, get(target, at)));
    } else {
        for (size_t end = at + 8 * hostile_chance(hostile, 64); at < end; at += 8)
            put(hostile, target, at, hostile_chance(hostile, 0));
    }
}

/* ---- Files and names -------------------------------------------------------------------------------------------- */

/* A file that looks like a channel, but for a few bytes or its size. */
static void put_alike(struct hostile *hostile, bool lies)
{
    struct layout_header header;
    const struct layout_shape shape = { hostile_chance(hostile, 0), HOSTILE_CAPACITY << hostile_chance(hostile, 4),
                                        (uint32_t)hostile_chance(hostile, 4), (uint32_t)hostile_chance(hostile, 18), 0 };
    int fd = open(hostile->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    layout_prepare(&header, LAYOUT_KIND_SENDERS, &shape);
    if (lies)
        header.file_size = hostile_chance(hostile, 1 << 20);
    if (write(fd, &header, 8 + hostile_chance(hostile, sizeof header - 7)) < 0 ||
        ftruncate(fd, (off_t)hostile_chance(hostile, 1 << 20)) < 0)
        hostile->ledger->result = errno;
    close(fd);
}

static void replace_name(struct hostile *hostile)
{
    unlink(hostile->path);
    int choice = (int)hostile_chance(hostile, 5);
    if (choice == 0 && mkfifo(hostile->path, 0600) < 0)
        return;
    if (choice == 1 && symlink("/dev/zero", hostile->path) < 0)
        return;
    if (choice == 2 && mkdir(hostile->path, 0700) == 0)
        rmdir(hostile->path);
    if (choice >= 3)
        put_alike(hostile, choice == 4);
    ledger_sleep(300 * TONG_MICROSECOND);
    unlink(hostile->path);
}

bool hostile_inject(struct hostile *hostile, const struct hostile_target *target, uint64_t injected[KINDS])
{
    int kind = (int)hostile_chance(hostile, 1000);
    kind = kind < 2 ? SIZE : kind < 3 ? NAME : kind < 300 ? WORD : kind < 550 ? RECORD : kind < 950 ? CURSOR : NOISE;
    if (kind == NAME && target->side == RECEIVERS)
        kind = SIZE;
    injected[kind]++;
    if (kind == NAME)
        replace_name(hostile);
    else if (kind == SIZE && target->pid)
        hostile_expect_sealed(hostile, target);
    else if (kind == SIZE)
        return ftruncate(target->fd, (off_t)hostile_chance(hostile, 2 * target->size)) == 0;
    else
        write_fault(hostile, target, kind);
    return kind == NAME;
}
