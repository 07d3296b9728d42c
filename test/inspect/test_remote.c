/* SPDX-License-Identifier: MIT */
/*
 * Arguments of calls that lie in mapped files, or in memory that another thread fills in, and files that are being opened.
 * A file of a server that does not answer is one of FUSE, which this test serves itself: all but the content, or what
 * is in the directory.  Who would ask for that waits; a look must not.
 *
 * A look that does waits unkillably for the server, and so keeps alive who looks: that is a child of the test, which has
 * none of the server's descriptors.  With the server it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "look.h"

#define PAGE 4096
#define ARGUMENTS "arguments of system calls"
#define FILES "files that threads wait for"
#define WAIT_MS 20000 /* for a look that must not wait */

static char path[256];
static int ends[2], served = -1;

/* ---- A server ---------------------------------------------------------------------------------------------------- */

struct server {
    int fd;
    mode_t mode;       /* of what it serves: a file, or a directory */
    bool forgets;      /* says what a file is to who opens it, and for that moment */
    atomic_int *asked; /* the content is waited for, or a name */
};

static void answer(const struct server *server, const struct fuse_in_header *asked, const void *data, size_t size, int error)
{
    struct fuse_out_header head = { .len = (uint32_t)(sizeof head + size), .error = error, .unique = asked->unique };
    const struct iovec spans[2] = { { &head, sizeof head }, { (void *)(uintptr_t)data, size } };
    MUST(writev(server->fd, spans, 2) == (ssize_t)head.len, "answering %u: %s", asked->opcode, strerror(errno));
}

static void serve_one(const struct server *server, const struct fuse_in_header *asked)
{
    const struct fuse_init_out begin = { .major = FUSE_KERNEL_VERSION, .minor = 26, .max_write = PAGE };
    const struct fuse_attr_out about = { .attr_valid = server->forgets ? 0 : 3600, .attr = { .ino = 1, .size = PAGE, .mode = server->mode,
                                                                      .nlink = 1 } };
    const struct fuse_open_out opened = { .fh = 1 };
    switch (asked->opcode) {
    case FUSE_INIT: answer(server, asked, &begin, sizeof begin, 0); break;
    case FUSE_GETATTR:
        if (!server->forgets || !atomic_load(server->asked))
            answer(server, asked, &about, sizeof about, 0);
        break;
    case FUSE_OPEN: answer(server, asked, &opened, sizeof opened, 0); break;
    case FUSE_READ: case FUSE_LOOKUP: atomic_store(server->asked, 1); break; /* and no more is said */
    case FUSE_INTERRUPT: case FUSE_FORGET: case FUSE_BATCH_FORGET: break;
    default: answer(server, asked, NULL, 0, -ENOSYS);
    }
}

static void serve(const struct server *server)
{
    _Alignas(struct fuse_in_header) char bytes[FUSE_MIN_READ_BUFFER + PAGE];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(server->fd, bytes, sizeof bytes) > 0)
        serve_one(server, (const struct fuse_in_header *)(const void *)bytes);
    _exit(0);
}

/* On a file or directory of its own, in a mount namespace of its own. */
static pid_t begin_server(struct server *server)
{
    char options[128];
    server->asked = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    server->fd = served = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof options, "fd=%d,rootmode=%o,user_id=0,group_id=0", server->fd, server->mode);
    MUST(server->asked != MAP_FAILED && server->fd >= 0, "/dev/fuse: %s", strerror(errno));
    MUST(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("tong-test", path, "fuse", 0, options) == 0, "mount: %s", strerror(errno));
    pid_t child = frame_fork();
    if (child == 0)
        serve(server);
    return child;
}

/* With which all that waited fails; then it is used no more, perhaps at once. */
static void end_server(const struct server *server, pid_t pid)
{
    MUST(umount2(path, MNT_FORCE) == 0 || umount2(path, MNT_DETACH) == 0, "umount: %s", strerror(errno));
    frame_kill(pid);
    close(server->fd);
    served = -1;
    munmap((void *)(uintptr_t)server->asked, PAGE);
}

/* ---- Who looks --------------------------------------------------------------------------------------------------- */

static pid_t begin_look(void (*check)(const tong_snapshot *snapshot, pid_t waiting), pid_t waiting)
{
    pid_t child = frame_fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(served);
    tong_snapshot *snapshot = look();
    check(snapshot, waiting);
    tong_snapshot_free(snapshot);
    _exit(0);
}

/* Whether it ended by itself, with status 0. */
static bool look_ends(pid_t pid)
{
    int status = 1, fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = { .fd = fd, .events = POLLIN };
    MUST(fd >= 0, "pidfd_open: %s", strerror(errno));
    bool in_time = poll(&ended, 1, WAIT_MS) == 1;
    close(fd);
    return in_time && waitpid(pid, &status, 0) == pid && status == 0;
}

/* ---- Who waits --------------------------------------------------------------------------------------------------- */

static void make_file(void)
{
    snprintf(path, sizeof path, "%s/mapped", frame_directory());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MUST(fd >= 0 && ftruncate(fd, PAGE) == 0 && close(fd) == 0 && pipe2(ends, O_CLOEXEC) == 0, "%s: %s", path,
         strerror(errno));
}

static void drop_file(void)
{
    MUST(unlink(path) == 0, "unlink: %s", strerror(errno));
    close(ends[0]);
    close(ends[1]);
}

/* A child that polls the pipe, by what it has written into its mapping, or by what lies there. */
static pid_t begin_poll(int flags, int (*open_it)(void), bool writes)
{
    pid_t child = frame_fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(served); /* or it would keep alive what it waits for */
    struct stat status;
    int fd = open_it();
    MUST(fd >= 0 && fstat(fd, &status) == 0 && status.st_size == PAGE, "fstat: %s", strerror(errno));
    struct pollfd *asked = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    MUST(asked != MAP_FAILED, "mmap: %s", strerror(errno));
    if (writes)
        *asked = (struct pollfd){ .fd = ends[0], .events = POLLIN };
    syscall(SYS_poll, asked, 1, -1);
    pause();
    _exit(0);
}

static int open_file(void)
{
    return open(path, O_RDWR | O_CLOEXEC);
}

static int open_memory(void)
{
    int fd = memfd_create("tong-test", MFD_CLOEXEC);
    return fd >= 0 && ftruncate(fd, PAGE) == 0 ? fd : -1;
}

/* What the look says of it. */
static bool waits_for_pipe(const tong_snapshot *snapshot, pid_t pid)
{
    const tong_wait_seen *wait;
    for (size_t i = 0; (wait = tong_snapshot_wait(snapshot, i)); i++) {
        const tong_object *object = tong_snapshot_object(snapshot, wait->object);
        if (wait->thread != pid)
            continue;
        MUST(!strcmp(wait->operation, "poll"), "it is in %s", wait->operation);
        return object && object->kind == TONG_KIND_PIPE;
    }
    MUST(false, "it is not said what it waits for");
    return false;
}

/* ---- The tests --------------------------------------------------------------------------------------------------- */

static const struct { const char *name; int flags; int (*open_it)(void); } rows[] = {
    { "a file", MAP_SHARED, open_file },
    { "a copy of a file", MAP_PRIVATE, open_file },
    { "memory with a descriptor", MAP_SHARED, open_memory },
};

static void test_local(int number)
{
    make_file();
    pid_t child = begin_poll(rows[number].flags, rows[number].open_it, true);
    frame_asleep(child, child);
    tong_snapshot *snapshot = look();
    MUST(waits_for_pipe(snapshot, child), "its argument was not read");
    tong_snapshot_free(snapshot);
    frame_kill(child);
    drop_file();
}

static void check_argument(const tong_snapshot *snapshot, pid_t waiting)
{
    MUST(!waits_for_pipe(snapshot, waiting), "nobody can know that");
    MUST(gap_count(snapshot, ARGUMENTS), "that it was not read is not said");
}

static void test_silent(int flags)
{
    struct server server = { .mode = S_IFREG | 0600 };
    make_file();
    pid_t serving = begin_server(&server), child = begin_poll(flags, open_file, false);
    frame_until((const volatile int *)(const void *)server.asked);
    pid_t looking = begin_look(check_argument, child);
    bool ended = look_ends(looking);
    kill(child, SIGKILL);
    end_server(&server, serving);
    waitpid(child, NULL, 0);
    MUST(ended, "a look waits for a server, or finds what it cannot");
    drop_file();
}

/* What has names in /tmp is listed, but not what is mounted there. */
static void check_mount(const tong_snapshot *snapshot, pid_t waiting)
{
    (void)waiting;
    MUST(gap_count(snapshot, "names of sockets and FIFOs"), "that nobody was asked is not said");
}

/* One has it open and locked, and one waits for the lock: it is a descriptor, what is waited for, and a name. */
static pid_t begin_holders(const struct server *server, pid_t *ret_waiting)
{
    pid_t child = frame_fork();
    *ret_waiting = child ? frame_fork() : 0;
    if (child && *ret_waiting)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(served);
    int fd = open_file();
    MUST(fd >= 0 && flock(fd, LOCK_EX) == 0, "flock: %s", strerror(errno));
    atomic_store(server->asked, 1);
    pause();
    _exit(0);
}

static void test_open(int unused)
{
    struct server server = { .mode = S_IFREG | 0600, .forgets = true };
    (void)unused;
    make_file();
    pid_t serving = begin_server(&server), waiting, holding = begin_holders(&server, &waiting);
    frame_until((const volatile int *)(const void *)server.asked);
    frame_asleep(holding, holding);
    frame_asleep(waiting, waiting);
    pid_t looking = begin_look(check_mount, holding);
    bool ended = look_ends(looking);
    kill(holding, SIGKILL);
    kill(waiting, SIGKILL);
    end_server(&server, serving);
    waitpid(holding, NULL, 0);
    waitpid(waiting, NULL, 0);
    MUST(ended, "a look waits for a server, or does not say what it left out");
    drop_file();
}

/* Ways to a name in the directory that is served, from the directory that that is in. */
static const struct { const char *name, *path; } ways[] = {
    { "a name that a silent server is asked for", "mapped/name" },
    { "such a name by a link to its directory", "link/name" },
    { "such a name by a link and back again", "link/../link/./name" },
};

static pid_t begin_open(const char *name, bool relative)
{
    char full[512];
    pid_t child = frame_fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(served);
    MUST(chdir(frame_directory()) == 0, "chdir: %s", strerror(errno));
    snprintf(full, sizeof full, "%s/%s", frame_directory(), name);
    _exit(open(relative ? name : full, O_RDONLY | O_CLOEXEC) < 0);
}

static void check_name(const tong_snapshot *snapshot, pid_t waiting)
{
    const tong_wait_seen *wait;
    MUST(gap_count(snapshot, FILES), "that nobody was asked is not said");
    for (size_t i = 0; (wait = tong_snapshot_wait(snapshot, i)); i++)
        if (wait->thread == waiting)
            return;
    MUST(false, "it is not said what it is in");
}

static void make_directory(char link[512])
{
    snprintf(path, sizeof path, "%s/mapped", frame_directory());
    snprintf(link, 512, "%s/link", frame_directory());
    MUST(mkdir(path, 0700) == 0 && symlink("mapped", link) == 0, "%s: %s", path, strerror(errno));
}

static void test_name(int number)
{
    struct server server = { .mode = S_IFDIR | 0700 };
    char link[512];
    make_directory(link);
    pid_t serving = begin_server(&server), child = begin_open(ways[number].path, number % 2);
    frame_until((const volatile int *)(const void *)server.asked);
    pid_t looking = begin_look(check_name, child);
    bool ended = look_ends(looking);
    kill(child, SIGKILL);
    end_server(&server, serving);
    waitpid(child, NULL, 0);
    MUST(ended, "a look waits for a server, or does not say what it left out");
    MUST(unlink(link) == 0 && rmdir(path) == 0, "rmdir: %s", strerror(errno));
}

/* ---- FIFOs, which must still be found --------------------------------------------------------------------------- */

static const struct { const char *name, *path; bool relative; } openings[] = {
    { "a FIFO by its full path", "inner/fifo", false },
    { "a FIFO from where it is", "inner//./fifo", true },
    { "a FIFO by a link into another mount", "link/fifo", false },
    { "a FIFO by a link, out and in again", "link/../inner/../link/fifo", true },
};

static const char *below(const char *name)
{
    static char full[512];
    snprintf(full, sizeof full, "%s/%s", frame_directory(), name);
    return full;
}

/* In memory that is mounted on a directory whose name mountinfo writes in another way. */
static void make_fifo(void)
{
    snprintf(path, sizeof path, "%s/an inner", frame_directory());
    MUST(mkdir(path, 0700) == 0 && symlink("an inner", below("inner")) == 0 && symlink(path, below("link")) == 0 &&
         unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("tong-test", path, "tmpfs", 0, "size=64k") == 0 && mkfifo(below("inner/fifo"), 0600) == 0, "%s: %s", path,
         strerror(errno));
}

static void test_fifo(int number)
{
    size_t object;
    make_fifo();
    pid_t child = begin_open(openings[number].path, openings[number].relative);
    frame_asleep(child, child);
    tong_snapshot *snapshot = look();
    see(snapshot, TONG_KIND_FIFO, below("an inner/fifo"), &object);
    MUST(end_of(snapshot, object, child, TONG_END_WAITS), "it does not wait for it");
    tong_snapshot_free(snapshot);
    frame_kill(child);
    MUST(umount2(path, MNT_DETACH) == 0 && rmdir(path) == 0 && unlink(below("inner")) == 0 && unlink(below("link")) == 0,
         "umount: %s", strerror(errno));
}

#define DEPTH 100
#define TURNS 600

static void append(char *text, const char *part, int times)
{
    for (size_t length = strlen(text); times-- > 0; length += strlen(part))
        strcpy(text + length, part);
}

/* A name that leads down, up and down again, in fewer bytes than a path may have: each ".." is walked from the root. */
static void test_detours(int unused)
{
    (void)unused;
    char name[PATH_MAX] = "", deepest[PATH_MAX] = "";
    MUST(chdir(frame_directory()) == 0 && mkfifo("fifo", 0600) == 0, "fifo: %s", strerror(errno));
    for (int i = 0; i < DEPTH; i++) {
        append(deepest, i ? "/d" : "d", 1);
        MUST(mkdir(deepest, 0700) == 0, "%s: %s", deepest, strerror(errno));
    }
    append(name, "d/", DEPTH);
    append(name, "../d/", TURNS);
    append(name, "../", DEPTH);
    append(name, "fifo", 1);
    pid_t child = begin_open(name, true);
    frame_asleep(child, child);
    tong_snapshot *snapshot = look();
    MUST(gap_count(snapshot, FILES), "it is walked to its end, however long that takes");
    tong_snapshot_free(snapshot);
    frame_kill(child);
    for (int i = DEPTH; i > 0; i--) {
        deepest[2 * i - 1] = '\0';
        MUST(rmdir(deepest) == 0, "%s: %s", deepest, strerror(errno));
    }
    MUST(unlink("fifo") == 0, "fifo: %s", strerror(errno));
}

/* ---- Memory that another thread fills in ------------------------------------------------------------------------- */

static int watch_memory(void *page)
{
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register asked = { .range = { (uintptr_t)page, PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &asked) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

struct filling {
    int fd;
    atomic_int *asked; /* the page is waited for */
};

/* A thread that should bring the page. */
static void *tell_of_page(void *context)
{
    const struct filling *filling = context;
    struct pollfd event = { .fd = filling->fd, .events = POLLIN };
    atomic_store(filling->asked, poll(&event, 1, -1) == 1 && event.revents & POLLIN);
    return NULL;
}

static pid_t begin_fault(int flags, atomic_int *asked)
{
    pid_t child = frame_fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    struct filling filling = { watch_memory(page), asked };
    pthread_t thread;
    MUST(page != MAP_FAILED && filling.fd >= 0, "userfaultfd: %s", strerror(errno));
    MUST(pthread_create(&thread, NULL, tell_of_page, &filling) == 0, "pthread_create");
    syscall(SYS_poll, page, 1, -1);
    _exit(0);
}

static void test_unfilled(int flags)
{
    atomic_int *asked = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(asked != MAP_FAILED, "mmap: %s", strerror(errno));
    pid_t child = begin_fault(flags, asked);
    frame_until((const volatile int *)(const void *)asked);
    pid_t looking = begin_look(check_argument, child);
    bool ended = look_ends(looking);
    frame_kill(child); /* and so its pages will never be */
    munmap(asked, PAGE);
    MUST(ended, "a look waits for who brings a page, or finds what it cannot");
}

static bool may_watch_memory(void)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = watch_memory(page);
    close(fd);
    munmap(page, PAGE);
    return fd >= 0;
}

static bool may_serve(void)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    close(fd);
    pid_t child = fork();
    if (child == 0)
        _exit(fd < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0);
    int status = 1;
    waitpid(child, &status, 0);
    return status == 0;
}

int main(int argc, char **argv)
{
    frame_begin("remote", argc, argv);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        frame_run(rows[i].name, test_local, (int)i, 30);
    frame_run("a FIFO by a name that goes to and fro", test_detours, 0, 30);
    if (may_serve()) {
        frame_run("a file of a server that is silent", test_silent, MAP_SHARED, 30);
        frame_run("a copy of one", test_silent, MAP_PRIVATE, 30);
        frame_run("an open file of a server that is silent", test_open, 0, 30);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
            frame_run(ways[i].name, test_name, (int)i, 30);
        for (size_t i = 0; i < sizeof openings / sizeof *openings; i++)
            frame_run(openings[i].name, test_fifo, (int)i, 30);
    } else {
        frame_skip("a file of a server that is silent", "no file system can be served here");
    }
    if (may_watch_memory()) {
        frame_run("memory that nobody fills in", test_unfilled, MAP_PRIVATE, 30);
        frame_run("shared memory that nobody fills in", test_unfilled, MAP_SHARED, 30);
    } else {
        frame_skip("memory that nobody fills in", "userfaultfd(2) is not allowed here");
    }
    return frame_end();
}
