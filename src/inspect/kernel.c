/* SPDX-License-Identifier: MIT */
/*
 * Loading takes longer than running, so the programs stay as long as there is a snapshot that was taken with them: who
 * looks again before it lets go of the last one finds them loaded.
 */
#include "inspect/kernel.h"

#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/detail.h"
#include "bpf/ask.h"
#include "bpf/image.h"
#include "bpf/programs.h"
#include "sys/sys.h"

#define MINOR_BITS 20 /* of a device, as the kernel has it */
#define CHUNK 32768 /* the kernel hands out no more at once */
#define READER (UINT64_C(1) << CAP_SYS_PTRACE) /* of what /proc is asked for then */

struct kernel {
    struct programs *programs;
    const char *const *names; /* that are loaded */
    unsigned users;
};

unsigned kernel_skipped;

/* From the newest kernel to the oldest that can. */
static const char *const wanted[][6] = {
    { "tasks", "files", "mappings", "undos", "calls", NULL },
    { "tasks", "files_plainly", "mappings", "undos", NULL },
    { "tasks", "files_plainly", "undos", NULL },
};

/* ---- Who has them ----------------------------------------------------------------------------------------- */

/* Guards `shared`, its users and `kernel_never`.  Held across fork: the child has copies of the descriptors behind it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kernel *shared;

/* Why they cannot be loaded, now or later; empty: that is not known.  Written once. */
char kernel_never[DETAIL_SIZE];

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
    ask_watch_forks();
    pthread_atfork(before_fork, after_fork, after_fork);
}

static int load(struct kernel **ret)
{
    int r = -EOPNOTSUPP;
    struct kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel)
        return -ENOMEM;
    for (size_t i = kernel_skipped; i < sizeof wanted / sizeof *wanted && r == -EOPNOTSUPP; i++) {
        kernel->names = wanted[i];
        r = programs_load(&look_image, wanted[i], &kernel->programs);
    }
    if (r == 0) {
        kernel->users = 1;
        *ret = kernel;
    } else
        free(kernel);
    return r;
}

/* Who looks again and again does not ask again what does not change. */
static int load_unless_never(struct kernel **ret)
{
    int r = *kernel_never ? -EOPNOTSUPP : load(ret);
    if (!*kernel_never && (r == -EPERM || r == -EOPNOTSUPP))
        snprintf(kernel_never, sizeof kernel_never, "%s", tong_detail());
    return r;
}

static int hold(struct kernel **ret)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int r = 0;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    if (shared)
        shared->users++;
    else
        r = load_unless_never(&shared);
    *ret = shared;
    pthread_mutex_unlock(&lock);
    return r;
}

void kernel_release(struct kernel *kernel)
{
    if (!kernel)
        return;
    pthread_mutex_lock(&lock);
    bool last = --kernel->users == 0;
    if (last)
        shared = NULL;
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    programs_unload(kernel->programs);
    free(kernel);
}

/* ---- Whether they can be used ----------------------------------------------------------------------------- */

static bool is_allowed(void)
{
    uint64_t capabilities;
    return sys_capabilities(&capabilities) == 0 && capabilities & READER && ask_is_allowed();
}

/* The programs number processes as their reader sees them: its /proc must be of the same pid namespace. */
static bool is_own_proc(const struct scan *scan)
{
    char target[24], own[24];
    snprintf(own, sizeof own, "%d", (int)getpid());
    return proc_link(scan->proc.fd, "self", target, sizeof target) > 0 && !strcmp(target, own);
}

static const char *refusal(struct scan *scan)
{
    if (scan->look.flags & TONG_LOOK_PLAINLY)
        return "BPF was not asked";
    if (!is_allowed())
        return "needs CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE";
    return is_own_proc(scan) ? NULL : "proc(5) is of another pid namespace";
}

int kernel_open(struct scan *scan)
{
    scan->kernel_refusal = refusal(scan);
    if (scan->kernel_refusal)
        return 0;
    int r = hold(&scan->kernel);
    if (r < 0) {
        scan->kernel_refusal = r == -EPERM || r == -EOPNOTSUPP ? kernel_never
                                                               : "BPF could not be loaded now, which may pass";
        return r == -ENOMEM ? r : 0;
    }
    scan->graph->kernel = scan->kernel;
    scan->graph->tier = "bpf";
    return 0;
}

uint64_t kernel_device(unsigned device)
{
    return makedev(device >> MINOR_BITS, device & ((1u << MINOR_BITS) - 1));
}

/* ---- Running one ------------------------------------------------------------------------------------------ */

static bool is_loaded(const struct kernel *kernel, const char *program)
{
    for (const char *const *name = kernel->names; *name; name++)
        if (!strcmp(*name, program))
            return true;
    return false;
}

/* A run without a word for a million objects pauses with EAGAIN. */
static int read_all(int fd, size_t size, struct kernel_list *ret)
{
    size_t used = 0, room = 0;
    char *data = NULL;
    ssize_t r = 1;
    while (r > 0 || r == -EAGAIN || r == -EINTR) {
        if (room - used < CHUNK) {
            room = room ? 2 * room : 4 * CHUNK;
            char *wider = realloc(data, room);
            if (!wider) {
                r = -ENOMEM;
                break;
            }
            data = wider;
        }
        r = sys_read(fd, data + used, room - used);
        used += r > 0 ? (size_t)r : 0;
    }
    *ret = (struct kernel_list){ data, used / size };
    return (int)r;
}

int kernel_run(const struct kernel *kernel, const char *program, size_t size, struct kernel_list *ret)
{
    *ret = (struct kernel_list){ NULL, 0 };
    if (!kernel || !is_loaded(kernel, program))
        return -EOPNOTSUPP;
    int fd = programs_iterate(kernel->programs, program);
    int r = fd < 0 ? fd : read_all(fd, size, ret);
    if (fd >= 0)
        sys_close(fd);
    if (r == 0)
        return 0;
    free(ret->item);
    *ret = (struct kernel_list){ NULL, 0 };
    return r == -ENOMEM ? r : -EOPNOTSUPP;
}
