/* SPDX-License-Identifier: MIT */
/* What every conduit, listener, semaphore and lock begins and ends with. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/mechanism.h"
#include "sys/sys.h"

static int new_cancel_fd(uint32_t flags, int *ret)
{
    *ret = -1;
    if (!(flags & TONG_CANCELLABLE))
        return 0;
    int fd = sys_eventfd(0);
    if (fd < 0)
        return fail_call(fd, "eventfd for tong_channel_cancel");
    *ret = fd;
    return 0;
}

int conduit_new(const struct open_request *request, const struct channel_facet *facet, size_t size,
                const char *object, struct conduit **ret)
{
    struct conduit *conduit = calloc(1, size);
    char *words = strdup(object);
    int cancel_fd = -1;
    int r = conduit && words ? new_cancel_fd(request->flags, &cancel_fd) : fail(-ENOMEM, "%s: out of memory", object);
    if (r < 0) {
        free(words);
        free(conduit);
        return r;
    }
    conduit->facet = facet;
    conduit->mechanism = request->mechanism;
    conduit->flags = request->flags;
    conduit->object = words;
    conduit->cancel_fd = cancel_fd;
    conduit->full = (uint32_t)request->address->value[OPTION_FULL];
    atomic_init(&conduit->cancelled, false);
    atomic_init(&conduit->dropped, 0);
    atomic_init(&conduit->handles, 1);
    pthread_mutex_init(&conduit->send_lock, NULL);
    pthread_mutex_init(&conduit->receive_lock, NULL);
    *ret = conduit;
    return 0;
}

void conduit_free(struct conduit *conduit)
{
    if (!conduit)
        return;
    sys_close(conduit->cancel_fd);
    pthread_mutex_destroy(&conduit->send_lock);
    pthread_mutex_destroy(&conduit->receive_lock);
    free(conduit->object);
    free(conduit);
}

int conduit_refuse_type(const struct conduit *conduit, int64_t type)
{
    return fail(-EINVAL, "%s: type %lld has no place here, where nothing is added to what is sent: use frame=packet where "
                "there is one, or type 0", conduit->object, (long long)type);
}

uint32_t conduit_frame_flag(int frame)
{
    static const uint32_t flags[] = {
        [FRAME_PACKET] = TONG_INFO_FRAMED, [FRAME_LINE] = TONG_INFO_LINES, [FRAME_NONE] = TONG_INFO_BYTES,
    };
    return flags[frame];
}

int listener_new(const struct open_request *request, size_t size, const char *object, struct listener **ret)
{
    struct listener *listener = calloc(1, size);
    char *words = strdup(object);
    int cancel_fd = -1;
    int r = listener && words ? new_cancel_fd(request->flags, &cancel_fd) : fail(-ENOMEM, "%s: out of memory", object);
    if (r < 0) {
        free(words);
        free(listener);
        return r;
    }
    listener->facet = request->mechanism->listener;
    listener->mechanism = request->mechanism;
    listener->object = words;
    listener->cancel_fd = cancel_fd;
    atomic_init(&listener->cancelled, false);
    *ret = listener;
    return 0;
}

void listener_free(struct listener *listener)
{
    if (!listener)
        return;
    sys_close(listener->cancel_fd);
    free(listener->object);
    free(listener);
}

/* `size` zeroed bytes and a copy of `object`; NULL, and words, when there is no memory. */
static void *new_noun(size_t size, const char *object, char **ret_words)
{
    void *noun = calloc(1, size);
    *ret_words = noun ? strdup(object) : NULL;
    if (*ret_words)
        return noun;
    free(noun);
    fail(-ENOMEM, "%s: out of memory", object);
    return NULL;
}

int semaphore_new(const struct open_request *request, size_t size, const char *object, unsigned count,
                  struct semaphore **ret)
{
    char *words;
    struct semaphore *semaphore = new_noun(size, object, &words);
    if (!semaphore)
        return -ENOMEM;
    semaphore->facet = request->mechanism->semaphore;
    semaphore->mechanism = request->mechanism;
    semaphore->object = words;
    semaphore->count = count;
    *ret = semaphore;
    return 0;
}

int semaphore_expired(const char *object, int64_t deadline)
{
    if (deadline == DEADLINE_NOW)
        return fail_static(-EAGAIN, "there is nothing to take now, and the call was not to wait");
    return fail(-ETIMEDOUT, "%s: timed out: nobody posted in time", object);
}

void semaphore_free(struct semaphore *semaphore)
{
    if (!semaphore)
        return;
    free(semaphore->object);
    free(semaphore);
}

int lock_new(const struct open_request *request, size_t size, const char *object, struct lock **ret)
{
    char *words;
    struct lock *lock = new_noun(size, object, &words);
    if (!lock)
        return -ENOMEM;
    lock->facet = request->mechanism->lock;
    lock->mechanism = request->mechanism;
    lock->object = words;
    *ret = lock;
    return 0;
}

void lock_free(struct lock *lock)
{
    if (!lock)
        return;
    free(lock->object);
    free(lock);
}

bool limit_text_from_proc(const char *source, char *ret, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/%s", source);
    for (char *dot = path; (dot = strchr(dot, '.')); )
        *dot = '/';
    int fd = sys_open(path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    ssize_t got = sys_read(fd, ret, size - 1);
    sys_close(fd);
    ret[got > 0 ? got : 0] = '\0';
    return got > 0;
}

uint64_t limit_from_proc(const char *source)
{
    char text[32];
    return limit_text_from_proc(source, text, sizeof text) ? strtoull(text, NULL, 10) : TONG_UNKNOWN;
}

uint64_t limit_pipe_buf(const char *source)
{
    (void)source;
    return PIPE_BUF;
}

uint64_t limit_memory(const char *source)
{
    (void)source;
    char text[1024];
    int fd = sys_open("/proc/meminfo", O_RDONLY, 0);
    ssize_t size = fd < 0 ? fd : sys_read(fd, text, sizeof text - 1);
    sys_close(fd);
    text[size > 0 ? size : 0] = '\0';
    const char *line = strstr(text, "MemAvailable:");
    return line ? strtoull(line + strlen("MemAvailable:"), NULL, 10) * 1024 : TONG_UNKNOWN;
}

uint64_t limit_space(const char *source)
{
    struct statvfs status;
    return sys_statvfs(source, &status) < 0 ? TONG_UNKNOWN : (uint64_t)status.f_bavail * status.f_frsize;
}
