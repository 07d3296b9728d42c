/* SPDX-License-Identifier: MIT */
/* chart.h - the charts of the page that `tong bench --report` writes. */
#ifndef TOOL_MEASURE_CHART_H
#define TOOL_MEASURE_CHART_H

#include "bench/round.h"
#include "text.h"

/* Text as HTML. */
void page_text(struct text *out, const char *text);

/* A row for each of `order`: name, a dot with its range on a logarithmic scale, time, ratio to the limit. */
void chart_dots(struct text *out, const struct round *round, int work, const int *order, int count);

/* Bytes a second by size, one way: a line for each mechanism. */
void chart_sizes(struct text *out, const struct round *round);

#endif
