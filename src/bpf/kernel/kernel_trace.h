/* SPDX-License-Identifier: MIT */
/* kernel_trace.h - what the program "trace" reads of the kernel's structures; ___ and what follows is no part of a name. */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include "kernel.h"

#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_ANY 0
#define BPF_NOEXIST 1

/* The calls of the kernel that a later one than 5.8 has: only whether it is there, and its number. */
enum bpf_func_id {
    BPF_FUNC_find_vma = 180,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs___x86 {
    unsigned long di, si, dx, r10, orig_ax;
    __u16 cs;
};

struct pt_regs___arm {
    __u64 regs[31];
    __u64 pstate, orig_x0;
    __s32 syscallno;
};

struct pt_regs;

struct file___t {
    __u32 f_mode;
    struct inode *f_inode;
    struct path f_path;
    void *private_data;
};

struct super_block___t {
    __u32 s_dev;
    unsigned long s_magic;
};

struct inode___t {
    __u16 i_mode;
    __u32 i_rdev;
    unsigned long i_ino;
    struct super_block___t *i_sb;
};

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
};

struct files_struct {
    struct fdtable *fdt;
};

struct task_struct___t {
    __u32 flags;
    __s32 pid, tgid;
    struct task_struct___t *group_leader;
    struct pid *thread_pid;
    struct signal_struct *signal;
    struct files_struct *files;
    struct nsproxy *nsproxy;
    char comm[16];
};

struct in6_addr {
    __u64 words[2];
};

struct sock_common {
    __u16 skc_family;
    __u16 skc_num;
    __be16 skc_dport;
    __be32 skc_daddr, skc_rcv_saddr;
    struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};

struct sock {
    struct sock_common __sk_common;
    __u16 sk_type, sk_protocol;
    struct socket *sk_socket;
};

struct sockaddr_un {
    __u16 sun_family;
    char sun_path[108];
};

struct unix_address {
    int len;
    struct sockaddr_un name[1];
};

struct unix_sock {
    struct unix_address *addr;
    struct sock *peer;
};

struct tty_struct {
    int index;
    void *driver_data;
};

struct tty_file_private {
    struct tty_struct *tty;
};

struct kernel_siginfo {
    int si_code;
};

#pragma clang attribute pop

#endif
