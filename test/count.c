/* SPDX-License-Identifier: MIT */
/*
 * Counting what a test can leave behind.  /proc is the one source: it costs nothing, needs no privilege and
 * shows what the kernel has rather than what the library believes.  See frame.h on whose objects are counted.
 */
#include "count.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frame.h"

/* ---- Of this process ------------------------------------------------------------------------------------- */

static int count_descriptors(FILE *list, bool remove)
{
    (void)remove;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory)); ) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(directory))
            continue;
        count++;
        char path[64], target[128];
        snprintf(path, sizeof path, "/proc/self/fd/%.20s", entry->d_name);
        ssize_t size = readlink(path, target, sizeof target - 1);
        if (list && size >= 0)
            fprintf(list, " %s=%.*s", entry->d_name, (int)size, target);
    }
    closedir(directory);
    return count;
}

static int count_lines(const char *path, bool (*wanted)(const char *), FILE *list)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    int count = 0;
    char line[1024];
    while (fgets(line, sizeof line, file)) {
        if (!wanted(line))
            continue;
        count++;
        if (list)
            fprintf(list, " %.*s;", (int)strcspn(line, "\n"), line);
    }
    fclose(file);
    return count;
}

static bool is_shared_mapping(const char *line)
{
    return strstr(line, " /dev/shm/") || strstr(line, " /memfd:") || strstr(line, " /SYSV") ||
           strstr(line, frame_directory());
}

static int count_mappings(FILE *list, bool remove)
{
    (void)remove;
    return count_lines("/proc/self/maps", is_shared_mapping, list);
}

/* Zombies count: somebody should have waited for them. */
static int count_children(FILE *list, bool remove)
{
    (void)remove;
    FILE *file = fopen("/proc/thread-self/children", "re");
    if (!file)
        return waitpid(-1, NULL, WNOHANG | WNOWAIT) == 0;
    int count = 0;
    for (int pid; fscanf(file, "%d", &pid) == 1; count++)
        if (list)
            fprintf(list, " pid %d", pid);
    fclose(file);
    return count;
}

/* ---- System V -------------------------------------------------------------------------------------------- */

#define LOCK_MARK 0x746f6e67 /* between the keys of a segment and of the set that is its lock */

static bool is_ours(long key)
{
    return key >= frame_key() && key < frame_key() + 256;
}

/* A line of /proc/sysvipc: its key and id come first; `pids` is where the two process numbers stand. */
static int count_sysv(const char *path, int pids, void (*take)(int id), FILE *list, bool remove)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    int count = 0;
    char line[512];
    while (fgets(line, sizeof line, file)) {
        long field[8] = { 0 };
        int fields = sscanf(line, "%ld %ld %ld %ld %ld %ld %ld %ld", &field[0], &field[1], &field[2], &field[3], &field[4],
                            &field[5], &field[6], &field[7]);
        bool by_key = is_ours(field[0]) || is_ours(field[0] ^ LOCK_MARK);
        bool by_pid = pids && (field[pids] == getpid() || field[pids + 1] == getpid());
        if (fields < 6 || !(by_key || by_pid))
            continue;
        count++;
        if (list)
            fprintf(list, " id %ld (key 0x%lx)", field[1], field[0]);
        if (remove)
            take((int)field[1]);
    }
    fclose(file);
    return count;
}

static void take_queue(int id)
{
    msgctl(id, IPC_RMID, NULL);
}

static void take_segment(int id)
{
    shmctl(id, IPC_RMID, NULL);
}

static void take_semaphores(int id)
{
    semctl(id, 0, IPC_RMID);
}

static int count_queues(FILE *list, bool remove)
{
    return count_sysv("/proc/sysvipc/msg", 5, take_queue, list, remove);
}

static int count_segments(FILE *list, bool remove)
{
    return count_sysv("/proc/sysvipc/shm", 4, take_segment, list, remove);
}

static int count_semaphores(FILE *list, bool remove)
{
    return count_sysv("/proc/sysvipc/sem", 0, take_semaphores, list, remove);
}

/* ---- Names ----------------------------------------------------------------------------------------------- */

static int count_names(const char *path, const char *mark, FILE *list, bool remove)
{
    DIR *directory = opendir(path);
    if (!directory)
        return 0;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory)); ) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || (mark && !strstr(entry->d_name, mark)))
            continue;
        count++;
        if (list)
            fprintf(list, " %s", entry->d_name);
        if (remove && unlinkat(dirfd(directory), entry->d_name, 0) < 0 && errno == EISDIR)
            unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
    }
    closedir(directory);
    return count;
}

static int count_files(FILE *list, bool remove)
{
    return count_names(frame_directory(), NULL, list, remove);
}

static int count_shm_names(FILE *list, bool remove)
{
    return count_names("/dev/shm", frame_mark(), list, remove);
}

static int count_mq_names(FILE *list, bool remove)
{
    return count_names("/dev/mqueue", frame_mark(), list, remove);
}

static bool is_our_socket(const char *line)
{
    return strstr(line, frame_mark()) || strstr(line, frame_directory());
}

static int count_sockets(FILE *list, bool remove)
{
    (void)remove;
    return count_lines("/proc/net/unix", is_our_socket, list);
}

const struct counter counters[] = {
    { "open descriptors", count_descriptors },
    { "shared mappings", count_mappings },
    { "children", count_children },
    { "System V message queues", count_queues },
    { "System V shared memory segments", count_segments },
    { "System V semaphore sets", count_semaphores },
    { "names in /dev/shm", count_shm_names },
    { "names in /dev/mqueue", count_mq_names },
    { "bound sockets", count_sockets },
    { "files in the test's directory", count_files },
};

const int counters_count = sizeof counters / sizeof *counters;

void count_sweep(void)
{
    count_queues(NULL, true);
    count_segments(NULL, true);
    count_semaphores(NULL, true);
    count_shm_names(NULL, true);
    count_mq_names(NULL, true);
    count_files(NULL, true);
}
