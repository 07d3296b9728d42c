/* SPDX-License-Identifier: MIT */
/*
 * mmap: with durable=yes, and power losses.  The disk is made up here: fdatasync(2) and the machine's boot id are
 * ours.  After every step the files are copied; what a power loss leaves is files in which each block of 512 bytes is from
 * any of the copies since that file was last synced.  The channel is then opened under the same name in another boot,
 * again and again, with seeds that repeat.
 *
 * Every message has an index in its lane and bytes that follow from it.  Received of a lane are indices one after another.
 * Only where a life begins some before it may be missing, none of them synced or received before; and nothing that was
 * once missing comes later.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/layout.h"
#include "core/process.h"
#include "sys/sys.h"
#include "tong/tong.h"

/* Without the file that `check` writes at each of its own, thousands of times. */
#define MUST(condition, ...)                \
    do {                                    \
        if (!(condition))                   \
            ck_abort_msg(__VA_ARGS__);      \
    } while (0)

#define BLOCK 512
#define COPIES 48
#define SENDERS 2
#define INDICES 200000
#define LARGEST 7000
#define CONTROL 12288    /* bytes of a control area */
#define RECEIVERS 16384  /* and of the cursors behind it */

static char directory[40], path[64], side[128], boot_path[80], address[128];
static uint64_t capacity;
static bool regular;

/* ---- Chance ---------------------------------------------------------------------------------------------- */

static uint64_t chance_state;

static uint64_t chance(uint64_t below)
{
    chance_state = chance_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (chance_state >> 33) % below;
}

/* ---- The disk -------------------------------------------------------------------------------------------- */

/* What may differ between two moments: of the senders' file its control area and the lanes in use; of the receivers' its
 * control area and the cursors. */
struct part {
    uint64_t start, size;
};

struct disk_file {
    const char *path;
    ino_t inode;
    int fd;
    struct part parts[2];
    uint64_t size;           /* of all parts */
    unsigned char *copies[COPIES];
    int count;               /* the first is what was last synced */
};

static struct disk_file files[2] = { { .fd = -1 }, { .fd = -1 } }; /* the senders', the receivers' */
static int syncs, fails_after = -1;
static void (*on_sync)(void);

static void read_parts(const struct disk_file *file, unsigned char *to)
{
    for (int i = 0; i < 2; to += file->parts[i++].size)
        MUST(pread(file->fd, to, file->parts[i].size, (off_t)file->parts[i].start) == (ssize_t)file->parts[i].size, "pread");
}

static void forget_copy(struct disk_file *file, int index)
{
    free(file->copies[index]);
    memmove(&file->copies[index], &file->copies[index + 1], (size_t)(--file->count - index) * sizeof *file->copies);
}

static void copy_file(struct disk_file *file)
{
    if (file->count == COPIES)
        forget_copy(file, 1 + (int)chance(COPIES - 1));
    unsigned char *copy = malloc(file->size);
    read_parts(file, copy);
    if (file->count && !memcmp(copy, file->copies[file->count - 1], file->size))
        free(copy);
    else
        file->copies[file->count++] = copy;
}

static void copy_files(void)
{
    copy_file(&files[0]);
    copy_file(&files[1]);
}

/* Takes the place of libc's: what is in the file now is on the disk. */
int fdatasync(int fd)
{
    struct stat status;
    syncs++;
    if (fails_after >= 0 && fails_after-- == 0) {
        errno = EIO;
        return -1;
    }
    MUST(fstat(fd, &status) == 0, "fstat");
    if (on_sync)
        on_sync();
    for (struct disk_file *file = files; file < files + 2; file++) {
        if (file->fd < 0 || file->inode != status.st_ino)
            continue;
        copy_file(file);
        while (file->count > 1)
            forget_copy(file, 0);
    }
    return 0;
}

/* Takes the place of libc's: the machine's boot id is that of the disk. */
int open(const char *name, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    const char *wanted = strcmp(name, "/proc/sys/kernel/random/boot_id") ? name : boot_path;
    return (int)syscall(SYS_openat, AT_FDCWD, wanted, flags, mode);
}

static void new_boot(void)
{
    static int boots;
    FILE *stream = fopen(boot_path, "w");
    fprintf(stream, "boot-%d\n", boots++);
    fclose(stream);
}

static void attend(struct disk_file *file, const char *name)
{
    struct stat status;
    file->path = name;
    file->fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(file->fd, 0);
    ck_assert_int_eq(fstat(file->fd, &status), 0);
    file->inode = status.st_ino;
    file->size = file->parts[0].size + file->parts[1].size;
    copy_file(file);
}

static void leave(struct disk_file *file)
{
    while (file->count)
        forget_copy(file, 0);
    close(file->fd);
    file->fd = -1;
}

/* Of each block, which copy the disk has. */
static int any_copy(const struct disk_file *file, uint64_t block)
{
    (void)block;
    return (int)chance((uint64_t)file->count);
}

/* What the disk has, now or when the power went. */
static void make_image(const struct disk_file *file, int (*choose)(const struct disk_file *, uint64_t), unsigned char *ret)
{
    for (uint64_t block = 0; block < file->size / BLOCK; block++)
        memcpy(ret + block * BLOCK, file->copies[choose(file, block)] + block * BLOCK, BLOCK);
}

/* Puts that under the name of the file, in another one: those who have the old one open are of a life that is over. */
static void put_image(struct disk_file *file, const unsigned char *image)
{
    char temporary[160];
    struct stat status;
    ck_assert_int_eq(fstat(file->fd, &status), 0);
    snprintf(temporary, sizeof temporary, "%s.new", file->path);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, status.st_size), 0);
    for (int i = 0; i < 2; image += file->parts[i++].size)
        ck_assert_int_eq(pwrite(fd, image, file->parts[i].size, (off_t)file->parts[i].start), (ssize_t)file->parts[i].size);
    close(fd);
    ck_assert_int_eq(unlink(file->path), 0); /* a rename over it has ext4 write the new one at once */
    ck_assert_int_eq(rename(temporary, file->path), 0);
    const char *name = file->path;
    leave(file);
    attend(file, name);
}

/* ---- The ledger ------------------------------------------------------------------------------------------ */

enum { SAFE = 1, LIFE = 2, MISSING = 4 };

static struct ledger {
    unsigned char marks[INDICES]; /* SAFE: synced; LIFE: the first of a life; MISSING: was cut off by a power loss */
    uint64_t sent;                /* the next index to send */
    uint64_t life;                /* and the first of this life */
    uint64_t next;                /* behind all that was ever received */
    uint64_t released;            /* on the disk, the head is here or later */
    uint64_t expected;            /* in this life; UINT64_MAX: nothing was received yet */
} ledgers[SENDERS];

struct said {
    uint64_t index;
    uint32_t lane, size;
};

static uint64_t fill(unsigned char *message, uint32_t lane, uint64_t index, uint64_t size)
{
    struct said said = { index, lane, (uint32_t)size };
    memcpy(message, &said, sizeof said);
    for (uint64_t i = sizeof said; i < size; i++)
        message[i] = (unsigned char)((index * 31 + lane) * 7 + i * (index | 1));
    return size;
}

/* What did not come before `to` is cut off: it was not synced, and not sent in this life. */
static void expect_missing(struct ledger *ledger, uint64_t from, uint64_t to)
{
    for (; from < to; from++) {
        MUST(!(ledger->marks[from] & SAFE), "index %lu was synced and is missing", (unsigned long)from);
        MUST(from < ledger->life, "index %lu is missing, and no power was lost", (unsigned long)from);
        ledger->marks[from] |= MISSING;
    }
}

static void expect_order(struct ledger *ledger, uint64_t index, bool flagged)
{
    bool first = ledger->expected == UINT64_MAX;
    uint64_t from = !first ? ledger->expected : index < ledger->next ? index : ledger->next;
    MUST(index < ledger->sent, "index %lu was never sent", (unsigned long)index);
    MUST(!(ledger->marks[index] & MISSING), "index %lu was cut off and came back", (unsigned long)index);
    MUST(index >= from && index >= ledger->released, "index %lu came again, after %lu and %lu", (unsigned long)index,
                  (unsigned long)from, (unsigned long)ledger->released);
    MUST(index >= ledger->next || flagged, "index %lu comes again and does not say so", (unsigned long)index);
    MUST(index == from || ledger->marks[index] & LIFE, "index %lu comes for %lu, and no life begins with it",
                  (unsigned long)index, (unsigned long)from);
    expect_missing(ledger, from, index);
    ledger->expected = index + 1;
    if (ledger->next < ledger->expected)
        ledger->next = ledger->expected;
}

static void take_message(const unsigned char *message, uint64_t size, const tong_message *meta)
{
    static unsigned char expected[LARGEST];
    struct said said;
    MUST(size >= sizeof said, "a message of %lu bytes", (unsigned long)size);
    memcpy(&said, message, sizeof said);
    MUST(said.lane < SENDERS && said.index < INDICES && said.size == size, "a message begins with what cannot be");
    fill(expected, said.lane, said.index, size);
    MUST(!memcmp(expected, message, size), "index %lu is damaged", (unsigned long)said.index);
    expect_order(&ledgers[said.lane], said.index, meta->flags & TONG_MESSAGE_REDELIVERED);
}

/* Nothing is left to receive. */
static void expect_all(void)
{
    for (struct ledger *ledger = ledgers; ledger < ledgers + SENDERS; ledger++)
        expect_missing(ledger, ledger->expected == UINT64_MAX ? ledger->next : ledger->expected, ledger->sent);
}

/* ---- A life ---------------------------------------------------------------------------------------------- */

static tong_channel *senders[SENDERS], *receiver;
static unsigned char message[LARGEST];

static tong_channel *open_end(const char *options, uint32_t flags)
{
    char text[200];
    tong_channel *channel;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    MUST(r == 0, "%s: %s", text, tong_detail());
    return channel;
}

/* Which lane it gets is the library's choice: the first that is free.  So they come in order. */
static void open_sender(int lane)
{
    if (senders[lane] || (lane > 0 && !senders[lane - 1]))
        return;
    senders[lane] = open_end("", TONG_SEND);
}

/* In some lives all are of one size that divides a lap, so that records of two laps begin at the same byte. */
static uint64_t any_size(void)
{
    if (regular)
        return 256 - RECORD_CHECKED;
    uint64_t most = capacity - 160 < LARGEST ? capacity - 160 : LARGEST;
    return sizeof(struct said) + chance(chance(8) ? 300 : most - sizeof(struct said));
}

static void send_one(int lane)
{
    uint64_t size = fill(message, (uint32_t)lane, ledgers[lane].sent, any_size());
    int r = tong_channel_send(senders[lane], message, size, NULL, 0);
    MUST(r == 0 || r == -EAGAIN, "%d %s", r, tong_detail());
    ledgers[lane].sent += r == 0;
}

/* Reserves more than is used, gives the middle one back, and commits the last before the first. */
static void send_tokens(int lane)
{
    tong_token tokens[3] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT, TONG_TOKEN_INIT };
    uint64_t sizes[3], index = ledgers[lane].sent;
    int got = 0;
    while (got < 3 && tong_channel_reserve(senders[lane], sizes[got] = sizeof(struct said) + chance(200), 0, &tokens[got]) == 0)
        got++;
    if (got == 3)
        ck_assert_int_eq(tong_channel_abort(senders[lane], &tokens[1]), 0);
    for (int i = got - 1; i >= 0; i--) {
        if (got == 3 && i == 1)
            continue;
        uint64_t used = sizeof(struct said) + chance(sizes[i] - sizeof(struct said) + 1);
        uint64_t number = index + (uint64_t)(got == 3 && i == 2 ? 1 : i);
        fill(message, (uint32_t)lane, number, used);
        memcpy(tokens[i].span[0].data, message, used);
        ck_assert_int_eq(tong_channel_commit(senders[lane], &tokens[i], used, NULL), 0);
    }
    ledgers[lane].sent += (uint64_t)(got == 3 ? 2 : got);
}

static void send_batch(int lane)
{
    static unsigned char bytes[4][400];
    tong_batch batch[4];
    for (int i = 0; i < 4; i++) {
        uint64_t size = fill(bytes[i], (uint32_t)lane, ledgers[lane].sent + (uint64_t)i, sizeof(struct said) + chance(380));
        batch[i] = (tong_batch){ sizeof *batch, 0, 7, bytes[i], 0, size };
    }
    ssize_t r = tong_channel_send_batch(senders[lane], batch, 4, 0);
    MUST(r > 0 || r == -EAGAIN, "%zd %s", r, tong_detail());
    ledgers[lane].sent += r > 0 ? (uint64_t)r : 0;
}

static void open_receiver(void)
{
    if (!receiver)
        receiver = open_end("", TONG_RECEIVE);
}

static void close_receiver(void)
{
    if (receiver)
        ck_assert_int_eq(tong_channel_close(receiver), 0);
    receiver = NULL;
}

/* 1: one came; 0: there is none now; an end makes for another receiver. */
static int receive_one(void)
{
    tong_message meta = TONG_MESSAGE_INIT;
    open_receiver();
    ssize_t r = tong_channel_receive(receiver, message, sizeof message, &meta, 0);
    if (r >= 0)
        take_message(message, (uint64_t)r, &meta);
    MUST(r >= 0 || r == -EAGAIN || r == -ENODATA || r == -ECONNRESET, "%zd %s", r, tong_detail());
    if (r == -ENODATA || r == -ECONNRESET)
        close_receiver();
    return r >= 0 ? 1 : r == -EAGAIN ? 0 : receive_one();
}

/* The file is one for all lanes.  Of earlier lives nobody knows what is left until it is received. */
static void note_synced(void)
{
    for (struct ledger *ledger = ledgers; ledger < ledgers + SENDERS; ledger++)
        for (uint64_t index = ledger->life; index < ledger->sent; index++)
            ledger->marks[index] |= SAFE;
}

static void sync_sender(int lane)
{
    MUST(tong_channel_sync(senders[lane]) == 0, "%s", tong_detail());
    note_synced();
}

static void close_sender(int lane)
{
    MUST(tong_channel_close(senders[lane]) == 0, "%s", tong_detail());
    senders[lane] = NULL;
    note_synced();
}

/* As the kernel would: its memory and its locks are gone, and it says nothing more.  That is what a forked child does with
 * what its parent had open. */
static void kill_sender(int lane)
{
    fork_generation++;
    tong_channel_close(senders[lane]);
    fork_generation--;
    senders[lane] = NULL;
}

static void sync_receiver(void)
{
    open_receiver();
    MUST(tong_channel_sync(receiver) == 0, "%s", tong_detail());
    for (struct ledger *ledger = ledgers; ledger < ledgers + SENDERS; ledger++)
        if (ledger->expected != UINT64_MAX)
            ledger->released = ledger->expected;
}

static void drain(void)
{
    while (receive_one())
        copy_files();
    expect_all();
}

static void step(void)
{
    int lane = (int)chance(SENDERS);
    uint64_t what = chance(32);
    open_sender(lane);
    if (!senders[lane] || what < 13)
        receive_one();
    else if (what < 19 || (regular && what < 26))
        send_one(lane);
    else if (what < 23)
        send_tokens(lane);
    else if (what < 26)
        send_batch(lane);
    else if (what < 28)
        sync_sender(lane);
    else if (what < 30)
        sync_receiver();
    else if (what < 31)
        drain();
    else if (chance(2))
        close_sender(lane);
    else
        kill_sender(lane);
    copy_files();
}

/* ---- Power losses ---------------------------------------------------------------------------------------- */

static unsigned char *images[2];
static int sync_awaited; /* by the image that is made in the middle of an opening; 0: it is made */

static void make_images(void)
{
    for (int i = 0; i < 2; i++)
        make_image(&files[i], any_copy, images[i]);
}

static void image_at_sync(void)
{
    copy_files();
    if (sync_awaited > 0 && --sync_awaited == 0)
        make_images();
}

/* An opening, and the power is lost as it syncs for the first, second or third time. */
static bool begin_to_open(void)
{
    int lane = senders[0] ? 1 : 0;
    if (senders[lane])
        return false;
    sync_awaited = 1 + (int)chance(3);
    on_sync = image_at_sync;
    open_sender(lane);
    on_sync = NULL;
    return sync_awaited == 0;
}

/* Who had the channel open goes on for a moment in files that nobody will see again. */
static void lose_power(bool imaged)
{
    if (!imaged)
        make_images();
    put_image(&files[0], images[0]);
    put_image(&files[1], images[1]);
    new_boot();
    for (int lane = 0; lane < SENDERS; lane++) {
        tong_channel_close(senders[lane]);
        senders[lane] = NULL;
        ledgers[lane].life = ledgers[lane].sent;
        ledgers[lane].marks[ledgers[lane].sent] |= LIFE;
        ledgers[lane].expected = UINT64_MAX;
    }
    close_receiver();
}

static void begin_channel(const char *options)
{
    const struct part senders_parts[] = { { 0, CONTROL }, { LAYOUT_LANES_AT, SENDERS * capacity } };
    const struct part receivers_parts[] = { { 0, CONTROL }, { CONTROL, RECEIVERS - CONTROL } };
    memcpy(files[0].parts, senders_parts, sizeof senders_parts);
    memcpy(files[1].parts, receivers_parts, sizeof receivers_parts);
    new_boot();
    tong_channel *maker = open_end(options, TONG_RECEIVE);
    DIR *stream = opendir(directory);
    for (struct dirent *entry; (entry = readdir(stream)); )
        if (strstr(entry->d_name, ".receive"))
            snprintf(side, sizeof side, "%s/%.80s", directory, entry->d_name);
    closedir(stream);
    tong_channel_close(maker);
    attend(&files[0], path);
    attend(&files[1], side);
    for (int i = 0; i < 2; i++)
        images[i] = malloc(files[i].size);
    memset(ledgers, 0, sizeof ledgers);
    for (int lane = 0; lane < SENDERS; lane++)
        ledgers[lane].expected = UINT64_MAX;
}

static void end_channel(void)
{
    for (int lane = 0; lane < SENDERS; lane++) {
        tong_channel_close(senders[lane]);
        senders[lane] = NULL;
    }
    close_receiver();
    for (int i = 0; i < 2; i++) {
        leave(&files[i]);
        free(images[i]);
    }
    ck_assert_int_eq(tong_remove(address), 0);
}

static void live(uint64_t seed, int lives)
{
    chance_state = seed;
    capacity = UINT64_C(4096) << 2 * (seed & 1);
    regular = seed % 4 >= 2;
    begin_channel(seed & 1 ? "?durable=yes&capacity=16K" : "?durable=yes&capacity=4K");
    for (int i = 0; i < lives; i++) {
        if (chance(2))
            open_sender(0);
        if (chance(10) < 7)
            drain();
        for (uint64_t steps = chance(60); steps > 0; steps--)
            step();
        lose_power(chance(4) == 0 && begin_to_open());
    }
    drain();
    end_channel();
}

START_TEST(survives_power_losses)
{
    live((uint64_t)_i + 1, 150);
}
END_TEST

/* ---- Moments that matter --------------------------------------------------------------------------------- */

static int old_from, old_to; /* blocks of the senders' file that the disk has from before */

static int newest_but_those(const struct disk_file *file, uint64_t block)
{
    bool old = file == &files[0] && (int64_t)block >= old_from && (int64_t)block < old_to;
    return old ? 0 : file->count - 1;
}

/* A synced message, and one in bulk of which a part did not reach the disk; another behind it is whole. */
static void tear_bulk(void)
{
    static unsigned char bulk[6000];
    capacity = 16384;
    begin_channel("?durable=yes&capacity=16K");
    senders[0] = open_end("", TONG_SEND);
    MUST(tong_channel_send(senders[0], "kept", 4, NULL, 0) == 0 && tong_channel_sync(senders[0]) == 0, "%s", tong_detail());
    memset(bulk, 'x', sizeof bulk);
    MUST(tong_channel_send(senders[0], bulk, sizeof bulk, NULL, 0) == 0, "%s", tong_detail());
    MUST(tong_channel_send(senders[0], "behind", 6, NULL, 0) == 0, "%s", tong_detail());
    copy_files();
    old_from = (CONTROL + 3000) / BLOCK;
    old_to = old_from + 1;
    for (int i = 0; i < 2; i++)
        make_image(&files[i], newest_but_those, images[i]);
    lose_power(true);
}

/* The words name the bytes from where the torn one began to where the disk knows that something was sent. */
static void expect_outage(void)
{
    tong_message meta = TONG_MESSAGE_INIT;
    open_receiver();
    ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, &meta, 0), 4);
    ck_assert_mem_eq(message, "kept", 4);
    ck_assert(meta.flags & TONG_MESSAGE_REDELIVERED);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, 10 * TONG_MILLISECOND), -ECONNRESET);
        ck_assert_msg(strstr(tong_detail(), "the machine stopped") && strstr(tong_detail(), "at least 6064 bytes"), "%s",
                      tong_detail());
    }
}

START_TEST(torn_in_the_middle_of_bulk)
{
    tear_bulk();
    if (_i == 1) {
        senders[0] = open_end("", TONG_SEND);
        tong_channel_close(senders[0]);
        senders[0] = NULL;
    }
    expect_outage();
    close_receiver();
    senders[0] = open_end("", TONG_SEND);
    receiver = open_end("?reconnect=yes", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_send(senders[0], "after", 5, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, 0), 5);
    end_channel();
}
END_TEST

/* Who waits in a torn lane sleeps, and is woken by the sender that mends it. */
START_TEST(a_torn_lane_is_waited_in)
{
    struct pollfd item;
    tear_bulk();
    receiver = open_end("?reconnect=yes", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, 0), 4);
    ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, 30 * TONG_MILLISECOND), -ETIMEDOUT);
    ck_assert_int_eq(tong_channel_pollfd(receiver, TONG_RECEIVE, &item), 0);
    while (tong_channel_receive(receiver, message, sizeof message, NULL, 0) != -EAGAIN || poll(&item, 1, 0) != 0)
        continue;
    senders[0] = open_end("", TONG_SEND);
    ck_assert_int_eq(tong_channel_send(senders[0], "again", 5, NULL, 0), 0);
    ck_assert_int_eq(poll(&item, 1, 10000), 1);
    ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, TONG_SECOND), 5);
    ck_assert_mem_eq(message, "again", 5);
    end_channel();
}
END_TEST

/* ---- Killed while the machine goes on -------------------------------------------------------------------- */

/* What a sender that is killed has published may end with room that it did not use, with or without a check; a receiver
 * may have passed that. */
static void die_behind_unused_room(size_t used, bool passed)
{
    tong_token tokens[2] = { TONG_TOKEN_INIT, TONG_TOKEN_INIT };
    begin_channel("?capacity=4K&durable=yes");
    open_sender(0);
    receiver = open_end("?reconnect=yes", TONG_RECEIVE);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(tong_channel_reserve(senders[0], 104, 0, &tokens[i]), 0);
    ck_assert_int_eq(tong_channel_commit(senders[0], &tokens[0], used, NULL), 0);
    for (int i = 0; i <= passed; i++)
        ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, 0), i ? -EAGAIN : (ssize_t)used);
    kill_sender(0);
    open_sender(0);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(tong_channel_send(senders[0], message, 300, NULL, 0), 0);
        ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, 0), 300);
    }
    end_channel();
}

START_TEST(killed_behind_unused_room)
{
    static const size_t used[] = { 104, 96, 88, 80, 0 };
    die_behind_unused_room(used[_i / 2], _i % 2);
}
END_TEST

/* ---- Asking ---------------------------------------------------------------------------------------------- */

static int try_open(const char *options, uint32_t flags)
{
    char text[200];
    tong_channel *channel;
    snprintf(text, sizeof text, "%s%s", address, options);
    int r = tong_channel_open(text, flags, 0, &channel);
    ck_assert_msg(r < 0, "%s was opened", text);
    return r;
}

/* Records of one of the two would be none in the other. */
static void only_one_of_two_is_durable(void)
{
    char other[200];
    snprintf(other, sizeof other, "%s.2", address);
    tong_channel_close(open_end(".2?capacity=4K&durable=yes", TONG_SEND));
    for (int turn = 0; turn < 2; turn++) {
        char both[400];
        tong_channel *channel;
        snprintf(both, sizeof both, "%s%s,%s%s", address, turn ? ".2" : "", path, turn ? "" : ".2");
        ck_assert_int_eq(tong_channel_open(both, TONG_BOTH, 0, &channel), -EINVAL);
    }
    ck_assert_int_eq(tong_remove(other), 0);
}

START_TEST(asked_and_refused)
{
    ck_assert_int_eq(try_open("?durable=yes&receivers=2", TONG_SEND), -EOPNOTSUPP);
    ck_assert_int_eq(try_open("?durable=yes&deliver=broadcast", TONG_RECEIVE), -EOPNOTSUPP);
    ck_assert_int_eq(try_open("?sync=on", TONG_SEND), -EINVAL);
    tong_channel *plain = open_end("?capacity=4K", TONG_SEND);
    ck_assert_int_eq(tong_channel_sync(plain), -EOPNOTSUPP);
    ck_assert_int_eq(try_open("?durable=yes", TONG_RECEIVE), -EINVAL);
    ck_assert_int_eq(try_open("?sync=on", TONG_SEND), -EINVAL);
    tong_channel_close(plain);
    only_one_of_two_is_durable();
    ck_assert_int_eq(tong_remove(address), 0);
    tong_channel *durable = open_end("?capacity=4K&durable=yes", TONG_SEND);
    ck_assert_int_eq(try_open("?durable=no", TONG_RECEIVE), -EINVAL);
    receiver = open_end("", TONG_RECEIVE);
    ck_assert_int_eq(tong_channel_sync(receiver), 0);
    tong_channel_close(durable);
    close_receiver();
    ck_assert_int_eq(tong_remove(address), 0);
}
END_TEST

START_TEST(every_message_if_asked)
{
    static unsigned char bytes[2][8];
    tong_batch batch[2] = { { sizeof *batch, 0, 0, bytes[0], 0, 8 }, { sizeof *batch, 0, 0, bytes[1], 0, 8 } };
    tong_token token = TONG_TOKEN_INIT;
    tong_channel *sender = open_end("?capacity=4K&durable=yes&sync=on", TONG_SEND);
    syncs = 0;
    ck_assert_int_eq(tong_channel_send(sender, "a", 1, NULL, 0), 0);
    ck_assert_int_eq(syncs, 1);
    ck_assert_int_eq(tong_channel_send_batch(sender, batch, 2, 0), 2);
    ck_assert_int_eq(syncs, 2);
    ck_assert_int_eq(tong_channel_reserve(sender, 10, 0, &token), 0);
    ck_assert_int_eq(tong_channel_commit(sender, &token, 4, NULL), 0);
    ck_assert_int_eq(syncs, 3);
    fails_after = 0;
    ck_assert_int_eq(tong_channel_send(sender, "b", 1, NULL, 0), -EIO);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "fdatasync"));
    ck_assert_int_eq(tong_channel_sync(sender), -EIO);
    ck_assert_int_eq(tong_channel_close(sender), -EIO);
    ck_assert_int_eq(tong_remove(address), 0);
}
END_TEST

/* Room is what the disk knows of; when it fails, nothing is overwritten, and the sender is told at once and from then on. */
START_TEST(a_disk_that_fails_is_told)
{
    tong_channel *sender = open_end("?capacity=4K&durable=yes", TONG_SEND);
    open_receiver();
    while (tong_channel_send(sender, message, 500, NULL, 0) == 0)
        continue;
    ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, 0), 500);
    fails_after = 1;
    ck_assert_int_eq(tong_channel_send(sender, message, 500, NULL, 0), 0);
    ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, 0), 500);
    fails_after = 0;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(tong_channel_send(sender, message, 500, NULL, 10 * TONG_SECOND), -EIO);
    ck_assert_ptr_nonnull(strstr(tong_detail(), "fdatasync"));
    ck_assert_int_eq(tong_channel_close(sender), -EIO);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, 0), 500);
    ck_assert_int_eq(tong_channel_receive(receiver, message, sizeof message, NULL, TONG_SECOND), -ENODATA);
    close_receiver();
    ck_assert_int_eq(tong_remove(address), 0);
}
END_TEST

static void set_up(void)
{
    strcpy(directory, "/tmp/tong-test-durable-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/ring", directory);
    snprintf(boot_path, sizeof boot_path, "%s/boot", directory);
    snprintf(address, sizeof address, "mmap:%s", path);
    new_boot();
}

static void tear_down(void)
{
    ck_assert_int_eq(unlink(boot_path), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}

int main(void)
{
    const struct { const TTest *test; int times; } tests[] = {
        { survives_power_losses, 16 }, { torn_in_the_middle_of_bulk, 2 }, { a_torn_lane_is_waited_in, 1 },
        { killed_behind_unused_room, 10 }, { asked_and_refused, 1 }, { every_message_if_asked, 1 },
        { a_disk_that_fails_is_told, 1 },
    };
    Suite *suite = suite_create("mmap_durable");
    TCase *all = tcase_create("mmap_durable");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_loop_test(all, tests[i].test, 0, tests[i].times);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
