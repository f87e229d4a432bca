// SPDX-License-Identifier: GPL-2.0

//! Which functions a pattern means. The kernel decides that, as for `set_ftrace_filter`.

use super::ops::Locked;
use crate::common::*;
use crate::kernel_ext::may_wait::may_wait;
use crate::target::At;

/// Iterates over the patterns of a list, which commas or white space separate.
#[inline]
pub(super) fn patterns(list: &CStr) -> impl Iterator<Item = &[u8]> {
    list.to_bytes()
        .split(|c| *c == b',' || c.is_ascii_whitespace())
        .filter(|pattern| !pattern.is_empty())
}

/// Whether it is a pattern of names. To ftrace, a number is the place of a function in its list,
/// `!` removes, and `:` begins a command.
#[inline]
pub(super) fn is_valid(pattern: &[u8]) -> bool {
    let name = |c: &u8| c.is_ascii_alphanumeric() || b"_.$*?[]-^".contains(c);
    pattern.len() < bindings::KPROBES_KSYM_SYMBOL_LEN
        && pattern.iter().all(name)
        && !pattern.first().is_none_or(u8::is_ascii_digit)
}

/// What ftrace has matched; dropping it forgets that.
struct Matched;

impl Drop for Matched {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The caller of `functions` holds the lock that protects it.
        unsafe { bindings::kprobes_entry_unmatch() };
    }
}

impl Target<'_> {
    /// Returns whether no other function has the same name, as far as ftrace can trace them. An
    /// address and `MODULE:SYMBOL` are taken for unique.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: `EDEADLK` if the caller must not sleep; `ENOENT` if ftrace cannot trace it; those of
    /// [`EntrySet::matching`](crate::EntrySet::matching).
    ///
    /// C function: `ftrace_set_filter()`.
    #[inline]
    pub fn is_unique(self) -> Result<bool> {
        may_wait()?;
        match self.at {
            At::Symbol(name) if !name.to_bytes().contains(&b':') => {
                Ok(functions(name, &Locked::new(), false)?.len() == 1)
            }
            _ => Ok(true),
        }
    }
}

/// Returns the addresses of the functions that match one of the patterns of `list`, in ascending
/// order. A pattern that is refused may be reported.
///
/// Errors: with the index of the pattern: `EINVAL` if it is none, `ENOENT` if it matches no
/// function; for all of them, `EINVAL` if there are none, `ENOMEM`, `ENODEV`, and `EOPNOTSUPP` if
/// this kernel cannot be asked.
#[inline]
pub(super) fn functions(list: &CStr, _locked: &Locked, report: bool) -> Result<KVVec<usize>> {
    let matched = Matched;
    let mut count = match_all(list, true, report)?;
    // Then once more, until that adds nothing.
    //
    // SAFETY: The function only looks at the current task.
    while unsafe { bindings::kprobes_entry_may_have_missed() } {
        let again = match_all(list, false, report)?;
        if again == count {
            break;
        }
        count = again;
    }
    if count == 0 {
        return Err(ENOMEM);
    }
    let mut ips = KVVec::with_capacity(count, GFP_KERNEL)?;
    // SAFETY: There is room for that many. We hold the lock.
    let stored =
        length(unsafe { bindings::kprobes_entry_matched(ips.as_mut_ptr(), count as c_ulong) })?;
    // SAFETY: The function has stored that many.
    unsafe { ips.inc_len(stored) };
    drop(matched);
    Ok(ips)
}

/// Matches each pattern of `list`, in addition to what is matched already, or as the `first` ones.
/// Returns how many functions that makes. Under the lock.
#[inline]
fn match_all(list: &CStr, first: bool, report: bool) -> Result<usize> {
    let mut n = 0;
    for pattern in patterns(list) {
        let refused = |error: &Error| {
            if report {
                Target::symbol(list).report::<super::Kind>(c"pattern", n, *error);
            }
        };
        if !is_valid(pattern) {
            refused(&EINVAL);
            return Err(EINVAL);
        }
        // ftrace writes into it, and looks at the byte after it.
        let mut text = KVec::with_capacity(pattern.len() + 1, GFP_KERNEL)?;
        text.extend_from_slice(pattern, GFP_KERNEL)?;
        text.push(0, GFP_KERNEL)?;
        // SAFETY: `text` has that length, and a NUL after it. The caller holds the lock.
        to_result(unsafe {
            bindings::kprobes_entry_match(
                text.as_mut_ptr().cast(),
                pattern.len() as c_int,
                first && n == 0,
            )
        })
        .inspect_err(refused)?;
        n += 1;
    }
    if n == 0 {
        return Err(EINVAL);
    }
    // SAFETY: Without room for them, the function only counts. The caller holds the lock.
    length(unsafe { bindings::kprobes_entry_matched(ptr::null_mut(), 0) })
}

#[inline]
fn length(ret: c_long) -> Result<usize> {
    usize::try_from(ret).map_err(|_| Error::from_errno(ret as c_int))
}
