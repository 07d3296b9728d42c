/* SPDX-License-Identifier: MIT */
/* Deadlocks of every kind, built in earnest, are found and named; and each has a twin that is well, of which nothing
 * is said. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "stage.h"

static void must_pipe(int fd[2])
{
    OK(pipe2(fd, O_CLOEXEC));
}

static void take_byte(int fd)
{
    char byte;
    MUST(read(fd, &byte, 1) < 0, "a byte came");
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
    take_byte(stage->pipe[0][0]);
}

static void read_second(struct stage *stage)
{
    keep_ends(stage, 1, 0);
    take_byte(stage->pipe[1][0]);
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
    take_byte(stage->pipe[0][0]);
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

static void start_two(struct stage *stage, void (*one)(struct stage *), long its_call, void (*other)(struct stage *),
                      long others_call)
{
    stage_start(stage, one);
    stage_start(stage, other);
    stage_let_go(stage);
    stage_asleep(stage, 0, its_call);
    stage_asleep(stage, 1, others_call);
}

static void pipes_read(int i)
{
    struct stage stage;
    (void)i;
    two_pipes(&stage);
    start_two(&stage, read_first, SYS_read, read_second, SYS_read);
    stage_found(&stage, TONG_FINDING_STUCK, "waits in read for pipe [");
    stage_end(&stage);
}

static void pipes_written(int i)
{
    struct stage stage;
    (void)i;
    two_pipes(&stage);
    start_two(&stage, write_first, SYS_write, write_second, SYS_write);
    stage_found(&stage, TONG_FINDING_STUCK, "whose only reader is");
    stage_end(&stage);
}

/* The other one of two could go on by itself. */
static void pipes_well(int direction)
{
    struct stage stage;
    two_pipes(&stage);
    stage.step = direction;
    start_two(&stage, direction ? write_first : read_first, direction ? SYS_write : SYS_read, idle_as_second,
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

/* ---- Waiting for one of many ------------------------------------------------------------------------------ */

static void poll_one(int fd)
{
    struct pollfd item = { .fd = fd, .events = POLLIN };
    poll(&item, 1, -1);
}

static void select_one(int fd)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    select(fd + 1, &set, NULL, NULL, NULL);
}

static void epoll_one(int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    int set = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
    epoll_wait(set, &event, 1, -1);
}

static const struct way {
    void (*wait)(int fd);
    long call;
} ways[] = {
#ifdef SYS_poll
    { poll_one, SYS_poll }, { select_one, SYS_pselect6 }, { epoll_one, SYS_epoll_wait },
#else
    { poll_one, SYS_ppoll }, { select_one, SYS_pselect6 }, { epoll_one, SYS_epoll_pwait },
#endif
};

static void wait_at_left(struct stage *stage)
{
    close(stage->pair[1]);
    ways[stage->step].wait(stage->pair[0]);
}

static void wait_at_right(struct stage *stage)
{
    close(stage->pair[0]);
    ways[stage->step].wait(stage->pair[1]);
}

static void sleep_at_right(struct stage *stage)
{
    struct pollfd item = { .fd = stage->pair[1], .events = POLLIN };
    close(stage->pair[0]);
    poll(&item, 1, 3600 * 1000);
}

static void polls(int way)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = way;
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    start_two(&stage, wait_at_left, ways[way].call, wait_at_right, ways[way].call);
    stage_found(&stage, TONG_FINDING_STUCK, "whose other end has");
    stage_end(&stage);
}

static void polls_well(int way)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = way;
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    start_two(&stage, wait_at_left, ways[way].call, sleep_at_right, SYS_poll);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* A time limit that no argument shows. */
static void receive_for_an_hour(struct stage *stage)
{
    char byte;
    struct timeval limit = { .tv_sec = 3600 };
    close(stage->pair[0]);
    OK(setsockopt(stage->pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    recv(stage->pair[1], &byte, 1, 0);
}

static void receive_at_left(struct stage *stage)
{
    char byte;
    close(stage->pair[1]);
    recv(stage->pair[0], &byte, 1, 0);
}

static void socket_time_limit(int i)
{
    struct stage stage;
    (void)i;
    stage_begin(&stage);
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    start_two(&stage, receive_at_left, SYS_recvfrom, receive_for_an_hour, SYS_recvfrom);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void accept_one(struct stage *stage)
{
    accept(stage->pair[0], NULL, NULL);
}

/* A server waits for clients; that there is none is not its fault. */
static void server(int i)
{
    struct stage stage;
    struct sockaddr address = { .sa_family = AF_UNIX };
    (void)i;
    stage_begin(&stage);
    stage.pair[0] = (int)OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    OK(bind(stage.pair[0], &address, sizeof address.sa_family)); /* the kernel chooses a name */
    OK(listen(stage.pair[0], 1));
    stage_act(&stage, accept_one, SYS_accept);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* ---- Locks on files --------------------------------------------------------------------------------------- */

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
    start_two(&stage, lock_forward, locks[kind].call, lock_backward, locks[kind].call);
    stage_found(&stage, TONG_FINDING_STUCK, "which is held by");
    stage_end(&stage);
}

static void file_locks_well(int kind)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = kind;
    start_two(&stage, lock_forward, locks[kind].call, lock_and_idle, SYS_clock_nanosleep);
    stage_quiet(&stage);
    stage_end(&stage);
}

/* Takes a lock, and leaves it to a child that never asked for it; that waits for who waits for the lock. */
static void read_as_heir(struct stage *stage)
{
    close(stage->pair[1]);
    take_byte(stage->pair[0]);
}

static void wait_for_heir(struct stage *stage)
{
    int fd = (int)OK(open(stage->path[0], O_RDWR | O_CLOEXEC));
    close(stage->pair[0]);
    close(stage->file[0]);
    OK(flock(fd, LOCK_EX));
}

static void inherited_lock(int i)
{
    struct stage stage;
    (void)i;
    stage_begin(&stage);
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    stage.file[0] = (int)OK(open(stage.path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    pid_t taker = frame_fork();
    if (taker == 0) {
        OK(flock(stage.file[0], LOCK_EX));
        _exit(0);
    }
    frame_join(taker); /* dead; the lock is the description's */
    start_two(&stage, read_as_heir, SYS_read, wait_for_heir, SYS_flock);
    stage_found(&stage, TONG_FINDING_STUCK, "which is held by");
    stage_end(&stage);
}

static void lock_and_read(struct stage *stage)
{
    close(stage->pair[1]);
    locks[stage->step].take((int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
    stage_meet(stage, 2);
    take_byte(stage->pair[0]);
}

static void lock_before_answer(struct stage *stage)
{
    close(stage->pair[0]);
    stage_meet(stage, 2);
    locks[stage->step].take((int)OK(open(stage->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
}

/* Of fcntl's locks the kernel itself refuses a plain circle (EDEADLK); of this one it knows nothing. */
static void socket_and_lock(int kind)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = kind;
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    start_two(&stage, lock_and_read, SYS_read, lock_before_answer, locks[kind].call);
    stage_found(&stage, TONG_FINDING_STUCK, "whose other end has");
    stage_end(&stage);
}

/* ---- Mutexes ---------------------------------------------------------------------------------------------- */

enum { PLAIN, ROBUST, INHERITING };

static pthread_mutex_t *mutex_of(const struct stage *stage, int number)
{
    _Static_assert(sizeof(pthread_mutex_t) <= sizeof stage->shared->locks[0], "a mutex does not fit");
    return (pthread_mutex_t *)(void *)stage->shared->locks[number];
}

static void begin_mutexes(struct stage *stage, int kind)
{
    pthread_mutexattr_t attributes;
    stage_begin(stage);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (kind == ROBUST)
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (kind == INHERITING)
        pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    for (int i = 0; i < 2; i++)
        pthread_mutex_init(mutex_of(stage, i), &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static void lock_mutexes(struct stage *stage, int first)
{
    pthread_mutex_lock(mutex_of(stage, first));
    stage_meet(stage, 2);
    pthread_mutex_lock(mutex_of(stage, 1 - first));
}

static void mutex_forward(struct stage *stage)
{
    lock_mutexes(stage, 0);
}

static void mutex_backward(struct stage *stage)
{
    lock_mutexes(stage, 1);
}

static void mutex_and_idle(struct stage *stage)
{
    pthread_mutex_lock(mutex_of(stage, 1));
    stage_meet(stage, 2);
    stage_idle(stage);
}

static void mutex_for_an_hour(struct stage *stage)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 3600;
    pthread_mutex_lock(mutex_of(stage, 1));
    stage_meet(stage, 2);
    pthread_mutex_timedlock(mutex_of(stage, 0), &until);
}

static void mutexes(int kind)
{
    struct stage stage;
    begin_mutexes(&stage, kind);
    start_two(&stage, mutex_forward, SYS_futex, mutex_backward, SYS_futex);
    stage_found(&stage, TONG_FINDING_STUCK, "which is held by");
    stage_end(&stage);
}

static void mutex_and_read(struct stage *stage)
{
    close(stage->pair[1]);
    pthread_mutex_lock(mutex_of(stage, 0));
    stage_meet(stage, 2);
    take_byte(stage->pair[0]);
}

static void mutex_before_answer(struct stage *stage)
{
    close(stage->pair[0]);
    stage_meet(stage, 2);
    pthread_mutex_lock(mutex_of(stage, 0));
}

/* In a plain circle of inheriting mutexes the kernel finds the deadlock itself, and libc makes who closed it sleep
 * elsewhere. */
static void socket_and_mutex(int kind)
{
    struct stage stage;
    begin_mutexes(&stage, kind);
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage.pair));
    start_two(&stage, mutex_and_read, SYS_read, mutex_before_answer, SYS_futex);
    stage_found(&stage, TONG_FINDING_STUCK, "mutex in");
    stage_end(&stage);
}

static void mutexes_well(int kind)
{
    struct stage stage;
    begin_mutexes(&stage, kind);
    start_two(&stage, mutex_forward, SYS_futex, mutex_and_idle, SYS_clock_nanosleep);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void mutex_timed(int kind)
{
    struct stage stage;
    begin_mutexes(&stage, kind);
    start_two(&stage, mutex_forward, SYS_futex, mutex_for_an_hour, SYS_futex);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void mutex_of_dead(struct stage *stage)
{
    pthread_mutex_lock(mutex_of(stage, 0));
}

static void dead_owner(int i)
{
    struct stage stage;
    (void)i;
    begin_mutexes(&stage, PLAIN);
    pid_t owner = frame_fork();
    if (owner == 0) {
        pthread_mutex_lock(mutex_of(&stage, 0));
        _exit(0);
    }
    frame_join(owner);
    stage_act(&stage, mutex_of_dead, SYS_futex);
    stage_found(&stage, TONG_FINDING_STUCK, "which is no more");
    stage_end(&stage);
}

/* ---- Threads, children ------------------------------------------------------------------------------------ */

static void *idle_thread(void *stage)
{
    stage_idle(stage);
    return NULL;
}

/* The thread beside it has the same descriptors, and could write. */
static void read_beside_thread(struct stage *stage)
{
    pthread_t thread;
    pthread_create(&thread, NULL, idle_thread, stage);
    take_byte(stage->pipe[0][0]);
}

static void thread_beside(int i)
{
    struct stage stage;
    (void)i;
    stage_begin(&stage);
    must_pipe(stage.pipe[0]);
    stage_act(&stage, read_beside_thread, SYS_read);
    stage_let_go(&stage);
    stage_quiet(&stage);
    stage_end(&stage);
}

static void *hold_second_in_thread(void *argument)
{
    atomic_store(&((struct stage *)argument)->shared->heir, (int)gettid());
    mutex_and_idle(argument);
    return NULL;
}

/* Two of three threads lock each other out; the third is at leisure, and could not help. */
static void *lock_backward_in_thread(void *argument)
{
    atomic_store(&((struct stage *)argument)->shared->heir, (int)gettid());
    lock_mutexes(argument, 1);
    return NULL;
}

static void lock_among_threads(struct stage *stage)
{
    pthread_t thread;
    pthread_mutex_init(mutex_of(stage, 0), NULL); /* a private one, wherever it lies */
    pthread_mutex_init(mutex_of(stage, 1), NULL);
    pthread_create(&thread, NULL, idle_thread, stage);
    if (stage->step == 0)
        pthread_create(&thread, NULL, lock_backward_in_thread, stage);
    else
        pthread_create(&thread, NULL, hold_second_in_thread, stage);
    lock_mutexes(stage, 0);
}

static void threads(int well)
{
    struct stage stage;
    stage_begin(&stage);
    stage.step = well;
    stage_act(&stage, lock_among_threads, SYS_futex);
    struct stage beside = { .actor = { atomic_load(&stage.shared->heir) }, .actors = 1 };
    stage_asleep(&beside, 0, well ? SYS_clock_nanosleep : SYS_futex);
    if (well)
        stage_quiet(&stage);
    else
        stage_found(&stage, TONG_FINDING_STUCK, "(thread ");
    stage_end(&stage);
}

/* Waits for the end of a child that waits for its parent's word. */
static void wait_for_child(struct stage *stage)
{
    pid_t child = fork();
    if (child > 0)
        atomic_store(&stage->shared->heir, child);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(stage->pipe[0][1]);
        take_byte(stage->pipe[0][0]);
    }
    close(stage->pipe[0][0]);
    waitpid(child, NULL, 0);
}

static void child(int i)
{
    struct stage stage;
    (void)i;
    stage_begin(&stage);
    must_pipe(stage.pipe[0]);
    stage_act(&stage, wait_for_child, SYS_wait4);
    stage_let_go(&stage);
    stage.actor[stage.actors++] = atomic_load(&stage.shared->heir);
    stage_asleep(&stage, 1, SYS_read);
    stage_found(&stage, TONG_FINDING_STUCK, "waits in wait4 for the end of a child");
    stage_end(&stage);
}

/* ---- Opening FIFOs ---------------------------------------------------------------------------------------- */

static void open_first(struct stage *stage)
{
    open(stage->path[0], O_RDONLY | O_CLOEXEC);
}

static void open_second(struct stage *stage)
{
    open(stage->path[1], O_RDONLY | O_CLOEXEC);
}

/* Nobody can know whom they wait for; but that they wait for each other suggests itself. */
static void fifos(int well)
{
    struct stage stage;
    stage_begin(&stage);
    OK(mkfifo(stage.path[0], 0600));
    OK(mkfifo(stage.path[1], 0600));
    stage_act(&stage, open_first, SYS_openat);
    if (well) {
        stage_quiet(&stage);
    } else {
        stage_act(&stage, open_second, SYS_openat);
        stage_found(&stage, TONG_FINDING_UNSURE, stage.path[1]);
    }
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

static void read_first_ordinarily(struct stage *stage)
{
    be_ordinary();
    read_first(stage);
}

static void read_second_ordinarily(struct stage *stage)
{
    be_ordinary();
    read_second(stage);
}

/* Root's process has a write end; the user who looks cannot know. */
static void hidden(int well)
{
    struct stage stage;
    two_pipes(&stage);
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

static void run_all(void)
{
    static const struct { const char *name; void (*run)(int); int argument; } tests[] = {
        { "two pipes, read and read", pipes_read, 0 },
        { "two pipes, write and write", pipes_written, 0 },
        { "two pipes, read and at leisure", pipes_well, 0 },
        { "two pipes, write and at leisure", pipes_well, 1 },
        { "two pipes and a third process", pipes_third, 0 },
        { "a forgotten write end", write_end_forgotten, 0 },
        { "a write end that somebody has", write_end_forgotten, 1 },
        { "poll and poll", polls, 0 },
        { "select and select", polls, 1 },
        { "epoll and epoll", polls, 2 },
        { "poll and a poll with a limit", polls_well, 0 },
        { "select and a poll with a limit", polls_well, 1 },
        { "epoll and a poll with a limit", polls_well, 2 },
        { "a socket with a limit", socket_time_limit, 0 },
        { "a server", server, 0 },
        { "flock", file_locks, 0 },
        { "locks of descriptions", file_locks, 2 },
        { "flock of one at leisure", file_locks_well, 0 },
        { "fcntl of one at leisure", file_locks_well, 1 },
        { "locks of descriptions of one at leisure", file_locks_well, 2 },
        { "an inherited flock", inherited_lock, 0 },
        { "socket and flock", socket_and_lock, 0 },
        { "socket and fcntl", socket_and_lock, 1 },
        { "socket and lock of a description", socket_and_lock, 2 },
        { "mutexes", mutexes, PLAIN },
        { "robust mutexes", mutexes, ROBUST },
        { "socket and inheriting mutex", socket_and_mutex, INHERITING },
        { "socket and robust mutex", socket_and_mutex, ROBUST },
        { "mutexes of one at leisure", mutexes_well, PLAIN },
        { "robust mutexes of one at leisure", mutexes_well, ROBUST },
        { "inheriting mutexes of one at leisure", mutexes_well, INHERITING },
        { "a mutex with a limit", mutex_timed, PLAIN },
        { "a dead owner", dead_owner, 0 },
        { "a thread beside", thread_beside, 0 },
        { "two threads of three", threads, 0 },
        { "a thread at leisure has it", threads, 1 },
        { "parent and child", child, 0 },
        { "two FIFOs being opened", fifos, 0 },
        { "one FIFO being opened", fifos, 1 },
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        frame_run(tests[i].name, tests[i].run, tests[i].argument, 60);
}

int main(int argc, char **argv)
{
    frame_begin("deadlock", argc, argv);
    run_all();
    if (geteuid() == 0) {
        frame_run("a holder that is hidden", hidden, 0, 60);
        frame_run("a holder that root sees", hidden, 1, 60);
    } else {
        frame_skip("a holder that is hidden", "only root can be another user");
    }
    return frame_end();
}
