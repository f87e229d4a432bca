// SPDX-License-Identifier: GPL-2.0
// Missing fields, and fields of another type.

use kernel::prelude::*;
use kprobes::field;
use kprobes::nofault::KernelPtr;

kprobes::c_structs!(c);

pub fn good(sk: KernelPtr<c::sock>, file: KernelPtr<c::file>) -> Result<(u16, KernelPtr<c::file>)> {
    let _: KernelPtr<c::atomic_t> = field!(file, f_inode.i_count)?;
    let port = field!(sk, __sk_common.skc_dport)?;
    Ok((port, field!(sk, sk_socket.file)?))
}

pub fn names(sk: KernelPtr<c::sock>, file: KernelPtr<c::file>, other: KernelPtr, n: usize) {
    let _ = field!(sk, sk_dport); //~ `struct sock` has no member `sk_dport`
    let _ = field!(file, __sk_common.skc_dport); //~ `struct file` has no member `__sk_common`
    let _ = field!(sk, __sk_common.skc_dprt); //~ has no member `skc_dprt`; did you mean
    let _ = field!(sk, sk_socket.fle.f_flags); //~ has no member `fle`; did you mean `f
    let _ = field!(sk, sk_kern_sock.x); //~ `sk_kern_sock` of `struct sock` is neither a struct
    let _ = field!(sk, sk_prot_creator.x); //~ `struct proto` has no member `x`
    let _ = field!(sk, sk_rcvbuf[0]); //~ `sk_rcvbuf` of `struct sock` is not an array
    let _ = field!(sk, &sk_kern_sock); //~ `sk_kern_sock` of `struct sock` is a bit field
    let _ = field!(sk, sk_socket + 1); //~ a path consists of names
    let _ = field!(other, sk_socket); //~ `c_void` is not a struct of `c_structs!`
    let _ = field!(n, sk_socket); //~ mismatched types
    let _: KernelPtr<c::sokk>; //~ cannot find type `sokk` in module `c`
}

// A field has its type in C; a pointer points to its C struct.
pub fn types(sk: KernelPtr<c::sock>) -> Result {
    let _: u32 = field!(sk, __sk_common.skc_dport)?; //~ `?` operator has incompatible types
    let _: i32 = field!(sk, sk_kern_sock)?; //~ `?` operator has incompatible types
    let _: KernelPtr<c::sock> = field!(sk, sk_socket)?; //~ `?` operator has incompatible types
    let _: KernelPtr<c::file> = sk; //~ mismatched types
    Ok(())
}

// Structs can be used only behind pointers.
pub fn values(sk: KernelPtr<c::sock>) -> Result<c::sock> {
    let _ = c::sock; //~ tuple struct constructor `sock` is private
    sk.read() //~ the trait bound `c::sock: FromBytes` is not satisfied
}
