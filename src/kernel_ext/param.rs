// SPDX-License-Identifier: GPL-2.0

//! A string as a module parameter, which `module!` of Linux 7.2 does not have.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

use crate::bindings;
use kernel::{
    prelude::*,
    sync::SetOnce, //
};

/// The value of a parameter that [`string_param!`](crate::string_param)
/// declared.
pub struct StringParam(SetOnce<&'static CStr>);

impl StringParam {
    #[doc(hidden)]
    #[inline]
    pub const fn new() -> Self {
        Self(SetOnce::new())
    }

    /// What the parameter was set to, `None` where it was not.
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

/// How the kernel sets a [`StringParam`], and lets go of it.
const OPS: bindings::kernel_param_ops = bindings::kernel_param_ops {
    flags: 0,
    set: Some(set),
    get: None,
    free: Some(free),
};

/// Keeps a copy of the value: the module's argument string is freed as soon as
/// it has been read (from Linux 7.3 on).
///
/// Fails with `EEXIST` where the parameter is given twice, and with `ENOMEM`.
///
/// # Safety
///
/// Only for the `set` of a `kernel_param` whose `arg` is a `StringParam`, and
/// whose `perm` is 0, so that it is set while the module is loaded and never
/// again.
#[inline]
unsafe extern "C" fn set(val: *const c_char, kp: *const bindings::kernel_param) -> c_int {
    if val.is_null() {
        return EINVAL.to_errno();
    }
    // SAFETY: The kernel passes a C string that is valid for this call.
    let val = unsafe { CStr::from_char_ptr(val) };
    // SAFETY: By this function's contract `arg` points at a `StringParam`, a static of the module.
    let param = unsafe { &*(*kp).__bindgen_anon_1.arg.cast::<StringParam>() };
    let mut copy = KVVec::new();
    if let Err(error) = copy.extend_from_slice(val.to_bytes_with_nul(), GFP_KERNEL) {
        return Error::from(error).to_errno();
    }
    let (bytes, len, _) = copy.into_raw_parts();
    // SAFETY: These are the bytes of a C string. Nobody writes them, and they are freed with the
    // module, by `free`: 'static means just that to a module's code.
    let kept =
        unsafe { CStr::from_bytes_with_nul_unchecked(core::slice::from_raw_parts(bytes, len)) };
    if param.0.populate(kept) {
        0
    } else {
        // SAFETY: That was allocated above, and nobody else knows of it.
        unsafe { bindings::kvfree(bytes.cast()) };
        EEXIST.to_errno()
    }
}

/// Frees the copy.
///
/// # Safety
///
/// Only for the `free` of a `kernel_param` whose `arg` is a `StringParam`: the
/// kernel calls it once, when the module's code does not run any more.
#[inline]
unsafe extern "C" fn free(arg: *mut c_void) {
    // SAFETY: By this function's contract.
    let param = unsafe { &*arg.cast::<StringParam>() };
    if let Some(value) = param.value() {
        // The handler of a probe that was left may read it.
        //
        // SAFETY: By this function's contract the module has left.
        unsafe { bindings::kprobes_leave_all() };
        // SAFETY: `set` allocated it, and by this function's contract nobody uses it any more.
        unsafe { bindings::kvfree(value.as_char_ptr().cast_mut().cast()) };
    }
}

#[doc(hidden)]
pub use kernel::module_param::KernelParam;

/// What the kernel needs to know of a parameter; `name` ends with NUL.
#[doc(hidden)]
#[inline]
pub const fn param(name: &'static str, param: &'static StringParam) -> KernelParam {
    let Ok(name) = core::ffi::CStr::from_bytes_with_nul(name.as_bytes()) else {
        panic!("no C string");
    };
    KernelParam::new(bindings::kernel_param {
        name: kernel::str::as_char_ptr_in_const_context(name),
        // The kernel makes it when it loads the module.
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

/// Bytes of a string as an array, for a static in a section.
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

/// Declares a string parameter of this module: a static [`StringParam`] of
/// that name, and what `insmod` and `modinfo` need to know of it.
///
/// The parameter does not show in sysfs.
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

        // Items are not hygienic: in these blocks, their names come before `$name`.
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
