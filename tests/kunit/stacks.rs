// SPDX-License-Identifier: GPL-2.0

//! `Stack`: the frames that each kind of probe reports for a known chain of calls.

use crate::contexts::at as seen_at;
use crate::targets::*;
use kernel::str::CString;
use kprobes::collect::Key;

const CHAINED: Target<'static> = Target::symbol(c"kut_chained");
const MAX: usize = 64;

/// The last stack that a handler saw, and the number of hits.
struct Kept {
    words: [Atomic<usize>; MAX],
    hits: Count,
}

impl Kept {
    const fn new() -> Self {
        Self {
            words: [const { Atomic::new(0) }; MAX],
            hits: Count::new(),
        }
    }

    fn keep<At: Place>(&self, cx: &Context<'_, At>) {
        for (to, word) in self
            .words
            .iter()
            .zip(cx.stack::<MAX>().words().map(|word| word as usize))
        {
            to.store(word, Relaxed);
        }
        self.hits.add(1);
    }

    fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// Returns the words of the stack that `run` stores.
    fn of(&self, run: impl FnOnce()) -> [usize; MAX] {
        self.words.iter().for_each(|word| word.store(0, Relaxed));
        run();
        self.words.each_ref().map(|word| word.load(Relaxed))
    }

    /// Runs the chain; returns whether the stored stack equals the one that C stored.
    fn is_right(&self, run: fn() -> [usize; MAX]) -> bool {
        let before = self.hits();
        let mut wanted = [0; MAX];
        let got = self.of(|| wanted = run());
        let right = got == wanted && self.hits() == before + 1;
        if !right {
            show("got", &got);
            show("wanted", &wanted);
        }
        right
    }
}

fn show(name: &str, words: &[usize]) {
    for (n, &word) in words.iter().take_while(|&&word| word != 0).enumerate() {
        pr_info!("{name} {n}: {}\n", Address::new(word).location());
    }
}

/// Runs the chain of calls and returns the stack of its last call.
#[inline(never)]
fn chain() -> [usize; MAX] {
    let mut frames = [0; MAX];
    // SAFETY: `frames` has MAX elements.
    unsafe { kut_chain(frames.as_mut_ptr(), MAX as u32) };
    frames
}

#[inline(never)]
fn chain_in_interrupt() -> [usize; MAX] {
    let mut frames = [0; MAX];
    // SAFETY: `frames` has MAX elements.
    unsafe { kut_chain_in_interrupt(frames.as_mut_ptr(), MAX as u32) };
    frames
}

struct After(Kept);

#[vtable]
impl kprobe::Handler for After {
    fn post(&self, cx: &kprobe::PostContext<'_>) {
        self.0.keep(cx);
    }
}

struct Both(Kept, Kept);

#[vtable]
impl kretprobe::Handler for Both {
    type Data = ();

    fn entry(&self, cx: &kretprobe::Context<'_>) -> Option<()> {
        self.0.keep(cx);
        Some(())
    }

    fn ret(&self, cx: &kretprobe::ReturnContext<'_>, (): ()) {
        self.1.keep(cx);
    }
}

struct Traced(i32, [Kept; 4]);

#[vtable]
impl tracepoint::Handler for Traced {
    type Args = ();

    fn hit(&self, cx: &tracepoint::Context<'_>, (): ()) {
        if cx.pid() == self.0 {
            self.1[kut_level() as usize].keep(cx);
        }
    }
}

fn pre(target: Target<'_>) -> Result<Pin<KBox<Kprobe<impl kprobe::Handler + AsKept>>>> {
    let keep = |kept: &Kept, cx: &kprobe::Context<'_>| kept.keep(cx);
    boxed(Kprobe::new(target, On(Kept::new(), keep)))
}

fn post(target: Target<'_>) -> Result<Pin<KBox<Kprobe<After>>>> {
    boxed(Kprobe::new(target, After(Kept::new())))
}

/// Access to the handler of a closure, whose type has no name.
trait AsKept {
    fn kept(&self) -> &Kept;
}

impl<F> AsKept for On<Kept, F> {
    fn kept(&self) -> &Kept {
        &self.0
    }
}

fn text(arguments: kernel::fmt::Arguments<'_>) -> Result<CString> {
    CString::try_from_fmt(arguments)
}

fn is_in(frame: usize, name: &str) -> Result<bool> {
    let location = text(fmt!("{}", Address::new(frame).location()))?;
    Ok(location.to_bytes().starts_with(name.as_bytes())
        && location.to_bytes().get(name.len()) == Some(&b'+'))
}

/// Drops the tracepoint's own frame, if the compiler has outlined it.
fn without_tracepoint(mut words: [usize; MAX]) -> Result<[usize; MAX]> {
    let location = text(fmt!("{}", Address::new(words[0]).location()))?;
    if location.to_bytes().starts_with(b"__do_trace_") {
        words[0] = 0;
        words.rotate_left(1);
    }
    Ok(words)
}

#[kunit_tests(kprobes_stacks)]
mod tests {
    use super::*;

    #[test]
    fn a_kprobe_at_an_entry_has_the_stack() -> Result {
        chain();
        let probe = pre(CHAINED)?;
        assert!(probe.handler().kept().is_right(chain));
        assert!(probe.handler().kept().is_right(chain_in_interrupt));
        let after = post(CHAINED)?;
        assert!(after.handler().0.is_right(chain));
        assert!(after.handler().0.is_right(chain_in_interrupt));
        assert!(probe.handler().kept().is_right(chain));
        Ok(())
    }

    #[test]
    fn an_entry_probe_has_the_stack() -> Result {
        chain();
        let keep = |kept: &Kept, cx: &entry::Context<'_>| kept.keep(cx);
        let probe = boxed(Entry::new(CHAINED, On(Kept::new(), keep)))?;
        assert!(probe.handler().kept().is_right(chain));
        assert!(probe.handler().kept().is_right(chain_in_interrupt));
        // With another tracer.
        let kprobe = pre(CHAINED)?;
        assert!(probe.handler().kept().is_right(chain));
        assert!(kprobe.handler().kept().is_right(chain));
        Ok(())
    }

    /// With replaced return addresses of two, three and all functions.
    #[test]
    fn a_return_probe_has_the_stack() -> Result {
        chain();
        let both = |target| boxed(Kretprobe::new(target, Both(Kept::new(), Kept::new())));
        let probe = both(CHAINED)?;
        let check = || {
            let Both(entry, ret) = probe.handler();
            entry.is_right(chain) && ret.is_right(chain) && ret.is_right(chain_in_interrupt)
        };
        assert!(check());
        let callers = [c"kut_chain_1", c"kut_chain_2"].map(Target::symbol);
        let set = KretprobeSet::new(&callers, Both(Kept::new(), Kept::new()));
        let set = boxed(set)?;
        assert!(check());
        assert_eq!(set.handler().1.hits(), 2 * set.handler().0.hits() / 2);
        let second = both(CHAINED)?;
        assert!(check());
        assert!(second.handler().0.is_right(chain) && second.handler().1.is_right(chain));
        let keep = |kept: &Kept, cx: &entry::Context<'_>| kept.keep(cx);
        let entry = boxed(Entry::new(CHAINED, On(Kept::new(), keep)))?;
        assert!(entry.handler().kept().is_right(chain) && check());
        Ok(())
    }

    /// At each instruction of the function, before and after it.
    #[test]
    #[cfg(CONFIG_UNWINDER_ORC)]
    fn a_kprobe_inside_a_function_has_the_stack() -> Result {
        let wanted = chain();
        let run = || {
            chain();
        };
        let mut by = [0; 3];
        for offset in 1.. {
            let target = CHAINED.offset(offset);
            let Ok(probe) = pre(target) else { continue };
            if !is_in(at(&probe), "kut_chained")? {
                break;
            }
            // The kernel writes a jump after a delay. Wait for it a few times only.
            let mut wait = if by[1] < 8 { 100 } else { 0 };
            while wait > 0 && probe.mechanism() == Mechanism::Jump && opcode(&probe)? != 0xe9 {
                kernel::time::delay::fsleep(kernel::time::Delta::from_millis(5));
                wait -= 1;
            }
            by[usize::from(opcode(&probe)? == 0xe9)] += 1;
            // Padding is never executed.
            chain();
            if probe.handler().kept().hits() == 0 {
                by[2] += 1;
                continue;
            }
            let looped = probe.handler().kept().hits() > 1;
            let got = probe.handler().kept().of(run);
            // The outer frames are those of another call.
            let same = |got: &[usize]| got[..4] == wanted[..4];
            assert!(same(&got));
            assert!(looped || probe.handler().kept().is_right(chain));
            drop(probe);

            let probe = post(target)?;
            assert!(probe.mechanism() == Mechanism::Breakpoint);
            let got = probe.handler().0.of(run);
            // After a call, the stack begins with this function; after the return, without it.
            let called = is_in(got[0], "kut_chained")? && got[1..4] == wanted[..3];
            let returned = got[..3] == wanted[1..4];
            assert!(same(&got) || called || returned);
        }
        pr_info!("instructions by breakpoint, by jump, not run: {by:?}\n");
        assert!(by[0] > 2 && (by[1] > 2 || !cfg!(CONFIG_OPTPROBES)));
        Ok(())
    }

    #[test]
    fn a_tracepoint_has_the_stack() -> Result {
        let traced = |name| {
            let kept = [const { Kept::new() }; 4];
            boxed(Tracepoint::new(name, Traced(current!().pid(), kept)))
        };
        let gets = traced(c"module_get")?;
        let check = |probe: &Tracepoint<Traced>| {
            let got = without_tracepoint(probe.handler().1[0].of(|| kut_use_module()))?;
            Ok(is_in(got[0], "__module_get")? && is_in(got[1], "kut_use_module")?)
        };
        let right: Result<bool> = check(&gets);
        assert!(right?);
        // With two handlers, a function of the tracepoint calls them.
        let second = traced(c"module_get")?;
        for probe in [&gets, &second] {
            let right: Result<bool> = check(probe);
            assert!(right?);
        }

        let allocations = traced(c"kmalloc")?;
        let last = *chain().iter().rfind(|&&word| word != 0).ok_or(ENOENT)?;
        for level in 1..3 {
            let got = without_tracepoint(allocations.handler().1[level].of(|| kut_interrupt()))?;
            let inner = text(fmt!("{}", Address::new(got[0]).location()))?;
            assert!(inner.to_bytes().starts_with(b"__kmalloc"));
            let ours = text(fmt!("{}", Address::new(got[1]).location()))?;
            assert!(ours.to_bytes().ends_with(b"[kprobes_kunit]"));
            // On riscv64, the kernel's unwinder stops at the end of the interrupt stack.
            let end = got.iter().rfind(|&&word| word != 0);
            assert!(end == Some(&last) || cfg!(CONFIG_RISCV));
        }
        Ok(())
    }

    #[test]
    fn rust_functions_are_shown_by_their_path() -> Result {
        #[inline(never)]
        fn here() {}
        let location = text(fmt!(
            "{}",
            Address::new(here as *const () as usize).location()
        ))?;
        assert!(location.to_bytes().starts_with(module_path!().as_bytes()));
        Ok(())
    }

    #[test]
    fn a_stack_of_few_frames_is_printed() -> Result {
        let look = |cx: &kprobe::Context<'_>| (cx.stack::<1>(), cx.stack::<2>(), cx.stack());
        let (one, two, same) = seen_at(CHAINED, look, chain)?;
        let [first, second] = two.words().map(|word| word as usize);
        assert!(two == same && one.words().map(|word| word as usize) == [first]);
        assert_eq!(one.frames().len(), 1);
        assert!(is_in(first, "kut_chain_1")? && is_in(second, "kut_chain_2")?);
        let [first, second] = [first, second].map(|frame| Address::new(frame).location());
        let line = text(fmt!("{first} <- {second}"))?;
        assert!(text(fmt!("{two}"))?.to_bytes() == line.to_bytes());
        let lines = text(fmt!("    {first}\n    {second}"))?;
        assert!(text(fmt!("{two:#}"))?.to_bytes() == lines.to_bytes());
        Ok(())
    }
}
