/* SPDX-License-Identifier: MIT */
/* Objects with names: private, made and removed as asked, never mistaken for what somebody else put there. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "contract.h"

static char buffer[4096];

/* The path in the receiver's address. */
static const char *path_of(const struct ends *ends)
{
    static char path[512];
    const char *start = strchr(ends->address[1], ':') + 1;
    snprintf(path, sizeof path, "%.*s", (int)strcspn(start, "?"), start);
    return path;
}

/* ---- Private ------------------------------------------------------------------------------------------------- */

static int check_modes(const char *directory, const char *mark)
{
    DIR *entries = opendir(directory);
    int found = 0;
    for (struct dirent *entry; entries && (entry = readdir(entries)); ) {
        struct stat status;
        if (entry->d_name[0] == '.' || (mark && !strstr(entry->d_name, mark)))
            continue;
        MUST(fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0, "%s: %s", entry->d_name, strerror(errno));
        MUST((status.st_mode & 07777) == 0600, "%s/%s has mode 0%o", directory, entry->d_name, status.st_mode & 07777);
        found++;
    }
    if (entries)
        closedir(entries);
    return found;
}

static int check_queue_modes(void)
{
    FILE *file = fopen("/proc/sysvipc/msg", "re");
    char line[512];
    int found = 0, key, id;
    unsigned mode;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%d %d %o", &key, &id, &mode) == 3 && key >= frame_key() && key < frame_key() + 256) {
            MUST((mode & 0777) == 0600, "the queue has mode 0%o", mode);
            found++;
        }
    if (file)
        fclose(file);
    return found;
}

/* POSIX queues, by our own descriptors: their directory need not be mounted. */
static int check_open_modes(void)
{
    DIR *entries = opendir("/proc/self/fd");
    int found = 0;
    for (struct dirent *entry; (entry = readdir(entries)); ) {
        char target[128] = "";
        struct stat status;
        if (readlinkat(dirfd(entries), entry->d_name, target, sizeof target - 1) < 0 || target[0] != '/' ||
            strncmp(target + 1, frame_mark(), strlen(frame_mark())))
            continue;
        MUST(fstat(atoi(entry->d_name), &status) == 0, "fstat: %s", strerror(errno));
        MUST((status.st_mode & 07777) == 0600, "the queue %s has mode 0%o", target, status.st_mode & 07777);
        found++;
    }
    closedir(entries);
    return found;
}

static void test_private(const struct row *row)
{
    struct ends ends;
    umask(0);
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_send(ends.sender, "one", 3, NULL, TONG_SECOND));
    int found = check_modes(frame_directory(), NULL) + check_modes("/dev/shm", frame_mark()) + check_queue_modes() +
                check_open_modes();
    MUST(found > 0 || strchr(ends.address[1], '@'), "%s made nothing to look at", ends.address[1]);
    ends_close(&ends);
}

static void test_close_on_exec(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, TONG_CANCELLABLE);
    if (row->has & HAS_READY) {
        struct pollfd item;
        OK(tong_channel_pollfd(ends.receiver, TONG_RECEIVE, &item));
    }
    for (int fd = 3; fd < 100; fd++) {
        char path[32], target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) < 0 || strstr(target, "/check_") || strstr(target, "(deleted)"))
            continue;
        int flags = fcntl(fd, F_GETFD);
        /* What the test was started with is not ours. */
        if (strstr(target, "pipe:") || strstr(target, "socket:") || strstr(target, frame_directory()) || strstr(target, "anon_inode"))
            MUST(flags < 0 || flags & FD_CLOEXEC || fd < 10, "descriptor %d (%s) stays open on exec", fd, target);
    }
    ends_close(&ends);
}

/* ---- Made and removed ------------------------------------------------------------------------------------------ */

static void test_create(const struct row *row)
{
    struct ends ends;
    tong_channel *channel;
    ends_address(&ends, row, "create=no");
    GIVES(tong_channel_open(ends.address[1], TONG_RECEIVE, 0, &channel), -ENOENT);
    MUST(*tong_detail(), "-ENOENT says nothing");
    ends_open(&ends, row, NULL, 0);
    ends_close(&ends);
}

static void test_create_excl(const struct row *row)
{
    struct ends ends;
    tong_channel *first, *second;
    ends_address(&ends, row, "create=excl");
    OK(tong_channel_open(ends.address[1], TONG_RECEIVE, TONG_SECOND, &first));
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    OK(tong_channel_describe(first, &info));
    MUST(info.flags & TONG_INFO_CREATED, "it does not say that it made the object");
    GIVES(tong_channel_open(ends.address[1], TONG_RECEIVE, 0, &second), -EEXIST);
    OK(tong_channel_close(first));
    OK(tong_remove(ends.address[1]));
}

static void test_remove(const struct row *row)
{
    struct ends ends;
    ends_address(&ends, row, NULL);
    GIVES(tong_remove(ends.address[1]), -ENOENT);
    ends_open(&ends, row, NULL, 0);
    OK(tong_channel_send(ends.sender, "one", 3, NULL, TONG_SECOND));
    OK(tong_remove(ends.address[1]));
    GIVES(tong_remove(ends.address[1]), -ENOENT);
    ends_close(&ends);
}

static void test_no_remove(const struct row *row)
{
    struct ends ends;
    ends_address(&ends, row, NULL);
    GIVES(tong_remove(ends.address[1]), -EOPNOTSUPP);
}

struct receiving {
    tong_channel *channel;
    atomic_int tid;
    int64_t result;
};

static void *receive_one(void *argument)
{
    struct receiving *receiving = argument;
    static char data[64];
    atomic_store(&receiving->tid, (int)syscall(SYS_gettid));
    receiving->result = tong_channel_receive(receiving->channel, data, sizeof data, NULL, TONG_FOREVER);
    return NULL;
}

/* System V alone takes the object away from those who wait on it. */
static void test_removed_while_awaited(const struct row *row)
{
    struct ends ends;
    pthread_t thread;
    ends_open(&ends, row, NULL, 0);
    struct receiving receiving = { .channel = ends.receiver };
    MUST(pthread_create(&thread, NULL, receive_one, &receiving) == 0, "no thread");
    while (!atomic_load(&receiving.tid))
        usleep(1000);
    frame_asleep(0, atomic_load(&receiving.tid));
    OK(tong_remove(ends.address[1]));
    pthread_join(thread, NULL);
    GIVES(receiving.result, -EIDRM);
    GIVES(tong_channel_send(ends.sender, "one", 3, NULL, 0), -EIDRM);
    ends_close(&ends);
}

/* ---- Something else under our name --------------------------------------------------------------------------------- */

static int open_receiving(const struct ends *ends)
{
    tong_channel *channel;
    tong_listener *listener;
    if (ends->row->making == MAKE_LISTEN)
        return tong_listener_open(ends->address[1], 0, &listener);
    return tong_channel_open(ends->address[1], TONG_RECEIVE, 0, &channel);
}

static void expect_foreign(const struct ends *ends, const char *what, bool links)
{
    struct stat before, after;
    MUST(lstat(path_of(ends), &before) == 0, "lstat: %s", strerror(errno));
    int r = open_receiving(ends);
    MUST(r == -EEXIST || (links && r == -ELOOP), "%s under the name: %d (%s)", what, r, r < 0 ? tong_detail() : "opened");
    MUST(strstr(tong_detail(), path_of(ends)), "the detail does not name the path: %s", tong_detail());
    r = tong_remove(ends->address[1]);
    MUST(r == -EEXIST || r == -EOPNOTSUPP || (links && r == -ELOOP), "removing %s gave %d", what, r);
    MUST(lstat(path_of(ends), &after) == 0 && after.st_ino == before.st_ino && after.st_mtime == before.st_mtime &&
         after.st_size == before.st_size && after.st_mode == before.st_mode, "%s was changed", what);
}

static void test_foreign(const struct row *row)
{
    struct ends ends;
    ends_address(&ends, row, NULL);
    MUST(mkdir(path_of(&ends), 0700) == 0, "mkdir: %s", strerror(errno));
    expect_foreign(&ends, "a directory", false);
    rmdir(path_of(&ends));
    bool ordinary = !strcmp(row->scheme, "file") || !strcmp(row->scheme, "mmap"); /* a channel, or a region */
    if (!ordinary) {
        int fd = open(path_of(&ends), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        MUST(fd >= 0 && write(fd, "mine", 4) == 4, "no file for the test");
        close(fd);
        expect_foreign(&ends, "a file", false);
        unlink(path_of(&ends));
    }
    if (strcmp(row->scheme, "fifo")) {
        MUST(mkfifo(path_of(&ends), 0600) == 0, "mkfifo: %s", strerror(errno));
        expect_foreign(&ends, "a FIFO", false);
        unlink(path_of(&ends));
    }
}

/* A link, even to nothing: following it would let others choose where our object is made. */
static void test_link(const struct row *row)
{
    struct ends ends;
    char target[600];
    ends_address(&ends, row, NULL);
    snprintf(target, sizeof target, "%s.elsewhere", path_of(&ends));
    MUST(symlink(target, path_of(&ends)) == 0, "symlink: %s", strerror(errno));
    expect_foreign(&ends, "a symbolic link", true);
    MUST(access(target, F_OK) < 0, "the link was followed");
    unlink(path_of(&ends));
}

/* ---- Listeners --------------------------------------------------------------------------------------------------------- */

static void test_listener_taken(const struct row *row)
{
    struct ends ends;
    tong_listener *second;
    ends_prepare(&ends, row, NULL, 0);
    GIVES(tong_listener_open(ends.address[1], 0, &second), -EADDRINUSE);
    ends_open_sender(&ends, 0);
    ends_open_receiver(&ends, 0);
    OK(tong_channel_send(ends.sender, "one", 3, NULL, TONG_SECOND));
    receive_bytes(ends.receiver, buffer, 3);
    ends_close(&ends);
}

/* A path that a dead server left behind is no obstacle. */
static void test_listener_stale(const struct row *row)
{
    struct ends ends;
    int ready[2];
    MUST(pipe(ready) == 0, "pipe");
    ends_address(&ends, row, NULL);
    pid_t pid = frame_fork();
    if (pid == 0) {
        OK(tong_listener_open(ends.address[1], 0, &ends.listener));
        MUST(write(ready[1], "x", 1) == 1, "write");
        for (;;)
            pause();
    }
    MUST(read(ready[0], buffer, 1) == 1, "read");
    close(ready[0]);
    close(ready[1]);
    frame_kill(pid);
    GIVES(tong_channel_open(ends.address[0], TONG_SEND, 0, &ends.sender), -ENXIO);
    OK(tong_listener_open(ends.address[1], 0, &ends.listener));
    ends_open_sender(&ends, 0);
    ends_open_receiver(&ends, 0);
    ends_close(&ends);
}

#define CLIENTS 20

static void test_many_clients(const struct row *row)
{
    struct ends ends;
    tong_channel *clients[CLIENTS], *served[CLIENTS];
    ends_prepare(&ends, row, NULL, 0);
    for (int i = 0; i < CLIENTS; i++) {
        OK(tong_channel_open(ends.address[0], TONG_SEND, TONG_SECOND, &clients[i]));
        OK(tong_listener_accept(ends.listener, TONG_RECEIVE, TONG_SECOND, &served[i]));
    }
    for (int i = 0; i < CLIENTS; i++)
        OK(tong_channel_send(clients[i], &(char){ (char)('a' + i) }, 1, NULL, TONG_SECOND));
    for (int i = CLIENTS - 1; i >= 0; i--) {
        receive_bytes(served[i], buffer, 1);
        MUST(buffer[0] == 'a' + i, "client %d said '%c'", i, buffer[0]);
        OK(tong_channel_close(clients[i]));
        OK(tong_channel_close(served[i]));
    }
    ends_close(&ends);
}

struct accepting {
    tong_listener *listener;
    atomic_int tid, result;
};

static void *accept_in_thread(void *argument)
{
    struct accepting *accepting = argument;
    tong_channel *channel;
    atomic_store(&accepting->tid, (int)syscall(SYS_gettid));
    atomic_store(&accepting->result, tong_listener_accept(accepting->listener, TONG_RECEIVE, TONG_FOREVER, &channel));
    return NULL;
}

static void test_listener_cancel(const struct row *row)
{
    struct ends ends;
    pthread_t thread;
    tong_channel *channel;
    ends_prepare(&ends, row, NULL, TONG_CANCELLABLE);
    struct accepting accepting = { .listener = ends.listener };
    MUST(pthread_create(&thread, NULL, accept_in_thread, &accepting) == 0, "no thread");
    while (!atomic_load(&accepting.tid))
        usleep(1000);
    frame_asleep(0, atomic_load(&accepting.tid));
    OK(tong_listener_cancel(ends.listener));
    pthread_join(thread, NULL);
    GIVES(atomic_load(&accepting.result), -ECANCELED);
    GIVES(tong_listener_accept(ends.listener, TONG_RECEIVE, TONG_FOREVER, &channel), -ECANCELED);
    ends_close(&ends);
}

/* ---- Descriptions and refusals -------------------------------------------------------------------------------------------- */

static void test_describe(const struct row *row)
{
    struct ends ends;
    ends_open(&ends, row, NULL, 0);
    tong_channel_info info = TONG_CHANNEL_INFO_INIT;
    OK(tong_channel_describe(ends.sender, &info));
    MUST(info.flags & TONG_SEND && !(info.flags & TONG_RECEIVE), "the sender's flags are 0x%x", info.flags);
    MUST(!strcmp(info.scheme, row->scheme), "the scheme is '%s'", info.scheme);
    MUST(info.object && *info.object, "the object has no words");
    MUST(info.largest > 0, "the largest message has %llu bytes", (unsigned long long)info.largest);
    MUST(!!(info.flags & TONG_INFO_ENDLESS) == !(row->required & TONG_HAS_FINISH), "ENDLESS and finish disagree");
    /* A caller of another time knows a shorter structure: nothing beyond it may be written. */
    memset(&info, 0x5a, sizeof info);
    info.size = 8;
    OK(tong_channel_describe(ends.receiver, &info));
    MUST(info.size == 8 && info.flags & TONG_RECEIVE && info.largest == UINT64_C(0x5a5a5a5a5a5a5a5a), "more was written than asked");
    ends_close(&ends);
}

static void test_directions(const struct row *row)
{
    struct ends ends;
    tong_channel *channel;
    ends_open(&ends, row, NULL, 0);
    GIVES(tong_channel_receive(ends.sender, buffer, 4, NULL, 0), -EBADF);
    GIVES(tong_channel_send(ends.receiver, buffer, 4, NULL, 0), -EBADF);
    GIVES(tong_channel_open(ends.address[0], 0, 0, &channel), -EINVAL);
    GIVES(tong_channel_open(ends.address[0], TONG_BOTH | 0x100, 0, &channel), -EINVAL);
    GIVES(tong_channel_send(NULL, buffer, 4, NULL, 0), -EINVAL);
    GIVES(tong_channel_receive(NULL, buffer, 4, NULL, 0), -EINVAL);
    OK(tong_channel_close(NULL));
    tong_listener_close(NULL);
    ends_close(&ends);
}

/* Both directions of a one-way conduit need two names. */
static void test_one_way(const struct row *row)
{
    struct ends ends;
    tong_channel *channel;
    ends_address(&ends, row, NULL);
    GIVES(tong_channel_open(ends.address[0], TONG_BOTH, 0, &channel), -EOPNOTSUPP);
    MUST(strchr(tong_detail(), ','), "the form with two names is not shown: %s", tong_detail());
}

static void test_options(const struct row *row)
{
    struct ends ends;
    tong_channel *channel;
    ends_address(&ends, row, "colour=red");
    GIVES(tong_channel_open(ends.address[0], TONG_SEND, 0, &channel), -EINVAL);
    char detail[640];
    snprintf(detail, sizeof detail, "%s", tong_detail());
    MUST(strstr(detail, "colour"), "the unknown option is not named: %s", detail);
    tong_option_info option = TONG_OPTION_INFO_INIT;
    size_t count = 0; /* channels come first */
    for (; tong_mechanism_option(row->scheme, count, &option) == 0 && option.noun == TONG_HAS_CHANNEL; count++) {
        MUST(strstr(detail, option.name), "the option '%s' is not offered: %s", option.name, detail);
        MUST(*option.values && *option.fallback && *option.help, "the option '%s' lacks words", option.name);
    }
    MUST(count > 0, "there are no options");
    for (size_t i = 0; i < count; i++) {
        OK(tong_mechanism_option(row->scheme, i, &option));
        char wrong[64];
        snprintf(wrong, sizeof wrong, "%s=%%21nonsense", option.name);
        ends_address(&ends, row, strstr(row->sender, option.name) ? "colour=red" : wrong);
        GIVES(tong_channel_open(ends.address[0], TONG_SEND, 0, &channel), -EINVAL);
        MUST(strstr(row->sender, option.name) || strstr(tong_detail(), option.name), "'%s' is not named: %s", option.name, tong_detail());
    }
}

static void test_limits(const struct row *row)
{
    tong_limit_info limit = TONG_LIMIT_INFO_INIT;
    for (size_t i = 0; tong_mechanism_limit(row->scheme, i, &limit) == 0; i++) {
        MUST(*limit.name && *limit.unit && *limit.source, "limit %zu lacks words", i);
        MUST(limit.value > 0, "the limit '%s' (%s) is 0", limit.name, limit.source);
    }
}

static void test_long_name(const struct row *row)
{
    char address[6000];
    tong_channel *channel;
    int used = snprintf(address, sizeof address, "%s:%s/", row->scheme, frame_directory());
    memset(address + used, 'x', 5000);
    address[used + 5000] = '\0';
    GIVES(tong_channel_open(address, TONG_SEND, 0, &channel), -ENAMETOOLONG);
    MUST(strlen(tong_detail()) < 640 && !strchr(tong_detail(), '\n'), "the detail is not one short line");
}

const struct contract_test object_tests[] = {
    { "private", test_private, HAS_NAME, HAS_PORT, 10 },
    { "close-on-exec", test_close_on_exec, 0, 0, 10 },
    { "create", test_create, HAS_CREATE, 0, 10 },
    { "create-excl", test_create_excl, HAS_CREATE | TONG_HAS_REMOVE, 0, 10 },
    { "remove", test_remove, TONG_HAS_REMOVE | HAS_CREATE, 0, 10 },
    { "no-remove", test_no_remove, 0, TONG_HAS_REMOVE, 10 },
    { "removed-while-awaited", test_removed_while_awaited, TONG_HAS_SELECT, HAS_BOTH, 10 },
    { "foreign", test_foreign, HAS_PATH, 0, 10 },
    { "link", test_link, HAS_PATH, 0, 10 },
    { "listener-taken", test_listener_taken, TONG_HAS_LISTENER | HAS_NAME, 0, 10 },
    { "listener-stale", test_listener_stale, TONG_HAS_LISTENER | HAS_PATH, 0, 10 },
    { "many-clients", test_many_clients, TONG_HAS_LISTENER | HAS_NAME, 0, 20 },
    { "listener-cancel", test_listener_cancel, TONG_HAS_LISTENER | HAS_NAME, 0, 20 },
    { "describe", test_describe, 0, 0, 10 },
    { "directions", test_directions, 0, HAS_BOTH, 10 },
    { "one-way", test_one_way, HAS_NAME | TONG_HAS_TWO_WAY_PAIR, TONG_HAS_TWO_WAY, 10 },
    { "options", test_options, 0, 0, 10 },
    { "limits", test_limits, 0, 0, 10 },
    { "long-name", test_long_name, HAS_PATH, 0, 10 },
    { NULL, NULL, 0, 0, 0 },
};
