/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations for targets.c; targets.rs has those for Rust. */

u32 kut_div(u32 value);
u32 kut_div_more(u32 value);
u32 kut_recursed(u32 value);
u64 kut_mix(u64 a, u64 b);
u64 kut_integers(u8 a, s8 b, u16 c, s16 d, u32 e, s32 f);
struct kut_two {
	u64 a, b;
};
struct kut_three {
	u64 a, b, c;
};
u64 kut_structs(struct kut_two two, struct kut_three three, u64 last);
void kut_call_structs(void);
u64 kut_long(u64 a, s64 b, unsigned long c, long d, bool e, void *f);
long kut_long_result(long value);
int kut_int_result(int value);
u64 kut_string(const char *string);
long kut_syscall(const struct pt_regs *regs);
void kut_call_syscall(void);
int kut_skipped(int value);
extern int kut_ran;
unsigned long kut_stack_inner(void);
unsigned long kut_stack_outer(void);
unsigned long kut_stack_driver(void);
int kut_stack_find(unsigned long address, unsigned long *next);
bool kut_preemptible(void);
int kut_sleep(int value);
void kut_start_sleepers(int n);
void kut_stop_sleepers(int n);
int kut_hold(unsigned long address);
void kut_let_go(unsigned long address);
unsigned long kut_user_page(void);
unsigned long kut_user_pages(void);
int kut_join(unsigned long address);
void kut_leave(void);
void kut_set_dry(int value);
void kut_half_link(unsigned int heal_ms);
void kut_whole_link(void);
int kut_write_user(unsigned long at, const void *from, unsigned long len);
unsigned long kut_map_device(void);
void kut_unmap_device(unsigned long at);
unsigned long kut_fixed_device(void);
void kut_skip(const char *why);
void kut_signal(int sig);
void kut_interrupt(void);
unsigned int kut_level(void);
