/* SPDX-License-Identifier: MIT */
/* A tong that was built where ncurses was not found. */
#include "sight/screen.h"

#include "report.h"

int screen_show(int64_t interval, uint32_t tier)
{
    (void)interval, (void)tier;
    say("this tong was built without ncurses: install libncurses-dev (Debian), ncurses-devel (Fedora) or ncurses (Arch)"
        " and build it again; tong ls and tong watch do without");
    return CODE_FAILED;
}
