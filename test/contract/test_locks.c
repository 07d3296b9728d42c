/* SPDX-License-Identifier: MIT */
/* Locks, by themselves and of regions: one holder at a time, and none that is dead. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sem.h>
#include <sys/wait.h>

#include "region.h"
#include "third.h"

#define COUNTS 100000

/* Either kind, as one. */
struct locker {
    tong_region *region;
    tong_lock *lock;
};

static int take(const struct locker *locker, int64_t timeout)
{
    return locker->region ? tong_region_lock(locker->region, timeout) : tong_lock_take(locker->lock, timeout);
}

static int give(const struct locker *locker)
{
    return locker->region ? tong_region_unlock(locker->region) : tong_lock_release(locker->lock);
}

static void shut(const struct locker *locker)
{
    OK(locker->region ? tong_region_close(locker->region) : tong_lock_close(locker->lock));
}

static struct locker make(const struct region_row *row)
{
    struct locker locker = { NULL, NULL };
    if (row->has & IS_REGION)
        locker.region = region_make(row);
    else
        OK(tong_lock_open(region_address(row, NULL), &locker.lock));
    return locker;
}

/* Another handle on it: by name, or by a descriptor, which a region without a name has. */
static struct locker again(const struct region_row *row, const struct locker *first)
{
    struct locker locker = { NULL, NULL };
    char address[32];
    if (row->has & IS_LOCK) {
        OK(tong_lock_open(region_address(row, NULL), &locker.lock));
    } else if (row->has & HAS_NAME) {
        locker.region = region_again(row, NULL);
    } else {
        snprintf(address, sizeof address, "fd:%d", fcntl(tong_region_descriptor(first->region), F_DUPFD_CLOEXEC, 60));
        OK(tong_region_open(address, BOTH_WAYS, &locker.region));
    }
    return locker;
}

static void end(const struct region_row *row, const struct locker *locker)
{
    shut(locker);
    if (row->has & HAS_NAME)
        OK(tong_remove(region_address(row, NULL)));
}

/* Children of children that died come to this process. */
static void reap_all(void)
{
    while (waitpid(-1, NULL, 0) > 0)
        continue;
}

static long *shared_numbers(void)
{
    long *numbers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(numbers != MAP_FAILED, "mmap: %s", strerror(errno));
    return numbers;
}

static void wait_for(const volatile long *number, long value)
{
    int64_t deadline = frame_now() + 10 * TONG_SECOND;
    while (*number != value) {
        MUST(frame_now() < deadline, "waited in vain for %ld, there is %ld", value, *number);
        usleep(100);
    }
}

/* ---- One at a time ------------------------------------------------------------------------------------------- */

/* A load and a store, with time to be interrupted in between: without the lock counts are lost.  Each is atomic only
 * because ThreadSanitizer does not know that flock(2) and semop(2) order what is around them. */
static void count(const struct locker *locker, long *number, int times)
{
    for (int i = 0; i < times; i++) {
        OK(take(locker, i % 2 ? TONG_FOREVER : 10 * TONG_SECOND));
        long seen = __atomic_load_n(number, __ATOMIC_RELAXED);
        if (i % 64 == 0)
            sched_yield();
        __atomic_store_n(number, seen + 1, __ATOMIC_RELAXED);
        OK(give(locker));
    }
}

static void test_processes(const struct region_row *row)
{
    long *number = shared_numbers();
    struct locker own = make(row);
    pid_t child = frame_fork();
    if (child == 0) {
        struct locker other = row->has & HAS_NAME ? again(row, NULL) : own;
        count(&other, number, COUNTS / 2);
        shut(&other);
        _exit(0);
    }
    count(&own, number, COUNTS / 2);
    frame_join(child);
    MUST(*number == COUNTS, "%d were counted, %ld are left", COUNTS, *number);
    end(row, &own);
}

struct counting {
    struct locker locker;
    long *number;
};

static void *count_in_thread(void *argument)
{
    struct counting *counting = argument;
    count(&counting->locker, counting->number, 2000);
    return NULL;
}

static void test_threads(const struct region_row *row)
{
    long number = 0;
    struct locker own = make(row);
    struct counting counting[3];
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) {
        counting[i] = (struct counting){ again(row, &own), &number };
        MUST(pthread_create(&thread[i], NULL, count_in_thread, &counting[i]) == 0, "no thread");
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        shut(&counting[i].locker);
    }
    MUST(number == 6000, "6000 were counted, %ld are left", number);
    end(row, &own);
}

/* ---- Rules of a handle ------------------------------------------------------------------------------------------ */

static void *take_in_thread(void *argument)
{
    return (void *)(intptr_t)take(argument, TONG_SECOND);
}

static int64_t thirty_ms_took(const void *locker)
{
    int64_t began = frame_now();
    GIVES(take(locker, 30 * TONG_MILLISECOND), -ETIMEDOUT);
    int64_t took = frame_now() - began;
    MUST(took >= 30 * TONG_MILLISECOND, "30 ms took %lld us", (long long)took / 1000);
    return took;
}

static void test_handle(const struct region_row *row)
{
    struct locker own = make(row), other = again(row, &own);
    pthread_t thread;
    void *result;
    GIVES(give(&own), -EPERM);
    OK(take(&own, 0));
    GIVES(take(&own, 0), -EDEADLK);
    GIVES(take(&own, TONG_FOREVER), -EDEADLK);
    MUST(pthread_create(&thread, NULL, take_in_thread, &own) == 0, "no thread");
    pthread_join(thread, &result);
    GIVES((intptr_t)result, -EDEADLK);
    GIVES(take(&other, 0), -EAGAIN);
    GIVES(give(&other), -EPERM);
    const int64_t bound = (frame_watched() ? 3000 : 300) * TONG_MILLISECOND, took = third_least(bound, thirty_ms_took, &other);
    MUST(took < bound, "30 ms took %lld us", (long long)took / 1000);
    char number[24];
    snprintf(number, sizeof number, "%d", (int)getpid());
    MUST(!strcmp(row->scheme, "sysvsem") || strstr(tong_detail(), number), "who holds it is not said: %s", tong_detail());
    OK(give(&own));
    OK(take(&other, 0));
    shut(&other); /* which gives it back */
    OK(take(&own, 0));
    end(row, &own);
}

static void on_signal(int number)
{
    (void)number;
}

static void test_interrupted(const struct region_row *row)
{
    struct locker own = make(row);
    OK(take(&own, 0));
    pid_t child = frame_fork();
    if (child == 0) {
        struct locker other = row->has & HAS_NAME ? again(row, NULL) : own;
        sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_signal }, NULL);
        GIVES(take(&other, TONG_FOREVER), -EINTR);
        GIVES(take(&other, 10 * TONG_SECOND), -EINTR);
        OK(take(&other, TONG_FOREVER));
        shut(&other);
        _exit(0);
    }
    for (int i = 0; i < 2; i++) {
        usleep(30000);
        frame_asleep(child, child);
        kill(child, SIGUSR1);
    }
    usleep(30000);
    OK(give(&own));
    frame_join(child);
    end(row, &own);
}

/* ---- Death ------------------------------------------------------------------------------------------------------- */

/* The holder, and a child of the holder that lives on: it has copies of all descriptors, and must not have the lock. */
static void hold_until_killed(const struct region_row *row, const struct locker *inherited, volatile long *state)
{
    struct locker own = row->has & HAS_NAME ? again(row, NULL) : *inherited;
    OK(take(&own, TONG_FOREVER));
    pid_t child = fork();
    if (child == 0) {
        state[1] = getpid();
        for (;;)
            pause();
    }
    wait_for(&state[1], child);
    state[0] = 1;
    for (;;)
        pause();
}

static int64_t die_and_take(pid_t holder, const struct locker *own, int64_t timeout)
{
    GIVES(take(own, 0), -EAGAIN);
    int64_t began = frame_now();
    kill(holder, SIGKILL);
    OK(take(own, timeout));
    return frame_now() - began;
}

struct death {
    const struct region_row *row;
    int64_t timeout;
};

static int64_t killed_once(const void *argument)
{
    const struct death *death = argument;
    const struct region_row *row = death->row;
    long *state = shared_numbers();
    struct locker own = make(row);
    pid_t holder = frame_fork();
    if (holder == 0)
        hold_until_killed(row, &own, state);
    wait_for(&state[0], 1);
    int64_t took = die_and_take(holder, &own, death->timeout);
    MUST(kill((pid_t)state[1], 0) == 0, "the holder's child was to live on");
    kill((pid_t)state[1], SIGKILL);
    reap_all();
    munmap(state, 4096);
    end(row, &own);
    return took;
}

static void test_killed(const struct region_row *row)
{
    const int64_t bound = (frame_watched() ? 200 : 10) * TONG_MILLISECOND;
    for (int i = 0; i < 2; i++) {
        int64_t took = third_least(bound, killed_once, &(struct death){ row, i ? TONG_FOREVER : 10 * TONG_SECOND });
        MUST(took < bound, "it came %lld us after the death", (long long)took / 1000);
    }
}

static void *sleep_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* A process whose first thread has ended looks like a zombie in /proc, and holds what it held. */
static void test_first_thread_ended(const struct region_row *row)
{
    struct locker own = make(row);
    int gate[2];
    MUST(pipe(gate) == 0, "pipe: %s", strerror(errno));
    pid_t holder = frame_fork();
    if (holder == 0) {
        pthread_t thread;
        struct locker held = row->has & HAS_NAME ? again(row, NULL) : own;
        OK(take(&held, 0));
        MUST(pthread_create(&thread, NULL, sleep_for_ever, NULL) == 0, "no thread");
        close(gate[0]);
        MUST(write(gate[1], "", 1) == 1, "write: %s", strerror(errno));
        pthread_exit(NULL);
    }
    char byte, path[64], text[512] = "";
    MUST(read(gate[0], &byte, 1) == 1, "the holder is dead");
    snprintf(path, sizeof path, "/proc/%d/stat", (int)holder);
    for (int64_t deadline = frame_now() + 10 * TONG_SECOND; !strstr(text, ") Z ");) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        MUST(read(fd, text, sizeof text - 1) > 0 && frame_now() < deadline, "its first thread never ended: %s", text);
        close(fd);
    }
    tong_identity identity = TONG_IDENTITY_INIT;
    identity.pid = holder;
    GIVES(tong_identity_alive(&identity), 1);
    struct locker other = again(row, &own);
    GIVES(take(&other, 0), -EAGAIN);
    frame_kill(holder);
    OK(take(&other, 10 * TONG_SECOND));
    shut(&other);
    close(gate[0]);
    close(gate[1]);
    end(row, &own);
}

/* ---- fork and exec ----------------------------------------------------------------------------------------------- */

static void test_fork(const struct region_row *row)
{
    struct locker own = make(row);
    long *state = shared_numbers();
    OK(take(&own, 0));
    pid_t child = frame_fork();
    if (child == 0) {
        GIVES(give(&own), -EPERM);
        GIVES(take(&own, 0), -EAGAIN);
        state[0] = 1;
        OK(take(&own, 10 * TONG_SECOND));
        state[0] = 2;
        wait_for(&state[1], 1);
        shut(&own); /* with the lock */
        _exit(0);
    }
    wait_for(&state[0], 1);
    OK(give(&own));
    wait_for(&state[0], 2);
    GIVES(take(&own, 0), -EAGAIN);
    state[1] = 1;
    frame_join(child);
    OK(take(&own, 0));
    child = frame_fork();
    if (child == 0) {
        shut(&own); /* without it: the parent's stays */
        _exit(0);
    }
    frame_join(child);
    struct locker other = again(row, &own);
    GIVES(take(&other, 0), -EAGAIN);
    shut(&other);
    end(row, &own);
}

/* A program that ends when the other end of the pipe is closed. */
static void become_cat(int gate)
{
    dup2(gate, STDIN_FILENO);
    execlp("cat", "cat", (char *)NULL);
    _exit(127);
}

static void await_cat(pid_t pid)
{
    int64_t deadline = frame_now() + 10 * TONG_SECOND;
    char path[64], name[64] = "";
    while (strncmp(name, "cat", 3)) {
        snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = read(fd, name, sizeof name - 1);
        close(fd);
        name[size > 0 ? size : 0] = '\0';
        MUST(frame_now() < deadline, "the program never ran");
    }
}

/* The program has the lock as long as it runs. */
static void take_when_told(const struct locker *own, const int gate[2])
{
    close(gate[0]);
    GIVES(take(own, 0), -EAGAIN);
    GIVES(take(own, 20 * TONG_MILLISECOND), -ETIMEDOUT);
    close(gate[1]);
    OK(take(own, 10 * TONG_SECOND));
}

/* A descriptor that was given away holds the lock after its first holder is dead, and until it is closed. */
static void test_shared(const struct region_row *row)
{
    tong_lock *lock;
    struct locker own = make(row);
    GIVES(tong_lock_share(own.lock), -EPERM);
    long *program = shared_numbers();
    int gate[2];
    MUST(pipe2(gate, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    pid_t child = frame_fork();
    if (child == 0) {
        OK(tong_lock_open(region_address(row, NULL), &lock));
        OK(tong_lock_take(lock, 0));
        int fd = (int)OK(tong_lock_share(lock));
        MUST(fcntl(fd, F_GETFD) & FD_CLOEXEC, "what is shared is not close-on-exec");
        fcntl(fd, F_SETFD, 0);
        pid_t heir = fork();
        if (heir == 0)
            become_cat(gate[0]);
        *program = heir;
        _exit(0);
    }
    frame_join(child);
    await_cat((pid_t)*program);
    take_when_told(&own, gate);
    reap_all();
    munmap(program, 4096);
    end(row, &own);
}

static void test_kept(const struct region_row *row)
{
    struct locker own = make(row);
    int gate[2];
    MUST(pipe2(gate, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    pid_t child = frame_fork();
    if (child == 0) {
        OK(take(&own, 0));
        GIVES(tong_lock_share(own.lock), -EOPNOTSUPP);
        become_cat(gate[0]);
    }
    await_cat(child);
    take_when_told(&own, gate);
    frame_join(child);
    end(row, &own);
}

/* ---- With others --------------------------------------------------------------------------------------------------- */

/* A region's lock and the lock of that address are one. */
static void test_same_lock(const struct region_row *row)
{
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    bool has = false;
    for (size_t i = 0; tong_mechanism_describe(i, &info) == 0; i++)
        has |= !strcmp(info.scheme, row->scheme) && info.offers & TONG_HAS_LOCK;
    if (!has)
        return;
    struct locker own = make(row), lock = { NULL, NULL };
    tong_region_info region = TONG_REGION_INFO_INIT;
    char other[300];
    snprintf(other, sizeof other, "%s/other", frame_directory());
    int fd = open(other, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && flock(fd, LOCK_EX) == 0 && unlink(other) == 0, "another lock: %s", strerror(errno));
    OK(tong_lock_open(region_address(row, NULL), &lock.lock));
    OK(take(&lock, 0));
    GIVES(take(&own, 0), -EAGAIN);
    OK(tong_region_describe(own.region, &region));
    MUST(region.holder.pid == getpid(), "it says that process %lld holds it", (long long)region.holder.pid);
    OK(give(&lock));
    region = (tong_region_info)TONG_REGION_INFO_INIT;
    OK(tong_region_describe(own.region, &region));
    MUST(region.holder.source == TONG_IDENTITY_NONE, "nobody holds it, and it says process %lld", (long long)region.holder.pid);
    OK(take(&own, 0));
    GIVES(take(&lock, 0), -EAGAIN);
    shut(&lock);
    close(fd);
    end(row, &own);
}

static void test_flock(const struct region_row *row)
{
    struct locker own = make(row);
    const char *name = strchr(region_address(row, NULL), ':') + 1;
    char path[300];
    snprintf(path, sizeof path, "%s%s", *name == '/' ? "" : "/dev/shm/", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0, "flock(%s): %s", path, strerror(errno));
    GIVES(take(&own, 0), -EAGAIN);
    MUST(flock(fd, LOCK_UN) == 0, "flock: %s", strerror(errno));
    OK(take(&own, 0));
    MUST(flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK, "flock(1) would not see that it is held");
    close(fd);
    end(row, &own);
}

/* Who holds the lock of a file sends to the file: its senders' own locks are of another kind. */
static void test_send_under_lock(const struct region_row *row)
{
    if (strcmp(row->scheme, "file"))
        return;
    struct locker own = make(row);
    tong_channel *sender;
    char text[8] = "";
    OK(take(&own, 0));
    OK(tong_channel_open(region_address(row, NULL), TONG_SEND, 0, &sender));
    OK(tong_channel_send(sender, "locked", 6, NULL, TONG_SECOND));
    OK(tong_channel_close(sender));
    OK(tong_channel_open(region_address(row, NULL), TONG_RECEIVE, 0, &sender));
    GIVES(tong_channel_receive(sender, text, sizeof text, NULL, TONG_SECOND), 6);
    OK(tong_channel_close(sender));
    end(row, &own);
}

/* A set of somebody else's under the key of ours, smaller or larger, is not touched, and not removed. */
static void meet_stranger(const struct region_row *row, int counters)
{
    int id = semget(frame_key() ^ 0x746f6e67, counters, IPC_CREAT | IPC_EXCL | 0600);
    MUST(id >= 0, "semget: %s", strerror(errno));
    struct locker own = { NULL, NULL };
    if (row->has & IS_LOCK) {
        GIVES(tong_lock_open(region_address(row, NULL), &own.lock), -EEXIST);
        GIVES(tong_remove(region_address(row, NULL)), -ENOENT);
    } else {
        own = make(row);
        GIVES(take(&own, 0), -EEXIST);
        end(row, &own);
    }
    MUST(semctl(id, 0, GETVAL) == 0 && semctl(id, 0, GETPID) == 0, "the stranger's set was touched");
    MUST(semctl(id, 0, IPC_RMID) == 0, "semctl: %s", strerror(errno));
    own = make(row);
    OK(take(&own, 0));
    end(row, &own);
}

static void test_stranger(const struct region_row *row)
{
    if (strcmp(row->scheme, "sysvshm"))
        return;
    meet_stranger(row, 1);
    meet_stranger(row, 3);
}

/* Removed while it is held: who waits does not get another beside the holder, and nothing new is left behind. */
static void test_removed(const struct region_row *row)
{
    if (strncmp(row->scheme, "sysv", 4))
        return;
    struct locker own = make(row);
    OK(take(&own, 0));
    pid_t child = frame_fork();
    if (child == 0) {
        struct locker other = again(row, NULL);
        GIVES(take(&other, 10 * TONG_SECOND), -EIDRM);
        _exit(0);
    }
    frame_asleep(child, child);
    OK(tong_remove(region_address(row, NULL)));
    frame_join(child);
    GIVES(give(&own), -EIDRM);
    GIVES(take(&own, 0), -EIDRM);
    shut(&own);
}

static void test_create(const struct region_row *row)
{
    tong_lock *lock;
    GIVES(tong_lock_open(region_address(row, "create=no"), &lock), -ENOENT);
    GIVES(tong_lock_open(region_address(row, "colour=red"), &lock), -EINVAL);
    struct locker own = make(row);
    MUST(!strncmp(tong_lock_object(own.lock), row->scheme, strlen(row->scheme)), "it is called %s", tong_lock_object(own.lock));
    end(row, &own);
    OK(tong_lock_close(NULL));
}

const struct region_test lock_tests[] = {
    { "lock-processes", test_processes, 0, 120 },
    { "lock-threads", test_threads, 0, 60 },
    { "lock-handle", test_handle, 0, 20 },
    { "lock-interrupted", test_interrupted, 0, 20 },
    { "lock-killed", test_killed, 0, 20 },
    { "lock-first-thread", test_first_thread_ended, 0, 20 },
    { "lock-fork", test_fork, 0, 20 },
    { "lock-shared", test_shared, IS_LOCK | HAS_SHARING, 20 },
    { "lock-kept", test_kept, IS_LOCK | HAS_KEEPING, 20 },
    { "lock-same", test_same_lock, IS_REGION | HAS_NAME, 10 },
    { "lock-flock", test_flock, HAS_FILE, 10 },
    { "lock-send", test_send_under_lock, IS_LOCK, 10 },
    { "lock-stranger", test_stranger, 0, 10 },
    { "lock-removed", test_removed, HAS_NAME, 20 },
    { "lock-create", test_create, IS_LOCK, 10 },
    { NULL, NULL, 0, 0 },
};
