// SPDX-License-Identifier: GPL-2.0

//! Module parameters.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)
//!
//! A string type in `kernel::module_param` would replace this file, as proposed in "rust:
//! module_param: add StringParam type for C string parameters".

use crate::prelude::*;
use kernel::module_param::ModuleParamAccess;
use kernel::sync::SetOnce;

/// Returns the value of a parameter declared with `module!`.
///
/// `ModuleParamAccess::value()` returns a reference in Linux 7.2 and the value from 7.3 on.
///
/// # Examples
///
/// ```ignore
/// module! {
///     ...
///     params: { calls: u32 { default: 10, description: "How many calls" } },
/// }
///
/// let calls = kprobes::param(&module_parameters::calls);
/// ```
#[inline]
pub fn param<T: Copy>(param: &ModuleParamAccess<T>) -> T {
    #[cfg(kprobes_linux_7_3)]
    return param.value();
    #[cfg(not(kprobes_linux_7_3))]
    return *param.value();
}

/// A parameter declared with [`string_param!`](crate::string_param), of up to `SIZE - 1`
/// characters.
///
/// # Invariants
///
/// Once `is_set` is populated, `value` is a C string that does not change.
pub struct StringParam<const SIZE: usize = 1025> {
    is_set: SetOnce<()>,
    value: UnsafeCell<[u8; SIZE]>,
}

// SAFETY: By the type invariant, `value` does not change once `value()` returns it.
unsafe impl<const SIZE: usize> Sync for StringParam<SIZE> {}

impl<const SIZE: usize> StringParam<SIZE> {
    const OPS: bindings::kernel_param_ops = bindings::kernel_param_ops {
        flags: 0,
        set: Some(Self::set),
        get: None,
        free: None,
    };

    #[doc(hidden)]
    pub const fn new() -> Self {
        Self {
            is_set: SetOnce::new(),
            value: UnsafeCell::new([0; SIZE]),
        }
    }

    /// Returns the value, or `None` if the parameter was not set.
    pub fn value(&self) -> Option<&CStr> {
        self.is_set.as_ref()?;
        // SAFETY: By the type invariant, this is a C string that does not change.
        Some(unsafe { CStr::from_char_ptr(self.value.get().cast()) })
    }

    /// Copies the value, because Linux 7.3 frees the module's argument string after parsing it.
    ///
    /// Fails with `EEXIST` if the parameter is given twice. If the value is too long, it logs the
    /// limit and fails with `ENOSPC`.
    ///
    /// # Safety
    ///
    /// To be called only as the `set` of a `kernel_param` whose `arg` points at a static `Self`,
    /// and whose `perm` is 0, so that the kernel calls it only while it loads the module.
    unsafe extern "C" fn set(val: *const c_char, kp: *const bindings::kernel_param) -> c_int {
        if val.is_null() {
            return EINVAL.to_errno();
        }
        // SAFETY: The kernel passes a C string that is valid for this call.
        let val = unsafe { CStr::from_char_ptr(val) }.to_bytes_with_nul();
        // SAFETY: By the safety requirements, `arg` points at a static `Self`.
        let param = unsafe { &*(*kp).__bindgen_anon_1.arg.cast::<Self>() };
        if param.is_set.as_ref().is_some() {
            return EEXIST.to_errno();
        }
        if val.len() > SIZE {
            // SAFETY: The name of a parameter is a C string.
            unsafe { bindings::kprobes_param_too_long((*kp).name, SIZE - 1) };
            return ENOSPC.to_errno();
        }
        // SAFETY: `val` fits, and is in another allocation. Nothing reads `value` before `is_set`
        // is populated, and by the safety requirements no other call writes it concurrently.
        unsafe {
            val.as_ptr()
                .copy_to_nonoverlapping(param.value.get().cast(), val.len())
        };
        // INVARIANT: `value` is a C string, and this was the last write.
        param.is_set.populate(());
        0
    }
}

#[doc(hidden)]
pub use kernel::module_param::KernelParam;

/// Creates the `struct kernel_param`; `name` ends with a NUL.
#[doc(hidden)]
#[inline]
pub const fn string<const SIZE: usize>(
    name: &'static str,
    param: &'static StringParam<SIZE>,
) -> KernelParam {
    KernelParam::new(bindings::kernel_param {
        name: kernel::str::as_char_ptr_in_const_context(crate::__c_str(name)),
        mod_: &raw mut bindings::__this_module,
        ops: &StringParam::<SIZE>::OPS,
        perm: 0,
        level: -1,
        flags: 0,
        __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 {
            arg: core::ptr::from_ref(param).cast_mut().cast(),
        },
    })
}

/// Returns the bytes of a string as an array, for a static in a section.
#[doc(hidden)]
#[inline]
pub const fn bytes<const N: usize>(s: &str) -> [u8; N] {
    let s = s.as_bytes();
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[i] = s[i];
        i += 1;
    }
    out
}

/// Declares a string parameter of this module: a static [`StringParam`](crate::StringParam) of that
/// name, and its description for `modinfo`.
///
/// A value has at most 1024 characters, like the kernel's `charp`; a third argument sets another
/// limit. insmod fails with `ENOSPC` if the value is longer, and with `EEXIST` if the parameter is
/// set twice. The parameter is not visible in sysfs.
///
/// # Examples
///
/// ```ignore
/// kprobes::string_param!(targets, "what to probe");
///
/// let names = targets.value().unwrap_or(c"kernel_clone");
/// ```
#[macro_export]
macro_rules! string_param {
    ($name:ident, $description:literal) => {
        $crate::string_param!($name, $description, 1024);
    };
    (@modinfo $name:ident $($part:expr),+) => {
        #[link_section = ".modinfo"]
        #[used(compiler)]
        static $name: [$crate::macro_paths::u8; $crate::macro_paths::core::concat!($($part),+)
            .len()] = $crate::param::bytes($crate::macro_paths::core::concat!($($part),+));
    };
    ($name:ident, $description:literal, $max:expr) => {
        #[allow(non_upper_case_globals)]
        static $name: $crate::StringParam<{ $max + 1 }> = $crate::StringParam::new();

        // Items are not hygienic. In their own blocks, these cannot collide with `$name`.
        const _: () = {
            $crate::string_param!(
                @modinfo __KPROBES_PARM "parm=", $crate::macro_paths::core::stringify!($name),
                ":", $description, "\0"
            );
            $crate::string_param!(
                @modinfo __KPROBES_PARMTYPE "parmtype=",
                $crate::macro_paths::core::stringify!($name), ":string\0"
            );
        };

        const _: () = {
            #[link_section = "__param"]
            #[used(compiler)]
            static __KPROBES_PARAM: $crate::param::KernelParam = $crate::param::string(
                $crate::macro_paths::core::concat!(
                    $crate::macro_paths::core::stringify!($name),
                    "\0"
                ),
                &$name,
            );
        };
    };
}
