// SPDX-License-Identifier: GPL-2.0

//! Finds the functions that match a pattern, by the kernel's code for `set_ftrace_filter`.

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

/// Returns whether `pattern` is a pattern of names. To ftrace, a number is the index of a function,
/// `!` removes functions, and `:` begins a command.
#[inline]
pub(super) fn is_valid(pattern: &[u8]) -> bool {
    let name = |c: &u8| c.is_ascii_alphanumeric() || b"_.$*?[]-^".contains(c);
    pattern.len() < bindings::KPROBES_KSYM_SYMBOL_LEN
        && pattern.iter().all(name)
        && !pattern.first().is_none_or(u8::is_ascii_digit)
}

/// Clears the set of matched functions when it is dropped.
struct Matched;

impl Drop for Matched {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The caller of `functions` holds the lock that protects it.
        unsafe { bindings::kprobes_entry_unmatch() };
    }
}

impl Target<'_> {
    /// Returns whether only one function that ftrace can trace has this name. Returns true for an
    /// address or `MODULE:SYMBOL` without a check.
    ///
    /// Context: process context; it sleeps.
    ///
    /// Errors: `EDEADLK` if the caller must not sleep; `ENOENT` if ftrace can trace no function of
    /// this name; those of [`EntrySet::matching`](crate::EntrySet::matching).
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

/// Returns the addresses of the functions that match any pattern of `list`, in ascending order.
/// Logs the index of a pattern that fails, if `report`.
///
/// Errors: `EINVAL` if a pattern is malformed or `list` is empty; `ENOENT` if a pattern matches no
/// function; `ENOMEM`; `ENODEV` if ftrace is disabled; `EOPNOTSUPP` if the layout of the kernel's
/// filters is unknown.
#[inline]
pub(super) fn functions(list: &CStr, _locked: &Locked, report: bool) -> Result<KVVec<usize>> {
    let matched = Matched;
    let mut count = match_all(list, true, report)?;
    // ftrace may have missed functions, so match again until that adds none.
    //
    // SAFETY: The function only reads the current task.
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
    // SAFETY: `ips` has room for `count` addresses. The lock is held.
    let stored =
        length(unsafe { bindings::kprobes_entry_matched(ips.as_mut_ptr(), count as c_ulong) })?;
    // SAFETY: The function has stored `stored` addresses.
    unsafe { ips.inc_len(stored) };
    drop(matched);
    Ok(ips)
}

/// Adds the functions that match `list` to the set of matched functions, which is cleared before if
/// `first`. Returns the size of the set. The caller holds the lock.
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
        // ftrace writes to the pattern, and reads the byte after it.
        let mut text = KVec::with_capacity(pattern.len() + 1, GFP_KERNEL)?;
        text.extend_from_slice(pattern, GFP_KERNEL)?;
        text.push(0, GFP_KERNEL)?;
        // SAFETY: `text` has this length, and a NUL after it. The caller holds the lock.
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
    // SAFETY: The function only counts if the pointer is null. The caller holds the lock.
    length(unsafe { bindings::kprobes_entry_matched(ptr::null_mut(), 0) })
}

#[inline]
fn length(ret: c_long) -> Result<usize> {
    usize::try_from(ret).map_err(|_| Error::from_errno(ret as c_int))
}
