/* SPDX-License-Identifier: MIT */
/* What a trace tells and counts of processes that do each kind of call once, signal, wake, fork and come in crowds. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <tong/trace.h>

#include "look.h"
#include "sys/sys.h"

#define PATIENCE (10 * TONG_SECOND)
#define TEXT "ten bytes."

static atomic_int *go; /* in memory that all children share */

static void must_move(ssize_t moved, ssize_t expected, const char *what)
{
    MUST(moved == expected, "%s gave %zd: %s", what, moved, strerror(errno));
}
#define MOVES(call, expected) must_move(call, expected, #call)

/* A child that acts once it may, having begun without a call that a trace would see. */
static pid_t begin(void (*act)(void))
{
    atomic_store(go, 0);
    pid_t child = frame_fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (!atomic_load(go))
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    act();
    _exit(0);
}

static tong_trace *start(pid_t pid, uint32_t flags, uint32_t content)
{
    int64_t number = pid;
    tong_trace *trace;
    tong_trace_options options = TONG_TRACE_OPTIONS_INIT;
    options.flags = flags;
    options.pids = &number;
    options.pid_count = 1;
    options.content = content;
    OK(tong_trace_start(&options, &trace));
    return trace;
}

/* ---- Each call once ---------------------------------------------------------------------------------------- */

static void act_pipe(void)
{
    int ends[2], others[2];
    char text[64];
    struct iovec spans[2] = { { (void *)(uintptr_t)TEXT, 4 }, { (void *)((uintptr_t)TEXT + 4), 6 } };
    struct iovec into[2] = { { text, 3 }, { text + 3, 20 } };
    MOVES(pipe(ends), 0);
    MOVES(pipe(others), 0);
    MOVES(write(ends[1], TEXT, 10), 10);
    MOVES(read(ends[0], text, sizeof text), 10);
    MOVES(writev(ends[1], spans, 2), 10);
    MOVES(readv(ends[0], into, 2), 10);
    MOVES(write(ends[1], TEXT, 7), 7);
    MOVES(tee(ends[0], others[1], 7, 0), 7);
    MOVES(splice(ends[0], NULL, others[1], NULL, 5, 0), 5);
    MOVES(vmsplice(others[1], spans, 1, 0), 4);
}

static void act_sockets(void)
{
    int pair[2];
    char text[64];
    struct iovec span = { (void *)(uintptr_t)TEXT, 10 }, into = { text, sizeof text };
    struct mmsghdr many[3] = { 0 };
    MOVES(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    for (int i = 0; i < 3; i++)
        many[i].msg_hdr = (struct msghdr){ .msg_iov = &span, .msg_iovlen = 1 };
    MOVES(sendmmsg(pair[0], many, 3, 0), 3);
    MOVES(recv(pair[1], text, sizeof text, MSG_PEEK), 10); /* which takes nothing */
    MOVES(recv(pair[1], text, sizeof text, 0), 10);
    for (int i = 0; i < 3; i++)
        many[i].msg_hdr = (struct msghdr){ .msg_iov = &into, .msg_iovlen = 1 };
    MOVES(recvmmsg(pair[1], many, 3, MSG_DONTWAIT, NULL), 2);
    struct msghdr header = { .msg_iov = &span, .msg_iovlen = 1 };
    MOVES(sendmsg(pair[0], &header, 0), 10);
    header.msg_iov = &into;
    MOVES(recvmsg(pair[1], &header, 0), 10);
    MOVES(send(pair[0], "", 0, 0), 0);
}

/* One connection, or two bound sockets, at loopback. */
static void act_internet(int type)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    char text[64];
    int server = socket(AF_INET, type, 0), client = socket(AF_INET, type, 0);
    MOVES(bind(server, (struct sockaddr *)&address, sizeof address), 0);
    MOVES(getsockname(server, (struct sockaddr *)&address, &size), 0);
    if (type == SOCK_STREAM)
        MOVES(listen(server, 1), 0);
    MOVES(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    server = type == SOCK_STREAM ? accept(server, NULL, NULL) : server;
    MOVES(send(client, TEXT, 10, 0), 10);
    MOVES(recv(server, text, sizeof text, 0), 10);
}

static void act_tcp(void)
{
    act_internet(SOCK_STREAM);
}

static void act_udp(void)
{
    act_internet(SOCK_DGRAM);
}

static void act_queues(void)
{
    struct { long type; char text[16]; } message = { 1, TEXT };
    char text[64];
    int queue = msgget(IPC_PRIVATE, 0600);
    MOVES(msgsnd(queue, &message, 10, 0), 0);
    MOVES(msgrcv(queue, &message, sizeof message.text, 0, 0), 10);
    MOVES(msgctl(queue, IPC_RMID, NULL), 0);
    snprintf(text, sizeof text, "/%s", frame_mark());
    struct mq_attr attributes = { .mq_maxmsg = 2, .mq_msgsize = 64 };
    mqd_t posix = mq_open(text, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    mq_unlink(text);
    MOVES(mq_send(posix, TEXT, 10, 1), 0);
    MOVES(mq_receive(posix, text, sizeof text, NULL), 10);
}

static void act_counters(void)
{
    int counter = eventfd(0, 0), set = semget(IPC_PRIVATE, 1, 0600);
    uint64_t value = 3;
    struct sembuf up = { 0, 1, 0 }, down = { 0, -1, 0 };
    MOVES(write(counter, &value, 8), 8);
    MOVES(read(counter, &value, 8), 8);
    MOVES(syscall(SYS_semtimedop, set, &up, 1, NULL), 0); /* which semop(3) may be, or not */
    MOVES(syscall(SYS_semtimedop, set, &down, 1, NULL), 0);
    MOVES(semctl(set, 0, IPC_RMID), 0);
}

static void act_terminal(void)
{
    char text[64];
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    MOVES(grantpt(master) | unlockpt(master), 0);
    int slave = open(ptsname_r(master, text, sizeof text) ? "" : text, O_RDWR | O_NOCTTY);
    MOVES(write(slave, "five.", 5), 5);
    MOVES(read(master, text, sizeof text), 5);
}

/* A file is told of only where files are asked for: here what is taken from it is not. */
static void act_file(void)
{
    int ends[2], file = memfd_create("trace", 0);
    MOVES(pipe(ends), 0);
    MOVES(pwrite(file, TEXT, 10, 0), 10);
    MOVES(sendfile(ends[1], file, &(off_t){ 0 }, 10), 10);
}

static const struct step {
    void (*act)(void);
    const char *operation;
    uint32_t kind, direction;
    uint64_t messages, bytes;
    bool has_content;
} steps[] = {
    { act_pipe, "write", TONG_KIND_PIPE, TONG_SEND, 1, 10, true },
    { act_pipe, "read", TONG_KIND_PIPE, TONG_RECEIVE, 1, 10, true },
    { act_pipe, "writev", TONG_KIND_PIPE, TONG_SEND, 1, 10, true },
    { act_pipe, "readv", TONG_KIND_PIPE, TONG_RECEIVE, 1, 10, true },
    { act_pipe, "write", TONG_KIND_PIPE, TONG_SEND, 1, 7, true },
    { act_pipe, "tee", TONG_KIND_PIPE, TONG_SEND, 1, 7, false },
    { act_pipe, "splice", TONG_KIND_PIPE, TONG_SEND, 1, 5, false },
    { act_pipe, "splice", TONG_KIND_PIPE, TONG_RECEIVE, 1, 5, false },
    { act_pipe, "vmsplice", TONG_KIND_PIPE, TONG_SEND, 1, 4, true },
    { act_sockets, "sendmmsg", TONG_KIND_UNIX, TONG_SEND, 3, 30, true },
    { act_sockets, "recvfrom", TONG_KIND_UNIX, TONG_RECEIVE, 1, 10, true },
    { act_sockets, "recvmmsg", TONG_KIND_UNIX, TONG_RECEIVE, 2, 20, true },
    { act_sockets, "sendmsg", TONG_KIND_UNIX, TONG_SEND, 1, 10, true },
    { act_sockets, "recvmsg", TONG_KIND_UNIX, TONG_RECEIVE, 1, 10, true },
    { act_sockets, "sendto", TONG_KIND_UNIX, TONG_SEND, 1, 0, false },
    { act_tcp, "sendto", TONG_KIND_TCP, TONG_SEND, 1, 10, true },
    { act_tcp, "recvfrom", TONG_KIND_TCP, TONG_RECEIVE, 1, 10, true },
    { act_udp, "sendto", TONG_KIND_UDP, TONG_SEND, 1, 10, true },
    { act_udp, "recvfrom", TONG_KIND_UDP, TONG_RECEIVE, 1, 10, true },
    { act_queues, "msgsnd", TONG_KIND_MSGQ, TONG_SEND, 1, 10, true },
    { act_queues, "msgrcv", TONG_KIND_MSGQ, TONG_RECEIVE, 1, 10, true },
    { act_queues, "mq_timedsend", TONG_KIND_MQ, TONG_SEND, 1, 10, true },
    { act_queues, "mq_timedreceive", TONG_KIND_MQ, TONG_RECEIVE, 1, 10, true },
    { act_counters, "write", TONG_KIND_EVENTFD, TONG_SEND, 1, 8, false },
    { act_counters, "read", TONG_KIND_EVENTFD, TONG_RECEIVE, 1, 8, false },
    { act_counters, "semtimedop", TONG_KIND_SYSVSEM, TONG_SEND, 1, 0, false },
    { act_counters, "semtimedop", TONG_KIND_SYSVSEM, TONG_RECEIVE, 1, 0, false },
    { act_terminal, "write", TONG_KIND_PTY, TONG_SEND, 1, 5, false },
    { act_terminal, "read", TONG_KIND_PTY, TONG_RECEIVE, 1, 5, false },
    { act_file, "sendfile", TONG_KIND_PIPE, TONG_SEND, 1, 10, false },
};

#define STEPS (sizeof steps / sizeof *steps)

static void check_message(const struct step *step, const tong_trace_event *event, pid_t child)
{
    const char *seen = tong_kind_name(event->object.kind);
    MUST(!strcmp(event->operation, step->operation) && event->object.kind == step->kind &&
         event->direction == step->direction, "%s of a %s came instead of %s", event->operation, seen, step->operation);
    MUST(event->messages == step->messages && event->bytes == step->bytes, "%s of a %s: %llu messages, %llu bytes",
         event->operation, seen, (unsigned long long)event->messages, (unsigned long long)event->bytes);
    MUST(event->pid == child && event->thread == child && event->time > 0, "%lld did it", (long long)event->pid);
    if (step->has_content)
        MUST(event->content_size == (step->bytes < 10 ? step->bytes : 10) &&
             !memcmp(event->content, TEXT, event->content_size), "%s: content of %zu bytes", event->operation,
             event->content_size);
}

/* Exactly these, in this order; then the child ends. */
static void test_calls(int first)
{
    size_t at = (size_t)first;
    const tong_trace_event *event;
    uint64_t bytes = 0, counted = 0;
    pid_t child = begin(steps[first].act);
    tong_trace *trace = start(child, TONG_TRACE_EVENTS, 64);
    atomic_store(go, 1);
    for (OK(tong_trace_next(trace, PATIENCE, &event)); event->kind != TONG_TRACE_END; at++) {
        MUST(at < STEPS && steps[at].act == steps[first].act, "%s besides", event->operation);
        check_message(&steps[at], event, child);
        bytes += event->bytes;
        OK(tong_trace_next(trace, PATIENCE, &event));
    }
    MUST(at == STEPS || steps[at].act != steps[first].act, "no %s", steps[at].operation);
    GIVES(event->pid, child);
    ssize_t count = OK(tong_trace_read_counts(trace));
    for (ssize_t i = 0; i < count; i++) {
        GIVES(tong_trace_count_at(trace, (size_t)i)->pid, child);
        counted += tong_trace_count_at(trace, (size_t)i)->bytes;
    }
    GIVES((int64_t)counted, (int64_t)bytes);
    MUST(!tong_trace_count_at(trace, (size_t)count), "and no more");
    tong_trace_stop(trace);
    frame_join(child);
}

/* ---- Objects -------------------------------------------------------------------------------------------------- */

static int plain[2], chosen[2];

static void act_two_pipes(void)
{
    for (int i = 0; i < 100; i++) {
        MOVES(write(plain[1], TEXT, 10), 10);
        MOVES(write(chosen[1], TEXT, i % 10), i % 10);
    }
}

static tong_trace *start_on(const tong_snapshot *snapshot, size_t object, uint32_t flags)
{
    tong_trace *trace;
    tong_trace_options options = TONG_TRACE_OPTIONS_INIT;
    options.flags = flags;
    options.snapshot = snapshot;
    options.objects = &object;
    options.object_count = 1;
    OK(tong_trace_start(&options, &trace));
    return trace;
}

/* The only count; with the key and kind that the snapshot has. */
static void test_object(int unused)
{
    (void)unused;
    size_t number;
    MOVES(pipe2(plain, O_CLOEXEC) | pipe2(chosen, O_CLOEXEC), 0);
    tong_snapshot *snapshot = look();
    const tong_object *object = behind(snapshot, getpid(), chosen[0], &number);
    pid_t child = begin(act_two_pipes);
    tong_trace *trace = start_on(snapshot, number, 0);
    atomic_store(go, 1);
    frame_join(child);
    GIVES(tong_trace_read_counts(trace), 1);
    const tong_trace_count *count = tong_trace_count_at(trace, 0);
    MUST(count->object.kind == object->kind && !strcmp(count->object.key, object->key), "its key is %s",
         count->object.key);
    MUST(count->pid == child && count->direction == TONG_SEND, "the child sends");
    GIVES((int64_t)count->bytes, 450);
    GIVES((int64_t)count->messages, 90);
    GIVES((int64_t)count->calls, 100);
    tong_trace_stop(trace);
    tong_snapshot_free(snapshot);
    for (int i = 0; i < 2; i++)
        MOVES(close(plain[i]) | close(chosen[i]), 0);
}

static struct sockaddr_un service;
static int listener;

/* A client and a server that did not exist when the trace began. */
static void act_client(void)
{
    char text[16];
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    MOVES(connect(client, (struct sockaddr *)&service, sizeof service), 0);
    MOVES(write(client, TEXT, 10), 10);
    int server = accept(listener, NULL, NULL);
    MOVES(read(server, text, sizeof text), 10);
    MOVES(write(server, TEXT, 4), 4);
    MOVES(read(client, text, sizeof text), 4);
    MOVES(pipe(plain), 0);
    MOVES(write(plain[1], TEXT, 10), 10);
}

static void test_service(int abstract)
{
    size_t number;
    uint64_t sent = 0, received = 0;
    service = (struct sockaddr_un){ .sun_family = AF_UNIX };
    snprintf(service.sun_path + abstract, sizeof service.sun_path - 1, "%s/s", frame_directory());
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MOVES(bind(listener, (struct sockaddr *)&service, sizeof service), 0);
    MOVES(listen(listener, 4), 0);
    tong_snapshot *snapshot = look();
    behind(snapshot, getpid(), listener, &number);
    pid_t child = begin(act_client);
    tong_trace *trace = start_on(snapshot, number, 0);
    atomic_store(go, 1);
    frame_join(child);
    ssize_t rows = OK(tong_trace_read_counts(trace));
    for (ssize_t i = 0; i < rows; i++) {
        const tong_trace_count *count = tong_trace_count_at(trace, (size_t)i);
        GIVES(count->object.kind, TONG_KIND_UNIX);
        *(count->direction == TONG_SEND ? &sent : &received) += count->bytes;
    }
    GIVES((int64_t)sent, 14);
    GIVES((int64_t)received, 14);
    tong_trace_stop(trace);
    tong_snapshot_free(snapshot);
    close(listener);
    if (!abstract)
        unlink(service.sun_path);
}

/* A word in shared memory, found by the file that it lies in. */
static void act_futex(void)
{
    syscall(SYS_futex, &go[1], FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void test_word(int unused)
{
    (void)unused;
    const tong_trace_event *next;
    atomic_store(&go[1], 0);
    pid_t child = begin(act_futex);
    tong_trace *trace = start(child, TONG_TRACE_EVENTS, 0);
    atomic_store(go, 1);
    while (syscall(SYS_futex, &go[1], FUTEX_WAKE, 1, NULL, NULL, 0) != 1)
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    OK(tong_trace_next(trace, PATIENCE, &next));
    const tong_trace_event event = *next;
    tong_snapshot *snapshot = look();
    bool mapped = false;
    for (size_t i = 0; i < tong_snapshot_objects(snapshot); i++) {
        const tong_object *object = tong_snapshot_object(snapshot, i);
        mapped |= object->device == event.object.device && object->inode == event.object.inode;
    }
    tong_snapshot_free(snapshot);
    tong_trace_stop(trace);
    frame_join(child);
    MUST(event.kind == TONG_TRACE_MESSAGE && event.object.kind == TONG_KIND_FUTEX &&
         event.direction == TONG_RECEIVE, "event %u, %s of kind %u", event.kind, event.operation, event.object.kind);
    MUST(mapped, "no object lies at %s", event.object.key);
}

/* ---- Who did what to whom -------------------------------------------------------------------------------------- */

static void act_sleep(void)
{
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    atomic_store(&go[1], 1);
    sigwait(&set, &number);
}

static void act_signal(void)
{
    while (!atomic_load(&go[1]))
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    kill(atomic_load(&go[2]), SIGUSR1);
}

/* The trace itself is no part of what it sees, so that one child has to signal the other. */
static void test_pairs(int unused)
{
    (void)unused;
    const tong_trace_event *event;
    uint64_t woken = 0, signalled = 0;
    atomic_store(&go[1], 0);
    pid_t sleeper = begin(act_sleep), waker = begin(act_signal);
    atomic_store(&go[2], sleeper);
    tong_trace *trace = start(sleeper, TONG_TRACE_SIGNALS | TONG_TRACE_WAKES, 0);
    atomic_store(go, 1);
    do
        OK(tong_trace_next(trace, PATIENCE, &event));
    while (event->kind != TONG_TRACE_SIGNAL || event->signal != SIGUSR1);
    MUST(event->pid == waker && event->other == sleeper && event->code == SI_USER &&
         event->result == TONG_SIGNAL_DELIVERED, "%lld signalled %lld, code %d", (long long)event->pid,
         (long long)event->other, event->code);
    MUST(*event->name && *event->other_name, "both have names");
    frame_join(waker);
    frame_join(sleeper);
    ssize_t rows = OK(tong_trace_read_pairs(trace));
    for (ssize_t i = 0; i < rows; i++) {
        const tong_trace_pair *pair = tong_trace_pair_at(trace, (size_t)i);
        MUST(pair->from != getpid() && pair->to != getpid(), "who traces is not told of");
        bool both = pair->from == waker && pair->to == sleeper;
        woken += both && !pair->signal ? pair->count : 0;
        signalled += both && pair->signal == SIGUSR1 ? pair->count : 0;
    }
    GIVES((int64_t)signalled, 1);
    MUST(woken >= 1, "a signal wakes");
    tong_trace_stop(trace);
}

/* ---- Many ------------------------------------------------------------------------------------------------------ */

static void act_fork(void)
{
    int ends[2];
    MOVES(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        MOVES(write(ends[1], TEXT, 10), 10);
        _exit(0);
    }
    char text[16];
    MOVES(read(ends[0], text, sizeof text), 10);
    frame_join(child);
}

static void test_fork(int follow)
{
    const tong_trace_event *event;
    int64_t heir = 0, ended = 0;
    uint64_t sent = 0, received = 0;
    pid_t child = begin(act_fork);
    tong_trace *trace = start(child, TONG_TRACE_EVENTS | (follow ? TONG_TRACE_FOLLOW : 0), 0);
    atomic_store(go, 1);
    do {
        OK(tong_trace_next(trace, PATIENCE, &event));
        sent += event->direction == TONG_SEND && event->pid == heir ? event->bytes : 0;
        received += event->direction == TONG_RECEIVE && event->pid == child ? event->bytes : 0;
        heir = event->kind == TONG_TRACE_BEGIN ? event->other : heir;
        ended += event->kind == TONG_TRACE_END;
    } while (event->kind != TONG_TRACE_END || event->pid != child);
    GIVES((int64_t)received, 10);
    GIVES((int64_t)sent, follow ? 10 : 0);
    GIVES(ended, follow ? 2 : 1);
    tong_trace_stop(trace);
    frame_join(child);
}

#define CROWD 1000

static void act_crowd(void)
{
    int ends[2];
    char text[16];
    MOVES(pipe(ends), 0);
    for (int i = 0; i < CROWD; i++) {
        pid_t child = fork();
        if (child == 0) {
            MOVES(write(ends[1], TEXT, 10), 10);
            _exit(0);
        }
        MOVES(read(ends[0], text, sizeof text), 10);
        frame_join(child);
    }
}

/* Nobody is there any more when they are asked about. */
static void test_crowd(int unused)
{
    (void)unused;
    uint64_t sent = 0, received = 0, senders = 0;
    pid_t child = begin(act_crowd);
    tong_trace *trace = start(child, TONG_TRACE_FOLLOW, 0);
    atomic_store(go, 1);
    frame_join(child);
    ssize_t rows = OK(tong_trace_read_counts(trace));
    for (ssize_t i = 0; i < rows; i++) {
        const tong_trace_count *count = tong_trace_count_at(trace, (size_t)i);
        *(count->direction == TONG_SEND ? &sent : &received) += count->bytes;
        senders += count->direction == TONG_SEND;
        MUST(*count->name, "each has a name");
    }
    GIVES((int64_t)sent, 10 * CROWD);
    GIVES((int64_t)received, 10 * CROWD);
    GIVES((int64_t)senders, CROWD);
    tong_trace_stop(trace);
}

/* More counts than the kernel has room for, not faster than somebody can take them out. */
#define PIPES 600
#define GENERATIONS 40

static void act_generations(void)
{
    static int ends[PIPES][2];
    for (int i = 0; i < PIPES; i++)
        MOVES(pipe(ends[i]), 0);
    for (int k = 0; k < GENERATIONS; k++) {
        while (atomic_load(go) <= k)
            nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
        pid_t child = fork();
        for (int i = 0; child == 0 && i < PIPES; i++)
            MOVES(write(ends[i][1], "x", 1), 1);
        if (child == 0)
            _exit(0);
        frame_join(child);
    }
}

static void test_room(int unused)
{
    (void)unused;
    uint64_t sent = 0;
    const tong_trace_event *event;
    tong_trace_losses lost = TONG_TRACE_LOSSES_INIT;
    pid_t child = begin(act_generations);
    tong_trace *trace = start(child, TONG_TRACE_FOLLOW, 0);
    atomic_store(go, 1);
    do {
        OK(tong_trace_next(trace, PATIENCE, &event));
        atomic_fetch_add(go, event->kind == TONG_TRACE_END);
    } while (event->kind != TONG_TRACE_END || event->pid != child);
    frame_join(child);
    ssize_t rows = OK(tong_trace_read_counts(trace));
    for (ssize_t i = 0; i < rows; i++)
        sent += tong_trace_count_at(trace, (size_t)i)->messages;
    OK(tong_trace_lost(trace, &lost));
    GIVES((int64_t)(sent + lost.messages), PIPES * GENERATIONS);
    GIVES((int64_t)lost.messages, 0);
    tong_trace_stop(trace);
}

static unsigned barriers;

static int count_barriers(const char *call)
{
    barriers += !strcmp(call, "membarrier");
    return 0;
}

/* Counts for which there was no room are no counts that could be taken out: who has once been short of room is not for
 * ever. */
static void test_overflow(int unused)
{
    (void)unused;
    uint64_t sent = 0;
    tong_trace_losses lost = TONG_TRACE_LOSSES_INIT;
    pid_t child = begin(act_generations);
    tong_trace *trace = start(child, TONG_TRACE_FOLLOW, 0);
    atomic_store(go, GENERATIONS);
    frame_join(child);
    sys_fault = count_barriers;
    ssize_t rows = OK(tong_trace_read_counts(trace));
    for (ssize_t i = 0; i < rows; i++)
        sent += tong_trace_count_at(trace, (size_t)i)->messages;
    OK(tong_trace_lost(trace, &lost));
    GIVES((int64_t)(sent + lost.messages), PIPES * GENERATIONS);
    MUST(lost.messages > 0, "all of it had room");
    GIVES((int64_t)barriers, 1);
    for (int i = 0; i < 3; i++)
        GIVES(tong_trace_read_counts(trace), rows);
    sys_fault = NULL;
    GIVES((int64_t)barriers, 1);
    tong_trace_stop(trace);
}

#define FLOOD 200000

static void act_flood(void)
{
    int null = open("/dev/null", O_WRONLY), counter = eventfd(0, EFD_NONBLOCK);
    uint64_t one = 1;
    (void)null;
    for (int i = 0; i < FLOOD; i++)
        MOVES(write(counter, &one, 8), 8);
}

/* Who was compiled against an older or a newer library gets no more than both know. */
static void losses_of_others(tong_trace *trace, const tong_trace_losses *lost)
{
    tong_trace_losses older = { .size = offsetof(tong_trace_losses, messages), .messages = 7 };
    struct { tong_trace_losses losses; uint64_t more; } newer = { { .size = sizeof newer }, 7 };
    OK(tong_trace_lost(trace, &older));
    MUST(older.events == lost->events && older.messages == 7, "what an older caller does not know is written");
    OK(tong_trace_lost(trace, &newer.losses));
    MUST(newer.losses.events == lost->events && newer.losses.size == sizeof newer && newer.more == 7, "a newer caller");
    GIVES(tong_trace_lost(trace, &(tong_trace_losses){ .events = 0 }), -EINVAL);
}

/* Nobody takes the events while they come: each is told, or told to be lost, and all are counted. */
static void test_flood(int unused)
{
    (void)unused;
    int64_t told = 0;
    const tong_trace_event *event;
    tong_trace_losses lost = TONG_TRACE_LOSSES_INIT;
    pid_t child = begin(act_flood);
    tong_trace *trace = start(child, TONG_TRACE_EVENTS, 0);
    atomic_store(go, 1);
    frame_join(child);
    while (tong_trace_next(trace, 0, &event) == 0)
        told += event->kind == TONG_TRACE_MESSAGE;
    OK(tong_trace_lost(trace, &lost));
    losses_of_others(trace, &lost);
    GIVES(tong_trace_read_counts(trace), 1);
    GIVES((int64_t)tong_trace_count_at(trace, 0)->messages, FLOOD);
    MUST(lost.events > 0 && told > 0, "%lld told, %llu lost", (long long)told, (unsigned long long)lost.events);
    MUST(told + (int64_t)lost.events - FLOOD <= 1, "%lld told, %llu lost", (long long)told,
         (unsigned long long)lost.events); /* the end may be one of the lost */
    tong_trace_stop(trace);
}

static void test_refusals(int unused)
{
    (void)unused;
    tong_trace *trace;
    const tong_trace_event *event;
    tong_trace_options options = TONG_TRACE_OPTIONS_INIT;
    for (options.size = 0; options.size <= sizeof options - 1; options.size += sizeof options - 1) {
        GIVES(tong_trace_start(&options, &trace), -EINVAL);
        MUST(strstr(tong_detail(), "tong_trace_options.size"), "the words are %s", tong_detail());
    }
    options.size = sizeof options;
    options.flags = 0x80000000;
    GIVES(tong_trace_start(&options, &trace), -EINVAL);
    options.flags = 0;
    options.content = TONG_TRACE_CONTENT_MOST + 1;
    GIVES(tong_trace_start(&options, &trace), -EINVAL);
    options.content = 0;
    options.object_count = 1;
    options.objects = &(size_t){ 0 };
    GIVES(tong_trace_start(&options, &trace), -EINVAL);
    options.object_count = 0;
    pid_t child = frame_fork();
    if (child == 0)
        _exit(0);
    frame_join(child);
    options.pids = &(int64_t){ child };
    options.pid_count = 1;
    GIVES(tong_trace_start(&options, &trace), -ESRCH);
    options.pids = &(int64_t){ getpid() };
    OK(tong_trace_start(&options, &trace));
    GIVES(tong_trace_next(trace, 0, &event), -EAGAIN);
    GIVES(tong_trace_next(trace, 20 * TONG_MILLISECOND, &event), -ETIMEDOUT);
    tong_trace_stop(trace);
}

int main(int argc, char **argv)
{
    frame_begin("inspect_trace", argc, argv);
    go = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    tong_trace *trace;
    tong_trace_options nothing = TONG_TRACE_OPTIONS_INIT;
    int r = tong_trace_start(&nothing, &trace);
    if (r < 0) {
        frame_skip("traces", tong_detail());
        return frame_end();
    }
    tong_trace_stop(trace);
    for (size_t i = 0; i < STEPS; i++)
        if (i == 0 || steps[i].act != steps[i - 1].act) {
            char name[64];
            const char *kind = tong_kind_name(steps[i].kind);
            snprintf(name, sizeof name, "each call, from %s of a %s", steps[i].operation, kind);
            frame_run(name, test_calls, (int)i, 30);
        }
    frame_run("only the chosen object", test_object, 0, 30);
    frame_run("who comes to a service with a path", test_service, 0, 30);
    frame_run("who comes to an abstract service", test_service, 1, 30);
    frame_run("a word of shared memory", test_word, 0, 30);
    frame_run("who signals and wakes whom", test_pairs, 0, 30);
    frame_run("a child is not followed", test_fork, 0, 30);
    frame_run("a child is followed", test_fork, 1, 30);
    frame_run("a thousand short processes", test_crowd, 0, 60);
    frame_run("more counts than there is room for", test_room, 0, 60);
    frame_run("more counts than anybody makes room for", test_overflow, 0, 60);
    frame_run("more events than anybody takes", test_flood, 0, 60);
    frame_run("what is refused", test_refusals, 0, 30);
    return frame_end();
}
