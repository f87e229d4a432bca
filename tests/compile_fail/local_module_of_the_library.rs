// SPDX-License-Identifier: GPL-2.0
// error: no `LocalModule` in the root
// The library has no module of its own, so it has no owner for a file.

pub use kprobes::LocalModule as Owner;
