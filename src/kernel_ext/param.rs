// SPDX-License-Identifier: GPL-2.0

//! String parameters of a module.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)
//!
//! A string type in `kernel::module_param` would replace it, as proposed in
//! "rust: module_param: add StringParam type for C string parameters". `module!`
//! of Linux 7.3 takes integers and `bool`.

use crate::bindings;
use kernel::{
    prelude::*,
    str::CString,
    sync::SetOnce, //
};

/// A parameter declared with [`string_param!`](crate::string_param).
pub struct StringParam(SetOnce<&'static CStr>);

impl StringParam {
    #[doc(hidden)]
    #[inline]
    pub const fn new() -> Self {
        Self(SetOnce::new())
    }

    /// Returns the value, or `None` if the parameter was not set.
    #[inline]
    pub fn value(&self) -> Option<&'static CStr> {
        self.0.copy()
    }
}

impl Default for StringParam {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

/// The operations of a [`StringParam`].
const OPS: bindings::kernel_param_ops = bindings::kernel_param_ops {
    flags: 0,
    set: Some(set),
    get: None,
    free: Some(free),
};

/// Stores a copy of the value, because Linux 7.3 frees the module's argument string
/// after parsing it.
///
/// Fails with `EEXIST` if the parameter is given twice, and with `ENOMEM`.
///
/// # Safety
///
/// To be called only as the `set` of a `kernel_param` whose `arg` is a
/// `StringParam`, and whose `perm` is 0, so that it is set only while the module
/// is being loaded.
#[inline]
unsafe extern "C" fn set(val: *const c_char, kp: *const bindings::kernel_param) -> c_int {
    if val.is_null() {
        return EINVAL.to_errno();
    }
    // SAFETY: The kernel passes a C string that is valid for this call.
    let val = unsafe { CStr::from_char_ptr(val) };
    // SAFETY: By the safety requirements, `arg` points at a `StringParam`, which is a static.
    let param = unsafe { &*(*kp).__bindgen_anon_1.arg.cast::<StringParam>() };
    let mut copy = KVVec::new();
    if let Err(error) = copy.extend_from_slice(val.to_bytes_with_nul(), GFP_KERNEL) {
        return Error::from(error).to_errno();
    }
    let (bytes, len, _) = copy.into_raw_parts();
    // SAFETY: `bytes` points at `len` bytes, which nobody writes, and which `free` frees together
    // with the module. No code of the module outlives that, so they may be `'static`.
    let bytes_with_nul = unsafe { core::slice::from_raw_parts(bytes, len) };
    // SAFETY: They are a copy of a C string and its NUL.
    let kept = unsafe { CStr::from_bytes_with_nul_unchecked(bytes_with_nul) };
    if param.0.populate(kept) {
        0
    } else {
        // SAFETY: `bytes` was allocated above, and was not stored.
        unsafe { bindings::kvfree(bytes.cast()) };
        EEXIST.to_errno()
    }
}

/// Frees the copy.
///
/// # Safety
///
/// To be called only as the `free` of a `kernel_param` whose `arg` is a
/// `StringParam`. The kernel calls it once, after the module's exit or its failed
/// init.
#[inline]
unsafe extern "C" fn free(arg: *mut c_void) {
    // SAFETY: By the safety requirements, `arg` points at a `StringParam`, which is a static.
    let param = unsafe { &*arg.cast::<StringParam>() };
    if let Some(value) = param.value() {
        // The handler of a probe that was never dropped may read it.
        //
        // SAFETY: By the safety requirements, the module's exit has run or its init has failed.
        unsafe { bindings::kprobes_leave_all() };
        // SAFETY: `set` allocated it, and no code of the module runs any more.
        unsafe { bindings::kvfree(value.as_char_ptr().cast_mut().cast()) };
    }
}

/// Returns the name of the first argument of insmod that is not a parameter of this
/// module, truncated to 63 characters. The kernel only warns of it.
///
/// This reads the arguments again that the program gave to the system call. It
/// returns `None` outside of the module's init, and for a 32-bit program.
///
/// Context: process context; it may sleep. C functions: `parse_args()`,
/// `unknown_module_param_cb()`.
#[inline]
pub fn unknown_param() -> Option<CString> {
    let mut name = [0u8; 64];
    // SAFETY: `name` is valid for writing that many bytes.
    if !unsafe { bindings::kprobes_unknown_param(name.as_mut_ptr().cast(), name.len()) } {
        return None;
    }
    CStr::from_bytes_until_nul(&name).ok()?.try_into().ok()
}

#[doc(hidden)]
pub use kernel::module_param::KernelParam;

/// Creates the `struct kernel_param`; `name` ends with a NUL.
#[doc(hidden)]
#[inline]
pub const fn param(name: &'static str, param: &'static StringParam) -> KernelParam {
    let Ok(name) = core::ffi::CStr::from_bytes_with_nul(name.as_bytes()) else {
        panic!("no C string");
    };
    KernelParam::new(bindings::kernel_param {
        name: kernel::str::as_char_ptr_in_const_context(name),
        mod_: &raw mut bindings::__this_module,
        ops: &OPS,
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

/// Declares a string parameter of this module: a static [`StringParam`] of that
/// name, and its description for `modinfo`.
///
/// The parameter is not visible in sysfs.
///
/// # Examples
///
/// ```ignore
/// kprobes::string_param!(targets, "what to probe");
///
/// let targets = targets.value().unwrap_or(c"kernel_clone");
/// ```
#[macro_export]
macro_rules! string_param {
    ($name:ident, $description:literal) => {
        #[allow(non_upper_case_globals)]
        static $name: $crate::StringParam = $crate::StringParam::new();

        // Items are not hygienic; in blocks of their own, these cannot collide with `$name`.
        const _: () = {
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static __KPROBES_PARM: [u8; ::core::concat!(
                "parm=",
                ::core::stringify!($name),
                ":",
                $description,
                "\0"
            )
            .len()] = $crate::param::bytes(::core::concat!(
                "parm=",
                ::core::stringify!($name),
                ":",
                $description,
                "\0"
            ));

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static __KPROBES_PARMTYPE: [u8; ::core::concat!(
                "parmtype=",
                ::core::stringify!($name),
                ":string\0"
            )
            .len()] = $crate::param::bytes(::core::concat!(
                "parmtype=",
                ::core::stringify!($name),
                ":string\0"
            ));
        };

        const _: () = {
            #[link_section = "__param"]
            #[used(compiler)]
            static __KPROBES_PARAM: $crate::param::KernelParam =
                $crate::param::param(::core::concat!(::core::stringify!($name), "\0"), &$name);
        };
    };
}
