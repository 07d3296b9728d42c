/* SPDX-License-Identifier: MIT */
/* Objects of different namespaces have the same keys and names, and are never taken for each other. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "look.h"
#include "world.h"

#define KEY 0x70020002
#define ABSTRACT "same"
#define FILE_IN_MEMORY "/dev/shm/same"

static int told[2]; /* a byte once the other one is ready */

static int bind_abstract(const char *name, size_t size)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path + 1, name, size);
    MUST(bind(fd, (struct sockaddr *)&address, (socklen_t)(sizeof(sa_family_t) + 1 + size)) == 0 && listen(fd, 1) == 0,
         "bind: %s", strerror(errno));
    return fd;
}

/* Everything with the same key, name or path. */
static void have(void)
{
    int memory = shmget(KEY, 4096, IPC_CREAT | IPC_EXCL | 0600), queue = msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);
    MUST(memory >= 0 && queue >= 0 && shmat(memory, NULL, 0) != (void *)-1, "shmget: %s", strerror(errno));
    bind_abstract(ABSTRACT, sizeof ABSTRACT - 1);
    MUST(open(FILE_IN_MEMORY, O_RDWR | O_CREAT | O_EXCL, 0600) >= 0, "open: %s", strerror(errno));
}

static void stay(void)
{
    MUST(write(told[1], "", 1) == 1, "write");
    for (;;)
        pause();
}

static void live_elsewhere(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    MUST(unshare(CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS) == 0, "unshare: %s", strerror(errno));
    MUST(mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL) == 0, "mount: %s", strerror(errno));
    have();
    stay();
}

static void wait_until_ready(void)
{
    char byte;
    MUST(read(told[0], &byte, 1) == 1, "read");
}

/* The objects of that kind at which a process is; with that name. */
static const tong_object *only(const tong_snapshot *snapshot, uint32_t kind, const char *name, pid_t pid)
{
    const tong_object *found = NULL;
    const tong_object *object;
    for (size_t i = 0; (object = tong_snapshot_object(snapshot, i)); i++) {
        size_t first, count = tong_snapshot_ends_of(snapshot, i, &first);
        for (size_t k = first; k < first + count && object->kind == kind && strstr(object->name, name); k++) {
            const tong_end *end = tong_snapshot_end(snapshot, k);
            if (tong_snapshot_process(snapshot, end->process)->pid != pid)
                continue;
            MUST(!found || found == object, "%lld has two %s", (long long)pid, tong_kind_name(kind));
            MUST(count == 1 || kind == TONG_KIND_MSGQ, "others have the %s of %lld", tong_kind_name(kind), (long long)pid);
            found = object;
        }
    }
    return found;
}

static void check_apart(const tong_snapshot *snapshot, uint32_t kind, const char *name, pid_t other)
{
    const tong_object *ours = only(snapshot, kind, name, getpid()), *its = only(snapshot, kind, name, other);
    MUST(ours && its, "a %s is not seen", tong_kind_name(kind));
    MUST(ours != its && strcmp(ours->key, its->key), "one %s for two", tong_kind_name(kind));
    MUST(!*its->address || kind != TONG_KIND_SYSVSHM, "%s would remove ours", its->address);
    MUST(ours->namespace_inode != its->namespace_inode || kind == TONG_KIND_SHM, "both %s are of one namespace",
         tong_kind_name(kind));
}

static bool has_gap(const tong_snapshot *snapshot, const char *what)
{
    for (size_t i = 0; i < tong_snapshot_gaps(snapshot); i++)
        if (strstr(tong_snapshot_gap(snapshot, i)->what, what))
            return true;
    return false;
}

static void test_apart(int unused)
{
    (void)unused;
    MUST(pipe2(told, O_CLOEXEC) == 0, "pipe2");
    pid_t other = frame_fork();
    if (other == 0)
        live_elsewhere();
    have();
    wait_until_ready();
    tong_snapshot *snapshot = look();
    const tong_process *process = world_process(snapshot, other), *self = world_process(snapshot, getpid());
    for (unsigned i = 1; i < 4; i++)
        MUST(process->namespaces[i] && process->namespaces[i] != self->namespaces[i], "namespace %u is the same", i);
    check_apart(snapshot, TONG_KIND_SYSVSHM, "key", other);
    check_apart(snapshot, TONG_KIND_UNIX, "@" ABSTRACT, other);
    check_apart(snapshot, TONG_KIND_SHM, FILE_IN_MEMORY, other);
    MUST(has_gap(snapshot, "peers of unix sockets"), "that peers are not known there is said");
    tong_snapshot_free(snapshot);
    frame_kill(other);
}

/* A name with a newline, and behind it a row of /proc/net/unix that would rename our socket, or take it over. */
static void forge(void)
{
    char name[108];
    struct stat status;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    MUST(fstat(told[0], &status) == 0, "fstat"); /* told[0] is the socket */
    MUST(unshare(CLONE_NEWNET) == 0, "unshare: %s", strerror(errno));
    int size = snprintf(name, sizeof name, "x\n0: 00000002 00000000 00010000 0001 01 %llu /forged",
                        (unsigned long long)status.st_ino);
    bind_abstract(name, (size_t)size);
    stay();
}

static void test_forged(int family)
{
    MUST(pipe2(told, O_CLOEXEC) == 0, "pipe2");
    int ours = family == AF_UNIX ? bind_abstract("ours", 4) : socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(family == AF_UNIX || listen(ours, 1) == 0, "listen: %s", strerror(errno));
    pid_t other = frame_fork();
    if (other == 0) {
        close(told[0]);
        told[0] = ours;
        forge();
    }
    wait_until_ready();
    tong_snapshot *snapshot = look();
    size_t number;
    const tong_object *object = behind(snapshot, getpid(), ours, &number);
    GIVES(object->kind, family == AF_UNIX ? TONG_KIND_UNIX : TONG_KIND_TCP);
    MUST(!strstr(object->name, "forged"), "it is called %s", object->name);
    MUST(object->namespace_inode == world_process(snapshot, getpid())->namespaces[1], "it is moved to another network");
    tong_snapshot_free(snapshot);
    frame_kill(other);
}

/* In a namespace of processes inside another: the numbers are those of the inner one, and that there may be others is said. */
static void look_inside(void)
{
    MUST(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount: %s", strerror(errno));
    tong_snapshot *snapshot = look();
    MUST(tong_snapshot_processes(snapshot) == 1 && world_process(snapshot, 1), "%zu processes",
         tong_snapshot_processes(snapshot));
    MUST(has_gap(snapshot, "processes outside this pid namespace"), "it is not said that there may be others");
    tong_snapshot_free(snapshot);
    stay();
}

/* A proc(5) whose numbers are not ours is refused: system calls would take them for others. */
static void look_outside(void)
{
    tong_snapshot *snapshot;
    GIVES(tong_snapshot_take(NULL, &snapshot), -ENOENT);
    MUST(strstr(tong_detail(), "pid namespace"), "the words are %s", tong_detail());
    stay();
}

static void test_pids(int unused)
{
    (void)unused;
    static void (*const looks[])(void) = { look_inside, look_outside };
    char inner[64];
    tong_look asked = TONG_LOOK_INIT;
    MUST(pipe2(told, O_CLOEXEC) == 0, "pipe2");
    for (size_t i = 0; i < 2; i++) {
        tong_snapshot *snapshot;
        pid_t between = frame_fork();
        if (between == 0) {
            MUST(unshare(CLONE_NEWPID | CLONE_NEWNS) == 0, "unshare: %s", strerror(errno));
            pid_t first = frame_fork();
            if (first == 0)
                looks[i]();
            waitpid(first, NULL, 0);
            _exit(0);
        }
        wait_until_ready();
        snapshot = look();
        const tong_process *parent = world_process(snapshot, between), *child = NULL;
        for (size_t k = 0; k < tong_snapshot_processes(snapshot); k++)
            if (tong_snapshot_process(snapshot, k)->parent == between)
                child = tong_snapshot_process(snapshot, k);
        MUST(child && child->inner_pid == 1 && child->pid != 1, "the first of the inner ones has its number here");
        MUST(child->namespaces[0] != parent->namespaces[0] && child->namespaces[0], "and its own namespace");
        snprintf(inner, sizeof inner, "/proc/%lld/root/proc", (long long)child->pid);
        asked.proc = inner;
        tong_snapshot *none;
        if (i == 0)
            GIVES(tong_snapshot_take(&asked, &none), -ENOENT);
        pid_t pid = (pid_t)child->pid;
        tong_snapshot_free(snapshot);
        kill(pid, SIGKILL);
        waitpid(between, NULL, 0);
    }
}

static void (*const tests[])(int) = { test_apart, test_pids };

static void in_world(int which)
{
    world_run(tests[which], 0);
}

static void forged_in_world(int family)
{
    world_run(test_forged, family);
}

int main(int argc, char **argv)
{
    frame_begin("inspect_namespace", argc, argv);
    if (!world_is_possible()) {
        frame_skip("all", "namespaces cannot be made here");
        return frame_end();
    }
    frame_run("the same keys and names", in_world, 0, 20);
    frame_run("numbers of other processes", in_world, 1, 20);
    frame_run("a forged row for a unix socket", forged_in_world, AF_UNIX, 20);
    frame_run("a forged row for a TCP socket", forged_in_world, AF_INET, 20);
    return frame_end();
}
