/* SPDX-License-Identifier: MIT */
/* sysvsem: against sets that somebody else made, or began to make, and the lock that is one counter of a set. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <tong/tong.h>
#include <unistd.h>

#include "frame.h"
#include "third.h"

static const char *address(const char *options)
{
    static char text[128];
    snprintf(text, sizeof text, "sysvsem:%d%s%s", (int)frame_key(), options ? "?" : "", options ? options : "");
    return text;
}

static int foreign_set(int count)
{
    int id = semget(frame_key(), count, 0600 | IPC_CREAT | IPC_EXCL);
    MUST(id >= 0, "semget: %s", strerror(errno));
    return id;
}

static void removed(int id)
{
    MUST(semctl(id, 0, IPC_RMID) == 0, "semctl: %s", strerror(errno));
}

static int64_t open_took(const char *options, tong_semaphore **ret)
{
    int64_t began = frame_now();
    OK(tong_semaphore_open(address(options), 0, ret));
    return frame_now() - began;
}

static int64_t open_and_close_took(const void *options)
{
    tong_semaphore *s;
    int64_t took = open_took(options, &s);
    OK(tong_semaphore_close(s));
    return took;
}

/* A set that is finished is opened at once. */
static void not_waited_for(const char *options)
{
    const int64_t bound = 500 * TONG_MILLISECOND;
    MUST(third_least(bound, open_and_close_took, options) < bound, "a finished set is waited for");
}

/* ---- Birth --------------------------------------------------------------------------------------------------- */

/* A maker that is slow: who opens meanwhile waits for it, and sees what it made. */
static void test_slow_maker(int unused)
{
    (void)unused;
    int id = foreign_set(2);
    pid_t child = frame_fork();
    if (child == 0) {
        tong_semaphore *s;
        tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
        OK(tong_semaphore_open(address("value=9"), 0, &s));
        OK(tong_semaphore_get(s, 1, &info));
        GIVES(info.value, 4);
        OK(tong_semaphore_close(s));
        _exit(0);
    }
    frame_asleep(child, child);
    struct sembuf values[2] = { { 0, 4, 0 }, { 1, 4, 0 } };
    MUST(semop(id, values, 2) == 0, "semop: %s", strerror(errno));
    frame_join(child);
    removed(id);
}

/* A maker that died: the next one finishes, or takes it as it is when it has no values to give. */
static void test_dead_maker(int unused)
{
    (void)unused;
    tong_semaphore *s, *other;
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    int id = foreign_set(3);
    int64_t took = open_took(NULL, &s);
    MUST(took > 500 * TONG_MILLISECOND && took < 10 * TONG_SECOND, "a bounded wait took %lld ns", (long long)took);
    OK(tong_semaphore_get(s, 2, &info));
    GIVES(info.value, 0);
    open_took("value=2", &other);
    OK(tong_semaphore_get(s, 2, &info));
    GIVES(info.value, 2);
    OK(tong_semaphore_close(other));
    not_waited_for("value=5");
    open_took("value=5", &other);
    OK(tong_semaphore_get(s, 0, &info));
    GIVES(info.value, 2);
    OK(tong_semaphore_close(other));
    OK(tong_semaphore_close(s));
    removed(id);
}

/* A program that sets values by semctl and never operates: left as it is, after a bounded wait. */
static void test_set_by_semctl(int unused)
{
    (void)unused;
    tong_semaphore *s;
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    int id = foreign_set(1);
    MUST(semctl(id, 0, SETVAL, 0) == 0, "semctl: %s", strerror(errno));
    open_took("value=3", &s);
    OK(tong_semaphore_get(s, 0, &info));
    GIVES(info.value, 0);
    OK(tong_semaphore_close(s));
    removed(id);
}

/* More counters than SEMOPM: values in two steps, and an unfinished set is refused rather than guessed at. */
static void test_large(int unused)
{
    (void)unused;
    tong_semaphore *s;
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    OK(tong_semaphore_open(address("count=2000&value=6"), 0, &s));
    OK(tong_semaphore_get(s, 1999, &info));
    GIVES(info.value, 6);
    OK(tong_semaphore_close(s));
    not_waited_for(NULL);
    OK(tong_remove(address(NULL)));
    int id = foreign_set(2000);
    GIVES(tong_semaphore_open(address("value=6"), 0, &s), -ESTALE);
    removed(id);
}

static void test_limits(int unused)
{
    (void)unused;
    tong_semaphore *s;
    tong_limit_info limit = TONG_LIMIT_INFO_INIT;
    OK(tong_mechanism_limit("sysvsem", 0, &limit));
    if (limit.value < 65535) {
        GIVES(tong_semaphore_open(address("count=65535"), 0, &s), -EINVAL);
        MUST(strstr(tong_detail(), "SEMMSL"), "which limit: %s", tong_detail());
    }
    GIVES(tong_semaphore_open(address("count=0"), 0, &s), -EINVAL);
    GIVES(tong_semaphore_open("sysvsem:0", 0, &s), -EINVAL);
    GIVES(tong_semaphore_open("sysvsem:id=2147483647", 0, &s), -ENOENT);
}

static void test_by_id(int unused)
{
    (void)unused;
    char name[64];
    tong_semaphore *s;
    int id = foreign_set(5);
    struct sembuf touch = { 0, 1, 0 };
    MUST(semop(id, &touch, 1) == 0, "semop: %s", strerror(errno));
    snprintf(name, sizeof name, "sysvsem:id=%d", id);
    OK(tong_semaphore_open(name, 0, &s));
    GIVES(tong_semaphore_count(s), 5);
    OK(tong_semaphore_wait(s, 0, 0));
    OK(tong_semaphore_close(s));
    OK(tong_remove(name));
    GIVES(tong_remove(name), -ENOENT);
}

/* ---- The lock ------------------------------------------------------------------------------------------------ */

static void test_lock(int unused)
{
    (void)unused;
    tong_lock *lock, *other;
    OK(tong_lock_open(address("count=4&index=3"), &lock));
    OK(tong_lock_open(address("index=3"), &other));
    GIVES(tong_lock_release(lock), -EPERM);
    OK(tong_lock_take(lock, 0));
    GIVES(tong_lock_take(lock, TONG_FOREVER), -EDEADLK);
    GIVES(tong_lock_take(other, 0), -EAGAIN);
    GIVES(tong_lock_take(other, TONG_MILLISECOND), -ETIMEDOUT);
    OK(tong_lock_release(lock));
    OK(tong_lock_take(other, TONG_SECOND));
    OK(tong_lock_close(other));
    OK(tong_lock_take(lock, 0));
    OK(tong_lock_close(lock));
    GIVES(tong_lock_open(address("index=4"), &lock), -ERANGE);
    OK(tong_remove(address(NULL)));
}

/* A holder that is killed gives it back; a forked child does not hold what its parent took, nor gives it back. */
static void test_lock_death(int unused)
{
    (void)unused;
    tong_lock *lock, *other;
    OK(tong_lock_open(address(NULL), &lock));
    int *taken = mmap(NULL, sizeof *taken, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = frame_fork();
    if (child == 0) {
        OK(tong_lock_take(lock, 0));
        __atomic_store_n(taken, 1, __ATOMIC_RELEASE);
        for (;;)
            pause();
    }
    frame_until(taken);
    GIVES(tong_lock_take(lock, 0), -EAGAIN);
    OK(tong_lock_open(address(NULL), &other));
    frame_kill(child);
    OK(tong_lock_take(lock, TONG_SECOND));
    child = frame_fork();
    if (child == 0) {
        GIVES(tong_lock_release(lock), -EPERM);
        GIVES(tong_lock_take(lock, 0), -EAGAIN);
        OK(tong_lock_close(lock));
        _exit(0);
    }
    frame_join(child);
    GIVES(tong_lock_take(other, 0), -EAGAIN);
    OK(tong_lock_close(lock));
    OK(tong_lock_take(other, 0));
    OK(tong_remove(address(NULL)));
    GIVES(tong_lock_release(other), -EIDRM);
    OK(tong_lock_close(other));
    munmap(taken, sizeof *taken);
}

/* What was not made as a lock is refused: too many would get in, or nobody ever. */
static void test_no_lock(int unused)
{
    (void)unused;
    tong_semaphore *s;
    tong_lock *lock;
    OK(tong_semaphore_open(address("value=3"), 0, &s));
    GIVES(tong_lock_open(address(NULL), &lock), -EINVAL);
    OK(tong_semaphore_set(s, 0, 1));
    pid_t child = frame_fork();
    if (child == 0) {
        OK(tong_semaphore_wait(s, 0, 0));
        _exit(0);
    }
    frame_join(child);
    GIVES(tong_lock_open(address(NULL), &lock), -EINVAL);
    MUST(strstr(tong_detail(), "nobody lives"), "not told why: %s", tong_detail());
    OK(tong_semaphore_post(s, 0));
    OK(tong_lock_open(address(NULL), &lock));
    OK(tong_lock_close(lock));
    OK(tong_semaphore_close(s));
    OK(tong_remove(address(NULL)));
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(int); double seconds; } tests[] = {
        { "sysvsem/slow-maker", test_slow_maker, 20 },
        { "sysvsem/dead-maker", test_dead_maker, 20 },
        { "sysvsem/set-by-semctl", test_set_by_semctl, 20 },
        { "sysvsem/large", test_large, 20 },
        { "sysvsem/limits", test_limits, 20 },
        { "sysvsem/id", test_by_id, 20 },
        { "sysvsem/lock", test_lock, 20 },
        { "sysvsem/lock-death", test_lock_death, 20 },
        { "sysvsem/no-lock", test_no_lock, 20 },
    };
    frame_begin("sysvsem", argc, argv);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        frame_run(tests[i].name, tests[i].run, 0, tests[i].seconds);
    return frame_end();
}
