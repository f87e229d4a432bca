// SPDX-License-Identifier: GPL-2.0

//! The short form: probes written as functions, with the parameters of the functions that they
//! probe.

/// Declares a module's probes, each as a function with a target, typed arguments and a body.
///
/// ```text
/// probes! {
///     struct MODULE_TYPE;
///
///     fn NAME at TARGET [+ OFFSET] (CX, ARGUMENT: TYPE, ...) { BODY }
///     fn NAME at TARGET (CX, ARGUMENT: TYPE, ...) [when (CONDITION)] -> RESULT: TYPE { BODY }
///     fn NAME on TRACEPOINT (CX, ARGUMENT: TYPE, ...) { BODY }
/// }
/// ```
///
/// `TARGET` is a C string: `c"do_sys_openat2"`, or `c"MODULE:SYMBOL"`. Without `RESULT`, the body
/// runs before the probed instruction. With it, the body runs at the return of the function, with
/// the arguments as they were at the entry; calls for which the condition is false at the entry are
/// not followed. `CX` is the [`Context`](crate::Context), in the condition that of the entry. For
/// the types, see [`FromWord`](crate::FromWord). The entry point of a system call has no typed
/// arguments, see [`Context::syscall_args`](crate::Context::syscall_args).
///
/// `MODULE_TYPE` becomes a `kernel::InPlaceModule`, for `module!`. Loading the module registers the
/// probes in this order, all or none; unloading it unregisters them. They are in the module's own
/// data, so nothing is allocated.
///
/// # Examples
///
/// Log the files that programs fail to open, and more. `samples/failed_opens.rs` has the first in
/// this form, and [`kretprobe::Handler`](crate::kretprobe::Handler) is the long form, in which a
/// handler can have state.
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::{
///     nofault::{KernelPtr, UserStr},
///     Filename,
/// };
///
/// kprobes::probes! {
///     struct Opens;
///
///     fn failed at c"do_sys_openat2" (_cx, _dfd: i32, filename: UserStr)
///         when (!_cx.is_kernel_thread()) -> fd: Result<i32>
///     {
///         if let Err(error) = fd {
///             pr_info!("{}: {error:?}\n", filename.show::<64>());
///         }
///     }
///
///     fn open at c"do_file_open" (cx, _dfd: i32, filename: Filename) {
///         if let Ok(name) = filename.name() {
///             pr_info!("{} opens {}\n", cx.comm(), name.show::<64>());
///         }
///     }
///
///     fn signal on c"signal_generate" (cx, sig: i32, _info: KernelPtr, _task: KernelPtr) {
///         pr_info!("{} sends signal {sig}\n", cx.comm());
///     }
/// }
/// ```
#[macro_export]
macro_rules! probes {
    (
        $(#[$attr:meta])*
        $vis:vis struct $module:ident;
        $(
            $(#[$doc:meta])*
            fn $name:tt $how:tt $target:tt $(+ $offset:tt)?
                ($cx:ident $(, $arg:ident: $ty:ty)* $(,)?)
                $(when ($condition:expr))?
                $(-> $ret:ident: $ret_ty:ty)?
                $body:block
        )+
    ) => {
        $(#[$attr])*
        #[allow(dead_code, reason = "the probes are held to stay registered")]
        #[$crate::macro_paths::kernel::prelude::pin_data]
        $vis struct $module {
            $(#[pin] $name: $crate::probes!(@type $how $name $($ret)?),)+
        }

        impl $crate::macro_paths::kernel::InPlaceModule for $module {
            fn init(
                _module: &'static $crate::macro_paths::kernel::ThisModule,
            ) -> impl $crate::macro_paths::kernel::prelude::PinInit<
                Self,
                $crate::macro_paths::kernel::error::Error,
            > {
                $crate::macro_paths::kernel::prelude::try_pin_init!(Self {
                    $($name <- $crate::probes!(
                        @new $how $name $target [$($offset)?] $($ret)?
                    ),)+
                })
            }
        }

        $(
            $crate::probes!(@check $how $target $($ty,)*);
            $(#[$doc])*
            // With braces, so that the name is not also a value that shadows an argument.
            #[allow(non_camel_case_types)]
            struct $name {}
            $crate::probes!(
                @handler $how $name $cx [$($arg: $ty,)*] [$($condition)?] [$($ret: $ret_ty)?] $body
            );
        )+
    };

    // The entry point of a system call has a pointer to the arguments.
    (@check at $target:literal $($ty:ty,)+) => {
        const _: () = $crate::__refused::arguments_of_a_system_call($target);
    };
    (@check $($rest:tt)*) => {};

    (@type at $name:ident) => { $crate::Kprobe<$name> };
    (@type at $name:ident $ret:ident) => { $crate::Kretprobe<$name> };
    (@type on $name:ident $($ret:ident)?) => { $crate::Tracepoint<$name> };
    (@type $how:tt $($rest:tt)*) => { $crate::__refused::at_or_on_expected::$how };

    (@new at $name:ident $target:tt [$($offset:tt)?]) => {
        $crate::Kprobe::new($crate::Target::symbol($target)$(.offset($offset))?, $name {})
    };
    (@new at $name:ident $target:tt [$($offset:tt)?] $ret:ident) => {{
        $($crate::__refused::offset_at_return($offset);)?
        $crate::Kretprobe::new($crate::Target::symbol($target), $name {})
    }};
    (@new on $name:ident $target:tt [$($offset:tt)?] $($ret:ident)?) => {{
        $($crate::__refused::offset_at_tracepoint($offset);)?
        $crate::Tracepoint::new($target, $name {})
    }};
    (@new $how:tt $($rest:tt)*) => { () };

    (
        @handler at $name:ident $cx:ident [$($arg:ident: $ty:ty,)*] [$($condition:expr)?] []
            $body:block
    ) => {
        #[$crate::macro_paths::kernel::macros::vtable]
        impl $crate::kprobe::Handler for $name {
            #[inline(always)]
            fn pre(&self, $cx: &$crate::kprobe::Context<'_>) {
                // The body need not use it.
                let _ = $cx;
                let ($($arg,)*) = $crate::probes!(@args $cx $($ty,)*);
                $($crate::__refused::condition_without_result($condition);)?
                $body
            }
        }
    };
    (
        @handler at $name:ident $cx:ident [$($arg:ident: $ty:ty,)*] []
            [$ret:ident: $ret_ty:ty] $body:block
    ) => {
        $crate::probes!(
            @handler at $name $cx [$($arg: $ty,)*] [true] [$ret: $ret_ty] $body
        );
    };
    (
        @handler at $name:ident $cx:ident [$($arg:ident: $ty:ty,)*] [$condition:expr]
            [$ret:ident: $ret_ty:ty] $body:block
    ) => {
        #[$crate::macro_paths::kernel::macros::vtable]
        impl $crate::kretprobe::Handler for $name {
            type Data = ($($ty,)*);

            #[inline(always)]
            fn entry(
                &self,
                $cx: &$crate::kprobe::Context<'_>,
            ) -> $crate::macro_paths::core::option::Option<Self::Data> {
                let _ = $cx;
                let data: Self::Data = $crate::probes!(@args $cx $($ty,)*);
                #[allow(unused_variables, reason = "the condition need not use all")]
                let ($($arg,)*) = data;
                let wanted: $crate::macro_paths::bool = $condition;
                wanted.then_some(data)
            }

            #[inline(always)]
            fn ret(&self, $cx: &$crate::kretprobe::ReturnContext<'_>, data: Self::Data) {
                #[allow(unused_variables, reason = "the condition may be what needs it")]
                let ($($arg,)*) = data;
                let $ret = $cx.ret::<$ret_ty>();
                $body
            }
        }
    };
    (
        @handler on $name:ident $cx:ident [$($arg:ident: $ty:ty,)*] [$($condition:expr)?]
            [$($ret:ident: $ret_ty:ty)?] $body:block
    ) => {
        impl $crate::tracepoint::Handler for $name {
            type Args = ($($ty,)*);

            #[inline(always)]
            fn hit(&self, $cx: &$crate::tracepoint::Context<'_>, ($($arg,)*): Self::Args) {
                $crate::probes!(@argument [0 1 2 3 4] $($ty,)*);
                $($crate::__refused::condition_without_result($condition);)?
                $(let $ret = $crate::__refused::result_at_tracepoint::<$ret_ty>();)?
                $body
            }
        }
    };
    (@handler $how:tt $($rest:tt)*) => {};

    // The arguments of a function, each of them read by its type, so that an error is at the type.
    (@args $cx:ident [$($left:tt)*] [$($arg:expr,)*]) => { ($($arg,)*) };
    (@args $cx:ident [$n:tt $($left:tt)*] [$($arg:expr,)*] $ty:ty, $($rest:tt)*) => {
        $crate::probes!(@args $cx [$($left)*] [$($arg,)* $cx.$n::<$ty>(),] $($rest)*)
    };
    (@args $cx:ident [] [$($arg:expr,)*] $($ty:ty,)+) => {
        ($($arg,)* $($crate::__refused::seventh_argument::<$ty>(),)+)
    };
    (@args $cx:ident $($ty:ty,)*) => {
        $crate::probes!(@args $cx [arg0 arg1 arg2 arg3 arg4 arg5] [] $($ty,)*)
    };

    // The same for those of a tracepoint, which are read together.
    (@argument [$($left:tt)*]) => {};
    (@argument [$n:tt $($left:tt)*] $ty:ty, $($rest:tt)*) => {
        $crate::__refused::argument::<$ty>();
        $crate::probes!(@argument [$($left)*] $($rest)*);
    };
    (@argument [] $($ty:ty,)+) => {
        $($crate::__refused::sixth_argument::<$ty>();)+
    };
}

/// What `probes!` refuses, as bounds that nothing satisfies. rustc reports such a bound at the
/// tokens that the module's author wrote, but a `compile_error!` at the whole call of the macro.
#[doc(hidden)]
pub mod __refused {
    use crate::{
        event::has_at,
        FromWord, //
    };

    /// Where `probes!` looks for what is neither `at` nor `on`.
    pub mod at_or_on_expected {}

    macro_rules! refused {
        ($(
            $name:ident$(($value:ty))? $(-> $ret:ty)?,
                $trait:ident: $message:literal, $note:literal;
        )*) => {
            $(
                #[diagnostic::on_unimplemented(
                    message = $message,
                    label = "not here",
                    note = $note
                )]
                pub trait $trait: Sized {
                    fn never() -> Self;
                }

                #[inline]
                pub fn $name<T: $trait>($(_: $value)?) $(-> $ret)? {
                    $(<$ret>::never())?
                }
            )*
        };
    }

    refused! {
        seventh_argument -> T, SeventhArgument:
            "a probe has the first six arguments of a function",
            "the others are on the stack";
        sixth_argument, SixthArgument:
            "a handler has the first five arguments of a tracepoint",
            "leave the others out";
        result_at_tracepoint -> T, TracepointResult:
            "a tracepoint has no result",
            "`fn name at c\"function\" (cx, ...) -> name: Type` is at the return of a function";
        condition_without_result(T), Condition:
            "`when` is for a probe with a result",
            "`when (...) -> name: Type` does not follow a call to its return; elsewhere, use `if`";
        offset_at_return(T), Offset:
            "a probe with a result has no offset",
            "it is at the entry and at the return of the function";
        offset_at_tracepoint(T), TracepointOffset:
            "a tracepoint has no offset",
            "only a probe `at` a function has";
    }

    /// Refuses the names that the kernel's `SYSCALL_DEFINE()` makes.
    #[inline]
    pub const fn arguments_of_a_system_call(target: &core::ffi::CStr) {
        const PREFIXES: [&[u8]; 7] = [
            b"__x64_sys_",
            b"__ia32_sys_",
            b"__ia32_compat_sys_",
            b"__x64_compat_sys_",
            b"__arm64_sys_",
            b"__arm64_compat_sys_",
            b"__riscv_sys_",
        ];
        let mut n = 0;
        while n < PREFIXES.len() {
            assert!(
                !has_at(target.to_bytes(), 0, PREFIXES[n]),
                "probes!: the entry point of a system call takes one argument, a pointer to the \
                 arguments: use `cx.syscall_args()`"
            );
            n += 1;
        }
    }

    #[inline(always)]
    pub fn argument<T: FromWord>() {}
}
