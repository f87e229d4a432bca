// SPDX-License-Identifier: GPL-2.0

//! Parameters and counters declared by the macros, in strange places and with strange names.

// case parameters: harmless
// says: in a function: None
// says: in a generic function: \(None, None\)
// says: twice: \(None, None\)
// case counters: harmless
// says: 1: 1 0 0
// says: 0: 0
// says: generic: 2 2
// says: twice: \(1, 1\)
// says: large: 1 0
// case on_all_cpus: harmless
// says: static CALLS, allocated CALLS, shared CALLS, last 0
// races

use super::*;

mod one {
    kprobes::string_param!(twice, "by the same name");

    pub(super) fn value() -> Option<&'static super::CStr> {
        twice.value()
    }
}
mod other {
    kprobes::string_param!(twice, "by the same name");

    pub(super) fn value() -> Option<&'static super::CStr> {
        twice.value()
    }
}

fn in_function() -> Option<&'static CStr> {
    kprobes::string_param!(local, "in a function");
    local.value()
}

#[expect(clippy::extra_unused_type_parameters, reason = "it is the attack")]
fn in_generic<T>() -> Option<&'static CStr> {
    kprobes::string_param!(r#type, "in a generic function, by a word of the language");
    r#type.value()
}

kprobes::per_cpu_counts! { static ONE: 1; }
kprobes::per_cpu_counts! { static NONE: 0; }
kprobes::per_cpu_counts! {
    /// As many counters as fit into the kernel's per-CPU memory for modules.
    static LARGE: 512;
}
kprobes::per_cpu_counts! { static HITS: 2 + 2 * ONE_MORE; }
const ONE_MORE: usize = 1;

/// In Rust, all instances of a generic function share a static.
#[expect(clippy::extra_unused_type_parameters, reason = "it is the attack")]
fn generic<T>() -> u64 {
    kprobes::per_cpu_counts! { static ALL: 1; }
    ALL.inc(0);
    ALL.get(0)
}

fn twice() -> (u64, u64) {
    kprobes::per_cpu_counts! { static TWICE: 1; }
    TWICE.inc(0);
    let first = TWICE.get(0);
    {
        kprobes::per_cpu_counts! { static TWICE: 1; }
        TWICE.inc(0);
        (first, TWICE.get(0))
    }
}

/// Counts in three ways, and out of bounds.
struct Counters {
    allocated: PerCpuCounts<1024>,
    shared: Count,
}

#[vtable]
impl kprobe::Handler for Counters {
    fn pre(&self, _cx: &kprobe::Context<'_>) {
        for n in [3, 4, 5, usize::MAX, usize::MAX / 8, usize::MAX / 8 + 2] {
            HITS.inc(n);
        }
        for n in [1022, 1024, 1025, usize::MAX, usize::MAX / 8 + 1] {
            self.allocated.inc(n);
        }
        self.shared.add(1);
    }

    fn unregistered(&self, _missed: u64) {
        let outside: u64 = (0..4000)
            .map(|n| if n == 1022 { 0 } else { self.allocated.get(n) })
            .sum();
        pr_info!(
            "static {}, allocated {}, shared {}, last {}\n",
            HITS.get(3),
            self.allocated.get(1022),
            self.shared.get(),
            HITS.get(2) + HITS.get(4) + outside + self.allocated.get(usize::MAX),
        );
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        b"parameters" => {
            pr_info!("in a function: {:?}\n", in_function());
            let generic = (in_generic::<u8>(), in_generic::<Kept>());
            pr_info!("in a generic function: {generic:?}\n");
            pr_info!("twice: {:?}\n", (one::value(), other::value()));
        }
        b"counters" => {
            for n in [0, 1, usize::MAX] {
                ONE.inc(n);
                NONE.inc(n);
            }
            pr_info!("1: {} {} {}\n", ONE.get(0), ONE.get(1), ONE.get(usize::MAX));
            pr_info!("0: {}\n", NONE.get(0) + NONE.get(1) + NONE.get(usize::MAX));
            let both = (generic::<u8>(), generic::<Kept>()).1;
            pr_info!("generic: {both} {}\n", generic::<u8>() - 1);
            pr_info!("twice: {:?}\n", twice());
            LARGE.inc(511);
            LARGE.inc(512);
            pr_info!("large: {} {}\n", LARGE.get(511), LARGE.get(512));
        }
        b"on_all_cpus" => {
            let (allocated, shared) = (PerCpuCounts::new()?, Count::new());
            return one(Kprobe::new(PLACE, Counters { allocated, shared }));
        }
        _ => return Err(ENOTTY),
    }
    Ok(Kept::new())
}
