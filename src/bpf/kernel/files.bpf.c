/* SPDX-License-Identifier: MIT */
/* Every open descriptor of every process, in one pass: the iterator task_file (Linux 5.8). */
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "bpf/files.h"

SEC("iter/task_file")
int files(struct bpf_iter__task_file *at)
{
    struct file *file = at->file;
    struct task_struct *task = at->task;
    if (!file || !task || task->pid != task->tgid)
        return 0;
    struct inode *inode = file->f_inode;
    struct file_seen seen = {
        .description = (unsigned long long)file, .inode = inode->i_ino, .device = inode->i_sb->s_dev,
        .flags = file->f_flags, .pid = task->tgid, .fd = at->fd, .mode = inode->i_mode,
    };
    bpf_seq_write(at->meta->seq, &seen, sizeof seen);
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
