/* SPDX-License-Identifier: MIT */
/*
 * The nth system call of a look failing, for every n, with every error; and the nth allocation.  Each look is one of these:
 * the same as without the fault; less, and a gap says so; or an error in words.  Nothing of it is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "count.h"
#include "look.h"
#include "sys/sys.h"
#include "world.h"

#define PICTURE (1 << 20)
#define STRUCTURE "/tmp/structure"

/* ---- Allocations: the linker gives us those of the library (--wrap) -------------------------------------------- */

static long blocks, allocations, fails_at_allocation = -1;

static bool is_refused(void)
{
    return allocations++ == fails_at_allocation;
}

static void *counted(void *block)
{
    blocks += block != NULL;
    return block;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (is_refused())
        return NULL;
    return block ? __real_realloc(block, size) : counted(__real_realloc(block, size));
}

void __wrap_free(void *block)
{
    blocks -= block != NULL;
    __real_free(block);
}

/* ---- A picture of all that a look saw ------------------------------------------------------------------------------ */

static char *picture;
static size_t drawn;

static void __attribute__((format(printf, 1, 2))) draw(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    drawn += (size_t)vsnprintf(picture + drawn, PICTURE - drawn, format, arguments);
    va_end(arguments);
    MUST(drawn < PICTURE, "the picture is too large");
}

/* Locks are the whole machine's, and come and go.  What /proc never tells is a gap only of who was seen to wait, and that
 * there are more ends, of what was seen: where less is seen, that becomes fewer, which tells nobody of it. */
static bool is_steady(const tong_gap *gap)
{
    return !strstr(gap->what, "locks of open file") && !strstr(gap->what, "with undo") &&
           !strstr(gap->what, "some ends of objects");
}

static uint32_t gaps_of(const tong_snapshot *snapshot)
{
    uint32_t count = 0;
    for (size_t i = 0; i < tong_snapshot_gaps(snapshot); i++)
        if (is_steady(tong_snapshot_gap(snapshot, i)))
            count += tong_snapshot_gap(snapshot, i)->count;
    return count;
}

static bool is_others(const tong_object *object)
{
    return object->kind == TONG_KIND_LOCK && !*object->name;
}

static const char *key_of(const tong_snapshot *snapshot, uint32_t object)
{
    return object == TONG_NOBODY ? "" : tong_snapshot_object(snapshot, object)->key;
}

static void draw_all(const tong_snapshot *snapshot)
{
    const tong_process *process;
    const tong_object *object;
    const tong_end *end;
    const tong_wait_seen *wait;
    const tong_finding *finding;
    drawn = 0;
    for (size_t i = 0; (process = tong_snapshot_process(snapshot, i)); i++)
        draw("process %lld %x %llu %s: %s, %llx %llu\n", (long long)process->pid, process->flags,
             (unsigned long long)process->start_time, process->name, process->command,
             (unsigned long long)process->signals_caught, (unsigned long long)process->namespaces[0]);
    for (size_t i = 0; (object = tong_snapshot_object(snapshot, i)); i++)
        if (!is_others(object))
            draw("object %s %s %s (%s) %x %u [%s] %llu/%llu %llu: %s\n", tong_kind_name(object->kind), object->key,
                 object->name, object->address, object->flags, object->mode, key_of(snapshot, object->peer),
                 (unsigned long long)object->depth, (unsigned long long)object->capacity,
                 (unsigned long long)object->messages, object->detail);
    for (size_t i = 0; (end = tong_snapshot_end(snapshot, i)); i++)
        draw("end %s %u %d %x %u %u %d\n", key_of(snapshot, end->object), end->process, end->fd, end->flags,
             end->direction, end->flags & TONG_END_WAITS ? 1 : end->count, end->description != 0);
    for (size_t i = 0; (wait = tong_snapshot_wait(snapshot, i)); i++)
        draw("wait %u %lld [%s] %x %s %s\n", wait->process, (long long)wait->thread, key_of(snapshot, wait->object),
             wait->flags, wait->operation, wait->detail);
    for (size_t i = 0; (finding = tong_snapshot_finding(snapshot, i)); i++)
        draw("finding %u %u %s\n", finding->kind, finding->certainty, finding->summary);
}

/* The first line that is not the same. */
static const char *difference(const char *before, const char *after)
{
    static char words[1200];
    const char *b = before, *a = after;
    for (size_t i = 0; before[i] && before[i] == after[i]; i++)
        if (before[i] == '\n') {
            b = before + i + 1;
            a = after + i + 1;
        }
    snprintf(words, sizeof words, "'%.*s' became '%.*s'", (int)(strcspn(b, "\n") < 500 ? strcspn(b, "\n") : 500), b,
             (int)(strcspn(a, "\n") < 500 ? strcspn(a, "\n") : 500), a);
    return words;
}

/* ---- Something of every kind ---------------------------------------------------------------------------------------- */

static void ignore(int number)
{
    (void)number;
}

static void act(int *pipe_ends)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sigaction action = { .sa_handler = ignore };
    sigaction(SIGUSR1, &action, NULL);
    struct epoll_event event = { .events = EPOLLIN };
    int set = epoll_create1(EPOLL_CLOEXEC), counter = eventfd(3, EFD_CLOEXEC), ends[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event) == 0, "set");
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, counter, &(struct epoll_event){ .events = EPOLLOUT }) == 0, "epoll_ctl");
    int file = open(STRUCTURE, O_RDWR | O_CREAT, 0600);
    MUST(flock(file, LOCK_EX) == 0 && ftruncate(file, 4096) == 0, "flock");
    MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED, "mmap");
    char byte;
    MUST(read(pipe_ends[0], &byte, 1) == 1, "read");
    _exit(0);
}

static void wait_for_lock(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int file = open(STRUCTURE, O_RDWR | O_CREAT, 0600);
    _exit(flock(file, LOCK_EX));
}

static void open_fifo(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(open("/tmp/fifo", O_RDONLY));
}

static void wait_for_set(int set)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct sembuf take = { 0, -1, 0 };
    _exit(semop(set, &take, 1));
}

/* The pipe is their only link, so that the reader waits for ever. */
static void people(void)
{
    static int ends[2];
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "/tmp/left" };
    tong_channel *sender;
    pid_t pid[5];
    MUST(pipe(ends) == 0 && mkfifo("/tmp/fifo", 0600) == 0, "pipe");
    int set = semget(IPC_PRIVATE, 2, 0600), memory = shmget(IPC_PRIVATE, 4096, 0600);
    MUST(set >= 0 && memory >= 0 && shmat(memory, NULL, 0) != (void *)-1, "shmat");
    MUST(sem_open("/named", O_CREAT, 0600, 1) != SEM_FAILED, "sem_open");
    int left = socket(AF_UNIX, SOCK_STREAM, 0);
    MUST(bind(left, (struct sockaddr *)&name, sizeof name) == 0 && close(left) == 0, "bind");
    if ((pid[4] = frame_fork()) == 0) {
        OK(tong_channel_open("shm:dead", TONG_SEND, TONG_FOREVER, &sender));
        _exit(0);
    }
    frame_join(pid[4]);
    if ((pid[0] = frame_fork()) == 0)
        act(ends);
    frame_asleep(pid[0], pid[0]);
    if ((pid[1] = frame_fork()) == 0)
        wait_for_lock();
    if ((pid[2] = frame_fork()) == 0)
        open_fifo();
    if ((pid[3] = frame_fork()) == 0)
        wait_for_set(set);
    close(ends[0]);
    close(ends[1]);
    for (int i = 0; i < 4; i++)
        frame_asleep(pid[i], pid[i]);
    OK(tong_channel_open("shm:alive", TONG_SEND, TONG_FOREVER, &sender));
}

/* ---- Faults --------------------------------------------------------------------------------------------------------- */

static unsigned calls, fails_at;
static int fails_with;
static const char *failed;

static int fail_one(const char *call)
{
    if (calls++ != fails_at)
        return 0;
    failed = call;
    return fails_with;
}

static long descriptors(void)
{
    long count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static char spoiled[128]; /* what the words are before a look */

/* What is gone may be missing without a word; an error is that which was met. */
static void check(int r, tong_snapshot *snapshot, const char *before, uint32_t gaps)
{
    bool gone = fails_with == -ESRCH || fails_with == -ENOENT;
    if (r < 0) {
        MUST(strcmp(tong_detail(), spoiled), "%s fails with %s: a look fails without words", failed,
             strerrorname_np(-fails_with));
        MUST(r == fails_with || r == -ENOENT, "%s fails with %s: the look with %s", failed, strerrorname_np(-fails_with),
             strerrorname_np(-r));
        MUST(!gone || strstr(tong_detail(), "proc"), "what is gone fails the look: %s (call %u): %s", failed, fails_at,
             tong_detail());
        return;
    }
    draw_all(snapshot);
    MUST(gone || gaps_of(snapshot) > gaps || !strcmp(before, picture), "%s (call %u) fails with %s, and nobody is told: %s",
         failed, fails_at, strerrorname_np(-fails_with), difference(before, picture));
}

static char *take_picture(uint32_t *ret_gaps)
{
    tong_snapshot *snapshot = look();
    draw_all(snapshot);
    *ret_gaps = gaps_of(snapshot);
    tong_snapshot_free(snapshot);
    return strdup(picture);
}

/* Once before, for what libc opens at first use. */
static void test_calls(int error)
{
    tong_snapshot *snapshot = NULL;
    const tong_look asked = look_asked(TONG_LOOK_ALL);
    uint32_t gaps;
    picture = malloc(PICTURE);
    people();
    tong_snapshot *kept = look(); /* and with it what BPF needs */
    char *before = take_picture(&gaps);
    long held = blocks, open_before = descriptors();
    fails_with = error;
    for (fails_at = 0, failed = ""; failed; fails_at++) {
        calls = 0;
        failed = NULL;
        tong_remove("");
        snprintf(spoiled, sizeof spoiled, "%s", tong_detail());
        sys_fault = fail_one;
        int r = tong_snapshot_take(&asked, &snapshot);
        sys_fault = NULL;
        if (failed)
            check(r, snapshot, before, gaps);
        if (r == 0)
            tong_snapshot_free(snapshot);
        MUST(blocks == held, "%s (call %u): %ld blocks of memory are left", failed, fails_at, blocks - held);
        MUST(descriptors() == open_before, "%s (call %u): descriptors are left", failed, fails_at);
    }
    tong_snapshot_free(kept);
    MUST(fails_at > 100, "a look has only %u calls", fails_at);
    printf("     %u calls\n", fails_at);
    fflush(stdout);
}

static void test_allocations(int unused)
{
    (void)unused;
    tong_snapshot *snapshot = NULL;
    const tong_look asked = look_asked(TONG_LOOK_ALL);
    uint32_t gaps;
    int r = -ENOMEM;
    picture = malloc(PICTURE);
    people();
    tong_snapshot *kept = look(); /* and with it what BPF needs */
    free(take_picture(&gaps));
    long held = blocks, open_before = descriptors(), nth;
    for (nth = 0; r < 0; nth++) {
        tong_remove("");
        allocations = 0;
        fails_at_allocation = nth;
        r = tong_snapshot_take(&asked, &snapshot);
        fails_at_allocation = -1;
        MUST(r == -ENOMEM || (r == 0 && allocations <= nth), "allocation %ld fails: the look with %d", nth, r);
        MUST(r == 0 || strstr(tong_detail(), "memory"), "allocation %ld fails: %s", nth, tong_detail());
        if (r == 0)
            tong_snapshot_free(snapshot);
        MUST(blocks == held && descriptors() == open_before, "allocation %ld: something is left", nth);
    }
    tong_snapshot_free(kept);
    MUST(nth > 20, "a look has only %ld allocations", nth);
}

static void in_world(int error)
{
    world_run(error ? test_calls : test_allocations, error);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; int error; } faults[] = {
        { "too many descriptors", -EMFILE }, { "too many files", -ENFILE }, { "no memory in the kernel", -ENOMEM },
        { "not allowed", -EACCES }, { "not permitted", -EPERM }, { "an input error", -EIO }, { "gone", -ESRCH },
        { "no name", -ENOENT }, { "interrupted", -EINTR },
    };
    frame_begin("inspect_fault", argc, argv);
    if (!world_is_possible()) {
        frame_skip("all", "namespaces cannot be made here");
        return frame_end();
    }
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        frame_run(faults[i].name, in_world, faults[i].error, 120);
    frame_run("no memory", in_world, 0, 120);
    return frame_end();
}
