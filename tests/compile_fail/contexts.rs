// SPDX-License-Identifier: GPL-2.0
// A context gives access only to what is valid at its hit.

use kernel::prelude::*;
use kprobes::*;

// After the instruction and at the return, registers need not hold the arguments any more.
pub fn argument_too_late(after: &kprobe::PostContext<'_>, ret: &kretprobe::ReturnContext<'_>) {
    let _: u32 = after.arg0(); //~ `arg0` exists for reference `&Context<'_, Post>`, but
    let _: u32 = ret.arg0(); //~ `arg0` exists for reference `&Context<'_, Return>`, but
}

// The ninth argument is on the stack, on arm64, too.
pub fn argument_without_a_register(cx: &kprobe::Context<'_>) {
    let _: u64 = cx.arg8(); //~ no method named `arg8` found
}

// The function has not run yet.
pub fn result_before_the_return(cx: &kprobe::Context<'_>, entry: &entry::Context<'_>) {
    let _: u32 = cx.ret(); //~ no method named `ret` found
    let _: u64 = entry.ret(); //~ no method named `ret` found
}

// ftrace saves only the arguments.
pub fn registers_at_an_entry(cx: &entry::Context<'_>, register: regs::Register) {
    let _ = cx.register(register); //~ `register` exists for reference `&Context<'_, AtEntry>`, but
    let _ = cx.flags(); //~ `flags` exists for reference `&Context<'_, AtEntry>`, but
}

// A tracepoint passes arguments, not the CPU registers.
pub fn registers_at_a_tracepoint(cx: &tracepoint::Context<'_>) {
    let _ = cx.ip(); //~ `ip` exists for reference `&Context<'_, Trace>`, but
}

// Only the library defines places of hits.
pub enum Anywhere {}

pub fn context_from_nowhere(_cx: &Context<'_, Anywhere>) {} //~ `Anywhere: Place` is not satisfied

// Only the library creates a context, from the registers of a hit.
pub fn context_is_made() -> kprobe::Context<'static> {
    kprobe::Context {} //~ cannot construct
}

// A context belongs to the CPU and the task of the hit.
fn send<T: Send>(_value: T) {}

pub fn context_is_sent<At: Place>(cx: &Context<'_, At>) {
    send(cx); //~ cannot be shared between threads safely
}

// Setting registers is unsafe: the compiler cannot check what the probed code does with them.
pub fn set(at: &entry::Context<'_>, cx: &kprobe::Context<'_>, ret: &kretprobe::ReturnContext<'_>) {
    cx.set_register(regs::Register::Ip, 0); //~ set_register` is unsafe and requires unsafe
    at.set_arg0(0); //~ set_arg0` is unsafe and requires unsafe
    ret.set_ret(0); //~ set_ret` is unsafe and requires unsafe
}

// A program chooses the pointer.
pub fn user_pointer_is_dereferenced(cx: &kprobe::Context<'_>) {
    let _ = *cx.arg0::<nofault::UserPtr<u32>>(); //~ cannot be dereferenced
}

// Only types for which all bit patterns are valid can be read.
#[derive(Clone, Copy)]
pub enum Choice {
    One,
    Other,
}

pub fn pointer_to_what_has_invalid_values(pointer: nofault::KernelPtr<Choice>) -> Result<Choice> {
    pointer.read() //~ `Choice: FromBytes` is not satisfied
}
