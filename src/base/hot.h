/* SPDX-License-Identifier: MIT */
/*
 * hot.h - functions that every message runs through.
 *
 * After a switch of processes neither caches nor TLB hold our code, and in a virtual machine a miss of the TLB
 * costs tens of nanoseconds.  The linker puts what is marked so side by side, on few pages.
 */
#ifndef BASE_HOT_H
#define BASE_HOT_H

#define HOT __attribute__((hot))

/* For what is worth a copy wherever it is called, because there an argument is a constant. */
#define INLINED __attribute__((always_inline)) static inline

#endif
