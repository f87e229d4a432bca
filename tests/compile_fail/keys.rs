// SPDX-License-Identifier: GPL-2.0
// note: `kprobes::key!` declares a struct as a key
// Types that cannot be a key or a value of a map.

use kernel::prelude::*;
use kprobes::collect::*;

#[derive(Clone, Copy)]
pub struct Plain(pub i32);

pub fn a_struct_without_the_macro(_: CountMap<Plain>) {} //~ `Plain` cannot be the key of a map
pub fn a_float(_: CountMap<f64>) {} //~ `f64` cannot be the key of a map
pub fn a_string(_: HistogramMap<&'static str>) {} //~ `&'static str` cannot be the key of a map
pub fn a_reference(_: Map<&'static u64, u64>) {} //~ `&'static u64` cannot be //~ `&u64` cannot be
pub fn an_array_of_none(_: CountMap<[char; 2]>) {} //~ `char` cannot be the key of a map
pub fn a_tuple_of_one_none(_: CountMap<(u8, f32)>) {} //~ `f32` cannot be the key of a map

// `key!` requires that each field is a key, and can be shown.
kprobes::key! { //~ `Plain` cannot be the key of a map //~ the trait bound `Plain: collect::Show`
    pub struct Field {
        pub good: u64,
        pub bad: Plain,
    }
}

// Entries are copied and reused, on any CPU.
pub fn a_value_with_a_destructor(_: Map<u8, KBox<u8>>) {} //~ the trait bound `Box<u8, Kmalloc>:
pub fn a_value_of_one_thread(_: Map<u8, *const u8>) {} //~ `*const u8` cannot be sent between

// A key may outlive any borrow.
#[derive(Clone, Copy)]
pub struct Borrowed<'a>(&'a u64);

impl<'a> Key for Borrowed<'a> {
    //~^ lifetime bound not satisfied //~^ not all trait items //~^ cannot infer an
    type Words = u64;
}

impl Show for Borrowed<'_> {} //~ not all trait items

// Comparing words must not call the module's code, so users cannot implement `Words`.
impl Words for Plain {} //~ not all trait items
