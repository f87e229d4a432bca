// SPDX-License-Identifier: GPL-2.0

//! The short form: probes that are declared like functions.

/// Declares a module and its probes. A probe is a function with a target, typed arguments and a
/// body.
///
/// ```text
/// probes! {
///     struct MODULE_TYPE;
///
///     let STATE: TYPE = EXPRESSION;
///
///     fn NAME at TARGET [+ OFFSET] (CX, ARGUMENT: TYPE, ...) [when (CONDITION)] { BODY }
///     fn NAME at TARGET (CX, ARGUMENT: TYPE, ...) [when (CONDITION)] -> RESULT: TYPE [, NS]
///         { BODY }
///     fn NAME entry TARGET (CX, ARGUMENT: TYPE, ...) [when (CONDITION)] { BODY }
///     fn NAME on TRACEPOINT (CX, ARGUMENT: TYPE, ...) [when (CONDITION)] { BODY }
///
///     drop { BODY }
/// }
/// ```
///
/// - `TARGET` is a C string, `c"do_sys_openat2"` or `c"MODULE:SYMBOL"`, or a system call,
///   `syscall!("execve")`. `OFFSET` is in bytes. `TRACEPOINT` is a C string, the name of a
///   tracepoint: `c"sched_switch"`.
/// - `at` registers a [`Kprobe`](crate::Kprobe); with `RESULT`, a [`Kretprobe`](crate::Kretprobe);
///   with `RESULT` and `NS`, a [`Timed`](crate::Timed). `entry` registers an
///   [`Entry`](crate::Entry), whose hit costs a third as much as a kprobe's, but which provides
///   only the arguments and the stack pointer, no other registers. `on` registers a
///   [`Tracepoint`](crate::Tracepoint).
/// - Without `RESULT`, the body runs before the probed instruction. With `RESULT`, it runs when the
///   function returns, and gets the arguments as they were when the function was called. `NS` is
///   the duration of the call in nanoseconds. The body may use `return`.
/// - The body runs only if the condition is true. With `RESULT`, the condition is evaluated at the
///   entry; if it is false, the return of the call is ignored.
/// - Conditions and bodies run in the context of the probed code, which may be an interrupt or an
///   NMI. They must not sleep or wait for locks.
/// - `CX` is the [`Context`](crate::Context) of the hit. With `RESULT`, the condition gets the
///   context of the entry, and the body that of the return. For the types of arguments and results,
///   see [`FromWord`](crate::FromWord).
/// - For a system call, the arguments are those of
///   [`syscall_args`](crate::Context::syscall_args). `syscall!` probes only the entry point that
///   64-bit programs use.
/// - `EXPRESSION` creates the state before the probes are registered. It may use `?`; loading the
///   module then fails with the error. In conditions and bodies, `STATE` is a reference to the
///   state. Its type implements [`View`](crate::collect::View), for example
///   [`CountMap`](crate::CountMap), [`Map`](crate::Map), [`Histogram`](crate::Histogram) or
///   [`Count`](crate::Count). The file `/sys/kernel/debug/MODULE/STATE` shows the state as text,
///   and `STATE.json` as JSON lines, where `MODULE` is the name of the module. Writing to `STATE`
///   clears a map or a histogram; other states refuse it with `EOPNOTSUPP`.
/// - When the module is unloaded, or fails to load, its probes are unregistered, and each logs its
///   misses, if any. On unload, the body of `drop` runs after that. It may use the states and may
///   sleep.
///
/// `MODULE_TYPE` implements `kernel::InPlaceModule`, for `module!`. Loading the module registers
/// all probes, in the order of their declaration, or fails. One log line names the first that is
/// refused: `MODULE: NAME at TARGET: no such symbol (ENOENT)`.
///
/// # Examples
///
/// Log the files that programs fail to open, count all opens, and log signals.
/// [`kretprobe::Handler`](crate::kretprobe::Handler) shows the first probe in the long form.
///
/// ```
/// use kernel::prelude::*;
/// use kprobes::{
///     nofault::{KernelPtr, UserStr},
///     Comm, CountMap,
/// };
///
/// kprobes::probes! {
///     struct Opens;
///
///     let opens: CountMap<Comm> = CountMap::new(1000)?;
///
///     fn failed at c"do_sys_openat2" (_cx, _dfd: i32, filename: UserStr)
///         when (!_cx.is_kernel_thread()) -> fd: Result<i32>
///     {
///         if let Err(error) = fd {
///             pr_info!("{}: {error:?}\n", filename.show::<64>());
///         }
///     }
///
///     fn open entry c"do_file_open" (cx) {
///         opens.add(cx.comm(), 1);
///     }
///
///     fn signal on c"signal_generate" (cx, sig: i32, _info: KernelPtr, _task: KernelPtr) {
///         pr_info!("{} sends signal {sig}\n", cx.comm());
///     }
///
///     drop {
///         kprobes::log!(opens, 10);
///     }
/// }
/// ```
#[expect(
    clippy::crate_in_macro_def,
    reason = "the name of the module, as `pr_info!` has it"
)]
#[macro_export]
macro_rules! probes {
    (
        $(#[$attr:meta])*
        $vis:vis struct $module:ident;
        $(let $state:ident: $state_ty:ty = $state_init:expr;)*
        $(#[$doc:meta])*
        fn $($rest:tt)*
    ) => {
        $crate::probes!(
            @module [$(#[$attr])* $vis struct $module]
            [$($state: $state_ty = $state_init;)*]
            $(#[$doc])* fn $($rest)*
        );
    };
    (
        @module [$(#[$attr:meta])* $vis:vis struct $module:ident]
        $state:tt
        $(
            $(#[$doc:meta])*
            fn $name:tt $how:tt $target:tt $(!($syscall:literal))? $(+ $offset:tt)?
                ($($parameters:tt)*)
                $(when ($condition:expr))?
                $(-> $ret:ident: $ret_ty:ty $(, $ns:ident)?)?
                $body:block
        )+
        $(drop $drop:block)?
    ) => {
        $(#[$attr])*
        #[allow(dead_code, reason = "the probes are registered until they are dropped")]
        #[$crate::macro_paths::kernel::prelude::pin_data]
        $vis struct $module {
            $(#[pin] $name: $crate::probes!(@type $how $name $($ret $($ns)?)?),)+
            #[pin]
            __files: $crate::probes!(@files $module $state),
            __end: $crate::__short::End<$module>,
            __loaded: (),
        }

        impl $crate::__short::Module for $module {
            type State = $crate::probes!(@types $state);
        }

        impl $crate::macro_paths::kernel::InPlaceModule for $module {
            fn init(
                _module: &'static $crate::macro_paths::kernel::ThisModule,
            ) -> impl $crate::macro_paths::kernel::prelude::PinInit<
                Self,
                $crate::macro_paths::kernel::error::Error,
            > {
                let state = $crate::probes!(@create $module $state);
                // Initialised in this order, but dropped in the order of the struct.
                $crate::macro_paths::kernel::prelude::try_pin_init!(Self {
                    __end: $crate::__short::End::new(
                        state.clone()?,
                        $crate::probes!(@drop $state $($drop)?),
                    ),
                    __files <- $crate::probes!(@show state $state),
                    $($name <- $crate::probes!(
                        @new $how $name [$target $($syscall)?] [$($offset)?] state
                        $($ret $($ns)?)?
                    ),)+
                    __loaded: state?.set_loaded(),
                })
            }
        }

        $(
            $(#[$doc])*
            // No unit struct, whose value could shadow an argument of this name.
            #[allow(non_camel_case_types)]
            struct $name {
                state: $crate::__short::Shared<$module>,
            }
            $crate::probes!(
                @parameters $how $name $state ($($parameters)*) $target [$($syscall)?]
                [$($condition)?] [$($ret: $ret_ty $(, $ns)?)?] $body
            );
        )+
    };
    (
        @parameters $how:tt $name:ident $state:tt ($cx:ident $(, $arg:ident: $ty:ty)* $(,)?)
            $target:tt $syscall:tt $condition:tt $ret:tt $body:block
    ) => {
        $crate::probes!(@check $how $target $syscall $($ty,)*);
        $crate::probes!(
            @handler $how $name $state $cx [$($arg: $ty,)*] $syscall $condition $ret $body
        );
    };
    (
        @parameters $how:tt $name:ident $state:tt $parameters:tt
            $target:tt $syscall:tt $condition:tt $ret:tt $body:block
    ) => {
        $crate::probes!(
            @handler $how $name $state cx [] [] [] $ret {
                $crate::__short::without_context::<$name>()
            }
        );
    };

    // The state, which is declared by `let`.
    (@types [$($state:ident: $ty:ty = $init:expr;)*]) => { ($($ty,)*) };
    (@create $module:ident [$($state:ident: $ty:ty = $init:expr;)*]) => {
        (|| {
            $(let $state: $ty = $init;)*
            $crate::__short::State::<$module>::new(($($state,)*))
        })()
    };
    (@drop [$($state:ident: $ty:ty = $init:expr;)*] $($drop:block)?) => {
        |state| {
            #[allow(unused_variables, reason = "the body may ignore some")]
            let ($($state,)*) = state;
            $($drop)?
        }
    };
    (@files $module:ident []) => { () };
    (@files $module:ident $state:tt) => {
        $crate::macro_paths::kernel::debugfs::Scope<$crate::__short::Shared<$module>>
    };
    (@show $shared:ident []) => { () };
    (@show $shared:ident [$($state:ident: $ty:ty = $init:expr;)+]) => {
        $crate::__short::show(crate::__LOG_PREFIX, $shared.clone()?, |($($state,)+), files| {
            $($crate::collect::Files::view(
                files,
                $crate::__c_str($crate::macro_paths::core::concat!(
                    $crate::macro_paths::core::stringify!($state),
                    "\0"
                )),
                $state,
            );)+
        })
    };
    (@use $handler:ident [$($state:ident: $ty:ty = $init:expr;)*]) => {
        #[allow(unused_variables, reason = "the body may ignore some")]
        let ($($state,)*) = $handler.state.get();
    };

    // Refuses arguments at the entry point of a system call, which takes a pointer to them.
    (@check at $target:literal [] $($ty:ty,)+) => {
        const _: () = $crate::__short::arguments_of_a_system_call($target);
    };
    (@check $($rest:tt)*) => {};

    (@type at $name:ident) => { $crate::Kprobe<$name> };
    (@type at $name:ident $ret:ident) => { $crate::Kretprobe<$name> };
    (@type at $name:ident $ret:ident $ns:ident) => { $crate::Timed<$name> };
    (@type entry $name:ident $($ret:ident)*) => { $crate::Entry<$name> };
    (@type on $name:ident $($ret:ident)*) => { $crate::Tracepoint<$name> };
    (@type $how:tt $($rest:tt)*) => { $crate::__short::at_entry_or_on_expected::$how };

    (@target $target:tt) => { $crate::Target::symbol($target) };
    (@target syscall $name:literal) => { $crate::syscall!($name) };

    (@probe [$($type:tt)+] $name:ident $state:ident $target:expr) => {
        <$crate::probes!(@type $($type)+)>::with_options(
            $target,
            $crate::__short::options($crate::__c_str($crate::macro_paths::core::concat!(
                $crate::macro_paths::core::stringify!($name),
                "\0"
            ))),
            $name { state: $state.clone()? },
        )
    };
    (@new at $name:ident [$($target:tt)+] [$($offset:tt)?] $state:ident) => {
        $crate::probes!(@probe [at $name] $name $state
            $crate::probes!(@target $($target)+)$(.offset($offset))?)
    };
    (
        @new at $name:ident [$($target:tt)+] [$($offset:tt)?] $state:ident
            $ret:ident $($ns:ident)?
    ) => {{
        $($crate::__short::offset_at_return($offset);)?
        $crate::probes!(@probe [at $name $ret $($ns)?] $name $state
            $crate::probes!(@target $($target)+))
    }};
    (@new entry $name:ident [$($target:tt)+] [$($offset:tt)?] $state:ident $($ret:ident)*) => {{
        $($crate::__short::offset_at_entry($offset);)?
        $crate::probes!(@probe [entry $name] $name $state $crate::probes!(@target $($target)+))
    }};
    (@new on $name:ident [$target:tt] [$($offset:tt)?] $state:ident $($ret:ident)*) => {{
        $($crate::__short::offset_at_tracepoint($offset);)?
        $crate::probes!(@probe [on $name] $name $state $target)
    }};
    (@new $how:tt $($rest:tt)*) => { () };

    (
        @handler at $name:ident $state:tt $cx:ident $args:tt $syscall:tt $condition:tt []
            $body:block
    ) => {
        $crate::probes!(
            @before ($crate::kprobe::Handler) pre ($crate::kprobe::Context<'_>)
            $name $state $cx $args $syscall $condition [] $body
        );
    };
    (
        @handler entry $name:ident $state:tt $cx:ident $args:tt $syscall:tt $condition:tt $ret:tt
            $body:block
    ) => {
        $crate::probes!(
            @before ($crate::entry::Handler) entry ($crate::entry::Context<'_>)
            $name $state $cx $args $syscall $condition $ret $body
        );
    };
    (
        @before ($trait:path) $method:ident ($context:ty)
            $name:ident $state:tt $cx:ident [$($arg:ident: $ty:ty,)*] $syscall:tt
            [$($condition:expr)?] [$($ret:ident: $ret_ty:ty $(, $ns:ident)?)?] $body:block
    ) => {
        $crate::probes! {
            @impl ($trait) $name
            #[inline(always)]
            fn $method(&self, $cx: &$context) {
                let _ = $cx;
                $crate::probes!(@use self $state);
                $(let $ret = $crate::__short::result_at_entry::<$ret_ty>();)?
                let ($($arg,)*) = $crate::probes!(@args $syscall $cx [$($ty,)*] (return));
                $($crate::probes!(@condition $condition, ());)?
                $body
            }
        }
    };
    (
        @handler at $name:ident $state:tt $cx:ident [$($arg:ident: $ty:ty,)*] $syscall:tt
            $condition:tt [$ret:ident: $ret_ty:ty] $body:block
    ) => {
        $crate::probes!(
            @return kretprobe [] $name $state $cx [$($arg: $ty,)*] $syscall $condition
                [$ret: $ret_ty] $body
        );
    };
    (
        @handler at $name:ident $state:tt $cx:ident [$($arg:ident: $ty:ty,)*] $syscall:tt
            $condition:tt [$ret:ident: $ret_ty:ty, $ns:ident] $body:block
    ) => {
        $crate::probes!(
            @return timed [$ns: $crate::macro_paths::u64] $name $state $cx [$($arg: $ty,)*]
                $syscall $condition [$ret: $ret_ty] $body
        );
    };
    (
        @return $kind:ident [$($ns:tt)*] $name:ident $state:tt $cx:ident
            [$($arg:ident: $ty:ty,)*] $syscall:tt
            [$($condition:expr)?] [$ret:ident: $ret_ty:ty] $body:block
    ) => {
        $crate::probes! {
            @impl ($crate::$kind::Handler) $name
            type Data = ($($ty,)*);

            #[inline(always)]
            fn entry(
                &self,
                $cx: &$crate::kprobe::Context<'_>,
            ) -> $crate::macro_paths::core::option::Option<Self::Data> {
                let _ = $cx;
                $crate::probes!(@use self $state);
                let data: Self::Data = $crate::probes!(
                    @args $syscall $cx [$($ty,)*]
                    (return $crate::macro_paths::core::option::Option::None)
                );
                #[allow(unused_variables, reason = "the condition may ignore some")]
                let ($($arg,)*) = data;
                $($crate::probes!(
                    @condition $condition, $crate::macro_paths::core::option::Option::None
                );)?
                $crate::macro_paths::core::option::Option::Some(data)
            }

            #[inline(always)]
            fn ret(
                &self,
                $cx: &$crate::kretprobe::ReturnContext<'_>,
                data: Self::Data,
                $($ns)*
            ) {
                $crate::probes!(@use self $state);
                #[allow(unused_variables, reason = "some may be used only in the condition")]
                let ($($arg,)*) = data;
                let $ret = $cx.ret::<$ret_ty>();
                $body
            }
        }
    };
    (
        @handler on $name:ident $state:tt $cx:ident [$($arg:ident: $ty:ty,)*] $syscall:tt
            [$($condition:expr)?] [$($ret:ident: $ret_ty:ty $(, $ns:ident)?)?] $body:block
    ) => {
        $crate::probes! {
            @impl ($crate::tracepoint::Handler) $name
            type Args = ($($ty,)*);

            #[inline(always)]
            fn hit(&self, $cx: &$crate::tracepoint::Context<'_>, ($($arg,)*): Self::Args) {
                $crate::probes!(@argument [0 1 2 3 4] $($ty,)*);
                $crate::probes!(@use self $state);
                $(let $ret = $crate::__short::result_at_tracepoint::<$ret_ty>();)?
                $($crate::probes!(@condition $condition, ());)?
                $body
            }
        }
    };
    (@handler $how:tt $($rest:tt)*) => {};

    (@condition $condition:expr, $otherwise:expr) => {
        let holds: $crate::macro_paths::bool = $condition;
        if !holds {
            return $otherwise;
        }
    };
    (@impl ($($trait:tt)+) $name:ident $($item:tt)+) => {
        #[$crate::macro_paths::kernel::macros::vtable]
        impl $($trait)+ for $name {
            $($item)+

            fn unregistered(&self, missed: $crate::macro_paths::u64) {
                if missed != 0 {
                    $crate::macro_paths::kernel::prelude::pr_info!(
                        "{}: {} missed\n",
                        $crate::macro_paths::core::stringify!($name),
                        missed
                    );
                }
            }
        }
    };

    (@args [$name:literal] $cx:ident [$($ty:ty,)*] ($($otherwise:tt)+)) => {
        match $cx.syscall_args::<($($ty,)*)>() {
            $crate::macro_paths::core::result::Result::Ok(arguments) => arguments,
            $crate::macro_paths::core::result::Result::Err(_) => $($otherwise)+,
        }
    };
    (@args [] $cx:ident [$($ty:ty,)*] $otherwise:tt) => {
        $crate::probes!(@each $cx [arg0 arg1 arg2 arg3 arg4 arg5] [] $($ty,)*)
    };

    // Reads the arguments of a function, one by one, so that rustc reports an error at the type.
    (@each $cx:ident [$($left:tt)*] [$($arg:expr,)*]) => { ($($arg,)*) };
    (@each $cx:ident [$n:tt $($left:tt)*] [$($arg:expr,)*] $ty:ty, $($rest:tt)*) => {
        $crate::probes!(@each $cx [$($left)*] [$($arg,)* $cx.$n::<$ty>(),] $($rest)*)
    };
    (@each $cx:ident [] [$($arg:expr,)*] $($ty:ty,)+) => {
        ($($arg,)* $($crate::__short::seventh_argument::<$ty>(),)+)
    };

    // Checks the types of the arguments of a tracepoint, which are read together.
    (@argument [$($left:tt)*]) => {};
    (@argument [$n:tt $($left:tt)*] $ty:ty, $($rest:tt)*) => {
        $crate::__short::argument::<$ty>();
        $crate::probes!(@argument [$($left)*] $($rest)*);
    };
    (@argument [] $($ty:ty,)+) => {
        $($crate::__short::sixth_argument::<$ty>();)+
    };
}

/// Items for `probes!`, and the errors that it reports.
#[doc(hidden)]
pub mod __short {
    use crate::event::has_at;
    use crate::prelude::*;
    use crate::probe::Options;
    use crate::FromWord;
    use kernel::debugfs::Scope;
    use kernel::debugfs::ScopedDir;
    use kernel::sync::Arc;

    /// A module; `State` is a tuple of the types that it declares by `let`.
    pub trait Module {
        type State;
    }

    /// The state of the module `M`.
    pub struct State<M: Module> {
        state: M::State,
        loaded: AtomicBool,
    }

    /// The state, which all handlers share.
    pub type Shared<M> = Arc<State<M>>;

    impl<M: Module> State<M> {
        #[inline]
        pub fn new(state: M::State) -> Result<Shared<M>> {
            let loaded = AtomicBool::new(false);
            Ok(Arc::new(Self { state, loaded }, GFP_KERNEL)?)
        }

        #[inline(always)]
        pub fn get(&self) -> &M::State {
            &self.state
        }

        #[inline]
        pub fn set_loaded(&self) {
            self.loaded.store(true, Ordering::Relaxed);
        }
    }

    /// Dropping it runs the body of `drop`, unless loading has failed.
    pub struct End<M: Module>(Shared<M>, fn(&M::State));

    impl<M: Module> End<M> {
        #[inline]
        pub fn new(state: Shared<M>, body: fn(&M::State)) -> Self {
            Self(state, body)
        }
    }

    impl<M: Module> Drop for End<M> {
        #[inline]
        fn drop(&mut self) {
            if self.0.loaded.load(Ordering::Relaxed) {
                (self.1)(&self.0.state);
            }
        }
    }

    /// Shows the state in a debugfs directory. `prefix` is the name of the module.
    #[inline]
    pub fn show<M: Module<State: Send + Sync> + 'static>(
        prefix: &'static [u8],
        state: Shared<M>,
        add: impl for<'d, 'dir> FnOnce(&'d M::State, &'dir ScopedDir<'d, 'dir>) + 'static,
    ) -> impl PinInit<Scope<Shared<M>>> {
        let name = CStr::from_bytes_with_nul(prefix).unwrap_or_default();
        Scope::dir(state, name, |state, dir| add(state.get(), dir))
    }

    /// `probes!` looks up any other word than `at`, `entry` or `on` here.
    pub mod at_entry_or_on_expected {}

    // Errors are trait bounds that no type satisfies. rustc reports such a bound at the tokens in
    // the module, but a `compile_error!` at the whole macro call.
    macro_rules! refused {
        ($(
            $name:ident$(($value:ty))? $(-> $ret:ty)?,
                $trait:ident: $message:literal, $note:literal;
        )*) => {
            $(
                #[diagnostic::on_unimplemented(
                    message = $message,
                    label = "not supported here",
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
        without_context, Parameters:
            "the first parameter must be the context",
            "`fn name at c\"function\" (cx, argument: Type, ...)`";
        seventh_argument -> T, SeventhArgument:
            "a probe can read at most six arguments",
            "further arguments are on the stack";
        sixth_argument, SixthArgument:
            "a tracepoint handler can read at most five arguments",
            "omit the others";
        result_at_tracepoint -> T, TracepointResult:
            "a tracepoint has no result",
            "`fn name at c\"function\" (cx, ...) -> name: Type` is at the return of a function";
        result_at_entry -> T, EntryResult:
            "an entry probe has no result",
            "`fn name at c\"function\" (cx, ...) -> name: Type` is at the return of a function";
        offset_at_entry(T), EntryOffset:
            "an entry probe cannot have an offset",
            "only a probe `at` a function can have one";
        offset_at_return(T), Offset:
            "a return probe cannot have an offset",
            "it is at the entry and the return of the function";
        offset_at_tracepoint(T), TracepointOffset:
            "a tracepoint cannot have an offset",
            "only a probe `at` a function can have one";
    }

    /// Refuses the names of functions that `SYSCALL_DEFINEx()` defines.
    #[inline]
    pub const fn arguments_of_a_system_call(target: &core::ffi::CStr) {
        const PREFIXES: [&[u8]; 8] = [
            b"__x64_sys_",
            b"__ia32_sys_",
            b"__ia32_compat_sys_",
            b"__x64_compat_sys_",
            b"__arm64_sys_",
            b"__arm64_compat_sys_",
            b"__riscv_sys_",
            b"__riscv_compat_sys_",
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

    /// Returns the options of a probe with this name.
    #[inline(always)]
    pub fn options<S: Copy + Default>(name: &'static CStr) -> Options<S> {
        Options {
            name: Some(name),
            ..Default::default()
        }
    }

    #[inline(always)]
    pub fn argument<T: FromWord>() {}
}
