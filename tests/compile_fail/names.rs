// SPDX-License-Identifier: GPL-2.0
// Two parameters with one name, in the same module.

kprobes::string_param!(twice, "one");
kprobes::string_param!(twice, "other"); //~ the name `twice` is defined multiple times

// The library is not a module, so a file cannot use it as its owner.
pub use kprobes::LocalModule as Owner; //~ unresolved import
