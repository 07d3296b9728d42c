/* SPDX-License-Identifier: MIT */
/* tong web where it was built without its library. */
#include "report.h"
#include "web/web.h"

int web_serve(uint16_t port, const char *path, uint32_t tier)
{
    (void)port;
    (void)path;
    (void)tier;
    say("this tong was built without libmicrohttpd: install the package libmicrohttpd-dev and build it again");
    return CODE_FAILED;
}
