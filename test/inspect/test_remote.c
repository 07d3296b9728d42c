/* SPDX-License-Identifier: MIT */
/*
 * Arguments of calls that lie in mapped files.  A file of a server that does not answer is one of FUSE, which this test
 * serves itself: all but the content.  Who would read that waits; a look must not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
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

static char path[256];
static int ends[2], served = -1;

/* ---- A server ---------------------------------------------------------------------------------------------------- */

struct server {
    int fd;
    atomic_int *asked; /* the content is waited for */
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
    const struct fuse_attr_out about = { .attr_valid = 3600, .attr = { .ino = 1, .size = PAGE, .mode = S_IFREG | 0600,
                                                                      .nlink = 1 } };
    const struct fuse_open_out opened = { .fh = 1 };
    switch (asked->opcode) {
    case FUSE_INIT: answer(server, asked, &begin, sizeof begin, 0); break;
    case FUSE_GETATTR: answer(server, asked, &about, sizeof about, 0); break;
    case FUSE_OPEN: answer(server, asked, &opened, sizeof opened, 0); break;
    case FUSE_READ: atomic_store(server->asked, 1); break; /* and no more is said */
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

/* On a file of its own, in a mount namespace of its own. */
static pid_t begin_server(struct server *server)
{
    char options[128];
    server->asked = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    server->fd = served = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(options, sizeof options, "fd=%d,rootmode=100600,user_id=0,group_id=0", server->fd);
    MUST(server->asked != MAP_FAILED && server->fd >= 0, "/dev/fuse: %s", strerror(errno));
    MUST(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("tong-test", path, "fuse", 0, options) == 0, "mount: %s", strerror(errno));
    pid_t child = frame_fork();
    if (child == 0)
        serve(server);
    return child;
}

static void end_server(const struct server *server, pid_t pid)
{
    umount2(path, MNT_FORCE); /* with which all that waited fails */
    MUST(umount2(path, MNT_DETACH) == 0, "umount: %s", strerror(errno));
    frame_kill(pid);
    close(server->fd);
    served = -1;
    munmap((void *)(uintptr_t)server->asked, PAGE);
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

static void test_silent(int flags)
{
    struct server server;
    make_file();
    pid_t serving = begin_server(&server), child = begin_poll(flags, open_file, false);
    frame_until((const volatile int *)(const void *)server.asked);
    tong_snapshot *snapshot = look();
    MUST(!waits_for_pipe(snapshot, child), "nobody can know that");
    MUST(gap_count(snapshot, ARGUMENTS), "that it was not read is not said");
    tong_snapshot_free(snapshot);
    kill(child, SIGKILL);
    end_server(&server, serving);
    waitpid(child, NULL, 0);
    drop_file();
}

static bool may_serve(void)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    close(fd);
    pid_t child = fork();
    if (child == 0)
        _exit(fd < 0 || unshare(CLONE_NEWNS) < 0);
    int status = 1;
    waitpid(child, &status, 0);
    return status == 0;
}

int main(int argc, char **argv)
{
    frame_begin("remote", argc, argv);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        frame_run(rows[i].name, test_local, (int)i, 30);
    if (may_serve()) {
        frame_run("a file of a server that is silent", test_silent, MAP_SHARED, 30);
        frame_run("a copy of one", test_silent, MAP_PRIVATE, 30);
    } else {
        frame_skip("a file of a server that is silent", "no file system can be served here");
    }
    return frame_end();
}
