/* SPDX-License-Identifier: MIT */
/* A tong that was built where ncurses was not found. */
#include "sight/screen.h"

#include "report.h"

int screen_show(int64_t interval)
{
    (void)interval;
    say("this tong was built without ncurses: install libncurses-dev (Debian), ncurses-devel (Fedora) or ncurses (Arch)"
        " and build it again; tong ls and tong watch do without");
    return CODE_FAILED;
}
