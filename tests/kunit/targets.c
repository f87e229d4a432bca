// SPDX-License-Identifier: GPL-2.0
/* The functions that the KUnit suites probe, and helpers that the kernel crate lacks. */
#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#ifdef CONFIG_X86_64
#include <asm/apic.h>
#include <asm/fixmap.h>
#include <asm/nmi.h>
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

/* Returns its return address. */
noinline unsigned long kut_integers(u8 a, s8 b, u16 c, s16 d, u32 e, s32 f)
{
	barrier();
	return (unsigned long)__builtin_return_address(0);
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

#define RESULT(name, type) noinline type name(type value) { barrier(); return value; }
RESULT(kut_long_result, long)
RESULT(kut_int_result, int)

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

/* Like the kernel for a 64-bit or a 32-bit program. */
void kut_call_syscall(bool compat)
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
	if (compat)
		regs = (struct pt_regs){ .bx = BIT(40) + 11, .cx = 12, .dx = 13, .si = 14, .di = 15,
					 .bp = 16 };
	current_thread_info()->status &= ~TS_COMPAT;
	current_thread_info()->status |= compat ? TS_COMPAT : 0;
#elif defined(CONFIG_RISCV)
	regs = (struct pt_regs){ .orig_a0 = 11, .a0 = 99, .a1 = 12, .a2 = 13, .a3 = 14, .a4 = 15,
				 .a5 = 16 };
	if (compat)
		set_thread_flag(TIF_32BIT);
	else
		clear_thread_flag(TIF_32BIT);
#else
	regs.orig_x0 = 11;
	regs.regs[0] = 99;
	regs.regs[1] = 12;
	regs.regs[2] = 13;
	regs.regs[3] = 14;
	regs.regs[4] = 15;
	regs.regs[5] = 16;
	update_thread_flag(TIF_32BIT, compat);
#endif
	kut_syscall(&regs);
}

/* Sets each register to a different value, before kut_registers_set. */
noinline __noclone void kut_registers(void)
{
#ifdef CONFIG_X86_64
	asm volatile("push %%rbp\n"
		     ".set n, 101\n"
		     ".irp r,rax,rbx,rcx,rdx,rsi,rdi,rbp,r8,r9,r10,r11,r12,r13,r14,r15\n"
		     "	mov $n, %%\\r\n"
		     ".set n, n + 1\n"
		     ".endr\n"
		     ".globl kut_registers_set\n"
		     "kut_registers_set: nop\n"
		     "pop %%rbp\n" ::: "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9",
		     "r10", "r11", "r12", "r13", "r14", "r15", "memory");
#elif defined(CONFIG_RISCV)
	/* Except sp, gp, tp and s0, which are x2 to x4 and x8. */
	asm volatile(".irp n,1,5,6,7,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27\n"
		     "	li x\\n, 101 + \\n\n"
		     ".endr\n"
		     ".globl kut_registers_set\n"
		     "kut_registers_set: nop\n" ::: "x1", "x5", "x6", "x7", "x9", "x10", "x11",
		     "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22",
		     "x23", "x24", "x25", "x26", "x27", "memory");
#else
	/* Except x18, which the kernel may reserve. */
	asm volatile("stp x29, x30, [sp, #-16]!\n"
		     ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,19,20,21,22,23\n"
		     "	mov x\\n, #101 + \\n\n"
		     ".endr\n"
		     ".irp n,24,25,26,27,28,29,30\n"
		     "	mov x\\n, #101 + \\n\n"
		     ".endr\n"
		     ".globl kut_registers_set\n"
		     "kut_registers_set: nop\n"
		     "ldp x29, x30, [sp], #16\n" ::: "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7",
		     "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x19",
		     "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "memory");
#endif
}

/* Returns 3; 1 without the instruction at kut_step; 100 from kut_step_else on. */
noinline __noclone int kut_steps(void)
{
	int value;

#ifdef CONFIG_X86_64
	asm volatile("mov $1, %0\n"
		     ".globl kut_step, kut_step_else\n"
		     "kut_step: add $2, %0\n"
		     "test %0, %0\n"
		     "jnz 1f\n"
		     "kut_step_else: mov $100, %0\n"
		     "1:\n" : "=r" (value) :: "cc");
#elif defined(CONFIG_RISCV)
	asm volatile("li %0, 1\n"
		     ".globl kut_step, kut_step_else\n"
		     "kut_step: addi %0, %0, 2\n"
		     "bnez %0, 1f\n"
		     "kut_step_else: li %0, 100\n"
		     "1:\n" : "=r" (value));
#else
	asm volatile("mov %w0, #1\n"
		     ".globl kut_step, kut_step_else\n"
		     "kut_step: add %w0, %w0, #2\n"
		     "cbnz %w0, 1f\n"
		     "kut_step_else: mov %w0, #100\n"
		     "1:\n" : "=r" (value));
#endif
	return value;
}

int kut_ran;

noinline int kut_skipped(int value)
{
	kut_ran++;
	return value + 1;
}

bool kut_preemptible(void)
{
	return preemptible();
}

/* Calls in flight, each in its own thread. */
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
	/* Wait until each thread sleeps in the function. */
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

/* Sets nmissed of the kretprobe at that address, by the list of a second kprobe there. */
int kut_set_dry(unsigned long address, int value)
{
	static struct kprobe second;
	struct kprobe *kp;
	int ret;

	memset(&second, 0, sizeof(second));
	second.addr = (kprobe_opcode_t *)address;
	ret = register_kprobe(&second);
	if (ret)
		return ret;
	ret = -ENOENT;
	list_for_each_entry(kp, &second.list, list) {
		/* Only the aggregate probe is hashed. */
		if (kp->hlist.pprev && kp->hlist.pprev != LIST_POISON2)
			continue;
		*(int *)&container_of(kp, struct kretprobe, kp)->nmissed = value;
		ret = 0;
	}
	unregister_kprobe(&second);
	return ret;
}

/* Maps n pages of user memory; the memory after them is unreadable. */
unsigned long kut_user_pages(int n)
{
	struct kunit *test = kunit_get_current_test();
	unsigned long at = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
					 MAP_ANONYMOUS | MAP_PRIVATE, 0);

	if (!at || IS_ERR_VALUE(at) || clear_user((void __user *)at, 2 * PAGE_SIZE))
		return 0;
	return n == 1 && vm_munmap(at + PAGE_SIZE, PAGE_SIZE) ? 0 : at;
}

int kut_write_user(unsigned long at, const void *from, unsigned long len)
{
	return copy_to_user((void __user *)at, from, len) ? -EFAULT : 0;
}

/* Maps the registers of the HPET, whose reads have no effects; returns 0 except on x86-64. */
unsigned long kut_map_device(void)
{
	return IS_ENABLED(CONFIG_X86_64) ? (unsigned long)ioremap(0xfed00000, PAGE_SIZE) : 0;
}

void kut_unmap_device(unsigned long at)
{
	iounmap((void __iomem *)at);
}

/* Returns the mapping of the interrupt controller. */
unsigned long kut_fixed_device(void)
{
#ifdef CONFIG_X86_64
	return fix_to_virt(FIX_APIC_BASE);
#else
	return 0;
#endif
}

void kut_skip(const char *why)
{
	kunit_mark_skipped(kunit_get_current_test(), "%s", why);
}

void kut_use_module(void)
{
	__module_get(THIS_MODULE);
	module_put(THIS_MODULE);
}

void kut_init_timer(void)
{
	static struct timer_list timer;

	timer_setup(&timer, NULL, 0);
}

/* The context of the last call of kut_mix() and module_get, and all contexts so far. */
u32 kut_context;
static u32 contexts;
static u64 mixed;

static void call_here(void)
{
	u32 here = in_task() | !!in_serving_softirq() << 1 | !!in_hardirq() << 2 | !!in_nmi() << 3;

	WRITE_ONCE(kut_context, here);
	contexts |= 1 << here;
	WRITE_ONCE(mixed, kut_mix(READ_ONCE(mixed), here));
	kut_use_module();
}

static u32 softirq_result;

/* Allocates and calls the probed functions. Bottom halves must be enabled. */
static void allocate(void)
{
	call_here();
	kfree(kmalloc(64, GFP_ATOMIC));
	WRITE_ONCE(softirq_result, kut_recursed(READ_ONCE(softirq_result)));
}

static bool softirq_done;

static void softirq(struct tasklet_struct *unused)
{
	allocate();
	WRITE_ONCE(softirq_done, true);
}
static DECLARE_TASKLET(softirq_work, softirq);

static void interrupt(struct irq_work *unused)
{
	allocate();
}
static DEFINE_IRQ_WORK(interrupt_work, interrupt);

void kut_interrupt(void)
{
	WRITE_ONCE(softirq_done, false);
	local_bh_disable();
	tasklet_schedule(&softirq_work);
	local_bh_enable();
	while (!READ_ONCE(softirq_done))
		cpu_relax();
	irq_work_queue(&interrupt_work);
	while (irq_work_is_busy(&interrupt_work))
		cpu_relax();
}

/* 0 to 3: task, softirq, interrupt, NMI. */
unsigned int kut_level(void)
{
	return interrupt_context_level();
}

#ifdef CONFIG_X86_64
static bool nmi_done;

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	call_here();
	WRITE_ONCE(nmi_done, true);
	return NMI_HANDLED;
}
#endif

/* Calls in all contexts; returns their numbers as bits. */
unsigned int kut_everywhere(void)
{
	contexts = 0;
	call_here();
	kut_interrupt();
#ifdef CONFIG_X86_64
	nmi_done = register_nmi_handler(NMI_LOCAL, on_nmi, 0, "kunit");
	apic->send_IPI_mask(cpumask_of(raw_smp_processor_id()), NMI_VECTOR);
	while (!READ_ONCE(nmi_done))
		cpu_relax();
	unregister_nmi_handler(NMI_LOCAL, "kunit");
#endif
	return contexts;
}

/* A chain of calls. Its return addresses are stored before a probe's trampoline replaces them. */
static unsigned long chain[3];
static bool chain_known;

noinline __noclone u64 kut_chained(u64 a, u64 b)
{
	int i;

	if (!READ_ONCE(chain_known))
		chain[0] = _RET_IP_;
	/* Long enough for a jump. */
	for (i = 0; i < 3; i++) {
		a = (a ^ b) * 0x9e3779b97f4a7c15ull;
		b = (b << 7) | (b >> 57);
	}
	/* Values that live across the call make the function push and pop registers. */
	i = kut_recursed(a);
	return a + b + i;
}

noinline __noclone u64 kut_chain_1(u64 a, u64 b)
{
	if (!READ_ONCE(chain_known))
		chain[1] = _RET_IP_;
	a = kut_chained(a, b);
	barrier();
	return a + b;
}

noinline __noclone u64 kut_chain_2(u64 a, u64 b)
{
	if (!READ_ONCE(chain_known))
		chain[2] = _RET_IP_;
	a = kut_chain_1(a, b);
	barrier();
	return a + b;
}

/* Runs the chain and stores the stack of kut_chained(); returns the number of frames. */
noinline unsigned int kut_chain(unsigned long *frames, unsigned int n)
{
	/* On riscv64, the first frame would be stack_trace_save() itself. */
	unsigned int all = stack_trace_save(frames + 2, n - 2, IS_ENABLED(CONFIG_RISCV));

	kut_chain_2(all, n);
	WRITE_ONCE(chain_known, true);
	memcpy(frames, chain, sizeof(chain));
	return all + 2;
}

/* The same in an interrupt. */
static struct {
	struct irq_work work;
	unsigned long *frames;
	unsigned int n;
} chain_work;

static void chain_interrupt(struct irq_work *unused)
{
	chain_work.n = kut_chain(chain_work.frames, chain_work.n);
}

unsigned int kut_chain_in_interrupt(unsigned long *frames, unsigned int n)
{
	init_irq_work(&chain_work.work, chain_interrupt);
	chain_work.frames = frames;
	chain_work.n = n;
	irq_work_queue(&chain_work.work);
	while (irq_work_is_busy(&chain_work.work))
		cpu_relax();
	return READ_ONCE(chain_work.n);
}

static void kut_function(void)
{
}

/* All unset bits are those of `rest`. */
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
