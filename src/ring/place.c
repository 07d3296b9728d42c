/* SPDX-License-Identifier: MIT */
/* Taking, holding and leaving a place; dropping it in a forked child. */
#include "ring/place.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/detail.h"
#include "core/process.h"
#include "sys/sys.h"

/* Where the place `index` lies in the segment. */
static off_t row_at(unsigned index)
{
    return (off_t)(offsetof(struct layout_control, places) + index * sizeof(struct layout_place));
}

/* ---- The places of this process -------------------------------------------------------------------------- */

/* Guards `places` and every place's next.  Held across fork, so that the child finds the list whole. */
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ring_place *places;

static void before_fork(void)
{
    pthread_mutex_lock(&places_lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&places_lock);
}

/* The child only closes descriptors: the words and the lock are its parent's. */
static void after_fork_in_child(void)
{
    for (struct ring_place *place = places; place; place = place->next) {
        sys_close(place->fd);
        place->fd = -1;
    }
    places = NULL;
    pthread_mutex_unlock(&places_lock);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* Opened and in the list at once: a fork in between would leave the child a description that nobody closes, and so
 * the lock, once it is taken. */
static int open_remembered(struct ring_place *place, int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&places_lock);
    place->fd = sys_open(self, O_RDWR, 0);
    place->next = places;
    places = place;
    pthread_mutex_unlock(&places_lock);
    return place->fd < 0 ? fail_call(place->fd, "open(%s), a ring's segment, a second time", self) : 0;
}

static void forget(struct ring_place *place)
{
    pthread_mutex_lock(&places_lock);
    struct ring_place **link = &places;
    while (*link && *link != place)
        link = &(*link)->next;
    if (*link)
        *link = place->next;
    pthread_mutex_unlock(&places_lock);
}

/* ---- The lock -------------------------------------------------------------------------------------------- */

static int set_lock(int fd, short type, off_t start, off_t size)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size };
    int r = sys_fcntl_lock(fd, F_OFD_SETLK, &lock);
    if (r == -EAGAIN || r == -EACCES)
        return fail_static(-EBUSY, "the place is taken");
    return r < 0 ? fail_call(r, "taking a place in a ring (F_OFD_SETLK)") : 0;
}

void ring_places_unlock(int fd)
{
    set_lock(fd, F_UNLCK, row_at(0), row_at(LAYOUT_PLACES) - row_at(0));
}

int ring_places_lock(int fd)
{
    return set_lock(fd, F_WRLCK, row_at(0), row_at(LAYOUT_PLACES) - row_at(0));
}

int ring_place_lock(int fd, unsigned index)
{
    return set_lock(fd, F_WRLCK, row_at(index), 1);
}

void ring_place_unlock(int fd, unsigned index)
{
    set_lock(fd, F_UNLCK, row_at(index), 1);
}

int ring_place_held(int fd, unsigned index)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = row_at(index), .l_len = 1 };
    int r = sys_fcntl_lock(fd, F_OFD_GETLK, &lock);
    return r < 0 ? fail_call(r, "asking whether the other end lives (F_OFD_GETLK)") : lock.l_type != F_UNLCK;
}

int ring_place_named(const struct layout_control *control, unsigned many, uint64_t name)
{
    for (unsigned index = 0; name != 0 && index < many; index++)
        if (shared_name(&control->places[index]) == name)
            return (int)index;
    return -1;
}

/* The first that is free of those that have a name, or of those that have none. */
static int lock_one_of(struct ring_place *place, unsigned many, bool named)
{
    int r = -EBUSY;
    for (unsigned index = 0; r == -EBUSY && index < many; index++) {
        if ((shared_name(&place->control->places[index]) != 0) != named)
            continue;
        r = set_lock(place->fd, F_WRLCK, row_at(index), 1);
        place->index = index;
    }
    return r;
}

/* One without a name may have taken it, for want of another place, before we had the lock. */
static int lock_known(struct ring_place *place, unsigned index, uint64_t name)
{
    int r = set_lock(place->fd, F_WRLCK, row_at(index), 1);
    place->index = index;
    return r == 0 && shared_name(&place->control->places[index]) != name ? -EAGAIN : r;
}

/* Two who come with one new name at once would not find each other: who has a name comes with the first byte locked. */
static int lock_for(struct ring_place *place, unsigned many, uint64_t name)
{
    int r = name != 0 ? set_lock(place->fd, F_WRLCK, 0, 1) : 0;
    if (r < 0)
        return r == -EBUSY ? -EAGAIN : r;
    int known = ring_place_named(place->control, many, name);
    place->resumed = known >= 0;
    if (place->resumed)
        return lock_known(place, (unsigned)known, name);
    r = lock_one_of(place, many, false);
    return r == -EBUSY ? lock_one_of(place, many, true) : r;
}

void ring_place_name(struct ring_place *place, uint64_t name)
{
    shared_set_name(place->row, name);
    set_lock(place->fd, F_UNLCK, 0, 1);
}

int ring_place_take(struct ring_place *place, struct layout_control *control, int fd, unsigned many, uint64_t name)
{
    *place = (struct ring_place){ .control = control, .fd = -1 };
    int r = open_remembered(place, fd);
    if (r == 0)
        r = lock_for(place, many, name);
    if (r < 0) {
        ring_place_leave(place);
        return r;
    }
    place->row = &control->places[place->index];
    if (!place->resumed && shared_name(place->row) != 0)
        shared_set_name(place->row, 0);
    uint64_t before = shared_session(place->row);
    place->session = session_number(before) + 1;
    place->predecessor_died = session_state(before) == SESSION_OPEN;
    return 0;
}

void ring_place_leave(struct ring_place *place)
{
    forget(place);
    sys_close(place->fd);
    place->fd = -1;
}

/* ---- The row --------------------------------------------------------------------------------------------- */

/* A predecessor that was killed may have left word that it wants its bell: that costs the other side a needless ring,
 * so it is taken back.  The numbers stay used. */
static void rest(struct layout_place *row)
{
    uint32_t bell = shared_bell(row);
    shared_set_bell(row, bell + (bell & 1));
}

/* With the session, others see who holds it.  What it can be used for, the lane, is ready before. */
void ring_place_open(struct ring_place *place)
{
    struct layout_place *row = place->row;
    pid_t pid = getpid();
    rest(row);
    atomic_store_explicit(&row->pid, (uint64_t)pid, memory_order_relaxed);
    atomic_store_explicit(&row->start_time, process_start_time(pid), memory_order_relaxed);
    atomic_store_explicit(&row->pid_namespace, process_pid_namespace(), memory_order_relaxed);
    atomic_store_explicit(&row->uid, geteuid(), memory_order_relaxed);
    atomic_store_explicit(&row->lost, 0, memory_order_relaxed);
    shared_use(place->control, place->index);
    shared_set_session(row, session_word(place->session, SESSION_OPEN));
}

void ring_place_close(struct ring_place *place)
{
    shared_set_session(place->row, session_word(place->session, SESSION_CLOSED));
}

/* Where a namespace is unknown the start time has to tell. */
static bool is_visible(const struct layout_place *row)
{
    uint64_t theirs = atomic_load_explicit(&row->pid_namespace, memory_order_relaxed), ours = process_pid_namespace();
    return theirs == ours || !theirs || !ours;
}

void ring_place_identity(const struct layout_place *row, tong_identity *ret)
{
    uint64_t pid = atomic_load_explicit(&row->pid, memory_order_relaxed);
    ret->source = TONG_IDENTITY_CLAIMED;
    ret->pid = pid <= INT32_MAX && is_visible(row) ? (int64_t)pid : 0;
    ret->start_time = atomic_load_explicit(&row->start_time, memory_order_relaxed);
    ret->uid = (uint32_t)atomic_load_explicit(&row->uid, memory_order_relaxed);
}
