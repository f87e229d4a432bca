// SPDX-License-Identifier: GPL-2.0

//! A file whose owner is the type that names this module to the library: while the file is open,
//! the module must stay loaded. The owner is a type from Linux 7.3 on.

// case file_is_open: harmless
// since: 7.3
// opens: /dev/kprobes_attack

use super::*;

#[cfg(kprobes_linux_7_3)]
mod files {
    use super::*;
    use kernel::fs::File;
    use kernel::miscdevice::MiscDevice;
    use kernel::miscdevice::MiscDeviceOptions;
    use kernel::miscdevice::MiscDeviceRegistration;

    struct Owned;

    #[vtable]
    impl MiscDevice for Owned {
        type OwnerModule = crate::LocalModule;
        type Ptr = KBox<Self>;

        fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<KBox<Self>> {
            Ok(KBox::new(Self, GFP_KERNEL)?)
        }
    }

    pub(super) fn attack() -> Result<Kept> {
        let name = c"kprobes_attack";
        let options = MiscDeviceOptions { name };
        one(MiscDeviceRegistration::<Owned>::register(options))
    }
}

pub(super) fn attack(case: &[u8]) -> Result<Kept> {
    match case {
        #[cfg(kprobes_linux_7_3)]
        b"file_is_open" => files::attack(),
        #[cfg(not(kprobes_linux_7_3))]
        b"file_is_open" => Err(ENODEV),
        _ => Err(ENOTTY),
    }
}
