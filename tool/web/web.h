/* SPDX-License-Identifier: MIT */
/* web.h - the page of `tong web`, and who is shown it. */
#ifndef TOOL_WEB_WEB_H
#define TOOL_WEB_WEB_H

#include <stddef.h>
#include <stdint.h>

/* Serves at 127.0.0.1 (port 0: a free one) or at a socket of this path, until stopping is asked for: an exit code.
 * tier: of sight_tier(). */
int web_serve(uint16_t port, const char *path, uint32_t tier);

/* The page, and what its browser may do: its own script and style by their hashes, and calls to where it came from. */
extern const char web_page[], web_policy[];
extern const size_t web_page_size;

#endif
