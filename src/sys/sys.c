/* SPDX-License-Identifier: MIT */
/* One function a system call: the result, or -errno, or the error that a test injects in its place. */
#include "sys/sys.h"

#include "base/hot.h"

#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE /* the C library may be older than the kernel */
#define MADV_POPULATE_WRITE 23
#endif

int (*sys_fault)(const char *call);


/* Files and names. */

int sys_open(const char *path, int flags, mode_t mode)
{
    SYS_CALL(int, "open", open(path, flags | O_CLOEXEC, mode));
}

ssize_t sys_readv(int fd, const struct iovec *spans, int count)
{
    SYS_CALL(ssize_t, "readv", readv(fd, spans, count));
}

ssize_t sys_preadv2(int fd, const struct iovec *spans, int count, off_t at, int flags)
{
    SYS_CALL(ssize_t, "preadv2", preadv2(fd, spans, count, at, flags));
}

ssize_t sys_pread(int fd, void *data, size_t size, off_t at)
{
    SYS_CALL(ssize_t, "pread", pread(fd, data, size, at));
}

ssize_t sys_writev(int fd, const struct iovec *spans, int count)
{
    SYS_CALL(ssize_t, "writev", writev(fd, spans, count));
}

int sys_fstat(int fd, struct stat *ret)
{
    SYS_CALL(int, "fstat", fstat(fd, ret));
}

int sys_lstat(const char *path, struct stat *ret)
{
    SYS_CALL(int, "lstat", lstat(path, ret));
}

int sys_statvfs(const char *path, struct statvfs *ret)
{
    SYS_CALL(int, "statvfs", statvfs(path, ret));
}

int sys_fstatvfs(int fd, struct statvfs *ret)
{
    SYS_CALL(int, "fstatvfs", fstatvfs(fd, ret));
}

int sys_openat(int directory, const char *name, int flags)
{
    SYS_CALL(int, "openat", openat(directory, name, flags | O_CLOEXEC));
}

int sys_fstatat(int directory, const char *name, struct stat *ret, int flags)
{
    SYS_CALL(int, "fstatat", fstatat(directory, name, ret, flags));
}

ssize_t sys_readlinkat(int directory, const char *name, char *ret, size_t size)
{
    SYS_CALL(ssize_t, "readlinkat", readlinkat(directory, name, ret, size));
}

int sys_chmod(const char *path, mode_t mode)
{
    SYS_CALL(int, "chmod", fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW));
}

int sys_fchmod(int fd, mode_t mode)
{
    SYS_CALL(int, "fchmod", fchmod(fd, mode));
}

int sys_unlink(const char *path)
{
    SYS_CALL(int, "unlink", unlink(path));
}

int sys_unlinkat(int directory, const char *name)
{
    SYS_CALL(int, "unlinkat", unlinkat(directory, name, 0));
}

int sys_rename_fresh(int directory, const char *from, const char *to)
{
    SYS_CALL(int, "renameat2", renameat2(directory, from, directory, to, RENAME_NOREPLACE));
}

int sys_linkat(int from, const char *path, int to, const char *name, int flags)
{
    SYS_CALL(int, "linkat", linkat(from, path, to, name, flags));
}

int sys_mkfifo(const char *path, mode_t mode)
{
    SYS_CALL(int, "mkfifo", mkfifo(path, mode));
}

int sys_ftruncate(int fd, off_t size)
{
    SYS_CALL(int, "ftruncate", ftruncate(fd, size));
}

int sys_fallocate(int fd, int mode, off_t at, off_t size)
{
    SYS_CALL(int, "fallocate", fallocate(fd, mode, at, size));
}

int sys_fdatasync(int fd)
{
    SYS_CALL(int, "fdatasync", fdatasync(fd));
}

ssize_t sys_getdents(int fd, void *entries, size_t size)
{
    SYS_CALL(ssize_t, "getdents64", getdents64(fd, entries, size));
}

int sys_flock(int fd, int operation)
{
    SYS_CALL(int, "flock", flock(fd, operation));
}

int sys_fcntl_int(int fd, int command, int argument)
{
    SYS_CALL(int, "fcntl_int", fcntl(fd, command, argument));
}

int sys_fcntl_lock(int fd, int command, struct flock *lock)
{
    SYS_CALL(int, "fcntl_lock", fcntl(fd, command, lock));
}

/* Pipes and sockets. */

int sys_pipe(int ret[2])
{
    SYS_CALL(int, "pipe", pipe2(ret, O_CLOEXEC));
}

int sys_socket(int family, int type)
{
    SYS_CALL(int, "socket", socket(family, type | SOCK_CLOEXEC, 0));
}

int sys_netlink(int protocol)
{
    SYS_CALL(int, "netlink", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
}

int sys_socketpair(int family, int type, int ret[2])
{
    SYS_CALL(int, "socketpair", socketpair(family, type | SOCK_CLOEXEC, 0, ret));
}

int sys_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    SYS_CALL(int, "bind", bind(fd, address, size));
}

int sys_listen(int fd, int backlog)
{
    SYS_CALL(int, "listen", listen(fd, backlog));
}

int sys_accept(int fd, int flags)
{
    SYS_CALL(int, "accept", accept4(fd, NULL, NULL, flags | SOCK_CLOEXEC));
}

int sys_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    SYS_CALL(int, "connect", connect(fd, address, size));
}

int sys_shutdown(int fd, int how)
{
    SYS_CALL(int, "shutdown", shutdown(fd, how));
}

int sys_getsockname(int fd, struct sockaddr *ret, socklen_t *size)
{
    SYS_CALL(int, "getsockname", getsockname(fd, ret, size));
}

int sys_getpeername(int fd, struct sockaddr *ret, socklen_t *size)
{
    SYS_CALL(int, "getpeername", getpeername(fd, ret, size));
}

int sys_getsockopt(int fd, int level, int name, void *ret, socklen_t *size)
{
    SYS_CALL(int, "getsockopt", getsockopt(fd, level, name, ret, size));
}

int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    SYS_CALL(int, "setsockopt", setsockopt(fd, level, name, value, size));
}

ssize_t sys_recvmsg(int fd, struct msghdr *message, int flags)
{
    SYS_CALL(ssize_t, "recvmsg", recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC));
}

ssize_t sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    SYS_CALL(ssize_t, "sendmsg", sendmsg(fd, message, flags | MSG_NOSIGNAL));
}

static int resolver_error(int code)
{
    switch (code) {
    case EAI_NONAME: case EAI_NODATA: case EAI_ADDRFAMILY: return EADDRNOTAVAIL;
    case EAI_SERVICE: return EPROTONOSUPPORT;
    case EAI_AGAIN: case EAI_FAIL: return EHOSTUNREACH;
    case EAI_MEMORY: return ENOMEM;
    case EAI_SYSTEM: return errno;
    default: return EIO;
    }
}

static int resolve(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
    int code = getaddrinfo(host, service, hints, ret);
    if (code == 0)
        return 0;
    errno = resolver_error(code);
    return -1;
}

int sys_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
    SYS_CALL(int, "getaddrinfo", resolve(host, service, hints, ret));
}

int sys_ioctl_int(int fd, unsigned long request, int *ret)
{
    SYS_CALL(int, "ioctl_int", ioctl(fd, request, ret));
}

int sys_eaccess(const char *path, int mode)
{
    SYS_CALL(int, "faccessat", faccessat(AT_FDCWD, path, mode, AT_EACCESS));
}

int sys_getrlimit(int resource, struct rlimit *ret)
{
    SYS_CALL(int, "getrlimit", getrlimit(resource, ret));
}

int sys_setrlimit(int resource, const struct rlimit *limit)
{
    SYS_CALL(int, "setrlimit", setrlimit(resource, limit));
}

int sys_uname(struct utsname *ret)
{
    SYS_CALL(int, "uname", uname(ret));
}

/* Waiting. */

int sys_ppoll(struct pollfd *items, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    SYS_CALL(int, "ppoll", ppoll(items, count, timeout, mask));
}

int sys_epoll_create(void)
{
    SYS_CALL(int, "epoll_create", epoll_create1(EPOLL_CLOEXEC));
}

int sys_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    SYS_CALL(int, "epoll_ctl", epoll_ctl(epoll, operation, fd, event));
}

int sys_epoll_wait(int epoll, struct epoll_event *ret, int count, int milliseconds)
{
    SYS_CALL(int, "epoll_wait", epoll_wait(epoll, ret, count, milliseconds));
}

int sys_eventfd(unsigned count)
{
    SYS_CALL(int, "eventfd", eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK));
}

int sys_timerfd(void)
{
    SYS_CALL(int, "timerfd", timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

int sys_timerfd_settime(int fd, const struct itimerspec *value)
{
    SYS_CALL(int, "timerfd_settime", timerfd_settime(fd, 0, value, NULL));
}

int sys_inotify(void)
{
    SYS_CALL(int, "inotify", inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
}

int sys_inotify_add(int fd, const char *path, uint32_t mask)
{
    SYS_CALL(int, "inotify_add", inotify_add_watch(fd, path, mask));
}

int sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout)
{
    SYS_CALL(int, "futex_wait", (int)syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout, NULL, 0));
}

int sys_futex_wake(const void *word, int count)
{
    SYS_CALL(int, "futex_wake", (int)syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0));
}

int sys_pidfd_open(pid_t pid)
{
    SYS_CALL(int, "pidfd_open", (int)syscall(SYS_pidfd_open, pid, 0));
}

int sys_membarrier(int command)
{
    SYS_CALL(int, "membarrier", (int)syscall(SYS_membarrier, command, 0, 0));
}

int sys_getaffinity(pid_t pid, cpu_set_t *ret)
{
    SYS_CALL(int, "sched_getaffinity", sched_getaffinity(pid, sizeof *ret, ret));
}

/* Signals. */

int sys_pidfd_send_signal(int pidfd, int number, const siginfo_t *about)
{
    SYS_CALL(int, "pidfd_send_signal", (int)syscall(SYS_pidfd_send_signal, pidfd, number, about, 0));
}

int sys_signalfd(const sigset_t *set, bool nonblocking)
{
    SYS_CALL(int, "signalfd", signalfd(-1, set, SFD_CLOEXEC | (nonblocking ? SFD_NONBLOCK : 0)));
}

int sys_sigaction(int number, const struct sigaction *action, struct sigaction *ret_before)
{
    SYS_CALL(int, "sigaction", sigaction(number, action, ret_before));
}

int sys_sigmask(int how, const sigset_t *set, sigset_t *ret_before)
{
    SYS_CALL(int, "sigmask", (errno = pthread_sigmask(how, set, ret_before)) ? -1 : 0);
}

int sys_sigtimedwait(const sigset_t *set, siginfo_t *ret, const struct timespec *timeout)
{
    SYS_CALL(int, "sigtimedwait", sigtimedwait(set, ret, timeout));
}

/* Memory and chance. */

int sys_getrandom(void *ret, size_t size)
{
    SYS_CALL(int, "getrandom", (int)getrandom(ret, size, 0));
}

int sys_memfd(const char *label, unsigned flags)
{
    SYS_CALL(int, "memfd", memfd_create(label, flags | MFD_CLOEXEC));
}

int sys_msync(void *address, size_t size, int flags)
{
    SYS_CALL(int, "msync", msync(address, size, flags));
}

int sys_mincore(void *address, size_t size, unsigned char *ret)
{
    SYS_CALL(int, "mincore", mincore(address, size, ret));
}

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100
#endif

/* Blocks SIGPIPE in this thread, writes, takes back the signal that this write caused, restores the mask. */
static ssize_t writev_masked(int fd, const struct iovec *spans, int count, int flags)
{
    sigset_t pipe, old, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &old);
    ssize_t result = flags ? pwritev2(fd, spans, count, -1, flags) : writev(fd, spans, count);
    int error = errno;
    if (result < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe, NULL, &(struct timespec){ 0, 0 });
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return result < 0 ? -error : result;
}

HOT ssize_t sys_writev_nosignal(int fd, const struct iovec *spans, int count, bool nowait)
{
    /* Whether this kernel is known to refuse RWF_NOSIGNAL: written by any thread, always with the same value. */
    static atomic_bool refused;
    int injected = sys_fault ? sys_fault("writev") : 0;
    if (injected < 0)
        return injected;
    int flags = nowait ? RWF_NOWAIT : 0;
    if (!atomic_load_explicit(&refused, memory_order_relaxed)) {
        ssize_t result = pwritev2(fd, spans, count, -1, flags | RWF_NOSIGNAL);
        if (result >= 0 || errno != EOPNOTSUPP)
            return result < 0 ? -errno : result;
    }
    ssize_t result = writev_masked(fd, spans, count, flags);
    if (result != -EOPNOTSUPP)
        atomic_store_explicit(&refused, true, memory_order_relaxed);
    return result;
}

bool sys_ignores_sigpipe(void)
{
    struct sigaction action;
    return sigaction(SIGPIPE, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN;
}

void *sys_mmap(size_t size, int protection, int flags, int fd, off_t at, int *ret_error)
{
    *ret_error = sys_fault ? sys_fault("mmap") : 0;
    if (*ret_error < 0)
        return NULL;
    void *address = mmap(NULL, size, protection, flags, fd, at);
    if (address != MAP_FAILED)
        return address;
    *ret_error = -errno;
    return NULL;
}

void *sys_mmap_twice(size_t size, int protection, int fd, off_t at, int *ret_error)
{
    char *address = sys_mmap(2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, ret_error);
    if (!address)
        return NULL;
    for (size_t half = 0; half < 2; half++)
        if (mmap(address + half * size, size, protection, MAP_SHARED | MAP_FIXED, fd, at) == MAP_FAILED) {
            *ret_error = -errno;
            munmap(address, 2 * size);
            return NULL;
        }
    return address;
}

int sys_madvise_populate(void *address, size_t size)
{
    SYS_CALL(int, "madvise", madvise(address, size, MADV_POPULATE_WRITE));
}

int sys_mmap_zeros(void *address, size_t size)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    return mmap(address, size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED ? -errno : 0;
}

int sys_mmap_over(void *address, size_t size, int fd)
{
    int r = sys_fault ? sys_fault("mmap_over") : 0;
    if (r < 0)
        return r;
    if (mmap(address, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED)
        return 0;
    r = -errno;
    sys_mmap_zeros(address, size);
    return r;
}

void sys_raise(int number)
{
    raise(number);
}

void sys_munmap(void *address, size_t size)
{
    if (address)
        munmap(address, size);
}

int sys_close(int fd)
{
    if (fd < 0)
        return 0;
    return close(fd) < 0 ? -errno : 0;
}
