/* SPDX-License-Identifier: MIT */
/* What a snapshot makes of a world that does not hold still, does not let it look, and has odd names. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "look.h"

#define NOBODY 65534

static const tong_process *process_of(const tong_snapshot *snapshot, int64_t pid)
{
    for (size_t i = 0; i < tong_snapshot_processes(snapshot); i++)
        if (tong_snapshot_process(snapshot, i)->pid == pid)
            return tong_snapshot_process(snapshot, i);
    MUST(false, "process %lld is not there", (long long)pid);
    return NULL;
}

static uint32_t gaps_of(const tong_snapshot *snapshot, const char *what)
{
    for (size_t i = 0; i < tong_snapshot_gaps(snapshot); i++)
        if (!strcmp(tong_snapshot_gap(snapshot, i)->what, what))
            return tong_snapshot_gap(snapshot, i)->count;
    return 0;
}

/* Another user sees its own, and that it does not see us; what we left behind is no proved orphan for it. */
static void test_other_user(int unused)
{
    (void)unused;
    int ends[2], fd = shm_open(frame_mark(), O_RDWR | O_CREAT | O_EXCL, 0600);
    MUST(pipe2(ends, O_CLOEXEC) == 0 && fd >= 0, "shm_open: %s", strerror(errno));
    close(fd);
    pid_t child = frame_fork();
    if (child == 0) {
        char path[128];
        size_t number;
        MUST(setgid(NOBODY) == 0 && setuid(NOBODY) == 0, "setuid");
        prctl(PR_SET_DUMPABLE, 1); /* as if it had been started so */
        tong_snapshot *snapshot = look();
        MUST(process_of(snapshot, getppid())->flags & TONG_PROCESS_HIDDEN, "the parent is hidden");
        MUST(gaps_of(snapshot, "descriptors of processes"), "and that is said");
        MUST(gaps_of(snapshot, "mappings of processes"), "of mappings, too");
        MUST(!(process_of(snapshot, getpid())->flags & TONG_PROCESS_HIDDEN), "we are not");
        GIVES(behind(snapshot, getpid(), ends[0], &number)->kind, TONG_KIND_PIPE);
        snprintf(path, sizeof path, "/dev/shm/%s", frame_mark());
        const tong_object *object = see(snapshot, TONG_KIND_SHM, path, &number);
        MUST(object->flags & TONG_OBJECT_ORPHAN && object->certainty == TONG_UNSURE, "somebody hidden may have it");
        tong_snapshot_free(snapshot);
        _exit(0);
    }
    frame_join(child);
    MUST(shm_unlink(frame_mark()) == 0, "shm_unlink");
    close(ends[0]);
    close(ends[1]);
}

/* Root without the right to trace may list descriptors, but not read where they lead. */
static void test_lesser_root(int unused)
{
    (void)unused;
    pid_t child = frame_fork();
    if (child == 0) {
        struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
        uint32_t kept = UINT32_C(1) << CAP_DAC_OVERRIDE | UINT32_C(1) << CAP_DAC_READ_SEARCH;
        struct __user_cap_data_struct rights[2] = { { .effective = kept, .permitted = kept } };
        MUST(syscall(SYS_capset, &head, rights) == 0, "capset: %s", strerror(errno));
        tong_snapshot *snapshot = look();
        MUST(process_of(snapshot, getppid())->flags & TONG_PROCESS_HIDDEN, "the parent is hidden");
        MUST(gaps_of(snapshot, "descriptors of processes"), "and that is said");
        tong_snapshot_free(snapshot);
        _exit(0);
    }
    frame_join(child);
}

/* The kernel keeps 15 bytes; a letter of which only a part is left is not shown. */
static const struct { const char *given, *seen; } names[] = {
    { "a) R 1 (\n\033[2J", "a) R 1 (\n\033[2J" }, { "한글프로그램", "한글프로그" }, { "a한글프로그램", "a한글프로" },
    { "ab한글프로그램", "ab한글프로" }, { "abcdefghijklm\303\251", "abcdefghijklm\303\251" },
    { "abcdefghijklmn\303\251", "abcdefghijklmn" }, { "abcdefghijkl\360\237\230\200", "abcdefghijkl" },
    { "fifteen letters", "fifteen letters" },
};

static void test_names(int unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pid_t child = frame_fork();
        if (child == 0) {
            prctl(PR_SET_NAME, names[i].given);
            pause();
        }
        frame_asleep(child, child);
        tong_snapshot *snapshot = look();
        const tong_process *process = process_of(snapshot, child);
        MUST(!strcmp(process->name, names[i].seen) && process->parent == getpid(), "its name is %s", process->name);
        tong_snapshot_free(snapshot);
        frame_kill(child);
    }
}

/* Processes come and go, with pipes, while it is looked: no failure, and what stays is seen. */
static void test_churn(int unused)
{
    (void)unused;
    size_t number;
    int ends[2];
    MUST(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
    pid_t churner = frame_fork();
    if (churner == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int own[2];
            pid_t pid = fork();
            if (pid == 0)
                _exit(pipe(own));
            waitpid(pid, NULL, 0);
        }
    }
    int64_t until = frame_now() + 20 * TONG_SECOND; /* a look takes long where there are many processes */
    for (int i = 0; i < 30 && frame_now() < until; i++) {
        tong_snapshot *snapshot = look();
        const tong_object *object = behind(snapshot, getpid(), ends[0], &number);
        MUST(behind(snapshot, churner, ends[0], &number) == object, "the child that stays has it too");
        MUST(!(object->flags & TONG_OBJECT_HIDDEN_ENDS), "and nobody hidden");
        tong_snapshot_free(snapshot);
    }
    frame_kill(churner);
    while (waitpid(-1, NULL, 0) > 0) /* the child that it had just then is ours now */
        ;
    close(ends[0]);
    close(ends[1]);
}

/* A proc(5) that does not even list what others run proves no orphan. */
static void test_hidepid(int unused)
{
    (void)unused;
    int fd = shm_open(frame_mark(), O_RDWR | O_CREAT | O_EXCL, 0600);
    MUST(fd >= 0, "shm_open: %s", strerror(errno));
    close(fd);
    pid_t child = frame_fork();
    if (child == 0) {
        char path[128];
        size_t number;
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", 0, "hidepid=2") < 0)
            _exit(0); /* not here */
        tong_snapshot *snapshot = look();
        MUST(gaps_of(snapshot, "processes of other users"), "that is said");
        snprintf(path, sizeof path, "/dev/shm/%s", frame_mark());
        const tong_object *object = see(snapshot, TONG_KIND_SHM, path, &number);
        MUST(object->flags & TONG_OBJECT_ORPHAN && object->certainty == TONG_UNSURE, "somebody not listed may have it");
        tong_snapshot_free(snapshot);
        _exit(0);
    }
    frame_join(child);
    MUST(shm_unlink(frame_mark()) == 0, "shm_unlink");
}

static void test_no_proc(int unused)
{
    (void)unused;
    tong_snapshot *snapshot;
    tong_look asked = TONG_LOOK_INIT;
    asked.proc = frame_directory();
    GIVES(tong_snapshot_take(&asked, &snapshot), -ENOENT);
}

int main(int argc, char **argv)
{
    frame_begin("inspect_world", argc, argv);
    if (geteuid() == 0) {
        frame_run("another user", test_other_user, 0, 20);
        frame_run("root with fewer rights", test_lesser_root, 0, 20);
        frame_run("a proc(5) that hides", test_hidepid, 0, 20);
    } else
        frame_skip("another user, root with fewer rights, a proc(5) that hides", "only root can make them");
    frame_run("odd names", test_names, 0, 20);
    frame_run("processes come and go", test_churn, 0, 60);
    frame_run("no proc(5)", test_no_proc, 0, 20);
    return frame_end();
}
