// SPDX-License-Identifier: GPL-2.0
// Two parameters of one name, in one place.

kprobes::string_param!(twice, "one");
kprobes::string_param!(twice, "other"); //~ the name `twice` is defined multiple times

// The library has no module of its own, so it has no owner for a file.
pub use kprobes::LocalModule as Owner; //~ unresolved import
