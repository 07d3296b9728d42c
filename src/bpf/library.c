/* SPDX-License-Identifier: MIT */
#include "bpf/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/detail.h"

#define FILE_NAME "libbpf.so.1"

struct libbpf libbpf;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool found;

static void find(void)
{
#define LIBBPF_ROW(name, result, parameters) { #name, offsetof(struct libbpf, name) },
    static const struct { const char *name; size_t offset; } rows[] = { LIBBPF_CALLS(LIBBPF_ROW) };
    void *library = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
    size_t i = 0;
    for (; library && i < sizeof rows / sizeof *rows; i++) {
        void *call = dlsym(library, rows[i].name);
        if (!call)
            break;
        memcpy((char *)&libbpf + rows[i].offset, &call, sizeof call);
    }
    found = i == sizeof rows / sizeof *rows;
}

int libbpf_find(void)
{
    pthread_once(&once, find);
    return found ? 0 : fail(-ENOPKG, "%s is not installed: the package libbpf1 (Debian, Ubuntu) or libbpf (Fedora, Arch)",
                            FILE_NAME);
}
