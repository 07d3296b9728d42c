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

void stage_begin(struct stage *stage)
{
    *stage = (struct stage){ .pipe = { { -1, -1 }, { -1, -1 } }, .pair = { -1, -1 }, .file = { -1, -1 },
                             .queue = { -1, -1, -1 }, .set = -1 };
    stage->shared = mmap(NULL, sizeof *stage->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(stage->shared != MAP_FAILED, "mmap");
    for (int i = 0; i < 2; i++)
        snprintf(stage->path[i], sizeof stage->path[i], "%s/%d", frame_directory(), i);
}

static void forget_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

pid_t stage_start(struct stage *stage, void (*act)(struct stage *stage))
{
    pid_t pid = frame_fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        forget_signals();
        act(stage);
        frame_fail(__FILE__, __LINE__, "an actor came back from what it had to wait in for ever");
    }
    MUST(stage->actors < STAGE_ACTORS, "too many actors");
    stage->actor[stage->actors++] = pid;
    return pid;
}

/* "number ..." of a thread that is in a call, and the state S in its stat: it sleeps there. */
static bool sleeps_in(pid_t pid, long call)
{
    char path[64], line[512] = "", state[512] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    FILE *file = fopen(path, "re");
    bool read = file && fgets(line, sizeof line, file);
    if (file)
        fclose(file);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    read = file && fgets(state, sizeof state, file) && read;
    if (file)
        fclose(file);
    const char *name_end = strrchr(state, ')');
    return read && *line >= '0' && *line <= '9' && atol(line) == call && name_end && name_end[2] == 'S';
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

/* Where BPF tells, /proc must tell the same. */
static tong_snapshot *look_at(const struct stage *stage)
{
    tong_snapshot *snapshot = look();
    if (is_by_kernel(snapshot)) {
        tong_snapshot *plain = look_for(TONG_LOOK_ALL | TONG_LOOK_PLAINLY);
        alike(snapshot, plain, stage->actor, stage->actors);
        tong_snapshot_free(plain);
    }
    return snapshot;
}

void stage_found(const struct stage *stage, uint32_t kind, const char *word)
{
    tong_snapshot *snapshot = look_at(stage);
    const tong_finding *finding = find(stage, snapshot);
    if (!finding)
        print_waits(stage, snapshot);
    MUST(finding, "nobody is found stuck");
    if (getenv("STAGE_PRINT"))
        fprintf(stderr, "%u/%u %s\n%s\n\n", finding->kind, finding->certainty, finding->summary, finding->proof);
    MUST(finding->kind == kind, "a finding of kind %u: %s\n%s", finding->kind, finding->summary, finding->proof);
    if (actors_in(stage, snapshot, finding) != stage->actors)
        print_waits(stage, snapshot);
    GIVES(actors_in(stage, snapshot, finding), stage->actors);
    for (int i = 0; i < stage->actors; i++)
        MUST(names(finding, stage->actor[i]), "the proof does not name %d:\n%s", (int)stage->actor[i], finding->proof);
    MUST(strstr(finding->proof, word), "the proof does not say '%s':\n%s", word, finding->proof);
    tong_snapshot_free(snapshot);
}

void stage_quiet(const struct stage *stage)
{
    tong_snapshot *snapshot = look_at(stage);
    const tong_finding *finding = find(stage, snapshot);
    MUST(!finding, "a false alarm of kind %u: %s\n%s", finding->kind, finding->summary, finding->proof);
    tong_snapshot_free(snapshot);
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
