/* SPDX-License-Identifier: MIT */
/* The system calls of the rings, as the kernel of the model (kernel.c) has them. */
#ifndef SYS_SYS_H
#define SYS_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

ssize_t sys_read(int fd, void *data, size_t size);
ssize_t sys_write(int fd, const void *data, size_t size);
int sys_open(const char *path, int flags, mode_t mode);
int sys_close(int fd);
int sys_fdatasync(int fd);
int sys_fcntl_lock(int fd, int command, struct flock *lock);
int sys_epoll_create(void);
int sys_epoll_ctl(int fd, int operation, int target, struct epoll_event *event);
int sys_timerfd(void);
int sys_timerfd_settime(int fd, const struct itimerspec *value);
int sys_pidfd_open(pid_t pid);
int sys_getaffinity(pid_t pid, cpu_set_t *ret);
int sys_membarrier(int command);
int sys_futex_wait(const void *word, uint32_t expected, const struct timespec *timeout);
int sys_futex_wake(const void *word, int count);

#endif
