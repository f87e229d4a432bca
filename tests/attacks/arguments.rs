// SPDX-License-Identifier: GPL-2.0

//! insmod's arguments for `string_param!`, and for the library's own parameters.

// case empty: harmless
// says: 0 bytes
// given: argument=
// case no_value: refused EINVAL
// says: `' invalid for parameter `argument'
// given: argument
// case twice: refused EEXIST
// says: `2' invalid for parameter `argument'
// given: argument=1 argument=2
// case quoted: harmless
// says: 8 bytes
// given: "argument=a b c =d"
// case longest: harmless
// says: 65536 bytes
// given: argument=LIMIT
// case fits_the_limit: harmless
// says: of up to eight: 8
// says: not given
// given: up_to_eight=12345678
// case exceeds_the_limit: refused ENOSPC
// says: up_to_eight: value exceeds 8 characters \(ENOSPC\)
// says: `123456789' too large for parameter `up_to_eight'
// given: up_to_eight=123456789
// case format_specifiers: harmless
// says: 6 bytes
// given: argument=%s%n%p
// case name_is_an_equals_sign: harmless
// says: unknown parameter '=' ignored
// says: not given
// given: ==5
// case library_parameter_quoted: harmless
// says: unknown parameter '.*' ignored
// says: not given
// given: "left="=5
// case library_parameter: harmless
// says: unknown parameter 'left' ignored
// says: not given
// given: left==5

use super::*;

kprobes::string_param!(up_to_eight, "a short one", 8);

pub(super) fn attack(_case: &[u8]) -> Result<Kept> {
    if let Some(value) = up_to_eight.value() {
        pr_info!("of up to eight: {}\n", value.to_bytes().len());
    }
    match argument.value() {
        Some(value) => pr_info!("{} bytes\n", value.to_bytes().len()),
        None => pr_info!("not given\n"),
    }
    Ok(Kept::new())
}
