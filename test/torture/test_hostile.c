/* SPDX-License-Identifier: MIT */
/*
 * test_hostile.c [FAULTS] - a peer that writes whatever it likes into the memory that it shares with us.
 *
 * Senders and receivers work, guarded against SIGBUS.  Meanwhile another process of the same user writes into the
 * receivers' segment, the senders', or both: single words of any value, words that look like records and cursors, noise;
 * it makes the files shorter and longer, takes the name away and puts something else there.  Whatever those are told,
 * they must not crash, and each call must end in the time it was given.  The seed is fixed.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

#define FAULTS_SHORT 300000
#define FAULTS_LONG 20000000
#define AT_A_TIME 24 /* faults between two looks at the others */
#define AT_WORK (10 * TONG_MILLISECOND) /* in which a call goes well, mostly, where a channel has to be opened anew before */
#define WELL 100 /* calls of a run that must go well: else nobody was there to be worked upon */

static const char *const kinds[] = { "words", "records", "cursors", "noise", "sizes", "names" };
static const char *const modes[] = { "a hostile receiver", "a hostile sender", "both" };

static const struct hostile_delivery deliveries[] = {
    { "one receiver", "", 2, 1, false },
    { "many receivers", "&receivers=16", 2, 2, false },
    { "a broadcast", "&deliver=broadcast", 2, 2, false },
    { "a broadcast, skipping", "&deliver=broadcast&slow=skip", 2, 2, false },
    { "memfd:", "", 1, 1, true },
};

static struct ledger *ledger;
static struct hostile hostile = { .seed = 4 };
static uint64_t injected[KINDS];

struct worker {
    pid_t pid;
    const char *who;
    int beat; /* when it was last seen to have gone on */
};

static void look_after(pid_t pid, const char *who)
{
    int status;
    if (waitpid(pid, &status, WNOHANG) != pid)
        return;
    MUST(ledger, !ledger->failed, "%s: %s", who, ledger->failure);
    MUST(ledger, false, "%s ended with status 0x%x (%s)", who, (unsigned)status,
         WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit");
}

/* Whether all have gone on since the last time that all had. */
static bool go_on(struct worker *worker, unsigned workers, const char **ret_late)
{
    *ret_late = NULL;
    for (unsigned i = 0; i < workers; i++) {
        look_after(worker[i].pid, worker[i].who);
        if (worker[i].beat == ledger->beat[i])
            *ret_late = worker[i].who;
    }
    for (unsigned i = 0; !*ret_late && i < workers; i++)
        worker[i].beat = ledger->beat[i];
    return !*ret_late;
}

static uint64_t total(void)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < KINDS; kind++)
        sum += injected[kind];
    return sum;
}

/* Who is at work is worth more faults than who tries to open. */
static void let_work(void)
{
    const uint64_t before = ledger->received;
    const int64_t until = ledger_now() + AT_WORK;
    do {
        ledger_sleep((int64_t)hostile_chance(&hostile, 300) * TONG_MICROSECOND);
    } while (ledger->received == before && ledger_now() < until);
}

/* Until there were so many faults, and so many calls between them went well.  Opened again after a while, because those that
 * are worked upon begin again with a new channel. */
static void attack(int mode, struct worker *worker, unsigned workers, uint64_t until)
{
    struct hostile_target target = { .fd = -1 };
    const char *late;
    const int64_t began = ledger_now();
    int64_t changed = began, hit = began;
    while (total() < until || ledger->received < WELL) {
        int side = mode == BOTH ? (int)hostile_chance(&hostile, 2) : mode;
        bool usable = hostile_open_target(&hostile, side, &target);
        for (int i = 0; usable && i < AT_A_TIME; i++)
            usable = !hostile_inject(&hostile, &target, injected);
        hostile_close_target(&target);
        ledger->prodded += !usable; /* they may be happy on a channel without a name */
        hit = usable ? ledger_now() : hit;
        MUST(ledger, ledger_now() - hit < HOSTILE_STUCK, "there is no channel to attack");
        let_work();
        if (go_on(worker, workers, &late))
            changed = ledger_now();
        MUST(ledger, ledger_now() - changed < HOSTILE_STUCK, "%s does not go on", late);
        MUST(ledger, ledger->received > 0 || ledger_now() - began < 6 * HOSTILE_STUCK, "no call went well");
    }
}

/* What a channel in /dev/shm leaves under the name would keep those of the next run, whose name is no file of theirs, from
 * ever meeting there. */
static void clear_names(void)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s %s.*", hostile.path, hostile.path);
    MUST(ledger, system(command) == 0 && ledger_names(hostile.name) == 0, "names are left");
}

static void run(const struct hostile_delivery *delivery, int mode, uint64_t faults)
{
    struct worker worker[HOSTILE_WORKERS];
    unsigned workers = delivery->senders + delivery->receivers;
    ledger_clear(ledger, 1);
    hostile.delivery = delivery;
    if (delivery->nameless)
        snprintf(hostile.address, sizeof hostile.address, "memfd:%s?capacity=%d", hostile.path, HOSTILE_CAPACITY);
    else
        snprintf(hostile.address, sizeof hostile.address, "shm:%s?capacity=%d%s", hostile.name, HOSTILE_CAPACITY,
                 delivery->options);
    for (unsigned i = 0; i < workers; i++) {
        bool sends = i < delivery->senders;
        worker[i] = (struct worker){ ledger_fork(ledger), sends ? "a sender" : "a receiver", -1 };
        if (worker[i].pid == 0)
            hostile_work(&hostile, sends ? TONG_SEND : TONG_RECEIVE, &ledger->beat[i]);
        hostile.writer[sends ? SENDERS : RECEIVERS] = worker[i].pid;
    }
    attack(mode, worker, workers, total() + faults);
    ledger->stop = 1;
    for (unsigned i = 0; i < workers; i++)
        ledger_join(ledger, worker[i].pid, worker[i].who);
    clear_names();
    printf("%s, %s: %llu calls went well\n", delivery->name, modes[mode], (unsigned long long)ledger->received);
    MUST(ledger, !delivery->nameless || faults < 5000 || ledger->refused > 0, "nobody tried to cut what is sealed");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const size_t runs = MODES * sizeof deliveries / sizeof *deliveries;
    ledger = hostile.ledger = ledger_make();
    snprintf(hostile.name, sizeof hostile.name, "hostile-%d", (int)getpid());
    snprintf(hostile.path, sizeof hostile.path, "/dev/shm/tong.%s", hostile.name);
    uint64_t faults = argc > 1 ? strtoull(argv[1], NULL, 10) : ledger_is_long() ? FAULTS_LONG : FAULTS_SHORT;
    for (size_t i = 0; i < sizeof deliveries / sizeof *deliveries; i++)
        hostile_lanes(&hostile, &deliveries[i]);
    for (size_t i = 0; i < runs; i++)
        run(&deliveries[i / MODES], (int)(i % MODES), faults / runs);
    for (int kind = 0; kind < KINDS; kind++)
        printf("%s%llu %s", kind ? ", " : "", (unsigned long long)injected[kind], kinds[kind]);
    putchar('\n');
    ledger_count(0, 0, total());
    return 0;
}
