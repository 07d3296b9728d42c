/* SPDX-License-Identifier: MIT */
/* proc.h - reading proc(5): directories held open, files read whole into one buffer that is used again. */
#ifndef INSPECT_PROC_H
#define INSPECT_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tong_snapshot;

struct proc {
    int fd;          /* of /proc */
    struct tong_snapshot *graph; /* which is told of files that cannot be read, but not of rights; NULL: nobody is */
    char *buffer;    /* what was read last, with a NUL behind it */
    size_t room;
};

/* -ENOENT: no proc(5) of this process's pid namespace there. */
int proc_open(struct proc *proc, const char *path);
void proc_close(struct proc *proc);

/* Reads a file relative to `directory` (proc->fd: "net/unix"), whole; its size, or a negative errno. */
ssize_t proc_read(struct proc *proc, int directory, const char *name);
/* The same of no more than its first bytes; most < 65536. */
ssize_t proc_read_some(struct proc *proc, int directory, const char *name, size_t most);

/* The target of a link; its size, or a negative errno; NUL-ended, cut to `size`. */
ssize_t proc_link(int directory, const char *name, char *ret, size_t size);

/* Opens a directory; negative errno. */
int proc_directory(int directory, const char *name);

/* Calls `each` with every name in a directory but "." and "..", until it returns what is not 0. */
int proc_names(int directory, int (*each)(void *context, const char *name), void *context);

/* Calls `each` with every line of what was read last, ended by NUL in place of its newline. */
int proc_lines(struct proc *proc, int (*each)(void *context, char *line), void *context);

/* Where the n-th word of a line begins, counted from 0; "" if there are fewer. */
const char *proc_word(const char *line, unsigned n);

/* Calls `each` with every name in a directory that is a number, until it returns what is not 0. */
int proc_numbers(int directory, int (*each)(void *context, const char *name, int64_t number), void *context);

#endif
