/* SPDX-License-Identifier: MIT */
/*
 * meter COMMAND...: runs it with its output thrown away, and prints how many microseconds it took, of the processor and
 * on the clock, and how many KiB it had at most.  Who starts a program counts in its peak: so this one is small.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static long long micros(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    extern char **environ;
    posix_spawn_file_actions_t quiet;
    struct rusage used;
    pid_t pid;
    int status;
    if (argc < 2)
        return 2;
    posix_spawn_file_actions_init(&quiet);
    for (int fd = 1; fd <= 2; fd++)
        posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", O_WRONLY, 0);
    long long began = now();
    int r = posix_spawnp(&pid, argv[1], &quiet, NULL, argv + 1, environ);
    if (r) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(r));
        return 1;
    }
    if (wait4(pid, &status, 0, &used) < 0 || WIFSIGNALED(status))
        return 1;
    printf("%lld %lld %ld\n", micros(used.ru_utime) + micros(used.ru_stime), now() - began, used.ru_maxrss);
    return 0;
}
