/* SPDX-License-Identifier: MIT */
/*
 * What the dead left behind.  TONG_EXACT is said only where the kernel itself shows that nobody has it and that nobody
 * can come back to it by right: memory without a key that is attached by nobody and whose maker is dead, a channel in memory all of
 * whose places are of the dead, a socket's name to which no socket belongs.  A name that might be waiting for its next
 * user is a leftover only as far as its kind suggests.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/un.h>

#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

#include "inspect/diag.h"
#include "inspect/finding.h"
#include "inspect/leftover.h"
#include "inspect/mounts.h"
#include "sys/sys.h"

#define NAMES "names of sockets and FIFOs"
#define NAMES_MOST 4096 /* of a directory that are looked at */
#define NAMES_ALL 65536 /* of all together */

/* ---- Objects ---------------------------------------------------------------------------------------------- */

/* Names by which libraries call their memory; what of it nobody has was left by a crash. */
static const struct {
    const char *begins, *library;
} names[] = {
    { "/dev/shm/PostgreSQL.", "PostgreSQL" },
    { "/dev/shm/iox1_", "iceoryx" },
    { "/dev/shm/iox2_", "iceoryx2" },
    { "/dev/shm/iox", "iceoryx" },
    { "/dev/shm/boost_interprocess", "Boost.Interprocess" },
    { "/dev/shm/fastrtps_", "Fast DDS" },
    { "/dev/shm/fastdds_", "Fast DDS" },
    { "/dev/shm/pulse-shm-", "PulseAudio" },
    { "/dev/shm/psm_", "Python's multiprocessing" },
    { "/dev/shm/sem.mp-", "Python's multiprocessing" },
    { "/dev/shm/org.chromium.", "Chromium" },
    { "/dev/shm/ucx_shm_", "UCX" },
};

static const char *library_of(const tong_object *object)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(object->name, names[i].begins, strlen(names[i].begins)))
            return names[i].library;
    return NULL;
}

/* A channel that was closed in order waits for its next users, and so does one in which messages lie. */
static bool died_in(const tong_object *object)
{
    return object->kind == TONG_KIND_CHANNEL && object->flags & TONG_OBJECT_DEAD_PLACES &&
        !(object->flags & TONG_OBJECT_HIDDEN_ENDS);
}

uint64_t memory_mark(const struct shmid_ds *state)
{
    return (uint64_t)state->shm_atime << 32 ^ (uint64_t)state->shm_dtime << 16 ^ (uint32_t)state->shm_lpid;
}

/* Of memory that nobody ever attached it is nobody. */
static bool last_is_dead(struct scan *scan, const struct shmid_ds *state)
{
    return state->shm_atime == 0 || finding_is_dead(scan, state->shm_lpid);
}

/* The kernel counts who is attached in every namespace. */
static bool is_of_the_dead(struct scan *scan, const tong_object *object, struct shmid_ds *ret)
{
    const char *id = strchr(object->key, ':');
    return object->kind == TONG_KIND_SYSVSHM && id && object->namespace_inode == scan->namespaces[SCAN_IPC] &&
           sys_shmctl(atoi(id + 1), IPC_STAT, ret) >= 0 && ret->shm_nattch == 0 &&
           finding_is_dead(scan, ret->shm_cpid) && last_is_dead(scan, ret);
}

bool finding_is_leftover(struct scan *scan, const tong_object *object)
{
    struct shmid_ds state;
    if (!(object->flags & TONG_OBJECT_ORPHAN))
        return false;
    return object->kind == TONG_KIND_SEM || died_in(object) || (object->kind == TONG_KIND_SHM && library_of(object)) ||
           is_of_the_dead(scan, object, &state);
}

static const char *path_of(struct scan *scan, const tong_object *object)
{
    if (*object->address)
        return object->address;
    return *object->name == '/' ? object->name : graph_text(scan->graph, "");
}

static void tell(struct scan *scan, uint32_t number, uint32_t certainty, const char *proof)
{
    const tong_object object = *graph_object_at(scan->graph, number);
    finding_add(scan, TONG_FINDING_LEFTOVER, certainty, number, path_of(scan, &object),
                graph_format(scan->graph, "left behind: %s", finding_title(scan, &object)), proof,
                certainty == TONG_EXACT ? "remove it (tong gc)"
                                        : "remove it if its program will not come back for it (tong rm)");
}

static void judge_channel(struct scan *scan, uint32_t number)
{
    const tong_object object = *graph_object_at(scan->graph, number);
    bool kept = object.depth != 0 || object.flags & TONG_OBJECT_DURABLE || strncmp(object.address, "shm:", 4) != 0;
    tell(scan, number, kept ? TONG_INFERRED : TONG_EXACT,
         graph_format(scan->graph, "everybody who had a place in %s has died, and nobody has it now (%s)",
                      object.name, object.detail));
}

static void judge_name(struct scan *scan, uint32_t number)
{
    const tong_object object = *graph_object_at(scan->graph, number);
    const char *library = library_of(&object);
    uint32_t certainty = object.certainty == TONG_EXACT ? TONG_INFERRED : object.certainty;
    tell(scan, number, certainty,
         graph_format(scan->graph, "nobody maps %s or has it open%s%s", finding_title(scan, &object),
                      library ? "; it is of " : "",
                      library ? library : ""));
}

static void judge_memory(struct scan *scan, uint32_t number)
{
    const tong_object object = *graph_object_at(scan->graph, number);
    struct shmid_ds state;
    if (!is_of_the_dead(scan, &object, &state))
        return;
    const int maker = (int)state.shm_cpid, last = (int)state.shm_lpid;
    const char *ends = last ? graph_format(scan->graph, "and %d, which used it last, are dead", last)
                            : "is dead, and nobody ever attached it";
    struct leftover *leftover = graph_push(scan->graph, &scan->graph->leftovers, sizeof *leftover);
    if (leftover)
        *leftover = (struct leftover){ .object = number, .kind = TONG_KIND_SYSVSHM,
                                       .id = atoi(strchr(object.key, ':') + 1), .changed = state.shm_ctime,
                                       .mark = memory_mark(&state) };
    /* Programs that come one after another find it by its key, and some only make it: ipcmk(1). */
    tell(scan, number, state.shm_perm.__key == IPC_PRIVATE ? TONG_EXACT : TONG_INFERRED,
         graph_format(scan->graph, "%s is attached by nobody; %d, which made it, %s", finding_title(scan, &object),
                      maker, ends));
}

static void judge(struct scan *scan, uint32_t number)
{
    const tong_object *object = graph_object_at(scan->graph, number);
    if (!(object->flags & TONG_OBJECT_ORPHAN))
        return;
    if (object->kind == TONG_KIND_SYSVSHM)
        judge_memory(scan, number);
    else if (finding_is_leftover(scan, object))
        (object->kind == TONG_KIND_CHANNEL ? judge_channel : judge_name)(scan, number);
}

/* ---- Names of sockets and FIFOs --------------------------------------------------------------------------- */

struct inodes {
    uint64_t *inode;
    size_t count, room;
};

/* A socket's file. */
struct candidate {
    const char *path;
    uint64_t device, inode;
    int64_t changed;
};

struct listing {
    struct scan *scan;
    struct graph_array *candidates;
    struct graph_array remote; /* paths of file systems that may have a server, which is not waited for */
    int directory;
    const char *path;
    unsigned names, *all;   /* seen in it, and anywhere */
    bool deeper;            /* directories in it are looked at, too */
};

static int add_inode(void *context, const struct diag_socket *socket)
{
    struct inodes *inodes = context;
    const struct unix_diag_vfs *file = diag_value(socket, UNIX_DIAG_VFS, sizeof *file);
    if (!file)
        return 0;
    if (inodes->count == inodes->room) {
        size_t room = inodes->room ? 2 * inodes->room : 256;
        uint64_t *wider = realloc(inodes->inode, room * sizeof *wider);
        if (!wider)
            return -ENOMEM;
        inodes->inode = wider;
        inodes->room = room;
    }
    inodes->inode[inodes->count++] = file->udiag_vfs_ino;
    return 0;
}

/* Inodes of 32 bits on any device: rather one too many that is in use. */
static bool is_bound(const struct inodes *inodes, const struct candidate *candidate)
{
    for (size_t i = 0; i < inodes->count; i++)
        if ((uint32_t)inodes->inode[i] == (uint32_t)candidate->inode)
            return true;
    return false;
}

static bool is_open_fifo(const struct scan *scan, const struct stat *status)
{
    char key[GRAPH_KEY];
    size_t first;
    graph_file_key(status->st_dev, status->st_ino, key);
    uint32_t object = graph_find_object(scan->graph, TONG_KIND_FIFO, key);
    return object != TONG_NOBODY && tong_snapshot_ends_of(scan->graph, object, &first) > 0;
}

static void tell_socket(struct scan *scan, const struct candidate *candidate, uint32_t certainty)
{
    struct tong_snapshot *graph = scan->graph;
    const char *line = graph_line(graph, candidate->path);
    struct leftover *leftover = graph_push(graph, &graph->leftovers, sizeof *leftover);
    if (leftover)
        *leftover = (struct leftover){ .object = TONG_NOBODY, .kind = TONG_KIND_UNIX, .path = candidate->path,
                                       .device = candidate->device, .inode = candidate->inode,
                                       .changed = candidate->changed };
    finding_add(scan, TONG_FINDING_LEFTOVER, certainty, TONG_NOBODY, candidate->path,
                graph_format(graph, "left behind: the socket's name %s", line),
                graph_format(graph, "no socket is bound to %s: whoever connects to it is refused", line),
                certainty == TONG_EXACT ? "remove it (tong gc)"
                                        : "remove it (rm) if it is not of another network namespace");
}

static void add_candidate(const struct listing *listing, const char *path, const struct stat *status)
{
    struct candidate *added = graph_push(listing->scan->graph, listing->candidates, sizeof *added);
    if (added)
        *added = (struct candidate){ path, status->st_dev, status->st_ino,
                                     status->st_ctim.tv_sec * INT64_C(1000000000) + status->st_ctim.tv_nsec };
}

const char *leftover_name_before(const char *name)
{
    size_t begin = sizeof LEFTOVER_ASIDE - 1, digits = begin + LEFTOVER_DIGITS;
    bool is_ours = !strncmp(name, LEFTOVER_ASIDE, begin) &&
                   strspn(name + begin, "0123456789abcdef") == LEFTOVER_DIGITS && name[digits] == '.' && name[digits + 1];
    return is_ours ? name + digits + 1 : NULL;
}

/* To give it its name back is right, whatever it is, also if somebody is just about to remove it: he does not find it, and
 * the next look judges it anew. */
static void tell_aside(const struct listing *listing, const char *path, const char *before, const struct stat *status)
{
    struct tong_snapshot *graph = listing->scan->graph;
    struct stat other;
    const char *line = graph_line(graph, path);
    bool is_free = sys_fstatat(listing->directory, before, &other, AT_SYMLINK_NOFOLLOW) == -ENOENT;
    struct leftover *leftover = graph_push(graph, &graph->leftovers, sizeof *leftover);
    if (leftover)
        *leftover = (struct leftover){ .object = TONG_NOBODY, .kind = TONG_KIND_FILE, .path = path,
                                       .device = status->st_dev, .inode = status->st_ino };
    finding_add(listing->scan, TONG_FINDING_LEFTOVER, is_free ? TONG_EXACT : TONG_INFERRED, TONG_NOBODY, path,
                graph_format(graph, "left behind by a removal: %s", line),
                graph_format(graph, "tong gc moved it there from %s and was ended before it removed it; that name is %s",
                             graph_line(graph, before), is_free ? "free, and it can have it back" : "another's by now"),
                is_free ? "give it its name back, and look again (tong gc --remove, twice)" : "look what it is, and remove it (rm)");
}

static void tell_fifo(struct listing *listing, const char *path)
{
    struct tong_snapshot *graph = listing->scan->graph;
    const char *line = graph_line(graph, path);
    uint32_t certainty = graph_saw_everybody(graph) ? TONG_INFERRED : TONG_UNSURE;
    finding_add(listing->scan, TONG_FINDING_ORPHAN, certainty, TONG_NOBODY, path,
                graph_format(graph, "nobody uses FIFO %s", line),
                graph_format(graph, "no process that could be seen has %s open, or waits to open it", line),
                "if nobody will open it again, remove it");
}

static int add_remote(void *context, char *line)
{
    struct listing *listing = context;
    struct tong_snapshot *graph = listing->scan->graph;
    struct mount mount;
    if (mounts_parse(line, &mount) < 0 || mount.where != ELSEWHERE)
        return 0;
    const char **added = graph_push(graph, &listing->remote, sizeof *added);
    if (added)
        *added = graph_text(graph, mount.point);
    return graph->error;
}

/* Whether that name in a directory, or with "" that directory, is such a file system. */
static bool is_remote(const struct listing *listing, const char *directory, const char *name)
{
    const char *const *points = listing->remote.item;
    size_t length = strlen(directory);
    for (size_t i = 0; i < listing->remote.count; i++) {
        const char *rest = strncmp(points[i], directory, length) ? NULL : points[i] + length;
        if (rest && (*name ? *rest == '/' && !strcmp(rest + 1, name) : !*rest))
            return true;
    }
    return false;
}

static void list(struct listing *listing, const char *path, bool deeper);

static int look_at_name(void *context, const char *name)
{
    struct listing *listing = context;
    struct stat status;
    if (++listing->names > NAMES_MOST || ++*listing->all > NAMES_ALL)
        return 1;
    int r = is_remote(listing, listing->path, name) ? -EREMOTE
        : sys_fstatat(listing->directory, name, &status, AT_SYMLINK_NOFOLLOW);
    graph_missed(listing->scan->graph, NAMES, r);
    if (r < 0)
        return 0;
    const char *before = S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode) ? leftover_name_before(name) : NULL;
    if (!before && !S_ISDIR(status.st_mode) && !S_ISSOCK(status.st_mode) && !S_ISFIFO(status.st_mode))
        return 0;
    const char *path = graph_format(listing->scan->graph, "%s/%s", listing->path, name);
    if (S_ISDIR(status.st_mode) && listing->deeper)
        list(listing, path, false);
    else if (before)
        tell_aside(listing, path, before, &status);
    else if (S_ISSOCK(status.st_mode))
        add_candidate(listing, path, &status);
    else if (S_ISFIFO(status.st_mode) && status.st_mode & 0777 && !finding_is_part(name) &&
             !is_open_fifo(listing->scan, &status))
        tell_fifo(listing, path);
    return listing->scan->graph->error;
}

static void list(struct listing *listing, const char *path, bool deeper)
{
    struct listing inner = *listing;
    inner.path = path;
    inner.deeper = deeper;
    inner.names = 0;
    inner.directory = is_remote(listing, path, "") ? -EREMOTE
        : sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    int r = inner.directory < 0 ? inner.directory : proc_names(inner.directory, look_at_name, &inner);
    if (r > 0)
        graph_gap(listing->scan->graph, NAMES, "directories with very many names are read in part");
    else if (r != -ELOOP && r != -ENOTDIR)
        graph_missed(listing->scan->graph, NAMES, r);
    sys_close(inner.directory);
}

/* A datagram socket disturbs nobody whom it is connected to, and is refused by sockets of another type. */
int leftover_is_unbound(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t size = strlen(path);
    if (size >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, size);
    int fd = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
    if (fd < 0)
        return fd;
    int r = sys_connect(fd, (const struct sockaddr *)&address, sizeof address);
    sys_close(fd);
    return r == -ECONNREFUSED ? 0 : r == 0 || r == -EPROTOTYPE ? -EBUSY : r;
}

/* sock_diag(7) does not show the sockets of other network namespaces; the kernel itself says of every name whether one is
 * bound to it, to whom may write to it. */
static void judge_names(struct scan *scan, const struct graph_array *candidates, const struct inodes *sockets)
{
    const struct candidate *list = candidates->item;
    for (size_t i = 0; i < candidates->count && !scan->graph->error; i++) {
        int r = is_bound(sockets, &list[i]) ? -EBUSY : leftover_is_unbound(list[i].path);
        /* EPERM may be said of a socket of datagrams that talks to somebody else. */
        if (r == 0 || r == -EACCES || r == -ENAMETOOLONG)
            tell_socket(scan, &list[i], r == 0 ? TONG_EXACT : TONG_INFERRED);
        if (r != -EBUSY)
            graph_missed(scan->graph, NAMES, r);
    }
}

static void list_all(struct listing *listing)
{
    static const char *const directories[] = { "/dev/shm", "/run", "/tmp" };
    struct scan *scan = listing->scan;
    ssize_t r = proc_read(&scan->proc, scan->proc.fd, "self/mountinfo");
    graph_missed(scan->graph, NAMES, r);
    if (r < 0)
        return;
    proc_lines(&scan->proc, add_remote, listing);
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        list(listing, directories[i], true);
    free(listing->remote.item);
}

/* Names first: a socket that is made in between has one that was not listed. */
static int find_names(struct scan *scan)
{
    struct graph_array candidates = { NULL, 0, 0 };
    unsigned all = 0;
    struct listing listing = { .scan = scan, .candidates = &candidates, .all = &all };
    struct inodes sockets = { NULL, 0, 0 };
    const struct unix_diag_req request = { .sdiag_family = AF_UNIX, .udiag_states = UINT32_MAX,
                                           .udiag_show = UDIAG_SHOW_VFS };
    list_all(&listing);
    int r = diag_dump(&request, sizeof request, sizeof(struct unix_diag_msg), add_inode, &sockets);
    if (r == 0)
        judge_names(scan, &candidates, &sockets);
    else
        graph_missed(scan->graph, NAMES, r);
    free(sockets.inode);
    free(candidates.item);
    return r == -ENOMEM ? r : scan->graph->error;
}

int find_leftovers(struct scan *scan)
{
    for (uint32_t i = 0; i < scan->graph->objects.count && !scan->graph->error; i++)
        judge(scan, i);
    return scan->graph->error ? scan->graph->error : find_names(scan);
}
