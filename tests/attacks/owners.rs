// SPDX-License-Identifier: GPL-2.0

//! A file whose owner is the type that a trait of the library names: while the file is
//! open, the module must stay loaded. The owner is a type from Linux 7.3 on.

// case of_timed: harmless
// since: 7.3
// opens: /dev/kprobes_attack
// case of_this_module: harmless
// since: 7.3
// opens: /dev/kprobes_attack

#![forbid(unsafe_code)]

use super::Kept;
use kernel::prelude::*;

#[cfg(kprobes_linux_7_3)]
mod files {
    use super::super::just;
    use super::Kept;
    use kernel::{
        fs::File,
        miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
        prelude::*,
    };
    use kprobes::{kretprobe, timed, Context, Return, Timed};

    struct Slow;

    #[vtable]
    impl timed::Handler for Slow {
        fn ret(&self, _cx: &Context<'_, Return>, _ns: u64) {}
    }

    macro_rules! device {
        ($name:ident, $owner:ty) => {
            struct $name;

            #[vtable]
            impl MiscDevice for $name {
                type OwnerModule = $owner;
                type Ptr = KBox<Self>;

                fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<KBox<Self>> {
                    Ok(KBox::new($name, GFP_KERNEL)?)
                }
            }
        };
    }

    device!(OfTimed, <Timed<Slow> as kretprobe::Handler>::OwnerModule);
    device!(OfThisModule, crate::LocalModule);

    fn registered<T: MiscDevice + 'static>() -> Result<Kept> {
        let name = c"kprobes_attack";
        let device = MiscDeviceRegistration::<T>::register(MiscDeviceOptions { name });
        just(KBox::pin_init(device, GFP_KERNEL)?)
    }

    pub(super) fn attack(case: &[u8]) -> Result<Kept> {
        match case {
            b"of_timed" => registered::<OfTimed>(),
            b"of_this_module" => registered::<OfThisModule>(),
            _ => Err(ENOTTY),
        }
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    #[cfg(kprobes_linux_7_3)]
    return files::attack(case);
    #[cfg(not(kprobes_linux_7_3))]
    return Err(if case.is_empty() { ENOTTY } else { ENODEV });
}
