/* SPDX-License-Identifier: MIT */
/* Rivals are programs of bench/peers; those whose libraries were not here when tong was built are absent. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/round.h"

/* "zmq libzmq3-dev", ... : the name of each program and the package that it needs. */
static const char *const rivals[][2] = { TONG_RIVALS };

static void program_of(const char *directory, const char *name, char *ret, size_t size)
{
    snprintf(ret, size, "%s/tong-peer-%s", directory, name);
}

void rivals_absent(const char *directory, char *ret, size_t size)
{
    char program[300];
    size_t used = 0;
    *ret = '\0';
    for (size_t i = 0; i < sizeof rivals / sizeof *rivals; i++) {
        program_of(directory, rivals[i][0], program, sizeof program);
        if (access(program, X_OK) < 0)
            used += (size_t)snprintf(ret + used, used < size ? size - used : 0, "%s%s (%s)", used ? ", " : "",
                                     rivals[i][0], rivals[i][1]);
    }
}

/* Beside the command in the tree where it was built, under `make`'s copy of it, and where it was installed. */
void rivals_find(const char *given, char ret[300])
{
    static const char *const places[] = { "../bench/peers", "build/bench/peers", "../libexec/tong" };
    char self[240];
    *ret = '\0';
    if (given) {
        snprintf(ret, 300, "%s", strcmp(given, "none") ? given : "");
        return;
    }
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = size > 0 ? memrchr(self, '/', (size_t)size) : NULL;
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        snprintf(ret, 300, "%.*s/%s", (int)(slash - self), self, places[i]);
        if (access(ret, X_OK) == 0)
            return;
    }
    *ret = '\0';
}

/* One that can do both takes part twice. */
static void in_bursts(const struct contestant *c, struct contestant *ret)
{
    *ret = *c;
    ret->one_way = true;
    ret->needs_server = false; /* the first one's serves it too */
    size_t used = strlen(ret->name);
    snprintf(ret->name + used, sizeof ret->name - used, ", in batches");
}

int rivals_found(const char *directory, struct contestant *list, int most)
{
    int count = 0;
    for (size_t i = 0; i < sizeof rivals / sizeof *rivals && count < most; i++) {
        struct contestant *c = &list[count];
        *c = (struct contestant){ .group = GROUP_RIVAL, .least = 64, .most = SIZE_MAX };
        program_of(directory, rivals[i][0], c->program, sizeof c->program);
        if (access(c->program, X_OK) < 0 || !crew_describe(c))
            continue;
        if (c->bursts && ++count < most)
            in_bursts(c, &list[count]);
        c->bursts = false;
        count++;
    }
    return count < most ? count : most;
}
