/* SPDX-License-Identifier: MIT */
/* Looks by BPF: that they say what looks by /proc say, what they say beyond it, and that each part may be missing. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alike.h"
#include "inspect/kernel.h"
#include "look.h"
#include "stage.h"

#define MANY 400 /* watches: more than the program tells of */

/* ---- A process that has one of everything ------------------------------------------------------------------ */

static void fill(int fd, int packets)
{
    while (packets--)
        MUST(write(fd, "x", 1) == 1, "write: %s", strerror(errno));
}

static void make_pipes(void)
{
    int ends[2];
    MUST(pipe2(ends, O_CLOEXEC | O_NONBLOCK | O_DIRECT) == 0, "pipe2");
    while (write(ends[1], "full", 4) == 4)
        ;
    MUST(pipe2(ends, O_CLOEXEC | O_DIRECT) == 0 && fcntl(ends[0], F_SETPIPE_SZ, 1 << 20) >= 0, "pipe2");
    fill(ends[1], 100);
    MUST(pipe2(ends, 0) == 0 && dup(ends[0]) >= 0 && close(ends[1]) == 0, "pipe2");
}

static void make_sets(void)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    int set = epoll_create1(EPOLL_CLOEXEC), large = epoll_create1(0), empty = epoll_create1(0), pair[2];
    MUST(set >= 0 && large >= 0 && empty >= 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0, "epoll_create1");
    const int watched[] = { large, pair[0], timerfd_create(CLOCK_MONOTONIC, 0), eventfd(3, 0), pair[1] };
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        MUST(epoll_ctl(set, EPOLL_CTL_ADD, watched[i], &event) == 0, "epoll_ctl");
    MUST(dup(pair[1]) >= 0 && dup2(pair[0], pair[1]) == pair[1], "dup2");
    for (int i = 0; i < MANY; i++)
        MUST(epoll_ctl(large, EPOLL_CTL_ADD, dup(pair[0]), &event) == 0, "epoll_ctl");
}

static void make_files(void)
{
    char path[200];
    snprintf(path, sizeof path, "%s/fifo", frame_directory());
    MUST(mkfifo(path, 0640) == 0 && open(path, O_RDWR) >= 0 && open(path, O_RDWR) >= 0, "mkfifo");
    MUST(open(path, O_PATH) >= 0, "open");
    snprintf(path, sizeof path, "%s/shm", frame_directory());
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    MUST(fd >= 0 && ftruncate(fd, 4096) == 0 && flock(fd, LOCK_EX) == 0, "open");
    MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED, "mmap");
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal >= 0)
        MUST(grantpt(terminal) == 0 && unlockpt(terminal) == 0 && open(ptsname(terminal), O_RDWR | O_NOCTTY) >= 0,
             "a terminal");
    MUST(open("/dev/null", O_RDWR) >= 0 && open("/", O_RDONLY) >= 0 && socket(AF_NETLINK, SOCK_RAW, 0) >= 0, "open");
}

static void make_memory(int segment)
{
    char name[64];
    snprintf(name, sizeof name, "/%s", frame_mark());
    int named = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0644), memory = memfd_create("a\nmemory", 0);
    MUST(named >= 0 && ftruncate(named, 8192) == 0 && memory >= 0 && ftruncate(memory, 4096) == 0, "shm_open");
    MUST(mmap(NULL, 8192, PROT_READ, MAP_SHARED, named, 0) != MAP_FAILED, "mmap");
    MUST(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, memory, 0) != MAP_FAILED, "mmap");
    MUST(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "mmap");
    MUST(shmat(segment, NULL, SHM_RDONLY) != (void *)-1, "shmat");
    mqd_t queue = mq_open(name, O_RDONLY | O_CREAT, 0600, &(struct mq_attr){ .mq_maxmsg = 3, .mq_msgsize = 10 });
    MUST(queue >= 0 || errno == ENOSYS, "mq_open: %s", strerror(errno));
}

static void say(int to, pid_t pid)
{
    MUST(write(to, &pid, sizeof pid) == sizeof pid, "write");
}

static pid_t hear(int from)
{
    pid_t pid;
    MUST(read(from, &pid, sizeof pid) == sizeof pid, "a process did not come so far");
    return pid;
}

static int told[2];

static _Noreturn void have_everything(int segment)
{
    make_pipes();
    make_sets();
    make_files();
    make_memory(segment);
    pid_t heir = fork();
    say(told[1], getpid());
    if (heir == 0) {
        MUST(epoll_create1(0) >= 0 && eventfd(1, 0) >= 0, "epoll_create1");
        say(told[1], 0);
    }
    for (;;)
        pause();
}

static void with_everything(int skipped)
{
    pid_t pids[2];
    int segment = shmget(frame_key(), 4096, IPC_CREAT | IPC_EXCL | 0600);
    char name[200];
    MUST(segment >= 0 && pipe2(told, O_CLOEXEC) == 0, "shmget");
    pid_t child = frame_fork();
    if (child == 0)
        have_everything(segment);
    for (int i = 0, heard = 0; heard < 3; heard++) {
        pid_t pid = hear(told[0]);
        if (pid)
            pids[i++] = pid;
    }
    frame_asleep(pids[0], pids[0]);
    frame_asleep(pids[1], pids[1]);
    kernel_skipped = (unsigned)skipped;
    tong_snapshot *plain = look_for(TONG_LOOK_ALL | TONG_LOOK_PLAINLY), *snapshot = look();
    MUST(is_by_kernel(snapshot) && !is_by_kernel(plain), "each its own way");
    alike(snapshot, plain, pids, 2);
    tong_snapshot_free(snapshot);
    tong_snapshot_free(plain);
    MUST(kill(pids[0] == child ? pids[1] : pids[0], SIGKILL) == 0, "kill");
    frame_kill(child);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    shmctl(segment, IPC_RMID, NULL);
    snprintf(name, sizeof name, "/%s", frame_mark());
    shm_unlink(name);
    mq_unlink(name);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", frame_directory(), i ? "fifo" : "shm");
        unlink(name);
        close(told[i]);
    }
}

/* ---- What it says beyond /proc ----------------------------------------------------------------------------- */

/* A thread with descriptors of its own. */
static void *own_descriptors(void *unused)
{
    int ends[2];
    struct stat status;
    MUST(unshare(CLONE_FILES) == 0 && pipe2(ends, O_CLOEXEC) == 0 && fstat(ends[1], &status) == 0, "unshare");
    say(told[1], (pid_t)status.st_ino);
    for (;;)
        pause();
    return unused;
}

static void test_thread(int unused)
{
    (void)unused;
    char key[24];
    pthread_t thread;
    MUST(pipe2(told, O_CLOEXEC) == 0, "pipe2");
    pid_t child = frame_fork();
    if (child == 0) {
        MUST(pthread_create(&thread, NULL, own_descriptors, NULL) == 0, "pthread_create");
        for (;;)
            pause();
    }
    snprintf(key, sizeof key, "%u", (unsigned)hear(told[0]));
    tong_snapshot *snapshot = look();
    uint32_t object = graph_find_object(snapshot, TONG_KIND_PIPE, key);
    MUST(object != TONG_NOBODY, "no pipe %s", key);
    size_t first;
    GIVES(tong_snapshot_ends_of(snapshot, object, &first), 2);
    uint32_t directions = 0;
    for (size_t i = first; i < first + 2; i++) {
        const tong_end *end = tong_snapshot_end(snapshot, i);
        GIVES(tong_snapshot_process(snapshot, end->process)->pid, child);
        GIVES(end->fd, -1);
        directions += end->direction;
    }
    GIVES(directions, TONG_SEND + TONG_RECEIVE);
    tong_snapshot_free(snapshot);
    frame_kill(child);
    close(told[0]);
    close(told[1]);
}

/* Of two writers one lies in a socket, on its way to somebody: /proc sees only that there is another. */
static void test_hidden(int unused)
{
    (void)unused;
    size_t number;
    char path[64];
    int ends[2], sockets[2];
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    struct iovec span = { path, 1 };
    struct msghdr message = { .msg_iov = &span, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof control };
    MUST(pipe2(ends, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0, "pipe2");
    tong_snapshot *snapshot = look();
    GIVES(behind(snapshot, getpid(), ends[0], &number)->flags & TONG_OBJECT_HIDDEN_ENDS, 0);
    tong_snapshot_free(snapshot);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    int other = open(path, O_WRONLY | O_CLOEXEC);
    memcpy(CMSG_DATA(&control.head), &other, sizeof other);
    MUST(other >= 0 && sendmsg(sockets[0], &message, 0) == 1 && close(other) == 0, "sendmsg: %s", strerror(errno));
    snapshot = look();
    MUST(behind(snapshot, getpid(), ends[0], &number)->flags & TONG_OBJECT_HIDDEN_ENDS, "there is a writer somewhere");
    MUST(gap_count(snapshot, "some ends of objects"), "and that is a gap");
    tong_snapshot_free(snapshot);
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(sockets[i]);
    }
}

static void change(const struct stage *stage, short by)
{
    struct sembuf operation = { 0, by, SEM_UNDO };
    OK(semop(stage->set, &operation, 1));
}

static void take_and_idle(struct stage *stage)
{
    change(stage, -1);
    stage_meet(stage, 1);
    stage_idle(stage);
}

static void take_second(struct stage *stage)
{
    struct sembuf operation = { 1, -1, 0 };
    change(stage, -1);
    stage_meet(stage, 3);
    semop(stage->set, &operation, 1);
}

static void take_third(struct stage *stage)
{
    struct sembuf operation = { 1, -1, SEM_UNDO };
    OK(semop(stage->set, &operation, 1));
    stage_meet(stage, 3);
    change(stage, -1);
}

#ifdef SYS_semtimedop
#define SEMOP SYS_semtimedop /* libc's semop() too */
#else
#define SEMOP SYS_semop
#endif

/* Two hold a counter of two: the one who took it last is stuck with who waits for it, but the other is at leisure. */
static void test_two_holders(int unused)
{
    (void)unused;
    struct stage stage;
    unsigned short values[] = { 2, 1 };
    stage_begin(&stage);
    stage.set = (int)OK(semget(frame_key(), 2, IPC_CREAT | IPC_EXCL | 0600));
    OK(semctl(stage.set, 0, SETALL, values));
    stage_act(&stage, take_and_idle, SYS_clock_nanosleep);
    stage_start(&stage, take_second);
    stage_start(&stage, take_third);
    stage_asleep(&stage, 1, SEMOP);
    stage_asleep(&stage, 2, SEMOP);
    stage_quiet(&stage);
    stage_dismiss(&stage);
    semctl(stage.set, 0, IPC_RMID);
    stage_end(&stage);
}

/* ---- Other namespaces -------------------------------------------------------------------------------------- */

static int go[2];

static _Noreturn void look_from_below(void)
{
    size_t number;
    hear(go[0]);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("proc", "/proc", "proc", 0, NULL) == 0) {
        tong_snapshot *snapshot = look();
        MUST(is_by_kernel(snapshot), "by BPF, too");
        MUST(behind(snapshot, 1, told[1], &number)->kind == TONG_KIND_PIPE, "it sees itself as 1");
        GIVES(tong_snapshot_processes(snapshot), 1);
        tong_snapshot_free(snapshot);
    }
    _exit(0);
}

/* Its child is the first process of the namespace. */
static _Noreturn void begin_below(void)
{
    pid_t inner = unshare(CLONE_NEWPID | CLONE_NEWNS) < 0 ? 0 : frame_fork();
    if (inner == 0 && getpid() == 1)
        look_from_below();
    say(told[1], inner);
    if (inner)
        frame_join(inner);
    _exit(0);
}

/* Who is in a pid namespace below ours is seen, under its number here; and who looks from there sees its own. */
static void test_below(int unused)
{
    (void)unused;
    size_t number, same;
    MUST(pipe(told) == 0 && pipe(go) == 0, "pipe");
    pid_t child = frame_fork();
    if (child == 0)
        begin_below();
    pid_t inner = hear(told[0]);
    tong_snapshot *snapshot = look();
    MUST(!inner || behind(snapshot, inner, told[0], &number) == behind(snapshot, getpid(), told[0], &same),
         "it has the same pipe");
    for (size_t i = 0; i < tong_snapshot_processes(snapshot) && inner; i++)
        if (tong_snapshot_process(snapshot, i)->pid == inner)
            GIVES(tong_snapshot_process(snapshot, i)->inner_pid, 1);
    tong_snapshot_free(snapshot);
    say(go[1], 1);
    frame_join(child);
    for (int i = 0; i < 2; i++) {
        close(told[i]);
        close(go[i]);
    }
}

/* ---- When it is used --------------------------------------------------------------------------------------- */

static void test_tiers(int unused)
{
    (void)unused;
    tong_snapshot *plain = look_for(TONG_LOOK_PLAINLY), *first = look_for(0), *second = look_for(0);
    MUST(!is_by_kernel(plain) && !plain->kernel, "who wants it plainly gets it so");
    MUST(is_by_kernel(first) && first->kernel == second->kernel, "a second look finds the programs loaded");
    tong_snapshot_free(plain);
    tong_snapshot_free(first);
    pid_t child = frame_fork();
    if (child == 0) {
        tong_snapshot *own = look_for(0);
        MUST(own->kernel == second->kernel, "a child uses what it inherited");
        tong_snapshot_free(second);
        tong_snapshot_free(own);
        _exit(0);
    }
    frame_join(child);
    tong_snapshot_free(second);
}

static bool is_waited_for(const tong_snapshot *snapshot, const char *what)
{
    for (size_t i = 0; i < tong_snapshot_gaps(snapshot); i++)
        if (!strcmp(tong_snapshot_gap(snapshot, i)->what, what))
            return true;
    return false;
}

/* Without the rights there is no error; what nobody can know then is a gap where somebody waits for it. */
static void test_rights(int unused)
{
    (void)unused;
    static const char gap[] = "who holds counters of System V sets with undo";
    struct stage stage;
    unsigned short values[] = { 1, 0 };
    stage_begin(&stage);
    stage.set = (int)OK(semget(frame_key(), 2, IPC_CREAT | IPC_EXCL | 0600));
    OK(semctl(stage.set, 0, SETALL, values));
    atomic_store(&stage.shared->met, 3);
    stage_act(&stage, take_second, SEMOP);
    pid_t child = frame_fork();
    if (child == 0) {
        struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct rights[2];
        tong_snapshot *snapshot = look();
        MUST(!is_waited_for(snapshot, gap), "with BPF it is known");
        tong_snapshot_free(snapshot);
        MUST(syscall(SYS_capget, &head, rights) == 0, "capget");
        rights[0].effective = rights[0].permitted &= ~(UINT32_C(1) << CAP_SYS_ADMIN);
        MUST(syscall(SYS_capset, &head, rights) == 0, "capset: %s", strerror(errno));
        snapshot = look();
        MUST(is_by_kernel(snapshot), "CAP_SYS_ADMIN is not needed");
        tong_snapshot_free(snapshot);
        rights[1].effective = rights[1].permitted &= ~(UINT32_C(3) << (CAP_PERFMON - 32));
        MUST(syscall(SYS_capset, &head, rights) == 0, "capset: %s", strerror(errno));
        snapshot = look();
        MUST(!is_by_kernel(snapshot), "without the rights by /proc");
        MUST(is_waited_for(snapshot, gap), "and what that costs is said");
        tong_snapshot_free(snapshot);
        _exit(0);
    }
    frame_join(child);
    stage_dismiss(&stage);
    semctl(stage.set, 0, IPC_RMID);
    stage_end(&stage);
}

int main(int argc, char **argv)
{
    frame_begin("inspect_kernel", argc, argv);
    if (look_is_by_kernel()) {
        frame_run("the same by BPF and by /proc", with_everything, 0, 60);
        frame_run("the same before Linux 5.17", with_everything, 1, 60);
        frame_run("the same before Linux 5.12", with_everything, 2, 60);
        frame_run("descriptors of a thread", test_thread, 0, 20);
        frame_run("a writer on its way", test_hidden, 0, 20);
        frame_run("two that hold a counter", test_two_holders, 0, 60);
        frame_run("a pid namespace below", test_below, 0, 60);
        frame_run("tiers", test_tiers, 0, 20);
        frame_run("rights", test_rights, 0, 60);
    } else
        frame_skip("looks by BPF", "not allowed, or this kernel cannot");
    return frame_end();
}
