// SPDX-License-Identifier: GPL-2.0

//! One handler for all kinds of probes, for the modules of the tests.

use kprobes::Address;
use kprobes::Context;
use kprobes::Place;

/// A handler of any kind, which `handlers!` implements by this trait.
pub(crate) trait Hits: Send + Sync + 'static {
    /// Called at the entry, or at the return by a return probe. A tracepoint has no address.
    fn hit<At: Place>(&self, cx: &Context<'_, At>, address: Option<Address>);

    /// Called by `unregistered`, with `hits` or `returns`.
    fn end(&self, _what: &str, _missed: u64) {}
}

macro_rules! handlers {
    ($handler:ty $(, $f:ident: $($bound:tt)+)?) => {
        handlers! { @kprobe pre(Context,) "hits", [], [], [$handler $(, $f: $($bound)+)?] }
        handlers! { @entry entry(Context,) "hits", [], [], [$handler $(, $f: $($bound)+)?] }
        handlers! { @overrides entry(Context,) "hits", [], [-> Option<usize> = None],
            [$handler $(, $f: $($bound)+)?] }
        handlers! { @redirect pre(Context,) "hits", [], [-> Option<kprobes::Address> = None],
            [$handler $(, $f: $($bound)+)?] }
        handlers! { @kretprobe ret(ReturnContext, _: ()) "returns", [type Data = ();], [],
            [$handler $(, $f: $($bound)+)?] }
        handlers! { @timed ret(ReturnContext, _: (), _: u64) "returns", [type Data = ();], [],
            [$handler $(, $f: $($bound)+)?] }

        #[vtable]
        impl $(<$f: $($bound)+>)? kprobes::tracepoint::Handler for $handler {
            type Args = ();

            fn hit(&self, cx: &kprobes::tracepoint::Context<'_>, (): ()) {
                Hits::hit(self, cx, None);
            }

            fn unregistered(&self, missed: u64) {
                Hits::end(self, "hits", missed);
            }
        }
    };

    (@$kind:ident $method:ident($cx:ident, $($data:tt)*) $what:literal, [$($item:tt)*],
        [$(-> $result:ty = $value:expr)?], [$handler:ty $(, $f:ident: $($bound:tt)+)?]) => {
        #[vtable]
        impl $(<$f: $($bound)+>)? kprobes::$kind::Handler for $handler {
            $($item)*

            fn $method(&self, cx: &kprobes::$kind::$cx<'_>, $($data)*) $(-> $result)? {
                Hits::hit(self, cx, Some(cx.address()));
                $($value)?
            }

            fn unregistered(&self, missed: u64) {
                Hits::end(self, $what, missed);
            }
        }
    };
}
