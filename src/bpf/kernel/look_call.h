/* SPDX-License-Identifier: MIT */
/*
 * look_call.h - the call a thread sleeps in, from the registers it left where it entered the kernel.  What /proc would tell
 * otherwise, by the same rules, is not told here but left to it.
 */
#ifndef LOOK_CALL_H
#define LOOK_CALL_H

#define CALL_OF_32_BITS 2 /* TS_COMPAT */
#define PROGRAM_OF_32_BITS 0x10 /* PSR_MODE32_BIT */

static __u32 state_of(struct task_struct *task)
{
    return bpf_core_field_exists(struct task_struct, __state) ? BPF_CORE_READ(task, __state)
                                                              : (__u32)BPF_CORE_READ(task, state);
}

/* It runs, or will: what is in its registers may change. */
static int is_awake(struct task_struct *task)
{
    return task->on_rq || (bpf_core_field_exists(struct task_struct, on_cpu) && task->on_cpu);
}

/* A call of 64 bits from a program of 64 bits; others have their arguments elsewhere. */
static void read_x86(struct task_struct *task, struct pt_regs *regs, struct call_seen *seen)
{
    if (task->thread_info.status & CALL_OF_32_BITS)
        return;
    seen->kind = CALL_SEEN_CALL;
    seen->number = (int)regs->orig_ax;
    seen->argument[0] = regs->di;
    seen->argument[1] = regs->si;
    seen->argument[2] = regs->dx;
    seen->argument[3] = regs->r10;
    seen->argument[4] = regs->r8;
    seen->argument[5] = regs->r9;
    seen->stack = regs->sp;
    seen->instruction = regs->ip;
}

static void read_arm(struct pt_regs *regs, struct call_seen *seen)
{
    if (regs->pstate & PROGRAM_OF_32_BITS)
        return;
    seen->kind = CALL_SEEN_CALL;
    seen->number = regs->syscallno;
    seen->argument[0] = regs->orig_x0;
    seen->argument[1] = regs->regs[1];
    seen->argument[2] = regs->regs[2];
    seen->argument[3] = regs->regs[3];
    seen->argument[4] = regs->regs[4];
    seen->argument[5] = regs->regs[5];
    seen->stack = regs->sp;
    seen->instruction = regs->pc;
}

static void read_registers(struct task_struct *task, struct call_seen *seen)
{
    struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
    if (bpf_core_field_exists(struct pt_regs, r10))
        read_x86(task, regs, seen);
    else if (bpf_core_field_exists(struct pt_regs, syscallno))
        read_arm(regs, seen);
}

/* As wait_task_inactive() of the kernel has it, but without waiting: what was read is of one sleep, or /proc is asked. */
static void read_call(struct task_struct *task, struct call_seen *seen)
{
    unsigned long sleeps = task->nvcsw;
    if (!seen->state || task->exit_state) {
        seen->kind = CALL_SEEN_NONE;
        return;
    }
    if (is_awake(task))
        return;
    read_registers(task, seen);
    asm volatile("" ::: "memory");
    if (is_awake(task) || state_of(task) != seen->state || task->nvcsw != sleeps)
        seen->kind = CALL_SEEN_ASK;
}

#endif
