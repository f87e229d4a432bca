// SPDX-License-Identifier: GPL-2.0
/*
 * The functions that the KUnit suites probe, and helpers for what the kernel crate
 * lacks.
 */
#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/linkage.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/slab.h>
#include <linux/sched/signal.h>
#include <linux/stacktrace.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#ifdef CONFIG_X86_64
#include <asm/fixmap.h>
#endif

#include "fields.h"

noinline u32 kut_div(u32 value)
{
	return value / 3;
}

noinline u32 kut_div_more(u32 value)
{
	return value / 3 + 1;
}

/* Called by handlers, and probed. */
noinline u32 kut_recursed(u32 value)
{
	return value / 3;
}

/* Long enough for a jump. */
noinline u64 kut_mix(u64 a, u64 b)
{
	int i;

	for (i = 0; i < 3; i++) {
		a = (a ^ b) * 0x9e3779b97f4a7c15ull;
		b = (b << 7) | (b >> 57);
		a += b;
	}
	return a;
}

noinline u64 kut_integers(u8 a, s8 b, u16 c, s16 d, u32 e, s32 f)
{
	barrier();
	return a + b + c + d + e + f;
}

struct kut_two {
	u64 a, b;
};
struct kut_three {
	u64 a, b, c;
};

noinline u64 kut_structs(struct kut_two two, struct kut_three three, u64 last)
{
	barrier();
	return two.a + two.b + three.a + three.b + three.c + last;
}

void kut_call_structs(void)
{
	kut_structs((struct kut_two){ 11, 12 }, (struct kut_three){ 13, 14, 15 }, 16);
}

noinline void kut_long(u64 a, s64 b, unsigned long c, long d, bool e, void *f)
{
	barrier();
}

noinline long kut_long_result(long value)
{
	barrier();
	return value;
}

noinline int kut_int_result(int value)
{
	barrier();
	return value;
}

noinline u64 kut_string(const char *string)
{
	barrier();
	return (unsigned long)string;
}

/* Like the entry point of a system call. */
noinline long kut_syscall(const struct pt_regs *regs)
{
	barrier_data(regs);
	return regs ? 0 : -EINVAL;
}

void kut_call_syscall(void)
{
	struct pt_regs regs = {};

#ifdef CONFIG_X86_64
	regs.di = 11;
	regs.si = 12;
	regs.dx = 13;
	regs.r10 = 14;
	regs.cx = 99;
	regs.r8 = 15;
	regs.r9 = 16;
#else
	regs.orig_x0 = 11;
	regs.regs[0] = 99;
	regs.regs[1] = 12;
	regs.regs[2] = 13;
	regs.regs[3] = 14;
	regs.regs[4] = 15;
	regs.regs[5] = 16;
#endif
	kut_syscall(&regs);
}

/*
 * Sets each register to a different value at the probe, which is at offset
 * kut_registers_at.
 */
#ifdef CONFIG_X86_64
asm(".text\n"
    ".type kut_registers, @function\n"
    ".globl kut_registers\n" ASM_FUNC_ALIGN
    "kut_registers:\n"
    ".irp r,rbx,rbp,r12,r13,r14,r15\n"
    "	push %\\r\n"
    ".endr\n"
    ".set n, 101\n"
    ".irp r,rax,rbx,rcx,rdx,rsi,rdi,rbp,r8,r9,r10,r11,r12,r13,r14,r15\n"
    "	mov $n, %\\r\n"
    ".set n, n + 1\n"
    ".endr\n"
    "1:	nop\n"
    ".irp r,r15,r14,r13,r12,rbp,rbx\n"
    "	pop %\\r\n"
    ".endr\n"
    "	" ASM_RET "\n"
    ".size kut_registers, .-kut_registers\n"
    ".section .rodata\n"
    ".globl kut_registers_at\n"
    "kut_registers_at: .long 1b - kut_registers\n"
    ".previous\n");
#else
/* Without x18, which the kernel may reserve. */
asm(".text\n"
    ".align 2\n"
    ".type kut_registers, @function\n"
    ".globl kut_registers\n"
    "kut_registers:\n"
    "	stp x29, x30, [sp, #-96]!\n"
    "	stp x19, x20, [sp, #16]\n"
    "	stp x21, x22, [sp, #32]\n"
    "	stp x23, x24, [sp, #48]\n"
    "	stp x25, x26, [sp, #64]\n"
    "	stp x27, x28, [sp, #80]\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\n"
    "	mov x\\n, #101 + \\n\n"
    ".endr\n"
    ".irp n,19,20,21,22,23,24,25,26,27,28,29,30\n"
    "	mov x\\n, #101 + \\n\n"
    ".endr\n"
    "1:	nop\n"
    "	ldp x19, x20, [sp, #16]\n"
    "	ldp x21, x22, [sp, #32]\n"
    "	ldp x23, x24, [sp, #48]\n"
    "	ldp x25, x26, [sp, #64]\n"
    "	ldp x27, x28, [sp, #80]\n"
    "	ldp x29, x30, [sp], #96\n"
    "	ret\n"
    ".size kut_registers, .-kut_registers\n"
    ".section .rodata\n"
    ".align 2\n"
    ".globl kut_registers_at\n"
    "kut_registers_at: .long 1b - kut_registers\n"
    ".previous\n");
#endif

int kut_ran;

noinline int kut_skipped(int value)
{
	kut_ran++;
	return value + 1;
}

/*
 * Stack traces, like those of lib/tests/test_kprobes.c. The return addresses are
 * those of the first call: with a probe, they are the trampoline's.
 */
static unsigned long first_return[2];

noinline unsigned long kut_stack_inner(void)
{
	if (!first_return[0])
		first_return[0] = (unsigned long)__builtin_return_address(0);
	return first_return[0];
}

noinline unsigned long kut_stack_outer(void)
{
	unsigned long (*volatile inner)(void) = kut_stack_inner;

	if (!first_return[1])
		first_return[1] = (unsigned long)__builtin_return_address(0);
	inner();
	return first_return[1];
}

noinline unsigned long kut_stack_driver(void)
{
	unsigned long (*volatile outer)(void) = kut_stack_outer;

	outer();
	return (unsigned long)__builtin_return_address(0);
}

/* Returns the index of the address in the trace, from 1, or 0; next is the one after it. */
int kut_stack_find(unsigned long address, unsigned long *next)
{
	unsigned long entries[16];
	unsigned int i, n = stack_trace_save(entries, ARRAY_SIZE(entries), 0);

	for (i = 0; i + 1 < n; i++) {
		if (entries[i] == address) {
			*next = entries[i + 1];
			return i + 1;
		}
	}
	return 0;
}

bool kut_preemptible(void)
{
	return preemptible();
}

/* Calls in flight, each in a thread of its own. */
static DECLARE_COMPLETION(release);
static struct task_struct *sleepers[8];

noinline int kut_sleep(int value)
{
	wait_for_completion(&release);
	return value;
}

static int sleeper(void *unused)
{
	kut_sleep(7);
	while (!kthread_should_stop())
		msleep(1);
	return 0;
}

void kut_start_sleepers(int n)
{
	int i;

	reinit_completion(&release);
	for (i = 0; i < n; i++) {
		sleepers[i] = kthread_run(sleeper, NULL, "kut_sleeper");
		get_task_struct(sleepers[i]);
	}
	/* Until each of them is waiting in the function. */
	for (i = 0; i < n; i++)
		while (READ_ONCE(sleepers[i]->__state) != TASK_UNINTERRUPTIBLE)
			msleep(1);
}

void kut_stop_sleepers(int n)
{
	int i;

	complete_all(&release);
	for (i = 0; i < n; i++) {
		kthread_stop(sleepers[i]);
		put_task_struct(sleepers[i]);
	}
}

/* Claims a function, like a live patch. */
static void held(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
		 struct ftrace_regs *fregs)
{
}

static struct ftrace_ops holder = {
	.func = held,
	.flags = FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED | FTRACE_OPS_FL_IPMODIFY,
};

int kut_hold(unsigned long address)
{
	int ret = ftrace_set_filter_ip(&holder, address, 0, 0);

	return ret ?: register_ftrace_function(&holder);
}

void kut_let_go(unsigned long address)
{
	unregister_ftrace_function(&holder);
	ftrace_set_filter_ip(&holder, address, 1, 0);
}

/*
 * A kprobe that joins the one under test, so that the kernel's state of that can be
 * found outside of the library.
 */
static struct kprobe mate;
static struct kprobe *joined;

int kut_join(unsigned long address)
{
	struct list_head *at;
	int ret;

	memset(&mate, 0, sizeof(mate));
	mate.addr = (kprobe_opcode_t *)address;
	ret = register_kprobe(&mate);
	if (ret)
		return ret;
	for (at = mate.list.next; at != &mate.list; at = at->next) {
		joined = list_entry(at, struct kprobe, list);
		/* Only the aggregate probe is hashed. */
		if (!joined->hlist.pprev || joined->hlist.pprev == LIST_POISON2)
			return 0;
	}
	unregister_kprobe(&mate);
	return -ENOENT;
}

void kut_leave(void)
{
	unregister_kprobe(&mate);
}

/* Sets nmissed of the kretprobe that was joined. */
void kut_set_dry(int value)
{
	container_of(joined, struct kretprobe, kp)->nmissed = value;
}

/*
 * The transient state in init_aggr_kprobe(): the probe that was joined points at an
 * aggregate probe, whose list is still empty. A timer ends it.
 */
static struct kprobe half;
static struct list_head *whole;

static void heal(struct timer_list *unused)
{
	WRITE_ONCE(half.list.next, whole);
}
static DEFINE_TIMER(healer, heal);

void kut_half_link(unsigned int heal_ms)
{
	memset(&half, 0, sizeof(half));
	INIT_LIST_HEAD(&half.list);
	whole = joined->list.next;
	mod_timer(&healer, jiffies + msecs_to_jiffies(heal_ms));
	WRITE_ONCE(joined->list.next, &half.list);
}

void kut_whole_link(void)
{
	WRITE_ONCE(joined->list.next, whole);
	timer_delete_sync(&healer);
}

/* Maps two pages of user memory. */
unsigned long kut_user_pages(void)
{
	struct kunit *test = kunit_get_current_test();
	unsigned long at = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
					 MAP_ANONYMOUS | MAP_PRIVATE, 0);

	if (!at || IS_ERR_VALUE(at) || clear_user((void __user *)at, 2 * PAGE_SIZE))
		return 0;
	return at;
}

/* As above, with the second one unmapped again. */
unsigned long kut_user_page(void)
{
	unsigned long at = kut_user_pages();

	return !at || vm_munmap(at + PAGE_SIZE, PAGE_SIZE) ? 0 : at;
}

int kut_write_user(unsigned long at, const void *from, unsigned long len)
{
	return copy_to_user((void __user *)at, from, len) ? -EFAULT : 0;
}

/* The registers of the HPET, which have no effects when they are read; 0 on arm64. */
unsigned long kut_map_device(void)
{
	return IS_ENABLED(CONFIG_X86_64) ? (unsigned long)ioremap(0xfed00000, PAGE_SIZE) : 0;
}

void kut_unmap_device(unsigned long at)
{
	iounmap((void __iomem *)at);
}

/* Those of the interrupt controller. */
unsigned long kut_fixed_device(void)
{
#ifdef CONFIG_X86_64
	return fix_to_virt(FIX_APIC_BASE);
#else
	return 0;
#endif
}

/* Skips the current case. */
void kut_skip(const char *why)
{
	kunit_mark_skipped(kunit_get_current_test(), "%s", why);
}

void kut_signal(int sig)
{
	send_sig(sig, current, 0);
}

/* Passes the tracepoint module_get. */
void kut_use_module(void)
{
	__module_get(THIS_MODULE);
	module_put(THIS_MODULE);
}

/* Passes the tracepoint timer_init. */
void kut_init_timer(void)
{
	static struct timer_list timer;

	timer_setup(&timer, NULL, 0);
}

static u32 softirq_result;

/*
 * Allocates, and calls what is probed, in a softirq and in an interrupt of the caller,
 * which has bottom halves on.
 */
static void allocate(void)
{
	kfree(kmalloc(64, GFP_ATOMIC));
	WRITE_ONCE(softirq_result, kut_recursed(READ_ONCE(softirq_result)));
}

static bool softirq_done;

static void softirq(struct tasklet_struct *unused)
{
	allocate();
	WRITE_ONCE(softirq_done, true);
}
static DECLARE_TASKLET(softly, softirq);

static void interrupt(struct irq_work *unused)
{
	allocate();
}
static DEFINE_IRQ_WORK(hardly, interrupt);

void kut_interrupt(void)
{
	WRITE_ONCE(softirq_done, false);
	local_bh_disable();
	tasklet_schedule(&softly);
	local_bh_enable();
	while (!READ_ONCE(softirq_done))
		cpu_relax();
	irq_work_queue(&hardly);
	while (irq_work_is_busy(&hardly))
		cpu_relax();
}

/* 0 to 3: task, softirq, interrupt, NMI. */
unsigned int kut_level(void)
{
	return interrupt_context_level();
}

static void kut_function(void)
{
}

/* All bits of what is not set are those of `rest`. */
struct kut_fields *kut_fields(u8 rest)
{
	static struct {
		struct kut_fields fields;
		u32 tail[2];
	} object;
	static struct kut_part part = { 71, -72 };
	static u32 number = 73;
	struct kut_fields *f = &object.fields;

	memset(&object, rest, sizeof(object));
	f->small = -1;
	f->flag = true;
	f->sign = KUT_NEGATIVE;
	f->color = KUT_BLUE;
	f->word = -3;
	f->wide = 0xfedcba9876543210;
	f->size = SIZE_MAX - 4;
	f->port = cpu_to_be16(8080);
	f->type = 5;
	*(u32 *)&f->fixed = 6;
	f->nested.inner = 7;
	f->nested.part.first = 8;
	f->nested.part.second = -9;
	f->low = 0x1234;
	f->high = 0x5678;
	f->bits = 5;
	f->more = 0x55;
	f->negative = -10;
	f->bit = true;
	f->bright = KUT_GREEN;
	f->first = 0xabcde;
	f->across = 0x123456789a;
	f->below = -11;
	f->pair[0].deep = 12;
	f->pair[1].deep = 13;
	memcpy(f->bytes, "field", 5);
	f->flags[0] = true;
	f->flags[1] = false;
	f->flags[2] = true;
	for (int i = 0; i < 6; i++)
		f->table[i / 3][i % 3] = -20 - i;
	for (int i = 0; i < 3; i++) {
		f->parts[i].first = 30 + i;
		f->parts[i].second = -40 - i;
	}
	f->pointers[0] = NULL;
	f->pointers[1] = f->part = &part;
	f->next = NULL;
	f->link = (struct kut_fields __rcu **)&f->tag.of;
	f->number = &number;
	f->text = "text";
	f->function = kut_function;
	f->nothing = (void *)1;
	atomic_set(&f->count, -50);
	f->tag.kind = 51;
	f->tag.of = f;
	for (int i = 0; i < 300; i++)
		f->big[i] = 1000 + i;
	f->tail[0] = 61;
	f->tail[1] = 62;
	return f;
}
