/* SPDX-License-Identifier: MIT */
/*
 * sys.h - every system call that the library makes, one thin function each.
 *
 * Each returns what the call returns, or -errno: this is the one place where errno is turned into a result.
 * Descriptors are made close-on-exec, sends never raise SIGPIPE.  Nothing is retried here: a call that may
 * block must hand -EINTR to its caller.
 */
#ifndef SYS_SYS_H
#define SYS_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

/*
 * For tests: asked before every call, by the call's name; a negative errno is returned in place of the call.
 * NULL, and so one predictable branch, otherwise.  Set it only while no other thread is in the library.
 */
extern int (*sys_fault)(const char *call);

/* One function a system call: the result, or -errno, or the error that a test injects in its place. */
#define SYS_CALL(type, name, expression)                                \
    do {                                                            \
        if (__builtin_expect(sys_fault != NULL, 0)) {               \
            int injected = sys_fault(name);                         \
            if (injected < 0)                                       \
                return injected;                                    \
        }                                                           \
        type result = (expression);                                 \
        return result < 0 ? (type)-errno : result;                  \
    } while (0)

/* Those that messages go through are here, so that they cost no call of ours. */
static inline ssize_t sys_read(int fd, void *data, size_t size)
{
    SYS_CALL(ssize_t, "read", read(fd, data, size));
}

static inline ssize_t sys_write(int fd, const void *data, size_t size)
{
    SYS_CALL(ssize_t, "write", write(fd, data, size));
}

static inline ssize_t sys_recv(int fd, void *data, size_t size, int flags)
{
    SYS_CALL(ssize_t, "recv", recv(fd, data, size, flags));
}

static inline ssize_t sys_send(int fd, const void *data, size_t size, int flags)
{
    SYS_CALL(ssize_t, "send", send(fd, data, size, flags | MSG_NOSIGNAL));
}

static inline ssize_t sys_recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *from_size)
{
    SYS_CALL(ssize_t, "recvfrom", recvfrom(fd, data, size, flags, from, from_size));
}

static inline ssize_t sys_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
    SYS_CALL(ssize_t, "sendto", sendto(fd, data, size, flags | MSG_NOSIGNAL, to, to_size));
}

/* until: NULL to wait for ever, else a time of CLOCK_REALTIME, which may be past.  libc promises that the timed calls'
 * time is not NULL. */
static inline int sys_mq_send(int fd, const void *data, size_t size, unsigned priority, const struct timespec *until)
{
    SYS_CALL(int, "mq_send", until ? mq_timedsend(fd, data, size, priority, until) : mq_send(fd, data, size, priority));
}

static inline ssize_t sys_mq_receive(int fd, void *data, size_t size, unsigned *ret_priority, const struct timespec *until)
{
    SYS_CALL(ssize_t, "mq_receive", until ? mq_timedreceive(fd, data, size, ret_priority, until)
                                          : mq_receive(fd, data, size, ret_priority));
}

/* Files and names. */
int sys_open(const char *path, int flags, mode_t mode);
ssize_t sys_readv(int fd, const struct iovec *spans, int count);
ssize_t sys_preadv2(int fd, const struct iovec *spans, int count, off_t at, int flags);
ssize_t sys_pread(int fd, void *data, size_t size, off_t at);
ssize_t sys_writev(int fd, const struct iovec *spans, int count);
int sys_fstat(int fd, struct stat *ret);
int sys_lstat(const char *path, struct stat *ret);
int sys_statvfs(const char *path, struct statvfs *ret);
int sys_capabilities(uint64_t *ret); /* effective, bit n: capability n */
int sys_fstatfs_type(int fd, uint64_t *ret); /* the magic number of the file system */
int sys_fstatvfs(int fd, struct statvfs *ret);
int sys_openat(int directory, const char *name, int flags);
/* The same as far as it stays in one mount: -EXDEV where another begins, which is asked for nothing; -ENOSYS: before 5.6. */
int sys_open_within(int directory, const char *name, int flags);
int sys_fstatat(int directory, const char *name, struct stat *ret, int flags);
/* The same of what a link leads to, as far as this machine knows it: FUSE asks its server for nothing, NFS for less. */
int sys_fstatat_known(int directory, const char *name, struct stat *ret);
ssize_t sys_readlinkat(int directory, const char *name, char *ret, size_t size); /* no NUL behind it */
int sys_chmod(const char *path, mode_t mode); /* of the name itself: a link is not followed */
int sys_fchmod(int fd, mode_t mode);
int sys_unlink(const char *path);
int sys_unlinkat(int directory, const char *name);
int sys_rename_fresh(int directory, const char *from, const char *to); /* -EEXIST: replaces nothing */
int sys_linkat(int from, const char *path, int to, const char *name, int flags);
int sys_mkfifo(const char *path, mode_t mode);
int sys_ftruncate(int fd, off_t size);
int sys_fallocate(int fd, int mode, off_t at, off_t size);
int sys_fdatasync(int fd);
ssize_t sys_getdents(int fd, void *entries, size_t size); /* struct dirent64, one after another */
int sys_flock(int fd, int operation);
int sys_fcntl_int(int fd, int command, int argument);
int sys_fcntl_lock(int fd, int command, struct flock *lock);

/* Pipes and sockets. */
int sys_pipe(int ret[2]);
int sys_socket(int family, int type);
int sys_netlink(int protocol); /* a datagram socket to the kernel */
int sys_socketpair(int family, int type, int ret[2]);
int sys_bind(int fd, const struct sockaddr *address, socklen_t size);
int sys_listen(int fd, int backlog);
int sys_accept(int fd, int flags);
int sys_connect(int fd, const struct sockaddr *address, socklen_t size);
int sys_shutdown(int fd, int how);
int sys_getsockname(int fd, struct sockaddr *ret, socklen_t *size);
int sys_getpeername(int fd, struct sockaddr *ret, socklen_t *size);
int sys_getsockopt(int fd, int level, int name, void *ret, socklen_t *size);
int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
ssize_t sys_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t sys_sendmsg(int fd, const struct msghdr *message, int flags);
int sys_ioctl_int(int fd, unsigned long request, int *ret);

/*
 * getaddrinfo(3), which blocks for as long as the system's resolver does.  Its own errors become these:
 * -EADDRNOTAVAIL no such host, -EPROTONOSUPPORT no such service, -EHOSTUNREACH the name servers do not answer, -ENOMEM;
 * anything else -EIO.  freeaddrinfo(3) frees the result.
 */
struct addrinfo;
int sys_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret);

/* System V message queues. */
int sys_ftok(const char *path, int project, key_t *ret);
int sys_msgget(key_t key, int flags);
int sys_msgsnd(int id, const void *message, size_t size, int flags);
ssize_t sys_msgrcv(int id, void *message, size_t size, long type, int flags);
int sys_msgctl(int id, int command, struct msqid_ds *data);

/* System V shared memory. */
int sys_shmget(key_t key, size_t size, int flags);
int sys_shmat(int id, int flags, void **ret);
void sys_shmdt(const void *address);
int sys_shmctl(int id, int command, struct shmid_ds *data);

/* System V semaphores.  What semctl(2) takes last, which every program has to declare by itself. */
union sem_argument {
    int value;
    struct semid_ds *state;
    unsigned short *values;
    struct seminfo *limits;
};
int sys_semget(key_t key, int count, int flags);
int sys_semctl(int id, int index, int command, union sem_argument argument);

static inline int sys_semop(int id, struct sembuf *operations, size_t count, const struct timespec *timeout)
{
    SYS_CALL(int, "semop", semtimedop(id, operations, count, timeout));
}

/* POSIX semaphores: libc's, which enter the kernel only to sleep and to wake. */
int sys_sem_getvalue(sem_t *counter, int *ret);
int sys_sem_wait(sem_t *counter);
int sys_sem_clockwait(sem_t *counter, const struct timespec *until); /* of CLOCK_MONOTONIC */

static inline int sys_sem_trywait(sem_t *counter)
{
    SYS_CALL(int, "sem_trywait", sem_trywait(counter));
}

static inline int sys_sem_post(sem_t *counter)
{
    SYS_CALL(int, "sem_post", sem_post(counter));
}

/* POSIX message queues. */
int sys_mq_open(const char *name, int flags, mode_t mode, struct mq_attr *attributes);
int sys_mq_unlink(const char *name);
int sys_mq_getattr(int fd, struct mq_attr *ret);
int sys_eaccess(const char *path, int mode);
int sys_getrlimit(int resource, struct rlimit *ret);
int sys_setrlimit(int resource, const struct rlimit *limit);
int sys_uname(struct utsname *ret);

/* Waiting. */
int sys_ppoll(struct pollfd *items, nfds_t count, const struct timespec *timeout, const sigset_t *mask);
int sys_epoll_create(void);
int sys_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int sys_epoll_wait(int epoll, struct epoll_event *ret, int count, int milliseconds);
int sys_eventfd(unsigned count);
int sys_timerfd(void);
int sys_timerfd_settime(int fd, const struct itimerspec *value);
int sys_inotify(void);
int sys_inotify_add(int fd, const char *path, uint32_t mask);
int sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout);
int sys_futex_wake(const void *word, int count);
int sys_pidfd_open(pid_t pid);
int sys_pidfd_getfd(int pidfd, int fd); /* a copy, of the same open file description */
int sys_kcmp_file(pid_t one, int its_fd, pid_t other, int others_fd); /* 0: the same description; 1, 2: before, after; 3 */
/* Reads the memory of another process: as many of the bytes at `at` as lie in a row, at least one. */
ssize_t sys_process_read(pid_t pid, uint64_t at, void *ret, size_t size);

/*
 * Of an open /proc/PID/maps: the area in which an address lies, or the first shared one from there on.  -ENOENT: there is
 * none; -ENOTTY: before Linux 6.11.
 */
struct sys_area {
    uint64_t from, to, offset, inode;
    uint32_t major, minor;
    bool readable, writable, shared;
};
int sys_area(int maps, uint64_t at, bool next_shared, struct sys_area *ret, char *path, size_t size);

/* bpf(2): a descriptor, or 0.  Behind what a command knows, the attributes are zero. */
union bpf_attr;
int sys_bpf(int command, union bpf_attr *attributes);

int sys_membarrier(int command);
int sys_getaffinity(pid_t pid, cpu_set_t *ret);

/* Signals.  What a NULL new action or mask leaves as it is, is only asked for. */
int sys_pidfd_send_signal(int pidfd, int number, const siginfo_t *about);
int sys_signalfd(const sigset_t *set, bool nonblocking);
int sys_sigaction(int number, const struct sigaction *action, struct sigaction *ret_before);
int sys_sigmask(int how, const sigset_t *set, sigset_t *ret_before); /* of the calling thread */
int sys_sigtimedwait(const sigset_t *set, siginfo_t *ret, const struct timespec *timeout);

/* Memory and chance. */
int sys_getrandom(void *ret, size_t size);
int sys_memfd(const char *label, unsigned flags);
int sys_msync(void *address, size_t size, int flags);
int sys_mincore(void *address, size_t size, unsigned char *ret);

/*
 * writev(2) that never raises SIGPIPE, on pipes: RWF_NOSIGNAL where the kernel has it (Linux 6.18), else with
 * the signal blocked in this thread for the moment, which costs three more system calls.
 * nowait: -EAGAIN instead of blocking, without touching the flags that others share (RWF_NOWAIT);
 * -EOPNOTSUPP where the object does not know that (FIFOs, terminals).
 */
ssize_t sys_writev_nosignal(int fd, const struct iovec *spans, int count, bool nowait);

/* Whether the process ignores SIGPIPE at this moment. */
bool sys_ignores_sigpipe(void);

/* NULL and *ret_error on failure. */
void *sys_mmap(size_t size, int protection, int flags, int fd, off_t at, int *ret_error);
void sys_munmap(void *address, size_t size);

/* Maps the bytes at `at` twice in a row: 2 * size bytes, which sys_munmap() takes back at once. */
void *sys_mmap_twice(size_t size, int protection, int fd, off_t at, int *ret_error);

/* Maps a file's first bytes, which others change too, to be read over what is mapped there; zero pages on failure. */
int sys_mmap_over(void *address, size_t size, int fd);

/* Gives mapped pages their memory at once, as writing them would; -EINVAL on a kernel that cannot (before 5.14). */
int sys_madvise_populate(void *address, size_t size);

/* Lays zero pages, which may be written, over what is mapped there.  Async-signal-safe. */
int sys_mmap_zeros(void *address, size_t size);

/* raise(3), async-signal-safe. */
void sys_raise(int number);

/* Closes; the descriptor is gone whatever is returned (close(2), "Dealing with error returns").  -1 is allowed. */
int sys_close(int fd);

#endif
