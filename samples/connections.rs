// SPDX-License-Identifier: GPL-2.0

//! Logs each TCP connect over IPv4 with its result, and each accept. A non-blocking connect logs
//! `EINPROGRESS`; an accept over IPv6 logs 127.0.0.6. The sample reads the addresses from the
//! kernel's structs, by the names of the fields in C; `Kbuild` names the headers. The accepts in
//! bpftrace: `kretprobe:inet_csk_accept { $sk = (struct sock *)retval; printf("%s %s\n", comm,
//! ntop($sk->__sk_common.skc_daddr)); }`.

use core::net::SocketAddrV4;
use kernel::prelude::*;
use kprobes::{field, nofault::KernelPtr, ByCore};

kprobes::c_structs!(c);

module! {
    type: Connections,
    name: "connections",
    authors: ["The rust_kprobe authors"],
    description: "Logs TCP connections",
    license: "GPL",
}

const AF_INET: u16 = 2;

/// Converts an address and a port, which the kernel stores in network byte order.
fn address(ip: u32, port: u16) -> ByCore<SocketAddrV4> {
    let ip = u32::from_be(ip).into();
    ByCore(SocketAddrV4::new(ip, u16::from_be(port)))
}

fn remote(to: KernelPtr<c::sockaddr_in>) -> Result<ByCore<SocketAddrV4>> {
    Ok(address(field!(to, sin_addr.s_addr)?, field!(to, sin_port)?))
}

fn peer(sk: KernelPtr<c::sock>) -> Result<ByCore<SocketAddrV4>> {
    Ok(address(
        field!(sk, __sk_common.skc_daddr)?,
        field!(sk, __sk_common.skc_dport)?,
    ))
}

kprobes::probes! {
    struct Connections;

    fn connect at c"inet_stream_connect"
        (cx, socket: KernelPtr<c::socket>, to: KernelPtr<c::sockaddr_in>)
        when (field!(to, sin_family) == Ok(AF_INET)) -> result: Result
    {
        // The local port, `skc_num`, is in the byte order of the CPU.
        if let (Ok(to), Ok(port)) = (remote(to), field!(socket, sk.__sk_common.skc_num)) {
            pr_info!("{} connects from port {port} to {to}: {result:?}\n", cx.comm());
        }
    }

    fn accept at c"inet_csk_accept" (cx) -> sk: KernelPtr<c::sock> {
        // After a failure, `sk` is NULL, and `field!` returns an error.
        if let (Ok(from), Ok(port)) = (peer(sk), field!(sk, __sk_common.skc_num)) {
            pr_info!("{} accepts at port {port} from {from}\n", cx.comm());
        }
    }
}
