/* SPDX-License-Identifier: MIT */
/*
 * Processes that begin, end and take each other's numbers while they are looked at.  What is made certain here is rare
 * elsewhere: before each system call of a look, one after the other, something happens.  Never is one process shown with
 * what another has, never is anybody said to be stuck who is not, and no look fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "look.h"
#include "world.h"

#define VICTIM 4000    /* its number, and its heir's */
#define SPAWNERS 2
#define SMALL_PIDS 1000
#define GROWTH_MOST (64 << 10) /* of the process, in KiB, by the looks of a storm */

/* ---- One process ------------------------------------------------------------------------------------------------- */

/* Has a name, and memory of that name; and sleeps in a call of its own. */
static void be(const char *name, bool reads)
{
    int ends[2];
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, name);
    int fd = memfd_create(name, MFD_CLOEXEC);
    MUST(fd >= 0 && ftruncate(fd, 4096) == 0 && pipe(ends) == 0, "memfd_create: %s", strerror(errno));
    MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED, "mmap: %s", strerror(errno));
    if (!reads)
        poll(NULL, 0, -1);
    MUST(read(ends[0], &byte, 1) == 0, "read");
    _exit(0);
}

static pid_t victim;

static void begin(void)
{
    victim = world_fork_as(VICTIM);
    if (victim == 0)
        be("first", true);
    if (victim < 0) {
        puts("     not here: this kernel lets nobody choose a number (CONFIG_CHECKPOINT_RESTORE)");
        fflush(stdout);
        _exit(0);
    }
    frame_asleep(victim, victim);
}

static void end(void)
{
    if (victim > 0)
        frame_kill(victim);
    victim = 0;
}

/* Nobody has two processes of one number begin within one tick of the clock. */
static void take_over(void)
{
    struct timespec tick = { 0, 1000000000 / sysconf(_SC_CLK_TCK) };
    end();
    nanosleep(&tick, NULL);
    victim = world_fork_as(VICTIM);
    if (victim == 0)
        be("second", false);
    frame_asleep(victim, victim);
}

static void become_zombie(void)
{
    siginfo_t about;
    MUST(kill(victim, SIGKILL) == 0 && waitid(P_PID, (id_t)victim, &about, WEXITED | WNOWAIT) == 0, "kill");
}

/* Everything that is shown of a process is its own: what is called by the other's name is not at it. */
static void check_whole(const tong_snapshot *snapshot, unsigned nth)
{
    const tong_process *process;
    const tong_end *seen_end;
    const tong_wait_seen *wait;
    for (size_t i = 0; (process = tong_snapshot_process(snapshot, i)); i++)
        MUST(process->pid != VICTIM || !strcmp(process->name, "first") || !strcmp(process->name, "second"),
             "before call %u: it is called %s", nth, process->name);
    for (size_t i = 0; (seen_end = tong_snapshot_end(snapshot, i)); i++) {
        process = tong_snapshot_process(snapshot, seen_end->process);
        const tong_object *object = tong_snapshot_object(snapshot, seen_end->object);
        MUST(process->pid != VICTIM || object->kind != TONG_KIND_MEMFD || !strcmp(object->name + sizeof "memfd:" - 1, process->name),
             "before call %u: %s is shown to have %s", nth, process->name, object->name);
    }
    for (size_t i = 0; (wait = tong_snapshot_wait(snapshot, i)); i++) {
        process = tong_snapshot_process(snapshot, wait->process);
        bool reads = !strcmp(process->name, "first");
        MUST(process->pid != VICTIM || reads == !strcmp(wait->operation, "read"), "before call %u: %s is shown in %s", nth,
             process->name, wait->operation);
    }
}

/* What happens before the nth call, for all of them. */
static void test_happens(int which)
{
    static void (*const happen[])(void) = { take_over, end, become_zombie };
    bool called = true;
    unsigned nth, whole = 0;
    tong_snapshot *kept = look(); /* with what BPF needs: loading it looks at nobody, and holds back forks of ours */
    for (nth = 0; called; nth++) {
        begin();
        world_at_call(nth, happen[which]);
        tong_snapshot *snapshot = look();
        called = world_was_called();
        check_whole(snapshot, nth);
        const tong_process *process = world_process(snapshot, VICTIM);
        whole += process && !(process->flags & TONG_PROCESS_GONE);
        MUST(called || (process && !process->flags), "nothing happened, and it is not there");
        tong_snapshot_free(snapshot);
        end();
    }
    tong_snapshot_free(kept);
    MUST(nth > 100 && whole > 0, "a look has %u calls, and it was seen by %u", nth, whole);
    printf("     before each of %u calls; %u looks saw it to the end\n", nth, whole);
    fflush(stdout);
}

/* ---- A child that comes too late to be seen ------------------------------------------------------------------------ */

static struct shared {
    atomic_int go;
    atomic_long spawned, wanted;
} *shared;

static void share(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(shared != MAP_FAILED, "mmap");
}

/* Reads what only a child that it starts at that moment will write; has forgotten to close its own writing end.  Who
 * catches signals would be taken for an event loop. */
static void rely_on_child(void)
{
    int ends[2];
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int number = 1; number < SIGRTMIN; number++)
        signal(number, SIG_DFL);
    MUST(pipe(ends) == 0, "pipe");
    while (!shared->go)
        poll(NULL, 0, 1);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        poll(NULL, 0, -1);
    }
    MUST(read(ends[0], &byte, 1) == 1, "read");
    _exit(0);
}

static pid_t reader;

static void start_reading(void)
{
    shared->go = 1;
    frame_asleep(reader, reader);
}

static bool is_stuck(const tong_snapshot *snapshot, uint32_t kind)
{
    const tong_finding *finding;
    for (size_t i = 0; (finding = tong_snapshot_finding(snapshot, i)); i++)
        if (finding->kind == kind)
            return true;
    return false;
}

static void test_newcomer(int unused)
{
    (void)unused;
    bool called = true;
    unsigned nth, unsure = 0;
    tong_snapshot *kept = look(); /* with what BPF needs */
    share();
    for (nth = 0; called; nth++) {
        shared->go = 0;
        if ((reader = frame_fork()) == 0)
            rely_on_child();
        world_at_call(nth, start_reading);
        tong_snapshot *snapshot = look();
        called = world_was_called();
        MUST(!is_stuck(snapshot, TONG_FINDING_STUCK), "a child that began before call %u is overlooked", nth);
        unsure += is_stuck(snapshot, TONG_FINDING_UNSURE);
        tong_snapshot_free(snapshot);
        frame_kill(reader);
    }
    tong_snapshot_free(kept);
    MUST(unsure > 0, "it never came too late to be seen");
}

/* ---- A storm of short lives ---------------------------------------------------------------------------------------- */

/* Has its own number in the names of itself and of its memory. */
static void live_shortly(long number)
{
    char name[16], memory[40];
    snprintf(name, sizeof name, "storm%ld", number);
    snprintf(memory, sizeof memory, "%s of %d", name, (int)getpid());
    prctl(PR_SET_NAME, name);
    memfd_create(memory, MFD_CLOEXEC);
    if (number % 16 == 0)
        nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
    _exit(0);
}

/* Every other one does nothing at all, as fast as it goes. */
static void spawn(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (long number; (number = atomic_fetch_add(&shared->spawned, 1)) < shared->wanted; ) {
        pid_t child = number % 2 ? vfork() : fork();
        if (child == 0 && number % 2)
            _exit(0);
        if (child == 0)
            live_shortly(number);
        while (waitpid(-1, NULL, number % 16 ? 0 : WNOHANG) > 0)
            if (number % 16)
                break;
    }
    while (waitpid(-1, NULL, 0) > 0)
        ;
    _exit(0);
}

/* Numbers come again soon, where a namespace has a limit of its own. */
static void make_few_pids(void)
{
    struct utsname system;
    int major = 0, minor = 0;
    uname(&system);
    sscanf(system.release, "%d.%d", &major, &minor);
    int fd = major > 6 || (major == 6 && minor >= 14) ? open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC) : -1;
    char few[16];
    int size = snprintf(few, sizeof few, "%d", SMALL_PIDS);
    printf("     numbers %s\n", fd >= 0 && write(fd, few, (size_t)size) == size ? "come again soon" : "do not come again");
    close(fd);
}

/* How many of the storm's are seen with memory; it is their own. */
static unsigned check_storm(const tong_snapshot *snapshot)
{
    const tong_end *seen_end;
    unsigned seen = 0;
    char memory[64];
    for (size_t i = 0; (seen_end = tong_snapshot_end(snapshot, i)); i++) {
        const tong_process *process = tong_snapshot_process(snapshot, seen_end->process);
        const tong_object *object = tong_snapshot_object(snapshot, seen_end->object);
        if (object->kind != TONG_KIND_MEMFD)
            continue;
        int at = snprintf(memory, sizeof memory, " of %lld", (long long)process->pid);
        size_t size = strlen(object->name);
        MUST(size > (size_t)at && !strcmp(object->name + size - (size_t)at, memory), "%lld is shown to have %s",
             (long long)process->pid, object->name);
        snprintf(memory, sizeof memory, "memfd:%s of %lld", process->name, (long long)process->pid);
        MUST(strncmp(process->name, "storm", 5) || !strcmp(object->name, memory), "%s %lld is shown to have %s",
             process->name, (long long)process->pid, object->name);
        seen++;
    }
    return seen;
}

static long descriptors(void)
{
    long count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_storm(int wanted)
{
    struct rusage before, after;
    pid_t spawners[SPAWNERS];
    unsigned looks = 0, seen = 0;
    share();
    make_few_pids();
    shared->wanted = wanted;
    tong_snapshot_free(look());
    getrusage(RUSAGE_SELF, &before);
    long open_before = descriptors();
    for (int i = 0; i < SPAWNERS; i++)
        if ((spawners[i] = frame_fork()) == 0)
            spawn();
    for (; shared->spawned < wanted; looks++) {
        tong_snapshot *snapshot = look();
        MUST(!is_stuck(snapshot, TONG_FINDING_STUCK), "somebody is said to be stuck: %s",
             tong_snapshot_finding(snapshot, 0)->proof);
        seen += check_storm(snapshot);
        tong_snapshot_free(snapshot);
    }
    for (int i = 0; i < SPAWNERS; i++)
        frame_join(spawners[i]);
    getrusage(RUSAGE_SELF, &after);
    printf("     %d processes, %u looks, which saw %u of them with what they had; %ld KiB more\n", wanted, looks, seen,
           after.ru_maxrss - before.ru_maxrss);
    fflush(stdout);
    MUST(looks > 5 && seen > 0, "%u looks saw %u", looks, seen);
    MUST(descriptors() == open_before, "%ld descriptors are left", descriptors() - open_before);
    MUST(frame_watched() || after.ru_maxrss - before.ru_maxrss < GROWTH_MOST, "memory grows");
}

/* ---- In a world of their own ---------------------------------------------------------------------------------------- */

static void storm(int wanted)
{
    world_run(test_storm, wanted);
}

static void happens(int which)
{
    world_run(test_happens, which);
}

static void newcomer(int unused)
{
    world_run(test_newcomer, unused);
}

int main(int argc, char **argv)
{
    const char *torture = getenv("TONG_TORTURE");
    bool thorough = torture && !strcmp(torture, "long");
    frame_begin("inspect_race", argc, argv);
    if (!world_is_possible()) {
        frame_skip("all", "namespaces cannot be made here");
        return frame_end();
    }
    frame_run("a number is taken by another", happens, 0, 300);
    frame_run("a process is gone", happens, 1, 300);
    frame_run("a process ends", happens, 2, 300);
    frame_run("a child begins too late to be seen", newcomer, 0, 300);
    frame_run("a storm of short lives", storm, thorough ? 100000 : 10000, thorough ? 3000 : 300);
    return frame_end();
}
