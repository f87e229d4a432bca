// SPDX-License-Identifier: GPL-2.0

//! Probes as functions, with the parameters of what they probe.

/// Declares a module's probes: each as one item with its target, typed
/// arguments and body.
///
/// ```text
/// probes! {
///     struct MODULE_TYPE;
///
///     fn NAME at TARGET (CX, ARGUMENT: TYPE, ...) { BODY }
///     fn NAME at TARGET (CX, ARGUMENT: TYPE, ...) -> RESULT: TYPE { BODY }
/// }
/// ```
///
/// `TARGET` is a C string: `c"do_sys_openat2"`, or `c"MODULE:SYMBOL"`. Without
/// a result, the body runs at the entry of the function. With one it runs at
/// the return, and sees the arguments as they were at the entry. `CX` is the
/// [`Context`](crate::Context). The types are those of
/// [`FromRegister`](crate::FromRegister).
///
/// The type becomes a `kernel::Module`, for `module!`: loading the module
/// registers the probes in this order, all or none, and unloading it
/// unregisters them.
///
/// # Examples
///
/// This is a whole module. The same in C needs a handler with its registers by
/// name, a struct, an init and an exit function for each probe.
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::UserStr;
///
/// # type Opens = Probes;
/// kprobes::probes! {
///     struct Probes;
///
///     fn open at c"do_sys_openat2" (cx, _dfd: i32, filename: UserStr) {
///         pr_info!("{} opens {}\n", cx.comm(), filename.show::<64>());
///     }
///
///     fn failed at c"do_sys_openat2" (_cx, _dfd: i32, filename: UserStr) -> fd: Result<i32> {
///         if let Err(error) = fd {
///             pr_info!("{}: {error:?}\n", filename.show::<64>());
///         }
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
            fn $name:ident at $target:literal ($cx:ident $(, $arg:ident: $ty:ty)* $(,)?)
                $(-> $ret:ident: $ret_ty:ty)? $body:block
        )+
    ) => {
        $(#[$attr])*
        #[allow(dead_code, reason = "the probes are held to stay registered")]
        $vis struct $module {
            $($name: $crate::probes!(@type $name $($ret)?),)+
        }

        impl ::kernel::Module for $module {
            fn init(_module: &'static ::kernel::ThisModule) -> ::kernel::error::Result<Self> {
                Ok(Self {
                    $($name: $crate::probes!(@register $name $target $($ret)?),)+
                })
            }
        }

        $(
            $(#[$doc])*
            #[allow(non_camel_case_types)]
            struct $name {}
            $crate::probes!(
                @handler $name $cx [$($arg: $ty,)*] [$($ret: $ret_ty)?] $body
            );
        )+
    };

    (@type $name:ident) => {
        ::core::pin::Pin<::kernel::alloc::KBox<$crate::Kprobe<$name>>>
    };
    (@type $name:ident $ret:ident) => {
        ::core::pin::Pin<::kernel::alloc::KBox<$crate::Kretprobe<$name>>>
    };

    (@register $name:ident $target:literal) => {
        ::kernel::alloc::KBox::pin_init(
            $crate::Kprobe::new($crate::Target::symbol($target), $name {}),
            ::kernel::alloc::flags::GFP_KERNEL,
        )?
    };
    (@register $name:ident $target:literal $ret:ident) => {
        ::kernel::alloc::KBox::pin_init(
            $crate::Kretprobe::new($crate::Target::symbol($target), $name {}),
            ::kernel::alloc::flags::GFP_KERNEL,
        )?
    };

    (@handler $name:ident $cx:ident [$($arg:ident: $ty:ty,)*] [] $body:block) => {
        #[::kernel::macros::vtable]
        impl $crate::Handler for $name {
            #[inline(always)]
            fn pre(&self, $cx: &$crate::Context<'_>) {
                let ($($arg,)*): ($($ty,)*) = $cx.args();
                $body
            }
        }
    };
    (@handler $name:ident $cx:ident [$($arg:ident: $ty:ty,)*] [$ret:ident: $ret_ty:ty] $body:block) => {
        #[::kernel::macros::vtable]
        impl $crate::ReturnHandler for $name {
            type Data = ($($ty,)*);

            #[inline(always)]
            fn entry(&self, cx: &$crate::Context<'_>) -> ::core::option::Option<Self::Data> {
                ::core::option::Option::Some(cx.args())
            }

            #[inline(always)]
            fn ret(&self, $cx: &$crate::Context<'_, $crate::Return>, ($($arg,)*): Self::Data) {
                let $ret: $ret_ty = $cx.ret();
                $body
            }
        }
    };
}
