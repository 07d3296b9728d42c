/* SPDX-License-Identifier: MIT */
/* fuzz.h - one entry a target, with libFuzzer's name: clang's fuzzer and our own driver both call it. */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What a target promises itself; a broken promise is a crash, which every fuzzer notices. */
#define PROMISE(condition)      \
    do {                        \
        if (!(condition))       \
            __builtin_trap();   \
    } while (0)

#endif
