/* SPDX-License-Identifier: MIT */
/*
 * Parents that wait for children, waits for signals and for time, calls that cannot be decoded, and holders that cannot be
 * seen.  A process that waits for what anybody may do at any time is not stuck.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "stage.h"

static void must_pipe(int fd[2])
{
    OK(pipe2(fd, O_CLOEXEC));
}

/* ---- Children --------------------------------------------------------------------------------------------- */

static void read_as_child(struct stage *stage)
{
    close(stage->pipe[0][1]);
    stage_take_byte(stage->pipe[0][0]);
}

/* Waits for the end of a child that waits for its parent's word. */
static void wait_for_child(struct stage *stage)
{
    siginfo_t info;
    stage_heir(stage, 0, stage->step & 1 ? stage_idle : read_as_child);
    close(stage->pipe[0][0]);
    if (stage->step & 2)
        waitid(P_PID, (id_t)atomic_load(&stage->shared->heir[0]), &info, WEXITED);
    else
        waitpid(atomic_load(&stage->shared->heir[0]), NULL, 0);
}

enum { WELL = 1, BY_WAITID = 2 };

static void child(int step)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = step;
    must_pipe(stage.pipe[0]);
    stage_act(&stage, wait_for_child, step & BY_WAITID ? SYS_waitid : SYS_wait4);
    stage_adopt(&stage, 0);
    stage_let_go(&stage);
    stage_asleep(&stage, 1, step & WELL ? SYS_clock_nanosleep : SYS_read);
    stage.certainty = TONG_EXACT;
    if (step & WELL)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, step & BY_WAITID ? "waits in waitid for its child "
                                                                 : "waits in wait4 for its child ");
    stage_end(&stage);
}

/* As posix_spawn(3) does it: the parent sleeps until the child runs its program, which never comes to that.  A vfork()
 * would do the same, but compilers reorder around it. */
static void lend_memory(struct stage *stage)
{
    long pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        atomic_store(&stage->shared->heir[0], (int)getpid());
        if (stage->step & WELL)
            stage_idle(stage);
        stage_take_byte(stage->pipe[0][0]);
    }
}

static void lent(int step)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = step;
    must_pipe(stage.pipe[0]);
    stage_act(&stage, lend_memory, SYS_clone);
    stage_adopt(&stage, 0);
    stage_let_go(&stage);
    stage_asleep(&stage, 1, step & WELL ? SYS_clock_nanosleep : SYS_read);
    if (step & WELL)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "waits in clone for its child ");
    stage_end(&stage);
}

/* ---- Signals and time ------------------------------------------------------------------------------------- */

static sigset_t one_signal(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return set;
}

static void wait_in_pause(struct stage *stage)
{
    (void)stage;
    pause();
}

static void wait_in_sigwait(struct stage *stage)
{
    int number;
    sigset_t set = one_signal();
    (void)stage;
    sigwait(&set, &number);
}

static void wait_in_sigsuspend(struct stage *stage)
{
    sigset_t none;
    (void)stage;
    sigemptyset(&none);
    sigsuspend(&none);
}

static void wait_in_signalfd(struct stage *stage)
{
    struct signalfd_siginfo info;
    sigset_t set = one_signal();
    (void)stage;
    MUST(read((int)OK(signalfd(-1, &set, SFD_CLOEXEC)), &info, sizeof info) < 0, "a signal came");
}

static void wait_in_timerfd(struct stage *stage)
{
    uint64_t count;
    const struct itimerspec hour = { .it_value.tv_sec = 3600 };
    int timer = (int)OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    (void)stage;
    OK(timerfd_settime(timer, 0, &hour, NULL));
    MUST(read(timer, &count, sizeof count) < 0, "an hour passed");
}

static const struct {
    void (*act)(struct stage *stage);
    long call;
} idlers[] = {
#ifdef SYS_pause
    { wait_in_pause, SYS_pause },
#else
    { wait_in_pause, SYS_ppoll },
#endif
    { wait_in_sigwait, SYS_rt_sigtimedwait }, { wait_in_sigsuspend, SYS_rt_sigsuspend }, { wait_in_signalfd, SYS_read },
    { wait_in_timerfd, SYS_read }, { stage_idle, SYS_clock_nanosleep },
};

static void idler(int number)
{
    struct stage stage;
    stage_begin(&stage);
    stage_act(&stage, idlers[number].act, idlers[number].call);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* ---- What cannot be decoded ------------------------------------------------------------------------------- */

static int open_uring(struct io_uring_params *ret)
{
    memset(ret, 0, sizeof *ret);
    return (int)syscall(SYS_io_uring_setup, 2, ret);
}

static void wait_in_uring(struct stage *stage)
{
    struct io_uring_params parameters;
    int ring = (int)OK(open_uring(&parameters));
    (void)stage;
    syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

static bool has_gap(const char *word)
{
    tong_snapshot *snapshot;
    bool found = false;
    OK(tong_snapshot_take(NULL, &snapshot));
    for (size_t i = 0; i < tong_snapshot_gaps(snapshot); i++)
        found |= strstr(tong_snapshot_gap(snapshot, i)->what, word) != NULL;
    tong_snapshot_free(snapshot);
    return found;
}

/* What is asked of a ring lies in memory that nobody reads here: it is said that it is not known. */
static void uring(int i)
{
    struct stage stage;
    (void)i;
    stage_begin(&stage);
    stage_act(&stage, wait_in_uring, SYS_io_uring_enter);
    stage_quiet(&stage);
    stage_waits(&stage, 0, 0, TONG_WAIT_UNKNOWN, "io_uring");
    MUST(has_gap("io_uring"), "there is no gap");
    stage_end(&stage);
}

/* ---- What cannot be seen ---------------------------------------------------------------------------------- */

#define ORDINARY 65534 /* nobody */

static void be_ordinary(void)
{
    OK(setresgid(ORDINARY, ORDINARY, ORDINARY));
    OK(setresuid(ORDINARY, ORDINARY, ORDINARY));
    OK(prctl(PR_SET_DUMPABLE, 1));
}

static void read_ordinarily(struct stage *stage, int mine)
{
    be_ordinary();
    close(stage->pipe[mine][1]);
    close(stage->pipe[1 - mine][0]);
    stage_take_byte(stage->pipe[mine][0]);
}

static void read_first_ordinarily(struct stage *stage)
{
    read_ordinarily(stage, 0);
}

static void read_second_ordinarily(struct stage *stage)
{
    read_ordinarily(stage, 1);
}

/* Root's process has a write end; the user who looks cannot know. */
static void hidden(int well)
{
    struct stage stage;
    stage_begin(&stage);
    must_pipe(stage.pipe[0]);
    must_pipe(stage.pipe[1]);
    stage_start(&stage, read_first_ordinarily);
    stage_start(&stage, read_second_ordinarily);
    pid_t holder = frame_fork();
    if (holder == 0)
        stage_idle(&stage);
    stage_let_go(&stage);
    stage_asleep(&stage, 0, SYS_read);
    stage_asleep(&stage, 1, SYS_read);
    if (well)
        stage_quiet(&stage); /* root sees it */
    pid_t looker = well ? -1 : frame_fork();
    if (looker == 0) {
        be_ordinary();
        stage_found(&stage, TONG_FINDING_UNSURE, "whose only writer is");
        _exit(0);
    }
    if (looker > 0)
        frame_join(looker);
    frame_kill(holder);
    stage_end(&stage);
}

static const struct stage_case cases[] = {
    { "parent and child", child, 0, "parent and child at leisure", child, WELL },
    { "parent and child, by waitid", child, BY_WAITID, "parent and child at leisure, by waitid", child, BY_WAITID | WELL },
    { "a parent that lent its memory", lent, 0, "a parent that lent its memory to one at leisure", lent, WELL },
    { NULL, NULL, 0, "pause", idler, 0 },
    { NULL, NULL, 0, "sigwait", idler, 1 },
    { NULL, NULL, 0, "sigsuspend", idler, 2 },
    { NULL, NULL, 0, "a signalfd", idler, 3 },
    { NULL, NULL, 0, "a timerfd", idler, 4 },
    { NULL, NULL, 0, "a sleep", idler, 5 },
};

static const struct stage_case others[] = {
    { "a holder that is hidden", hidden, 0, "a holder that root sees", hidden, 1 },
};

int main(int argc, char **argv)
{
    struct io_uring_params parameters;
    frame_begin("deadlock_waits", argc, argv);
    stage_run(cases, sizeof cases / sizeof *cases);
    int ring = open_uring(&parameters);
    if (ring >= 0)
        frame_run("io_uring", uring, 0, 60);
    else
        frame_skip("io_uring", "this kernel, or this container, has none");
    close(ring);
    if (geteuid() == 0)
        stage_run(others, sizeof others / sizeof *others);
    else
        frame_skip("a holder that is hidden", "only root can be another user");
    return frame_end();
}
