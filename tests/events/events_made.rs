// SPDX-License-Identifier: GPL-2.0

//! Makes trace events at run time, as one writes to the parameter "do":
//! "make NAME FIELD:TYPE ...", "drop NAME", "forget NAME".

use kernel::{
    prelude::*,
    str::{
        CStr,
        CStrExt, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        global_lock, //
    }, //
};
use kprobes::{
    event::{
        Armed,
        Dynamic,
        Type, //
    },
    kprobe,
    nofault::KernelStr,
    Context,
    Kprobe,
    Target, //
};

module! {
    type: Made,
    name: "events_made",
    authors: ["Rust kprobe"],
    description: "Tests of trace events that are made at run time",
    license: "GPL",
}

/// How often a wrong call of a setter was not refused.
static WRONG: Atomic<u64> = Atomic::new(0);

struct Values {
    event: Dynamic,
    types: KVec<Type>,
}

fn count(right: bool) {
    if !right {
        WRONG.fetch_add(1, Relaxed);
    }
}

#[vtable]
impl kprobe::Handler for Values {
    fn pre(&self, cx: &Context<'_>) {
        let (value, text): (u64, KernelStr) = cx.args();
        let mut buf = [0; 400];
        let text: &[u8] = text.read(&mut buf).map_or(b"(fault)", |text| text);
        self.event.emit(cx, |values| {
            for (n, ty) in self.types.iter().enumerate() {
                match ty {
                    // What is not set.
                    Type::Unsigned(2) | Type::Str(7) => continue,
                    Type::Str(_) => {
                        count(values.text(n, text).is_ok());
                        count(values.text(n, text) == Err(EEXIST));
                        count(values.set(n, value) == Err(EINVAL));
                    }
                    Type::Comm => {
                        count(values.text(n, cx.comm().as_bytes()).is_ok());
                        count(values.set(n, value) == Err(EINVAL));
                    }
                    _ => {
                        count(values.set(n, value).is_ok());
                        count(values.text(n, text) == Err(EINVAL));
                    }
                }
            }
            for n in [self.types.len(), 16, usize::MAX] {
                count(values.set(n, !0) == Err(EINVAL));
                count(values.text(n, &[0xff; 16]) == Err(EINVAL));
            }
        });
    }
}

type Probe = Pin<KBox<Armed<Kprobe<Values>, Dynamic>>>;

struct One {
    name: KVec<u8>,
    probe: Probe,
}

global_lock! {
    // SAFETY: Initialised in module initialisation, before the first use.
    unsafe(uninit) static ALL: Mutex<KVec<One>> = KVec::new();
}

fn type_of(text: &str) -> Result<Type> {
    let digits = text
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(text.len());
    let (kind, size) = text.split_at(digits);
    let size = size.parse::<u16>().unwrap_or(0);
    Ok(match kind {
        "u" => Type::Unsigned(size as u8),
        "s" => Type::Signed(size as u8),
        "x" => Type::Hex(size as u8),
        "pointer" => Type::Pointer,
        "symbol" => Type::Symbol,
        "comm" => Type::Comm,
        "str" => Type::Str(size),
        _ => return Err(ENOTTY),
    })
}

fn make<'a>(name: &str, words: impl Iterator<Item = &'a str>) -> Result {
    let mut fields = KVec::new();
    let mut types = KVec::new();
    for word in words {
        let (name, ty) = word.split_once(':').ok_or(ENOTTY)?;
        let ty = type_of(ty)?;
        fields.push((name, ty), GFP_KERNEL)?;
        types.push(ty, GFP_KERNEL)?;
    }
    let event = Dynamic::new("events_test", name, &fields)?;
    let target = Target::symbol(c"events_made_target").disabled();
    let handler = Values {
        event: event.clone(),
        types,
    };
    let mut copy = KVec::new();
    copy.extend_from_slice(name.as_bytes(), GFP_KERNEL)?;
    let one = One {
        name: copy,
        probe: KBox::pin_init(event.arms(Kprobe::new(target, handler)), GFP_KERNEL)?,
    };
    ALL.lock().push(one, GFP_KERNEL)?;
    Ok(())
}

fn take(name: &str) -> Result<One> {
    let mut all = ALL.lock();
    let n = all.iter().position(|one| one.name[..] == *name.as_bytes());
    all.remove(n.ok_or(ENOENT)?).map_err(|_| ENOENT)
}

fn run(words: &str) -> Result {
    let mut words = words.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("make"), Some(name)) => make(name, words)?,
        (Some("drop"), Some(name)) => drop(take(name)?),
        (Some("forget"), Some(name)) => core::mem::forget(take(name)?.probe),
        _ => return Err(ENOTTY),
    }
    Ok(())
}

/// # Safety
///
/// `words` must be a C string.
#[no_mangle]
unsafe extern "C" fn events_made_do(words: *const c_char) -> c_int {
    // SAFETY: By the safety requirements.
    let words = unsafe { CStr::from_char_ptr(words) };
    match words.to_str().map_err(|_| EINVAL).and_then(run) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

struct Made;

impl kernel::Module for Made {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: Called once.
        unsafe { ALL.init() };
        Ok(Self)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        *ALL.lock() = KVec::new();
        pr_info!("{} wrong\n", WRONG.load(Relaxed));
    }
}
