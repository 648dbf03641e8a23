// SPDX-License-Identifier: GPL-2.0

//! Properties of a firmware node, with their type checked as far as their bytes show it.
//!
//! The device tree does not store types: a property is a name and bytes. The kernel's readers take
//! the first cell of anything long enough and the first string of anything terminated; here a
//! value of another length is an error, and the caller gets the bytes for its message.
//!
//! C header: [`include/linux/property.h`](srctree/include/linux/property.h)

use kernel::{
    device::{
        property::FwNode,
        Bound,
        Device, //
    },
    fmt,
    prelude::*,
    str::{
        BStr,
        CStr, //
    }, //
};

use super::errno::Errno;

/// The bytes of one property.
pub(crate) struct Property(KVec<u8>);

impl Property {
    /// Reads the property `name` of a device's node, or returns `None` where it does not have it.
    ///
    /// Sleeps. Returns `ENOMEM`, or the error of the firmware's reader, and logs it.
    pub(crate) fn read(dev: &Device<Bound>, name: &CStr) -> Result<Option<Self>> {
        let Some(node) = dev.fwnode() else {
            return Ok(None);
        };
        Self::read_node(node, name).inspect_err(|e| {
            let name = BStr::from_bytes(name.to_bytes());
            dev_err!(dev, "{name}: cannot be read: {}\n", Errno(*e));
        })
    }

    fn read_node(node: &FwNode, name: &CStr) -> Result<Option<Self>> {
        if !node.property_present(name) {
            return Ok(None);
        }

        // A property without a value has no length that could be counted.
        let bytes = match node.property_count_elem::<u8>(name) {
            Ok(len) if len > 0 => read_bytes(node, name, len)?,
            _ => KVec::new(),
        };
        Ok(Some(Self(bytes)))
    }

    /// Returns whether it has no value.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of a property of exactly one cell.
    pub(crate) fn as_u32(&self) -> Option<u32> {
        let cell: [u8; 4] = self.0.as_slice().try_into().ok()?;
        Some(u32::from_be_bytes(cell))
    }

    /// Returns the bytes of a property of exactly one terminated string, without the zero.
    pub(crate) fn as_string(&self) -> Option<&[u8]> {
        match self.0.split_last() {
            Some((0, text)) if !text.contains(&0) => Some(text),
            _ => None,
        }
    }
}

fn read_bytes(node: &FwNode, name: &CStr, len: usize) -> Result<KVec<u8>> {
    node.property_read_array_vec::<u8>(name, len)?
        .optional()
        .ok_or(EINVAL)
}

/// How many bytes of a value a message shows.
const SHOWN_STRING: usize = 64;
const SHOWN_BYTES: usize = 16;

impl fmt::Display for Property {
    /// Shows a string in quotes, anything else as `[00 00 00 05]`; of a long value the beginning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match self.as_string() {
            Some(text) => {
                let shown = text.len().min(SHOWN_STRING);
                let begin = BStr::from_bytes(text.get(..shown).unwrap_or_default());
                f.write_fmt(fmt!("\"{begin}\""))?;
                shown + 1
            }
            None => {
                f.write_str("[")?;
                for (index, byte) in self.0.iter().take(SHOWN_BYTES).enumerate() {
                    let space = if index > 0 { " " } else { "" };
                    f.write_fmt(fmt!("{space}{byte:02x}"))?;
                }
                f.write_str("]")?;
                SHOWN_BYTES
            }
        };

        if self.0.len() > shown {
            f.write_fmt(fmt!("... ({} bytes)", self.0.len()))?;
        }
        Ok(())
    }
}
