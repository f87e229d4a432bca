// SPDX-License-Identifier: GPL-2.0

//! Keys of maps.
//!
//! A map converts a key to words of 64 bits, field by field, and hashes and compares these words.
//! So padding does not matter, and a key type needs neither `Eq` nor `Hash`.

use super::show::Show;
use crate::common::*;

/// The key of a map: an integer of up to 64 bits, `bool`, `()`, [`Error`], [`Comm`], [`Address`],
/// [`Stack`](crate::Stack), [`KernelPtr`], [`UserPtr`], an array of keys, a tuple of two to four
/// keys, or a struct that [`key!`](crate::key) declares.
///
/// Each integer, error, address or pointer takes 8 bytes, also as an element of `[u8; N]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a map",
    label = "not a key",
    note = "keys are integers, `bool`, `Error`, `Comm`, `Address`, `Stack`, pointers, and tuples \
            and arrays of these; `kprobes::key!` declares a struct as a key"
)]
pub trait Key: Copy + Send + Sync + Show + 'static {
    /// The words of this key.
    type Words: Words;

    /// Returns the key as words.
    fn words(self) -> Self::Words;

    /// Converts the result of [`words`](Key::words) back to the key.
    fn from_words(words: Self::Words) -> Self;
}

/// The words of a [`Key`]: `u64`, `()`, or pairs and arrays of these.
// Other crates cannot implement it, because they cannot name `Hash`.
pub trait Words: Copy + Send + Sync + 'static {
    /// The words of the only key, if the type has only one value.
    #[doc(hidden)]
    const ONLY: Option<Self> = None;

    #[doc(hidden)]
    fn hash(self, hash: Hash) -> Hash;
    #[doc(hidden)]
    fn same(&self, other: &Self) -> bool;
}

/// A hash keyed with a secret, so that programs cannot choose the buckets of their keys.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct Hash {
    state: u64,
    factor: u64,
}

impl Hash {
    /// `secret` must be random.
    pub(super) fn new(secret: [u64; 2]) -> Self {
        Self {
            state: secret[0],
            factor: secret[1] | 1,
        }
    }

    /// Returns the index of a bucket among `mask + 1`, a power of two.
    #[inline(always)]
    pub(super) fn bucket(self, mask: usize) -> usize {
        self.state as usize & mask
    }
}

impl Words for u64 {
    #[inline(always)]
    fn hash(self, hash: Hash) -> Hash {
        let product = u128::from(self ^ hash.state) * u128::from(hash.factor);
        Hash {
            state: product as u64 ^ (product >> 64) as u64,
            ..hash
        }
    }

    #[inline(always)]
    fn same(&self, other: &Self) -> bool {
        self == other
    }
}

impl Words for () {
    const ONLY: Option<Self> = Some(());

    #[inline(always)]
    fn hash(self, hash: Hash) -> Hash {
        hash
    }

    #[inline(always)]
    fn same(&self, _other: &Self) -> bool {
        true
    }
}

impl<A: Words, B: Words> Words for (A, B) {
    #[inline(always)]
    fn hash(self, hash: Hash) -> Hash {
        self.1.hash(self.0.hash(hash))
    }

    #[inline(always)]
    fn same(&self, other: &Self) -> bool {
        self.0.same(&other.0) && self.1.same(&other.1)
    }
}

impl<W: Words, const N: usize> Words for [W; N] {
    #[inline(always)]
    fn hash(self, mut hash: Hash) -> Hash {
        for word in self {
            hash = word.hash(hash);
        }
        hash
    }

    #[inline(always)]
    fn same(&self, other: &Self) -> bool {
        self.iter().zip(other).all(|(a, b)| a.same(b))
    }
}

macro_rules! keys {
    ($(
        [$($param:ident)?] $type:ty: $words:ty, |$key:pat_param| $to:expr, |$from:ident| $back:expr;
    )*) => {
        $(
            impl<$($param: 'static)?> Key for $type {
                type Words = $words;

                #[inline(always)]
                fn words(self) -> $words {
                    let $key = self;
                    $to
                }

                #[inline(always)]
                fn from_words($from: $words) -> Self {
                    $back
                }
            }
        )*
    };
}

keys! {
    [] (): (), |()| (), |_words| ();
    [] bool: u64, |key| u64::from(key), |word| word != 0;
    [] u8: u64, |key| u64::from(key), |word| word as Self;
    [] u16: u64, |key| u64::from(key), |word| word as Self;
    [] u32: u64, |key| u64::from(key), |word| word as Self;
    [] u64: u64, |key| key, |word| word;
    [] usize: u64, |key| key as u64, |word| word as Self;
    [] i8: u64, |key| key as u64, |word| word as Self;
    [] i16: u64, |key| key as u64, |word| word as Self;
    [] i32: u64, |key| key as u64, |word| word as Self;
    [] i64: u64, |key| key as u64, |word| word as Self;
    [] isize: u64, |key| key as u64, |word| word as Self;
    [] Error: u64, |key| key.to_errno() as u64, |word| Self::from_errno(word as i32);
    [] Address: u64, |key| key.as_usize() as u64, |word| Self::new(word as usize);
    [T] KernelPtr<T>: u64, |key| key.addr() as u64, |word| Self::new(word as usize);
    [T] UserPtr<T>: u64, |key| key.addr() as u64, |word| Self::new(word as usize);
    [] Comm: (u64, u64), |key| key.into_words(), |words| Self::from_words(words);
}

impl<K: Key, const N: usize> Key for [K; N] {
    type Words = [K::Words; N];

    #[inline(always)]
    fn words(self) -> Self::Words {
        self.map(K::words)
    }

    #[inline(always)]
    fn from_words(words: Self::Words) -> Self {
        words.map(K::from_words)
    }
}

macro_rules! tuples {
    ($($($type:ident $name:ident,)+ => $words:ty, $nested:tt;)*) => {
        $(
            impl<$($type: Key),+> Key for ($($type,)+) {
                type Words = $words;

                #[inline(always)]
                fn words(self) -> Self::Words {
                    let ($($name,)+) = self;
                    $(let $name = $name.words();)+
                    $nested
                }

                #[inline(always)]
                fn from_words($nested: Self::Words) -> Self {
                    ($($type::from_words($name),)+)
                }
            }
        )*
    };
}

tuples! {
    A a, B b, => (A::Words, B::Words), (a, b);
    A a, B b, C c, => (A::Words, (B::Words, C::Words)), (a, (b, c));
    A a, B b, C c, D d, => (A::Words, (B::Words, (C::Words, D::Words))), (a, (b, (c, d)));
}

/// Declares a struct that is a [`Key`]. Each of its fields must be a key, too.
///
/// The struct is `Clone` and `Copy`, may have attributes such as `#[derive(PartialEq)]`, and cannot
/// be generic. It is shown with the names of its fields, as `comm bash, error -2`.
///
/// # Examples
///
/// ```
/// use kprobes::{Comm, CountMap};
///
/// kprobes::key! {
///     /// A failed open.
///     pub struct Open {
///         pub comm: Comm,
///         pub error: i32,
///     }
/// }
///
/// # fn f() -> kernel::error::Result {
/// let opens: CountMap<Open> = CountMap::new(100)?;
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! key {
    (
        $(#[$attribute:meta])* $vis:vis struct $name:ident {
            $($(#[$doc:meta])* $field_vis:vis $field:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive($crate::macro_paths::core::clone::Clone, $crate::macro_paths::core::marker::Copy)]
        $vis struct $name {
            $($(#[$doc])* $field_vis $field: $type,)+
        }

        impl $crate::collect::Key for $name {
            type Words = $crate::key!(@type $($type,)+);

            #[inline(always)]
            fn words(self) -> Self::Words {
                $crate::key!(@words self $($field)+)
            }

            #[inline(always)]
            fn from_words(words: Self::Words) -> Self {
                $(let ($field, words) = words;)+
                let () = words;
                Self {
                    $($field: $crate::collect::Key::from_words($field),)+
                }
            }
        }

        impl $crate::collect::Show for $name {
            fn show(
                &self,
                form: $crate::collect::Form,
                f: &mut $crate::macro_paths::core::fmt::Formatter<'_>,
            ) -> $crate::macro_paths::core::fmt::Result {
                $crate::collect::fields(form, f, &[
                    $(($crate::macro_paths::core::stringify!($field), &self.$field),)+
                ])
            }
        }
    };

    (@type) => { () };
    (@type $type:ty, $($rest:ty,)*) => {
        (<$type as $crate::collect::Key>::Words, $crate::key!(@type $($rest,)*))
    };
    (@words $key:ident) => { () };
    (@words $key:ident $field:ident $($rest:ident)*) => {
        ($crate::collect::Key::words($key.$field), $crate::key!(@words $key $($rest)*))
    };
}
