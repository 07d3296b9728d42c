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
#include <unistd.h>

#include "base/detail.h"
#include "inspect/probe.h"
#include "sys/sys.h"

#define FIELD_PARENT 4 /* proc_pid_stat(5) */
#define FIELD_FLAGS 9
#define FIELD_THREADS 20
#define FIELD_START_TIME 22
#define GENERATIONS_MOST 64
#define COMMAND_MOST 4096   /* bytes of a command line, which may have megabytes */
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
    bool ended = *state == 'Z' || *state == 'X', headless = ended && field_of(state, FIELD_THREADS) > 1;
    process->flags |= headless ? TONG_PROCESS_HEADLESS : ended ? TONG_PROCESS_ZOMBIE : 0;
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
    ssize_t r = proc_read(&scan->proc, directory, "status");
    graph_missed(scan->graph, "users and signals of processes", r);
    if (r <= 0)
        return;
    const char *text = scan->proc.buffer;
    process->uid = second_number(line_of(text, "Uid"));
    process->gid = second_number(line_of(text, "Gid"));
    process->tracer = strtoll(line_of(text, "TracerPid"), NULL, 10);
    process->inner_pid = last_number(line_of(text, "NSpid"));
    process->signals_pending = strtoull(line_of(text, "SigPnd"), NULL, 16) | strtoull(line_of(text, "ShdPnd"), NULL, 16);
    process->signals_blocked = strtoull(line_of(text, "SigBlk"), NULL, 16);
    process->signals_ignored = strtoull(line_of(text, "SigIgn"), NULL, 16);
    process->signals_caught = strtoull(line_of(text, "SigCgt"), NULL, 16);
}

static void read_namespaces(struct scan *scan, int directory, uint64_t ret[SCAN_NAMESPACES])
{
    char path[16], target[48];
    ssize_t missed = 0;
    for (size_t i = 0; i < SCAN_NAMESPACES; i++) {
        snprintf(path, sizeof path, "ns/%s", namespaces[i]);
        ssize_t r = proc_link(directory, path, target, sizeof target);
        const char *number = r > 0 ? strchr(target, '[') : NULL;
        ret[i] = number ? strtoull(number + 1, NULL, 10) : 0;
        missed = r < 0 ? r : missed;
    }
    graph_missed(scan->graph, "namespaces of processes", missed);
}

static void read_own(struct scan *scan)
{
    int self = proc_directory(scan->proc.fd, "self");
    if (self >= 0)
        read_namespaces(scan, self, scan->namespaces);
    graph_missed(scan->graph, "namespaces of this process", self);
    sys_close(self);
    if (proc_read(&scan->proc, scan->proc.fd, "stat") > 0) {
        const char *line = strstr(scan->proc.buffer, "\nbtime ");
        scan->boot_time = line ? strtoull(line + sizeof "\nbtime", NULL, 10) : 0;
    }
}

/* The words, ended by NUL each, become one line. */
void process_read_command(struct scan *scan, int directory, const char *name, tong_process *process)
{
    ssize_t size = proc_read_some(&scan->proc, directory, name, COMMAND_MOST);
    graph_missed(scan->graph, "command lines of processes", size);
    char *text = scan->proc.buffer;
    for (ssize_t i = 0; i + 1 < size; i++)
        text[i] = text[i] ? text[i] : ' ';
    process->command = size > 0 ? text : "";
}

bool process_had_begun(const struct scan *scan, uint32_t number, uint64_t seconds)
{
    long ticks = sysconf(_SC_CLK_TCK);
    uint64_t began = graph_process_at(scan->graph, number)->start_time;
    return ticks > 0 && scan->boot_time + began / (uint64_t)ticks <= seconds + 1;
}

struct thread_search {
    int64_t leader, found;
};

static int find_other(void *context, const char *name, int64_t tid)
{
    struct thread_search *search = context;
    (void)name;
    search->found = tid;
    return tid != search->leader;
}

void process_part(struct scan *scan, int directory, uint32_t number, const char *part, char *ret, size_t size)
{
    const tong_process *process = graph_process_at(scan->graph, number);
    struct thread_search search = { process->pid, process->pid };
    int threads = process->flags & TONG_PROCESS_HEADLESS ? proc_directory(directory, "task") : -1;
    if (threads >= 0)
        proc_numbers(threads, find_other, &search);
    sys_close(threads);
    if (search.found == process->pid)
        snprintf(ret, size, "%s", part);
    else
        snprintf(ret, size, "task/%lld/%s", (long long)search.found, part);
}

/* What /proc/PID is while the kernel keeps it; it may be made again for the same process, but never be another's. */
struct identity {
    uint64_t inode;
    struct timespec made;
};

static struct identity identity_of(int r, const struct stat *status)
{
    return r < 0 ? (struct identity){ 0 } : (struct identity){ status->st_ino, status->st_ctim };
}

static struct identity identity_open(int directory)
{
    struct stat status;
    return identity_of(sys_fstat(directory, &status), &status);
}

static struct identity identity_named(const struct scan *scan, uint32_t number)
{
    char path[24];
    struct stat status;
    snprintf(path, sizeof path, "%lld", (long long)graph_process_at(scan->graph, number)->pid);
    return identity_of(sys_fstatat(scan->proc.fd, path, &status, 0), &status);
}

static bool is_as_before(const struct scan *scan, uint32_t number, struct identity now)
{
    const struct identity *before = scan->identities.item;
    return now.inode && number < scan->identities.count && now.inode == before[number].inode &&
           now.made.tv_sec == before[number].made.tv_sec && now.made.tv_nsec == before[number].made.tv_nsec;
}

int process_identify_all(struct scan *scan)
{
    scan->identities.count = 0;
    for (uint32_t i = 0; i < scan->graph->processes.count; i++) {
        struct identity *identity = graph_push(scan->graph, &scan->identities, sizeof *identity);
        bool is_kernel = graph_process_at(scan->graph, i)->flags & TONG_PROCESS_KERNEL;
        if (!identity)
            return scan->graph->error;
        if (!is_kernel)
            *identity = identity_named(scan, i);
    }
    return 0;
}

int process_is_still(struct scan *scan, int directory, uint32_t number)
{
    tong_process now = { .size = 0 };
    char name[64];
    if (is_as_before(scan, number, identity_open(directory)))
        return 0;
    int r = read_stat(scan, directory, &now, name);
    return r < 0 ? r : now.start_time == graph_process_at(scan->graph, number)->start_time ? 0 : -ESRCH;
}

int process_was_there(struct scan *scan, uint32_t number)
{
    char path[24];
    if (is_as_before(scan, number, identity_named(scan, number)))
        return 0;
    snprintf(path, sizeof path, "%lld", (long long)graph_process_at(scan->graph, number)->pid);
    int directory = proc_directory(scan->proc.fd, path);
    int r = directory < 0 ? directory : process_is_still(scan, directory, number);
    sys_close(directory);
    return r == -ENOENT ? -ESRCH : r;
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
            read_namespaces(scan, directory, process.namespaces);
        process_read_command(scan, directory, "cmdline", &process);
        graph_add_process(scan->graph, &process);
        identity = graph_push(scan->graph, &scan->identities, sizeof *identity);
    }
    if (identity)
        *identity = identity_open(directory);
    sys_close(directory);
    graph_missed(scan->graph, "processes", r);
    return r == -EMFILE || r == -ENFILE ? r : scan->graph->error;
}

struct newcomers {
    struct scan *scan;
    struct graph_array *list;
};

/* A number that was known may be another's only if it was seen to be gone.  A zombie has nothing any more. */
static int add_newcomer(void *context, const char *name, int64_t pid)
{
    const struct newcomers *newcomers = context;
    struct scan *scan = newcomers->scan;
    uint32_t known = graph_process(scan->graph, pid);
    tong_process process = { .size = 0 };
    char comm[64];
    if (known != TONG_NOBODY && !(graph_process_at(scan->graph, known)->flags & TONG_PROCESS_GONE))
        return 0;
    int directory = proc_directory(scan->proc.fd, name);
    int r = directory < 0 ? directory : read_stat(scan, directory, &process, comm);
    sys_close(directory);
    bool lives = r == 0 && !(process.flags & TONG_PROCESS_ZOMBIE);
    struct newcomer *newcomer = lives ? graph_push(scan->graph, newcomers->list, sizeof *newcomer) : NULL;
    if (newcomer)
        *newcomer = (struct newcomer){ pid, process.parent };
    graph_missed(scan->graph, "processes", r);
    return scan->graph->error;
}

static int64_t parent_of_newcomer(const struct graph_array *list, int64_t pid)
{
    const struct newcomer *newcomers = list->item;
    for (size_t i = 0; i < list->count; i++)
        if (newcomers[i].pid == pid)
            return newcomers[i].ancestor;
    return pid;
}

/* Among those who were there: a newcomer's parent may be as new. */
static int64_t known_ancestor(const struct tong_snapshot *graph, const struct graph_array *list, int64_t pid)
{
    for (int i = 0; i < GENERATIONS_MOST && graph_process(graph, pid) == TONG_NOBODY; i++)
        pid = parent_of_newcomer(list, pid);
    return pid;
}

int processes_since(struct scan *scan, struct graph_array *ret)
{
    struct newcomers newcomers = { scan, ret };
    int directory = sys_openat(scan->proc.fd, ".", O_RDONLY | O_DIRECTORY);
    int r = directory < 0 ? directory : proc_numbers(directory, add_newcomer, &newcomers);
    struct newcomer *list = ret->item;
    for (size_t i = 0; i < ret->count; i++)
        list[i].ancestor = known_ancestor(scan->graph, ret, list[i].ancestor);
    sys_close(directory);
    return r;
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
    scan->graph->hides = hides;
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
    return r < 0 && r != -ENOMEM ? fail_call(r, "listing the processes in proc(5)") : r;
}
