/* SPDX-License-Identifier: MIT */
/* What is wrong with objects, and what the dead left: each with a twin of which nothing, or less, is said. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "frame.h"
#include "look.h"

/* The finding of that kind whose proof says `word`; NULL. */
static const tong_finding *found(const tong_snapshot *snapshot, uint32_t kind, const char *word)
{
    for (size_t i = 0; i < tong_snapshot_findings(snapshot); i++) {
        const tong_finding *finding = tong_snapshot_finding(snapshot, i);
        if (finding->kind == kind && strstr(finding->proof, word))
            return finding;
    }
    return NULL;
}

/* Certainty 0: less than exact, which of both depends on who else is on this machine. */
static const tong_finding *must_find(const tong_snapshot *snapshot, uint32_t kind, const char *word, uint32_t certainty)
{
    const tong_finding *finding = found(snapshot, kind, word);
    MUST(finding, "no finding of kind %u says %s", kind, word);
    MUST(certainty ? finding->certainty == certainty : finding->certainty != TONG_EXACT, "certainty %u: %s", finding->certainty, finding->proof);
    MUST(*finding->summary && *finding->advice, "without summary or advice: %s", finding->proof);
    return finding;
}

static void must_not_find(const tong_snapshot *snapshot, uint32_t kind, const char *word)
{
    const tong_finding *finding = found(snapshot, kind, word);
    MUST(!finding, "%s: %s", finding->summary, finding->proof);
}

static void key_words(char ret[32])
{
    snprintf(ret, 32, "key 0x%x", (unsigned)frame_key());
}

/* Runs it in a process that is dead afterwards. */
static void by_dead(void (*make)(void))
{
    pid_t pid = frame_fork();
    if (pid == 0) {
        make();
        _exit(0);
    }
    frame_join(pid);
}

/* ---- System V --------------------------------------------------------------------------------------------- */

static void make_memory(void)
{
    OK(shmget(frame_key(), 4096, IPC_CREAT | IPC_EXCL | 0600));
}

/* Whoever made it lives, in the twin: nobody has it, but it is nobody's leftover. */
static void memory(int alive)
{
    char key[32], address[48];
    key_words(key);
    snprintf(address, sizeof address, "sysvshm:%ld", (long)frame_key());
    if (alive)
        make_memory();
    else
        by_dead(make_memory);
    tong_snapshot *snapshot = look();
    if (alive) {
        must_find(snapshot, TONG_FINDING_ORPHAN, key, TONG_EXACT);
        must_not_find(snapshot, TONG_FINDING_LEFTOVER, key);
    } else {
        must_not_find(snapshot, TONG_FINDING_ORPHAN, key);
        const tong_finding *finding = must_find(snapshot, TONG_FINDING_LEFTOVER, key, TONG_INFERRED);
        MUST(!strcmp(finding->address, address), "to be removed as %s", finding->address);
    }
    tong_snapshot_free(snapshot);
    OK(shmctl((int)OK(shmget(frame_key(), 0, 0)), IPC_RMID, NULL));
}

static void memory_attached(int i)
{
    char key[32];
    (void)i;
    key_words(key);
    by_dead(make_memory);
    int id = (int)OK(shmget(frame_key(), 0, 0));
    void *here = shmat(id, NULL, 0);
    tong_snapshot *snapshot = look();
    must_not_find(snapshot, TONG_FINDING_ORPHAN, key);
    must_not_find(snapshot, TONG_FINDING_LEFTOVER, key);
    tong_snapshot_free(snapshot);
    shmdt(here);
    OK(shmctl(id, IPC_RMID, NULL));
}

static void full_queue(int room)
{
    struct { long type; char text[1024]; } letter = { .type = 1 };
    char key[32];
    key_words(key);
    int id = (int)OK(msgget(frame_key(), IPC_CREAT | IPC_EXCL | 0622));
    while (msgsnd(id, &letter, sizeof letter.text, IPC_NOWAIT) == 0)
        ;
    if (room)
        OK(msgrcv(id, &letter, sizeof letter.text, 0, 0));
    tong_snapshot *snapshot = look();
    if (room)
        must_not_find(snapshot, TONG_FINDING_FULL, key);
    else
        must_find(snapshot, TONG_FINDING_FULL, key, TONG_EXACT);
    must_find(snapshot, TONG_FINDING_WORLD_WRITABLE, key, TONG_EXACT);
    must_not_find(snapshot, TONG_FINDING_ORPHAN, key); /* this process used it */
    tong_snapshot_free(snapshot);
    OK(msgctl(id, IPC_RMID, NULL));
}

/* ---- Names ------------------------------------------------------------------------------------------------ */

static void semaphore_name(char ret[64])
{
    snprintf(ret, 64, "/%s", frame_mark());
}

static void make_semaphore(void)
{
    char name[64];
    semaphore_name(name);
    MUST(sem_open(name, O_CREAT | O_EXCL, 0600, 1) != SEM_FAILED, "sem_open");
}

static void semaphore(int mapped)
{
    char name[64];
    semaphore_name(name);
    by_dead(make_semaphore);
    sem_t *here = mapped ? sem_open(name, 0) : NULL;
    tong_snapshot *snapshot = look();
    if (mapped)
        must_not_find(snapshot, TONG_FINDING_LEFTOVER, frame_mark());
    else
        must_find(snapshot, TONG_FINDING_LEFTOVER, frame_mark(), 0);
    tong_snapshot_free(snapshot);
    if (mapped)
        sem_close(here);
    sem_unlink(name);
}

static int bind_here(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = (int)OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    OK(bind(fd, (struct sockaddr *)&address, sizeof address));
    return fd;
}

static void socket_name(int bound)
{
    char path[96];
    snprintf(path, sizeof path, "%s/socket", frame_directory());
    int fd = bind_here(path);
    if (!bound)
        close(fd);
    tong_snapshot *snapshot = look();
    if (bound) {
        must_not_find(snapshot, TONG_FINDING_LEFTOVER, path);
    } else {
        const tong_finding *finding = found(snapshot, TONG_FINDING_LEFTOVER, path);
        MUST(finding && !strcmp(finding->address, path), "the name of a socket that is gone is not told of as %s",
             path);
    }
    tong_snapshot_free(snapshot);
    if (bound)
        close(fd);
    unlink(path);
}

static void fifo_name(int open_too)
{
    char path[96];
    snprintf(path, sizeof path, "%s/fifo", frame_directory());
    OK(mkfifo(path, 0600));
    int fd = open_too ? (int)OK(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) : -1;
    tong_snapshot *snapshot = look();
    if (open_too)
        must_not_find(snapshot, TONG_FINDING_ORPHAN, path);
    else
        must_find(snapshot, TONG_FINDING_ORPHAN, path, 0);
    tong_snapshot_free(snapshot);
    if (open_too)
        close(fd);
    unlink(path);
}

/* ---- Channels --------------------------------------------------------------------------------------------- */

static void channel_address(char ret[64])
{
    snprintf(ret, 64, "shm:%s", frame_mark());
}

static tong_channel *open_channel(int direction)
{
    char address[64];
    tong_channel *channel = NULL;
    channel_address(address);
    OK(tong_channel_open(address, (uint32_t)direction, TONG_SECOND, &channel));
    return channel;
}

static void die_as_sender(void)
{
    open_channel(TONG_SEND);
}

/* Who died in it was alone; in the twin, somebody else has it. */
static void channel(int received)
{
    char address[64];
    channel_address(address);
    tong_channel *receiver = received ? open_channel(TONG_RECEIVE) : NULL;
    by_dead(die_as_sender);
    tong_snapshot *snapshot = look();
    if (received) {
        must_not_find(snapshot, TONG_FINDING_LEFTOVER, address);
    } else {
        const tong_finding *finding = must_find(snapshot, TONG_FINDING_LEFTOVER, address, TONG_EXACT);
        MUST(!strcmp(finding->address, address), "to be removed as %s", finding->address);
    }
    tong_snapshot_free(snapshot);
    tong_channel_close(receiver);
    OK(tong_remove(address));
}

static void fill_and_die(void)
{
    static const char block[4096];
    tong_channel *channel = open_channel(TONG_SEND);
    for (size_t size = sizeof block; size > 0; size /= 2)
        while (tong_channel_send(channel, block, size, NULL, 0) >= 0)
            ;
}

/* The living are told that it is full; what the dead left is told once. */
static void full_channel(int received)
{
    char address[64];
    channel_address(address);
    tong_channel *receiver = received ? open_channel(TONG_RECEIVE) : NULL;
    by_dead(fill_and_die);
    tong_snapshot *snapshot = look();
    if (received) {
        must_find(snapshot, TONG_FINDING_FULL, address, TONG_EXACT);
        must_not_find(snapshot, TONG_FINDING_LEFTOVER, address);
    } else {
        must_not_find(snapshot, TONG_FINDING_FULL, address);
        must_find(snapshot, TONG_FINDING_LEFTOVER, address, TONG_INFERRED);
    }
    tong_snapshot_free(snapshot);
    tong_channel_close(receiver);
    OK(tong_remove(address));
}

/* A structure that says nothing of its size may end where it likes; flags of a newer library are not known here. */
static void asked(int unused)
{
    (void)unused;
    static const struct { tong_look look; const char *words; } rows[] = {
        { { 0, 0, NULL }, "tong_look.size" }, { { sizeof(tong_look) - 1, 0, NULL }, "tong_look.size" },
        { { sizeof(tong_look), 0x80000000, NULL }, "0x80000000" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tong_snapshot *snapshot = NULL;
        GIVES(tong_snapshot_take(&rows[i].look, &snapshot), -EINVAL);
        MUST(!snapshot && strstr(tong_detail(), rows[i].words), "the words are %s", tong_detail());
    }
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(int); int argument; } tests[] = {
        { "memory of a dead maker", memory, 0 },
        { "memory of a living maker", memory, 1 },
        { "memory that is attached", memory_attached, 0 },
        { "a full queue", full_queue, 0 },
        { "a queue with room", full_queue, 1 },
        { "a named semaphore that nobody maps", semaphore, 0 },
        { "a named semaphore that somebody maps", semaphore, 1 },
        { "the name of a socket that is gone", socket_name, 0 },
        { "the name of a socket", socket_name, 1 },
        { "a FIFO that nobody has", fifo_name, 0 },
        { "a FIFO that somebody has", fifo_name, 1 },
        { "a channel whose only user died", channel, 0 },
        { "a channel of which one user died", channel, 1 },
        { "a full channel whose only user died", full_channel, 0 },
        { "a full channel that somebody receives from", full_channel, 1 },
        { "what is asked for must be whole", asked, 0 },
    };
    frame_begin("finding", argc, argv);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        frame_run(tests[i].name, tests[i].run, tests[i].argument, 60);
    return frame_end();
}
