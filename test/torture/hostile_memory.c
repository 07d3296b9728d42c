/* SPDX-License-Identifier: MIT */
/*
 * The memory of a memfd: channel, through /proc/PID/mem of the process that made and may write it: what that process could
 * do if it were hostile.  It is stopped meanwhile, so that its mappings are those that were read.
 */
#include "hostile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/layout.h"

/* The shared mappings that it may write: there are no others of a memfd. */
static void read_mappings(struct hostile_target *target)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)target->pid);
    FILE *file = fopen(path, "re");
    while (file && target->pieces < HOSTILE_PIECES && fgets(line, sizeof line, file)) {
        unsigned long from, to, at;
        if (!strstr(line, "/memfd:") || sscanf(line, "%lx-%lx rw-s %lx", &from, &to, &at) != 3)
            continue;
        target->piece[target->pieces++] = (struct hostile_piece){ at, to - from, (off_t)from };
        target->size = at + (to - from) > target->size ? at + (to - from) : target->size;
    }
    if (file)
        fclose(file);
}

bool hostile_open_memory(const struct hostile *hostile, int side, struct hostile_target *target)
{
    int status;
    pid_t pid = hostile->writer[side];
    kill(pid, SIGSTOP);
    while (waitpid(pid, &status, WUNTRACED) < 0)
        MUST(hostile->ledger, errno == EINTR, "waitpid: %s", strerror(errno));
    MUST(hostile->ledger, !hostile->ledger->failed, "%s", hostile->ledger->failure);
    MUST(hostile->ledger, WIFSTOPPED(status), "process %d ended with status 0x%x", (int)pid, (unsigned)status);
    target->pid = pid;
    target->side = side;
    read_mappings(target);
    snprintf(target->path, sizeof target->path, "/proc/%d/mem", (int)pid);
    target->fd = open(target->path, O_RDWR | O_CLOEXEC);
    MUST(hostile->ledger, target->fd >= 0, "%s: %s", target->path, strerror(errno));
    return target->size >= sizeof(struct layout_control);
}

void hostile_expect_sealed(const struct hostile *hostile, const struct hostile_target *target)
{
    char path[300], link[256];
    struct dirent *entry;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)target->pid);
    DIR *stream = opendir(path);
    while (stream && (entry = readdir(stream))) {
        ssize_t length = readlinkat(dirfd(stream), entry->d_name, link, sizeof link - 1);
        link[length < 0 ? 0 : length] = '\0';
        int fd = strstr(link, "/memfd:") ? openat(dirfd(stream), entry->d_name, O_RDWR | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        bool is_made = fcntl(fd, F_GET_SEALS) & F_SEAL_SEAL; /* else it has not been handed over yet */
        MUST(hostile->ledger, !is_made || (ftruncate(fd, 0) < 0 && ftruncate(fd, 1 << 30) < 0), "%s can be cut short", link);
        hostile->ledger->refused += is_made;
        close(fd);
    }
    if (stream)
        closedir(stream);
}
