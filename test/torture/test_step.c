/* SPDX-License-Identifier: MIT */
/*
 * test_step.c FLOOR [NAME...] - kills a process at every instruction of every operation of a channel in shared memory,
 * while others send and receive on it, and looks at what they find.
 *
 * One episode is one death: the partners come, the victim is prepared, stepped and killed; whoever waits on it must
 * be told; a successor takes its place; all that was committed arrives, in order, whole and once, nothing else does,
 * and no name is left.  The number of instructions of each operation is printed and compared with the floor that is
 * recorded for this compiler: a stepper that no longer steps is found by it.  A floor that is not there is recorded.
 *
 * The short form kills at every instruction of the short operations and at every n-th of the long ones; the long form
 * (TONG_TORTURE=long) leaves none out.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/layout.h"
#include "partner.h"
#include "step.h"

#define NOTICE (10 * TONG_MILLISECOND) /* the median of all deaths on which somebody waited, and nine of ten of those whose ... */
#define STARVED (2 * TONG_MILLISECOND) /* ... receiver or sender got a processor at once: of an operation, or if they are few, of all */
#define ENOUGH 20 /* of which nine of ten say more than how busy the machine was */
#define SHORT 450 /* instructions of an operation that the short form leaves none out of */
#define DEATHS 16 /* of any other, about, beside those at its system calls */
#define SAMPLES 10 /* the same where only the company is another */
#define TOGETHER 30000 /* instructions that may be stepped for an operation */
#define NOTICES 65536
#define SHARE (20 * TONG_MILLISECOND) /* in which a successor among others gets something */

static struct ledger *ledger;
static char name[64], address[160];
static struct step_map calls; /* of the operation at hand */
static uint64_t orphans;
static bool recording;

static const struct delivery deliveries[] = {
    { .name = "one to one", .scheme = "shm", .options = "", .thorough = true, .never = QUIET },
    { .name = "many senders", .scheme = "shm", .options = "", .others = true, .never = QUIET },
    { .name = "one, mmap:", .scheme = "mmap", .options = "", .only = PART },
    { .name = "memfd:", .scheme = "memfd", .options = "", .direction = TONG_SEND, .never = HELD | HEIR | ALONE | QUIET, .meets = true },
    { .name = "memfd:", .scheme = "memfd", .options = "", .direction = TONG_RECEIVE, .never = HELD | HEIR | OPENS | QUIET,
      .meets = true },
    { .name = "many receivers", .scheme = "shm", .options = "&receivers=16", .survivor = true, .shared = true },
    { .name = "broadcast", .scheme = "shm", .options = "&deliver=broadcast", .receiver = "&from=left&as=%s", .survivor = true,
      .pieces = true, .never = QUIET },
    { .name = "skipping", .scheme = "shm", .options = "&deliver=broadcast", .receiver = "&from=left&slow=skip&as=%s",
      .survivor = true, .only = PART, .never = QUIET | HELD | FULL },
    { .name = "many of both", .scheme = "shm", .options = "&receivers=16", .survivor = true, .shared = true, .others = true,
      .only = PART },
};

/* After how long deaths were noticed: all, and those that the machine did not delay. */
struct notices {
    int64_t all[NOTICES], fed[NOTICES];
    unsigned count, fed_count;
};

static struct notices notices;                                       /* of the operation at hand */
static struct notices companies[sizeof deliveries / sizeof *deliveries]; /* of all operations with one delivery */

/* ---- An episode ------------------------------------------------------------------------------------------------- */

struct episode {
    struct scene scene;
    const struct operation *operation;
    const struct delivery *delivery;
    struct step_result result;
    pid_t partner, other, survivor;
    int64_t partner_starved, other_starved, survivor_starved; /* as the victim died */
};

/* The survivor first: what is sent while no receiver of a broadcast is there need not be kept. */
static void start_partners(struct episode *episode)
{
    const struct scene *scene = &episode->scene;
    episode->survivor = episode->delivery->survivor ? ledger_fork(ledger) : -1;
    if (episode->survivor == 0)
        partner_receive(scene, SURVIVOR);
    if (episode->survivor > 0)
        ledger_until(ledger, &ledger->survivor_ready, "the other receiver to open");
    if ((episode->partner = ledger_fork(ledger)) == 0) {
        if (episode->operation->direction == TONG_SEND)
            partner_receive(scene, FIRST);
        partner_send(scene, VICTIM);
    }
    ledger_until(ledger, &ledger->ready, "a partner to open");
    episode->other = episode->delivery->others ? ledger_fork(ledger) : -1;
    if (episode->other == 0)
        partner_send(scene, OTHER);
    if (episode->other > 0)
        ledger_until(ledger, &ledger->other_ready, "the other sender to open");
}

static void kill_predecessor(const struct scene *scene)
{
    int status;
    pid_t pid = ledger_fork(ledger);
    if (pid == 0)
        operation_predecessor(scene);
    while (waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR)
        continue;
    MUST(ledger, WIFSTOPPED(status), "the predecessor: %s", ledger->failure);
    ledger_kill(pid);
}

/* What has certainly happened when the operation has returned. */
static void conclude(const struct operation *operation)
{
    MUST(ledger, ledger->result >= 0, "%s gave %d", operation->name, ledger->result);
    if (operation->direction == TONG_SEND)
        ledger->sender[VICTIM].done = ledger->sender[VICTIM].begun;
    for (unsigned i = 0; i < operation->receives; i++) {
        uint32_t size;
        memcpy(&size, ledger->buffer[i] + sizeof size, sizeof size);
        ledger_enter(ledger, FIRST, ledger->buffer[i], size, NULL);
        ledger_risk(ledger, FIRST, operation->receives - i - 1, SENDERS);
    }
    /* with one lane, what is released is no longer among what comes again */
    struct ledger_row *row = ledger->view[FIRST].row;
    if (operation->releases && !ledger->shared && row[OTHER].again == 0)
        row[VICTIM].again = row[VICTIM].again - operation->releases;
}

/* Somebody waits: the receiver for the sender that is gone, the senders for room, or another receiver takes what the dead one
 * had in hand.  While other senders go on, nobody is told of the end of one. */
static bool is_waited_on(const struct episode *episode)
{
    const unsigned flags = episode->operation->flags;
    if (flags & (OPENS | ENDS | HEIR))
        return false;
    if (episode->operation->direction == TONG_SEND)
        return !episode->delivery->others;
    if (ledger->shared)
        return ledger_owed(ledger, FIRST, SENDERS) > 0;
    return !episode->delivery->survivor && flags & FULL;
}

/* For how long the machine had no processor for who was told. */
static int64_t starvation(const struct episode *episode)
{
    if (ledger->noticer == episode->partner)
        return ledger->starved - episode->partner_starved;
    return ledger->starved - (ledger->noticer == episode->other ? episode->other_starved : episode->survivor_starved);
}

static void enter_notice(struct notices *in, int64_t late, int64_t starved)
{
    if (in->count < NOTICES)
        in->all[in->count++] = late;
    if (in->fed_count < NOTICES && starved < STARVED)
        in->fed[in->fed_count++] = late;
}

static void expect_notice(const struct episode *episode)
{
    ledger->prodded = ledger->gone = 1;
    if (!is_waited_on(episode))
        return;
    int64_t until = ledger_now() + LONG;
    while (!ledger->noticed && !ledger->failed) {
        MUST(ledger, ledger_now() < until, "nobody noticed the death");
        ledger_sleep(50 * TONG_MICROSECOND);
    }
    MUST(ledger, !ledger->failed, "%s", ledger->failure);
    int64_t starved = starvation(episode), late = ledger->noticed - episode->result.killed - starved;
    enter_notice(&notices, late, starved);
    enter_notice(&companies[episode->delivery - deliveries], late, starved);
}

static void succeed_sender(const struct scene *scene)
{
    unsigned char buffer[LEDGER_BIGGEST];
    struct ledger_sender *row = &ledger->sender[SUCCESSOR];
    tong_channel *channel = scene_open(scene, TONG_SEND, FIRST);
    for (int i = 0; i < 3; i++) {
        size_t size = ledger_write(buffer, SUCCESSOR, row->begun, 0);
        row->begun++;
        int r = tong_channel_send(channel, buffer, size, NULL, LONG);
        MUST(ledger, r == 0, "successor: send: %d %s", r, tong_detail());
        row->done++;
    }
    ledger->stop = 1;
    MUST(ledger, tong_channel_close(channel) == 0, "successor: close: %s", tong_detail());
    ledger->over = 1;
}

static void succeed_receiver(const struct scene *scene)
{
    unsigned char buffer[LEDGER_BIGGEST];
    const unsigned view = ledger->shared ? HEIRS_VIEW : FIRST;
    tong_channel *channel = scene_open(scene, TONG_RECEIVE, view);
    for (int i = 0; ; i++) {
        tong_message meta = TONG_MESSAGE_INIT;
        ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, &meta, ledger->shared && !ledger->stop ? SHARE : LONG);
        if (r == -ENODATA)
            break;
        if (r == -ETIMEDOUT && !ledger->stop) { /* the survivor was faster */
            ledger->stop = 1;
            continue;
        }
        MUST(ledger, r >= 0, "successor: receive: %zd %s", r, tong_detail());
        ledger_enter(ledger, view, buffer, (size_t)r, &meta);
        ledger->stop |= i >= 4;
    }
    MUST(ledger, tong_channel_close(channel) == 0, "successor: close: %s", tong_detail());
}

/* The sender may not have met who was killed yet, and waits for somebody. */
static void let_go(const struct scene *scene)
{
    const int64_t until = ledger_now() + LONG;
    tong_channel *channel = ledger->other_ready ? NULL : scene_open(scene, TONG_RECEIVE, FIRST);
    while (!ledger->other_ready) {
        tong_identity peer = TONG_IDENTITY_INIT;
        tong_channel_peer(channel, &peer);
        MUST(ledger, ledger_now() < until && !ledger->failed, "the sender met nobody: %s", ledger->failure);
        ledger_sleep(50 * TONG_MICROSECOND);
    }
    tong_channel_close(channel);
    ledger->stop = 1;
}

/* What the receivers were told of the senders that came and went. */
static void check_ends(const struct episode *episode)
{
    const unsigned flags = episode->operation->flags;
    const bool many = episode->delivery->others || ledger->shared;
    bool died = !(flags & OPENS) && !((flags & ENDS) && episode->result.finished);
    int deaths = 0;
    for (int i = 0; i < ledger->ended; i++)
        deaths += ledger->ends[i] == -ECONNRESET;
    int least = many ? died && !(flags & ENDS) : !!(flags & HEIR) + (died && !(flags & ENDS));
    int most = ledger->shared ? 4 : 2;
    MUST(ledger, deaths >= least && deaths <= most, "%d deaths were told, not %d to %d", deaths, least, most);
    if (!many)
        MUST(ledger, ledger->ends[ledger->ended - 1] == -ENODATA, "the successor's end was not told");
}

static void check_whole(const struct operation *operation)
{
    uint64_t begun = ledger->sender[VICTIM].begun;
    uint64_t seen = ledger->shared ? ledger->sender[VICTIM].arrived : ledger->view[FIRST].row[VICTIM].seen;
    MUST(ledger, seen == begun || seen + operation->sends == begun, "%llu of %llu messages arrived of those that are sent at once",
         (unsigned long long)seen, (unsigned long long)begun);
}

/* What a receiver had not taken of a channel that does not outlive its two ends is gone with it, and nobody succeeds it. */
static bool takes_all_along(const struct episode *episode)
{
    return episode->delivery->meets && episode->operation->direction == TONG_RECEIVE;
}

static void check_rest(const struct episode *episode)
{
    const struct operation *operation = episode->operation;
    MUST(ledger, ledger->missing <= operation->receives, "%llu messages are missing", (unsigned long long)ledger->missing);
    if (takes_all_along(episode))
        return;
    ledger_settle(ledger, FIRST, SENDERS);
    if (episode->delivery->survivor && !ledger->shared)
        ledger_settle(ledger, SURVIVOR, SENDERS);
    MUST(ledger, ledger_owed(ledger, FIRST, SENDERS) == 0, "what was not released did not come again");
    MUST(ledger, ledger->late <= 1, "%llu messages came again before they came", (unsigned long long)ledger->late);
    if (operation->flags & WHOLE && !(episode->delivery->pieces && operation->sends == LEDGER_BATCH))
        check_whole(operation);
    if (operation->direction == TONG_SEND)
        check_ends(episode);
}

/* What a maker that was killed leaves without a channel to belong to is removed here, and counted. */
static void clear_names(const struct operation *operation)
{
    int r = tong_remove(address);
    MUST(ledger, r == 0 || r == -ENOENT || r == -EOPNOTSUPP, "remove: %d %s", r, tong_detail());
    int left = ledger_names(name);
    MUST(ledger, left == 0 || operation->flags & ALONE, "%d names are left", left);
    if (left == 0)
        return;
    char command[160];
    orphans += (unsigned)left;
    snprintf(command, sizeof command, "rm -f /dev/shm/tong.%s.*", name);
    MUST(ledger, system(command) == 0, "%s", command);
}

/* ---- A claim whose owner died before it could sign it ------------------------------------------------------------- */

/* Deaths with a hold written and the claim not moved yet; with the claim moved, and the message not in the caller's hands. */
static struct {
    uint64_t before, after;
} unsigned_claims;

static uint64_t word_at(int fd, size_t at)
{
    uint64_t word = 0;
    MUST(ledger, pread(fd, &word, sizeof word, (off_t)at) == sizeof word, "pread: %s", strerror(errno));
    return word;
}

/* Nobody but the victim has a hold: the other receiver does nothing yet.  What is held must come again. */
static void look_at_holds(int fd)
{
    bool held = false;
    for (size_t hold = 0; hold < LAYOUT_PLACES * LAYOUT_HOLDS; hold++) {
        size_t at = offsetof(struct layout_receivers, seats) + hold / LAYOUT_HOLDS * sizeof(struct layout_seat) +
                    offsetof(struct layout_seat, holds) + hold % LAYOUT_HOLDS * sizeof(struct layout_hold);
        uint64_t what = word_at(fd, at + offsetof(struct layout_hold, what));
        if (what == 0)
            continue;
        uint64_t claim = word_at(fd, offsetof(struct layout_receivers, cursors[hold_lane(what)].claim));
        bool won = claim > word_at(fd, at + offsetof(struct layout_hold, start));
        unsigned_claims.after += won;
        unsigned_claims.before += !won;
        held = true;
    }
    if (held)
        ledger_risk(ledger, FIRST, 0, SENDERS);
}

static void count_claims(void)
{
    char path[128];
    struct layout_header header;
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(ledger, fd >= 0 && pread(fd, &header, sizeof header, 0) == sizeof header, "%s: %s", path, strerror(errno));
    close(fd);
    snprintf(path, sizeof path, "/dev/shm/tong.%s.%016llx.receive", name, (unsigned long long)header.id);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(ledger, fd >= 0, "%s: %s", path, strerror(errno));
    look_at_holds(fd);
    close(fd);
}

/* ---- All of an episode ------------------------------------------------------------------------------------------ */

#define WHOLE_OPERATION UINT64_MAX

static void end_episode(struct episode *episode)
{
    ledger_join(ledger, episode->partner, "a partner");
    if (episode->other > 0)
        ledger_join(ledger, episode->other, "the other sender");
    if (episode->survivor > 0)
        ledger_join(ledger, episode->survivor, "the other receiver");
    check_rest(episode);
    clear_names(episode->operation);
}

static struct step_result run_episode(const struct operation *operation, const struct delivery *delivery, uint64_t turn)
{
    struct episode episode = { { ledger, operation, delivery, address }, .operation = operation, .delivery = delivery };
    bool alone = operation->flags & ALONE;
    ledger_clear(ledger, SENDERS);
    ledger->shared = delivery->shared;
    if (delivery->receiver && operation->flags & FULL)
        ledger->view[FIRST].since = SENDERS; /* much was sent before the victim came, and need not be kept for it */
    if (!alone)
        start_partners(&episode);
    if (operation->flags & HEIR)
        kill_predecessor(&episode.scene);
    pid_t victim = ledger_fork(ledger);
    if (victim == 0)
        operation_victim(&episode.scene);
    episode.result = turn == WHOLE_OPERATION ? step_through(ledger, victim, &calls) : step_and_kill(ledger, victim, turn,
                                                                                                    &calls);
    episode.partner_starved = ledger_starved(episode.partner);
    episode.other_starved = ledger_starved(episode.other);
    episode.survivor_starved = ledger_starved(episode.survivor);
    if (episode.result.finished)
        conclude(operation);
    else if (operation->flags & QUIET)
        count_claims();
    expect_notice(&episode);
    if (alone)
        start_partners(&episode);
    if (operation->direction == TONG_SEND)
        succeed_sender(&episode.scene);
    else if (takes_all_along(&episode))
        let_go(&episode.scene);
    else
        succeed_receiver(&episode.scene);
    end_episode(&episode);
    return episode.result;
}

/* ---- All of an operation ---------------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double milliseconds(int64_t nanoseconds)
{
    return (double)nanoseconds / 1e6;
}

static void must_be_in_time(const char *whose, const struct notices *noticed)
{
    int64_t median = noticed->all[noticed->count / 2];
    MUST(ledger, median < NOTICE, "%s: a death is noticed after %.1f ms (median)", whose, milliseconds(median));
    if (noticed->fed_count < ENOUGH)
        return;
    int64_t most = noticed->fed[noticed->fed_count * 9 / 10];
    MUST(ledger, most < NOTICE, "%s: one death in ten is noticed after %.1f ms or more", whose, milliseconds(most));
}

static void print_times(struct notices *noticed)
{
    qsort(noticed->all, noticed->count, sizeof *noticed->all, compare);
    qsort(noticed->fed, noticed->fed_count, sizeof *noticed->fed, compare);
    printf("death noticed after %.2f ms (median of %u), ", milliseconds(noticed->all[noticed->count / 2]), noticed->count);
    if (noticed->fed_count > 0)
        printf("%.2f ms (nine of ten of %u), ", milliseconds(noticed->fed[noticed->fed_count * 9 / 10]), noticed->fed_count);
    printf("%.2f ms (most)", milliseconds(noticed->all[noticed->count - 1]));
}

/* A machine that is busy may delay most of a few: those are judged together, at the end. */
static void print_notices(const struct operation *operation, const struct delivery *delivery)
{
    if (notices.count == 0)
        return;
    printf(", ");
    print_times(&notices);
    if (delivery->thorough)
        must_be_in_time(operation->name, &notices);
}

static void check_companies(void)
{
    for (size_t i = 0; i < sizeof deliveries / sizeof *deliveries; i++) {
        if (companies[i].count == 0)
            continue;
        printf("%s: ", deliveries[i].name);
        print_times(&companies[i]);
        putchar('\n');
        must_be_in_time(deliveries[i].name, &companies[i]);
    }
}

struct count {
    uint64_t steps, deaths, in_kernel;
};

static bool kill_at(const struct operation *operation, const struct delivery *delivery, uint64_t turn, struct count *count)
{
    struct step_result result = run_episode(operation, delivery, turn);
    count->deaths++;
    count->in_kernel += result.in_kernel;
    return result.finished;
}

/* How many instructions lie between two deaths. */
static uint64_t interval(const struct operation *operation, uint64_t steps, const struct delivery *delivery)
{
    if (ledger_is_long() || operation->flags & QUIET || (steps <= SHORT && delivery->thorough))
        return 1;
    uint64_t stretch = 0; /* the most that has to be stepped for one death */
    for (unsigned i = 0; i <= calls.count; i++) {
        uint64_t from = i ? calls.at[i - 1] : 0, to = i < calls.count ? calls.at[i] : steps;
        stretch = to > from && to - from > stretch ? to - from : stretch;
    }
    uint64_t deaths = TOGETHER / (stretch / 2 + 1);
    const uint64_t most = delivery->thorough ? DEATHS : SAMPLES;
    deaths = deaths > most ? most : deaths;
    return 1 + steps / deaths;
}

/* Kills at instruction 0, every, 2 * every ... until the operation is over before it comes to that; and before, after or
 * in each system call. */
static struct count run_operation(const struct operation *operation, const struct delivery *delivery)
{
    int64_t before = ledger_now();
    notices.count = notices.fed_count = 0;
    calls.rounds = operation->flags & LARGE;
    struct count count = { run_episode(operation, delivery, WHOLE_OPERATION).steps, 1, 0 };
    uint64_t every = interval(operation, count.steps, delivery);
    for (uint64_t turn = 0; !kill_at(operation, delivery, turn, &count); )
        turn += every;
    const struct step_map seen = calls;
    for (unsigned i = 0; every > 1 && delivery->thorough && i < seen.count; i++) {
        kill_at(operation, delivery, seen.at[i] - 1, &count);
        kill_at(operation, delivery, seen.at[i], &count);
    }
    printf("%-26s %-14s %6llu instructions, %3u system calls; killed %5llu times (every %llu, %llu in the kernel), %.1f s",
           operation->name, delivery->name, (unsigned long long)count.steps, seen.count,
           (unsigned long long)count.deaths, (unsigned long long)every, (unsigned long long)count.in_kernel,
           milliseconds(ledger_now() - before) / 1000);
    print_notices(operation, delivery);
    putchar('\n');
    fflush(stdout);
    return count;
}

static void check_claims(void)
{
    printf("%26s with a hold but no claim: %llu times; with both: %llu times\n", "",
           (unsigned long long)unsigned_claims.before, (unsigned long long)unsigned_claims.after);
    MUST(ledger, unsigned_claims.before > 0 && unsigned_claims.after > 0, "nobody died within a claim");
}

/* ---- The floor -------------------------------------------------------------------------------------------------- */

/* Its first line names the compiler; the others: instructions, a blank, and the name of an operation.  0: it has none. */
static uint64_t floor_of(FILE *file, const char *operation)
{
    char line[128];
    unsigned long long found = 0;
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        char *end;
        unsigned long long steps = strtoull(line, &end, 10);
        line[strcspn(line, "\n")] = '\0';
        if (end != line && *end == ' ' && !strcmp(end + 1, operation))
            found = steps;
    }
    return found;
}

#define COMPILER "# " __VERSION__ "\n"

/* Another compiler makes other instructions of the same code: then there is nothing to compare with, which is said once. */
static bool is_comparable(FILE *file)
{
    static bool said;
    char line[128] = "";
    rewind(file);
    if (recording && !fgets(line, sizeof line, file)) {
        fputs(COMPILER, file);
        return true;
    }
    rewind(file);
    if (fgets(line, sizeof line, file) && !strcmp(line, COMPILER))
        return true;
    if (!said)
        printf("SKIP the floor of instructions: it was recorded with compiler %s", line[0] ? line + 2 : "unknown\n");
    if (!said)
        printf("     and this is %s: delete it to record another\n", __VERSION__);
    said = true;
    return false;
}

/* A file that is not there is begun. */
static void check_floor(const char *path, const struct operation *operation, uint64_t steps)
{
    FILE *file = fopen(path, recording ? "a+" : "r");
    MUST(ledger, file, "%s: %s", path, strerror(errno));
    if (!is_comparable(file)) {
        fclose(file);
        return;
    }
    uint64_t least = floor_of(file, operation->name);
    if (recording && least == 0)
        fprintf(file, "%llu %s\n", (unsigned long long)(least = steps), operation->name);
    fclose(file);
    MUST(ledger, least > 0, "%s has no line for \"%s\": %llu were stepped", path, operation->name,
         (unsigned long long)steps);
    MUST(ledger, steps * 10 >= least * 9, "%s: %llu instructions were stepped, %llu is the floor: if the operation has become "
         "shorter, record it in %s", operation->name, (unsigned long long)steps, (unsigned long long)least, path);
}

static bool is_asked(int argc, char **argv, const char *operation)
{
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], operation))
            return true;
    return argc <= 2;
}

static bool is_for(const struct operation *operation, const struct delivery *delivery)
{
    bool that_way = !delivery->direction || delivery->direction == operation->direction;
    return that_way && (operation->flags & delivery->only) == delivery->only && !(operation->flags & delivery->never);
}

int main(int argc, char **argv)
{
    struct count all = { 0 };
    if (argc < 2)
        return 2;
    ledger = ledger_make();
    recording = access(argv[1], F_OK) < 0;
    snprintf(name, sizeof name, "torture-step-%d", (int)getpid());
    for (const struct operation *operation = operations; operation->name; operation++) {
        if (!is_asked(argc, argv, operation->name))
            continue;
        bool compared = false;
        for (size_t i = 0; i < sizeof deliveries / sizeof *deliveries; i++) {
            if (!is_for(operation, &deliveries[i]))
                continue;
            const bool is_path = strcmp(deliveries[i].scheme, "shm");
            snprintf(address, sizeof address, "%s:%s%s?capacity=%d%s", deliveries[i].scheme, is_path ? "/dev/shm/tong." : "", name,
                     operation->flags & LARGE ? 65536 : 4096, deliveries[i].options);
            struct count count = run_operation(operation, &deliveries[i]);
            all.deaths += count.deaths;
            all.steps += count.steps;
            if (operation->flags & QUIET)
                check_claims();
            if (!compared)
                check_floor(argv[1], operation, count.steps);
            compared = true;
        }
    }
    check_companies();
    printf("files that killed makers left: %llu\n", (unsigned long long)orphans);
    ledger_count(all.steps, all.deaths, 0);
    return 0;
}
