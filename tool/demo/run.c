/* SPDX-License-Identifier: MIT */
/* One row of the demo: starts its processes, listens to what they say until both are gone, and judges. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "demo/demo.h"
#include "report.h"
#include "stop.h"
#include "text.h"
#include "tong/tong.h"

#define TICK_MS 100
#define PATIENCE (60 * TONG_SECOND)     /* and a second more for each SLOWEST bytes */
#define SLOWEST 1000000

struct running {
    const struct row *row;
    const struct source *source;
    struct outcome *outcome;
    void (*tick)(void);
    int results;             /* what the processes say */
    int speaking;            /* the end that they get, -1 once all are started */
    pid_t pids[2];
    int count;
    struct text heard;
    int64_t deadline;
};

static void failed(struct outcome *outcome, const char *why)
{
    if (!*outcome->failure)
        snprintf(outcome->failure, sizeof outcome->failure, "%s", why);
}

/* ---- Starting ------------------------------------------------------------------------------------------ */

/* In the child.  `inherited`: the end of a pair that the program shall have instead of the row's address. */
static void execute(const struct running *x, const char *role, bool spawn, tong_channel *inherited)
{
    char size[24], address[64];
    const char *name = *x->outcome->address ? x->outcome->address : x->row->address;
    snprintf(size, sizeof size, "%" PRIu64, x->source->size);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(x->speaking, STDOUT_FILENO) < 0 ||
        (inherited && tong_channel_inherit(inherited, address, sizeof address) < 0))
        _exit(CODE_FAILED);
    const char *argv[] = { "tong", "demo-carry", "--role", role, "--file", x->source->path, "--size", size,
                           inherited ? address : name, spawn ? "--spawn" : NULL, NULL };
    execv("/proc/self/exe", (char **)argv);
    dprintf(STDOUT_FILENO, "role=%s failed=/proc/self/exe cannot be executed: %s\n", role, strerror(errno));
    _exit(CODE_FAILED);
}

static int start(struct running *x, const char *role, bool spawn, tong_channel *inherited)
{
    pid_t pid = fork();
    if (pid == 0)
        execute(x, role, spawn, inherited);
    if (pid < 0) {
        failed(x->outcome, strerror(errno));
        return -1;
    }
    x->pids[x->count++] = pid;
    return 0;
}

/* ---- Listening ----------------------------------------------------------------------------------------- */

/* "role=ROLE key=value" */
static void understand(struct outcome *outcome, char *line)
{
    const struct { const char *key; void *number; } numbers[] = {
        { "ready=", &outcome->ready }, { "start=", &outcome->start }, { "end=", &outcome->end },
        { "bytes=", &outcome->bytes }, { "messages=", &outcome->messages },
        { "sent=", &outcome->sent }, { "lost=", &outcome->lost },
    };
    char *word = strchr(line, ' ');
    if (!word++)
        return;
    char *value = strchr(word, '=');
    for (size_t i = 0; value && i < sizeof numbers / sizeof *numbers; i++)
        if (!strncmp(word, numbers[i].key, strlen(numbers[i].key)))
            *(int64_t *)numbers[i].number = strtoll(value + 1, NULL, 10);
    if (!strncmp(word, "digest=", 7))
        snprintf(outcome->digest, sizeof outcome->digest, "%s", value + 1);
    else if (!strncmp(word, "address=", 8))
        snprintf(outcome->address, sizeof outcome->address, "%s", value + 1);
    else if (!strncmp(word, "hashing=", 8))
        outcome->hashing = value[1] == '1';
    else if (!strncmp(word, "failed=", 7))
        failed(outcome, value + 1);
}

static void understand_lines(struct running *x)
{
    char *newline;
    while (x->heard.used && (newline = memchr(x->heard.data, '\n', x->heard.used))) {
        *newline++ = '\0';
        understand(x->outcome, x->heard.data);
        x->heard.used -= (size_t)(newline - x->heard.data);
        memmove(x->heard.data, newline, x->heard.used);
    }
}

/* Hears more: false once nobody is left to speak, or patience is at its end. */
static bool listen_more(struct running *x)
{
    struct pollfd item = { x->results, POLLIN, 0 };
    if (stop_asked() || clock_now() > x->deadline) {
        failed(x->outcome, stop_asked() ? "interrupted" : "it did not end in time");
        return false;
    }
    if (poll(&item, 1, TICK_MS) <= 0) {
        x->tick();
        return true;
    }
    text_reserve(&x->heard, 4096);
    ssize_t size = read(x->results, x->heard.data + x->heard.used, 4096);
    if (size <= 0)
        return size < 0 && errno == EINTR;
    x->heard.used += (size_t)size;
    understand_lines(x);
    return true;
}

/* Until the receiver is open.  Should it die first, its failure has been heard, or its status will tell. */
static bool wait_ready(struct running *x)
{
    siginfo_t gone = { .si_pid = 0 };
    while (!x->outcome->ready && !*x->outcome->failure && !gone.si_pid)
        if (!listen_more(x) || waitid(P_PID, (id_t)x->pids[0], &gone, WEXITED | WNOHANG | WNOWAIT) < 0)
            return false;
    return x->outcome->ready;
}

/* ---- The row ------------------------------------------------------------------------------------------- */

static void start_siblings(struct running *x)
{
    tong_channel *ends[2];
    if (tong_channel_pair(x->row->address, TONG_SEND, ends) < 0) {
        failed(x->outcome, tong_detail());
        return;
    }
    if (start(x, "receive", false, ends[1]) == 0)
        start(x, "send", false, ends[0]);
    tong_channel_close(ends[0]);
    tong_channel_close(ends[1]);
}

static void start_all(struct running *x)
{
    switch (x->row->relation) {
    case UNRELATED:
        if (start(x, "receive", false, NULL) == 0 && wait_ready(x))
            start(x, "send", false, NULL);
        break;
    case PARENT_SENDS: start(x, "send", true, NULL); break;
    case PARENT_RECEIVES: start(x, "receive", true, NULL); break;
    case SIBLINGS: start_siblings(x); break;
    }
}

/* wait4() counts what a process has reaped itself, so the spawned counterpart is in its parent's figures. */
static void reap(struct running *x, bool kill_them)
{
    for (int i = 0; i < x->count; i++) {
        struct rusage usage;
        int status = 0;
        if (kill_them)
            kill(x->pids[i], SIGKILL);
        while (wait4(x->pids[i], &status, 0, &usage) < 0)
            if (errno != EINTR)
                return;
        x->outcome->switches += usage.ru_nvcsw + usage.ru_nivcsw;
        if (status != 0)
            failed(x->outcome, WIFSIGNALED(status) ? "a process was killed" : "a process failed");
    }
}

/* Where messages may be lost, what came and what is missing have to add up; and if nothing is, it must be the file. */
static bool add_up(const struct outcome *outcome)
{
    return outcome->messages && outcome->messages + outcome->lost <= outcome->sent;
}

static void judge(const struct row *row, const struct source *source, struct outcome *outcome)
{
    bool losing = row->mechanism.offers & TONG_MAY_LOSE && outcome->messages < outcome->sent;
    if (losing && !*outcome->failure && !add_up(outcome))
        failed(outcome, "what was sent, received and counted as lost do not add up");
    if (losing) {
        outcome->lost = outcome->sent - outcome->messages; /* behind the last that came, nobody told the receiver */
        outcome->ok = !*outcome->failure;
        return;
    }
    if (!*outcome->failure && outcome->bytes != source->size)
        failed(outcome, outcome->bytes < source->size ? "bytes are missing" : "there are bytes too many");
    if (!*outcome->failure && strcmp(outcome->digest, source->digest))
        failed(outcome, "the digest differs");
    outcome->ok = !*outcome->failure;
}

void row_run(const struct row *row, const struct source *source, struct outcome *outcome, void (*tick)(void))
{
    int ends[2];
    struct running x = { row, source, outcome, tick, -1, -1, { 0, 0 }, 0, TEXT_INIT, 0 };
    if (pipe2(ends, O_CLOEXEC) < 0) {
        failed(outcome, strerror(errno));
        return;
    }
    x.results = ends[0];
    x.speaking = ends[1];
    x.deadline = clock_now() + PATIENCE + (int64_t)(source->size / SLOWEST) * TONG_SECOND;
    start_all(&x);
    close(x.speaking);
    bool broken = *outcome->failure;
    while (!broken && listen_more(&x))
        broken = *outcome->failure;
    reap(&x, broken || *outcome->failure);
    close(x.results);
    text_free(&x.heard);
    judge(row, source, outcome);
}
