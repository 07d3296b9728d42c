/* SPDX-License-Identifier: MIT */
/*
 * Processes, from /proc/PID/stat, status, cmdline and the inodes of their namespaces.  The name in stat may hold
 * anything, so its fields count from the last ')'.  Between two readings of a process its number may have become
 * another's: the start time, read first, is looked at again by who adds its descriptors.  Mostly the kernel still has
 * the same inode for the directory, which it would not have for another process, and which is asked much faster.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/probe.h"
#include "sys/sys.h"

#define FIELD_PARENT 4 /* proc_pid_stat(5) */
#define FIELD_FLAGS 9
#define FIELD_START_TIME 22
#define FLAG_KERNEL 0x00200000 /* PF_KTHREAD */

static const char *const namespaces[SCAN_NAMESPACES] = { "pid", "net", "ipc", "mnt" };

/* The n-th field, of which `state` is the third. */
static uint64_t field_of(const char *state, int n)
{
    for (int skip = 3; skip < n && state; skip++)
        state = strchr(state + 1, ' ');
    return state ? strtoull(state, NULL, 10) : 0;
}

static int read_stat(struct scan *scan, int directory, tong_process *process, char name[static 64])
{
    ssize_t r = proc_read(&scan->proc, directory, "stat");
    char *open = r > 0 ? strchr(scan->proc.buffer, '(') : NULL, *close = r > 0 ? strrchr(scan->proc.buffer, ')') : NULL;
    if (!open || !close || close < open || close[1] != ' ')
        return r < 0 ? (int)r : -ESRCH;
    const char *state = close + 2;
    snprintf(name, 64, "%.*s", (int)(close - open - 1), open + 1);
    process->name = name;
    process->parent = (int64_t)field_of(state, FIELD_PARENT);
    process->start_time = field_of(state, FIELD_START_TIME);
    process->flags |= *state == 'Z' || *state == 'X' ? TONG_PROCESS_ZOMBIE : 0;
    process->flags |= *state == 'T' || *state == 't' ? TONG_PROCESS_STOPPED : 0;
    process->flags |= field_of(state, FIELD_FLAGS) & FLAG_KERNEL ? TONG_PROCESS_KERNEL : 0;
    return 0;
}

/* What follows "Name:\t" of a line, or "". */
static const char *line_of(const char *text, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, name, size) && line[size] == ':')
            return line + size + 1 + strspn(line + size + 1, " \t");
    return "";
}

static uint32_t second_number(const char *text)
{
    const char *tab = strchr(text, '\t');
    return tab ? (uint32_t)strtoul(tab + 1, NULL, 10) : UINT32_MAX;
}

static int64_t last_number(const char *text)
{
    size_t size = strcspn(text, "\n");
    while (size > 0 && text[size - 1] != '\t' && text[size - 1] != ' ')
        size--;
    return strtoll(text + size, NULL, 10);
}

static void read_status(struct scan *scan, int directory, tong_process *process)
{
    if (proc_read(&scan->proc, directory, "status") <= 0)
        return;
    const char *text = scan->proc.buffer;
    process->uid = second_number(line_of(text, "Uid"));
    process->gid = second_number(line_of(text, "Gid"));
    process->inner_pid = last_number(line_of(text, "NSpid"));
    process->signals_pending = strtoull(line_of(text, "SigPnd"), NULL, 16) | strtoull(line_of(text, "ShdPnd"), NULL, 16);
    process->signals_blocked = strtoull(line_of(text, "SigBlk"), NULL, 16);
    process->signals_ignored = strtoull(line_of(text, "SigIgn"), NULL, 16);
    process->signals_caught = strtoull(line_of(text, "SigCgt"), NULL, 16);
}

static void read_namespaces(int directory, uint64_t ret[SCAN_NAMESPACES])
{
    char path[16], target[48];
    for (size_t i = 0; i < SCAN_NAMESPACES; i++) {
        snprintf(path, sizeof path, "ns/%s", namespaces[i]);
        const char *number = proc_link(directory, path, target, sizeof target) > 0 ? strchr(target, '[') : NULL;
        ret[i] = number ? strtoull(number + 1, NULL, 10) : 0;
    }
}

static void read_own(struct scan *scan)
{
    int self = proc_directory(scan->proc.fd, "self");
    if (self >= 0)
        read_namespaces(self, scan->namespaces);
    sys_close(self);
    if (proc_read(&scan->proc, scan->proc.fd, "stat") > 0) {
        const char *line = strstr(scan->proc.buffer, "\nbtime ");
        scan->boot_time = line ? strtoull(line + sizeof "\nbtime", NULL, 10) : 0;
    }
}

/* The words, ended by NUL each, become one line. */
void process_read_command(struct scan *scan, int directory, const char *name, tong_process *process)
{
    ssize_t size = proc_read(&scan->proc, directory, name);
    char *text = scan->proc.buffer;
    for (ssize_t i = 0; i + 1 < size; i++)
        text[i] = text[i] ? text[i] : ' ';
    process->command = size > 0 ? text : "";
}

/* What /proc/PID is while the kernel keeps it; it may be made again for the same process, but never be another's. */
struct identity {
    uint64_t inode;
    struct timespec made;
};

static struct identity identity_of(int directory)
{
    struct stat status;
    if (sys_fstat(directory, &status) < 0)
        return (struct identity){ 0 };
    return (struct identity){ status.st_ino, status.st_ctim };
}

bool process_is_still(struct scan *scan, int directory, uint32_t number)
{
    const struct identity *before = scan->identities.item;
    const struct identity same = identity_of(directory);
    tong_process now = { .size = 0 };
    char name[64];
    if (same.inode && number < scan->identities.count && same.inode == before[number].inode &&
        same.made.tv_sec == before[number].made.tv_sec && same.made.tv_nsec == before[number].made.tv_nsec)
        return true;
    return read_stat(scan, directory, &now, name) == 0 &&
           now.start_time == graph_process_at(scan->graph, number)->start_time;
}

static int add_process(void *context, const char *name, int64_t pid)
{
    struct scan *scan = context;
    struct identity *identity = NULL;
    char comm[64];
    tong_process process = { .pid = pid, .uid = UINT32_MAX, .gid = UINT32_MAX };
    int directory = proc_directory(scan->proc.fd, name);
    int r = directory < 0 ? directory : read_stat(scan, directory, &process, comm);
    if (r == 0) {
        read_status(scan, directory, &process);
        if (!(process.flags & TONG_PROCESS_KERNEL))
            read_namespaces(directory, process.namespaces);
        process_read_command(scan, directory, "cmdline", &process);
        graph_add_process(scan->graph, &process);
        identity = graph_push(scan->graph, &scan->identities, sizeof *identity);
    }
    if (identity)
        *identity = identity_of(directory);
    sys_close(directory);
    return r == -EMFILE || r == -ENFILE ? r : scan->graph->error;
}

/* "... - proc proc rw,hidepid=invisible": processes of other users are not even listed. */
static int find_hiding(void *context, char *line)
{
    const char *type = strstr(line, " - proc "), *hides = type ? strstr(type, "hidepid=") : NULL;
    bool *found = context;
    *found = *found || (hides && strncmp(hides, "hidepid=0", 9) && strncmp(hides, "hidepid=off", 11));
    return 0;
}

/* proc(5) shows the processes of one pid namespace and those below it. */
static void find_unseen(struct scan *scan)
{
    bool hides = false;
    if (proc_read(&scan->proc, scan->proc.fd, "self/mountinfo") > 0)
        proc_lines(&scan->proc, find_hiding, &hides);
    if (hides)
        graph_gap(scan->graph, "processes of other users", "proc(5) is mounted with hidepid");
    if (scan->namespaces[SCAN_PID] != SCAN_FIRST_PIDS)
        graph_gap(scan->graph, "processes outside this pid namespace", "they are not visible from here");
    scan->graph->unseen = hides || scan->namespaces[SCAN_PID] != SCAN_FIRST_PIDS;
}

int probe_own(struct scan *scan)
{
    read_own(scan);
    find_unseen(scan);
    return scan->graph->error;
}

int probe_processes(struct scan *scan)
{
    int directory = sys_openat(scan->proc.fd, ".", O_RDONLY | O_DIRECTORY);
    int r = directory < 0 ? directory : proc_numbers(directory, add_process, scan);
    sys_close(directory);
    return r;
}
