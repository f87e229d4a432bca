// SPDX-License-Identifier: GPL-2.0
// error: cannot be sent between threads safely
// Only the probe itself goes to another thread, or a reference to it.

fn send<T: Send>(_what: T) {}

pub fn give(registered: Registered<'_>) {
    send(registered);
}
