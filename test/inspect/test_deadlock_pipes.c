/* SPDX-License-Identifier: MIT */
/* Pipes, FIFOs and eventfds whose users wait for each other, and their twins that are well. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frame.h"
#include "look.h"
#include "stage.h"

static void must_pipe(int fd[2])
{
    OK(pipe2(fd, O_CLOEXEC));
}

/* Fills a pipe, then writes once more. */
static void overfill(int fd)
{
    char block[4096] = "";
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, block, sizeof block) > 0)
        ;
    fcntl(fd, F_SETFL, 0);
    MUST(write(fd, block, sizeof block) < 0, "there was room");
}

/* ---- Pipes ------------------------------------------------------------------------------------------------ */

/* Each keeps of one pipe what it reads, and of the other what it would write. */
static void keep_ends(struct stage *stage, int mine, int keep)
{
    close(stage->pipe[mine][1 - keep]);
    close(stage->pipe[1 - mine][keep]);
}

static void read_first(struct stage *stage)
{
    keep_ends(stage, 0, 0);
    stage_take_byte(stage->pipe[0][0]);
}

static void read_second(struct stage *stage)
{
    keep_ends(stage, 1, 0);
    stage_take_byte(stage->pipe[1][0]);
}

static void write_first(struct stage *stage)
{
    keep_ends(stage, 0, 1);
    overfill(stage->pipe[0][1]);
}

static void write_second(struct stage *stage)
{
    keep_ends(stage, 1, 1);
    overfill(stage->pipe[1][1]);
}

static void read_own(struct stage *stage)
{
    stage_take_byte(stage->pipe[0][0]);
}

static void idle_as_second(struct stage *stage)
{
    keep_ends(stage, 1, stage->step);
    stage_idle(stage);
}

/* What follows begins with two pipes, and asks once only the actors have them. */
static void two_pipes(struct stage *stage)
{
    stage_begin(stage);
    must_pipe(stage->pipe[0]);
    must_pipe(stage->pipe[1]);
}

static void pipes_read(int i)
{
    struct stage stage;
    (void)i;
    two_pipes(&stage);
    stage_start_two(&stage, read_first, SYS_read, read_second, SYS_read);
    stage.certainty = TONG_EXACT;
    GIVES(stage_certainty(&stage, 0), TONG_EXACT);
    stage_found(&stage, TONG_FINDING_STUCK, "waits in read for pipe [");
    stage_end(&stage);
}

static void pipes_written(int i)
{
    struct stage stage;
    (void)i;
    two_pipes(&stage);
    stage_start_two(&stage, write_first, SYS_write, write_second, SYS_write);
    stage_found(&stage, TONG_FINDING_STUCK, "whose only reader is");
    stage_end(&stage);
}

/* The other one of two could go on by itself. */
static void pipes_well(int direction)
{
    struct stage stage;
    two_pipes(&stage);
    stage.step = direction;
    stage_start_two(&stage, direction ? write_first : read_first, direction ? SYS_write : SYS_read, idle_as_second,
              SYS_clock_nanosleep);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* A third one holds a write end and is at leisure. */
static void pipes_third(int i)
{
    struct stage stage;
    (void)i;
    two_pipes(&stage);
    stage_start(&stage, stage_idle);
    stage_start(&stage, read_first);
    stage_start(&stage, read_second);
    stage_let_go(&stage);
    stage_asleep(&stage, 1, SYS_read);
    stage_asleep(&stage, 2, SYS_read);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void write_end_forgotten(int well)
{
    struct stage stage;
    stage_begin(&stage);
    must_pipe(stage.pipe[0]);
    stage_act(&stage, read_own, SYS_read);
    if (well)
        stage_act(&stage, stage_idle, SYS_clock_nanosleep);
    stage_let_go(&stage);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "whose only writer is itself");
    stage_end(&stage);
}

static void read_only(struct stage *stage)
{
    close(stage->pipe[0][1]);
    stage_take_byte(stage->pipe[0][0]);
}

/* Two could write; well: only one of them is stopped. */
static void writers_stopped(int well)
{
    struct stage stage;
    stage_begin(&stage);
    must_pipe(stage.pipe[0]);
    stage_act(&stage, read_only, SYS_read);
    for (int i = 1; i <= 2; i++)
        stage_act(&stage, stage_idle, SYS_clock_nanosleep);
    stage_let_go(&stage);
    for (int i = 1; i <= 2 - well; i++) {
        OK(kill(stage.actor[i], SIGSTOP));
        stage_until(&stage, i, 'T');
    }
    stage.beside = 2;
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STOPPED, "whose writers are |(which is stopped) and |(which is stopped)");
    stage_end(&stage);
}

static void take_own_count(struct stage *stage)
{
    uint64_t count;
    MUST(read(stage->file[0], &count, sizeof count) < 0, "it was raised");
}

static void eventfds(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage.file[0] = (int)OK(eventfd(0, EFD_CLOEXEC));
    stage_act(&stage, take_own_count, SYS_read);
    if (well)
        stage_act(&stage, stage_idle, SYS_clock_nanosleep);
    stage_let_go(&stage);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "for eventfd [|which only itself has");
    stage_end(&stage);
}

static void splice_own(struct stage *stage)
{
    splice(stage->pipe[0][0], NULL, stage->pipe[1][1], NULL, 1, 0);
}

static void spliced(int well)
{
    struct stage stage;
    two_pipes(&stage);
    stage_act(&stage, splice_own, SYS_splice);
    if (well)
        stage_act(&stage, stage_idle, SYS_clock_nanosleep);
    stage_let_go(&stage);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "waits in splice for pipe [|whose only writer is itself");
    stage_end(&stage);
}

/* ---- A pipeline ------------------------------------------------------------------------------------------- */

/* As a shell starts it; step: whether it forgot to close the end for writing. */
static void be_cat(struct stage *stage)
{
    OK(dup2(stage->pipe[0][0], STDIN_FILENO));
    if (!stage->step)
        OK(fcntl(stage->pipe[0][1], F_SETFD, 0));
    execlp("cat", "cat", (char *)NULL);
}

static void be_shell(struct stage *stage)
{
    stage_heir(stage, 0, be_cat);
    close(stage->pipe[0][0]);
    close(stage->pipe[0][1]);
    waitpid(atomic_load(&stage->shared->heir[0]), NULL, 0);
}

static void pipeline(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = well;
    must_pipe(stage.pipe[0]);
    stage_act(&stage, be_shell, SYS_wait4);
    stage_adopt(&stage, 0);
    if (well)
        stage_act(&stage, stage_idle, SYS_clock_nanosleep);
    stage_let_go(&stage);
    stage_asleep(&stage, 1, SYS_read);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK,
                    "cat |waits in read for pipe [|at descriptor 0, whose only writer is itself|for its child cat ");
    stage_end(&stage);
}

/* ---- Threads ---------------------------------------------------------------------------------------------- */

static void *idle_thread(void *stage)
{
    stage_idle(stage);
    return NULL;
}

static void *reading_thread(void *argument)
{
    struct stage *stage = argument;
    atomic_store(&stage->shared->heir[0], (int)gettid());
    stage_take_byte(stage->pipe[1][0]);
    return NULL;
}

/* The thread beside it has the same descriptors, and could write. */
static void read_beside_thread(struct stage *stage)
{
    pthread_t thread;
    pthread_create(&thread, NULL, stage->step ? idle_thread : reading_thread, stage);
    stage_take_byte(stage->pipe[0][0]);
}

static void thread_beside(int well)
{
    struct stage stage;
    two_pipes(&stage);
    stage.step = well;
    stage_act(&stage, read_beside_thread, SYS_read);
    stage_let_go(&stage);
    if (well) {
        stage_quiet(&stage);
    } else {
        while (!atomic_load(&stage.shared->heir[0]))
            sched_yield();
        struct stage beside = { .actor = { atomic_load(&stage.shared->heir[0]) }, .actors = 1 };
        stage_asleep(&beside, 0, SYS_read);
        stage.certainty = look_is_by_kernel() ? TONG_EXACT : TONG_INFERRED;
        stage_found(&stage, TONG_FINDING_STUCK, "(thread |whose only writer is itself");
    }
    stage_end(&stage);
}

static void end_before_thread(struct stage *stage)
{
    pthread_t thread;
    pthread_create(&thread, NULL, idle_thread, stage);
    pthread_exit(NULL);
}

/* A process whose first thread has ended looks like a dead one; but the other has the descriptors. */
static void ended_leader(int i)
{
    struct stage stage;
    (void)i;
    two_pipes(&stage);
    stage_start(&stage, read_own);
    stage_start(&stage, end_before_thread);
    stage_let_go(&stage);
    stage_asleep(&stage, 0, SYS_read);
    stage_until(&stage, 1, 'Z');
    stage_quiet(&stage);
    stage_end(&stage);
}

/* ---- Numbers that are given to another file ---------------------------------------------------------------- */

static void make_sockets(int fd[2])
{
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
}

static void make_eventfd(int fd[2])
{
    fd[0] = (int)OK(eventfd(0, EFD_CLOEXEC));
    fd[1] = (int)OK(fcntl(fd[0], F_DUPFD_CLOEXEC, 0));
}

static int as_it_is(int fd)
{
    return fd;
}

static int in_set(int fd)
{
    int set = (int)OK(epoll_create1(EPOLL_CLOEXEC));
    OK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN }));
    return set;
}

static void take_number(int fd)
{
    uint64_t number;
    MUST(read(fd, &number, sizeof number) < 0, "something came, or the end");
}

static void poll_one(int fd)
{
    MUST(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, -1) < 0, "an event came");
}

static void take_event(int fd)
{
    struct epoll_event event;
    MUST(epoll_pwait(fd, &event, 1, -1, NULL) < 0, "an event came");
}

static const struct way {
    void (*make)(int fd[2]);
    int (*wrap)(int fd);      /* what is waited on */
    void (*sleep)(int fd);
    long call;
} ways[] = {
    { must_pipe, as_it_is, take_number, SYS_read },
#ifdef SYS_poll
    { must_pipe, as_it_is, poll_one, SYS_poll },
#else
    { must_pipe, as_it_is, poll_one, SYS_ppoll },
#endif
    { make_sockets, as_it_is, take_number, SYS_read },
    { make_eventfd, as_it_is, take_number, SYS_read },
    { must_pipe, in_set, take_event, SYS_epoll_pwait },
};

#define STUCK 0
#define REPLACED 1 /* by a thread that ends */
#define STAYS 2    /* the thread waits for the other, as is concluded of its futex */
#define STEP(way, how) ((way) * 4 + (how))

struct sleeper {
    struct stage *stage;
    const struct way *way;
    int fd, other, how;
    pthread_t thread;
};

/* Gives the number that its process's first thread sleeps on to another file. */
static void *give_number(void *argument)
{
    const struct sleeper *sleeper = argument;
    const struct stage self = { .actor = { getpid() }, .actors = 1 };
    stage_asleep(&self, 0, sleeper->way->call);
    if (sleeper->how & REPLACED)
        OK(dup2(sleeper->other, sleeper->fd));
    atomic_store(&sleeper->stage->shared->heir[0], (int)gettid());
    if (sleeper->how & STAYS)
        pthread_join(sleeper->thread, NULL);
    return NULL;
}

/* Only it itself has both ends of the other file; of its own, too, unless the number is given away. */
static void sleep_on_number(struct stage *stage)
{
    pthread_t thread;
    struct sleeper sleeper = { .stage = stage, .way = &ways[stage->step / 4], .how = stage->step % 4,
                               .thread = pthread_self() };
    sleeper.fd = sleeper.way->wrap(stage->pipe[0][0]);
    sleeper.other = sleeper.way->wrap(stage->pipe[1][0]);
    if (sleeper.how & REPLACED)
        close(stage->pipe[0][1]);
    MUST(pthread_create(&thread, NULL, give_number, &sleeper) == 0 && pthread_detach(thread) == 0, "pthread_create");
    sleeper.way->sleep(sleeper.fd);
}

static void idle_with_end(struct stage *stage)
{
    close(stage->pipe[0][0]);
    close(stage->pipe[1][0]);
    close(stage->pipe[1][1]);
    stage_idle(stage);
}

static void until_threads(const struct stage *stage, unsigned count)
{
    char path[40];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/task", (int)stage->actor[0]);
    while (!atomic_load(&stage->shared->heir[0]) || stat(path, &status) < 0 || status.st_nlink != count + 2)
        sched_yield();
}

/* Whose thread did not give it away, and who is in earnest; and who would be told of if the number were asked. */
static void given_number(int step)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = step;
    ways[step / 4].make(stage.pipe[0]);
    ways[step / 4].make(stage.pipe[1]);
    stage_start(&stage, sleep_on_number);
    if (step & REPLACED)
        stage_act(&stage, idle_with_end, SYS_clock_nanosleep);
    stage_let_go(&stage);
    until_threads(&stage, step & STAYS ? 2 : 1);
    stage_asleep(&stage, 0, ways[step / 4].call);
    bool by_kernel = look_is_by_kernel();
    stage.certainty = by_kernel && !(step & STAYS) ? TONG_EXACT : TONG_INFERRED;
    GIVES(stage_certainty(&stage, 0), by_kernel ? TONG_EXACT : TONG_INFERRED);
    if (step & REPLACED)
        stage_doubted(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "itself");
    stage_end(&stage);
}

/* ---- Opening FIFOs ---------------------------------------------------------------------------------------- */

static void open_two(const struct stage *stage, int first)
{
    int fd = open(stage->path[first], O_RDONLY | O_CLOEXEC);
    fd = fd < 0 ? fd : open(stage->path[1 - first], O_WRONLY | O_CLOEXEC);
    close(fd);
}

static void open_forward(struct stage *stage)
{
    open_two(stage, 0);
}

static void open_backward(struct stage *stage)
{
    open_two(stage, 1);
}

static void begin_fifos(struct stage *stage)
{
    stage_begin(stage);
    OK(mkfifo(stage->path[0], 0600));
    OK(mkfifo(stage->path[1], 0600));
}

/* Who started them is at leisure and could open what they wait for; but that they wait for each other suggests itself. */
static void fifos(int i)
{
    struct stage stage;
    (void)i;
    begin_fifos(&stage);
    stage_start_two(&stage, open_forward, SYS_openat, open_backward, SYS_openat);
    stage.certainty = TONG_UNSURE;
    stage_found(&stage, TONG_FINDING_UNSURE, "which nobody has open");
    stage_end(&stage);
}

/* The other is there, and does something else yet. */
static void fifo_well(int i)
{
    struct stage stage;
    (void)i;
    begin_fifos(&stage);
    stage_start_two(&stage, open_forward, SYS_openat, stage_idle, SYS_clock_nanosleep);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void start_openers(struct stage *stage)
{
    stage_heir(stage, 0, open_forward);
    stage_heir(stage, 1, open_backward);
    waitpid(-1, NULL, 0);
}

/* Nobody of the family is left who could open one. */
static void fifos_of_family(int i)
{
    struct stage stage;
    (void)i;
    begin_fifos(&stage);
    stage_act(&stage, start_openers, SYS_wait4);
    stage_adopt(&stage, 0);
    stage_adopt(&stage, 1);
    stage_asleep(&stage, 1, SYS_openat);
    stage_asleep(&stage, 2, SYS_openat);
    stage.certainty = TONG_INFERRED;
    stage_found(&stage, TONG_FINDING_STUCK, stage.path[1]);
    stage_end(&stage);
}

static void start_opener(struct stage *stage)
{
    stage_heir(stage, 0, open_forward);
    stage_heir(stage, 1, stage_idle);
    waitpid(-1, NULL, 0);
}

static void fifo_of_family_well(int i)
{
    struct stage stage;
    (void)i;
    begin_fifos(&stage);
    stage_act(&stage, start_opener, SYS_wait4);
    stage_adopt(&stage, 0);
    stage_adopt(&stage, 1);
    stage_asleep(&stage, 1, SYS_openat);
    stage_asleep(&stage, 2, SYS_clock_nanosleep);
    stage_quiet(&stage);
    stage_end(&stage);
}

static const struct stage_case cases[] = {
    { "two pipes, read and read", pipes_read, 0, "two pipes, read and at leisure", pipes_well, 0 },
    { "two pipes, write and write", pipes_written, 0, "two pipes, write and at leisure", pipes_well, 1 },
    { "a forgotten write end", write_end_forgotten, 0, "a write end that somebody has", write_end_forgotten, 1 },
    { "two writers that are stopped", writers_stopped, 0, "two writers of which one is stopped", writers_stopped, 1 },
    { "a splice to itself", spliced, 0, "a splice whose pipes somebody has", spliced, 1 },
    { "an eventfd of one alone", eventfds, 0, "an eventfd that somebody has", eventfds, 1 },
    { "a pipeline whose reader kept a write end", pipeline, 0, "a pipeline whose writer is at leisure", pipeline, 1 },
    { "two threads that both read", thread_beside, 0, "a thread beside", thread_beside, 1 },
    { "a read beside a thread that ended", given_number, STEP(0, STUCK), "a read whose number is another's",
      given_number, STEP(0, REPLACED) },
    { "a read beside a thread", given_number, STEP(0, STAYS), "a read whose number a thread gave away", given_number,
      STEP(0, REPLACED | STAYS) },
    { "a poll beside a thread that ended", given_number, STEP(1, STUCK), "a poll whose number is another's",
      given_number, STEP(1, REPLACED) },
    { "a socket beside a thread", given_number, STEP(2, STAYS), "a socket whose number a thread gave away", given_number,
      STEP(2, REPLACED | STAYS) },
    { "an eventfd beside a thread that ended", given_number, STEP(3, STUCK), "an eventfd whose number is another's",
      given_number, STEP(3, REPLACED) },
    { "an epoll set beside a thread that ended", given_number, STEP(4, STUCK), "a set whose number is another's",
      given_number, STEP(4, REPLACED) },
    { "two FIFOs being opened", fifos, 0, "a FIFO being opened, and one at leisure", fifo_well, 0 },
    { "two FIFOs being opened by a family", fifos_of_family, 0, "a FIFO being opened, and a sibling at leisure",
      fifo_of_family_well, 0 },
    { NULL, NULL, 0, "two pipes and a third process", pipes_third, 0 },
    { NULL, NULL, 0, "a writer whose first thread has ended", ended_leader, 0 },
};

int main(int argc, char **argv)
{
    return stage_main("deadlock_pipes", argc, argv, cases, sizeof cases / sizeof *cases);
}
