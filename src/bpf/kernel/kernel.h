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

struct seq_file;
struct task_struct;
struct file;
struct vm_area_struct;
struct pid_namespace;
struct files_struct;
struct super_block;
struct dentry;
struct sock;

/* ---- What is the same in every kernel: each type that is looked up takes half a millisecond of every loading */

struct rb_node {
    unsigned long __rb_parent_color;
    struct rb_node *rb_right, *rb_left;
};

struct upid {
    int nr;
    struct pid_namespace *ns;
};

struct vfsmount {
    struct dentry *mnt_root;
    struct super_block *mnt_sb;
};

struct pipe_buffer {
    void *page;
    unsigned int offset, len;
    const void *ops;
    unsigned int flags;
    unsigned long private;
};

struct wait_queue_entry {
    unsigned int flags;
    void *private, *function;
    void *next, *previous; /* places where others have these two, as the head of the queue has */
};

struct bpf_iter_meta {
    struct seq_file *seq;
    __u64 session_id, seq_num;
};

struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
};

struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    __u32 fd;
    struct file *file;
};

struct bpf_iter__task_vma {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    struct vm_area_struct *vma;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
    struct list_head *next;
};

struct rb_root_cached {
    struct rb_node *rb_leftmost;
};

/* ---- Namespaces and numbers of processes */

struct ns_common {
    unsigned int inum;
};

struct pid_namespace {
    struct ns_common ns;
};

struct ipc_namespace {
    struct ns_common ns;
};

struct mnt_namespace {
    struct ns_common ns;
};

struct net {
    struct ns_common ns;
};

struct timespec64 {
    long long tv_sec;
    long tv_nsec;
};

struct timens_offsets {
    struct timespec64 boottime;
};

struct time_namespace {
    struct timens_offsets offsets;
};

struct nsproxy {
    struct ipc_namespace *ipc_ns;
    struct mnt_namespace *mnt_ns;
    struct net *net_ns;
    struct time_namespace *time_ns;
};

struct pid {
    unsigned int level;
    struct upid numbers[1];
};

/* ---- Files */

typedef struct {
    unsigned int val;
} kuid_t;

typedef struct {
    unsigned int val;
} kgid_t;

struct wait_queue_head {
    struct list_head head;
};

struct pipe_inode_info {
    unsigned int head, tail, max_usage, ring_size, readers, writers;
    struct pipe_buffer *bufs;
    struct wait_queue_head rd_wait, wr_wait;
};

struct socket_wq {
    struct wait_queue_head wait;
};

struct socket {
    struct file *file;
    struct sock *sk;
    struct socket_wq wq;
};

struct eventfd_ctx {
    __u64 count;
    struct wait_queue_head wqh;
    int id;
};

struct file_lock_context {
    struct list_head flc_flock, flc_posix, flc_lease;
};

struct super_block {
    __u32 s_dev;
    unsigned long s_flags, s_magic;
};

struct inode {
    __u16 i_mode;
    __u32 i_rdev;
    unsigned long i_ino;
    kuid_t i_uid;
    kgid_t i_gid;
    long long i_size;
    struct super_block *i_sb;
    struct file_lock_context *i_flctx;
    struct pipe_inode_info *i_pipe;
};

struct qstr {
    __u32 len;
    const unsigned char *name;
};

struct dentry {
    struct dentry *d_parent;
    struct qstr d_name;
    struct inode *d_inode;
    struct super_block *d_sb;
};

struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
};

struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
};

struct file {
    __u32 f_mode, f_flags;
    struct inode *f_inode;
    struct path f_path;
    void *private_data;
    const void *f_op;
};

struct backing_file {
    struct path user_path;
};

struct epoll_filefd {
    struct file *file;
    int fd;
};

struct epoll_event {
    __u32 events;
};

struct epitem {
    struct rb_node rbn;
    struct epoll_filefd ffd;
    struct epoll_event event;
};

struct eventpoll {
    struct wait_queue_head wq, poll_wait;
    struct rb_root_cached rbr;
};

struct vm_area_struct {
    unsigned long vm_start, vm_end, vm_pgoff, vm_flags;
    struct file *vm_file;
};

/* ---- Processes */

struct cred {
    kuid_t euid;
    kgid_t egid;
};

typedef struct {
    unsigned long sig[1];
} sigset_t;

struct sigpending {
    sigset_t signal;
};

typedef struct {
    int counter;
} atomic_t;

struct signal_struct {
    atomic_t live;
    int nr_threads;
    struct pid *pids[4];
    struct sigpending shared_pending;
};

struct sigaction {
    void *sa_handler;
};

struct k_sigaction {
    struct sigaction sa;
};

struct sighand_struct {
    struct k_sigaction action[64];
};

struct sem_undo {
    struct list_head list_proc;
    int semid;
    short semadj[1];
};

struct sem_undo_list {
    struct list_head list_proc;
};

struct sysv_sem {
    struct sem_undo_list *undo_list;
};

struct thread_info {
    __u32 status; /* on x86 */
};

struct sched_entity {
    __u64 sum_exec_runtime;
};

struct sched_info {
    unsigned long pcount;
    unsigned long long run_delay;
};

/* What a thread left in its registers when it entered the kernel: of x86-64, and of arm64. */
struct pt_regs {
    unsigned long di, si, dx, r10, r8, r9, ip, sp, orig_ax;
    __u64 regs[31], pc, pstate, orig_x0;
    __s32 syscallno;
};

struct task_struct {
    struct thread_info thread_info;
    int on_cpu, on_rq;
    unsigned long nvcsw;
    struct sched_entity se;
    struct sched_info sched_info;
    __s32 pid, tgid;
    unsigned int __state, flags;
    long state; /* before Linux 5.14 */
    int exit_state;
    unsigned int ptrace;
    __u64 start_boottime;
    struct task_struct *real_parent, *parent, *group_leader;
    struct mm_struct *mm;
    struct files_struct *files;
    struct pid *thread_pid;
    const struct cred *real_cred;
    char comm[16];
    struct sysv_sem sysvsem;
    struct nsproxy *nsproxy;
    struct signal_struct *signal;
    struct sighand_struct *sighand;
    sigset_t blocked;
    struct sigpending pending;
};

#pragma clang attribute pop

#endif
