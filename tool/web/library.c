/* SPDX-License-Identifier: MIT */
#include "web/library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "report.h"

#define FILE_NAME "libmicrohttpd.so.12" /* all versions since 0.9.35 */

struct mhd mhd;

int mhd_load(void)
{
#define MHD_ROW(name) { "MHD_" #name, offsetof(struct mhd, name) },
    static const struct { const char *name; size_t offset; } rows[] = { MHD_CALLS(MHD_ROW) };
    void *library = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *call = library ? dlsym(library, rows[i].name) : NULL;
        if (!call) {
            say("%s: install the package libmicrohttpd12 (Debian, Ubuntu) or libmicrohttpd (Fedora, Arch)", dlerror());
            return CODE_FAILED;
        }
        memcpy((char *)&mhd + rows[i].offset, &call, sizeof call);
    }
    return CODE_DONE;
}
