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
#[doc(hidden)]
pub const OPS: bindings::kernel_param_ops = bindings::kernel_param_ops {
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
        // SAFETY: `set` allocated it, and by this function's contract nobody uses it any more.
        unsafe { bindings::kvfree(value.as_char_ptr().cast_mut().cast()) };
    }
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

        const _: () = {
            use ::kernel::bindings;

            const PARM: &str = concat!("parm=", stringify!($name), ":", $description, "\0");
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static MODINFO_PARM: [u8; PARM.len()] = $crate::param::bytes(PARM);

            const TYPE: &str = concat!("parmtype=", stringify!($name), ":string\0");
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static MODINFO_TYPE: [u8; TYPE.len()] = $crate::param::bytes(TYPE);

            static OPS: bindings::kernel_param_ops = $crate::param::OPS;

            #[link_section = "__param"]
            #[used(compiler)]
            static PARAM: ::kernel::module_param::KernelParam =
                ::kernel::module_param::KernelParam::new(bindings::kernel_param {
                    name: ::kernel::str::as_char_ptr_in_const_context(
                        match ::core::ffi::CStr::from_bytes_with_nul(
                            concat!(stringify!($name), "\0").as_bytes(),
                        ) {
                            Ok(name) => name,
                            Err(_) => panic!("no C string"),
                        },
                    ),
                    // SAFETY: The kernel makes `__this_module` when it loads the module, and this
                    // only takes its address.
                    mod_: unsafe { ::core::ptr::from_ref(&bindings::__this_module).cast_mut() },
                    ops: &raw const OPS,
                    perm: 0,
                    level: -1,
                    flags: 0,
                    __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 {
                        arg: (&raw const $name).cast_mut().cast(),
                    },
                });
        };
    };
}
