/* SPDX-License-Identifier: MIT */
/* What probes share: the table of them, figures, and children that leave nothing behind. */
#include "probe/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct probe *const tables[] = {
    probes_ends, probes_memory, probes_waiting, probes_ways, probes_order, probes_sockets,
};

const struct probe *probe_find(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct probe *probe = tables[i]; probe->name; probe++)
            if (strlen(probe->name) == size && !strncmp(probe->name, name, size))
                return probe;
    return NULL;
}

void probe_run(const struct probe *probe, const char *scheme, struct measured *ret)
{
    *ret = (struct measured){ .scheme = scheme };
    int r = probe->run(ret);
    ret->error = r < 0 ? -r : 0;
}

static void add(struct measured *measured, struct figure figure)
{
    if (measured->count < FIGURES)
        measured->figures[measured->count++] = figure;
}

void figure_number(struct measured *measured, const char *key, const char *words, double value, const char *unit)
{
    add(measured, (struct figure){ .key = key, .words = words, .value = value, .unit = unit });
}

void figure_real(struct measured *measured, const char *key, const char *words, double value, const char *unit)
{
    add(measured, (struct figure){ .key = key, .words = words, .value = value, .unit = unit, .real = true });
}

void figure_text(struct measured *measured, const char *key, const char *words, const char *text)
{
    add(measured, (struct figure){ .key = key, .words = words, .text = text });
}

int probe_child(void (*work)(void *), void *argument)
{
    int status;
    fflush(stdout); /* what is buffered is the parent's to write */
    pid_t child = fork();
    if (child == 0) {
        work(argument);
        _exit(0);
    }
    if (child < 0)
        return -errno;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return status;
}

void *probe_shared(size_t size)
{
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}
