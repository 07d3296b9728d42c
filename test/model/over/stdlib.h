/* SPDX-License-Identifier: MIT */
/* Memory of a simulated process: it is gone with the execution, also where the process was killed. */
#ifndef MODEL_STDLIB_H
#define MODEL_STDLIB_H

#include_next <stdlib.h>

void *model_allocate(size_t size);
void *model_allocate_cleared(size_t size);

#undef malloc
#undef calloc
#undef free
#define malloc(size) model_allocate(size)
#define calloc(many, size) model_allocate_cleared((many) * (size))
#define free(memory) ((void)(memory))

#endif
