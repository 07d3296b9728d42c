/* SPDX-License-Identifier: MIT */
/* System V objects, POSIX queues, memory in /dev/shm, semaphores, memfds and what is mapped. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "look.h"
#include "sys/sys.h"

enum { THIS_KERNEL, BEFORE_6_11 };

/* Then the text of maps is read. */
static int know_no_query(const char *call)
{
    return strcmp(call, "procmap_query") ? 0 : -ENOTTY;
}

/* Every name is refused, and what is then asked for without it is told. */
static int refuse_names(const char *call)
{
    static bool refused;
    if (strcmp(call, "procmap_query"))
        return 0;
    refused = !refused;
    return refused ? -ENAMETOOLONG : 0;
}

static const char *named(const char *format)
{
    static char text[200];
    snprintf(text, sizeof text, format, frame_mark());
    return text;
}

static const char *key_name(void)
{
    static char text[32];
    snprintf(text, sizeof text, "key 0x%x", (unsigned)frame_key());
    return text;
}

static bool has(const tong_object *object, uint32_t flags)
{
    return (object->flags & flags) == flags;
}

static void test_queue(int unused)
{
    (void)unused;
    struct { long type; char text[100]; } message = { 1, "" };
    struct msqid_ds state;
    size_t number;
    char address[64];
    int id = msgget(frame_key(), 0602 | IPC_CREAT | IPC_EXCL);
    MUST(id >= 0, "msgget: %s", strerror(errno));
    MUST(msgsnd(id, &message, 100, 0) == 0 && msgsnd(id, &message, 20, 0) == 0, "msgsnd: %s", strerror(errno));
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_MSGQ, key_name(), &number);
    GIVES(object->depth, 120);
    GIVES(object->messages, 2);
    MUST(msgctl(id, IPC_STAT, &state) == 0, "msgctl");
    GIVES(object->capacity, (int64_t)state.msg_qbytes);
    GIVES(object->uid, getuid());
    GIVES(object->mode, 0602);
    snprintf(address, sizeof address, "msgq:%d", (int)frame_key());
    MUST(!strcmp(object->address, address), "it is %s", object->address);
    GIVES(object->flags, TONG_OBJECT_WORLD_WRITABLE);
    const tong_end *end = end_of(snapshot, number, getpid(), 0);
    MUST(end && end->direction == TONG_SEND && end->certainty == TONG_UNSURE, "the last sender may be one");
    tong_snapshot_free(snapshot);
    MUST(msgctl(id, IPC_RMID, NULL) == 0, "msgctl");
}

/* Who sent last is dead, and nobody received. */
static void test_left_queue(int unused)
{
    (void)unused;
    size_t number;
    pid_t child = frame_fork();
    if (child == 0) {
        struct { long type; } message = { 1 };
        int id = msgget(frame_key(), 0600 | IPC_CREAT | IPC_EXCL);
        MUST(msgsnd(id, &message, 0, 0) == 0, "msgsnd: %s", strerror(errno));
        _exit(0);
    }
    frame_join(child);
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_MSGQ, key_name(), &number);
    MUST(has(object, TONG_OBJECT_ORPHAN) && object->certainty == TONG_INFERRED, "it is an orphan");
    tong_snapshot_free(snapshot);
    MUST(msgctl(msgget(frame_key(), 0), IPC_RMID, NULL) == 0, "msgctl");
}

static void test_sysv_memory(int kernel)
{
    sys_fault = kernel == BEFORE_6_11 ? know_no_query : NULL;
    size_t number;
    int id = shmget(frame_key(), 8192, 0600 | IPC_CREAT | IPC_EXCL);
    void *writes = shmat(id, NULL, 0);
    MUST(writes != (void *)-1, "shmat: %s", strerror(errno));
    pid_t child = frame_fork();
    if (child == 0) {
        shmdt(writes);
        MUST(shmat(id, NULL, SHM_RDONLY) != (void *)-1, "shmat");
        pause();
    }
    frame_asleep(child, child);
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_SYSVSHM, key_name(), &number);
    GIVES(object->capacity, 8192);
    MUST(!has(object, TONG_OBJECT_ORPHAN) && !has(object, TONG_OBJECT_HIDDEN_ENDS), "both can be seen");
    const tong_end *ours = end_of(snapshot, number, getpid(), TONG_END_MAPPED);
    const tong_end *theirs = end_of(snapshot, number, child, TONG_END_MAPPED);
    MUST(ours && ours->direction == (TONG_SEND | TONG_RECEIVE), "we read and write");
    MUST(theirs && theirs->direction == TONG_RECEIVE, "the child reads");
    tong_snapshot_free(snapshot);
    frame_kill(child);
    shmdt(writes);
    snapshot = look();
    MUST(has(see(snapshot, TONG_KIND_SYSVSHM, key_name(), &number), TONG_OBJECT_ORPHAN), "nobody has it");
    tong_snapshot_free(snapshot);
    MUST(shmctl(id, IPC_RMID, NULL) == 0, "shmctl");
}

static void test_sysv_semaphores(int unused)
{
    (void)unused;
    size_t number;
    struct sembuf one = { 1, 3, 0 };
    int id = semget(frame_key(), 3, 0600 | IPC_CREAT | IPC_EXCL);
    MUST(id >= 0 && semop(id, &one, 1) == 0, "semop: %s", strerror(errno));
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_SYSVSEM, key_name(), &number);
    MUST(!strcmp(object->detail, "2 of 3 counters are 0: 0 3 0"), "it says %s", object->detail);
    MUST(end_of(snapshot, number, getpid(), 0), "who changed a counter last may be at it");
    tong_snapshot_free(snapshot);
    MUST(semctl(id, 0, IPC_RMID) == 0, "semctl");
}

static void test_posix_queue(int unused)
{
    (void)unused;
    struct mq_attr attributes = { .mq_maxmsg = 2, .mq_msgsize = 64 };
    size_t number;
    const char *name = named("/%s");
    mqd_t queue = mq_open(name, O_WRONLY | O_CREAT | O_EXCL, 0600, &attributes);
    MUST(queue >= 0, "mq_open: %s", strerror(errno));
    MUST(mq_send(queue, "ten bytes.", 10, 0) == 0, "mq_send");
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_MQ, name, &number);
    GIVES(object->depth, 10);
    GIVES(object->messages, 1);
    GIVES(object->capacity, 128);
    MUST(!has(object, TONG_OBJECT_FULL) && !has(object, TONG_OBJECT_ORPHAN), "it has room and us");
    const tong_end *end = end_of(snapshot, number, getpid(), 0);
    MUST(end && end->direction == TONG_SEND && end->fd == (int)queue, "we send");
    tong_snapshot_free(snapshot);
    MUST(mq_send(queue, "", 0, 0) == 0, "mq_send");
    snapshot = look();
    MUST(has(see(snapshot, TONG_KIND_MQ, name, &number), TONG_OBJECT_FULL), "it is full");
    tong_snapshot_free(snapshot);
    MUST(mq_unlink(name) == 0, "mq_unlink");
    snapshot = look();
    MUST(has(see(snapshot, TONG_KIND_MQ, name, &number), TONG_OBJECT_DELETED), "its name is gone");
    tong_snapshot_free(snapshot);
    mq_close(queue);
}

static void test_posix_memory(int kernel)
{
    sys_fault = kernel == BEFORE_6_11 ? know_no_query : NULL;
    size_t number;
    char path[128];
    const char *name = named("/%s");
    snprintf(path, sizeof path, "/dev/shm/%s", frame_mark());
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    MUST(fd >= 0 && ftruncate(fd, 4096) == 0 && fchmod(fd, 0606) == 0, "shm_open: %s", strerror(errno));
    char *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_SHM, path, &number);
    GIVES(object->capacity, 4096);
    MUST(has(object, TONG_OBJECT_WORLD_WRITABLE) && !has(object, TONG_OBJECT_ORPHAN), "everybody may, and we do");
    const tong_end *mapped = end_of(snapshot, number, getpid(), TONG_END_MAPPED);
    MUST(mapped && mapped->direction == TONG_RECEIVE && mapped->fd == -1, "it is mapped for reading");
    tong_snapshot_free(snapshot);
    munmap(memory, 4096);
    close(fd);
    snapshot = look();
    MUST(has(see(snapshot, TONG_KIND_SHM, path, &number), TONG_OBJECT_ORPHAN), "nobody has it");
    tong_snapshot_free(snapshot);
    MUST(shm_unlink(name) == 0, "shm_unlink");
}

static void test_named_semaphore(int unused)
{
    (void)unused;
    size_t number;
    const char *name = named("/%s");
    sem_t *counter = sem_open(name, O_CREAT | O_EXCL, 0600, 5);
    MUST(counter != SEM_FAILED, "sem_open: %s", strerror(errno));
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_SEM, name, &number);
    GIVES(object->messages, 5);
    MUST(!strncmp(object->address, "sem:/", 5) && !strcmp(object->address + 4, name), "it is %s", object->address);
    MUST(!has(object, TONG_OBJECT_ORPHAN) && end_of(snapshot, number, getpid(), TONG_END_MAPPED), "we have it");
    tong_snapshot_free(snapshot);
    sem_close(counter);
    snapshot = look();
    MUST(has(see(snapshot, TONG_KIND_SEM, name, &number), TONG_OBJECT_ORPHAN), "nobody has it");
    tong_snapshot_free(snapshot);
    MUST(sem_unlink(name) == 0, "sem_unlink");
}

/* A memfd whose descriptor is closed, memory without a name that a child shares, and a file. */
static void test_mapped(int kernel)
{
    sys_fault = kernel == BEFORE_6_11 ? know_no_query : NULL;
    size_t number;
    char path[256], label[128];
    snprintf(label, sizeof label, "memfd:%s", frame_mark());
    snprintf(path, sizeof path, "%s/a b", frame_directory());
    int memory = memfd_create(frame_mark(), MFD_CLOEXEC), file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MUST(ftruncate(memory, 4096) == 0 && ftruncate(file, 4096) == 0, "ftruncate");
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *nameless = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    close(memory);
    close(file);
    pid_t child = frame_fork();
    if (child == 0) {
        munmap(mapped, 4096);
        pause();
    }
    frame_asleep(child, child);
    tong_snapshot *snapshot = look();
    const tong_object *object = see(snapshot, TONG_KIND_MEMFD, label, &number);
    MUST(!has(object, TONG_OBJECT_DELETED), "it never had a name");
    MUST(end_of(snapshot, number, getpid(), TONG_END_MAPPED) && end_of(snapshot, number, child, TONG_END_MAPPED), "both");
    see(snapshot, TONG_KIND_MAP, path, &number);
    MUST(end_of(snapshot, number, getpid(), TONG_END_MAPPED) && !end_of(snapshot, number, child, 0), "only we");
    size_t shared_by_both = 0;
    for (size_t i = 0; i < tong_snapshot_objects(snapshot); i++) {
        object = tong_snapshot_object(snapshot, i);
        shared_by_both += object->kind == TONG_KIND_MAP && !*object->name && end_of(snapshot, i, getpid(), 0) &&
                          end_of(snapshot, i, child, 0);
    }
    GIVES(shared_by_both, 1);
    tong_snapshot_free(snapshot);
    frame_kill(child);
    munmap(shared, 4096);
    munmap(mapped, 4096);
    munmap(nameless, 8192);
    unlink(path);
}

/* A word of shared memory that a child sleeps on, at another address than ours. */
static void test_word(int kernel)
{
    sys_fault = kernel == BEFORE_6_11 ? know_no_query : NULL;
    size_t number;
    char name[160];
    snprintf(name, sizeof name, "/memfd:%s (deleted), byte %d", frame_mark(), 4096 + 64);
    int memory = memfd_create(frame_mark(), MFD_CLOEXEC);
    MUST(ftruncate(memory, 8192) == 0, "ftruncate");
    pid_t child = frame_fork();
    if (child == 0) {
        char *second = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 4096);
        syscall(SYS_futex, second + 64, FUTEX_WAIT, 0, NULL);
        _exit(0);
    }
    frame_asleep(child, child);
    tong_snapshot *snapshot = look();
    see(snapshot, TONG_KIND_FUTEX, name, &number);
    tong_snapshot_free(snapshot);
    frame_kill(child);
    close(memory);
    sys_fault = NULL;
}

/* The kernel tells no path of more than 4095 bytes, but what is mapped. */
static void test_long_path(int unused)
{
    (void)unused;
    struct stat status;
    bool found = false;
    char path[256];
    snprintf(path, sizeof path, "%s/long", frame_directory());
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    MUST(ftruncate(file, 4096) == 0 && fstat(file, &status) == 0, "ftruncate");
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    sys_fault = refuse_names;
    tong_snapshot *snapshot = look_for(TONG_LOOK_ALL | TONG_LOOK_PLAINLY);
    sys_fault = NULL;
    for (size_t i = 0; i < tong_snapshot_objects(snapshot); i++) {
        const tong_object *object = tong_snapshot_object(snapshot, i);
        if (object->kind == TONG_KIND_MAP && object->device == status.st_dev && object->inode == status.st_ino)
            found = strstr(object->name, "too long") && end_of(snapshot, i, getpid(), TONG_END_MAPPED);
    }
    MUST(found, "it is mapped by us");
    tong_snapshot_free(snapshot);
    munmap(mapped, 4096);
    close(file);
    unlink(path);
}

int main(int argc, char **argv)
{
    frame_begin("inspect_memory", argc, argv);
    frame_run("a System V queue", test_queue, 0, 20);
    frame_run("a System V queue that was left", test_left_queue, 0, 20);
    frame_run("System V memory", test_sysv_memory, THIS_KERNEL, 20);
    frame_run("System V semaphores", test_sysv_semaphores, 0, 20);
    frame_run("a POSIX queue", test_posix_queue, 0, 20);
    frame_run("POSIX memory", test_posix_memory, THIS_KERNEL, 20);
    frame_run("a named semaphore", test_named_semaphore, 0, 20);
    frame_run("what is mapped", test_mapped, THIS_KERNEL, 20);
    frame_run("a word that is waited on", test_word, THIS_KERNEL, 20);
    frame_run("a word that is waited on, before Linux 6.11", test_word, BEFORE_6_11, 20);
    frame_run("a path that is too long", test_long_path, 0, 20);
    frame_run("System V memory, before Linux 6.11", test_sysv_memory, BEFORE_6_11, 20);
    frame_run("POSIX memory, before Linux 6.11", test_posix_memory, BEFORE_6_11, 20);
    frame_run("what is mapped, before Linux 6.11", test_mapped, BEFORE_6_11, 20);
    return frame_end();
}
