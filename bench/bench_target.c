// SPDX-License-Identifier: GPL-2.0
/*
 * The probed functions. Reading a file in debugfs/bench calls one of them `calls` times, with
 * interrupts disabled, and returns the time in nanoseconds. With instruction counting, these are
 * instructions.
 */
#include <linux/debugfs.h>
#include <linux/ktime.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

static int calls = 100000;
module_param(calls, int, 0400);

u64 bench_call(u64 value, const char __user *string);
u64 bench_inside(u64 a, u64 b);

static struct dentry *dir;

noinline u64 bench_call(u64 value, const char __user *string)
{
	barrier();
	return value;
}

/* With an instruction that a jump can replace. */
noinline u64 bench_inside(u64 a, u64 b)
{
	a = (a ^ b) * 0x9e3779b97f4a7c15ull;
	b = (b << 7) | (b >> 57);
	barrier();
	return a + b;
}

/* A thousand functions, bench_many_000 to bench_many_999. */
#define ONE(n)		noinline void bench_many_##n(void); \
			noinline void bench_many_##n(void) { barrier(); }
#define TEN(n)		ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) \
			ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define HUNDRED(n)	TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) \
			TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
HUNDRED(0) HUNDRED(1) HUNDRED(2) HUNDRED(3) HUNDRED(4)
HUNDRED(5) HUNDRED(6) HUNDRED(7) HUNDRED(8) HUNDRED(9)

static void call_each(u64 value, unsigned long at)
{
#undef ONE
#define ONE(n) bench_many_##n();
HUNDRED(0) HUNDRED(1) HUNDRED(2) HUNDRED(3) HUNDRED(4)
HUNDRED(5) HUNDRED(6) HUNDRED(7) HUNDRED(8) HUNDRED(9)
}

static void call(u64 value, unsigned long at)
{
	bench_call(value, (const char __user *)at);
}

/* The number of keys. The first argument is each of them in turn. */
static u32 keys = 1;

static void call_key(u64 value, unsigned long at)
{
	static u32 key;

	bench_call(key, NULL);
	key = key + 1 < keys ? key + 1 : 0;
}

static u64 sink;

static void inside(u64 value, unsigned long at)
{
	WRITE_ONCE(sink, bench_inside(value, at));
}

static void allocate(u64 value, unsigned long at)
{
	kfree(kmalloc(64, GFP_ATOMIC));
}

static u64 measure(void (*once)(u64 value, unsigned long at), unsigned long at)
{
	int i, each = once == call_each ? 1000 : 1;
	unsigned long flags;
	u64 start;

	local_irq_save(flags);
	start = ktime_get_ns();
	for (i = 0; i < calls; i += each)
		once(42, at);
	start = ktime_get_ns() - start;
	local_irq_restore(flags);
	return start;
}

static int file_get(void *once, u64 *ns)
{
	unsigned long at = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				   MAP_ANONYMOUS | MAP_PRIVATE, 0);

	if (IS_ERR_VALUE(at))
		return at;
	if (copy_to_user((void __user *)at, "a string of some", 17))
		return -EFAULT;
	*ns = measure(once, at);
	vm_munmap(at, PAGE_SIZE);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(file_fops, file_get, NULL, "%llu\n");

static int __init bench_init(void)
{
	dir = debugfs_create_dir("bench", NULL);
	debugfs_create_file("call", 0400, dir, call, &file_fops);
	debugfs_create_file("each", 0400, dir, call_each, &file_fops);
	debugfs_create_file("inside", 0400, dir, inside, &file_fops);
	debugfs_create_file("keys", 0400, dir, call_key, &file_fops);
	debugfs_create_u32("n_keys", 0600, dir, &keys);
	debugfs_create_file("kmalloc", 0400, dir, allocate, &file_fops);
	return 0;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	debugfs_remove(dir);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Functions for the probes of the benchmark");
MODULE_LICENSE("GPL");
