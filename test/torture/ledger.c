/* SPDX-License-Identifier: MIT */
/* The ledger lies in an anonymous shared mapping, which every process of a test inherits. */
#include "ledger.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ENDLESS 60000 /* ms that a process may take to end */
#define NAPS (2 * TONG_MILLISECOND) /* longer than any pause of a partner between two calls */

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
    void *memory = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return memory;
}

void ledger_clear(struct ledger *ledger, unsigned senders)
{
    for (unsigned sender = 0; ledger->shared && sender < senders; sender++) {
        memset(ledger->seen[sender], 0, ledger->sender[sender].begun / 8 + 8);
        memset(ledger->plain[sender], 0, ledger->sender[sender].begun / 8 + 8);
    }
    memset(ledger, 0, offsetof(struct ledger, sender));
    memset(ledger->sender, 0, senders * sizeof *ledger->sender);
    for (unsigned view = 0; view < LEDGER_VIEWS; view++) {
        memset(&ledger->view[view], 0, offsetof(struct ledger_view, row));
        memset(ledger->view[view].row, 0, senders * sizeof *ledger->view[view].row);
    }
}

void ledger_renew(struct ledger *ledger, unsigned view, unsigned senders)
{
    memset(&ledger->view[view], 0, offsetof(struct ledger_view, row));
    memset(ledger->view[view].row, 0, senders * sizeof *ledger->view[view].row);
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

static struct message_head head_of(const void *data)
{
    struct message_head head;
    memcpy(&head, data, sizeof head);
    return head;
}

static bool is_flagged(const tong_message *meta)
{
    return meta && meta->flags & TONG_MESSAGE_REDELIVERED;
}

/* ---- Views that see every message ------------------------------------------------------------------------------- */

/* Of what had to come again, that which was overwritten before it could is told of as a loss; what remains. */
static uint64_t write_off(struct ledger *ledger, struct ledger_view *view, uint64_t owed)
{
    uint64_t told = owed < view->lost ? owed : view->lost;
    view->lost -= told;
    ledger->lost += told;
    return owed - told;
}

static void check_again(struct ledger *ledger, struct ledger_view *view, const struct message_head *head, bool flagged)
{
    struct ledger_row *row = &view->row[head->sender];
    uint64_t seen = row->seen, number = head->number;
    MUST(ledger, seen - number <= row->again, "sender %u: message %llu came again, %llu is next%s", head->sender,
         (unsigned long long)number, (unsigned long long)seen, flagged ? " (redelivered)" : "");
    MUST(ledger, flagged, "sender %u: message %llu came again and is not flagged, %llu is next", head->sender,
         (unsigned long long)number, (unsigned long long)seen);
    uint64_t passed = row->owed > seen - number ? row->owed - (seen - number) : 0;
    MUST(ledger, write_off(ledger, view, passed) == 0, "sender %u: message %llu came again without those before it",
         head->sender, (unsigned long long)number);
    row->again = row->owed = seen - number - 1;
    ledger->redelivered++;
}

/* Losses are told with the next message of whatever sender.  What a dead receiver may have had explains a gap first: a loss that
 * is taken for it would be missed where another sender's gap comes. */
static void check_gap(struct ledger *ledger, struct ledger_view *view, const struct message_head *head, uint64_t gap)
{
    struct ledger_row *row = &view->row[head->sender];
    uint64_t told = gap > row->ahead ? gap - row->ahead : 0;
    MUST(ledger, told <= view->lost, "sender %u: message %llu came, %llu was next (%llu were lost)", head->sender,
         (unsigned long long)head->number, (unsigned long long)row->seen, (unsigned long long)view->lost);
    uint64_t buried = gap - told < row->buried ? gap - told : row->buried;
    view->lost -= told;
    ledger->lost += gap - buried;
    ledger->missing += buried;
}

static void check_next(struct ledger *ledger, struct ledger_view *view, const struct message_head *head,
                       const tong_message *meta)
{
    struct ledger_row *row = &view->row[head->sender];
    uint64_t seen = row->seen, number = head->number;
    view->lost += meta ? meta->lost : 0;
    if (number < seen) {
        check_again(ledger, view, head, is_flagged(meta));
        return;
    }
    row->owed = write_off(ledger, view, row->owed);
    MUST(ledger, row->owed == 0, "sender %u: %llu messages that were never released did not come again", head->sender,
         (unsigned long long)row->owed);
    if (seen > 0 || head->sender >= view->since)
        check_gap(ledger, view, head, number - seen);
    row->seen = number + 1;
    row->again = row->ahead = row->buried = 0;
}

/* ---- Views that share them -------------------------------------------------------------------------------------- */

static uint64_t owed_word(const struct message_head *head)
{
    return ((uint64_t)head->sender << 32 | head->number) + 1;
}

static void pay(struct ledger *ledger, const struct message_head *head)
{
    for (int i = 0; i < LEDGER_OWED; i++) {
        uint64_t word = owed_word(head);
        atomic_compare_exchange_strong(&ledger->owed[i], &word, 0);
    }
}

static void check_share(struct ledger *ledger, unsigned view, const struct message_head *head, bool flagged)
{
    struct ledger_row *row = &ledger->view[view].row[head->sender];
    uint64_t number = head->number, bit = UINT64_C(1) << number % 64;
    MUST(ledger, number < LEDGER_NUMBERS, "sender %u sent too many", head->sender);
    bool again = atomic_fetch_or(&ledger->seen[head->sender][number / 64], bit) & bit;
    bool twice = !flagged && atomic_fetch_or(&ledger->plain[head->sender][number / 64], bit) & bit;
    MUST(ledger, !twice, "sender %u: message %llu came again and is not flagged", head->sender,
         (unsigned long long)number);
    MUST(ledger, flagged || number >= row->seen, "sender %u: message %llu came, %llu was next", head->sender,
         (unsigned long long)number, (unsigned long long)row->seen);
    ledger->redelivered += again;
    ledger->late += again && !flagged;
    ledger->sender[head->sender].arrived += !again;
    if (!flagged)
        row->seen = number + 1;
    if (again)
        pay(ledger, head);
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

unsigned ledger_enter(struct ledger *ledger, unsigned view, const void *data, size_t size, const tong_message *meta)
{
    MUST(ledger, size >= sizeof(struct message_head), "a message of %zu bytes, which nobody sent", size);
    struct message_head head = head_of(data);
    MUST(ledger, head.size == size && head.sender < LEDGER_SENDERS, "a message of %zu bytes says %u, from %u", size,
         head.size, head.sender);
    MUST(ledger, sum_of(data, size) == head.sum, "sender %u: message %llu is torn", head.sender,
         (unsigned long long)head.number);
    MUST(ledger, head.number < ledger->sender[head.sender].begun, "sender %u: message %llu arrived, which was never "
         "committed (%llu were)", head.sender, (unsigned long long)head.number,
         (unsigned long long)ledger->sender[head.sender].begun);
    if (ledger->shared)
        check_share(ledger, view, &head, is_flagged(meta));
    else
        check_next(ledger, &ledger->view[view], &head, meta);
    ledger->received++;
    return head.sender;
}

void ledger_hold(struct ledger *ledger, unsigned view, const void *data, bool must)
{
    struct message_head head = head_of(data);
    struct ledger_row *row = &ledger->view[view].row[head.sender];
    if (!ledger->shared) {
        row->again++;
        row->owed += must;
        return;
    }
    for (int i = 0; must && i < LEDGER_OWED; i++) {
        uint64_t nothing = 0;
        if (atomic_compare_exchange_strong(&ledger->owed[i], &nothing, owed_word(&head)))
            return;
    }
}

/* Of messages that go to one of many: nobody else may get it. */
static void bury_shared(struct ledger *ledger, const struct message_head *head)
{
    bool entered = ledger->seen[head->sender][head->number / 64] >> head->number % 64 & 1;
    ledger->ahead += !entered;
}

/* What it was told of with a message may be the rest of all who had the lane before. */
static void bury_losses(struct ledger *ledger, struct ledger_view *view, unsigned before)
{
    for (unsigned sender = 0; sender < before; sender++) {
        struct ledger_row *row = &view->row[sender];
        uint64_t end = row->seen + row->ahead, done = ledger->sender[sender].done;
        row->ahead += done > end ? done - end : 0;
    }
}

/* One that came again may have been the first of those that are owed. */
static void bury_copy(struct ledger *ledger, struct ledger_view *view, const struct message_head *head, bool lossy)
{
    struct ledger_row *row = &view->row[head->sender];
    uint64_t seen = row->seen, number = head->number;
    if (number < seen) {
        row->owed = seen - number - 1 < row->owed ? seen - number - 1 : row->owed;
        return;
    }
    MUST(ledger, lossy || number - seen <= row->ahead, "sender %u: a dead receiver had message %llu, %llu was next",
         head->sender, (unsigned long long)number, (unsigned long long)seen);
    row->ahead = number - seen + 1;
    row->buried++;
    if (lossy)
        bury_losses(ledger, view, head->sender);
}

/* A copy is whole before it is taken (the head moves behind it, or a hold is cleared), and this is the last one: so it was
 * entered, or it may be gone, or it was not taken and still comes.  A receiver that copied nothing has none, because that of
 * its predecessor is cleared here. */
void ledger_bury(struct ledger *ledger, unsigned view, unsigned hands, bool lossy, unsigned senders)
{
    struct ledger_view *gone = &ledger->view[view];
    struct message_head head = head_of(gone->copy);
    bool whole = head.size >= sizeof head && head.size <= LEDGER_BIGGEST && head.sender < senders &&
                 sum_of(gone->copy, head.size) == head.sum;
    if (ledger->shared && whole)
        bury_shared(ledger, &head);
    else if (whole)
        bury_copy(ledger, gone, &head, lossy);
    memset(gone->copy, 0, sizeof head);
    for (unsigned sender = 0; sender < senders; sender++)
        gone->row[sender].again = hands;
    if (ledger->shared)
        ledger_renew(ledger, view, senders);
}

void ledger_risk(struct ledger *ledger, unsigned view, unsigned messages, unsigned senders)
{
    for (unsigned sender = 0; !ledger->shared && sender < senders; sender++)
        ledger->view[view].row[sender].ahead = ledger->view[view].row[sender].buried = messages;
    ledger->ahead = ledger->shared ? messages : 0;
}

unsigned ledger_owed(const struct ledger *ledger, unsigned view, unsigned senders)
{
    unsigned owed = 0;
    for (int i = 0; i < LEDGER_OWED; i++)
        owed += ledger->owed[i] != 0;
    for (unsigned sender = 0; sender < senders; sender++)
        owed += (unsigned)ledger->view[view].row[sender].owed;
    return owed;
}

/* How many of those that must have arrived did not, and which is the first. */
static uint64_t missing_of(const struct ledger *ledger, unsigned sender, uint64_t *ret_first)
{
    uint64_t missing = 0;
    for (uint64_t number = 0; number < ledger->sender[sender].done; number++) {
        bool there = ledger->seen[sender][number / 64] >> number % 64 & 1;
        *ret_first = there || missing ? *ret_first : number;
        missing += !there;
    }
    return missing;
}

static void settle_share(struct ledger *ledger, unsigned senders)
{
    for (unsigned sender = 0; sender < senders; sender++) {
        uint64_t first = 0;
        ledger->missing += missing_of(ledger, sender, &first);
        MUST(ledger, ledger->missing <= ledger->ahead, "sender %u: %llu messages were committed, message %llu did not arrive "
             "(%llu are missing of all, %llu may be)", sender, (unsigned long long)ledger->sender[sender].done,
             (unsigned long long)first, (unsigned long long)ledger->missing, (unsigned long long)ledger->ahead);
    }
}

void ledger_settle(struct ledger *ledger, unsigned view, unsigned senders)
{
    if (ledger->shared) {
        settle_share(ledger, senders);
        return;
    }
    for (unsigned sender = (unsigned)ledger->view[view].since; sender < senders; sender++) {
        const struct ledger_row *row = &ledger->view[view].row[sender];
        MUST(ledger, row->seen + row->ahead + ledger->view[view].lost >= ledger->sender[sender].done, "sender %u: %llu messages were committed, %llu "
             "arrived in view %u", sender, (unsigned long long)ledger->sender[sender].done, (unsigned long long)row->seen, view);
    }
}

/* ---- Small things ----------------------------------------------------------------------------------------------- */

int64_t ledger_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t ledger_starved(pid_t pid)
{
    char path[40];
    long long ran, waited = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%lld %lld", &ran, &waited) != 2)
        waited = 0;
    fclose(file);
    return waited;
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

/* How often it went to sleep by itself; negative: it is awake. */
static long long sleeps_of(pid_t pid)
{
    char path[40], line[128], state = 'R';
    long long count = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "State: %c", &state);
        sscanf(line, "voluntary_ctxt_switches: %lld", &count);
    }
    if (file)
        fclose(file);
    return state == 'S' ? count : -1;
}

void ledger_until_asleep(struct ledger *ledger)
{
    int64_t until = ledger_now() + LONG;
    for (long long before = -1, now; !ledger->failed; before = now) {
        now = ledger->partner ? sleeps_of(ledger->partner) : -1;
        if (now >= 0 && now == before)
            return;
        MUST(ledger, ledger_now() < until, "waited in vain: the partner to sleep");
        ledger_sleep(NAPS);
    }
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
    struct pollfd gone = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
    MUST(ledger, gone.fd >= 0, "pidfd_open: %s", strerror(errno));
    bool ended = poll(&gone, 1, ENDLESS) == 1;
    close(gone.fd);
    MUST(ledger, ended || ledger->failed, "%s (process %d) does not end", who, (int)pid);
    while (waitpid(pid, &status, WNOHANG) < 0)
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
