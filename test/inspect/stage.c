/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alike.h"
#include "frame.h"
#include "look.h"

#define PATIENCE (10 * INT64_C(1000000000))
#define SOON (3 * TONG_SECOND)
#define LOOKS 10 /* that there are at least, where each takes long */

void stage_begin(struct stage *stage)
{
    *stage = (struct stage){ .pipe = { { -1, -1 }, { -1, -1 } }, .pair = { -1, -1 }, .file = { -1, -1 },
                             .queue = { -1, -1, -1 }, .set = -1 };
    stage->shared = mmap(NULL, sizeof *stage->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    stage->locks = mmap(NULL, sizeof *stage->locks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(stage->shared != MAP_FAILED && stage->locks != MAP_FAILED, "mmap");
    for (int i = 0; i < 2; i++)
        snprintf(stage->path[i], sizeof stage->path[i], "%s/%d", frame_directory(), i);
}

static void forget_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

static pid_t fork_actor(struct stage *stage, void (*act)(struct stage *stage))
{
    pid_t pid = frame_fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    forget_signals();
    act(stage);
    frame_fail(__FILE__, __LINE__, "an actor came back from what it had to wait in for ever");
}

static void add_actor(struct stage *stage, pid_t pid)
{
    MUST(stage->actors < STAGE_ACTORS, "too many actors");
    stage->actor[stage->actors++] = pid;
}

pid_t stage_start(struct stage *stage, void (*act)(struct stage *stage))
{
    pid_t pid = fork_actor(stage, act);
    add_actor(stage, pid);
    return pid;
}

void stage_heir(struct stage *stage, int number, void (*act)(struct stage *stage))
{
    atomic_store(&stage->shared->heir[number], (int)fork_actor(stage, act));
}

void stage_adopt(struct stage *stage, int number)
{
    int64_t end = frame_now() + PATIENCE;
    while (!atomic_load(&stage->shared->heir[number])) {
        MUST(frame_now() < end, "heir %d was never started", number);
        sched_yield();
    }
    add_actor(stage, atomic_load(&stage->shared->heir[number]));
}

/* The state of a process, as its stat has it; 0: there is none. */
static char state_of(pid_t pid)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    const char *name_end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (file)
        fclose(file);
    return name_end ? name_end[2] : 0;
}

/* "number ..." of a thread that is in a call, and it sleeps there: D is who waits for a child that it lent its memory. */
static bool sleeps_in(pid_t pid, long call)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    FILE *file = fopen(path, "re");
    bool read = file && fgets(line, sizeof line, file);
    if (file)
        fclose(file);
    char state = state_of(pid);
    return read && *line >= '0' && *line <= '9' && atol(line) == call && (state == 'S' || state == 'D');
}

void stage_asleep(const struct stage *stage, int actor, long call)
{
    int64_t end = frame_now() + PATIENCE;
    while (!sleeps_in(stage->actor[actor], call)) {
        MUST(frame_now() < end, "actor %d, process %d, does not sleep in system call %ld", actor,
             (int)stage->actor[actor], call);
        sched_yield();
    }
}

void stage_until(const struct stage *stage, int actor, char state)
{
    int64_t end = frame_now() + PATIENCE;
    while (state_of(stage->actor[actor]) != state) {
        MUST(frame_now() < end, "actor %d, process %d, does not come to be in state %c", actor, (int)stage->actor[actor],
             state);
        sched_yield();
    }
}

void stage_take_byte(int fd)
{
    char byte;
    MUST(read(fd, &byte, 1) < 0, "a byte came, or the end");
}

void stage_start_two(struct stage *stage, void (*one)(struct stage *), long its_call, void (*other)(struct stage *),
                     long others_call)
{
    stage_start(stage, one);
    stage_start(stage, other);
    stage_let_go(stage);
    stage_asleep(stage, 0, its_call);
    stage_asleep(stage, 1, others_call);
}

pid_t stage_act(struct stage *stage, void (*act)(struct stage *stage), long call)
{
    pid_t pid = stage_start(stage, act);
    stage_asleep(stage, stage->actors - 1, call);
    return pid;
}

void stage_meet(struct stage *stage, int count)
{
    atomic_fetch_add(&stage->shared->met, 1);
    while (atomic_load(&stage->shared->met) < count)
        sched_yield();
}

void stage_idle(struct stage *stage)
{
    (void)stage;
    for (;;)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_sec = 3600 }, NULL);
}

static void close_two(int fd[2])
{
    for (int i = 0; i < 2; i++) {
        if (fd[i] >= 0)
            close(fd[i]);
        fd[i] = -1;
    }
}

void stage_let_go(struct stage *stage)
{
    close_two(stage->pipe[0]);
    close_two(stage->pipe[1]);
    close_two(stage->pair);
    close_two(stage->file);
    if (stage->locks)
        munmap(stage->locks, sizeof *stage->locks);
    stage->locks = NULL;
}

/* ---- What is found ---------------------------------------------------------------------------------------- */

static bool waits_in(const tong_snapshot *snapshot, const tong_finding *finding, pid_t pid)
{
    for (uint32_t i = 0; i < finding->waits; i++) {
        const tong_wait_seen *wait = tong_snapshot_wait(snapshot,
                                                        tong_snapshot_stuck(snapshot, finding->first_wait + i));
        if (tong_snapshot_process(snapshot, wait->process)->pid == pid)
            return true;
    }
    return false;
}

static int actors_in(const struct stage *stage, const tong_snapshot *snapshot, const tong_finding *finding)
{
    int count = 0;
    for (int i = 0; i < stage->actors; i++)
        count += waits_in(snapshot, finding, stage->actor[i]);
    return count;
}

static bool names(const tong_finding *finding, pid_t pid)
{
    char words[32];
    snprintf(words, sizeof words, " %d", (int)pid);
    return strstr(finding->proof, words) != NULL;
}

/* The finding that knows an actor, or NULL. */
static const tong_finding *find(const struct stage *stage, const tong_snapshot *snapshot)
{
    for (size_t i = 0; i < tong_snapshot_findings(snapshot); i++)
        if (actors_in(stage, snapshot, tong_snapshot_finding(snapshot, i)))
            return tong_snapshot_finding(snapshot, i);
    return NULL;
}

static void print_waits(const struct stage *stage, const tong_snapshot *snapshot)
{
    for (size_t i = 0; i < tong_snapshot_waits(snapshot); i++) {
        const tong_wait_seen *wait = tong_snapshot_wait(snapshot, i);
        for (int actor = 0; actor < stage->actors; actor++)
            if (tong_snapshot_process(snapshot, wait->process)->pid == stage->actor[actor])
                fprintf(stderr, "%d waits in %s: %s of %s, flags %x\n", (int)stage->actor[actor], wait->operation,
                        wait->detail,
                        wait->object == TONG_NOBODY ? "?" : tong_snapshot_object(snapshot,
                                                                                 wait->object)->key, wait->flags);
    }
}

static bool says(const tong_finding *finding, const char *words)
{
    char word[128];
    for (size_t size; *words; words += size + (words[size] == '|')) {
        size = strcspn(words, "|");
        snprintf(word, sizeof word, "%.*s", (int)size, words);
        if (!strstr(finding->proof, word))
            return false;
    }
    return true;
}

/* Where a process of somebody else may not be read, whoever could have what is waited for is concluded. */
static bool is_sure(const tong_snapshot *snapshot, const tong_finding *finding, uint32_t certainty)
{
    bool hidden = false;
    for (size_t i = 0; i < tong_snapshot_processes(snapshot); i++)
        hidden |= (tong_snapshot_process(snapshot, i)->flags & TONG_PROCESS_HIDDEN) != 0;
    return !certainty || finding->certainty == certainty ||
           (hidden && certainty == TONG_EXACT && finding->certainty == TONG_INFERRED);
}

/* Where BPF tells, /proc must tell the same. */
static void compare(const struct stage *stage, const tong_snapshot *snapshot)
{
    if (!is_by_kernel(snapshot))
        return;
    tong_snapshot *plain = look_for(TONG_LOOK_ALL | TONG_LOOK_PLAINLY);
    alike(snapshot, plain, stage->actor, stage->actors);
    tong_snapshot_free(plain);
}

/* While one looks, an actor may only be falling asleep, or somebody begin who could help: it must be found soon. */
static tong_snapshot *look_until_found(const struct stage *stage, uint32_t kind, const tong_finding **ret)
{
    tong_snapshot *snapshot = NULL;
    int64_t until = frame_now() + SOON;
    int looks = 0;
    do {
        tong_snapshot_free(snapshot);
        snapshot = look();
        looks++;
        *ret = find(stage, snapshot);
    } while ((!*ret || (*ret)->kind != kind || actors_in(stage, snapshot, *ret) != stage->actors - stage->beside) &&
             (looks < LOOKS || frame_now() < until));
    compare(stage, snapshot);
    return snapshot;
}

void stage_found(const struct stage *stage, uint32_t kind, const char *words)
{
    const tong_finding *finding;
    tong_snapshot *snapshot = look_until_found(stage, kind, &finding);
    if (!finding)
        print_waits(stage, snapshot);
    MUST(finding, "nobody is found stuck");
    if (getenv("STAGE_PRINT"))
        fprintf(stderr, "%u/%u %s\n%s\n-> %s\n\n", finding->kind, finding->certainty, finding->summary, finding->proof,
                finding->advice);
    MUST(finding->kind == kind, "a finding of kind %u: %s\n%s", finding->kind, finding->summary, finding->proof);
    MUST(is_sure(snapshot, finding, stage->certainty), "it is of certainty %u: %s\n%s", finding->certainty, finding->summary,
         finding->proof);
    if (actors_in(stage, snapshot, finding) != stage->actors - stage->beside)
        print_waits(stage, snapshot);
    GIVES(actors_in(stage, snapshot, finding), stage->actors - stage->beside);
    for (int i = 0; i < stage->actors; i++)
        MUST(names(finding, stage->actor[i]), "the proof does not name %d:\n%s", (int)stage->actor[i], finding->proof);
    MUST(says(finding, words), "the proof does not say '%s':\n%s", words, finding->proof);
    tong_snapshot_free(snapshot);
}

void stage_quiet(const struct stage *stage)
{
    tong_snapshot *snapshot = look();
    const tong_finding *finding = find(stage, snapshot);
    MUST(!finding, "a false alarm of kind %u: %s\n%s", finding->kind, finding->summary, finding->proof);
    tong_snapshot_free(snapshot);
}

void stage_doubted(const struct stage *stage)
{
    tong_snapshot *snapshot = look();
    const tong_finding *finding = find(stage, snapshot);
    MUST(!finding || (!is_by_kernel(snapshot) && finding->certainty != TONG_EXACT), "a false alarm of certainty %u: %s\n%s",
         finding->certainty, finding->summary, finding->proof);
    tong_snapshot_free(snapshot);
}

static bool is_such(const tong_snapshot *snapshot, const tong_wait_seen *wait, uint32_t kind, uint32_t flags,
                    const char *word)
{
    const tong_object *object = wait->object == TONG_NOBODY ? NULL : tong_snapshot_object(snapshot, wait->object);
    return (object ? object->kind : 0) == kind && (wait->flags & flags) == flags && strstr(wait->detail, word);
}

void stage_waits(const struct stage *stage, int actor, uint32_t kind, uint32_t flags, const char *word)
{
    tong_snapshot *snapshot;
    bool found = false;
    OK(tong_snapshot_take(NULL, &snapshot));
    for (size_t i = 0; i < tong_snapshot_waits(snapshot) && !found; i++) {
        const tong_wait_seen *wait = tong_snapshot_wait(snapshot, i);
        found = tong_snapshot_process(snapshot, wait->process)->pid == stage->actor[actor] &&
                is_such(snapshot, wait, kind, flags, word);
    }
    if (!found)
        print_waits(stage, snapshot);
    MUST(found, "actor %d does not wait for a %s with flags %x, '%s'", actor, tong_kind_name(kind), flags, word);
    tong_snapshot_free(snapshot);
}

uint32_t stage_certainty(const struct stage *stage, int actor)
{
    tong_snapshot *snapshot = look();
    uint32_t certainty = 0;
    for (size_t i = 0; i < tong_snapshot_waits(snapshot) && !certainty; i++) {
        const tong_wait_seen *wait = tong_snapshot_wait(snapshot, i);
        if (wait->thread == stage->actor[actor])
            certainty = wait->certainty;
    }
    tong_snapshot_free(snapshot);
    return certainty;
}

/* ---- The end ---------------------------------------------------------------------------------------------- */

/* Stopped before any of them ends, for one's end would let another go on. */
void stage_dismiss(struct stage *stage)
{
    for (int i = 0; i < stage->actors; i++)
        kill(stage->actor[i], SIGSTOP);
    for (int i = 0; i < stage->actors; i++)
        kill(stage->actor[i], SIGKILL);
    for (int i = 0; i < stage->actors; i++)
        while (waitpid(stage->actor[i], NULL, 0) < 0 && errno == EINTR) /* an actor's child may be reaped by that */
            ;
    stage->actors = 0;
}

void stage_end(struct stage *stage)
{
    stage_dismiss(stage);
    stage_let_go(stage);
    for (int i = 0; i < 2; i++)
        unlink(stage->path[i]);
    munmap(stage->shared, sizeof *stage->shared);
}

/* ---- Tables ----------------------------------------------------------------------------------------------- */

void stage_run(const struct stage_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        MUST(cases[i].well, "%s has no twin that is well", cases[i].name);
        if (cases[i].stuck)
            frame_run(cases[i].name, cases[i].stuck, cases[i].argument, 60);
        frame_run(cases[i].twin, cases[i].well, cases[i].well_argument, 60);
    }
}

int stage_main(const char *suite, int argc, char **argv, const struct stage_case *cases, size_t count)
{
    frame_begin(suite, argc, argv);
    stage_run(cases, count);
    return frame_end();
}
