// SPDX-License-Identifier: GPL-2.0

//! Events of a module that redefines all names that `trace_event!` could use: the crate `core`,
//! macros and primitive types, constants, methods. `tests/inside/events_records.py` compares the
//! records with those of a normal module.

#![forbid(unsafe_code)]
#![allow(non_camel_case_types)]

extern crate core as honest;
// From here on, `::core` is this crate.
extern crate self as core;

pub use honest::*;

/// `core::mem`, with a wrong size.
pub mod mem {
    pub use crate::honest::mem::*;

    /// A wrong size.
    pub const fn size_of<T>() -> usize {
        1
    }
}

use kernel::prelude::*;
use kprobes::{
    entry,
    event::Armed,
    Entry, //
};

module! {
    type: Hostile,
    name: "events_hostile",
    authors: ["Rust kprobe"],
    description: "Tests of trace events with redefined names",
    license: "GPL",
}

/// Methods for all types, with the names of the library's methods. None of them may be called.
#[allow(dead_code)]
trait Named {
    fn tail(&self) -> usize {
        4000
    }
    fn fields(&self) -> usize {
        0
    }
    fn store(&self) {}
    fn len(&self) -> usize {
        0
    }
    fn event() -> usize {
        0
    }
}

impl<T: ?Sized> Named for T {}

#[allow(dead_code, unused_macros)]
mod records {
    use kprobes::event::{
        Hex,
        Str, //
    };

    pub(crate) type Word = u16;
    pub(crate) type Byte = crate::honest::primitive::u8;

    // The lengths of two arrays, with names that the macro could use.
    pub(crate) const NAMES: crate::honest::primitive::usize = 3;
    pub(crate) const FIELDS: crate::honest::primitive::usize = 2;
    pub(crate) const TABLES: crate::honest::primitive::usize = 99;
    pub(crate) const EVENT: crate::honest::primitive::usize = 99;

    struct u8;
    struct usize;
    struct bool;
    struct str;

    macro_rules! concat {
        ($($any:tt)*) => {
            "wrong\0"
        };
    }
    macro_rules! stringify {
        ($($any:tt)*) => {
            "wrong"
        };
    }

    kprobes::trace_event! {
        /// Fields with names that a record's other parts could have.
        pub(crate) struct Strange<'a> = "events_test:strange" {
            entry: u32,
            life: [Word; NAMES],
            /// A string.
            record: Str<'a, 16>,
            self_: Hex<u64>,
            at: [Word; FIELDS],
        }
    }

    impl Own {
        /// `Self` in the fields of the record.
        const LENGTH: crate::honest::primitive::usize = 5;
    }

    kprobes::trace_event! {
        pub(crate) struct Own = "events_test:own" {
            bytes: [Byte; Self::LENGTH],
            next: u32,
        }
    }

    kprobes::trace_event! {
        /// Too long for a line of output.
        pub(crate) struct Wide = "events_test:wide" {
            all: [Byte; 1800],
            last: u32,
        }
    }
}

use records::{
    Own,
    Strange,
    Wide, //
};

struct Emits;

#[vtable]
impl entry::Handler for Emits {
    fn entry(&self, cx: &entry::Context<'_>) {
        Strange {
            entry: 1,
            life: [2, 3, 4],
            record: "text".into(),
            self_: kprobes::event::Hex(5),
            at: [6, 7],
        }
        .emit(cx);
        Own {
            bytes: [8, 9, 10, 11, 12],
            next: 13,
        }
        .emit(cx);
        Wide {
            all: [0xff; 1800],
            last: 14,
        }
        .emit(cx);
    }
}

type Thrice<P> = Armed<Armed<Armed<P>>>;

struct Hostile {
    _probe: Pin<KBox<Thrice<Entry<Emits>>>>,
}

impl kernel::Module for Hostile {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let options = entry::Options::default().disabled();
        let probe = Entry::with_options(kprobes::syscall!("getpriority"), options, Emits);
        let probe = Strange::arms(Own::arms(Wide::arms(probe)));
        Ok(Self {
            _probe: KBox::pin_init(probe, GFP_KERNEL)?,
        })
    }
}
