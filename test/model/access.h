/* SPDX-License-Identifier: MIT */
/*
 * access.h - what the rings are compiled with in place of <stdatomic.h> (over/stdatomic.h) and memcpy (over/string.h).
 *
 * Each says where it stands (`site`, the name of the function: those of src/ring/shared.h), which is how traces name it
 * and wrong orders are seeded.  An address that is not in the shared memory of the model is a process's own and is
 * touched as it is.
 */
#ifndef MODEL_ACCESS_H
#define MODEL_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum model_change { MODEL_ADD, MODEL_SUBTRACT, MODEL_OR, MODEL_AND, MODEL_XOR, MODEL_EXCHANGE };

uint64_t model_load(const volatile void *at, size_t size, int order, const char *site);
void model_store(volatile void *at, size_t size, uint64_t value, int order, const char *site);
/* What was there before. */
uint64_t model_change(volatile void *at, size_t size, enum model_change how, uint64_t value, int order, const char *site);
bool model_exchange_if(volatile void *at, size_t size, void *expected, uint64_t value, int order, int failed_order,
                       bool weak, const char *site);
void model_fence(int order, const char *site);

/* Payload: bytes that nobody else may touch at the same time. */
void *model_copy(void *to, const void *from, size_t size);

#endif
