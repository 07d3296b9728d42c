/* SPDX-License-Identifier: MIT */
/*
 * pipe_cuts.h - where the kernel may let others into a long write to a pipe.
 *
 * POSIX promises that writes of up to PIPE_BUF bytes never interleave, and nothing of longer ones.  Linux has a pipe of
 * pages.  A write of n bytes, under the pipe's lock, first puts n modulo the page's size into the page that the last
 * write left open, if there is one with that much room, and then fills one page after another; only when none is left does
 * it let go of the lock, or return short.  So it can only be cut after n modulo 4096 bytes and any number of 4096 behind
 * them, or after a multiple of 4096.
 *
 * That is how it has been since Linux 2.6, but it is no promise, and other kernels run programs of Linux too: so it is
 * tried on a pipe of our own before it is relied on, once a process.
 */
#ifndef CORE_PIPE_CUTS_H
#define CORE_PIPE_CUTS_H

#include <stdbool.h>

/* Whether pipes are cut so here. */
bool pipe_cuts_between_pages(void);

#endif
