#include "bench_shown.h"
void bench_page(const struct round *round, struct text *out) { (void)round; (void)out; }
