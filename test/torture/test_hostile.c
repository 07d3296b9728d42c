/* SPDX-License-Identifier: MIT */
/*
 * test_hostile.c [FAULTS] - a peer that writes whatever it likes into the memory that it shares with us.
 *
 * A sender and a receiver work, guarded against SIGBUS.  Meanwhile a third process of the same user writes into the
 * receivers' segment, the senders', or both: single words of any value, words that look like records and cursors, noise;
 * it makes the files shorter and longer, takes the name away and puts something else there.  Whatever the two are told,
 * they must not crash, and each call must end in the time it was given.  The seed is fixed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/layout.h"
#include "ledger.h"

#define CAPACITY 4096
#define GIVEN (20 * TONG_MILLISECOND)
#define LATE (5 * TONG_SECOND) /* that a call may take, on a machine that does much else */
#define FAULTS_SHORT 150000
#define FAULTS_LONG 20000000
#define AT_A_TIME 24          /* faults between two looks at the others */

enum { RECEIVERS, SENDERS, BOTH, MODES };
enum { WORD, RECORD, CURSOR, NOISE, SIZE, NAME, KINDS };

static const char *const kinds[] = { "words", "records", "cursors", "noise", "sizes", "names" };

static struct ledger *ledger;
static char name[64], address[96], path[128];
static unsigned seed = 4;
static uint64_t injected[KINDS];

static uint64_t chance(uint64_t most)
{
    uint64_t value = (uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed) ^ (uint64_t)rand_r(&seed) << 62;
    return most ? value % most : value;
}

/* ---- Those that are worked upon --------------------------------------------------------------------------------- */

static void expect_in_time(int64_t before, const char *what)
{
    int64_t took = ledger_now() - before;
    MUST(ledger, took < LATE, "%s took %.1f s", what, (double)took / 1e9);
}

static bool is_passing(int64_t r)
{
    return r >= 0 || r == -EAGAIN || r == -ETIMEDOUT;
}

static int64_t send_once(tong_channel *channel, unsigned turn)
{
    static unsigned char buffer[3000];
    tong_token token = TONG_TOKEN_INIT;
    size_t size = turn * 37 % 700;
    if (turn % 4)
        return tong_channel_send(channel, buffer, size, NULL, turn % 8 ? GIVEN : 0);
    int r = tong_channel_reserve(channel, size, GIVEN, &token);
    if (r < 0)
        return r;
    if (size)
        memset(token.span[0].data, 1, size);
    return turn % 16 ? tong_channel_commit(channel, &token, size / 2, NULL) : tong_channel_abort(channel, &token);
}

static int64_t receive_once(tong_channel *channel, unsigned turn)
{
    static unsigned char buffer[8192];
    tong_message meta = TONG_MESSAGE_INIT;
    tong_token token = TONG_TOKEN_INIT;
    if (turn % 4)
        return tong_channel_receive(channel, buffer, sizeof buffer, &meta, turn % 8 ? GIVEN : 0);
    ssize_t r = tong_channel_peek(channel, GIVEN, &meta, &token);
    if (r < 0)
        return r;
    MUST(ledger, (size_t)r <= CAPACITY, "a message of %zd bytes was shown", r);
    uint64_t sum = 0;
    for (unsigned part = 0; part < token.parts; part++)
        for (size_t i = 0; i < token.span[part].size; i++)
            sum += ((volatile unsigned char *)token.span[part].data)[i];
    ledger->result = (int)sum;
    return tong_channel_release(channel, &token);
}

/* What tong_remove() refuses, because what belongs to it cannot be known any more, goes by hand. */
static void remove_by_hand(void)
{
    struct dirent *entry;
    DIR *stream = opendir("/dev/shm");
    while (stream && (entry = readdir(stream)))
        if (strstr(entry->d_name, name))
            unlinkat(dirfd(stream), entry->d_name, 0);
    if (stream)
        closedir(stream);
}

static void work(uint32_t direction, volatile int *beat)
{
    MUST(ledger, tong_guard_sigbus() == 0, "%s", tong_detail());
    for (unsigned turn = 0; !ledger->stop; ) {
        tong_channel *channel;
        int64_t before = ledger_now();
        ++*beat;
        int r = tong_channel_open(address, direction, GIVEN, &channel);
        expect_in_time(before, "opening");
        if (r < 0) {
            if (tong_remove(address) < 0)
                remove_by_hand();
            ledger_sleep(200 * TONG_MICROSECOND);
            continue;
        }
        int asked = ledger->prodded;
        for (int64_t done = 0; is_passing(done) && !ledger->stop && ledger->prodded == asked; ++*beat) {
            before = ledger_now();
            done = direction == TONG_SEND ? send_once(channel, turn++) : receive_once(channel, turn++);
            expect_in_time(before, direction == TONG_SEND ? "sending" : "receiving");
            ledger->received += done >= 0;
        }
        before = ledger_now();
        tong_channel_close(channel);
        expect_in_time(before, "closing");
    }
    _exit(0);
}

/* ---- The hostile one -------------------------------------------------------------------------------------------- */

struct target {
    char path[512];
    int fd;
    size_t size;
};

static void close_target(struct target *target)
{
    if (target->fd >= 0)
        close(target->fd);
    *target = (struct target){ .fd = -1 };
}

/* The side file of whichever channel has the name now. */
static void find_receivers(char *ret, size_t size)
{
    struct dirent *entry;
    DIR *stream = opendir("/dev/shm");
    *ret = '\0';
    while (stream && (entry = readdir(stream)))
        if (strstr(entry->d_name, name) && strstr(entry->d_name, ".receive"))
            snprintf(ret, size, "/dev/shm/%s", entry->d_name);
    if (stream)
        closedir(stream);
}

static bool open_target(struct target *target, int mode)
{
    struct stat status;
    close_target(target);
    if (mode == SENDERS)
        snprintf(target->path, sizeof target->path, "%s", path);
    else
        find_receivers(target->path, sizeof target->path);
    target->fd = open(target->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (target->fd < 0 || fstat(target->fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size < 12288)
        return false;
    target->size = (size_t)status.st_size;
    if (mode == SENDERS && target->size > LAYOUT_LANES_AT + CAPACITY)
        target->size = LAYOUT_LANES_AT + CAPACITY; /* the one lane that is used */
    return true;
}

static uint64_t odd_number(void)
{
    static const uint64_t values[] = { 0, 1, 7, 8, 4095, 4096, 4097, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63, 64, 128 };
    return chance(2) ? values[chance(sizeof values / sizeof *values)] : chance(3) ? chance(1 << 16) : chance(0);
}

static size_t any_word(const struct target *target)
{
    bool lane = target->size > LAYOUT_LANES_AT && chance(2);
    return lane ? LAYOUT_LANES_AT + chance((target->size - LAYOUT_LANES_AT) / 8) * 8 : chance(target->size / 8) * 8;
}

/* Where the receiver will look next: at the tail of the first lane. */
static size_t next_record(const struct target *target)
{
    uint64_t tail = 0;
    if (pread(target->fd, &tail, sizeof tail, 4096 + offsetof(struct layout_place, tail)) < 0)
        ledger->result = errno;
    return LAYOUT_LANES_AT + (tail & (CAPACITY - 8));
}

static void put(const struct target *target, size_t at, uint64_t value)
{
    if (pwrite(target->fd, &value, sizeof value, (off_t)at) < 0)
        ledger->result = errno;
}

static void write_fault(const struct target *target, int kind)
{
    switch (kind) {
    case WORD:
        put(target, any_word(target), odd_number());
        break;
    case RECORD:
        put(target, target->size > LAYOUT_LANES_AT && chance(2) ? next_record(target) : any_word(target),
            record_word(odd_number(), chance(2) ? RECORD_MESSAGE : (unsigned)chance(7), chance(20)));
        break;
    case CURSOR: /* the words of places and cursors, near what they may be */
        put(target, 4096 + chance(64) * LAYOUT_LINE + chance(4) * 8, chance(4) ? chance(1 << 14) & ~7ull : odd_number());
        break;
    default:
        for (size_t at = any_word(target), end = at + 8 * chance(64); at < end; at += 8)
            put(target, at, chance(0));
    }
}

static void replace_name(void)
{
    unlink(path);
    int choice = (int)chance(5), fd;
    if (choice == 0 && mkfifo(path, 0600) < 0)
        return;
    if (choice == 1 && symlink("/dev/zero", path) < 0)
        return;
    if (choice == 2 && mkdir(path, 0700) == 0)
        rmdir(path);
    if (choice >= 3 && (fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600)) >= 0) {
        struct layout_header header;
        layout_prepare(&header, LAYOUT_KIND_SENDERS, &(struct layout_shape){ chance(0), CAPACITY << chance(4), LAYOUT_ONE, 1, 0 });
        if (choice == 4)
            header.file_size = chance(1 << 20);
        if (write(fd, &header, 8 + chance(sizeof header - 7)) < 0 || ftruncate(fd, (off_t)chance(1 << 20)) < 0)
            ledger->result = errno;
        close(fd);
    }
    ledger_sleep(300 * TONG_MICROSECOND);
    unlink(path);
}

/* One fault, by pwrite(2), which cannot be hit by SIGBUS; whether the target must be opened again. */
static bool inject(const struct target *target, int mode)
{
    int kind = (int)chance(1000);
    kind = kind < 2 ? SIZE : kind < 3 ? NAME : kind < 300 ? WORD : kind < 550 ? RECORD : kind < 950 ? CURSOR : NOISE;
    injected[kind]++;
    if (kind == NAME && mode != RECEIVERS)
        replace_name();
    else if (kind == SIZE)
        return ftruncate(target->fd, (off_t)chance(2 * target->size)) == 0;
    else if (kind < SIZE)
        write_fault(target, kind);
    return kind == NAME;
}

static void look_after(pid_t pid, const char *who)
{
    int status;
    if (waitpid(pid, &status, WNOHANG) != pid)
        return;
    MUST(ledger, !ledger->failed, "%s: %s", who, ledger->failure);
    MUST(ledger, false, "%s ended with status 0x%x (%s)", who, (unsigned)status,
         WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit");
}

static uint64_t total(void)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < KINDS; kind++)
        sum += injected[kind];
    return sum;
}

/* Opened again after a while, because those that are worked upon begin again with a new channel. */
static void attack(int mode, pid_t sender, pid_t receiver, uint64_t until)
{
    struct target target = { .fd = -1 };
    int beats[2] = { -1, -1 };
    for (int64_t changed = ledger_now(); total() < until; ) {
        int side = mode == BOTH ? (int)chance(2) : mode;
        bool usable = open_target(&target, side);
        for (int i = 0; usable && i < AT_A_TIME; i++)
            usable = !inject(&target, side);
        ledger->prodded += !usable; /* they may be happy on a channel without a name */
        ledger_sleep((int64_t)chance(300) * TONG_MICROSECOND);
        look_after(sender, "the sender");
        look_after(receiver, "the receiver");
        if (beats[0] != ledger->ready && beats[1] != ledger->other_ready) {
            beats[0] = ledger->ready;
            beats[1] = ledger->other_ready;
            changed = ledger_now();
        }
        MUST(ledger, ledger_now() - changed < 2 * LATE, "the %s does not go on",
             beats[0] == ledger->ready ? "sender" : "receiver");
    }
    close_target(&target);
}

static void run(int mode, uint64_t faults)
{
    ledger_clear(ledger, 1);
    pid_t sender = ledger_fork(ledger);
    if (sender == 0)
        work(TONG_SEND, &ledger->ready);
    pid_t receiver = ledger_fork(ledger);
    if (receiver == 0)
        work(TONG_RECEIVE, &ledger->other_ready);
    attack(mode, sender, receiver, total() + faults);
    ledger->stop = 1;
    ledger_join(ledger, sender, "the sender");
    ledger_join(ledger, receiver, "the receiver");
    printf("%s: %llu calls went well\n", mode == RECEIVERS ? "a hostile receiver" : mode == SENDERS ? "a hostile sender" :
           "both", (unsigned long long)ledger->received);
}

int main(int argc, char **argv)
{
    char command[512];
    ledger = ledger_make();
    snprintf(name, sizeof name, "hostile-%d", (int)getpid());
    snprintf(address, sizeof address, "shm:%s?capacity=%d", name, CAPACITY);
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    uint64_t faults = argc > 1 ? strtoull(argv[1], NULL, 10) : ledger_is_long() ? FAULTS_LONG : FAULTS_SHORT;
    for (int mode = 0; mode < MODES; mode++)
        run(mode, faults / MODES);
    snprintf(command, sizeof command, "rm -rf %s %s.*", path, path);
    MUST(ledger, system(command) == 0 && ledger_names(name) == 0, "names are left");
    printf("faults injected: %llu", (unsigned long long)total());
    for (int kind = 0; kind < KINDS; kind++)
        printf("%s %llu %s", kind ? "," : ":", (unsigned long long)injected[kind], kinds[kind]);
    putchar('\n');
    return 0;
}
