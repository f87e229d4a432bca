// SPDX-License-Identifier: GPL-2.0

//! Text that is built at compile time.

/// Text of up to `N - 1` bytes, followed by zeroes.
pub(super) struct Text<const N: usize> {
    pub(super) bytes: [u8; N],
    pub(super) len: usize,
}

impl<const N: usize> Text<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    pub(super) const fn push(&mut self, byte: u8) {
        assert!(
            self.len + 1 < N,
            "trace_event!: a name exceeds 255 characters, or a print format 8191"
        );
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    pub(super) const fn push_until_nul(&mut self, bytes: &[u8]) {
        let mut n = 0;
        while n < bytes.len() && bytes[n] != 0 {
            self.push(bytes[n]);
            n += 1;
        }
    }

    /// Adds field `n`, the first being 0, in the encoding of `kprobes_event::line`.
    pub(super) const fn push_field(&mut self, n: usize) {
        self.push(1);
        assert!(
            n < 255,
            "trace_event!: a print format can use only the first 255 fields"
        );
        self.push(n as u8 + 1);
    }

    pub(super) const fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push(b'0' + (number % 10) as u8);
    }

    /// Returns the text with its NUL.
    pub(super) const fn exact<const LEN: usize>(&self) -> [u8; LEN] {
        assert!(LEN == self.len + 1);
        let mut bytes = [0; LEN];
        let mut n = 0;
        while n < self.len {
            bytes[n] = self.bytes[n];
            n += 1;
        }
        bytes
    }
}

/// Returns whether `text` has `other` at `from`.
#[inline]
pub(crate) const fn has_at(text: &[u8], from: usize, other: &[u8]) -> bool {
    let mut n = 0;
    while n < other.len() {
        if from + n >= text.len() || text[from + n] != other[n] {
            return false;
        }
        n += 1;
    }
    true
}
