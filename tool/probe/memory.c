/* SPDX-License-Identifier: MIT */
/* Probes of shared memory: pages and their faults, the system calls that an access does not make, and where it lies. */
#include <errno.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/probe.h"

#define PAGES 64
#define ACCESSES 1000000

/* ---- Faults ---------------------------------------------------------------------------------------------- */

static long touch(volatile char *map, size_t page)
{
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    for (size_t i = 0; i < PAGES; i++)
        map[i * page] = 1;
    getrusage(RUSAGE_THREAD, &after);
    return after.ru_minflt - before.ru_minflt + after.ru_majflt - before.ru_majflt;
}

static int probe_faults(struct measured *measured)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int fd = memfd_create("tong-explain", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)(PAGES * page)) < 0)
        return -errno;
    volatile char *map = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int r = map == MAP_FAILED ? -errno : 0;
    close(fd);
    if (r < 0)
        return r;
    long first = touch(map, page), second = touch(map, page);
    munmap((void *)map, PAGES * page);
    figure_number(measured, "page_size", "a page has", (double)page, "bytes");
    figure_number(measured, "pages", "pages touched", PAGES, NULL);
    figure_number(measured, "first_faults", "page faults the first time", (double)first, NULL);
    figure_number(measured, "second_faults", "page faults the second time", (double)second, NULL);
    measured->shown = first > 0 && second == 0;
    return 0;
}

/* ---- System calls ---------------------------------------------------------------------------------------- */

/* The kernel kills whoever makes a system call in strict mode, but for read, write and exit, which are not made. */
static void access_strictly(void *argument)
{
    volatile uint64_t *word = argument;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
        _exit(errno);
    for (int i = 0; i < ACCESSES; i++)
        *word = *word + 1;
    syscall(SYS_exit, 0);
}

static int probe_calls(struct measured *measured)
{
    uint64_t *word = probe_shared(sizeof *word);
    if (!word)
        return -errno;
    int status = probe_child(access_strictly, word);
    uint64_t done = *word;
    munmap(word, sizeof *word);
    if (status < 0)
        return status;
    if (WIFEXITED(status) && WEXITSTATUS(status))
        return -WEXITSTATUS(status);
    figure_number(measured, "accesses", "written by another process, which may make no system call", (double)done,
                  "times");
    figure_number(measured, "system_calls", "system calls it made on the way", WIFSIGNALED(status) ? 1 : 0, NULL);
    measured->shown = WIFEXITED(status) && done == ACCESSES;
    return 0;
}

/* ---- What a child shares and what it does not ------------------------------------------------------------ */

static int global;

static void change_both(void *argument)
{
    global = 2;
    *(volatile int *)argument = 2;
}

static int probe_globals(struct measured *measured)
{
    int *mapped = probe_shared(sizeof *mapped);
    if (!mapped)
        return -errno;
    global = *mapped = 1;
    int status = probe_child(change_both, mapped);
    figure_number(measured, "global", "a global variable after a child set it to 2", global, NULL);
    figure_number(measured, "mapped", "a mapped variable after a child set it to 2", *mapped, NULL);
    measured->shown = status == 0 && global == 1 && *mapped == 2;
    munmap(mapped, sizeof *mapped);
    return status < 0 ? status : 0;
}

/* ---- Where it lies --------------------------------------------------------------------------------------- */

struct places {
    int fd;
    uintptr_t *told; /* where the child has it */
};

static void map_again(void *argument)
{
    struct places *places = argument;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *other = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, places->fd, 0);
    *places->told = other == MAP_FAILED ? 0 : (uintptr_t)other;
}

/* "rw-s" of the line for `address` in /proc/self/maps, which may not be there: 0 or a negative errno. */
static int find_rights(uintptr_t address, char ret[8])
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return -errno;
    while (fgets(line, sizeof line, maps)) {
        uintptr_t from, to;
        char rights[8];
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from, &to, rights) == 3 && address >= from && address < to)
            memcpy(ret, rights, sizeof rights);
    }
    fclose(maps);
    return 0;
}

/* Kernel addresses have the highest bit set on 64-bit machines; nothing that a process maps does. */
static bool in_user_space(uintptr_t address)
{
    return address && (sizeof address < 8 || !((uint64_t)address >> 63));
}

static int compare_places(struct measured *measured, uintptr_t here, uintptr_t there)
{
    char rights[8] = "";
    int r = find_rights(here, rights);
    if (r < 0)
        return r;
    snprintf(measured->name, 32, "0x%" PRIxPTR, here);
    snprintf(measured->name + 32, 32, "0x%" PRIxPTR, there);
    snprintf(measured->name + 64, 8, "%s", rights);
    figure_text(measured, "address_here", "address in this process", measured->name);
    figure_text(measured, "address_there", "address in another process", measured->name + 32);
    figure_text(measured, "rights", "as /proc/PID/maps shows it (s: shared)", measured->name + 64);
    measured->shown = in_user_space(here) && in_user_space(there) && !strcmp(rights, "rw-s");
    return 0;
}

static int probe_place(struct measured *measured)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct places places = { .fd = memfd_create("tong-explain", MFD_CLOEXEC), .told = probe_shared(page) };
    if (places.fd < 0 || !places.told || ftruncate(places.fd, (off_t)page) < 0)
        return -errno;
    void *here = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, places.fd, 0);
    int r = here == MAP_FAILED ? -errno : probe_child(map_again, &places);
    close(places.fd);
    if (r == 0)
        r = compare_places(measured, (uintptr_t)here, *places.told);
    if (here != MAP_FAILED)
        munmap(here, page);
    munmap(places.told, page);
    return r < 0 ? r : 0;
}

const struct probe probes_memory[] = {
    { "faults", "page faults of a mapping",
      "memory comes page by page: the first touch of each page enters the kernel, later ones do not:", probe_faults },
    { "calls", "system calls of shared memory", "after it is set up, reading and writing need no help of the kernel:",
      probe_calls },
    { "globals", "variables of parent and child", "a child has its own copy of a variable; a mapped one is shared:",
      probe_globals },
    { "place", "where shared memory lies",
      "it lies in the address space of each process, which is not the kernel's:", probe_place },
    { .name = NULL },
};
