/* SPDX-License-Identifier: MIT */
/*
 * What a look reads was written by others: lines of proc(5) with names in them, channels in /dev/shm, memory of those who
 * wait.  An input is a list of files: each is a byte that says which, two with its length, and its bytes.  They are laid
 * over a small proc(5) of two processes, and a look is taken at that.  Whatever is in it, the look ends, what it says of
 * itself is whole, and all its strings end.
 *
 * Where mounts can be made the target has /dev/shm and /run of its own; nothing of other processes is asked.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/unix_diag.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tong/inspect.h>
#include <tong/tong.h>
#include <unistd.h>

#include "inspect/diag.h"
#include "sys/sys.h"

#define OTHER "9999999"          /* above what the kernel gives */
#define THREAD "9999998"
#define MEMORY ((char *)0x20000000) /* what arguments of system calls may point to */
#define MEMORY_SIZE 65536
#define CHANNEL "/dev/shm/tong.fuzz"

/* SELF stands for the number of this process. */
static struct file {
    const char *path;
    const char *text;
} files[] = {
    { "SELF/stat", "SELF (fuzz) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0\n" },
    { "SELF/status", "Name:\tfuzz\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nNSpid:\t7\nSigPnd:\t0\nShdPnd:\t0\nSigBlk:\t0\n"
      "SigIgn:\t0\nSigCgt:\t180000000\n" },
    { "SELF/cmdline", "fuzz" },
    { "SELF/maps", "10000000-10001000 rw-s 00000000 00:1a 77                  /dev/shm/mapped\n"
      "10001000-10002000 rw-s 00001000 00:01 5                  /SYSV000004d2 (deleted)\n"
      "10003000-10004000 rw-s 00000000 00:01 9                  /dev/zero (deleted)\n" },
    { "SELF/mountinfo", "20 1 0:20 / /run/queues rw - mqueue mqueue rw\n21 1 0:21 / /proc rw - proc proc rw\n" },
    { "SELF/task/" THREAD "/syscall", "7 0x20000000 0x2 0xffffffff 0x0 0x0 0x0 0x7fff00000000 0x7fff00001000\n" },
    { "SELF/task/" THREAD "/stat", THREAD " (fuzz) S 1\n" },
    { "SELF/fdinfo/3", "pos:\t0\nflags:\t02\neventfd-count:                3\neventfd-id: 7\n" },
    { "SELF/fdinfo/4", "pos:\t0\ntfd:        3 events:       19 data:                3  pos:0 ino:4d sdev:7\n" },
    { "SELF/fdinfo/5", "pos:\t0\nlock:\t1: FLOCK  ADVISORY  WRITE 7 00:1a:77 0 EOF\ntty-index:\t3\n" },
    { "SELF/net/netlink", "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
      "0000000000000000 0   77         00000001 0        0        0     2        0        18\n" },
    { OTHER "/net/unix", "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01    19 @name\n" },
    { OTHER "/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:1F90 0100007F:1F91 01 00000000:00000003 00:00000000 00000000  1000        0 20 1\n" },
    { OTHER "/net/tcp6", "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A "
      "00000000:00000000 00:00000000 00000000  1000        0 21 1\n" },
    { OTHER "/stat", OTHER " (a) b) R 1 (\n) S SELF 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12346 0 0\n" },
    { OTHER "/cmdline", "other\0word\n\033[2J" },
    { OTHER "/maps", "10000000-10001000 -w-s 00000000 00:1a 77                  /dev/shm/mapped\n" },
    { OTHER "/task/" OTHER "/syscall", "202 0x20000100 0x80 0x2 0x0 0x0 0x0 0x7fff00000000 0x7fff00001000\n" },
    { "locks", "1: FLOCK  ADVISORY  WRITE 7 00:1a:77 0 EOF\n1: -> FLOCK  ADVISORY  WRITE " OTHER " 00:1a:77 0 EOF\n"
      "2: OFDLCK ADVISORY  READ -1 00:1a:78 0 4095\n" },
    { "stat", "cpu  1\nbtime 1700000000\n" },
    { "sysvipc/msg", "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid\n"
      "      1234          0   600          5          1  7  8     0     0     0     0 1700000000 1700000000 1\n" },
    { "sysvipc/shm", "      1234          5  1600                  4096  7  8      2     0     0     0     0 1 1 1 4096 0\n" },
    { "sysvipc/sem", "      1234          0   666          2     0     0     0     0 1700000000 1700000000\n" },
    { "SELF/fd/3", "anon_inode:[eventfd]" },       /* links, to what the text says */
    { "SELF/fd/4", "anon_inode:[eventpoll]" },
    { "SELF/fd/5", "/dev/shm/mapped" },
    { "SELF/fd/6", "socket:[19]" },
    { OTHER "/fd/3", "pipe:[77]" },
    { OTHER "/ns/net", "net:[4026530000]" },
    { "/dev/shm/mapped", "" },                     /* files beside proc(5) */
    { "/dev/shm/sem.fuzz", "\1\0\0\0" },
    { "/run/queues/queue", "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n" },
    { NULL, NULL },                                /* memory; the channel, from a place on; an answer of sock_diag(7) */
    { NULL, NULL },
    { NULL, NULL },
};
#define COUNT (sizeof files / sizeof *files)
#define ANSWER (COUNT - 1)
#define SEGMENT (COUNT - 2)
#define ARGUMENTS (COUNT - 3)

static char root[32] = "/tmp/tong-fuzz-XXXXXX";
static bool alone;          /* with mounts of its own */
static uint8_t *segment;    /* the channel as it was made */
static off_t segment_size;

/* ---- What there is before an input --------------------------------------------------------------------------------- */

/* What a look asks besides files is of the machine, and not for this. */
static int refuse(const char *call)
{
    static const char *const files_only[] = { "open", "openat", "close", "read", "pread", "getdents64", "readlinkat",
                                              "fstatat", "fstat", "statx", "lstat", "fstatfs", "fcntl_lock", "openat2",
                                              "process_vm_readv" };
    for (size_t i = 0; i < sizeof files_only / sizeof *files_only; i++)
        if (!strcmp(call, files_only[i]))
            return 0;
    return -EPERM;
}

static void find_path(const char *form, char ret[256])
{
    const char *self = strstr(form, "SELF");
    if (*form == '/')
        snprintf(ret, 256, "%s", form);
    else if (self)
        snprintf(ret, 256, "%s/%.*s%d%s", root, (int)(self - form), form, (int)getpid(), self + 4);
    else
        snprintf(ret, 256, "%s/%s", root, form);
}

static void make_directories(const char *path)
{
    char part[256];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0700);
    }
}

static bool is_link(const struct file *file)
{
    return strstr(file->path, "/fd/") || strstr(file->path, "/ns/");
}

static void put(const struct file *file, const void *bytes, size_t size)
{
    char path[256], target[256];
    if (*file->path == '/' && !alone)
        return;
    find_path(file->path, path);
    if (is_link(file)) {
        snprintf(target, sizeof target, "%.*s", (int)size, (const char *)bytes);
        unlink(path);
        (void)!symlink(*target ? target : "x", path);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    PROMISE(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

/* The text of a file that every input begins with, and its size: the command line has NUL in it. */
static size_t text_of(const struct file *file, char ret[4096])
{
    size_t used = 0;
    if (strstr(file->path, "cmdline") || strstr(file->path, "sem."))
        return memcpy(ret, file->text, strlen(file->text)), strlen(file->text);
    for (const char *at = file->text; *at; )
        if (!strncmp(at, "SELF", 4)) {
            used += (size_t)sprintf(ret + used, "%d", (int)getpid());
            at += 4;
        } else
            ret[used++] = *at++;
    return used;
}

static void put_text(const struct file *file)
{
    char text[4096];
    put(file, text, text_of(file, text));
}

static bool mount_own(void)
{
    static const char *const places[] = { "/dev/shm", "/run" };
    bool mounted = (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
                   mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    for (size_t i = 0; i < sizeof places / sizeof *places && mounted; i++)
        mounted = mount("tmpfs", places[i], "tmpfs", 0, NULL) == 0;
    return mounted;
}

/* Of one who died in it, with a message that nobody took. */
static void make_channel(void)
{
    pid_t child = fork();
    if (child == 0) {
        tong_channel *sender;
        int r = tong_channel_open("shm:fuzz?capacity=4K", TONG_SEND, 0, &sender);
        r = r < 0 ? r : tong_channel_send(sender, "message", 7, NULL, 0);
        _exit(r < 0);
    }
    int status, fd;
    PROMISE(waitpid(child, &status, 0) == child && status == 0);
    struct stat seen;
    PROMISE((fd = open(CHANNEL, O_RDWR | O_CLOEXEC)) >= 0 && fstat(fd, &seen) == 0);
    segment_size = seen.st_size < 65536 ? seen.st_size : 65536;
    segment = malloc((size_t)segment_size);
    PROMISE(pread(fd, segment, (size_t)segment_size, 0) == segment_size);
    close(fd);
}

static void leave(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", root);
    (void)!system(command);
}

static void begin(void)
{
    char path[256], self[16];
    alone = mount_own();
    if (alone)
        strcpy(root, "/run/tong-fuzz-XXXXXX");
    PROMISE(mkdtemp(root));
    if (!alone)
        atexit(leave);
    for (size_t i = 0; i < ARGUMENTS; i++) {
        find_path(files[i].path, path);
        if (alone || *files[i].path != '/')
            make_directories(path);
        put_text(&files[i]);
    }
    snprintf(path, sizeof path, "%s/self", root);
    snprintf(self, sizeof self, "%d", (int)getpid());
    PROMISE(symlink(self, path) == 0);
    PROMISE(mmap(MEMORY, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MEMORY);
    if (alone)
        make_channel();
}

/* ---- What must hold ---------------------------------------------------------------------------------------------------- */

static size_t sum; /* so that every byte is read */

static void read_string(const char *text)
{
    PROMISE(text);
    sum += strlen(text);
}

static void check(const tong_snapshot *snapshot)
{
    size_t objects = tong_snapshot_objects(snapshot), processes = tong_snapshot_processes(snapshot);
    const tong_process *process;
    const tong_object *object;
    const tong_end *end;
    const tong_wait_seen *wait;
    const tong_finding *finding;
    for (size_t i = 0; (process = tong_snapshot_process(snapshot, i)); i++) {
        read_string(process->name);
        read_string(process->command);
    }
    for (size_t i = 0; (object = tong_snapshot_object(snapshot, i)); i++) {
        PROMISE(object->peer == TONG_NOBODY || object->peer < objects);
        PROMISE(object->certainty >= TONG_EXACT && object->certainty <= TONG_UNSURE);
        read_string(object->key);
        read_string(object->name);
        read_string(object->address);
        read_string(object->source);
        read_string(object->detail);
    }
    for (size_t i = 0; (end = tong_snapshot_end(snapshot, i)); i++)
        PROMISE(end->object < objects && end->process < processes && end->count > 0);
    for (size_t i = 0; (wait = tong_snapshot_wait(snapshot, i)); i++) {
        PROMISE((wait->object == TONG_NOBODY || wait->object < objects) && wait->process < processes);
        read_string(wait->operation);
        read_string(wait->detail);
    }
    for (size_t i = 0; (finding = tong_snapshot_finding(snapshot, i)); i++) {
        PROMISE(finding->object == TONG_NOBODY || finding->object < objects);
        for (uint32_t k = 0; k < finding->waits; k++)
            PROMISE(tong_snapshot_stuck(snapshot, finding->first_wait + k) < tong_snapshot_waits(snapshot));
        read_string(finding->summary);
        read_string(finding->proof);
        read_string(finding->advice);
        read_string(finding->address);
    }
}

static int read_socket(void *context, const struct diag_socket *socket)
{
    (void)context;
    for (unsigned type = 0; type < DIAG_ATTRIBUTES; type++) {
        const unsigned char *bytes = diag_value(socket, type, 1);
        for (size_t i = 0; bytes && i < diag_size(socket, type); i++)
            sum += bytes[i];
    }
    sum += ((const struct unix_diag_msg *)socket->message)->udiag_ino;
    return 0;
}

/* ---- One input ------------------------------------------------------------------------------------------------------ */

static void put_segment(const uint8_t *bytes, size_t size)
{
    int fd = alone ? open(CHANNEL, O_WRONLY | O_CLOEXEC) : -1;
    size_t at = size >= 2 ? 8 * (size_t)(bytes[0] | bytes[1] << 8) : 0;
    if (fd < 0)
        return;
    PROMISE(pwrite(fd, segment, (size_t)segment_size, 0) == segment_size);
    if (size > 2 && at + size - 2 <= (size_t)segment_size)
        PROMISE(pwrite(fd, bytes + 2, size - 2, (off_t)at) == (ssize_t)size - 2);
    close(fd);
}

static void lay(size_t which, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size); /* of its own, so that a byte beyond it is seen */
    if (size)
        memcpy(copy, bytes, size);
    if (which == ANSWER)
        diag_read(copy, size, sizeof(struct unix_diag_msg), read_socket, NULL);
    else if (which == SEGMENT)
        put_segment(copy, size);
    else if (which == ARGUMENTS)
        memcpy(MEMORY, copy, size);
    else
        put(&files[which], copy, size);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static bool begun, laid[COUNT];
    tong_look asked = TONG_LOOK_INIT;
    tong_snapshot *snapshot;
    if (!begun)
        begin();
    begun = true;
    for (size_t at = 0; size - at >= 3; ) {
        size_t which = bytes[at] % COUNT, length = (size_t)(bytes[at + 1] | bytes[at + 2] << 8), left = size - at - 3;
        length = length < left ? length : left;
        lay(which, bytes + at + 3, length);
        laid[which] = true;
        at += 3 + length;
    }
    asked.proc = root;
    sys_fault = refuse;
    int r = tong_snapshot_take(&asked, &snapshot);
    sys_fault = NULL;
    PROMISE(r == 0);
    check(snapshot);
    tong_snapshot_free(snapshot);
    for (size_t i = 0; i < COUNT; i++) {
        if (laid[i] && i < ARGUMENTS)
            put_text(&files[i]);
        else if (laid[i] && i == SEGMENT)
            put_segment(NULL, 0);
        laid[i] = false;
    }
    return 0;
}
