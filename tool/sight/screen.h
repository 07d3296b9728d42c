/* SPDX-License-Identifier: MIT */
/* screen.h - what `tong top` shows; screen.c where tong is built with ncurses, no_screen.c where it is not. */
#ifndef TOOL_SIGHT_SCREEN_H
#define TOOL_SIGHT_SCREEN_H

#include <stdint.h>

#define SCREEN_AS_FITS (-1) /* each two seconds, or less often where that would take 2 % of a processor */

/* Shows who does most and what is wrong, with a new look each `interval` nanoseconds, until a key or a signal ends it.
 * tier: of sight_tier().  An exit code, said. */
int screen_show(int64_t interval, uint32_t tier);

#endif
