/* SPDX-License-Identifier: MIT */
/* Every atomic access of the files that are compiled with this becomes one of the model's. */
#ifndef MODEL_STDATOMIC_H
#define MODEL_STDATOMIC_H

#include_next <stdatomic.h>

#include "access.h"

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit
#undef atomic_fetch_xor
#undef atomic_fetch_xor_explicit
#undef atomic_thread_fence
#undef atomic_signal_fence

#define MODEL_CHANGE(at, how, value, order) model_change((at), sizeof *(at), (how), (value), (order), __func__)
#define MODEL_EXCHANGE_IF(at, expected, value, order, failed, weak)                                               \
    model_exchange_if((at), sizeof *(at), (expected), (value), (order), (failed), (weak), __func__)

#define atomic_load_explicit(at, order) model_load((at), sizeof *(at), (order), __func__)
#define atomic_store_explicit(at, value, order) model_store((at), sizeof *(at), (value), (order), __func__)
#define atomic_exchange_explicit(at, value, order) MODEL_CHANGE(at, MODEL_EXCHANGE, value, order)
#define atomic_fetch_add_explicit(at, value, order) MODEL_CHANGE(at, MODEL_ADD, value, order)
#define atomic_fetch_sub_explicit(at, value, order) MODEL_CHANGE(at, MODEL_SUBTRACT, value, order)
#define atomic_fetch_or_explicit(at, value, order) MODEL_CHANGE(at, MODEL_OR, value, order)
#define atomic_fetch_and_explicit(at, value, order) MODEL_CHANGE(at, MODEL_AND, value, order)
#define atomic_fetch_xor_explicit(at, value, order) MODEL_CHANGE(at, MODEL_XOR, value, order)
#define atomic_compare_exchange_strong_explicit(at, expected, value, order, failed)                               \
    MODEL_EXCHANGE_IF(at, expected, value, order, failed, false)
#define atomic_compare_exchange_weak_explicit(at, expected, value, order, failed)                                 \
    MODEL_EXCHANGE_IF(at, expected, value, order, failed, true)

#define atomic_load(at) atomic_load_explicit(at, memory_order_seq_cst)
#define atomic_store(at, value) atomic_store_explicit(at, value, memory_order_seq_cst)
#define atomic_exchange(at, value) atomic_exchange_explicit(at, value, memory_order_seq_cst)
#define atomic_fetch_add(at, value) atomic_fetch_add_explicit(at, value, memory_order_seq_cst)
#define atomic_fetch_sub(at, value) atomic_fetch_sub_explicit(at, value, memory_order_seq_cst)
#define atomic_fetch_or(at, value) atomic_fetch_or_explicit(at, value, memory_order_seq_cst)
#define atomic_fetch_and(at, value) atomic_fetch_and_explicit(at, value, memory_order_seq_cst)
#define atomic_fetch_xor(at, value) atomic_fetch_xor_explicit(at, value, memory_order_seq_cst)
#define atomic_compare_exchange_strong(at, expected, value)                                                       \
    MODEL_EXCHANGE_IF(at, expected, value, memory_order_seq_cst, memory_order_seq_cst, false)
#define atomic_compare_exchange_weak(at, expected, value)                                                         \
    MODEL_EXCHANGE_IF(at, expected, value, memory_order_seq_cst, memory_order_seq_cst, true)

#define atomic_thread_fence(order) model_fence((order), __func__)
/* Binds the compiler alone: the model runs each thread in the order of its program, and seeds what it would permit. */
#define atomic_signal_fence(order) ((void)(order))

/* A pause between two looks takes no time here. */
#define __builtin_ia32_pause() ((void)0)

#endif
