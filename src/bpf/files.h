/* SPDX-License-Identifier: MIT */
/* files.h - what the program "files" tells of each open descriptor, of every process of the pid namespace of its reader. */
#ifndef BPF_FILES_H
#define BPF_FILES_H

struct file_seen {
    unsigned long long description; /* address of the open file description: equal means the same one */
    unsigned long long inode;
    unsigned int device;            /* as the kernel has it: 12 bits major, 20 bits minor */
    unsigned int flags;             /* of open(2) */
    int pid;                        /* in the initial pid namespace */
    unsigned int fd;
    unsigned int mode;              /* of the inode */
    unsigned int unused;
};

#endif
