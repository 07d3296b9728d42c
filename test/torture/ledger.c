/* SPDX-License-Identifier: MIT */
/* The ledger lies in an anonymous shared mapping, which every process of a test inherits. */
#include "ledger.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t maker;

/* What every message begins with; the rest of it follows from the number. */
struct message_head {
    uint32_t sender, size;
    uint64_t number;
    uint64_t sum; /* of all the other bytes */
};

struct ledger *ledger_make(void)
{
    maker = getpid();
    void *memory = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return memory;
}

void ledger_clear(struct ledger *ledger, unsigned senders)
{
    memset(ledger, 0, offsetof(struct ledger, sender));
    memset(ledger->sender, 0, senders * sizeof *ledger->sender);
}

void ledger_fail(struct ledger *ledger, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!ledger->failed)
        vsnprintf(ledger->failure, sizeof ledger->failure, format, arguments);
    va_end(arguments);
    ledger->failed = 1;
    if (getpid() != maker)
        _exit(1);
    fprintf(stderr, "FAILED: %s\n", ledger->failure);
    exit(1);
}

/* ---- Messages --------------------------------------------------------------------------------------------------- */

static uint64_t sum_of(const unsigned char *data, size_t size)
{
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        if (i < offsetof(struct message_head, sum) || i >= sizeof(struct message_head))
            sum = (sum ^ data[i]) * UINT64_C(1099511628211);
    return sum;
}

size_t ledger_write(void *buffer, unsigned sender, uint64_t number, size_t least)
{
    unsigned char *bytes = buffer;
    size_t size = sizeof(struct message_head) + least + number * 37 % 90;
    struct message_head head = { sender, (uint32_t)size, number, 0 };
    for (size_t i = sizeof head; i < size; i++)
        bytes[i] = (unsigned char)(number * 131 + sender * 7 + i);
    memcpy(bytes, &head, sizeof head);
    head.sum = sum_of(bytes, size);
    memcpy(bytes, &head, sizeof head);
    return size;
}

static void check_number(struct ledger *ledger, struct ledger_sender *row, const struct message_head *head, uint32_t flags)
{
    uint64_t seen = row->seen, number = head->number;
    MUST(ledger, number < row->begun, "sender %u: message %llu arrived, which was never committed (%llu were)",
         head->sender, (unsigned long long)number, (unsigned long long)row->begun);
    if (number < seen) {
        MUST(ledger, seen - number <= row->again, "sender %u: message %llu came again, %llu is next%s", head->sender,
             (unsigned long long)number, (unsigned long long)seen, flags & TONG_MESSAGE_REDELIVERED ? " (redelivered)" : "");
        MUST(ledger, flags & TONG_MESSAGE_REDELIVERED, "sender %u: message %llu came again and is not flagged",
             head->sender, (unsigned long long)number);
        MUST(ledger, seen - number >= row->owed, "sender %u: message %llu came again without those before it", head->sender,
             (unsigned long long)number);
        row->again = row->owed = seen - number - 1;
        ledger->redelivered++;
        return;
    }
    MUST(ledger, row->owed == 0, "sender %u: %llu messages that were never released did not come again", head->sender,
         (unsigned long long)row->owed);
    MUST(ledger, number - seen <= row->ahead, "sender %u: message %llu came, %llu was next", head->sender,
         (unsigned long long)number, (unsigned long long)seen);
    ledger->missing += number - seen;
    row->seen = number + 1;
    row->again = row->ahead = 0;
}

unsigned ledger_enter(struct ledger *ledger, const void *data, size_t size, uint32_t flags)
{
    struct message_head head;
    MUST(ledger, size >= sizeof head, "a message of %zu bytes, which nobody sent", size);
    memcpy(&head, data, sizeof head);
    MUST(ledger, head.size == size && head.sender < LEDGER_SENDERS, "a message of %zu bytes says %u, from %u", size,
         head.size, head.sender);
    MUST(ledger, sum_of(data, size) == head.sum, "sender %u: message %llu is torn", head.sender,
         (unsigned long long)head.number);
    check_number(ledger, &ledger->sender[head.sender], &head, flags);
    ledger->received++;
    return head.sender;
}

void ledger_settle(struct ledger *ledger, unsigned senders)
{
    for (unsigned sender = 0; sender < senders; sender++) {
        const struct ledger_sender *row = &ledger->sender[sender];
        MUST(ledger, row->seen + row->ahead >= row->done, "sender %u: %llu messages were committed, %llu arrived", sender,
             (unsigned long long)row->done, (unsigned long long)row->seen);
    }
}

/* ---- Small things ----------------------------------------------------------------------------------------------- */

int64_t ledger_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void ledger_sleep(int64_t nanoseconds)
{
    struct timespec pause = { nanoseconds / 1000000000, nanoseconds % 1000000000 };
    while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
        continue;
}

void ledger_until(struct ledger *ledger, const volatile int *flag, const char *what)
{
    int64_t until = ledger_now() + LONG;
    while (!*flag && !ledger->failed) {
        MUST(ledger, ledger_now() < until, "waited in vain: %s", what);
        ledger_sleep(20000);
    }
    MUST(ledger, !ledger->failed, "%s", ledger->failure);
}

pid_t ledger_fork(struct ledger *ledger)
{
    pid_t parent = getpid(), pid = fork();
    MUST(ledger, pid >= 0, "fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    return 0;
}

void ledger_join(struct ledger *ledger, pid_t pid, const char *who)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        MUST(ledger, errno == EINTR, "waitpid: %s", strerror(errno));
    MUST(ledger, !ledger->failed, "%s", ledger->failure);
    MUST(ledger, status == 0, "%s ended with status 0x%x", who, (unsigned)status);
}

int64_t ledger_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        continue;
    return ledger_now();
}

int ledger_names(const char *part)
{
    DIR *stream = opendir("/dev/shm");
    int found = 0;
    for (struct dirent *entry; stream && (entry = readdir(stream)); )
        found += strstr(entry->d_name, part) != NULL;
    if (stream)
        closedir(stream);
    return found;
}

bool ledger_is_long(void)
{
    const char *form = getenv("TONG_TORTURE");
    return form && !strcmp(form, "long");
}

void ledger_count(uint64_t stepped, uint64_t survived, uint64_t injected)
{
    printf("counted: %llu instructions stepped, %llu deaths survived, %llu faults injected\n", (unsigned long long)stepped,
           (unsigned long long)survived, (unsigned long long)injected);
}

tong_channel *ledger_open(struct ledger *ledger, const char *address, uint32_t flags)
{
    tong_channel *channel;
    int r = tong_channel_open(address, flags, LONG, &channel);
    MUST(ledger, r == 0, "open %s (%s): %d %s", address, flags & TONG_SEND ? "sender" : "receiver", r, tong_detail());
    return channel;
}
