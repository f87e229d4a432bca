// SPDX-License-Identifier: GPL-2.0
/* Functions to probe, called by a program (stress.rs), a timer interrupt, a softirq and an NMI. */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/timer.h>
#ifdef CONFIG_X86
#include <asm/apic.h>
#include <asm/nmi.h>
#endif

/* Each function counts its own calls exactly. device.py has the same numbers. */
enum stress_count {
	STRESS_TARGET,
	STRESS_EXACT,
	STRESS_INNER,
	STRESS_IRQ,
	STRESS_SOFTIRQ,
	STRESS_SLEEP,
	STRESS_USER,
	STRESS_NMI,
	STRESS_COUNTS,
};

static atomic64_t counts[STRESS_COUNTS];

/* Long enough for a probe after the entry. */
static __always_inline u64 mix(enum stress_count which, u64 value)
{
	int i;

	atomic64_inc(&counts[which]);
	for (i = 0; i < 3; i++)
		value = (value ^ (value << 7)) * 0x9e3779b97f4a7c15ull + i;
	return value;
}

#define TARGET(name, which)		\
	noinline u64 name(u64 value)	\
	{				\
		return mix(which, value);	\
	}

TARGET(stress_target, STRESS_TARGET)
TARGET(stress_exact, STRESS_EXACT)
TARGET(stress_inner, STRESS_INNER)
TARGET(stress_irq, STRESS_IRQ)
TARGET(stress_softirq, STRESS_SOFTIRQ)
TARGET(stress_nmi, STRESS_NMI)

noinline long stress_sleep(unsigned int ms)
{
	long left;

	atomic64_inc(&counts[STRESS_SLEEP]);
	left = schedule_timeout_killable(msecs_to_jiffies(ms));
	barrier();
	return left;
}

noinline u64 stress_user(const char __user *string)
{
	return mix(STRESS_USER, (unsigned long)string);
}

int stress_call(unsigned int which, unsigned long times)
{
	static u64 (*const functions[])(u64) = {
		[STRESS_TARGET] = stress_target,
		[STRESS_EXACT] = stress_exact,
		[STRESS_INNER] = stress_inner,
		[STRESS_IRQ] = stress_irq,
		[STRESS_SOFTIRQ] = stress_softirq,
	};

	if (which >= ARRAY_SIZE(functions))
		return -EINVAL;
	while (times-- && !fatal_signal_pending(current)) {
		functions[which](times);
		cond_resched();
	}
	return 0;
}

u64 stress_count(unsigned int which)
{
	return which < STRESS_COUNTS ? atomic64_read(&counts[which]) : 0;
}

#ifdef CONFIG_X86
static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	stress_nmi(0);
	return NMI_HANDLED;
}

static void send_nmis(void)
{
	apic->send_IPI_mask(cpu_online_mask, NMI_VECTOR);
}

static int start_nmis(void)
{
	return register_nmi_handler(NMI_LOCAL, on_nmi, 0, "stress");
}

static void end_nmis(void)
{
	/* NMIs that were already sent still need the handler. */
	msleep(50);
	unregister_nmi_handler(NMI_LOCAL, "stress");
}
#else
static void send_nmis(void) {}
static int start_nmis(void) { return 0; }
static void end_nmis(void) {}
#endif

/* Every 200 microseconds by the interrupt, every jiffy by the softirq; every 1.6 ms by NMIs. */
static struct hrtimer interrupt;
static struct timer_list softirq;
static bool running, nmis;

static enum hrtimer_restart on_interrupt(struct hrtimer *timer)
{
	static unsigned int n;

	stress_irq(0);
	if (nmis && n++ % 8 == 0)
		send_nmis();
	hrtimer_forward_now(timer, us_to_ktime(200));
	return HRTIMER_RESTART;
}

static void on_softirq(struct timer_list *timer)
{
	int i;

	for (i = 0; i < 20; i++)
		stress_softirq(i);
	mod_timer(timer, jiffies + 1);
}

/* 0 is off, 1 without NMIs. Must not be called concurrently. */
void stress_timers(unsigned int on)
{
	if (on && !running) {
		nmis = on > 1 && !start_nmis();
		hrtimer_setup(&interrupt, on_interrupt, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
		timer_setup(&softirq, on_softirq, 0);
		hrtimer_start(&interrupt, us_to_ktime(200), HRTIMER_MODE_REL_HARD);
		mod_timer(&softirq, jiffies + 1);
	} else if (!on && running) {
		hrtimer_cancel(&interrupt);
		timer_shutdown_sync(&softirq);
		if (nmis)
			end_nmis();
	}
	running = on;
}
