/* SPDX-License-Identifier: MIT */
/*
 * tong_snapshot_remove(): what was left behind goes, and what has come in its place since it was seen, or is used by now,
 * stays.  The change happens before each system call of the removal, one after the other.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "look.h"
#include "world.h"

#define NAME "/tmp/socket"
#define SURELY 24 /* calls of a removal that are all tried: then come files that nobody can mistake */
#define NONE ((size_t)-1)
#define OTHER 65534 /* a user who has nothing */
#define MEMORY "sysvshm:id=" /* and the number of the one that was left */

static int memory = -1, first_memory = -1;

/* The finding of that kind whose address this is. */
static size_t found(const tong_snapshot *snapshot, const char *address)
{
    const tong_finding *finding;
    for (size_t i = 0; (finding = tong_snapshot_finding(snapshot, i)); i++)
        if (finding->kind == TONG_FINDING_LEFTOVER && !strcmp(finding->address, address))
            return i;
    return NONE;
}

static size_t find(const tong_snapshot *snapshot, const char *what)
{
    char address[48];
    bool is_memory = !strcmp(what, MEMORY);
    if (is_memory)
        snprintf(address, sizeof address, "%s%d", what, first_memory);
    else
        snprintf(address, sizeof address, "%s", what);
    size_t number = found(snapshot, address);
    MUST(number != NONE, "%s is not seen to be left over", address);
    GIVES(tong_snapshot_finding(snapshot, number)->certainty, TONG_EXACT);
    return number;
}

/* ---- What is left over, and what becomes of it --------------------------------------------------------------------- */

static int bind_name(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = NAME };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0, "bind");
    return fd;
}

static void leave_socket(void)
{
    close(bind_name());
}

static int listener = -1;

static void replace_socket(void)
{
    unlink(NAME);
    listener = bind_name();
}

static void replace_by_file(void)
{
    unlink(NAME);
    listener = open(NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

/* Who was dead is gone, or the new one is there. */
static bool name_is_right(bool replaced)
{
    struct stat status;
    return (lstat(NAME, &status) == 0) == replaced;
}

static void clear_socket(void)
{
    close(listener);
    unlink(NAME);
    listener = -1;
}

static void *attached;

/* Of a maker that is dead. */
static void leave_memory(void)
{
    int ends[2];
    OK(pipe2(ends, O_CLOEXEC));
    pid_t child = frame_fork();
    if (child == 0) {
        int made = shmget(IPC_PRIVATE, 4096, 0600);
        _exit(made < 0 || write(ends[1], &made, sizeof made) != sizeof made);
    }
    frame_join(child);
    MUST(read(ends[0], &memory, sizeof memory) == sizeof memory, "shmget");
    first_memory = memory;
    close(ends[0]);
    close(ends[1]);
}

static void replace_memory(void)
{
    shmctl(first_memory, IPC_RMID, NULL);
    memory = shmget(IPC_PRIVATE, 4096, 0600);
    MUST(memory >= 0 && memory != first_memory, "shmget: %s", strerror(errno));
}

/* -EIDRM is no harm.  Who comes at the last moment keeps what he has, which has to be said. */
static void attach_memory(void)
{
    attached = shmat(memory, NULL, 0);
    attached = attached == (void *)-1 ? NULL : attached;
}

static void attach_for_a_moment(void)
{
    attach_memory();
    if (attached)
        shmdt(attached);
    attached = NULL;
}

static bool memory_is_right(bool replaced)
{
    struct shmid_ds state;
    return !replaced || memory == first_memory || shmctl(memory, IPC_STAT, &state) == 0;
}

static void clear_memory(void)
{
    if (attached)
        shmdt(attached);
    attached = NULL;
    shmctl(memory, IPC_RMID, NULL);
}

static tong_channel *channel;

static void leave_channel(void)
{
    pid_t child = frame_fork();
    if (child == 0)
        _exit(tong_channel_open("shm:left", TONG_SEND, 0, &channel) < 0);
    frame_join(child);
}

/* While it is removed nobody gets in. */
static bool kept_out;

static void join_channel(void)
{
    int r = tong_channel_open("shm:left", TONG_SEND, 0, &channel);
    kept_out = r == -EBUSY;
    MUST(r == 0 || kept_out, "joining gives %d: %s", r, tong_detail());
}

/* Somebody came, left a message, and went. */
static void use_channel(void)
{
    join_channel();
    if (!kept_out)
        OK(tong_channel_send(channel, "kept", 4, NULL, 0));
    tong_channel_close(channel);
    channel = NULL;
}

static void replace_channel(void)
{
    tong_remove("shm:left");
    OK(tong_channel_open("shm:left", TONG_SEND, TONG_SECOND, &channel));
}

/* What is in use has its name: it can be opened without being made. */
static bool channel_is_right(bool replaced)
{
    tong_channel *again = NULL;
    int r = tong_channel_open("shm:left?create=no", TONG_RECEIVE, 0, &again);
    tong_channel_close(again);
    return (r == 0) == replaced;
}

static void clear_channel(void)
{
    tong_channel_close(channel);
    channel = NULL;
    tong_remove("shm:left");
}

static const struct row {
    const char *name, *address;
    void (*leave)(void), (*change)(void);
    bool (*is_right)(bool changed);
    void (*clear)(void);
} rows[] = {
    { "a socket's name", NAME, leave_socket, replace_socket, name_is_right, clear_socket },
    { "a socket's name, for a file", NAME, leave_socket, replace_by_file, name_is_right, clear_socket },
    { "other memory", MEMORY, leave_memory, replace_memory, memory_is_right, clear_memory },
    { "memory that is attached", MEMORY, leave_memory, attach_memory, memory_is_right, clear_memory },
    { "memory that was attached", MEMORY, leave_memory, attach_for_a_moment, memory_is_right, clear_memory },
    { "a channel that is joined", "shm:left", leave_channel, join_channel, channel_is_right, clear_channel },
    { "a channel that was used", "shm:left", leave_channel, use_channel, channel_is_right, clear_channel },
    { "another channel", "shm:left", leave_channel, replace_channel, channel_is_right, clear_channel },
};

/* ---- The tests -------------------------------------------------------------------------------------------------------- */

static void test_removed(int which)
{
    const struct row *row = &rows[which];
    row->leave();
    tong_snapshot *snapshot = look();
    OK(tong_snapshot_remove(snapshot, find(snapshot, row->address)));
    MUST(row->is_right(false), "it is still there");
    MUST(tong_snapshot_remove(snapshot, find(snapshot, row->address)) == -ESTALE, "it goes twice");
    tong_snapshot_free(snapshot);
    row->clear();
}

/* Between the look and the removal. */
static void test_changed_before(int which)
{
    const struct row *row = &rows[which];
    row->leave();
    tong_snapshot *snapshot = look();
    size_t number = find(snapshot, row->address);
    row->change();
    int r = tong_snapshot_remove(snapshot, number);
    MUST(r == -ESTALE || r == -EBUSY, "the removal gives %d", r);
    MUST(row->is_right(true), "what came is gone");
    tong_snapshot_free(snapshot);
    row->clear();
}

/* During it: where it comes after the removal, it is made anew and stays. */
static void test_changed_during(int which)
{
    const struct row *row = &rows[which];
    bool changed = true;
    unsigned nth;
    for (nth = 0; changed; nth += nth < SURELY ? 1 : 8) {
        row->leave();
        tong_snapshot *snapshot = look();
        size_t number = find(snapshot, row->address);
        kept_out = false;
        world_at_call(nth, row->change);
        int r = tong_snapshot_remove(snapshot, number);
        changed = world_was_called();
        MUST(r == 0 || r == -ESTALE || r == -EBUSY, "call %u: the removal gives %d: %s", nth, r,
             tong_detail());
        MUST(row->is_right(changed && !kept_out), "call %u: what came is gone (%d)", nth, r);
        MUST(!attached || r == -EBUSY, "call %u: that somebody has it is not said (%d)", nth, r);
        tong_snapshot_free(snapshot);
        row->clear();
    }
    MUST(nth > 2, "a removal has only %u calls", nth);
}

static void test_row(int which)
{
    test_removed(which);
    test_changed_before(which);
    test_changed_during(which);
}

/* Its name would be an address with an option, of a channel that somebody has. */
static void test_name(int unused)
{
    (void)unused;
    tong_channel *sender;
    struct stat status;
    OK(tong_channel_open("shm:victim", TONG_SEND, 0, &sender));
    pid_t child = frame_fork();
    if (child == 0) {
        tong_channel *dead;
        _exit(tong_channel_open("shm:victim%3fcreate=no", TONG_SEND, 0, &dead) < 0);
    }
    frame_join(child);
    tong_snapshot *snapshot = look();
    OK(tong_snapshot_remove(snapshot, find(snapshot, "shm:victim%3fcreate=no")));
    MUST(lstat("/dev/shm/tong.victim?create=no", &status) < 0, "the dead one is there");
    MUST(lstat("/dev/shm/tong.victim", &status) == 0, "the living one is gone");
    tong_snapshot_free(snapshot);
    tong_channel_close(sender);
    tong_remove("shm:victim");
}

/* What is not a leftover for certain is not to be removed by this. */
static void test_others(int unused)
{
    (void)unused;
    OK(mkfifo("/tmp/fifo", 0666));
    tong_snapshot *snapshot = look();
    MUST(tong_snapshot_findings(snapshot) > 0, "a FIFO that nobody has is found");
    for (size_t i = 0; i <= tong_snapshot_findings(snapshot); i++)
        GIVES(tong_snapshot_remove(snapshot, i), -EINVAL);
    tong_snapshot_free(snapshot);
}

static void become_other(void)
{
    OK(setgid(OTHER));
    OK(setuid(OTHER));
}

/* Who is root only of a world of his own is alone there. */
static bool are_there_others(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(geteuid() != 0 || setgid(OTHER) < 0 || setuid(OTHER) < 0);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool are_there_namespaces(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(unshare(CLONE_NEWUSER) < 0);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static int may_remove(const char *what)
{
    tong_snapshot *snapshot = look();
    int r = tong_snapshot_may_remove(snapshot, find(snapshot, what));
    tong_snapshot_free(snapshot);
    return r;
}

/* What is told before it is tried is what comes of it. */
static void try_as_other(const char *what, int expected, const char *words)
{
    pid_t child = frame_fork();
    if (child == 0) {
        become_other();
        GIVES(may_remove(what), expected);
        MUST(expected == 0 || strstr(tong_detail(), words), "it says: %s", tong_detail());
        tong_snapshot *snapshot = look();
        GIVES(tong_snapshot_remove(snapshot, find(snapshot, what)), expected);
        tong_snapshot_free(snapshot);
        _exit(0);
    }
    frame_join(child);
}

/* Another's socket, that everybody may write to, in directories of several modes; and another's memory. */
static void test_rights(int unused)
{
    (void)unused;
    static const struct { mode_t mode; int expected; const char *words; } directories[] = {
        { 01777, -EPERM, "sticky" }, { 0755, -EACCES, "may not take names out of /tmp" }, { 0777, 0, "" },
    };
    struct stat status;
    leave_socket();
    OK(chmod(NAME, 0666));
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        OK(chmod("/tmp", directories[i].mode));
        GIVES(may_remove(NAME), 0);
        try_as_other(NAME, directories[i].expected, directories[i].words);
        MUST((lstat(NAME, &status) < 0) == (directories[i].expected == 0), "mode %o", (unsigned)directories[i].mode);
    }
    leave_memory();
    struct shmid_ds state;
    OK(shmctl(memory, IPC_STAT, &state));
    state.shm_perm.mode = 0666;
    OK(shmctl(memory, IPC_SET, &state));
    try_as_other(MEMORY, -EPERM, "it is uid 0's");
    GIVES(may_remove(MEMORY), 0);
    clear_memory();
}

static void write_whole(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s", file, strerror(errno));
    close(fd);
}

static void map_itself(void)
{
    write_whole("/proc/self/uid_map", "0 0 1\n");
    write_whole("/proc/self/setgroups", "deny");
    write_whole("/proc/self/gid_map", "0 0 1\n");
}

/* In a user namespace that has one user, or none: what is told of a finding, and what comes of it. */
static void try_in_namespace(const char *what, bool is_mapped, int told, int comes)
{
    pid_t child = frame_fork();
    if (child == 0) {
        tong_snapshot *snapshot = look();
        size_t number = find(snapshot, what);
        OK(unshare(CLONE_NEWUSER));
        if (is_mapped)
            map_itself();
        GIVES(tong_snapshot_may_remove(snapshot, number), told);
        MUST(told == 0 || strstr(tong_detail(), "not known before it is tried"), "it says: %s", tong_detail());
        GIVES(tong_snapshot_remove(snapshot, number), comes);
        tong_snapshot_free(snapshot);
        _exit(0);
    }
    frame_join(child);
}

/* Capabilities there count for nothing over what belongs to others, and users who are not there are not all the same one. */
static void test_user_namespace(int unused)
{
    (void)unused;
    struct shmid_ds state;
    OK(chown("/tmp", OTHER - 1, OTHER - 1));
    leave_socket();
    OK(chown(NAME, OTHER - 2, OTHER - 2));
    OK(chmod(NAME, 0666));
    try_in_namespace(NAME, true, -EOPNOTSUPP, -EPERM);
    try_in_namespace(NAME, false, -EOPNOTSUPP, -EPERM);
    OK(chown(NAME, 0, 0));
    try_in_namespace(NAME, true, 0, 0);
    leave_memory();
    OK(shmctl(memory, IPC_STAT, &state));
    state.shm_perm.mode = 0666;
    OK(shmctl(memory, IPC_SET, &state));
    try_in_namespace(MEMORY, false, -EOPNOTSUPP, 0);
}

/* A socket that somebody has is none, whatever network it is in. */
static void test_bound(int unused)
{
    (void)unused;
    int fd = bind_name();
    tong_snapshot *snapshot = look();
    MUST(found(snapshot, NAME) == NONE, "somebody has it");
    tong_snapshot_free(snapshot);
    close(fd);
}

/* Who may not ask a socket is told that it is not certain. */
static void test_not_asked(int unused)
{
    (void)unused;
    leave_socket();
    OK(chmod(NAME, 0600));
    pid_t child = frame_fork();
    if (child == 0) {
        become_other();
        tong_snapshot *snapshot = look();
        size_t number = found(snapshot, NAME);
        MUST(number == NONE || tong_snapshot_finding(snapshot, number)->certainty == TONG_INFERRED, "it is certain");
        GIVES(tong_snapshot_remove(snapshot, number == NONE ? 1000 : number), -EINVAL);
        _exit(0);
    }
    frame_join(child);
}

/* ---- Killed in the middle ------------------------------------------------------------------------------------------- */

static void die(void)
{
    _exit(0);
}

/* A file of that directory whose name begins so. */
static bool begins_in(const char *directory, const char *begin, char ret[300])
{
    const struct dirent *entry;
    DIR *list = opendir(directory);
    bool is_there = false;
    while (list && !is_there && (entry = readdir(list))) {
        is_there = !strncmp(entry->d_name, begin, strlen(begin));
        snprintf(ret, 300, "%s/%s", directory, entry->d_name);
    }
    closedir(list);
    return is_there;
}

/* Kills a removal before its nth call: whether it got so far as to leave its file aside, whose path this is. */
static bool kill_at(const struct row *row, unsigned nth, const char *directory, char aside[300])
{
    pid_t child = frame_fork();
    if (child == 0) {
        tong_snapshot *snapshot = look();
        size_t number = find(snapshot, row->address);
        world_at_call(nth, die);
        tong_snapshot_remove(snapshot, number);
        _exit(0);
    }
    frame_join(child);
    return begins_in(directory, ".tong-gc-", aside);
}

static bool remove_at(const char *address)
{
    tong_snapshot *snapshot = look();
    size_t number = found(snapshot, address);
    int r = number == NONE ? -ESRCH : tong_snapshot_remove(snapshot, number);
    tong_snapshot_free(snapshot);
    return r == 0;
}

/* What it moved aside is found, has its name back, and then is removed as ever. */
static void test_killed(int which)
{
    static const struct { unsigned row; const char *directory, *name; } moved[] = {
        { 0, "/tmp", NAME }, { 5, "/dev/shm", "/dev/shm/tong.left" },
    };
    const struct row *row = &rows[moved[which].row];
    char aside[300];
    unsigned nth = 0;
    struct stat status;
    row->leave();
    while (nth < 200 && !kill_at(row, nth, moved[which].directory, aside))
        nth++;
    MUST(nth < 200, "it leaves nothing aside");
    MUST(lstat(moved[which].name, &status) < 0, "it has its name");
    MUST(remove_at(aside), "%s: %s", aside, tong_detail());
    MUST(lstat(moved[which].name, &status) == 0, "it has its name back");
    MUST(remove_at(row->address), "%s: %s", row->address, tong_detail());
    MUST(row->is_right(false) && !begins_in(moved[which].directory, ".tong-gc-", aside), "it is gone");
    row->clear();
}

/* Somebody has taken the name: who knows what the one aside is? */
static void test_killed_and_taken(int unused)
{
    (void)unused;
    char aside[300];
    unsigned nth = 0;
    leave_socket();
    while (nth < 200 && !kill_at(&rows[0], nth, "/tmp", aside))
        nth++;
    int fd = bind_name();
    tong_snapshot *snapshot = look();
    size_t number = found(snapshot, aside);
    MUST(number != NONE && tong_snapshot_finding(snapshot, number)->certainty == TONG_INFERRED, "it is not told");
    tong_snapshot_free(snapshot);
    close(fd);
    unlink(aside);
    unlink(NAME);
}

static void row_in_world(int which)
{
    world_run(test_row, which);
}

static void (*const tests[])(int) = { test_name, test_others, test_bound, test_killed_and_taken, test_not_asked, test_rights,
                                      test_user_namespace };

static void in_world(int which)
{
    world_run(tests[which], 0);
}

static void killed_in_world(int which)
{
    world_run(test_killed, which);
}

int main(int argc, char **argv)
{
    frame_begin("inspect_leftover", argc, argv);
    if (!world_is_possible()) {
        frame_skip("all", "namespaces cannot be made here");
        return frame_end();
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        frame_run(rows[i].name, row_in_world, (int)i, 60);
    frame_run("a name that reads like an address", in_world, 0, 20);
    frame_run("what is no leftover", in_world, 1, 20);
    frame_run("a socket that is bound", in_world, 2, 20);
    frame_run("a removal of a socket's name that is killed", killed_in_world, 0, 60);
    frame_run("a removal of a channel that is killed", killed_in_world, 1, 60);
    frame_run("one whose name somebody took", in_world, 3, 60);
    if (are_there_others()) {
        frame_run("a socket that may not be asked", in_world, 4, 20);
        frame_run("who may remove it", in_world, 5, 60);
    } else
        frame_skip("other users", "there is only one here");
    if (are_there_others() && are_there_namespaces())
        frame_run("who may in a user namespace", in_world, 6, 60);
    else
        frame_skip("user namespaces", "none can be made here, or there is only one user");
    return frame_end();
}
