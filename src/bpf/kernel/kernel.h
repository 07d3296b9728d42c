/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - what our programs read of the kernel's structures.  Only names and types matter: where a member lies is
 * looked up in the running kernel when a program is loaded (CO-RE).
 */
#ifndef KERNEL_H
#define KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed int __s32;
typedef signed long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_RINGBUF 27

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
    struct seq_file *seq;
    __u64 session_id, seq_num;
};

struct super_block {
    __u32 s_dev;
};

struct inode {
    __u16 i_mode;
    unsigned long i_ino;
    struct super_block *i_sb;
};

struct file {
    __u32 f_flags;
    struct inode *f_inode;
    void *private_data;
    const void *f_op;
};

struct task_struct {
    __s32 pid, tgid;
};

struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    __u32 fd;
    struct file *file;
};

#pragma clang attribute pop

#endif
