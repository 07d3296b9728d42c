/* SPDX-License-Identifier: MIT */
/*
 * Forked functions and executed programs speak the same lines (bench/work.h) on a pipe each way, so neither has an
 * advantage.  A role that stays silent for too long is killed, and the measurement has failed.
 */
#include "bench/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/line.h"
#include "bench/ticks.h"

#define PATIENCE UINT64_C(10000000000) /* nanoseconds for everything */

struct member {
    pid_t pid;
    int says, hears;       /* our ends */
    char line[600];
    size_t used;
    bool over;             /* it says nothing more */
    double began, ended, messages, out, in, wrong, cpu;
};

struct crew {
    const struct contestant *contestant;
    struct job job;
    void *subject;
    enum place place;
    const int *processors;
    struct member members[ROLES_MAX];
    int count;
    uint64_t deadline;
    struct outcome *outcome;
};

static void missing(struct crew *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void missing(struct crew *x, const char *format, ...)
{
    va_list arguments;
    if (*x->outcome->missing)
        return;
    va_start(arguments, format);
    vsnprintf(x->outcome->missing, sizeof x->outcome->missing, format, arguments);
    va_end(arguments);
}

/* ---- Starting --------------------------------------------------------------------------------------------- */

static void settle(const struct crew *x, int role)
{
    const struct job *job = &x->job;
    bool receives = role >= job->senders;
    int nth = receives ? role - job->senders : role;
    if (x->place != PLACE_SPREAD)
        line_pin(x->processors[x->place == PLACE_APART && receives]);
    else if (!receives && job->senders > 1)
        line_pin(x->processors[nth % 2]);
    else if (receives && job->senders > 1 && job->receivers == job->senders)
        line_pin(x->processors[nth % 2]);
}

static void execute(struct crew *x)
{
    char size[24], count[24], burst[16], senders[8], receivers[8], role[8];
    snprintf(role, sizeof role, "%d", x->job.role);
    snprintf(size, sizeof size, "%zu", x->job.size);
    snprintf(count, sizeof count, "%llu", (unsigned long long)x->job.count);
    snprintf(burst, sizeof burst, "%u", x->job.burst);
    snprintf(senders, sizeof senders, "%d", x->job.senders);
    snprintf(receivers, sizeof receivers, "%d", x->job.receivers);
    char *argv[] = { (char *)x->contestant->program, role, (char *)test_names[x->job.test], size, count,
                     x->job.spin ? (char *)"spin" : (char *)"sleep", burst,
                     x->job.broadcast ? (char *)"broadcast" : (char *)"queue", senders, receivers, x->job.directory,
                     NULL };
    execv(x->contestant->program, argv);
    _exit(127);
}

/* What a library has to say of itself would mix with the results or fill the terminal. */
static void quiet(int in, int out)
{
    int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
}

static void become(struct crew *x, int role, int in, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    settle(x, role);
    x->job.role = role;
    if (!x->contestant->wire) {
        quiet(in, out);
        execute(x);
    }
    struct end end = { .wire = x->contestant->wire, .job = x->job, .says = out, .hears = in, .subject = x->subject,
                       .window = x->contestant->may_lose ? 16 : 0 };
    _exit(end_run(&end));
}

static int start(struct crew *x, int role)
{
    int to[2], from[2];
    struct member *m = &x->members[role];
    if (pipe2(to, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(from, O_CLOEXEC) < 0) {
        close(to[0]);
        close(to[1]);
        return -errno;
    }
    *m = (struct member){ .hears = to[1], .says = from[0] };
    m->pid = fork();
    if (m->pid == 0)
        become(x, role, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    x->count++;
    return m->pid < 0 ? -errno : 0;
}

/* ---- Listening -------------------------------------------------------------------------------------------- */

/* Who cannot go on says so while others still wait for it: so all are listened to, whoever is waited for. */
static void notice_missing(struct crew *x, const struct member *m)
{
    const char *end = memchr(m->line, '\n', m->used);
    if (end && !strncmp(m->line, "missing ", 8))
        missing(x, "%.*s", (int)(end - m->line) - 8, m->line + 8);
}

static void read_more(struct crew *x, struct member *m)
{
    ssize_t size = read(m->says, m->line + m->used, sizeof m->line - 1 - m->used);
    m->over = size <= 0;
    m->used += size > 0 ? (size_t)size : 0;
    notice_missing(x, m);
}

/* More of what anybody says; false when time is up or somebody cannot go on. */
static bool listen_to_all(struct crew *x)
{
    uint64_t now = bench_now();
    int left = now < x->deadline ? (int)((x->deadline - now) / 1000000) + 1 : 0;
    struct pollfd p[ROLES_MAX];
    for (int i = 0; i < x->count; i++) {
        bool full = x->members[i].used == sizeof x->members[i].line - 1;
        p[i] = (struct pollfd){ x->members[i].over || full ? -1 : x->members[i].says, POLLIN, 0 };
    }
    if (poll(p, (nfds_t)x->count, left) <= 0) {
        missing(x, "it did not come to an end within %d s", (int)(PATIENCE / 1000000000));
        return false;
    }
    for (int i = 0; i < x->count; i++)
        if (p[i].revents)
            read_more(x, &x->members[i]);
    return !*x->outcome->missing;
}

/* The next line, without its end; false when there is none.  It has to be dropped when it was read. */
static bool next_line(struct crew *x, struct member *m)
{
    for (;;) {
        char *end = memchr(m->line, '\n', m->used);
        if (end) {
            *end = '\0';
            return true;
        }
        if (m->over || m->used == sizeof m->line - 1 || !listen_to_all(x))
            return false;
    }
}

static void drop_line(struct member *m)
{
    size_t size = strlen(m->line) + 1;
    m->used -= size;
    memmove(m->line, m->line + size, m->used);
}

static void understand(struct crew *x, struct member *m)
{
    const struct { const char *key; double *to; } numbers[] = {
        { "began", &m->began }, { "ended", &m->ended }, { "messages", &m->messages }, { "out", &m->out },
        { "in", &m->in }, { "wrong", &m->wrong }, { "cpu", &m->cpu },
    };
    double value;
    unsigned long long samples;
    struct outcome *o = x->outcome;
    size_t size = strcspn(m->line, " ");
    const char *rest = m->line + size + (m->line[size] == ' ');
    if (!strncmp(m->line, "latency ", 8) && sscanf(rest, "%lf %llu", &value, &samples) == 2)
        histogram_add_many(&o->latency, (uint64_t)(value + 0.5), samples);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strlen(numbers[i].key) == size && !strncmp(m->line, numbers[i].key, size))
            *numbers[i].to = strtod(rest, NULL);
}

/* Until a member says `word`: false when it ends, or says first that it cannot. */
static bool await(struct crew *x, struct member *m, const char *word)
{
    while (next_line(x, m)) {
        bool found = !strcmp(m->line, word);
        understand(x, m);
        drop_line(m);
        if (*x->outcome->missing)
            return false;
        if (found)
            return true;
    }
    missing(x, "a process ended before it said '%s'", word);
    return false;
}

static bool await_all(struct crew *x, int from, int to, const char *word)
{
    for (int i = from; i < to; i++)
        if (!await(x, &x->members[i], word))
            return false;
    return true;
}

static bool tell_all(struct crew *x, int count, const char *line)
{
    for (int i = 0; i < count; i++)
        if (write(x->members[i].hears, line, strlen(line)) != (ssize_t)strlen(line))
            missing(x, "a process went away");
    return !*x->outcome->missing;
}

/* ---- Judging ---------------------------------------------------------------------------------------------- */

static bool hear_results(struct crew *x)
{
    for (int i = 0; i < x->count; i++)
        while (next_line(x, &x->members[i])) {
            understand(x, &x->members[i]);
            drop_line(&x->members[i]);
        }
    return !*x->outcome->missing;
}

static void end_member(struct crew *x, struct member *m)
{
    int status;
    if (*x->outcome->missing && m->pid > 0)
        kill(m->pid, SIGKILL);
    close(m->hears);
    close(m->says);
    if (m->pid > 0 && waitpid(m->pid, &status, 0) == m->pid && status)
        missing(x, WIFSIGNALED(status) ? "a process was ended by signal %d" : "a process failed with code %d",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* What was sent has to arrive: once, or at each receiver. */
static bool all_arrived(const struct crew *x)
{
    double out = 0, in = 0;
    for (int i = 0; i < x->count; i++) {
        out += x->members[i].out;
        in += x->members[i].in;
    }
    double each = x->job.broadcast ? x->job.receivers : 1;
    return x->job.test == TEST_ROUND_TRIP || x->contestant->idle || in == out * each;
}

static void judge(struct crew *x)
{
    struct outcome *o = x->outcome;
    double began = 0, ended = 0, messages = 0, cpu = 0;
    for (int i = 0; i < x->count; i++) {
        const struct member *m = &x->members[i];
        began = m->began > 0 && (began == 0 || m->began < began) ? m->began : began;
        ended = m->ended > ended ? m->ended : ended;
        messages += m->messages;
        cpu += m->cpu;
        o->wrong += m->wrong;
    }
    if (messages <= 0 || ended <= began)
        missing(x, "it ended without a result");
    if (*o->missing)
        return;
    o->elapsed = ended - began;
    o->per_message = o->elapsed / messages;
    o->cpu = cpu / messages;
    o->wrong += !all_arrived(x);
}

static void work_together(struct crew *x)
{
    bool sent = x->job.test != TEST_ROUND_TRIP;
    if (await_all(x, 0, x->count, "ready") && tell_all(x, x->count, "go\n") &&
        (!sent || (await_all(x, 0, x->job.senders, "sent") && tell_all(x, x->job.senders, "end\n") &&
                   await_all(x, x->job.senders, x->count, "over") && tell_all(x, x->count, "stop\n"))))
        hear_results(x);
}

void crew_run(const struct contestant *contestant, const struct job *job, enum place place, const int processors[2],
              struct outcome *ret)
{
    struct crew x = { .contestant = contestant, .job = *job, .place = place, .processors = processors,
                      .deadline = bench_now() + PATIENCE, .outcome = ret };
    x.job.together = place == PLACE_TOGETHER;
    x.job.crowded = job->senders + job->receivers > 2;
    *ret = (struct outcome){ .per_message = -1, .cpu = -1 };
    if (contestant->prepare && !(x.subject = contestant->prepare(contestant, job)))
        missing(&x, "%s", *tong_detail() ? tong_detail() : "it cannot be set up here");
    for (int role = 0; role < job->senders + job->receivers && !*ret->missing; role++)
        if (start(&x, role) < 0)
            missing(&x, "fork: %s", strerror(errno));
    if (!*ret->missing)
        work_together(&x);
    for (int i = 0; i < x.count; i++)
        end_member(&x, &x.members[i]);
    if (x.subject && contestant->remove)
        contestant->remove(contestant, x.subject);
    judge(&x);
}

/* ---- Rivals ----------------------------------------------------------------------------------------------- */

/* A program with one word, and perhaps a directory; its output, its pid. */
static pid_t start_program(const char *program, const char *word, const char *directory, int *ret_says)
{
    int from[2];
    if (pipe2(from, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        quiet(STDIN_FILENO, from[1]);
        execl(program, program, word, directory, (char *)NULL);
        _exit(127);
    }
    close(from[1]);
    *ret_says = from[0];
    return pid < 0 ? -errno : pid;
}

static void describe_line(struct contestant *c, const char *line)
{
    int senders, receivers;
    char waiting[8];
    if (sscanf(line, "name %39[^\n]", c->name) == 1 || sscanf(line, "sizes %zu %zu", &c->least, &c->most) == 2)
        return;
    if (sscanf(line, "waiting %7s", waiting) == 1)
        *(strcmp(waiting, "spin") ? &c->sleeps : &c->spins) = true;
    if (sscanf(line, "ends %d %d", &senders, &receivers) == 2) {
        c->many_senders |= senders > 1;
        c->many_receivers |= senders > 1 && receivers > 1;
        c->broadcasts |= senders == 1 && receivers > 1;
    }
    c->bursts |= !strcmp(line, "bursts");
    c->needs_server |= !strcmp(line, "server");
}

bool crew_describe(struct contestant *ret)
{
    char line[200];
    int says = -1, status;
    pid_t pid = start_program(ret->program, "describe", NULL, &says);
    if (pid < 0)
        return false;
    FILE *lines = fdopen(says, "r");
    while (lines && fgets(line, sizeof line, lines)) {
        line[strcspn(line, "\n")] = '\0';
        describe_line(ret, line);
    }
    if (lines)
        fclose(lines);
    return waitpid(pid, &status, 0) == pid && status == 0 && *ret->name;
}

int crew_server(const struct contestant *contestant, const char *directory)
{
    char word[16];
    int says = -1;
    pid_t pid = start_program(contestant->program, "server", directory, &says);
    struct pollfd p = { says, POLLIN, 0 };
    if (pid < 0)
        return pid;
    if (poll(&p, 1, 5000) == 1 && read(says, word, sizeof word) >= 6 && !memcmp(word, "ready\n", 6)) {
        close(says);
        return pid;
    }
    close(says);
    crew_server_end(pid);
    return -ENOENT;
}

/* Politely first: it may have names to remove. */
void crew_server_end(int pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGTERM);
    for (int i = 0; i < 200; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        poll(NULL, 0, 10);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
