/* SPDX-License-Identifier: MIT */
/* Locks of files whose holders wait for each other, or are stopped; and their twins that are well. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frame.h"
#include "stage.h"

/* ---- Circles of locks ------------------------------------------------------------------------------------- */

static void flock_it(int fd)
{
    OK(flock(fd, LOCK_EX));
}

static void lock_by(int fd, int command)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    OK(fcntl(fd, command, &lock));
}

static void posix_lock(int fd)
{
    lock_by(fd, F_SETLKW);
}

static void description_lock(int fd)
{
    lock_by(fd, F_OFD_SETLKW);
}

static const struct {
    void (*take)(int fd);
    long call;
} locks[] = {
    { flock_it, SYS_flock }, { posix_lock, SYS_fcntl }, { description_lock, SYS_fcntl },
};

/* A descriptor of its own, or there is one lock for all. */
static void lock_two(struct stage *stage, int first)
{
    int one = (int)OK(open(stage->path[first], O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    int other = (int)OK(open(stage->path[1 - first], O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    locks[stage->step].take(one);
    stage_meet(stage, 2);
    locks[stage->step].take(other);
}

static void lock_forward(struct stage *stage)
{
    lock_two(stage, 0);
}

static void lock_backward(struct stage *stage)
{
    lock_two(stage, 1);
}

static void lock_and_idle(struct stage *stage)
{
    locks[stage->step].take((int)OK(open(stage->path[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
    stage_meet(stage, 2);
    stage_idle(stage);
}

static void file_locks(int kind)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = kind;
    stage.certainty = TONG_EXACT;
    stage_start_two(&stage, lock_forward, locks[kind].call, lock_backward, locks[kind].call);
    stage_found(&stage, TONG_FINDING_STUCK, "an exclusive lock|which is held by");
    stage_end(&stage);
}

static void file_locks_well(int kind)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = kind;
    stage_start_two(&stage, lock_forward, locks[kind].call, lock_and_idle, SYS_clock_nanosleep);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* Two locks of one file: of each the holder is another, and of a third one, for which nobody waits. */
static void lock_range(int fd, off_t start)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = 1 };
    OK(fcntl(fd, F_OFD_SETLKW, &lock));
}

static void wait_for_second_byte(struct stage *stage)
{
    int fd = (int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    lock_range(fd, 0);
    stage_meet(stage, 2);
    lock_range(fd, 1);
}

static void wait_for_first_byte(struct stage *stage)
{
    int fd = (int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    lock_range(fd, 1);
    stage_meet(stage, 2);
    lock_range(fd, 0);
}

static void hold_second_byte(struct stage *stage)
{
    lock_range((int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600)), 1);
    stage_meet(stage, 2);
    stage_idle(stage);
}

static void hold_another_byte(struct stage *stage)
{
    lock_range((int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600)), 7);
    stage_idle(stage);
}

static void bytes(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage_act(&stage, hold_another_byte, SYS_clock_nanosleep);
    pid_t third = stage.actor[--stage.actors];
    stage_start_two(&stage, wait_for_second_byte, SYS_fcntl, well ? hold_second_byte : wait_for_first_byte,
                    well ? SYS_clock_nanosleep : SYS_fcntl);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "an exclusive lock|which is held by");
    stage_waits(&stage, 0, TONG_KIND_LOCK, 0, "an exclusive lock of bytes 1 to 1");
    stage_end(&stage);
    frame_kill(third);
}

#define RING 14 /* the kernel follows a circle of fcntl's locks over 11 others, and says EDEADLK; not further */

static void lock_next(struct stage *stage)
{
    int fd = (int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = stage->actors, .l_len = 1 };
    OK(fcntl(fd, F_SETLKW, &lock));
    stage_meet(stage, RING);
    if (stage->step && stage->actors == RING - 1)
        stage_idle(stage);
    lock.l_start = (stage->actors + 1) % RING;
    fcntl(fd, F_SETLKW, &lock);
}

static void ring(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = well;
    stage.certainty = TONG_EXACT;
    for (int i = 0; i < RING; i++)
        stage_start(&stage, lock_next);
    for (int i = 0; i < RING; i++)
        stage_asleep(&stage, i, well && i == RING - 1 ? SYS_clock_nanosleep : SYS_fcntl);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "which is held by");
    stage_end(&stage);
}

/* ---- Locks and what else they hold up --------------------------------------------------------------------- */

/* Takes a lock, and leaves it to a child that never asked for it; that waits for who waits for the lock. */
static void read_as_heir(struct stage *stage)
{
    close(stage->pair[1]);
    stage_take_byte(stage->pair[0]);
}

static void wait_for_heir(struct stage *stage)
{
    int fd = (int)OK(open(stage->path[0], O_RDWR | O_CLOEXEC));
    close(stage->pair[0]);
    close(stage->file[0]);
    OK(flock(fd, LOCK_EX));
}

static void idle_as_heir(struct stage *stage)
{
    close(stage->pair[1]);
    stage_idle(stage);
}

static void inherited_lock(int well)
{
    struct stage stage;
    stage_begin(&stage);
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    stage.file[0] = (int)OK(open(stage.path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    pid_t taker = frame_fork();
    if (taker == 0) {
        OK(flock(stage.file[0], LOCK_EX));
        _exit(0);
    }
    frame_join(taker); /* dead; the lock is the description's */
    stage_start_two(&stage, well ? idle_as_heir : read_as_heir, well ? SYS_clock_nanosleep : SYS_read, wait_for_heir,
                    SYS_flock);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "which is held by|whose other end only");
    stage_end(&stage);
}

static void lock_and_read(struct stage *stage)
{
    close(stage->pair[1]);
    locks[stage->step].take((int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
    stage_meet(stage, 2);
    stage_take_byte(stage->pair[0]);
}

static void lock_before_answer(struct stage *stage)
{
    close(stage->pair[0]);
    stage_meet(stage, 2);
    locks[stage->step].take((int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
}

/* Of fcntl's locks the kernel itself refuses a small circle (EDEADLK); of this one it knows nothing. */
static void socket_and_lock(int kind)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = kind;
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    stage_start_two(&stage, lock_and_read, SYS_read, lock_before_answer, locks[kind].call);
    stage_found(&stage, TONG_FINDING_STUCK, "whose other end only|which is held by");
    stage_end(&stage);
}

static void lock_and_think(struct stage *stage)
{
    close(stage->pair[1]);
    locks[stage->step].take((int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
    stage_meet(stage, 2);
    stage_idle(stage);
}

static void socket_and_lock_well(int kind)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = kind;
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    stage_start_two(&stage, lock_and_think, SYS_clock_nanosleep, lock_before_answer, locks[kind].call);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* ---- Holders that are stopped ----------------------------------------------------------------------------- */

static void wait_for_second(struct stage *stage)
{
    stage_meet(stage, 2);
    locks[stage->step].take((int)OK(open(stage->path[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
}

static void begin_stopped(struct stage *stage, int kind)
{
    stage_begin(stage);
    stage->step = kind;
    stage_start_two(stage, wait_for_second, locks[kind].call, lock_and_idle, SYS_clock_nanosleep);
    OK(kill(stage->actor[1], SIGSTOP));
    stage_until(stage, 1, 'T');
    stage->beside = 1;
}

static void stopped(int kind)
{
    struct stage stage;
    begin_stopped(&stage, kind);
    stage.certainty = TONG_EXACT;
    stage_found(&stage, TONG_FINDING_STOPPED, "which is held by|which is stopped");
    stage_end(&stage);
}

static void continued(int kind)
{
    struct stage stage;
    begin_stopped(&stage, kind);
    OK(kill(stage.actor[1], SIGCONT));
    stage_asleep(&stage, 1, SYS_restart_syscall);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void lock_and_be_traced(struct stage *stage)
{
    flock_it((int)OK(open(stage->path[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
    OK(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    raise(SIGSTOP);
    stage_meet(stage, 2);
    stage_idle(stage);
}

/* step: it lets go on what it stopped. */
static void debug(struct stage *stage)
{
    int status;
    stage_heir(stage, 0, lock_and_be_traced);
    pid_t traced = atomic_load(&stage->shared->heir[0]);
    GIVES(waitpid(traced, &status, WUNTRACED), traced);
    atomic_fetch_add(&stage->shared->met, 1);
    if (stage->step)
        OK(ptrace(PTRACE_CONT, traced, NULL, NULL));
    stage_idle(stage);
}

static void wait_for_traced(struct stage *stage)
{
    while (atomic_load(&stage->shared->met) < (stage->step ? 2 : 1))
        sched_yield();
    flock_it((int)OK(open(stage->path[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
}

/* By a debugger that waits for its user. */
static void traced(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = well;
    stage_start(&stage, wait_for_traced);
    stage_start(&stage, debug);
    stage_adopt(&stage, 0);
    stage_asleep(&stage, 0, SYS_flock);
    stage_asleep(&stage, 1, SYS_clock_nanosleep);
    stage_until(&stage, 2, well ? 'S' : 't');
    stage.beside = 2;
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STOPPED, "which is stopped by its debugger");
    stage_end(&stage);
}

#define LOOKS 10

static void lock_and_call(struct stage *stage)
{
    locks[stage->step].take((int)OK(open(stage->path[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
    OK(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    raise(SIGSTOP);
    stage_meet(stage, 2);
    for (;;)
        getppid();
}

/* As strace(1) does it: stopped at each call, and let go. */
static void trace(struct stage *stage)
{
    stage_heir(stage, 0, lock_and_call);
    while (waitpid(atomic_load(&stage->shared->heir[0]), NULL, 0) > 0)
        ptrace(PTRACE_SYSCALL, atomic_load(&stage->shared->heir[0]), NULL, NULL);
}

/* Whoever holds it is stopped most of the time, and goes on all the time. */
static void shown(int i)
{
    struct stage stage;
    (void)i;
    stage_begin(&stage);
    stage_start(&stage, wait_for_second);
    stage_start(&stage, trace);
    stage_adopt(&stage, 0);
    stage_asleep(&stage, 0, SYS_flock);
    for (int look = 0; look < LOOKS; look++)
        stage_quiet(&stage);
    stage_end(&stage);
}

/* ---- Leases ----------------------------------------------------------------------------------------------- */

static void lease_and_idle(struct stage *stage)
{
    int fd = (int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    signal(SIGIO, SIG_IGN);
    OK(fcntl(fd, F_SETLEASE, F_WRLCK));
    stage_meet(stage, 2);
    stage_idle(stage);
}

static void open_leased(struct stage *stage)
{
    stage_meet(stage, 2);
    open(stage->path[0], O_RDWR | O_CLOEXEC);
}

/* The kernel takes a lease back after a while (lease-break-time), so this ends by itself; but it has an object. */
static void lease(int i)
{
    struct stage stage;
    (void)i;
    stage_begin(&stage);
    stage_start_two(&stage, lease_and_idle, SYS_clock_nanosleep, open_leased, SYS_openat);
    stage_quiet(&stage);
    stage_waits(&stage, 1, TONG_KIND_LOCK, TONG_WAIT_TIMED, "the end of a lease");
    stage_end(&stage);
}

static const struct stage_case cases[] = {
    { "flock", file_locks, 0, "flock of one at leisure", file_locks_well, 0 },
    { "locks of descriptions", file_locks, 2, "locks of descriptions of one at leisure", file_locks_well, 2 },
    { "two bytes of one file", bytes, 0, "two bytes of one file, one held at leisure", bytes, 1 },
    { "a ring of fcntl's locks", ring, 0, "a ring of fcntl's locks, one at leisure", ring, 1 },
    { "an inherited flock", inherited_lock, 0, "an inherited flock of one at leisure", inherited_lock, 1 },
    { "socket and flock", socket_and_lock, 0, "socket and flock of one at leisure", socket_and_lock_well, 0 },
    { "socket and fcntl", socket_and_lock, 1, "socket and fcntl of one at leisure", socket_and_lock_well, 1 },
    { "socket and lock of a description", socket_and_lock, 2, "socket and lock of a description of one at leisure",
      socket_and_lock_well, 2 },
    { "a flock of who is stopped", stopped, 0, "a flock of who was stopped", continued, 0 },
    { "a lock of a description of who is stopped", stopped, 2, "a lock of a description of who was stopped", continued, 2 },
    { "a flock of who is traced", traced, 0, "a flock of who was traced", traced, 1 },
    { NULL, NULL, 0, "fcntl of one at leisure", file_locks_well, 1 },
    { NULL, NULL, 0, "a flock of whose holder strace shows the calls", shown, 0 },
    { NULL, NULL, 0, "a lease", lease, 0 },
};

int main(int argc, char **argv)
{
    return stage_main("deadlock_locks", argc, argv, cases, sizeof cases / sizeof *cases);
}
