/* SPDX-License-Identifier: MIT */
/* region_describe.h - what `tong region info` prints. */
#ifndef TOOL_REGION_DESCRIBE_H
#define TOOL_REGION_DESCRIBE_H

#include <stdbool.h>

#include "tong/region.h"

/* On standard output, for people or as JSON (doc/json.md); an exit code. */
int region_describe(const char *address, const tong_region_info *region, bool as_json);

#endif
